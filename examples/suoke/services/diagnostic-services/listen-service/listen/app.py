"""Recordings over HTTP; xiaoai is told when something urgent was heard."""

import platform

from bottle import Bottle, request

from listen.calls import over_http
from listen.loudness import loudness, pauses
from listen.qualities import URGENCY, heard, leading, patterns
from listen.settings import XIAOAI_SERVICE_URL


def create_app(transport=over_http):
    app = Bottle()
    kept = {}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "listen-service", "python": platform.python_version()}

    @app.post("/<patient>/recordings")
    def add(patient):
        wish = request.json
        qualities = kept[patient] = heard(wish["labels"])
        first = leading(qualities)
        if first and URGENCY[first] == 3:
            transport("POST", "{}/{}/remarks".format(XIAOAI_SERVICE_URL, patient), {"text": "voice: " + first})
        level = loudness(wish["samples"])
        return {"leading": first, "silent": level < -60, "pauses": pauses(wish["samples"], wish["rate"])}

    @app.get("/<patient>/signs")
    def signs(patient):
        return {"signs": sorted(kept.get(patient, ()))}

    @app.get("/<patient>/patterns")
    def patterns_(patient):
        return {"patterns": patterns(kept.get(patient, ()))}

    return app
