from health_data.app import create_app
from health_data.settings import BLOCKCHAIN_SERVICE_URL, USER_SERVICE_URL

PULSE = {"kind": "heart_rate", "value": 70, "taken": "2026-03-02T08:00:00"}


def platform_(fake_transport):
    return fake_transport(
        {
            ("GET", USER_SERVICE_URL + "/lin"): {"name": "lin"},
            ("POST", BLOCKCHAIN_SERVICE_URL + "/blocks"): {"height": 7},
        }
    )


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "health-data-service")


def test_measurements_are_kept_and_anchored(call, fake_transport):
    app = create_app(platform_(fake_transport))
    assert call(app, "POST", "/lin/measurements", [PULSE]) == (201, {"kept": 1, "anchored_at": 7})
    assert call(app, "GET", "/lin/heart_rate")[1]["daily"] == {"2026-03-02": 70.0}


def test_values_never_reach_the_chain(call, fake_transport):
    transport = platform_(fake_transport)
    call(create_app(transport), "POST", "/lin/measurements", [PULSE])
    assert list(transport.calls[-1][2]) == ["digest"]


def test_one_wrong_value_refuses_all(call, fake_transport):
    transport = platform_(fake_transport)
    status, _ = call(create_app(transport), "POST", "/lin/measurements", [PULSE, dict(PULSE, value=-1)])
    assert status == 400
    assert transport.calls == []
