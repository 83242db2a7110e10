import pytest

from auth_service.app import create_app

LIN = {"name": "lin", "password": "plum blossom"}


@pytest.fixture
def app():
    return create_app(rounds=10)


def test_health_names_the_service(app, call):
    status, answer = call(app, "GET", "/health")
    assert (status, answer["service"]) == (200, "auth-service")


def test_from_account_to_token_and_back(app, call):
    assert call(app, "POST", "/accounts", LIN) == (201, {"user": "lin"})
    status, answer = call(app, "POST", "/tokens", LIN)
    assert status == 200
    assert call(app, "POST", "/tokens/check", answer) == (200, {"user": "lin"})


def test_a_name_is_taken_once(app, call):
    call(app, "POST", "/accounts", LIN)
    assert call(app, "POST", "/accounts", LIN)[0] == 409


def test_a_short_password_is_refused(app, call):
    assert call(app, "POST", "/accounts", {"name": "lin", "password": "plum"})[0] == 400


def test_a_wrong_password_gets_no_token(app, call):
    call(app, "POST", "/accounts", LIN)
    assert call(app, "POST", "/tokens", dict(LIN, password="peach blossom"))[0] == 401


def test_a_wrong_token_has_no_user(app, call):
    status, answer = call(app, "POST", "/tokens/check", {"token": "x.y"})
    assert (status, answer["user"]) == (200, None)
