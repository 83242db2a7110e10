"""Entry point of the pytest plugin: the options, and nothing else until one of them is given.

Every pytest run in a project that has this plugin installed imports this file, so it imports only pytest. The gate
(session.py and everything below it) is imported when a ``--py312`` option asks for it.
"""

import os
from collections.abc import Generator
from typing import Literal

import pytest

CHECK_KINDS = ("dependencies", "libraries", "source", "versions", "suite", "image", "benchmark", "rollout")

_VALUE_OPTIONS: tuple[tuple[str, str, Literal["args", "string"], str], ...] = (
    # option, metavar, type of the ini setting, help
    ("stage", "N[,N]", "args", "check the services of these stages"),
    ("services", "NAME[,NAME]", "args", "check these services only: names, paths or globs of either"),
    ("python", "X.Y[,X.Y]", "args", "only the cells of these interpreters"),
    ("runner", "auto|local|docker", "string", "where cells run (default: the plan's, which is auto unless it says so)"),
    (
        "isolation",
        "cell|interpreter",
        "string",
        "docker runner: a container for each cell, or one for each interpreter",
    ),
    ("resolver", "uv|pip-tools", "string", "which resolver is used (default: the plan's, else uv)"),
    (
        "plan",
        "FILE",
        "string",
        "the plan file (default: py312.toml or [tool.pytest-py312], here or in a parent folder)",
    ),
    ("report", "FILE", "args", "write a report to this file (.html, .md, .json, .sarif, .junit.xml); may be repeated"),
    (
        "annotations",
        "auto|github|none",
        "string",
        "annotate a GitHub workflow (default: auto, if run by one)",
    ),
    (
        "inconclusive",
        "fail|warn",
        "string",
        "exit code if nothing fails and something cannot be checked: 1 (default), or 76; it is never 0",
    ),
    ("utc", "aware|naive", "string", "fix utcnow() as well: by times with a time zone, or naive ones as before"),
    ("known-findings", "FILE", "string", "findings that are recorded in this file do not block"),
    ("cache-dir", "DIR", "string", "where locks, distributions and environments are kept (default: the user's cache)"),
    ("jobs", "N", "string", "number of parallel cells (default: the number of cores)"),
    (
        "cluster",
        "ADDRESS",
        "string",
        "check the services on workers of a Dask cluster: tcp://HOST:PORT, tls://HOST:PORT, or local:N on this machine",
    ),
    (
        "durations",
        "FILE",
        "string",
        "with --py312-shard: divide the run by the times in this file; with --py312-cluster: start the longest first",
    ),
)

_SHARD_OPTIONS: tuple[tuple[str, str, str], ...] = (
    # without ini settings: each machine has another value
    ("shard", "K/N", "check part K of N only, on a machine of its own; `py312 merge` joins the reports of all parts"),
)

_ROLLOUT_OPTIONS: tuple[tuple[str, str, str], ...] = (
    # without ini settings: a deployment is requested on the command line, and configured in the plan
    ("deploy", "ENVIRONMENT", "deploy the stage there once all of its checks are proven, and monitor it"),
    ("soak", "48h", "monitor the stage for this time, instead of the plan's; alone: a stage that is deployed already"),
    ("interval", "5m", "time between two samples, instead of the plan's interval"),
    (
        "soak-mode",
        "wait|sample-once",
        "run until the soak is over (default), or take the sample that is due and exit",
    ),
    ("env", "ENVIRONMENT", "the environment of --py312-soak and --py312-verify-rollback (default: test)"),
    ("state-dir", "DIR", "folder of the rollout's journal (default: .py312 beside the plan)"),
)
_ROLLOUT_FLAGS: tuple[tuple[str, str], ...] = (
    # without ini settings, too
    ("verify-rollback", "after a rollback: check that the previous version serves again, on its previous Python"),
    ("accept-config-change", "continue a soak although the plan was changed since it began"),
)
VALUE_OPTIONS = frozenset(f"--py312-{name}" for name, *_ in (*_VALUE_OPTIONS, *_SHARD_OPTIONS, *_ROLLOUT_OPTIONS))
"""The options that take a value, which may stand apart."""
_FLAG_OPTIONS: tuple[tuple[str, str], ...] = (
    ("no-cache", "check everything again: use no outcomes of earlier runs (locks and environments are still cached)"),
    (
        "update-known-findings",
        "remove fixed findings from the file of --py312-known-findings; create it if there is none",
    ),
    ("no-progress", "do not show what the run does while it works (nor with -q)"),
    ("offline", "use only the cache; what is not in it cannot be checked"),
    ("diff", "show the changes that fix findings and migrate ready services, as a unified diff"),
    ("fix", "write these changes, and check the services again: the exit status is that of the second run"),
    ("annotate", "with --py312-diff or --py312-fix: add a comment to each requirement that no change fixes"),
    (
        "images",
        "also build the services' own images on baseline and target, and check their entry points (docker runner)",
    ),
    (
        "benchmark",
        "also measure the services on baseline and target, and report slowdowns (takes minutes per service)",
    ),
    (
        "drop-old-versions",
        "with --py312-diff or --py312-fix: remove versions before the target from matrices and ranges",
    ),
    (
        "update-locks",
        "run the commands that regenerate stale lock files (alone: nothing else is written), then check again",
    ),
    ("allow-dirty", "also write to files with uncommitted changes"),
)


