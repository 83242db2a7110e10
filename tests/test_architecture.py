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
from tests.architecture import NAME, Module, all_modules, read_module

ONLY_IN = {
    # what the agent is made of runs inside cells, where nothing of ours is installed
    "subprocess": (
        "core.process", "runners.agent.probe", "runners.agent.benchmark_probe", "runners.agent.import_probe",
        "runners.agent.system_packages", "rollout.execution.contract_script",
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
    "pytest": ("plugin.*", "runners.agent.pytest_probe", "runners.agent.benchmark_probe"),
    "_pytest": ("plugin.*",),
    # the docker runner waits for an engine in loops of its own, with time limits that no test may turn back
    "time": ("core.clock", "runners.agent.*", "runners.docker.*", "runners.engines.*"),
}  # fmt: skip
"""Library -> patterns of the modules (below the package) that may import it."""

LAZY = frozenset(
    {"docker", "requests", "urllib3", "rich", "scipy", "sqlite3", "jinja2", "markupsafe", "vl_convert", "aiohttp",
     "prometheus_client", "grpc", "kubernetes", "websocket", "dask", "distributed"}
)  # fmt: skip
"""Never imported before they are needed: the first is slow, and pytest starts without any of them."""
MAY_BE_EAGER = {"sqlite3": ("core.database",)}

SHIPPED = {
    "runners.agent.probe": set[str](),
    "runners.agent.benchmark_probe": {"pytest", "pytest_benchmark"},
    "runners.agent.import_probe": set[str](),
    "runners.agent.pytest_probe": {"pytest"},
    "runners.agent.unittest_probe": set[str](),
    "runners.agent.warning_probe": set[str](),
    "runners.agent.job_supervisor": set[str](),
    "runners.agent.shared_ports": set[str](),
    "runners.agent.system_packages": set[str](),
    "runners.agent.time_limit": set[str](),
    "rollout.execution.contract_script": set[str](),
}
"""Module that runs alone on an old Python -> what it may import beside the standard library."""

MAY_READ_THE_CLOCK = ("core.clock",)
MOST_ROOT_ENTRIES = 12
MOST_MODULES_IN_A_FOLDER = 15
MOST_LAYERS = 8


Rule = Callable[[Module], list[str]]
"""Returns how a module breaks a rule, a line for each place."""


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def breaks_of_one_door(module: Module) -> list[str]:
    """Processes, the engine, the database, pytest and the clock have one module each."""
    return [
        f"{module.path.name}:{entry.line} imports {library}, which is for {', '.join(ONLY_IN[library]) or 'nobody'}"
        for library, entry in module.external_imports
        if library in ONLY_IN and not matches(module.name, ONLY_IN[library])
    ]


def breaks_of_late_imports(module: Module) -> list[str]:
    """`pytest` without the gate, and the gate without Docker, must not pay for slow libraries."""
    return [
        f"{module.path.name}:{entry.line} imports {library} when it is imported itself"
        for library, entry in module.external_imports
        if library in LAZY and entry.eager and not matches(module.name, MAY_BE_EAGER.get(library, ()))
    ]


def breaks_of_direction(module: Module) -> list[str]:
    """The folder's ``__init__`` imports its modules, not the other way round."""
    return [
        f"{module.path.name}:{line} imports its own folder"
        for name, line in module.internal_imports
        if module.folder and name == module.folder
    ]


def breaks_of_the_root(module: Module) -> list[str]:
    """Modules of ours take its version only: its public names are for others, and load what a faster path needs not."""
    packages = {other.name.split(".")[0] for other in all_modules()}
    return [
        f"{module.path.name}:{entry.line} imports {entry.name} from the root"
        for entry in module.imports
        if entry.module == NAME and entry.name not in packages | {"", "__version__"}
    ]


def breaks_of_the_clock(module: Module) -> list[str]:
    """``datetime.now`` and ``date.today`` are called in core/clock.py."""
    if matches(module.name, MAY_READ_THE_CLOCK):
        return []
    return [f"{module.path.name}:{call}" for call in module.clock_calls]


RULES = (breaks_of_one_door, breaks_of_late_imports, breaks_of_direction, breaks_of_the_root, breaks_of_the_clock)


@pytest.mark.parametrize("rule", RULES)
def test_every_module_keeps_the_rule(rule: Rule) -> None:
    assert [line for module in all_modules() for line in rule(module)] == []


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
    ("importing", "source", "rule", "line"),
    [
        ("gate.run.scheduler", "import subprocess", breaks_of_one_door, 1),
        ("core.new", "def late():\n    from docker.errors import NotFound", breaks_of_one_door, 2),
        ("runners.docker.new", "import docker", breaks_of_late_imports, 1),
        ("runners.docker.new", "from pytest_py312.runners.docker import engine, x", breaks_of_direction, 1),
        ("core.new", "from pytest_py312 import Finding", breaks_of_the_root, 1),
        ("core.new", "def late():\n    return datetime.now(UTC)", breaks_of_the_clock, 2),
    ],
)
def test_a_broken_rule_is_reported(importing: str, source: str, rule: Rule, line: int) -> None:
    """Whichever form the import has, and however late it is made."""
    complete = {f"{NAME}.{module.name.removesuffix('.__init__')}" for module in all_modules()}
    module = read_module(importing, Path("new.py"), source, complete)
    (broken,) = rule(module)
    assert broken.startswith(f"new.py:{line} ")
