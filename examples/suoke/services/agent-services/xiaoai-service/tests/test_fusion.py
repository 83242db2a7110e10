import pytest

from xiaoai.fusion import fuse, verdict


def test_one_examination_decides_alone():
    assert fuse({"look": {"damp heat": 0.8}}) == {"damp heat": 0.8}


def test_examinations_are_weighed():
    fused = fuse({"inquiry": {"qi deficiency": 1.0}, "look": {"damp heat": 1.0}})
    assert list(fused.items()) == [("qi deficiency", 0.583), ("damp heat", 0.417)]


def test_an_unknown_examination_is_refused():
    with pytest.raises(ValueError, match="horoscope"):
        fuse({"horoscope": {}})


def test_nothing_likely_no_verdict():
    assert verdict({"damp heat": 0.4}) is None
    assert verdict({}) is None


def test_the_most_likely_is_the_verdict():
    assert verdict({"damp heat": 0.6, "qi deficiency": 0.55}) == "damp heat"
