"""Plays what a cluster does with a Deployment: its controller, the scheduler and the nodes, one step at a time.

An image says what becomes of its pods: ``shop/user:3.12`` serves on Python 3.12, ``shop/user:3.12-crash`` ends at once;
see :data:`KINDS`. The rules are those of a rolling update with one pod more than wanted and none less.
"""

import copy
import hashlib
import json
import re
from dataclasses import dataclass, field

from tests.integration.clusters.api_server import HASH_LABEL, ApiServer, Said

KINDS = ("", "crash", "pull", "never", "noshell", "sick", "unschedulable", "mixed")
"""What may follow the version: it serves; it ends at once; it cannot be pulled; it never gets ready; it has no shell;
its health path answers 500; no node takes it; each pod pulls another image of that name."""
DEADLINE = 8
"""Steps without progress after which the controller gives up, as ``progressDeadlineSeconds`` makes it."""
ENDING = 2
"""Steps that a pod takes to end."""


def python_of(image: str) -> str:
    found = re.search(r":(3\.\d+)", image)
    assert found, image
    return found[1]


def kind_of(image: str) -> str:
    kind = image.rpartition(":")[2].partition("@")[0].partition("-")[2]
    assert kind in KINDS, image
    return kind


def plain(template: Said) -> str:
    """A template as the controller compares it."""
    made = copy.deepcopy(template)
    made["metadata"].get("labels", {}).pop(HASH_LABEL, None)
    return json.dumps(made, sort_keys=True)


@dataclass(kw_only=True)
class Controller:
    """The controllers of one namespace of ``server``."""

    server: ApiServer
    namespace: str
    ages: dict[str, int] = field(default_factory=dict)
    """Steps that a pod has lived, and, negative, those that it has left."""
    still: dict[str, tuple[str, int]] = field(default_factory=dict)
    asleep: bool = False
    """It has lost its leader: nothing happens until there is one again."""

    def step(self) -> None:
        if self.asleep:
            return
        store = self.server.store
        for pod in store.listed("pods", self.namespace):
            self._lives(pod)
        for deployment in store.listed("deployments", self.namespace):
            self._rolls(deployment)

    def settle(self, steps: int = 10) -> None:
        for _ in range(steps):
            self.step()

    # ---- the Deployment controller

    def _rolls(self, deployment: Said) -> None:
        name, generation = deployment["metadata"]["name"], deployment["metadata"]["generation"]
        if deployment.get("status", {}).get("observedGeneration") != generation and self._is_behind(name, generation):
            return
        if not deployment["spec"].get("paused"):
            new = self._replica_set(deployment)
            self._scale(deployment, new)
        self._tell(deployment)

    def _is_behind(self, name: str, generation: int) -> bool:
        """The first look at something new is of a status that still speaks of what was before."""
        key = f"{name} seen"
        behind = self.still.get(key, ("", 0))[1] != generation
        self.still[key] = ("", generation)
        return behind

    def _replica_set(self, deployment: Said) -> Said:
        store, template = self.server.store, deployment["spec"]["template"]
        mine = self._replica_sets(deployment)
        for one in mine:
            if plain(one["spec"]["template"]) == plain(template):
                return one
        hashed = hashlib.sha256(plain(template).encode()).hexdigest()[:10]
        labels = {**template["metadata"]["labels"], HASH_LABEL: hashed}
        made = {
            "metadata": {
                "name": f"{deployment['metadata']['name']}-{hashed}",
                "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": str(len(mine) + 1)},
                "ownerReferences": [owner(deployment, "apps/v1", "Deployment")],
            },
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
            },
        }
        return store.create("replicasets", self.namespace, made)

    def _replica_sets(self, deployment: Said) -> list[Said]:
        sets = self.server.store.listed("replicasets", self.namespace)
        return [one for one in sets if is_owned(one, deployment)]

    def _pods(self, deployment: Said) -> tuple[list[Said], list[Said]]:
        """Those of the template that is asked for, and all others; without those that end."""
        wanted = plain(deployment["spec"]["template"])
        new: list[Said] = []
        old: list[Said] = []
        for one in self._replica_sets(deployment):
            pods = [pod for pod in self.server.store.listed("pods", self.namespace) if is_owned(pod, one)]
            pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            (new if plain(one["spec"]["template"]) == wanted else old).extend(pods)
        return new, old

    def _scale(self, deployment: Said, replica_set: Said) -> None:
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

    def _create(self, replica_set: Said, number: int) -> Said:
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
        self._lives(made)
        return made

    def _end(self, pod: Said) -> None:
        pod["metadata"]["deletionTimestamp"] = "2026-11-25T11:00:00Z"
        pod["metadata"]["deletionGracePeriodSeconds"] = 30
        self.ages[pod["metadata"]["name"]] = -ENDING - 1

    def _tell(self, deployment: Said) -> None:
        new, old = self._pods(deployment)
        wanted = deployment["spec"].get("replicas", 1)
        ready_new, ready = sum(map(is_ready, new)), sum(is_ready(pod) for pod in (*new, *old))
        name = deployment["metadata"]["name"]
        complete = len(new) == ready_new == wanted and not old
        before = condition(deployment, "Progressing")
        state = f"{deployment['metadata']['generation']} {len(new)} {ready_new} {len(old)}"
        count = self.still[name][1] + 1 if self.still.get(name, ("", 0))[0] == state else 0
        self.still[name] = (state, count)
        was_complete = before.get("reason") == "NewReplicaSetAvailable" and len(new) and not old
        reason, status = "ReplicaSetUpdated", "True"
        if complete or was_complete:
            reason = "NewReplicaSetAvailable"
        elif count >= DEADLINE or (before.get("reason") == "ProgressDeadlineExceeded" and count):
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

    def _lives(self, pod: Said) -> None:
        name = pod["metadata"]["name"]
        self.ages[name] = age = self.ages[name] + 1
        if "deletionTimestamp" in pod["metadata"]:
            if age >= 0:
                del self.server.store.objects["pods", self.namespace, name]
            return
        container = pod["spec"]["containers"][0]
        if pod.get("status", {}).get("containerStatuses") and age > 3:
            return  # what becomes of it from now on, tests say
        state, last, restarts = _state(kind_of(container["image"]), age)
        ready = "running" in state and age >= 2 and kind_of(container["image"]) != "never"
        scheduled = kind_of(container["image"]) != "unschedulable"
        image_id = hashlib.sha256(
            (container["image"] + (name if kind_of(container["image"]) == "mixed" else "")).encode()
        )
        statuses = [
            {
                "name": one["name"], "image": one["image"], "imageID": f"{one['image']}@sha256:{image_id.hexdigest()}",
                "ready": ready, "restartCount": restarts, "state": state, "lastState": last,
            }
            for one in pod["spec"]["containers"]
        ]  # fmt: skip
        conditions: list[Said] = [{"type": "Ready", "status": str(ready)}]
        if not scheduled:
            told = "0/3 nodes are available: 3 Insufficient memory."
            conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": told})
        pod["status"] = {
            "phase": "Running" if "running" in state else "Pending",
            "conditions": conditions,
            "containerStatuses": statuses if scheduled else [],
        }


