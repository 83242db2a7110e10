"""A lock, or all that keeps a set from having one; a second run asks nobody."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.process import CommandRun
from pytest_py312.dependencies.diagnosis.locker import Locking
from pytest_py312.dependencies.resolution.failure_cache import FORM, Refusals, placed
from pytest_py312.dependencies.resolution.lock import Blocked, Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

TOGETHER = ("3.9", "3.10", "3.12")
CONFLICT = """\
error: No solution found when resolving dependencies
  cause: Because fastapi==0.110.0 depends on starlette>=0.36.3,<0.37.0 and you require fastapi==0.110.0, we can \
conclude that you require starlette>=0.36.3,<0.37.0.
         And because you require starlette==0.27.0, we can conclude that your requirements are unsatisfiable.
"""
NO_COMPILER = """\
error: Failed to build `mysqlclient==2.0`
  cause: The build backend returned an error

         [stderr]
         mysql_config not found
"""
LINES = ("fastapi==0.110.0", "six", "starlette==0.27.0")
WANTED = Wanted(
    lines=LINES, direct=tuple((line.split("=")[0], Location(path="a.txt", line=at)) for at, line in enumerate(LINES, 1))
)


class SpokenTo(FakeRunner):
    """uv as it would answer: ``conflict`` says whether a set of lines is refused, and how.

    ``sets`` are those that it was asked about.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sets: list[frozenset[str]] = []

    def tool(self, build: object, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0) -> CommandRun:
        if "--emit-index-url" in argv:
            return command_run_of("# no index on the web\n--index-url file:///srv/simple\n")
        self.tools.append(tuple(argv))
        lines = Path(argv[-1]).read_text().split()
        self.sets.append(frozenset(lines))
        if "mysqlclient" in lines:
            return command_run_of(stderr=NO_COMPILER, exit_code=1)
        if {"fastapi==0.110.0", "starlette==0.27.0"} <= set(lines):
            return command_run_of(stderr=CONFLICT, exit_code=1)
        return command_run_of("six==1.16.0\n")


def locking(cache: Path, hours: float = 24.0) -> tuple[Locking, SpokenTo]:
    runner = SpokenTo()
    resolver = Resolver(cache=cache, runner=runner, uv_version="0.9.0", lock_hours=hours)
    return Locking(cache=cache, resolver=resolver, once=Once(None), lock_hours=hours), runner


def blocked(asked: Locking, wanted: Wanted = WANTED, on: str = "3.12") -> tuple[Finding, ...]:
    with pytest.raises(Blocked) as caught:
        asked.lock(wanted, build_of(on))
    return caught.value.findings


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_refused_set_is_told_whole_and_asked_about_once(tmp_path: Path, interpreter: str) -> None:
    first, _ = locking(tmp_path)
    second, asked = locking(tmp_path)

    (finding,) = blocked(first, on=interpreter)

    assert finding.code == "PY101"
    assert finding.names == ("fastapi", "starlette")
    assert finding.message.startswith(
        f"fastapi==0.110.0 and starlette==0.27.0 clash on {interpreter}: fastapi==0.110.0"
    )
    assert blocked(second, on=interpreter) == (finding,)
    assert asked.tools == []


def test_a_set_that_resolves_asks_the_resolver_and_nobody_else(tmp_path: Path) -> None:
    asked, runner = locking(tmp_path)

    assert asked.lock(Wanted(lines=("six",)), build_of()).versions == {"six": "1.16.0"}
    assert len(runner.tools) == 1
    assert not (tmp_path / "simple").exists()


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_set_that_was_edited_is_blocked_by_what_is_known_of_it(tmp_path: Path, interpreter: str) -> None:
    (finding,) = blocked(locking(tmp_path)[0], on=interpreter)
    again, asked = locking(tmp_path)

    assert blocked(again, replace(WANTED, lines=(*LINES, "attrs")), on=interpreter) == (finding,)
    assert asked.sets != []
    assert not any({"fastapi==0.110.0", "starlette==0.27.0"} <= lines for lines in asked.sets)


