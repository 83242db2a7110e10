"""Inheritance and names across the files of a service."""

import pytest

from pytest_py312.analysis.scanner.facts.stdlib_queries import Signature
from pytest_py312.core.model.findings import Confidence
from tests.unit.analysis.fake_interpreters import GONE, codes, judge_texts

CASE = "class Case(Base):\n    def test_it(self):\n        self.assertEquals(1, 1)\n"
BASE = "import unittest\nclass Base(unittest.TestCase): ...\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"base.py": BASE, "main.py": f"from base import Base\n{CASE}"}, ["PY203 4"]),
        ({"a/base.py": BASE, "a/main.py": f"from .base import Base\n{CASE}"}, ["PY203 4"]),
        ({"a/__init__.py": BASE, "a/main.py": f"from . import Base\n{CASE}"}, ["PY203 4"]),
        ({"base.py": f"{BASE}    def assertEquals(self): ...\n".replace(" ...\n    ", "\n    "),
          "main.py": f"from base import Base\n{CASE}"}, []),
        ({"base.py": BASE, "middle.py": "from base import Base\nclass Middle(Base): ...\n",
          "main.py": f"from middle import Middle as Base\n{CASE}"}, ["PY203 4"]),
        ({"base.py": "class Base: ...\n", "main.py": f"from base import Base\n{CASE}"}, []),
    ],
)  # fmt: skip
def test_methods_of_bases_in_other_files(files: dict[str, str], found: list[str]) -> None:
    assert codes(judge_texts(files, local={"base", "middle"})) == found


def test_a_mixin_of_another_file_that_has_the_method_comes_first() -> None:
    files = {
        "mixin.py": "class Checks:\n    def assertEquals(self, a, b): ...\n",
        "main.py": f"import unittest\nfrom mixin import Checks\n{CASE.replace('Base', 'Checks, unittest.TestCase')}",
    }

    assert judge_texts(files) == ()


def test_import_cycles_terminate() -> None:
    files = {
        "one.py": "from two import Two\nclass One(Two):\n    def f(self):\n        self.nothing()\n",
        "two.py": "from one import One\nclass Two(One): ...\n",
        "flags.py": "from other import IS_OLD\n",
        "other.py": "from flags import IS_OLD\nif IS_OLD:\n    import imp\n",
    }

    assert codes(judge_texts(files)) == ["PY201 3"]


TOOLS = "import collections as c\nimport unittest\ncase = unittest.TestCase()\n"


@pytest.mark.parametrize(
    ("tools", "use", "found"),
    [
        (TOOLS, "from tools import c\nc.Mapping\nc.OrderedDict\n", ["PY202 2"]),
        (TOOLS, "from tools import c as kinds\nkinds.Mapping\n", ["PY202 2"]),
        (TOOLS, "import tools\ntools.c.Mapping\n", ["PY202 2"]),
        (TOOLS, "from tools import case\ncase.assertEquals\n", ["PY203 2"]),
        (f"{TOOLS}def make():\n    return unittest.TestCase()\n",
         "import tools\ntools.make().assertEquals\n", ["PY203 2"]),
        (f"{TOOLS}def make() -> unittest.TestCase: ...\n",
         "from tools import make\none = make()\none.assertEquals\none.other.assertEquals\n", ["PY203 3"]),
        (f"{TOOLS}async def make():\n    return unittest.TestCase()\n",
         "from tools import make\nmake().assertEquals\n", []),
        (f"{TOOLS}class Kinds: ...\nc = Kinds\n", "from tools import c\nc.Mapping\n", []),
        (f"{TOOLS}def c(): ...\n", "from tools import c\nc.Mapping\n", []),
        ("try:\n    import imp\nexcept ImportError:\n    imp = None\n",
         "from tools import imp\nif imp:\n    imp.reload\n", []),
        ("import collections.abc as c\nimport sys\nif sys.version_info < (3, 10):\n    import collections as c\n",
         "from tools import c\nc.Mapping\n", []),
        ("import xml.etree.ElementTree\n", "import tools\ntools.xml.etree.ElementTree.XMLParser\n", []),
    ],
)  # fmt: skip
def test_what_a_name_of_another_file_stands_for(tools: str, use: str, found: list[str]) -> None:
    assert codes(judge_texts({"tools.py": tools, "main.py": use}, local={"tools"})) == found


