"""From a public path to the service that answers it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """``prefix`` as the world sees it, ``base_url`` as the platform does. ``open`` routes need no token."""

    prefix: str
    base_url: str
    open: bool = False


class RouteTable:
    """The longest prefix that fits wins, and a prefix fits whole path segments only."""

    def __init__(self, routes):
        self._routes = sorted(routes, key=lambda route: len(route.prefix), reverse=True)
        prefixes = [route.prefix for route in self._routes]
        doubled = {prefix for prefix in prefixes if prefixes.count(prefix) > 1}
        if doubled:
            raise ValueError("routes with the same prefix: " + ", ".join(sorted(doubled)))

    def find(self, path):
        """The route for ``path``, or ``None``."""
        for route in self._routes:
            if path == route.prefix or path.startswith(route.prefix + "/"):
                return route
        return None

    def target(self, path):
        """The URL behind ``path``; ``LookupError`` when no service answers it."""
        route = self.find(path)
        if route is None:
            raise LookupError("no service answers " + path)
        return route.base_url + path[len(route.prefix) :]

    def __iter__(self):
        return iter(sorted(self._routes, key=lambda route: route.prefix))
