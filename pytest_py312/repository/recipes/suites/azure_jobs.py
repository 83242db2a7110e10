"""Read the commands of the jobs of Azure Pipelines: text in, jobs with folders and variables out. Never raises.

The keys are described at https://learn.microsoft.com/azure/devops/pipelines/yaml-schema/. Templates are not followed.
Of a matrix the first entry counts, as its entries are mostly versions of Python.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from pytest_py312.repository.formats.yaml import (
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    first_document,
    items_of,
    line_of_scalar,
    pairs_of,
    scalar_pairs,
    scalar_text,
)
from pytest_py312.repository.recipes.commands.file_map import WORKSPACE
from pytest_py312.repository.recipes.suites.workflow_jobs import JOB_LIMIT, STEP_LIMIT, JobStep, WorkflowJob

_MACRO = re.compile(r"\$\((?P<name>[A-Za-z_][\w.]*)\)", re.ASCII)
_CHECKOUT = frozenset({"Build.SourcesDirectory", "System.DefaultWorkingDirectory", "Build.Repository.LocalPath"})
_SCRIPT_TASKS = re.compile(r"(?:Bash|CmdLine|ShellScript)@\d+")
_UNKNOWN = "${_EXPRESSION}"
"""A variable of the shell without a value."""


@lru_cache(maxsize=64)  # each service of a fleet asks for the jobs of the same pipelines
def read_azure_jobs(text: str) -> tuple[WorkflowJob, ...]:
    """Read the jobs of one pipeline, also those of its stages; without any, its steps are one job."""
    root = first_document(text)
    variables = dict(_variables(child_of(root, "variables")))
    jobs = [(root, variables)] if child_of(root, "steps") is not None else []
    for stage in [root, *items_of(child_of(root, "stages"))]:
        of_stage = {**variables, **dict(_variables(child_of(stage, "variables")))}
        jobs += [(job, of_stage) for job in items_of(child_of(stage, "jobs"))]
    return tuple(_read_job(text, node, values) for node, values in jobs[:JOB_LIMIT])


def _read_job(text: str, node: YamlNode | None, variables: Mapping[str, str]) -> WorkflowJob:
    entries = pairs_of(child_of(child_of(node, "strategy"), "matrix"))
    first = dict(_variables(entries[0][1])) if entries else {}
    values = {**variables, **dict(_variables(child_of(node, "variables"))), **first}
    values = {name: _expand(value, values) for name, value in values.items()}
    steps = [
        step
        for item in items_of(child_of(node, "steps"))[:STEP_LIMIT]
        if (step := _read_step(text, item, values)) is not None
    ]
    # a variable is one of the shell as well, in capitals and with "_" for "."
    shell = {name.upper().replace(".", "_"): value for name, value in values.items() if _UNKNOWN not in value}
    versions = {"python": tuple(scalar_text(name) for name, _ in entries)} if entries else {}
    return WorkflowJob(name=scalar_text(child_of(node, "job")), steps=tuple(steps), variables=shell, matrix=versions)


def _read_step(text: str, node: YamlNode, values: Mapping[str, str]) -> JobStep | None:
    inputs = child_of(node, "inputs") if _SCRIPT_TASKS.fullmatch(scalar_text(child_of(node, "task"))) else None
    keys = (child_of(node, "script"), child_of(node, "bash"), child_of(inputs, "script"))
    script = next((key for key in keys if isinstance(key, YamlScalar)), None)
    if script is None:
        return None
    folder = child_of(node, "workingDirectory") or child_of(inputs, "workingDirectory")
    return JobStep(
        text=_expand(script.value, values),
        line=line_of_scalar(text, script),
        folder=_folder(_expand(scalar_text(folder), values)),
        variables={name: _expand(value, values) for name, value in _variables(child_of(node, "env"))},
        may_be_skipped=any(child_of(node, key) is not None for key in ("condition", "continueOnError")),
    )


def _folder(path: str) -> str:
    """Return a working directory relative to the checkout."""
    return path.removeprefix(WORKSPACE).lstrip("/") or "."


def _expand(text: str, values: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` as the agent does: what it does not know stays, and is a command of the shell."""

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name in _CHECKOUT:
            return WORKSPACE
        return values.get(name, _UNKNOWN if "." in name else match[0])

    return _MACRO.sub(value, text)


def _variables(node: YamlNode | None) -> Iterator[tuple[str, str]]:
    """Yield variables: a mapping, or a list of names and values."""
    if isinstance(node, YamlSequence):
        for item in node.items:
            if name := scalar_text(child_of(item, "name")):
                yield name, scalar_text(child_of(item, "value"))
    else:
        yield from scalar_pairs(node)
