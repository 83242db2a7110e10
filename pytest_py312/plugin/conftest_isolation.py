"""Keep pytest settings and conftest files of services out of the process that runs the gate."""

import copy
import re
import sys
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_py312.plugin.command_line import option_value
from pytest_py312.repository.plan.loader import find_plan

_MENTION = re.compile(rb"pytest_py312|--py312|option\.py312|[\"']py312_")


@contextmanager
def isolate_conftests(early_config: pytest.Config, args: list[str], value_options: Collection[str]) -> Generator[None]:
    """Let pytest load the ``conftest.py`` beside the plan if it is for the gate, and no other of the repository.

    pytest imports ``conftest.py`` of every path on the command line, and of its ``test*`` folders. Those belong in the
    cells of the services, also where the tests of a service lie beside it: here their dependencies are missing, the
    interpreter is the wrong one, and their hooks are for items and a pytest that are not those of the gate.

    :param value_options: the gate's options that take a value.
    """
    _drop_repository_settings(early_config, args, value_options)
    namespace = early_config.known_args_namespace
    typed = namespace.file_or_dir
    folder = _plan_folder(early_config, typed)
    conftest = folder / "conftest.py"
    is_loaded = _is_for_gate(conftest)
    namespace.noconftest = namespace.noconftest or not is_loaded
    namespace.file_or_dir = [str(conftest if is_loaded else folder)]  # named explicitly, pytest loads no other one
    try:
        yield
    finally:
        namespace.file_or_dir = typed


def _is_for_gate(conftest: Path) -> bool:
    """Return whether a conftest mentions this plugin: its hooks, its names, its options; not the py312 of tox."""
    try:
        return _MENTION.search(conftest.read_bytes()) is not None
    except OSError:
        return False


def _drop_repository_settings(config: pytest.Config, args: list[str], value_options: Collection[str]) -> None:
    """Let no pytest setting of the repository apply to this process, but those of the gate.

    pytest takes its settings from the first file in or above the first path: a service's
    ``addopts`` (``--cov=app``), ``timeout``, ``filterwarnings`` or ``required_plugins`` are for its cells, and may name
    plugins that are not installed here, or end a check of the gate. The command line, ``-o NAME=VALUE`` and a file that
    is named by ``-c`` are the user's own and count.
    """
    namespace = config.known_args_namespace
    if config.inipath is None or getattr(namespace, "inifilename", None):
        return
    options = config.getini("addopts")
    if options and args[: len(options)] == options:
        args[: len(options)] = _gate_options(options, value_options)
        # the value of an option that is unknown here was taken for a path
        config.known_args_namespace = config._parser.parse_known_args(args, namespace=copy.copy(config.option))
        config.known_args_namespace.confcutdir = config.known_args_namespace.confcutdir or namespace.confcutdir
        namespace = config.known_args_namespace
    for folder in map(str, config.getini("pythonpath")):
        if folder in sys.path:
            sys.path.remove(folder)
    overridden = {setting.partition("=")[0] for setting in getattr(namespace, "override_ini", None) or ()}
    # pytest has no public way to change its settings
    settings = config._inicfg if hasattr(config, "_inicfg") else config.inicfg
    for name in [name for name in settings if not name.startswith("py312") and name not in overridden]:
        del settings[name]
    config._inicache.clear()


def _gate_options(options: Sequence[str], value_options: Collection[str]) -> list[str]:
    """Return the gate's own of ``options``, with their values."""
    kept: list[str] = []
    is_value = False
    for option in options:
        if option.startswith("--py312") or is_value:
            kept.append(option)
        is_value = not is_value and option in value_options
    return kept


def _plan_folder(config: pytest.Config, typed: list[str]) -> Path:
    """Return the folder of the plan for this command line, also if pytest was started in a service's folder."""
    start = config.invocation_params.dir
    plan_option = option_value(config, "plan")
    if plan_option:
        return (start / str(plan_option)).parent
    first_path = (start / str(typed[0]).split("::")[0]).absolute() if typed else start
    plan = find_plan(first_path if first_path.is_dir() else first_path.parent)
    return plan.parent if plan is not None else start
