"""What uv says of a set, as a sentence: whole words, and nothing that only introduces a conclusion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_messages import (
    explain_build_failure,
    explain_failure,
    projects_without_wheels,
    relaxation_of,
    unwrap_message,
)
from tests.support.fakes import build_of

CONCLUSION = ", we can conclude that your requirements are unsatisfiable."


def message_for(cause: str, *lines: str, interpreter: str = "3.12") -> str:
    result = CommandResult(argv=(), exit_reason=ExitReason.EXITED, exit_code=1, stdout="", stderr="", seconds=0.0)
    message = f"No solution found when resolving dependencies: cause: {cause}"
    error = explain_failure(result, message, ResolutionRequest(lines=lines), build_of(interpreter))
    assert isinstance(error, Unresolvable)
    return error.findings[0].message


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_conflict_ends_with_what_is_required(interpreter: str) -> None:
    """uv's conclusion says nothing, and neither does what leads to it."""
    cause = "Because a==1 depends on b<2 and you require a==1, b<2 is needed. And because you require b==2.25.1"
    cause += CONCLUSION
    assert message_for(cause, "a==1", "b==2.25.1", interpreter=interpreter) == (
        f"the set conflicts on {interpreter}: a==1 depends on b<2 and you require a==1, b<2 is needed. "
        "And you require b==2.25.1"
    )


def test_a_long_explanation_is_cut_between_words() -> None:
    """And it shows that something is missing."""
    message = message_for("Because " + "a==1 depends on b<2 and we can conclude it, " * 40 + CONCLUSION, "a==1", "b")
    assert message.endswith(" ...")
    assert message.removesuffix(" ...").rpartition(" ")[2] in (
        "a==1",
        "depends",
        "on",
        "b<2",
        "and",
        "we",
        "can",
        "conclude",
        "it",
    )


@given(st.lists(st.sampled_from(["And because ", "you require a==1", CONCLUSION, ". ", "Because ", "\n"]), max_size=8))
def test_no_explanation_crashes(pieces: list[str]) -> None:
    """Whatever uv says."""
    assert "unsatisfiable" not in message_for("".join([*pieces, CONCLUSION]), "a==1").rpartition(".")[2]


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        (("a", "b"), "relax one of: a, b"),
        (("a",), "relax the requirement on a, or what it conflicts with"),
        ((), "relax one of the named requirements"),
    ],
)
def test_one_requirement_is_not_one_of_several(names: tuple[str, ...], remedy: str) -> None:
    """The remedy of a conflict."""
    assert relaxation_of(names) == remedy


def test_a_project_without_wheels_may_have_a_marker() -> None:
    """Otherwise its source is not allowed, and the set counts as unresolvable."""
    cause = (
        "cause: Because all versions of win-unicode-console{python_full_version < '3.10'} have no usable wheels and "
        "behave>=1.3.3 depends on win-unicode-console{python_full_version < '3.10'}, we can conclude that ..."
    )
    assert projects_without_wheels(cause) == ["win-unicode-console"]


UNREACHABLE = """error: {what} `x-y @ https://nowhere.invalid/x_y-1.0{ending}`
  cause: Request failed after 3 retries in 4.0s
  cause: Failed to fetch: https://nowhere.invalid/x_y-1.0{ending}
  cause: error sending request for url (https://nowhere.invalid/x_y-1.0{ending})
  cause: client error (Connect)
  cause: failed to lookup address information: Name or service not known
"""


@pytest.mark.parametrize(
    ("what", "ending"),
    [("Failed to download and build", ".tar.gz"), ("Failed to download", "-py3-none-any.whl")],
)
def test_a_url_that_cannot_be_reached_is_the_network(what: str, ending: str) -> None:
    """Neither the source nor a missing program is to blame."""
    text = UNREACHABLE.format(what=what, ending=ending)
    result = CommandResult(argv=(), exit_reason=ExitReason.EXITED, exit_code=1, stdout="", stderr=text, seconds=0.0)
    request = ResolutionRequest(lines=(f"x-y @ https://nowhere.invalid/x_y-1.0{ending}",))
    expected = (
        f"x-y could not be fetched from https://nowhere.invalid/x_y-1.0{ending}: failed to lookup address information: "
        "Name or service not known. Check the network"
    )
    for error in (
        explain_failure(result, unwrap_message(text), request, build_of()),
        explain_build_failure(text, request, build_of()),
    ):
        assert isinstance(error, Undetermined)
        assert str(error) == expected
