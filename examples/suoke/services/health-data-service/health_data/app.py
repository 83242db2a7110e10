"""Measurements over HTTP."""

import hashlib
import json
import platform

from bottle import Bottle, request, response

from health_data.calls import over_http
from health_data.measurements import Measurement, daily_means, outliers, trend
from health_data.settings import BLOCKCHAIN_SERVICE_URL, USER_SERVICE_URL


class Notary:
    """Has blockchain-service keep the digest of what was measured, never the values."""

    def __init__(self, base_url, transport):
        self._base_url = base_url
        self._transport = transport

    def anchor(self, entries):
        digest = hashlib.sha256(json.dumps(entries, sort_keys=True).encode("utf-8")).hexdigest()
        return self._transport("POST", self._base_url + "/blocks", {"digest": digest})["height"]


def create_app(transport=over_http):
    app = Bottle()
    notary = Notary(BLOCKCHAIN_SERVICE_URL, transport)
    kept = {}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "health-data-service", "python": platform.python_version()}

    @app.post("/<user>/measurements")
    def add(user):
        entries = request.json
        try:
            measurements = [Measurement.read(entry) for entry in entries]
        except ValueError as error:
            response.status = 400
            return {"error": str(error)}
        transport("GET", "{}/{}".format(USER_SERVICE_URL, user))
        kept.setdefault(user, []).extend(measurements)
        response.status = 201
        return {"kept": len(measurements), "anchored_at": notary.anchor(entries)}

    @app.get("/<user>/<kind>")
    def summary(user, kind):
        means = daily_means(kept.get(user, []), kind)
        values = [one.value for one in kept.get(user, []) if one.kind == kind]
        return {"daily": means, "trend": trend(means), "outliers": outliers(values)}

    return app
