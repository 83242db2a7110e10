"""A small repository for tests of pytest's face, and two ways to run pytest in it (conftest.py)."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.findings import Finding, Location, Outcome, Status
from pytest_py312.gate.checks import CHECKS
from pytest_py312.gate.checks.check import CheckResult, CheckTraits
from pytest_py312.gate.run.assembly import AssemblyOptions
from pytest_py312.gate.run.finalization import Finalizer
from pytest_py312.gate.run.tasks import CheckTask
from tests.support.child_pytest import PYTEST, WITHOUT_SLOW_PLUGINS

PLAN = """
target = "3.12"
interpreters = ["3.9", "3.10", "3.12"]
services = ["services/*"]

[[stage]]
number = 1
services = ["auth-service"]

[[stage]]
number = 2
services = ["user-service"]
"""

TRAP = "raise SystemExit('a file of a service was imported where pytest was started')\n"
"""A service's conftest.py and tests belong into its cells: in the fleet of the face's tests they raise."""

FLEET = {
    "py312.toml": PLAN,
    "services/__init__.py": TRAP,
    "services/auth-service/Dockerfile": "FROM python:3.10-slim\n",
    "services/auth-service/requirements.txt": "",
    "services/auth-service/__init__.py": TRAP,
    "services/auth-service/tests/test_auth.py": TRAP,
    "services/user-service/Dockerfile": "FROM python:3.9-slim\n",
    "services/user-service/requirements.txt": "",
    "services/user-service/conftest.py": TRAP,
    "services/user-service/tests/conftest.py": TRAP,
    "services/user-service/tests/__init__.py": TRAP,
    "services/user-service/tests/test_user.py": TRAP,
}

IDS = [
    "services/auth-service::py3.10::dependencies",
    "services/auth-service::py3.10::suite",
    "services/auth-service::py3.12::dependencies",
    "services/auth-service::py3.12::suite",
    "services/user-service::py3.9::dependencies",
    "services/user-service::py3.9::suite",
    "services/user-service::py3.10::dependencies",
    "services/user-service::py3.10::suite",
    "services/user-service::py3.12::dependencies",
    "services/user-service::py3.12::suite",
]

"""The items of two checks, which ask about each cell."""


@dataclass(kw_only=True)
class FakeGate:
    """Returns ``passed`` unless ``answers`` says otherwise, and records the tasks it got."""

    answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Item name (``user-service-py3.12-suite``) to (status, reason)."""
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    """Item name to the findings that it is judged by."""
    cached: bool = False
    raised: dict[str, BaseException] = field(default_factory=dict)
    proven: set[str] = field(default_factory=set)
    """Names of items that an earlier run has passed."""
    finished: set[str] = field(default_factory=set)
    """Names of items that were computed ahead, though pytest has not reached them."""
    judged: list[str] = field(default_factory=list)
    ahead: list[str] = field(default_factory=list)
    finalizer: Finalizer | None = None

    def prefetch(self, items: Sequence[CheckTask]) -> None:
        self.ahead += [item.name for item in items]

    def prepare_shared(self, items: Sequence[CheckTask]) -> None:
        self.prefetch(items)

    def is_proven(self, item: CheckTask) -> bool:
        return item.name in self.proven

    def run(self, item: CheckTask) -> CheckResult:
        self.judged.append(item.name)
        if item.name in self.raised:
            raise self.raised[item.name]
        status, reason = self.answers.get(item.name, ("passed", ""))
        about: dict[str, Any] = {
            "service": item.cell.service.name,
            "interpreter": item.cell.interpreter,
            "check": item.check.name,
        }
        if item.name in self.findings:
            outcome = Outcome.from_findings(findings=self.findings[item.name], **about)
        elif status == "failed":
            path = f"{item.cell.service.path}/requirements.txt"
            finding = Finding(
                code="PY401", message=reason, remedy="fix it", location=Location(path=path, line=1), names=("a::b",)
            )
            outcome = Outcome.from_findings(findings=[finding], **about)
        elif status == "passed":
            outcome = replace(Outcome.from_findings(findings=[], **about), cached=self.cached)
        else:
            outcome = Outcome(status=Status(status), reason=reason, **about)
        if self.finalizer is not None:
            outcome = self.finalizer.finalize(outcome, item, is_target=False, cached=outcome.cached)
        return CheckResult(outcome=outcome)


