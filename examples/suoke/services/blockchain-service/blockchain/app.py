"""Blocks over HTTP."""

import platform

from bottle import Bottle, request, response

from blockchain.chain import Chain
from blockchain.contracts import accepted, newest


def create_app(chain=None):
    app = Bottle()
    blocks = Chain() if chain is None else chain

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "blockchain-service", "python": platform.python_version()}

    @app.post("/blocks")
    def add():
        contract = request.json.get("contract", newest())
        if not accepted(contract):
            response.status = 426
            return {"error": "contract {} is too old, use {}".format(contract, newest())}
        try:
            block = blocks.append(request.json["digest"], contract)
        except ValueError as error:
            response.status = 400
            return {"error": str(error)}
        response.status = 201
        return {"height": block.height, "seal": block.seal}

    @app.get("/blocks/broken")
    def broken():
        return {"first_broken": blocks.first_broken()}

    return app
