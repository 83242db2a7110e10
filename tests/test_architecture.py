"""Who may import whom. The rules are data; what breaks one is named with its line."""

import ast
import fnmatch
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "pytest_py312"
OURS = "pytest_py312"

LAYERS = {
    "__init__": "",
    "core": "",
    "repository": "core",
    "runners": "core repository",
    "dependencies": "core repository runners",
    "analysis": "core repository runners dependencies",
    "gate": "core repository runners dependencies analysis",
    "rollout": "core repository runners",
    "cli": "core repository runners gate rollout",
    "__main__": "cli",
    "plugin": "core repository runners dependencies analysis gate rollout",
}
"""Package -> what it may import beside itself: layers below it. The gate and the rollout do not know each other."""

ONLY_IN = {
    # what the agent is made of runs inside cells, where nothing of ours is installed
    "subprocess": (
        "core.process", "runners.agent.probe", "runners.agent.benchmark_probe", "rollout.execution.contract_script"
    ),
    "multiprocessing": (),
    "docker": ("runners.docker.*",),
    "sqlite3": ("core.database", "gate.run.state"),
    "scipy": ("gate.benchmarks.statistics",),
    "jinja2": ("core.html_page",),
    "markupsafe": ("gate.reports.html", "rollout.reporting.html"),
    "vl_convert": ("gate.reports.charts",),
    "aiohttp": (
        "rollout.metrics.http_client", "rollout.metrics.load_generator", "rollout.reporting.prometheus_metrics"
    ),
    "prometheus_client": ("rollout.reporting.prometheus_metrics",),
    "grpc": ("rollout.metrics.grpc_health",),
    "kubernetes": ("rollout.targets.kubernetes.api",),
    "websocket": ("rollout.targets.kubernetes.api",),
    "pytest": ("plugin.*", "runners.agent.probe", "runners.agent.benchmark_probe"),
    "_pytest": ("plugin.*",),
    # the docker runner waits for an engine in loops of its own, with time limits that no test may turn back
    "time": ("core.clock", "runners.agent.*", "runners.docker.*"),
}  # fmt: skip
"""Library -> patterns of the modules (below the package) that may import it."""

LAZY = frozenset(
    {"docker", "requests", "urllib3", "rich", "scipy", "sqlite3", "jinja2", "markupsafe", "vl_convert", "aiohttp",
     "prometheus_client", "grpc", "kubernetes", "websocket"}
)  # fmt: skip
"""Never imported before they are needed: the first is slow, and pytest starts without any of them."""
EAGER_ALL_THE_SAME = {"sqlite3": ("core.database", "gate.run.state")}

PURE_IN_ROLLOUT = (
    "rollout.domain.events", "rollout.domain.model", "rollout.domain.preconditions", "rollout.domain.state_machine",
    "rollout.canary_analysis.judge", "rollout.canary_analysis.statistics", "repository.plan.metric_conditions",
    "repository.plan.rollout_settings",
)  # fmt: skip
SHIPPED = ("runners.agent.*", "rollout.execution.contract_script")
"""What runs elsewhere and takes nothing of ours along."""
NEVER = (
    # (importing, imported): patterns of modules below the package
    ("core.model.*", "core.[!m]*"),
    ("core.errors", "*"),
    *((name, "*") for name in SHIPPED),
    # what another interpreter is handed: a whole folder, and nothing from outside of it
    *(
        (f"{folder}.*", other)
        for folder in ("analysis.scanner", "analysis.oracle.probe")
        for other in ("core.*", "repository.*", "runners.*", "dependencies.*")
    ),
    *(
        ("analysis.scanner.*", f"analysis.{other}.*")
        for other in ("files", "judging", "libraries", "linking", "oracle", "services")
    ),
    *(
        ("analysis.oracle.probe.*", f"analysis.{other}.*")
        for other in ("files", "judging", "libraries", "linking", "scanner", "services")
    ),
    ("gate.checks.*", "runners.docker.*"),
    ("gate.checks.*", "gate.run.*"),
    ("gate.checks.*", "core.process"),
    ("repository.formats.*", "core.process"),
    # what becomes of a stage is worked out from what happened, never from when it is asked or of whom
    *(
        (name, asked)
        for name in PURE_IN_ROLLOUT
        for asked in ("core.clock", "core.database", "core.process", "rollout.targets.*")
    ),
)
REPORTS_SEE = ("core.*", "gate.reports.*")
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
MAY_ASK_THE_DATE = ("core.clock",)


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import: the module (dotted, complete), its line, and whether it is made when the importing module is."""

    module: str
    line: int
    eager: bool


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module of the package; ``name`` is below it (``runners.docker``), ``__init__`` ends the name of a folder."""

    name: str
    path: Path
    tree: ast.Module
    imports: tuple[Import, ...]

    @property
    def ours(self) -> list[tuple[str, int]]:
        """What it imports of ours, as names below the package."""
        return [(found.module.removeprefix(f"{OURS}."), found.line) for found in self.imports if is_ours(found.module)]

    @property
    def foreign(self) -> list[tuple[str, Import]]:
        """What else it imports, by its first name."""
        return [(found.module.split(".")[0], found) for found in self.imports if not is_ours(found.module)]


