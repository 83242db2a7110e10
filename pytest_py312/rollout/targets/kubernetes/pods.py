"""State, readiness and resource usage of a Deployment's pods, computed from API objects. Pure.

Readiness follows ``kubectl rollout status`` with one stricter rule: as long as any pod of another template exists, even
a terminating one, the Deployment is not ready. So two versions that run at once never count as one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.rollout.targets.common import JsonObject
from pytest_py312.rollout.targets.kubernetes.api import quantity_value
from pytest_py312.rollout.targets.kubernetes.pod_template import find_container, pod_template_of, template_digest
from pytest_py312.rollout.targets.target import Readiness, ReadinessPhase

RETRY_SECONDS = 1.0
"""Seconds between two queries; the API server is shared, and pods do not change faster."""
PERMANENT_WAIT_REASONS = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Waiting reasons that do not resolve by themselves, unlike ``ErrImagePull``, which is retried."""
OUT_OF_MEMORY = "OOMKilled"
PAUSED_MESSAGE = "its rollout is paused; continue it with `kubectl rollout resume`"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod of a Deployment, with the state of the service's container in it.

    ``template`` is the digest of its pod template, ``image_id`` the image that was actually pulled. ``failure_reason``
    is why it will not serve, ``waiting_reason`` what it is waiting for.
    """

    name: str
    template: str
    ready: bool = False
    is_terminating: bool = False
    restarts: int = 0
    out_of_memory: bool = False
    exit_code: int | None = None
    image_id: str = ""
    failure_reason: str = ""
    waiting_reason: str = ""

    @property
    def is_serving(self) -> bool:
        """Whether it receives requests."""
        return self.ready and not self.is_terminating


def parse_pods(
    deployment: JsonObject, replica_sets: Iterable[JsonObject], pods: Iterable[JsonObject], container: str
) -> tuple[Pod, ...]:
    """Return the pods of a Deployment that have not ended, of any template.

    :param container: name of the service's container.
    """
    deployment_uid = str(deployment["metadata"]["uid"])
    templates = {
        str(resource["metadata"]["uid"]): template_digest(pod_template_of(resource))
        for resource in replica_sets
        if _controller_uid(resource) == deployment_uid
    }
    return tuple(
        _parse_pod(resource, templates[owner], container)
        for resource in pods
        if (owner := _controller_uid(resource)) in templates
        and (resource.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )


def _controller_uid(resource: JsonObject) -> str:
    owners = resource["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _parse_pod(pod: JsonObject, template: str, container: str) -> Pod:
    status: JsonObject = pod.get("status") or {}
    container_statuses: list[JsonObject] = status.get("containerStatuses") or []
    container_status: JsonObject = next(
        (candidate for candidate in container_statuses if candidate.get("name") == container), {}
    )
    terminated: JsonObject = (container_status.get("state") or {}).get("terminated") or {}
    last_terminated: JsonObject = (container_status.get("lastState") or {}).get("terminated") or {}
    termination = terminated or last_terminated
    return Pod(
        name=str(pod["metadata"]["name"]),
        template=template,
        ready=_condition(status, "Ready").get("status") == "True",
        is_terminating=bool(pod["metadata"].get("deletionTimestamp")),
        restarts=int(container_status.get("restartCount") or 0),
        out_of_memory=OUT_OF_MEMORY in (terminated.get("reason"), last_terminated.get("reason")),
        exit_code=None if not termination else int(termination.get("exitCode", -1)),
        image_id=str(container_status.get("imageID") or ""),
        failure_reason=_failure_reason(container_statuses, status.get("initContainerStatuses") or []),
        waiting_reason=_waiting_reason(status, [*(status.get("initContainerStatuses") or []), *container_statuses]),
    )


def _failure_reason(containers: Sequence[JsonObject], init_containers: Sequence[JsonObject]) -> str:
    """Return why a pod will not serve. Init containers may end successfully, the others may not end at all."""
    for container in (*init_containers, *containers):
        state, name = container.get("state") or {}, container.get("name")
        waiting: JsonObject = state.get("waiting") or {}
        terminated: JsonObject = state.get("terminated") or {}
        last_terminated: JsonObject = (container.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") in PERMANENT_WAIT_REASONS:
            exit_detail = f", it ended with exit code {last_terminated.get('exitCode')}" if last_terminated else ""
            memory_detail = ", killed: out of memory" if last_terminated.get("reason") == OUT_OF_MEMORY else ""
            message = f": {waiting['message']}" if waiting.get("message") else ""
            return f"{name} is in {waiting['reason']}{exit_detail}{memory_detail}{message}"
        if terminated and terminated.get("reason") == OUT_OF_MEMORY:
            return f"{name} was killed: out of memory"
        if terminated and (container not in init_containers or terminated.get("exitCode")):
            return f"{name} has ended with exit code {terminated.get('exitCode')}"
    return ""


def _waiting_reason(status: JsonObject, containers: Sequence[JsonObject]) -> str:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("message") or "no node assigned yet")
    for container in containers:
        waiting: JsonObject = (container.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason', 'waiting')} {waiting.get('message', '')}".strip()
    return ""


def _condition(status: JsonObject, kind: str) -> dict[str, Any]:
    return next((condition for condition in status.get("conditions") or () if condition.get("type") == kind), {})


def has_readiness_probe(template: JsonObject, container: str) -> bool:
    """Return whether the service's container has a readiness probe."""
    return bool(find_container(template, container).get("readinessProbe"))


