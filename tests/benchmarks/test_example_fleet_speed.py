"""The gate's benchmarks of the example fleet, baseline against target, with both runners (8 minutes).

    pytest tests/benchmarks/test_example_fleet_speed.py

What the recordings of palpation-service are catalogued with takes several times as long on 3.12. Where the builds are
not alike, it is measured with the plan's leave, so that there is a verdict everywhere. On a machine that is busy with
other things it may not show that something has not changed, and then the gate has to say so, and not to pass.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.runners.docker.ping import engine_version
from tests.integration.docker_runner.conftest import unavailable

EXAMPLE = Path(__file__).parents[2] / "examples" / "suoke"
SLOW = "test/test_recordings.py::test_the_catalogue_of_a_year_is_quick"
OTHERS = {"tests/test_speed.py::test_a_search_is_quick", "tests/test_speed.py::test_words_are_found_quickly"}
GENERAL = 'unlike-builds = true, budget = "25s"'
"""The default of two minutes detects smaller differences; the planted one is found in a few seconds."""

pytestmark = [pytest.mark.network, pytest.mark.timeout(1800)]


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A copy of the example, in which builds with different options are compared as well."""
    root = Path(shutil.copytree(EXAMPLE, tmp_path / "suoke", ignore=shutil.ignore_patterns(".py312", "__pycache__")))
    plan = root / "py312.toml"
    text, times = re.subn(r"benchmark = \{ ", f"benchmark = {{ {GENERAL}, ", plan.read_text(encoding="utf-8"))
    assert times == 1
    text, times = re.subn(r"(?m)^\[service\]$", f'[service]\n"palpation-service".benchmark = {{ {GENERAL} }}', text)
    assert times == 1
    plan.write_text(text, encoding="utf-8")
    return root


def speeds(fleet: Path, runner: str) -> tuple[dict[str, Any], str]:
    """Run the benchmarks of the two services that have some; return the report and the output."""
    file = fleet / "report.json"
    argv = [sys.executable, "-m", "pytest", "--py312", "--py312-benchmark", "-m", "py312_benchmark", ".", "-n0"]
    argv += [f"--py312-runner={runner}", "--py312-services=palpation-service,rag-service", f"--py312-report={file}"]
    argv += ["-p", "no:cacheprovider", f"--py312-cache-dir={fleet.parent / 'cache'}"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(argv, cwd=fleet, env=variables, capture_output=True, text=True, timeout=1700, check=False)
    assert file.exists(), done.stdout + done.stderr
    assert done.returncode == 1, done.stdout + done.stderr
    return json.loads(file.read_text(encoding="utf-8")), done.stdout


@pytest.mark.parametrize("runner", ["local", pytest.param("docker", marks=pytest.mark.docker)])
def test_the_planted_slowdown_is_found_and_nothing_else(fleet: Path, runner: str) -> None:
    """It blocks its service; no benchmark of the other service blocks."""
    if runner == "docker" and engine_version() is None:
        unavailable("no Docker engine answers")
    report, output = speeds(fleet, runner)
    own = {entry["name"]: entry for entry in report["comparisons"] if entry["kind"] == "benchmark"}
    assert set(own) == {SLOW, *OTHERS}, output
    assert (own[SLOW]["verdict"], own[SLOW]["confirmed"]) == ("slower", True), output
    assert own[SLOW]["ratio"] > 1.5
    of_others = {own[name]["verdict"] for name in OTHERS}
    assert of_others <= {"same", "faster", "inconclusive"}, output
    outcomes = {entry["service"]: entry for entry in report["outcomes"]}
    assert outcomes["rag-service"]["status"] == ("errored" if "inconclusive" in of_others else "passed"), output
    assert {entry["code"] for entry in outcomes["palpation-service"]["findings"] if entry["severity"] == "error"} == {
        "PY501"
    }
    kinds = {entry["kind"] for entry in report["comparisons"]}
    assert kinds >= {"benchmark", "import", "memory", "suite"}
    assert ("start" in kinds) is (runner == "docker"), output
