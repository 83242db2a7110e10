"""Find what pip's hash-checking mode refuses: requirements without a pinned version and a hash. Pure.

One ``--hash`` in a requirements file, or ``--require-hashes``, switches the mode on for everything that the same
``pip install`` takes: also for dependencies that no file names. uv and a resolver's own hashes do not show that. What
is installed already is not checked: up to 3.11 an environment comes with setuptools, so that a file which does not
name it works there, and fails from 3.12 on (https://pip.pypa.io/en/stable/topics/secure-installs/).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry, RequirementSet

_HASH_OPTION = "--require-hashes"
_ALWAYS_INSTALLED = "pip"
_WITH_SETUPTOOLS = "wheel"
"""Images of Python that bring setuptools bring this as well."""


def requires_hashes(requirements: RequirementSet) -> bool:
    """Whether pip installs these files in hash-checking mode."""
    return any(entry.entry.hashes for entry in requirements.entries) or any(
        option.name == _HASH_OPTION for option in requirements.options
    )


def unhashed_findings(
    installs: Sequence[RequirementSet],
    distributions: Sequence[StoredDistribution],
    versions: Mapping[str, str],
    build: InterpreterBuild,
) -> Iterator[Finding]:
    """Yield what pip refuses to install in hash-checking mode.

    :param installs: the requirements of each ``pip install``, in their order.
    :param distributions: what is installed, with the requirements in their metadata.
    :param versions: the locked version of each project.
    """
    available = _preinstalled_names(versions, build)
    for requirements in installs:
        entries = [entry for entry in requirements.entries if applies_on(entry.entry.marker, build)]
        if requires_hashes(requirements):
            hashed = {item.name for item in (*entries, *requirements.constraints) if _has_hash(item)}
            for entry in entries:
                if entry.name not in hashed | available:
                    yield _unhashed_entry_finding(entry)
            named = {entry.name for entry in entries}
            if not requirements.no_deps:
                yield from _dependency_findings(entries, named | available, distributions, build)
        available |= {entry.name for entry in entries}
        if not requirements.no_deps:
            available |= _closure(entries, available, distributions, build).keys()


def _preinstalled_names(versions: Mapping[str, str], build: InterpreterBuild) -> set[str]:
    """Return the projects that a new environment has, in a version that the set accepts."""
    seeds = [seed.partition("==") for seed in build.preinstalled]
    kept = {name for name, _, version in seeds if versions.get(name, version) == version}
    return {_ALWAYS_INSTALLED, *kept, *([_WITH_SETUPTOOLS] if seeds else [])}


def _has_hash(item: LocatedEntry) -> bool:
    return bool(item.entry.hashes) or "#sha" in item.entry.url or "#md5=" in item.entry.url


def _closure(
    entries: Sequence[LocatedEntry],
    installed: Collection[str],
    distributions: Sequence[StoredDistribution],
    build: InterpreterBuild,
) -> dict[str, tuple[str, LocatedEntry]]:
    """Return the projects that ``entries`` need and ``installed`` lacks: who requires each, and for which entry.

    What is installed, or an entry itself, is not followed.
    """
    by_name = {distribution.name: distribution for distribution in distributions}
    needed: dict[str, tuple[str, LocatedEntry]] = {}
    for entry in entries:
        pending = [(entry.name, frozenset(entry.entry.extras))]
        followed = set(pending)
        while pending:
            name, extras = pending.pop()
            distribution = by_name.get(name)
            for line in distribution.requires if distribution else ():
                required = _applicable_requirement(line, extras, build)
                if required is None:
                    continue
                required_name = canonicalize_name(required.name)
                if required_name not in installed:
                    needed.setdefault(required_name, (name, entry))
                step = (required_name, frozenset(required.extras))
                if step not in followed and (required_name not in installed or required.extras):
                    followed.add(step)
                    pending.append(step)
    return needed


def _dependency_findings(
    entries: Sequence[LocatedEntry],
    installed: Collection[str],
    distributions: Sequence[StoredDistribution],
    build: InterpreterBuild,
) -> Iterator[Finding]:
    for name, (requiring, entry) in sorted(_closure(entries, installed, distributions, build).items()):
        yield Finding(
            code="PY114",
            message=f"{name} has no pinned version and no hash in {entry.location.path}, and {requiring} requires it: "
            f"pip refuses the file in hash-checking mode{_absence(name, build)}",
            remedy=f"pin {name} with its hashes in {entry.location.path} (pip-compile --allow-unsafe "
            "--generate-hashes, run on the target, writes them)",
            location=entry.location,
            names=(name,),
        )


def _absence(name: str, build: InterpreterBuild) -> str:
    seeded = {seed.partition("==")[0] for seed in build.preinstalled}
    return (
        f" (an environment of {build.interpreter} does not come with it)"
        if name == "setuptools" and name not in seeded
        else ""
    )


def _unhashed_entry_finding(entry: LocatedEntry) -> Finding:
    return Finding(
        code="PY114",
        message=f"{entry.name} has no hash, and other lines of the file have: pip refuses it in hash-checking mode",
        remedy=f"pin {entry.name} with ==, and add its hashes (pip-compile --allow-unsafe --generate-hashes writes "
        "them)",
        location=entry.location,
        names=(entry.name,),
    )


def _environment(build: InterpreterBuild, extra: str) -> dict[str, str]:
    return {"python_version": str(build.interpreter), "python_full_version": build.version, "extra": extra}


def applies_on(marker: str, build: InterpreterBuild) -> bool:
    """Whether a marker holds on ``build``; one that cannot be evaluated does not, as the resolver rejects it."""
    if not marker:
        return True
    try:
        return Marker(marker).evaluate(_environment(build, ""))
    except (InvalidMarker, UndefinedEnvironmentName, ValueError):
        return False


def _applicable_requirement(line: str, extras: Collection[str], build: InterpreterBuild) -> Requirement | None:
    try:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate(_environment(build, extra)) for extra in ("", *extras)):
            return requirement
    except (InvalidRequirement, UndefinedEnvironmentName, ValueError, RecursionError):
        return None
    return None
