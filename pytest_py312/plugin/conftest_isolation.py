"""Which of pytest's own settings hold for a run of the gate: the repository's, and not those of its services."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_py312.core.service_patterns import tidy
from pytest_py312.plugin.command_line import chosen_paths, fleet_of, option, plan_of
from pytest_py312.repository.plan.loader import find_plan


@contextmanager
def conftests_of_the_repository_only(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    """Let pytest load the conftest files of the repository, not those of the services on the command line.

    pytest imports ``conftest.py`` of every path that is typed, and of its ``test*`` folders. Those of a service belong
    into the service's cells: here they lack what they import, and would be run by the wrong interpreter.
    """
    namespace = early_config.known_args_namespace
    typed = namespace.file_or_dir
    folder = _folder_of_plan(early_config, typed)
    namespace.file_or_dir = [str(folder)]
    is_one_service = _is_one_service(early_config)
    if is_one_service:  # all of the repository's conftest files are the service's, but for one of ours
        ours = _conftest_of_the_gate(folder)
        namespace.noconftest = namespace.noconftest or not ours
        namespace.file_or_dir = ours or [str(folder)]
    _leave_out_options_of_a_service(early_config, args, folder, at_root=is_one_service)
    try:
        yield
    finally:
        namespace.file_or_dir = typed


def _is_one_service(config: pytest.Config) -> bool:
    """Whether the folder of the plan is itself a service."""
    plan = plan_of(config, chosen_paths(config))
    if plan.services and "." not in map(tidy, plan.services):
        return False
    return any(service.path == "." for service in fleet_of(config, plan).services)


def _conftest_of_the_gate(folder: Path) -> list[str]:
    """The ``conftest.py`` in ``folder`` where it adds to the gate. By its own path pytest loads none further in."""
    file = folder / "conftest.py"
    try:
        return [str(file)] if b"pytest_py312" in file.read_bytes() else []
    except OSError:
        return []


def _leave_out_options_of_a_service(config: pytest.Config, args: list[str], folder: Path, *, at_root: bool) -> None:
    """Take the ``addopts`` of a service's own pytest settings off the command line.

    pytest takes its settings from the first file above the path that is typed. For a service's path, and where the root
    is a service, that is often the service's, and what it asks for (``--cov=app``) is for its cells, and may be unknown
    here. What is the gate's own stays.

    :param at_root: whether the root is a service.
    """
    file = config.inipath
    asked_for = getattr(config.known_args_namespace, "inifilename", None)
    if file is None or asked_for:
        return
    if folder.resolve() not in file.parent.resolve().parents and not at_root:
        return
    options = config.getini("addopts")
    if options and args[: len(options)] == options:
        args[: len(options)] = [option for option in options if option.startswith("--py312")]
    # warnings of this run are none of the service's, and its settings may be those of plugins that are not here
    for name in ("strict", "strict_config"):
        setattr(config.known_args_namespace, name, False)  # where pytest 8 looks
    # nothing public takes back what an ini file says
    config._inicache |= {"filterwarnings": [], "strict": False, "strict_config": False}


def _folder_of_plan(config: pytest.Config, typed: list[str]) -> Path:
    """Where the plan is that this command line means, also when it was started in a service's folder."""
    start = config.invocation_params.dir
    named = option(config, "plan")
    if named:
        return (start / str(named)).parent
    first = (start / str(typed[0]).split("::")[0]).absolute() if typed else start
    plan = find_plan(first if first.is_dir() else first.parent)
    return plan.parent if plan is not None else start
