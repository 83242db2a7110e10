"""Read the pytest command line into one value, then load the plan and discover the fleet that it is about."""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.directories import checkout_root
from pytest_py312.core.errors import OptionError, PlanError, did_you_mean
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import RESOLVERS, Plan
from pytest_py312.core.text import parse_count, shorten
from pytest_py312.gate.fixes.verification_run import is_second_run
from pytest_py312.gate.reports import FORMAT_OF_ENDING, format_of_file
from pytest_py312.gate.run.known_findings_file import KnownFindings
from pytest_py312.plugin.extensions import Extensions
from pytest_py312.plugin.pytest_support.processes import CLUSTER_SERVICE, is_one_of_several
from pytest_py312.repository.plan.loader import default_plan, find_plan, load_plan
from pytest_py312.repository.services.discovery import discover


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """An argument of the command line such as ``services/user-service::py3.12::suite``: an absolute path, and ``parts``
    of a node id below it.
    """

    path: Path
    parts: tuple[str, ...] = ()

    def touches_service(self, folder: Path) -> bool:
        """Return whether the service in ``folder`` is at, below or above the path.

        Above: a path inside of a service selects the service.
        """
        return folder == self.path or folder.is_relative_to(self.path) or self.path.is_relative_to(folder)

    def includes_item(self, folder: Path, names: tuple[str, ...]) -> bool:
        """Return whether the item ``names`` (``py3.12``, ``suite``) of the service in ``folder`` is selected."""
        return self.touches_service(folder) and names[: len(self.parts)] == self.parts


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOptions:
    """All settings of the command line and the ini file for a run of the gate."""

    plan: Plan
    selections: tuple[Selection, ...]
    stages: frozenset[int]
    services: tuple[str, ...]
    interpreters: frozenset[Interpreter]
    runner: str
    isolation: str
    reports: tuple[Path, ...]
    cache_folder: Path
    jobs: int
    reuse_outcomes: bool
    reuse_failures: bool = True
    """Whether the failures of an earlier run are shown again: not where the user asks to run them again."""
    resolver: str = ""
    offline: bool = False
    diff: bool = False
    fix: bool = False
    annotate: bool = False
    update_locks: bool = False
    allow_dirty: bool = False
    images: bool = False
    """Whether the services' own images are built and checked."""
    benchmark: bool = False
    """Whether benchmarks are run."""
    drop_old_versions: bool = False
    """Whether versions before the target are removed from matrices and ranges."""
    utc: str = ""
    """How UTC times are fixed: ``aware``, ``naive``, or empty for not at all."""
    annotations: str = "auto"
    tolerates_inconclusive: bool = False
    """Whether what could not be checked ends the run with an exit code of its own."""
    known_findings: Path | None = None
    """The file of recorded findings."""
    update_known_findings: bool = False
    cluster: str = ""
    """The address of a Dask cluster that checks the services; empty: they are checked here."""


ROLLOUT_OPTIONS = ("deploy", "soak", "verify_rollback")
"""Options that start a rollout. They have no ini settings: no configuration file deploys anything."""
ROLLOUT_MODIFIERS = ("interval", "soak_mode", "env", "state_dir", "accept_config_change")
"""Options that change how a rollout runs, and are refused without one of :data:`ROLLOUT_OPTIONS`."""


def option_value(config: pytest.Config, name: str) -> object:
    """Return the value of ``--py312-NAME``, or that of its ini setting."""
    value = getattr(config.known_args_namespace, f"py312_{name}", None)
    return config.getini(f"py312_{name}") if value is None else value


