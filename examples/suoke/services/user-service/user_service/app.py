"""Profiles over HTTP."""

import platform

from bottle import Bottle, request, response

from user_service.calls import over_http
from user_service.profiles import masked, read_profile
from user_service.settings import API_GATEWAY_URL, AUTH_SERVICE_URL


class AuthClient:
    """Opens the account that belongs to a profile."""

    def __init__(self, base_url, transport):
        self._base_url = base_url
        self._transport = transport

    def open_account(self, name, password):
        return self._transport("POST", self._base_url + "/accounts", {"name": name, "password": password})


def create_app(transport=over_http):
    app = Bottle()
    auth = AuthClient(AUTH_SERVICE_URL, transport)
    profiles = {}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "user-service", "python": platform.python_version()}

    @app.post("/")
    def create():
        wish = request.json
        try:
            profile = read_profile(wish)
        except ValueError as error:
            response.status = 400
            return {"error": str(error)}
        auth.open_account(profile.name, wish["password"])
        profiles[profile.name] = profile
        response.status = 201
        return {"name": profile.name, "public_url": "{}/users/{}".format(API_GATEWAY_URL, profile.name)}

    @app.get("/<name>")
    def show(name):
        if name not in profiles:
            response.status = 404
            return {"error": "no user " + name}
        return dict(profiles[name].as_dict(), email=masked(profiles[name].email))

    return app
