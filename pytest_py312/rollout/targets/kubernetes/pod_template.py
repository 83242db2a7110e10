"""A Deployment's pod template as what is deployed and gone back to. Pure."""

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pytest_py312.rollout.targets.labels import RUN_LABEL, Said
from pytest_py312.rollout.targets.target import TargetRefused

HASH_LABEL = "pod-template-hash"
"""What the controller adds to the template of each ReplicaSet."""


def template_of(workload: Said) -> Said:
    """The pod template of a Deployment or ReplicaSet."""
    found: Said = workload["spec"]["template"]
    return found


def digest_of(template: Said) -> str:
    """The id of a template (64 hex digits): the same for the same one, whoever tells it.

    What the controller adds is left out, and so are fields without a value: servers differ in whether they tell those.
    """
    plain = _plain(template)
    plain.get("metadata", {}).get("labels", {}).pop(HASH_LABEL, None)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def container_in(template: Said, name: str = "") -> Said:
    """The container of the service: the one of that name, or the only one.

    :raises TargetRefused: there is none of that name, or several and no name.
    """
    containers: list[Said] = template["spec"]["containers"]
    found = [one for one in containers if one["name"] == name] if name else containers
    if len(found) == 1:
        return found[0]
    names = ", ".join(str(one["name"]) for one in containers)
    if name:
        raise TargetRefused(f"its pods have no container {name}; they have {names}")
    raise TargetRefused(f'its pods have several containers ({names}); write which is the service\'s: container = "..."')


def image_in(template: Said, name: str = "") -> str:
    """The image of the service's container, by the name that the template has for it."""
    return str(container_in(template, name).get("image", ""))


def with_image(template: Said, name: str, *, image: str, run: str) -> Said:
    """The same template with another image, and with the run that made it: each run's is one of its own."""
    made: dict[str, Any] = copy.deepcopy(dict(template))
    container = container_in(made, name)
    assert isinstance(container, dict), "it is in the copy"
    container["image"] = image
    metadata = made.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), RUN_LABEL: run}
    return made


def selector_text(selector: Said) -> str:
    """A label selector as the API takes it in a query."""
    words = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        words.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": str(key),
                "DoesNotExist": f"!{key}",
            }[one["operator"]]
        )
    return ",".join(words)
