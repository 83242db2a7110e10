import pytest

from corn_maze.app import create_app
from corn_maze.settings import AUTH_SERVICE_URL

CHECK = ("POST", AUTH_SERVICE_URL + "/tokens/check")


@pytest.fixture
def app(fake_transport):
    return create_app(fake_transport({CHECK: {"user": "lin"}}))


def test_health_names_the_service(app, call):
    status, answer = call(app, "GET", "/health")
    assert (status, answer["service"]) == (200, "corn-maze-service")


def test_the_best_walk_counts(app, call):
    call(app, "POST", "/mazes/cross/walks", {"token": "t", "steps": 7, "seconds": 0})
    _, answer = call(app, "POST", "/mazes/cross/walks", {"token": "t", "steps": 14, "seconds": 0})
    assert answer == {"points": 70, "best": 100}
