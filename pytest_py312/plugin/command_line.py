"""What of the fleet a pytest command line asks for: options, ini twins, paths and node ids, read into one value."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError, PlanError, perhaps
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import RESOLVERS, Plan
from pytest_py312.gate.fixes.verification_run import is_second
from pytest_py312.repository.plan.loader import default_plan, find_plan, load_plan
from pytest_py312.repository.services.discovery import discover


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """A path on the command line, absolute, and what follows it: ``services/user-service::py3.12::suite``."""

    path: Path
    parts: tuple[str, ...] = ()

    def takes_service(self, folder: Path) -> bool:
        """Whether the service in ``folder`` is at, below or around the path."""
        return folder == self.path or folder.is_relative_to(self.path) or self.path.is_relative_to(folder)

    def takes_item(self, folder: Path, names: tuple[str, ...]) -> bool:
        """Whether the item ``names`` (``py3.12``, ``suite``) of the service in ``folder`` is meant."""
        return self.takes_service(folder) and names[: len(self.parts)] == self.parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """Everything that the command line and the ini file settle about a run of the gate."""

    plan: Plan
    chosen: tuple[Chosen, ...]
    stages: frozenset[int]
    services: tuple[str, ...]
    interpreters: frozenset[Interpreter]
    runner: str
    isolation: str
    reports: tuple[Path, ...]
    cache: Path
    jobs: int
    reuse: bool
    resolver: str = ""
    offline: bool = False
    diff: bool = False
    fix: bool = False
    annotate: bool = False
    relock: bool = False
    allow_dirty: bool = False
    build: bool = False
    """Whether services' own images are built and tried."""
    benchmark: bool = False
    """Whether services are measured."""
    close: bool = False
    """Whether what is older than the target is taken out of matrices and ranges."""
    utc: str = ""
    """How times in UTC are mended: ``aware``, ``naive``, or not at all."""
    annotations: str = "auto"
    baseline: Path | None = None
    """The file of recorded findings."""
    baseline_update: bool = False


ROLLOUTS = ("deploy", "soak", "verify")
"""Options that ask for a rollout, and those that say more about it. They are typed: no configuration file deploys."""
ROLLOUT_SETTINGS = ("interval", "soak_mode", "env", "state_dir", "accept_config_change")


def option(config: pytest.Config, name: str) -> object:
    """The value of ``--py312-NAME``, else of its ini twin."""
    value = getattr(config.known_args_namespace, f"py312_{name}", None)
    return config.getini(f"py312_{name}") if value is None else value


def is_rollout(config: pytest.Config) -> bool:
    """Whether a stage is to be deployed, watched or verified.

    :raises OptionError: what belongs to that is given without it.
    """
    typed = config.known_args_namespace
    given = [name for name in (*ROLLOUTS, *ROLLOUT_SETTINGS) if getattr(typed, f"py312_{name}", None)]
    if given and not set(given) & set(ROLLOUTS):
        raise OptionError(
            f"--py312-{given[0].replace('_', '-')} is about a stage that is deployed or watched: give it with "
            "--py312-deploy=ENVIRONMENT or --py312-soak=48h"
        )
    return bool(given)


def _texts(config: pytest.Config, name: str) -> tuple[str, ...]:
    value = option(config, name)
    items: Iterable[object] = value if isinstance(value, list) else [value] if value else []
    return tuple(part.strip() for item in items for part in str(item).split(",") if part.strip())


def _text(config: pytest.Config, name: str, known: tuple[str, ...] = ()) -> str:
    value = str(option(config, name) or "")
    if value and known and value not in known:
        raise OptionError(f"--py312-{name}={value}: it is one of {', '.join(known)}{perhaps(value, known)}")
    return value