def test_ambiguous_files_are_not_linked() -> None:
    files = {"a/tools.py": TOOLS, "b/tools.py": TOOLS, "main.py": "from tools import c\nc.Mapping\n"}

    assert codes(judge_texts(files, local={"tools"})) == []


CASES = "import unittest\ndef get_case():\n    return unittest.TestCase()\ndef plain(): ...\n"


@pytest.mark.parametrize(
    ("use", "found"),
    [
        ("case = tools.get_case()\n", ["PY203 3"]),
        ("case = None\nif not case: case = tools.get_case()\n", ["PY203 4"]),
        ("case: unittest.TestCase = tools.plain()\n", ["PY203 3"]),
        ("case: Any = tools.get_case()\n", ["PY203 3"]),
        ("case = tools.plain()\n", []),
    ],
)
def test_results_of_functions_of_another_file(use: str, found: list[str]) -> None:
    files = {"tools.py": CASES, "main.py": f"import tools, unittest\n{use}case.assertEquals\n"}
    assert codes(judge_texts(files)) == found


def test_an_ambiguous_name_is_only_likely() -> None:
    use = "import tools, other\nif other.asked: case = tools.get_case()\nelse: case = other.case()\ncase.assertEquals\n"
    found = judge_texts({"tools.py": CASES, "main.py": use})
    assert [(one.code, one.confidence) for one in found] == [("PY203", Confidence.LIKELY)]


@pytest.mark.parametrize(
    ("steps", "reported"), [(["c"], ["PY202 2"]), (["Case()"], ["PY203 2"]), (["missing"], []), (["c", "abc"], [])]
)
def test_names_that_are_forwarded(steps: list[str], reported: list[str]) -> None:
    files = {
        "package/__init__.py": "from .one import *\nfrom .one import c, Case\n",
        "package/one.py": "from package.two import c, Case\n",
        "package/two.py": "import collections as c\nfrom unittest import TestCase as Case\n",
        "main.py": f"import package\npackage.{'.'.join(steps)}.{'assertEquals' if '()' in steps[0] else 'Mapping'}\n",
    }
    assert codes(judge_texts(files, local={"package"})) == reported


@pytest.mark.parametrize("count", [3, 60])
def test_names_are_followed_through_a_few_files_without_cycles(count: int) -> None:
    files = {f"f{number}.py": f"from f{number + 1} import c\n" for number in range(count)}
    files |= {f"f{count}.py": "import collections as c\n", "g.py": "from h import c\n", "h.py": "from g import c\n"}
    files["main.py"] = "import f0, h\nf0.c.Mapping\nh.c.Mapping\n"
    assert codes(judge_texts(files)) == (["PY202 2"] if count == 3 else [])


@pytest.mark.parametrize(
    "use",
    [
        "tools.c = object()\ntools.c.Mapping\n",
        "setattr(tools, 'c', object())\ntools.c.Mapping\n",
        "tools.c.Mapping = dict\ntools.c.Mapping\n",
        "import setting\ntools.c.Mapping\n",
        "if hasattr(tools.c, 'Mapping'): tools.c.Mapping\n",
        "if hasattr(tools.c, 'Mapping'): pass\nelse: tools.c.Sequence = None\n",
        "tools.entry_points(group='a').get\n",
        "tools.loads('').Mapping\n",
    ],
)
def test_replaced_tested_or_unknown_names_are_not_reported(use: str) -> None:
    files = {
        "tools.py": "import collections as c\nfrom importlib.metadata import entry_points\nfrom json import loads\n",
        "setting.py": "import tools\ntools.c = object()\n",
        "main.py": f"import tools\n{use}",
    }
    gone = (*GONE, "importlib.metadata:entry_points().get", "json:loads().Mapping")
    assert judge_texts(files, gone=gone) == ()


def test_assignments_of_unrelated_files_have_no_effect() -> None:
    files = {
        "tools.py": TOOLS,
        "setting.py": "import tools\ntools.c = 1\n",
        "main.py": "import tools\ntools.c.Mapping\n",
    }
    assert codes(judge_texts(files)) == ["PY202 2"]


