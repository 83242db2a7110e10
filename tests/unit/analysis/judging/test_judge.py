"""Findings about uses of the standard library that differ between baseline and target."""

import pytest

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.judge import judge_files
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers, StdlibAnswer, StdlibQuery
from pytest_py312.core.model.findings import Confidence, Severity
from tests.unit.analysis.fake_interpreters import codes, facts_of, judge_texts

LATE = {
    "datetime:datetime.utcnow": "utcnow() is deprecated and scheduled for removal in a future version",
    "cgi": "'cgi' is deprecated and slated for removal in Python 3.13",
}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("import imp", "PY201 1"),
        ("import imp as old", "PY201 1"),
        ("import imp.inner", "PY201 1"),
        ("from imp import reload", "PY201 1"),
        ("from imp import *", "PY201 1"),
        ("import inspect as i\ni.getargspec", "PY202 2"),
        ("from inspect import getargspec", "PY202 1"),
        ("from inspect import (\n    getargspec,\n)", "PY202 2"),
        ("import collections\nclass Own(collections.Mapping): ...", "PY202 2"),
        (
            "import unittest\nclass Own(unittest.TestCase):\n    def f(self):\n        self.assertEquals(1, 1)",
            "PY203 4",
        ),
        ("import unittest\nunittest.TestCase('f').assertEquals(1, 1)", "PY203 2"),
    ],
)
def test_what_was_removed_is_reported_once_with_its_place(text: str, code: str) -> None:
    findings = judge_texts(text)

    assert codes(findings) == [code]
    assert findings[0].severity is Severity.ERROR
    assert findings[0].remedy


@pytest.mark.parametrize(
    "text",
    [
        "class imp: ...\nimp.reload",
        "import collections.abc as collections\ncollections.Mapping",
        "import collections\ndef f(collections):\n    return collections.Mapping",
        "import collections\ncollections = 3\ncollections.Mapping",
        "def f(x: 'collections.Mapping'): ...\nimport collections",
        "from __future__ import annotations\nimport collections\ndef f(x: collections.Mapping): ...",
        "import unittest\nclass Own(unittest.TestCase):\n    def assertEquals(self): ...\n    def f(self):\n"
        "        self.assertEquals()",
    ],
)
def test_other_things_of_the_same_name_are_not_reported(text: str) -> None:
    assert judge_texts(text) == ()


def test_local_modules_hide_standard_ones() -> None:
    assert judge_texts({"main.py": "import imp\nimp.reload(3)\n", "imp.py": "def reload(x): ...\n"}) == ()


def test_the_first_interpreter_without_it_is_named() -> None:
    facts = facts_of("import inspect\ninspect.getargspec")
    queries = set(facts.queries())

    def answers_of(version: tuple[int, int], has: bool) -> InterpreterAnswers:
        answers = {query: StdlibAnswer(present=has or query.path != "getargspec") for query in queries}
        return InterpreterAnswers(origin="a test", version=version, answers=answers)

    evidence = Evidence(
        baseline=answers_of((3, 9), True),
        intermediate=[answers_of((3, 10), True), answers_of((3, 11), False)],
        target=answers_of((3, 12), False),
    )

    assert [finding.message for finding in judge_files([facts], evidence)] == ["inspect.getargspec was removed in 3.11"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import datetime\ndatetime.datetime.utcnow()", ["PY220 2"]),
        ("from datetime import datetime as dt\ndt.utcnow()", ["PY220 2"]),
        ("import datetime\nrow(default=datetime.datetime.utcnow)", ["PY220 2"]),
        ("import datetime\nnow = datetime.datetime.utcnow", []),
        ("import datetime\nnow = datetime.datetime.utcnow\nnow()", ["PY220 3"]),
        ("import datetime\ndatetime.datetime.utcnow.__name__", []),
        ("import datetime\ngetattr(datetime.datetime, 'utcnow')()", ["PY220 2"]),
        ("import cgi\ncgi.parse()", ["PY220 1"]),
        ("from cgi import parse", ["PY220 1"]),
    ],
)
def test_a_deprecation_is_reported_where_it_warns(text: str, found: list[str]) -> None:
    findings = judge_texts(text, warnings=LATE)

    assert codes(findings) == found
    assert all(finding.severity is Severity.WARNING for finding in findings)


def test_the_release_of_removal_is_reported() -> None:
    assert "removed in 3.13" in judge_texts("import cgi", warnings=LATE)[0].message


