"""Pod templates of Deployments: digest, container, image and selectors. Pure."""

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.targets.common import RUN_LABEL, JsonObject
from pytest_py312.rollout.targets.target import TargetRefused

HASH_LABEL = "pod-template-hash"
"""Label that the controller adds to the template of each ReplicaSet."""


def pod_template_of(workload: JsonObject) -> JsonObject:
    """Return the pod template of a Deployment or ReplicaSet."""
    template: JsonObject = workload["spec"]["template"]
    return template


def template_digest(template: JsonObject) -> str:
    """Return the id of a template (64 hex digits), equal for equal templates from any source.

    The controller's label is left out, and so are fields without a value, because servers differ in reporting those.
    """
    normalized = _without_nulls(template)
    normalized.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    text = json.dumps(normalized, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def find_container(template: JsonObject, name: str = "") -> JsonObject:
    """Return the service's container: the one with this name, or the only one.

    :raises TargetRefused: no container has this name, or there are several and ``name`` is empty.
    """
    containers: list[JsonObject] = template["spec"]["containers"]
    matching = [container for container in containers if container["name"] == name] if name else containers
    if len(matching) == 1:
        return matching[0]
    names = ", ".join(str(container["name"]) for container in containers)
    if name:
        raise TargetRefused(f"its pods have no container {name}, only {names}")
    raise TargetRefused(
        f'its pods have several containers ({names}); name that of the service in the plan: container = "..."'
    )


def container_image(template: JsonObject, name: str = "") -> str:
    """Return the image of the service's container as written in the template."""
    return str(find_container(template, name).get("image", ""))


def with_image(template: JsonObject, name: str, *, image: str, run: str) -> JsonObject:
    """Return the template with another image, annotated with the run, so that each run has its own template."""
    new_template: dict[str, Any] = copy.deepcopy(dict(template))
    container = find_container(new_template, name)
    assert isinstance(container, dict), "the container is part of the copy"
    container["image"] = image
    metadata = new_template.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), RUN_LABEL: run}
    return new_template


def format_selector(selector: JsonObject) -> str:
    """Format a label selector for a query of the API."""
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(expression.get("values") or ())
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": str(key),
                "DoesNotExist": f"!{key}",
            }[expression["operator"]]
        )
    return ",".join(terms)