def test_the_condition_of_a_name_may_depend_on_a_third_file() -> None:
    files = {
        "flags.py": "import sys\nIS_NEW = sys.version_info >= (3, 3)\n",
        "tools.py": "from flags import IS_NEW\nif IS_NEW: import json as c\nelse: import collections as c\n",
        "main.py": "import tools\ntools.c.Mapping\n",
    }
    assert judge_texts(files) == ()


def test_a_submodule_may_replace_a_name_of_its_package() -> None:
    files = {
        "package/__init__.py": "import collections\n",
        "package/collections.py": "",
        "main.py": "from package import collections\ncollections.Mapping\n",
    }
    assert judge_texts(files, local={"package"}) == ()


def test_a_plain_name_does_not_mean_a_file_inside_of_a_package() -> None:
    files = {
        "package/__init__.py": "",
        "package/tools.py": TOOLS,
        "package/work.py": "import tools\ntools.c.Mapping\n",
        "tools.py": "c = object()\n",
    }
    assert judge_texts(files, local={"package"}) == ()


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("from tools import *\n", ["PY202 2"]),
        ("from tools import *;from other import *\n", []),
        ("from other import *\n", []),
        ("from tools import *;c = object()\n", []),
    ],
)
def test_names_that_only_a_star_import_can_have_bound(head: str, found: list[str]) -> None:
    assert (
        codes(judge_texts({"tools.py": TOOLS, "other.py": "", "main.py": f"{head}c.Mapping\nlen.Mapping\n"})) == found
    )


def test_calls_of_a_function_that_is_imported_through_another_file() -> None:
    files = {"tools.py": "from asyncio import Lock\n", "main.py": "from tools import Lock\nLock(loop=1)\nLock()\n"}
    before, after = Signature(positional=(), keywords=("loop",)), Signature(positional=(), keywords=())
    found = judge_texts(files, baseline_signatures={"asyncio:Lock": before}, target_signatures={"asyncio:Lock": after})
    assert [one.location.line for one in found if one.location] == [2]


HOLDERS = """
import enum, unittest, datetime
class Base:
    def __init__(self):
        self.case = unittest.TestCase()
        self.other = unittest.TestCase()
class Holder(Base):
    of_class = unittest.TestCase()
    def __init__(self):
        super().__init__()
        self.other = object()
    def get(self):
        return unittest.TestCase()
class Model(elsewhere.Model):
    case = unittest.TestCase()
class Kind(enum.Enum):
    CASE = unittest.TestCase()
"""


@pytest.mark.parametrize(
    ("use", "found"),
    [
        ("Holder().case", ["PY203 2"]),
        ("Holder().of_class", ["PY203 2"]),
        ("Holder.of_class", ["PY203 2"]),
        ("Holder().get()", ["PY203 2"]),
        ("Holder().other", []),
        ("Holder.case", []),
        ("Model.case", []),
        ("Kind.CASE", []),
    ],
)
def test_attributes_of_classes_of_another_file(use: str, found: list[str]) -> None:
    files = {"holders.py": HOLDERS, "main.py": f"import holders\nholders.{use}.assertEquals\n"}
    assert codes(judge_texts(files)) == found


@pytest.mark.parametrize(
    "use",
    [
        "case = holders.Holder().case\nif hasattr(case, 'assertEquals'): case.assertEquals\n",
        "it = holders.Holder()\nit.case = None\nit.case.assertEquals\n",
        "holders.Holder.of_class = None\nholders.Holder.of_class.assertEquals\n",
    ],
)
def test_attributes_may_be_tested_and_replaced(use: str) -> None:
    assert judge_texts({"holders.py": HOLDERS, "main.py": f"import holders\n{use}"}) == ()


def test_an_import_of_a_submodule_binds_it_in_the_package() -> None:
    files = {"package/tools.py": TOOLS, "main.py": "import package.other, package.tools\npackage.tools.c.Mapping\n"}
    assert codes(judge_texts(files, local={"package"})) == ["PY202 2"]
