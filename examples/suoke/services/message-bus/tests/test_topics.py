import pytest

from message_bus.topics import matches


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [("health.pulse", "health.pulse"), ("health.*", "health.pulse"), ("#", "health.pulse"), ("health.#", "health.a.b")],
)
def test_these_fit(pattern, topic):
    assert matches(pattern, topic)


@pytest.mark.parametrize(("pattern", "topic"), [("health", "health.pulse"), ("health.*", "health"), ("a.*", "b.c")])
def test_these_do_not(pattern, topic):
    assert not matches(pattern, topic)
