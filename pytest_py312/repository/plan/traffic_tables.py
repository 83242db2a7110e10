"""Read ``soak.load`` of the plan: the synthetic traffic of a soak."""

import re
from dataclasses import replace

from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.plan_node import FieldReaders, PlanNode, read_table, read_values, required_member
from pytest_py312.repository.plan.rollout_settings import TrafficRequest, TrafficSettings
from pytest_py312.repository.plan.rollout_values import count_reader, number_reader, pattern_reader, share, url_path

HTTP_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_TRAFFIC_REQUESTS = 20
MAX_TRAFFIC_BODY = 4096
"""Characters; the body is an argument of the generator's process."""
_CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w-]+=[\w-]+)?", re.ASCII)


def read_traffic(node: PlanNode) -> TrafficSettings:
    """Read the table ``load`` of a soak.

    :raises PlanError: a key or value is invalid.
    """
    readers: FieldReaders = {
        "rate": number_reader(0, 5000, "20"),
        "path": url_path,
        "requests": _traffic_requests,
        "seconds": read.duration,
        "p95": read.duration,
        "p99": read.duration,
        "p999": read.duration,
        "errors": share,
        "budget": share,
    }
    members = read_table(node, tuple(readers), "load")
    if "rate" not in members:
        raise node.error('has no "rate", the number of requests per second; add one, such as rate = 20')
    if "path" in members and "requests" in members:
        raise members["path"].error('is not used beside "requests"; write it as one of them: { path = "/health" }')
    settings = replace(TrafficSettings(), **read_values(members, readers))
    # a percentile of fewer requests is one of the longest few, which says nothing
    for key, limit, needed in (("p99", settings.p99, 100), ("p999", settings.p999, 1000)):
        sent = settings.rate * settings.seconds
        if limit and sent < needed:
            raise members[key].error(
                f"requires {needed} requests in each sample; rate and seconds make {sent:g}: increase one of them"
            )
    return settings


def _traffic_requests(node: PlanNode) -> tuple[TrafficRequest, ...]:
    items = node.items('[{ path = "/orders", weight = 3 }]')
    if not 1 <= len(items) <= MAX_TRAFFIC_REQUESTS:
        raise node.unexpected(f"1 to {MAX_TRAFFIC_REQUESTS} kinds of requests", '[{ path = "/orders", weight = 3 }]')
    requests = tuple(map(_traffic_request, items))
    names = [request.name for request in requests]
    for item, name in zip(items, names, strict=True):
        if names.count(name) > 1:
            raise item.error(f"{name} is there twice, and results are kept by this name; add a query, as in ?case=2")
    return requests


def _traffic_request(node: PlanNode) -> TrafficRequest:
    readers: FieldReaders = {
        "path": url_path,
        "method": lambda item: read.choice(item, HTTP_METHODS),
        "body": lambda item: item.text("'{\"id\": 1}'"),
        "content-type": pattern_reader(_CONTENT_TYPE, "a media type", '"application/json"'),
        "weight": count_reader(1, 1000, "3"),
        "p95": read.duration,
        "p99": read.duration,
        "errors": share,
    }
    members = read_table(node, tuple(readers), "request")
    required_member(node, members, "path", '"/orders"')
    request = replace(TrafficRequest(), **read_values(members, readers))
    if len(request.body) > MAX_TRAFFIC_BODY:
        raise members["body"].error(f"is longer than {MAX_TRAFFIC_BODY} characters; send a shorter one")
    return request
