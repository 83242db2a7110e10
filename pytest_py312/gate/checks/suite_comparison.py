"""Two runs of one suite, test by test: what got worse, what was as bad before, and what only looks worse.

All of it is pure but for one argument, ``again``, which runs some tests of one side once more.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.core.model.measurements import SuiteComparison, SuiteRun
from pytest_py312.core.model.plan import SuiteKind

Again = Callable[[Interpreter, int, tuple[str, ...]], SuiteRun]
"""(interpreter, attempt, test ids; none means all) -> a new run."""


def compare(service: str, baseline: SuiteRun, target: SuiteRun) -> SuiteComparison:
    """What one run of each side says; nothing is confirmed yet.

    A test that passed on the baseline and is skipped, expected to fail, or not there on the target is *missing*: it
    proves nothing there. A file that cannot be collected takes each of its tests with it.
    """
    newly_failing, missing, both, fixed = set(), set(), set(), set()
    for name, before in baseline.results.items():
        after = target.results.get(name)
        if before.ran_well:
            if after is None or after.outcome in ("skipped", "xfailed"):
                missing.add(name)
            elif after.broken:
                newly_failing.add(name)
        elif before.broken:
            if after is None or after.broken:
                both.add(name)
            elif after.ran_well:
                fixed.add(name)
        elif after is not None and after.broken:
            newly_failing.add(name)
    for name, after in target.results.items():
        if name not in baseline.results and after.broken:
            (both if covering(name, baseline.collection_errors) else newly_failing).add(name)
    for place in target.collection_errors:
        if place in baseline.collection_errors:
            both.add(place)
        elif not any(covers(place, name) for name in missing):
            newly_failing.add(place)
    return SuiteComparison(
        service=service,
        baseline=baseline.interpreter,
        target=target.interpreter,
        newly_failing=tuple(sorted(newly_failing)),
        missing=tuple(sorted(missing)),
        fixed=tuple(sorted(fixed | set(baseline.collection_errors).difference(target.collection_errors))),
        failing_on_both=tuple(sorted(both)),
        new=tuple(sorted(set(target.results).difference(baseline.results))),
        counts={baseline.interpreter: baseline.counts, target.interpreter: target.counts},
    )


def covers(place: str, name: str) -> bool:
    """Whether the collector ``place`` (a file, a folder, a class, a module) is the one that ``name`` comes from."""
    return place == "." or name == place or name.startswith((f"{place}::", f"{place}/", f"{place}."))


def covering(name: str, places: Iterable[str]) -> str:
    return next((place for place in places if covers(place, name)), "")


def bad(run: SuiteRun, name: str) -> bool:
    """Whether ``name`` does not run well in ``run``: broken, skipped, or not there."""
    result = run.results.get(name)
    return result is None or not result.ran_well


@dataclass(frozen=True, kw_only=True)
class _Sides:
    baseline: SuiteRun
    target: SuiteRun
    again: Again
    good_before: frozenset[str] = field(default_factory=frozenset)
    """Suspects that ran well on the baseline: these must do so again, or they prove nothing."""

    def bad_again(self, run: SuiteRun, name: str) -> bool:
        if name in self.target.collection_errors:
            return name in run.collection_errors
        if name in self.good_before:
            return bad(run, name)
        result = run.results.get(name)
        return result is not None and result.broken

    def good_again(self, run: SuiteRun, name: str) -> bool:
        return name not in self.good_before or not bad(run, name)


def confirm(first: SuiteComparison, baseline: SuiteRun, target: SuiteRun, again: Again, reruns: int) -> SuiteComparison:
    """``first`` with every suspect run again on both sides; what does not hold is called flaky.

    A suspect is run by itself ``reruns`` times. Only one that is bad on the target and good on the baseline each time
    is confirmed so. One that behaves otherwise by itself may still depend on the tests around it, so the whole suite
    is run once more on both sides: bad again in it, and good again on the baseline, it is confirmed after all.
    """
    suspects = {*first.newly_failing, *first.missing}
    if not suspects or reruns == 0:
        return first
    sides = _Sides(
        baseline=baseline,
        target=target,
        again=again,
        good_before=frozenset(name for name in suspects if not bad(baseline, name)),
    )
    held, doubtful = _alone(sides, suspects, reruns)
    if doubtful:
        held |= _in_company(sides, doubtful)
    flaky = suspects - held
    return replace(
        first,
        newly_failing=tuple(name for name in first.newly_failing if name in held),
        missing=tuple(name for name in first.missing if name in held),
        flaky=tuple(sorted({*first.flaky, *flaky})),
    )


def _alone(sides: _Sides, suspects: set[str], reruns: int) -> tuple[set[str], set[str]]:
    """(held, doubtful) after ``reruns`` runs of the suspects by themselves."""
    chosen = {name: _selection(sides.target, name) for name in suspects}
    held = {name for name in suspects if chosen[name]}
    doubtful = suspects - held
    for attempt in range(1, reruns + 1):
        if not held:
            break
        wanted = _unique(chosen[name] for name in held)
        after = sides.again(sides.target.interpreter, attempt, wanted)
        known = _unique(name for name in held if name in sides.baseline.results)
        before = sides.again(sides.baseline.interpreter, attempt, known) if known else None
        if not after.complete or (before is not None and not before.complete):
            return set(), suspects  # ids that change from run to run cannot be asked for by name
        for name in sorted(held):
            fine_before = before is None or name not in known or sides.good_again(before, name)
            if not sides.bad_again(after, name) or not fine_before:
                held.discard(name)
                doubtful.add(name)
    return held, doubtful


def _in_company(sides: _Sides, doubtful: set[str]) -> set[str]:
    """Those of ``doubtful`` that are bad again when the whole suite is run once more on both sides."""
    after = sides.again(sides.target.interpreter, 1, ())
    before = sides.again(sides.baseline.interpreter, 1, ())
    if not after.complete or not before.complete:
        return set(doubtful)  # not refuted
    return {name for name in doubtful if sides.bad_again(after, name) and sides.good_again(before, name)}


def _selection(run: SuiteRun, name: str) -> str:
    """What to ask a suite for to run ``name`` again: itself, or the file that could not be collected; else nothing."""
    if name in run.results:
        return name
    place = covering(name, run.collection_errors)
    return "" if place == "." else place  # "." is the whole suite, which is run again anyway


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def first_bad(comparison: SuiteComparison, runs: Sequence[SuiteRun]) -> dict[str, Interpreter]:
    """For each regression the first interpreter on which it shows, of ``runs`` (ascending, the target's among them)."""
    found: dict[str, Interpreter] = {}
    for name in (*comparison.newly_failing, *comparison.missing):
        for run in runs:
            absent = bad(run, name) if name in comparison.missing else _broken(run, name)
            if absent or run.interpreter == comparison.target:
                found[name] = run.interpreter
                break
    return found


def _broken(run: SuiteRun, name: str) -> bool:
    result = run.results.get(name)
    if result is None:
        return bool(covering(name, run.collection_errors))
    return result.broken


def nothing_ran(run: SuiteRun, service: Service) -> str:
    """The sentence for a run in which no test ran, or empty. All skipped is nothing run as well."""
    if any(result.outcome != "skipped" for result in run.results.values()):
        return ""
    kind = service.suite.kind if service.suite else SuiteKind.PYTEST
    where = f"{service.path} on {run.interpreter}"
    if run.results:
        return f"no test ran in {where}: all {len(run.results)} are skipped"
    if run.collection_errors:
        first, detail = next(iter(sorted(run.collection_errors.items())))
        reason = telling_line(detail) or "no reason given"
        count = len(run.collection_errors)
        return f"no test ran in {where}: {count} file{'s' if count > 1 else ''} cannot be imported ({first}: {reason})"
    return f"no test ran in {where}: {kind.value} found none"


def telling_line(detail: str) -> str:
    """The line of a traceback that says what went wrong: the exception among pytest's ``E`` lines, else the last."""
    lines = [line.strip() for line in detail.strip().splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    exceptions = [line for line in marked if re.match(r"[\w.]+(?:Error|Exception|Warning|Exit|Interrupt)\b", line)]
    return next(iter([*exceptions, *marked]), lines[-1] if lines else "")


def without_addresses(text: str) -> str:
    """``text`` with what differs from run to run made equal: addresses in memory, and ids that are one."""
    return re.sub(r"\bid='?\d{6,}'?", "id=...", re.sub(r"\b0x[0-9a-fA-F]{4,}\b", "0x...", text))
