"""Calls against signatures: parameters that are gone, are going, or have not come yet."""

from collections.abc import Iterator

from pytest_py312.analysis.judging import replacements
from pytest_py312.analysis.judging.evidence import (
    NO_ANSWER,
    Witnesses,
    confidence,
    label,
    location,
    name_of,
    not_there,
    since,
    too_new,
)
from pytest_py312.analysis.judging.reachability import Reach
from pytest_py312.analysis.scanner.facts.facts import Reference
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question, Signature
from pytest_py312.core.model.findings import Finding, Severity

CALL_FAILS = frozenset({"TypeError"})


def call_findings(
    path: str, reference: Reference, witnesses: Witnesses, on_baseline: Reach, on_target: Reach
) -> Iterator[Finding]:
    """What is wrong with one call of something that both interpreters have."""
    before = witnesses.on_baseline(reference.module, reference.path)
    after = witnesses.on_target(reference.module, reference.path)
    places = (reference.guard, reference.bound)
    if after.signature is not None and on_target.runs(*places):
        yield from _deprecated(path, reference, after.signature)
        caught = on_target.catches(reference.guard, CALL_FAILS)
        if before.signature is not None and not caught:
            yield from _refused(path, reference, before.signature, after.signature, witnesses)
    if before.signature is None or after.signature is None or not on_baseline.runs(*places):
        return
    if on_baseline.catches(reference.guard, CALL_FAILS):
        return
    for name in _keywords_refused(reference, before.signature):
        all_by_now = after.signature.any_keyword and not before.signature.keywords
        if name in after.signature.keywords or all_by_now:
            yield too_new(path, reference, witnesses.baseline, name)
    left_out = [name for name in _left_out(reference, before.signature) if name not in after.signature.required]
    if left_out and not _left_out(reference, after.signature):
        name = name_of(reference.module, reference.path)
        what = f"the default of {' and '.join(left_out)} of {name}"
        place = location(path, reference)
        yield not_there(place, what, witnesses.baseline, confidence(reference.sure), f"{name}()")


def _keywords_refused(reference: Reference, signature: Signature) -> list[str]:
    if reference.call is None or signature.any_keyword:
        return []
    return [name for name in reference.call.keywords if name not in signature.keywords]


def _left_out(reference: Reference, signature: Signature) -> list[str]:
    """Parameters without a default that a call does not give."""
    call = reference.call
    if call is None or call.starred or call.double_starred:
        return []
    given = {*signature.positional[: call.positional], *call.keywords}
    return [name for name in signature.required if name not in given]


def _no_longer_named(reference: Reference, before: Signature, after: Signature) -> list[str]:
    """Parameters that warned, and are named no more by what hands all it does not know on to somebody else.

    ``etype`` is refused, without a warning before, by what functions of traceback hand their keywords on to.
    """
    if reference.call is None or not after.any_keyword:
        return []
    gone = ({name for name, _ in before.deprecated} | {"etype"}) - set(after.keywords)
    return [name for name in reference.call.keywords if name in gone]


def _too_many(reference: Reference, signature: Signature) -> bool:
    if reference.call is None or signature.any_positional:
        return False
    return reference.call.positional > len(signature.positional)


def _refused(
    path: str, reference: Reference, before: Signature, after: Signature, witnesses: Witnesses
) -> Iterator[Finding]:
    name = name_of(reference.module, reference.path)
    known = _keywords_refused(reference, before)
    for keyword in (*_keywords_refused(reference, after), *_no_longer_named(reference, before, after)):
        if keyword not in known:
            version = _first_refusing(reference, keyword, witnesses)
            replacement = replacements.PARAMETERS.get(keyword)
            yield Finding(
                code="PY204",
                message=f"{name} no longer takes the parameter {keyword}{since(version)}",
                remedy=replacement.remedy if replacement else f"leave {keyword} out: see the documentation of {name}",
                confidence=confidence(reference.sure),
                location=location(path, reference),
                names=(f"{name}({keyword})",),
            )
    if _too_many(reference, after) and not _too_many(reference, before):
        yield Finding(
            code="PY204",
            message=f"{name} takes at most {len(after.positional)} positional arguments by now"
            f"{since(_first_refusing(reference, '', witnesses))}",
            remedy=_more_remedy(before, after, name),
            confidence=confidence(reference.sure),
            location=location(path, reference),
            names=(f"{name}()",),
        )


def _more_remedy(before: Signature, after: Signature, name: str) -> str:
    by_name = [one for one in before.positional if one not in after.positional and one in after.keywords]
    if by_name:
        return f"name the parameter: {', '.join(f'{one}=' for one in by_name)}"
    gone = [one for one in before.positional if one not in after.positional]
    return f"leave {' and '.join(gone)} out" if gone else f"see the documentation of {name}"


def _first_refusing(reference: Reference, keyword: str, witnesses: Witnesses) -> str:
    question = Question(module=reference.module, path=reference.path)
    for testimony in (*witnesses.between, witnesses.target):
        answer: Answer = testimony.answers.get(question, NO_ANSWER)
        if answer.signature is None:
            continue
        refused = keyword in _keywords_refused(reference, answer.signature) if keyword else False
        if refused or (not keyword and _too_many(reference, answer.signature)):
            return label(testimony.version)
    return ""


def _deprecated(path: str, reference: Reference, signature: Signature) -> Iterator[Finding]:
    if reference.call is None:
        return
    texts = dict(signature.deprecated)
    given = [*signature.positional[: reference.call.positional], *reference.call.keywords]
    name = name_of(reference.module, reference.path)
    for parameter in given:
        if parameter in texts:
            yield Finding(
                code="PY220",
                message=f"the parameter {parameter} of {name} is deprecated",
                remedy=texts[parameter] or f"leave {parameter} out",
                severity=Severity.WARNING,
                confidence=confidence(reference.sure),
                location=location(path, reference),
                names=(f"{name}({parameter})",),
                detail=texts[parameter],
            )
