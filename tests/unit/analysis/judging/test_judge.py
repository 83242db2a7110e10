"""What is said of a use of the library, on the way from one interpreter to another."""

import pytest

from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.judging.judge import judge
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question
from pytest_py312.analysis.scanner.facts.stdlib_queries import Testimony as Said
from pytest_py312.core.model.findings import Confidence, Severity
from tests.unit.analysis.hearing import codes, facts_of, heard

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
def test_what_is_gone_is_told_once_with_its_place(text: str, code: str) -> None:
    found = heard(text)

    assert codes(found) == [code]
    assert found[0].severity is Severity.ERROR
    assert found[0].remedy


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
def test_other_things_of_the_same_name_are_left_alone(text: str) -> None:
    assert heard(text) == ()


def test_local_modules_hide_standard_ones() -> None:
    assert heard({"main.py": "import imp\nimp.reload(3)\n", "imp.py": "def reload(x): ...\n"}) == ()


def test_the_first_interpreter_without_it_is_named() -> None:
    facts = facts_of("import inspect\ninspect.getargspec")
    questions = set(facts.questions())

    def said(version: tuple[int, int], has: bool) -> Said:
        answers = {one: Answer(present=has or one.path != "getargspec") for one in questions}
        return Said(origin="a test", version=version, answers=answers)

    witnesses = Witnesses(
        baseline=said((3, 9), True), between=[said((3, 10), True), said((3, 11), False)], target=said((3, 12), False)
    )

    assert [one.message for one in judge([facts], witnesses)] == ["inspect.getargspec is gone since 3.11"]


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
def test_a_deprecation_is_told_where_it_warns(text: str, found: list[str]) -> None:
    told = heard(text, warnings=LATE)

    assert codes(told) == found
    assert all(one.severity is Severity.WARNING for one in told)


def test_the_release_of_removal_is_told() -> None:
    assert "gone in 3.13" in heard("import cgi", warnings=LATE)[0].message


def test_a_release_that_a_warning_names_and_that_kept_it_is_not_believed() -> None:
    late = {
        "importlib.machinery:SourceFileLoader.load_module": "the load_module() method is deprecated and slated for"
        " removal in Python 3.12; use exec_module() instead"
    }
    text = "from importlib.machinery import SourceFileLoader\nSourceFileLoader.load_module(loader)"

    assert "gone in 3.15" in heard(text, warnings=late)[0].message


def test_what_the_baseline_lacks_bars_the_way_back() -> None:
    assert codes(heard("import tomllib")) == ["PY210 1"]
    assert heard("import tomllib")[0].severity is Severity.WARNING
    assert codes(heard("from asyncio import timeout\nprint(timeout.real)")) == ["PY210 1"]
    assert heard("import sys\nif sys.version_info >= (3, 11):\n    import tomllib") == ()
    assert heard("try:\n    import tomllib\nexcept ImportError:\n    tomllib = None") == ()
    assert codes(heard("def f(x: int | None): ...")) == ["PY210 1"]
    assert heard("from __future__ import annotations\ndef f(x: int | None): ...") == ()


def test_a_rule_holds_from_its_release_on() -> None:
    text = "import random\nrandom.randrange(10.0)"

    assert heard(text, target=(3, 9)) == ()
    assert [one.severity for one in heard(text, target=(3, 11))] == [Severity.WARNING]
    assert [one.severity for one in heard(text, target=(3, 12))] == [Severity.ERROR]
    assert heard("import random\ntry:\n    random.randrange(10.0)\nexcept TypeError:\n    pass") == ()


def test_what_may_be_something_else_as_well_is_likely_only() -> None:
    text = "import unittest, other\nclass Own(other.Base, unittest.TestCase):\n    def f(self): self.assertEquals()"

    assert [one.confidence for one in heard(text)] == [Confidence.LIKELY]
    assert heard("import imp")[0].confidence is Confidence.CERTAIN


def test_nothing_is_said_where_nobody_was_asked() -> None:
    facts = facts_of("import imp\nimp.reload(3)\n")
    nobody = Said(origin="a test", version=(3, 9), answers={})

    assert judge([facts], Witnesses(baseline=nobody, target=nobody)) == ()
    assert Question(module="imp") in set(facts.questions())


@pytest.mark.parametrize(
    "text",
    [
        "from collections import Mapping\nMapping.register(x)",
        "from collections import Mapping\n@Mapping.register\nclass Own: ...",
        "import collections\nBase = collections.Mapping\nBase.register(x)",
        "import importlib\nmodule = importlib.import_module('imp')\ngetattr(module, 'reload')",
    ],
)
def test_what_is_read_of_a_name_that_is_gone_is_told_once(text: str) -> None:
    """The import, or the line that gave it a name, has said it."""
    assert len(heard(text)) == 1


def test_what_is_read_of_a_name_that_is_there() -> None:
    found = heard("from unittest import TestCase\nTestCase.assertEquals", gone=["unittest:TestCase.assertEquals"])

    assert [one.code for one in found] == ["PY202"]


def test_a_decorator_calls_what_it_names() -> None:
    text = "from importlib.util import set_package\n@set_package\ndef load(): ..."

    found = heard(text, gone=[], warnings={"importlib.util:set_package": "gone in 3.12"})

    assert [(one.code, one.location.line if one.location else 0) for one in found] == [("PY220", 2)]


def test_what_failed_before_with_the_same_distributions_is_no_news() -> None:
    text = "try:\n    import win32api\nexcept ImportError:\n    import ctypes\n    ctypes.WinDLL('a')"

    assert heard(text, gone=("ctypes:WinDLL",), new=("ctypes:WinDLL",), lock={}) == ()
    assert codes(heard(text, gone=("ctypes:WinDLL",), new=(), lock={})) == ["PY202 5"]


def test_a_builtin_type_is_asked_for_what_it_has() -> None:
    assert codes(heard("print(int.bit_count)")) == ["PY210 1"]
    assert heard("count = int.bit_count if hasattr(int, 'bit_count') else None", new=("builtins:int.bit_count",)) == ()
