"""Describe failed and errored outcomes for the terminal: what is wrong, since when, where, and what to do about it."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Confidence, Finding, Interpreter, Outcome, Status, interpreter_order
from pytest_py312.core.model.report import Report
from pytest_py312.core.text import (
    StyledLine,
    TerminalFormat,
    display_width,
    escape_control,
    escape_terminal,
    join_names,
    last_lines,
    pluralize,
    shorten_middle,
)
from pytest_py312.gate.reports.results import (
    MergedFinding,
    failure_findings,
    grouped,
    merge_reasons,
    service_order,
    source_excerpt,
    without_interpreter,
)

MAX_FINDINGS = 10
"""Findings shown per check, unless ``-v`` is given."""

_MAX_EVIDENCE_LINES = 10
_MAX_EVIDENCE_WIDTH = 200
_COMMAND = re.compile(r"\s*(?:error: )?[Cc]ommand (?:'\[|.* failed with exit (?:code|status))")
"""What setuptools writes after the errors of a compiler: its whole command line."""
_MAX_ITEM_FINDINGS = 5  # in the text of a failing item
_ITEM_FORMAT = TerminalFormat(
    width=120, unicode=True, verbosity=0
)  # a fixed format, because JUnit files contain this text as well
_MAX_NAMES = 5


def merge_findings(pairs: Iterable[tuple[Interpreter | None, Finding]]) -> list[MergedFinding]:
    """Merge findings with the same text. The evidence is that of the newest interpreter."""
    groups: dict[tuple[object, ...], tuple[Finding, set[Interpreter]]] = {}
    for interpreter, finding in sorted(pairs, key=lambda pair: interpreter_order(pair[0])):
        key = (finding.code, finding.message, finding.location, finding.names, finding.remedy, finding.severity)
        _, interpreters = groups.get(key, (finding, set()))
        groups[key] = (finding, interpreters | ({interpreter} if interpreter else set()))
    return [
        MergedFinding(finding=finding, interpreters=tuple(sorted(interpreters_of_finding)))
        for finding, interpreters_of_finding in groups.values()
    ]


def merge_for_display(pairs: Iterable[tuple[Interpreter | None, Finding]], page: TerminalFormat) -> list[MergedFinding]:
    """Merge findings as :func:`merge_findings` does and put those of the newest interpreter first.

    Without ``-v``, findings about the same problem that differ only in the versions and paths in their text are also
    merged into that of the newest interpreter.
    """
    merged_findings = merge_findings(pairs)
    if page.verbosity < 1:
        merged_findings = _merge_variants(merged_findings)
    return sorted(merged_findings, key=lambda merged_finding: merged_finding.interpreters[-1:], reverse=True)


def _merge_variants(merged_findings: Sequence[MergedFinding]) -> list[MergedFinding]:
    """Merge findings with the same code, location and names, unless one interpreter has several of them."""

    def key(variant: MergedFinding) -> tuple[object, ...]:
        finding = variant.finding
        newest_interpreter = variant.interpreters[-1] if variant.interpreters else None
        text = "" if finding.names else without_interpreter(finding.message, newest_interpreter)
        return (*_subject(finding), text, finding.severity, finding.preexisting)

    representatives: list[MergedFinding] = []
    for group in grouped(merged_findings, key).values():
        newest = max((variant.interpreters[-1:] for variant in group), default=())
        group_representatives = [variant for variant in group if variant.interpreters[-1:] == newest]
        if len(group_representatives) == 1 and newest:
            all_interpreters = sorted({interpreter for variant in group for interpreter in variant.interpreters})
            representatives.append(replace(group_representatives[0], interpreters=tuple(all_interpreters)))
        else:
            representatives += group
    return representatives


def _subject(finding: Finding) -> tuple[object, ...]:
    """Return what a finding is about, independent of the versions and paths in its text."""
    return finding.code, finding.location, finding.names


def node_id(outcome: Outcome, paths: Mapping[str, str]) -> str:
    """Return the node id of the item or, for an outcome without an item, the id that its item would have."""
    if outcome.nodeid:
        return escape_control(outcome.nodeid)
    parts = [paths.get(outcome.service, outcome.service), outcome.check]
    if outcome.interpreter:
        parts.insert(1, outcome.interpreter.label)
    return escape_control("::".join(parts))


def blocking_section(report: Report, page: TerminalFormat) -> list[StyledLine]:
    """Return the lines of the section of failed cells, grouped by service and check.

    Without ``-v``, what several services have in common is written once, with the names of the others.
    """
    paths = {service.name: service.path for service in report.services}
    first_bad = _first_failing(report)
    checks = [_failed_check(outcomes, paths, page) for outcomes in _group_by_check(report, Status.FAILED)]
    places: dict[_FindingKey, dict[str, str]] = {}
    for check in checks:
        for key, merged_finding in check.findings.items():
            location = merged_finding.finding.location
            places.setdefault(key, {})[check.service] = str(location) if location else check.service
    lines = [page.styled_line(("Blocking", "bold"))] if checks else []
    for check in checks:
        lines += _check_section(check, paths, places, first_bad.get(check.service, {}), page)
    return lines


_FindingKey = tuple[object, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _FailedCheck:
    """A check of a service that failed, on one interpreter or more."""

    outcomes: Sequence[Outcome]
    findings: Mapping[_FindingKey, MergedFinding]

    @property
    def service(self) -> str:
        return self.outcomes[0].service


def _failed_check(outcomes: Sequence[Outcome], paths: Mapping[str, str], page: TerminalFormat) -> _FailedCheck:
    pairs = [(outcome.interpreter, finding) for outcome in outcomes for finding in failure_findings(outcome)]
    blocking_subjects = {_subject(finding) for _, finding in pairs if finding.blocks}
    if blocking_subjects:
        # show a problem that also blocks on the baseline once, with the newest interpreter's remedy
        pairs = [
            (interpreter, replace(finding, preexisting=False))
            for interpreter, finding in pairs
            if _subject(finding) in blocking_subjects
        ]
    findings = merge_for_display(pairs, page)
    keys = [_shared_key(outcomes[0], merged, paths) for merged in findings]
    counts = Counter(keys)
    is_own = page.verbosity >= 1 or outcomes[0].check == "suite"  # tests with these names are others elsewhere
    return _FailedCheck(
        outcomes=outcomes,
        findings={
            # a finding in several places of one service is kept apart
            (*key, outcomes[0].service, number) if is_own or counts[key] > 1 else key: merged
            for number, (key, merged) in enumerate(zip(keys, findings, strict=True))
        },
    )


def _shared_key(outcome: Outcome, merged: MergedFinding, paths: Mapping[str, str]) -> _FindingKey:
    """Return what a finding has in common with the same one of other services: all but its place."""
    finding, path = merged.finding, paths.get(outcome.service, ".")
    own_path = re.compile(r"(?!)" if path == "." else rf"(?<![\w./-]){re.escape(path)}/")
    texts = (own_path.sub("\0", finding.message), own_path.sub("\0", finding.remedy))
    facts = (finding.severity, finding.confidence, finding.owner)
    return outcome.check, finding.code, finding.names, texts, facts, merged.interpreters


def errored_section(report: Report, page: TerminalFormat) -> list[StyledLine]:
    """Return the lines of the section of checks that could not be run, grouped by reason."""
    paths = {service.name: service.path for service in report.services}
    errored = [outcome for outcomes in _group_by_check(report, Status.ERRORED) for outcome in outcomes]
    lines = [page.styled_line(("Could not be checked", "bold"))] if errored else []
    for reason in merge_reasons(errored):
        outcomes = reason.outcomes
        lines += page.paragraph(("  ", ""), escape_terminal(reason.text), "yellow")
        nodes = [node_id(outcome, paths) for outcome in outcomes]
        lines += page.paragraph(("    ", ""), join_names(nodes))
        pairs = ((outcome.interpreter, finding) for outcome in outcomes for finding in outcome.findings)
        findings = merge_for_display(pairs, page)
        visible = findings if page.verbosity >= 1 else findings[:MAX_FINDINGS]
        for merged_finding in visible:
            lines += _finding_lines(merged_finding, (), {}, page)
        lines += hidden_count_lines(len(findings) - len(visible), 4, page)
    return lines


def _group_by_check(report: Report, status: Status) -> list[list[Outcome]]:
    """Return the outcomes with ``status`` in the order of services, one list per service and check."""
    order = service_order(report)
    chosen = (outcome for outcome in report.outcomes if outcome.status is status)
    groups = grouped(chosen, lambda outcome: (outcome.service, outcome.check))
    ordered = sorted(groups.values(), key=lambda group: order(group[0].service))
    return [sorted(group, key=lambda outcome: interpreter_order(outcome.interpreter)) for group in ordered]


def _first_failing(report: Report) -> dict[str, dict[str, Interpreter]]:
    """Return, by service and test id, the first interpreter on which a test fails. The comparison on the target takes
    precedence.
    """
    first_bad_by_service: dict[str, dict[str, Interpreter]] = {}
    for comparison in sorted(report.comparisons, key=lambda comparison: comparison.target == report.plan.target):
        first_bad_by_service.setdefault(comparison.service, {}).update(comparison.first_bad)
    return first_bad_by_service


def _check_section(
    check: _FailedCheck,
    paths: Mapping[str, str],
    places: Mapping[_FindingKey, Mapping[str, str]],
    first_bad: Mapping[str, Interpreter],
    page: TerminalFormat,
) -> list[StyledLine]:
    """Return the lines of a check; none if other services have all of its findings, and come first.

    :param places: the services with a finding, in the order of the report, and where they have it.
    """
    failed_interpreters = tuple(outcome.interpreter for outcome in check.outcomes if outcome.interpreter)
    own = {key: merged for key, merged in check.findings.items() if next(iter(places[key])) == check.service}
    lines: list[StyledLine] = []
    for reason in merge_reasons(outcome for outcome in check.outcomes if not _repeats_finding(outcome)):
        if reason.text.strip():
            lines += page.paragraph(("    ", ""), escape_terminal(reason.text))
    cut = set() if page.verbosity >= 1 else {key for key in list(own)[MAX_FINDINGS:] if len(places[key]) == 1}
    visible = [key for key in own if key not in cut]
    for key in visible:
        lines += _finding_lines(own[key], failed_interpreters, first_bad, page, list(places[key].values())[1:])
    lines += hidden_count_lines(len(own) - len(visible), 4, page)
    heading = _check_heading("  " + node_id(check.outcomes[-1], paths), failed_interpreters, page)
    return [*heading, *lines] if lines or not check.findings else []


def _check_heading(name: str, interpreters: Sequence[Interpreter], page: TerminalFormat) -> list[StyledLine]:
    """Return the line of a check with the interpreters on which it failed; two lines in a narrow terminal."""
    if len(interpreters) < 2:
        return [page.styled_line((name, "red"))]
    note = f"(on {', '.join(interpreter.label for interpreter in interpreters)})"
    if display_width(f"{name}  {note}") <= page.width:
        return [page.styled_line((name, "red"), (f"  {note}", ""))]
    return [page.styled_line((name, "red")), *page.paragraph(("    ", ""), note)]


def _repeats_finding(outcome: Outcome) -> bool:
    """Return whether the reason only repeats the message of a finding."""
    messages = [finding.message for finding in failure_findings(outcome) if finding.message]
    return any(outcome.reason.startswith(message) for message in messages)


def hidden_count_lines(hidden: int, indent: int, page: TerminalFormat) -> list[StyledLine]:
    """Return the line with the number of entries that are left out without ``-v``; none if it is 0."""
    return [page.styled_line((f"{' ' * indent}and {hidden} more, see -v", "dim"))] if hidden else []


def _finding_lines(
    merged_finding: MergedFinding,
    heading_interpreters: Sequence[Interpreter],
    first_bad: Mapping[str, Interpreter],
    page: TerminalFormat,
    other_places: Sequence[str] = (),
) -> list[StyledLine]:
    """Return the lines of one finding. Interpreters are named only if they differ from those in the heading."""
    finding = merged_finding.finding
    lead = escape_control(finding.code) + " "
    lines = page.paragraph(("    " + lead, "bold"), _message(finding))
    facts = [("where", escape_control(str(finding.location)), "cyan")] if finding.location else []
    if since := _since_text(finding, first_bad):
        facts.append(("since", since, ""))
    if merged_finding.interpreters and merged_finding.interpreters != tuple(heading_interpreters):
        facts.append(("on", merged_finding.interpreter_labels, ""))
    if finding.owner:
        facts.append(("owner", escape_terminal(finding.owner), ""))
    lines += [page.styled_line(("      ", ""), *_join_facts(facts))] if facts else []
    lines += source_excerpt(finding, page, 8) if page.verbosity >= 0 else []
    if other_places:
        names = join_names(list(dict.fromkeys(map(escape_control, other_places))), len(other_places))
        lines += page.paragraph(("      also in: ", ""), names)
    if names := _names_to_show(finding):
        lines += page.paragraph(("      names: ", ""), names)
    if page.verbosity >= 1:
        lines += [
            page.styled_line(("        " + line, "dim")) for line in last_lines(finding.detail, _MAX_EVIDENCE_LINES)
        ]
    if finding.remedy.strip():
        lines += page.paragraph((f"      {page.arrow} ", "green"), escape_terminal(finding.remedy), "green")
    return lines


def _join_facts(facts: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    pieces: list[tuple[str, str]] = []
    for kind, text, style in facts:
        pieces += [("  " if pieces else "", ""), ("" if kind == "where" else f"{kind} ", ""), (text, style)]
    return pieces


def _message(finding: Finding) -> str:
    return escape_terminal(finding.message) + (" (likely)" if finding.confidence is Confidence.LIKELY else "")


def _names_to_show(finding: Finding) -> str:
    """Return the names to blame, unless the message contains all of them."""
    return "" if all(name in finding.message for name in finding.names) else join_names(finding.names, _MAX_NAMES)


def _since_text(finding: Finding, first_bad: Mapping[str, Interpreter]) -> str:
    """Return ``3.11``, or ``3.10 (2 tests), 3.12 (1 test)``."""
    numbers: dict[Interpreter, int] = {}
    for name in finding.names:
        if name in first_bad:
            numbers[first_bad[name]] = numbers.get(first_bad[name], 0) + 1
    if len(numbers) == 1 and sum(numbers.values()) == len(finding.names):
        return str(next(iter(numbers)))
    return ", ".join(f"{interpreter} ({pluralize(numbers[interpreter], 'test')})" for interpreter in sorted(numbers))


def failure_text(outcome: Outcome, *, verbosity: int) -> str:
    """Return the text of a failing item: its reason, then the most important findings.

    Control characters are escaped. Lines are not wrapped, so that they can be searched and copied.
    """
    findings, lines = _item_findings(outcome), [_item_reason(outcome)]
    for number, finding in enumerate(findings[:_MAX_ITEM_FINDINGS]):
        repeats_reason = number == 0 and bool(finding.message) and outcome.reason.startswith(finding.message)
        place = escape_control(str(finding.location)) if finding.location else ""
        head = f"{escape_control(finding.code)} {place if repeats_reason else _message(finding)}".rstrip()
        lines.append(f"  {head}")
        if place and not repeats_reason:
            lines.append(f"    {place}")
        lines += [line.text for line in source_excerpt(finding, _ITEM_FORMAT, 6) if verbosity >= 0]
        if names := _names_to_show(finding):
            lines.append(f"    names: {names}")
        lines += [f"      {line}" for line in _evidence(finding.detail, verbosity)]
        if finding.remedy.strip():
            lines.append(f"    -> {escape_terminal(finding.remedy)}")
    if len(findings) > _MAX_ITEM_FINDINGS:
        lines.append(f"  and {len(findings) - _MAX_ITEM_FINDINGS} more (see --py312-report=FILE.json)")
    return "\n".join(lines)


def evidence_text(outcome: Outcome, *, verbosity: int) -> str:
    """Return what the summary does not show of a failing item: its reason, and the ends of tracebacks and builds."""
    lines = [_item_reason(outcome)]
    for finding in [each for each in _item_findings(outcome) if each.detail][:_MAX_ITEM_FINDINGS]:
        if not outcome.reason.startswith(finding.message):
            lines.append(f"  {escape_control(finding.code)} {_message(finding)}".rstrip())
        lines += [f"      {line}" for line in _evidence(finding.detail, verbosity)]
    return "\n".join(lines)


def _item_reason(outcome: Outcome) -> str:
    return escape_terminal(outcome.reason) or f"{escape_control(outcome.check)} {outcome.status.value}"


def _item_findings(outcome: Outcome) -> list[Finding]:
    """Return the findings for which an item failed, or all of one that could not be checked."""
    return list(failure_findings(outcome) if outcome.status is Status.FAILED else outcome.findings)


def _evidence(detail: str, verbosity: int) -> list[str]:
    """Return the end of a traceback or of a build's output, without the compiler's command line."""
    if verbosity < 0:
        return []
    if verbosity >= 1:
        return last_lines(detail, _MAX_EVIDENCE_LINES * 2)
    messages = "\n".join(line for line in detail.splitlines() if not _COMMAND.match(line))
    return [
        shorten_middle(line, _MAX_EVIDENCE_WIDTH) for line in last_lines(messages or detail, _MAX_EVIDENCE_LINES // 2)
    ]
