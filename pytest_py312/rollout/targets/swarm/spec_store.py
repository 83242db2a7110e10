"""Storage of service specs for switches and rollbacks: immutable configs of the swarm.

They stay in the swarm and not in a file of the operator, because the variables of a service may hold passwords.
"""

import base64
import json
from typing import Any

from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.targets.common import RUN_LABEL, SERVICE_LABEL, JsonObject
from pytest_py312.rollout.targets.swarm.lock import create_config, list_configs, remove_config
from pytest_py312.rollout.targets.swarm.specs import template_id
from pytest_py312.rollout.targets.target import TargetRefused
from pytest_py312.runners.docker.engine import DockerEngine

BASE_LABEL = "pytest-py312.rollout.base"
"""Id of the spec that a new one was derived from, the only one it may replace."""
NAME_LABEL = "pytest-py312.rollout.name"
_PREFIX = "py312-spec-"


def stored_spec(engine: DockerEngine, spec_id: str) -> dict[str, Any] | None:
    """Return the spec of any service by its id, ``None`` if it is not stored. Raises errors of the engine's client."""
    config = _config(engine, spec_id)
    if config is None:
        return None
    try:
        document: dict[str, Any] = json.loads(base64.b64decode(config["Spec"]["Data"]))
        document["TaskTemplate"]["ContainerSpec"]["Image"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise TargetRefused(f"the config {_PREFIX}{spec_id} is not a spec of pytest-py312") from error
    return document


def _config(engine: DockerEngine, spec_id: str) -> Any:
    name = _PREFIX + spec_id
    return next((config for config in list_configs(engine, {"name": name}) if config["Spec"]["Name"] == name), None)


class SpecStore:
    """Stored specs of one service. Methods raise errors of the engine's client."""

    def __init__(self, engine: DockerEngine, spec: ServiceSpec) -> None:
        self._engine = engine
        self._name = spec.container
        self._service = spec.service

    def put(self, document: JsonObject, *, run: str, base: str = "") -> str:
        """Store a spec unless it is stored already, and return its id."""
        spec_id = template_id(self._name, document["TaskTemplate"])
        labels = {NAME_LABEL: self._name, SERVICE_LABEL: self._service, RUN_LABEL: run, BASE_LABEL: base}
        data = json.dumps(document).encode("utf-8")
        create_config(self._engine, _PREFIX + spec_id, data, labels)
        return spec_id

    def get(self, spec_id: str) -> dict[str, Any] | None:
        """Return a stored spec, ``None`` if it is not stored."""
        document = stored_spec(self._engine, spec_id)
        if document is not None and template_id(self._name, document["TaskTemplate"]) != spec_id:
            raise TargetRefused(f"the config {_PREFIX}{spec_id} does not contain the spec of its name")
        return document

    def base_of(self, spec_id: str) -> str:
        """Return the id of the spec that this one was derived from; empty if unknown."""
        config = _config(self._engine, spec_id)
        return str((config["Spec"].get("Labels") or {}).get(BASE_LABEL, "")) if config else ""

    def remove_specs_of_run(self, run: str, *, keep: str = "") -> None:
        """Remove the specs that a run stored, except ``keep``."""
        for config in self._list_configs(f"{RUN_LABEL}={run}"):
            if config["Spec"]["Name"] != _PREFIX + keep:
                remove_config(self._engine, str(config["ID"]))

    def remove_surplus(self, *needed_ids: str, retain: int) -> None:
        """Remove the oldest specs beyond ``retain``, counting the serving one; ``needed_ids`` stay."""
        names = {_PREFIX + spec_id for spec_id in needed_ids}
        surplus = [config for config in self._list_configs() if config["Spec"]["Name"] not in names]
        surplus.sort(key=lambda config: str(config["CreatedAt"]), reverse=True)
        for config in surplus[max(0, retain - 1) :]:
            remove_config(self._engine, str(config["ID"]))

    def _list_configs(self, *labels: str) -> list[Any]:
        return list_configs(self._engine, {"label": [f"{NAME_LABEL}={self._name}", *labels]})
