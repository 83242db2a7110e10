"""Scores a checker on the truth set: what it finds, what it misses, and its false alarms.

The right line and severity are required: a break has to be found as an error, a warning or a silent change as
a warning. An error or a warning on a line on which nothing happens is a false alarm; notes are free, and so are
findings without a line (a file could not be checked).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tests.truth.cases import Kind, Mark, Snippet, Version

WEIGHTS = {
    Kind.BREAK: frozenset({"error"}),
    Kind.WARNS: frozenset({"warning"}),
    Kind.SILENT: frozenset({"warning"}),
    Kind.NEEDS: frozenset({"error", "warning"}),  # code that is too new for the baseline need not block
}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Remark:
    """One finding of a checker. ``severity`` is error, warning or note; empty if the tool has no severities."""

    path: str
    line: int
    severity: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The result for one snippet: marks found, marks missed, and false alarms."""

    snippet: Snippet
    found: tuple[Mark, ...]
    missed: tuple[Mark, ...]
    false: tuple[Remark, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """The result for the whole set."""

    verdicts: tuple[Verdict, ...]

    def found(self, kind: Kind, category: str | None = None) -> int:
        return sum(mark.kind is kind for verdict in self._of(category) for mark in verdict.found)

    def all(self, kind: Kind, category: str | None = None) -> int:
        return sum(mark.kind is kind for verdict in self._of(category) for mark in (*verdict.found, *verdict.missed))

    def recall(self, kind: Kind) -> Fraction:
        """Return the share of the marks of one kind that were found; 1 if there are none."""
        return Fraction(self.found(kind), all_marks) if (all_marks := self.all(kind)) else Fraction(1)

    def false(self, category: str | None = None) -> int:
        """Return the number of snippets with false alarms."""
        return sum(bool(verdict.false) for verdict in self._of(category))

    @property
    def precision(self) -> Fraction:
        """The share of findings that are true."""
        right = sum(len(verdict.found) for verdict in self.verdicts)
        wrong = sum(len(verdict.false) for verdict in self.verdicts)
        return Fraction(right, right + wrong) if right + wrong else Fraction(1)

    def _of(self, category: str | None) -> Iterator[Verdict]:
        return (verdict for verdict in self.verdicts if category in (None, verdict.snippet.category))


def score(
    snippets: Iterable[Snippet], remarks: Mapping[str, Iterable[Remark]], baseline: Version, target: Version
) -> Score:
    """Compare a checker's findings (by snippet id) for a move from ``baseline`` to ``target`` with the marks."""
    return Score(verdicts=tuple(judge(snippet, remarks.get(snippet.id, ()), baseline, target) for snippet in snippets))


def judge(snippet: Snippet, remarks: Iterable[Remark], baseline: Version, target: Version) -> Verdict:
    """Return the verdict on the findings for one snippet."""
    expected = tuple(expected_marks(snippet, baseline, target))
    relevant = frozenset(remark for remark in remarks if remark.severity != "note" and remark.line)
    matched = tuple(mark for mark in expected if any(_matches_mark(snippet, mark, remark) for remark in relevant))
    later = {(mark.path, mark.line) for mark in snippet.marks if mark.first > target and mark.kind is not Kind.NEEDS}
    later |= snippet.also if later else frozenset()
    false_alarms = sorted(
        remark
        for remark in relevant
        if not any(_is_explained_by(snippet, mark, remark) for mark in expected)
        # a checker may warn of what becomes true after the target
        and not ((remark.path, remark.line) in later and remark.severity != "error")
    )
    return Verdict(
        snippet=snippet,
        found=matched,
        missed=tuple(mark for mark in expected if mark not in matched),
        false=tuple(false_alarms),
    )


def expected_marks(snippet: Snippet, baseline: Version, target: Version) -> Iterator[Mark]:
    """Yield the marks that a checker should find; a line that breaks need not warn as well."""
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
    """Format the counts by category as a Markdown table."""
    kinds = (Kind.BREAK, Kind.WARNS, Kind.SILENT, Kind.NEEDS)
    rows = ["| category | breaks | warnings | silent changes | too new | false alarms |", "|---|---|---|---|---|---|"]
    categories = sorted({verdict.snippet.category for verdict in result.verdicts})
    for category in (*categories, None):
        counts = [f"{result.found(kind, category)}/{result.all(kind, category)}" for kind in kinds]
        rows.append(f"| {category or 'all'} | {' | '.join(counts)} | {result.false(category)} |")
    return "\n".join(rows)


def mistakes(result: Score) -> Iterator[str]:
    """Yield a line for each miss and each false alarm."""
    for verdict in result.verdicts:
        for mark in verdict.missed:
            code = verdict.snippet.files[mark.path].splitlines()[mark.line - 1].strip()
            yield f"missed {mark.kind.value}: {verdict.snippet.id} {mark.path}:{mark.line}: {code}"
        for remark in verdict.false:
            yield f"false {remark.severity}: {verdict.snippet.id} {remark.path}:{remark.line}: {remark.text}"


def _matches_mark(snippet: Snippet, mark: Mark, remark: Remark) -> bool:
    """Whether a finding matches a mark: on its line or an equivalent one, with the required severity."""
    return _is_at_mark(snippet, mark, remark) and (not remark.severity or remark.severity in WEIGHTS[mark.kind])


def _is_explained_by(snippet: Snippet, mark: Mark, remark: Remark) -> bool:
    """Whether a finding is explained by a mark: a warning beside an error is no false alarm, an error for a mere
    warning is one.
    """
    return _is_at_mark(snippet, mark, remark) and (remark.severity != "error" or "error" in WEIGHTS[mark.kind])


def _is_at_mark(snippet: Snippet, mark: Mark, remark: Remark) -> bool:
    place = (remark.path, remark.line)
    return place == (mark.path, mark.line) or place in snippet.also