def aim_of(config: pytest.Config, default_cache: Callable[[], Path]) -> Aim:
    """Read the command line.

    :raises Py312Error: something in it, or in the plan, cannot be used.
    """
    chosen = chosen_paths(config)
    return Aim(
        plan=plan_of(config, chosen),
        chosen=chosen,
        stages=frozenset(_stage(text) for text in _texts(config, "stage")),
        services=_texts(config, "services"),
        interpreters=frozenset(_interpreter(text) for text in _texts(config, "python")),
        runner=_text(config, "runner", ("auto", "local", "docker")),
        isolation=_text(config, "isolation", ("cell", "interpreter")),
        reports=tuple(_report(config, text) for text in _texts(config, "report")),
        cache=_cache(config, default_cache),
        jobs=_jobs(_text(config, "jobs")),
        reuse=not option(config, "no_cache"),
        resolver=_text(config, "resolver", RESOLVERS),
        offline=bool(option(config, "offline")),
        diff=_writes(config, "diff") or relocks_wanted(config),
        fix=_writes(config, "fix"),
        annotate=_annotates(config),
        relock=relocks_wanted(config),
        allow_dirty=bool(option(config, "allow_dirty")),
        build=_builds(config),
        benchmark=_benchmarks(config),
        close=_closes(config),
        utc=_text(config, "utc", ("aware", "naive")),
        annotations=_text(config, "annotations", ("auto", "github", "none")) or "auto",
        baseline=_baseline(config),
        baseline_update=bool(option(config, "baseline_update")),
    )


def _writes(config: pytest.Config, name: str) -> bool:
    """Whether changes are to be shown or written; never in the second run, which judges them."""
    return bool(option(config, name)) and not is_second()


def relocks_wanted(config: pytest.Config) -> bool:
    """Whether stale lock files are to be made anew; that needs the network.

    :raises OptionError: it is not there to be had.
    """
    asked = _writes(config, "relock")
    if asked and option(config, "offline"):
        raise OptionError("--py312-relock makes lock files anew, which needs the network: leave out --py312-offline")
    return asked


def _builds(config: pytest.Config) -> bool:
    asked = bool(option(config, "build"))
    if asked and option(config, "runner") == "local":
        raise OptionError("--py312-build builds images, which the docker runner does: leave out --py312-runner=local")
    return asked


def _benchmarks(config: pytest.Config) -> bool:
    asked = bool(option(config, "benchmark")) and not is_second()
    if asked and find_spec("scipy") is None:
        raise OptionError("--py312-benchmark needs scipy: pip install 'pytest-py312[benchmark]'")
    return asked


def _closes(config: pytest.Config) -> bool:
    asked = bool(option(config, "close"))
    if asked and not (option(config, "diff") or option(config, "fix")):
        raise OptionError(
            "--py312-close takes what is older than the target out of files: give it with --py312-diff, which shows "
            "that, or --py312-fix, which writes it"
        )
    return asked


def _annotates(config: pytest.Config) -> bool:
    asked = bool(option(config, "annotate"))
    if asked and not (option(config, "diff") or option(config, "fix")):
        raise OptionError(
            "--py312-annotate adds comments to the changes: give it with --py312-diff, which shows them, or "
            "--py312-fix, which writes them"
        )
    return asked


def chosen_paths(config: pytest.Config) -> tuple[Chosen, ...]:
    """The paths and node ids that were typed; none of them: everything."""
    start = config.invocation_params.dir
    found = []
    for argument in config.known_args_namespace.file_or_dir:
        path, *parts = str(argument).split("::")
        absolute = (start / path).absolute()
        if not absolute.exists():
            raise OptionError(f"{path}: there is no such file or folder")
        found.append(Chosen(path=absolute.resolve(), parts=tuple(parts)))
    return tuple(found)


def plan_of(config: pytest.Config, chosen: tuple[Chosen, ...]) -> Plan:
    start = config.invocation_params.dir.resolve()
    named = _text(config, "plan")
    if named:
        file = (start / named).resolve()
        if not file.is_file():
            raise PlanError(named, "", "there is no such plan file")
        return load_plan(file, today=clock.today())
    places = [item.path if item.path.is_dir() else item.path.parent for item in chosen] or [start]
    files = {found for place in places if (found := find_plan(place)) is not None}
    if len(files) > 1:
        listed = " and ".join(sorted(str(file) for file in files))
        raise OptionError(f"the paths belong to different plans, {listed}: check them one after the other")
    if files:
        return load_plan(files.pop(), today=clock.today())
    return default_plan(checkout_of(_common(places)) if chosen else start)


