"""The commands around the gate: ``py312 inventory, cache, interpreters, test``. Each returns its exit code."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from pytest_py312.cli.commands import CACHE_ACTIONS, DEFAULT_PRUNE_DAYS, INVENTORY_FORMATS
from pytest_py312.cli.common import existing_folder, output_width, read_plan, require_choice, uses_color, write_result
from pytest_py312.core.directories import default_cache_folder
from pytest_py312.core.errors import OptionError, StateError
from pytest_py312.core.model.fleet import Fleet
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.text import format_size, parse_size
from pytest_py312.gate.reports.inventory import render_csv, render_json, render_markdown, render_table
from pytest_py312.gate.run import cache_pruning
from pytest_py312.gate.run.tasks import services_with_files
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.requirements.sources import describe_sources_by_name
from pytest_py312.repository.services.version_survey import with_all_declarations
from pytest_py312.runners.interpreters import find_installed
from pytest_py312.runners.runner import CellUnavailable

PIPE_WIDTH = 160
"""Columns of a table that is not printed to a terminal."""

# ---- inventory


def inventory(options: argparse.Namespace) -> int:
    """Show the services that are found."""
    output_format = require_choice("--format", options.format, INVENTORY_FORMATS)
    plan = read_plan(options)
    whole_fleet = discover(plan)
    fleet = with_all_declarations(
        _restrict_to_folder(whole_fleet, plan, existing_folder(options.path)), plan, whole_fleet
    )
    if output_format == "table":
        text = render_table(fleet, plan, width=output_width(PIPE_WIDTH), color=uses_color(sys.stdout, os.environ))
    else:
        render = {"json": render_json, "csv": render_csv, "markdown": render_markdown}
        text = render[output_format](fleet, plan)
    write_result(text)
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


# ---- cache


def cache(options: argparse.Namespace) -> int:
    """Show where the cache is and how large it is, or prune it."""
    action = require_choice("cache", options.action, CACHE_ACTIONS)
    folder = _cache_folder(options)
    if action == "dir":
        write_result(f"{folder}\n")
    elif action == "size":
        write_result(_format_sizes(folder))
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
        write_result("\n".join(lines) + "\n")
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


def interpreters(options: argparse.Namespace) -> int:
    """Show which of the plan's Pythons this machine has."""
    plan = read_plan(options)
    lines, missing_count = [], 0
    for interpreter in sorted(plan.interpreters):
        try:
            build = find_installed(interpreter, _cache_folder(options))
            lines.append(f"{interpreter!s:<6}{build.version:<10}{build.flags:<10}{build.origin}")
        except CellUnavailable as reason:
            missing_count += 1
            lines.append(f"{interpreter!s:<6}missing   {reason}")
    if missing_count and plan.fetch_interpreters:
        lines.append("The plan says fetch-interpreters = true: a run that needs a missing one downloads it with uv.")
    write_result("\n".join(lines) + "\n")
    return 1 if missing_count and not plan.fetch_interpreters else 0


# ---- the gate


def test(options: argparse.Namespace) -> int:
    """Replace this process by pytest, so that signals, terminal and exit code are those of the gate.

    It returns only if there is nothing to run: none of ``--files`` belongs to a service.
    """
    if options.files is not None:
        names = _services_of_files(options)
        if not names:
            write_result("none of these files belongs to a service: nothing was checked\n")
            return 0
        options.services = [*options.services, *names]
    return _run_pytest(options)


def _run_pytest(options: argparse.Namespace) -> NoReturn:
    argv = pytest_argv(options)
    if options.path != ".":
        if options.plan is not None:
            raise OptionError("test: give --plan or PATH, not both; the plan is looked for at PATH")
        os.chdir(existing_folder(options.path))
    sys.stdout.flush()
    os.execv(argv[0], argv)


def _services_of_files(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the services of ``--files``, which are relative to the current folder.

    :raises OptionError: ``--services`` is given as well.
    """
    if options.services:
        raise OptionError("test: give --services or --files, not both")
    plan = read_plan(options)
    root = plan.root.resolve()
    paths = (Path(file).absolute() for file in options.files)
    return services_with_files(
        discover(plan), [path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root)]
    )


def pytest_argv(options: argparse.Namespace) -> list[str]:
    """Return the command that ``py312 test`` runs.

    Warning filters of the repository are left out: pytest imports their classes before it loads any plugin, and stops
    if one of them is of a library that is not beside the gate.
    """
    services = [name for words in options.services for name in words.split(",") if name]
    argv = [sys.executable, "-m", "pytest", "--py312", "-o", "filterwarnings="]
    argv += [f"--py312-services={','.join(services)}"] if services else []
    argv += [f"--py312-stage={options.stage}"] if options.stage is not None else []
    argv += [f"--py312-plan={options.plan}"] if options.plan is not None else []
    argv += ["-m", " or ".join(f"py312_{name}" for name in options.check)] if options.check else []
    return [*argv, *options.pytest_arguments]
