"""An item that another plugin ends, skips, takes out or replaces is not checked, and the run says so."""

import json
from typing import Any

import pytest

from pytest_py312.core.model.findings import Status
from tests.plugin.gate_helpers import IDS, Faked, Real

BASELINE = "services/user-service::py3.9::suite"
"""Nothing else depends on it: the verdict on the target would be the same without it."""
HEAD = f"import os, pytest\nBASELINE = {BASELINE!r}\n"
AT_RUNTEST = """
def pytest_runtest_call(item):
    if item.nodeid == BASELINE:
        {}
"""
AT_MODIFYITEMS = """
def pytest_collection_modifyitems(config, items):
    {}
"""
ENDING = {
    "fails": AT_RUNTEST.format("pytest.fail('Timeout (>0.2s)')"),
    "exits the process": AT_RUNTEST.format("raise SystemExit(0)"),
    "skips": AT_RUNTEST.format("pytest.skip('slow')"),
    "raises": AT_RUNTEST.format("raise ValueError('of another plugin')"),
    "fails at setup": AT_RUNTEST.format("pytest.fail('no database')").replace("runtest_call", "runtest_setup"),
    "skips at setup": AT_RUNTEST.format("pytest.skip('slow')").replace("runtest_call", "runtest_setup"),
    "fails at teardown": AT_RUNTEST.format("pytest.fail('left behind')").replace("runtest_call", "runtest_teardown"),
    "runs nothing": AT_MODIFYITEMS.format(
        "\n    for item in items:\n        if item.nodeid == BASELINE: item.runtest = lambda: None"
    ),
    "handles it": (
        "@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_protocol(item, nextitem):\n"
        "    return True if item.nodeid == BASELINE else None\n"
    ),
    "swallows a failure after it": (
        "@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_call(item):\n"
        "    try:\n        return (yield)\n"
        "    finally:\n        if item.nodeid == BASELINE: pytest.fail('after its end')\n"
    ),
}
"""What another plugin may do to one item."""


def run_with(faked: Faked, plugin: str, *arguments: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """Run the gate beside a plugin, and return the JSON report as well."""
    faked.root.joinpath("another.py").write_text(HEAD + plugin)
    faked.pytester.syspathinsert()
    result = faked.run("-p", "another", "--py312-report=all.json", *arguments)
    return result, json.loads((faked.root / "all.json").read_text())


@pytest.mark.parametrize("how", ENDING)
def test_an_item_that_another_plugin_ends_is_errored(faked: Faked, how: str) -> None:
    result, report = run_with(faked, ENDING[how])
    (outcome,) = [found for found in report["outcomes"] if found["nodeid"] == BASELINE]
    assert outcome["status"] == "errored"
    assert len(report["outcomes"]) == 10
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not proven: 1 service could not be checked; 1 ready for 3.12"])
    if "raise" not in how:
        result.stdout.fnmatch_lines(["*the check did not come to its end: *"])
    result.stdout.no_fnmatch_line("*session.py*")


def test_another_attempt_counts_by_itself(faked: Faked) -> None:
    """What an earlier attempt has found says nothing of one that was ended."""
    again = "\n        item.runtest()\n        pytest.fail('in the second attempt')"
    _, report = run_with(faked, AT_RUNTEST.format(again))
    (outcome,) = [found for found in report["outcomes"] if found["nodeid"] == BASELINE]
    assert outcome["status"] == "errored"


def test_an_expected_failure_is_a_failure(faked: Faked) -> None:
    """A plugin may mark all items as ``xfail``."""
    faked.gate.answers["user-service-py3.9-suite"] = ("failed", "1 test fails")
    faked.gate.answers["user-service-py3.10-suite"] = ("errored", "no interpreter")
    marking = AT_MODIFYITEMS.format("for item in items: item.add_marker(pytest.mark.xfail)")
    result, _ = run_with(faked, marking)
    result.assert_outcomes(failed=1, errors=1, xpassed=8)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["not proven: 1 service blocked; 1 ready for 3.12"])


def test_a_failure_that_another_plugin_swallows_is_one(faked: Faked) -> None:
    faked.gate.answers["user-service-py3.9-suite"] = ("failed", "1 test fails")
    swallowing = (
        "@pytest.hookimpl(wrapper=True)\ndef pytest_runtest_call(item):\n"
        "    try:\n        yield\n    except Exception:\n        pass\n"
    )
    result, _ = run_with(faked, swallowing)
    result.assert_outcomes(passed=9, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    "removal",
    [
        "items[:] = [item for item in items if item.nodeid != BASELINE]",
        "config.hook.pytest_deselected(items=[items.pop(5)])",
    ],
)
def test_an_item_that_another_plugin_takes_out_is_missed(faked: Faked, removal: str) -> None:
    """It is not the user who has left it out, with ``-k`` or a path."""
    result, report = run_with(faked, AT_MODIFYITEMS.format(removal))
    result.assert_outcomes(passed=9, deselected=0 if "items[:]" in removal else 1)
    assert (result.ret, report["complete"]) == (pytest.ExitCode.TESTS_FAILED, False)
    result.stdout.fnmatch_lines(["Incomplete", "*not run: suite on 3.9: user-service", "not proven: 1 service inc*"])


