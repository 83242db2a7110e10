"""Which workers can take which services."""

from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.plan import Plan, ServiceSettings
from pytest_py312.gate.cluster.placement import (
    ServiceNeeds,
    cannot_be_placed,
    choose_runner,
    differing_interpreters,
    missing,
    needs_of,
    refusal,
)
from tests.support.fakes import build_of, service
from tests.unit.gate.cluster.worker_facts import PYTHON, TOOL, facts_of, pythons


@pytest.mark.parametrize(
    ("changes", "offset", "reason"),
    [
        ({}, 0.0, ""),
        ({}, 59.0, ""),
        ({"tool": "0.9 (abc)"}, 0.0, "it has pytest-py312 0.9 (abc), and this run is by 1.0 (abc)"),
        ({"python": "3.13"}, 0.0, "it runs Python 3.13, and this run Python 3.11"),
        ({}, 3600.0, "its clock is 1 h ahead"),
        ({}, -120.0, "its clock is 2 m behind"),
    ],
)
def test_a_worker_that_would_judge_differently_is_refused(changes: dict[str, str], offset: float, reason: str) -> None:
    text = refusal(facts_of("3.12", **changes), tool=TOOL, python=PYTHON, clock_offset=offset)
    assert text.startswith(reason)
    assert bool(text) == bool(reason)


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({"house_rules": "abc"}, ""),
        ({"house_rules": "abd"}, "its plugin house_rules has other code than that of this run"),
        ({"house_rules": ""}, "it has no module house_rules, a plugin of this run"),
        ({}, "it has no module house_rules, a plugin of this run"),
    ],
)
def test_a_worker_with_other_plugins_is_refused(there: dict[str, str], reason: str) -> None:
    facts, here = facts_of("3.12", plugins=there), {"house_rules": "abc"}
    text = refusal(facts, tool=TOOL, python=PYTHON, clock_offset=0.0, plugins=here)
    assert text.partition(":")[0] == reason


def test_baseline_and_target_are_always_needed() -> None:
    """The tests of a cell are compared with the baseline, and the source is checked for the target."""
    plan = Plan(root=Path("/"))
    needs = needs_of(plan, service(baseline=Interpreter(3, 9)), [Interpreter(3, 11)])
    assert needs == ServiceNeeds(interpreters=pythons("3.9", "3.11", "3.12"), memory=0)


def test_more_memory_than_usual_is_needed_if_the_plan_says_so() -> None:
    plan, settings = Plan(root=Path("/")), ServiceSettings(memory_limit=16 * 1024**3)
    assert needs_of(plan, service(settings=settings), []).memory == 16 * 1024**3


@pytest.mark.parametrize(
    ("runner", "fetches", "needs", "text"),
    [
        ("local", False, ServiceNeeds(interpreters=pythons("3.11", "3.12"), memory=0), ""),
        ("local", False, ServiceNeeds(interpreters=pythons("3.8", "3.9"), memory=0), "it has no Python 3.8 and 3.9"),
        ("local", True, ServiceNeeds(interpreters=pythons("3.8"), memory=0), ""),
        ("docker", False, ServiceNeeds(interpreters=pythons("3.8"), memory=0), "no Docker engine answers"),
        (
            "local",
            False,
            ServiceNeeds(interpreters=pythons("3.12"), memory=16 * 1024**3),
            "it has 8 GiB of memory, and the plan allows 16 GiB",
        ),
    ],
)
def test_what_a_worker_lacks(runner: str, fetches: bool, needs: ServiceNeeds, text: str) -> None:
    assert missing(facts_of("3.11", "3.12"), needs, runner=runner, fetches=fetches) == text


def test_auto_is_docker_if_a_worker_has_an_engine() -> None:
    with_engine, without = facts_of(engine="28.0"), facts_of()
    assert choose_runner("auto", [without, with_engine]) == "docker"
    assert choose_runner("auto", [without]) == "local"
    assert choose_runner("local", [with_engine]) == "local"


def test_a_service_that_nobody_can_take_names_what_each_worker_lacks() -> None:
    lacks = {"a": "it has no Python 3.9", "b": "it has no Python 3.9", "c": "no Docker engine answers"}
    assert cannot_be_placed(lacks) == (
        "no worker of the cluster can check it: a, b: it has no Python 3.9; c: no Docker engine answers"
    )


def test_different_builds_of_an_interpreter_are_named() -> None:
    other = facts_of(interpreters=(build_of("3.12", patch=9),))
    sentences = differing_interpreters({"a": facts_of("3.11", "3.12"), "b": other})
    assert len(sentences) == 1
    assert sentences[0].startswith("Python 3.12 is not the same on all workers: 3.12.1")
    assert "on b" in sentences[0]
