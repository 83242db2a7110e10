"""Appointments over HTTP."""

import platform
from datetime import datetime

from bottle import Bottle, request, response

from xiaoke.calls import over_http
from xiaoke.schedule import Schedule, Slot, Taken, day
from xiaoke.settings import ACCESSIBILITY_SERVICE_URL


def create_app(schedule=None, transport=over_http):
    app = Bottle()
    rota = schedule or Schedule(day("2026-03-02", ["Dr. Chen", "Dr. Wu"]))

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "xiaoke-service", "python": platform.python_version()}

    @app.get("/slots")
    def slots():
        doctor = request.query.get("doctor")
        return {"slots": [{"begin": slot.begin.isoformat(), "doctor": slot.doctor} for slot in rota.free(doctor)]}

    @app.post("/appointments")
    def book():
        wish = request.json
        slot = Slot(datetime.fromisoformat(wish["begin"]), wish["doctor"])
        try:
            rota.book(slot, wish["patient"])
        except KeyError:
            response.status = 404
            return {"error": "no such slot"}
        except Taken as error:
            response.status = 409
            return {"error": str(error)}
        needs = transport("GET", "{}/{}/profile".format(ACCESSIBILITY_SERVICE_URL, wish["patient"]))
        response.status = 201
        return {"begin": wish["begin"], "doctor": slot.doctor, "reminder": "call" if needs["large_print"] else "text"}

    return app
