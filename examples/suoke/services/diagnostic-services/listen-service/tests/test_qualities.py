from listen.qualities import heard, leading, patterns


def test_labels_are_tidied():
    assert heard([" Hoarse", "hoarse", "loud"]) == {"hoarse"}


def test_the_more_urgent_one_leads():
    assert leading(heard(["nasal", "trembling"])) == "trembling"


def test_wheezing_leads():
    assert leading(heard(["hollow", "wheezing"])) == "wheezing"


def test_nothing_heard_nothing_leads():
    assert leading(heard([])) is None


def test_patterns_have_a_confidence():
    assert patterns({"faint", "hoarse"}) == {"qi deficiency": 0.25, "wind heat": 0.5}
