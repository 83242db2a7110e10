"""``py312 emit``: print a workflow of a CI system that checks a run in parts, or compare one with a file."""

import argparse
import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_py312 import __version__
from pytest_py312.cli.common import read_plan, require_choice, write_result
from pytest_py312.core.errors import OptionError
from pytest_py312.core.text import parse_count, shorten
from pytest_py312.gate.sharding.durations import read_durations
from pytest_py312.gate.sharding.github_workflows import github_stage_workflow, github_workflow
from pytest_py312.gate.sharding.workflows import MAX_JOBS, WorkflowSettings, gitlab_pipeline, parts_for

_SYSTEMS: Mapping[str, Callable[[WorkflowSettings], str]] = {"github": github_workflow, "gitlab": gitlab_pipeline}
_GITHUB = "github"
_AUTO = "auto"


def emit(options: argparse.Namespace) -> int:
    """Print the workflow and return 0; with ``--check`` print a difference and return 1 if there is one."""
    require_choice("emit", options.system, tuple(_SYSTEMS))
    stages = [part.strip() for part in options.stage.split(",")] if options.stage else []
    if any(parse_count(stage) is None for stage in stages):
        raise OptionError(f"--stage {shorten(options.stage, 40)}: a stage is a number, as in --stage 2 or --stage 1,2")
    if options.install is not None and (not options.install.strip() or options.install.startswith("-")):
        raise OptionError(
            f"--install {shorten(options.install, 40)}: expected what `pip install` takes, as a path or URL"
        )
    if options.system != _GITHUB:
        for name in ("by_stage", "sarif", "comment"):
            if getattr(options, name):
                raise OptionError(f"emit {options.system}: --{name.replace('_', '-')} is for {_GITHUB} only")
    if options.by_stage and options.shards != _AUTO:
        raise OptionError("give --by-stage or --shards: a job checks a stage, or a part of the run")
    stages = stages or (_stages_of_plan(options) if options.by_stage else [])
    settings = WorkflowSettings(
        parts=len(stages) if options.by_stage else _parts(options),
        tool_version=__version__,
        stage=",".join(stages),
        durations=options.durations or "",
        requirement=options.install or "",
        sarif=options.sarif,
        comment=options.comment,
    )
    text = github_stage_workflow(settings) if options.by_stage else _SYSTEMS[options.system](settings)
    if options.check is None:
        write_result(text)
        return 0
    return _compare(Path(options.check), text)


def _stages_of_plan(options: argparse.Namespace) -> list[str]:
    stages = [str(stage.number) for stage in read_plan(options).stages]
    if not stages:
        raise OptionError("--by-stage needs a plan with stages: `py312 init` writes one, or --stage names them")
    return stages


def _parts(options: argparse.Namespace) -> int:
    limit = MAX_JOBS[options.system]
    if options.shards == _AUTO:
        if not options.durations:
            raise OptionError(
                "--shards auto needs --durations=FILE, which `py312 merge --durations=FILE` writes: give --shards N "
                "the first time"
            )
        return parts_for(read_durations(options.durations), limit)
    parts = parse_count(options.shards)
    if parts is None or not 1 <= parts <= limit:
        raise OptionError(
            f"--shards {shorten(options.shards, 40)}: expected auto or a number of jobs from 1 to {limit}"
        )
    return parts


def _compare(path: Path, text: str) -> int:
    try:
        existing = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--check {path}: it cannot be read: {error}") from None
    difference = difflib.unified_diff(
        existing.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "py312 emit"
    )
    text = "".join(difference)
    write_result(text)
    return 1 if text else 0
