from look_service.app import create_app
from look_service.settings import XIAOAI_SERVICE_URL

PALE, DARK = [220, 180, 180], [40, 20, 20]


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "look-service")


def test_a_pale_tongue(call):
    app = create_app()
    assert call(app, "POST", "/lin/pictures", {"pixels": [PALE, PALE]})[1]["signs"] == ["pale tongue"]
    assert call(app, "GET", "/lin/patterns") == (200, {"patterns": {"qi deficiency": 0.6}})


def test_a_bad_picture_is_taken_again(call, fake_transport):
    transport = fake_transport({("POST", XIAOAI_SERVICE_URL + "/lin/remarks"): {}})
    assert call(create_app(transport), "POST", "/lin/pictures", {"pixels": [PALE, DARK]})[0] == 422
    assert "again" in transport.calls[0][2]["text"]
