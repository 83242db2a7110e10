"""Word the findings of a suite: one for each cause, with its place and remedy."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.core.model.fleet import Cell, Service
from pytest_py312.core.model.measurements import SuiteRun
from pytest_py312.core.text import error_line, pluralize, shorten
from pytest_py312.dependencies.system.known_replacements import SUCCESSORS
from pytest_py312.gate.checks.check import Facts
from pytest_py312.gate.checks.failure_hints import (
    CAUSE_ELSEWHERE,
    GENERAL_REMEDY,
    remedy_for,
)
from pytest_py312.gate.checks.suite_comparison import (
    covers,
    exception_line,
    without_addresses,
)
from pytest_py312.gate.checks.suite_pairing import PairedRuns
from pytest_py312.repository.recipes.suites.pytest_settings import settings_in_folder
from pytest_py312.repository.services.requirements.uninstalled import table_that_provides
from pytest_py312.repository.tree import Tree, join_path
from pytest_py312.runners.suite_job import START_COLLECTOR, further_tests

MAX_CAUSE_LENGTH = 240
"""Characters of the exception line in a message; the detail has all of it."""
MAX_UNPAIRED_IDS = 3
"""Ids of each side that are shown of tests that cannot be paired."""
_UNCOLLECTED = "cannot be collected: "

SUITE_REMEDY = "name them with `suite` in the plan, or set `suite = false` with a reason"
UNREPEATED_REMEDY = "run it on both Pythons yourself, or give it what it needs (`prepare`, `environment` in the plan)"


def uncollected_findings(
    cell: Cell, collectors: Sequence[str], run: SuiteRun, other: Interpreter, facts: Facts
) -> Iterator[Finding]:
    """Yield what could be collected on neither side: it is not checked, which is not the same as failing on both."""
    template = FindingTemplate(
        code="PY407",
        qualifier=f" on {either_interpreter(run.interpreter, other)}, so nothing in it is checked",
        severity=Severity.WARNING,
        noun="test file",
        verb=("cannot be collected", "cannot be collected"),
    )
    optional = facts.optional_requirements(cell.service) if collectors else {}
    for finding in group_by_cause(cell, collectors, run, template):
        module = _missing_module(finding.message)
        table = table_that_provides(module, optional) if module else ""
        if table:
            reason = f"{module} is provided by {table}, which is not installed"
            remedy = f'add "{table}" to `test-requirements` in the plan'
            finding = replace(finding, message=f"{finding.message}; {reason}", remedy=remedy)
        yield finding


def unrepeated_findings(cell: Cell, names: Sequence[str], run: SuiteRun, other: Interpreter) -> Iterator[Finding]:
    """Yield the further commands of the tests that fail on both sides: they may need what a cell has not."""
    where = either_interpreter(run.interpreter, other)
    template = FindingTemplate(
        code="PY407", qualifier=f" on {where}, so the proof does not include it", severity=Severity.WARNING
    )
    yield from group_by_cause(cell, names, run, template)


def unpaired_findings(cell: Cell, pairs: PairedRuns) -> Iterator[Finding]:
    """Yield what cannot be compared test by test, with the ids of both sides."""
    for function, (baseline_ids, target_ids) in sorted(pairs.unpaired.items()):
        sides = ((pairs.baseline.interpreter, baseline_ids), (pairs.target.interpreter, target_ids))
        examples = [f"{on}: {', '.join(ids[:MAX_UNPAIRED_IDS])}" for on, ids in sides]
        yield Finding(
            code="PY406",
            message=f"the parameters in the ids of {function} differ in every run, so {len(baseline_ids)} tests on "
            f"{pairs.baseline.interpreter} and {len(target_ids)} on {pairs.target.interpreter} cannot be paired: only "
            "how many of them pass was compared",
            remedy="give its parameters fixed ids (pytest.param(..., id=...)), so that each test can be compared",
            severity=Severity.WARNING,
            location=_location(cell, function, ""),
            names=(function,),
            detail="\n".join(examples),
        )


def detail_of(run: SuiteRun, name: str) -> str:
    """Return the traceback of a test that did not pass, or of the file that could not be collected."""
    result = run.results.get(name)
    if result is not None:
        return result.detail or result.outcome
    for collector, detail in run.collection_errors.items():
        if covers(collector, name):
            return detail
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingTemplate:
    """How findings of one kind are worded: ``3 tests <verb><qualifier>: <cause>``.

    The message does not name the interpreter, which is in the node id, so that the same problem on several interpreters
    is reported once.
    """

    code: str
    qualifier: str
    severity: Severity = Severity.ERROR
    noun: str = "test"
    verb: tuple[str, str] = ("fails", "fail")
    since: Mapping[str, Interpreter] = field(default_factory=dict)
    note: str = ""
    preexisting: bool = False


def group_by_cause(cell: Cell, names: Iterable[str], run: SuiteRun, template: FindingTemplate) -> Iterator[Finding]:
    """Yield one finding per cause: tests that fail with the same exception are grouped."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_without_own_class(cause_of(run, name), name), []).append(name)
    for members in groups.values():
        cause = cause_of(run, members[0])
        detail = detail_of(run, members[0])
        singular, plural = template.verb
        noun = "further test command" if members[0] in run.commands else template.noun
        count = f"{pluralize(len(members), noun)} {singular if len(members) == 1 else plural}"
        yield Finding(
            code=template.code,
            message=f"{count}{template.qualifier}: "
            + (cause.removeprefix(_UNCOLLECTED) if template.code == "PY407" else cause),
            remedy=UNREPEATED_REMEDY
            if template.code == "PY407" and members[0] in run.commands
            else _remedy(template.code, cause, detail),
            severity=template.severity,
            location=_location(cell, members[0], detail),
            names=tuple(members),
            preexisting=template.preexisting,
            detail="\n".join(part for part in (detail, _since(template, members, run), template.note) if part),
        )


