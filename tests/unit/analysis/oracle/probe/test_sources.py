"""Deprecations are found in the source of a library without executing it."""

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.oracle.probe.layout import function_around
from pytest_py312.analysis.oracle.probe.sources import FunctionWarnings, LibrarySource
from pytest_py312.analysis.oracle.probe.warning_texts import static_text, warning_text

WARN = 'warnings.warn("old", DeprecationWarning, stacklevel=2)'


def facts_of(body: str, parameters: str = "") -> FunctionWarnings:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    function = ast.parse(f"def function({parameters}):\n{lines}\n").body[0]
    assert isinstance(function, ast.FunctionDef)
    return FunctionWarnings(function)


def source_of(tmp_path: Path, text: str) -> LibrarySource:
    (tmp_path / "library.py").write_text(text, encoding="utf-8")
    return LibrarySource(str(tmp_path / "library.py"))


@pytest.mark.parametrize(
    "body",
    [
        WARN,
        f"'''A docstring.'''\nimport warnings\n{WARN}\nreturn 1",
        f"with lock:\n    {WARN}",
        f"try:\n    {WARN}\nfinally:\n    pass",
        'warnings._deprecated("x", remove=(3, 14))',
        'warn("old", category=PendingDeprecationWarning)',
        'warnings.warn(FutureWarning("old"))',
        f"if x < 0:\n    raise ValueError\n{WARN}",
    ],
)
def test_a_function_that_always_warns_is_deprecated(body: str) -> None:
    assert facts_of(body, "x").warning is not None


@pytest.mark.parametrize(
    "body",
    [
        "return 1",
        f"return 1\n{WARN}",
        f"if isinstance(x, set):\n    {WARN}",
        f"for y in x:\n    {WARN}",
        f"if x > 3:\n    return\n{WARN}",
        f"try:\n    y = x()\nexcept TypeError:\n    {WARN}",
        'warnings.warn("careful", ResourceWarning)',
        'warnings.warn("careful")',
        'logger.warn("old")',
        f"def inner():\n    {WARN}",
    ],
)
def test_a_function_that_warns_conditionally_is_not_deprecated(body: str) -> None:
    facts = facts_of(body, "x")

    assert facts.warning is None
    assert facts.deprecated == {}


@pytest.mark.parametrize(
    ("test", "branch"),
    [
        ("x is not None", "if"),
        ("x is not _sentinel", "if"),
        ("x", "if"),
        ("'x' in others", "if"),
        ("x is None", "else"),
        ("not x", "else"),
        ("not (x is not None)", "else"),
    ],
)
def test_a_warning_about_a_passed_parameter_deprecates_the_parameter(test: str, branch: str) -> None:
    bodies = {"if": f"if {test}:\n    {WARN}", "else": f"if {test}:\n    y = 1\nelse:\n    {WARN}"}
    wrong = "else" if branch == "if" else "if"

    found = facts_of(bodies[branch], "x=None, **others")
    assert list(found.deprecated) == ["x"]
    assert found.warning is None
    assert facts_of(bodies[wrong], "x=None, **others").deprecated == {}


def test_a_parameter_may_warn_in_a_loop_or_after_an_early_return() -> None:
    assert list(facts_of(f"for y in z:\n    if x is not None:\n        {WARN}", "z, x=None").deprecated) == ["x"]
    assert list(facts_of(f"if x is None:\n    return 1\n{WARN}", "x=None").deprecated) == ["x"]


def test_several_parameters_may_share_a_warning() -> None:
    either = facts_of(f"if a is not None or b is not None:\n    {WARN}", "a=None, b=None")
    both = facts_of(f"if a is not None and b is not None:\n    {WARN}", "a=None, b=None")

    assert sorted(either.deprecated) == ["a", "b"]
    assert both.deprecated == {}


def test_a_parameter_that_only_raises_an_error_is_refused() -> None:
    removed = facts_of('if x is not _marker:\n    raise TypeError("the *x* parameter was removed")', "x=_marker")
    checked = facts_of('if x is not None:\n    raise TypeError("x must be a number")', "x=None")

    assert removed.refused == {"x"}
    assert checked.refused == set()


LIBRARY = f'''
import warnings

class Outer:
    def fine(self):
        """Warns nobody, whatever DeprecationWarning it mentions."""

    @property
    def old(
        self,
        more=1,
    ):
        {WARN}

    def _deprecate(original):
        def deprecated(*arguments):
            warnings.warn("Please use {{0}} instead.".format(original.__name__), DeprecationWarning, 2)
        return deprecated

    older = _deprecate(fine)

async def sleep(delay, loop=None):
    if loop is not None:
        {WARN}
'''


def test_functions_are_found_by_name_and_by_first_line(tmp_path: Path) -> None:
    source = source_of(tmp_path, LIBRARY)
    lines = LIBRARY.splitlines()

    assert source.functions["Outer.old"].warning is not None
    assert source.functions["Outer._deprecate.<locals>.deprecated"].warning is not None
    assert list(source.functions["sleep"].deprecated) == ["loop"]
    assert source.function_at(lines.index("    @property") + 1) is source.functions["Outer.old"]
    assert source.function_at(lines.index("async def sleep(delay, loop=None):") + 1) is source.functions["sleep"]


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    def f(self):\n        '''Text\nat the margin\n'''\n        " + WARN + "\n",
        "@decorated(\n    1,\n)\ndef f():\n    " + WARN + "\n",
        "if 1:\n    def f():\n        " + WARN + "\nelse:\n    def f(): pass\n",
        "def f(\n    a,\n    b,\n):\n    x = '''\n'''\n    " + WARN + "\n",
    ],
)
def test_functions_with_unusual_layout_are_read(tmp_path: Path, text: str) -> None:
    (warning,) = [facts.warning for facts in source_of(tmp_path, text).functions.values() if facts.warning]

    assert warning_text(warning, {}) == "old"


