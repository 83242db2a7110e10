"""Whether the marks of the truth set are true: every snippet is run under every interpreter, and its marks are held
against what happened. ``python -m tests.truth.verify [part of a name ...]`` prints what is not.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from uv import find_uv_bin

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.runners.interpreters import Remembered, find_local
from tests.truth.cases import INTERPRETERS, Kind, Mark, Snippet, Version, read_snippets, write_snippets

RECORDER = Path(__file__).parent / "recorder.py"
Place = tuple[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one snippet did under one interpreter. ``lines`` are its lines the exception went through, ``warned`` the
    lines that warned (``None`` where the interpreter names no line of the snippet) with the warning's text.
    """

    error: str
    lines: tuple[Place, ...]
    warned: tuple[tuple[Place | None, str], ...]
    output: str


def record(python: Path, snippets: tuple[Snippet, ...], root: Path) -> dict[str, Run]:
    """Runs the snippets, written under ``root``, by one interpreter: run by the snippet's id."""
    task = json.dumps({"root": str(root), "snippets": [snippet.id for snippet in snippets]})
    done = subprocess.run(
        # -s and an empty environment: the user's own site and variables are not what is judged
        [python, "-s", "-B", RECORDER], input=task, capture_output=True, text=True, timeout=600, env={"TZ": "UTC"},
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{python} could not run the snippets:\n{done.stderr}")
    return {said["id"]: _run(said) for said in map(json.loads, done.stdout.splitlines())}


def record_all(
    pythons: Mapping[Version, Path], snippets: tuple[Snippet, ...], root: Path
) -> dict[str, dict[Version, Run]]:
    """Runs the snippets by all interpreters, two at a time: runs by snippet and interpreter."""
    write_snippets(snippets, root)
    with ThreadPoolExecutor(2) as pool:
        runs = dict(
            zip(pythons, pool.map(lambda python: record(python, snippets, root), pythons.values()), strict=True)
        )
    return {snippet.id: {version: runs[version][snippet.id] for version in pythons} for snippet in snippets}


def untrue(snippet: Snippet, runs: Mapping[Version, Run]) -> Iterator[str]:
    """What the marks of a snippet say that did not happen, and what happened that they do not say."""
    for version, run in runs.items():
        name = f"{snippet.id} on {version[0]}.{version[1]}"
        yield from (f"{name}: {trouble}" for trouble in _untrue_of_error(snippet, version, run))
        yield from (f"{name}: {trouble}" for trouble in _untrue_of_warnings(snippet, version, run))
    yield from (f"{snippet.id}: {trouble}" for trouble in _untrue_of_output(snippet, runs))


def _untrue_of_error(snippet: Snippet, version: Version, run: Run) -> Iterator[str]:
    failing = (*snippet.holding(Kind.BREAK, version), *snippet.holding(Kind.NEEDS, version))
    if not failing and run.error:
        yield f"fails, and no mark says so: {run.error} {run.lines}"
    if failing and not run.error:
        yield "works, and a mark says it breaks"
    if failing and run.error and not any(_stands_at(snippet, failing, place) for place in run.lines):
        yield f"fails on other lines than marked: {run.error} {run.lines}"


def _untrue_of_warnings(snippet: Snippet, version: Version, run: Run) -> Iterator[str]:
    marks = snippet.holding(Kind.WARNS, version)
    for place, text in run.warned:
        if not _stands_at(snippet, marks, place) if place else not marks:
            yield f"warns, and no mark says so: {place} {text}"
    for mark in marks:
        if not run.error and not any(place is None or _stands_at(snippet, (mark,), place) for place, _ in run.warned):
            yield f"line {mark.line} does not warn, and its mark says so"


def _untrue_of_output(snippet: Snippet, runs: Mapping[Version, Run]) -> Iterator[str]:
    if all(run.error for run in runs.values()):
        return
    silent = [mark for mark in snippet.marks if mark.kind is Kind.SILENT]
    groups: dict[tuple[bool, ...], set[str]] = {}
    for version, run in runs.items():
        if not run.error:
            groups.setdefault(tuple(mark.holds(version) for mark in silent), set()).add(run.output)
    for outputs in groups.values():
        if len(outputs) > 1:
            yield f"prints different things, and no mark says so: {sorted(outputs)}"
    if silent and len(groups) < 2:
        yield "no interpreter was run on one side of the silent change"
    if silent and len(set.union(*groups.values())) < len(groups):
        yield f"prints the same before and after the silent change: {groups}"


def _stands_at(snippet: Snippet, marks: tuple[Mark, ...], place: Place) -> bool:
    """Whether a place is in the statement of a mark: interpreters differ in which of its lines they name."""
    places = {(mark.path, mark.line) for mark in marks} | snippet.also
    return any(path == place[0] and place[1] in snippet.statement(path, line) for path, line in places)


def _run(said: dict[str, object]) -> Run:
    heard = said.get("warnings", [])
    lines = said["lines"]
    assert isinstance(heard, list)
    assert isinstance(lines, list)
    return Run(
        error=str(said["error"]),
        lines=tuple((path, line) for path, line in lines),
        warned=tuple(
            (tuple(one["at"]) if one["at"] else None, f"{one['category']}: {one['message']}") for one in heard
        ),
        output=str(said["output"]),
    )


def find_pythons(cache: Path) -> dict[Version, Path]:
    """The interpreters of this machine that the set is about, found as the product finds them.

    :raises pytest_py312.runners.runner.CellUnavailable: where one is missing.
    """
    return {
        version: Path(
            find_local(Interpreter(*version), uv=find_uv_bin(), fetch=False, remembered=Remembered(cache)).executable
        )
        for version in INTERPRETERS
    }


@cache
def has_setuptools(python: Path) -> bool:
    """Whether an interpreter has setuptools by itself, in a form whose ``distutils`` gives no warning of its own."""
    program = (
        "import sys, setuptools as s; sys.exit((3, 10) <= sys.version_info and int(s.__version__.split('.')[0]) < 60)"
    )
    return not subprocess.run([python, "-s", "-c", program], capture_output=True, check=False, env={}).returncode


def main(parts: list[str]) -> int:
    snippets = tuple(one for one in read_snippets() if not parts or any(part in one.id for part in parts))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        runs = record_all(find_pythons(root / "found"), snippets, root / "snippets")
    troubles = [trouble for snippet in snippets for trouble in untrue(snippet, runs[snippet.id])]
    print(*troubles, sep="\n")
    print(f"{len(snippets)} snippets on {len(INTERPRETERS)} interpreters, {len(troubles)} untrue marks")
    return bool(troubles)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
