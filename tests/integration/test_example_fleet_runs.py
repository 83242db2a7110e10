"""The gate on the example fleet, compared with examples/suoke/expected.json: no more and no less.

Twenty services, twelve of them with planted problems. Every runner must give the same statuses and findings.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.child_pytest import PYTEST

EXAMPLE = Path(__file__).parents[2] / "examples" / "suoke"
EXPECTED: dict[str, Any] = json.loads((EXAMPLE / "expected.json").read_text(encoding="utf-8"))
SCHEMA = json.loads(
    (Path(__file__).parents[2] / "pytest_py312/gate/reports/report.schema.json").read_text(encoding="utf-8")
)
SERVICES, CELLS = 20, 61
KINDS = {
    "dependencies": {"cannot_build": "PY104", "import_fails": "PY105", "start_fails": "PY117"},
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
"""For the checks in expected.json: the finding code of each of its kinds."""
REMOVED = {"PY202": "PY201", "PY203": "PY201"}
"""The gate distinguishes removed modules, names and attributes."""
OF_SERVICE = ("libraries", "source")
HARMLESS = ("too_new", "needs_setuptools")
"""Kinds that do not block."""

IN_CONTAINERS = (
    "api-gateway", "med-knowledge",  # without a problem; the second one's suite needs a command before it
    "user-service", "medical-service", "laoke-service", "soer-service", "xiaoai-service", "blockchain-service",
    "listen-service",
)  # fmt: skip
"""Services with each kind of problem, and two that have none: a container costs more than a process."""
IN_OWN_CONTAINERS = ("med-knowledge", "user-service", "medical-service")
"""Of these, one that passes, one whose suite fails, and one that cannot be installed."""

BUILT_FROM_SOURCE = "PY110"
"""A note about missing wheels; they are not among the fleet's planted problems."""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A copy of the example, without results of earlier runs; the checkout stays clean."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "suoke", ignore=shutil.ignore_patterns(".py312", "__pycache__")))


def check(fleet: Path, cache: Path, *arguments: str, code: int = 1, start: Path | None = None) -> dict[str, Any]:
    """Run the gate in ``fleet`` (or started in ``start``) as a user does, and return its report."""
    file = fleet / "report.json"
    argv = [*PYTEST, f"--py312-cache-dir={cache}", f"--py312-report={file}", *arguments]
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
        f"{outcome['service']} {outcome['interpreter']} {outcome['check']}": outcome["status"]
        for outcome in report["outcomes"]
        if outcome["check"] in KINDS
    }


def reasons(report: dict[str, Any]) -> list[str]:
    """Return why outcomes could not be checked: what a failed comparison is explained by."""
    return [
        f"{outcome['nodeid']}: {outcome['reason']}" for outcome in report["outcomes"] if outcome["status"] == "errored"
    ]


def expected_statuses(report: dict[str, Any]) -> dict[str, str]:
    """Return the expected statuses; all checks pass for a service that expected.json does not name."""
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
    """Return the expected status of a per-service check. What cannot be installed on the target cannot be analysed."""
    expected = EXPECTED.get(service, {}).get("findings", ())
    if check == "libraries" and any(
        (finding["kind"], finding["interpreter"]) == ("cannot_build", "3.12") for finding in expected
    ):
        return "errored"
    blocks = any(finding["check"] == check and finding["kind"] not in HARMLESS for finding in expected)
    return "failed" if blocks else "passed"


def kinds(services: Iterable[str]) -> set[tuple[str, str]]:
    """Return the check and kind of all problems of ``services`` that the gate finds without benchmarks."""
    return {
        (finding["check"], finding["kind"])
        for service in services
        for finding in EXPECTED.get(service, {}).get("findings", ())
        if finding["check"] in KINDS
    }


Key = tuple[str, str | None, str, str]
Blamed = dict[Key, set[str]]
"""(service, interpreter, check, code) -> the names of its findings."""


def group_names(items: Iterable[tuple[Key, Iterable[str]]]) -> Blamed:
    names_by_key: Blamed = {}
    for key, names in items:
        names_by_key.setdefault(key, set()).update(names)
    return names_by_key


def code_of(finding: dict[str, Any]) -> str:
    code: str = finding["code"]
    return REMOVED.get(code, code)


def findings(report: dict[str, Any]) -> Blamed:
    return group_names(
        ((outcome["service"], outcome["interpreter"], outcome["check"], code_of(finding)), finding["names"])
        for outcome in report["outcomes"]
        if outcome["check"] in KINDS
        for finding in outcome["findings"]
        if finding["code"] != BUILT_FROM_SOURCE
    )