def is_ours(module: str) -> bool:
    return module == OURS or module.startswith(f"{OURS}.")


def fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def imports_in(tree: ast.Module, known: set[str]) -> Iterator[Import]:
    """Every import, wherever it stands. Those for type checkers alone are not eager."""
    pending: list[tuple[ast.AST, bool]] = [(tree, True)]
    while pending:
        node, eager = pending.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module=alias.name, line=node.lineno, eager=eager)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield Import(module=inner if inner in known else node.module or "", line=node.lineno, eager=eager)
        lazily = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        )
        pending += [(child, eager and not lazily) for child in ast.iter_child_nodes(node)]


def all_modules() -> list[Module]:
    paths = {path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))}
    known = {f"{OURS}.{name.removesuffix('.__init__')}" for name in paths.values()}
    found = []
    for path, name in paths.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found.append(Module(name=name, path=path, tree=tree, imports=tuple(imports_in(tree, known))))
    return found


MODULES = all_modules()


def name_of(module: Module) -> str:
    return module.name


each_module = pytest.mark.parametrize("module", MODULES, ids=name_of)


@each_module
def test_libraries_are_used_behind_their_door(module: Module) -> None:
    """Processes, the engine, the database, pytest and the clock have one door each."""
    wrong = [
        f"{module.path.name}:{found.line} imports {name}, which is for {', '.join(ONLY_IN[name]) or 'nobody'}"
        for name, found in module.foreign
        if name in ONLY_IN and not fits(module.name, ONLY_IN[name])
    ]
    assert wrong == []


@each_module
def test_heavy_libraries_are_imported_when_they_are_needed(module: Module) -> None:
    """`pytest` without the gate, and the gate without Docker, must not pay for them."""
    wrong = [
        f"{module.path.name}:{found.line} imports {name} when it is imported itself"
        for name, found in module.foreign
        if name in LAZY and found.eager and not fits(module.name, EAGER_ALL_THE_SAME.get(name, ()))
    ]
    assert wrong == []


@each_module
def test_nobody_imports_what_is_not_his(module: Module) -> None:
    """The layers: nouns below everything, faces above everything, checks apart from what runs things."""
    wrong = [
        f"{module.path.name}:{line} imports {name}: {importing} never imports {imported}"
        for name, line in module.ours
        for importing, imported in NEVER
        if fits(module.name, (importing,)) and fits(name, (imported,)) and name != OURS
    ]
    assert wrong == []


