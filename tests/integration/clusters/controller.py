"""Simulates a cluster's Deployment controller, scheduler and nodes, one step at a time.

The image tag selects the behaviour of pods: ``shop/user:3.12`` serves on Python 3.12, ``shop/user:3.12-crash`` exits;
see :data:`KINDS`. Updates are rolling, with at most one extra pod and none unavailable.
"""

import copy
import hashlib
import json
import re
from dataclasses import dataclass, field

from tests.integration.clusters.api_server import HASH_LABEL, ApiServer, JsonObject

KINDS = ("", "crash", "pull", "never", "noshell", "sick", "unschedulable", "mixed")
"""Suffixes of the version: it serves; it exits; it cannot be pulled; it never becomes ready; it has no shell;
its health path answers 500; it cannot be scheduled; each pod pulls another image of that name."""
DEADLINE = 8
"""Steps without progress until the controller gives up, as with ``progressDeadlineSeconds``."""
ENDING = 2
"""Steps that a pod takes to terminate."""


def python_of(image: str) -> str:
    match = re.search(r":(3\.\d+)", image)
    assert match, image
    return match[1]


def kind_of(image: str) -> str:
    kind = image.rpartition(":")[2].partition("@")[0].partition("-")[2]
    assert kind in KINDS, image
    return kind


def comparable_template(template: JsonObject) -> str:
    """Return a template in the form in which the controller compares templates."""
    made = copy.deepcopy(template)
    made["metadata"].get("labels", {}).pop(HASH_LABEL, None)
    return json.dumps(made, sort_keys=True)


@dataclass(kw_only=True)
class Controller:
    """The controllers of one namespace of ``server``."""

    server: ApiServer
    namespace: str
    ages: dict[str, int] = field(default_factory=dict)
    """Age of each pod in steps; negative while it terminates: the steps that are left."""
    progress: dict[str, tuple[str, int]] = field(default_factory=dict)
    asleep: bool = False
    """The controller has no leader, so nothing happens."""

    def step(self) -> None:
        if self.asleep:
            return
        store = self.server.store
        for pod in store.listed("pods", self.namespace):
            self._advance_pod(pod)
        for deployment in store.listed("deployments", self.namespace):
            self._roll_out(deployment)

    def settle(self, steps: int = 10) -> None:
        for _ in range(steps):
            self.step()

    # ---- the Deployment controller

    def _roll_out(self, deployment: JsonObject) -> None:
        name, generation = deployment["metadata"]["name"], deployment["metadata"]["generation"]
        if deployment.get("status", {}).get("observedGeneration") != generation and self._is_status_stale(
            name, generation
        ):
            return
        if not deployment["spec"].get("paused"):
            new = self._replica_set(deployment)
            self._scale(deployment, new)
        self._update_status(deployment)

    def _is_status_stale(self, name: str, generation: int) -> bool:
        """Whether this is the first read after a change, when the status still describes the previous generation."""
        key = f"{name} seen"
        behind = self.progress.get(key, ("", 0))[1] != generation
        self.progress[key] = ("", generation)
        return behind

    def _replica_set(self, deployment: JsonObject) -> JsonObject:
        store, template = self.server.store, deployment["spec"]["template"]
        own_sets = self._replica_sets(deployment)
        for replica_set in own_sets:
            if comparable_template(replica_set["spec"]["template"]) == comparable_template(template):
                return replica_set
        hashed = hashlib.sha256(comparable_template(template).encode()).hexdigest()[:10]
        labels = {**template["metadata"]["labels"], HASH_LABEL: hashed}
        made = {
            "metadata": {
                "name": f"{deployment['metadata']['name']}-{hashed}",
                "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": str(len(own_sets) + 1)},
                "ownerReferences": [owner(deployment, "apps/v1", "Deployment")],
            },
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
            },
        }
        return store.create("replicasets", self.namespace, made)

    def _replica_sets(self, deployment: JsonObject) -> list[JsonObject]:
        sets = self.server.store.listed("replicasets", self.namespace)
        return [replica_set for replica_set in sets if is_owned(replica_set, deployment)]

    def _pods(self, deployment: JsonObject) -> tuple[list[JsonObject], list[JsonObject]]:
        """Return the pods of the current template and all others, without those that terminate."""
        wanted = comparable_template(deployment["spec"]["template"])
        new: list[JsonObject] = []
        old: list[JsonObject] = []
        for replica_set in self._replica_sets(deployment):
            pods = [pod for pod in self.server.store.listed("pods", self.namespace) if is_owned(pod, replica_set)]
            pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            (new if comparable_template(replica_set["spec"]["template"]) == wanted else old).extend(pods)
        return new, old

    def _scale(self, deployment: JsonObject, replica_set: JsonObject) -> None:
        wanted = deployment["spec"].get("replicas", 1)
        new, old = self._pods(deployment)
        while len(new) < wanted and len(new) + len(old) < wanted + 1:
            new.append(self._create(replica_set, len(new)))
        for pod in new[wanted:]:
            self._end(pod)
        ready = sum(is_ready(pod) for pod in (*new, *old))
        for pod in sorted(old, key=is_ready):
            if is_ready(pod):
                if ready <= wanted:
                    break
                ready -= 1
            self._end(pod)

    def _create(self, replica_set: JsonObject, number: int) -> JsonObject:
        template = replica_set["spec"]["template"]
        self.server.store.seconds += 1
        pod = {
            "metadata": {
                "name": f"{replica_set['metadata']['name']}-{self.server.store.seconds:05}",
                "labels": template["metadata"]["labels"],
                "ownerReferences": [owner(replica_set, "apps/v1", "ReplicaSet")],
            },
            "spec": template["spec"],
        }
        made = self.server.store.create("pods", self.namespace, pod)
        self.ages[made["metadata"]["name"]] = -1
        self._advance_pod(made)
        return made

    def _end(self, pod: JsonObject) -> None:
        pod["metadata"]["deletionTimestamp"] = "2026-11-25T11:00:00Z"
        pod["metadata"]["deletionGracePeriodSeconds"] = 30
        self.ages[pod["metadata"]["name"]] = -ENDING - 1

    def _update_status(self, deployment: JsonObject) -> None:
        new, old = self._pods(deployment)
        wanted = deployment["spec"].get("replicas", 1)
        ready_new, ready = sum(map(is_ready, new)), sum(is_ready(pod) for pod in (*new, *old))
        name = deployment["metadata"]["name"]
        complete = len(new) == ready_new == wanted and not old
        previous = condition(deployment, "Progressing")
        state = f"{deployment['metadata']['generation']} {len(new)} {ready_new} {len(old)}"
        count = self.progress[name][1] + 1 if self.progress.get(name, ("", 0))[0] == state else 0
        self.progress[name] = (state, count)
        was_complete = previous.get("reason") == "NewReplicaSetAvailable" and len(new) and not old
        reason, status = "ReplicaSetUpdated", "True"
        if complete or was_complete:
            reason = "NewReplicaSetAvailable"
        elif count >= DEADLINE or (previous.get("reason") == "ProgressDeadlineExceeded" and count):
            reason, status = "ProgressDeadlineExceeded", "False"
        progressing = f'ReplicaSet "{name}" {"has timed out progressing." if status == "False" else "is progressing."}'
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(new) + len(old),
            "updatedReplicas": len(new),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": len(new) + len(old) - ready,
            "conditions": [
                {"type": "Available", "status": str(ready >= wanted or ready == wanted - 1 > 0)},
                {"type": "Progressing", "status": status, "reason": reason, "message": progressing},
            ],
        }

    # ---- a node

    def _advance_pod(self, pod: JsonObject) -> None:
        name = pod["metadata"]["name"]
        self.ages[name] = age = self.ages[name] + 1
        if "deletionTimestamp" in pod["metadata"]:
            if age >= 0:
                del self.server.store.objects["pods", self.namespace, name]
            return
        container = pod["spec"]["containers"][0]
        if pod.get("status", {}).get("containerStatuses") and age > 3:
            return  # from now on its status is changed by tests only
        state, last, restarts = _state(kind_of(container["image"]), age)
        ready = "running" in state and age >= 2 and kind_of(container["image"]) != "never"
        scheduled = kind_of(container["image"]) != "unschedulable"
        image_id = hashlib.sha256(
            (container["image"] + (name if kind_of(container["image"]) == "mixed" else "")).encode()
        )
        statuses = [
            {
                "name": spec["name"], "image": spec["image"],
                "imageID": f"{spec['image']}@sha256:{image_id.hexdigest()}",
                "ready": ready, "restartCount": restarts, "state": state, "lastState": last,
            }
            for spec in pod["spec"]["containers"]
        ]  # fmt: skip
        conditions: list[JsonObject] = [{"type": "Ready", "status": str(ready)}]
        if not scheduled:
            reason = "0/3 nodes are available: 3 Insufficient memory."
            conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": reason})
        pod["status"] = {
            "phase": "Running" if "running" in state else "Pending",
            "conditions": conditions,
            "containerStatuses": statuses if scheduled else [],
        }


