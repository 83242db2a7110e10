"""What a suite is warned of inside a container comes back, and becomes a finding on the target."""

from pathlib import Path

import pytest

from pytest_py312.analysis.services.service_analysis import Inspection
from pytest_py312.core.model.findings import Interpreter, Severity, Status
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.model.plan import Suite, SuiteKind
from pytest_py312.gate.checks.suite import SuiteCheck
from pytest_py312.runners.agent import probe
from pytest_py312.runners.suite_job import run_suite, suite_job
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench
from tests.support.fakes import FakeFacts, cell_of, service

pytestmark = pytest.mark.docker

SUITE = """
import unittest
try:
    import imp
except ImportError:
    imp = None

class TestApp(unittest.TestCase):
    def test_a(self): pass
"""


def test_a_deprecation_in_a_container_becomes_a_finding_on_the_target(bench: Bench) -> None:
    """3.9 and 3.10 warn of what 3.12 has no more; it stands behind a guard, so it is a note."""
    bench.probe.write_bytes(Path(probe.__file__).read_bytes())
    app = service(suite=Suite(kind=SuiteKind.UNITTEST))
    (bench.repository / app.path / "test_app.py").write_text(SUITE)
    runner = bench.runner()

    def run(interpreter: Interpreter) -> SuiteRun:
        cell = cell_of(str(interpreter), app)
        build = runner.find(interpreter)
        job = suite_job(cell, build, bench.environment(interpreter), root=bench.repository, built=False)
        return run_suite(runner, job, cell, {})

    runs = {str(interpreter): run(interpreter) for interpreter in INTERPRETERS}
    place = f"{app.path}/test_app.py:4"
    assert {name: [one.origin for one in each.warnings] for name, each in runs.items()} == {
        "3.9": [place],
        "3.10": [place],
        "3.12": [],
    }
    known = FakeFacts(runs=runs, inspections={"3.12": Inspection()})
    outcome = SuiteCheck().judge(cell_of("3.12", app), known).outcome
    assert outcome.status is Status.PASSED
    assert [(one.code, one.severity, str(one.location)) for one in outcome.findings] == [
        ("PY250", Severity.NOTE, place)
    ]
