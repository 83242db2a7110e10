"""Failed and errored outcomes in words: what is wrong, since when, where, and what to do about it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Outcome, Status
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import Page, StyledLine, counted, last_lines, listed, prose, visible
from pytest_py312.gate.reports.results import excerpt, telling

FINDINGS_SHOWN = 10
"""Findings of one block that are shown, unless ``-v`` is given."""

_EVIDENCE_LINES = 10
_IN_ITEM = 5  # findings in a failing item's own text
_ITEM_PAGE = Page(width=120, unicode=True, verbosity=0)  # no terminal: JUnit has this text as well
_NAMES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """One finding that several cells of a service have in common, and the interpreters of these cells."""

    finding: Finding
    interpreters: tuple[Interpreter, ...]

    @property
    def labels(self) -> str:
        """``py3.11, py3.12``; empty for a finding about the service as a whole."""
        return ", ".join(interpreter.label for interpreter in self.interpreters)


def merged(pairs: Iterable[tuple[Interpreter | None, Finding]]) -> list[Merged]:
    """Findings that read the same, once each; the evidence is that of the newest interpreter."""
    found: dict[tuple[object, ...], tuple[Finding, set[Interpreter]]] = {}
    for interpreter, finding in sorted(pairs, key=lambda pair: (pair[0] is not None, pair[0] or Interpreter(3, 0))):
        key = (finding.code, finding.message, finding.location, finding.names, finding.remedy, finding.severity)
        _, interpreters = found.get(key, (finding, set()))
        found[key] = (finding, interpreters | ({interpreter} if interpreter else set()))
    return [Merged(finding=finding, interpreters=tuple(sorted(on))) for finding, on in found.values()]


def told_once(pairs: Iterable[tuple[Interpreter | None, Finding]], page: Page) -> list[Merged]:
    """As :func:`merged`, the newest interpreter's first. Without ``-v``, what several say of one thing, each with its
    own version and paths in the words, is told in those of the newest."""
    found = merged(pairs)
    if page.verbosity < 1:
        found = _in_the_newest_words(found)
    return sorted(found, key=lambda one: one.interpreters[-1:], reverse=True)


def _in_the_newest_words(found: Sequence[Merged]) -> list[Merged]:
    """Findings of the same code, place and names are about one thing, unless an interpreter has several of them."""
    alike: dict[tuple[object, ...], list[Merged]] = {}
    for one in found:
        finding = one.finding
        key = (*_subject(finding), finding.severity, finding.preexisting)
        alike.setdefault(key, []).append(one)
    told: list[Merged] = []
    for group in alike.values():
        newest = max((one.interpreters[-1:] for one in group), default=())
        kept = [one for one in group if one.interpreters[-1:] == newest]
        if len(kept) == 1 and newest:
            everywhere = sorted({interpreter for one in group for interpreter in one.interpreters})
            kept = [replace(kept[0], interpreters=tuple(everywhere))]
        else:
            kept = group
        told += kept
    return told


def _subject(finding: Finding) -> tuple[object, ...]:
    """What a finding is about, whatever the versions and paths in its words."""
    return finding.code, finding.location, finding.names


def node_id(outcome: Outcome, paths: Mapping[str, str]) -> str:
    """The item's own id, or the one it would have."""
    if outcome.nodeid:
        return visible(outcome.nodeid)
    parts = [paths.get(outcome.service, outcome.service), outcome.check]
    if outcome.interpreter:
        parts.insert(1, outcome.interpreter.label)
    return visible("::".join(parts))


def blocking(report: Report, page: Page) -> list[StyledLine]:
    """Every failed cell, those of one service and check together."""
    groups = _groups(report, Status.FAILED)
    paths = {service.name: service.path for service in report.services}
    first_bad = _first_bad(report)
    lines = [page.line(("Blocking", "bold"))] if groups else []
    for outcomes in groups:
        lines += _block(outcomes, paths, first_bad.get(outcomes[0].service, {}), page)
    return lines


def not_checked(report: Report, page: Page) -> list[StyledLine]:
    """Every errored outcome, those with the same reason together."""
    paths = {service.name: service.path for service in report.services}
    by_reason: dict[str, list[Outcome]] = {}
    for outcomes in _groups(report, Status.ERRORED):
        for outcome in outcomes:
            by_reason.setdefault(outcome.reason, []).append(outcome)
    lines = [page.line(("Could not be checked", "bold"))] if by_reason else []
    for reason, outcomes in by_reason.items():
        lines += page.paragraph(("  ", ""), prose(reason), "yellow")
        nodes = [node_id(outcome, paths) for outcome in outcomes]
        lines += page.paragraph(("    ", ""), listed(nodes))
        pairs = ((outcome.interpreter, finding) for outcome in outcomes for finding in outcome.findings)
        findings = told_once(pairs, page)
        for found in _limited(findings, page):
            lines += _finding(found, (), {}, page)
        lines += _rest(findings, page)
    return lines


def _groups(report: Report, status: Status) -> list[list[Outcome]]:
    """The outcomes with ``status``, in the services' order, in one list for each service and check."""
    order = {service.name: index for index, service in enumerate(report.services)}
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in report.outcomes:
        if outcome.status is status:
            groups.setdefault((outcome.service, outcome.check), []).append(outcome)
    ordered = sorted(groups.values(), key=lambda group: order.get(group[0].service, len(order)))
    return [sorted(group, key=lambda one: one.interpreter or Interpreter(3, 0)) for group in ordered]


def _first_bad(report: Report) -> dict[str, dict[str, Interpreter]]:
    """Service to test id to the first interpreter on which the test is broken; the target's comparison counts."""
    found: dict[str, dict[str, Interpreter]] = {}
    for comparison in sorted(report.comparisons, key=lambda one: one.target == report.plan.target):
        found.setdefault(comparison.service, {}).update(comparison.first_bad)
    return found