def expected_findings(report: dict[str, Any]) -> Blamed:
    return group_names(
        (
            (service["name"], finding["interpreter"], finding["check"], KINDS[finding["check"]][finding["kind"]]),
            finding["names"],
        )
        for service in report["services"]
        for finding in EXPECTED.get(service["name"], {}).get("findings", ())
        if finding["check"] in KINDS and finding["kind"] != "fixed"
    )


def as_expected(report: dict[str, Any]) -> None:
    """Compare ``report`` with expected.json, for the services of the report."""
    assert statuses(report) == expected_statuses(report), reasons(report)
    assert findings(report) == expected_findings(report)
    places = [entry for entry in report["outcomes"] if entry["check"] == "versions"]
    assert {entry["status"] for entry in places} == {"passed"}
    # no service is migrated, so declarations to change are notes
    assert {finding["severity"] for entry in places for finding in entry["findings"]} <= {"note"}
    suites = {(entry["service"], entry["target"]): entry for entry in report["suites"]}
    for service in report["services"]:
        for wanted in EXPECTED.get(service["name"], {}).get("findings", ()):
            if wanted["check"] not in KINDS:
                continue
            _place_as_expected(report, service["name"], wanted)
            if wanted["check"] == "suite" and wanted["interpreter"] == report["target"]:
                _comparison_as_expected(suites[service["name"], report["target"]], wanted)
    fixed = {name: entry["fixed"] for (name, target), entry in suites.items() if target == "3.12" and entry["fixed"]}
    assert fixed == {
        service["name"]: sorted(entry["names"])
        for service in report["services"]
        for entry in EXPECTED.get(service["name"], {}).get("findings", ())
        if entry["kind"] == "fixed"
    }


def _place_as_expected(report: dict[str, Any], service: str, wanted: dict[str, Any]) -> None:
    """Check the file and line of a finding, if expected.json names them."""
    if "path" not in wanted:
        return
    places = [
        (finding["path"], finding["line"])
        for outcome in report["outcomes"]
        if (outcome["service"], outcome["interpreter"], outcome["check"])
        == (service, wanted["interpreter"], wanted["check"])
        for finding in outcome["findings"]
        if code_of(finding) == KINDS[wanted["check"]][wanted["kind"]] and set(finding["names"]) == set(wanted["names"])
    ]
    assert places == [(wanted["path"], wanted["line"])]


def _comparison_as_expected(comparison: dict[str, Any], wanted: dict[str, Any]) -> None:
    if wanted["kind"] in ("newly_failing", "missing", "flaky", "failing_on_both"):
        assert comparison[wanted["kind"]] == sorted(wanted["names"])
    for name in wanted["names"] if "first_bad" in wanted else ():
        assert comparison["first_bad"][name] == wanted["first_bad"]


@pytest.mark.network
@pytest.mark.timeout(600)
def test_first_stage_as_the_readme_says(fleet: Path, gate_cache: Path) -> None:
    """Started in the folder above, with the fleet's path: stage 1 is ready."""
    report = check(fleet, gate_cache, "--py312-stage=1", "--py312-runner=local", fleet.name, code=0, start=fleet.parent)
    assert {service["name"] for service in report["services"]} == {"api-gateway", "auth-service", "message-bus"}
    as_expected(report)


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("isolation", "services"), [("interpreter", IN_CONTAINERS), ("cell", IN_OWN_CONTAINERS)])
def test_containers(fleet: Path, gate_cache: Path, isolation: str, services: tuple[str, ...]) -> None:
    """Each kind of problem has the same result as on this machine, also where each cell has a container of its own."""
    assert kinds(IN_CONTAINERS) == kinds(EXPECTED)
    chosen = f"--py312-services={','.join(services)}"
    report = check(fleet, gate_cache, "--py312", chosen, "--py312-runner=docker", f"--py312-isolation={isolation}")
    assert {service["name"] for service in report["services"]} == {*services}
    assert not any(outcome["cached"] for outcome in report["outcomes"])
    as_expected(report)


@pytest.mark.timeout(300)
def test_source_alone(fleet: Path, tmp_path: Path) -> None:
    """The source check needs no environment: the cache contains none."""
    report = check(fleet, tmp_path / "cache", "--py312", "-m", "py312_source", "--py312-runner=local")

    assert findings(report) == {key: names for key, names in expected_findings(report).items() if key[2] == "source"}
    assert {outcome["check"] for outcome in report["outcomes"]} == {"source"}
    for outcome in report["outcomes"]:
        assert all(found["remedy"] for found in outcome["findings"])
    assert not (tmp_path / "cache" / "envs").exists()
