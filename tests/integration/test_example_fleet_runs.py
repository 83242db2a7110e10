"""The gate over the example fleet, held to everything that examples/suoke/expected.json says: no more and no less.

Twenty services, twelve of them with a planted trouble. Every runner has to come to the same statuses and findings.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

EXAMPLE = Path(__file__).parents[2] / "examples" / "suoke"
EXPECTED: dict[str, Any] = json.loads((EXAMPLE / "expected.json").read_text(encoding="utf-8"))
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "pytest_py312/gate/reports/report.schema.json").read_text(encoding="utf-8")
)
SERVICES, CELLS = 20, 61
KINDS = {
    "dependencies": {"cannot_build": "PY104", "import_fails": "PY105"},
    "libraries": {"needs_setuptools": "PY243"},
    "source": {"removed": "PY201", "undeclared": "PY209", "too_new": "PY210"},
    "suite": {
        "newly_failing": "PY401",
        "missing": "PY402",
        "flaky": "PY403",
        "failing_before": "PY404",
        "failing_on_both": "PY404",
        "too_new": "PY405",
    },
}
"""For the checks that are held to expected.json: the code by which the gate tells each of its kinds."""
REMOVED = {"PY202": "PY201", "PY203": "PY201"}
"""The gate tells modules, names and attributes apart that were removed."""
OF_SERVICE = ("libraries", "source")
HARMLESS = ("too_new", "needs_setuptools")
"""Kinds of these that do not block."""

BUILT_FROM_SOURCE = "PY110"
"""A note about wheels; which interpreters have one is no trouble of the fleet."""


@pytest.fixture(scope="session")
def fleet_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all runs of this file: each distribution is fetched and built once for an interpreter."""
    return tmp_path_factory.mktemp("fleet-cache")


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A copy of the example, so that nothing is known of earlier runs and the checkout stays clean."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "suoke", ignore=shutil.ignore_patterns(".py312", "__pycache__")))


def check(fleet: Path, cache: Path, *arguments: str, code: int = 1, start: Path | None = None) -> dict[str, Any]:
    """Run the gate in ``fleet`` (or started in ``start``) as a user does, and return its report."""
    file = fleet / "report.json"
    argv = [sys.executable, "-m", "pytest", f"--py312-cache-dir={cache}", f"--py312-report={file}", *arguments]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        argv, cwd=start or fleet, env=variables, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == code, done.stdout[-6000:] + done.stderr[-3000:]
    assert "INTERNALERROR" not in done.stdout + done.stderr
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    Draft202012Validator(SCHEMA).validate(report)
    return report


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {
        f"{found['service']} {found['interpreter']} {found['check']}": found["status"]
        for found in report["outcomes"]
        if found["check"] in KINDS
    }


def expected_statuses(report: dict[str, Any]) -> dict[str, str]:
    """Of a service that expected.json does not name, everything passes."""
    of_cells = {
        f"{service['name']} {interpreter} {check}": EXPECTED.get(service["name"], {})
        .get("status", {})
        .get(check, {})
        .get(interpreter, "passed")
        for service in report["services"]
        for interpreter in service["interpreters"]
        for check in KINDS
        if check not in OF_SERVICE
    }
    return of_cells | {
        f"{service['name']} None {check}": _status(service["name"], check)
        for service in report["services"]
        for check in OF_SERVICE
    }


def _status(service: str, check: str) -> str:
    """Of a check that is about a service. What cannot be installed on the target cannot be looked into."""
    found = EXPECTED.get(service, {}).get("findings", ())
    if check == "libraries" and any((one["kind"], one["interpreter"]) == ("cannot_build", "3.12") for one in found):
        return "errored"
    blocks = any(one["check"] == check and one["kind"] not in HARMLESS for one in found)
    return "failed" if blocks else "passed"


Key = tuple[str, str | None, str, str]
Told = dict[Key, set[str]]
"""(service, interpreter, check, code) to what is to blame."""


def gathered(found: Iterable[tuple[Key, Iterable[str]]]) -> Told:
    told: Told = {}
    for key, names in found:
        told.setdefault(key, set()).update(names)
    return told


def code_of(found: dict[str, Any]) -> str:
    code: str = found["code"]
    return REMOVED.get(code, code)


def findings(report: dict[str, Any]) -> Told:
    return gathered(
        ((outcome["service"], outcome["interpreter"], outcome["check"], code_of(found)), found["names"])
        for outcome in report["outcomes"]
        if outcome["check"] in KINDS
        for found in outcome["findings"]
        if found["code"] != BUILT_FROM_SOURCE
    )


def expected_findings(report: dict[str, Any]) -> Told:
    return gathered(
        ((service["name"], found["interpreter"], found["check"], KINDS[found["check"]][found["kind"]]), found["names"])
        for service in report["services"]
        for found in EXPECTED.get(service["name"], {}).get("findings", ())
        if found["check"] in KINDS and found["kind"] != "fixed"
    )


