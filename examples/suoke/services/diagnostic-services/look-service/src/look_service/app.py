"""Pictures over HTTP; xiaoai is asked to have a bad one taken again."""

import platform

from bottle import Bottle, request, response

from look_service.calls import over_http
from look_service.settings import XIAOAI_SERVICE_URL
from look_service.tongue import evenly_lit, shares, signs

PATTERNS = {"yellow coating": ("damp heat", 0.7), "pale tongue": ("qi deficiency", 0.6), "red tongue": ("heat", 0.6)}


def create_app(transport=over_http):
    app = Bottle()
    kept = {}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "look-service", "python": platform.python_version()}

    @app.post("/<patient>/pictures")
    def add(patient):
        pixels = [tuple(pixel) for pixel in request.json["pixels"]]
        if not evenly_lit(pixels):
            text = "please take the picture of the tongue again, in even light"
            transport("POST", "{}/{}/remarks".format(XIAOAI_SERVICE_URL, patient), {"text": text})
            response.status = 422
            return {"error": "the light is not even"}
        kept[patient] = signs(pixels)
        return {"colours": shares(pixels), "signs": kept[patient]}

    @app.get("/<patient>/signs")
    def signs_(patient):
        return {"signs": kept.get(patient, [])}

    @app.get("/<patient>/patterns")
    def patterns(patient):
        return {"patterns": dict(PATTERNS[sign] for sign in kept.get(patient, []) if sign in PATTERNS)}

    return app
