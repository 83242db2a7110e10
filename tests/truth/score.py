"""How well a checker does on the truth set: what it finds of what happens, and what it says that does not.

The right line is required, and the right weight: a break has to be found as an error, a warning or a silent change as
a warning. Said of any line on which nothing happens, an error or a warning is a false alarm; notes are free, and so is
what is said of no line (that a file could not be checked).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tests.truth.cases import Kind, Mark, Snippet, Version

WEIGHTS = {
    Kind.BREAK: frozenset({"error"}),
    Kind.WARNS: frozenset({"warning"}),
    Kind.SILENT: frozenset({"warning"}),
    Kind.NEEDS: frozenset({"error", "warning"}),  # what bars the way back need not bar the way
}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Said:
    """One finding of a checker. ``severity`` is error, warning or note, and empty of a tool that knows no weights."""

    path: str
    line: int
    severity: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a checker made of one snippet: marks found, marks missed, and findings on lines where nothing happens."""

    snippet: Snippet
    found: tuple[Mark, ...]
    missed: tuple[Mark, ...]
    false: tuple[Said, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """What a checker made of the whole set."""

    verdicts: tuple[Verdict, ...]

    def found(self, kind: Kind, category: str | None = None) -> int:
        return sum(mark.kind is kind for one in self._of(category) for mark in one.found)

    def all(self, kind: Kind, category: str | None = None) -> int:
        return sum(mark.kind is kind for one in self._of(category) for mark in (*one.found, *one.missed))

    def recall(self, kind: Kind) -> Fraction:
        """The share of the marks of one kind that were found; 1 where there are none."""
        return Fraction(self.found(kind), all_marks) if (all_marks := self.all(kind)) else Fraction(1)

    def false(self, category: str | None = None) -> int:
        """How many snippets something false is said of."""
        return sum(bool(one.false) for one in self._of(category))

    @property
    def precision(self) -> Fraction:
        """The share of what is said that is true."""
        right = sum(len(one.found) for one in self.verdicts)
        wrong = sum(len(one.false) for one in self.verdicts)
        return Fraction(right, right + wrong) if right + wrong else Fraction(1)

    def _of(self, category: str | None) -> Iterator[Verdict]:
        return (one for one in self.verdicts if category in (None, one.snippet.category))


def score(snippets: Iterable[Snippet], said: Mapping[str, Iterable[Said]], baseline: Version, target: Version) -> Score:
    """Holds what a checker said (by the snippet's id) of a move from ``baseline`` to ``target`` against the marks."""
    return Score(verdicts=tuple(judge(one, said.get(one.id, ()), baseline, target) for one in snippets))


def judge(snippet: Snippet, said: Iterable[Said], baseline: Version, target: Version) -> Verdict:
    """The verdict on what was said of one snippet."""
    due = tuple(wanted(snippet, baseline, target))
    remarks = frozenset(one for one in said if one.severity != "note" and one.line)
    found = tuple(mark for mark in due if any(_meets(snippet, mark, one) for one in remarks))
    later = {(mark.path, mark.line) for mark in snippet.marks if mark.first > target and mark.kind is not Kind.NEEDS}
    later |= snippet.also if later else frozenset()
    false = sorted(
        one
        for one in remarks
        if not any(_near(snippet, mark, one) for mark in due)
        # of what becomes true after the target a checker may warn
        and not ((one.path, one.line) in later and one.severity != "error")
    )
    return Verdict(
        snippet=snippet, found=found, missed=tuple(mark for mark in due if mark not in found), false=tuple(false)
    )


def wanted(snippet: Snippet, baseline: Version, target: Version) -> Iterator[Mark]:
    """What a checker should say of one snippet: a line that breaks is not asked to warn as well."""
    broken = {(mark.path, mark.line) for mark in snippet.holding(Kind.BREAK, target)}
    for mark in snippet.marks:
        if mark.kind is Kind.NEEDS:
            if mark.holds(baseline) and not mark.holds(target):
                yield mark
        elif mark.kind is Kind.WARNS:
            if mark.holds(target) and (mark.path, mark.line) not in broken:
                yield mark
        elif mark.kind is not Kind.ALSO and mark.holds(target) and not mark.holds(baseline):
            yield mark


def table(result: Score) -> str:
    """The figures by category, in Markdown."""
    kinds = (Kind.BREAK, Kind.WARNS, Kind.SILENT, Kind.NEEDS)
    rows = ["| category | breaks | warnings | silent changes | too new | false alarms |", "|---|---|---|---|---|---|"]
    categories = sorted({one.snippet.category for one in result.verdicts})
    for category in (*categories, None):
        counts = [f"{result.found(kind, category)}/{result.all(kind, category)}" for kind in kinds]
        rows.append(f"| {category or 'all'} | {' | '.join(counts)} | {result.false(category)} |")
    return "\n".join(rows)


def mistakes(result: Score) -> Iterator[str]:
    """Each miss and each false alarm in a line."""
    for one in result.verdicts:
        for mark in one.missed:
            code = one.snippet.files[mark.path].splitlines()[mark.line - 1].strip()
            yield f"missed {mark.kind.value}: {one.snippet.id} {mark.path}:{mark.line}: {code}"
        for remark in one.false:
            yield f"false {remark.severity}: {one.snippet.id} {remark.path}:{remark.line}: {remark.text}"


def _meets(snippet: Snippet, mark: Mark, remark: Said) -> bool:
    """Whether a finding tells a mark: on its line or one as right, with the weight the mark asks for."""
    return _stands_at(snippet, mark, remark) and (not remark.severity or remark.severity in WEIGHTS[mark.kind])


def _near(snippet: Snippet, mark: Mark, remark: Said) -> bool:
    """Whether a finding is explained by a mark: a warning beside an error is no false alarm, an error for a mere
    warning is one.
    """
    return _stands_at(snippet, mark, remark) and (remark.severity != "error" or "error" in WEIGHTS[mark.kind])


def _stands_at(snippet: Snippet, mark: Mark, remark: Said) -> bool:
    place = (remark.path, remark.line)
    return place == (mark.path, mark.line) or place in snippet.also
