"""What several commands install one after the other becomes one lock."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult
from pytest_py312.dependencies.resolution.format_control import FormatControl
from pytest_py312.dependencies.resolution.install_sequence import parts_of, resolve_parts
from pytest_py312.dependencies.resolution.lock import (
    DependencyLock,
    LockCache,
    Pin,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
    may_go_back,
)
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

ALONE = ResolutionRequest(lines=("a==1",), no_deps=True, position=0)
FIRST = ResolutionRequest(lines=("first",), position=0)


def pin(text: str) -> Pin:
    name, _, version = text.partition("==")
    return Pin(name=name, version=version, line=text)


def resolved(request: ResolutionRequest, answers: Mapping[tuple[str, ...], str]) -> tuple[dict[str, str], list[str]]:
    """The versions of the lock, and what is installed at each resolution; lines without an answer do not resolve."""
    asked = []

    def resolve(part: ResolutionRequest) -> DependencyLock:
        asked.append(" ".join(part.installed))
        if part.lines not in answers:
            raise Unresolvable([Finding(code="PY101", message="no")])
        return DependencyLock(pins=tuple(map(pin, answers[part.lines].split())))

    return resolve_parts(request, resolve).versions, asked


def test_what_is_installed_is_preferred(tmp_path: Path) -> None:
    request = ResolutionRequest(lines=("b",), position=1, others=(ALONE,))
    answers: dict[tuple[str, ...], str] = {("a==1",): "a==1", ("b",): "a==1 b==2 c==3"}
    versions, asked = resolved(request, answers)
    assert versions == {"a": "1", "b": "2", "c": "3"}
    assert asked == ["", "a==1"]


def test_what_is_installed_later_replaces_another_version() -> None:
    request = ResolutionRequest(lines=("b==2",), position=1, others=(FIRST,))
    answers: dict[tuple[str, ...], str] = {("first",): "b==1 c==1", ("b==2",): "b==2"}
    assert resolved(request, answers) == ({"b": "2", "c": "1"}, ["", "b==1 c==1"])


def test_a_source_that_is_replaced_later_is_built_before() -> None:
    """pip stops at the first command if the version of that one does not build."""
    old, new = replace(pin("b==1"), from_source=True), pin("b==2")

    def resolve(part: ResolutionRequest) -> DependencyLock:
        return DependencyLock(pins=(old, pin("c==1")) if part.lines == FIRST.lines else (new,))

    lock = resolve_parts(ResolutionRequest(lines=("b==2",), position=1, others=(FIRST,)), resolve)

    assert lock.pins == (new, pin("c==1"))
    assert lock.replaced == (old,)


def test_a_lock_in_the_cache_keeps_what_is_replaced(tmp_path: Path) -> None:
    lock = DependencyLock(pins=(pin("b==2"),), created=clock.timestamp(), replaced=(pin("b==1"),))
    cache = LockCache(cache=tmp_path, lock_hours=1.0)
    cache.put("key", lock)
    assert cache.get("key", FIRST) == lock


def test_what_a_command_upgrades_is_not_preferred_as_it_is() -> None:
    request = ResolutionRequest(lines=("b",), position=1, upgrade=True, others=(FIRST,))
    answers: dict[tuple[str, ...], str] = {("first",): "b==1 c==1", ("b",): "b==2"}
    assert resolved(request, answers)[1] == ["", "c==1"]


def kept_or_not(requires: Mapping[str, str], *, fits: bool = True, other: str = "z") -> dict[str, str]:
    """Lock ``a==1`` and then ``top``, for which a resolver takes the newest of ``a`` and of another distribution.

    :param requires: what the newest version of the other one is locked with.
    :param fits: whether ``top`` allows ``a==1`` at all.
    """

    def resolve(part: ResolutionRequest) -> DependencyLock:
        lines = {("a==1",): "a==1", (f"{other}==9",): f"{other}==9 {' '.join(requires.values())}"}
        if part.lines in lines:
            return DependencyLock(pins=tuple(map(pin, lines[part.lines].split())))
        if not part.constraints:
            return DependencyLock(pins=tuple(map(pin, ("a==9", "top==2", f"{other}==9"))))
        assert part.constraints == ("top==2", "a==1")
        if not fits:
            raise Unresolvable([Finding(code="PY101", message="no")])
        return DependencyLock(pins=tuple(map(pin, ("a==1", "top==2", f"{other}==1"))))

    first = ResolutionRequest(lines=("a==1",), position=0)
    return resolve_parts(ResolutionRequest(lines=("top",), position=1, others=(first,)), resolve).versions


def test_a_version_of_an_earlier_command_stays_where_pip_keeps_it() -> None:
    """Both need different versions of a third one: pip goes back for what is installed."""
    assert kept_or_not({"core": "core==2"}) == {"a": "1", "top": "2", "z": "1"}


def test_a_version_of_an_earlier_command_that_a_newer_one_excludes_is_replaced() -> None:
    assert kept_or_not({"a": "a==9"}) == {"a": "9", "top": "2", "z": "9"}


def test_a_version_of_an_earlier_command_that_does_not_fit_is_replaced() -> None:
    """What is required directly does not allow it, or a name before it was chosen first."""
    assert kept_or_not({}, fits=False) == {"a": "9", "top": "2", "z": "9"}
    assert kept_or_not({}, other="0first")["a"] == "9"


def test_an_installed_version_keeps_its_own_source() -> None:
    """From git, for example: pip does not install the same version again."""
    from_git = replace(pin("a==1"), line="a @ git+https://example.org/a@1")

    def resolve(part: ResolutionRequest) -> DependencyLock:
        return DependencyLock(pins=(from_git,) if part.lines == FIRST.lines else (pin("a==1"), pin("b==2")))

    lock = resolve_parts(ResolutionRequest(lines=("b",), position=1, others=(FIRST,)), resolve)

    assert lock.pins == (from_git, pin("b==2"))
    assert lock.replaced == ()


def provided(newest: str, fitting: str = "", *, first: str = "b==1") -> tuple[dict[str, str], tuple[str, ...]]:
    """Lock ``first``, and what a platform provides; return the versions, and the bounds of those that have to fit.

    :param newest: the versions without what they require; ``fitting``: those of the same minor version with it.
    """
    bounds: list[str] = []

    def resolve(part: ResolutionRequest) -> DependencyLock:
        answer = (newest if part.no_deps else fitting) if part.provided else first
        if part.provided:
            assert first in part.constraints
            bounds.extend(line for line in part.constraints if line != first)
        if not answer:
            raise Unresolvable([Finding(code="PY101", message="no")])
        return DependencyLock(pins=tuple(map(pin, answer.split())))

    platform = ResolutionRequest(lines=("b", "boto3"), position=1, provided=True)
    lock = resolve_parts(ResolutionRequest(lines=("b",), others=(platform,)), resolve)
    return lock.versions, tuple(bounds)


def test_what_a_platform_provides_replaces_nothing() -> None:
    """It fits to what is required, or stands beside it."""
    assert provided("boto3==3.4.1 b==1", "boto3==3.4.0 c==1 b==1") == (
        {"b": "1", "c": "1", "boto3": "3.4.0"},
        ("boto3>=3.4",),
    )
    assert provided("boto3==3 b==2", "boto3==3 b==2") == ({"b": "1", "boto3": "3"}, ("boto3>=3",))


def test_a_platform_does_not_go_back_to_versions_that_fit() -> None:
    """Of the first ones there are only sources, each of which would be built to see what it requires."""
    assert provided("boto3==4.2") == ({"b": "1", "boto3": "4.2"}, ("boto3>=4.2",))


def test_a_platform_whose_packages_cannot_be_had_blocks_nothing() -> None:
    with pytest.raises(Undetermined, match=r"what the platform provides cannot be resolved: .*no"):
        provided("")


def test_uv_gets_what_is_installed_as_an_existing_lock(tmp_path: Path) -> None:
    written = []

    class Writing(FakeRunner):
        def run_tool(self, build: InterpreterBuild, argv: Sequence[str], **options: Any) -> CommandResult:
            if "--output-file" in argv:
                file = Path(argv[argv.index("--output-file") + 1])
                written.append(file.read_text(encoding="utf-8"))
                file.write_text("b==2\n", encoding="utf-8")
                return command_run_of()
            return super().run_tool(build, argv, **options)

    uv = UvResolver(
        cache=tmp_path, runner=Writing(answers=[command_run_of("a==1\n")]), uv_version="0.9.0", lock_hours=1.0
    )
    request = ResolutionRequest(lines=("b==2",), position=1, others=(ALONE,))
    assert uv.resolve(request, build_of()).versions == {"a": "1", "b": "2"}
    assert written == ["a==1\n"]


# ---- newest versions

OPEN = ResolutionRequest(lines=("boto3", "urllib3!=1.21"))
OLD = command_run_of("boto3==1.7.84\nurllib3==2.6.3\n")
NEWEST = command_run_of("boto3==1.42.97\nurllib3==2.6.3\n")
NO_SOLUTION = command_run_of(
    stderr="error: No solution found when resolving dependencies\n  cause: Because boto3>=1 depends on urllib3<2, we "
    "can conclude that your requirements are unsatisfiable.",
    exit_code=1,
)


def test_uv_does_not_go_back_where_a_newer_version_fits(tmp_path: Path) -> None:
    both = command_run_of("boto3==1.42.97\nurllib3==1.26.20\n")
    lock, commands = asked_of_uv(tmp_path, OPEN, OLD, NEWEST, both)
    assert lock.versions == {"boto3": "1.42.97", "urllib3": "1.26.20"}
    assert "--constraint" in commands[-1]


def test_uv_goes_back_where_nothing_newer_fits(tmp_path: Path) -> None:
    lock, _ = asked_of_uv(tmp_path, OPEN, OLD, NEWEST, NO_SOLUTION)
    assert lock.versions == {"boto3": "1.7.84", "urllib3": "2.6.3"}


def test_as_much_as_possible_is_kept_new_in_the_order_of_the_requirements(tmp_path: Path) -> None:
    request = ResolutionRequest(lines=("a", "b", "c"))
    answers = ("a==1\nb==1\nc==1\n", "a==2\nb==2\nc==2\n", None, "a==2\nb==1\nc==1\n", None, "a==2\nb==1\nc==2\n")
    runs = [NO_SOLUTION if answer is None else command_run_of(answer) for answer in answers]
    assert asked_of_uv(tmp_path, request, *runs)[0].versions == {"a": "2", "b": "1", "c": "2"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("boto3", "dateutil"), {"boto3": "1.44", "dateutil": "2.9"}),
        (("dateutil", "boto3"), {"boto3": "0.1", "dateutil": "4"}),
    ],
)
def test_what_is_required_first_is_not_given_up_for_what_follows(
    tmp_path: Path, lines: tuple[str, ...], expected: dict[str, str]
) -> None:
    """The newest boto3 wants an older dateutil; an ancient boto3 does not say."""
    answers = ("boto3==1.44\ndateutil==2.9\n", "boto3==1.44\ndateutil==4\n", "boto3==0.1\ndateutil==4\n")
    lock, _ = asked_of_uv(tmp_path, ResolutionRequest(lines=lines), *map(command_run_of, answers))
    assert lock.versions == expected


def test_no_old_sources_are_built_for_newer_versions(tmp_path: Path) -> None:
    """Only the first releases of boto3, which have no wheels, would allow the newest dateutil."""
    before_wheels = command_run_of(
        stderr="error: No solution found when resolving dependencies\n  cause: Because boto3<=1.0 has no usable wheels "
        "and you require boto3, we can conclude that your requirements are unsatisfiable.",
        exit_code=1,
    )
    newest = command_run_of("boto3==1.44\ndateutil==4\n")
    request = ResolutionRequest(lines=("boto3", "dateutil"))
    lock, commands = asked_of_uv(
        tmp_path, request, command_run_of("boto3==1.44\ndateutil==2.9\n"), newest, before_wheels
    )
    assert lock.versions == {"boto3": "1.44", "dateutil": "2.9"}
    assert len(commands) == 3
    assert not any("--no-binary boto3" in command for command in commands)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("a==1", "b[x]==2 ; python_version > '3'", "c @ https://x/c.zip"), False),
        (("a", "b==2"), True),
        (("a==1.*", "b==2"), True),
        (("a",), False),
    ],
)
def test_a_set_of_exact_versions_cannot_go_back(lines: tuple[str, ...], expected: bool) -> None:
    assert may_go_back(ResolutionRequest(lines=lines)) is expected


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
