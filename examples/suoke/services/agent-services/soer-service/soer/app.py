"""Plans over HTTP, told in the way that suits the listener."""

import platform

from bottle import Bottle, request

from soer.calls import over_http
from soer.plans import Person, plan
from soer.settings import ACCESSIBILITY_SERVICE_URL


class Presenter:
    """Has accessibility-service turn a text into what the user can take in."""

    def __init__(self, base_url, transport):
        self._base_url = base_url
        self._transport = transport

    def present(self, user, text):
        return self._transport("POST", "{}/{}/texts".format(self._base_url, user), {"text": text})["text"]


def create_app(transport=over_http):
    app = Bottle()
    presenter = Presenter(ACCESSIBILITY_SERVICE_URL, transport)

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "soer-service", "python": platform.python_version()}

    @app.post("/<user>/plans")
    def make(user):
        wish = request.json
        person = Person(wish["weight"], wish["age"], wish.get("active", False))
        made = plan(person, wish["month"], wish.get("temperature", 20))
        text = "Drink {water_litres} litres, walk {steps} steps, sleep at {bedtime}.".format(**made)
        return dict(made, text=presenter.present(user, text))

    return app
