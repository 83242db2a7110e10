"""The check ``benchmark``: what blocks, what is reported, and what could not be measured. Nothing is measured here."""

from dataclasses import replace
from typing import Any

import pytest

from pytest_py312.core.model.findings import Interpreter, Outcome, Severity, Status
from pytest_py312.core.model.measurements import BenchmarkComparison, BenchmarkResults, SpeedVerdict
from pytest_py312.core.model.plan import BenchmarkSettings, ServiceSettings
from pytest_py312.gate.checks.benchmark import BenchmarkCheck
from tests.support.fakes import FakeFacts, cell_of, service
from tests.support.report_samples import speed

TEST = "tests/test_speed.py::test_it"


def judged(*comparisons: BenchmarkComparison, settings: BenchmarkSettings | None = None, **speeds: Any) -> Outcome:
    of = service(settings=ServiceSettings(benchmark=settings or BenchmarkSettings()))
    facts = FakeFacts(measured=BenchmarkResults(comparisons=comparisons, **speeds))
    judgement = BenchmarkCheck().run(cell_of("3.12", of), facts)
    assert judgement.benchmarks == comparisons
    return judgement.outcome


def test_slower_blocks() -> None:
    """The finding has the ratio, its interval, and the file of the benchmark."""
    outcome = judged(speed(SpeedVerdict.SLOWER), speed(SpeedVerdict.SAME, name="tests/test_speed.py::test_b"))
    [finding] = outcome.findings
    assert outcome.status is Status.FAILED
    assert (finding.code, finding.names) == ("PY501", (TEST,))
    assert finding.message == f"{TEST} takes 1.42 times as long on 3.12 as on 3.9 (1.42, 1.38 to 1.47 at 99.8 %)"
    assert finding.location is not None
    assert finding.location.path == "services/user-service/tests/test_speed.py"


@pytest.mark.parametrize("verdict", [SpeedVerdict.SAME, SpeedVerdict.FASTER])
def test_the_same_and_faster_pass(verdict: SpeedVerdict) -> None:
    """Without findings."""
    outcome = judged(speed(verdict))
    assert (outcome.status, outcome.findings, outcome.interpreter) == (Status.PASSED, (), None)


def test_inconclusive_is_not_checked_unless_that_is_accepted() -> None:
    """Neither proven nor broken; the remedy is how many pairs are needed, or that no number is enough."""
    comparison = speed(SpeedVerdict.INCONCLUSIVE, ratio=1.05, low=0.9, high=1.2, pairs_needed=46)
    inconclusive = judged(comparison)
    assert (inconclusive.status, inconclusive.findings[0].code) == (Status.ERRORED, "PY502")
    assert inconclusive.reason == f"it is unclear whether {comparison.name} takes longer on 3.12"
    assert inconclusive.findings[0].remedy.startswith("about 46 more pairs")
    assert judged(comparison, replace(comparison, verdict=SpeedVerdict.SLOWER, name="another")).status is Status.FAILED
    accepted = judged(replace(comparison, pairs_needed=None), settings=BenchmarkSettings(accept_inconclusive=True))
    assert (accepted.status, accepted.findings[0].severity) == (Status.PASSED, Severity.WARNING)
    assert "at the threshold" in accepted.findings[0].remedy


def test_too_few_pairs_are_reported() -> None:
    """There is no interval."""
    outcome = judged(speed(SpeedVerdict.INCONCLUSIVE, low=0.0, high=float("inf")))
    assert "too few pairs" in outcome.findings[0].message


def test_unlike_builds_are_a_note() -> None:
    """It says how they differ."""
    note = "unlike builds: 3.11.7 is pgo+lto, 3.12.1 is plain"
    outcome = judged(speed(SpeedVerdict.NOT_COMPARABLE, note=note))
    assert outcome.status is Status.PASSED
    assert [(found.code, found.severity) for found in outcome.findings] == [("PY504", Severity.NOTE)]
    assert note in outcome.findings[0].message


def test_slower_general_measurements_are_warnings() -> None:
    """Import, memory and suite are reported only if they are worse."""
    outcome = judged(
        speed(SpeedVerdict.SLOWER, kind="memory", unit="B", name="memory after import of app"),
        speed(SpeedVerdict.INCONCLUSIVE, kind="suite", name="time of the suite"),
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
    """A test has the location of its file, if its id contains it."""
    outcome = judged(
        speed(SpeedVerdict.SLOWER, kind=kind, name=name), speed(SpeedVerdict.INCONCLUSIVE, kind=kind, name=name)
    )
    [finding] = outcome.findings
    assert (outcome.status, finding.code, finding.severity) == (Status.PASSED, "PY503", Severity.WARNING)
    assert finding.location is not None
    assert finding.location.path == path


def test_a_failed_measurement_is_errored() -> None:
    """Other failed measurements are mentioned in a passed outcome."""
    errored = judged(unchecked="tests/test_speed.py::test_b was measured on 3.9 only")
    assert (errored.status, errored.reason) == (
        Status.ERRORED, "not measured: tests/test_speed.py::test_b was measured on 3.9 only",
    )  # fmt: skip
    assert judged().status is Status.ERRORED
    passed = judged(speed(SpeedVerdict.SAME), notes=("suite: it does not pass on both sides",))
    assert (passed.status, passed.reason) == (
        Status.PASSED, "not measured: suite: it does not pass on both sides",
    )  # fmt: skip


def test_there_is_nothing_to_compare_on_the_target_itself() -> None:
    """A migrated service is skipped."""
    of = service(baseline=Interpreter(3, 12))
    outcome = BenchmarkCheck().run(cell_of("3.12", of), FakeFacts()).outcome
    assert outcome.status is Status.SKIPPED
    assert "already runs on 3.12" in outcome.reason
