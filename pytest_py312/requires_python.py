"""Distributions that say themselves which Pythons they are for, and are not for the one they were resolved on.

uv passes over the upper end of Requires-Python; pip goes on to an older version. Pure.
"""

from collections.abc import Iterable

from pytest_py312.demands import tool_constraints
from pytest_py312.distributions import Entry
from pytest_py312.locks import Lock, seeds
from pytest_py312.model import InterpreterBuild
from pytest_py312.screen import allows

MOST_STEPS = 5
"""How often an older version is looked for, as pip would."""


def shut_out(entries: Iterable[Entry], build: InterpreterBuild) -> list[Entry]:
    """Those of ``entries`` that do not allow ``build``."""
    return [entry for entry in entries if not allows(entry.requires_python, build.version)]


def older(lock: Lock, refused: Iterable[Entry], build: InterpreterBuild) -> tuple[str, ...]:
    """Constraints for a set as that of ``lock``, with older versions of what is ``refused``."""
    there = [seed.line for seed in seeds(build) if lock.versions.get(seed.name) == seed.version]
    return (*tool_constraints(lock), *there, *(f"{entry.name}<{entry.version}" for entry in refused))
