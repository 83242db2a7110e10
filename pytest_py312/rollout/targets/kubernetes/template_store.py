"""The templates that were served and may be gone back to, kept in the cluster: an immutable ConfigMap each.

A digest in the journal says which one; this is the one. The history that the cluster keeps itself (its ReplicaSets) is
the second place that is looked at: how much of it there is, others decide.
"""

import json
from typing import Any

from pytest_py312.repository.plan.rollout_settings import label_value
from pytest_py312.rollout.domain.model import ServiceSpec
from pytest_py312.rollout.targets.kubernetes.api import Cluster, Conflict
from pytest_py312.rollout.targets.kubernetes.pod_template import HASH_LABEL, digest_of, selector_text, template_of
from pytest_py312.rollout.targets.labels import RUN_LABEL, SERVICE_LABEL, Said
from pytest_py312.rollout.targets.target import TargetRefused

DEPLOYMENT_LABEL = "pytest-py312.rollout.deployment"
SERVICE_ANNOTATION = "pytest-py312.rollout.service-name"
INSTEAD_ANNOTATION = "pytest-py312.rollout.instead-of"
"""The digest of the template that a new one was made of: only that one may be replaced by it."""
KEY = "template.json"


class Templates:
    """Those of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def keep(self, spec: ServiceSpec, template: Said, *, run: str, instead_of: str = "") -> str:
        """Keep a template, if it is not kept already, and return its digest."""
        digest = digest_of(template)
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": _name(spec, digest),
                "labels": {**_labels(spec), RUN_LABEL: run},
                "annotations": {SERVICE_ANNOTATION: spec.service, INSTEAD_ANNOTATION: instead_of},
            },
            "immutable": True,
            "data": {KEY: json.dumps(template)},
        }
        try:
            self._cluster.create_config_map(self._namespace, body)
        except Conflict:
            if self._kept(spec, digest) is None:
                raise TargetRefused(
                    f"a ConfigMap {_name(spec, digest)} is in the way that is no template of ours; remove it"
                ) from None
        return digest

    def find(self, spec: ServiceSpec, digest: str, deployment: Said) -> Said | None:
        """The template of that digest, wherever it is still known."""
        kept = self._kept(spec, digest)
        if kept is not None:
            return kept[0]
        selector = selector_text(deployment["spec"]["selector"])
        for one in self._cluster.replica_sets(self._namespace, selector):
            if digest_of(template_of(one)) == digest:
                return _without_hash(template_of(one))
        return None

    def instead_of(self, spec: ServiceSpec, digest: str) -> str:
        """The digest of the template that this one was made of; empty where that is not known."""
        kept = self._kept(spec, digest)
        return kept[1] if kept else ""

    def _kept(self, spec: ServiceSpec, digest: str) -> tuple[Said, str] | None:
        found = self._cluster.config_map(self._namespace, _name(spec, digest))
        try:
            template = json.loads((found or {})["data"][KEY])
            if digest_of(template) != digest:
                return None
            annotations = (found or {})["metadata"].get("annotations") or {}
            return template, str(annotations.get(INSTEAD_ANNOTATION, ""))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return None  # it is not there, or somebody else's

    def remove_of(self, spec: ServiceSpec, run: str, *, but: str = "") -> None:
        """Remove what a run has kept for a service, but for the template of the digest ``but``."""
        for one in self._listed(spec, f",{RUN_LABEL}={run}"):
            if not but or one["metadata"]["name"] != _name(spec, but):
                self._cluster.delete_config_map(self._namespace, one["metadata"]["name"])

    def forget(self, spec: ServiceSpec, *, serving: str) -> None:
        """Keep the newest ones, and what serves."""
        found = [one for one in self._listed(spec) if one["metadata"]["name"] != _name(spec, serving)]
        found.sort(key=lambda one: str(one["metadata"].get("creationTimestamp", "")), reverse=True)
        for one in found[max(0, spec.retain - 1) :]:
            self._cluster.delete_config_map(self._namespace, one["metadata"]["name"])

    def _listed(self, spec: ServiceSpec, more: str = "") -> list[Said]:
        selector = ",".join(f"{key}={value}" for key, value in _labels(spec).items())
        return self._cluster.config_maps(self._namespace, selector + more)


def _labels(spec: ServiceSpec) -> dict[str, str]:
    return {SERVICE_LABEL: label_value(spec.service), DEPLOYMENT_LABEL: label_value(spec.container)}


def _name(spec: ServiceSpec, digest: str) -> str:
    return f"{spec.container[:200].rstrip('.-')}.py312.{digest[:16]}"


def _without_hash(template: Said) -> Said:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}
