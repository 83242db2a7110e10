"""The gate on real projects as published: its results must match those of their suites run by hand.

The script that creates the fleet is beside the checkout, and not part of it. ``future`` is left out, as its suite needs
the network and takes minutes, and ``mock``, of which one test fails as one of ``toolz`` does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.child_pytest import PYTEST

MAKER = Path(__file__).parents[3] / "shared" / "bin" / "make_real_fleet.py"

pytestmark = [
    pytest.mark.network,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not MAKER.is_file(), reason="the maker of the real fleet is not beside this checkout"),
]

PLAN = """
target = "3.12"
interpreters = ["3.9", "3.12"]
services = ["services/*"]

[defaults]
baseline = "3.9"
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, gate_cache: Path) -> dict[str, Any]:
    """Run the gate on the fleet with the local runner and return its report."""
    root = tmp_path_factory.mktemp("real-fleet")
    left_out = [root / "services" / name for name in ("future", "mock")]
    for folder in left_out:
        folder.mkdir(parents=True)  # what is there already is not made
    # pip would compile the setuptools of each build
    subprocess.run(
        [sys.executable, str(MAKER), str(root)], env={**os.environ, "PIP_COMPILE": "0"}, check=True, timeout=300
    )
    for folder in left_out:
        folder.rmdir()
    (root / "py312.toml").write_text(PLAN)
    file = root / "report.json"
    argv = [*PYTEST, "--py312", "--py312-runner=local", "--py312-python=3.9,3.12"]
    argv += [f"--py312-report={file}", f"--py312-cache-dir={gate_cache}"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(argv, cwd=root, env=variables, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-6000:] + done.stderr[-3000:]
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def suite(report: dict[str, Any], service: str) -> dict[str, Any]:
    """Return a service's comparison of 3.9 with 3.12."""
    (comparison,) = [entry for entry in report["suites"] if (entry["service"], entry["target"]) == (service, "3.12")]
    return dict(comparison)


def status(report: dict[str, Any], service: str) -> dict[str, str]:
    return {
        f"{outcome['interpreter']} {outcome['check']}": outcome["status"]
        for outcome in report["outcomes"]
        if outcome["service"] == service and outcome["check"] in ("dependencies", "suite")
    }


PASSED = dict.fromkeys(("3.9 dependencies", "3.9 suite", "3.12 dependencies", "3.12 suite"), "passed")
BLOCKED = {**PASSED, "3.12 suite": "failed"}


def test_a_suite_that_passes_on_both_passes(report: dict[str, Any]) -> None:
    assert status(report, "cachetools") == PASSED
    comparison = suite(report, "cachetools")
    assert comparison["counts"]["3.9"]["passed"] == comparison["counts"]["3.12"]["passed"] == 179
    assert [comparison[kind] for kind in ("newly_failing", "missing", "flaky")] == [[], [], []]


def test_a_suite_runs_with_the_pytest_that_its_tox_environment_pins(report: dict[str, Any]) -> None:
    """itsdangerous turns warnings into errors, and the pytest that it pins uses ``ast.Str``: tox fails on 3.12, too.

    Its developers' PyYAML 6.0 cannot be built for 3.12 either, but nothing installs the file that requires it.
    """
    assert status(report, "itsdangerous") == BLOCKED
    severities = {
        finding["severity"]
        for outcome in report["outcomes"]
        if (outcome["service"], outcome["check"], outcome["interpreter"]) == ("itsdangerous", "dependencies", "3.12")
        for finding in outcome["findings"]
        if finding["names"] == ["pyyaml"]
    }
    assert severities == {"warning"}
    comparison = suite(report, "itsdangerous")
    assert (comparison["counts"]["3.9"]["passed"], len(comparison["missing"])) == (297, 297)
    (outcome,) = [
        outcome
        for outcome in report["outcomes"]
        if (outcome["service"], outcome["check"], outcome["interpreter"]) == ("itsdangerous", "suite", "3.12")
    ]
    assert "ast.Str is deprecated" in outcome["reason"]


def test_one_test_is_newly_failing(report: dict[str, Any]) -> None:
    assert status(report, "toolz") == BLOCKED
    comparison = suite(report, "toolz")
    assert len(comparison["newly_failing"]) == 1
    assert "test_tlz" in comparison["newly_failing"][0]
    assert comparison["missing"] == []
    assert comparison["counts"]["3.12"]["passed"] >= 179


def test_tests_of_files_that_cannot_be_collected_are_missing(report: dict[str, Any]) -> None:
    """asynctest: all tests that pass on 3.9 are missing on 3.12; tests that fail on 3.9 are not newly failing."""
    assert status(report, "asynctest")["3.12 suite"] == "failed"
    comparison = suite(report, "asynctest")
    assert comparison["counts"]["3.12"]["collection_errors"] == 4
    assert len(comparison["missing"]) >= 170
    assert len(comparison["missing"]) == comparison["counts"]["3.9"]["passed"]
    assert comparison["newly_failing"] == []
    assert len(comparison["failing_on_both"]) >= 40
