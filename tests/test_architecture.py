"""What the contracts of import-linter (``pyproject.toml``) cannot say, and that these hold.

One module for each dangerous or slow library, what is shipped to other interpreters, sizes of folders, unique names.
"""

import ast
import fnmatch
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import architecture
from tests.architecture import NAME, Module, all_modules, read_imports

ONLY_IN = {
    # what the agent is made of runs inside cells, where nothing of ours is installed
    "subprocess": (
        "core.process", "runners.agent.probe", "runners.agent.benchmark_probe", "runners.agent.system_packages",
        "rollout.execution.contract_script",
    ),
    "multiprocessing": (),
    "docker": ("runners.docker.*",),
    "sqlite3": ("core.database",),
    "scipy": ("gate.benchmarks.statistics",),
    "jinja2": ("core.html_page",),
    "markupsafe": ("gate.reports.html", "core.html_page"),
    "vl_convert": ("gate.reports.benchmarks.charts",),
    "aiohttp": (
        "rollout.metrics.http_client", "rollout.metrics.load_generator", "rollout.reporting.prometheus_metrics"
    ),
    "prometheus_client": ("rollout.reporting.prometheus_metrics",),
    "grpc": ("rollout.metrics.grpc_health",),
    "kubernetes": ("rollout.targets.kubernetes.api",),
    "websocket": ("rollout.targets.kubernetes.api",),
    "dask": ("gate.cluster.connection", "gate.cluster.worker"),
    "distributed": ("gate.cluster.connection", "gate.cluster.worker"),
    "pytest": ("plugin.*", "runners.agent.probe", "runners.agent.benchmark_probe"),
    "_pytest": ("plugin.*",),
    # the docker runner waits for an engine in loops of its own, with time limits that no test may turn back
    "time": ("core.clock", "runners.agent.*", "runners.docker.*"),
}  # fmt: skip
"""Library -> patterns of the modules (below the package) that may import it."""

LAZY = frozenset(
    {"docker", "requests", "urllib3", "rich", "scipy", "sqlite3", "jinja2", "markupsafe", "vl_convert", "aiohttp",
     "prometheus_client", "grpc", "kubernetes", "websocket", "dask", "distributed"}
)  # fmt: skip
"""Never imported before they are needed: the first is slow, and pytest starts without any of them."""
MAY_BE_EAGER = {"sqlite3": ("core.database",)}

SHIPPED = {
    "runners.agent.probe": {"pytest", "benchmark_probe"},
    "runners.agent.benchmark_probe": {"pytest", "pytest_benchmark"},
    "runners.agent.job_supervisor": set[str](),
    "runners.agent.system_packages": set[str](),
    "rollout.execution.contract_script": set[str](),
}
"""Module that runs alone on an old Python -> what it may import beside the standard library."""

CLOCK_CALLS = frozenset({"now", "utcnow", "today"})
MAY_READ_THE_CLOCK = ("core.clock",)
MOST_ROOT_ENTRIES = 12
MOST_MODULES_IN_A_FOLDER = 15
MOST_LAYERS = 8


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def name_of(module: Module) -> str:
    return module.name


each_module = pytest.mark.parametrize("module", all_modules(), ids=name_of)


@each_module
def test_a_library_is_imported_in_its_module_only(module: Module) -> None:
    """Processes, the engine, the database, pytest and the clock have one module each."""
    wrong = [
        f"{module.path.name}:{entry.line} imports {library}, which is for {', '.join(ONLY_IN[library]) or 'nobody'}"
        for library, entry in module.external_imports
        if library in ONLY_IN and not matches(module.name, ONLY_IN[library])
    ]
    assert wrong == []


@each_module
def test_slow_libraries_are_imported_when_they_are_needed(module: Module) -> None:
    """`pytest` without the gate, and the gate without Docker, must not pay for them."""
    wrong = [
        f"{module.path.name}:{entry.line} imports {library} when it is imported itself"
        for library, entry in module.external_imports
        if library in LAZY and entry.eager and not matches(module.name, MAY_BE_EAGER.get(library, ()))
    ]
    assert wrong == []


