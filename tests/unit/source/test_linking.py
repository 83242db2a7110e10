"""What a class inherits, and what a name stands for, across the files of a service."""

import pytest

from tests.unit.source.hearing import codes, heard

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
    assert codes(heard(files, local={"base", "middle"})) == found


def test_a_mixin_of_another_file_that_has_the_method_comes_first() -> None:
    files = {
        "mixin.py": "class Checks:\n    def assertEquals(self, a, b): ...\n",
        "main.py": f"import unittest\nfrom mixin import Checks\n{CASE.replace('Base', 'Checks, unittest.TestCase')}",
    }

    assert heard(files) == ()


def test_circles_of_files_end() -> None:
    files = {
        "one.py": "from two import Two\nclass One(Two):\n    def f(self):\n        self.nothing()\n",
        "two.py": "from one import One\nclass Two(One): ...\n",
        "flags.py": "from other import IS_OLD\n",
        "other.py": "from flags import IS_OLD\nif IS_OLD:\n    import imp\n",
    }

    assert codes(heard(files)) == ["PY201 3"]


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
    assert codes(heard({"tools.py": tools, "main.py": use}, local={"tools"})) == found


def test_two_files_that_may_be_meant_say_nothing() -> None:
    files = {"a/tools.py": TOOLS, "b/tools.py": TOOLS, "main.py": "from tools import c\nc.Mapping\n"}

    assert codes(heard(files, local={"tools"})) == []
