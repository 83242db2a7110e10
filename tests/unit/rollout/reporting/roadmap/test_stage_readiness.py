"""What the gate found of a stage, and what to fix first."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.readiness import GateKnowledge, KnownVerdict, ServiceRecord, ServiceVerdict
from pytest_py312.core.model.report import Checkout
from pytest_py312.rollout.reporting.roadmap.stage_readiness import (
    group_blockers,
    stage_readiness,
    step_before_deployment,
)
from tests.support.history_samples import (
    BLOCKED,
    ERRORED,
    IMP,
    INCOMPLETE,
    NO_NETWORK,
    PYYAML,
    READY,
    service_record,
)

HERE = Checkout(commit="0d1f6a3c5e7b9d8f", branch="main")


def knowledge(
    *services: ServiceRecord, at: Checkout = HERE, now: Checkout = HERE, same: tuple[str, ...] = (HERE.commit,)
) -> GateKnowledge:
    return GateKnowledge(
        verdicts={
            one.name: KnownVerdict(service=one, origin="r1", ended_at="2025-03-01T12:00:00Z", checkout=at)
            for one in services
        },
        checkout=now,
        same_commits=frozenset(same),
    )


FOUND = knowledge(
    service_record("ready"),
    service_record("blocked", BLOCKED, PYYAML),
    service_record("errored", ERRORED, NO_NETWORK),
    service_record("incomplete", INCOMPLETE, reason="the suite was not run"),
)


def test_each_service_is_in_one_group() -> None:
    readiness = stage_readiness(["ready", "blocked", "errored", "incomplete", "unknown"], FOUND)
    assert (readiness.ready, readiness.blocked, readiness.unknown, readiness.outdated) == (
        ("ready",),
        ("blocked",),
        ("unknown",),
        (),
    )
    assert readiness.unchecked == (("errored", "no network"), ("incomplete", "the suite was not run"))
    assert readiness.summary == "1 ready, 1 blocked, 2 not checked, 1 never checked"
    assert not readiness.is_proven


def test_a_stage_is_proven_if_all_of_its_services_are_ready() -> None:
    readiness = stage_readiness(["ready"], FOUND)
    assert (readiness.is_proven, readiness.proof) == (True, "on 2025-03-01 at 0d1f6a3c")
    assert not stage_readiness([], FOUND).is_proven


@pytest.mark.parametrize(
    ("at", "now", "same", "holds"),
    [
        (HERE, HERE, (HERE.commit,), True),
        (HERE, Checkout(commit="77aa"), (HERE.commit,), True),
        (HERE, Checkout(commit="77aa"), (), False),
        (replace(HERE, modified=True), HERE, (HERE.commit,), False),
        (HERE, replace(HERE, modified=True), (), False),
        (Checkout(), Checkout(), (), True),
        (HERE, Checkout(), (), False),
        (Checkout(), HERE, (HERE.commit,), False),
    ],
)
def test_a_proof_holds_for_the_files_that_it_is_of(
    at: Checkout, now: Checkout, same: tuple[str, ...], holds: bool
) -> None:
    """Also of another commit with the same files. Without git on either side the day is all that can be shown."""
    readiness = stage_readiness(["ready"], knowledge(service_record("ready"), at=at, now=now, same=same))
    assert readiness.is_proven is holds
    assert (step_before_deployment(1, readiness, now) is None) is holds


def test_what_frees_the_most_services_comes_first() -> None:
    blockers = group_blockers({"a": [IMP, PYYAML], "b": [PYYAML], "c": [PYYAML], "d": [IMP]})
    assert [(one.subject, one.services, one.freed) for one in blockers] == [
        ("pyyaml", ("a", "b", "c"), ("b", "c")),
        ("module 'imp' was removed in 3.12", ("a", "d"), ("d",)),
    ]
    assert blockers[0].sentence == "fix pyyaml in 3 services (a, b, c): pyyaml==6.0 -> pyyaml==6.0.1 (verified)"
    assert blockers[1].sentence == (
        "fix PY201 in 2 services (a, d): module 'imp' was removed in 3.12 (remedy: use importlib)"
    )


def test_a_project_with_several_problems_is_one_blocker() -> None:
    import_fails = replace(PYYAML, code="PY105", fingerprint="other", message="it fails on import")
    (blocker,) = group_blockers({"a": [PYYAML], "b": [import_fails]})
    assert blocker.freed == ("a", "b")


SERVICE = st.builds(
    service_record, st.sampled_from("abcdef"), st.sampled_from(ServiceVerdict), st.sampled_from([IMP, PYYAML])
)


@given(st.lists(SERVICE, max_size=5), st.lists(st.sampled_from("abcdef"), unique=True), st.booleans())
def test_a_deployment_follows_only_from_a_proof(services: list[ServiceRecord], names: list[str], is_same: bool) -> None:
    now = Checkout(commit="77aa")
    readiness = stage_readiness(names, knowledge(*services, now=now, same=(HERE.commit,) * is_same))
    assert readiness.count == len(names)
    if names and step_before_deployment(1, readiness, now) is None:
        verdicts = {service.name: service.verdict for service in services}
        assert is_same
        assert all(verdicts.get(name) is READY for name in names)
