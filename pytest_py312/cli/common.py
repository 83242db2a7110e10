"""Shared by all commands: the plan that the arguments select, and what is printed."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from pytest_py312.core import clock
from pytest_py312.core.errors import OptionError, PlanError, StateError, did_you_mean
from pytest_py312.core.files import write_document
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import discard_output, print_or_discard
from pytest_py312.core.text import StyledLine, escape_control
from pytest_py312.repository.plan.loader import default_plan, find_plan, load_plan

_STYLES: Mapping[str, str] = {"bold": "1", "green": "32", "red": "31", "yellow": "33", "cyan": "36", "dim": "2"}


def existing_path(text: str) -> Path:
    """Return a path that a user has given.

    :raises OptionError: it does not exist.
    """
    path = Path(text)
    if not path.exists():
        raise OptionError(f"{text}: there is no such file or folder")
    return path


def existing_folder(text: str) -> Path:
    """Return the folder of a path that a user has given; raises as :func:`existing_path`."""
    path = existing_path(text)
    return (path if path.is_dir() else path.parent).resolve()


def read_plan(options: argparse.Namespace) -> Plan:
    """Return the plan that ``--plan`` or the path selects; without a plan file, the default.

    :raises PlanError: it cannot be used.
    """
    start = existing_folder(options.path)
    if options.plan is not None:
        file = Path(options.plan)
        if not file.is_file():
            raise PlanError(options.plan, "", "there is no such plan file")
        return load_plan(file.resolve(), today=clock.today())
    plan_file = find_plan(start)
    return load_plan(plan_file, today=clock.today()) if plan_file else default_plan(start)


def write_output(text: str) -> None:
    """Print what a command has done, if it can be printed; characters that the stream's encoding lacks are escaped."""
    print_or_discard(printable(text), sys.stdout)


def write_result(text: str) -> None:
    """As :func:`write_output`, where the text is all that the command is for.

    :raises BrokenPipeError: the reader has closed the pipe.
    :raises StateError: it cannot be written, as the disk is full: half a file must not look like success.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(printable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_output(sys.stdout)  # what is left of it would be written again at exit
        raise StateError(f"the output cannot be written: {error.strerror}") from error


def output_width(pipe_width: int) -> int:
    """Return the columns of standard output; ``pipe_width`` if it is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else pipe_width


def uses_unicode() -> bool:
    """Return whether standard output can show more than ASCII."""
    return "utf" in (sys.stdout.encoding or "").lower()


def uses_color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether to print colours: only on a terminal that supports them, and unless NO_COLOR is set."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def print_lines(lines: Iterable[StyledLine]) -> None:
    """Print lines whose texts are escaped, with their styles where there are colours."""
    is_colored = uses_color(sys.stdout, os.environ)
    for line in lines:
        texts = (
            f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style and is_colored else text for text, style in line.segments
        )
        sys.stdout.write(printable("".join(texts)) + "\n")


def printable(text: str) -> str:
    """Return ``text`` with what the encoding of standard output lacks escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def log(text: str) -> None:
    """Print ``text`` to standard error, without what controls a terminal."""
    print_or_discard("\n".join(map(escape_line, text.splitlines())) + "\n", sys.stderr)


def escape_line(line: str) -> str:
    """Escape what controls a terminal: reasons contain answers of services, logs, and names in the plan."""
    content = line.rstrip("\r\n")
    return escape_control(content) + line[len(content) :].replace("\r", "")


def require_choice(option: str, value: str, choices: Sequence[str]) -> str:
    """Return ``value``.

    :raises OptionError: it is none of ``choices``; the message proposes a similar one.
    """
    if value not in choices:
        raise OptionError(
            f"{option} {value}: expected one of {', '.join(choices)}{did_you_mean(value, tuple(choices))}"
        )
    return value


def chosen_format(wanted: str | None, output: str | None, endings: Mapping[str, tuple[str, ...]]) -> str:
    """Return the format that is asked for, else that of the ending of the output file, else the first.

    :param endings: the endings of files by format.
    :raises OptionError: there is no such format, or the ending does not say it.
    """
    if wanted:
        return require_choice("--format", wanted, list(endings))
    if not output:
        return next(iter(endings))
    by_ending = next((name for name, suffixes in endings.items() if Path(output).name.endswith(suffixes)), "")
    if not by_ending:
        suffixes = ", ".join(suffix for group in endings.values() for suffix in group)
        raise OptionError(f"--output {output}: give --format, or one of these endings: {suffixes}")
    return by_ending


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file as a whole.

    :raises StateError: it cannot be written.
    """
    try:
        write_document(path, content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise StateError(f"{path} could not be written: {error.strerror or error}") from None
