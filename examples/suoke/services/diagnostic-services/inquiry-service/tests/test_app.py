from inquiry.app import create_app
from inquiry.settings import MED_KNOWLEDGE_URL, XIAOAI_SERVICE_URL


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "inquiry-service")


def test_an_interview_from_begin_to_end(call, fake_transport):
    transport = fake_transport({("POST", XIAOAI_SERVICE_URL + "/lin/remarks"): {}})
    app = create_app(transport)
    for choice in ("yes", "no", "well", "yes"):
        status, answer = call(app, "POST", "/lin/answers", {"choice": choice})
    assert (status, answer) == (200, {"next": None})
    assert call(app, "GET", "/lin/patterns")[1] == {"patterns": {"wind cold": 0.6, "dryness": 0.5}}
    assert len(transport.calls) == 1


def test_a_wrong_choice_is_a_bad_request(call):
    assert call(create_app(), "POST", "/lin/answers", {"choice": "perhaps"})[0] == 400


def test_terms_of_a_complaint(call, fake_transport):
    transport = fake_transport({("POST", MED_KNOWLEDGE_URL + "/mentions"): {"terms": ["damp heat"]}})
    assert call(create_app(transport), "POST", "/lin/complaint", {"text": "..."})[1] == {"terms": ["damp heat"]}
