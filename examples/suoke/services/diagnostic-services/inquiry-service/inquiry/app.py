"""Interviews over HTTP. Med-knowledge finds terms in free text; xiaoai asks for signs and patterns."""

import platform

from bottle import Bottle, request, response

from inquiry.calls import over_http
from inquiry.questionnaire import Interview
from inquiry.settings import MED_KNOWLEDGE_URL, XIAOAI_SERVICE_URL

PATTERNS = {"chills": ("wind cold", 0.6), "thirst": ("dryness", 0.5), "troubled sleep": ("heart fire", 0.7)}


def create_app(transport=over_http):
    app = Bottle()
    interviews = {}

    def of(patient):
        return interviews.setdefault(patient, Interview())

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "inquiry-service", "python": platform.python_version()}

    @app.post("/<patient>/answers")
    def answer(patient):
        try:
            of(patient).answer(request.json["choice"])
        except ValueError as error:
            response.status = 400
            return {"error": str(error)}
        question = of(patient).current
        if question is None:
            transport("POST", "{}/{}/remarks".format(XIAOAI_SERVICE_URL, patient), {"text": "inquiry is complete"})
        return {"next": question.text if question else None}

    @app.post("/<patient>/complaint")
    def complaint(patient):
        return {"terms": transport("POST", MED_KNOWLEDGE_URL + "/mentions", {"text": request.json["text"]})["terms"]}

    @app.get("/<patient>/signs")
    def signs(patient):
        return {"signs": of(patient).signs()}

    @app.get("/<patient>/patterns")
    def patterns(patient):
        return {"patterns": dict(PATTERNS[sign] for sign in of(patient).signs() if sign in PATTERNS)}

    return app
