"""Derive findings from facts and evidence: what works on the baseline and fails on the target, and what warns.

Nothing is read or run here. Code that an interpreter cannot reach is ignored for that interpreter.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from pytest_py312.analysis.judging.compiler_messages import compiler_findings
from pytest_py312.analysis.judging.evidence import (
    NO_ANSWER,
    Evidence,
    confidence_of,
    dotted_name,
    in_release,
    location_of,
    missing_on_baseline,
    too_new_finding,
)
from pytest_py312.analysis.judging.packaging import VENV_WITHOUT_SETUPTOOLS, CellDistributions, packaging_findings
from pytest_py312.analysis.judging.reachability import (
    ATTRIBUTE_ERRORS,
    Reachability,
    missing_name_errors,
    warns_at_reference,
)
from pytest_py312.analysis.judging.removals import find_removal
from pytest_py312.analysis.judging.replacement_table import replacement_of
from pytest_py312.analysis.judging.replacements import attach_changes
from pytest_py312.analysis.judging.rule_table import NEW_FEATURES, RULES, NewFeature, RulePhase
from pytest_py312.analysis.judging.signatures import call_findings
from pytest_py312.analysis.judging.suppressions import apply_ignores
from pytest_py312.analysis.judging.warning_filters import WARNING_ERRORS
from pytest_py312.analysis.scanner.facts.facts import (
    ANY_NAME,
    IMPORT_ERRORS,
    Call,
    FileFacts,
    Reference,
    ReferenceKind,
    RuleMatch,
)
from pytest_py312.analysis.scanner.facts.stdlib_names import DISTINCTIVE_METHODS
from pytest_py312.analysis.scanner.facts.stdlib_queries import StdlibAnswer, StdlibQuery
from pytest_py312.core.model.findings import Confidence, Finding, Severity

NAME_ERRORS = frozenset({"NameError"})


def judge_files(
    files: Sequence[FileFacts],
    evidence: Evidence,
    *,
    lock: Mapping[str, str] | None = None,
    declared: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Return the findings of one service, sorted by file and line.

    :param files: linked facts (:func:`pytest_py312.analysis.linking.link.link_files`).
    :param lock: distributions of the target's cell, normalised name to version; ``None`` if unknown.
    :param declared: names of the projects that the service itself requires. They are used if ``lock`` is ``None``.
    """
    distributions = CellDistributions(lock, files, declared)
    defined = frozenset(name for facts in files for name in facts.defined_names)
    findings: list[Finding] = []
    for facts in files:
        file_findings = list(_FileJudge(facts, evidence, distributions, defined).findings())
        findings += [attach_changes(finding, facts) for finding in apply_ignores(facts, _deduplicate(file_findings))]
    return tuple(sorted(findings, key=_sort_key))


def _sort_key(finding: Finding) -> tuple[str, int, int, str]:
    location = finding.location
    if location is None:
        return "", 0, 0, finding.code
    return location.path, location.line or 0, location.column or 0, finding.code


def _deduplicate(findings: Sequence[Finding]) -> list[Finding]:
    """Keep one finding per code, location and names, the most certain one."""
    seen: dict[object, Finding] = {}
    for finding in findings:
        key = (finding.code, finding.location, finding.names)
        previous = seen.get(key)
        if previous is None or (previous.confidence is Confidence.LIKELY and finding.confidence is Confidence.CERTAIN):
            seen[key] = finding
    return list(seen.values())


