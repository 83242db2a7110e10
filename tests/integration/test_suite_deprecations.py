"""Deprecations of a suite end to end: recorded on older interpreters, reported on the target."""

import json
from pathlib import Path
from typing import Any

from tests.integration.gate_runs import gate

PLAN = """
target = "3.12"
interpreters = ["3.9", "3.10", "3.12"]
[service.app]
baseline = "3.9"
suite = ["unittest"]
"""

APP = """
import sys
try:
    import imp
except ImportError:
    imp = None

def matches(text):
    parts = ["b", "(?i)"]
    import re
    return re.match(str.join("", parts), text) is not None

def newer(text):
    return matches(text) if sys.version_info < (3, 11) else text.lower() == "b"
"""

SUITE = """
import unittest
from app import matches, newer

class TestApp(unittest.TestCase):
    def test_app(self): self.assertTrue({function}("B"))
"""


def findings(root: Path, cache: Path, function: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the suite's outcome on the target, and its findings about deprecations."""
    service = root / "services/app"
    service.mkdir(parents=True)
    (root / "py312.toml").write_text(PLAN)
    (service / "requirements.txt").write_text("")
    (service / "app.py").write_text(APP)
    (service / "test_app.py").write_text(SUITE.format(function=function))
    report = root / "report.json"
    done = gate(root, cache, f"--py312-report={report}", checks="py312_suite")
    document = json.loads(report.read_text())
    (outcome,) = [item for item in document["outcomes"] if item["interpreter"] == "3.12"]
    announced = [item for item in outcome["findings"] if item["code"] == "PY250"]
    others = [item["code"] for other in document["outcomes"] if other is not outcome for item in other["findings"]]
    assert "PY250" not in others, done.stdout
    return outcome, announced


def test_a_deprecation_that_breaks_on_the_target_is_reported(tmp_path: Path, gate_cache: Path) -> None:
    """Although unittest does not show it. The import is guarded, so it is a note."""
    outcome, announced = findings(tmp_path, gate_cache, "matches")
    assert outcome["status"] == "failed"
    reported = {finding["line"]: (finding["severity"], finding["path"]) for finding in announced}
    lines = APP.splitlines()
    guarded, used = lines.index("    import imp") + 1, lines.index("    import re") + 2
    assert reported == {guarded: ("note", "services/app/app.py"), used: ("warning", "services/app/app.py")}
    assert all("3.9 and 3.10" in finding["detail"] for finding in announced)
    assert [finding["message"].endswith("(removed in 3.11)") for finding in announced if finding["line"] == used] == [
        True
    ]


def test_a_harmless_deprecation_is_a_note(tmp_path: Path, gate_cache: Path) -> None:
    """The suite passes on the target as before."""
    outcome, announced = findings(tmp_path, gate_cache, "newer")
    assert outcome["status"] == "passed"
    assert {finding["severity"] for finding in announced} == {"note"}
    assert all("no test is worse on 3.12" in finding["detail"] for finding in announced)
