from message_bus.app import create_app
from message_bus.settings import AUTH_SERVICE_URL

CHECK = ("POST", AUTH_SERVICE_URL + "/tokens/check")


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "message-bus")


def test_the_sender_is_whoever_the_token_belongs_to(call, fake_transport):
    app = create_app(transport=fake_transport({CHECK: {"user": "lin"}}))
    call(app, "PUT", "/subscribers/xiaoai/health.*")
    wish = {"token": "t", "body": {"rate": 72}}
    assert call(app, "POST", "/topics/health.pulse", wish) == (202, {"number": 1, "subscribers": 1})
    _, answer = call(app, "GET", "/subscribers/xiaoai/messages?most=5")
    assert answer["messages"] == [{"number": 1, "topic": "health.pulse", "sender": "lin", "body": {"rate": 72}}]


def test_without_a_valid_token_nothing_is_published(call, fake_transport):
    app = create_app(transport=fake_transport({CHECK: {"user": None}}))
    assert call(app, "POST", "/topics/a", {"token": "t", "body": {}})[0] == 401
