"""Reading diffs, and which of their lines are there because of the Python."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from tests.corpus.changes import ChangedBlock, changes_section, read_diff
from tests.corpus.places import ChangedPlace, PlaceKind, is_compiled, is_document, places_of

GIT = """\
diff --git a/Dockerfile b/Dockerfile
index 1..2 100644
--- a/Dockerfile
+++ b/Dockerfile
@@ -1 +1 @@
-FROM python:3.11-slim
+FROM python:3.12-slim
@@ -8,0 +9,2 @@ RUN true
+RUN pip install setuptools
+--- a/not-a-file
diff --git a/old.txt b/old.txt
deleted file mode 100644
--- a/old.txt
+++ /dev/null
@@ -1,2 +0,0 @@
-a
-b
"""

GATE = """\
= test session starts =
py312: 3.12

==================== changes ====================
--- a/api/setup.py
+++ b/api/setup.py
@@ -1,4 +1,5 @@
 a
-b
+c

+d
 e
\\ No newline at end of file
--- "a/f\\303\\274r.cfg"
+++ "b/f\\303\\274r.cfg"
@@ -1 +1 @@
-x
+y
not migrated: api: it is blocked
--py312-fix writes these changes
"""


def block(path: str, old: str, new: str, start: int = 1) -> ChangedBlock:
    return ChangedBlock(
        path=path, old_start=start, old=tuple(old.splitlines()), new_start=start, new=tuple(new.splitlines())
    )


def test_a_diff_of_git_without_context() -> None:
    image, added, deleted = read_diff(GIT)

    assert (image.path, image.old_start, image.old, image.new) == (
        "Dockerfile", 1, ("FROM python:3.11-slim",), ("FROM python:3.12-slim",)
    )  # fmt: skip
    assert (added.old, added.new_start, added.new) == ((), 9, ("RUN pip install setuptools", "--- a/not-a-file"))
    assert (deleted.path, deleted.old, deleted.is_whole_file) == ("old.txt", ("a", "b"), True)


def test_the_diff_in_the_output_of_the_gate() -> None:
    first, second, third = read_diff(changes_section(GATE))

    assert (first.path, first.old_start, first.old, first.new) == ("api/setup.py", 2, ("b",), ("c",))
    assert (second.old_start, second.old, second.new_start, second.new) == (4, (), 4, ("d",))
    assert third.path == "für.cfg"
    assert list(read_diff(changes_section("no changes here"))) == []


LINES = st.lists(st.sampled_from(["a", "b", "--- c", "+++ d", "@@ -1 +1 @@", ""]), max_size=12)


@given(LINES, LINES, st.integers(min_value=0, max_value=3))
def test_the_blocks_of_any_diff_turn_one_text_into_the_other(old: list[str], new: list[str], context: int) -> None:
    lines = difflib.unified_diff(old, new, "a/x.txt", "b/x.txt", n=context, lineterm="")
    result = list(old)
    for item in sorted(read_diff("\n".join(lines)), key=lambda item: -item.old_start):
        start = item.old_start - 1
        assert result[start : start + len(item.old)] == list(item.old)
        assert new[item.new_start - 1 : item.new_start - 1 + len(item.new)] == list(item.new)
        result[start : start + len(item.old)] = item.new
    assert result == new


@given(st.text(alphabet='-+@ 1,ab/\n\r\t"\\'))
def test_no_text_makes_the_reader_raise(text: str) -> None:
    list(read_diff(f"--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n{text}"))


# ---- places


def kinds(path: str, old: str, new: str, *, everything: bool = False) -> list[str]:
    places = places_of([block(path, old, new)], Interpreter(3, 9), Interpreter(3, 12), everything=everything)
    return [place.kind.value for place in places]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("Dockerfile", "FROM python:3.9-slim", "FROM python:3.12-slim"),
        ("Dockerfile", "ARG PYTHON_VERSION=3.9.7", "ARG PYTHON_VERSION=3.12.1"),
        ("Dockerfile", "COPY --from=b /usr/lib/python3.9/x /x", "COPY --from=b /usr/lib/python3.12/x /x"),
        (".python-version", "3.9.1", "3.12.1"),
        ("runtime.txt", "python-3.9.1", "python-3.12.1"),
        (".github/workflows/test.yml", "python-version: '3.9'", "python-version: '3.12'"),
        (".github/workflows/test.yml", "", '          - "3.12"'),
        (".github/workflows/test.yml", "python: [3.9, '3.11']", "python: ['3.11', '3.12']"),
        ("pyproject.toml", 'requires-python = ">=3.9"', 'requires-python = ">=3.12"'),
        ("pyproject.toml", 'python = "^3.9"', 'python = "^3.12"'),
        ("pyproject.toml", "target-version = ['py39']", "target-version = ['py312']"),
        ("pyproject.toml", "", '    "Programming Language :: Python :: 3.12",'),
        ("setup.py", "", '    "Programming Language :: Python :: 3.12",'),
        ("setup.py", 'python_requires=">=3.9",', 'python_requires=">=3.12",'),
        ("setup.cfg", "python_requires = >=3.9", "python_requires = >=3.12"),
        ("tox.ini", "envlist = py{39,310}", "envlist = py{39,310,312}"),
        ("tox.ini", "envlist = py39", "envlist = py312"),
        ("template.yaml", "Runtime: python3.9", "Runtime: python3.12"),
        ("Pipfile", 'python_version = "3.9"', 'python_version = "3.12"'),
        ("Makefile", "python3.9 -m venv v", "python3.12 -m venv v"),
    ],
)
def test_a_declared_version(path: str, old: str, new: str) -> None:
    assert kinds(path, old, new) == [PlaceKind.VERSION.value]


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("pants.toml", "# if you have no Python 3.9", "# if you have no Python 3.12"),
        ("README.md", "needs Python 3.9", "needs Python 3.12"),
        ("docs/install.txt", "python3.9", "python3.12"),
        ("Dockerfile", "FROM python:3.9-slim", "FROM python:3.9-slim-bookworm"),
        ("Dockerfile", "FROM node:18", "FROM node:20"),
        ("Chart.yaml", "version: 3.9.1", "version: 3.12.0"),
        ("pyproject.toml", 'version = "3.9.0"', 'version = "3.12.0"'),
        ("compose.yml", "image: rabbitmq:3.9", "image: rabbitmq:3.12"),
        ("package.json", '"react": "1.2"', '"react": "1.3"'),
    ],
)
def test_what_is_not_there_because_of_the_python(path: str, old: str, new: str) -> None:
    assert kinds(path, old, new) == []


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("requirements.txt", "greenlet==1.1.2", "greenlet==3.0.1"),
        ("requirements/base.in", "aiohttp>=3.9", "aiohttp>=3.12"),
        ("requirements.txt", "", "setuptools"),
        ("requirements.txt", "importlib-metadata==4", 'importlib-metadata==4; python_version < "3.12"'),
        ("api/constraints.txt", "Foo.Bar[x]==1.0", "foo-bar[x]==1.1"),
        ("pyproject.toml", 'numpy = "^1.21"', 'numpy = "^1.26"'),
        ("pyproject.toml", '    "numpy>=1.21",', '    "numpy>=1.26",'),
        ("pyproject.toml", 'celery = {version = "5.2", extras = ["redis"]}', 'celery = {version = "5.3"}'),
        ("pyproject.toml", "", '    "setuptools>=69",'),
        ("setup.py", "        'numpy==1.21',", "        'numpy==1.26',"),
        ("environment.yml", "  - numpy=1.21", "  - numpy=1.26"),
    ],
)
def test_a_requirement(path: str, old: str, new: str) -> None:
    assert kinds(path, old, new) == [PlaceKind.REQUIREMENT.value]


def test_source_counts_by_block_and_comments_do_not() -> None:
    assert kinds("a.py", "import imp\nx = imp.load()", "import importlib") == [PlaceKind.SOURCE.value]
    assert kinds("a.py", "# 3.9", "# 3.12") == []
    assert kinds("setup.py", "from distutils.core import setup", "from setuptools import setup") == ["source"]
    assert kinds("setup.py", "version='1'", "version='2'") == []


def test_blocks_of_source_that_are_close_are_one_place() -> None:
    blocks = [block("a.py", "a", "b"), block("a.py", "c", "d", 7), block("a.py", "e", "f", 14)]
    places = places_of(blocks, Interpreter(3, 9), Interpreter(3, 12))
    assert [(place.old_line, place.old) for place in places] == [(1, "a\nc"), (14, "e")]


def test_a_lock_is_one_place() -> None:
    blocks = [block("some.lock", "a", "b"), block("some.lock", "c", "d", 9), block("r.txt", "a==1", "a==2")]
    places = places_of(blocks, Interpreter(3, 9), Interpreter(3, 12), locks=frozenset(("r.txt",)))
    assert places == (
        ChangedPlace(kind=PlaceKind.LOCK, path="some.lock"), ChangedPlace(kind=PlaceKind.LOCK, path="r.txt")
    )  # fmt: skip


def test_each_line_of_our_own_diff_counts() -> None:
    assert kinds("Dockerfile", "FROM python:3-buster", "FROM python:3-bookworm", everything=True) == [
        "declared version"
    ]
    assert kinds("setup.py", "version='1'", "version='2'", everything=True) == ["source"]


def test_lines_are_paired_where_their_numbers_differ() -> None:
    old = "FROM python:3.9\nRUN apt-get update"
    new = "RUN apt-get update -q\nENV A=b\nFROM python:3.12"
    (place,) = places_of([block("Dockerfile", old, new, 5)], Interpreter(3, 9), Interpreter(3, 12))
    assert (place.old_line, place.new_line, place.position, place.lines) == (5, 7, "Dockerfile:5", (5, 7))


def test_files_that_tools_write() -> None:
    assert is_compiled("#\n# This file is autogenerated by pip-compile with Python 3.9\n")
    assert is_compiled("# This file was autogenerated by uv via the following command:\n")
    assert is_compiled("-i https://pypi.org/simple\nnumpy==1.21\n")
    assert not is_compiled("numpy==1.21\n")
    assert not is_document("requirements.txt")
    assert not is_document("requirements/dev.txt")
    assert not is_document("docs/requirements.txt")
    assert is_document("notes.txt")
    assert is_document("CHANGES.rst")