@dataclass(kw_only=True)
class Faked:
    """Pytest in this process, with a gate that answers from a table."""

    pytester: pytest.Pytester
    root: Path
    gate: FakeGate = field(default_factory=FakeGate)
    settings: list[AssemblyOptions] = field(default_factory=list)
    closed: int = 0

    def run(self, *arguments: str) -> pytest.RunResult:
        """``pytest --py312 ARGUMENTS`` in the repository."""
        return self.bare("--py312", *arguments)

    def bare(self, *arguments: str) -> pytest.RunResult:
        """``pytest ARGUMENTS``, in the plan's order unless ``-p randomly`` is among them."""
        order = () if "randomly" in arguments else ("-p", "no:randomly")
        return self.pytester.runpytest_inprocess(*WITHOUT_SLOW_PLUGINS, *order, *arguments, no_reraise_ctrlc=True)

    def ids(self, *arguments: str) -> list[str]:
        """The node ids that ``--collect-only -q`` lists."""
        return [line for line in self.run("--collect-only", "-q", *arguments).outlines if "::" in line]

    def asked(self) -> list[str]:
        """The items that were asked for since the last call."""
        asked, self.gate.judged = self.gate.judged, []
        return asked


REAL_FLEET = {
    "py312.toml": PLAN,
    "services/auth-service/Dockerfile": "FROM python:3.10-slim\n",
    "services/auth-service/requirements.txt": "",
    "services/auth-service/auth.py": "def allowed(name):\n    return name == 'admin'\n",
    "services/auth-service/tests/test_auth.py": "import auth\n\ndef test_admin():\n    assert auth.allowed('admin')\n",
    "services/user-service/Dockerfile": "FROM python:3.9-slim\n",
    "services/user-service/requirements.txt": "",
    "services/user-service/user.py": "import unittest\n\nNAME = 'Li'\n",
    "services/user-service/tests/test_user.py": (
        "import unittest\nimport user\n\n\n"
        "class Names(unittest.TestCase):\n"
        "    def test_name(self):\n        self.assertEqual(user.NAME, 'Li')\n\n"
        "    def test_old_alias(self):\n        self.assertEquals(user.NAME, 'Li')\n"
    ),
}
"""Services that need nothing but pytest. ``user-service`` has one test that fails on 3.12."""

REAL_IDS = [
    *(f"services/auth-service::{check.name}" for check in CHECKS if CheckTraits.of(check).per_service),
    *IDS[:4],
    *(f"services/user-service::{check.name}" for check in CHECKS if CheckTraits.of(check).per_service),
    *IDS[4:],
]
"""The items of all checks; those of a service as a whole come right below it."""


@dataclass(kw_only=True)
class Run:
    """A pytest process that has ended."""

    code: int
    out: str
    err: str
    report: dict[str, Any]

    @property
    def statuses(self) -> dict[str, str]:
        """Node id to status, with ``cached`` behind it where an earlier run's answer was used."""
        return {
            found["nodeid"]: found["status"] + (" cached" if found["cached"] else "")
            for found in self.report["outcomes"]
        }

    @property
    def cells(self) -> dict[str, str]:
        """The statuses of the items that ask about a cell."""
        return {nodeid: word for nodeid, word in self.statuses.items() if nodeid in IDS}

    def findings(self, nodeid: str) -> list[dict[str, Any]]:
        """The findings of an item."""
        (outcome,) = (found for found in self.report["outcomes"] if found["nodeid"] == nodeid)
        found: list[dict[str, Any]] = outcome["findings"]
        return found


@dataclass(kw_only=True)
class Real:
    """Pytest in a process of its own, with cells on this machine."""

    root: Path
    cache: Path
    temporary: Path
    """``TMPDIR`` of the run: its run folders are there."""

    def command(self, *arguments: str) -> list[str]:
        """The command line of :meth:`run`."""
        fixed = ["--py312", "--py312-runner=local", f"--py312-cache-dir={self.cache}"]
        return [*PYTEST, *fixed, *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """This process's variables, without what pytest, xdist and a workflow say to their children."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GITHUB_"))}
        return {**kept, "TMPDIR": str(self.temporary)}

    def run(self, *arguments: str, cwd: Path | None = None) -> Run:
        """Run pytest to its end."""
        file = self.root / ".report.json"
        file.unlink(missing_ok=True)
        done = subprocess.run(
            self.command(f"--py312-report={file}", *arguments),
            cwd=cwd or self.root,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return Run(code=done.returncode, out=done.stdout, err=done.stderr, report=report)

    def run_folders(self) -> list[Path]:
        """What runs have left behind."""
        return list(self.temporary.glob("pytest-py312-*/*"))
