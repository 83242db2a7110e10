"""What was learnt from interpreters, and what all judges say in the same words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_py312.analysis.scanner.facts.facts import Reference
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Complaint, Question, Testimony
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity

NO_ANSWER = Answer(present=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Witnesses:
    """What was learnt from interpreters. ``between`` are those between baseline and target, in their order.

    ``baseline_complaints`` and ``target_complaints`` are what their compilers say, by the path of the file; a file
    that is not among them was not compiled.
    """

    baseline: Testimony
    target: Testimony
    between: Sequence[Testimony] = ()
    baseline_complaints: Mapping[str, Sequence[Complaint]] = field(default_factory=dict)
    target_complaints: Mapping[str, Sequence[Complaint]] = field(default_factory=dict)

    def on_baseline(self, module: str, path: str) -> Answer:
        return self.baseline.answers.get(Question(module=module, path=path), NO_ANSWER)

    def on_target(self, module: str, path: str) -> Answer:
        return self.target.answers.get(Question(module=module, path=path), NO_ANSWER)

    def first_without(self, module: str, path: str) -> str:
        """``3.11``: the first interpreter asked that does not have it; empty where none of them lacks it."""
        question = Question(module=module, path=path)
        for testimony in (*self.between, self.target):
            if testimony.answers.get(question, NO_ANSWER).present is False:
                return label(testimony.version)
        return ""


def label(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def since(version: str) -> str:
    return f" since {version}" if version else ""


def name_of(module: str, path: str) -> str:
    """The dotted name people know: ``threading.Thread.isAlive``."""
    return f"{module}.{path}".replace("()", "") if path else module


def location(path: str, reference: Reference) -> Location:
    return Location(path=path, line=reference.line, column=reference.column)


def confidence(sure: bool) -> Confidence:
    return Confidence.CERTAIN if sure else Confidence.LIKELY


def too_new(path: str, reference: Reference, baseline: Testimony, parameter: str = "") -> Finding:
    """About something that the baseline does not have yet."""
    name = name_of(reference.module, reference.path)
    what = f"the parameter {parameter} of {name}" if parameter else name
    place, sure = location(path, reference), confidence(reference.sure)
    return not_there(place, what, baseline, sure, f"{name}({parameter})" if parameter else name)


def not_there(place: Location, what: str, baseline: Testimony, sure: Confidence, name: str = "") -> Finding:
    return Finding(
        code="PY210",
        message=f"{what} is not there on {label(baseline.version)}, which the service runs on",
        remedy="guard it by a check of sys.version_info until the baseline is left, or correct the declared baseline",
        severity=Severity.WARNING,
        confidence=sure,
        location=place,
        names=(name or what,),
    )
