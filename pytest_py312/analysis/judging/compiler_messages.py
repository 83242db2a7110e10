"""Turn the messages of the baseline's and the target's compiler about a file into findings."""

from collections.abc import Iterator, Sequence

from pytest_py312.analysis.judging.evidence import Evidence, version_label
from pytest_py312.analysis.oracle.oracle import NOT_COMPILED
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.facts.stdlib_queries import CompilerMessage
from pytest_py312.core.model.findings import Finding, Location, Severity

NOT_CHECKED = "PY299"
"""Code of a finding about a file that could not be checked. The service is then not proven."""


def compiler_findings(facts: FileFacts, evidence: Evidence) -> Iterator[Finding]:
    """Yield findings about syntax that one of the two interpreters rejects, and about warnings of the target's
    compiler.
    """
    baseline_messages = evidence.baseline_messages.get(facts.path)
    target_messages = evidence.target_messages.get(facts.path)
    if target_messages is None:
        if facts.failure is not None:
            yield _unchecked_finding(facts, f"the file cannot be read: {facts.failure.message}", facts.failure.line)
        return
    baseline_errors, target_errors = _errors(baseline_messages or ()), _errors(target_messages)
    target, baseline = version_label(evidence.target.version), version_label(evidence.baseline.version)
    for compiler_message in target_errors[:1]:
        if compiler_message.category == NOT_COMPILED:
            yield _unchecked_finding(facts, compiler_message.message, None)
        elif baseline_errors:
            message = f"neither {baseline} nor {target} can parse it: {compiler_message.message}"
            yield _finding(facts, compiler_message, "PY290", message, Severity.NOTE)
        else:
            message = f"rejected by {target}: {compiler_message.message}"
            yield _finding(facts, compiler_message, "PY205", message, Severity.ERROR)
    if baseline_errors and not target_errors and baseline_errors[0].category != NOT_COMPILED:
        compiler_message = baseline_errors[0]
        message = f"rejected by the baseline {baseline}: {compiler_message.message}"
        yield _finding(facts, compiler_message, "PY210", message, Severity.WARNING)
    if facts.failure is not None and not target_errors:
        message = f"{target} can parse the file, but the Python that runs pytest cannot: {facts.failure.message}"
        yield _unchecked_finding(facts, message, None, f"run pytest with Python {target}")
    for compiler_message in target_messages:
        if not compiler_message.is_error:
            message = f"{target} warns: {compiler_message.message}"
            finding = _finding(facts, compiler_message, "PY221", message, Severity.WARNING)
            yield (
                finding
                if baseline_messages is None
                else evidence.warning_filters.as_error(
                    finding, compiler_message.category, _category_of_same(compiler_message, baseline_messages)
                )
            )


def _category_of_same(compiler_message: CompilerMessage, others: Sequence[CompilerMessage]) -> str:
    """Return the category of the same message of another compiler, which may quote the source otherwise."""
    start = compiler_message.message.split()[:2]
    return next((other.category for other in others if other.message.split()[:2] == start), "")


def _errors(messages: Sequence[CompilerMessage]) -> list[CompilerMessage]:
    return [compiler_message for compiler_message in messages if compiler_message.is_error]


def _finding(
    facts: FileFacts, compiler_message: CompilerMessage, code: str, message: str, severity: Severity
) -> Finding:
    return Finding(
        code=code,
        message=message,
        remedy=_REMEDIES.get(code, ""),
        severity=severity,
        location=Location(path=facts.path, line=compiler_message.line, column=compiler_message.column),
        preexisting=code == "PY290",
    )


_REMEDIES = {
    "PY205": "use syntax that both versions accept",
    "PY210": "use syntax that the baseline accepts, or correct the declared baseline",
    "PY221": "fix it now: a later Python will reject it",
    "PY290": "fix or delete the file: it cannot be in use",
}


def _unchecked_finding(
    facts: FileFacts, message: str, line: int | None, remedy: str = "check the file manually"
) -> Finding:
    return Finding(
        code=NOT_CHECKED,
        message=f"not checked: {message}",
        remedy=remedy,
        severity=Severity.WARNING,
        location=Location(path=facts.path, line=line),
    )
