"""Entry point of ``py312``: the commands ``inventory``, ``cache``, ``interpreters``, ``report``, ``merge``, ``emit``,
``test``, and those of the rollout.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TextIO

from pytest_py312 import __version__
from pytest_py312.cli.emit_command import EMIT_COMMAND, add_emit_command, emit
from pytest_py312.cli.merge_command import MERGE_COMMAND, add_merge_command, merge_parts
from pytest_py312.cli.report_command import REPORT_COMMAND, add_report_command, report
from pytest_py312.cli.rollout_parser import (
    JOURNAL_COMMANDS,
    MONITOR_COMMANDS,
    OPERATIONS_COMMANDS,
    ROLLOUT_COMMANDS,
    TEST_COMMAND,
    add_location_arguments,
    add_operations_commands,
    add_rollout_commands,
    pytest_argv,
    split_pytest_arguments,
)
from pytest_py312.core import clock
from pytest_py312.core.directories import STATE_FOLDER, default_cache_folder
from pytest_py312.core.errors import OptionError, PlanError, Py312Error, StateError, did_you_mean
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import enable_interrupts
from pytest_py312.core.text import escape_control, format_size, parse_size
from pytest_py312.gate.reports import inventory
from pytest_py312.gate.run import cache_pruning
from pytest_py312.repository.plan.loader import default_plan, find_plan, load_plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.requirement_sources import describe_sources_by_name
from pytest_py312.repository.services.version_survey import with_all_declarations
from pytest_py312.runners.interpreters import FingerprintCache, find_local
from pytest_py312.runners.runner import CellUnavailable

FORMATS = ("table", "json", "csv", "markdown")
PIPE_WIDTH = 160
"""Columns of a table that is not printed to a terminal."""
DEFAULT_PRUNE_DAYS = 30.0
"""Days without use after which ``py312 cache prune`` removes an entry by default."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 for success, 1 if something is missing, 4 for a user error."""
    words = list(sys.argv[1:] if argv is None else argv)
    enable_interrupts()
    try:
        return _run_command(words)
    except Py312Error as error:
        _log(f"py312: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader has closed the pipe (`| head`); without this Python would report an error when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run_command(words: Sequence[str]) -> int:
    command_name = next((word for word in words if not word.startswith("-")), "")
    if command_name and command_name not in COMMANDS:
        known_words = tuple(COMMANDS)
        raise OptionError(
            f"there is no command {command_name}{did_you_mean(command_name, known_words)}; "
            f"the commands are {', '.join(known_words)}"
        )
    parser, commands = _build_parsers()
    words, pytest_arguments = split_pytest_arguments(list(words))
    options, unknown_words = parser.parse_known_args(words)
    options.for_pytest = pytest_arguments
    if unknown_words:
        known_words = tuple(commands[options.command]._option_string_actions) if options.command else ()
        suggestion = did_you_mean(unknown_words[0].partition("=")[0], known_words)
        raise OptionError(
            f"{unknown_words[0]} is not an argument of this command{suggestion}; "
            f"see `py312 {options.command or ''} --help`"
        )
    if not options.command:
        parser.print_help()
        return 0
    code = COMMANDS[options.command](options)
    sys.stdout.flush()
    return code


class _ArgumentParser(argparse.ArgumentParser):
    """argparse with the exit codes and messages of this tool."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message}; see `{self.prog} --help`")


def _build_parsers() -> tuple[_ArgumentParser, Mapping[str, _ArgumentParser]]:
    """Return the parser of the command line, and the parsers of the commands."""
    parser = _ArgumentParser(
        prog="py312",
        allow_abbrev=False,
        description="Inspect the services of a repository, and run their rollout. The gate itself is `pytest --py312`.",
    )
    parser.add_argument("--version", action="version", version=f"py312 {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_ArgumentParser)

    inventory_parser = commands.add_parser("inventory", help="show the services that are found; only reads files")
    inventory_parser.add_argument("--format", default="table", metavar="|".join(FORMATS), help="default: table")

    cache_parser = commands.add_parser("cache", help="show where the cache is and how large it is, or make it smaller")
    cache_parser.add_argument("action", nargs="?", default="size", metavar="dir|size|prune", help="default: size")
    cache_parser.add_argument(
        "--older-than",
        metavar="DAYS",
        help=f"prune: remove what was not used for this long (default: {DEFAULT_PRUNE_DAYS:g})",
    )
    cache_parser.add_argument(
        "--max-size", metavar="2GiB", help="prune: also remove the least recently used entries above this size"
    )

    interpreters_parser = commands.add_parser("interpreters", help="show which of the plan's Pythons this machine has")
    for command in (inventory_parser, interpreters_parser):
        add_location_arguments(command)
    add_report_command(commands)
    add_merge_command(commands)
    add_emit_command(commands)
    add_rollout_commands(commands)
    add_operations_commands(commands)
    for command in (cache_parser, interpreters_parser):
        command.add_argument("--cache-dir", metavar="DIR", help="default: the user's cache folder")
    return parser, commands.choices


def _require_choice(option: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise OptionError(
            f"{option} {value}: expected one of {', '.join(choices)}{did_you_mean(value, tuple(choices))}"
        )
    return value


def _existing_folder(text: str) -> Path:
    path = Path(text)
    if not path.exists():
        raise OptionError(f"{text}: there is no such file or folder")
    return (path if path.is_dir() else path.parent).resolve()


def _read_plan(options: argparse.Namespace) -> Plan:
    start = _existing_folder(options.path)
    if options.plan is not None:
        file = Path(options.plan)
        if not file.is_file():
            raise PlanError(options.plan, "", "there is no such plan file")
        return load_plan(file.resolve(), today=clock.today())
    plan_file = find_plan(start)
    return load_plan(plan_file, today=clock.today()) if plan_file else default_plan(start)


# ---- inventory


def _inventory(options: argparse.Namespace) -> int:
    output_format = _require_choice("--format", options.format, FORMATS)
    plan = _read_plan(options)
    whole_fleet = discover(plan)
    fleet = with_all_declarations(
        _restrict_to_folder(whole_fleet, plan, _existing_folder(options.path)), plan, whole_fleet
    )
    if output_format == "table":
        text = inventory.render_table(
            fleet, plan, width=_stream_width(sys.stdout), color=_uses_color(sys.stdout, os.environ)
        )
    else:
        render = {"json": inventory.render_json, "csv": inventory.render_csv, "markdown": inventory.render_markdown}
        text = render[output_format](fleet, plan)
    _write(text)
    return 0


def _restrict_to_folder(fleet: Fleet, plan: Plan, folder: Path) -> Fleet:
    """Return the services at, below or around ``folder``; all of them if it is outside of the repository's root."""
    root = plan.root.resolve()
    if root.is_relative_to(folder) or not folder.is_relative_to(root):
        return fleet
    folder_by_service = {service.name: (root / service.path).resolve() for service in fleet.services}
    names = {
        name
        for name, service_folder in folder_by_service.items()
        if service_folder.is_relative_to(folder) or folder.is_relative_to(service_folder)
    }
    if not names:
        raise OptionError(f"there is no service at {folder}; `py312 inventory {root}` lists all of them")
    services = tuple(service for service in fleet.services if service.name in names)
    assumptions = [text for text in fleet.assumptions if text.split(" ", 1)[0] in names]
    return replace(fleet, services=services, assumptions=(*assumptions, *describe_sources_by_name(services)))


def _stream_width(stream: TextIO) -> int:
    return shutil.get_terminal_size().columns if stream.isatty() else PIPE_WIDTH


def _uses_color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether to print colours: only on a terminal that supports them, and unless NO_COLOR is set."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _write(text: str) -> None:
    """Print ``text``; characters that the stream's encoding lacks are escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _log(text: str) -> None:
    print("\n".join(map(_escape_line, text.splitlines())), file=sys.stderr, flush=True)


def _escape_line(line: str) -> str:
    """Escape what controls a terminal: reasons contain answers of services, logs, and names in the plan."""
    content = line.rstrip("\r\n")
    return escape_control(content) + line[len(content) :].replace("\r", "")


# ---- cache


def _cache(options: argparse.Namespace) -> int:
    action = _require_choice("cache", options.action, ("dir", "size", "prune"))
    folder = _cache_folder(options)
    if action == "dir":
        _write(f"{folder}\n")
    elif action == "size":
        _write(_format_sizes(folder))
    else:
        days = _parse_days(options.older_than)
        limit = None if options.max_size is None else _parse_limit(options.max_size)
        live_run_ids = cache_pruning.live_runs()
        if live_run_ids:
            raise StateError(
                f"a run of the gate is active ({', '.join(live_run_ids)}): prune the cache after it has ended"
            )
        prune_result = cache_pruning.prune(folder, older_than=days * cache_pruning.DAY, max_size=limit)
        lines = [
            f"removed {prune_result.removed} entries, {format_size(prune_result.freed)}; "
            f"{format_size(prune_result.remaining)} are left",
            *prune_result.skipped,
        ]
        if limit is not None and prune_result.remaining > limit:
            lines.append("no more could be removed: the rest was used within the last day, or is in use")
        _write("\n".join(lines) + "\n")
    return 0


def _cache_folder(options: argparse.Namespace) -> Path:
    return Path(options.cache_dir or default_cache_folder()).expanduser().absolute()


def _format_sizes(folder: Path) -> str:
    entries = cache_pruning.list_entries(folder)
    areas = sorted({entry.area for entry in entries})
    lines = [
        f"{area:<14}{len(area_entries):>8} entries {format_size(cache_pruning.total_size(area_entries)):>12}"
        for area in areas
        if (area_entries := [entry for entry in entries if entry.area == area])
    ]
    # files that environments share with the store count once
    lines.append(
        f"{'together':<14}{len(entries):>8} entries {format_size(cache_pruning.total_size(entries)):>12}  in {folder}"
    )
    return "\n".join(lines) + "\n"


def _parse_days(text: str | None) -> float:
    if text is None:
        return DEFAULT_PRUNE_DAYS
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        raise OptionError(f"--older-than {text}: it is a number of days, 0 or more")
    return days


def _parse_limit(text: str) -> int:
    size = float(text) if text.isdecimal() and len(text) < 16 else parse_size(text)
    if size is None:
        raise OptionError(f"--max-size {text}: it is an amount such as 500MB or 2GiB")
    return int(size)


# ---- interpreters


def _interpreters(options: argparse.Namespace) -> int:
    from uv import find_uv_bin

    plan = _read_plan(options)
    build_cache = FingerprintCache(_cache_folder(options) / "interpreters")
    lines, missing_count = [], 0
    for interpreter in sorted(plan.interpreters):
        try:
            build = find_local(interpreter, uv=find_uv_bin(), fetch=False, cache=build_cache)
            lines.append(f"{interpreter!s:<6}{build.version:<10}{build.flags:<10}{build.origin}")
        except CellUnavailable as reason:
            missing_count += 1
            lines.append(f"{interpreter!s:<6}missing   {reason}")
    if missing_count and plan.fetch_interpreters:
        lines.append("The plan says fetch-interpreters = true: a run that needs a missing one downloads it with uv.")
    _write("\n".join(lines) + "\n")
    return 1 if missing_count and not plan.fetch_interpreters else 0


# ---- rollout


def _rollout(options: argparse.Namespace) -> int:
    from pytest_py312.cli import monitor_commands, operations_commands, rollout_commands
    from pytest_py312.rollout import context
    from pytest_py312.rollout.execution.target_factory import connect_target

    plan, plan_problem = _read_rollout_plan(options)
    state = Path(options.state_dir).expanduser() if options.state_dir else plan.root / STATE_FOLDER
    with ExitStack() as exit_stack:
        rollout_context = context.RolloutContext(
            plan=plan,
            state_dir=state.absolute(),
            target=lambda: exit_stack.enter_context(connect_target(rollout_context.settings(), options.env)),
            log=_log,
            plan_problem=plan_problem,
        )
        run_command = (
            monitor_commands.run_command if options.command in MONITOR_COMMANDS else rollout_commands.run_command
        )
        run_command = operations_commands.run_command if options.command in OPERATIONS_COMMANDS else run_command
        text, code = run_command(options, rollout_context)
    _write("".join(_escape_line(line) for line in text.splitlines(keepends=True)))
    return code


def _read_rollout_plan(options: argparse.Namespace) -> tuple[Plan, str]:
    """Return the plan; or the default plan, and why the real one cannot be used, for what works from the journal."""
    try:
        return _read_plan(options), ""
    except Py312Error as error:
        if options.command not in JOURNAL_COMMANDS and not getattr(options, "rollback", False):
            raise
        _log(f"py312: the plan cannot be used, so the journal's record of it applies: {error}")
        start = Path(options.plan).parent if options.plan is not None else Path(options.path)
        folders = (start.absolute(), *start.absolute().parents)
        root = next((folder for folder in folders if (folder / STATE_FOLDER).is_dir()), start)
        return default_plan(root), str(error)


# ---- the gate


def _test(options: argparse.Namespace) -> NoReturn:
    """Replace this process by pytest, so that signals, terminal and exit code are those of the gate."""
    argv = pytest_argv(options, options.for_pytest)
    if options.path != ".":
        if options.plan is not None:
            raise OptionError("test: give --plan or PATH, not both; the plan is looked for at PATH")
        os.chdir(_existing_folder(options.path))
    sys.stdout.flush()
    os.execv(argv[0], argv)


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "inventory": _inventory,
    "cache": _cache,
    "interpreters": _interpreters,
    REPORT_COMMAND: report,
    MERGE_COMMAND: merge_parts,
    EMIT_COMMAND: emit,
    **dict.fromkeys((*ROLLOUT_COMMANDS, *MONITOR_COMMANDS, *OPERATIONS_COMMANDS), _rollout),
    TEST_COMMAND: _test,
}

if __name__ == "__main__":
    sys.exit(main())