def test_what_clashes_on_one_interpreter_is_asked_about_first_on_the_next(tmp_path: Path) -> None:
    asked, runner = locking(tmp_path)
    told = {on: blocked(asked, on=on)[0].names for on in ("3.9", "3.10")}
    before = len(runner.sets)
    told["3.12"] = blocked(asked)[0].names

    assert set(told.values()) == {("fastapi", "starlette")}
    assert runner.sets[before] == {"fastapi==0.110.0", "starlette==0.27.0"}
    assert frozenset(LINES) not in runner.sets[before:]


def test_the_places_are_those_of_who_asks(tmp_path: Path) -> None:
    """Two services may ask for the same, and a line may move."""
    blocked(locking(tmp_path)[0])
    moved = replace(WANTED, direct=tuple((name, Location(path="b.txt", line=9)) for name, _ in WANTED.direct))

    (finding,) = blocked(locking(tmp_path)[0], moved)

    assert finding.location == Location(path="b.txt", line=9)


def test_a_refusal_is_too_old_after_its_hours_unless_a_cut_off_date_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dated = replace(WANTED, exclude_newer="2024-01-01T00:00:00Z")
    for wanted in (WANTED, dated):
        blocked(locking(tmp_path, hours=1.0)[0], wanted)
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    again, runner = locking(tmp_path, hours=1.0)
    blocked(again, dated)
    assert runner.tools == []
    blocked(again, WANTED)
    assert runner.tools != []


def test_a_source_that_failed_to_build_is_tried_again_in_spite_of_a_cut_off_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it builds depends on the machine as well."""
    runner = SpokenTo()
    resolver = Resolver(cache=tmp_path, runner=runner, uv_version="0.9.0", lock_hours=1.0)
    kept = Refusals(cache=tmp_path, resolver=resolver, lock_hours=1.0)
    dated = replace(WANTED, exclude_newer="2024-01-01T00:00:00Z")
    kept.keep(dated, build_of(), [Finding(code="PY104", message="it fails to build", names=("six",))])
    assert [finding.names for finding in kept.known(dated, build_of())] == [("six",)]
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    assert kept.known(dated, build_of()) == ()


def test_settings_of_uv_are_part_of_what_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who was told that a project is not on the index, and names another index, is not told it again."""
    blocked(locking(tmp_path)[0])
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://user:secret@index.example/simple")
    again, runner = locking(tmp_path)

    blocked(again)

    assert runner.tools != []
    assert "secret" not in "".join(file.read_text() + file.name for file in (tmp_path / "locks").iterdir())


@pytest.mark.parametrize(
    "damage", ["", "[]", "{", '{"created": 1, "findings": [3]}', '{"created": [], "findings": []}']
)
def test_a_damaged_refusal_is_none(tmp_path: Path, damage: str) -> None:
    found = blocked(locking(tmp_path)[0])
    for file in (tmp_path / "locks").glob("*.refused.json"):
        file.write_text(damage)
    again, runner = locking(tmp_path)

    assert blocked(again) == found
    assert runner.tools != []


def test_what_could_not_be_told_to_the_end_is_not_remembered(tmp_path: Path) -> None:
    """A source that cannot be built on this machine hides nothing of the rest."""
    wanted = replace(
        WANTED, lines=(*LINES, "mysqlclient"), direct=(*WANTED.direct, ("mysqlclient", Location(path="a")))
    )

    findings = blocked(locking(tmp_path)[0], wanted)

    assert {(finding.code, finding.names) for finding in findings} == {
        ("PY101", ("fastapi", "starlette")),
        ("PY113", ("mysqlclient",)),
    }
    assert not list((tmp_path / "locks").glob("*.refused.json"))


def test_a_source_that_cannot_be_built_here_and_nothing_else_is_unchecked(tmp_path: Path) -> None:
    wanted = Wanted(lines=("mysqlclient", "six"))

    with pytest.raises(Unchecked, match="mysql_config not found"):
        locking(tmp_path)[0].lock(wanted, build_of())


def test_an_attempt_that_is_refused_is_not_looked_into(tmp_path: Path) -> None:
    asked, runner = locking(tmp_path)

    assert asked.attempt(WANTED, build_of()) is None
    assert asked.attempt(WANTED, build_of()) is None
    assert len(runner.tools) == 1
    assert asked.attempt(Wanted(lines=("six",)), build_of()) is not None


