"""Walk all keys and values of a YAML text with their context."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from pytest_py312.repository.declarations.declaration import ListItem
from pytest_py312.repository.formats.image_reference import names_service
from pytest_py312.repository.formats.yaml import (
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    content_end,
    scalar_pairs,
    scalar_text,
)

NODE_LIMIT = 50_000
_CONTEXT_DEPTH = 16
"""Levels that are kept: enough for every workflow, and a bound for maliciously deep files."""
_COMBINATION_KEYS = ("include", "matrix")
_VERSION_IN_KEY = re.compile(r"(?<![a-z0-9])(?:python|py)-?3\.?\d{1,2}(?![\d.])", re.ASCII)
_EXCLUDE_KEY = "exclude"
_ENTRY_GROUP = "@tasks:"
_STEP_OUTPUT = re.compile(r"\bsteps\.(?P<step>[\w-]+)\.outputs\.python-version\b", re.ASCII)
_JOB_OUTPUT = re.compile(r"\bneeds\.(?P<job>[\w-]+)\.outputs\.(?P<output>[\w-]+)", re.ASCII)
_INPUT_REFERENCE = re.compile(r"\binputs\.(?P<name>[\w-]+)", re.ASCII)

_NAMES_THING = re.compile(
    r"(?:[\w-]{1,40}[-_])?(?:services?|apps?|packages?|projects?|components?|modules?|functions?|lambdas?|(?:sub)?dir"
    r"(?:ectory)?|folder|path|workdir)",
    re.IGNORECASE | re.ASCII,
)

_KEY_IN_PATH = re.compile(
    r"(?:[\w.-]/|working-directory:[ \t]*[\"']?|context:[ \t]*[\"']?)\$\{\{[ \t]{0,9}matrix\.(?P<key>[\w-]{1,60})",
    re.ASCII,
)
"""``services/${{ matrix.name }}``"""
_IMAGE_LINE = re.compile(r"(?m)^[ \t-]*[\"']?[iI]mage[\"']?:[ \t]*(\S+)")
_HAS_VERSION = re.compile(r"\d\.\d|py-?\d|^\d+$")


@dataclass(frozen=True, slots=True)
class YamlContext:
    """The path to a value: ``mappings`` and ``keys``, the outermost first; the last key is the value's own.

    ``item`` is the matrix combination that contains the value; ``is_excluded``: the matrix excludes that combination.
    """

    mappings: tuple[YamlMapping, ...] = ()
    keys: tuple[str, ...] = ()
    item: ListItem | None = None
    is_excluded: bool = False

    @property
    def in_versioned_entry(self) -> bool:
        """Whether the value is in a task whose key names a version, such as ``test-py39``."""
        return self.item is not None and self.item.group.startswith(_ENTRY_GROUP)

    @property
    def parent(self) -> str:
        """The key above the value's own."""
        return self.keys[-2] if len(self.keys) > 1 else ""

    @property
    def matrix(self) -> YamlMapping | None:
        """The matrix that contains the value."""
        if "matrix" not in self.keys:
            return None
        return next(iter(self.mappings[self.keys.index("matrix") + 1 :]), None)

    def nearest_values(self, *keys: str) -> Iterator[YamlNode]:
        """Yield the values at ``keys`` in the surrounding mappings, the innermost first."""
        for mapping in reversed(self.mappings):
            node: YamlNode | None = mapping
            for key in keys:
                node = child_of(node, key)
            if node is not None:
                yield node

    def is_provided_elsewhere(self, expression: str) -> bool:
        """Return whether the value of ``expression`` comes from outside.

        Callers provide the inputs of a reusable workflow or an action; a step that sets up Python provides its outputs.
        """
        step = _STEP_OUTPUT.search(expression)
        if step:
            return any(_is_python_setup_step(mapping, step["step"]) for mapping in self.mappings)
        job = _JOB_OUTPUT.search(expression)
        if job:
            job_node = child_of(child_of(self.mappings[0] if self.mappings else None, "jobs"), job["job"])
            step = _STEP_OUTPUT.search(scalar_text(child_of(child_of(job_node, "outputs"), job["output"])))
            return step is not None and _is_python_setup_step(job_node, step["step"])
        input_match = _INPUT_REFERENCE.search(expression)
        inputs_holders = (
            holder
            for surrounding in self.mappings
            for holder in (surrounding, child_of(child_of(surrounding, "on"), "workflow_call"))
        )
        return input_match is not None and any(
            child_of(child_of(holder, "inputs"), input_match["name"]) is not None for holder in inputs_holders
        )


def _is_python_setup_step(job: YamlNode | None, name: str) -> bool:
    """Return whether the step ``name`` of a job is one of setup-python or setup-uv."""
    steps = child_of(job, "steps")
    return isinstance(steps, YamlSequence) and any(
        scalar_text(child_of(step, "id")) == name
        and re.search(r"setup-(?:python|uv)", scalar_text(child_of(step, "uses")))
        for step in steps.items
    )


