"""The product's own findings for snippets: each snippet is a service that is read and judged as in the gate.

``python -m tests.truth.product [3.9 3.12]`` prints the table and every mistake.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from uv import find_uv_bin

from pytest_py312.analysis.files.source_reader import SourceFolder, SourceReader
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.judge import judge_files
from pytest_py312.analysis.linking.link import link_files
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.core.model.findings import Finding, Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.local import LocalRunner
from tests.truth.cases import INTERPRETERS, Snippet, Version, read_snippets, write_snippets
from tests.truth.score import Remark, mistakes, score, table

NOTHING_LOCKED: dict[str, str] = {}
"""Distributions of the target's cell: setuptools comes with no environment from 3.12."""


def findings_of(
    snippets: Sequence[Snippet], baseline: Version, target: Version, folder: Path
) -> dict[str, list[Remark]]:
    """Return the product's findings for each snippet (by its id), for a move from ``baseline`` to ``target``.

    :raises pytest_py312.runners.runner.CellUnavailable: an interpreter is missing.
    """
    root = folder / "snippets"
    write_snippets(tuple(snippets), root)
    folders = [SourceFolder(path=item.id, roots=(item.id,)) for item in snippets]
    read = SourceReader(root=root, cache=folder / "cache", processes=2).read(folders)
    facts = {path: link_files(item.facts) for path, item in read.items()}
    contents = {path: content for item in read.values() for path, content in item.contents.items()}
    questions = {question for files in facts.values() for item in files for question in item.queries()}
    runner = LocalRunner(
        cache=folder / "cache",
        uv=Path(find_uv_bin()),
        run_id=uuid4().hex,
        run_folder=folder / "run",
        download_interpreters=False,
    )
    try:
        oracle = Oracle(cache=folder / "cache", tool_runner=runner)
        builds = {item: _build(runner, item) for item in INTERPRETERS if baseline <= item <= target}
        answers = {item: oracle.ask(questions, build) for item, build in builds.items()}
        evidence = Evidence(
            baseline=answers[baseline],
            target=answers[target],
            intermediate=[answers[item] for item in sorted(answers) if baseline < item < target],
            baseline_messages=oracle.compile(contents, builds[baseline]),
            target_messages=oracle.compile(contents, builds[target]),
        )
    finally:
        runner.close()
    return {
        item.id: list(_remarks(item.id, judge_files(facts[item.id], evidence, lock=NOTHING_LOCKED)))
        for item in snippets
    }


def _build(runner: LocalRunner, version: Version) -> InterpreterBuild:
    return runner.find_interpreter(Interpreter(*version))


def _remarks(service: str, findings: Sequence[Finding]) -> Iterator[Remark]:
    for finding in findings:
        assert finding.location is not None
        path = finding.location.path.removeprefix(f"{service}/")
        text = f"{finding.code} {finding.message}"
        yield Remark(path=path, line=finding.location.line or 0, severity=finding.severity.value, text=text)


def main(words: list[str]) -> None:
    baseline, target = (Interpreter.parse(word) for word in words or ("3.9", "3.12"))
    snippets = read_snippets()
    with tempfile.TemporaryDirectory() as folder:
        versions = (baseline.major, baseline.minor), (target.major, target.minor)
        result = score(snippets, findings_of(snippets, *versions, Path(folder).resolve()), *versions)
    print(*mistakes(result), "", table(result), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
