"""Errors that stop a run: one class, one message and one exit code each.

They are printed without a traceback. Problems *inside a cell* are not errors but outcomes (``core/model``): the problem
of one cell must never hide the results of the others.
"""

import errno
from difflib import get_close_matches
from pathlib import Path
from traceback import extract_tb
from typing import ClassVar

_PACKAGE = Path(__file__).parents[1]


class Py312Error(Exception):
    """An error that stops the whole run. ``str()`` is the complete message for the user."""

    exit_code: ClassVar[int] = 4
    """pytest's ``ExitCode.USAGE_ERROR``."""


class PlanError(Py312Error):
    """The plan (``py312.toml`` or ``[tool.pytest-py312]``) cannot be used.

    ``where`` is ``path:line`` or a path; ``key`` is the dotted key at fault; ``message`` states what is wrong and what
    to write instead.
    """

    def __init__(self, where: str, key: str, message: str) -> None:
        self.where = where
        self.key = key
        self.message = message
        super().__init__(f"{where}: {key}: {message}" if key else f"{where}: {message}")


class OptionError(Py312Error):
    """A command line option has a value that cannot be used."""


class NoFleetError(Py312Error):
    """No service was found."""


class RunnerUnavailable(Py312Error):
    """The selected runner (``--py312-runner=docker``) does not work on this machine."""


class StateError(Py312Error):
    """The state file or the cache cannot be used (damaged, not writable, disk full)."""


class RolloutRefused(Py312Error):
    """The requested operation on a stage is not allowed now. The message names what blocks it."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether an exception says that the disk is full, or a quota of it used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def describe_internal_error(error: BaseException) -> str:
    """Return what to report of an exception that nothing of this package expects, with the place that raised it.

    A full disk may stop any write, and is nobody's mistake.
    """
    if is_disk_full(error):
        name = getattr(error, "filename", None)
        return f"the disk is full{f': {name} could not be written' if name else ''}. Free some space, and run again"
    frames = extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if _PACKAGE in Path(frame.filename).parents), None)
    where = f" ({Path(place.filename).relative_to(_PACKAGE).as_posix()}:{place.lineno})" if place else ""
    return f"internal error in pytest-py312, please report it: {type(error).__name__}: {error}{where}"


def did_you_mean(word: str, candidates: "list[str] | tuple[str, ...]") -> str:
    """Return ``', perhaps you meant "stages"'`` if ``word`` is a near miss of one of ``candidates``, else ``''``."""
    matches = get_close_matches(word, candidates, n=1, cutoff=0.6)
    return f', perhaps you meant "{matches[0]}"' if matches else ""
