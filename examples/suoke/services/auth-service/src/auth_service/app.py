"""Signing up, signing in, and checking tokens."""

import os
import platform

from bottle import Bottle, request, response

from auth_service.passwords import ROUNDS, fits, hashed
from auth_service.tokens import InvalidToken, Tokens


def create_app(tokens=None, rounds=ROUNDS):
    app = Bottle()
    signer = tokens or Tokens(os.environ.get("TOKEN_SECRET") or os.urandom(32).hex())
    kept = {}

    def refused(status, error):
        response.status = status
        return {"error": error}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "auth-service", "python": platform.python_version()}

    @app.post("/accounts")
    def sign_up():
        wish = request.json
        if wish["name"] in kept:
            return refused(409, "the name is taken")
        if len(wish["password"]) < 8:
            return refused(400, "a password has at least 8 characters")
        kept[wish["name"]] = hashed(wish["password"], rounds=rounds)
        response.status = 201
        return {"user": wish["name"]}

    @app.post("/tokens")
    def sign_in():
        name, password = request.json["name"], request.json["password"]
        if name not in kept or not fits(password, kept[name]):
            return refused(401, "name or password is wrong")
        return {"token": signer.issue(name)}

    @app.post("/tokens/check")
    def check():
        try:
            return {"user": signer.check(request.json["token"])}
        except InvalidToken as error:
            return {"user": None, "reason": str(error)}

    return app
