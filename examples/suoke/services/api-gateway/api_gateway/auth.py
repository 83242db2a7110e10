"""Who is asking."""


class AuthClient:
    """Asks auth-service about the bearer of a token."""

    def __init__(self, base_url, transport):
        self._base_url = base_url
        self._transport = transport

    def bearer(self, header):
        """The user behind an ``Authorization`` header, or ``None``."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        answer = self._transport("POST", self._base_url + "/tokens/check", {"token": token})
        return answer.get("user")
