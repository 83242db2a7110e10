from blockchain.contracts import accepted, newest


def test_versions_are_compared_as_versions():
    assert newest() == "1.10"


def test_a_candidate_is_not_the_newest():
    assert newest(("1.0", "2.0rc1")) == "1.0"


def test_an_old_contract_is_not_accepted():
    assert not accepted("1.0")


def test_an_unpublished_contract_is_not_accepted():
    assert not accepted("1.11")