def _block(
    outcomes: Sequence[Outcome], paths: Mapping[str, str], first_bad: Mapping[str, Interpreter], page: Page
) -> list[StyledLine]:
    on = tuple(outcome.interpreter for outcome in outcomes if outcome.interpreter)
    newest = outcomes[-1]
    also = f"  (on {', '.join(interpreter.label for interpreter in on)})" if len(on) > 1 else ""
    lines = [page.line(("  " + node_id(newest, paths), "red"), (also, ""))]
    pairs = [(outcome.interpreter, finding) for outcome in outcomes for finding in telling(outcome)]
    blocking_here = {_subject(finding) for _, finding in pairs if finding.blocks}
    if blocking_here:
        # what blocks on the baseline too is told once, in the words of the newest interpreter, which has the remedy
        pairs = [(on, replace(one, preexisting=False)) for on, one in pairs if _subject(one) in blocking_here]
    findings = told_once(pairs, page)
    reasons = dict.fromkeys(outcome.reason for outcome in outcomes if not _repeats(outcome))
    for reason in reasons:
        if reason.strip():
            lines += page.paragraph(("    ", ""), prose(reason))
    for found in _limited(findings, page):
        lines += _finding(found, on, first_bad, page)
    return lines + _rest(findings, page)


def _repeats(outcome: Outcome) -> bool:
    """Whether the reason only says again what the first blocking finding says."""
    said = [finding.message for finding in telling(outcome) if finding.message]
    return any(outcome.reason.startswith(message) for message in said)


def _limited(findings: Sequence[Merged], page: Page) -> Sequence[Merged]:
    return findings if page.verbosity >= 1 else findings[:FINDINGS_SHOWN]


def _rest(findings: Sequence[Merged], page: Page) -> list[StyledLine]:
    hidden = len(findings) - len(_limited(findings, page))
    return [page.line((f"    and {hidden} more, see -v", "dim"))] if hidden else []


def _finding(
    found: Merged, on: Sequence[Interpreter], first_bad: Mapping[str, Interpreter], page: Page
) -> list[StyledLine]:
    """One finding. Its interpreters are named where they are not all of ``on``, which stand above it already."""
    finding = found.finding
    lead = visible(finding.code) + " "
    lines = page.paragraph(("    " + lead, "bold"), _message(finding))
    facts = [("where", visible(str(finding.location)), "cyan")] if finding.location else []
    if since := _since(finding, first_bad):
        facts.append(("since", since, ""))
    if found.interpreters and found.interpreters != tuple(on):
        facts.append(("on", found.labels, ""))
    lines += [page.line(("      ", ""), *_joined(facts))] if facts else []
    lines += excerpt(finding, page, 8) if page.verbosity >= 0 else []
    if names := _names(finding):
        lines += page.paragraph(("      names: ", ""), names)
    if page.verbosity >= 1:
        lines += [page.line(("        " + line, "dim")) for line in last_lines(finding.detail, _EVIDENCE_LINES)]
    if finding.remedy.strip():
        lines += page.paragraph((f"      {page.arrow} ", "green"), prose(finding.remedy), "green")
    return lines


def _joined(facts: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    for kind, text, style in facts:
        pieces += [("  " if pieces else "", ""), ("" if kind == "where" else f"{kind} ", ""), (text, style)]
    return pieces


def _message(finding: Finding) -> str:
    return prose(finding.message) + (" (likely)" if finding.confidence is Confidence.LIKELY else "")


def _names(finding: Finding) -> str:
    """What is to blame, unless the message names all of it."""
    return "" if all(name in finding.message for name in finding.names) else listed(finding.names, _NAMES)


def _since(finding: Finding, first_bad: Mapping[str, Interpreter]) -> str:
    """``3.11``, or ``3.10 (2 tests), 3.12 (1 test)``."""
    numbers: dict[Interpreter, int] = {}
    for name in finding.names:
        if name in first_bad:
            numbers[first_bad[name]] = numbers.get(first_bad[name], 0) + 1
    if len(numbers) == 1 and sum(numbers.values()) == len(finding.names):
        return str(next(iter(numbers)))
    return ", ".join(f"{interpreter} ({counted(numbers[interpreter], 'test')})" for interpreter in sorted(numbers))


def failure_text(outcome: Outcome, *, verbosity: int) -> str:
    """What a failing item shows of itself: the reason, then the few findings that a developer needs.

    Nothing in it can be obeyed by a terminal. Lines are not wrapped, so that they can be searched and copied.
    """
    findings = telling(outcome) if outcome.status is Status.FAILED else list(outcome.findings)
    lines = [prose(outcome.reason) or f"{visible(outcome.check)} {outcome.status.value}"]
    for finding in findings[:_IN_ITEM]:
        said = finding.message == outcome.reason
        place = visible(str(finding.location)) if finding.location else ""
        head = f"{visible(finding.code)} {place if said else _message(finding)}".rstrip()
        lines.append(f"  {head}")
        if place and not said:
            lines.append(f"    {place}")
        lines += [line.text for line in excerpt(finding, _ITEM_PAGE, 6) if verbosity >= 0]
        if names := _names(finding):
            lines.append(f"    names: {names}")
        evidence = last_lines(finding.detail, _EVIDENCE_LINES * 2 if verbosity >= 1 else _EVIDENCE_LINES // 2)
        lines += [f"      {line}" for line in evidence if verbosity >= 0]
        if finding.remedy.strip():
            lines.append(f"    -> {prose(finding.remedy)}")
    if len(findings) > _IN_ITEM:
        lines.append(f"  and {len(findings) - _IN_ITEM} more (see --py312-report=FILE.json)")
    return "\n".join(lines)
