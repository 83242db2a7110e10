from app.app import create_app
from app.examinations import SERVICES, gather


def answers(**signs):
    return {("GET", url + "/lin/signs"): {"signs": signs.get(name, [])} for name, url in SERVICES.items()}


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "medical-service")


def test_all_four_examinations_count(call, fake_transport):
    app = create_app(fake_transport(answers(inquiry=["fever"], palpation=["rapid pulse"])))
    _, answer = call(app, "GET", "/lin/advice")
    assert answer["signs"] == ["fever", "rapid pulse"]
    assert answer["within_hours"] == 8


def test_without_signs_there_is_no_hurry(call, fake_transport):
    _, answer = call(create_app(fake_transport(answers())), "GET", "/lin/advice")
    assert answer["within_hours"] is None


def test_a_silent_service_is_named():
    def silent(method, url, payload=None):
        raise TimeoutError(url)

    assert gather("lin", silent) == ([], ["inquiry", "listen", "look", "palpation"])
