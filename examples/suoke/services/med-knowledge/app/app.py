"""Terms over HTTP, with passages from rag-service beside them."""

import platform
from urllib.parse import quote

from bottle import Bottle, request, response

from app.calls import over_http
from app.settings import RAG_SERVICE_URL
from app.terms import Terms


def create_app(terms=None, transport=over_http):
    app = Bottle()
    known = terms or Terms.load()

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "med-knowledge", "python": platform.python_version()}

    @app.get("/terms/<name>")
    def term(name):
        entry = known.find(name)
        if entry is None:
            response.status = 404
            return {"error": "unknown term", "near": known.near(name)}
        passages = transport("GET", "{}/passages?query={}".format(RAG_SERVICE_URL, quote(entry["term"])))
        return dict(entry, passages=passages["passages"])

    @app.post("/mentions")
    def mentions():
        return {"terms": known.mentioned(request.json["text"])}

    return app
