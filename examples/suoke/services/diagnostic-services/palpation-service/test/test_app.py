from palpation.app import create_app
from palpation.settings import XIAOAI_SERVICE_URL

REMARKS = ("POST", XIAOAI_SERVICE_URL + "/lin/remarks")


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "palpation-service")


def test_an_even_pulse_is_nothing_to_report(call, fake_transport):
    transport = fake_transport({})
    app = create_app(transport)
    wish = {"wave": [0.0, 0.8, 0.0, 0.8, 0.0], "rate": 2}
    assert call(app, "POST", "/lin/waves", wish) == (200, {"signs": ["even pulse", "strong pulse"]})
    assert call(app, "GET", "/lin/patterns") == (200, {"patterns": {}})
    assert transport.calls == []


def test_an_irregular_pulse_is(call, fake_transport):
    transport = fake_transport({REMARKS: {}})
    wish = {"wave": [0, 0.8, 0, 0.8, 0, 0, 0, 0, 0.8, 0], "rate": 4}
    call(create_app(transport), "POST", "/lin/waves", wish)
    assert transport.calls == [(*REMARKS, {"text": "the pulse is irregular"})]


def test_no_pulse_cannot_be_kept(call):
    assert call(create_app(), "POST", "/lin/waves", {"wave": [0, 0, 0], "rate": 4})[0] == 422