def asks_for_rollout(config: pytest.Config) -> bool:
    """Return whether a stage is to be deployed, monitored or verified.

    :raises OptionError: an option that modifies a rollout is given without one, or one without a value.
    """
    cli_options = config.known_args_namespace
    for name in (*ROLLOUT_OPTIONS, *ROLLOUT_MODIFIERS):
        if getattr(cli_options, f"py312_{name}", None) == "":
            raise OptionError(f"--py312-{name.replace('_', '-')}= has no value")
    given = [name for name in (*ROLLOUT_OPTIONS, *ROLLOUT_MODIFIERS) if getattr(cli_options, f"py312_{name}", None)]
    if given and not set(given) & set(ROLLOUT_OPTIONS):
        raise OptionError(
            f"--py312-{given[0].replace('_', '-')} applies to a stage that is deployed or monitored: combine it with "
            "--py312-deploy=ENVIRONMENT or --py312-soak=48h"
        )
    return bool(given)


def _option_list(config: pytest.Config, name: str) -> tuple[str, ...]:
    value = option_value(config, name)
    items: Iterable[object] = value if isinstance(value, list) else [value] if value else []
    return tuple(part.strip() for item in items for part in str(item).split(",") if part.strip())


def _option_text(config: pytest.Config, name: str, allowed: tuple[str, ...] = ()) -> str:
    value = str(option_value(config, name) or "")
    if value and allowed and value not in allowed:
        raise OptionError(f"--py312-{name}={value}: expected one of {', '.join(allowed)}{did_you_mean(value, allowed)}")
    return value


def refuse_unknown_markers(config: pytest.Config) -> None:
    """Refuse a ``-m`` with a marker of the gate that does not exist: pytest would deselect everything without a word.

    :raises OptionError: it has one.
    """
    expression = str(getattr(config.option, "markexpr", "") or "")
    known = [re.split(r"[(:]", line, maxsplit=1)[0].strip() for line in config.getini("markers")]
    for name in re.findall(r"\bpy312\w*", expression):
        if name not in known:
            hint = did_you_mean(name, [marker for marker in known if marker.startswith("py312")])
            raise OptionError(f'-m "{expression}": the gate has no marker {name}{hint}; `pytest --markers` lists all')


def read_options(config: pytest.Config, default_cache: Callable[[], Path]) -> RunOptions:
    """Read the command line, the ini file and the plan.

    :raises Py312Error: something in them is invalid.
    """
    selections = selected_paths(config)
    plan = find_and_load_plan(config, selections)
    if is_one_of_several(config):  # each would take all the room of the further engines
        plan = replace(plan, engines=())
    return RunOptions(
        plan=plan,
        selections=selections,
        stages=frozenset(_parse_stage(text) for text in _option_list(config, "stage")),
        services=_option_list(config, "services"),
        interpreters=frozenset(_parse_interpreter(text) for text in _option_list(config, "python")),
        runner=_option_text(config, "runner", ("auto", "local", "docker")),
        isolation=_option_text(config, "isolation", ("cell", "interpreter")),
        reports=tuple(_report_path(config, text) for text in _option_list(config, "report")),
        cache_folder=_cache_folder(config, default_cache),
        jobs=_parse_jobs(_option_text(config, "jobs")),
        reuse_outcomes=not option_value(config, "no_cache"),
        reuse_failures=not getattr(config.option, "lf", False),
        resolver=_option_text(config, "resolver", RESOLVERS),
        offline=bool(option_value(config, "offline")),
        diff=_wants_changes(config, "diff") or _asks_for_lock_updates(config),
        fix=_wants_changes(config, "fix"),
        annotate=_asks_for_annotations(config),
        update_locks=_asks_for_lock_updates(config),
        allow_dirty=bool(option_value(config, "allow_dirty")),
        images=_asks_for_images(config),
        benchmark=_asks_for_benchmark(config),
        drop_old_versions=_drops_old_versions(config),
        utc=_option_text(config, "utc", ("aware", "naive")),
        annotations=_option_text(config, "annotations", ("auto", "github", "none")) or "auto",
        tolerates_inconclusive=_option_text(config, "inconclusive", ("fail", "warn")) == "warn",
        known_findings=_known_findings_path(config),
        update_known_findings=bool(option_value(config, "update_known_findings")),
        cluster=_option_text(config, "cluster"),
    )