def as_expected(report: dict[str, Any]) -> None:
    """Hold ``report`` to expected.json, as far as its services go."""
    assert statuses(report) == expected_statuses(report)
    assert findings(report) == expected_findings(report)
    places = [found for found in report["outcomes"] if found["check"] == "versions"]
    assert {found["status"] for found in places} == {"passed"}
    # where nothing has moved, what will have to is a note
    assert {one["severity"] for found in places for one in found["findings"]} <= {"note"}
    suites = {(found["service"], found["target"]): found for found in report["suites"]}
    for service in report["services"]:
        for wanted in EXPECTED.get(service["name"], {}).get("findings", ()):
            if wanted["check"] not in KINDS:
                continue
            _place_as_expected(report, service["name"], wanted)
            if wanted["check"] == "suite" and wanted["interpreter"] == report["target"]:
                _comparison_as_expected(suites[service["name"], report["target"]], wanted)
    fixed = {name: found["fixed"] for (name, target), found in suites.items() if target == "3.12" and found["fixed"]}
    assert fixed == {
        service["name"]: sorted(found["names"])
        for service in report["services"]
        for found in EXPECTED.get(service["name"], {}).get("findings", ())
        if found["kind"] == "fixed"
    }


def _place_as_expected(report: dict[str, Any], service: str, wanted: dict[str, Any]) -> None:
    """The culprit's file and line, where expected.json names them."""
    if "path" not in wanted:
        return
    places = [
        (found["path"], found["line"])
        for outcome in report["outcomes"]
        if (outcome["service"], outcome["interpreter"], outcome["check"])
        == (service, wanted["interpreter"], wanted["check"])
        for found in outcome["findings"]
        if code_of(found) == KINDS[wanted["check"]][wanted["kind"]] and set(found["names"]) == set(wanted["names"])
    ]
    assert places == [(wanted["path"], wanted["line"])]


def _comparison_as_expected(comparison: dict[str, Any], wanted: dict[str, Any]) -> None:
    if wanted["kind"] in ("newly_failing", "missing", "flaky", "failing_on_both"):
        assert comparison[wanted["kind"]] == sorted(wanted["names"])
    for name in wanted["names"] if "first_bad" in wanted else ():
        assert comparison["first_bad"][name] == wanted["first_bad"]


def is_whole(report: dict[str, Any]) -> None:
    assert len(report["services"]) == SERVICES
    assert len(statuses(report)) == 2 * CELLS + len(OF_SERVICE) * SERVICES
    assert not any(outcome["cached"] for outcome in report["outcomes"])


@pytest.mark.network
@pytest.mark.timeout(1200)
def test_two_workers_on_this_machine(fleet: Path, fleet_cache: Path) -> None:
    """The whole fleet with the local runner, shared by two of xdist's workers."""
    report = check(fleet, fleet_cache, "--py312", "--py312-runner=local", "-n", "2")
    is_whole(report)
    as_expected(report)


@pytest.mark.network
@pytest.mark.timeout(600)
def test_first_stage_as_the_readme_says(fleet: Path, fleet_cache: Path) -> None:
    """Started in the folder above, with the fleet's path: stage 1 is ready."""
    report = check(
        fleet, fleet_cache, "--py312-stage=1", "--py312-runner=local", fleet.name, code=0, start=fleet.parent
    )
    assert {service["name"] for service in report["services"]} == {"api-gateway", "auth-service", "message-bus"}
    as_expected(report)


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.timeout(1200)
def test_a_container_for_each_cell(fleet: Path, fleet_cache: Path) -> None:
    """The whole fleet in containers says what it says on this machine."""
    report = check(fleet, fleet_cache, "--py312", "--py312-runner=docker")
    is_whole(report)
    as_expected(report)


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.timeout(900)
def test_a_container_for_each_interpreter(fleet: Path, fleet_cache: Path) -> None:
    """Cells that share a container do not see each other: two stages with trouble of many kinds."""
    report = check(fleet, fleet_cache, "--py312-stage=2,3", "--py312-runner=docker", "--py312-isolation=interpreter")
    as_expected(report)


@pytest.mark.timeout(300)
def test_source_alone(fleet: Path, tmp_path: Path) -> None:
    """What the source uses is told without an environment, in a cache that has none."""
    report = check(fleet, tmp_path / "cache", "--py312", "-m", "py312_source", "--py312-runner=local")

    assert findings(report) == {key: names for key, names in expected_findings(report).items() if key[2] == "source"}
    assert {outcome["check"] for outcome in report["outcomes"]} == {"source"}
    for outcome in report["outcomes"]:
        assert all(found["remedy"] for found in outcome["findings"])
    assert not (tmp_path / "cache" / "envs").exists()
