"""From facts and testimonies to findings: what works on the baseline and does not on the target, and what warns.

Pure: nothing is read or run. Code that an interpreter does not reach is judged as if it were not there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_py312.analysis.judging import replacements
from pytest_py312.analysis.judging.compiler_messages import compiler_findings
from pytest_py312.analysis.judging.evidence import (
    NO_ANSWER,
    Witnesses,
    confidence,
    location,
    name_of,
    not_there,
    since,
    too_new,
)
from pytest_py312.analysis.judging.packaging import IMPORT_FAILS, NO_LONGER_SEEDED, Lock, packaging_findings
from pytest_py312.analysis.judging.reachability import Reach
from pytest_py312.analysis.judging.removals import removal_of
from pytest_py312.analysis.judging.replacements import with_changes
from pytest_py312.analysis.judging.rule_table import NEEDED, RULES, Needed, Phase
from pytest_py312.analysis.judging.signatures import call_findings
from pytest_py312.analysis.judging.suppressions import apply_ignores
from pytest_py312.analysis.scanner.facts.facts import ANY_NAME, Call, FileFacts, Kind, Reference, RuleFact
from pytest_py312.analysis.scanner.facts.stdlib_names import LIKELY_METHODS
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity

FROM_FAILS = frozenset({"ImportError"})
NAME_FAILS = frozenset({"AttributeError"})
STAR_FAILS = frozenset({"NameError"})


def judge(
    files: Sequence[FileFacts],
    witnesses: Witnesses,
    *,
    lock: Mapping[str, str] | None = None,
    declared: Collection[str] = (),
) -> tuple[Finding, ...]:
    """The findings of one service, by file and line.

    ``files`` are linked (:func:`pytest_py312.analysis.linking.link.linked`). ``lock`` are the distributions of the
    target's cell, normalised name to version; ``None`` where nobody knows: then what is ``declared`` counts, the names
    of the projects that the service requires itself.
    """
    locked = Lock(lock, files, declared)
    defined = frozenset(name for facts in files for name in facts.defined)
    found: list[Finding] = []
    for facts in files:
        of_file = list(_File(facts, witnesses, locked, defined).findings())
        found += [with_changes(finding, facts) for finding in apply_ignores(facts, _unique(of_file))]
    return tuple(sorted(found, key=_order))


def _order(finding: Finding) -> tuple[str, int, int, str]:
    place = finding.location
    if place is None:
        return "", 0, 0, finding.code
    return place.path, place.line or 0, place.column or 0, finding.code


def _unique(findings: Sequence[Finding]) -> list[Finding]:
    """Each trouble of a line once: what several alternatives, or two ways of seeing it, say alike."""
    seen: dict[object, Finding] = {}
    for finding in findings:
        key = (finding.code, finding.location, finding.names)
        known = seen.get(key)
        if known is None or (known.confidence is Confidence.LIKELY and finding.confidence is Confidence.CERTAIN):
            seen[key] = finding
    return list(seen.values())


class _File:
    """One file before its judges."""

    def __init__(self, facts: FileFacts, witnesses: Witnesses, lock: Lock, defined: frozenset[str]) -> None:
        self.path = facts.path
        self.facts = facts
        self.witnesses = witnesses
        self.lock = lock
        self.defined = defined
        # what the baseline's cell holds is not known: it works today, so nothing is missing in it
        self.on_baseline = Reach(facts.guards, witnesses.baseline, lambda _: True)
        self.on_target = Reach(facts.guards, witnesses.target, lock.is_provided)
        self.on_equal_baseline = Reach(facts.guards, witnesses.baseline, lock.is_provided)
        self.patched = {(one.module, one.path): one for one in facts.patches if self.on_target.runs(one.guard)}

    def findings(self) -> Iterator[Finding]:
        yield from compiler_findings(self.facts, self.witnesses)
        for reference in self.facts.references:
            if not self.patched or not self._is_patched(reference):
                yield from self._of_reference(reference)
        for fact in self.facts.rules:
            yield from self._of_rule(fact)
        yield from self._of_loose()
        yield from packaging_findings(self.facts, self.witnesses, self.on_target, self.lock)

    def _is_patched(self, reference: Reference) -> bool:
        """Whether the file itself sets the name."""
        steps = reference.path.replace("()", "").split(".")
        names = [".".join(steps[:count]) for count in range(len(steps) + 1)]
        names += [f"{name}.{ANY_NAME}".removeprefix(".") for name in names[:-1]]
        known = [(reference.module, name) for name in names]
        patches = [self.patched[name] for name in known if name in self.patched]
        return any(reference.line not in one.before for one in patches)

    # ---- names of the library

    def _of_reference(self, reference: Reference) -> Iterator[Finding]:
        if reference.kind == Kind.BARE:
            yield from self._bare(reference)
            return
        target = self.witnesses.on_target(reference.module, reference.path)
        baseline = self.witnesses.on_baseline(reference.module, reference.path)
        if target.present is False:
            if self.on_target.runs(reference.guard, reference.bound):
                yield from self._removed(reference)
        elif target.present:
            if target.warning and self.on_target.runs(reference.guard, reference.bound):
                yield from self._deprecated(reference, target)
            if baseline.present is False:
                yield from self._too_new(reference)
            elif reference.call is not None and baseline.present:
                yield from call_findings(self.path, reference, self.witnesses, self.on_baseline, self.on_target)

    def _removed(self, reference: Reference) -> Iterator[Finding]:
        if reference.kind == Kind.STAR and reference.path:
            yield from self._gone_with_star(reference)
            return
        path = self._culprit(reference)
        if path is None or self.on_target.catches(reference.guard, _failure(reference, path)):
            return
        if self._works_on_baseline(reference, path):
            yield from self._gone(reference, path)

    def _bare(self, reference: Reference) -> Iterator[Finding]:
        """A name that no import has brought where the module or what was taken of it is gone."""
        path = reference.path if self.witnesses.on_target(reference.module, "").present else ""
        if self.witnesses.on_target(reference.module, path).present is not False:
            return
        on = self.on_target
        failed = on.runs(reference.bound) and on.catches(reference.bound, frozenset({"ImportError", *IMPORT_FAILS}))
        if not failed or not on.surely_runs(reference.guard) or on.catches(reference.guard, NAME_FAILS | STAR_FAILS):
            return
        if self._works_on_baseline(reference, path):
            yield from self._gone(reference, path, ": its import may fail, and the name is used all the same")

    def _gone(self, reference: Reference, path: str, more: str = "") -> Iterator[Finding]:
        module = reference.module
        if self.lock.brings_back(module):
            return
        if module.partition(".")[0] == "distutils":
            yield self.lock.distutils_finding(reference, self.path, self.witnesses)
            return
        code = "PY201" if not path else "PY203" if self._is_of_class(module, path) else "PY202"
        what = {"PY201": "the module ", "PY203": "the attribute "}.get(code, "")
        name = name_of(module, path)
        yield Finding(
            code=code,
            message=f"{what}{name} is gone{since(self.witnesses.first_without(module, path))}{more}",
            remedy=self._remedy(module, path),
            confidence=confidence(reference.sure),
            location=location(self.path, reference),
            names=(name,),
            detail=self.witnesses.on_target(module, path).reason,
        )

    def _culprit(self, reference: Reference) -> str | None:
        """The first part of the path that the target lacks; ``None`` where another finding speaks of it."""
        if reference.kind in (Kind.USE, Kind.GIVEN):
            return None
        if self.witnesses.on_target(reference.module, "").present is False:
            # of what is named in a module that is missing, its import has said so
            return "" if reference.kind in (Kind.IMPORT, Kind.DYNAMIC) and not reference.path else None
        steps = reference.path.split(".")
        for count in range(1, len(steps) + 1):
            path = ".".join(steps[:count])
            if self.witnesses.on_target(reference.module, path).present is False:
                called = count < len(steps) and "()" in ".".join(steps[count - 1 :])[:-1].partition(".")[0]
                return None if called or path.endswith("()") or count <= reference.told else path
        return None

    def _works_on_baseline(self, reference: Reference, culprit: str) -> bool:
        """Whether it worked before: what the baseline lacks as well is nothing new, unless it never ran there."""
        has_it = self.witnesses.on_baseline(reference.module, culprit).present
        if not self.on_baseline.runs(reference.guard, reference.bound):
            if has_it is False and self.on_equal_baseline.runs(reference.guard, reference.bound):
                return False  # with the same distributions it failed before: ``ctypes.WinDLL`` where win32api is not
            never = has_it is False and bool(culprit) and reference.kind != Kind.METHOD  # subclasses may have it
            return has_it is True or never
        whole = self.witnesses.on_baseline(reference.module, reference.path).present
        return has_it is True and whole is not False

    def _is_of_class(self, module: str, path: str) -> bool:
        owner = path.rpartition(".")[0]
        if "()" in path:
            return True
        return bool(owner) and self.witnesses.on_target(module, owner).is_class

    def _gone_with_star(self, reference: Reference) -> Iterator[Finding]:
        """A name that only ``from module import *`` can have brought."""
        had = self.witnesses.on_baseline(reference.module, "").members or ()
        has = self.witnesses.on_target(reference.module, "").members
        if has is None or reference.path in has or reference.path not in had:
            return
        if self.on_target.catches(reference.guard, STAR_FAILS):
            return
        name = name_of(reference.module, reference.path)
        version = self.witnesses.first_without(reference.module, reference.path)
        yield Finding(
            code="PY202",
            message=f"{name} is gone{since(version)}: the star import no longer brings it",
            remedy=self._remedy(reference.module, reference.path),
            location=location(self.path, reference),
            names=(name,),
        )

    def _remedy(self, module: str, path: str) -> str:
        known = replacements.of_name(name_of(module, path))
        if known is not None:
            return known.remedy
        for testimony in (*reversed(self.witnesses.between), self.witnesses.baseline):
            warning = testimony.answers.get(Question(module=module, path=path), NO_ANSWER).warning
            if warning:
                return f"as older interpreters say: {warning}"
        return "see what the release notes of Python put in its place"

    def _deprecated(self, reference: Reference, target: Answer) -> Iterator[Finding]:
        if not _warns_here(reference, target) or self.on_target.silences(reference.guard):
            return
        name = name_of(reference.module, reference.path)
        known = replacements.of_name(name)
        removal = removal_of(target.warning)
        removed = str(removal.release) if removal is not None else known.removed if known is not None else ""
        yield Finding(
            code="PY220",
            message=f"{name} is deprecated{f', and gone in {removed}' if removed else ''}",
            remedy=known.remedy if known is not None else target.warning,
            severity=Severity.NOTE if self._is_replaced(reference) else Severity.WARNING,
            confidence=confidence(reference.sure),
            location=location(self.path, reference),
            names=(name,),
            detail=target.warning,
        )

    def _is_replaced(self, reference: Reference) -> bool:
        """Whether setuptools most likely puts its own distutils in place, which does not warn."""
        return reference.module.startswith("distutils") and self.witnesses.target.version < NO_LONGER_SEEDED

    def _too_new(self, reference: Reference) -> Iterator[Finding]:
        if reference.kind in (Kind.USE, Kind.GIVEN, Kind.STAR) or not self.on_baseline.runs(
            reference.guard, reference.bound
        ):
            return
        if self.on_baseline.catches(reference.guard, _failure(reference, reference.path)):
            return
        steps = reference.path.split(".")
        inner = [".".join(steps[:count]) for count in range(1, len(steps)) if "()" in steps[count - 1]]
        owners = ["", *inner] if reference.path else inner
        if 0 < reference.told < len(steps):
            owners.append(".".join(steps[: reference.told]))  # what gave the name has said so
        if all(self.witnesses.on_baseline(reference.module, owner).present is not False for owner in owners):
            yield too_new(self.path, reference, self.witnesses.baseline)

    # ---- hand rules

    def _of_rule(self, fact: RuleFact) -> Iterator[Finding]:
        if fact.rule in NEEDED:
            yield from self._needs(fact, NEEDED[fact.rule])
            return
        meaning = RULES.get(fact.rule)
        if meaning is None or not self.on_target.runs(fact.guard):
            return
        phase = _phase(meaning.phases, self.witnesses.target.version)
        before = _phase(meaning.phases, self.witnesses.baseline.version)
        if phase is None or (phase.raises and self.on_target.catches(fact.guard, frozenset(phase.raises))):
            return
        is_news = phase is not before or not self.on_baseline.runs(fact.guard)
        if phase.code != "PY220" and not is_news:
            return
        if phase.code == "PY220" and self.on_target.silences(fact.guard):
            return
        if fact.rule == "bool-invert" and self._compiler_says("Bitwise inversion"):
            return
        yield Finding(
            code=phase.code,
            message=phase.message.format(fact.detail),
            remedy=meaning.remedy.format(fact.detail),
            severity=phase.severity,
            confidence=confidence(fact.sure),
            location=Location(path=self.path, line=fact.line, column=fact.column),
            names=(fact.detail,) if fact.detail else (),
        )

    def _needs(self, fact: RuleFact, needed: Needed) -> Iterator[Finding]:
        """About something that the baseline refuses, in code that it reaches."""
        on = self.on_baseline
        if self.witnesses.baseline.version >= needed.since or not on.runs(fact.guard):
            return
        if not fact.sure and fact.detail in self.defined:
            return
        if self.witnesses.target.version >= needed.since and not on.catches(fact.guard, frozenset(needed.raises)):
            place = Location(path=self.path, line=fact.line, column=fact.column)
            yield not_there(place, needed.what, self.witnesses.baseline, confidence(fact.sure))

    def _compiler_says(self, text: str) -> bool:
        return any(text in one.message for one in self.witnesses.target_complaints.get(self.path, ()))

    # ---- methods known by their names

    def _of_loose(self) -> Iterator[Finding]:
        """Methods of objects of unknown class: only such as were deprecated before, and that nobody here defines."""
        modules = {one.module for one in self.facts.imports}
        for use in self.facts.loose:
            for question in LIKELY_METHODS[use.name]:
                known = question.module in modules or question.module == "unittest"
                if use.name in self.defined or not known or not self.on_target.runs(use.guard):
                    continue
                baseline = self.witnesses.on_baseline(question.module, question.path)
                target = self.witnesses.on_target(question.module, question.path)
                if self.on_target.catches(use.guard, NAME_FAILS) or not (baseline.present and baseline.warning):
                    continue
                reference = Reference(
                    question.module, question.path, use.line, use.column, use.end_column, Kind.METHOD, use.guard,
                    call=Call(0, (), True, True), sure=False,
                )  # fmt: skip
                if target.present is False:
                    yield from self._removed(reference)
                elif target.warning:
                    yield from self._deprecated(reference, target)


def _phase(phases: Sequence[Phase], version: tuple[int, int]) -> Phase | None:
    found = [phase for phase in phases if phase.since <= version]
    return found[-1] if found else None


def _failure(reference: Reference, culprit: str) -> frozenset[str]:
    """The exceptions that a missing name raises at this place."""
    if reference.kind in (Kind.IMPORT, Kind.STAR) or (reference.kind == Kind.DYNAMIC and not culprit):
        return IMPORT_FAILS
    return FROM_FAILS if reference.kind == Kind.FROM else NAME_FAILS


def _warns_here(reference: Reference, target: Answer) -> bool:
    """Whether the warning comes at this place: some come with the import, others with the call."""
    if reference.kind == Kind.STAR or (not reference.path and reference.kind not in (Kind.IMPORT, Kind.DYNAMIC)):
        return False  # the import of the module has told it
    if reference.kind == Kind.FROM:
        return not target.when_called and bool(reference.path)
    if reference.kind == Kind.PART:
        return not target.when_called
    if reference.kind in (Kind.USE, Kind.GIVEN):
        return target.when_called and reference.call is not None
    if target.when_called and reference.call is None:
        return not target.is_class and reference.kind != Kind.DYNAMIC
    return True
