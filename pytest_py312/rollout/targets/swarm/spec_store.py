"""Specs that are kept to go back to, or to go to: config objects of the swarm, which nobody can change.

They stay inside the swarm, and not in a file of whoever deploys: among the variables of a service are passwords.
"""

import base64
import json
from typing import Any

from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.targets.labels import RUN_LABEL, SERVICE_LABEL, Said
from pytest_py312.rollout.targets.swarm.lock import configs, create_config, remove_config
from pytest_py312.rollout.targets.swarm.specs import id_of
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import Engine

BASE_LABEL = "pytest-py312.rollout.base"
"""On a spec that was made: the id of the one that served then, and has to serve when it is put in its place."""
NAME_LABEL = "pytest-py312.rollout.name"
_PREFIX = "py312-spec-"


def kept(engine: Engine, spec: str) -> dict[str, Any] | None:
    """A spec of whatever service by its id; ``None`` where it is not kept. Raises as the engine's client does."""
    found = _config(engine, spec)
    if found is None:
        return None
    try:
        document: dict[str, Any] = json.loads(base64.b64decode(found["Spec"]["Data"]))
        document["TaskTemplate"]["ContainerSpec"]["Image"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise TargetRefused(f"the config {_PREFIX}{spec} is no spec of ours") from error
    return document


def _config(engine: Engine, spec: str) -> Any:
    name = _PREFIX + spec
    return next((one for one in configs(engine, {"name": name}) if one["Spec"]["Name"] == name), None)


class Shelf:
    """The specs of one service. All methods raise as the engine's client does."""

    def __init__(self, engine: Engine, spec: ServiceSpec) -> None:
        self._engine = engine
        self._name = spec.container
        self._service = spec.service

    def put(self, document: Said, *, run: str, base: str = "") -> str:
        """Keep a spec, and return its id. The same one is kept once, by whoever was first."""
        made = id_of(self._name, document["TaskTemplate"])
        labels = {NAME_LABEL: self._name, SERVICE_LABEL: self._service, RUN_LABEL: run, BASE_LABEL: base}
        data = json.dumps(document).encode("utf-8")
        create_config(self._engine, _PREFIX + made, data, labels)
        return made

    def get(self, spec: str) -> dict[str, Any] | None:
        """A spec that is kept."""
        document = kept(self._engine, spec)
        if document is not None and id_of(self._name, document["TaskTemplate"]) != spec:
            raise TargetRefused(f"the config {_PREFIX}{spec} is not the spec that its name says")
        return document

    def base(self, spec: str) -> str:
        """What served when a spec was made."""
        found = _config(self._engine, spec)
        return str((found["Spec"].get("Labels") or {}).get(BASE_LABEL, "")) if found else ""

    def clear(self, run: str, *, keep: str = "") -> None:
        """Remove what a run has put there."""
        for one in self._all(f"{RUN_LABEL}={run}"):
            if one["Spec"]["Name"] != _PREFIX + keep:
                remove_config(self._engine, str(one["ID"]))

    def forget(self, *needed: str, retain: int) -> None:
        """Remove what nobody will go back to: what serves, one of the ``needed``, joins those that are kept."""
        names = {_PREFIX + spec for spec in needed}
        found = [one for one in self._all() if one["Spec"]["Name"] not in names]
        found.sort(key=lambda one: str(one["CreatedAt"]), reverse=True)
        for one in found[max(0, retain - 1) :]:
            remove_config(self._engine, str(one["ID"]))

    def _all(self, *labels: str) -> list[Any]:
        return configs(self._engine, {"label": [f"{NAME_LABEL}={self._name}", *labels]})
