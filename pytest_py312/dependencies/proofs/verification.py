"""Verify that an environment holds what its lock names: each distribution once, in its version, with its files.

What runs in an environment proves something about the requirements only if they are all there. So the metadata in its
site-packages are read again after it was built, whatever the tools that installed it have reported.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from csv import Error as CsvError
from csv import reader as csv_reader
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

MAX_DEVIATIONS = 5
"""Deviations that :func:`describe_deviations` names."""

_MOVED = re.compile(r"[^/]+\.data/(?:scripts|data|headers)/")


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledMetadata:
    """The metadata of a distribution in an environment. ``missing_files`` are in its RECORD and not installed.

    ``name`` is normalised. ``has_record``: there is a RECORD, and it can be read.
    """

    name: str
    version: str
    has_record: bool = True
    missing_files: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedDistribution:
    """A distribution that an environment should hold; any version if ``version`` is empty (an archive at a URL)."""

    name: str
    version: str


def read_installed(environment: Path, build: InterpreterBuild) -> tuple[InstalledMetadata, ...]:
    """Read the metadata of all distributions in an environment. What cannot be read has an empty name or version."""
    site = environment / "lib" / f"python{build.interpreter}" / "site-packages"
    return tuple(_read_metadata(info, site, environment) for info in sorted(site.glob("*.dist-info")))


def _read_metadata(info: Path, site: Path, environment: Path) -> InstalledMetadata:
    try:
        headers = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8", errors="replace"))
        name, version = str(headers["Name"] or ""), str(headers["Version"] or "")
    except OSError:
        name, version = "", ""
    name = canonicalize_name(name) if name else info.name
    try:
        with (info / "RECORD").open(encoding="utf-8", errors="replace", newline="") as file:
            paths = [row[0] for row in csv_reader(file) if row and row[0] and "\0" not in row[0]]
    except (OSError, CsvError):
        return InstalledMetadata(name=name, version=version, has_record=False)
    return InstalledMetadata(name=name, version=version, missing_files=tuple(_missing_files(paths, site, environment)))


def _missing_files(paths: Iterable[str], site: Path, environment: Path) -> Iterator[str]:
    for path in paths:
        absolute = os.path.normpath(f"{site}/{path}" if not path.startswith("/") else path)
        # byte code is compiled when it is needed, files outside of the environment are never installed, and a RECORD
        # may name the folder from which an installer has moved scripts: https://peps.python.org/pep-0427/
        if path.endswith(".pyc") or _MOVED.match(path) or not absolute.startswith(f"{environment}{os.sep}"):
            continue
        if not os.path.lexists(absolute):
            yield path


def environment_deviations(
    installed: Sequence[InstalledMetadata], expected: Sequence[ExpectedDistribution]
) -> tuple[str, ...]:
    """Return how the content of an environment differs from what it should hold, as sentences without a full stop."""
    by_name: dict[str, list[InstalledMetadata]] = {}
    for metadata in installed:
        by_name.setdefault(metadata.name, []).append(metadata)
    deviations = []
    for wanted in sorted(set(expected), key=lambda item: (item.name, item.version)):
        candidates = by_name.get(wanted.name, [])
        if not candidates:
            deviations.append(f"it lacks {_label(wanted.name, wanted.version)}, which is required")
        elif not any(_same_version(wanted.version, metadata.version) for metadata in candidates):
            versions = " and ".join(metadata.version for metadata in candidates)
            deviations.append(f"it has {wanted.name} {versions} and not {wanted.version}, which is required")
    expected_names = {wanted.name for wanted in expected}
    for name, same_name in sorted(by_name.items()):
        if len(same_name) > 1:
            versions = " and ".join(metadata.version or "no version" for metadata in same_name)
            deviations.append(f"it has {name} more than once: {versions}")
        if name not in expected_names:
            deviations.append(f"it has {_label(name, same_name[0].version)}, which nothing requires")
        for metadata in same_name:
            if not metadata.has_record:
                deviations.append(f"{_label(name, metadata.version)} has no RECORD of its files")
            elif metadata.missing_files:
                first = metadata.missing_files[0]
                more = f" and {len(metadata.missing_files) - 1} more" if len(metadata.missing_files) > 1 else ""
                deviations.append(f"{_label(name, metadata.version)} lacks its file {first}{more}")
    return tuple(deviations)


def requirement_deviations(
    distributions: Sequence[StoredDistribution],
    trees: Collection[str],
    build: InterpreterBuild,
    alone: Collection[str] = (),
    left_out: Collection[str] = (),
    replaced: Collection[str] = (),
) -> tuple[str, ...]:
    """Return the requirements that ``distributions`` do not satisfy.

    A resolver evaluates requirements of the index with what the index says. What a build reports may differ from
    that, so the requirements of built distributions are compared, and those on ``trees``, which no resolver has seen.

    :param trees: names of the distributions that were built from folders of the repository.
    :param alone: names of those that are installed without what they require, as with ``pip install --no-deps``.
    :param left_out: projects that the service's own installers leave out.
    :param replaced: requirements that a later command of the service's own installers replaces.
    """
    versions = {distribution.name: distribution.version for distribution in distributions}
    deviations = []
    for distribution in distributions:
        for line in distribution.requires if distribution.name not in alone else ():
            requirement = _applicable(line, build)
            if requirement is None:
                continue
            name = canonicalize_name(requirement.name)
            if name in left_out or line in replaced or (not distribution.from_source and name not in trees):
                continue
            label = f"{_label(distribution.name, distribution.version)} requires {requirement.name}"
            if name not in versions:
                deviations.append(f"{label}, which is not installed")
            elif not _accepts(requirement, versions[name]):
                deviations.append(f"{label}{requirement.specifier}, and {versions[name]} is installed")
    return tuple(dict.fromkeys(deviations))


def tree_deviations(lines: Iterable[str], trees: Sequence[StoredDistribution], build: InterpreterBuild) -> list[str]:
    """Return the requirement ``lines`` that name one of ``trees`` and exclude its version, which pip refuses."""
    versions = {tree.name: tree.version for tree in trees}
    deviations = []
    for line in dict.fromkeys(lines):
        requirement = _applicable(line, build)
        version = versions.get(canonicalize_name(requirement.name)) if requirement is not None else None
        if requirement is not None and version is not None and not _accepts(requirement, version):
            deviations.append(f"{requirement} is required, and the repository's own {requirement.name} is {version}")
    return deviations


def describe_deviations(deviations: Sequence[str]) -> str:
    """Return the first :data:`MAX_DEVIATIONS` of ``deviations`` as one sentence; empty if there are none."""
    more = len(deviations) - MAX_DEVIATIONS
    return "; ".join([*deviations[:MAX_DEVIATIONS], *([f"and {more} more"] if more > 0 else [])])


def incomplete_reason(
    environment: Path,
    distributions: Sequence[StoredDistribution],
    trees: Sequence[StoredDistribution],
    expected: Sequence[ExpectedDistribution],
    required_lines: Iterable[str],
    build: InterpreterBuild,
    alone: Collection[str] = (),
    left_out: Collection[str] = (),
    replaced: Collection[str] = (),
) -> str:
    """Return how an environment differs from what is required; empty if it is as required.

    :param distributions: what it was built from, including ``trees``, those that come from folders of the repository.
    :param expected: the distributions of the lock, and what the interpreter's own environments have.
    :param required_lines: the requirements of the service's files.
    :param alone: names of the distributions that are installed without what they require.
    :param left_out: projects that the service's own installers leave out although others require them.
    :param replaced: requirements that a later command of theirs replaces.
    """
    tree_names = {tree.name for tree in trees}
    wanted = [item for item in expected if item.name not in tree_names]
    wanted += [ExpectedDistribution(name=tree.name, version=tree.version) for tree in trees]
    return describe_deviations(
        (
            *environment_deviations(read_installed(environment, build), wanted),
            *requirement_deviations(distributions, tree_names, build, alone, left_out, replaced),
            *tree_deviations(required_lines, trees, build),
        )
    )


def _applicable(line: str, build: InterpreterBuild) -> Requirement | None:
    """Return the requirement in ``line`` if it applies on ``build`` without an extra."""
    try:
        requirement = Requirement(line)
        variables = {"python_version": str(build.interpreter), "python_full_version": build.version, "extra": ""}
        applies = requirement.marker is None or requirement.marker.evaluate(variables)
    except (InvalidRequirement, ValueError):
        return None
    return requirement if applies else None


def _accepts(requirement: Requirement, version: str) -> bool:
    if requirement.url or not requirement.specifier:
        return True
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True


def _same_version(expected: str, installed: str) -> bool:
    if not expected or expected == installed:
        return True
    try:
        return Version(expected) == Version(installed)
    except InvalidVersion:
        return False


def _label(name: str, version: str) -> str:
    return f"{name} {version}".strip()
