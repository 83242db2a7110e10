"""Scanning any text: the scanner never crashes, and its results are stable."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.scanner.facts.facts import pack, unpack
from pytest_py312.analysis.scanner.scan import MAX_FILE_BYTES, MAX_STATEMENTS, scan_text
from tests.truth.cases import read_snippets

TEXTS = sorted({text for snippet in read_snippets() for text in snippet.files.values()})
PIECES = (
    "(", ")", "[", "]", "*", "**", ":", "=", "==", "lambda: x", " if ", " else ", ".", '"imp"', "None", "self",
    "super()", "sys.modules", "import imp\n", ",", " not ", "~", "await ", "yield ", 'f"{x}"', " in ", "del ",
    "global x\n", "try:\n", "except:\n", "\n", "\n    ", "0", 'hasattr(x, "y")', "\0", "\u00e9", "\t", "class A(B):\n",
)  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """Return Python code with parts inserted, removed, or copied from another text."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        taken = draw(st.integers(0, 12))
        other = draw(st.sampled_from(TEXTS)).splitlines(keepends=True) or ["\n"]
        piece = draw(st.sampled_from(PIECES) | st.sampled_from(other) | st.just(""))
        text = text[:place] + piece + text[place + taken :]
    return text


@given(mutants())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_no_mutant_crashes_the_scanner_and_results_are_stable(text: str) -> None:
    facts = scan_text(text, "a/b.py", local_modules=frozenset({"tools"}))

    assert scan_text(text, "a/b.py", local_modules=frozenset({"tools"})) == facts
    assert unpack(json.loads(json.dumps(pack(facts)))) == facts


@given(st.text(max_size=200))
@settings(deadline=None)
def test_no_text_crashes_the_scanner(text: str) -> None:
    facts = scan_text(text, "a.py")

    assert facts.path == "a.py"
    assert scan_text(text, "a.py") == facts


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_crash_the_scanner(content: bytes) -> None:
    assert scan_text(content, "a.py").path == "a.py"


def test_text_and_its_bytes_have_the_same_facts() -> None:
    text = 'import imp\nx = "\u00e4"; imp.reload(x)\n'

    assert scan_text(text.encode(), "a.py") == scan_text(text, "a.py")
    assert scan_text(b"\xef\xbb\xbf" + text.encode(), "a.py") == scan_text(text, "a.py")
    assert scan_text(text.replace("\n", "\r\n"), "a.py") == scan_text(text, "a.py")


def test_columns_count_characters() -> None:
    facts = scan_text('import imp\nx = "\u00e4\u00e4"; imp.reload(x)\n', "a.py")

    assert [(one.path, one.column) for one in facts.references if one.line == 2] == [("reload", 11)]


def test_unreadable_source_is_reported() -> None:
    deep = "(" * 5000 + ")" * 5000

    failures = [scan_text(text, "a.py").failure for text in ("def f(:\n", b"\xff\xfe\x00", deep, b"# coding: none\n")]

    assert all(failures)
    assert scan_text("def f(:\n", "a.py").failure == failures[0]
    assert scan_text(b" " * (MAX_FILE_BYTES + 1), "a.py").failure is not None
    for many in ("x = 1\n", "x = 1;"):
        assert scan_text(many * (MAX_STATEMENTS + 1), "a.py").failure == (
            "it has more than 100000 statements",
            None,
            None,
        )


def test_nothing_is_executed() -> None:
    assert scan_text("raise SystemExit\nimport no.such.module\n", "a.py").failure is None
