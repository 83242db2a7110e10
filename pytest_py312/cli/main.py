"""The shell's face: ``py312 inventory``, ``cache`` and ``interpreters``, and what an operator does with a rollout."""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TextIO

from pytest_py312 import __version__
from pytest_py312.cli.rollout_parser import (
    OPERATING,
    STANDING,
    TEST,
    WATCHING,
    add_commands,
    add_operating,
    add_place,
    parted,
    pytest_argv,
)
from pytest_py312.core import clock
from pytest_py312.core.directories import STATE_FOLDER, default_cache
from pytest_py312.core.errors import OptionError, PlanError, Py312Error, StateError, perhaps
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import enable_interrupts
from pytest_py312.gate.reports import inventory
from pytest_py312.gate.run import cache_pruning
from pytest_py312.repository.plan.loader import default_plan, find_plan, load_plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.version_survey import with_all_declarations
from pytest_py312.runners.interpreters import Remembered, find_local
from pytest_py312.runners.runner import CellUnavailable

FORMATS = ("table", "json", "csv", "markdown")
PIPE_WIDTH = 160
"""Columns of a table that does not go to a terminal."""
NEVER_USED = 30.0
"""Days without use after which ``py312 cache prune`` removes an entry, unless told otherwise."""

_UNITS = {"": 1, "B": 1} | {
    f"{letter}{ending}": base**power
    for power, letter in enumerate("KMGT", start=1)
    for ending, base in (("iB", 1024), ("B", 1000))
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 is well, 1 is something missing, 4 is a mistake of the user."""
    words = list(sys.argv[1:] if argv is None else argv)
    enable_interrupts()
    try:
        return _run(words)
    except Py312Error as error:
        print(f"py312: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # whoever read our output has seen enough (`| head`); Python would complain once more when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: Sequence[str]) -> int:
    named = next((word for word in words if not word.startswith("-")), "")
    if named and named not in COMMANDS:
        known = tuple(COMMANDS)
        raise OptionError(f"there is no command {named}{perhaps(named, known)}; the commands are {', '.join(known)}")
    parser, commands = _parsers()
    words, for_pytest = parted(list(words))
    options, unknown = parser.parse_known_args(words)
    options.for_pytest = for_pytest
    if unknown:
        known = tuple(commands[options.command]._option_string_actions) if options.command else ()
        near = perhaps(unknown[0].partition("=")[0], known)
        raise OptionError(f"{unknown[0]} means nothing here{near}; see `py312 {options.command or ''} --help`")
    if not options.command:
        parser.print_help()
        return 0
    code = COMMANDS[options.command](options)
    sys.stdout.flush()
    return code


class _Parser(argparse.ArgumentParser):
    """argparse with our own exit code."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}; see `{self.prog} --help`")


