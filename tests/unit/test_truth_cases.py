"""Reading the truth set, and scoring a checker on it."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.truth.cases import Kind, Snippet, read_cases, read_snippets, write_snippets
from tests.truth.score import Remark, mistakes, score, table
from tests.truth.verify import Run, mark_mistakes

TEXT = """\
# what this file is about

[case gone]
import imp  # <- warns 3.9-3.11, break since 3.12

[case soon]
import old  # <- warns since 3.10, break since 3.13
print(old.NAME)

[file old.py]
NAME = "a # <- b is no mark when it is not in the form"[:1]

[case fine]
print(1)
"""


def snippets(folder: Path, text: str = TEXT) -> dict[str, Snippet]:
    path = folder / "some.cases"
    path.write_text(text.replace("# <- b is no mark when it is not in the form", ""), "utf-8")
    return {snippet.name: snippet for snippet in read_cases(path)}


def run(error: str = "", line: int | None = None, output: str = "", warned: int | None = None) -> Run:
    return Run(
        error=error,
        lines=(("main.py", line),) if line else (),
        warned=((("main.py", warned), "DeprecationWarning: old"),) if warned else (),
        output=output,
    )


def test_marks_are_removed_and_lines_stay(tmp_path: Path) -> None:
    """The code has no marks, and every line keeps its number."""
    some = snippets(tmp_path)

    assert some["gone"].files["main.py"] == "import imp\n"
    assert [(mark.line, mark.kind, mark.first, mark.last) for mark in some["gone"].marks] == [
        (1, Kind.WARNS, (3, 9), (3, 11)),
        (1, Kind.BREAK, (3, 12), None),
    ]
    write_snippets(tuple(some.values()), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/some/soon").iterdir()) == ["main.py", "old.py"]


@pytest.mark.parametrize("mark", ["breaks since 3.12", "break", "break since 12", "also 3.9", "break since 3.12 warns"])
def test_a_misspelt_mark_is_reported_with_its_line(tmp_path: Path, mark: str) -> None:
    with pytest.raises(ValueError, match="wrong, line 1: "):
        snippets(tmp_path, f"[case wrong]\nimport imp  # <- {mark}\n")


def test_text_before_the_first_snippet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=":1: "):
        snippets(tmp_path, "import imp\n[case a]\n")


def test_a_true_finding_needs_its_line_and_severity(tmp_path: Path) -> None:
    some = snippets(tmp_path)
    remarks = {
        "some/gone": [Remark(path="main.py", line=1, severity="error")],
        "some/soon": [Remark(path="main.py", line=1, severity="error", text="too hard")],
        "some/fine": [
            Remark(path="main.py", line=1, severity="warning", text="nothing"),
            Remark(path="main.py", line=9, severity="note"),
            Remark(path="main.py", line=0, severity="warning"),
        ],
    }
    result = score(some.values(), remarks, (3, 9), (3, 12))

    assert result.recall(Kind.BREAK) == 1
    assert result.recall(Kind.WARNS) == 0
    assert result.precision == Fraction(1, 3)
    assert list(mistakes(result)) == [
        "missed warns: some/soon main.py:1: import old",
        "false error: some/soon main.py:1: too hard",
        "false warning: some/fine main.py:1: nothing",
    ]
    assert "| some | 1/1 | 0/1 | 0/0 | 0/0 | 2 |" in table(result)


def test_breaks_after_the_target_may_be_warned_of(tmp_path: Path) -> None:
    some = snippets(tmp_path, "[case later]\nimport cgi  # <- break since 3.13\n")
    warning, error = (Remark(path="main.py", line=1, severity=severity) for severity in ("warning", "error"))

    assert score(some.values(), {"some/later": [warning]}, (3, 9), (3, 12)).precision == 1
    assert score(some.values(), {"some/later": [error]}, (3, 9), (3, 12)).precision == 0


def test_breaks_on_the_baseline_are_not_expected(tmp_path: Path) -> None:
    some = snippets(tmp_path)

    assert score(some.values(), {}, (3, 12), (3, 13)).all(Kind.BREAK) == 1
    assert score(some.values(), {}, (3, 9), (3, 13)).all(Kind.BREAK) == 2


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({(3, 11): run(), (3, 12): run("ImportError", 1)}, "line 1 does not warn"),
        ({(3, 11): run(warned=1), (3, 12): run()}, "works, and a mark says it breaks"),
        ({(3, 11): run(warned=1), (3, 12): run("ImportError", 7)}, "fails on other lines"),
        ({(3, 11): run("ImportError", 1)}, "fails, and no mark says so"),
        ({(3, 9): run(warned=1, output="a"), (3, 11): run(warned=1, output="b")}, "prints different things"),
        ({(3, 9): run(warned=2)}, "warns, and no mark says so"),
    ],
)
def test_an_untrue_mark_is_reported(tmp_path: Path, runs: dict[tuple[int, int], Run], expected: str) -> None:
    assert any(expected in mistake for mistake in mark_mistakes(snippets(tmp_path)["gone"], runs))


def test_true_marks_pass(tmp_path: Path) -> None:
    runs = {(3, 9): run(warned=1), (3, 12): run("ModuleNotFoundError", 1)}

    assert list(mark_mistakes(snippets(tmp_path)["gone"], runs)) == []


def test_the_set_is_wide_and_balanced() -> None:
    """At least 180 snippets, and between a third and a half of them have no mark on 3.12."""
    whole = read_snippets()
    quiet = [snippet for snippet in whole if not any(mark.holds((3, 12)) for mark in snippet.marks)]

    assert len(whole) >= 180
    assert len(whole) / 3 < len(quiet) < len(whole) / 2
