"""The gateway's HTTP face."""

import platform

from bottle import Bottle, request, response

from api_gateway import settings
from api_gateway.auth import AuthClient
from api_gateway.calls import over_http
from api_gateway.routes import Route, RouteTable


def default_routes():
    """All routes of the platform. Signing in is the only thing that needs no token."""
    return RouteTable(
        [
            Route("/auth", settings.AUTH_SERVICE_URL, open=True),
            Route("/users", settings.USER_SERVICE_URL),
            Route("/accessibility", settings.ACCESSIBILITY_SERVICE_URL),
            Route("/agents/xiaoai", settings.XIAOAI_SERVICE_URL),
            Route("/agents/xiaoke", settings.XIAOKE_SERVICE_URL),
            Route("/agents/laoke", settings.LAOKE_SERVICE_URL),
            Route("/agents/soer", settings.SOER_SERVICE_URL),
            Route("/knowledge", settings.RAG_SERVICE_URL),
        ]
    )


def create_app(routes=None, transport=over_http):
    app = Bottle()
    table = routes or default_routes()
    auth = AuthClient(settings.AUTH_SERVICE_URL, transport)

    @app.get("/health")
    def health():
        return {"status": "ok", "service": "api-gateway", "python": platform.python_version()}

    @app.get("/routes")
    def routes_():
        return {"routes": [route.prefix for route in table]}

    @app.route("/<path:path>", method=["GET", "POST", "PUT", "DELETE"])
    def forward(path):
        route = table.find("/" + path)
        if route is None:
            response.status = 404
            return {"error": "no service answers /" + path}
        if not route.open and auth.bearer(request.get_header("Authorization")) is None:
            response.status = 401
            return {"error": "a valid token is needed"}
        try:
            return transport(request.method, table.target("/" + path), request.json)
        except OSError as error:
            response.status = 502
            return {"error": "the service behind {} does not answer: {}".format(route.prefix, error)}

    return app
