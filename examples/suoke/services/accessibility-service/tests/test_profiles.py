from accessibility.profiles import PROFILES, Needs, read_profiles


def test_the_defaults_hold_for_what_a_profile_leaves_out():
    assert read_profiles("[DEFAULT]\nspeech_rate = 2\n[a]\n[b]\nspeech_rate = 3\n") == {
        "a": Needs(speech_rate=2.0),
        "b": Needs(speech_rate=3.0),
    }


def test_the_profiles_that_we_ship():
    profiles = read_profiles(PROFILES.read_text(encoding="utf-8"))
    assert sorted(profiles) == ["blind", "easy reading", "low vision"]
    assert profiles["blind"].output == "speech"


def test_nobody_has_needs_by_default():
    assert Needs() == Needs("text", False, False, 1.0)
