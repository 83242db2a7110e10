"""Verifies the marks of the truth set: every snippet is run on every interpreter, and its marks are compared with
what happened. ``python -m tests.truth.verify [part of a name ...]`` prints untrue marks.

Without an argument, and without an untrue mark, it writes ``verified.json``: what was run on which interpreters. The
tests run only a sample of what has not changed since then, as twenty thousand processes take minutes.
"""

import hashlib
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
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.interpreters import FingerprintCache, find_local
from tests.truth.cases import INTERPRETERS, SNIPPETS, Kind, Mark, Snippet, Version, read_snippets, write_snippets

FOLDER = Path(__file__).parent
RECORDER = FOLDER / "recorder.py"
VERIFIED = FOLDER / "verified.json"
"""For each category the digest with which all of its marks were true, see :func:`category_digest`."""
Place = tuple[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The run of one snippet on one interpreter. ``lines`` are its lines in the traceback, ``warned`` the
    lines that warned (``None`` where the interpreter names no line of the snippet) with the warning's text.
    """

    error: str
    lines: tuple[Place, ...]
    warned: tuple[tuple[Place | None, str], ...]
    output: str


def record(python: Path, snippets: tuple[Snippet, ...], root: Path) -> dict[str, Run]:
    """Run the snippets, written under ``root``, on one interpreter; return the runs by snippet id."""
    task = json.dumps({"root": str(root), "snippets": [snippet.id for snippet in snippets]})
    done = subprocess.run(
        # -s and an empty environment: the user's site folder and variables must not matter
        [python, "-s", "-B", RECORDER], input=task, capture_output=True, text=True, timeout=600, env={"TZ": "UTC"},
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{python} could not run the snippets:\n{done.stderr}")
    return {entry["id"]: _run(entry) for entry in map(json.loads, done.stdout.splitlines())}


def record_all(
    pythons: Mapping[Version, Path], snippets: tuple[Snippet, ...], root: Path
) -> dict[str, dict[Version, Run]]:
    """Run the snippets on all interpreters, two at a time; return the runs by snippet and interpreter."""
    write_snippets(snippets, root)
    with ThreadPoolExecutor(2) as pool:
        runs = dict(
            zip(pythons, pool.map(lambda python: record(python, snippets, root), pythons.values()), strict=True)
        )
    return {snippet.id: {version: runs[version][snippet.id] for version in pythons} for snippet in snippets}


def mark_mistakes(snippet: Snippet, runs: Mapping[Version, Run]) -> Iterator[str]:
    """Yield the marks of a snippet that are untrue, and events without a mark."""
    for version, run in runs.items():
        name = f"{snippet.id} on {version[0]}.{version[1]}"
        yield from (f"{name}: {mistake}" for mistake in _error_mistakes(snippet, version, run))
        yield from (f"{name}: {mistake}" for mistake in _warning_mistakes(snippet, version, run))
    yield from (f"{snippet.id}: {mistake}" for mistake in _output_mistakes(snippet, runs))


def _error_mistakes(snippet: Snippet, version: Version, run: Run) -> Iterator[str]:
    failing = (*snippet.holding(Kind.BREAK, version), *snippet.holding(Kind.NEEDS, version))
    if not failing and run.error:
        yield f"fails, and no mark says so: {run.error} {run.lines}"
    if failing and not run.error:
        yield "works, and a mark says it breaks"
    if failing and run.error and not any(_is_at_mark(snippet, failing, place) for place in run.lines):
        yield f"fails on other lines than marked: {run.error} {run.lines}"


def _warning_mistakes(snippet: Snippet, version: Version, run: Run) -> Iterator[str]:
    marks = snippet.holding(Kind.WARNS, version)
    for place, text in run.warned:
        if not _is_at_mark(snippet, marks, place) if place else not marks:
            yield f"warns, and no mark says so: {place} {text}"
    for mark in marks:
        if not run.error and not any(place is None or _is_at_mark(snippet, (mark,), place) for place, _ in run.warned):
            yield f"line {mark.line} does not warn, and its mark says so"


def _output_mistakes(snippet: Snippet, runs: Mapping[Version, Run]) -> Iterator[str]:
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


def _is_at_mark(snippet: Snippet, marks: tuple[Mark, ...], place: Place) -> bool:
    """Whether a place is in the statement of a mark: interpreters differ in the line that they report."""
    places = {(mark.path, mark.line) for mark in marks} | snippet.also
    return any(path == place[0] and place[1] in snippet.statement(path, line) for path, line in places)


def _run(entry: dict[str, object]) -> Run:
    warned = entry.get("warnings", [])
    lines = entry["lines"]
    assert isinstance(warned, list)
    assert isinstance(lines, list)
    return Run(
        error=str(entry["error"]),
        lines=tuple((path, line) for path, line in lines),
        warned=tuple(
            (tuple(warning["at"]) if warning["at"] else None, f"{warning['category']}: {warning['message']}")
            for warning in warned
        ),
        output=str(entry["output"]),
    )


def find_builds(cache: Path) -> dict[Version, InterpreterBuild]:
    """Return this machine's interpreters for the set, found as the product finds them.

    :raises pytest_py312.runners.runner.CellUnavailable: where one is missing.
    """
    return {
        version: find_local(Interpreter(*version), uv=find_uv_bin(), fetch=False, cache=FingerprintCache(cache))
        for version in INTERPRETERS
    }


def find_pythons(cache: Path) -> dict[Version, Path]:
    """Return the programs of :func:`find_builds`."""
    return programs_of(find_builds(cache))


def programs_of(builds: Mapping[Version, InterpreterBuild]) -> dict[Version, Path]:
    return {version: Path(build.executable) for version, build in builds.items()}


def category_digest(category: str, builds: Mapping[Version, InterpreterBuild]) -> str:
    """Return a digest of everything on which the results of a category depend: snippets, interpreters, and how both are
    read, run and compared."""
    digest = hashlib.sha256(" ".join(build.version for build in builds.values()).encode())
    for file in (SNIPPETS / f"{category}.cases", FOLDER / "cases.py", RECORDER, FOLDER / "verify.py"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_verified(category: str, builds: Mapping[Version, InterpreterBuild]) -> bool:
    """Whether all marks of a category were true when it was last verified, and nothing has changed since."""
    verified = json.loads(VERIFIED.read_text(encoding="utf-8"))
    return bool(verified.get(category) == category_digest(category, builds))


@cache
def has_setuptools(python: Path) -> bool:
    """Whether an interpreter has setuptools, in a version whose ``distutils`` raises no warning itself."""
    program = (
        "import sys, setuptools as s; sys.exit((3, 10) <= sys.version_info and int(s.__version__.split('.')[0]) < 60)"
    )
    return not subprocess.run([python, "-s", "-c", program], capture_output=True, check=False, env={}).returncode


def main(parts: list[str]) -> int:
    snippets = tuple(snippet for snippet in read_snippets() if not parts or any(part in snippet.id for part in parts))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        builds = find_builds(root / "found")
        runs = record_all(programs_of(builds), snippets, root / "snippets")
    mistakes = [mistake for snippet in snippets for mistake in mark_mistakes(snippet, runs[snippet.id])]
    print(*mistakes, sep="\n")
    if not parts and not mistakes:
        digests = {category: category_digest(category, builds) for category in sorted({s.category for s in snippets})}
        VERIFIED.write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    print(f"{len(snippets)} snippets on {len(INTERPRETERS)} interpreters, {len(mistakes)} untrue marks")
    return bool(mistakes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
