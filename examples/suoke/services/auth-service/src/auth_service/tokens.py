"""Signed tokens: who, until when, and a signature over both."""

import base64
import binascii
import hashlib
import hmac
import json
import time


class InvalidToken(Exception):
    """``str()`` says why, in words that may be shown to the bearer."""


class Tokens:
    """Issues and checks tokens with one secret. ``clock`` returns seconds since the epoch."""

    def __init__(self, secret, lifetime=3600, clock=time.time):
        self._secret = secret.encode("utf-8")
        self._lifetime = lifetime
        self._clock = clock

    def issue(self, user):
        claims = {"user": user, "until": int(self._clock()) + self._lifetime}
        body = base64.urlsafe_b64encode(json.dumps(claims, sort_keys=True).encode("utf-8")).decode("ascii")
        return body + "." + self._signature(body)

    def check(self, token):
        """The user that the token was issued to. Raises :class:`InvalidToken`."""
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(self._signature(body).encode("ascii"), signature.encode("utf-8")):
            raise InvalidToken("the signature is wrong")
        try:
            claims = json.loads(base64.urlsafe_b64decode(body))
        except (binascii.Error, ValueError):
            raise InvalidToken("the token cannot be read") from None
        if claims["until"] <= self._clock():
            raise InvalidToken("the token has expired")
        return claims["user"]

    def _signature(self, body):
        return hmac.new(self._secret, body.encode("utf-8"), hashlib.sha256).hexdigest()