def test_what_was_refused_at_an_attempt_is_looked_into_when_all_is_asked_for(tmp_path: Path) -> None:
    """A first refusal is remembered as one, not as all that blocks."""
    locking(tmp_path)[0].attempt(WANTED, build_of())
    asked, runner = locking(tmp_path)

    assert blocked(asked)[0].message.startswith("fastapi==0.110.0 and starlette==0.27.0 clash")
    assert runner.tools != []


def test_findings_stand_in_the_order_of_their_lines() -> None:
    wanted = Wanted(lines=(), direct=(("b", Location(path="r.txt", line=10)), ("a", Location(path="r.txt", line=9))))
    findings = [
        Finding(code="PY113", message="?"),
        *(Finding(code="PY102", message=name, names=(name,)) for name in "ba"),
    ]

    assert [finding.message for finding in placed(findings, wanted)] == ["a", "b", "?"]


def test_a_refusal_is_readable_json(tmp_path: Path) -> None:
    blocked(locking(tmp_path)[0])
    (file,) = (tmp_path / "locks").glob("*.refused.json")

    assert json.loads(file.read_text())["findings"][0]["names"] == ["fastapi", "starlette"]


# ---- what a new environment has from the start


class WithSetuptools(FakeRunner):
    """uv, for a set that takes any setuptools that ``allows`` does."""

    def __init__(self, allows: str) -> None:
        super().__init__()
        self._allows = allows

    def tool(self, build: object, argv: Sequence[str], *, stdin: str = "", time_limit: float = 600.0) -> CommandRun:
        if "--emit-index-url" in argv:
            return command_run_of("--index-url file:///srv/simple\n")
        constraints = Path(argv[argv.index("--constraint") + 1]).read_text() if "--constraint" in argv else ""
        if constraints and self._allows not in constraints:
            return command_run_of(stderr=CONFLICT, exit_code=1)
        return command_run_of(f"{constraints.strip() or 'setuptools==82.0.0'}\n")


@pytest.mark.parametrize(
    ("seed", "allows", "taken"),
    [
        (("setuptools==58.1.0",), "58.1.0", "58.1.0"),
        (("setuptools==58.1.0",), "65.0.0", "82.0.0"),
        ((), "", "82.0.0"),
    ],
    ids=["what is there does", "the set asks for a newer one", "there is none on 3.12"],
)
def test_what_is_there_from_the_start_is_kept_where_the_set_allows_it(
    tmp_path: Path, seed: tuple[str, ...], allows: str, taken: str
) -> None:
    """As pip does. A second run knows, and asks nobody."""
    build = replace(build_of("3.9"), seed=seed)
    runner = WithSetuptools(allows)
    resolver = Resolver(cache=tmp_path, runner=runner, uv_version="0.9.0", lock_hours=24.0)
    locking = Locking(cache=tmp_path, resolver=resolver, once=Once(None), lock_hours=24.0)

    def wanted(kept: tuple[str, ...]) -> Wanted:
        return Wanted(lines=("pyramid",), constraints=kept)

    lock = locking.like_pip(locking.lock(wanted(()), build), build, wanted)

    assert lock.versions == {"setuptools": taken}
    assert locking.known_like_pip(lock, build, wanted) == lock


def test_a_refusal_that_was_read_in_another_way_is_not_believed(tmp_path: Path) -> None:
    """Of an older version of this tool, in the same cache."""
    resolver = Resolver(cache=tmp_path, runner=SpokenTo(), uv_version="0.9.0", lock_hours=24.0)
    refusals = Refusals(cache=tmp_path, resolver=resolver, lock_hours=24.0)
    refusals.keep(WANTED, build_of(), [Finding(code="PY101", message="six clashes", names=("six",))])
    assert refusals.known(WANTED, build_of())
    (file,) = (tmp_path / "locks").glob("*.refused.json")
    file.write_text(file.read_text().replace(f'"form": {FORM}', '"form": 0'))
    assert not refusals.known(WANTED, build_of())
