from app.app import create_app
from app.settings import RAG_SERVICE_URL


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "med-knowledge")


def test_a_term_comes_with_passages(call, fake_transport):
    url = RAG_SERVICE_URL + "/passages?query=wiry%20pulse"
    app = create_app(transport=fake_transport({("GET", url): {"passages": ["Like a string."]}}))
    status, answer = call(app, "GET", "/terms/xian mai")
    assert (status, answer["term"], answer["passages"]) == (200, "wiry pulse", ["Like a string."])


def test_an_unknown_term_comes_with_near_ones(call):
    status, answer = call(create_app(), "GET", "/terms/zusanly")
    assert (status, answer["near"]) == (404, ["Zusanli"])


def test_mentions(call):
    assert call(create_app(), "POST", "/mentions", {"text": "ren shen"}) == (200, {"terms": ["ginseng"]})
