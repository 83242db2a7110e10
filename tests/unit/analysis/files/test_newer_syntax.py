"""Another interpreter scans what ours cannot read: of which files it is asked, and what is believed of its answer."""

from pathlib import Path
from typing import Any

import pytest

from pytest_py312.analysis.files.newer_syntax import BATCH_BYTES, NewerSyntax, is_refused
from pytest_py312.analysis.files.parallel_scan import Task
from pytest_py312.analysis.scanner.facts.facts import Failure, FileFacts, packed
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.core.process import CommandRun
from tests.support.fakes import build_of
from tests.unit.analysis.doors import FakeDoor, crashed, printed

NEWER = build_of("3.14")
"""Newer than any Python that runs these tests."""


def task(name: str, text: str = "import imp\n") -> Task:
    return Task(key=f"key of {name}", path=name, content=text.encode())


def scanned(request: dict[str, Any]) -> CommandRun:
    return printed([packed(scan_text(text, path)) for path, text, _ in request["files"]])


def test_a_newer_interpreter_gives_the_facts_and_is_asked_once(tmp_path: Path) -> None:
    door = FakeDoor(scanned)
    tasks = [task("one.py"), task("other.py")]

    first = NewerSyntax(cache=tmp_path, door=door).scan(tasks, NEWER)
    again = NewerSyntax(cache=tmp_path, door=door).scan(tasks, NEWER)

    assert {key: [one.module for one in facts.imports] for key, facts in first.items()} == {
        "key of one.py": ["imp"],
        "key of other.py": ["imp"],
    }
    assert again == first
    assert len(door.requests) == 1


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.11"])
def test_one_that_reads_no_more_than_ours_is_not_asked(tmp_path: Path, interpreter: str) -> None:
    door = FakeDoor(scanned)
    assert NewerSyntax(cache=tmp_path, door=door).scan([task("one.py")], build_of(interpreter)) == {}
    assert door.requests == []


def test_what_it_refuses_or_dies_of_is_not_among_the_facts(tmp_path: Path) -> None:
    def says(request: dict[str, Any]) -> CommandRun:
        paths = [path for path, _, _ in request["files"]]
        return crashed() if paths[0] == "deadly.py" else scanned(request)

    tasks = [task("deadly.py"), task("torn.py", "def f(:\n"), task("good.py")]
    assert list(NewerSyntax(cache=tmp_path, door=FakeDoor(says)).scan(tasks, NEWER)) == ["key of good.py"]


def test_what_it_died_of_is_asked_about_again(tmp_path: Path) -> None:
    """It may have been ended for want of memory."""
    dying = FakeDoor(lambda request: crashed())
    assert NewerSyntax(cache=tmp_path, door=dying).scan([task("large.py")], NEWER) == {}
    assert list(NewerSyntax(cache=tmp_path, door=FakeDoor(scanned)).scan([task("large.py")], NEWER))


def test_one_process_gets_no_more_than_it_can_tell_of(tmp_path: Path) -> None:
    door = FakeDoor(scanned)
    large = "x = 1\n" * (BATCH_BYTES // 10)
    NewerSyntax(cache=tmp_path, door=door).scan([task(f"{number}.py", large) for number in range(3)], NEWER)
    assert [len(request["files"]) for request in door.requests] == [1, 1, 1]


def test_what_is_no_question_of_syntax_is_told_apart() -> None:
    assert is_refused(scan_text("def f(:\n", "torn.py"))
    assert not is_refused(scan_text("import imp\n", "good.py"))
    assert not is_refused(scan_text(b"\xff\xff", "binary.py"))
    assert not is_refused(FileFacts(path="deep.py", failure=Failure("it is nested too deeply to be read")))