def _without_own_class(cause: str, name: str) -> str:
    """Return a cause in which the classes of the test are not named: ``'A' object has no attribute 'x'``."""
    for part in filter(None, re.split(r"::|\.", name.partition("[")[0])[1:]):
        cause = re.sub(rf"(?<=['\".]){re.escape(part)}(?=['\".])", "...", cause)
    return cause


def _since(template: FindingTemplate, names: list[str], run: SuiteRun) -> str:
    """Return ``since 3.11`` if the tests fail since an interpreter before that of the run."""
    first_interpreters = {template.since[name] for name in names if name in template.since}
    return (
        f"since {min(first_interpreters)}" if first_interpreters and min(first_interpreters) != run.interpreter else ""
    )


def cause_of(run: SuiteRun, name: str) -> str:
    """Return the cause by which tests are grouped."""
    result = run.results.get(name)
    if result is not None and result.outcome in ("skipped", "xfailed"):
        word = "skipped" if result.outcome == "skipped" else "expected to fail"
        return f"{word}: {result.detail.removeprefix('Skipped: ')}"
    detail = detail_of(run, name)
    if not detail:
        return "the test no longer exists"
    if name in run.commands:
        end, _, printed = detail.partition("\n")
        return f"{name.removeprefix('$ ')}: {': '.join(filter(None, (end, error_line(printed))))}"
    line = shorten(without_addresses(exception_line(detail)), MAX_CAUSE_LENGTH)
    if result is not None:
        return line
    return f"pytest fails at its start: {line}" if START_COLLECTOR in run.collection_errors else f"{_UNCOLLECTED}{line}"


def _remedy(code: str, cause: str, detail: str) -> str:
    if code == "PY403":
        return "make it independent of values that change between runs, such as the order of a set"
    if code == "PY404":
        return ""
    if code == "PY407":
        return _uncollected_remedy(cause)
    library = _failing_library(detail)
    if library:
        return f"{CAUSE_ELSEWHERE}{library}: {SUCCESSORS.get(library) or 'require a version of it that runs there'}"
    if cause.startswith(("skipped", "expected to fail", "the test no longer exists")):
        return "make it run on this interpreter as well, or waive it in the plan with a reason"
    return remedy_for(cause) or GENERAL_REMEDY


def _missing_module(text: str) -> str:
    match = re.search(r"No module named '([A-Za-z_]\w*)", text)
    return match[1] if match else ""


def _uncollected_remedy(cause: str) -> str:
    module = _missing_module(cause)
    if module:
        return f"install what provides {module} with the tests (`test-requirements` in the plan), or remove the file"
    return "make it importable, or exclude it from the suite"


def _failing_library(detail: str) -> str:
    """Return the installed package in which a traceback ends; empty if it ends in code of the service."""
    frames = re.findall(r"^(?:(\S+\.py):\d+: |\s*File \"([^\"\n]+\.py)\", line \d+)", detail, re.MULTILINE)
    package_match = re.search(r"site-packages/([A-Za-z]\w*)", "".join(frames[-1])) if frames else None
    return package_match[1] if package_match else ""


def folder_of(service: Service) -> str:
    """Return the folder in which the suite of a service is run."""
    return (service.suite.folder if service.suite is not None else "") or service.path


def warning_filter(service: Service, facts: Facts) -> Location | None:
    """Return where the settings of pytest make warnings errors, if they do."""
    settings = settings_in_folder(Tree(facts.plan.root), folder_of(service))
    if settings.strict_line is None:
        return None
    return Location(path=join_path(folder_of(service), settings.source), line=settings.strict_line)


def _location(cell: Cell, name: str, detail: str) -> Location:
    """Return the file of the test with the line, if the traceback contains it."""
    command = next((each for each in further_tests(cell.service) if each.identifier == name), None)
    if command is not None:
        return Location(path=command.source, line=command.line)
    file = name.split("::")[0]
    path = (
        f"{folder_of(cell.service)}/{file}"
        if "/" in file or file.endswith(".py")
        else cell.service.manifest or cell.service.path
    )
    lines = re.findall(rf"^{re.escape(file)}:(\d+): ", detail, re.MULTILINE)
    return Location(path=path.removeprefix("./"), line=int(lines[-1]) if lines else None)


def beside_remedy(service: Service) -> str:
    """Return what to do if the tests beside a service, which are its own by assumption, prove nothing."""
    return "" if folder_of(service) == service.path else f". If these are not its tests, {SUITE_REMEDY}"


def either_interpreter(first: Interpreter, second: Interpreter) -> str:
    """Return ``3.9 or 3.12``."""
    return " or ".join(str(interpreter) for interpreter in sorted({first, second}))
