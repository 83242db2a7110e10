"""Pulses over HTTP; xiaoai is told of a pulse that is irregular."""

import platform

from bottle import Bottle, request, response

from palpation.calls import over_http
from palpation.pulse import describe
from palpation.settings import XIAOAI_SERVICE_URL

PATTERNS = {"rapid pulse": ("heat", 0.6), "slow pulse": ("cold", 0.6), "weak pulse": ("qi deficiency", 0.5)}


def create_app(transport=over_http):
    app = Bottle()
    kept = {}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "palpation-service", "python": platform.python_version()}

    @app.post("/<patient>/waves")
    def add(patient):
        signs = describe(request.json["wave"], request.json["rate"])
        if not signs:
            response.status = 422
            return {"error": "no pulse was felt"}
        kept[patient] = signs
        if "irregular pulse" in signs:
            transport("POST", "{}/{}/remarks".format(XIAOAI_SERVICE_URL, patient), {"text": "the pulse is irregular"})
        return {"signs": signs}

    @app.get("/<patient>/signs")
    def signs_(patient):
        return {"signs": kept.get(patient, [])}

    @app.get("/<patient>/patterns")
    def patterns(patient):
        return {"patterns": dict(PATTERNS[sign] for sign in kept.get(patient, []) if sign in PATTERNS)}

    return app
