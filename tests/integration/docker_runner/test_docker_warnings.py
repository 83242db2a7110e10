"""Warnings of a suite in a container become findings on the target."""

from pathlib import Path

import pytest

from pytest_py312.analysis.services.service_analysis import AnalysisResult
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
    """3.9 and 3.10 warn of a module that 3.12 lacks; its import is guarded, so the finding is a note."""
    bench.probe.write_bytes(Path(probe.__file__).read_bytes())
    app = service(suite=Suite(kind=SuiteKind.UNITTEST))
    (bench.repository / app.path / "test_app.py").write_text(SUITE)
    runner = bench.runner()

    def run(interpreter: Interpreter) -> SuiteRun:
        cell = cell_of(str(interpreter), app)
        build = runner.find_interpreter(interpreter)
        job = suite_job(cell, build, bench.environment(interpreter), root=bench.repository, built=False)
        return run_suite(runner, job, cell, {})

    runs = {str(interpreter): run(interpreter) for interpreter in INTERPRETERS}
    place = f"{app.path}/test_app.py:4"
    assert {name: [item.origin for item in suite_run.warnings] for name, suite_run in runs.items()} == {
        "3.9": [place],
        "3.10": [place],
        "3.12": [],
    }
    facts = FakeFacts(runs=runs, inspections={"3.12": AnalysisResult()})
    outcome = SuiteCheck().run(cell_of("3.12", app), facts).outcome
    assert outcome.status is Status.PASSED
    assert [(item.code, item.severity, str(item.location)) for item in outcome.findings] == [
        ("PY250", Severity.NOTE, place)
    ]
