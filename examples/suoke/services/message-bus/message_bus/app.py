"""The bus over HTTP. Publishing needs a token, and the sender is whoever it belongs to."""

import platform

from bottle import Bottle, request, response

from message_bus.broker import Broker
from message_bus.calls import over_http
from message_bus.settings import AUTH_SERVICE_URL


def create_app(broker=None, transport=over_http):
    app = Bottle()
    bus = broker or Broker()

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "message-bus", "python": platform.python_version()}

    @app.put("/subscribers/<subscriber>/<pattern>")
    def subscribe(subscriber, pattern):
        bus.subscribe(subscriber, pattern)
        return {"subscriber": subscriber, "pattern": pattern}

    @app.get("/subscribers/<subscriber>/messages")
    def fetch(subscriber):
        most = int(request.query.get("most", "10"))
        return {"messages": [message.as_dict() for message in bus.fetch(subscriber, most)]}

    @app.post("/topics/<topic>")
    def publish(topic):
        wish = request.json
        sender = transport("POST", AUTH_SERVICE_URL + "/tokens/check", {"token": wish["token"]})["user"]
        if sender is None:
            response.status = 401
            return {"error": "a valid token is needed"}
        message, reached = bus.publish(topic, sender, wish["body"])
        response.status = 202
        return {"number": message.number, "subscribers": reached}

    return app
