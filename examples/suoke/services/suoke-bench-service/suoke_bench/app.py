"""Runs over HTTP; the agents are asked through the gateway, as users would."""

import platform
from dataclasses import asdict

from bottle import Bottle, request

from suoke_bench.calls import over_http
from suoke_bench.runs import Question, run
from suoke_bench.settings import API_GATEWAY_URL


def create_app(transport=over_http):
    app = Bottle()

    def ask(agent, text):
        return transport("POST", "{}/agents/{}/questions".format(API_GATEWAY_URL, agent), {"text": text})["answers"]

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "suoke-bench-service", "python": platform.python_version()}

    @app.post("/runs/<agent>")
    def start(agent):
        questions = [Question(entry["text"], frozenset(entry["right"])) for entry in request.json["questions"]]
        return asdict(run(agent, questions, ask))

    return app
