from listen.app import create_app
from listen.settings import XIAOAI_SERVICE_URL

REMARKS = ("POST", XIAOAI_SERVICE_URL + "/lin/remarks")


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "listen-service")


def test_xiaoai_hears_of_what_is_urgent(call, fake_transport):
    transport = fake_transport({REMARKS: {}})
    wish = {"labels": ["wheezing", "faint"], "samples": [0.5, -0.5], "rate": 10}
    assert call(create_app(transport), "POST", "/lin/recordings", wish)[1]["leading"] == "wheezing"
    assert transport.calls == [(*REMARKS, {"text": "voice: wheezing"})]


def test_xiaoai_is_not_bothered_with_the_rest(call, fake_transport):
    transport = fake_transport({})
    app = create_app(transport)
    call(app, "POST", "/lin/recordings", {"labels": ["nasal"], "samples": [], "rate": 10})
    assert call(app, "GET", "/lin/signs") == (200, {"signs": ["nasal"]})
    assert transport.calls == []
