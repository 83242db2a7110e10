"""Mazes over HTTP."""

import platform

from bottle import Bottle, request, response

from corn_maze import layouts
from corn_maze.calls import over_http
from corn_maze.paths import score, shortest
from corn_maze.settings import AUTH_SERVICE_URL


def create_app(transport=over_http):
    app = Bottle()
    best_scores = {}

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "corn-maze-service", "python": platform.python_version()}

    @app.get("/mazes")
    def mazes():
        return {"mazes": layouts.names()}

    @app.post("/mazes/<name>/walks")
    def walk(name):
        wish = request.json
        player = transport("POST", AUTH_SERVICE_URL + "/tokens/check", {"token": wish["token"]})["user"]
        if player is None:
            response.status = 401
            return {"error": "a valid token is needed"}
        points = score(wish["steps"], shortest(layouts.load(name)), wish["seconds"])
        best_scores[player] = max(points, best_scores.get(player, 0))
        return {"points": points, "best": best_scores[player]}

    return app
