"""Calls to other services: JSON over HTTP. Clients take the transport as an argument, so tests need no network."""

import json
from urllib.request import Request, urlopen


def over_http(method, url, payload=None):
    """Send one request and return the decoded answer."""
    body = None if payload is None else json.dumps(payload).encode("utf-8")
    request = Request(url, data=body, method=method, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=5) as answer:
        return json.load(answer)
