"""What a cluster tells of a Deployment and its pods -> how far it has come. Pure.

As ``kubectl rollout status`` decides it, and stricter: pods of another template that are still there, be it only to
end, keep it from being ready, so that two versions at once are never called one.

What pods use, as metrics.k8s.io tells it. Pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_py312.rollout.targets.kubernetes.api import quantity
from pytest_py312.rollout.targets.kubernetes.pod_template import container_in, digest_of, template_of
from pytest_py312.rollout.targets.labels import Said
from pytest_py312.rollout.targets.target import Phase, Readiness

AGAIN = 1.0
"""Seconds between two questions: an API server is shared, and nothing changes there within less."""
HOPELESS = frozenset(
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
"""Reasons for which a container waits, and that waiting does not mend. ``ErrImagePull`` is tried again by itself."""
OUT_OF_MEMORY = "OOMKilled"
PAUSED = "its rollout is paused; `kubectl rollout resume` lets it go on"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod of a Deployment, and the service's container in it.

    ``template`` is the digest of what it was made of. ``ending`` is one that was told to end and is still there.
    ``image_id`` is what was really pulled. ``trouble`` says why it will not serve.
    """

    name: str
    template: str
    ready: bool = False
    ending: bool = False
    restarts: int = 0
    out_of_memory: bool = False
    exit_code: int | None = None
    image_id: str = ""
    trouble: str = ""
    waits_for: str = ""

    @property
    def serves(self) -> bool:
        """Whether requests are sent to it."""
        return self.ready and not self.ending


def pods_of(deployment: Said, replica_sets: Iterable[Said], pods: Iterable[Said], container: str) -> tuple[Pod, ...]:
    """The pods of a Deployment that have not ended, whichever template they were made of.

    :param container: the name of the service's container.
    """
    own = str(deployment["metadata"]["uid"])
    templates = {str(one["metadata"]["uid"]): digest_of(template_of(one)) for one in replica_sets if _owner(one) == own}
    return tuple(
        _pod(one, templates[owner], container)
        for one in pods
        if (owner := _owner(one)) in templates and (one.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )


def _owner(said: Said) -> str:
    owners = said["metadata"].get("ownerReferences") or ()
    return next((str(one["uid"]) for one in owners if one.get("controller")), "")


def _pod(said: Said, template: str, container: str) -> Pod:
    status: Said = said.get("status") or {}
    listed: list[Said] = status.get("containerStatuses") or []
    mine: Said = next((one for one in listed if one.get("name") == container), {})
    ended: Said = (mine.get("state") or {}).get("terminated") or {}
    last: Said = (mine.get("lastState") or {}).get("terminated") or {}
    told = ended or last
    return Pod(
        name=str(said["metadata"]["name"]),
        template=template,
        ready=_condition(status, "Ready").get("status") == "True",
        ending=bool(said["metadata"].get("deletionTimestamp")),
        restarts=int(mine.get("restartCount") or 0),
        out_of_memory=OUT_OF_MEMORY in (ended.get("reason"), last.get("reason")),
        exit_code=None if not told else int(told.get("exitCode", -1)),
        image_id=str(mine.get("imageID") or ""),
        trouble=_trouble(listed, status.get("initContainerStatuses") or []),
        waits_for=_waits_for(status, [*(status.get("initContainerStatuses") or []), *listed]),
    )


def _trouble(containers: Sequence[Said], first: Sequence[Said]) -> str:
    """Why a pod will not serve; one that prepares it may end, if it ends well."""
    for one in (*first, *containers):
        state, name = one.get("state") or {}, one.get("name")
        waiting: Said = state.get("waiting") or {}
        ended: Said = state.get("terminated") or {}
        last: Said = (one.get("lastState") or {}).get("terminated") or {}
        if waiting.get("reason") in HOPELESS:
            how = f", it ended with exit code {last.get('exitCode')}" if last else ""
            memory = ", killed for want of memory" if last.get("reason") == OUT_OF_MEMORY else ""
            told = f": {waiting['message']}" if waiting.get("message") else ""
            return f"{name} is in {waiting['reason']}{how}{memory}{told}"
        if ended and ended.get("reason") == OUT_OF_MEMORY:
            return f"{name} was killed for want of memory"
        if ended and (one not in first or ended.get("exitCode")):
            return f"{name} has ended with exit code {ended.get('exitCode')}"
    return ""


def _waits_for(status: Said, containers: Sequence[Said]) -> str:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("message") or "it has no node yet")
    for one in containers:
        waiting: Said = (one.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason', 'waiting')} {waiting.get('message', '')}".strip()
    return ""


def _condition(status: Said, kind: str) -> dict[str, Any]:
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), {})


