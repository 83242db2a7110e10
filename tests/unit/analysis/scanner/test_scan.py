"""From any text to facts: nothing crashes the scanner, and it says the same of the same text every time."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.scanner.facts.facts import packed, unpacked
from pytest_py312.analysis.scanner.scan import LARGEST, scan_text
from tests.truth.cases import read_snippets

TEXTS = sorted({text for snippet in read_snippets() for text in snippet.files.values()})
PIECES = (
    "(", ")", "[", "]", "*", "**", ":", "=", "==", "lambda: x", " if ", " else ", ".", '"imp"', "None", "self",
    "super()", "sys.modules", "import imp\n", ",", " not ", "~", "await ", "yield ", 'f"{x}"', " in ", "del ",
    "global x\n", "try:\n", "except:\n", "\n", "\n    ", "0", 'hasattr(x, "y")', "\0", "\u00e9", "\t", "class A(B):\n",
)  # fmt: skip


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """Python that was once well, with pieces put in, taken out, or moved here from another text."""
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
def test_no_mutant_crashes_it_and_it_does_not_change_its_mind(text: str) -> None:
    facts = scan_text(text, "a/b.py", local=frozenset({"tools"}))

    assert scan_text(text, "a/b.py", local=frozenset({"tools"})) == facts
    assert unpacked(json.loads(json.dumps(packed(facts)))) == facts


@given(st.text(max_size=200))
@settings(deadline=None)
def test_no_text_crashes_it(text: str) -> None:
    facts = scan_text(text, "a.py")

    assert facts.path == "a.py"
    assert scan_text(text, "a.py") == facts


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_crash_it(content: bytes) -> None:
    assert scan_text(content, "a.py").path == "a.py"


def test_text_and_its_bytes_say_the_same() -> None:
    text = 'import imp\nx = "\u00e4"; imp.reload(x)\n'

    assert scan_text(text.encode(), "a.py") == scan_text(text, "a.py")
    assert scan_text(b"\xef\xbb\xbf" + text.encode(), "a.py") == scan_text(text, "a.py")
    assert scan_text(text.replace("\n", "\r\n"), "a.py") == scan_text(text, "a.py")


def test_columns_count_characters() -> None:
    facts = scan_text('import imp\nx = "\u00e4\u00e4"; imp.reload(x)\n', "a.py")

    assert [(one.path, one.column) for one in facts.references if one.line == 2] == [("reload", 11)]


def test_what_cannot_be_read_is_said() -> None:
    deep = "(" * 5000 + ")" * 5000

    failures = [scan_text(text, "a.py").failure for text in ("def f(:\n", b"\xff\xfe\x00", deep, b"# coding: none\n")]

    assert all(failures)
    assert scan_text("def f(:\n", "a.py").failure == failures[0]
    assert scan_text(b" " * (LARGEST + 1), "a.py").failure is not None


def test_nothing_is_run() -> None:
    assert scan_text("raise SystemExit\nimport no.such.module\n", "a.py").failure is None
