"""An environment's lock in a cluster: a Lease, because names are unique, and deleted only in the version that was read.

It is not renewed: a soak goes on between processes, so nobody may take it for abandoned because nobody has spoken for a
while. Its holder is in an annotation, whole; ``holderIdentity`` is for people who look.
"""

import hashlib
import json
from contextlib import nullcontext

from pytest_py312.repository.plan.rollout_settings import dns_label
from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL, NamedLock
from pytest_py312.rollout.targets.kubernetes.api import Cluster, Conflict


def lock_name(environment: str) -> str:
    """The name of its Lease: its own for each environment, also where two differ in signs or their case only."""
    plain = dns_label(environment)
    if plain != environment:
        plain = f"{plain[:40].rstrip('-')}-{hashlib.sha256(environment.encode()).hexdigest()[:12]}"
    return f"py312-lock-{plain}"


class KubernetesLock(NamedLock):
    """The lock of an environment, in its namespace."""

    def __init__(self, cluster: Cluster, environment: str) -> None:
        super().__init__(lock_name(environment), nullcontext)
        self._cluster = cluster

    def _created(self, label: str) -> bool:
        holder = json.loads(label)
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "annotations": {HOLDER_LABEL: label}},
            "spec": {"holderIdentity": f"{holder['name']}@{holder['host']}"},
        }
        try:
            self._cluster.create_lease(lease)
        except Conflict:
            return False
        return True

    def _labelled(self) -> tuple[str, str] | None:
        found = self._cluster.lease(self._name)
        if found is None:
            return None
        metadata = found["metadata"]
        annotations = metadata.get("annotations") or {}
        return f"{metadata['uid']} {metadata['resourceVersion']}", str(annotations.get(HOLDER_LABEL, ""))

    def _removed(self, found: str) -> None:
        uid, _, version = found.partition(" ")
        try:
            self._cluster.delete_lease(self._name, uid=uid, version=version)
        except Conflict:
            return  # somebody else has it by now: who, is told in the next round
