from suoke_bench.app import create_app
from suoke_bench.settings import API_GATEWAY_URL


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "suoke-bench-service")


def test_agents_are_asked_through_the_gateway(call, fake_transport):
    transport = fake_transport({("POST", API_GATEWAY_URL + "/agents/soer/questions"): {"answers": ["ginger"]}})
    wish = {"questions": [{"text": "What warms?", "right": ["ginger"]}]}
    _, answer = call(create_app(transport), "POST", "/runs/soer", wish)
    assert (answer["agent"], answer["quality"]) == ("soer", 1.0)
