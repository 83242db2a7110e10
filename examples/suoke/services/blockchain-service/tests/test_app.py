import pytest

from blockchain.app import create_app

DIGEST = "ab" * 32


@pytest.fixture
def app():
    return create_app()


def test_health_names_the_service(app, call):
    status, answer = call(app, "GET", "/health")
    assert (status, answer["service"]) == (200, "blockchain-service")


def test_a_digest_is_sealed(app, call):
    status, answer = call(app, "POST", "/blocks", {"digest": DIGEST})
    assert (status, answer["height"]) == (201, 1)
    assert call(app, "GET", "/blocks/broken") == (200, {"first_broken": None})


def test_an_old_client_has_to_upgrade(app, call):
    status, answer = call(app, "POST", "/blocks", {"digest": DIGEST, "contract": "1.0"})
    assert (status, answer["error"]) == (426, "contract 1.0 is too old, use 1.10")
