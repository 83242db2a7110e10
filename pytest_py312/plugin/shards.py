"""Check one part of a run (``--py312-shard=K/N``); ``py312 merge`` joins the documents of all parts.

All parts collect the whole run and divide what pytest and its plugins have left of it, so that ``-k``, ``-m`` and
``--deselect`` mean the same as in an undivided run.
"""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from pytest_py312.core.directories import path_in_checkout
from pytest_py312.core.errors import OptionError, Py312Error
from pytest_py312.core.files import write_json_atomically
from pytest_py312.core.model.report import Report
from pytest_py312.core.model.shards import RunIdentity, ShardPart, WorkUnit
from pytest_py312.core.serialization import decode, encode
from pytest_py312.core.text import format_duration, pluralize
from pytest_py312.gate.checks.check import CheckTraits
from pytest_py312.gate.history.stored_runs import pack_report
from pytest_py312.gate.reports import format_of_file
from pytest_py312.gate.run.assembly import GateAssembly
from pytest_py312.gate.sharding.documents import tool_identity
from pytest_py312.gate.sharding.estimates import count_test_files, weighed_items
from pytest_py312.gate.sharding.packing import TasksByService, divide, item_key, loads_of, tasks_of_part, units_of
from pytest_py312.gate.sharding.tree_state import read_tree_state
from pytest_py312.plugin.command_line import RunOptions
from pytest_py312.plugin.nodes import CheckItem, ServiceTasks
from pytest_py312.plugin.pytest_support.processes import is_worker, shared_folder
from pytest_py312.plugin.shard_options import ShardOptions, options_of_run, plan_digest
from pytest_py312.repository.tree import Tree

UNITS_FILE = "units.json"
"""File in the folder of xdist's workers by which they report the units to their controller, which collects nothing."""


class ShardPlugin:
    """Hooks of a session that checks one part of a run.

    :param tasks: the services of the whole run with their tasks.
    :param narrow: called with those of this part, once they are known.
    """

    def __init__(
        self,
        config: pytest.Config,
        shard: ShardOptions,
        options: RunOptions,
        *,
        tasks: TasksByService,
        assembly: GateAssembly,
        checks: Sequence[str],
        narrow: Callable[[ServiceTasks], None],
    ) -> None:
        self._config = config
        self._shard = shard
        self._options = options
        self._tasks = tasks
        self._assembly = assembly
        self._checks = checks
        self._narrow = narrow
        self._units: tuple[WorkUnit, ...] = ()
        self._identity: RunIdentity | None = None
        self._summary = ""

    # -- what the part is

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Deselect the items of the other parts. Trylast: what ``-k``, ``-m`` and plugins deselect is in no part."""
        part, parts = self._shard.part, self._shard.parts
        tasks = [item.task for item in items if isinstance(item, CheckItem)]
        weighed = weighed_items(
            tasks, self._shard.recorded.durations, partial(count_test_files, Tree(self._options.plan.root))
        )
        assigned = divide(weighed, parts)
        others = [item for item in items if isinstance(item, CheckItem) and assigned[item_key(item.task)] != part]
        other_ids = {item.nodeid for item in others}
        items[:] = [item for item in items if item.nodeid not in other_ids]
        if others:
            self._config.hook.pytest_deselected(items=others)
        self._set_units(units_of(self._tasks, assigned))
        loads = loads_of(weighed, assigned, parts)
        own_services = {task.cell.service.name for task in tasks if assigned[item_key(task)] == part}
        self._summary = (
            f"shard: part {part} of {parts}: {len(own_services)} of "
            f"{pluralize(len({task.cell.service.name for task in tasks}), 'service')}, "
            f"{len(tasks) - len(others)} of {pluralize(len(tasks), 'item')}, "
            f"about {format_duration(loads[part - 1] / 1000)} of {format_duration(sum(loads) / 1000)}"
        )
        folder = shared_folder(self._config)
        if folder is not None:
            write_json_atomically(folder / UNITS_FILE, encode(self._units))

    def _set_units(self, units: tuple[WorkUnit, ...]) -> None:
        self._units = units
        own = tasks_of_part(self._tasks, units, self._shard.part)
        elsewhere = {(unit.service, name) for unit in units if unit.part != self._shard.part for name in unit.items}
        measured = [
            task
            for _, tasks in self._tasks
            for task in tasks
            if CheckTraits.of(task.check).comes_last and item_key(task) in elsewhere
        ]
        if not self._config.option.collectonly:
            self._assembly.scheduler.measured_elsewhere = len(measured)
        self._narrow(own)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Iterable[str]) -> None:
        """Read the units that a worker has written."""
        if not self._units:
            text = (self._assembly.shared_folder() / UNITS_FILE).read_text(encoding="ascii")
            self._set_units(decode(tuple[WorkUnit, ...], json.loads(text)))

    def pytest_report_header(self) -> str:
        by = f", by the durations in {self._shard.recorded.file}" if self._shard.recorded.file else ""
        return f"shard: part {self._shard.part} of {self._shard.parts}{by}"

    def pytest_report_collectionfinish(self) -> str:
        return self._summary

    # -- what it is compared by

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Read what has to be equal in all parts, before anything runs."""
        if is_worker(session.config) or session.config.option.collectonly:
            return
        junit = getattr(session.config.option, "xmlpath", None)
        outputs = [*self._options.reports, *([self._config.invocation_params.dir / junit] if junit else [])]
        try:
            tree = read_tree_state(self._options.plan.root, outputs)
        except Py312Error as error:
            raise pytest.UsageError(str(error)) from None
        self._identity = RunIdentity(
            tool=tool_identity(),
            commit=tree.commit,
            changes=tree.changes,
            plan=plan_digest(self._options.plan),
            options=options_of_run(
                self._config,
                self._options,
                runner=self._assembly.runner_name,
                resolver=self._assembly.describe_resolver(),
                checks=self._checks,
            ),
            durations=self._shard.recorded.digest,
        )

    # -- the end

    def exit_status(self, session: pytest.Session, exit_status: int) -> int:
        """Return the exit status, and set that of the session: a part for which nothing is left has not failed."""
        is_empty = exit_status == pytest.ExitCode.NO_TESTS_COLLECTED and any(unit.items for unit in self._units)
        if not is_empty:
            return exit_status
        session.exitstatus = pytest.ExitCode.OK
        return int(pytest.ExitCode.OK)

    def attach(self, report: Report) -> Report:
        """Return the report of this part with what makes it comparable with the others."""
        root = self._options.plan.root
        shard = ShardPart(
            part=self._shard.part,
            parts=self._shard.parts,
            identity=self._identity if self._units else None,
            units=self._units,
            prefix=path_in_checkout(root),
            record=base64.b64encode(pack_report(report)).decode("ascii"),
        )
        return replace(report, shard=shard)


def register_shard(
    config: pytest.Config,
    shard: ShardOptions,
    options: RunOptions,
    tasks: TasksByService,
    assembly: GateAssembly,
    checks: Sequence[str],
    narrow: Callable[[ServiceTasks], None],
) -> ShardPlugin:
    """Return the plugin of one part of a run, registered.

    :raises OptionError: the part would leave no document to merge.
    """
    if not config.option.collectonly and not any(format_of_file(path.name) == "json" for path in options.reports):
        raise OptionError(
            f"--py312-shard={shard.part}/{shard.parts}: a part without a document cannot be merged: add "
            f"--py312-report=shard-{shard.part}.json"
        )
    plugin = ShardPlugin(config, shard, options, tasks=tasks, assembly=assembly, checks=checks, narrow=narrow)
    config.pluginmanager.register(plugin, "py312-shard")
    return plugin