def deployment_readiness(deployment: JsonObject, pods: Sequence[Pod], template: str, *, is_probed: bool) -> Readiness:
    """Return how far a Deployment has come to serving only ``template`` (a digest).

    A completed rollout stays ready as long as the cluster reports it as available: a pod that is rescheduled, or one
    that an autoscaler adds, is no failed deployment.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    broken_reason = _broken_reason(deployment, pods, template)
    if broken_reason:
        return Readiness.broken(broken_reason, retry_after=RETRY_SECONDS)
    incomplete_reason = _incomplete_reason(spec, status, deployment["metadata"], pods, template)
    if incomplete_reason and spec.get("paused"):
        return Readiness.broken(f"{incomplete_reason}, and {PAUSED_MESSAGE}", retry_after=RETRY_SECONDS)
    if incomplete_reason:
        waiting_detail = next((f"; {pod.name}: {pod.waiting_reason}" for pod in pods if pod.waiting_reason), "")
        return Readiness.starting(f"{incomplete_reason}{waiting_detail}", retry_after=RETRY_SECONDS)
    return Readiness(phase=ReadinessPhase.READY, is_probed=is_probed, retry_after=RETRY_SECONDS)


def _broken_reason(deployment: JsonObject, pods: Sequence[Pod], template: str) -> str:
    spec, status = deployment["spec"], deployment.get("status") or {}
    if template_digest(pod_template_of(deployment)) != template:
        return "its template was changed by someone else"
    if _desired_replicas(spec) == 0:
        return "it is scaled to zero pods"
    current_pods = [pod for pod in pods if pod.template == template and not pod.is_terminating]
    for pod in current_pods:
        if pod.failure_reason:
            return f"pod {pod.name}: {pod.failure_reason}"
    progressing = _condition(status, "Progressing")
    if _is_status_current(deployment["metadata"], status) and progressing.get("reason") == "ProgressDeadlineExceeded":
        waiting_detail = next((f"; {pod.name}: {pod.waiting_reason}" for pod in current_pods if pod.waiting_reason), "")
        return f"ProgressDeadlineExceeded: {progressing.get('message', '')}{waiting_detail}"
    images = sorted({pod.image_id for pod in current_pods if pod.ready and pod.image_id})
    if len(images) > 1:
        return f"its pods run different images under one tag ({', '.join(images)}); give the image by digest"
    return ""


def _incomplete_reason(
    spec: JsonObject, status: JsonObject, metadata: JsonObject, pods: Sequence[Pod], template: str
) -> str:
    """Return what is missing for a complete rollout; empty if it is complete."""
    if not _is_status_current(metadata, status):
        return "the cluster has not started the rollout yet"
    desired, updated = _desired_replicas(spec), int(status.get("updatedReplicas") or 0)
    total, available = int(status.get("replicas") or 0), int(status.get("availableReplicas") or 0)
    other_pods = [pod for pod in pods if pod.template != template]
    failure = _condition(status, "ReplicaFailure")
    failure_detail = f" ({failure.get('message')})" if failure.get("status") == "True" else ""
    is_rolled_out = _condition(status, "Progressing").get("reason") == "NewReplicaSetAvailable"
    is_available = is_rolled_out and _condition(status, "Available").get("status") == "True"
    if (updated < desired and not is_available) or updated == 0:
        return f"{updated} of {desired} pods are new{failure_detail}"
    if total > updated or other_pods:
        remaining = ", ".join(pod.name for pod in other_pods) or str(total - updated)
        return f"pods of another template still exist: {remaining}"
    if not any(pod.is_serving for pod in pods if pod.template == template):
        return "none of its pods are ready"
    if available < updated and not is_available:
        return f"{available} of {updated} pods are available{failure_detail}"
    return ""


def _is_status_current(metadata: JsonObject, status: JsonObject) -> bool:
    """Return whether the status refers to the current generation of the Deployment."""
    return int(status.get("observedGeneration") or 0) >= int(metadata.get("generation") or 0)


def _desired_replicas(spec: JsonObject) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


NO_METRICS_SERVER = "the cluster has no metrics.k8s.io (metrics-server) to measure processor and memory"
METRICS_PENDING = "metrics.k8s.io has no data about its pods yet"


def average_usage(
    metrics: Sequence[JsonObject] | None, pods: set[str], container: str
) -> tuple[float | None, int | None, str]:
    """Return cores and bytes that the service's container uses on the average of ``pods``, or why they are unknown.

    It is the average because an autoscaler changes the number of pods: a sum would grow with the traffic and look like
    a memory leak.
    """
    if metrics is None:
        return None, None, NO_METRICS_SERVER
    usages = [
        entry.get("usage") or {}
        for pod in metrics
        if pod["metadata"]["name"] in pods
        for entry in pod.get("containers") or ()
        if entry.get("name") == container
    ]
    cores = [value for entry in usages if (value := quantity_value(str(entry.get("cpu", "")))) is not None]
    memory = [value for entry in usages if (value := quantity_value(str(entry.get("memory", "")))) is not None]
    if not cores or not memory:
        return None, None, METRICS_PENDING
    return sum(cores) / len(cores), round(sum(memory) / len(memory)), ""