def _state(kind: str, age: int) -> tuple[JsonObject, JsonObject, int]:
    """Return a container's state, its last state and its restart count."""
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    if age <= 0 or kind == "unschedulable":
        return {"waiting": {"reason": "ContainerCreating"}}, {}, 0
    if kind == "crash":
        return (ended, {}, 0) if age == 1 else ({"waiting": {"reason": "CrashLoopBackOff"}}, ended, 1)
    if kind == "pull":
        reason = "ErrImagePull" if age == 1 else "ImagePullBackOff"
        return {"waiting": {"reason": reason, "message": "manifest unknown"}}, {}, 0
    return {"running": {"startedAt": "2026-11-25T10:30:00Z"}}, {}, 0


# ---- later changes of pods


def crash(pod: JsonObject, reason: str = "Error", code: int = 1) -> None:
    """Let a pod's container exit and restart."""
    status = pod["status"]["containerStatuses"][0]
    status["restartCount"] += 1
    status["lastState"] = {"terminated": {"exitCode": code, "reason": reason}}


def owner(resource: JsonObject, version: str, kind: str) -> JsonObject:
    metadata = resource["metadata"]
    return {"apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def is_owned(resource: JsonObject, parent: JsonObject) -> bool:
    return any(
        reference["uid"] == parent["metadata"]["uid"] for reference in resource["metadata"].get("ownerReferences", ())
    )


def is_ready(pod: JsonObject) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def condition(deployment: JsonObject, kind: str) -> JsonObject:
    return next((entry for entry in deployment.get("status", {}).get("conditions", ()) if entry["type"] == kind), {})
