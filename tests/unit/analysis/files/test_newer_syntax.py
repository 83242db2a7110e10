"""Files that the running Python cannot parse are scanned by another interpreter."""

from pathlib import Path
from typing import Any

import pytest

from pytest_py312.analysis.files.newer_syntax import BATCH_BYTES, NewerSyntaxScanner, has_syntax_error
from pytest_py312.analysis.files.parallel_scan import ScanTask
from pytest_py312.analysis.scanner.facts.facts import FileFacts, ScanFailure, pack
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.process import CommandResult
from tests.support.fakes import build_of
from tests.unit.analysis.fake_tool_runner import FakeToolRunner, crashed, printed

NEWER = build_of("3.14")
"""Newer than any Python that runs these tests."""


def task(name: str, text: str = "import imp\n") -> ScanTask:
    return ScanTask(key=f"key of {name}", path=name, content=text.encode())


def scanned(request: dict[str, Any]) -> CommandResult:
    return printed([pack(scan_text(text, path)) for path, text, _ in request["files"]])


def test_a_newer_interpreter_scans_and_the_facts_are_cached(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(scanned)
    tasks = [task("one.py"), task("other.py")]

    first = NewerSyntaxScanner(cache=tmp_path, tool_runner=tool_runner).scan(tasks, NEWER)
    again = NewerSyntaxScanner(cache=tmp_path, tool_runner=tool_runner).scan(tasks, NEWER)

    assert {key: [one.module for one in facts.imports] for key, facts in first.items()} == {
        "key of one.py": ["imp"],
        "key of other.py": ["imp"],
    }
    assert again == first
    assert len(tool_runner.requests) == 1


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.11"])
def test_an_interpreter_that_is_not_newer_is_not_used(tmp_path: Path, interpreter: str) -> None:
    tool_runner = FakeToolRunner(scanned)
    assert (
        NewerSyntaxScanner(cache=tmp_path, tool_runner=tool_runner).scan([task("one.py")], build_of(interpreter)) == {}
    )
    assert tool_runner.requests == []


def test_rejected_files_and_crashes_have_no_facts(tmp_path: Path) -> None:
    def says(request: dict[str, Any]) -> CommandResult:
        paths = [path for path, _, _ in request["files"]]
        return crashed() if paths[0] == "deadly.py" else scanned(request)

    tasks = [task("deadly.py"), task("torn.py", "def f(:\n"), task("good.py")]
    assert list(NewerSyntaxScanner(cache=tmp_path, tool_runner=FakeToolRunner(says)).scan(tasks, NEWER)) == [
        "key of good.py"
    ]


def test_a_file_that_crashed_the_scanner_is_scanned_again(tmp_path: Path) -> None:
    """It may have run out of memory."""
    crashing = FakeToolRunner(lambda request: crashed())
    assert NewerSyntaxScanner(cache=tmp_path, tool_runner=crashing).scan([task("large.py")], NEWER) == {}
    assert list(NewerSyntaxScanner(cache=tmp_path, tool_runner=FakeToolRunner(scanned)).scan([task("large.py")], NEWER))


def test_one_process_gets_limited_input(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(scanned)
    large = "#" * (BATCH_BYTES * 6 // 10)  # one comment: quickly parsed
    NewerSyntaxScanner(cache=tmp_path, tool_runner=tool_runner).scan(
        [task(f"{number}.py", large) for number in range(3)], NEWER
    )
    assert [len(request["files"]) for request in tool_runner.requests] == [1, 1, 1]


def test_failures_that_are_no_syntax_errors_are_distinguished() -> None:
    assert has_syntax_error(scan_text("def f(:\n", "torn.py"))
    assert not has_syntax_error(scan_text("import imp\n", "good.py"))
    assert not has_syntax_error(scan_text(b"\xff\xff", "binary.py"))
    assert not has_syntax_error(FileFacts(path="deep.py", failure=ScanFailure("it is nested too deeply to be read")))
