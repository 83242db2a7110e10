"""Edits of a pyproject.toml: the characters of one specifier within one string, and nothing else."""

import re
import tomllib
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits.pyproject import annotate, set_specifier
from pytest_py312.repository.formats.pyproject import read_pyproject_dependencies
from pytest_py312.repository.formats.requirements_file import RequirementEntry

PROJECT = """\
[project] # settings
name = "x"
dependencies = [
    "numpy[dev] >= 1.2, <2 ; python_version < \\"3.13\\"", # keep
    'flask==2',
]
optional-dependencies.web = ["uvicorn==0.1", "numpy==1.24"]
[dependency-groups]
test = [{include-group = "web"}, "pytest<8"]
web = ["numpy"]
"""

POETRY = """\
[tool.poetry.dependencies]
python = "^3.9"
caret = "^1.2"
tilde = "~1.2"
exact = "1.2"
wild = "1.2.*"
range = ">=1.2,<2"
compatible = "~= 1.2"
any = "*"
table = { version = "^1.2", extras = ["a"], optional = true }
"two.forms" = [{ version = "1.2", python = "<3.9" }, { version = "1.3", python = ">=3.9" }]
git = { git = "https://x.example/a.git" }
[tool.poetry.group.dev.dependencies.long]
version = "^1.2"
"""


