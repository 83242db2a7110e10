"""Advise on a distribution that fails on import: find the first newer version that works, or report that there is none.

Some versions between the installed one and the newest are installed into the store and scanned.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from pytest_py312.analysis.judging.evidence import Evidence
from pytest_py312.analysis.libraries.findings import LocatedProblem, find_problems, locate_problems
from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, ImportRoot, InstalledLibrary
from pytest_py312.analysis.libraries.setuptools_state import SetuptoolsState
from pytest_py312.analysis.libraries.summaries.summary import Likelihood
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import TargetEnvironment, accepts_prereleases
from pytest_py312.dependencies.diagnosis.package_index import IndexPage, PackageIndex, PageState
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.store.distribution_store import DistributionStore
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.known_replacements import SUCCESSORS

MAX_TRIED = 6
"""Versions that are downloaded per distribution."""
MAX_BUILD_TIME = 60.0
"""Time limit of the build of one source, in seconds."""
MAX_SIZE = 40 * 1024**2
"""Size in bytes. Other versions of larger distributions are not downloaded just to give advice."""

FIRST_GOOD = "the first version without the problem"
FIRST_GOOD_VERSION = re.compile(rf"require (?P<requirement>[\w.-]+>=[\w.!+-]+), {FIRST_GOOD}")
"""The remedy that names such a version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpgradeSearch:
    """``first_good`` is the first version without the problem, empty if there is none; ``latest`` is the newest one
    examined.
    """

    first_good: str
    latest: str


def newer_versions(page: IndexPage, version: str, target: TargetEnvironment) -> list[str]:
    """Return the releases after ``version`` with a wheel for the target, ascending; without any, those with a source.

    Pre-releases are among them if ``version`` is one itself, or if the project has nothing else.
    """
    releases: dict[Version, str] = {}
    for text in page.files:
        try:
            releases[Version(text)] = text
        except InvalidVersion:
            continue
    try:
        current = Version(version)
    except InvalidVersion:
        return []
    prereleases = accepts_prereleases(current, releases)
    newer = [
        release for release in sorted(releases) if release > current and (prereleases or not release.is_prerelease)
    ]
    with_wheel = [releases[release] for release in newer if has_usable_wheel(page, releases[release], target)]
    return with_wheel or [releases[release] for release in newer if _has_usable_source(page, releases[release], target)]


def has_usable_wheel(page: IndexPage, version: str, target: TargetEnvironment) -> bool:
    """Return whether a version has a wheel that the target can install."""
    return any(
        file.tags and not file.yanked and target.accepts_python(file.requires_python) and target.accepts_tags(file.tags)
        for file in page.files[version]
    )


def _has_usable_source(page: IndexPage, version: str, target: TargetEnvironment) -> bool:
    files = page.files[version]
    return any(not (file.tags or file.yanked) and target.accepts_python(file.requires_python) for file in files)


def find_first_good(versions: Sequence[str], is_bad: Callable[[str], bool]) -> UpgradeSearch:
    """Return the first good one of the ascending ``versions``, by bisection.

    This assumes that a fixed problem does not come back. ``versions`` must not be empty.
    """
    latest = versions[-1]
    if is_bad(latest):
        return UpgradeSearch(first_good="", latest=latest)
    low, high = 0, len(versions) - 1  # versions[high] is good
    tries = 1
    while low < high and tries < MAX_TRIED:
        middle = (low + high) // 2
        tries += 1
        if is_bad(versions[middle]):
            low = middle + 1
        else:
            high = middle
    return UpgradeSearch(first_good=versions[high], latest=latest)