def test_a_postponed_release_in_a_warning_is_ignored() -> None:
    late = {
        "importlib.machinery:SourceFileLoader.load_module": "the load_module() method is deprecated and slated for"
        " removal in Python 3.12; use exec_module() instead"
    }
    text = "from importlib.machinery import SourceFileLoader\nSourceFileLoader.load_module(loader)"

    assert "removed in 3.15" in judge_texts(text, warnings=late)[0].message


def test_what_the_baseline_lacks_breaks_the_rollback() -> None:
    assert codes(judge_texts("import tomllib")) == ["PY210 1"]
    assert judge_texts("import tomllib")[0].severity is Severity.WARNING
    assert codes(judge_texts("from asyncio import timeout\nprint(timeout.real)")) == ["PY210 1"]
    assert judge_texts("import sys\nif sys.version_info >= (3, 11):\n    import tomllib") == ()
    assert judge_texts("try:\n    import tomllib\nexcept ImportError:\n    tomllib = None") == ()
    assert codes(judge_texts("def f(x: int | None): ...")) == ["PY210 1"]
    assert judge_texts("from __future__ import annotations\ndef f(x: int | None): ...") == ()


def test_a_rule_applies_from_its_release_on() -> None:
    text = "import random\nrandom.randrange(10.0)"

    assert judge_texts(text, target=(3, 9)) == ()
    assert [one.severity for one in judge_texts(text, target=(3, 11))] == [Severity.WARNING]
    assert [one.severity for one in judge_texts(text, target=(3, 12))] == [Severity.ERROR]
    assert judge_texts("import random\ntry:\n    random.randrange(10.0)\nexcept TypeError:\n    pass") == ()


def test_an_ambiguous_use_is_only_likely() -> None:
    text = "import unittest, other\nclass Own(other.Base, unittest.TestCase):\n    def f(self): self.assertEquals()"

    assert [one.confidence for one in judge_texts(text)] == [Confidence.LIKELY]
    assert judge_texts("import imp")[0].confidence is Confidence.CERTAIN


def test_nothing_is_reported_where_no_interpreter_was_asked() -> None:
    facts = facts_of("import imp\nimp.reload(3)\n")
    no_answers = InterpreterAnswers(origin="a test", version=(3, 9), answers={})

    assert judge_files([facts], Evidence(baseline=no_answers, target=no_answers)) == ()
    assert StdlibQuery(module="imp") in set(facts.queries())


@pytest.mark.parametrize(
    "text",
    [
        "from collections import Mapping\nMapping.register(x)",
        "from collections import Mapping\n@Mapping.register\nclass Own: ...",
        "import collections\nBase = collections.Mapping\nBase.register(x)",
        "import importlib\nmodule = importlib.import_module('imp')\ngetattr(module, 'reload')",
    ],
)
def test_what_is_read_of_a_removed_name_is_reported_once(text: str) -> None:
    """The import, or the assignment to a name, reports it."""
    assert len(judge_texts(text)) == 1


def test_what_is_missing_in_an_existing_name_is_reported() -> None:
    found = judge_texts("from unittest import TestCase\nTestCase.assertEquals", gone=["unittest:TestCase.assertEquals"])

    assert [one.code for one in found] == ["PY202"]


def test_a_decorator_calls_what_it_names() -> None:
    text = "from importlib.util import set_package\n@set_package\ndef load(): ..."

    found = judge_texts(text, gone=[], warnings={"importlib.util:set_package": "gone in 3.12"})

    assert [(one.code, one.location.line if one.location else 0) for one in found] == [("PY220", 2)]


def test_what_also_fails_on_the_baseline_with_the_same_distributions_is_not_reported() -> None:
    text = "try:\n    import win32api\nexcept ImportError:\n    import ctypes\n    ctypes.WinDLL('a')"

    assert judge_texts(text, gone=("ctypes:WinDLL",), new=("ctypes:WinDLL",), lock={}) == ()
    assert codes(judge_texts(text, gone=("ctypes:WinDLL",), new=(), lock={})) == ["PY202 5"]


def test_methods_of_builtin_types_are_queried() -> None:
    assert codes(judge_texts("print(int.bit_count)")) == ["PY210 1"]
    assert (
        judge_texts("count = int.bit_count if hasattr(int, 'bit_count') else None", new=("builtins:int.bit_count",))
        == ()
    )
