from rag_service.app import create_app


def test_health_counts_passages(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"], answer["passages"]) == (200, "rag-service", 0)


def test_what_was_added_is_found(call):
    app = create_app()
    assert call(app, "POST", "/passages", {"text": "Ginger warms.", "source": "herbs"}) == (201, {"passages": 1})
    assert call(app, "GET", "/passages?query=ginger")[1] == {"passages": ["Ginger warms."], "sources": ["herbs"]}


def test_an_empty_passage_is_a_bad_request(call):
    assert call(create_app(), "POST", "/passages", {"text": "", "source": "herbs"})[0] == 400
