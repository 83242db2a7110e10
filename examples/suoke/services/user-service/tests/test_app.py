import pytest

from user_service.app import create_app
from user_service.settings import AUTH_SERVICE_URL

LIN = {"name": "lin", "email": "lin@example.org", "born": "1988-04-02", "password": "plum blossom"}


@pytest.fixture
def transport(fake_transport):
    return fake_transport({("POST", AUTH_SERVICE_URL + "/accounts"): {"user": "lin"}})


def test_health_names_the_service(call):
    status, answer = call(create_app(), "GET", "/health")
    assert (status, answer["service"]) == (200, "user-service")


def test_a_new_user_gets_an_account(call, transport):
    status, answer = call(create_app(transport), "POST", "/", LIN)
    assert status == 201
    assert answer["public_url"].endswith("/users/lin")
    assert transport.calls[0][2] == {"name": "lin", "password": "plum blossom"}


def test_a_profile_is_shown_without_its_address(call, transport):
    app = create_app(transport)
    call(app, "POST", "/", LIN)
    assert call(app, "GET", "/lin")[1]["email"] == "l**@example.org"


def test_a_wrong_profile_opens_no_account(call, transport):
    assert call(create_app(transport), "POST", "/", dict(LIN, email="lin"))[0] == 400
    assert transport.calls == []


def test_a_stranger_is_not_found(call):
    assert call(create_app(), "GET", "/mei")[0] == 404
