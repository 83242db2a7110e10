"""Guards that stand elsewhere than round the code they keep away: at its callers, in other files, in what prepares."""

import pytest

from tests.unit.analysis.hearing import codes, heard

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
def test_a_guard_round_all_uses_of_a_function_is_one_round_its_body(use: str) -> None:
    assert heard(f"import sys\n{OLD}{use}") == ()


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
def test_a_function_that_is_used_without_a_guard_as_well_has_none(use: str) -> None:
    assert codes(heard(f"import sys\n{OLD}{use}")) == ["PY201 3"]


def test_methods_and_the_functions_inside_of_them_follow_their_callers() -> None:
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

    assert heard(text) == ()


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
def test_what_another_file_can_call_is_not_behind_the_guards_of_its_own(user: str, expected: list[str]) -> None:
    tools = "import sys\ndef old():\n    import imp\ndef load():\n    if sys.version_info < (3, 12):\n        old()\n"

    assert codes(heard({"tools.py": tools, "main.py": user})) == expected


def test_a_version_that_a_function_of_another_file_is_asked_about_is_known() -> None:
    versions = "import sys\ndef below(*wanted):\n    return sys.version_info < wanted\n"
    text = "from versions import below\nif below(3, {}):\n    import imp\n"

    assert heard({"versions.py": versions, "main.py": text.format(12)}) == ()
    assert codes(heard({"versions.py": versions, "main.py": text.format(13)})) == ["PY201 3"]


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
    assert heard(f"import sys\n{versions}if not at_least(3, 12):\n    import imp\n") == ()
    assert "PY201" in str(heard(f"import sys\n{versions}if not at_least(3, 13):\n    import imp\n"))


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
def test_names_that_a_file_sets_are_there_for_those_that_import_it(patch: str) -> None:
    use = "import inspect\ninspect.getargspec\n"

    assert heard(f"import inspect\n{patch}\ninspect.getargspec\n") == ()
    assert heard({"patches.py": f"import inspect\n{patch}\n", "main.py": f"import patches\n{use}"}) == ()
    assert codes(heard({"patches.py": f"import inspect\n{patch}\n", "main.py": use})) == ["PY202 2"]


def test_other_names_than_those_that_are_set_are_not_there() -> None:
    text = "import inspect\nfor name in ('a', 'b'):\n    setattr(inspect, name, len)\ninspect.getargspec\n"

    assert codes(heard(text)) == ["PY202 4"]


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

    assert codes(heard({patching: patch, using: "import inspect\ninspect.getargspec\n"})) == expected


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
def test_what_the_preparation_skips_is_not_run(preparation: str) -> None:
    assert heard(TESTS.format(preparation)) == ()


def test_a_preparation_that_skips_other_versions_skips_nothing() -> None:
    preparation = "def setUp(self):\n        if sys.version_info < (3, 6):\n            self.skipTest('')"

    assert codes(heard(TESTS.format(preparation))) == ["PY201 8"]


@pytest.mark.parametrize(
    ("decorator", "expected"),
    [("skip_without('imp')", []), ("requires_module('imp')", []), ("cached('imp')", ["PY201 4"])],
)
def test_decorators_that_are_handed_a_module_keep_away_from_it(decorator: str, expected: list[str]) -> None:
    assert codes(heard(f"from tools import *\n@{decorator}\ndef f():\n    import imp\n")) == expected


@pytest.mark.parametrize(("caught", "expected"), [("ImportError", []), ("KeyError", ["PY201 9"])])
def test_managers_of_ones_own_keep_what_they_catch(caught: str, expected: list[str]) -> None:
    text = (
        "import contextlib\n@contextlib.contextmanager\ndef optional():\n    try:\n        yield\n"
        f"    except {caught}:\n        pass\nwith optional():\n    import imp\n"
    )

    assert codes(heard(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "import unittest.mock\nwith unittest.mock.patch('inspect.getargspec', create=True):\n    inspect.getargspec\n",
        "if 'getargspec' in inspect.__dict__:\n    inspect.getargspec\n",
        "try:\n    if sys.version_info >= (3, 12):\n        raise ImportError\n    import imp\n"
        "except ImportError:\n    pass\n",
    ],
)
def test_what_is_put_in_place_for_a_while_or_left_on_purpose_is_no_trouble(text: str) -> None:
    assert heard(f"import inspect, sys\n{text}") == ()


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
def test_methods_that_come_from_elsewhere_are_not_missed(text: str) -> None:
    assert heard(UNITTEST + text) == ()


def test_a_class_of_another_file_may_have_the_method_as_a_name() -> None:
    base = "import unittest\nclass Base(unittest.TestCase):\n    assertEquals = unittest.TestCase.assertEqual\n"

    assert heard({"base.py": base, "main.py": "from base import Base\n" + CASE.format("Base")}) == ()


NEWER = "import sys\nif sys.version_info >= (3, 12):\n    from _new import flag\nelse:\n    from _old import flag\n"


def test_a_module_that_is_imported_behind_guards_only_runs_where_they_let_it() -> None:
    files = {"_old.py": "import imp\ndef flag():\n    imp.reload\n", "_new.py": "def flag(): ...\n"}

    assert heard({**files, "main.py": NEWER}) == ()


@pytest.mark.parametrize(
    "other",
    [
        {"other.py": "import _old\n"},
        {"other.py": "import sys\nif sys.version_info >= (3, 12):\n    import _old\n"},
        {"other.py": "import sys, importlib\nimportlib.import_module('_old')\n"},
        {"other.py": "from somewhere import _old\n"},
    ],
)
def test_a_module_that_is_imported_without_a_guard_as_well_runs(other: dict[str, str]) -> None:
    assert codes(heard({"_old.py": "import imp\n", "main.py": NEWER, **other})) == ["PY201 1"]


def test_what_is_imported_for_types_only_may_still_be_run_by_something_else() -> None:
    main = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import models\n"

    assert codes(heard({"models.py": "import imp\n", "main.py": main})) == ["PY201 1"]


def test_entry_points_are_a_dict_before_3_12_only() -> None:
    text = """
        from importlib.metadata import entry_points
        found = entry_points()
        if isinstance(found, dict):
            print(found.get("x"))
        else:
            print(found.select(group="x"))
    """

    assert heard(text) == ()