def checkout_of(folder: Path) -> Path:
    """The checkout that ``folder`` lies in, where there is one: without a plan a service's path is relative to it."""
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


def _common(places: list[Path]) -> Path:
    common = places[0]
    for place in places[1:]:
        while not place.is_relative_to(common):
            common = common.parent
    return common


def _stage(text: str) -> int:
    if not text.isdecimal():
        raise OptionError(f"--py312-stage={text}: a stage is a number, as in --py312-stage=2")
    return int(text)


def _interpreter(text: str) -> Interpreter:
    try:
        return Interpreter.parse(text)
    except ValueError as error:
        raise OptionError(f"--py312-python: {error}") from None


def _jobs(text: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"--py312-jobs={text}: it is the number of cells at once, 1 or more")
    return int(text)


def _cache(config: pytest.Config, default_cache: Callable[[], Path]) -> Path:
    named = _text(config, "cache_dir")
    path = (config.invocation_params.dir / Path(named or default_cache()).expanduser()).absolute()
    if path.exists() and not path.is_dir():
        raise OptionError(f"{path}: the cache is a folder, and this is a file; name another with --py312-cache-dir")
    return path


def _baseline(config: pytest.Config) -> Path | None:
    """The file of recorded findings. As the ini twin has it, it is relative to the ini file, else to where one is."""
    named = _text(config, "baseline")
    if not named:
        if option(config, "baseline_update"):
            raise OptionError("--py312-baseline-update: which file? Name it with --py312-baseline=FILE")
        return None
    typed = getattr(config.known_args_namespace, "py312_baseline", None) is not None
    path = (config.invocation_params.dir if typed else config.rootpath) / Path(named).expanduser()
    if not path.parent.is_dir():
        raise OptionError(f"--py312-baseline={named}: there is no folder {path.parent}")
    if path.is_dir():
        raise OptionError(f"--py312-baseline={named}: it is a folder; name a file")
    return path


REPORT_ENDINGS = (
    ".html",
    ".md",
    ".sarif.json",
    ".sarif",
    ".baseline.pyperf.json",
    ".target.pyperf.json",
    ".baseline.pytest-benchmark.json",
    ".target.pytest-benchmark.json",
    ".json",
)
"""Of report files; the first that fits tells the form."""
_ONE_SIDED = (".pyperf.json", ".pytest-benchmark.json")
"""Ends of names that stand for the measurements of one side, and do not say of which."""


def ending_of(path: Path) -> str:
    """Which of :data:`REPORT_ENDINGS` the file has.

    :raises OptionError: none of them.
    """
    for ending in REPORT_ENDINGS:
        if ending == ".json" and path.name.endswith(_ONE_SIDED):
            break  # not the whole run by mistake
        if path.name.endswith(ending):
            return ending
    known = ", ".join(REPORT_ENDINGS)
    raise OptionError(f"--py312-report={path.name}: the form is told by the ending, and those known are {known}")


def _report(config: pytest.Config, text: str) -> Path:
    path = config.invocation_params.dir / text
    ending_of(path)
    if not path.parent.is_dir():
        raise OptionError(f"--py312-report={text}: there is no folder {path.parent}")
    if path.is_dir():
        raise OptionError(f"--py312-report={text}: it is a folder; name a file")
    return path


_FLEET = pytest.StashKey[tuple[Plan, Fleet]]()


def fleet_of(config: pytest.Config, plan: Plan) -> Fleet:
    """The fleet of ``plan``, discovered once a session.

    :raises NoFleetError, PlanError: see repository/services/discovery.py.
    """
    known = config.stash.get(_FLEET, None)
    if known is None or known[0] != plan:
        known = (plan, discover(plan))
        config.stash[_FLEET] = known
    return known[1]
