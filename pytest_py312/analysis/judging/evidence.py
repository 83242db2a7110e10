"""The evidence that judging is based on, and the wording that all kinds of findings share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_py312.analysis.judging.warning_filters import WarningFilters
from pytest_py312.analysis.scanner.facts.facts import ModuleImport, Reference, RuleMatch
from pytest_py312.analysis.scanner.facts.stdlib_queries import (
    CompilerMessage,
    InterpreterAnswers,
    StdlibAnswer,
    StdlibQuery,
)
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity

NO_ANSWER = StdlibAnswer(present=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What the interpreters answered about the standard library, and what their compilers reported.

    ``intermediate`` are the answers of the interpreters between baseline and target, in their order.
    ``baseline_messages`` and ``target_messages`` are the messages of the compilers by path; a file without an entry was
    not compiled.
    """

    baseline: InterpreterAnswers
    target: InterpreterAnswers
    intermediate: Sequence[InterpreterAnswers] = ()
    baseline_messages: Mapping[str, Sequence[CompilerMessage]] = field(default_factory=dict)
    target_messages: Mapping[str, Sequence[CompilerMessage]] = field(default_factory=dict)
    without_pth: str = ""
    """The place that installs the service into a folder whose .pth files do not run; empty if they do."""
    without_shim: str = ""
    """The place that turns off the ``distutils`` of setuptools (SETUPTOOLS_USE_DISTUTILS); empty if none does."""
    warning_filters: WarningFilters = field(default_factory=WarningFilters)

    def baseline_answer(self, module: str, path: str) -> StdlibAnswer:
        return self.baseline.answers.get(StdlibQuery(module=module, path=path), NO_ANSWER)

    def target_answer(self, module: str, path: str) -> StdlibAnswer:
        return self.target.answers.get(StdlibQuery(module=module, path=path), NO_ANSWER)

    def first_release_without(self, module: str, path: str) -> str:
        """Return the first queried release that lacks a name (``3.11``); empty if none does."""
        query = StdlibQuery(module=module, path=path)
        for interpreter_answers in (*self.intermediate, self.target):
            if interpreter_answers.answers.get(query, NO_ANSWER).present is False:
                return version_label(interpreter_answers.version)
        return ""


def version_label(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def in_release(version: str) -> str:
    """Return `` in 3.11`` to append to a message; empty if the release is unknown."""
    return f" in {version}" if version else ""


def dotted_name(module: str, path: str) -> str:
    """Return the usual dotted name, such as ``threading.Thread.isAlive``."""
    return f"{module}.{path}".replace("()", "") if path else module


def location_of(path: str, fact: ModuleImport | Reference | RuleMatch) -> Location:
    return Location(path=path, line=fact.line, column=fact.column)


def confidence_of(certain: bool) -> Confidence:
    return Confidence.CERTAIN if certain else Confidence.LIKELY


def too_new_finding(path: str, reference: Reference, baseline: InterpreterAnswers, parameter: str = "") -> Finding:
    """Return a finding about a use of something that the baseline does not have yet."""
    name = dotted_name(reference.module, reference.path)
    subject, shown = (f"parameter '{parameter}' of {name}", f"{name}({parameter})") if parameter else (name, name)
    place = location_of(path, reference)
    return missing_on_baseline(place, subject, baseline, confidence_of(reference.sure), shown)


def missing_on_baseline(
    location: Location, subject: str, baseline: InterpreterAnswers, certainty: Confidence, name: str = ""
) -> Finding:
    """Return a finding (PY210) about ``subject``, which does not exist on the baseline."""
    return Finding(
        code="PY210",
        message=f"{subject} is not available on the baseline {version_label(baseline.version)}",
        remedy="guard it with sys.version_info while the baseline is in use, or correct the declared baseline",
        severity=Severity.WARNING,
        confidence=certainty,
        location=location,
        names=(name or subject,),
    )
