"""What it says when old and new versions of two services meet."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import ContractSettings, Doing
from pytest_py312.rollout.domain.contracts import (
    MOST_DATA,
    PAIRS,
    ContractResult,
    Tried,
    answer_in,
    concerned,
    judged,
    needs_host,
    of_edge,
    request_to,
)
from pytest_py312.rollout.domain.model import Result

CALL = ContractSettings(first="gateway", second="auth", path="/verify")
DATA = ContractSettings(first="gateway", second="auth", write=Doing(function="app:key"), format="pickle")
LETTERS = {"s": Result.SUCCESSFUL, "f": Result.FAILED, "e": Result.ERROR}


def said(letters: str, *missing: str) -> ContractResult:
    """:param letters: what new-new, old-new, new-old and old-old come to; ``-`` is a pair that cannot be had."""
    tried = [
        Tried(first=first, second=second, result=LETTERS[letter], detail="why")
        for (first, second), letter in zip(PAIRS, letters, strict=True)
        if letter != "-"
    ]
    return judged(CALL, tried, missing=missing)


@pytest.mark.parametrize(
    ("letters", "result"),
    [
        ("ssss", Result.SUCCESSFUL),
        ("sss-", Result.SUCCESSFUL),
        ("-s--", Result.SUCCESSFUL),
        ("fsss", Result.FAILED),
        ("ssfs", Result.FAILED),
        ("sfs-", Result.FAILED),
        ("ffff", Result.INCONCLUSIVE),
        ("sssf", Result.SUCCESSFUL),
        ("sses", Result.INCONCLUSIVE),
        ("fses", Result.FAILED),
        ("eeee", Result.INCONCLUSIVE),
        ("---s", Result.INCONCLUSIVE),
        ("----", Result.INCONCLUSIVE),
    ],
)
def test_the_new_version_is_to_blame_where_the_old_ones_get_along(letters: str, result: Result) -> None:
    """What both fail is the environment's, and what could not be tried is never good."""
    assert said(letters).result is result


def test_the_reason_names_the_versions() -> None:
    assert said("sfss").reason == "old -> new: broken (why)"
    assert said("ffff").reason == "the old versions fail each other too (why)"
    assert said("---s").reason == "neither gateway nor auth is new"
    assert said("ss--", "the old auth does not run").reason == "not tried: the old auth does not run"


def test_the_worst_of_an_edge_counts() -> None:
    assert of_edge([said("ssss"), said("fsss"), said("eeee")]) is Result.FAILED
    assert of_edge([said("ssss"), said("eeee")]) is Result.INCONCLUSIVE
    assert of_edge([]) is Result.INCONCLUSIVE


def test_contracts_of_either_side() -> None:
    assert concerned([CALL], ["auth"]) == concerned([CALL], ["gateway"]) == [CALL]
    assert concerned([CALL], ["user"]) == []


def test_what_a_container_is_told() -> None:
    asked = request_to(CALL, host=("10.0.0.2", 80))
    assert (asked["do"], asked["url"]) == ("ask", "http://10.0.0.2:80/verify")
    assert request_to(CALL, host=("::2", 80))["url"] == "http://[::2]:80/verify"
    assert (request_to(DATA)["do"], request_to(DATA)["function"]) == ("write", "app:key")
    reading = request_to(DATA, reads=True, data=b"abc")
    assert (reading["do"], reading["format"], base64.b64decode(reading["data"])) == ("read", "pickle", b"abc")
    command = ContractSettings(first="gateway", second="auth", call=Doing(command=("check", "http://{callee}/x")))
    assert request_to(command, host=("auth", 80))["command"] == ["check", "http://auth:80/x"]
    assert [needs_host(one) for one in (CALL, DATA, command)] == [True, False, True]
    as_deployed = ContractSettings(first="gateway", second="auth", call=Doing(command=("check",)))
    assert not needs_host(as_deployed)


def answer(**changes: object) -> str:
    return "py312-contract " + json.dumps({"ok": True, "detail": "", "data": "", "python": "3.12", **changes})


def test_the_last_answer_counts_whatever_else_was_printed() -> None:
    said = answer_in(f"loading\n{answer(ok=False, detail='KeyError:  1')}\nbye\n")
    assert (said.result, said.detail, said.python) == (Result.FAILED, "KeyError: 1", "3.12")
    assert answer_in(answer(data="YWJj")).data == b"abc"
    assert answer_in(answer(ok=False, unable=True)).result is Result.ERROR


@pytest.mark.parametrize("printed", ["", "sh: not found", "py312-contract {", "py312-contract []", answer(data=5)])
def test_no_answer_is_no_broken_contract(printed: str) -> None:
    assert answer_in(printed).result is Result.ERROR


def test_what_is_too_large_to_be_handed_over_is_told() -> None:
    data = base64.b64encode(b"x" * (MOST_DATA + 1)).decode()
    assert "let it write an example" in answer_in(answer(data=data)).detail


@given(st.text(max_size=200))
def test_any_text_is_read(printed: str) -> None:
    assert answer_in(f"py312-contract {printed}").result in Result