@dataclass(frozen=True, kw_only=True, slots=True)
class UpgradeFinder:
    """Finder of newer versions in the index from which a cell installs its distributions.

    ``undetermined`` is called if the answer is unknown for a reason outside of the versions.
    """

    store: DistributionStore
    index: PackageIndex
    target: TargetEnvironment
    build: InterpreterBuild
    undetermined: Callable[[], None]

    def first_without(
        self, entry: StoredDistribution, pin: Pin, is_bad: Callable[[StoredDistribution], bool]
    ) -> UpgradeSearch | None:
        """Return the first version after ``entry`` that is not ``is_bad``; ``None`` if this cannot be determined."""
        if pin.from_source or " @ " in pin.line or _size(entry) > MAX_SIZE:
            return None
        page = self.index.page(entry.name)
        if page.state is not PageState.FOUND:
            return None
        versions = newer_versions(page, entry.version, self.target)
        if not versions:
            return UpgradeSearch(first_good="", latest=entry.version)
        try:
            from_source = not has_usable_wheel(page, versions[-1], self.target)
            return find_first_good(versions, lambda version: is_bad(self._install(pin, version, from_source)))
        except Unresolvable:
            return None
        except (Undetermined, OSError):
            self.undetermined()
            return None

    def _install(self, pin: Pin, version: str, from_source: bool) -> StoredDistribution:
        line = f"{pin.name}=={version}"
        candidate = Pin(name=pin.name, version=version, line=line, index=pin.index, from_source=from_source)
        self.store.fill([candidate], self.build, ResolutionRequest(lines=(line,)), MAX_BUILD_TIME)
        entry = self.store.get(candidate, self.build)
        if entry is None:
            raise Undetermined(f"{candidate.line} installed nothing")
        return entry


def _size(entry: StoredDistribution) -> int:
    return sum(file.stat().st_size for file in (entry.folder / "lib").rglob("*") if file.is_file())


@dataclass(frozen=True, kw_only=True, slots=True)
class UpgradeAdvisor:
    """Advice on upgrades of installed distributions.

    ``summarize`` summarizes an installed distribution, and ``gather_evidence`` queries the interpreters about it.
    """

    versions: UpgradeFinder
    entries: Sequence[StoredDistribution]
    pins: Sequence[Pin]
    setuptools_state: SetuptoolsState
    summarize: Callable[[StoredDistribution], InstalledLibrary]
    gather_evidence: Callable[[EnvironmentModules], Evidence]

    def __call__(self, problem: LocatedProblem) -> str:
        """Return the remedy; empty if nothing was found out."""
        name = problem.problem.library.name
        entry = next((entry for entry in self.entries if entry.name == name), None)
        pin = next((pin for pin in self.pins if pin.name == name), None)
        if entry is None or pin is None:
            return ""
        upgrade = self.versions.first_without(entry, pin, lambda other: self._is_bad(problem, other))
        return remedy_for(problem, upgrade)

    def _is_bad(self, problem: LocatedProblem, candidate: StoredDistribution) -> bool:
        """Return whether another version, imported as the service imports this one, would have such a problem."""
        installed = EnvironmentModules([self.summarize(candidate)])
        entry_module = entered_at(problem)
        if installed.module(entry_module) is None:
            return True  # it lacks the module that is imported
        root = ImportRoot(path="", line=0, target=entry_module, likelihood=Likelihood.AT_IMPORT)
        candidate_problems = locate_problems(
            find_problems(installed, self.gather_evidence(installed), self.setuptools_state),
            installed.import_chains([root]),
        )
        return any(
            candidate_problem.likelihood == Likelihood.AT_IMPORT
            or (candidate_problem.certainly_reached and candidate_problem.problem.message == problem.problem.message)
            for candidate_problem in candidate_problems
        )


def entered_at(problem: LocatedProblem) -> str:
    """Return the first module of the library with the problem that the chain of imports reaches.

    Its inner modules may be others in another version; what is imported from outside has to be there.
    """
    inner = problem.problem.module.name
    own = {module.name for module in problem.problem.library.summary.modules}
    chain = problem.chain.via if problem.chain is not None else ()
    return next((module for module in (*chain, inner) if module in own), inner)


def remedy_for(problem: LocatedProblem, upgrade: UpgradeSearch | None) -> str:
    """Describe the remedy: the first version without the problem, or that there is none, and a successor of the
    project.

    Where such a version was found by trying it, nothing that was not tried is named beside it.
    """
    library = problem.problem.library
    if upgrade is not None and upgrade.first_good:
        return f"require {library.name}>={upgrade.first_good}, {FIRST_GOOD}"
    if upgrade is None and library.name not in SUCCESSORS:
        return ""
    text = f"replace {library.name}{_no_upgrade_reason(library, upgrade)}"
    return f"{text}: {SUCCESSORS[library.name]}" if library.name in SUCCESSORS else text


def _no_upgrade_reason(library: InstalledLibrary, upgrade: UpgradeSearch | None) -> str:
    if upgrade is None:
        return ""
    if upgrade.latest == library.version:
        return " (it has no newer version)"
    return f" ({upgrade.latest} has the same problem)"
