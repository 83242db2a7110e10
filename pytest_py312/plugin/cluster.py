"""Check the services on a cluster (``--py312-cluster``): what it cannot be combined with, and what is shown of it."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from pytest_py312.core.errors import OptionError
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.text import escape_terminal
from pytest_py312.gate.cluster.address import parse_cluster
from pytest_py312.gate.cluster.assembly import ClusterAssembly
from pytest_py312.gate.run.known_findings import KnownFindingsByKey
from pytest_py312.plugin.command_line import ROLLOUT_OPTIONS, RunOptions
from pytest_py312.plugin.pytest_support.processes import uses_xdist_workers
from pytest_py312.plugin.shard_options import read_recorded_durations

_HOOKS_OF_WORKERS = tuple(
    f"pytest_py312_{name}" for name in ("services", "fleet", "checks", "finding", "runner", "resolver")
)
"""The hooks on which the outcomes of the workers depend. Those about the report are called here."""


def make_cluster_assembly(
    config: pytest.Config, options: RunOptions, fleet: Fleet, known_findings: KnownFindingsByKey
) -> ClusterAssembly:
    """Return the assembly of a run on the cluster that the options name."""
    plugin = ClusterPlugin(config)
    assembly = ClusterAssembly(
        options,
        fleet=fleet,
        known_findings=known_findings,
        durations=read_recorded_durations(config).durations,
        plugins=_extensions(config),
        show=plugin.show,
    )
    plugin.warning = assembly.warning
    config.pluginmanager.register(plugin, "py312-cluster")
    return assembly


def _extensions(config: pytest.Config) -> list[str]:
    """Return the modules with hooks that workers call. The ``conftest.py`` beside the plan is part of the tree.

    :raises OptionError: a plugin has such a hook, and no name by which a worker could load it.
    """
    names: dict[str, None] = {}
    for hook in _HOOKS_OF_WORKERS:
        for implementation in getattr(config.hook, hook).get_hookimpls():
            plugin = implementation.plugin
            module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
            if module is None or not config.pluginmanager.is_registered(module):
                raise OptionError(
                    f"{hook} of {implementation.plugin_name} is no function of a module that is a plugin, so the "
                    "workers of --py312-cluster cannot load it: move it to one, or to the conftest.py beside the plan"
                )
            if Path(module.__file__ or "").name != "conftest.py":
                names[module.__name__] = None
    return list(names)


class ClusterPlugin:
    """Shows the progress of a run on a cluster in the terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.warning = ""

    def pytest_report_header(self) -> list[str]:
        return [f"cluster: {escape_terminal(self.warning)}"] if self.warning else []

    def show(self, line: str) -> None:
        """Print a line, outside of what pytest captures."""
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or self._config.get_verbosity() < 0:
            return
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if capture is None:
            _write(terminal, line)
        else:
            with capture.global_and_fixture_disabled():
                _write(terminal, line)


def _write(terminal: pytest.TerminalReporter, line: str) -> None:
    terminal.ensure_newline()
    terminal.write_line(f"py312: {escape_terminal(line)}")
    terminal.flush()


def refuse_combinations(config: pytest.Config, options: RunOptions) -> None:
    """Refuse what needs this machine, or divides the run in another way.

    :raises OptionError: an option cannot be combined with ``--py312-cluster``, its value is no address, or Dask is not
        installed.
    """
    parse_cluster(options.cluster)
    if find_spec("distributed") is None:
        raise OptionError("--py312-cluster needs Dask: pip install 'pytest-py312[cluster]'")
    cluster = f"--py312-cluster={options.cluster}"
    if uses_xdist_workers(config):
        raise OptionError(f"{cluster} checks services in parallel on its workers: remove -n and --dist")
    if getattr(config.known_args_namespace, "py312_shard", None):
        raise OptionError(
            f"{cluster} divides the run among its workers, and --py312-shard among jobs: remove one of them"
        )
    if options.diff or options.fix:
        option = "--py312-fix" if options.fix else "--py312-diff"
        raise OptionError(
            f"{option} tries its changes with the interpreters of this machine, and {cluster} checks the services on "
            "others: remove one of them"
        )
    for name in ROLLOUT_OPTIONS:
        if getattr(config.known_args_namespace, f"py312_{name}", None):
            option = f"--py312-{name.replace('_', '-')}"
            raise OptionError(f"{option} deploys or monitors from this machine: run it without {cluster}")
