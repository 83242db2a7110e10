from accessibility.app import create_app
from accessibility.settings import USER_SERVICE_URL


def users(fake_transport, profile):
    return fake_transport({("GET", USER_SERVICE_URL + "/lin"): {"name": "lin", "accessibility": profile}})


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "accessibility-service")


def test_a_text_in_plain_words(call, fake_transport):
    app = create_app(users(fake_transport, "easy reading"))
    assert call(app, "POST", "/lin/texts", {"text": "Ask a physician."})[1]["text"] == "Ask a doctor."