_ACCEPTANCE_VARIABLE = "PY312_ACCEPTANCE"
"""As rollout/execution/acceptance_runner.py sets it."""
_ENABLING = (
    "", "_stage", "_services", "_python", "_plan", "_shard", "_deploy", "_soak", "_verify_rollback", "_diff", "_fix",
    "_update_locks", "_update_known_findings",
)  # fmt: skip
"""The options that ask for the gate; the others only modify it."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    _waive_required_plugins(pluginmanager)
    group = parser.getgroup("py312", "migration of services to a new Python")
    group.addoption("--py312", action="store_true", default=None, help="check the services of this repository")
    parser.addini("py312", "check the services on every run", type="bool", default=False)
    for name, metavar, kind, text in _VALUE_OPTIONS:
        several, dest = kind == "args", "py312_" + name.replace("-", "_")
        group.addoption(
            f"--py312-{name}",
            dest=dest,
            action="append" if several else "store",
            default=None,
            metavar=metavar,
            help=text,
        )
        parser.addini(dest, text, type=kind, default=None)
    for name, metavar, text in (*_SHARD_OPTIONS, *_ROLLOUT_OPTIONS):
        dest = "py312_" + name.replace("-", "_")
        group.addoption(f"--py312-{name}", dest=dest, action="store", default=None, metavar=metavar, help=text)
    for name, text in (*_ROLLOUT_FLAGS, *_FLAG_OPTIONS):
        dest = "py312_" + name.replace("-", "_")
        group.addoption(f"--py312-{name}", dest=dest, action="store_true", default=None, help=text)
        if (name, text) in _FLAG_OPTIONS:
            parser.addini(dest, text, type="bool", default=False)


def _waive_required_plugins(pluginmanager: pytest.PytestPluginManager) -> None:
    """Drop ``required_plugins`` of the repository's settings from a run of the gate: they are for its services' cells.

    pytest looks at them before it calls ``pytest_load_initial_conftests``, where all other settings are dropped.
    """
    config = pluginmanager.get_plugin("pytestconfig")
    if config is None:
        return
    words = {word.partition("=")[0] for word in config.invocation_params.args}
    if not words.isdisjoint(f"--py312{name}".replace("_", "-") for name in _ENABLING):
        config._inicache["required_plugins"] = []


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_py312.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def _is_enabled(config: pytest.Config) -> bool:
    """Return whether the run checks services: the ini setting ``py312``, or an option other than a modifier such as
    ``--py312-runner``.

    Also one with an empty value: an unset variable of a CI system must not turn the gate into another run. Acceptance
    tests of a stage, which a rollout has started, never do.
    """
    if _ACCEPTANCE_VARIABLE in os.environ:
        return False
    options = config.known_args_namespace
    is_asked_for = any(getattr(options, f"py312{name}", None) is not None for name in _ENABLING)
    return is_asked_for or bool(config.getini("py312"))


def _check_spelling(args: list[str]) -> None:
    """Report a misspelt option of ours, and suggest the right one, which pytest's own message does not.

    :raises pytest.UsageError: an option is unknown.
    """
    tables = (*_VALUE_OPTIONS, *_SHARD_OPTIONS, *_ROLLOUT_OPTIONS, *_ROLLOUT_FLAGS, *_FLAG_OPTIONS)
    words = [name for name, *_ in tables]
    option_names = ["--py312", *(f"--py312-{word}" for word in words)]
    for argument in args:
        name = argument.partition("=")[0]
        if name.startswith("--py312") and name not in option_names:
            from pytest_py312.core.errors import did_you_mean

            raise pytest.UsageError(
                f"there is no option {name}{did_you_mean(name, option_names)}; `pytest --help` lists all"
            )


_ONLY_ASKING = frozenset({"-h", "--help", "-V", "--version", "--markers", "--fixtures"})


def _refuse_unused(config: pytest.Config) -> None:
    """Report an option on the command line that modifies the gate, in a run without the gate: it would do nothing.

    Settings of the repository may have it for all runs (``addopts``).

    :raises pytest.UsageError: there is such an option.
    """
    words = [str(argument).partition("=")[0] for argument in config.invocation_params.args]
    words = words[: words.index("--")] if "--" in words else words
    unused = next((word for word in words if word.startswith("--py312-")), "")
    if unused and _ACCEPTANCE_VARIABLE not in os.environ and _ONLY_ASKING.isdisjoint(words):
        raise pytest.UsageError(f"{unused} changes how services are checked, and nothing asks for that: add --py312")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    _check_spelling(args)
    if not _is_enabled(early_config):
        _refuse_unused(early_config)
        return (yield)
    from pytest_py312.plugin.pytest_support.plain_imports import import_plainly

    import_plainly()
    from pytest_py312.plugin.pytest_support.processes import garbage_collection_paused

    with garbage_collection_paused():
        from pytest_py312.core.errors import Py312Error
        from pytest_py312.plugin.conftest_isolation import isolate_conftests

        try:
            with isolate_conftests(early_config, args, VALUE_OPTIONS):
                return (yield)
        except Py312Error as error:
            raise pytest.UsageError(str(error)) from None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "py312(service, interpreter, stage, check): what an item of the gate is about")
    for kind in CHECK_KINDS:
        config.addinivalue_line("markers", f"py312_{kind}: the gate's checks of this kind")
    if _is_enabled(config):
        from pytest_py312.plugin.pytest_support.processes import garbage_collection_paused

        with garbage_collection_paused():
            from pytest_py312.plugin.session import register

            register(config)