@each_module
def test_a_package_imports_what_is_below_it(module: Module) -> None:
    """However late."""
    package = module.name.split(".")[0]
    allowed = (package, *LAYERS[package].split())
    wrong = [
        f"{module.path.name}:{line} imports {name}, which {package} may not"
        for name, line in module.ours
        if name != OURS and name.split(".")[0] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("module", [found for found in MODULES if found.name.startswith("gate.reports.")], ids=name_of)
def test_reports_see_the_core_only(module: Module) -> None:
    """What a report says comes from the Report it is given."""
    assert [f"{name} (line {line})" for name, line in module.ours if not fits(name, REPORTS_SEE)] == []


@each_module
def test_a_module_does_not_import_its_own_folder(module: Module) -> None:
    """The folder's ``__init__`` imports its modules, not they it. ``__version__`` imports nothing, so it may be had."""
    folder = module.name.rpartition(".")[0]
    if folder:
        assert folder not in [name for name, _ in module.ours]
    from_the_top = [
        alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == OURS
        for alias in node.names
    ]
    modules = {name.split(".")[0] for name in (other.name for other in MODULES)}
    assert [name for name in from_the_top if name not in modules and name != "__version__"] == []


@each_module
def test_only_the_clock_tells_the_date(module: Module) -> None:
    """``datetime.now`` and ``date.today`` are asked for in core/clock.py."""
    calls = [
        f"{module.path.name}:{node.lineno} calls {ast.unparse(node.func)}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_CALLS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("datetime", "date")
    ]
    assert calls == [] or fits(module.name, MAY_ASK_THE_DATE)


def test_no_circle_of_folders() -> None:
    """Between a folder and those inside it, too, imports go one way."""
    graph: dict[str, set[str]] = {}
    folders = {module.name.removesuffix(".__init__"): module.name.rpartition(".")[0] for module in MODULES}
    for module in MODULES:
        own = module.name.rpartition(".")[0]
        graph.setdefault(own, set()).update({folders[name] for name, _ in module.ours if name != OURS} - {own})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these folders import each other: {' -> '.join(error.args[1])}")


def test_no_circle_of_any_size() -> None:
    """Not even one that a late import would hide."""
    graph = {
        module.name.removesuffix(".__init__"): {name for name, _ in module.ours if name != OURS} for module in MODULES
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")
    assert {"core.model.findings", "gate.run.scheduler", "plugin"} <= set(order)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("runners.agent.probe", {"pytest", "benchmark_probe"}),
        ("runners.agent.benchmark_probe", {"pytest", "pytest_benchmark"}),
        ("runners.agent.job_supervisor", set[str]()),
    ],
)
def test_what_runs_inside_a_cell_needs_nothing(name: str, allowed: set[str]) -> None:
    """The standard library, and the pytest of the service; in the words of Python 3.8."""
    module = next(module for module in MODULES if module.name == name)
    ast.parse(module.path.read_text(encoding="utf-8"), feature_version=(3, 8))
    foreign = {found for found, _ in module.foreign} - set(sys.stdlib_module_names)
    assert foreign <= allowed


@pytest.mark.parametrize(
    ("importing", "source", "rule"),
    [
        ("gate.checks.new", "from pytest_py312.core.process import run", test_nobody_imports_what_is_not_his),
        ("core.errors", "from pytest_py312.core import clock", test_nobody_imports_what_is_not_his),
        ("analysis.scanner.new", "from pytest_py312.core import errors", test_nobody_imports_what_is_not_his),
        ("core.new", "from pytest_py312.repository.tree import Tree", test_a_package_imports_what_is_below_it),
        ("rollout.new", "def late():\n    from pytest_py312 import gate", test_a_package_imports_what_is_below_it),
        ("runners.local", "import pytest_py312.plugin", test_a_package_imports_what_is_below_it),
        ("gate.run.new", "from pytest_py312.cli import main", test_a_package_imports_what_is_below_it),
        ("gate.run.scheduler", "import subprocess", test_libraries_are_used_behind_their_door),
        ("core.new", "def late():\n    from docker.errors import NotFound", test_libraries_are_used_behind_their_door),
        ("runners.docker.new", "import docker", test_heavy_libraries_are_imported_when_they_are_needed),
    ],
)
def test_a_broken_rule_is_seen(importing: str, source: str, rule: Callable[[Module], None]) -> None:
    """However it is written, and however late it is imported."""
    tree = ast.parse(source)
    known = {f"{OURS}.{module.name.removesuffix('.__init__')}" for module in MODULES}
    module = Module(name=importing, path=Path("new.py"), tree=tree, imports=tuple(imports_in(tree, known)))
    with pytest.raises(AssertionError, match=r"new\.py:\d imports"):
        rule(module)
