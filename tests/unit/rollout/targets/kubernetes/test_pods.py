"""What a cluster tells of a Deployment: its template, its pods, how far it has come, what it uses."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.rollout.targets.kubernetes.pod_template import (
    container_in,
    digest_of,
    image_in,
    selector_text,
    with_image,
)
from pytest_py312.rollout.targets.kubernetes.pods import NO_METRICS, NOT_YET, Pod, means_of, pods_of, readiness_of
from pytest_py312.rollout.targets.target import Phase, Readiness, TargetRefused

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "user"}, "creationTimestamp": None},
    "spec": {"containers": [{"name": "app", "image": "shop/user:3.12"}]},
}
DIGEST = digest_of(TEMPLATE)
OTHER = "0" * 64


# ---- the template


def test_a_template_is_the_same_whoever_tells_it() -> None:
    """Servers write out or leave out what has no value; the controller adds a label of its own."""
    told: dict[str, Any] = {
        "spec": {"containers": [{"image": "shop/user:3.12", "name": "app", "resources": None}]},
        "metadata": {"labels": {"pod-template-hash": "abc", "app": "user"}},
    }
    assert digest_of(told) == DIGEST
    assert told["metadata"]["labels"]["pod-template-hash"] == "abc"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_whatever_else_a_template_has_a_new_image_leaves_it(more: Any) -> None:
    before = {**TEMPLATE, "more": more}
    kept = copy.deepcopy(before)
    made = with_image(before, "", image="shop/user:3.13", run="r1")
    assert before == kept
    assert made["more"] == more
    assert image_in(made) == "shop/user:3.13"
    assert digest_of(made) != digest_of(before)
    assert digest_of(with_image(before, "", image="shop/user:3.13", run="r2")) != digest_of(made)


def test_which_container_is_the_services() -> None:
    two = {"spec": {"containers": [{"name": "app"}, {"name": "mesh"}]}}
    assert container_in(two, "mesh")["name"] == "mesh"
    assert container_in(TEMPLATE)["name"] == "app"
    with pytest.raises(TargetRefused, match=r"several containers \(app, mesh\)"):
        container_in(two)
    with pytest.raises(TargetRefused, match="no container x; they have app, mesh"):
        container_in(two, "x")


def test_a_selector_in_words() -> None:
    selector = {
        "matchLabels": {"app": "user", "a": "b"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["web", "api"]},
            {"key": "canary", "operator": "DoesNotExist"},
            {"key": "x", "operator": "NotIn", "values": ["y"]},
            {"key": "z", "operator": "Exists"},
        ],
    }
    assert selector_text(selector) == "a=b,app=user,tier in (web,api),!canary,x notin (y),z"


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
    return pods_of(deployment, sets, pods, "app")


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
        ({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}, "app was killed for want of memory"),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
            "app is in CrashLoopBackOff, it ended with exit code 137, killed for want of memory",
        ),
    ],
)
def test_what_keeps_a_pod_from_serving(status: dict[str, Any], trouble: str) -> None:
    (found,) = read(pod(containerStatuses=[container(**status)]))
    assert found.trouble == trouble


def test_a_container_that_prepares_a_pod_may_end_well() -> None:
    first = [{"name": "migrate", "state": {"terminated": {"exitCode": 0}}}]
    assert read(pod(initContainerStatuses=first))[0].trouble == ""
    first[0]["state"]["terminated"]["exitCode"] = 1  # type: ignore[index]  # a dict, by the line above
    assert read(pod(initContainerStatuses=first))[0].trouble == "migrate has ended with exit code 1"


def test_pods_of_others_and_those_that_are_over_do_not_count() -> None:
    stray = pod("stray")
    stray["metadata"]["ownerReferences"] = []
    assert [one.name for one in read(pod(), stray, pod("over", phase="Failed"))] == ["user-1"]


def test_what_is_counted_of_a_pod() -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    (found,) = read(pod(containerStatuses=[container(restartCount=2, lastState=last, state={"running": {}})]))
    assert (found.restarts, found.out_of_memory, found.exit_code, found.ready) == (2, True, 137, False)
    assert found.template == DIGEST


# ---- how far it has come

NEW = Pod(name="new", template=DIGEST, ready=True, image_id="shop/user@sha256:1")
OLD = Pod(name="old", template=OTHER, ready=True)


def said(
    *pods: Pod, spec: dict[str, Any] | None = None, conditions: list[dict[str, str]] | None = None, **status: Any
) -> Readiness:
    """Of a complete rollout of two pods, but for what is given."""
    counted = {"observedGeneration": 5, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    deployment = {
        "metadata": {"generation": 5},
        "spec": {"replicas": 2, "template": TEMPLATE, **(spec or {})},
        "status": {**counted, "conditions": conditions or [], **status},
    }
    return readiness_of(deployment, pods or (NEW, NEW), DIGEST, probed=True)


SETTLED = [
    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
    {"type": "Available", "status": "True"},
]


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (said(observedGeneration=4), "the cluster has not begun with it yet"),
        (said(updatedReplicas=1), "1 of 2 pods are new"),
        (said(replicas=3), "pods of another template are still there: 1"),
        (said(NEW, NEW, OLD), "pods of another template are still there: old"),
        (said(availableReplicas=1), "1 of 2 pods are available"),
        (said(Pod(name="new", template=DIGEST)), "none of its pods is ready"),
        (said(updatedReplicas=0, conditions=SETTLED), "0 of 2 pods are new"),
        (
            said(
                updatedReplicas=1,
                conditions=[{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}],
            ),
            "1 of 2 pods are new (exceeded quota)",
        ),
        (
            said(Pod(name="new", template=DIGEST, waits_for="0/3 nodes are available"), updatedReplicas=1),
            "1 of 2 pods are new; new: 0/3 nodes are available",
        ),
    ],
)
def test_what_is_not_complete_is_not_ready(found: Readiness, detail: str) -> None:
    assert (found.phase, found.detail) == (Phase.STARTING, detail)


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (said(spec={"template": {"spec": {"containers": []}}}), "its template was changed by somebody else"),
        (said(spec={"replicas": 0}), "it is scaled to no pod at all"),
        (said(spec={"paused": True}, updatedReplicas=0), "0 of 2 pods are new, and its rollout is paused; "
                                                         "`kubectl rollout resume` lets it go on"),
        (said(Pod(name="new", template=DIGEST, trouble="app is in CrashLoopBackOff")),
         "pod new: app is in CrashLoopBackOff"),
        (said(updatedReplicas=1, conditions=[
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]),
         "ProgressDeadlineExceeded: timed out"),
        (said(NEW, Pod(name="b", template=DIGEST, ready=True, image_id="shop/user@sha256:2")),
         "its pods run different images of one name (shop/user@sha256:1, shop/user@sha256:2); name it by its digest"),
    ],
)  # fmt: skip
def test_what_cannot_become_ready(found: Readiness, detail: str) -> None:
    assert (found.phase, found.detail) == (Phase.BROKEN, detail)


def test_the_deadline_of_an_earlier_rollout_is_none_of_this_one() -> None:
    missed = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]
    assert said(observedGeneration=4, conditions=missed).phase is Phase.STARTING


@pytest.mark.parametrize(
    "found",
    [
        said(),
        said(spec={"paused": True}),
        said(NEW, Pod(name="gone", template=DIGEST, ready=True, ending=True, trouble="it was told to")),
        said(availableReplicas=1, conditions=SETTLED),
        said(updatedReplicas=1, replicas=1, availableReplicas=1, conditions=SETTLED),
    ],
)
def test_once_complete_it_is_ready_while_the_cluster_calls_it_available(found: Readiness) -> None:
    assert found.phase is Phase.READY


@given(
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(4, 5), st.booleans(),
    st.lists(st.sampled_from([NEW, OLD, Pod(name="x", template=OTHER, ending=True)]), max_size=4),
)  # fmt: skip
def test_two_templates_at_once_are_never_ready(
    updated: int, total: int, available: int, seen: int, settled: bool, pods: list[Pod]
) -> None:
    found = said(
        *pods, OLD, updatedReplicas=updated, replicas=total, availableReplicas=available, observedGeneration=seen,
        conditions=SETTLED if settled else [],
    )  # fmt: skip
    assert found.phase is not Phase.READY


# ---- what it uses


def metrics(name: str, cpu: str, memory: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "containers": [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}]}


def test_what_is_used_is_the_average_of_its_own_pods() -> None:
    told = [metrics("a", "250m", "100Mi"), metrics("b", "750000000n", "300Mi"), metrics("other", "9", "9Gi")]
    assert means_of(told, {"a", "b"}, "app") == (0.5, 200 * 2**20, "")


def test_without_metrics_nothing_is_measured_and_that_is_told() -> None:
    assert means_of(None, {"a"}, "app") == (None, None, NO_METRICS)
    assert means_of([], {"a"}, "app") == (None, None, NOT_YET)
    assert means_of([metrics("a", "much", "1Mi")], {"a"}, "app") == (None, None, NOT_YET)
    assert means_of([metrics("a", "1", "1Mi")], {"a"}, "mesh") == (None, None, NOT_YET)
