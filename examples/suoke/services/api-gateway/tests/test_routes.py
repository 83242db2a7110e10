import pytest

from api_gateway.app import default_routes
from api_gateway.routes import Route, RouteTable

TABLE = RouteTable([Route("/agents", "http://agents"), Route("/agents/soer", "http://soer"), Route("/users", "http://users")])


def test_the_longest_prefix_wins():
    assert TABLE.target("/agents/soer/plans") == "http://soer/plans"
    assert TABLE.target("/agents/laoke") == "http://agents/laoke"


def test_a_prefix_fits_whole_segments_only():
    assert TABLE.find("/usersettings") is None


def test_an_unknown_path_is_a_lookup_error():
    with pytest.raises(LookupError, match="/shop"):
        TABLE.target("/shop")


def test_the_same_prefix_twice_is_refused():
    with pytest.raises(ValueError, match="/users"):
        RouteTable([Route("/users", "http://a"), Route("/users", "http://b")])


def test_every_agent_has_a_route():
    prefixes = [route.prefix for route in default_routes()]
    assert [prefix for prefix in prefixes if prefix.startswith("/agents/")] == [
        "/agents/laoke",
        "/agents/soer",
        "/agents/xiaoai",
        "/agents/xiaoke",
    ]
