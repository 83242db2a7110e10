"""Which installed module makes others fail when they are imported: that of the innermost frame of their tracebacks."""

import re
from collections.abc import Mapping, Sequence

from pytest_py312.core.text import last_line
from pytest_py312.dependencies.proofs.console_scripts import project_of_module
from pytest_py312.dependencies.store.environments import Environment
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

_WITHOUT_SIX_MOVES = re.compile(
    r"ModuleNotFoundError: No module named '(?P<name>(?:\w+\.)*six\.moves)(?:\.\w+)*'", re.ASCII
)
"""What an import ends with where ``six`` is older than 1.16: its finder has no ``find_spec``, which Python 3.12 wants
(https://github.com/benjaminp/six/blob/main/CHANGES). Copies of it in other projects do the same."""
_FRAME = re.compile(r'File "[^"\n]*/site-packages/(?P<path>[\w./-]+)\.py", line \d')


def owner_of_module(module: str, environment: Environment, distributions: Sequence[StoredDistribution]) -> str:
    """Return the project that has installed ``module``; ``module`` itself if none is known."""
    owners = (name for name, modules in environment.modules.items() if module in modules)
    owner = next(owners, None) or project_of_module(module, distributions)
    top = module.partition(".")[0]
    of_package = [name for name, modules in environment.modules.items() if top in modules]
    return owner or (of_package[0] if len(of_package) == 1 else module)


def innermost_module(traceback: str) -> str:
    """Return the installed module whose code was running when an import failed; empty if none was."""
    for frame in reversed(list(_FRAME.finditer(traceback))):
        parts = frame["path"].split("/")
        if parts[-1] == "__init__":
            parts.pop()
        if all(part.isidentifier() for part in parts) and "__main__" not in parts:
            return ".".join(parts)
        return ""
    return ""


def possible_causes(
    imports: Mapping[str, str], environment: Environment, distributions: Sequence[StoredDistribution]
) -> tuple[str, ...]:
    """Return the modules of other projects in which imports failed, and that were not imported alone.

    :param imports: module -> the end of its traceback, empty if it imports.
    """
    causes = {
        cause
        for module, traceback in imports.items()
        if (cause := named_cause(traceback)) and cause not in imports
        if owner_of_module(cause, environment, distributions) != owner_of_module(module, environment, distributions)
    }
    return tuple(sorted(causes))


def named_cause(traceback: str) -> str:
    """Return the module that a traceback names as the one that fails; empty if it names none."""
    match = _WITHOUT_SIX_MOVES.fullmatch(last_line(traceback))
    return match["name"] if match else innermost_module(traceback)


def cause_of(module: str, imports: Mapping[str, str]) -> str:
    """Return the module at the end of the chain of those that fail with the same error if they are imported alone.

    Empty if there is none, and if they import each other.
    """
    seen = {module}
    current = module
    while following := _next_cause(current, imports):
        if following in seen:
            return ""
        seen.add(following)
        current = following
    return current if current != module else ""


def _next_cause(module: str, imports: Mapping[str, str]) -> str:
    cause = named_cause(imports.get(module, ""))
    alone = imports.get(cause, "")
    return cause if cause != module and alone and last_line(alone) == last_line(imports[module]) else ""
