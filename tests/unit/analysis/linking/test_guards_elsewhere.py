"""Guards that are not directly around the code: at its callers, in other files, in the setup of tests."""

import pytest

from tests.unit.analysis.fake_interpreters import codes, judge_texts

OLD = "def _old():\n    import imp\n    return imp\n\n"


@pytest.mark.parametrize(
    "use",
    [
        "if sys.version_info < (3, 12):\n    _old()\n",
        "module = None if sys.version_info >= (3, 12) else _old()\n",
        "def load():\n    if sys.version_info >= (3, 12):\n        return None\n    return _old()\n",
        "try:\n    _old()\nexcept ImportError:\n    pass\n",
        "load = {True: len, False: _old}[sys.version_info >= (3, 12)]\n",
        "sys.version_info < (3, 12) and _old()\n",
    ],
)
def test_a_guard_around_all_uses_of_a_function_guards_its_body(use: str) -> None:
    assert judge_texts(f"import sys\n{OLD}{use}") == ()


@pytest.mark.parametrize(
    "use",
    [
        "",
        "if sys.version_info >= (3, 12):\n    _old()\n",
        "if sys.version_info < (3, 12):\n    _old()\n_old()\n",
        "if sys.version_info < (3, 12):\n    _old()\nTABLE = {'old': _old}\n",
        "if sys.version_info < (3, 12):\n    _old()\n__all__ = ['_old']\n",
        "if len(sys.argv) > 3:\n    _old()\n",
        "try:\n    _old()\nexcept AttributeError:\n    pass\n",
    ],
)
def test_a_function_with_an_unguarded_use_has_no_guard(use: str) -> None:
    assert codes(judge_texts(f"import sys\n{OLD}{use}")) == ["PY201 3"]


def test_methods_and_nested_functions_follow_their_callers() -> None:
    text = """
        import sys
        class Loader:
            def load(self):
                return self._new() if sys.version_info >= (3, 12) else self._old()
            def _new(self):
                return None
            def _old(self):
                def inner():
                    import imp
                return inner()
        """

    assert judge_texts(text) == ()


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("import tools\n", ["PY201 3"]),
        ("from tools import old\n", ["PY201 3"]),
        ("from tools import *\n", ["PY201 3"]),
        ("from tools import load\n", []),
        ("import json\n", []),
    ],
)
def test_a_function_that_another_file_can_call_is_not_guarded(user: str, expected: list[str]) -> None:
    tools = "import sys\ndef old():\n    import imp\ndef load():\n    if sys.version_info < (3, 12):\n        old()\n"

    assert codes(judge_texts({"tools.py": tools, "main.py": user})) == expected


def test_a_version_test_in_a_function_of_another_file_is_evaluated() -> None:
    versions = "import sys\ndef below(*wanted):\n    return sys.version_info < wanted\n"
    text = "from versions import below\nif below(3, {}):\n    import imp\n"

    assert judge_texts({"versions.py": versions, "main.py": text.format(12)}) == ()
    assert codes(judge_texts({"versions.py": versions, "main.py": text.format(13)})) == ["PY201 3"]


@pytest.mark.parametrize(
    "versions",
    [
        "def at_least(*wanted):\n    return sys.version_info[:len(wanted)] >= wanted\n",
        "def at_least(major, minor):\n    return (sys.version_info[0], sys.version_info[1]) >= (major, minor + 0)\n",
        "import functools\n@functools.lru_cache(maxsize=None)\n"
        "def at_least(a, b):\n    return sys.version_info >= (a, b)\n",
    ],
)
def test_functions_may_compare_the_version_in_any_way(versions: str) -> None:
    assert judge_texts(f"import sys\n{versions}if not at_least(3, 12):\n    import imp\n") == ()
    assert "PY201" in str(judge_texts(f"import sys\n{versions}if not at_least(3, 13):\n    import imp\n"))


@pytest.mark.parametrize(
    "patch",
    [
        "inspect.getargspec = inspect.getfullargspec",
        "setattr(inspect, 'getargspec', len)",
        "inspect.__dict__['getargspec'] = len",
        "vars(inspect).update({'getargspec': len})",
        "vars(inspect).update(getargspec=len)",
        "for name in names():\n    setattr(inspect, name, len)",
        "for name, new in {'getargspec': len}.items():\n    setattr(inspect, name, new)",
        "for name, new in [('getargspec', 'signature'), ('x', 'y')]:\n    setattr(inspect, name, new)",
        "for name in ('getargspec', 'y'):\n    setattr(inspect, name, new)",
    ],
)
def test_assigned_names_exist_for_importing_files(patch: str) -> None:
    use = "import inspect\ninspect.getargspec\n"

    assert judge_texts(f"import inspect\n{patch}\ninspect.getargspec\n") == ()
    assert judge_texts({"patches.py": f"import inspect\n{patch}\n", "main.py": f"import patches\n{use}"}) == ()
    assert codes(judge_texts({"patches.py": f"import inspect\n{patch}\n", "main.py": use})) == ["PY202 2"]


def test_other_names_than_the_assigned_ones_are_missing() -> None:
    text = "import inspect\nfor name in ('a', 'b'):\n    setattr(inspect, name, len)\ninspect.getargspec\n"

    assert codes(judge_texts(text)) == ["PY202 4"]


