"""Environment lock in a Kubernetes cluster: a Lease, which has a unique name and is deleted only in the version read.

The Lease is never renewed: a soak continues between processes, so a silent holder does not mean an abandoned lock. The
complete holder is stored in an annotation; ``holderIdentity`` is only informative.
"""

import hashlib
import json
from contextlib import nullcontext

from pytest_py312.repository.plan.rollout_settings import dns_label
from pytest_py312.rollout.targets.environment_lock import HOLDER_LABEL, NamedObjectLock
from pytest_py312.rollout.targets.kubernetes.api import Cluster, ConcurrentChange


def lock_name(environment: str) -> str:
    """Return the name of the Lease, unique even for environments that differ only in case or punctuation."""
    label = dns_label(environment)
    if label != environment:
        label = f"{label[:40].rstrip('-')}-{hashlib.sha256(environment.encode()).hexdigest()[:12]}"
    return f"py312-lock-{label}"


class KubernetesLock(NamedObjectLock):
    """Lock of an environment, in the environment's namespace."""

    def __init__(self, cluster: Cluster, environment: str) -> None:
        super().__init__(lock_name(environment), nullcontext)
        self._cluster = cluster

    def _create(self, label: str) -> bool:
        holder = json.loads(label)
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "annotations": {HOLDER_LABEL: label}},
            "spec": {"holderIdentity": f"{holder['name']}@{holder['host']}"},
        }
        try:
            self._cluster.create_lease(lease)
        except ConcurrentChange:
            return False
        return True

    def _read_label(self) -> tuple[str, str] | None:
        lease = self._cluster.lease(self._name)
        if lease is None:
            return None
        metadata = lease["metadata"]
        annotations = metadata.get("annotations") or {}
        return f"{metadata['uid']} {metadata['resourceVersion']}", str(annotations.get(HOLDER_LABEL, ""))

    def _delete(self, object_id: str) -> None:
        uid, _, version = object_id.partition(" ")
        try:
            self._cluster.delete_lease(self._name, uid=uid, version=version)
        except ConcurrentChange:
            return  # someone else holds it by now; the next read shows who
