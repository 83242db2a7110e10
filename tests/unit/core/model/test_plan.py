"""The resolver that a plan and a command line select."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.plan import Plan, with_resolution
from pytest_py312.dependencies.resolution.offline import OfflineResolver
from pytest_py312.dependencies.resolution.pip_tools_resolver import PipToolsResolver
from pytest_py312.dependencies.resolution.resolvers import make_resolver, resolver_description
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from pytest_py312.repository.plan.loader import load_plan
from tests.support.fakes import FakeRunner


def planned(root: Path, text: str) -> Plan:
    (root / "py312.toml").write_text(text)
    return load_plan(root / "py312.toml", today=date(2026, 11, 25))


def test_uv_is_the_default_resolver(tmp_path: Path) -> None:
    plan = planned(tmp_path, "")

    assert (plan.resolver, plan.offline) == ("uv", False)
    assert type(plan) is Plan


@pytest.mark.parametrize(("option", "resolver"), [("", "pip-tools"), ("uv", "uv"), ("pip-tools", "pip-tools")])
def test_the_command_line_overrides_the_plan(tmp_path: Path, option: str, resolver: str) -> None:
    plan = with_resolution(planned(tmp_path, 'resolver = "pip-tools"\nreruns = 7\n'), resolver=option)

    assert (plan.resolver, plan.reruns, plan.source) == (resolver, 7, "py312.toml")


def test_a_change_of_the_plan_keeps_its_resolver(tmp_path: Path) -> None:
    plan = replace(with_resolution(Plan(root=tmp_path), resolver="pip-tools", offline=True), isolation="interpreter")

    assert (plan.resolver, plan.offline) == ("pip-tools", True)


def test_an_unknown_resolver_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="pip-tools"):
        planned(tmp_path, 'resolver = "piptools"\n')


@pytest.mark.parametrize(
    ("resolver", "offline", "kind", "words"),
    [
        ("uv", False, UvResolver, "uv 0.9"),
        ("uv", True, OfflineResolver, "uv 0.9, offline"),
        ("pip-tools", False, PipToolsResolver, "pip-tools 7.6.2 under each interpreter, with uv 0.9"),
        ("pip-tools", True, PipToolsResolver, "pip-tools 7.6.2 under each interpreter, with uv 0.9, offline"),
    ],
)
def test_the_report_header_names_the_resolver(
    tmp_path: Path, resolver: str, offline: bool, kind: type, words: str
) -> None:
    plan = with_resolution(Plan(root=tmp_path), resolver=resolver, offline=offline)
    uv = UvResolver(cache=tmp_path, runner=FakeRunner(), uv_version="0.9", lock_hours=1.0)

    engine = make_resolver(plan, uv, cache=tmp_path, runner=FakeRunner())

    assert type(engine) is kind
    assert engine.offline is offline
    assert engine.describe() == resolver_description(plan, "0.9") == words
    assert isinstance(engine.diagnoser, UvResolver)
    assert engine.diagnoser.offline is offline