def _wants_changes(config: pytest.Config, name: str) -> bool:
    """Return whether changes are to be shown or written; never in the second run, which verifies them."""
    return bool(option_value(config, name)) and not is_second_run()


def _asks_for_lock_updates(config: pytest.Config) -> bool:
    """Return whether stale lock files are to be regenerated.

    :raises OptionError: this needs the network, and the run is offline.
    """
    requested = _wants_changes(config, "update_locks")
    if requested and option_value(config, "offline"):
        raise OptionError(
            "--py312-update-locks regenerates lock files, which needs the network: remove --py312-offline"
        )
    return requested


def _asks_for_images(config: pytest.Config) -> bool:
    requested = bool(option_value(config, "images"))
    if requested and option_value(config, "runner") == "local":
        raise OptionError("--py312-images needs the docker runner: remove --py312-runner=local")
    return requested


def _asks_for_benchmark(config: pytest.Config) -> bool:
    requested = bool(option_value(config, "benchmark")) and not is_second_run()
    if requested and find_spec("scipy") is None:
        raise OptionError("--py312-benchmark needs scipy: pip install 'pytest-py312[benchmark]'")
    return requested


def _drops_old_versions(config: pytest.Config) -> bool:
    requested = bool(option_value(config, "drop_old_versions"))
    if requested and not (option_value(config, "diff") or option_value(config, "fix")):
        raise OptionError(
            "--py312-drop-old-versions removes versions before the target from files: combine it with --py312-diff, "
            "which shows the changes, or --py312-fix, which writes them"
        )
    return requested


def _asks_for_annotations(config: pytest.Config) -> bool:
    requested = bool(option_value(config, "annotate"))
    if requested and not (option_value(config, "diff") or option_value(config, "fix")):
        raise OptionError(
            "--py312-annotate adds comments to the changes: combine it with --py312-diff, which shows them, or "
            "--py312-fix, which writes them"
        )
    return requested


def selected_paths(config: pytest.Config) -> tuple[Selection, ...]:
    """Return the paths and node ids of the command line; empty: everything is selected."""
    start = config.invocation_params.dir
    selections = []
    for argument in config.known_args_namespace.file_or_dir:
        path, *parts = str(argument).split("::")
        absolute = (start / path).absolute()
        if not absolute.exists():
            absolute = _shown_path(config, path)
        selections.append(Selection(path=absolute.resolve(), parts=tuple(parts)))
    return tuple(selections)


def _shown_path(config: pytest.Config, path: str) -> Path:
    """Return the path of an id as this tool prints it: relative to pytest's root directory, or to the plan.

    :raises OptionError: there is no such path.
    """
    plan = find_plan(config.invocation_params.dir.resolve())
    for folder in (config.rootpath, *([plan.parent] if plan is not None else [])):
        if (folder / path).exists():
            return (folder / path).absolute()
    raise OptionError(f"{path}: there is no such file or folder")


def find_and_load_plan(config: pytest.Config, selections: tuple[Selection, ...]) -> Plan:
    """Load the plan of ``--py312-plan``, or of the selected paths or the working directory and the folders above them.

    Without a plan file it is the default plan.

    :raises PlanError: the file does not exist, or is invalid.
    :raises OptionError: the paths belong to different plans.
    """
    start = config.invocation_params.dir.resolve()
    plan_argument = _option_text(config, "plan")
    if plan_argument:
        file = (start / plan_argument).resolve()
        if not file.is_file():
            raise PlanError(plan_argument, "", "there is no such plan file")
        return load_plan(file, today=clock.today())
    folders = [item.path if item.path.is_dir() else item.path.parent for item in selections] or [start]
    files = {plan_file for folder in folders if (plan_file := find_plan(folder)) is not None}
    if len(files) > 1:
        listed = " and ".join(sorted(str(file) for file in files))
        raise OptionError(f"the paths belong to different plans, {listed}: check one plan at a time")
    if files:
        return load_plan(files.pop(), today=clock.today())
    return default_plan(checkout_root(Path(os.path.commonpath(folders))) if selections else start)


