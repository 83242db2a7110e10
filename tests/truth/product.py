"""What the product itself finds of snippets: each is a service of its own, read, asked about and judged as in a gate.

``python -m tests.truth.product [3.9 3.12]`` prints the table and every mistake.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from uv import find_uv_bin

from pytest_py312.analysis.files.source_reader import SourceFolder, SourceReader
from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.judging.judge import judge
from pytest_py312.analysis.linking.link import linked
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.scanner.facts.stdlib_queries import Testimony
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.local import LocalRunner
from tests.truth.cases import INTERPRETERS, Snippet, Version, read_snippets, write_snippets
from tests.truth.score import Said, mistakes, score, table

NOTHING_LOCKED: dict[str, str] = {}
"""Distributions of the target's cell: setuptools comes with no environment from 3.12."""


def findings_of(snippets: Sequence[Snippet], baseline: Version, target: Version, folder: Path) -> dict[str, list[Said]]:
    """What the product says of each snippet (by its id) on the way from ``baseline`` to ``target``.

    :raises pytest_py312.runners.runner.CellUnavailable: an interpreter is missing.
    """
    root = folder / "snippets"
    write_snippets(tuple(snippets), root)
    folders = [SourceFolder(path=one.id, roots=(one.id,)) for one in snippets]
    read = SourceReader(root=root, cache=folder / "cache", processes=2).read(folders)
    facts = {path: linked(one.facts) for path, one in read.items()}
    contents = {path: content for one in read.values() for path, content in one.contents.items()}
    questions = {question for files in facts.values() for one in files for question in one.questions()}
    runner = LocalRunner(
        cache=folder / "cache", uv=Path(find_uv_bin()), run_id=uuid4().hex, run_folder=folder / "run", fetch=False
    )
    try:
        oracle = Oracle(cache=folder / "cache", door=runner)
        builds = {one: _build(runner, one) for one in INTERPRETERS if baseline <= one <= target}
        said = oracle.ask_all(questions, builds.values())
        testimonies = {one: _testimony(said[build.interpreter]) for one, build in builds.items()}
        witnesses = Witnesses(
            baseline=testimonies[baseline],
            target=testimonies[target],
            between=[testimonies[one] for one in sorted(testimonies) if baseline < one < target],
            baseline_complaints=oracle.compile(contents, builds[baseline]),
            target_complaints=oracle.compile(contents, builds[target]),
        )
    finally:
        runner.close()
    return {one.id: list(_said(one.id, judge(facts[one.id], witnesses, lock=NOTHING_LOCKED))) for one in snippets}


def _build(runner: LocalRunner, version: Version) -> InterpreterBuild:
    return runner.find(Interpreter(*version))


def _testimony(said: Testimony | Exception) -> Testimony:
    if isinstance(said, Exception):
        raise said
    return said


def _said(service: str, findings: Sequence[Finding]) -> Iterator[Said]:
    for finding in findings:
        assert finding.location is not None
        path = finding.location.path.removeprefix(f"{service}/")
        text = f"{finding.code} {finding.message}"
        yield Said(path=path, line=finding.location.line or 0, severity=finding.severity.value, text=text)


def main(words: list[str]) -> None:
    baseline, target = (Interpreter.parse(word) for word in words or ("3.9", "3.12"))
    snippets = read_snippets()
    with tempfile.TemporaryDirectory() as folder:
        versions = (baseline.major, baseline.minor), (target.major, target.minor)
        result = score(snippets, findings_of(snippets, *versions, Path(folder).resolve()), *versions)
    print(*mistakes(result), "", table(result), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
