"""Read the commands of the jobs of GitLab CI: texts in, jobs with their variables out. Never raises.

The keys are described at https://docs.gitlab.com/ci/yaml/. Whether the rules of a job hold is not evaluated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    items_of,
    line_of_scalar,
    pairs_of,
    parse_documents,
    scalar_text,
)
from pytest_py312.repository.recipes.suites.workflow_jobs import (
    JOB_LIMIT,
    STEP_LIMIT,
    VISIT_LIMIT,
    JobStep,
    WorkflowJob,
)

EXTENDS_LIMIT = 11
"""Levels of ``extends`` and ``!reference`` that are followed; GitLab allows as many."""
_SCRIPTS = ("before_script", "script")
_NO_JOBS = frozenset(
    {"default", "include", "stages", "variables", "workflow", "image", "services", "cache", "before_script",
     "after_script", "spec", "pages_deploy"}
)  # fmt: skip


def included_files(text: str) -> tuple[str, ...]:
    """Return the paths (relative to the root) of the files of the repository that ``include`` names."""
    root = _root_of(text)
    node = child_of(root, "include")
    items = node.items if isinstance(node, YamlSequence) else [node] if node is not None else []
    names = (
        scalar_text(item) if isinstance(item, YamlScalar) else scalar_text(child_of(item, "local")) for item in items
    )
    return tuple(name.lstrip("/") for name in names if name and "://" not in name)


def read_gitlab_jobs(texts: Mapping[str, str]) -> tuple[WorkflowJob, ...]:
    """Read the jobs of a configuration; later files override keys of earlier ones.

    :param texts: path -> text, the included files first.
    """
    merged: dict[str, _Placed] = {}
    for path, text in texts.items():
        root = _root_of(text)
        for key, value in pairs_of(root):
            merged[scalar_text(key)] = _Placed(node=value, path=path, text=text)
    pipeline = _Pipeline(merged)
    names = [name for name in merged if name not in _NO_JOBS and not name.startswith(".")]
    return tuple(job for name in names[:JOB_LIMIT] if (job := pipeline.job(name)) is not None)


def _root_of(text: str) -> YamlNode | None:
    try:
        documents = parse_documents(text)
    except InvalidYaml:
        return None
    # a document with `spec: inputs:` may stand in front
    return documents[-1] if documents else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placed:
    """A value, and the file that has it."""

    node: YamlNode
    path: str
    text: str


class _Pipeline:
    def __init__(self, values: Mapping[str, _Placed]) -> None:
        self._values = values
        self._visits = 0

    def _may_follow(self, depth: int) -> bool:
        """Count a visit; return whether it is within the limits: what extends each other can be visited endlessly."""
        self._visits += 1
        return depth <= EXTENDS_LIMIT and self._visits <= VISIT_LIMIT

    def job(self, name: str) -> WorkflowJob | None:
        """Return a job with its commands; ``None`` if it has none."""
        self._visits = 0
        script = self._value(name, "script")
        if script is None:
            return None
        before = self._value(name, "before_script") or self._default("before_script")
        steps = [step for script_part in (before, script) if script_part for step in self._steps(script_part)]
        variables = {**dict(_variables(self._values.get("variables"))), **dict(self._job_variables(name))}
        return WorkflowJob(
            name=name,
            steps=tuple(steps[:STEP_LIMIT]),
            variables=variables,
            matrix=_matrix(self._value(name, "parallel")),
            is_matrix_in_environment=True,
        )

    def _value(self, name: str, key: str, depth: int = 0) -> _Placed | None:
        """Return the value of a key of a job, or of what it extends; the last one of several counts."""
        placed = self._values.get(name)
        if placed is None or not self._may_follow(depth):
            return None
        own = child_of(placed.node, key)
        if own is not None:
            return replace(placed, node=own)
        for base in reversed(_names(child_of(placed.node, "extends"))):
            found = self._value(base, key, depth + 1)
            if found is not None:
                return found
        return None

    def _default(self, key: str) -> _Placed | None:
        placed = self._values.get("default")
        own = child_of(placed.node, key) if placed is not None else None
        if placed is not None and own is not None:
            return replace(placed, node=own)
        return self._values.get(key)

    def _job_variables(self, name: str, depth: int = 0) -> Iterator[tuple[str, str]]:
        placed = self._values.get(name)
        if placed is None or not self._may_follow(depth):
            return
        for base in _names(child_of(placed.node, "extends")):
            yield from self._job_variables(base, depth + 1)
        own = child_of(placed.node, "variables")
        if own is not None:
            yield from _variables(replace(placed, node=own))

    def _steps(self, script: _Placed, depth: int = 0) -> Iterator[JobStep]:
        """Yield the commands of a script, with those of ``!reference [.job, script]`` and of nested lists."""
        node = script.node
        if isinstance(node, YamlScalar):
            line = line_of_scalar(script.text, node)
            yield JobStep(text=node.value, line=line, path=script.path, is_same_shell=True)
            return
        if not isinstance(node, YamlSequence) or not self._may_follow(depth):
            return
        names = [scalar_text(item) for item in node.items]
        if len(names) == 2 and names[0] in self._values and names[1] in (*_SCRIPTS, "after_script"):
            referenced = self._value(names[0], names[1])
            if referenced is not None:
                yield from self._steps(referenced, depth + 1)
            return
        for item in node.items[:STEP_LIMIT]:
            yield from self._steps(replace(script, node=item), depth + 1)


def _names(node: YamlNode | None) -> Sequence[str]:
    if isinstance(node, YamlSequence):
        return [scalar_text(item) for item in node.items]
    return [scalar_text(node)] if isinstance(node, YamlScalar) else []


def _variables(placed: _Placed | None) -> Iterator[tuple[str, str]]:
    node = placed.node if placed is not None else None
    for name, value in pairs_of(node):
        scalar = value if isinstance(value, YamlScalar) else child_of(value, "value")
        if isinstance(scalar, YamlScalar):
            yield scalar_text(name), scalar.value


def _matrix(parallel: _Placed | None) -> dict[str, tuple[str, ...]]:
    matrix = child_of(parallel.node, "matrix") if parallel is not None else None
    values: dict[str, list[str]] = {}
    for item in items_of(matrix):
        for name, node in pairs_of(item):
            values.setdefault(scalar_text(name), []).extend(_names(node))
    return {name: tuple(dict.fromkeys(texts)) for name, texts in values.items()}
