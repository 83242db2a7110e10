from laoke.app import create_app
from laoke.settings import MED_KNOWLEDGE_URL, RAG_SERVICE_URL
from laoke.stories import SHELF


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "laoke-service")


def test_a_story_comes_with_its_terms_and_reading(call, fake_transport):
    transport = fake_transport(
        {
            ("GET", MED_KNOWLEDGE_URL + "/terms/goji"): {"category": "herb"},
            ("GET", RAG_SERVICE_URL + "/passages?query=The%20gardener%20and%20the%20goji%20hedge"): {"passages": []},
        }
    )
    status, answer = call(create_app(transport), "POST", "/stories/next", {})
    assert status == 200
    assert answer == {"title": "The gardener and the goji hedge", "terms": {"goji": "herb"}, "reading": []}


def test_all_stories_told(call):
    heard = [story.title for story in SHELF]
    assert call(create_app(), "POST", "/stories/next", {"heard": heard})[0] == 404
