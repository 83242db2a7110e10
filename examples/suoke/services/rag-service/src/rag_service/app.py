"""Passages over HTTP."""

import platform

from bottle import Bottle, request, response

from rag_service.index import Index


def create_app(index=None):
    app = Bottle()
    passages = Index() if index is None else index

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "rag-service", "python": platform.python_version(), "passages": len(passages)}

    @app.post("/passages")
    def add():
        try:
            passages.add(request.json["text"], request.json["source"])
        except ValueError as error:
            response.status = 400
            return {"error": str(error)}
        response.status = 201
        return {"passages": len(passages)}

    @app.get("/passages")
    def search():
        found = passages.search(request.query.getunicode("query", ""), int(request.query.get("most", "3")))
        return {"passages": [text for _, text, _ in found], "sources": [source for _, _, source in found]}

    return app
