import pytest

from api_gateway.app import create_app
from api_gateway.routes import Route, RouteTable
from api_gateway.settings import AUTH_SERVICE_URL

CHECK = ("POST", AUTH_SERVICE_URL + "/tokens/check")
ROUTES = RouteTable([Route("/users", "http://users"), Route("/auth", "http://auth", open=True)])


@pytest.fixture
def transport(fake_transport):
    return fake_transport(
        {
            CHECK: {"user": "lin"},
            ("GET", "http://users/lin"): {"name": "Lin"},
            ("POST", "http://auth/tokens"): {"token": "t"},
        }
    )


def test_health_names_the_service(call):
    status, answer = call(create_app(ROUTES), "GET", "/health")
    assert (status, answer["service"]) == (200, "api-gateway")


def test_a_request_with_a_token_is_forwarded(call, transport):
    answer = call(create_app(ROUTES, transport), "GET", "/users/lin", HTTP_AUTHORIZATION="Bearer abc")
    assert answer == (200, {"name": "Lin"})
    assert transport.calls[0] == (*CHECK, {"token": "abc"})


def test_a_request_without_a_token_is_turned_away(call, transport):
    status, _ = call(create_app(ROUTES, transport), "GET", "/users/lin")
    assert status == 401
    assert transport.calls == []


def test_signing_in_needs_no_token(call, transport):
    answer = call(create_app(ROUTES, transport), "POST", "/auth/tokens", {"name": "lin"})
    assert answer == (200, {"token": "t"})
    assert transport.calls == [("POST", "http://auth/tokens", {"name": "lin"})]


def test_an_unknown_path_is_not_found(call, transport):
    status, answer = call(create_app(ROUTES, transport), "GET", "/shop")
    assert (status, answer["error"]) == (404, "no service answers /shop")


def test_a_silent_service_is_a_bad_gateway(call):
    def silent(method, url, payload=None):
        raise ConnectionRefusedError("refused")

    status, answer = call(create_app(ROUTES, silent), "POST", "/auth/tokens", {})
    assert status == 502
    assert "/auth" in answer["error"]
