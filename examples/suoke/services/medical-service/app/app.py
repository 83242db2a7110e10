"""Advice over HTTP."""

import platform

from bottle import Bottle

from app.calls import over_http
from app.examinations import gather
from app.triage import RULES, read_rules, triage


def create_app(transport=over_http):
    app = Bottle()
    rules = read_rules(RULES.read_text(encoding="utf-8"))

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "medical-service", "python": platform.python_version()}

    @app.get("/<patient>/advice")
    def advice(patient):
        signs, silent = gather(patient, transport)
        rule = triage(signs, rules)
        return {
            "signs": signs,
            "not_examined": silent,
            "advice": rule.advice if rule else "nothing to worry about",
            "within_hours": rule.hours if rule else None,
        }

    return app
