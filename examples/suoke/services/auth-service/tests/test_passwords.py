from auth_service.passwords import fits, hashed


def test_the_right_password_fits():
    assert fits("plum blossom", hashed("plum blossom", rounds=10))


def test_another_password_does_not():
    assert not fits("peach blossom", hashed("plum blossom", rounds=10))


def test_the_same_password_is_kept_differently_each_time():
    assert hashed("plum blossom", rounds=10) != hashed("plum blossom", rounds=10)


def test_the_kept_text_says_how_it_was_made():
    assert hashed("plum blossom", salt=b"\x01\x02", rounds=10).startswith("sha256$10$0102$")
