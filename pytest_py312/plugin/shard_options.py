"""The options of a divided run (``--py312-shard``, ``--py312-durations``), and what cannot be combined with them."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pytest_py312.core.errors import OptionError
from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.serialization import encode
from pytest_py312.gate.reports import format_of_file
from pytest_py312.gate.sharding.durations import SIZE_LIMIT, Durations, parse_durations
from pytest_py312.gate.sharding.packing import MAX_PARTS
from pytest_py312.plugin.command_line import ROLLOUT_OPTIONS, RunOptions, option_value
from pytest_py312.plugin.pytest_support.processes import is_worker

_REFUSED = (
    # name of pytest's option, what is typed, why, what to do
    (
        "lf",
        "--lf",
        "what failed last is only known to the machine where it failed",
        "select the items by their node ids",
    ),
    ("stepwise", "--sw", "where the last run stopped is only known to one machine", "remove it"),
    ("stepwise_skip", "--sw-skip", "where the last run stopped is only known to one machine", "remove it"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedDurations:
    """The durations in a file, with the digest of its content; all is empty without a file."""

    file: str = ""
    digest: str = ""
    durations: Durations = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardOptions:
    """Part ``part`` of ``parts``, and the durations by which the run is divided."""

    part: int
    parts: int
    recorded: RecordedDurations


def read_shard_options(config: pytest.Config, options: RunOptions) -> ShardOptions | None:
    """Return the options of a divided run; ``None`` if the run is not divided.

    :raises OptionError: one is invalid, or cannot be combined with another option.
    """
    value = getattr(config.known_args_namespace, "py312_shard", None)
    if value is None:
        if getattr(config.known_args_namespace, "py312_durations", None) and not options.cluster:
            raise OptionError(
                "--py312-durations divides a run into parts of equal length: combine it with --py312-shard=K/N, or "
                "with --py312-cluster"
            )
        return None
    part, parts = _parse_part(value)
    _refuse_combinations(config, options, value)
    return ShardOptions(part=part, parts=parts, recorded=read_recorded_durations(config))


def read_recorded_durations(config: pytest.Config) -> RecordedDurations:
    """Return what is in the file of ``--py312-durations``.

    :raises OptionError: there is no such file, or it has something else.
    """
    file = str(option_value(config, "durations") or "")
    if not file:
        return RecordedDurations()
    content = _read_durations(_durations_path(config, file), file)
    return RecordedDurations(
        file=file, digest=hashlib.sha256(content).hexdigest(), durations=parse_durations(content, file)
    )


def prepare_shard(config: pytest.Config, options: RunOptions) -> ShardOptions | None:
    """Return the options of a divided run, and remove what an earlier one has left where this one writes its document.

    A part that is killed, or ends before it has a report, leaves none: one of another run would be merged instead.

    :raises OptionError: an option is invalid, cannot be combined with another one, or a document cannot be removed.
    """
    shard = read_shard_options(config, options)
    if shard is not None and not config.option.collectonly and not is_worker(config):
        for report in options.reports:
            if format_of_file(report.name) == "json" and (file := report.resolve()).is_file():
                try:
                    file.unlink()
                except OSError as error:
                    raise OptionError(
                        f"--py312-report={report.name}: the document of an earlier run cannot be removed: "
                        f"{error.strerror or error}"
                    ) from None
    return shard


def _parse_part(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", value, re.ASCII)
    if not match:
        raise OptionError(f"--py312-shard={value}: expected a part and the number of parts, as in --py312-shard=2/8")
    part, parts = int(match[1]), int(match[2])
    if not 1 <= parts <= MAX_PARTS:
        raise OptionError(f"--py312-shard={value}: a run has from 1 to {MAX_PARTS} parts")
    if not 1 <= part <= parts:
        hint = ": the first part is 1" if part == 0 else ""
        raise OptionError(f"--py312-shard={value}: there is no part {part} of {parts}{hint}")
    return part, parts


def _refuse_combinations(config: pytest.Config, options: RunOptions, value: str) -> None:
    """Refuse what is about the whole run, or differs from one machine to another."""
    shard = f"--py312-shard={value}"
    rollout = next(
        (name for name in ROLLOUT_OPTIONS if getattr(config.known_args_namespace, f"py312_{name}", None)), ""
    )
    if rollout:
        option = f"--py312-{rollout.replace('_', '-')}"
        raise OptionError(
            f"{option} needs a stage of which all is proven, and {shard} checks a part of it: remove {option}, and "
            "deploy with `py312 deploy` once `py312 merge` has ended with 0"
        )
    if options.diff or options.fix:
        option = "--py312-fix" if options.fix else "--py312-diff"
        raise OptionError(
            f"{option} changes what is proven by all checks of a service and of those around it, and {shard} checks a "
            "part of the run: remove one of them"
        )
    if options.update_known_findings:
        raise OptionError(
            f"--py312-update-known-findings is about the whole run, and {shard} checks a part of it: give "
            "--update-known-findings to `py312 merge` instead"
        )
    for name, option, reason, remedy in _REFUSED:
        if getattr(config.option, name, None):
            raise OptionError(f"{option} and {shard} cannot be combined, as {reason}: {remedy}")


def _durations_path(config: pytest.Config, file: str) -> Path:
    """Return the file: on the command line relative to the working directory, in the ini file to pytest's root."""
    is_from_command_line = getattr(config.known_args_namespace, "py312_durations", None) is not None
    return (config.invocation_params.dir if is_from_command_line else config.rootpath) / Path(file).expanduser()


def _read_durations(path: Path, file: str) -> bytes:
    if not path.exists():
        raise OptionError(
            f"--py312-durations={file}: there is no such file; `py312 merge --durations={file}` writes it. The first "
            "time, run the parts without it"
        )
    try:
        return read_regular_file(path.parent, path.name, SIZE_LIMIT)
    except UnsafeFile as refused:
        raise OptionError(f"--py312-durations={file}: {refused}") from None


def plan_digest(plan: Plan) -> str:
    """Return a digest of all settings of the plan, wherever it lies."""
    return hashlib.sha256(json.dumps(encode(replace(plan, root=Path()))).encode("utf-8")).hexdigest()


def options_of_run(
    config: pytest.Config, options: RunOptions, *, runner: str, resolver: str, checks: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Return the options on which the outcomes of a run depend, as they were typed."""
    known_findings = options.known_findings.read_bytes() if options.known_findings is not None else b""
    values = {
        "paths": " ".join(
            "::".join((_relative(selection.path, options.plan.root), *selection.parts))
            for selection in options.selections
        ),
        "--py312-stage": ",".join(map(str, sorted(options.stages))),
        "--py312-services": ",".join(sorted(options.services)),
        "--py312-python": ",".join(map(str, sorted(options.interpreters))),
        "-k": str(getattr(config.option, "keyword", "") or ""),
        "-m": str(getattr(config.option, "markexpr", "") or ""),
        "--deselect": " ".join(sorted(getattr(config.option, "deselect", None) or ())),
        "--py312-runner": runner,
        "--py312-isolation": options.isolation or options.plan.isolation,
        "--py312-resolver": resolver,
        "--py312-offline": str(options.offline),
        "--py312-images": str(options.images),
        "--py312-benchmark": str(options.benchmark),
        "--py312-known-findings": hashlib.sha256(known_findings).hexdigest() if known_findings else "",
        "checks": " ".join(checks),
    }
    return tuple(values.items())


def _relative(path: Path, root: Path) -> str:
    root = root.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
