"""The check ``benchmark``: what blocks, what is shown, and what could not be measured. Nothing is measured here."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_py312.core.model.findings import Interpreter, Outcome, Severity, Status
from pytest_py312.core.model.measurements import Comparison, Speeds, Verdict
from pytest_py312.core.model.plan import BenchmarkSettings, ServiceSettings
from pytest_py312.gate.checks.benchmark import Benchmark
from tests.support.fakes import FakeFacts, cell_of, service
from tests.support.report_samples import speed

TEST = "tests/test_speed.py::test_it"


def judged(*comparisons: Comparison, settings: BenchmarkSettings | None = None, **speeds: Any) -> Outcome:
    of = service(settings=ServiceSettings(benchmark=settings or BenchmarkSettings()))
    facts = FakeFacts(measured=Speeds(comparisons=comparisons, **speeds))
    judgement = Benchmark().judge(cell_of("3.12", of), facts)
    assert judgement.speeds == comparisons
    return judgement.outcome


def test_slower_blocks() -> None:
    """With the ratio, its interval, and the file of the benchmark."""
    outcome = judged(speed(Verdict.SLOWER), speed(Verdict.SAME, name="tests/test_speed.py::test_b"))
    [finding] = outcome.findings
    assert outcome.status is Status.FAILED
    assert (finding.code, finding.names) == ("PY501", (TEST,))
    assert finding.message == f"{TEST} takes 1.42 times as long on 3.12 as on 3.9 (1.42, 1.38 to 1.47 at 99.8 %)"
    assert finding.location is not None
    assert finding.location.path == "services/user-service/tests/test_speed.py"


@pytest.mark.parametrize("verdict", [Verdict.SAME, Verdict.FASTER])
def test_the_same_and_faster_pass(verdict: Verdict) -> None:
    """Without a word."""
    outcome = judged(speed(verdict))
    assert (outcome.status, outcome.findings, outcome.interpreter) == (Status.PASSED, (), None)


def test_what_cannot_be_told_was_not_checked_unless_that_is_accepted() -> None:
    """Neither proven nor broken; how many pairs would tell is said, or that none would."""
    found = speed(Verdict.INCONCLUSIVE, ratio=1.05, low=0.9, high=1.2, more_pairs=46)
    untold = judged(found)
    assert (untold.status, untold.findings[0].code) == (Status.ERRORED, "PY502")
    assert untold.reason == f"it does not show whether {found.name} takes longer on 3.12"
    assert untold.findings[0].remedy.startswith("about 46 more pairs")
    assert judged(found, replace(found, verdict=Verdict.SLOWER, name="another")).status is Status.FAILED
    accepted = judged(replace(found, more_pairs=None), settings=BenchmarkSettings(accept_inconclusive=True))
    assert (accepted.status, accepted.findings[0].severity) == (Status.PASSED, Severity.WARNING)
    assert "on the edge" in accepted.findings[0].remedy


def test_too_few_pairs_are_told_as_such() -> None:
    """No interval is made up."""
    outcome = judged(speed(Verdict.INCONCLUSIVE, low=0.0, high=float("inf")))
    assert "too few pairs" in outcome.findings[0].message


def test_unlike_builds_decide_nothing() -> None:
    """A note that says which."""
    note = "unlike builds: 3.11.7 is pgo+lto, 3.12.1 is plain"
    outcome = judged(speed(Verdict.NOT_COMPARABLE, note=note))
    assert outcome.status is Status.PASSED
    assert [(found.code, found.severity) for found in outcome.findings] == [("PY504", Severity.NOTE)]
    assert note in outcome.findings[0].message


def test_what_every_service_has_is_a_warning() -> None:
    """Import, memory and suite are shown, and told only where they are worse."""
    outcome = judged(
        speed(Verdict.SLOWER, kind="memory", unit="B", name="memory after import of app"),
        speed(Verdict.INCONCLUSIVE, kind="suite", name="time of the suite"),
    )
    assert outcome.status is Status.PASSED
    [finding] = outcome.findings
    assert (finding.code, finding.severity) == ("PY503", Severity.WARNING)
    assert "needs 1.42 times as much" in finding.message


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("start", "start of the image until it is healthy", "services/user-service/requirements.txt"),
        ("test", "time of tests/test_a.py::test_it", "services/user-service/tests/test_a.py"),
        ("test", "processor time of tests/a of b.py::test_it", "services/user-service/tests/a of b.py"),
        ("test", "time of tests.test_a.A.test_it", "services/user-service/requirements.txt"),
    ],
)
def test_a_start_or_a_test_that_takes_longer_is_a_warning(kind: str, name: str, path: str) -> None:
    """At the file of the test, where its id tells it."""
    outcome = judged(speed(Verdict.SLOWER, kind=kind, name=name), speed(Verdict.INCONCLUSIVE, kind=kind, name=name))
    [finding] = outcome.findings
    assert (outcome.status, finding.code, finding.severity) == (Status.PASSED, "PY503", Severity.WARNING)
    assert finding.location is not None
    assert finding.location.path == path


def test_what_could_not_be_measured_is_errored() -> None:
    """And what else was not is told beside a pass."""
    errored = judged(unchecked="tests/test_speed.py::test_b was measured on 3.9 only")
    assert (errored.status, errored.reason) == (
        Status.ERRORED, "not measured: tests/test_speed.py::test_b was measured on 3.9 only",
    )  # fmt: skip
    assert judged().status is Status.ERRORED
    passed = judged(speed(Verdict.SAME), notes=("suite: it does not pass on both sides",))
    assert (passed.status, passed.reason) == (
        Status.PASSED, "not measured: suite: it does not pass on both sides",
    )  # fmt: skip


def test_there_is_nothing_to_compare_on_the_target_itself() -> None:
    """A service that has moved is skipped."""
    of = service(baseline=Interpreter(3, 12))
    outcome = Benchmark().judge(cell_of("3.12", of), FakeFacts()).outcome
    assert outcome.status is Status.SKIPPED
    assert "3.12 already" in outcome.reason
