"""Compare calls with signatures: parameters that were removed, are deprecated or do not exist yet."""

from collections.abc import Iterator

from pytest_py312.analysis.judging.evidence import (
    NO_ANSWER,
    Evidence,
    confidence_of,
    dotted_name,
    in_release,
    location_of,
    missing_on_baseline,
    too_new_finding,
    version_label,
)
from pytest_py312.analysis.judging.reachability import Reachability
from pytest_py312.analysis.judging.replacement_table import PARAMETER_REPLACEMENTS
from pytest_py312.analysis.judging.warning_filters import WARNING_ERRORS
from pytest_py312.analysis.scanner.facts.facts import Reference
from pytest_py312.analysis.scanner.facts.stdlib_queries import Signature, StdlibAnswer, StdlibQuery
from pytest_py312.core.model.findings import Finding, Severity
from pytest_py312.core.text import pluralize

CALL_ERRORS = frozenset({"TypeError"})


def call_findings(
    path: str, reference: Reference, evidence: Evidence, on_baseline: Reachability, on_target: Reachability
) -> Iterator[Finding]:
    """Report problems of one call to something that exists on both interpreters."""
    baseline_answer = evidence.baseline_answer(reference.module, reference.path)
    target_answer = evidence.target_answer(reference.module, reference.path)
    guards = (reference.guard, reference.binding_guard)
    if target_answer.signature is not None and on_target.may_run(*guards):
        is_raised = not on_target.is_caught(reference.guard, WARNING_ERRORS)
        for parameter, finding in _deprecated_parameters(path, reference, target_answer.signature):
            of_baseline = baseline_answer.signature.deprecated if baseline_answer.signature is not None else ()
            is_new = is_raised and parameter not in dict(of_baseline)
            yield evidence.warning_filters.as_error(finding, "DeprecationWarning") if is_new else finding
        caught = on_target.is_caught(reference.guard, CALL_ERRORS)
        if baseline_answer.signature is not None and not caught:
            yield from _refused_arguments(path, reference, baseline_answer.signature, target_answer.signature, evidence)
    if baseline_answer.signature is None or target_answer.signature is None or not on_baseline.may_run(*guards):
        return
    if on_baseline.is_caught(reference.guard, CALL_ERRORS):
        return
    for name in _unknown_keywords(reference, baseline_answer.signature):
        takes_any_keyword_now = target_answer.signature.any_keyword and not baseline_answer.signature.keywords
        if name in target_answer.signature.keywords or takes_any_keyword_now:
            yield too_new_finding(path, reference, evidence.baseline, name)
    missing = [
        name
        for name in _missing_arguments(reference, baseline_answer.signature)
        if name not in target_answer.signature.required
    ]
    if missing and not _missing_arguments(reference, target_answer.signature):
        name = dotted_name(reference.module, reference.path)
        subject = f"the default of {' and '.join(missing)} of {name}"
        call_location = location_of(path, reference)
        yield missing_on_baseline(call_location, subject, evidence.baseline, confidence_of(reference.sure), f"{name}()")


def _unknown_keywords(reference: Reference, signature: Signature) -> list[str]:
    if reference.call is None or signature.any_keyword:
        return []
    return [name for name in reference.call.keywords if name not in signature.keywords]


def _missing_arguments(reference: Reference, signature: Signature) -> list[str]:
    """Return required parameters that the call does not pass."""
    call = reference.call
    if call is None or call.starred or call.double_starred:
        return []
    passed = {*signature.positional[: call.positional], *call.keywords}
    return [name for name in signature.required if name not in passed]


def _dropped_keywords(reference: Reference, baseline: Signature, target: Signature) -> list[str]:
    """Return deprecated parameters that the target no longer names because it forwards unknown keywords.

    ``etype`` was not deprecated before, but is rejected by those to whom functions of traceback forward their keywords.
    """
    if reference.call is None or not target.any_keyword:
        return []
    dropped = ({name for name, _ in baseline.deprecated} | {"etype"}) - set(target.keywords)
    return [name for name in reference.call.keywords if name in dropped]


def _has_too_many_positional(reference: Reference, signature: Signature) -> bool:
    if reference.call is None or signature.any_positional:
        return False
    return reference.call.positional > len(signature.positional)


def _refused_arguments(
    path: str, reference: Reference, baseline: Signature, target: Signature, evidence: Evidence
) -> Iterator[Finding]:
    name = dotted_name(reference.module, reference.path)
    already_refused = _unknown_keywords(reference, baseline)
    for keyword in (*_unknown_keywords(reference, target), *_dropped_keywords(reference, baseline, target)):
        if keyword not in already_refused:
            version = _first_release_refusing(reference, keyword, evidence)
            replacement = PARAMETER_REPLACEMENTS.get(keyword)
            yield Finding(
                code="PY204",
                message=f"parameter '{keyword}' of {name} was removed{in_release(version)}",
                remedy=replacement.remedy if replacement else f"remove {keyword}: see the documentation of {name}",
                confidence=confidence_of(reference.sure),
                location=location_of(path, reference),
                names=(f"{name}({keyword})",),
            )
    if _has_too_many_positional(reference, target) and not _has_too_many_positional(reference, baseline):
        version = _first_release_refusing(reference, "", evidence)
        yield Finding(
            code="PY204",
            message=f"{name} accepts at most {pluralize(len(target.positional), 'positional argument')}"
            + (f" since {version}" if version else ""),
            remedy=_positional_remedy(baseline, target, name),
            confidence=confidence_of(reference.sure),
            location=location_of(path, reference),
            names=(f"{name}()",),
        )


def _positional_remedy(baseline: Signature, target: Signature, name: str) -> str:
    keyword_only = [
        parameter
        for parameter in baseline.positional
        if parameter not in target.positional and parameter in target.keywords
    ]
    if keyword_only:
        return f"pass it by name: {', '.join(f'{parameter}=' for parameter in keyword_only)}"
    removed = [parameter for parameter in baseline.positional if parameter not in target.positional]
    return f"remove {' and '.join(removed)}" if removed else f"see the documentation of {name}"


def _first_release_refusing(reference: Reference, keyword: str, evidence: Evidence) -> str:
    query = StdlibQuery(module=reference.module, path=reference.path)
    for interpreter_answers in (*evidence.intermediate, evidence.target):
        answer: StdlibAnswer = interpreter_answers.answers.get(query, NO_ANSWER)
        if answer.signature is None:
            continue
        keyword_refused = keyword in _unknown_keywords(reference, answer.signature) if keyword else False
        if keyword_refused or (not keyword and _has_too_many_positional(reference, answer.signature)):
            return version_label(interpreter_answers.version)
    return ""


def _deprecated_parameters(path: str, reference: Reference, signature: Signature) -> Iterator[tuple[str, Finding]]:
    """Yield the deprecated parameters that a call passes, each with its finding."""
    if reference.call is None:
        return
    warnings_by_parameter = dict(signature.deprecated)
    passed = [*signature.positional[: reference.call.positional], *reference.call.keywords]
    name = dotted_name(reference.module, reference.path)
    for parameter in passed:
        if parameter in warnings_by_parameter:
            finding = Finding(
                code="PY220",
                message=f"parameter '{parameter}' of {name} is deprecated",
                remedy=warnings_by_parameter[parameter] or f"remove {parameter}",
                severity=Severity.WARNING,
                confidence=confidence_of(reference.sure),
                location=location_of(path, reference),
                names=(f"{name}({parameter})",),
                detail=warnings_by_parameter[parameter],
            )
            yield parameter, finding