def _parse_stage(text: str) -> int:
    stage = parse_count(text)
    if stage is None:
        raise OptionError(f"--py312-stage={shorten(text, 40)}: a stage is a number, as in --py312-stage=2")
    return stage


def _parse_interpreter(text: str) -> Interpreter:
    try:
        return Interpreter.parse(text)
    except ValueError as error:
        raise OptionError(f"--py312-python: {error}") from None


def _parse_jobs(text: str) -> int:
    if not text:
        return 0
    jobs = parse_count(text)
    if not jobs:
        raise OptionError(f"--py312-jobs={shorten(text, 40)}: expected a number of at least 1")
    return jobs


def _cache_folder(config: pytest.Config, default_cache: Callable[[], Path]) -> Path:
    folder_argument = _option_text(config, "cache_dir")
    path = (config.invocation_params.dir / Path(folder_argument or default_cache()).expanduser()).absolute()
    if path.exists() and not path.is_dir():
        raise OptionError(
            f"{path}: the cache has to be a folder, and this is a file; choose another with --py312-cache-dir"
        )
    return path


def _known_findings_path(config: pytest.Config) -> Path | None:
    """Return the file of recorded findings.

    On the command line it is relative to the working directory; in the ini file, to pytest's root directory.
    """
    file_argument = _option_text(config, "known_findings")
    if not file_argument:
        if option_value(config, "update_known_findings"):
            raise OptionError("--py312-update-known-findings needs --py312-known-findings=FILE")
        return None
    is_from_command_line = getattr(config.known_args_namespace, "py312_known_findings", None) is not None
    folder = config.invocation_params.dir if is_from_command_line else config.rootpath
    path = folder / Path(file_argument).expanduser()
    if not path.parent.is_dir():
        raise OptionError(f"--py312-known-findings={file_argument}: there is no folder {path.parent}")
    if path.is_dir():
        raise OptionError(f"--py312-known-findings={file_argument}: it is a folder; name a file")
    return path


def _report_path(config: pytest.Config, text: str) -> Path:
    path = config.invocation_params.dir / text
    if not format_of_file(path.name):
        endings = ", ".join(FORMAT_OF_ENDING)
        raise OptionError(
            f"--py312-report={path.name}: the ending determines the format, and has to be one of {endings}"
        )
    if not path.parent.is_dir():
        raise OptionError(f"--py312-report={text}: there is no folder {path.parent}")
    if path.is_dir():
        raise OptionError(f"--py312-report={text}: it is a folder; name a file")
    return path


_FLEET = pytest.StashKey[tuple[Plan, Fleet]]()


def discover_fleet(config: pytest.Config, plan: Plan) -> Fleet:
    """Return the fleet of ``plan``, discovered once per session, with what other plugins change.

    :raises OptionError: another plugin fails.
    :raises NoFleetError, PlanError: see :func:`~pytest_py312.repository.services.discovery.discover`.
    """
    cached = config.stash.get(_FLEET, None)
    if cached is None or cached[0] != plan:
        sent = getattr(config.pluginmanager.get_plugin(CLUSTER_SERVICE), "fleet", None)
        fleet: Fleet | None = sent() if sent is not None else None
        cached = (plan, fleet or Extensions(config).change_fleet(plan, discover(plan)))
        config.stash[_FLEET] = cached
    return cached[1]


def read_known_findings(options: RunOptions, *, is_part: bool) -> KnownFindings | None:
    """Read the file that the options name; ``None`` if they name none.

    :param is_part: the run is one part of a divided one.
    :raises KnownFindingsError: the file is invalid.
    """
    if options.known_findings is None:
        return None
    is_partial = options.selections or options.stages or options.services or options.interpreters
    return KnownFindings(
        options.known_findings,
        update=options.update_known_findings,
        covers_all=bool(options.plan.source) and not is_partial,
        is_part=is_part,
    )
