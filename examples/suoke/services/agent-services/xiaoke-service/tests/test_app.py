import pytest

from xiaoke.app import create_app
from xiaoke.settings import ACCESSIBILITY_SERVICE_URL

WISH = {"begin": "2026-03-02T09:00:00", "doctor": "Dr. Wu", "patient": "lin"}


@pytest.fixture
def app(fake_transport):
    profile = {("GET", ACCESSIBILITY_SERVICE_URL + "/lin/profile"): {"large_print": True}}
    return create_app(transport=fake_transport(profile))


def test_health_names_the_service(app, call):
    status, answer = call(app, "GET", "/health")
    assert (status, answer["service"]) == (200, "xiaoke-service")


def test_those_who_need_large_print_are_called(app, call):
    status, answer = call(app, "POST", "/appointments", WISH)
    assert (status, answer["reminder"]) == (201, "call")


def test_the_second_comes_too_late(app, call):
    call(app, "POST", "/appointments", WISH)
    assert call(app, "POST", "/appointments", dict(WISH, patient="mei"))[0] == 409


def test_there_is_no_slot_at_night(app, call):
    assert call(app, "POST", "/appointments", dict(WISH, begin="2026-03-02T23:00:00"))[0] == 404


def test_slots_of_one_doctor(app, call):
    _, answer = call(app, "GET", "/slots?doctor=Dr.%20Wu")
    assert {slot["doctor"] for slot in answer["slots"]} == {"Dr. Wu"}
