"""Report what the installed distributions use that the target lacks, one or two findings per distribution.

Before a distribution is reported as broken, its import is tried in the cell.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.analysis.files.file_kinds import ModuleKind
from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.judging.judge import judge_files
from pytest_py312.analysis.judging.rule_table import RULES
from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, ImportChain, InstalledLibrary
from pytest_py312.analysis.libraries.setuptools_state import SetuptoolsState, is_for_building
from pytest_py312.analysis.libraries.summaries.summary import Likelihood, ModuleSummary
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity, SpecifierChange
from pytest_py312.core.text import last_line
from pytest_py312.repository.tree import join_path

REFUSES_PYTHON = RULES["refuses"].phases[0].message

MAX_PLACES = 8
"""Places listed in one finding."""

TryImports = Callable[[Sequence[str]], Mapping[str, str]]
"""Import modules in a cell: module to the end of its traceback, empty if the import succeeds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LibraryProblem:
    """A use of something that the target lacks, in a module of a distribution.

    ``message`` is a sentence without a full stop. ``likelihood`` is how the module runs the code. ``setuptools_module``
    is the module of setuptools that is missing, otherwise empty.
    """

    library: InstalledLibrary
    module: ModuleSummary
    line: int
    message: str
    remedy: str
    likelihood: int
    setuptools_module: str = ""
    works_on_baseline: bool = True
    optional: bool = False
    """Whether the module itself raises, or helps to build other projects. Unless an import of the service certainly
    runs into it, the service may not use it at all.
    """

    @property
    def position(self) -> Location:
        """The place of the problem: in the repository, or in the installed distribution."""
        return Location(path=join_path(self.library.folder, self.module.path), line=self.line)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedProblem:
    """A problem with the chain of imports that leads to it; ``None`` if no import of the service does."""

    problem: LibraryProblem
    chain: ImportChain | None

    @property
    def likelihood(self) -> int | None:
        return None if self.chain is None else min(self.chain.likelihood, self.problem.likelihood)

    @property
    def entry_module(self) -> str:
        """The module through whose import the service reaches the problem."""
        if self.chain is None:
            return ""
        return self.chain.via[0] if self.chain.via else self.problem.module.name

    @property
    def certainly_reached(self) -> bool:
        """Whether the service imports the module in any case, so that a failure of that import breaks it."""
        return self.chain is not None and self.chain.likelihood == Likelihood.AT_IMPORT

    @property
    def modules_to_try(self) -> tuple[str, ...]:
        """The modules whose imports fail if the problem is one at import.

        If it is not certain, the module with the problem has to fail as well: the failure may have another cause.
        """
        names = (self.entry_module,)
        return names if self.likelihood == Likelihood.AT_IMPORT else (*names, self.problem.module.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRemedy:
    """What to do about a distribution that fails on import; empty if nothing better is known."""

    text: str = ""
    changes: tuple[SpecifierChange, ...] = ()


Advice = Callable[[LocatedProblem], ImportRemedy]
NO_REMEDY = ImportRemedy()


def find_problems(
    installed: EnvironmentModules, evidence: Evidence, setuptools_state: SetuptoolsState
) -> Iterator[LibraryProblem]:
    """Yield the problems of all distributions, whether reached or not. Tests that nothing imports are not included."""
    for library in installed.libraries:
        suspects = {
            module.suspect_facts.path: module for module in library.summary.modules if module.suspect_facts is not None
        }
        files = [module.suspect_facts for module in suspects.values() if module.suspect_facts is not None]
        for finding in judge_files(files, evidence) if files else ():
            location = finding.location
            if location is None or finding.severity is not Severity.ERROR or _is_restored(finding, installed):
                continue
            module = suspects[location.path]
            only_when_called = (location.line or 0, location.column or 0) in module.called_positions
            certain = finding.confidence is Confidence.CERTAIN
            if only_when_called and (not certain or _uses_private_name(finding)):
                continue  # libraries often test the version in one function and use such names in another
            yield LibraryProblem(
                library=library,
                module=module,
                line=location.line or 0,
                message=finding.message,
                remedy=finding.remedy,
                optional=finding.message == REFUSES_PYTHON,
                likelihood=Likelihood.WHEN_CALLED
                if only_when_called
                else Likelihood.AT_IMPORT
                if certain
                else Likelihood.CONDITIONAL,
            )
        yield from _setuptools_problems(library, setuptools_state)


def _is_restored(finding: Finding, installed: EnvironmentModules) -> bool:
    """Return whether a distribution installs the removed module again."""
    return any(installed.has(name.partition(".")[0].partition("(")[0]) for name in finding.names)


def _uses_private_name(finding: Finding) -> bool:
    return any(step.startswith("_") for name in finding.names for step in name.split("."))


def _setuptools_problems(library: InstalledLibrary, setuptools_state: SetuptoolsState) -> Iterator[LibraryProblem]:
    for module in library.summary.modules:
        builds = any(is_for_building(setuptools_module) for setuptools_module, _, _ in module.setuptools_imports)
        for setuptools_module, line, likelihood in module.setuptools_imports:
            missing = setuptools_state.why_missing(setuptools_module.partition(".")[0], library.name)
            if missing is not None:
                yield LibraryProblem(
                    library=library,
                    module=module,
                    line=line,
                    message=missing.message,
                    remedy=missing.remedy,
                    likelihood=likelihood,
                    setuptools_module=setuptools_module,
                    optional=builds,
                    works_on_baseline=missing.works_on_baseline,
                )


def locate_problems(problems: Iterable[LibraryProblem], chains: Mapping[str, ImportChain]) -> list[LocatedProblem]:
    """Return the problems to report, with the chains of imports that lead to them.

    If no import of the service leads to a problem, it is reported only if importing its module runs into it and it is
    not about setuptools, which is used to build other projects.
    """
    located_problems = [LocatedProblem(problem=problem, chain=chains.get(problem.module.name)) for problem in problems]
    return [
        located_problem
        for located_problem in located_problems
        if located_problem.likelihood == Likelihood.AT_IMPORT or _is_reportable(located_problem)
    ]


def _is_reportable(located_problem: LocatedProblem) -> bool:
    """Return whether to report a problem that no import of the service certainly runs into."""
    if located_problem.chain is None:
        return (
            located_problem.problem.likelihood == Likelihood.AT_IMPORT and not located_problem.problem.setuptools_module
        )
    return not located_problem.problem.optional


def library_findings(
    problems: Sequence[LocatedProblem],
    proven_imports: frozenset[str],
    try_on_target: TryImports,
    try_on_baseline: TryImports,
    advice: Advice = lambda _: NO_REMEDY,
) -> list[Finding]:
    """Return the findings, worst first.

    Imports that would be an error are tried, and those that may be one. One that succeeds disproves the error; one that
    fails on the baseline with the same message has another cause. ``advice`` is requested for errors only.
    """
    suspected = [
        problem
        for problem in problems
        if problem.certainly_reached and problem.problem.module.name not in proven_imports
    ]
    entry_modules = sorted({module for problem in suspected for module in problem.modules_to_try})
    tried = try_on_target(entry_modules) if entry_modules else {}
    failures = {name: failure for name, failure in tried.items() if failure}
    baseline_failures = try_on_baseline(sorted(failures)) if failures else {}
    new_failures = {
        name for name, failure in failures.items() if last_line(failure) != last_line(baseline_failures.get(name, ""))
    }
    broken = [problem for problem in suspected if new_failures.issuperset(problem.modules_to_try)]
    errors = [_broken_finding(group, failures, baseline_failures, advice) for group in _by_library(broken)]
    broken_ids = set(map(id, broken))
    failing_libraries = {
        name for finding in errors if finding.code == "PY240" and finding.blocks for name in finding.names
    }
    possible = [
        problem
        for problem in problems
        if problem.chain is not None
        and id(problem) not in broken_ids
        and problem.problem.library.name not in failing_libraries
    ]
    return [
        *errors,
        *(_library_finding(group, "may fail when used", Severity.WARNING, "") for group in _by_library(possible)),
        *map(_unreached_finding, _by_library(problem for problem in problems if problem.chain is None)),
    ]


def _broken_finding(
    group: Sequence[LocatedProblem],
    failures: Mapping[str, str],
    baseline_failures: Mapping[str, str],
    advice: Advice,
) -> Finding:
    """Return the finding on a library whose import fails on the target."""
    finding = _library_finding(group, "fails on import", Severity.ERROR, failures[group[0].entry_module])
    fails_on_baseline = all(baseline_failures.get(problem.entry_module) for problem in group)
    preexisting = fails_on_baseline or not any(problem.problem.works_on_baseline for problem in group)
    advised = NO_REMEDY if preexisting else advice(group[0])
    return replace(finding, preexisting=preexisting, remedy=advised.text or finding.remedy, changes=advised.changes)


def _by_library(problems: Iterable[LocatedProblem]) -> list[list[LocatedProblem]]:
    groups: dict[tuple[str, bool], list[LocatedProblem]] = {}
    for problem in problems:
        groups.setdefault((problem.problem.library.name, bool(problem.problem.setuptools_module)), []).append(problem)
    return [sorted(group, key=_sort_key) for _, group in sorted(groups.items())]


def _sort_key(located_problem: LocatedProblem) -> tuple[int, str, int]:
    return -(located_problem.likelihood or 0), located_problem.problem.module.path, located_problem.problem.line


def _library_finding(group: Sequence[LocatedProblem], effect: str, severity: Severity, failure: str) -> Finding:
    first = group[0].problem
    code = "PY243" if first.setuptools_module else "PY240" if severity is Severity.ERROR else "PY241"
    more = f", and {len(group) - 1} more" if len(group) > 1 else ""
    return Finding(
        code=code,
        message=f"{first.library} {effect}: {first.message} ({first.position}{_module_kind_text(first)}{more})",
        remedy=_remedy(first),
        severity=severity,
        confidence=Confidence.CERTAIN if severity is Severity.ERROR else Confidence.LIKELY,
        location=_place_to_change(group[0]),
        names=(first.library.name,),
        detail="\n".join([*_describe_places(group), *failure.strip().splitlines()[-3:]]),
    )


def _place_to_change(located: LocatedProblem) -> Location | None:
    """Return the line in the repository with the problem, or the import by which the service reaches it."""
    if located.problem.library.folder:
        return located.problem.position
    root = located.chain.root if located.chain is not None else None
    return Location(path=root.path, line=root.line) if root is not None else None


def _remedy(problem: LibraryProblem) -> str:
    if problem.library.folder:
        return problem.remedy
    return f"try a newer version of {problem.library.name}"


def _unreached_finding(group: Sequence[LocatedProblem]) -> Finding:
    first = group[0].problem
    modules = {problem.problem.module.path for problem in group}
    count = f"{len(modules)} modules" if len(modules) > 1 else next(iter(modules))
    return Finding(
        code="PY242",
        message=f"{first.library} uses removed names in {count}, which no import of the service reaches",
        severity=Severity.NOTE,
        names=(first.library.name,),
        detail="\n".join(_describe_places(group)),
    )


def _describe_places(group: Sequence[LocatedProblem]) -> list[str]:
    lines = []
    for problem in group[:MAX_PLACES]:
        text = f"{problem.problem.position}: {problem.problem.message}{_module_kind_text(problem.problem)}"
        if problem.chain is not None:
            text += f" ({_describe_chain(problem)})"
        lines.append(text)
    hidden_count = len(group) - len(lines)
    return [*lines, f"and {hidden_count} more places"] if hidden_count > 0 else lines


def _describe_chain(problem: LocatedProblem) -> str:
    """Describe from which import of the service, through which modules and when the code runs."""
    assert problem.chain is not None
    root = problem.chain.root
    steps = [step for step in problem.chain.via if step != problem.problem.module.name]
    through = f" through {' and '.join(steps[-2:])}" if steps else ""
    when = {
        Likelihood.AT_IMPORT: "",
        Likelihood.CONDITIONAL: ", perhaps",
        Likelihood.WHEN_CALLED: ", when called",
    }[problem.likelihood or 0]
    return f"from {root.path}:{root.line}{through}{when}"


def _module_kind_text(problem: LibraryProblem) -> str:
    words = {ModuleKind.VENDORED: ", in a vendored copy of another project", ModuleKind.TESTS: ", in its tests"}
    return words.get(problem.module.kind, "")
