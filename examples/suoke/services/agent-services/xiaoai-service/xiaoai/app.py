"""Consultations over HTTP."""

import platform

from bottle import Bottle, request

from xiaoai import settings
from xiaoai.calls import over_http
from xiaoai.fusion import fuse, verdict
from xiaoai.sessions import Session

EXAMINATIONS = {
    "inquiry": settings.INQUIRY_SERVICE_URL,
    "listen": settings.LISTEN_SERVICE_URL,
    "look": settings.LOOK_SERVICE_URL,
    "palpation": settings.PALPATION_SERVICE_URL,
}


def create_app(transport=over_http):
    app = Bottle()
    sessions = {}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "xiaoai-service", "python": platform.python_version()}

    @app.get("/<user>/picture")
    def picture(user):
        findings = {}
        for name, base_url in EXAMINATIONS.items():
            patterns = transport("GET", "{}/{}/patterns".format(base_url, user))["patterns"]
            if patterns:
                findings[name] = patterns
        fused = fuse(findings)
        return {"patterns": fused, "verdict": verdict(fused)}

    @app.post("/<user>/remarks")
    def remark(user):
        session = sessions.setdefault(user, Session(user))
        session.remark(request.json["text"])
        return {"begun": session.begun.isoformat(timespec="seconds"), "remarks": len(session.remarks)}

    return app