def walk_pairs(root: YamlNode, outer_context: YamlContext | None = None) -> Iterator[tuple[YamlContext, str, YamlNode]]:
    """Yield every key and value of every mapping in document order, each node once even if it is aliased."""
    pending: list[tuple[YamlNode, YamlContext]] = [(root, outer_context or YamlContext())]
    seen: set[int] = set()
    while pending and len(seen) < NODE_LIMIT:
        node, context = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        children: list[tuple[YamlNode, YamlContext]] = []
        if isinstance(node, YamlSequence):
            children = [(item, _combination_context(node, item, context)) for item in node.items]
        elif isinstance(node, YamlMapping):
            mappings = (*context.mappings, node)[-_CONTEXT_DEPTH:]
            for key, value in node.pairs:
                name = key.value if isinstance(key, YamlScalar) else ""
                item = context.item
                if context.keys[-1:] == ("matrix",) and isinstance(value, YamlMapping):
                    item = ListItem(
                        group=f"@{node.start}",
                        start=key.start,
                        end=content_end(value),
                        on_own_lines=True,
                        is_combination=True,
                    )
                elif context.keys[-1:] == ("tasks",) and _VERSION_IN_KEY.search(name):
                    # others refer to the entry by its name, so the one of the target stands beside it
                    item = ListItem(
                        group=f"{_ENTRY_GROUP}{node.start}:{_VERSION_IN_KEY.sub('', name)}",
                        start=key.start,
                        end=content_end(value),
                        on_own_lines=not node.is_flow,
                        is_combination=True,
                    )
                keys = (*context.keys, name)[-_CONTEXT_DEPTH:]
                pair_context = YamlContext(mappings, keys, item, context.is_excluded or name == _EXCLUDE_KEY)
                yield pair_context, name, value
                children.append((value, pair_context))
        pending += reversed(children)


def _combination_context(sequence: YamlSequence, item: YamlNode, context: YamlContext) -> YamlContext:
    if isinstance(item, YamlMapping) and context.keys[-1:] and context.keys[-1] in _COMBINATION_KEYS:
        combination = ListItem(
            group=f"@{sequence.start}",
            start=item.start,
            end=content_end(item),
            on_own_lines=not sequence.is_flow,
            is_combination=True,
        )
        return YamlContext(context.mappings, context.keys, combination, context.is_excluded)
    return context


def scalars_of(value: YamlNode | None) -> Iterator[tuple[YamlScalar, ListItem | None]]:
    """Yield the scalars of a list with their items, or the single scalar."""
    if isinstance(value, YamlScalar):
        yield value, None
    elif isinstance(value, YamlSequence):
        for scalar in value.items[:200]:
            if isinstance(scalar, YamlScalar):
                on_own_lines = not value.is_flow
                yield (
                    scalar,
                    ListItem(group=f"@{value.start}", start=scalar.start, end=scalar.end, on_own_lines=on_own_lines),
                )


def combination_scalars(value: YamlNode, key: str) -> Iterator[tuple[YamlScalar, ListItem | None]]:
    """Yield the values of a key in combinations: ``python: [{version: 3.10.4, short: 3.10}]``, with their items."""
    combinations = value.items[:200] if isinstance(value, YamlSequence) else (value,)
    for combination in combinations:
        scalar = child_of(combination, key)
        if isinstance(scalar, YamlScalar):
            item = ListItem(
                group=f"@{value.start}",
                start=combination.start,
                end=content_end(combination),
                on_own_lines=isinstance(value, YamlSequence) and not value.is_flow,
                is_combination=True,
            )
            yield scalar, item if isinstance(value, YamlSequence) else None


def item_of_matrix(context: YamlContext, item: ListItem | None, text: str) -> ListItem | None:
    """Treat all versions of one matrix as one list, whether they are in its lists or in added combinations.

    Where it has nothing but combinations for several services, each service has a list of its own: ``text`` is the
    whole file, in which a key of the matrix may be part of a path.
    """
    matrix = context.matrix
    if item is None or matrix is None or (item.is_combination and "include" not in context.keys):
        return item
    is_listed = any(scalar_text(key) not in ("include", "exclude") for key, _ in matrix.pairs)
    thing = "" if is_listed else _thing_of_combination(context.mappings[-1], text)
    return replace(item, group=f"@{matrix.start}{thing}")


def _thing_of_combination(combination: YamlMapping, text: str) -> str:
    """Return what a combination of a matrix is for, by the keys that name services, or that paths consist of."""
    in_paths = _keys_in_paths(text)
    pairs = [(key, value) for key, value in scalar_pairs(combination) if not _HAS_VERSION.search(value)]
    return "".join(f":{value}" for key, value in pairs if key in in_paths or _NAMES_THING.fullmatch(key))


@lru_cache(maxsize=4)
def _keys_in_paths(text: str) -> frozenset[str]:
    """Return the keys of matrices that paths in a file consist of. Cached: each combination asks for them."""
    return frozenset(match["key"] for match in _KEY_IN_PATH.finditer(text))


def outside_combination(context: YamlContext) -> YamlContext:
    """Return the same context outside of any matrix combination."""
    return replace(context, item=None, is_excluded=False)


def runs_service(context: YamlContext, text: str, path: str) -> bool:
    """Return whether the container or the function around a value of the file ``path`` is one of its service.

    Such a container has an image that is built here, is named after the service, or is the only one of the file.
    """
    for mapping in reversed(context.mappings):
        values = {scalar_text(key).lower(): value for key, value in mapping.pairs}
        if not {"build", "runtime", "handler"}.isdisjoint(values):
            return True
        if "image" in values:
            return names_service(scalar_text(values["image"]), path) or _has_one_image(text)
    return False


@lru_cache(maxsize=4)
def _has_one_image(text: str) -> bool:
    """Return whether all containers of a file have the same image. Cached: each of its commands asks for it."""
    return len(set(_IMAGE_LINE.findall(text))) == 1


def is_of_function(context: YamlContext) -> bool:
    """Return whether a ``runtime`` is that of functions: of AWS SAM, the Serverless Framework, or App Engine."""
    siblings = {scalar_text(key).lower() for key, _ in context.mappings[-1].pairs} if context.mappings else set()
    return len(context.keys) == 1 or context.parent in ("provider", "Function", "Properties") or "handler" in siblings
