"""pytest's face: options, and nothing else until one of them is given.

Every pytest run in a project that has this plugin installed imports this file, so it imports pytest alone. The gate
itself (session.py and all below it) is imported when a ``--py312`` option asks for it.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import pytest

KINDS = ("dependencies", "libraries", "source", "versions", "suite", "image", "benchmark", "rollout")

_OPTIONS: tuple[tuple[str, str, Literal["args", "string"], str], ...] = (
    # option, metavar, ini twin's type, help
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
    ("resolver", "uv|pip-tools", "string", "who says whether requirements resolve (default: the plan's, else uv)"),
    ("plan", "FILE", "string", "the plan file (default: py312.toml or [tool.pytest-py312], looked for upwards)"),
    ("report", "FILE", "args", "write what was found to this file (.html, .md, .json, .sarif); may be repeated"),
    (
        "annotations",
        "auto|github|none",
        "string",
        "annotate a GitHub workflow (default: auto, where it runs this)",
    ),
    ("utc", "aware|naive", "string", "mend utcnow() as well: by a time with its zone, or by one without as before"),
    ("baseline", "FILE", "string", "findings that are recorded in this file are known, and do not block"),
    ("cache-dir", "DIR", "string", "where locks, distributions and environments are kept (default: the user's cache)"),
    ("jobs", "N", "string", "cells at once (default: the cores at hand)"),
)


_ACTS: tuple[tuple[str, str, str], ...] = (
    # of a rollout, without a twin: what goes into service is typed, and what holds for it is in the plan
    ("deploy", "ENVIRONMENT", "bring the stage into service there, once all of its checks are proven, and watch it"),
    ("soak", "48h", "watch the stage for so long, instead of the plan's time; alone, of what is deployed already"),
    ("interval", "5m", "take a sample so often, instead of the plan's interval"),
    (
        "soak-mode",
        "wait|tick",
        "stay until the soak is over (default), or take the sample that is due and leave",
    ),
    ("env", "ENVIRONMENT", "the environment of --py312-soak and --py312-verify (default: test)"),
    ("verify", "old", "after a rollback: that what served before serves again, on the Python of before"),
    ("state-dir", "DIR", "where the journal of the rollout lies (default: .py312 by the plan)"),
)
_SWITCHES: tuple[tuple[str, str], ...] = (
    ("no-cache", "judge everything anew: no outcome of an earlier run is used again (locks and environments are)"),
    ("baseline-update", "take out of the file of --py312-baseline what is mended; record it when there is none yet"),
    ("offline", "ask nothing but the cache; what is not in it could not be checked"),
    ("diff", "show the changes that mend what was found and move what is ready, as a unified diff"),
    ("fix", "write these changes, and judge the services again: the exit status is that of the second run"),
    ("annotate", "with --py312-diff or --py312-fix: a comment beside each requirement that no change mends"),
    ("build", "also build the services' own images on baseline and target, and try what they start (docker runner)"),
    (
        "benchmark",
        "also measure the services on baseline and target, and tell what is slower (takes minutes a service)",
    ),
    ("close", "with --py312-diff or --py312-fix: take what is older than the target out of matrices and ranges"),
    ("relock", "with --py312-fix: run the commands that make stale lock files anew, then judge again"),
    ("allow-dirty", "write also to files with uncommitted changes"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("py312", "moving services to a new Python")
    group.addoption("--py312", action="store_true", default=None, help="check the services of this repository")
    parser.addini("py312", "check the services on every run", type="bool", default=False)
    for name, metavar, kind, text in _OPTIONS:
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
    for name, metavar, text in _ACTS:
        dest = "py312_" + name.replace("-", "_")
        group.addoption(f"--py312-{name}", dest=dest, action="store", default=None, metavar=metavar, help=text)
    group.addoption(
        "--py312-accept-config-change",
        dest="py312_accept_config_change",
        action="store_true",
        default=None,
        help="go on with a soak although the plan was changed since it began",
    )
    for name, text in _SWITCHES:
        dest = "py312_" + name.replace("-", "_")
        group.addoption(f"--py312-{name}", dest=dest, action="store_true", default=None, help=text)
        parser.addini(dest, text, type="bool", default=False)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_py312.plugin import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def _asked_for(config: pytest.Config) -> bool:
    """Whether the gate is wanted. Any option but a modifier like ``--py312-runner`` counts, and the ini ``py312``."""
    options = config.known_args_namespace
    named = ("", "_stage", "_services", "_python", "_plan", "_deploy", "_soak", "_verify")
    return any(getattr(options, f"py312{name}", None) for name in named) or bool(config.getini("py312"))


def _check_spelling(args: list[str]) -> None:
    """pytest's own message names the option, and not the one that was meant.

    :raises pytest.UsageError: one of ours is misspelt.
    """
    words = [name for name, *_ in (*_OPTIONS, *_ACTS, *_SWITCHES)]
    known = ["--py312", "--py312-accept-config-change", *(f"--py312-{word}" for word in words)]
    for given in args:
        name = given.partition("=")[0]
        if name.startswith("--py312") and name not in known:
            from pytest_py312.core.errors import perhaps

            raise pytest.UsageError(f"there is no option {name}{perhaps(name, known)}; `pytest --help` lists all")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    _check_spelling(args)
    if not _asked_for(early_config):
        return (yield)
    with _nothing_collected():
        from pytest_py312.core.errors import Py312Error
        from pytest_py312.plugin.conftest_isolation import conftests_of_the_repository_only

        try:
            with conftests_of_the_repository_only(early_config, args):
                return (yield)
        except Py312Error as error:
            raise pytest.UsageError(str(error)) from None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "py312(service, interpreter, stage, check): what an item of the gate is about")
    for kind in KINDS:
        config.addinivalue_line("markers", f"py312_{kind}: the gate's checks of this kind")
    if _asked_for(config):
        with _nothing_collected():
            from pytest_py312.plugin.session import register

            register(config)


@contextmanager
def _nothing_collected() -> Generator[None]:
    """Load modules without looking for garbage among them: there is none, and it takes a quarter of the start."""
    was_on = gc.isenabled()
    gc.unfreeze()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