class _FileJudge:
    """Derivation of the findings of one file."""

    def __init__(
        self, facts: FileFacts, evidence: Evidence, distributions: CellDistributions, defined: frozenset[str]
    ) -> None:
        self.path = facts.path
        self.facts = facts
        self.evidence = evidence
        self.distributions = distributions
        self.defined = defined
        # the distributions of the baseline's cell are unknown; it works today, so nothing is missing there
        self.on_baseline = Reachability(facts.guards, evidence.baseline, lambda _: True)
        self.on_target = Reachability(facts.guards, evidence.target, distributions.is_provided)
        self.on_baseline_with_target_lock = Reachability(facts.guards, evidence.baseline, distributions.is_provided)
        self.patched = {
            (patch.module, patch.path): patch for patch in facts.monkeypatches if self.on_target.may_run(patch.guard)
        }

    def findings(self) -> Iterator[Finding]:
        yield from compiler_findings(self.facts, self.evidence)
        for reference in self.facts.references:
            if not self.patched or not self._is_patched(reference):
                yield from self._reference_findings(reference)
        for fact in self.facts.rule_matches:
            yield from self._rule_findings(fact)
        yield from self._untyped_method_findings()
        yield from packaging_findings(self.facts, self.evidence, self.on_target, self.distributions)

    def _is_patched(self, reference: Reference) -> bool:
        """Return whether the file, or one that runs before it, assigns the name itself."""
        steps = reference.path.replace("()", "").split(".")
        names = [".".join(steps[:count]) for count in range(len(steps) + 1)]
        names += [f"{name}.{ANY_NAME}".removeprefix(".") for name in names[:-1]]
        candidates = [(reference.module, name) for name in names]
        patches = [self.patched[name] for name in candidates if name in self.patched]
        return any(reference.line not in patch.earlier_lines for patch in patches)

    # ---- names of the library

    def _reference_findings(self, reference: Reference) -> Iterator[Finding]:
        if reference.kind == ReferenceKind.MAYBE_UNBOUND:
            yield from self._unbound_findings(reference)
            return
        target = self.evidence.target_answer(reference.module, reference.path)
        baseline = self.evidence.baseline_answer(reference.module, reference.path)
        if target.present is False:
            if self.on_target.may_run(reference.guard, reference.binding_guard):
                yield from self._removal_findings(reference)
        elif target.present:
            if target.warning and self.on_target.may_run(reference.guard, reference.binding_guard):
                yield from self._deprecation_findings(reference, target)
            if baseline.present is False:
                yield from self._too_new_findings(reference)
            elif reference.call is not None and baseline.present:
                yield from call_findings(self.path, reference, self.evidence, self.on_baseline, self.on_target)

    def _removal_findings(self, reference: Reference) -> Iterator[Finding]:
        if reference.kind == ReferenceKind.STAR_IMPORT and reference.path:
            yield from self._removed_from_star_findings(reference)
            return
        missing_path = self._missing_path(reference)
        if missing_path is None:
            return
        is_caught = self.on_target.is_caught(reference.guard, missing_name_errors(reference, missing_path))
        if not is_caught and self._works_on_baseline(reference, missing_path):
            yield from self._removed_name_findings(reference, missing_path)

    def _unbound_findings(self, reference: Reference) -> Iterator[Finding]:
        """Report the use of a name whose import may have failed because the module was removed."""
        path = reference.path if self.evidence.target_answer(reference.module, "").present else ""
        if self.evidence.target_answer(reference.module, path).present is not False:
            return
        reachability = self.on_target
        import_is_caught = reachability.may_run(reference.binding_guard) and reachability.is_caught(
            reference.binding_guard, IMPORT_ERRORS
        )
        if (
            not import_is_caught
            or not reachability.always_runs(reference.guard)
            or reachability.is_caught(reference.guard, ATTRIBUTE_ERRORS | NAME_ERRORS)
        ):
            return
        if self._works_on_baseline(reference, path):
            suffix = ": its import may fail, but the name is used anyway"
            yield from self._removed_name_findings(reference, path, suffix)

    def _removed_name_findings(self, reference: Reference, path: str, suffix: str = "") -> Iterator[Finding]:
        module = reference.module
        if self.distributions.restores_module(module):
            return
        if module.partition(".")[0] == "distutils":
            yield self.distributions.distutils_finding(reference, self.path, self.evidence)
            return
        code = "PY201" if not path else "PY203" if self._is_of_class(module, path) else "PY202"
        name = dotted_name(module, path)
        subject = {"PY201": f"module '{name}'", "PY203": f"attribute '{name}'"}.get(code, name)
        yield Finding(
            code=code,
            message=f"{subject} was removed{in_release(self.evidence.first_release_without(module, path))}{suffix}",
            remedy=self._remedy(module, path),
            confidence=confidence_of(reference.sure),
            location=location_of(self.path, reference),
            names=(name,),
            detail=self.evidence.target_answer(module, path).reason,
        )

    def _missing_path(self, reference: Reference) -> str | None:
        """Return the first part of the path that the target lacks; ``None`` if another finding reports it."""
        if reference.kind in (ReferenceKind.IMPORTED_NAME, ReferenceKind.ALIAS):
            return None
        if self.evidence.target_answer(reference.module, "").present is False:
            # the import of a missing module is reported, not the names in it
            is_import = reference.kind in (ReferenceKind.IMPORT, ReferenceKind.DYNAMIC) and not reference.path
            return "" if is_import else None
        steps = reference.path.split(".")
        for count in range(1, len(steps) + 1):
            path = ".".join(steps[:count])
            if self.evidence.target_answer(reference.module, path).present is False:
                called = count < len(steps) and "()" in ".".join(steps[count - 1 :])[:-1].partition(".")[0]
                return None if called or path.endswith("()") or count <= reference.reported_steps else path
        return None

    def _works_on_baseline(self, reference: Reference, missing_path: str) -> bool:
        """Return whether the name worked on the baseline.

        What the baseline lacks as well is no regression, unless the baseline never runs the code.
        """
        present = self.evidence.baseline_answer(reference.module, missing_path).present
        if not self.on_baseline.may_run(reference.guard, reference.binding_guard):
            if present is False and self.on_baseline_with_target_lock.may_run(reference.guard, reference.binding_guard):
                return False  # pre-existing: with these distributions it would fail on the baseline as well
            never_existed = (
                present is False and bool(missing_path) and reference.kind != ReferenceKind.METHOD
            )  # unless it is a method, which a subclass may define
            return present is True or never_existed
        full_path_present = self.evidence.baseline_answer(reference.module, reference.path).present
        return present is True and full_path_present is not False

    def _is_of_class(self, module: str, path: str) -> bool:
        owner = path.rpartition(".")[0]
        if "()" in path:
            return True
        return bool(owner) and self.evidence.target_answer(module, owner).is_class

    def _removed_from_star_findings(self, reference: Reference) -> Iterator[Finding]:
        """Report a name that only ``from module import *`` can have bound."""
        baseline_members = self.evidence.baseline_answer(reference.module, "").members or ()
        target_members = self.evidence.target_answer(reference.module, "").members
        if target_members is None or reference.path in target_members or reference.path not in baseline_members:
            return
        if self.on_target.is_caught(reference.guard, NAME_ERRORS):
            return
        name = dotted_name(reference.module, reference.path)
        version = self.evidence.first_release_without(reference.module, reference.path)
        yield Finding(
            code="PY202",
            message=f"{name} was removed{in_release(version)}: the star import no longer provides it",
            remedy=self._remedy(reference.module, reference.path),
            location=location_of(self.path, reference),
            names=(name,),
        )

    def _remedy(self, module: str, path: str) -> str:
        replacement = replacement_of(dotted_name(module, path))
        if replacement is not None:
            return replacement.remedy
        for interpreter_answers in (*reversed(self.evidence.intermediate), self.evidence.baseline):
            warning = interpreter_answers.answers.get(StdlibQuery(module=module, path=path), NO_ANSWER).warning
            if warning:
                return f"older interpreters warn: {warning}"
        return "see the release notes of Python for a replacement"

    def _deprecation_findings(self, reference: Reference, answer: StdlibAnswer) -> Iterator[Finding]:
        if not warns_at_reference(reference, answer) or self.on_target.is_silenced(reference.guard):
            return
        name = dotted_name(reference.module, reference.path)
        replacement = replacement_of(name)
        removal = find_removal(answer.warning)
        removed = str(removal.release) if removal else replacement.removed if replacement else ""
        finding = Finding(
            code="PY220",
            message=f"{name} is deprecated{f' and will be removed in {removed}' if removed else ''}",
            remedy=replacement.remedy if replacement is not None else answer.warning,
            severity=Severity.NOTE if self._uses_setuptools_distutils(reference) else Severity.WARNING,
            confidence=confidence_of(reference.sure),
            location=location_of(self.path, reference),
            names=(name,),
            detail=answer.warning,
        )
        baseline = self.evidence.baseline_answer(reference.module, reference.path)
        is_new = not baseline.warning or not self.on_baseline.may_run(reference.guard, reference.binding_guard)
        yield self._as_error(finding, reference.guard, is_new=is_new)

    def _as_error(self, finding: Finding, guard: int, *, is_new: bool) -> Finding:
        """Return a deprecation that is new on the target as an error, if production raises its warning there."""
        if not is_new or self.on_target.is_caught(guard, WARNING_ERRORS):
            return finding
        return self.evidence.warning_filters.as_error(finding, "DeprecationWarning")

    def _uses_setuptools_distutils(self, reference: Reference) -> bool:
        """Return whether the import most likely gets the distutils of setuptools, which does not warn."""
        return reference.module.startswith("distutils") and self.evidence.target.version < VENV_WITHOUT_SETUPTOOLS

    def _too_new_findings(self, reference: Reference) -> Iterator[Finding]:
        kinds = (ReferenceKind.IMPORTED_NAME, ReferenceKind.ALIAS, ReferenceKind.STAR_IMPORT)
        if reference.kind in kinds or not self.on_baseline.may_run(reference.guard, reference.binding_guard):
            return
        if self.on_baseline.is_caught(reference.guard, missing_name_errors(reference, reference.path)):
            return
        steps = reference.path.split(".")
        inner = [".".join(steps[:count]) for count in range(1, len(steps)) if "()" in steps[count - 1]]
        owners = ["", *inner] if reference.path else inner
        if 0 < reference.reported_steps < len(steps):
            owners.append(".".join(steps[: reference.reported_steps]))  # already reported where the name is defined
        if all(self.evidence.baseline_answer(reference.module, owner).present is not False for owner in owners):
            yield too_new_finding(self.path, reference, self.evidence.baseline)

    # ---- hand rules

    def _rule_findings(self, fact: RuleMatch) -> Iterator[Finding]:
        if fact.rule in NEW_FEATURES:
            yield from self._new_feature_findings(fact, NEW_FEATURES[fact.rule])
            return
        rule = RULES.get(fact.rule)
        if rule is None or not self.on_target.may_run(fact.guard):
            return
        target_phase = _phase(rule.phases, self.evidence.target.version)
        baseline_phase = _phase(rule.phases, self.evidence.baseline.version)
        if target_phase is None:
            return
        if target_phase.raises and self.on_target.is_caught(fact.guard, frozenset(target_phase.raises)):
            return
        is_change = target_phase is not baseline_phase or not self.on_baseline.may_run(fact.guard)
        if target_phase.code != "PY220" and not is_change:
            return
        if target_phase.code == "PY220" and self.on_target.is_silenced(fact.guard):
            return
        if fact.rule == "bool-invert" and self._compiler_warns("Bitwise inversion"):
            return
        finding = Finding(
            code=target_phase.code,
            message=target_phase.message.format(fact.detail),
            remedy=rule.remedy.format(fact.detail),
            severity=target_phase.severity,
            confidence=confidence_of(fact.sure),
            location=location_of(self.path, fact),
            names=(fact.detail,) if fact.detail else (),
        )
        yield self._as_error(finding, fact.guard, is_new=is_change) if target_phase.code == "PY220" else finding

    def _new_feature_findings(self, fact: RuleMatch, feature: NewFeature) -> Iterator[Finding]:
        """Report code that runs on the baseline and needs a later release."""
        reachability = self.on_baseline
        if self.evidence.baseline.version >= feature.since or not reachability.may_run(fact.guard):
            return
        if not fact.sure and fact.detail in self.defined:
            return
        if self.evidence.target.version >= feature.since and not reachability.is_caught(
            fact.guard, frozenset(feature.raises)
        ):
            place = location_of(self.path, fact)
            yield missing_on_baseline(place, feature.description, self.evidence.baseline, confidence_of(fact.sure))

    def _compiler_warns(self, text: str) -> bool:
        return any(
            text in compiler_message.message for compiler_message in self.evidence.target_messages.get(self.path, ())
        )

    # ---- methods known by their names

    def _untyped_method_findings(self) -> Iterator[Finding]:
        """Report methods of objects of unknown class by their names.

        Only methods that were deprecated on the baseline are considered, and only names that the service does not
        define.
        """
        modules = {module_import.module for module_import in self.facts.imports}
        for use in self.facts.untyped_methods:
            for query in DISTINCTIVE_METHODS[use.name]:
                is_plausible = query.module in modules or query.module == "unittest"
                if use.name in self.defined or not is_plausible or not self.on_target.may_run(use.guard):
                    continue
                baseline = self.evidence.baseline_answer(query.module, query.path)
                target = self.evidence.target_answer(query.module, query.path)
                if self.on_target.is_caught(use.guard, ATTRIBUTE_ERRORS) or not (baseline.present and baseline.warning):
                    continue
                reference = Reference(
                    query.module, query.path, use.line, use.column, use.end_column, ReferenceKind.METHOD, use.guard,
                    call=Call(0, (), True, True), sure=False,
                )  # fmt: skip
                if target.present is False:
                    yield from self._removal_findings(reference)
                elif target.warning:
                    yield from self._deprecation_findings(reference, target)


def _phase(phases: Sequence[RulePhase], version: tuple[int, int]) -> RulePhase | None:
    reached_phases = [phase for phase in phases if phase.since <= version]
    return reached_phases[-1] if reached_phases else None
