"""Pod templates, and the readiness and usage of pods."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.targets.kubernetes.pod_template import (
    container_image,
    find_container,
    format_selector,
    template_digest,
    with_image,
)
from pytest_py312.rollout.targets.kubernetes.pods import (
    METRICS_PENDING,
    NO_METRICS_SERVER,
    Pod,
    average_usage,
    deployment_readiness,
    parse_pods,
)
from pytest_py312.rollout.targets.target import Readiness, ReadinessPhase, TargetRefused

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "user"}, "creationTimestamp": None},
    "spec": {"containers": [{"name": "app", "image": "shop/user:3.12"}]},
}
DIGEST = template_digest(TEMPLATE)
OTHER = "0" * 64


# ---- the template


def test_a_template_digest_ignores_what_servers_add() -> None:
    """Servers write out or leave out what has no value; the controller adds a label of its own."""
    template: dict[str, Any] = {
        "spec": {"containers": [{"image": "shop/user:3.12", "name": "app", "resources": None}]},
        "metadata": {"labels": {"pod-template-hash": "abc", "app": "user"}},
    }
    assert template_digest(template) == DIGEST
    assert template["metadata"]["labels"]["pod-template-hash"] == "abc"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_a_new_image_leaves_the_rest_of_a_template_unchanged(more: Any) -> None:
    template = {**TEMPLATE, "more": more}
    kept = copy.deepcopy(template)
    made = with_image(template, "", image="shop/user:3.13", run="r1")
    assert template == kept
    assert made["more"] == more
    assert container_image(made) == "shop/user:3.13"
    assert template_digest(made) != template_digest(template)
    assert template_digest(with_image(template, "", image="shop/user:3.13", run="r2")) != template_digest(made)


def test_the_container_of_the_service_is_found() -> None:
    two = {"spec": {"containers": [{"name": "app"}, {"name": "mesh"}]}}
    assert find_container(two, "mesh")["name"] == "mesh"
    assert find_container(TEMPLATE)["name"] == "app"
    with pytest.raises(TargetRefused, match=r"several containers \(app, mesh\)"):
        find_container(two)
    with pytest.raises(TargetRefused, match="no container x, only app, mesh"):
        find_container(two, "x")


def test_selectors_are_formatted_for_the_api() -> None:
    selector = {
        "matchLabels": {"app": "user", "a": "b"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["web", "api"]},
            {"key": "canary", "operator": "DoesNotExist"},
            {"key": "x", "operator": "NotIn", "values": ["y"]},
            {"key": "z", "operator": "Exists"},
        ],
    }
    assert format_selector(selector) == "a=b,app=user,tier in (web,api),!canary,x notin (y),z"


# ---- pods


def pod(name: str = "user-1", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "ownerReferences": [{"uid": "rs", "controller": True}]},
        "status": {"phase": "Running", **status},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"name": "app", "restartCount": 0, "imageID": "shop/user@sha256:1", **state}


def read(*pods: dict[str, Any]) -> tuple[Pod, ...]:
    deployment = {"metadata": {"uid": "d"}}
    sets = [
        {
            "metadata": {"uid": "rs", "ownerReferences": [{"uid": "d", "controller": True}]},
            "spec": {"template": TEMPLATE},
        }
    ]
    return parse_pods(deployment, sets, pods, "app")


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, ""),
        ({"state": {"waiting": {"reason": "ErrImagePull", "message": "try again"}}}, ""),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "manifest unknown"}}},
            "app is in ImagePullBackOff: manifest unknown",
        ),
        ({"state": {"terminated": {"exitCode": 3}}}, "app has ended with exit code 3"),
        ({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}, "app was killed: out of memory"),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
            "app is in CrashLoopBackOff, it ended with exit code 137, killed: out of memory",
        ),
    ],
)
def test_failure_reasons_of_pods(status: dict[str, Any], trouble: str) -> None:
    (found,) = read(pod(containerStatuses=[container(**status)]))
    assert found.failure_reason == trouble


def test_an_init_container_may_succeed() -> None:
    first = [{"name": "migrate", "state": {"terminated": {"exitCode": 0}}}]
    assert read(pod(initContainerStatuses=first))[0].failure_reason == ""
    first[0]["state"]["terminated"]["exitCode"] = 1  # type: ignore[index]  # a dict, by the line above
    assert read(pod(initContainerStatuses=first))[0].failure_reason == "migrate has ended with exit code 1"


def test_foreign_and_finished_pods_do_not_count() -> None:
    stray = pod("stray")
    stray["metadata"]["ownerReferences"] = []
    assert [one.name for one in read(pod(), stray, pod("over", phase="Failed"))] == ["user-1"]


def test_restarts_and_exit_codes_of_a_pod() -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    (found,) = read(pod(containerStatuses=[container(restartCount=2, lastState=last, state={"running": {}})]))
    assert (found.restarts, found.out_of_memory, found.exit_code, found.ready) == (2, True, 137, False)
    assert found.template == DIGEST


# ---- readiness

NEW = Pod(name="new", template=DIGEST, ready=True, image_id="shop/user@sha256:1")
OLD = Pod(name="old", template=OTHER, ready=True)


def readiness_with(
    *pods: Pod, spec: dict[str, Any] | None = None, conditions: list[dict[str, str]] | None = None, **status: Any
) -> Readiness:
    """Readiness of a complete rollout of two pods, changed by the arguments."""
    counted = {"observedGeneration": 5, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    deployment = {
        "metadata": {"generation": 5},
        "spec": {"replicas": 2, "template": TEMPLATE, **(spec or {})},
        "status": {**counted, "conditions": conditions or [], **status},
    }
    return deployment_readiness(deployment, pods or (NEW, NEW), DIGEST, is_probed=True)


SETTLED = [
    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    {"type": "Available", "status": "True"},
]


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (readiness_with(observedGeneration=4), "the cluster has not started the rollout yet"),
        (readiness_with(updatedReplicas=1), "1 of 2 pods are new"),
        (readiness_with(replicas=3), "pods of another template still exist: 1"),
        (readiness_with(NEW, NEW, OLD), "pods of another template still exist: old"),
        (readiness_with(availableReplicas=1), "1 of 2 pods are available"),
        (readiness_with(Pod(name="new", template=DIGEST)), "none of its pods are ready"),
        (readiness_with(updatedReplicas=0, conditions=SETTLED), "0 of 2 pods are new"),
        (
            readiness_with(
                updatedReplicas=1,
                conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}],
            ),
            "1 of 2 pods are new (exceeded quota)",
        ),
        (
            readiness_with(
                Pod(name="new", template=DIGEST, waiting_reason="0/3 nodes are available"), updatedReplicas=1
            ),
            "1 of 2 pods are new; new: 0/3 nodes are available",
        ),
    ],
)
def test_an_incomplete_rollout_is_not_ready(found: Readiness, detail: str) -> None:
    assert (found.phase, found.detail) == (ReadinessPhase.STARTING, detail)


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (readiness_with(spec={"template": {"spec": {"containers": []}}}), "its template was changed by someone else"),
        (readiness_with(spec={"replicas": 0}), "it is scaled to zero pods"),
        (readiness_with(spec={"paused": True}, updatedReplicas=0), "0 of 2 pods are new, and its rollout is paused; "
                                                         "continue it with `kubectl rollout resume`"),
        (readiness_with(Pod(name="new", template=DIGEST, failure_reason="app is in CrashLoopBackOff")),
         "pod new: app is in CrashLoopBackOff"),
        (readiness_with(updatedReplicas=1, conditions=[
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]),
         "ProgressDeadlineExceeded: timed out"),
        (readiness_with(NEW, Pod(name="b", template=DIGEST, ready=True, image_id="shop/user@sha256:2")),
         "its pods run different images under one tag (shop/user@sha256:1, shop/user@sha256:2); "
         "give the image by digest"),
    ],
)  # fmt: skip
def test_a_rollout_that_cannot_complete_is_broken(found: Readiness, detail: str) -> None:
    assert (found.phase, found.detail) == (ReadinessPhase.BROKEN, detail)


def test_the_deadline_of_an_earlier_rollout_is_ignored() -> None:
    missed = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]
    assert readiness_with(observedGeneration=4, conditions=missed).phase is ReadinessPhase.STARTING


@pytest.mark.parametrize(
    "found",
    [
        readiness_with(),
        readiness_with(spec={"paused": True}),
        readiness_with(
            NEW, Pod(name="gone", template=DIGEST, ready=True, is_terminating=True, failure_reason="it was terminated")
        ),
        readiness_with(availableReplicas=1, conditions=SETTLED),
        readiness_with(updatedReplicas=1, replicas=1, availableReplicas=1, conditions=SETTLED),
    ],
)
def test_a_completed_rollout_stays_ready_while_available(found: Readiness) -> None:
    assert found.phase is ReadinessPhase.READY


@given(
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(4, 5), st.booleans(),
    st.lists(st.sampled_from([NEW, OLD, Pod(name="x", template=OTHER, is_terminating=True)]), max_size=4),
)  # fmt: skip
def test_two_templates_at_once_are_never_ready(
    updated: int, total: int, available: int, seen: int, settled: bool, pods: list[Pod]
) -> None:
    readiness = readiness_with(
        *pods, OLD, updatedReplicas=updated, replicas=total, availableReplicas=available, observedGeneration=seen,
        conditions=SETTLED if settled else [],
    )  # fmt: skip
    assert readiness.phase is not ReadinessPhase.READY


# ---- usage


def metrics(name: str, cpu: str, memory: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "containers": [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}]}


def test_usage_is_the_average_of_its_own_pods() -> None:
    pod_metrics = [metrics("a", "250m", "100Mi"), metrics("b", "750000000n", "300Mi"), metrics("other", "9", "9Gi")]
    assert average_usage(pod_metrics, {"a", "b"}, "app") == (0.5, 200 * 2**20, "")


def test_without_metrics_usage_is_unknown_with_a_reason() -> None:
    assert average_usage(None, {"a"}, "app") == (None, None, NO_METRICS_SERVER)
    assert average_usage([], {"a"}, "app") == (None, None, METRICS_PENDING)
    assert average_usage([metrics("a", "much", "1Mi")], {"a"}, "app") == (None, None, METRICS_PENDING)
    assert average_usage([metrics("a", "1", "1Mi")], {"a"}, "mesh") == (None, None, METRICS_PENDING)