def is_probed(template: Said, container: str) -> bool:
    """Whether the cluster asks the service's container if it is ready."""
    return bool(container_in(template, container).get("readinessProbe"))


def readiness_of(deployment: Said, pods: Sequence[Pod], template: str, *, probed: bool) -> Readiness:
    """How far a Deployment has come to serving ``template`` (a digest), and nothing else.

    Once it had come there, it stays ready while the cluster calls it available: a pod that is moved, or one more that
    an autoscaler wants, is not a deployment that fails.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    trouble = _broken(deployment, pods, template)
    if trouble:
        return Readiness(phase=Phase.BROKEN, detail=trouble, again=AGAIN)
    missing = _missing(spec, status, deployment["metadata"], pods, template)
    if missing and spec.get("paused"):
        return Readiness(phase=Phase.BROKEN, detail=f"{missing}, and {PAUSED}", again=AGAIN)
    if missing:
        waits = next((f"; {one.name}: {one.waits_for}" for one in pods if one.waits_for), "")
        return Readiness(phase=Phase.STARTING, detail=f"{missing}{waits}", again=AGAIN)
    return Readiness(phase=Phase.READY, asked=probed, again=AGAIN)


def _broken(deployment: Said, pods: Sequence[Pod], template: str) -> str:
    spec, status = deployment["spec"], deployment.get("status") or {}
    if digest_of(template_of(deployment)) != template:
        return "its template was changed by somebody else"
    if _wanted(spec) == 0:
        return "it is scaled to no pod at all"
    mine = [one for one in pods if one.template == template and not one.ending]
    for one in mine:
        if one.trouble:
            return f"pod {one.name}: {one.trouble}"
    progressing = _condition(status, "Progressing")
    if _is_seen(deployment["metadata"], status) and progressing.get("reason") == "ProgressDeadlineExceeded":
        waits = next((f"; {one.name}: {one.waits_for}" for one in mine if one.waits_for), "")
        return f"ProgressDeadlineExceeded: {progressing.get('message', '')}{waits}"
    images = sorted({one.image_id for one in mine if one.ready and one.image_id})
    if len(images) > 1:
        return f"its pods run different images of one name ({', '.join(images)}); name it by its digest"
    return ""


def _missing(spec: Said, status: Said, metadata: Said, pods: Sequence[Pod], template: str) -> str:
    """What a complete rollout still lacks; ``""``: nothing."""
    if not _is_seen(metadata, status):
        return "the cluster has not begun with it yet"
    wanted, updated = _wanted(spec), int(status.get("updatedReplicas") or 0)
    total, available = int(status.get("replicas") or 0), int(status.get("availableReplicas") or 0)
    others = [one for one in pods if one.template != template]
    failure = _condition(status, "ReplicaFailure")
    told = f" ({failure.get('message')})" if failure.get("status") == "True" else ""
    settled = _condition(status, "Progressing").get("reason") == "NewReplicaSetAvailable"
    well = settled and _condition(status, "Available").get("status") == "True"
    if (updated < wanted and not well) or updated == 0:
        return f"{updated} of {wanted} pods are new{told}"
    if total > updated or others:
        left = ", ".join(one.name for one in others) or str(total - updated)
        return f"pods of another template are still there: {left}"
    if not any(one.serves for one in pods if one.template == template):
        return "none of its pods is ready"
    if available < updated and not well:
        return f"{available} of {updated} pods are available{told}"
    return ""


def _is_seen(metadata: Said, status: Said) -> bool:
    """Whether the status speaks of what is asked for now, and not of what was before."""
    return int(status.get("observedGeneration") or 0) >= int(metadata.get("generation") or 0)


def _wanted(spec: Said) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


NO_METRICS = "the cluster has no metrics.k8s.io (metrics-server), which tells processor and memory"
NOT_YET = "metrics.k8s.io does not know its pods yet"


def means_of(metrics: Sequence[Said] | None, pods: set[str], container: str) -> tuple[float | None, int | None, str]:
    """Cores and bytes that the service's container uses, on the average of ``pods``; and why that is not known.

    The average, since an autoscaler changes how many there are: a sum would grow with the traffic and be called a leak.
    """
    if metrics is None:
        return None, None, NO_METRICS
    used = [
        one.get("usage") or {}
        for pod in metrics
        if pod["metadata"]["name"] in pods
        for one in pod.get("containers") or ()
        if one.get("name") == container
    ]
    cores = [value for one in used if (value := quantity(str(one.get("cpu", "")))) is not None]
    memory = [value for one in used if (value := quantity(str(one.get("memory", "")))) is not None]
    if not cores or not memory:
        return None, None, NOT_YET
    return sum(cores) / len(cores), round(sum(memory) / len(memory)), ""
