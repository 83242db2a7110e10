"""PY244: find projects that pandas uses where they are installed, in a version that it refuses, such as openpyxl.

Where a function of pandas needs such a project, an older version than pandas supports is an ``ImportError``. No
resolver sees it, as nothing requires them for pandas, and the tests of a service often replace the call.
https://pandas.pydata.org/docs/getting_started/install.html#optional-dependencies
"""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.model.findings import Finding, Interpreter, Location, Severity
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.formats.setuptools import parse_module

LIBRARY = "pandas"
_BOUNDS = "lib/pandas/compat/_optional.py"
"""Where pandas, from 0.25 to 3, has the oldest version that it supports of each module."""
_BOUNDS_LIMIT = 256 * 1024
_FILE_LIMIT = 1_000
_PROJECTS = {"bs4": "beautifulsoup4", "lxml.etree": "lxml", "odf": "odfpy"}
"""Projects that are named otherwise than their module in the table of pandas."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """By what pandas uses a project: its functions, and methods of its objects.

    ``engine``: the value of the argument that names the project. ``default``: it is used without that argument as well,
    unless one of the projects in ``instead`` is installed. ``suffix``: it is used without that argument for files of
    this kind. ``beside``: a name that has to be in the same file, without which pandas does not need it.
    """

    functions: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    engine: str = ""
    default: bool = True
    instead: frozenset[str] = frozenset()
    suffix: str = ""
    beside: str = ""


_READ_EXCEL = frozenset({"read_excel", "ExcelFile"})
_WRITE_EXCEL = frozenset({"ExcelWriter"})
_TO_EXCEL = frozenset({"to_excel"})
_READ_PARQUET, _TO_PARQUET = frozenset({"read_parquet"}), frozenset({"to_parquet"})
_SQL = frozenset({"read_sql", "read_sql_query", "read_sql_table"})
_OTHER_SUFFIXES = (".xls", ".xlsb", ".ods")
"""Files for which another engine than openpyxl is the default."""
_SECOND_ARGUMENT = _WRITE_EXCEL | _READ_PARQUET
"""Functions whose second argument may be the engine."""
USES: Mapping[str, tuple[Use, ...]] = {
    "fastparquet": (Use(functions=_READ_PARQUET, methods=_TO_PARQUET, engine="fastparquet", default=False),),
    "odfpy": (Use(functions=_READ_EXCEL, engine="odf", default=False, suffix=".ods"),),
    "openpyxl": (
        Use(functions=_READ_EXCEL, engine="openpyxl"),
        Use(functions=_WRITE_EXCEL, methods=_TO_EXCEL, engine="openpyxl", instead=frozenset({"xlsxwriter"})),
    ),
    "pandas-gbq": (Use(functions=frozenset({"read_gbq"}), methods=frozenset({"to_gbq"})),),
    "pyarrow": (
        Use(functions=_READ_PARQUET, methods=_TO_PARQUET, engine="pyarrow", instead=frozenset({"fastparquet"})),
        Use(functions=frozenset({"read_feather", "read_orc"}), methods=frozenset({"to_feather", "to_orc"})),
    ),
    "pyreadstat": (Use(functions=frozenset({"read_spss"})),),
    "python-calamine": (Use(functions=_READ_EXCEL, engine="calamine", default=False),),
    "pyxlsb": (Use(functions=_READ_EXCEL, engine="pyxlsb", default=False, suffix=".xlsb"),),
    "sqlalchemy": (Use(functions=_SQL, methods=frozenset({"to_sql"}), beside="create_engine"),),
    "tables": (Use(functions=frozenset({"HDFStore", "read_hdf"}), methods=frozenset({"to_hdf"})),),
    "tabulate": (Use(methods=frozenset({"to_markdown"})),),
    "xlrd": (Use(functions=_READ_EXCEL, engine="xlrd", default=False, suffix=".xls"),),
    "xlsxwriter": (Use(functions=_WRITE_EXCEL, methods=_TO_EXCEL, engine="xlsxwriter", default=False),),
}
"""Projects without which a function fails, by their normalised names. pandas does without the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedVersion:
    """An installed version of a project that the installed pandas refuses; ``bound`` is the oldest that it supports."""

    pandas: str
    project: str
    version: str
    bound: str


Bounds = Callable[[StoredDistribution], Mapping[str, str]]


def read_bounds(pandas: StoredDistribution) -> Mapping[str, str]:
    """Return the oldest supported version of each module, from the table in the source of an installed pandas."""
    try:
        content = read_regular_file(pandas.folder, _BOUNDS, _BOUNDS_LIMIT)
    except UnsafeFile:
        return {}
    tree = parse_module(content.decode("utf-8", "replace"))
    for node in tree.body if tree is not None else ():
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and target.id == "VERSIONS":
            try:
                table = ast.literal_eval(node.value) if isinstance(node, ast.Assign) else {}
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                return {}
            return {str(name): str(bound) for name, bound in table.items()} if isinstance(table, dict) else {}
    return {}


