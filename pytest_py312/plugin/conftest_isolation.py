"""Keep pytest settings and conftest files of services out of the process that runs the gate."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_py312.core.service_patterns import normalize_pattern
from pytest_py312.plugin.command_line import discover_fleet, find_and_load_plan, option_value, selected_paths
from pytest_py312.repository.plan.loader import find_plan


@contextmanager
def isolate_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    """Let pytest load the conftest files of the repository, but not those of services on the command line.

    pytest imports ``conftest.py`` of every path on the command line, and of its ``test*`` folders. Those of a service
    belong in its cells: here their dependencies are missing, and the interpreter is the wrong one.
    """
    namespace = early_config.known_args_namespace
    typed = namespace.file_or_dir
    folder = _plan_folder(early_config, typed)
    namespace.file_or_dir = [str(folder)]
    is_one_service = _is_one_service(early_config)
    if is_one_service:  # all conftest files are the service's, except one that extends the gate
        gate_conftest = _gate_conftest(folder)
        namespace.noconftest = namespace.noconftest or not gate_conftest
        namespace.file_or_dir = gate_conftest or [str(folder)]
    _drop_service_options(early_config, args, folder, at_root=is_one_service)
    try:
        yield
    finally:
        namespace.file_or_dir = typed


def _is_one_service(config: pytest.Config) -> bool:
    """Return whether the plan's folder is itself a service."""
    plan = find_and_load_plan(config, selected_paths(config))
    if plan.services and "." not in map(normalize_pattern, plan.services):
        return False
    return any(service.path == "." for service in discover_fleet(config, plan).services)


def _gate_conftest(folder: Path) -> list[str]:
    """Return the ``conftest.py`` in ``folder`` if it extends the gate. Named explicitly, it is the only one pytest
    loads.
    """
    file = folder / "conftest.py"
    try:
        return [str(file)] if b"pytest_py312" in file.read_bytes() else []
    except OSError:
        return []


def _drop_service_options(config: pytest.Config, args: list[str], folder: Path, *, at_root: bool) -> None:
    """Remove the ``addopts`` of a service's own pytest settings from the command line.

    pytest reads its settings from the first file above the first path. For the path of a service, and if the root is a
    service, that is often the service's file, and its options (``--cov=app``) are for its cells and may be unknown
    here. Options of the gate stay.

    :param at_root: whether the root is a service.
    """
    file = config.inipath
    explicit_ini = getattr(config.known_args_namespace, "inifilename", None)
    if file is None or explicit_ini:
        return
    if folder.resolve() not in file.parent.resolve().parents and not at_root:
        return
    options = config.getini("addopts")
    if options and args[: len(options)] == options:
        args[: len(options)] = [option for option in options if option.startswith("--py312")]
    # the service's warning filters do not apply here, and its settings may be of plugins that are not installed
    for name in ("strict", "strict_config"):
        setattr(config.known_args_namespace, name, False)  # where pytest 8 looks
    # pytest has no public way to override ini values
    config._inicache |= {"filterwarnings": [], "strict": False, "strict_config": False}


def _plan_folder(config: pytest.Config, typed: list[str]) -> Path:
    """Return the folder of the plan for this command line, also if pytest was started in a service's folder."""
    start = config.invocation_params.dir
    plan_option = option_value(config, "plan")
    if plan_option:
        return (start / str(plan_option)).parent
    first_path = (start / str(typed[0]).split("::")[0]).absolute() if typed else start
    plan = find_plan(first_path if first_path.is_dir() else first_path.parent)
    return plan.parent if plan is not None else start
