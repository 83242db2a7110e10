"""Calls the application without a server, and stands in for the services that it calls."""

import io
import json
from wsgiref.util import setup_testing_defaults

import pytest


class FakeTransport:
    """Answers from a table of (method, url), and remembers what was asked."""

    def __init__(self, answers):
        self.answers = answers
        self.calls = []

    def __call__(self, method, url, payload=None):
        self.calls.append((method, url, payload))
        return self.answers[method, url]


@pytest.fixture
def fake_transport():
    return FakeTransport


@pytest.fixture
def call():
    """Send one request to a WSGI application: ``status, answer = call(app, "GET", "/health")``."""

    def send(app, method, path, payload=None, **headers):
        app.catchall = False  # an error inside is the test's, with its own traceback, and no page that tells of it
        body = b"" if payload is None else json.dumps(payload).encode("utf-8")
        path, _, query = path.partition("?")
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
        environ.update({"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))})
        environ.update({"wsgi.input": io.BytesIO(body)}, **headers)
        setup_testing_defaults(environ)
        started = []
        answer = b"".join(app(environ, lambda status, headers, error=None: started.append(status)))
        return int(started[0][:3]), json.loads(answer)

    return send