def refused_versions(entries: Iterable[StoredDistribution], bounds: Bounds = read_bounds) -> Iterator[RefusedVersion]:
    """Yield what an installed pandas refuses of what is installed beside it."""
    installed = {entry.name: entry for entry in entries}
    pandas = installed.get(LIBRARY)
    for module, bound in bounds(pandas).items() if pandas is not None else ():
        project = canonicalize_name(_PROJECTS.get(module, module))
        other = installed.get(project)
        if pandas is not None and other is not None and project in USES and _is_older(other.version, bound):
            yield RefusedVersion(pandas=pandas.version, project=project, version=other.version, bound=bound)


def _is_older(version: str, bound: str) -> bool:
    try:
        return Version(version) < Version(bound)
    except InvalidVersion:
        return False


def refused_version_findings(
    target: Sequence[StoredDistribution],
    baseline: Sequence[StoredDistribution],
    *,
    interpreter: Interpreter,
    lines: Mapping[str, Location],
    deployed: Collection[str] | None,
    sources: Mapping[str, bytes],
    bounds: Bounds = read_bounds,
) -> Iterator[Finding]:
    """Yield a finding for each version that the pandas of the target refuses.

    It blocks if code of the service uses the project by pandas, see :data:`USES`.

    :param lines: the places of what the service itself requires, by normalised name.
    :param deployed: the distributions that are deployed, ``None`` for all.
    :param sources: the contents of the files that run in production, by path.
    """
    refused = list(refused_versions(target, bounds))
    installed = {entry.name for entry in target}
    earlier = {each.project for each in refused_versions(baseline, bounds)} if refused else set()
    for each in refused:
        location = lines.get(each.project)
        is_deployed = deployed is None or each.project in deployed
        uses = [use for use in USES[each.project] if is_deployed]
        use = next(filter(None, (_place_of(use, sources, installed) for use in uses)), None)
        if use is None and location is None:
            continue
        where = f", which {use.path}:{use.line} uses" if use is not None else ""
        yield Finding(
            code="PY244",
            message=f"pandas {each.pandas}, which is installed on {interpreter}, refuses {each.project} {each.version}"
            f"{where}: it supports {each.project}>={each.bound}",
            severity=Severity.WARNING if use is None else Severity.ERROR,
            remedy=f"require {each.project}>={each.bound}",
            location=location or use,
            names=(each.project,),
            preexisting=each.project in earlier,
        )


def _place_of(use: Use, sources: Mapping[str, bytes], installed: Collection[str]) -> Location | None:
    """Return the first place in ``sources`` where pandas uses a project."""
    use = replace(use, default=use.default and use.instead.isdisjoint(installed))
    names = [name.encode() for name in use.functions | use.methods]
    candidates = ((path, content) for path, content in sorted(sources.items()) if LIBRARY.encode() in content)
    for path, content in islice(candidates, _FILE_LIMIT):
        may_use = use.beside.encode() in content and any(name in content for name in names)
        tree = parse_module(content.decode("utf-8", "replace")) if may_use else None
        line = next(_lines_of_use(use, tree), None) if tree is not None else None
        if line is not None:
            return Location(path=path, line=line)
    return None


def _lines_of_use(use: Use, tree: ast.Module) -> Iterator[int]:
    modules: set[str] = set()
    functions: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name == LIBRARY}
        elif isinstance(node, ast.ImportFrom) and node.module == LIBRARY:
            functions |= {alias.asname or alias.name: alias.name for alias in node.names}
    if not modules and not functions:
        return
    calls = [(node, _called_name(node, modules, functions)) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    has_writer = any(name in _WRITE_EXCEL for _, name in calls)
    for call, name in calls:
        if name in _TO_EXCEL and has_writer:
            continue  # the writer says which engine is used
        if name in (use.functions | use.methods) and _needs_engine(call, name, use):
            yield call.lineno


def _called_name(call: ast.Call, modules: Collection[str], functions: Mapping[str, str]) -> str:
    """Return the function of pandas that is called, or the method of any object; empty for other functions."""
    called = call.func
    if isinstance(called, ast.Name):
        return functions.get(called.id, "")
    if not isinstance(called, ast.Attribute):
        return ""
    is_of_pandas = isinstance(called.value, ast.Name) and called.value.id in modules
    return called.attr if is_of_pandas or called.attr.startswith("to_") else ""


def _needs_engine(call: ast.Call, name: str, use: Use) -> bool:
    """Return whether a call uses the engine of a project, as far as it is literal."""
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "engine"), None)
    if given is None and name in _SECOND_ARGUMENT and len(call.args) > 1:
        given = call.args[1]
    value = given.value if isinstance(given, ast.Constant) else None
    if value not in (None, "auto") and use.engine:
        return value == use.engine
    first = call.args[0] if call.args else None
    path = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    if name in _READ_EXCEL and path.lower().endswith(_OTHER_SUFFIXES):
        return bool(use.suffix) and path.lower().endswith(use.suffix)
    return use.default
