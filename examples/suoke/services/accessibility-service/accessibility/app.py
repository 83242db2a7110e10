"""Texts and needs over HTTP. Which profile a user has is known to user-service."""

import platform
from dataclasses import asdict

from bottle import Bottle, request

from accessibility.calls import over_http
from accessibility.profiles import PROFILES, Needs, read_profiles
from accessibility.settings import USER_SERVICE_URL
from accessibility.texts import present


def create_app(transport=over_http):
    app = Bottle()

    def needs_of(user):
        profiles = read_profiles(PROFILES.read_text(encoding="utf-8"))
        known = transport("GET", "{}/{}".format(USER_SERVICE_URL, user))
        return profiles.get(known.get("accessibility"), Needs())

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "accessibility-service", "python": platform.python_version()}

    @app.get("/<user>/profile")
    def profile(user):
        return asdict(needs_of(user))

    @app.post("/<user>/texts")
    def text(user):
        return present(request.json["text"], needs_of(user))

    return app