@each_module
def test_a_module_does_not_import_its_own_folder(module: Module) -> None:
    """The folder's ``__init__`` imports its modules, not the other way round."""
    assert module.folder == "" or module.folder not in [name for name, _ in module.internal_imports]


@each_module
def test_the_root_gives_modules_of_ours_its_version_only(module: Module) -> None:
    """Its public names are for others: they would load what a faster path does not need."""
    packages = {other.name.split(".")[0] for other in all_modules()}
    names = [
        alias.name
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == NAME
        for alias in node.names
    ]
    assert [name for name in names if name not in packages and name != "__version__"] == []


@each_module
def test_only_the_clock_module_reads_the_clock(module: Module) -> None:
    """``datetime.now`` and ``date.today`` are called in core/clock.py."""
    calls = [
        f"{module.path.name}:{node.lineno} calls {ast.unparse(node.func)}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_CALLS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("datetime", "date")
    ]
    assert calls == [] or matches(module.name, MAY_READ_THE_CLOCK)


@pytest.mark.parametrize(("name", "allowed"), SHIPPED.items())
def test_shipped_code_needs_the_standard_library_only(name: str, allowed: set[str]) -> None:
    """And the pytest of the service; in the grammar of Python 3.8."""
    module = next(module for module in all_modules() if module.name == name)
    ast.parse(module.path.read_text(encoding="utf-8"), feature_version=(3, 8))
    libraries = {library for library, _ in module.external_imports} - set(sys.stdlib_module_names)
    assert libraries <= allowed
    assert module.internal_imports == []


def test_the_probes_of_the_oracle_import_each_other_only() -> None:
    """They run inside the interpreter that is asked."""
    probes = [module for module in all_modules() if module.folder == "analysis.oracle.probe"]
    imported = {name for module in probes for name, _ in module.internal_imports}
    assert probes
    assert {name for name in imported if not name.startswith("analysis.oracle.probe")} == set()


def test_the_contracts_of_import_linter_are_kept() -> None:
    """Who may import whom is configured in pyproject.toml."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    linted = subprocess.run(
        [sys.executable, "-c", code], cwd=architecture.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert linted.returncode == 0, linted.stdout


def test_no_loop_of_modules() -> None:
    """Not even one that a late import would hide."""
    assert architecture.find_loop(architecture.module_graph()) == ()


def test_no_loop_of_folders() -> None:
    """Between a folder and those inside it, too, imports go one way."""
    assert architecture.find_loop(architecture.folder_graph()) == ()


def test_a_loop_is_found() -> None:
    assert architecture.find_loop({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})[0] in "abc"


def test_the_package_stays_small_at_each_level() -> None:
    """A newcomer sees few entries at once."""
    assert len(architecture.root_entries()) <= MOST_ROOT_ENTRIES
    assert [
        (folder, count)
        for folder, count in architecture.modules_per_folder().items()
        if count > MOST_MODULES_IN_A_FOLDER
    ] == []
    assert architecture.longest_chain(architecture.package_graph()) <= MOST_LAYERS


def test_a_public_class_name_is_used_once() -> None:
    """Two classes of one name are a trap for readers and for editors."""
    assert {name: modules for name, modules in architecture.public_classes().items() if len(modules) > 1} == {}


@pytest.mark.parametrize(
    ("importing", "source", "rule"),
    [
        ("gate.run.scheduler", "import subprocess", test_a_library_is_imported_in_its_module_only),
        (
            "core.new",
            "def late():\n    from docker.errors import NotFound",
            test_a_library_is_imported_in_its_module_only,
        ),
        ("runners.docker.new", "import docker", test_slow_libraries_are_imported_when_they_are_needed),
    ],
)
def test_a_broken_rule_is_reported(importing: str, source: str, rule: Callable[[Module], None]) -> None:
    """Whichever form the import has, and however late it is made."""
    tree = ast.parse(source)
    complete = {f"{NAME}.{module.name.removesuffix('.__init__')}" for module in all_modules()}
    module = Module(name=importing, path=Path("new.py"), tree=tree, imports=tuple(read_imports(tree, complete)))
    with pytest.raises(AssertionError, match=r"new\.py:\d imports"):
        rule(module)
