"""``# py312: ignore[PY201] reason`` accepts findings on its line; an unused or invalid comment is reported."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.analysis.scanner.facts.suppression_comments import read_suppressions
from tests.unit.analysis.fake_interpreters import judge_texts


@pytest.mark.parametrize(
    "text",
    [
        "import imp  # py312: ignore[PY201] only on the old image\n",
        "# py312: ignore[PY201]: only on the old image\nimport imp\n",
        "# py312: ignore[PY209, py201] - only on the old image\n\nimport imp\n",
    ],
)
def test_a_finding_is_accepted_with_a_reason(text: str) -> None:
    found = judge_texts(text)

    assert [(one.code, one.waived) for one in found] == [("PY201", True)]
    assert "only on the old image" in found[0].detail


@pytest.mark.parametrize(
    ("comment", "codes"),
    [
        ("# py312: ignore[PY201]", ["PY201", "PY291"]),
        ("# py312: ignore because", ["PY201", "PY291"]),
        ("# py312: ignore[PY202] because", ["PY201", "PY292"]),
        ("# py312 is fine", ["PY201"]),
    ],
)
def test_other_comments_have_no_effect(comment: str, codes: list[str]) -> None:
    found = judge_texts(f"import imp  {comment}\n")

    assert sorted(one.code for one in found) == codes
    assert not any(one.waived for one in found)


def test_a_text_is_no_comment() -> None:
    assert read_suppressions('x = "# py312: ignore[PY201] why"\n') == ()


@given(st.text(alphabet="# py312:ignore[]PY201,\n'\"(\\ a"))
@settings(deadline=None)
def test_any_text_can_be_a_comment(text: str) -> None:
    assert all(one.line >= 1 and one.column >= 1 for one in read_suppressions(f"# py312: ignore[PY201] a\n{text}"))


def test_invalid_escapes_of_the_file_are_no_warnings_of_the_gate() -> None:
    """Since 3.12 the tokenizer warns of them in f-strings, and the tests make each warning an error."""
    (comment,) = read_suppressions('x = f"\\{y}"  # py312: ignore[PY201] why\n')
    assert comment.codes == ("PY201",)
