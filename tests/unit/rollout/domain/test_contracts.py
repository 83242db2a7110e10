"""Contracts: what follows from the results of old and new versions of two services."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.plan.rollout_settings import ContractAction, ContractSettings
from pytest_py312.rollout.domain.contracts import (
    MAX_DATA_BYTES,
    VERSION_PAIRS,
    ContractResult,
    VersionPairResult,
    contracts_of_services,
    judge_contract,
    needs_callee_address,
    parse_answer,
    script_request,
    worst_result,
)
from pytest_py312.rollout.domain.measurements import Result

CALL = ContractSettings(first="gateway", second="auth", path="/verify")
DATA = ContractSettings(first="gateway", second="auth", write=ContractAction(function="app:key"), format="pickle")
LETTERS = {"s": Result.SUCCESSFUL, "f": Result.FAILED, "e": Result.ERROR}


def judge_letters(letters: str, *missing: str) -> ContractResult:
    """:param letters: what new-new, old-new, new-old and old-old come to; ``-`` is a pair that cannot be had."""
    pair_results = [
        VersionPairResult(first=first, second=second, result=LETTERS[letter], detail="why")
        for (first, second), letter in zip(VERSION_PAIRS, letters, strict=True)
        if letter != "-"
    ]
    return judge_contract(CALL, pair_results, unavailable=missing)


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
    assert judge_letters(letters).result is result


def test_the_reason_names_the_versions() -> None:
    assert judge_letters("sfss").reason == "old -> new: broken (why)"
    assert judge_letters("ffff").reason == "the old versions fail with each other too (why)"
    assert judge_letters("---s").reason == "neither gateway nor auth is new"
    assert judge_letters("ss--", "the old auth is not running").reason == "not tried: the old auth is not running"


def test_the_worst_of_an_edge_counts() -> None:
    assert worst_result([judge_letters("ssss"), judge_letters("fsss"), judge_letters("eeee")]) is Result.FAILED
    assert worst_result([judge_letters("ssss"), judge_letters("eeee")]) is Result.INCONCLUSIVE
    assert worst_result([]) is Result.INCONCLUSIVE


def test_contracts_of_either_side() -> None:
    assert contracts_of_services([CALL], ["auth"]) == contracts_of_services([CALL], ["gateway"]) == [CALL]
    assert contracts_of_services([CALL], ["user"]) == []


def test_what_is_requested_of_a_container() -> None:
    asked = script_request(CALL, callee_address=("10.0.0.2", 80))
    assert (asked["do"], asked["url"]) == ("ask", "http://10.0.0.2:80/verify")
    assert script_request(CALL, callee_address=("::2", 80))["url"] == "http://[::2]:80/verify"
    assert (script_request(DATA)["do"], script_request(DATA)["function"]) == ("write", "app:key")
    reading = script_request(DATA, is_reader=True, data=b"abc")
    assert (reading["do"], reading["format"], base64.b64decode(reading["data"])) == ("read", "pickle", b"abc")
    command = ContractSettings(
        first="gateway", second="auth", call=ContractAction(command=("check", "http://{callee}/x"))
    )
    assert script_request(command, callee_address=("auth", 80))["command"] == ["check", "http://auth:80/x"]
    assert [needs_callee_address(one) for one in (CALL, DATA, command)] == [True, False, True]
    as_deployed = ContractSettings(first="gateway", second="auth", call=ContractAction(command=("check",)))
    assert not needs_callee_address(as_deployed)


def answer(**changes: object) -> str:
    return "py312-contract " + json.dumps({"ok": True, "detail": "", "data": "", "python": "3.12", **changes})


def test_the_last_answer_counts_whatever_else_was_printed() -> None:
    parsed = parse_answer(f"loading\n{answer(ok=False, detail='KeyError:  1')}\nbye\n")
    assert (parsed.result, parsed.detail, parsed.python) == (Result.FAILED, "KeyError: 1", "3.12")
    assert parse_answer(answer(data="YWJj")).data == b"abc"
    assert parse_answer(answer(ok=False, unable=True)).result is Result.ERROR


@pytest.mark.parametrize("printed", ["", "sh: not found", "py312-contract {", "py312-contract []", answer(data=5)])
def test_no_answer_is_no_broken_contract(printed: str) -> None:
    assert parse_answer(printed).result is Result.ERROR


def test_what_is_too_large_to_be_handed_over_is_reported() -> None:
    data = base64.b64encode(b"x" * (MAX_DATA_BYTES + 1)).decode()
    assert "let it write a smaller example" in parse_answer(answer(data=data)).detail


@given(st.text(max_size=200))
def test_any_text_is_read(printed: str) -> None:
    assert parse_answer(f"py312-contract {printed}").result in Result
