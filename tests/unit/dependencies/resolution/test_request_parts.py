"""What several commands install one after the other becomes one lock."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.format_control import FormatControl
from pytest_py312.dependencies.resolution.lock import (
    DependencyLock,
    Pin,
    ResolutionRequest,
    Unresolvable,
    parts_of,
    resolve_parts,
)
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

ALONE = ResolutionRequest(lines=("a==1",), no_deps=True, position=0)
FIRST = ResolutionRequest(lines=("first",), position=0)


def pin(text: str) -> Pin:
    name, _, version = text.partition("==")
    return Pin(name=name, version=version, line=text)


def resolved(request: ResolutionRequest, answers: Mapping[tuple[str, ...], str]) -> tuple[dict[str, str], list[str]]:
    """The versions of the lock, and the constraints of each resolution; lines without an answer do not resolve."""
    asked = []

    def resolve(part: ResolutionRequest) -> DependencyLock:
        asked.append(" ".join(part.constraints))
        key = (*part.lines, *part.constraints)
        if key not in answers:
            raise Unresolvable([Finding(code="PY101", message="no")])
        return DependencyLock(pins=tuple(map(pin, answers[key].split())))

    return resolve_parts(request, resolve).versions, asked


def test_what_is_installed_is_kept_where_that_is_possible() -> None:
    request = ResolutionRequest(lines=("b",), position=1, others=(ALONE,))
    versions, asked = resolved(request, {("a==1",): "a==1", ("b", "a==1"): "a==1 b==2 c==3"})
    assert versions == {"a": "1", "b": "2", "c": "3"}
    assert asked == ["", "a==1"]


def test_what_is_installed_later_replaces_another_version() -> None:
    """A project that the command names itself may change; the rest stays if it can."""
    request = ResolutionRequest(lines=("b==2",), position=1, others=(FIRST,))
    answers = {("first",): "b==1 c==1", ("b==2", "c==1"): "b==2 c==1"}
    assert resolved(request, answers) == ({"b": "2", "c": "1"}, ["", "b==1 c==1", "c==1"])

    answers = {("first",): "b==1 c==1", ("b==2",): "b==2 c==2"}
    assert resolved(request, answers)[0] == {"b": "2", "c": "2"}


def test_an_installation_without_dependencies_takes_what_its_lines_say() -> None:
    last = ResolutionRequest(lines=("a==2",), no_deps=True, position=2)
    request = ResolutionRequest(lines=("b",), position=1, others=(last,))
    assert resolved(request, {("b",): "a==1 b==1", ("a==2", "b==1"): "a==2"})[0] == {"a": "2", "b": "1"}
    last = ResolutionRequest(lines=("a",), no_deps=True, position=2)
    request = ResolutionRequest(lines=("b",), position=1, others=(last,))
    assert resolved(request, {("b",): "a==1 b==1", ("a", "a==1", "b==1"): "a==1"})[0] == {"a": "1", "b": "1"}


def test_a_part_that_does_not_resolve_blocks_the_set() -> None:
    with pytest.raises(Unresolvable):
        resolved(ResolutionRequest(lines=("b",), position=1, others=(ALONE,)), {("b",): "b==1"})


def test_parts_without_lines_are_left_out() -> None:
    request = ResolutionRequest(lines=(), position=1, others=(ALONE,))
    assert parts_of(request) == (ALONE,)
    assert parts_of(ResolutionRequest(lines=())) == (ResolutionRequest(lines=()),)


def asked_of_uv(folder: Path, request: ResolutionRequest, *answers: CommandResult) -> tuple[DependencyLock, list[str]]:
    runner = FakeRunner(answers=list(answers))
    uv = UvResolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=1.0)
    return uv.resolve(request, build_of()), [" ".join(argv) for argv in runner.tools]


def test_uv_installs_with_the_settings(tmp_path: Path) -> None:
    request = ResolutionRequest(
        lines=("a==1",), no_deps=True, best_match=True, formats=FormatControl(source_only=frozenset({"a"}))
    )
    lock, (argv,) = asked_of_uv(tmp_path, request, command_run_of("a==1\n"))
    assert "--no-deps" in argv
    assert "--index-strategy unsafe-best-match" in argv
    assert "--no-binary a" in argv
    assert [found.from_source for found in lock.pins] == [True]


def test_a_project_that_must_not_be_built_blocks_the_set(tmp_path: Path) -> None:
    request = ResolutionRequest(lines=("a==1",), formats=FormatControl(wheel_only=frozenset({":all:"})))
    refusal = command_run_of(
        stderr="error: No solution found when resolving dependencies\n  cause: Because a==1 has no usable wheels and "
        "you require a==1, we can conclude that your requirements are unsatisfiable.",
        exit_code=1,
    )
    with pytest.raises(Unresolvable):
        asked_of_uv(tmp_path, request, refusal)


def test_everything_is_built_if_no_wheel_may_be_used(tmp_path: Path) -> None:
    formats = FormatControl(source_only=frozenset({":all:"}), wheel_only=frozenset({"b"}))
    request = ResolutionRequest(lines=("a", "b"), formats=formats)
    lock, (argv,) = asked_of_uv(tmp_path, request, command_run_of("a==1\nb==1\n"))
    assert "--no-binary :all: --only-binary b" in argv
    assert {found.name: found.from_source for found in lock.pins} == {"a": True, "b": False}
