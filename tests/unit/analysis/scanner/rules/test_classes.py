"""Field defaults, decorators, return values of tests, enum members in strings, hooks, and names that exec binds."""

import pytest

from tests.unit.analysis.fake_interpreters import facts_of

CLASSES = """
import ast, collections, dataclasses, enum, sys, typing, unittest
@dataclasses.dataclass
class Plain: ...
@dataclasses.dataclass(frozen=True)
class Frozen: ...
class Inner(Plain): ...
class Equal:
    def __eq__(self, other): ...
class Color(str, enum.Enum):
    RED = "red"
class Level(enum.IntEnum):
    HIGH = 3
class Shown(str, enum.Enum):
    RED = "red"
    def __str__(self): ...
"""
LINE = CLASSES.count("\n") + 1


def rules_of(text: str) -> list[str]:
    return [fact.rule for fact in facts_of(CLASSES + text).rule_matches if fact.line >= LINE]


@pytest.mark.parametrize(
    ("default", "is_refused"),
    [
        ("Plain()", True), ("Equal()", True), ("dataclasses.field(default=Plain())", True), ("bytearray()", True),
        ("collections.deque()", True), ("Frozen()", False), ("dataclasses.field(default_factory=Plain)", False),
        ("3", False), ("None", False), ("Color.RED", False), ("Inner()", True),
    ],
)  # fmt: skip
def test_unhashable_dataclass_defaults_are_matched(default: str, is_refused: bool) -> None:
    text = f"@dataclasses.dataclass\nclass Outer:\n    inner: object = {default}\n"

    assert rules_of(text) == (["unhashable-default"] if is_refused else [])


def test_other_classes_may_have_any_default() -> None:
    assert rules_of("class Outer:\n    inner: Plain = Plain()\n") == []
    assert rules_of("@dataclasses.dataclass\nclass Outer:\n    inner: typing.ClassVar[Plain] = Plain()\n") == []


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("f'{Color.RED}'", ["mixed-enum-format"]),
        ("f'{Color.RED:>9}'", ["mixed-enum-format"]),
        ("'{}'.format(Color.RED)", ["mixed-enum-format"]),
        ("'{a}'.format(a=Color.RED)", ["mixed-enum-format"]),
        ("format(Color.RED)", ["mixed-enum-format"]),
        ("f'{Color(x)} {Color[x]}'", ["mixed-enum-format", "mixed-enum-format"]),
        ("for color in Color:\n    f'{color}'", ["mixed-enum-format"]),
        ("def f(color: Color):\n    return f'{color}'", ["mixed-enum-format"]),
        ("str(Level.HIGH)", ["int-enum-text"]),
        ("print(Level.HIGH)", ["int-enum-text"]),
        ("'%s' % Level.HIGH", ["int-enum-text"]),
        ("f'{Level.HIGH!s}'", ["int-enum-text"]),
        ("f'{Color.RED.value} {Color.RED!r} {Color.RED!s}'", []),
        ("str(Color.RED), '%s' % Color.RED", []),
        ("f'{Level.HIGH}', '%d' % Level.HIGH, int(Level.HIGH)", []),
        ("f'{Shown.RED}'", []),
    ],
)
def test_enum_members_in_strings_are_matched(text: str, rules: list[str]) -> None:
    assert rules_of(text) == rules


def test_classmethod_properties_are_matched() -> None:
    assert rules_of("class C:\n    @classmethod\n    @property\n    def name(cls): ...\n") == ["classmethod-property"]
    assert rules_of("class C:\n    @property\n    def name(self): ...\n") == []


@pytest.mark.parametrize(
    ("base", "body", "rules"),
    [
        ("unittest.TestCase", "def test_it(self): return 3", ["test-returns"]),
        ("unittest.TestCase", "async def test_it(self): ...", ["test-returns"]),
        ("unittest.IsolatedAsyncioTestCase", "async def test_it(self): ...", []),
        ("unittest.TestCase", "def test_it(self): return None", []),
        ("unittest.TestCase", "def helper(self): return 3", []),
        ("object", "def test_it(self): return 3", []),
        ("ast.NodeVisitor", "def visit_Str(self, node): ...", ["ast-visitor"]),
        ("object", "def visit_Str(self, node): ...", []),
    ],
)
def test_methods_that_a_library_calls_are_matched(base: str, body: str, rules: list[str]) -> None:
    assert rules_of(f"class C({base}):\n    {body}\n") == rules


def test_a_finder_is_matched_where_imports_are_hooked() -> None:
    finder = "class Finder:\n    def find_module(self, name, path=None): ...\n"

    assert rules_of(finder) == []
    assert rules_of(f"{finder}sys.meta_path.append(Finder())\n") == ["find-module-hook"]
    assert rules_of(f"{finder}    def find_spec(self, name, path=None): ...\nsys.meta_path.append(Finder())\n") == []


