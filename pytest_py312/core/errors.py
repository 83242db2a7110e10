"""What the user got wrong, or what the machine cannot do: one class, one text, one exit code each.

These reach the terminal as a message without a traceback. What went wrong *inside a cell* is not here: that is an
Outcome (``core/model``), because one cell's trouble must never hide the others'.
"""

from difflib import get_close_matches
from typing import ClassVar


class Py312Error(Exception):
    """A mistake that stops the whole run. ``str()`` of it is the complete message for the user."""

    exit_code: ClassVar[int] = 4
    """pytest's ``ExitCode.USAGE_ERROR``."""


class PlanError(Py312Error):
    """The plan (``py312.toml`` or ``[tool.pytest-py312]``) cannot be used as it stands.

    ``where`` is ``path:line`` or a path; ``key`` the dotted key at fault; ``message`` says what is wrong and what to
    write instead.
    """

    def __init__(self, where: str, key: str, message: str) -> None:
        self.where = where
        self.key = key
        self.message = message
        super().__init__(f"{where}: {key}: {message}" if key else f"{where}: {message}")


class OptionError(Py312Error):
    """A ``--py312*`` option has a value that cannot be used."""


class NoFleetError(Py312Error):
    """No service was found where services were looked for."""


class RunnerUnavailable(Py312Error):
    """The runner that was asked for (``--py312-runner=docker``) cannot work on this machine."""


class StateError(Py312Error):
    """The state file or the cache cannot be used (damaged, not writable, disk full)."""


class RolloutRefused(Py312Error):
    """What was asked of a stage may not be done now; the message says what has to come first, or who is at it."""


def perhaps(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """``', perhaps you meant "stages"'`` for a near miss among ``known``, else ``''``."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f', perhaps you meant "{near[0]}"' if near else ""
