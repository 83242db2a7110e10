"""Read the commands of the jobs of GitHub workflows and of CircleCI: text in, jobs with folders and variables out.

Never raises. Of a matrix each value that is a plain text can be chosen; other expressions have no value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

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

JOB_LIMIT = 100
STEP_LIMIT = 200
STEP_DEPTH = 4
"""Levels of commands of CircleCI that are followed."""
VISIT_LIMIT = 2_000
"""Steps of one job that are looked at, with those of commands and jobs that it names again and again."""
_EXPRESSION = re.compile(r"\$\{\{\s*(?P<name>[^{}]*?)\s*\}\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStep:
    """A ``run`` of a job. ``line`` is that of its first command, in ``path`` (empty: the file of the job)."""

    text: str
    line: int
    folder: str = "."
    variables: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    is_same_shell: bool = False
    """Whether it runs in the shell of the step in front of it, with its folder and variables."""
    may_be_skipped: bool = False
    """Whether it has a condition, or may fail."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkflowJob:
    """A job: its steps, and the values of each key of its matrix."""

    name: str
    steps: tuple[JobStep, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    matrix: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    combinations: tuple[Mapping[str, str], ...] = ()
    """The combinations of ``include``."""
    matrix_objects: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict)
    """Keys of the matrix -> the objects that each may be: ``${{ matrix.module.test }}`` is a value of one."""
    computed: tuple[str, ...] = ()
    """Keys of the matrix whose values another job computes: ``${{ fromJson(needs.changes.outputs.services) }}``."""
    is_matrix_in_environment: bool = False
    """Whether the values of the matrix are variables of the shell."""

    def expand(self, text: str, choice: Mapping[str, str]) -> str:
        """Replace expressions: those of the matrix by ``choice``, those of variables by their values."""

        def value(match: re.Match[str]) -> str:
            scope, _, name = match["name"].partition(".")
            if scope == "matrix" and name in choice:
                return choice[name]
            if scope == "env" and name in self.variables:
                return self.variables[name]
            if match["name"] == "github.workspace":
                return WORKSPACE
            return "${_EXPRESSION}"  # a variable without a value

        return _EXPRESSION.sub(value, text)


@lru_cache(maxsize=64)  # each service of a fleet asks for the jobs of the same workflows
def read_workflow_jobs(text: str) -> tuple[WorkflowJob, ...]:
    """Read the jobs of one workflow."""
    root = first_document(text)
    variables = dict(scalar_pairs(child_of(root, "env")))
    folder = _default_folder(root) or "."
    read_jobs: list[WorkflowJob] = []
    for name, node in pairs_of(child_of(root, "jobs"))[:JOB_LIMIT]:
        job_variables = {**variables, **dict(scalar_pairs(child_of(node, "env")))}
        items = items_of(child_of(node, "steps"))[:STEP_LIMIT]
        default = _default_folder(node) or folder
        matrix = pairs_of(child_of(child_of(node, "strategy"), "matrix"))
        read_steps = [step for item in items if (step := _read_step(text, item, default)) is not None]
        read_jobs.append(
            WorkflowJob(
                name=scalar_text(name),
                steps=tuple(read_steps),
                variables=job_variables,
                matrix=_matrix(matrix),
                combinations=tuple(dict(scalar_pairs(item)) for item in items_of(_include(matrix))),
                matrix_objects=_matrix_objects(matrix),
                computed=tuple(scalar_text(key) for key, value in matrix if _EXPRESSION.search(scalar_text(value))),
            )
        )
    return tuple(read_jobs)


def _read_step(text: str, node: YamlNode, folder: str) -> JobStep | None:
    run = child_of(node, "run")
    if not isinstance(run, YamlScalar):
        return None
    return JobStep(
        text=run.value,
        line=line_of_scalar(text, run),
        folder=scalar_text(child_of(node, "working-directory")) or folder,
        variables=dict(scalar_pairs(child_of(node, "env"))),
        may_be_skipped=any(child_of(node, key) is not None for key in ("if", "continue-on-error")),
    )


