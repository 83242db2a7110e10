"""Find out which xdist process this is, and where its processes share files."""

from pathlib import Path

import pytest


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """Return whether this is xdist's controller, which collects nothing and gets outcomes from its workers' reports."""
    return config.pluginmanager.hasplugin("dsession")


def uses_xdist_workers(config: pytest.Config) -> bool:
    """Return whether the command line asks for workers."""
    count, distribution = getattr(config.option, "numprocesses", None), getattr(config.option, "dist", "no")
    return bool(count) or distribution != "no"


def shared_folder(config: pytest.Config) -> Path | None:
    """Return the folder shared by xdist's workers; ``None`` in other processes."""
    folder = getattr(config, "workerinput", {}).get("py312_shared")
    return Path(folder) if folder else None
