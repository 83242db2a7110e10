"""Which of xdist's processes this is, and where they meet."""

from pathlib import Path

import pytest


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def is_controller(config: pytest.Config) -> bool:
    """xdist's controller: it collects nothing, and learns of outcomes from its workers' reports."""
    return config.pluginmanager.hasplugin("dsession")


def is_spread(config: pytest.Config) -> bool:
    """Whether the command line asks for workers."""
    count, how = getattr(config.option, "numprocesses", None), getattr(config.option, "dist", "no")
    return bool(count) or how != "no"


def shared_folder(config: pytest.Config) -> Path | None:
    """The folder of xdist's workers; ``None`` elsewhere."""
    folder = getattr(config, "workerinput", {}).get("py312_shared")
    return Path(folder) if folder else None
