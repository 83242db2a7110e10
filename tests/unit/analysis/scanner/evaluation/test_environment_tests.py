"""Every spelling of a test of the Python version or of the contents of the library."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.judging.reachability import evaluate_version_test
from pytest_py312.analysis.scanner.evaluation.environment_tests import constant_value
from pytest_py312.analysis.scanner.evaluation.scan_state import ScanState
from tests.unit.analysis.fake_interpreters import codes, judge_texts

IMPORTS = "import importlib.util, inspect, operator, os, platform, six, sys, sysconfig"
SPELLINGS = (
    "sys.version_info < (3, 12)",
    "not sys.version_info >= (3, 12)",
    "(3, 12) > sys.version_info",
    "sys.version_info[:2] <= (3, 11)",
    "sys.version_info[0:2] < (3, 12)",
    "(sys.version_info.major, sys.version_info.minor) < (3, 12)",
    "sys.version_info.minor < 12",
    "sys.version_info[1] in (9, 10, 11)",
    "sys.version_info.minor in range(9, 12)",
    "(3, 0) <= sys.version_info < (3, 12)",
    "sys.hexversion < 0x030C0000",
    "sys.version.startswith(('3.9', '3.10', '3.11'))",
    "platform.python_version().startswith('3.9')",
    "platform.python_version() == '3.9.18'",
    "platform.python_version_tuple()[:2] == ('3', '9')",
    "int(platform.python_version_tuple()[1]) < 12",
    "tuple(map(int, platform.python_version_tuple()[:2])) < (3, 12)",
    "[int(part) for part in platform.python_version().split('.')[:2]] < [3, 12]",
    "'%d.%d' % sys.version_info[:2] == '3.9'",
    "'{}.{}'.format(*sys.version_info[:2]) == '3.9'",
    "f'{sys.version_info.major}.{sys.version_info.minor}' == '3.9'",
    "'.'.join(map(str, sys.version_info[:2])) == '3.9'",
    "float('%d.%d' % sys.version_info[:2]) == 3.9",
    "Version(platform.python_version()) < Version('3.12')",
    "LooseVersion(sys.version.split()[0]) < LooseVersion('3.12')",
    "sys.implementation.version < (3, 12)",
    "all([sys.version_info < (3, 12), True])",
    "sys.version_info < (3, 12) and len(sys.argv)",
    "PY_LT_312",
    "not PY312",
    "six.PY2",
    "hasattr(inspect, 'getargspec')",
    "getattr(inspect, 'getargspec', None)",
    "getattr(inspect, 'getargspec', None) is not None",
    "callable(getattr(inspect, 'getargspec', None))",
    "'getargspec' in dir(inspect)",
    "'getargspec' in vars(inspect)",
    "'imp' in sys.modules",
    "'imp' in getattr(sys, 'stdlib_module_names', ())",
    "(version := sys.version_info) < (3, 12)",
    "importlib.util.find_spec('imp')",
    "importlib.util.find_spec('imp') is not None",
    "(spec := importlib.util.find_spec('imp')) is not None",
    "platform.python_implementation() == 'Jython'",
    "'__pypy__' in sys.builtin_module_names",
    "sys.version_info[0] * 100 + sys.version_info[1] < 312",
    "sys.version_info[0] + sys.version_info[1] / 100 < 3.12",
    "tuple(map(int, sys.version.split()[0].split('.')))[:2] < (3, 12)",
    "operator.lt(sys.version_info, (3, 12))",
    "sysconfig.get_python_version() in ('3.9', '3.10', '3.11')",
    "'getargspec' in inspect.__dict__",
    "sys.platform == 'win32'",
    "os.name in ('nt', 'java')",
    "sys.platform.startswith('win')",
    "platform.system() == 'Windows'",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_code_for_old_versions_is_not_reported(spelling: str) -> None:
    text = f"{IMPORTS}\nif {spelling}:\n    import imp\nelse:\n    pass\n"

    assert judge_texts(text) == ()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_code_for_new_versions_is_reported(spelling: str) -> None:
    text = f"{IMPORTS}\nif {spelling}:\n    pass\nelse:\n    import imp\n"

    assert codes(judge_texts(text)) == ["PY201 5"]


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nOLD = sys.version_info < (3, 12)\nif OLD:\n    import imp\n",
        "import sys\nis_old = lambda: sys.version_info < (3, 12)\nif is_old():\n    import imp\n",
        "import sys\ndef old():\n    '''Is it?'''\n    return sys.version_info < (3, 12)\nif old():\n    import imp\n",
        "import sys\nclass Compat:\n    OLD = sys.version_info < (3, 12)\nif Compat.OLD:\n    import imp\n",
        "import sys\nmajor, minor = sys.version_info[:2]\nif minor < 12:\n    import imp\n",
        "import sys\nmajor, minor, *rest = sys.version_info\nif (major, minor) < (3, 12):\n    import imp\n",
        "import platform\nmajor, minor, _ = platform.python_version_tuple()\nif int(minor) < 12:\n    import imp\n",
        "import sys\ndef below(*wanted):\n    return sys.version_info < wanted\nif below(3, 12):\n    import imp\n",
        "import sys\ndef minor_below(n):\n    return sys.version_info[1] < n\nif minor_below(12):\n    import imp\n",
        "import sys\ndef below(a, b):\n    return sys.version_info < (a, b)\nif below(3, 12):\n    import imp\n",
        "import importlib, sys\nif sys.version_info < (3, 12):\n    NAME = 'imp'\nelse:\n    NAME = 'json'\n"
        "importlib.import_module(NAME)\n",
        "import sys\nGONE = (3, 12)\nif sys.version_info < GONE:\n    import imp\n",
        "import sys\nOLD: bool = sys.version_info < (3, 12)\nif OLD:\n    import imp\n",
        "import sys\nNUMBER = sys.version_info[0] * 100 + sys.version_info[1]\nif NUMBER < 312:\n    import imp\n",
        "import sys\ndef f():\n    if sys.version_info >= (3, 12):\n        return\n    import imp\n",
        "import sys\nfor x in 'ab':\n    if sys.version_info >= (3, 12):\n        continue\n    import imp\n",
        "import sys\nassert sys.version_info >= (3, 9)\nif sys.version_info >= (3, 12): raise SystemExit\nimport imp\n",
        "import sys, unittest\n@unittest.skipIf(sys.version_info >= (3, 12), '')\ndef f():\n    import imp\n",
        "import pytest\n@pytest.mark.skipif('sys.version_info >= (3, 12)')\ndef f():\n    import imp\n",
        "import pytest, sys\npytestmark = pytest.mark.skipif(sys.version_info >= (3, 12))\ndef f():\n    import imp\n",
    ],
)
def test_tests_are_followed_through_names_functions_exits_and_marks(text: str) -> None:
    assert judge_texts(text) == ()


@pytest.mark.parametrize("call", ["below(*x)", "below(3)", "below(x, 12)", "below(3, 13)"])
def test_calls_that_are_undecided_or_true_for_the_target(call: str) -> None:
    text = f"import sys\ndef below(a, b):\n    return sys.version_info < (a, b)\nif {call}:\n    import imp\n"

    assert codes(judge_texts(text)) == ["PY201 5"]


def test_flags_of_other_files_are_followed() -> None:
    texts = {
        "flags.py": "import sys\nIS_OLD = sys.version_info < (3, 12)\ndef is_old():\n    return IS_OLD\n",
        "one.py": "from flags import IS_OLD\nif IS_OLD:\n    import imp\n",
        "two.py": "import flags\nif flags.is_old():\n    import imp\n",
        "three.py": "import flags\nif not flags.IS_OLD:\n    import imp\n",
    }

    assert [one.location.path for one in judge_texts(texts) if one.location] == ["three.py"]


@given(st.integers(0, 20), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(0, 20))
@settings(deadline=None)
def test_minors_compare_as_numbers(minor: int, comparison: str, wanted: int) -> None:
    expected = eval(f"(3, {minor}) {comparison} (3, {wanted})")

    assert evaluate_version_test((3, minor), comparison, (3, wanted), "two") is expected


def test_a_test_that_differs_between_micro_releases_is_undecided() -> None:
    assert evaluate_version_test((3, 12), ">=", (3, 12, 4), "full") is None
    assert evaluate_version_test((3, 12), "<", (3, 12), "full") is False
    assert (
        evaluate_version_test((3, 9), ">=", "3.12", "text") is True
    )  # strings compare by character: surprising but correct
    assert evaluate_version_test((3, 9), "==", 3, "no such part") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("(3, 9)", (3, 9)), ("range(9, 11)", (9, 10)), ("'3.9'", "3.9"), ("f(3)", None), ("(x, 3)", None)],
)
def test_constants_are_evaluated(text: str, value: object) -> None:
    assert constant_value(ScanState(local_modules=frozenset()), ast.parse(text, mode="eval").body) == value


@pytest.mark.parametrize(
    "spelling",
    [
        "sys.version_info[0] * 100 + sys.version_info[1] < limit",
        "'x' * 10 ** 9 < sys.version",
        "sys.version_info[9] < 3",
        "sys.version_info[2] < 5",
        "sys.version_info[1] / 0 < 3",
        "sys.version + sys.version < undefined",
        "len(sys.version_info.__class__.__mro__) < 3",
    ],
)
def test_an_undecided_test_is_assumed_to_pass(spelling: str) -> None:
    assert codes(judge_texts(f"import sys\nif {spelling}:\n    import imp\n")) == ["PY201 3"]


def test_formulas_that_grow_without_limit_are_undecided() -> None:
    steps = "".join(f"A{number + 1} = A{number} + A{number}\n" for number in range(60))

    text = f"import sys\nA0 = sys.version + ''\n{steps}if A60 < 'x':\n    import imp\n"

    assert codes(judge_texts(text)) == ["PY201 64"]


@pytest.mark.parametrize(
    "text",
    [
        "import os, sys as system\nif system.version < '3.12': import imp\n",
        "import  sys  as  s\nif s.version < '3.12': import imp\n",
        "from sys import(version)\nif version < '3.12': import imp\n",
        "from sys import (\n    version,\n)\nif version < '3.12': import imp\n",
        "import sys\nsystem = sys\nif system.version < '3.12': import imp\n",
        "import sys\nif sys . version < '3.12': import imp\n",
        "import sys\nif sys.\\\n  version < '3.12': import imp\n",
        "from sys import implementation as own\nif own.cache_tag == 'cpython-39': import imp\n",
        "from platform import python_version\nif python_version() < '3.12': import imp\n",
    ],
)
def test_every_name_of_the_version_is_recognised(text: str) -> None:
    assert codes(judge_texts(text)) == []
