"""Which resolver a plan and a command line come to."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.plan import Plan, is_offline, plan_with, resolver_of
from pytest_py312.dependencies.resolution.offline import OfflineResolver
from pytest_py312.dependencies.resolution.pip_tools_resolver import PipTools
from pytest_py312.dependencies.resolution.resolvers import engine_in_words, engine_of
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from pytest_py312.repository.plan.loader import load_plan
from tests.support.fakes import FakeRunner


def planned(root: Path, text: str) -> Plan:
    (root / "py312.toml").write_text(text)
    return load_plan(root / "py312.toml", today=date(2026, 11, 25))


def test_uv_is_taken_where_nothing_is_said(tmp_path: Path) -> None:
    plan = planned(tmp_path, "")

    assert (resolver_of(plan), is_offline(plan)) == ("uv", False)
    assert type(plan) is Plan


@pytest.mark.parametrize(("option", "resolver"), [("", "pip-tools"), ("uv", "uv"), ("pip-tools", "pip-tools")])
def test_the_command_line_goes_before_the_plan(tmp_path: Path, option: str, resolver: str) -> None:
    plan = plan_with(planned(tmp_path, 'resolver = "pip-tools"\nreruns = 7\n'), resolver=option)

    assert (resolver_of(plan), plan.reruns, plan.source) == (resolver, 7, "py312.toml")


def test_a_change_of_the_plan_keeps_its_resolver(tmp_path: Path) -> None:
    plan = replace(plan_with(Plan(root=tmp_path), resolver="pip-tools", offline=True), isolation="interpreter")

    assert (resolver_of(plan), is_offline(plan)) == ("pip-tools", True)


def test_another_resolver_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="pip-tools"):
        planned(tmp_path, 'resolver = "piptools"\n')


@pytest.mark.parametrize(
    ("resolver", "offline", "kind", "words"),
    [
        ("uv", False, Resolver, "uv 0.9"),
        ("uv", True, OfflineResolver, "uv 0.9, offline"),
        ("pip-tools", False, PipTools, "pip-tools 7.6.2 under each interpreter, with uv 0.9"),
        ("pip-tools", True, PipTools, "pip-tools 7.6.2 under each interpreter, with uv 0.9, offline"),
    ],
)
def test_the_engine_is_what_the_header_says(
    tmp_path: Path, resolver: str, offline: bool, kind: type, words: str
) -> None:
    plan = plan_with(Plan(root=tmp_path), resolver=resolver, offline=offline)
    uv = Resolver(cache=tmp_path, runner=FakeRunner(), uv_version="0.9", lock_hours=1.0)

    engine = engine_of(plan, uv, cache=tmp_path, runner=FakeRunner())

    assert type(engine) is kind
    assert engine.offline is offline
    assert engine.describe() == engine_in_words(plan, "0.9") == words
    assert isinstance(engine.uv, Resolver)
    assert engine.uv.offline is offline
