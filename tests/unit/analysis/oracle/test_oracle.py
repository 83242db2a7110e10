"""The oracle: what it queries, caches and reports as unavailable. A fake tool runner prints the output of probes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.oracle.oracle import (
    ASKABLE_MODULES,
    NOT_COMPILED,
    Oracle,
    is_askable,
    merge_answers,
    probe_version,
)
from pytest_py312.analysis.oracle.probe_protocol import MAX_CRASHES, InterpreterUnavailable, read_replies
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage, StdlibAnswer, StdlibQuery
from pytest_py312.core.process import CommandResult, ExitReason
from tests.support.fakes import build_of, command_run_of
from tests.unit.analysis.fake_tool_runner import FakeToolRunner, crashed, printed

IMP_QUERY = StdlibQuery(module="imp")
RELOAD_QUERY = StdlibQuery(module="imp", path="reload")


def all_present(request: dict[str, Any]) -> CommandResult:
    return printed([{"present": True, "warning": ".".join(question[:2])} for question in request["questions"]])


def no_messages(request: dict[str, Any]) -> CommandResult:
    return printed([[] for _ in request["files"]])


def test_the_answers_of_an_interpreter_are_returned(tmp_path: Path) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        answers = Oracle(cache=tmp_path, tool_runner=FakeToolRunner(all_present)).ask(
            [RELOAD_QUERY, IMP_QUERY, IMP_QUERY], build_of(interpreter)
        )

        assert answers.origin == f"CPython {interpreter}.1"
        assert answers.version == tuple(map(int, interpreter.split(".")))
        assert answers.answers == {
            IMP_QUERY: StdlibAnswer(present=True, warning="imp."),
            RELOAD_QUERY: StdlibAnswer(present=True, warning="imp.reload"),
        }


def test_a_build_is_queried_once(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(all_present)
    first = Oracle(cache=tmp_path, tool_runner=tool_runner).ask([IMP_QUERY], build_of("3.12"))

    assert Oracle(cache=tmp_path, tool_runner=tool_runner).ask([IMP_QUERY], build_of("3.12")) == first
    assert len(tool_runner.requests) == 1
    Oracle(cache=tmp_path, tool_runner=tool_runner).ask([IMP_QUERY, RELOAD_QUERY], build_of("3.12"))
    assert tool_runner.requests[1]["questions"] == [["imp", "reload", False]]


def test_another_build_of_the_same_version_is_queried_again(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(all_present)
    oracle = Oracle(cache=tmp_path, tool_runner=tool_runner)

    oracle.ask([IMP_QUERY], build_of("3.12"))
    oracle.ask([IMP_QUERY], build_of("3.12", digest="another"))
    assert len(tool_runner.requests) == 2


def test_a_damaged_cache_is_ignored(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(all_present)
    oracle = Oracle(cache=tmp_path, tool_runner=tool_runner)
    oracle.ask([IMP_QUERY], build_of("3.12"))
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
        assert oracle.ask([IMP_QUERY], build_of("3.12")).answers[IMP_QUERY].present is True
    assert len(tool_runner.requests) == 7


def test_only_stdlib_modules_are_queried(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(all_present)
    odd = [StdlibQuery(module=name) for name in ("requests", "", "os;x", "os.", "../os", "service.os", "a" * 300)]

    answers = Oracle(cache=tmp_path, tool_runner=tool_runner).ask(odd, build_of("3.12"))
    assert {answer.present for answer in answers.answers.values()} == {None}
    assert tool_runner.requests == []


@pytest.mark.parametrize(
    "name", ["imp", "os.path", "distutils.command.build", "formatter", "test.support", "msilib", "_pydatetime"]
)
def test_a_module_that_some_release_has_is_askable(name: str) -> None:
    assert is_askable(name)


def test_a_query_that_crashes_the_process_is_skipped(tmp_path: Path) -> None:
    """The answers before it are kept."""
    names = ["abc", "ast", "bdb", "cgi"]

    def reply(request: dict[str, Any]) -> CommandResult:
        modules = [question[0] for question in request["questions"]]
        if "bdb" in modules:
            return crashed([{"present": True}] * modules.index("bdb"))
        return all_present(request)

    tool_runner = FakeToolRunner(reply)
    answers = Oracle(cache=tmp_path, tool_runner=tool_runner).ask(
        [StdlibQuery(module=name) for name in names], build_of("3.12")
    )
    assert [answer.present for answer in answers.answers.values()] == [True, True, None, True]
    assert answers.answers[StdlibQuery(module="bdb")].reason == (
        "the query failed: CPython 3.12.1 failed on it: Segmentation fault (exit code -11)"
    )


def test_truncated_answers_are_queried_again(tmp_path: Path) -> None:
    """The runner keeps the end of the output, so the first lines are lost."""

    def reply(request: dict[str, Any]) -> CommandResult:
        whole = all_present(request).stdout
        return command_run_of(whole if len(whole) < 80 else f"[... cut ...]{whole[-60:]}")

    answers = Oracle(cache=tmp_path, tool_runner=FakeToolRunner(reply)).ask(
        [IMP_QUERY, RELOAD_QUERY, StdlibQuery(module="cgi")], build_of("3.12")
    )
    assert [answer.present for answer in answers.answers.values()] == [True, True, True]


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (
            CommandResult(
                argv=("python",),
                exit_reason=ExitReason.NOT_STARTED,
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
def test_an_unavailable_interpreter_is_reported_and_not_cached(tmp_path: Path, run: CommandResult, reason: str) -> None:
    queries = [StdlibQuery(module=name) for name in sorted(ASKABLE_MODULES)[: MAX_CRASHES + 2]]
    tool_runner = FakeToolRunner(lambda request: run)

    with pytest.raises(InterpreterUnavailable, match=reason):
        Oracle(cache=tmp_path, tool_runner=tool_runner).ask(queries, build_of("3.12"))
    assert len(tool_runner.requests) <= MAX_CRASHES + 1
    with pytest.raises(InterpreterUnavailable, match=reason):
        Oracle(cache=tmp_path, tool_runner=tool_runner).ask(queries, build_of("3.12"))


def test_answers_for_several_return_types_are_merged_if_they_agree() -> None:
    yes, no = {"present": True, "warning": "x"}, {"present": False}

    assert merge_answers([yes, yes]) == yes
    assert merge_answers([no]) == no
    assert merge_answers([yes, no])["present"] is None
    assert merge_answers([yes, "?"])["present"] is None


# ---- files


def test_files_with_equal_content_are_compiled_once(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(no_messages)
    oracle = Oracle(cache=tmp_path, tool_runner=tool_runner)

    assert oracle.compile({"a.py": b"x", "b.py": b"x", "c.py": b"y"}, build_of("3.12")) == {
        "a.py": (),
        "b.py": (),
        "c.py": (),
    }
    assert oracle.compile({"moved.py": b"x"}, build_of("3.12")) == {"moved.py": ()}
    assert [len(request["files"]) for request in tool_runner.requests] == [2]


def test_compiler_messages_are_sorted_by_line(tmp_path: Path) -> None:
    messages = [[False, "SyntaxWarning", "later", 9, None], [True, "SyntaxError", "bad", 2, 5]]
    tool_runner = FakeToolRunner(lambda request: printed([messages]))

    assert Oracle(cache=tmp_path, tool_runner=tool_runner).compile({"a.py": b"x"}, build_of("3.12"))["a.py"] == (
        CompilerMessage(is_error=True, category="SyntaxError", message="bad", line=2, column=5),
        CompilerMessage(is_error=False, category="SyntaxWarning", message="later", line=9),
    )


def test_a_file_that_crashes_the_compiler_is_an_error(tmp_path: Path) -> None:
    for interpreter in ("3.9", "3.10", "3.12"):
        tool_runner = FakeToolRunner(lambda request: crashed() if len(request["files"]) == 1 else crashed([[]]))
        messages = Oracle(cache=tmp_path, tool_runner=tool_runner).compile(
            {"a.py": b"x", "b.py": b"y"}, build_of(interpreter)
        )

        assert messages["a.py"] == ()
        assert [(message.is_error, message.category) for message in messages["b.py"]] == [(True, NOT_COMPILED)]


def test_without_files_or_queries_no_process_is_started(tmp_path: Path) -> None:
    tool_runner = FakeToolRunner(no_messages)

    assert Oracle(cache=tmp_path, tool_runner=tool_runner).compile({}, build_of("3.12")) == {}
    assert Oracle(cache=tmp_path, tool_runner=tool_runner).ask([], build_of("3.12")).answers == {}
    assert tool_runner.requests == []


@given(st.text(), st.text(alphabet='[]{}",0123456789-.eE ndtrufalse\n'))
def test_no_output_of_a_probe_crashes_its_reader(first: str, second: str) -> None:
    replies, ended = read_replies(f"{first}\n{second}")

    assert all(number >= 0 for number in replies)
    assert isinstance(ended, bool)