@lru_cache(maxsize=8)
def read_circleci_jobs(text: str) -> tuple[WorkflowJob, ...]:
    """Read the jobs of a configuration of CircleCI, with the steps of its own commands.

    https://circleci.com/docs/configuration-reference/; parameters and orbs have no value.
    """
    root = first_document(text)
    commands = child_of(root, "commands")
    read_jobs: list[WorkflowJob] = []
    for name, node in pairs_of(child_of(root, "jobs"))[:JOB_LIMIT]:
        folder = _circleci_folder(scalar_text(child_of(node, "working_directory")))
        steps = islice(_circleci_steps(text, node, commands, folder, iter(range(VISIT_LIMIT))), STEP_LIMIT)
        variables = dict(scalar_pairs(child_of(node, "environment")))
        read_jobs.append(WorkflowJob(name=scalar_text(name), steps=tuple(steps), variables=variables))
    return tuple(read_jobs)


def _circleci_steps(
    text: str, node: YamlNode | None, commands: YamlNode | None, folder: str, visits: Iterator[int], depth: int = 0
) -> Iterator[JobStep]:
    """Yield the steps of a job or command, as long as there are ``visits`` left: commands may call each other."""
    for item, _ in zip(items_of(child_of(node, "steps"))[:STEP_LIMIT], visits, strict=False):
        run = child_of(item, "run")
        command = run if isinstance(run, YamlScalar) else child_of(run, "command")
        if isinstance(command, YamlScalar):
            yield JobStep(
                # a value such as << parameters.x >> is no redirection
                text=re.sub(r"<<\s*[\w.]+\s*>>", "${_EXPRESSION}", command.value),
                line=line_of_scalar(text, command),
                folder=_circleci_folder(scalar_text(child_of(run, "working_directory")))
                if run is not command
                else folder,
                variables=dict(scalar_pairs(child_of(run, "environment"))),
            )
        elif depth < STEP_DEPTH:
            keys = [item] if isinstance(item, YamlScalar) else [key for key, _ in pairs_of(item)]
            for name in map(scalar_text, keys):
                inner = child_of(item if name in ("when", "unless") else commands, name)
                yield from _circleci_steps(text, inner, commands, folder, visits, depth + 1)


def _circleci_folder(folder: str) -> str:
    """Return a working directory relative to the checkout, which is ``~/project`` or another folder of the home."""
    return "." if not folder or folder.startswith(("~", "/")) else folder


def _default_folder(node: YamlNode | None) -> str:
    return scalar_text(child_of(child_of(child_of(node, "defaults"), "run"), "working-directory"))


def _include(matrix: Sequence[tuple[YamlNode, YamlNode]]) -> YamlNode | None:
    return next((node for name, node in matrix if scalar_text(name) == "include"), None)


def _matrix(matrix: Sequence[tuple[YamlNode, YamlNode]]) -> dict[str, tuple[str, ...]]:
    values: dict[str, list[str]] = {}
    for name, node in matrix:
        if scalar_text(name) == "include" and isinstance(node, YamlSequence):
            for item in node.items:
                for key, value in scalar_pairs(item):
                    values.setdefault(key, []).append(value)
        elif isinstance(node, YamlSequence):
            values.setdefault(scalar_text(name), []).extend(
                item.value for item in node.items if isinstance(item, YamlScalar)
            )
    return {name: tuple(dict.fromkeys(texts)) for name, texts in values.items()}


def _matrix_objects(matrix: Sequence[tuple[YamlNode, YamlNode]]) -> dict[str, tuple[dict[str, str], ...]]:
    objects = {
        scalar_text(name): tuple(pairs for item in node.items if (pairs := dict(scalar_pairs(item))))
        for name, node in matrix
        if isinstance(node, YamlSequence) and scalar_text(name) not in ("include", "exclude")
    }
    return {name: found for name, found in objects.items() if found}
