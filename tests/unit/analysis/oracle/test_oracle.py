"""Asking an interpreter: what is believed, remembered and given up. The door is a fake that prints what probes do."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.oracle.oracle import ASKABLE, NOT_COMPILED, Oracle, agreed, is_askable, probe_version
from pytest_py312.analysis.oracle.probe_protocol import MOST_GIVEN_UP, Unanswered, read_lines
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Complaint, Question
from pytest_py312.core.process import CommandRun, Ended
from tests.support.fakes import build_of, command_run_of
from tests.unit.analysis.doors import FakeDoor, crashed, printed

IMP = Question(module="imp")
RELOAD = Question(module="imp", path="reload")


def all_present(request: dict[str, Any]) -> CommandRun:
    return printed([{"present": True, "defined": ".".join(question[:2])} for question in request["questions"]])


def no_complaints(request: dict[str, Any]) -> CommandRun:
    return printed([[] for _ in request["files"]])


def test_the_answers_of_an_interpreter_are_its_testimony(tmp_path: Path) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        said = Oracle(cache=tmp_path, door=FakeDoor(all_present)).ask([RELOAD, IMP, IMP], build_of(interpreter))

        assert said.origin == f"CPython {interpreter}.1"
        assert said.asked_itself
        assert said.version == tuple(map(int, interpreter.split(".")))
        assert said.answers == {
            IMP: Answer(present=True, defined="imp."),
            RELOAD: Answer(present=True, defined="imp.reload"),
        }


def test_a_build_is_asked_once(tmp_path: Path) -> None:
    door = FakeDoor(all_present)
    first = Oracle(cache=tmp_path, door=door).ask([IMP], build_of("3.12"))

    assert Oracle(cache=tmp_path, door=door).ask([IMP], build_of("3.12")) == first
    assert len(door.requests) == 1
    Oracle(cache=tmp_path, door=door).ask([IMP, RELOAD], build_of("3.12"))
    assert door.requests[1]["questions"] == [["imp", "reload", False]]


def test_another_build_of_the_same_version_is_asked_anew(tmp_path: Path) -> None:
    door = FakeDoor(all_present)
    oracle = Oracle(cache=tmp_path, door=door)

    oracle.ask([IMP], build_of("3.12"))
    oracle.ask([IMP], build_of("3.12", digest="another"))
    assert len(door.requests) == 2


def test_a_torn_memory_is_ignored(tmp_path: Path) -> None:
    door = FakeDoor(all_present)
    oracle = Oracle(cache=tmp_path, door=door)
    oracle.ask([IMP], build_of("3.12"))
    (file,) = (tmp_path / "oracle" / probe_version()).glob("*.answers.json")

    for text in (
        "",
        "{",
        "[]",
        '{"imp:": 3}',
        '{"imp:": {"present": "yes"}}',
        '{"imp:": {"present": true, "reason": 1}}',
    ):
        file.write_text(text)
        assert oracle.ask([IMP], build_of("3.12")).answers[IMP].present is True
    assert len(door.requests) == 7


def test_only_standard_modules_are_asked_for(tmp_path: Path) -> None:
    door = FakeDoor(all_present)
    odd = [Question(module=name) for name in ("requests", "", "os;x", "os.", "../os", "service.os", "a" * 300)]

    said = Oracle(cache=tmp_path, door=door).ask(odd, build_of("3.12"))
    assert {answer.present for answer in said.answers.values()} == {None}
    assert door.requests == []


@pytest.mark.parametrize(
    "name", ["imp", "os.path", "distutils.command.build", "formatter", "test.support", "msilib", "_pydatetime"]
)
def test_a_module_that_some_release_has_is_askable(name: str) -> None:
    assert is_askable(name)


def test_a_question_that_ends_the_process_is_left_out(tmp_path: Path) -> None:
    """Also when others were answered before it did."""
    names = ["abc", "ast", "bdb", "cgi"]

    def says(request: dict[str, Any]) -> CommandRun:
        asked = [question[0] for question in request["questions"]]
        if "bdb" in asked:
            return crashed([{"present": True}] * asked.index("bdb"))
        return all_present(request)

    door = FakeDoor(says)
    said = Oracle(cache=tmp_path, door=door).ask([Question(module=name) for name in names], build_of("3.12"))
    assert [answer.present for answer in said.answers.values()] == [True, True, None, True]
    assert said.answers[Question(module="bdb")].reason == (
        "asking about it failed: CPython 3.12.1 gave up on it: Segmentation fault (exit code -11)"
    )


def test_answers_that_did_not_fit_are_asked_for_again(tmp_path: Path) -> None:
    """A command keeps the end of what it prints: the first lines are lost."""

    def says(request: dict[str, Any]) -> CommandRun:
        whole = all_present(request).stdout
        return command_run_of(whole if len(whole) < 80 else f"[... cut ...]{whole[-60:]}")

    said = Oracle(cache=tmp_path, door=FakeDoor(says)).ask([IMP, RELOAD, Question(module="cgi")], build_of("3.12"))
    assert [answer.present for answer in said.answers.values()] == [True, True, True]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (
            CommandRun(
                argv=("python",),
                ended=Ended.NOT_STARTED,
                exit_code=None,
                stdout="",
                stderr="python could not be started: no such file",
                seconds=0.0,
            ),
            r"python could not be started: no such file \(it was stopped\)",
        ),
        (command_run_of(stderr="ModuleNotFoundError: No module named 'json'", exit_code=1), "No module named 'json'"),
        (command_run_of("hello\n", exit_code=0), "could not be asked"),
        (command_run_of("", exit_code=-9), "exit code -9"),
    ],
)
def test_an_interpreter_that_cannot_be_asked_is_never_present(tmp_path: Path, run: CommandRun, reason: str) -> None:
    questions = [Question(module=name) for name in sorted(ASKABLE)[: MOST_GIVEN_UP + 2]]
    door = FakeDoor(lambda request: run)

    with pytest.raises(Unanswered, match=reason):
        Oracle(cache=tmp_path, door=door).ask(questions, build_of("3.12"))
    assert len(door.requests) <= MOST_GIVEN_UP + 1
    with pytest.raises(Unanswered, match=reason):
        Oracle(cache=tmp_path, door=door).ask(questions, build_of("3.12"))


def test_interpreters_are_asked_side_by_side(tmp_path: Path) -> None:
    def says(request: dict[str, Any]) -> CommandRun:
        return all_present(request)

    builds = [build_of(interpreter) for interpreter in ("3.9", "3.10", "3.12")]
    said = Oracle(cache=tmp_path, door=FakeDoor(says)).ask_all([IMP], builds)
    assert [str(interpreter) for interpreter in said] == ["3.9", "3.10", "3.12"]

    refused = Oracle(cache=tmp_path / "new", door=FakeDoor(lambda request: command_run_of(exit_code=1)))
    assert {type(found) for found in refused.ask_all([IMP], builds).values()} == {Unanswered}


def test_what_a_call_gives_is_one_answer_only_where_all_agree() -> None:
    yes, no = {"present": True, "defined": "x"}, {"present": False}

    assert agreed([yes, yes]) == yes
    assert agreed([no]) == no
    assert agreed([yes, no])["present"] is None
    assert agreed([yes, "?"])["present"] is None


# ---- files


def test_files_are_compiled_once_for_each_content(tmp_path: Path) -> None:
    door = FakeDoor(no_complaints)
    oracle = Oracle(cache=tmp_path, door=door)

    assert oracle.compile({"a.py": b"x", "b.py": b"x", "c.py": b"y"}, build_of("3.12")) == {
        "a.py": (),
        "b.py": (),
        "c.py": (),
    }
    assert oracle.compile({"moved.py": b"x"}, build_of("3.12")) == {"moved.py": ()}
    assert [len(request["files"]) for request in door.requests] == [2]


def test_complaints_come_in_the_order_of_the_lines(tmp_path: Path) -> None:
    said = [[False, "SyntaxWarning", "later", 9, None], [True, "SyntaxError", "bad", 2, 5]]
    door = FakeDoor(lambda request: printed([said]))

    assert Oracle(cache=tmp_path, door=door).compile({"a.py": b"x"}, build_of("3.12"))["a.py"] == (
        Complaint(error=True, category="SyntaxError", message="bad", line=2, column=5),
        Complaint(error=False, category="SyntaxWarning", message="later", line=9),
    )


def test_a_file_that_the_compiler_gave_up_on_is_not_well(tmp_path: Path) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        door = FakeDoor(lambda request: crashed() if len(request["files"]) == 1 else crashed([[]]))
        said = Oracle(cache=tmp_path, door=door).compile({"a.py": b"x", "b.py": b"y"}, build_of(interpreter))

        assert said["a.py"] == ()
        assert [(found.error, found.category) for found in said["b.py"]] == [(True, NOT_COMPILED)]


def test_no_files_start_nothing(tmp_path: Path) -> None:
    door = FakeDoor(no_complaints)

    assert Oracle(cache=tmp_path, door=door).compile({}, build_of("3.12")) == {}
    assert Oracle(cache=tmp_path, door=door).ask([], build_of("3.12")).answers == {}
    assert door.requests == []


@given(st.text(), st.text(alphabet='[]{}",0123456789-.eE ndtrufalse\n'))
def test_no_output_of_a_probe_crashes_its_reader(first: str, second: str) -> None:
    found, ended = read_lines(f"{first}\n{second}")

    assert all(number >= 0 for number in found)
    assert isinstance(ended, bool)
