"""GitHub annotations, parsed by the rules of the runner: within its limits, worst first."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location, Outcome, Severity, Status
from pytest_py312.core.text import escape_control
from pytest_py312.gate.reports.github_annotations import (
    MAX_ANNOTATIONS_PER_KIND,
    WorkflowAnnotation,
    command_lines,
    escape_message,
    escape_property,
)
from tests.support.fakes import service
from tests.support.report_samples import PY39, PY310, PY312, errored, finding, judged, report_of


def unescaped(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for code, char in pairs:
        text = text.replace(code, char)
    return text.replace("%25", "%")


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Parse a command as the runner does: name, properties, message."""
    match = re.fullmatch(r"::(\w+) ([^\r\n]*?)::([^\r\n]*)", line)
    assert match, line
    name, encoded_properties, message = match.groups()
    newlines = (("%0D", "\r"), ("%0A", "\n"))
    properties = {}
    for encoded in encoded_properties.split(","):
        key, _, value = encoded.partition("=")
        properties[key] = unescaped(value, (*newlines, ("%3A", ":"), ("%2C", ",")))
    return name, properties, unescaped(message, newlines)


def test_a_finding_is_annotated_at_its_place() -> None:
    (line,) = command_lines(report_of(judged(finding())))

    assert line == (
        "::error file=services/user-service/app.py,line=3,col=5,title=PY202 user-service (py3.12)"
        "::asyncio.coroutine was removed in 3.11%0Awrite async def"
    )


def test_paths_are_relative_to_the_workspace() -> None:
    (line,) = command_lines(report_of(judged(finding())), prefix="platform/")

    assert read(line)[1]["file"] == "platform/services/user-service/app.py"


def test_a_finding_without_a_location_has_a_title_only() -> None:
    (line,) = command_lines(report_of(judged(finding(location=None))))

    assert read(line)[1] == {"title": "PY202 user-service (py3.12)"}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["error"]),
        ({"severity": Severity.WARNING}, ["warning"]),
        ({"severity": Severity.NOTE}, ["notice"]),
        ({"preexisting": True}, ["notice"]),
        ({"waived": True}, []),
        ({"known": True}, []),
    ],
)
def test_the_kind_follows_the_severity(changes: dict[str, Any], kinds: list[str]) -> None:
    assert [read(line)[0] for line in command_lines(report_of(judged(finding(**changes))))] == kinds


def test_several_interpreters_and_services_share_one_annotation() -> None:
    """A library or a requirements file of all services is annotated once."""
    shared = finding(path="libs/common.py")
    names = ["a", "b", "c", "d"]
    outcomes = [judged(shared, on=on, of=name) for name in names for on in (PY39, PY312)]

    (line,) = command_lines(report_of(*outcomes, services=[service(name) for name in names]))

    assert read(line)[1]["title"] == "PY202 a, b, c, and 1 more (py3.9, py3.12)"


def test_what_could_not_be_checked_is_an_error_once_for_each_reason() -> None:
    outcomes = [errored("the engine is lost", on=on) for on in (PY310, PY312)]

    (line,) = command_lines(report_of(*outcomes))

    kind, properties, message = read(line)
    assert (kind, message) == ("error", "the engine is lost")
    assert properties["title"] == "suite of user-service could not be checked (py3.10, py3.12)"
    assert properties["file"] == "services/user-service/requirements.txt"


def test_what_failed_without_a_finding_is_annotated_with_its_reason() -> None:
    bare = Outcome(service="user-service", interpreter=PY312, check="own", status=Status.FAILED, reason="no licence")

    (line,) = command_lines(report_of(bare))

    assert read(line)[2] == "no licence"
    assert read(line)[1]["title"] == "own of user-service failed (py3.12)"


def test_ten_of_a_kind_are_shown_worst_first_and_the_others_are_counted() -> None:
    """GitHub would drop them silently."""
    many = [finding(line=line, message=f"gone: {line}", names=(f"n{line}",)) for line in range(1, 14)]
    warnings = [replace(one, severity=Severity.WARNING) for one in many[:12]]
    notes = [replace(one, severity=Severity.NOTE) for one in many[:10]]

    *commands, more = command_lines(report_of(judged(*notes, check="c"), judged(*warnings, check="b"), judged(*many)))

    assert [read(line)[0] for line in commands] == ["error"] * MAX_ANNOTATIONS_PER_KIND + [
        "warning"
    ] * MAX_ANNOTATIONS_PER_KIND + ["notice"] * MAX_ANNOTATIONS_PER_KIND
    assert more.startswith("py312: 3 errors, 2 warnings not shown because of GitHub's limit per step")


def test_what_blocks_comes_before_what_could_not_be_checked() -> None:
    many = [finding(line=line, names=(f"n{line}",)) for line in range(1, 11)]

    *commands, more = command_lines(report_of(errored("lost"), judged(*many)))

    assert all(read(line)[1]["title"].startswith("PY202") for line in commands)
    assert more.startswith("py312: 1 error not shown")


def test_nothing_found_prints_nothing() -> None:
    assert command_lines(report_of(judged())) == []


@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=60))
def test_no_text_escapes_from_its_command(title: str, message: str) -> None:
    """The runner decodes the original text, and the command stays on one line."""
    line = WorkflowAnnotation(
        kind="error", title=title, message=message, location=Location(path=title, line=1)
    ).to_command()

    assert "\n" not in line
    assert "\r" not in line
    assert unescaped(escape_message(message), (("%0D", "\r"), ("%0A", "\n"))) == message
    assert not set(escape_property(title)) & set(":,\r\n")
    _, properties, decoded = read(line)
    assert (properties["title"], decoded) == (title, message)
    assert properties.get("file", "") == escape_control(title)


def test_a_path_does_not_control_the_terminal() -> None:
    location = Location(path="a\x1b[2J\x07\u202e.py", line=1)
    line = WorkflowAnnotation(kind="error", title="a", message="b", location=location).to_command()
    assert line.isprintable()
    assert line == r"::error file=a\x07\u202e.py,line=1,title=a::b"


@given(st.text(st.characters(), max_size=40))
def test_every_line_is_a_command_for_any_text(text: str) -> None:
    odd = finding(message=text, remedy=text, location=Location(path=text, line=1), names=(text,))

    for line in command_lines(report_of(judged(odd, of=text), errored(text.strip() or "-", of=text))):
        assert read(line)[0] == "error"
