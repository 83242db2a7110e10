"""What pods use, as metrics.k8s.io tells it. Pure."""

from collections.abc import Sequence

from pytest_py312.rollout.targets.docker_setup import Said
from pytest_py312.rollout.targets.kubernetes_api import quantity

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
