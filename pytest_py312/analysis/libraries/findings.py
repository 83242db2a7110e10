"""What the target lacks of all that is installed for one service: findings, few, one or two for each distribution.

Pure, but for the imports that are tried before anything is called broken.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.analysis.judging.evidence import Witnesses
from pytest_py312.analysis.judging.judge import judge
from pytest_py312.analysis.judging.rule_table import RULES
from pytest_py312.analysis.libraries.import_graph import Installed, Library, Reached
from pytest_py312.analysis.libraries.setuptools_state import Packaging, is_for_building
from pytest_py312.analysis.libraries.summary import How, Module, Part
from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity

REFUSAL = RULES["refuses"].phases[0].message

MOST_PLACES = 8
"""Places that one finding lists."""

Tried = Callable[[Sequence[str]], Mapping[str, str]]
"""Imports modules in a cell for real: module to the end of its traceback, empty where it imports."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """One use, in an installed module, of something that the target does not have.

    ``what`` is a sentence without a full stop; ``how`` is how its module runs it. ``packaging`` is the module of
    setuptools and its kin that is missing, else empty.
    """

    library: Library
    module: Module
    line: int
    what: str
    remedy: str
    how: int
    packaging: str = ""
    works_before: bool = True
    optional: bool = False
    """The module itself raises, or helps to build other projects: where no import of the service surely runs into it,
    it is a feature that somebody else may use."""

    @property
    def place(self) -> str:
        return f"{self.module.path}:{self.line}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Located:
    """A trouble with the way on which the service comes to it; ``None`` where its imports do not lead there."""

    trouble: Trouble
    reached: Reached | None

    @property
    def how(self) -> int | None:
        return None if self.reached is None else min(self.reached.how, self.trouble.how)

    @property
    def entrance(self) -> str:
        """The module by whose import the service comes to the trouble."""
        if self.reached is None:
            return ""
        return self.reached.way[0] if self.reached.way else self.trouble.module.name


Advice = Callable[[Located], str]
"""What to do about something that dies when it is imported; empty where nothing better is known."""


def troubles_of(installed: Installed, witnesses: Witnesses, packaging: Packaging) -> Iterator[Trouble]:
    """All troubles of all distributions, reached or not; those in tests that nothing imports are not known of."""
    for library in installed.libraries:
        suspects = {module.suspects.path: module for module in library.digest.modules if module.suspects is not None}
        files = [module.suspects for module in suspects.values() if module.suspects is not None]
        for found in judge(files, witnesses) if files else ():
            place = found.location
            if place is None or found.severity is not Severity.ERROR or _is_installed(found, installed):
                continue
            module = suspects[place.path]
            called = (place.line or 0, place.column or 0) in module.called
            certain = found.confidence is Confidence.CERTAIN
            if called and (not certain or _is_private(found)):
                continue  # libraries ask for the version in one function and use such names in another
            yield Trouble(
                library=library,
                module=module,
                line=place.line or 0,
                what=found.message,
                remedy=found.remedy,
                optional=found.message == REFUSAL,
                how=How.WHEN_CALLED if called else How.AT_IMPORT if certain else How.PERHAPS,
            )
        yield from _packaging_troubles(library, packaging)


def _is_installed(found: Finding, installed: Installed) -> bool:
    """Whether a distribution brings a module back that the standard library no longer has."""
    return any(installed.has(name.partition(".")[0].partition("(")[0]) for name in found.names)


def _is_private(found: Finding) -> bool:
    return any(step.startswith("_") for name in found.names for step in name.split("."))


def _packaging_troubles(library: Library, packaging: Packaging) -> Iterator[Trouble]:
    for module in library.digest.modules:
        builds = any(is_for_building(asked) for asked, _, _ in module.packaging)
        for asked, line, how in module.packaging:
            lacking = packaging.lacking(asked.partition(".")[0])
            if lacking is not None:
                yield Trouble(
                    library=library,
                    module=module,
                    line=line,
                    what=lacking.what,
                    remedy=lacking.remedy,
                    how=how,
                    packaging=asked,
                    optional=builds,
                    works_before=lacking.works_before,
                )


def located(troubles: Iterable[Trouble], reach: Mapping[str, Reached]) -> list[Located]:
    """Troubles with the ways to them. Where no import of the service leads, only those are told that the import of
    their module runs into, and none that setuptools would mend: it builds other projects."""
    found = [Located(trouble=trouble, reached=reach.get(trouble.module.name)) for trouble in troubles]
    return [one for one in found if one.how == How.AT_IMPORT or _is_told(one)]


def _is_told(one: Located) -> bool:
    """Whether something is worth a word that no import of the service surely runs into."""
    if one.reached is None:
        return one.trouble.how == How.AT_IMPORT and not one.trouble.packaging
    return not one.trouble.optional


def findings_of(
    found: Sequence[Located], proven: frozenset[str], here: Tried, before: Tried, advice: Advice = lambda _: ""
) -> list[Finding]:
    """The findings, the worst first. What would be an error is tried: an import that works disproves it, and one that
    fails on the baseline in the same words fails because of something else. ``advice`` is asked about errors only."""
    suspected = [one for one in found if one.how == How.AT_IMPORT and one.trouble.module.name not in proven]
    entrances = sorted({one.entrance for one in suspected})
    failures = {name: failure for name, failure in (here(entrances) if entrances else {}).items() if failure}
    failed_before = before(sorted(failures)) if failures else {}
    news = {name for name, failure in failures.items() if _last(failure) != _last(failed_before.get(name, ""))}
    broken = [one for one in suspected if one.entrance in news]
    findings = []
    for group in _by_library(broken):
        before_too = all(failed_before.get(one.entrance) for one in group)
        finding = _finding(group, "fails when it is imported", Severity.ERROR, failures[group[0].entrance])
        works_before = any(one.trouble.works_before for one in group)
        told_what = advice(group[0]) if works_before and not before_too else ""
        remedy = told_what or finding.remedy
        findings.append(replace(finding, preexisting=before_too or not works_before, remedy=remedy))
    told = set(map(id, broken))
    dead = {name for finding in findings if finding.code == "PY240" and finding.blocks for name in finding.names}
    may_be = [one for one in found if one.reached is not None and id(one) not in told]
    findings += [
        _finding(group, "may fail when it is used", Severity.WARNING, "")
        for group in _by_library(one for one in may_be if one.trouble.library.name not in dead)
    ]
    findings += [_unreached(group) for group in _by_library(one for one in found if one.reached is None)]
    return findings


def _last(failure: str) -> str:
    """The exception, of the end of a traceback."""
    return (failure.strip().splitlines() or [""])[-1]


def _by_library(found: Iterable[Located]) -> list[list[Located]]:
    groups: dict[tuple[str, bool], list[Located]] = {}
    for one in found:
        groups.setdefault((one.trouble.library.name, bool(one.trouble.packaging)), []).append(one)
    return [sorted(group, key=_rank) for _, group in sorted(groups.items())]


def _rank(one: Located) -> tuple[int, str, int]:
    return -(one.how or 0), one.trouble.module.path, one.trouble.line


def _finding(group: Sequence[Located], how: str, severity: Severity, failure: str) -> Finding:
    first = group[0].trouble
    code = "PY243" if first.packaging else "PY240" if severity is Severity.ERROR else "PY241"
    reached = group[0].reached
    more = f", and {len(group) - 1} more" if len(group) > 1 else ""
    return Finding(
        code=code,
        message=f"{first.library} {how}: {first.what} ({first.place}{_of_copy(first)}{more})",
        remedy=_remedy(first),
        severity=severity,
        confidence=Confidence.CERTAIN if severity is Severity.ERROR else Confidence.LIKELY,
        location=Location(path=reached.root.path, line=reached.root.line) if reached else None,
        names=(first.library.name,),
        detail="\n".join([*_places(group), *failure.strip().splitlines()[-3:]]),
    )


def _remedy(trouble: Trouble) -> str:
    newer = f"try a newer version of {trouble.library.name}"
    return f"{newer}, or {trouble.remedy}" if trouble.packaging else newer


def _unreached(group: Sequence[Located]) -> Finding:
    first = group[0].trouble
    modules = {one.trouble.module.path for one in group}
    count = f"{len(modules)} modules" if len(modules) > 1 else next(iter(modules))
    return Finding(
        code="PY242",
        message=f"{first.library} uses what is gone in {count}, to which no import of the service leads",
        severity=Severity.NOTE,
        names=(first.library.name,),
        detail="\n".join(_places(group)),
    )


def _places(group: Sequence[Located]) -> list[str]:
    lines = []
    for one in group[:MOST_PLACES]:
        text = f"{one.trouble.place}: {one.trouble.what}{_of_copy(one.trouble)}"
        if one.reached is not None:
            text += f" ({_way(one)})"
        lines.append(text)
    left = len(group) - len(lines)
    return [*lines, f"and {left} more places"] if left > 0 else lines


def _way(one: Located) -> str:
    """In words: from which import of the service, through which modules, and when it runs."""
    assert one.reached is not None
    root = one.reached.root
    steps = [step for step in one.reached.way if step != one.trouble.module.name]
    through = f" through {' and '.join(steps[-2:])}" if steps else ""
    when = {How.AT_IMPORT: "", How.PERHAPS: ", perhaps", How.WHEN_CALLED: ", when it is called"}[one.how or 0]
    return f"from {root.path}:{root.line}{through}{when}"


def _of_copy(trouble: Trouble) -> str:
    words = {Part.VENDORED: ", in its copy of another project", Part.TESTS: ", in its tests"}
    return words.get(trouble.module.part, "")
