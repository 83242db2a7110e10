from soer.app import create_app
from soer.settings import ACCESSIBILITY_SERVICE_URL


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "soer-service")


def test_a_plan_is_told_in_the_listeners_way(call, fake_transport):
    transport = fake_transport({("POST", ACCESSIBILITY_SERVICE_URL + "/lin/texts"): {"text": "SHORT"}})
    _, answer = call(create_app(transport), "POST", "/lin/plans", {"weight": 60, "age": 38, "month": 7})
    assert (answer["season"], answer["text"]) == ("summer", "SHORT")
    assert transport.calls[0][2] == {"text": "Drink 2.0 litres, walk 10000 steps, sleep at 23:00."}