@pytest.mark.parametrize(
    ("patching", "using", "expected"),
    [
        ("shop/__init__.py", "shop/orders.py", []),
        ("shop/__init__.py", "orders.py", ["PY202 2"]),
        ("tests/conftest.py", "tests/unit/test_orders.py", []),
        ("tests/conftest.py", "tests/helpers.py", ["PY202 2"]),
        ("tests/conftest.py", "shop/test_orders.py", ["PY202 2"]),
    ],
)
def test_packages_and_conftest_files_run_before_what_is_in_them(patching: str, using: str, expected: list[str]) -> None:
    patch = "import inspect\ninspect.getargspec = inspect.getfullargspec\n"

    assert codes(judge_texts({patching: patch, using: "import inspect\ninspect.getargspec\n"})) == expected


TESTS = """
import sys, unittest
class Tests(unittest.TestCase):
    {}
    def test(self):
        import imp
"""


@pytest.mark.parametrize(
    "preparation",
    [
        "def setUp(self):\n        if sys.version_info >= (3, 12):\n            self.skipTest('')",
        "@classmethod\n    def setUpClass(cls):\n        if sys.version_info >= (3, 12):\n"
        "            raise unittest.SkipTest('')",
    ],
)
def test_tests_skipped_by_setup_are_not_run(preparation: str) -> None:
    assert judge_texts(TESTS.format(preparation)) == ()


def test_a_setup_that_skips_other_versions_skips_nothing() -> None:
    preparation = "def setUp(self):\n        if sys.version_info < (3, 6):\n            self.skipTest('')"

    assert codes(judge_texts(TESTS.format(preparation))) == ["PY201 8"]


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [("skip_without('imp')", []), ("requires_module('imp')", []), ("cached('imp')", ["PY201 4"])],
)
def test_decorators_with_a_module_argument_guard_the_module(decorator: str, expected: list[str]) -> None:
    assert codes(judge_texts(f"from tools import *\n@{decorator}\ndef f():\n    import imp\n")) == expected


@pytest.mark.parametrize(("caught", "expected"), [("ImportError", []), ("KeyError", ["PY201 9"])])
def test_own_context_managers_catch_exceptions(caught: str, expected: list[str]) -> None:
    text = (
        "import contextlib\n@contextlib.contextmanager\ndef optional():\n    try:\n        yield\n"
        f"    except {caught}:\n        pass\nwith optional():\n    import imp\n"
    )

    assert codes(judge_texts(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "import unittest.mock\nwith unittest.mock.patch('inspect.getargspec', create=True):\n    inspect.getargspec\n",
        "if 'getargspec' in inspect.__dict__:\n    inspect.getargspec\n",
        "try:\n    if sys.version_info >= (3, 12):\n        raise ImportError\n    import imp\n"
        "except ImportError:\n    pass\n",
    ],
)
def test_what_is_set_for_a_while_or_left_on_purpose_is_no_finding(text: str) -> None:
    assert judge_texts(f"import inspect, sys\n{text}") == ()


UNITTEST = "import unittest\n"
CASE = "class T({}):\n    def test(self):\n        self.assertEquals(1, 1)\n"


@pytest.mark.parametrize(
    "text",
    [
        "def aliased(cls):\n    cls.assertEquals = cls.assertEqual\n    return cls\n@aliased\n"
        + CASE.format("unittest.TestCase"),
        "class Meta(type):\n    pass\n" + CASE.format("unittest.TestCase, metaclass=Meta"),
        CASE.format("unittest.TestCase") + "    def __getattr__(self, name):\n        return len\n",
        CASE.format("unittest.TestCase") + "setattr(T, 'assertEquals', len)\n",
    ],
)
def test_inherited_methods_are_not_reported_as_missing(text: str) -> None:
    assert judge_texts(UNITTEST + text) == ()


def test_a_class_of_another_file_may_have_the_method_as_a_name() -> None:
    base = "import unittest\nclass Base(unittest.TestCase):\n    assertEquals = unittest.TestCase.assertEqual\n"

    assert judge_texts({"base.py": base, "main.py": "from base import Base\n" + CASE.format("Base")}) == ()


NEWER = "import sys\nif sys.version_info >= (3, 12):\n    from _new import flag\nelse:\n    from _old import flag\n"


def test_a_module_imported_only_inside_of_guards_runs_where_they_hold() -> None:
    files = {"_old.py": "import imp\ndef flag():\n    imp.reload\n", "_new.py": "def flag(): ...\n"}

    assert judge_texts({**files, "main.py": NEWER}) == ()


@pytest.mark.parametrize(
    "other",
    [
        {"other.py": "import _old\n"},
        {"other.py": "import sys\nif sys.version_info >= (3, 12):\n    import _old\n"},
        {"other.py": "import sys, importlib\nimportlib.import_module('_old')\n"},
        {"other.py": "from somewhere import _old\n"},
    ],
)
def test_a_module_with_an_unguarded_import_runs(other: dict[str, str]) -> None:
    assert codes(judge_texts({"_old.py": "import imp\n", "main.py": NEWER, **other})) == ["PY201 1"]


def test_what_is_imported_for_types_only_may_still_be_run_by_something_else() -> None:
    main = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import models\n"

    assert codes(judge_texts({"models.py": "import imp\n", "main.py": main})) == ["PY201 1"]


def test_entry_points_are_a_dict_before_3_12_only() -> None:
    text = """
        from importlib.metadata import entry_points
        found = entry_points()
        if isinstance(found, dict):
            print(found.get("x"))
        else:
            print(found.select(group="x"))
    """

    assert judge_texts(text) == ()