def _state(kind: str, age: int) -> tuple[Said, Said, int]:
    """A container's state, its last one, and how often it was started again."""
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    if age <= 0 or kind == "unschedulable":
        return {"waiting": {"reason": "ContainerCreating"}}, {}, 0
    if kind == "crash":
        return (ended, {}, 0) if age == 1 else ({"waiting": {"reason": "CrashLoopBackOff"}}, ended, 1)
    if kind == "pull":
        reason = "ErrImagePull" if age == 1 else "ImagePullBackOff"
        return {"waiting": {"reason": reason, "message": "manifest unknown"}}, {}, 0
    return {"running": {"startedAt": "2026-11-25T10:30:00Z"}}, {}, 0


# ---- what becomes of pods later


def crash(pod: Said, reason: str = "Error", code: int = 1) -> None:
    """Its container ends, and was started again."""
    one = pod["status"]["containerStatuses"][0]
    one["restartCount"] += 1
    one["lastState"] = {"terminated": {"exitCode": code, "reason": reason}}


def owner(said: Said, version: str, kind: str) -> Said:
    metadata = said["metadata"]
    return {"apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def is_owned(said: Said, by: Said) -> bool:
    return any(one["uid"] == by["metadata"]["uid"] for one in said["metadata"].get("ownerReferences", ()))


def is_ready(pod: Said) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def condition(deployment: Said, kind: str) -> Said:
    return next((one for one in deployment.get("status", {}).get("conditions", ()) if one["type"] == kind), {})
