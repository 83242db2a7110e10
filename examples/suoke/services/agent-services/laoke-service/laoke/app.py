"""Stories over HTTP. Explanations of terms come from med-knowledge, further reading from rag-service."""

import platform
from urllib.parse import quote

from bottle import Bottle, request, response

from laoke.calls import over_http
from laoke.settings import MED_KNOWLEDGE_URL, RAG_SERVICE_URL
from laoke.stories import level_of, next_story


def create_app(transport=over_http):
    app = Bottle()

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "laoke-service", "python": platform.python_version()}

    @app.post("/stories/next")
    def story():
        wish = request.json
        found = next_story(set(wish.get("heard", [])), level_of(wish.get("answers", [])))
        if found is None:
            response.status = 404
            return {"error": "all stories have been told"}
        explained = {}
        for term in found.terms:
            entry = transport("GET", "{}/terms/{}".format(MED_KNOWLEDGE_URL, quote(term)))
            explained[term] = entry["category"]
        reading = transport("GET", "{}/passages?query={}".format(RAG_SERVICE_URL, quote(found.title)))
        return {"title": found.title, "terms": explained, "reading": reading["passages"]}

    return app