def test_what_the_user_leaves_out_is_not_missed(faked: Faked) -> None:
    for arguments in (["-k", "not py3.9"], ["--deselect", BASELINE], [f"--py312-python={'3.10,3.12'}"], [IDS[9]]):
        result, report = run_with(faked, "", *arguments)
        assert report["complete"] is True
        assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize("code", [0, 1, 7])
def test_a_run_that_another_plugin_ends_is_not_complete(faked: Faked, code: int) -> None:
    """``pytest.exit`` may ask for any exit status, also that of success."""
    result, report = run_with(faked, AT_RUNTEST.format(f"pytest.exit('enough', returncode={code})"))
    assert result.ret == (code or pytest.ExitCode.INTERRUPTED)
    assert report["complete"] is False
    if code != 7:  # pytest prints no summary of a run with an exit status that it does not know
        result.stdout.fnmatch_lines(["*user-service*", "not proven: *"])
    assert all(found["status"] == Status.PASSED.value for found in report["outcomes"])


ENDED_AT_FIRST = (
    "def pytest_runtest_call(item):\n    if 'auth-service::py3.10::dep' in item.nodeid: raise KeyboardInterrupt\n"
)
ALL_OF_USER_SERVICE = {
    f"user-service-py{version}-{check}" for version in ("3.9", "3.10", "3.12") for check in ("dependencies", "suite")
}


def completeness(report: dict[str, Any]) -> dict[str, bool]:
    return {service["name"]: service["complete"] for service in report["services"]}


def test_what_was_checked_ahead_counts_in_a_run_that_is_ended(faked: Faked) -> None:
    faked.gate.finished = ALL_OF_USER_SERVICE
    result, report = run_with(faked, ENDED_AT_FIRST)
    assert (result.ret, report["complete"]) == (pytest.ExitCode.INTERRUPTED, False)
    assert completeness(report) == {"auth-service": False, "user-service": True}
    assert [found["nodeid"] for found in report["outcomes"]] == IDS[4:]
    result.stdout.fnmatch_lines(["*interrupted, with 1 of 2 services", "judged; 1 ready for 3.12"])


def test_a_service_with_an_item_that_did_not_run_is_not_complete(faked: Faked) -> None:
    faked.gate.finished = ALL_OF_USER_SERVICE - {"user-service-py3.9-suite"}
    result, report = run_with(faked, ENDED_AT_FIRST)
    assert completeness(report) == {"auth-service": False, "user-service": False}
    result.stdout.fnmatch_lines(["*interrupted, with 0 of 2 services*"])


def test_what_was_checked_ahead_is_not_shown_after_a_first_failure(faked: Faked) -> None:
    """``-x`` asks to be shown no more."""
    faked.gate.answers["auth-service-py3.10-dependencies"] = ("failed", "no wheel")
    faked.gate.finished = ALL_OF_USER_SERVICE
    _, report = run_with(faked, "", "-x")
    assert [found["nodeid"] for found in report["outcomes"]] == IDS[:1]
    assert completeness(report) == {"auth-service": False, "user-service": False}


def test_a_baseline_that_was_not_reached_is_missed(faked: Faked) -> None:
    """In another order of the items ``-x`` may leave out what the verdict on the target does not look at."""
    faked.gate.answers["auth-service-py3.10-suite"] = ("failed", "1 test fails")
    last = "items.sort(key=lambda item: (item.nodeid == BASELINE, 'auth-service::py3.10::suite' in item.nodeid))"
    result, report = run_with(faked, AT_MODIFYITEMS.format(last), "-x")
    assert report["complete"] is False
    result.stdout.fnmatch_lines(["*not run: suite on 3.9: user-service", "not proven: *"])


@pytest.mark.network
@pytest.mark.timeout(300)
def test_an_item_whose_process_crashes_is_errored(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    """xdist tells of it in a report of its own."""
    crash = HEAD + "def pytest_runtest_call(item):\n    if item.nodeid == BASELINE: os._exit(1)\n"
    real.root.joinpath("crashing.py").write_text(crash)
    monkeypatch.setenv("PYTHONPATH", str(real.root))
    run = real.run("-p", "crashing", "-n", "1", "services/user-service", "-k", "suite")
    assert run.statuses[BASELINE] == "errored"
    (outcome,) = [found for found in run.report["outcomes"] if found["nodeid"] == BASELINE]
    assert "its process ended: worker 'gw0' crashed" in outcome["reason"]
    assert "proven: " not in run.out.replace("not proven: ", "")
