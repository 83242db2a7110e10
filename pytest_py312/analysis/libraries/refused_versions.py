"""PY244: find projects that a library uses where they are installed, in a version that it refuses: openpyxl by pandas.

Where a function of pandas needs such a project, an older version than pandas supports is an ``ImportError``, or counts
as absent. No resolver sees it, as the bounds are those of extras that nothing requires. The tests of a service often
replace the call. https://pandas.pydata.org/docs/getting_started/install.html#optional-dependencies
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

CHECKING_LIBRARIES = ("pandas",)
"""Libraries that compare the version of an optional project with the bound of their extra when they use it."""
_OTHER_EXTRAS = frozenset({"all", "performance", "test"})
"""Extras with projects without which pandas is slower, or with which it is tested."""
_EXTRA = re.compile(r"\bextra\s*==\s*[\"'](?P<name>[\w.-]+)[\"']")
_EXCEL = frozenset({"ExcelFile", "ExcelWriter", "read_excel", "to_excel"})
_SQL = frozenset({"read_sql", "read_sql_query", "read_sql_table", "to_sql"})
_HTML = frozenset({"read_html"})
_PARQUET = frozenset({"read_parquet", "to_parquet"})
USES: Mapping[str, frozenset[str]] = {
    "beautifulsoup4": _HTML,
    "fastparquet": _PARQUET,
    "html5lib": _HTML,
    "jinja2": frozenset({"Styler"}),
    "lxml": _HTML | {"read_xml", "to_xml"},
    "odfpy": _EXCEL,
    "openpyxl": _EXCEL,
    "pandas-gbq": frozenset({"read_gbq", "to_gbq"}),
    "pyarrow": _PARQUET | {"read_feather", "to_feather", "read_orc", "to_orc"},
    "pyreadstat": frozenset({"read_spss"}),
    "python-calamine": _EXCEL,
    "pyxlsb": _EXCEL,
    "sqlalchemy": _SQL,
    "tables": frozenset({"HDFStore", "read_hdf", "to_hdf"}),
    "tabulate": frozenset({"to_markdown"}),
    "xlrd": _EXCEL,
    "xlsxwriter": _EXCEL,
}
"""The names in code with which pandas uses each project."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedVersion:
    """An installed version that an installed library refuses; ``bound`` is that of its extra."""

    library: str
    library_version: str
    project: str
    version: str
    bound: str


def refused_versions(entries: Iterable[StoredDistribution]) -> Iterator[RefusedVersion]:
    """Yield what installed libraries refuse of what is installed beside them."""
    installed = {entry.name: entry for entry in entries}
    for library in filter(None, map(installed.get, CHECKING_LIBRARIES)):
        for project, bound in _bounds_of_extras(library.requires):
            other = installed.get(project)
            if other is not None and not _accepts(bound, other.version):
                yield RefusedVersion(
                    library=library.name,
                    library_version=library.version,
                    project=project,
                    version=other.version,
                    bound=str(bound),
                )


def _bounds_of_extras(lines: Iterable[str]) -> Iterator[tuple[str, SpecifierSet]]:
    """Yield the projects that extras require, with their versions; each once."""
    seen = set()
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        extras = {match["name"] for match in _EXTRA.finditer(str(requirement.marker or ""))}
        name = canonicalize_name(requirement.name)
        if extras - _OTHER_EXTRAS and requirement.specifier and name not in seen:
            seen.add(name)
            yield name, requirement.specifier


def _accepts(bound: SpecifierSet, version: str) -> bool:
    try:
        return bound.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True


def refused_version_findings(
    target: Sequence[StoredDistribution],
    baseline: Sequence[StoredDistribution],
    *,
    interpreter: Interpreter,
    lines: Mapping[str, Location],
    deployed: Collection[str] | None,
    sources: Mapping[str, bytes],
) -> Iterator[Finding]:
    """Yield a finding for each version that a library of the target refuses.

    It blocks if code of the service uses the project by one of the names in :data:`USES`.

    :param lines: the places of what the service itself requires, by normalised name.
    :param deployed: the distributions that are deployed, ``None`` for all.
    :param sources: the contents of the files that run in production, by path.
    """
    earlier = {(refused.library, refused.project) for refused in refused_versions(baseline)}
    for refused in refused_versions(target):
        location = lines.get(refused.project)
        use = _use_of(refused.project, sources) if deployed is None or refused.project in deployed else None
        is_preexisting = (refused.library, refused.project) in earlier
        if use is None and location is None:
            continue
        where = f", which {use.path}:{use.line} uses" if use is not None else ""
        yield Finding(
            code="PY244",
            message=f"{refused.library} {refused.library_version}, which is installed on {interpreter}, refuses "
            f"{refused.project} {refused.version}{where}: it supports {refused.project}{refused.bound}",
            severity=Severity.WARNING if use is None else Severity.ERROR,
            remedy=f"require {refused.project}{refused.bound}",
            location=location or use,
            names=(refused.project,),
            preexisting=is_preexisting,
        )


def _use_of(project: str, sources: Mapping[str, bytes]) -> Location | None:
    """Return the first place in ``sources`` with a name by which a project is used."""
    names = USES.get(project, frozenset())
    used = re.compile(rb"(?<![\w\"'])(?:%s)(?=\s*\()" % b"|".join(name.encode() for name in sorted(names)))
    for path, content in sorted(sources.items()) if names else ():
        if b"pandas" in content and (match := used.search(content)):
            return Location(path=path, line=content.count(b"\n", 0, match.start()) + 1)
    return None