NEW_FINDER = "class New:\n    def find_spec(self, name, path=None, target=None): ...\n"
OLD_FINDER = "class Old:\n    def find_module(self, name, path=None): ...\n"


@pytest.mark.parametrize(
    ("installation", "is_matched"),
    [
        ("sys.meta_path.append(New())", False),
        ("sys.meta_path.insert(0, New)", False),
        ("new = New()\nsys.meta_path.append(new)", False),
        ("class Newer(New): ...\nsys.meta_path.append(Newer())", False),
        ("class Newer(Old, New): ...\nsys.meta_path.append(Newer())", False),
        ("def install():\n    sys.meta_path.append(New())", False),
        ("sys.meta_path.append(Old())", True),
        ("sys.path_hooks.append(Old)", True),
        ("sys.meta_path.append(New())\nsys.meta_path.append(Old())", True),
        ("sys.meta_path.append(New()); sys.meta_path.append(unknown)", True),
        ("class Older(Old): ...\nsys.meta_path.append(Older())", True),
        ("class Proxy:\n    def __getattr__(self, name): ...\nsys.meta_path.append(Proxy())", True),
        ("class Other(Unknown):\n    def find_spec(self): ...\nsys.meta_path.append(Other())", True),
        ("def install(finder):\n    sys.meta_path.append(finder)", True),
        ("sys.meta_path.append(New() if x else Old())", True),
        ("sys.meta_path[:0] = [New()]", True),
        ("from sys import meta_path\nmeta_path.append(New())", True),
        ("sys.meta_path += [New()]", True),
        ("sys.meta_path.append(New())\nprint(sys.meta_path)", True),
    ],
)
def test_only_a_finder_that_may_be_installed_is_matched(installation: str, is_matched: bool) -> None:
    assert rules_of(f"{NEW_FINDER}{OLD_FINDER}{installation}\n") == (["find-module-hook"] if is_matched else [])


@pytest.mark.parametrize(
    ("default", "is_reported"), [("x: int = None", True), ("x: typing.Optional[int] = None", False)]
)
def test_a_default_of_none_does_not_make_a_type_optional(default: str, is_reported: bool) -> None:
    text = f"def f({default}): ...\ntyping.get_type_hints(f)\n"

    assert rules_of(text) == (["implicit-optional"] if is_reported else [])


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("class A(typing.NamedTuple, typing.Generic[T]): ...", ["generic-record"]),
        ("class A(typing.TypedDict, typing.Generic[T]): ...", ["generic-record"]),
        ("class A(typing.NamedTuple): ...", []),
        ("class A(typing.Generic[T]): ...", []),
        ("class A:\n    @staticmethod\n    def f(x): ...\n    y = f(1)", ["static-called"]),
        ("class A:\n    @staticmethod\n    def f(x): ...\n    @f\n    def g(self): ...", ["static-called"]),
        ("class A:\n    @staticmethod\n    def f(x): ...\n    def g(self):\n        return self.f(1)", []),
        ("class A:\n    def f(x): ...\n    y = f(1)", []),
    ],
)
def test_classes_that_older_releases_refuse_are_matched(text: str, rules: list[str]) -> None:
    assert rules_of(text) == rules


def exec_details(body: str, before: str = "") -> list[str]:
    text = f"{before}def f(text, given):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    return [fact.detail for fact in facts_of(text).rule_matches if fact.rule == "exec-locals"]


@pytest.mark.parametrize(
    "body",
    [
        'exec(text)\nreturn locals()["x"]',
        'exec("x = 1")\ny = locals()["x"]',
        'with given:\n    exec(text)\nfor i in given:\n    print(locals()["x"])',
    ],
)
def test_a_name_that_only_exec_binds_is_matched(body: str) -> None:
    assert exec_details(body) == ['locals()["x"]']


@pytest.mark.parametrize(
    "body",
    [
        'return locals()["x"]\nexec(text)',
        'exec(text, {}, given)\nreturn locals()["x"]',
        'exec(text)\nreturn locals()["given"]',
        'x = 1\nexec(text)\nreturn locals()["x"]',
        'exec(text)\nimport x\nreturn locals()["x"]',
        "exec(text)\nreturn locals()[given]",
        'exec(text)\ntry:\n    return locals()["x"]\nexcept KeyError:\n    pass',
        'if given:\n    exec(text)\nreturn locals()["x"]',
        'exec(text)\ndef g():\n    return locals()["x"]\nreturn g',
        'exec(text)\nlocals()["x"] = 1',
    ],
)
def test_other_names_and_conditional_code_are_not(body: str) -> None:
    assert exec_details(body) == []


def test_functions_of_the_same_name_are_not_those() -> None:
    assert exec_details('exec(text)\nreturn locals()["x"]', "def exec(text): ...\n") == []
