"""Deprecations of a suite from end to end: heard on the older interpreters, told on the target."""

import json
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def findings(root: Path, cache: Path, function: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The outcome of the suite on the target, and what it foretells."""
    service = root / "services/app"
    service.mkdir(parents=True)
    (root / "py312.toml").write_text(PLAN)
    (service / "requirements.txt").write_text("")
    (service / "app.py").write_text(APP)
    (service / "test_app.py").write_text(SUITE.format(function=function))
    report = root / "report.json"
    done = gate(root, cache, f"--py312-report={report}", checks="py312_suite")
    document = json.loads(report.read_text())
    (outcome,) = [one for one in document["outcomes"] if one["interpreter"] == "3.12"]
    found = [one for one in outcome["findings"] if one["code"] == "PY250"]
    others = [one["code"] for each in document["outcomes"] if each is not outcome for one in each["findings"]]
    assert "PY250" not in others, done.stdout
    return outcome, found


def test_what_breaks_on_the_target_was_foretold(tmp_path: Path, cache: Path) -> None:
    """Although unittest shows none of it here. The import stands behind a guard, so it is a note."""
    outcome, found = findings(tmp_path, cache, "matches")
    assert outcome["status"] == "failed"
    told = {one["line"]: (one["severity"], one["path"]) for one in found}
    lines = APP.splitlines()
    guarded, used = lines.index("    import imp") + 1, lines.index("    import re") + 2
    assert told == {guarded: ("note", "services/app/app.py"), used: ("warning", "services/app/app.py")}
    assert all("3.9 and 3.10" in one["detail"] for one in found)
    assert [one["message"].endswith("(gone in 3.11)") for one in found if one["line"] == used] == [True]


def test_what_does_not_is_worth_a_note(tmp_path: Path, cache: Path) -> None:
    """The suite is as well on the target as before."""
    outcome, found = findings(tmp_path, cache, "newer")
    assert outcome["status"] == "passed"
    assert {one["severity"] for one in found} == {"note"}
    assert all("nothing that the suite does is worse on 3.12" in one["detail"] for one in found)