def _parsers() -> tuple[_Parser, Mapping[str, _Parser]]:
    """The parser of the command line, and that of each command."""
    parser = _Parser(
        prog="py312",
        allow_abbrev=False,
        description="Looks at the services of a repository, and at what this machine has for them. "
        "The gate itself is `pytest --py312`.",
    )
    parser.add_argument("--version", action="version", version=f"py312 {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    listing = commands.add_parser("inventory", help="show the services as they are found; reads files only")
    listing.add_argument("--format", default="table", metavar="|".join(FORMATS), help="default: table")

    caching = commands.add_parser("cache", help="where the cache is, how large it is, and how to make it smaller")
    caching.add_argument("action", nargs="?", default="size", metavar="dir|size|prune", help="default: size")
    caching.add_argument(
        "--older-than", metavar="DAYS", help=f"prune: what was not used for so long (default: {NEVER_USED:g})"
    )
    caching.add_argument("--max-size", metavar="2GiB", help="prune: and the longest unused, down to this size")

    having = commands.add_parser("interpreters", help="show which of the plan's Pythons this machine has")
    for command in (listing, having):
        add_place(command)
    add_commands(commands)
    add_operating(commands)
    for command in (caching, having):
        command.add_argument("--cache-dir", metavar="DIR", help="default: the user's cache folder")
    return parser, commands.choices


def _one_of(option: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise OptionError(f"{option} {value}: it is one of {', '.join(known)}{perhaps(value, tuple(known))}")
    return value


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise OptionError(f"{text}: there is no such file or folder")
    return (path if path.is_dir() else path.parent).resolve()


def _plan(options: argparse.Namespace) -> Plan:
    start = _folder(options.path)
    if options.plan is not None:
        file = Path(options.plan)
        if not file.is_file():
            raise PlanError(options.plan, "", "there is no such plan file")
        return load_plan(file.resolve(), today=clock.today())
    found = find_plan(start)
    return load_plan(found, today=clock.today()) if found else default_plan(start)


# ---- inventory


def _inventory(options: argparse.Namespace) -> int:
    form = _one_of("--format", options.format, FORMATS)
    plan = _plan(options)
    whole = discover(plan)
    fleet = with_all_declarations(_below(whole, plan, _folder(options.path)), plan, whole)
    if form == "table":
        text = inventory.render_table(fleet, plan, width=_width(sys.stdout), color=_color(sys.stdout, os.environ))
    else:
        render = {"json": inventory.render_json, "csv": inventory.render_csv, "markdown": inventory.render_markdown}
        text = render[form](fleet, plan)
    _write(text)
    return 0


def _below(fleet: Fleet, plan: Plan, folder: Path) -> Fleet:
    """The services at, below or around ``folder``; all of them where it is not in the fleet at all."""
    root = plan.root.resolve()
    if root.is_relative_to(folder) or not folder.is_relative_to(root):
        return fleet
    places = {service.name: (root / service.path).resolve() for service in fleet.services}
    names = {name for name, place in places.items() if place.is_relative_to(folder) or folder.is_relative_to(place)}
    if not names:
        raise OptionError(f"there is no service at {folder}; `py312 inventory {root}` lists all of them")
    return replace(
        fleet,
        services=tuple(service for service in fleet.services if service.name in names),
        assumptions=tuple(text for text in fleet.assumptions if text.split(" ", 1)[0] in names),
    )


def _width(stream: TextIO) -> int:
    return shutil.get_terminal_size().columns if stream.isatty() else PIPE_WIDTH


def _color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Colours only on a terminal that shows them, for people who want them (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _write(text: str) -> None:
    """Print ``text``; what the stream's encoding lacks is spelled out."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


# ---- cache


def _cache(options: argparse.Namespace) -> int:
    action = _one_of("cache", options.action, ("dir", "size", "prune"))
    folder = _cache_folder(options)
    if action == "dir":
        _write(f"{folder}\n")
    elif action == "size":
        _write(_sizes(folder))
    else:
        days = _days(options.older_than)
        limit = None if options.max_size is None else _bytes(options.max_size)
        running = cache_pruning.live_runs()
        if running:
            raise StateError(f"a run of the gate has not ended ({', '.join(running)}): prune the cache when it has")
        done = cache_pruning.prune(folder, older_than=days * cache_pruning.DAY, max_size=limit)
        lines = [f"removed {done.removed} entries, {_human(done.freed)}; {_human(done.left)} are left", *done.kept]
        if limit is not None and done.left > limit:
            lines.append("more could not be removed: the rest was used within a day, or is in use")
        _write("\n".join(lines) + "\n")
    return 0


def _cache_folder(options: argparse.Namespace) -> Path:
    return Path(options.cache_dir or default_cache()).expanduser().absolute()


def _sizes(folder: Path) -> str:
    entries = cache_pruning.entries_of(folder)
    areas = sorted({entry.area for entry in entries})
    lines = [
        f"{area:<14}{len(own):>8} entries {_human(cache_pruning.total(own)):>12}"
        for area in areas
        if (own := [entry for entry in entries if entry.area == area])
    ]
    # what environments share with the store counts once
    lines.append(f"{'together':<14}{len(entries):>8} entries {_human(cache_pruning.total(entries)):>12}  in {folder}")
    return "\n".join(lines) + "\n"


def _days(text: str | None) -> float:
    if text is None:
        return NEVER_USED
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        raise OptionError(f"--older-than {text}: it is a number of days, 0 or more")
    return days


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)", text.strip(), re.ASCII)
    if not match or match[2] not in _UNITS:
        raise OptionError(f"--max-size {text}: it is an amount such as 500MB or 2GiB")
    return int(float(match[1]) * _UNITS[match[2]])


def _human(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


# ---- interpreters


def _interpreters(options: argparse.Namespace) -> int:
    from uv import find_uv_bin

    plan = _plan(options)
    remembered = Remembered(_cache_folder(options) / "interpreters")
    lines, missing = [], 0
    for interpreter in sorted(plan.interpreters):
        try:
            build = find_local(interpreter, uv=find_uv_bin(), fetch=False, remembered=remembered)
            lines.append(f"{interpreter!s:<6}{build.version:<10}{build.flags:<10}{build.origin}")
        except CellUnavailable as reason:
            missing += 1
            lines.append(f"{interpreter!s:<6}missing   {reason}")
    if missing and plan.fetch_interpreters:
        lines.append("The plan says fetch-interpreters = true: a run that needs a missing one fetches it with uv.")
    _write("\n".join(lines) + "\n")
    return 1 if missing and not plan.fetch_interpreters else 0


# ---- rollout


def _rollout(options: argparse.Namespace) -> int:
    from pytest_py312.cli import monitor_commands, operations_commands, rollout_commands
    from pytest_py312.rollout import context
    from pytest_py312.rollout.execution.target_factory import connected

    plan = _plan(options)
    state = Path(options.state_dir).expanduser() if options.state_dir else plan.root / STATE_FOLDER
    with ExitStack() as opened:
        ground = context.Ground(
            plan=plan,
            state=state.absolute(),
            target=lambda: opened.enter_context(connected(ground.settings(), options.env)),
            told=lambda text: print(text, file=sys.stderr, flush=True),
        )
        run = monitor_commands.run_command if options.command in WATCHING else rollout_commands.run_command
        run = operations_commands.run_command if options.command in OPERATING else run
        text, code = run(options, ground)
    _write(text)
    return code


# ---- the gate


def _test(options: argparse.Namespace) -> NoReturn:
    """This process becomes pytest: its signals, its terminal and its exit code are those of the gate."""
    argv = pytest_argv(options, options.for_pytest)
    if options.path != ".":
        if options.plan is not None:
            raise OptionError("test: give --plan or PATH, not both; the plan is looked for at PATH")
        os.chdir(_folder(options.path))
    sys.stdout.flush()
    os.execv(argv[0], argv)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "inventory": _inventory,
    "cache": _cache,
    "interpreters": _interpreters,
    **dict.fromkeys((*STANDING, *WATCHING, *OPERATING), _rollout),
    TEST: _test,
}

if __name__ == "__main__":
    sys.exit(main())