@pytest.mark.parametrize(
    ("line", "name", "specifier", "old", "new"),
    [
        (4, "numpy", "<2,>=1.3", ">= 1.2, <2 ;", ">= 1.3, <2 ;"),
        (5, "Flask", "==3", "flask==2", "flask==3"),
        (7, "numpy", "==1.26", "numpy==1.24", "numpy==1.26"),
        (7, "uvicorn", "==0.2", "uvicorn==0.1", "uvicorn==0.2"),
        (9, "pytest", "<9", "pytest<8", "pytest<9"),
        (10, "numpy", ">=1.26,<2", '"numpy"]', '"numpy>=1.26,<2"]'),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_dependency_of_a_project_is_edited_in_its_string(
    line: int, name: str, specifier: str, old: str, new: str, ending: str, mark: str
) -> None:
    """Quotation marks, escapes, comments, line ends and the byte order mark stay."""
    before = mark + PROJECT.replace("\n", ending)
    edited = set_specifier(before, line=line, name=name, specifier=specifier)
    assert edited == before.replace(old, new, 1)
    assert set_specifier(edited, line=line, name=name, specifier=specifier) == edited


@pytest.mark.parametrize(
    ("line", "name", "specifier", "old", "new"),
    [
        (3, "caret", ">=1.3,<2", '"^1.2"', '"^1.3"'),
        (3, "caret", ">=1.3,<3", '"^1.2"', '">=1.3,<3"'),
        (4, "tilde", ">=1.4,<1.5", '"~1.2"', '"~1.4"'),
        (5, "exact", "==1.3", '"1.2"', '"1.3"'),
        (6, "wild", "==1.3.*", '"1.2.*"', '"1.3.*"'),
        (7, "range", "<2,>=1.3", ">=1.2,<2", ">=1.3,<2"),
        (8, "compatible", "~=1.3", "~= 1.2", "~= 1.3"),
        (9, "any", ">=1.3", '"*"', '">=1.3"'),
        (10, "table", ">=1.3,<2", 'version = "^1.2", extras', 'version = "^1.3", extras'),
        (13, "long", ">=1.3,<2", 'version = "^1.2"\n', 'version = "^1.3"\n'),
    ],
)
def test_poetrys_own_forms_are_kept(line: int, name: str, specifier: str, old: str, new: str) -> None:
    """If they can express the specifier; otherwise it is written in PEP 440 form."""
    edited = set_specifier(POETRY, line=line, name=name, specifier=specifier)
    assert edited == POETRY.replace(old, new, 1)
    assert set_specifier(edited, line=line, name=name, specifier=specifier) == edited


@pytest.mark.parametrize(
    ("line", "name", "specifier", "old", "new"),
    [
        (2, "numpy", "==1.3", '"==1.2"', '"==1.3"'),
        (3, "flask", ">=3", '"*"', '">=3"'),
        (5, "pytest", "~=8.1", '"~=7.1"', '"~=8.1"'),
    ],
)
def test_a_pipfile_is_edited_in_the_same_way(line: int, name: str, specifier: str, old: str, new: str) -> None:
    """Its tables hold versions, or tables with one."""
    pipfile = (
        '[packages]\nnumpy = "==1.2"\nflask = { version = "*", extras = ["async"] }\n[dev-packages]\npytest = "~=7.1"\n'
    )
    edited = set_specifier(pipfile, line=line, name=name, specifier=specifier)
    assert edited == pipfile.replace(old, new)


def test_two_dependencies_of_one_name_on_one_line_are_distinguished_by_what_they_ask_for() -> None:
    """Without that the edit is refused, and an edit that was made already changes nothing."""
    edited = set_specifier(POETRY, line=11, name="two-forms", specifier="==1.4", old="==1.3")
    assert edited == POETRY.replace('"1.3"', '"1.4"')
    assert set_specifier(edited, line=11, name="two-forms", specifier="==1.4", old="==1.3") == edited
    with pytest.raises(EditRefused, match="2 dependencies on two-forms"):
        set_specifier(POETRY, line=11, name="two-forms", specifier="==1.4")


@pytest.mark.parametrize(
    ("text", "line", "name", "reason"),
    [
        (POETRY, 2, "python", "no dependency on python"),
        (POETRY, 12, "git", "no dependency on git"),
        (POETRY, 3, "tilde", "no dependency on tilde"),
        (PROJECT, 1, "numpy", "no dependency on numpy"),
        ("[project\n", 1, "numpy", "not valid TOML"),
        ('[project]\ndependencies = ["numpy @ https://x.example/a.whl"]\n', 2, "numpy", "by its URL"),
        ('[project]\ndependencies = ["""num\\\n  py==1"""]\n', 2, "numpy", "several lines"),
        ('[tool.poetry.dependencies]\nnumpy = "^1 || ^5.1"\n', 2, "numpy", "alternatives"),
        (PROJECT, 5, "flask", 'has the specifier "==2", not "==1"'),
    ],
)
def test_what_is_not_that_dependency_is_refused(text: str, line: int, name: str, reason: str) -> None:
    """With the reason."""
    with pytest.raises(EditRefused, match=re.escape(reason)):
        set_specifier(text, line=line, name=name, specifier="==3", old="==1")


def test_a_comment_stands_at_the_end_of_the_line_and_is_brought_up_to_date() -> None:
    """Beside other comments; a # in quotation marks starts no comment."""
    edited = annotate(PROJECT, line=4, comment="no wheel\n")
    assert edited == PROJECT.replace("# keep", "# keep  # py312: no wheel")
    assert annotate(edited, line=4, comment="none yet") == PROJECT.replace("# keep", "# keep  # py312: none yet")
    poetry = annotate(POETRY, line=3, comment="no wheel")
    assert poetry == POETRY.replace('caret = "^1.2"\n', 'caret = "^1.2"  # py312: no wheel\n')


@pytest.mark.parametrize(
    "text", ['project = { dependencies = ["a"], x = """\nb""" }\n', 'project.name = "a"\n', "project.dependencies = []"]
)
def test_a_comment_that_would_land_in_a_string_or_has_no_dependency_is_refused(text: str) -> None:
    """The file means the same after it, or it is not written."""
    with pytest.raises(EditRefused):
        annotate(text, line=1, comment="no wheel")


# ---- any document

SPECIFIERS = ("==1.2", "~=1.4.2", ">=1.2,<2", "!=1.5,>=1", "<3", "==1.2.*")
QUOTE = st.sampled_from(['"', "'", '"""', "'''"])
BLANK = st.sampled_from(["", " ", "\n  ", "\r\n", " # numpy==1\n", "\t"])


@st.composite
def string(draw: st.DrawFn, *, poetry: bool) -> str:
    """One dependency as a TOML string in any of its four forms."""
    names = ["numpy", "Flask", "zope.interface"]
    name = "" if poetry else draw(st.sampled_from(names)) + draw(st.sampled_from(["", "[x]", " [x, y]"]))
    version = draw(st.sampled_from([*SPECIFIERS, *(("^1.2", "~1", "1.2", "*") if poetry else ("", " >= 1 , < 2"))]))
    marker = "" if poetry else draw(st.sampled_from(["", "; python_version < QQ3.13QQ"]))
    quote = draw(QUOTE)
    inner = {'"': '\\"', "'": "\\u0022", '"""': "'", "'''": '"'}[quote] if quote != "'" else '"'
    found: str = quote + name + version + marker.replace("QQ", inner) + quote
    return found


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A pyproject with dependencies of all kinds, blanks and comments between them."""
    listed = draw(st.lists(string(poetry=False), max_size=3))
    items = "".join(draw(BLANK) + item + draw(BLANK) + "," for item in listed)
    lines = ["[project]", f"dependencies = [{items}{draw(BLANK)}]", "[tool.poetry.dependencies]"]
    for name in draw(st.lists(st.sampled_from(["numpy", '"Flask"', "python"]), unique=True)):
        value = draw(string(poetry=True))
        lines.append(f"{name} = {value}" if draw(st.booleans()) else f"{name} = {{version = {value}, x = 'é # 1'}}")
    end = draw(st.sampled_from(["\n", "\r\n", " # c\n"]))
    return draw(st.sampled_from(["", "\ufeff"])) + end.join(lines) + draw(st.sampled_from(["", end]))


MARKS = st.lists(st.sampled_from([*"[]{}=\"'#\\,.\n\r\0 ", "project", "dependencies", "tool.poetry.", "numpy==1"]))
TEXT = st.one_of(documents(), MARKS.map("".join), st.text())


def entries_of(text: str) -> list[tuple[str, RequirementEntry]]:
    tables = read_pyproject_dependencies(text, "pyproject.toml")
    return [(table.table, entry) for table in tables for entry in table.requirements.entries]


def unless_refused(edit: Callable[[str], str], text: str) -> str | None:
    """The edited text, or ``None``. Any other exception is a mistake of the editor."""
    try:
        return edit(text)
    except EditRefused:
        return None


@given(text=documents(), data=st.data())
def test_an_edit_changes_its_string_and_is_done_once(text: str, data: st.DataObject) -> None:
    """Whatever the document: all other dependencies say the same, and the rest of the text is what it was."""
    entries = entries_of(text)
    assume(entries)
    chosen, entry = data.draw(st.sampled_from(entries))
    specifier = data.draw(st.sampled_from(SPECIFIERS))
    edit = partial(set_specifier, line=entry.line, name=entry.name, specifier=specifier, old=entry.specifier)
    edited = unless_refused(edit, text)
    if edited is None:
        event("refused")
        return
    event("edited")
    assert edit(edited) == edited
    pairs = list(zip(entries, entries_of(edited), strict=True))
    changed = [(old, new) for (_, old), (_, new) in pairs if old.text != new.text]
    assert len(changed) <= 1
    assert all(old.name == new.name and old.marker == new.marker for old, new in changed)
    assert all(SpecifierSet(new.specifier) == SpecifierSet(specifier) for _, new in changed)
    assert without_versions(edited) == without_versions(text)
    assert chosen


def without_versions(text: str) -> str:
    """The text without the characters that a specifier is made of, and spaces between them."""
    return re.sub(r"[=<>!~^,.*0-9 ]", "", text)


@given(text=TEXT, line=st.integers(-1, 9), comment=st.text())
def test_a_comment_changes_no_value_and_is_written_once(text: str, line: int, comment: str) -> None:
    """Whatever the document and the comment."""
    edited = unless_refused(partial(annotate, line=line, comment=comment), text)
    if edited is None:
        return
    assert annotate(edited, line=line, comment=comment) == edited
    assert tomllib.loads(edited.removeprefix("\ufeff")) == tomllib.loads(text.removeprefix("\ufeff"))


@given(TEXT, st.integers(-1, 9), st.sampled_from(["numpy", "", "x"]) | st.text(), st.text(), st.none() | st.text())
def test_no_input_raises_anything_but_a_refusal(
    text: str, line: int, name: str, specifier: str, old: str | None
) -> None:
    """For any document and any edit."""
    edited = unless_refused(partial(set_specifier, line=line, name=name, specifier=specifier, old=old), text)
    assert edited is None or tomllib.loads(edited.removeprefix("\ufeff"))


def test_a_document_nested_too_deeply_is_refused() -> None:
    """It is no reason to crash."""
    deep = "[project]\ndependencies = ['numpy==1']\n[x]\ny = " + "[" * 400 + "]" * 400 + "\n"
    edited = unless_refused(partial(set_specifier, line=2, name="numpy", specifier="==2"), deep)
    assert edited in (None, deep.replace("==1", "==2"))