def test_a_module_may_warn_on_import(tmp_path: Path) -> None:
    source = source_of(tmp_path, "import warnings\nwarnings._deprecated(__name__, remove=(3, 13))\n")

    assert source.warning is not None
    assert warning_text(source.warning, {"__name__": "imp"}) == (
        "'imp' is deprecated and slated for removal in Python 3.13"
    )
    assert source_of(tmp_path, f"def f():\n    {WARN}\n").warning is None


def test_instance_attributes_are_read_from_the_class(tmp_path: Path) -> None:
    source = source_of(
        tmp_path,
        "class A:\n    x: int\n    def __init__(self):\n        self.y = 1\n        self.z, other.n = 2, 3\n"
        "class B:\n    def __init__(self, **given):\n        self.__dict__.update(given)\n"
        "class C:\n    def __init__(self, name):\n        setattr(self, name, 1)\n",
    )

    assert source.class_attributes("A") == {"x", "y", "z"}
    assert source.class_attributes("B") is None
    assert source.class_attributes("C") is None
    assert source.class_attributes("D") is None


def test_a_method_call_does_not_set_an_attribute(tmp_path: Path) -> None:
    source = source_of(tmp_path, "os.mkdir(path)\nother.state = 1\nsetattr(x, 'mode', 2)\nmade.finder, y = 1, 2\n")

    assert [source.may_set_elsewhere(name) for name in ("mkdir", "state", "mode", "finder", "find")] == [
        False, True, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "x = 1\n{}y = 2\n",
        "{}\n\n# a remark\n",
        "if 1:\n    pass\n{}",
        "class A:\n    pass\n{}",  # two classes of one name: the later one counts
        "if sys:\n    class A:\n        pass\n{}",
    ],
)
def test_code_around_a_class_does_not_matter(tmp_path: Path, around: str) -> None:
    lines = (
        'class A:\n    """Its text\ngoes back to the left.\n"""\n    class Inner:\n        def f(self):\n'
        "            self.x = 1\n# a remark\n    def f(self): self.y = (\n1)\n"
    )
    source = source_of(tmp_path, around.format(lines))

    assert source.class_attributes("A") == {"x", "y"}
    assert source.class_attributes("A.Inner") == {"x"}
    assert source.class_attributes("A.f.<locals>.B") is None


ASKED = """
class A:
    x: int

    @property
    def y(self):
        # self.y is not set here
        return self.z + self.name

    @y.setter
    def y(self, value): self.name = value

    def f(self):
        def inner():
            self.inner = 1
{odd}
class B:
    def f(self, name, **given):
        setattr(self, name, 1)
"""
ODD = (
    "",
    "        self.text = '''\nat the margin\n'''\n        self.late = 1\n",
    "        self.both = [\n1\n]\n        self.late = 1\n",
)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["x", "y", "z", "name", "inner", "text", "both", "late", "value", "f"])
def test_looking_up_one_attribute_agrees_with_reading_the_whole_class(tmp_path: Path, odd: str, name: str) -> None:
    text = ASKED.format(odd=odd)
    attributes = source_of(tmp_path, text).class_attributes("A")
    assert attributes is not None

    assert source_of(tmp_path, text).sets_attribute("A", name) is (name in attributes)
    assert source_of(tmp_path, text).sets_attribute("B", name) is None


def test_the_names_of_a_module_are_complete_unless_it_adds_some_dynamically(tmp_path: Path) -> None:
    names, complete = source_of(
        tmp_path, "import os.path\nif 1:\n    A = 1\ntry:\n    def f(): ...\nfinally: pass\n"
    ).names()
    assert (names, complete) == ({"os", "A", "f"}, True)
    assert not source_of(tmp_path, "from os import *\n").names()[1]
    assert not source_of(tmp_path, "def __getattr__(name): ...\n").names()[1]
    assert not source_of(tmp_path, "def f(:\n").names()[1]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("'a' 'b'", "ab"),
        ("'a' + name", "a..."),
        ("f'{func.__name__} is old'", "print is old"),
        ("'%s is old' % known", "this is old"),
        ("'{0!r} is old'.format(known)", "'this' is old"),
        ("'{0} {1}'.format(known)", "{0} {1}"),
        ("'%d' % known", "%d"),
        ("call()", "..."),
    ],
)
def test_a_text_is_evaluated_statically(expression: str, text: str) -> None:
    node = ast.parse(expression, mode="eval").body

    assert static_text(node, {"known": "this", "func": print}) == text


@given(st.text(alphabet="def clas():\n    @'\"#Dx_deprecated(DeprecationWarning", max_size=200), st.binary(max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_no_source_crashes_the_reader(tmp_path: Path, text: str, data: bytes) -> None:
    for content in (text.encode(), data, data + b"DeprecationWarning", f"def f():\n {text}\n {WARN}".encode()):
        (tmp_path / "library.py").write_bytes(content)
        source = LibrarySource(str(tmp_path / "library.py"))
        assert isinstance(source.names()[0], set)
        assert source.class_attributes("A") is None or isinstance(source.class_attributes("A"), set)


@given(st.lists(st.text(alphabet="def clas:\n @#)x", max_size=20), min_size=1, max_size=12), st.data())
def test_no_layout_crashes_the_search_for_a_function(lines: list[str], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(lines) - 1))
    found = function_around(lines, number)

    assert found is None or found[0] <= number
