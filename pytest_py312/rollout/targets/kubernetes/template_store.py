"""Storage of pod templates for rollbacks: one immutable ConfigMap per template, named by its digest.

The journal of the rollout holds only the digest. ReplicaSets of the cluster are a fallback; how many of them exist
depends on the Deployment's history limit.
"""

import json
from typing import Any

from pytest_py312.repository.plan.rollout_settings import label_value
from pytest_py312.rollout.domain.target_model import ServiceSpec
from pytest_py312.rollout.targets.common import RUN_LABEL, SERVICE_LABEL, JsonObject
from pytest_py312.rollout.targets.kubernetes.api import Cluster, ConcurrentChange
from pytest_py312.rollout.targets.kubernetes.pod_template import (
    HASH_LABEL,
    format_selector,
    pod_template_of,
    template_digest,
)
from pytest_py312.rollout.targets.target import TargetRefused

DEPLOYMENT_LABEL = "pytest-py312.rollout.deployment"
SERVICE_ANNOTATION = "pytest-py312.rollout.service-name"
REPLACES_ANNOTATION = "pytest-py312.rollout.instead-of"
"""Digest of the template that a new one was derived from, the only one it may replace."""
TEMPLATE_KEY = "template.json"


class TemplateStore:
    """Templates stored in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def put(self, spec: ServiceSpec, template: JsonObject, *, run: str, replaces: str = "") -> str:
        """Store a template unless it is stored already, and return its digest."""
        digest = template_digest(template)
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": _config_map_name(spec, digest),
                "labels": {**_labels(spec), RUN_LABEL: run},
                "annotations": {SERVICE_ANNOTATION: spec.service, REPLACES_ANNOTATION: replaces},
            },
            "immutable": True,
            "data": {TEMPLATE_KEY: json.dumps(template)},
        }
        try:
            self._cluster.create_config_map(self._namespace, body)
        except ConcurrentChange:
            if self._stored(spec, digest) is None:
                raise TargetRefused(
                    f"the ConfigMap {_config_map_name(spec, digest)} is not a template of pytest-py312; remove it"
                ) from None
        return digest

    def find(self, spec: ServiceSpec, digest: str, deployment: JsonObject) -> JsonObject | None:
        """Return the template with this digest from a ConfigMap or a ReplicaSet."""
        stored = self._stored(spec, digest)
        if stored is not None:
            return stored[0]
        selector = format_selector(deployment["spec"]["selector"])
        for replica_set in self._cluster.replica_sets(self._namespace, selector):
            if template_digest(pod_template_of(replica_set)) == digest:
                return _without_hash(pod_template_of(replica_set))
        return None

    def replaced_digest(self, spec: ServiceSpec, digest: str) -> str:
        """Return the digest of the template that this one was derived from; empty if unknown."""
        stored = self._stored(spec, digest)
        return stored[1] if stored else ""

    def _stored(self, spec: ServiceSpec, digest: str) -> tuple[JsonObject, str] | None:
        config_map = self._cluster.config_map(self._namespace, _config_map_name(spec, digest))
        try:
            template = json.loads((config_map or {})["data"][TEMPLATE_KEY])
            if template_digest(template) != digest:
                return None
            annotations = (config_map or {})["metadata"].get("annotations") or {}
            return template, str(annotations.get(REPLACES_ANNOTATION, ""))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return None  # missing, or not created by this tool

    def remove_templates_of_run(self, spec: ServiceSpec, run: str) -> None:
        """Remove the templates that a run stored for a service."""
        for config_map in self._list_config_maps(spec, f",{RUN_LABEL}={run}"):
            self._cluster.delete_config_map(self._namespace, config_map["metadata"]["name"])

    def remove_surplus(self, spec: ServiceSpec, *, serving: str) -> None:
        """Remove the oldest templates beyond ``spec.retain``, counting the serving one, which stays."""
        config_maps = [
            config_map
            for config_map in self._list_config_maps(spec)
            if config_map["metadata"]["name"] != _config_map_name(spec, serving)
        ]
        config_maps.sort(key=lambda config_map: str(config_map["metadata"].get("creationTimestamp", "")), reverse=True)
        for config_map in config_maps[max(0, spec.retain - 1) :]:
            self._cluster.delete_config_map(self._namespace, config_map["metadata"]["name"])

    def _list_config_maps(self, spec: ServiceSpec, extra_selector: str = "") -> list[JsonObject]:
        selector = ",".join(f"{key}={value}" for key, value in _labels(spec).items())
        return self._cluster.config_maps(self._namespace, selector + extra_selector)


def _labels(spec: ServiceSpec) -> dict[str, str]:
    return {SERVICE_LABEL: label_value(spec.service), DEPLOYMENT_LABEL: label_value(spec.container)}


def _config_map_name(spec: ServiceSpec, digest: str) -> str:
    return f"{spec.container[:200].rstrip('.-')}.py312.{digest[:16]}"


def _without_hash(template: JsonObject) -> JsonObject:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}
