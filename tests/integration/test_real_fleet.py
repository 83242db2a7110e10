"""The gate over real projects, as they were published: what their own suites did by hand is what it has to say.

The maker of that fleet lies beside the checkout, and is not part of it. ``future`` is left out: its suite reaches for
the network and takes minutes.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run over the fleet with the local runner."""
    root = tmp_path_factory.mktemp("real-fleet")
    subprocess.run([sys.executable, str(MAKER), str(root)], check=True, timeout=300)
    shutil.rmtree(root / "services" / "future")
    (root / "py312.toml").write_text(PLAN)
    file = root / "report.json"
    argv = [sys.executable, "-m", "pytest", "--py312", "--py312-runner=local", "--py312-python=3.9,3.12"]
    argv += [f"--py312-report={file}", f"--py312-cache-dir={root / 'cache'}"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(argv, cwd=root, env=variables, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-6000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def suite(report: dict[str, Any], service: str) -> dict[str, Any]:
    """The comparison of 3.9 with 3.12."""
    (found,) = [one for one in report["suites"] if (one["service"], one["target"]) == (service, "3.12")]
    return dict(found)


def status(report: dict[str, Any], service: str) -> dict[str, str]:
    return {
        f"{found['interpreter']} {found['check']}": found["status"]
        for found in report["outcomes"]
        if found["service"] == service and found["check"] in ("dependencies", "suite")
    }


PASSED = dict.fromkeys(("3.9 dependencies", "3.9 suite", "3.12 dependencies", "3.12 suite"), "passed")
BLOCKED = {**PASSED, "3.12 suite": "failed"}


@pytest.mark.parametrize(
    ("service", "tests", "dependencies"), [("itsdangerous", 297, "failed"), ("cachetools", 179, "passed")]
)
def test_what_runs_on_both_passes(report: dict[str, Any], service: str, tests: int, dependencies: str) -> None:
    """itsdangerous pins PyYAML 6.0 for its developers, which cannot be built for 3.12: its suite does without."""
    assert status(report, service) == {**PASSED, "3.12 dependencies": dependencies}
    found = suite(report, service)
    assert found["counts"]["3.9"]["passed"] == found["counts"]["3.12"]["passed"] == tests
    assert [found[kind] for kind in ("newly_failing", "missing", "flaky")] == [[], [], []]


@pytest.mark.parametrize(
    ("service", "test", "passed"),
    [("toolz", "test_tlz", 179), ("mock", "test_bool_not_called_when_passing_spec_arg", 493)],
)
def test_one_test_is_newly_failing(report: dict[str, Any], service: str, test: str, passed: int) -> None:
    assert status(report, service) == BLOCKED
    found = suite(report, service)
    assert len(found["newly_failing"]) == 1
    assert test in found["newly_failing"][0]
    assert found["missing"] == []
    assert found["counts"]["3.12"]["passed"] >= passed


def test_files_that_cannot_be_collected_take_their_tests_with_them(report: dict[str, Any]) -> None:
    """asynctest: everything that passes on 3.9 is missing on 3.12, and what fails on 3.9 is no news."""
    assert status(report, "asynctest")["3.12 suite"] == "failed"
    found = suite(report, "asynctest")
    assert found["counts"]["3.12"]["collection_errors"] == 4
    assert len(found["missing"]) >= 170
    assert len(found["missing"]) == found["counts"]["3.9"]["passed"]
    assert found["newly_failing"] == []
    assert len(found["failing_on_both"]) >= 40
