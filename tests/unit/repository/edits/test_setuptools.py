"""Edits of setup.cfg and setup.py: the characters of one specifier, and no code is run."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits.setuptools import SetupCfgEditor, SetupPyEditor
from pytest_py312.repository.formats.setuptools import read_setup_cfg_dependencies, read_setup_py_dependencies

Editor = SetupCfgEditor | SetupPyEditor
setup_cfg, setup_py = SetupCfgEditor(), SetupPyEditor()

CFG = """\
[metadata]
name = numpy
[options]
# numpy==1.24.3 would be nice
install_requires =
    # the newest that runs on 3.9
    numpy [dev] == 1.24.3 ; python_version < "3.13"  # keep
    flask>=2,<3

    asyncpg
[options.extras_require]
test = pytest==7.0; numpy==1.24.3
"""

PY = """\
# setup() needs numpy==1.24.3
from setuptools import setup
REQUIRED = [
    'numpy[dev] == 1.24.3; python_version < "3.13"',  # keep
    "flask>=2,<3", "asyncpg",
]
setup(
    name="numpy==1.24.3",
    install_requires=REQUIRED,
    extras_require={"test": ["pytest==7.0", r"numpy==1.24.3"], "größer": \'\'\'
        numpy==1.24.3
        flask==2.0
    \'\'\'},
)
"""


@pytest.mark.parametrize(
    ("editor", "text", "line", "name", "specifier", "old", "new"),
    [
        (setup_cfg, CFG, 7, "numpy", "==1.26.0", "== 1.24.3 ; python", "== 1.26.0 ; python"),
        (setup_cfg, CFG, 8, "Flask", ">=2.1,<3", ">=2,<3", ">=2.1,<3"),
        (setup_cfg, CFG, 10, "asyncpg", ">=0.29", "asyncpg", "asyncpg>=0.29"),
        (setup_cfg, CFG, 12, "pytest", "==8.0", "pytest==7.0", "pytest==8.0"),
        (setup_cfg, CFG, 12, "numpy", "==1.26.0", "; numpy==1.24.3", "; numpy==1.26.0"),
        (setup_py, PY, 4, "numpy", "==1.26.0", "== 1.24.3; python", "== 1.26.0; python"),
        (setup_py, PY, 5, "flask", ">=2.1,<3", ">=2,<3", ">=2.1,<3"),
        (setup_py, PY, 5, "asyncpg", ">=0.29", '"asyncpg"', '"asyncpg>=0.29"'),
        (setup_py, PY, 10, "numpy", "==1.26.0", 'r"numpy==1.24.3', 'r"numpy==1.26.0'),
        (setup_py, PY, 11, "numpy", "==1.26.0", "        numpy==1.24.3", "        numpy==1.26.0"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_one_specifier_is_edited_where_it_stands(
    editor: Editor,
    text: str,
    line: int,
    name: str,
    specifier: str,
    old: str,
    new: str,
    ending: str,
    mark: str,
) -> None:
    """Comments, quotation marks, markers, line ends and the byte order mark stay; twice is once."""
    before = mark + text.replace("\n", ending)
    edited = editor.set_specifier(before, line=line, name=name, specifier=specifier)
    assert edited == before.replace(old, new, 1)
    assert editor.set_specifier(edited, line=line, name=name, specifier=specifier) == edited
    assert editor.set_specifier(edited, line=line, name=name, specifier=specifier, old="==1.24.3") == edited


@pytest.mark.parametrize(
    ("editor", "text", "reason"),
    [
        (
            setup_py,
            "from setuptools import setup\nR = open('r').readlines()\nsetup(install_requires=R)\n",
            "literal requirement",
        ),
        (setup_py, "from setuptools import setup\nsetup(install_requires=[f'numpy=={V}'])\n", "literal requirement"),
        (setup_py, "from setuptools import setup\nsetup(install_requires=['num' 'py==1.24.3'])\n", "manually"),
        (setup_py, "from setuptools import setup\nsetup(install_requires=['n\\x75mpy==1.24.3'])\n", "manually"),
        (setup_py, "from setuptools import setup\nsetup(install_requires=['numpy==1', 'numpy==2'])\n", "manually"),
        (setup_py, "def setup(:\n", "literal requirement"),
        (setup_cfg, "[options]\ninstall_requires = file: requirements.txt\n", "literal requirement"),
        (setup_cfg, "[options]\ninstall_requires = numpy==1;numpy==2\n", "manually"),
        (setup_cfg, f"[options]\ninstall_requires = numpy=={'9' * 5000}\n", "cannot be located exactly"),  # no integer
    ],
)
def test_what_does_not_stand_there_literally_is_refused(editor: Editor, text: str, reason: str) -> None:
    """The message says to make the change manually."""
    with pytest.raises(EditRefused, match=reason):
        editor.set_specifier(text, line=2, name="numpy", specifier="==1.26.0")


@pytest.mark.parametrize(("editor", "text", "line"), [(setup_cfg, CFG, 7), (setup_py, PY, 4)])
def test_an_edit_of_what_has_changed_meanwhile_is_refused(editor: Editor, text: str, line: int) -> None:
    """The specifier that was judged is no longer there."""
    with pytest.raises(EditRefused, match=r'numpy has the specifier "==1\.24\.3", not "==1\.0"'):
        editor.set_specifier(text, line=line, name="numpy", specifier="==1.26.0", old="==1.0")


def test_two_of_one_name_on_one_line_are_distinguished_by_what_they_ask_for() -> None:
    """As with different markers."""
    text = "from setuptools import setup\nsetup(install_requires=['numpy==1', 'numpy==2'])\n"
    edited = setup_py.set_specifier(text, line=2, name="numpy", specifier="==3", old="==2")
    assert edited == text.replace("numpy==2", "numpy==3")
    assert setup_py.set_specifier(edited, line=2, name="numpy", specifier="==3", old="==2") == edited


def test_a_comment_is_put_where_it_is_one() -> None:
    """Not in the middle of a string, and not beside a requirement of setup.cfg, which it would become a part of."""
    annotated = setup_py.annotate(PY, line=5, comment="no wheel")
    assert annotated == PY.replace('"asyncpg",', '"asyncpg",  # py312: no wheel')
    assert setup_py.annotate(annotated, line=5, comment="no wheel") == annotated
    for line in (1, 11):
        with pytest.raises(EditRefused):
            setup_py.annotate(PY, line=line, comment="no wheel")
    with pytest.raises(EditRefused, match="part of the requirement"):
        setup_cfg.annotate(CFG, line=7, comment="no wheel")


NAMES = st.sampled_from(["numpy", "Flask", "a.b", "x-y"])
VERSIONS = st.sampled_from(["", "==1.0", ">= 1,<2", "~=1.4.2", " == 3.* "])
TAILS = st.sampled_from(["", " ; python_version < '3.13'", "; extra == 'x'"])
REQUIREMENTS = st.lists(st.tuples(NAMES, VERSIONS, TAILS), min_size=1, max_size=5)
FILLING = st.sampled_from(["", "# a comment", "# numpy==1.0"])


def cfg_of(rows: list[tuple[str, str, str]], filling: str) -> str:
    return "[options]\ninstall_requires =\n" + "".join(f"  {''.join(row)}\n  {filling}\n" for row in rows)


def py_of(rows: list[tuple[str, str, str]], filling: str) -> str:
    return "setup(install_requires=[\n" + "".join(f'  "{"".join(row)}",\n  {filling}\n' for row in rows) + "])\n"


@settings(max_examples=50)
@given(REQUIREMENTS, FILLING, st.data())
@pytest.mark.parametrize("editor", [setup_cfg, setup_py], ids=["cfg", "py"])
def test_an_edit_changes_its_own_line_alone(
    editor: Editor, rows: list[tuple[str, str, str]], filling: str, data: st.DataObject
) -> None:
    """Everything but that specifier stays, and applying the edit twice is applying it once."""
    make, read = (cfg_of, read_setup_cfg_dependencies) if editor is setup_cfg else (py_of, read_setup_py_dependencies)
    text = make(rows, filling)
    (table,) = read(text, "")
    entry = data.draw(st.sampled_from(table.requirements.entries))

    edited = editor.set_specifier(text, line=entry.line, name=entry.name, specifier="==9.9")

    assert editor.set_specifier(edited, line=entry.line, name=entry.name, specifier="==9.9") == edited
    pairs = list(zip(text.splitlines(), edited.splitlines(), strict=True))
    assert [number for number, (old, new) in enumerate(pairs, start=1) if old != new] == [entry.line]
    (after,) = read(edited, "")
    assert [
        (new.name, new.marker, new.specifier if new.line != entry.line else "") for new in after.requirements.entries
    ] == [(old.name, old.marker, old.specifier if old.line != entry.line else "") for old in table.requirements.entries]


def made(editor: Editor, text: str, line: int, what: str, **words: str) -> str | None:
    """``text`` after an edit, ``None`` where it is refused."""
    try:
        return str(getattr(editor, what)(text, line=line, **words))
    except EditRefused:
        return None


@settings(max_examples=50)
@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from([*CFG.split(" "), *PY.split(" "), "\n", "'", '"', "("])).map("".join)
    ),
    st.integers(min_value=-1, max_value=20),
)
@pytest.mark.parametrize("editor", [setup_cfg, setup_py], ids=["cfg", "py"])
def test_no_text_crashes_the_editors(editor: Editor, text: str, line: int) -> None:
    """It is edited, or refused, and nothing is lost of it."""
    for after in (
        made(editor, text, line, "set_specifier", name="numpy", specifier="==9.9"),
        made(editor, text, line, "annotate", comment="no wheel"),
    ):
        event("refused" if after is None else "made")
        assert after is None or len(after) >= len(text.rstrip())
