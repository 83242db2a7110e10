"""Every key and value of a YAML text, with what is around it. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_py312.repository.declarations.declaration import Item
from pytest_py312.repository.formats.yaml import Mapping, Node, Scalar, Sequence, child, end_of, text_of

NODE_LIMIT = 50_000
_SURROUNDINGS = 16
"""Levels that are remembered: enough for every workflow, and a bound for a file that only wants to be deep."""
_COMBINATIONS = ("include", "matrix")
_LEFT_OUT = "exclude"
_OF_STEP = re.compile(r"\bsteps\.(?P<step>[\w-]+)\.outputs\.python-version\b", re.ASCII)
_OF_JOB = re.compile(r"\bneeds\.(?P<job>[\w-]+)\.outputs\.(?P<output>[\w-]+)", re.ASCII)
_INPUT = re.compile(r"\binputs\.(?P<name>[\w-]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Around:
    """``mappings`` and ``keys`` lead to a value, the outermost first; the last key is the value's own.

    ``item`` is the combination of a matrix that the value belongs to; ``left_out``: one that is not made.
    """

    mappings: tuple[Mapping, ...] = ()
    keys: tuple[str, ...] = ()
    item: Item | None = None
    left_out: bool = False

    @property
    def parent(self) -> str:
        """The key above the value's own."""
        return self.keys[-2] if len(self.keys) > 1 else ""

    @property
    def matrix(self) -> Mapping | None:
        """The matrix that the value stands in."""
        if "matrix" not in self.keys:
            return None
        return next(iter(self.mappings[self.keys.index("matrix") + 1 :]), None)

    def nearest(self, *keys: str) -> Iterator[Node]:
        """What stands at ``keys`` in the mappings around, the innermost first."""
        for mapping in reversed(self.mappings):
            found: Node | None = mapping
            for key in keys:
                found = child(found, key)
            if found is not None:
                yield found

    def is_given(self, expression: str) -> bool:
        """Whether somebody else says what ``expression`` is: those who call a reusable workflow or an action, for its
        inputs, or a step that sets Python up, for what it tells of itself."""
        step = _OF_STEP.search(expression)
        if step:
            return any(_sets_up(mapping, step["step"]) for mapping in self.mappings)
        job = _OF_JOB.search(expression)
        if job:
            found = child(child(self.mappings[0] if self.mappings else None, "jobs"), job["job"])
            step = _OF_STEP.search(text_of(child(child(found, "outputs"), job["output"])))
            return step is not None and _sets_up(found, step["step"])
        named = _INPUT.search(expression)
        holders = (held for one in self.mappings for held in (one, child(child(one, "on"), "workflow_call")))
        return named is not None and any(child(child(held, "inputs"), named["name"]) is not None for held in holders)


def _sets_up(job: Node | None, name: str) -> bool:
    """Whether the step ``name`` of a job is one of setup-python or setup-uv."""
    steps = child(job, "steps")
    return isinstance(steps, Sequence) and any(
        text_of(child(step, "id")) == name and re.search(r"setup-(?:python|uv)", text_of(child(step, "uses")))
        for step in steps.items
    )


def pairs_of(root: Node, within: Around | None = None) -> Iterator[tuple[Around, str, Node]]:
    """Every key and value of every mapping, in the order of the text, each node once however often it is aliased."""
    pending: list[tuple[Node, Around]] = [(root, within or Around())]
    seen: set[int] = set()
    while pending and len(seen) < NODE_LIMIT:
        node, around = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        inner: list[tuple[Node, Around]] = []
        if isinstance(node, Sequence):
            inner = [(item, _combination(node, item, around)) for item in node.items]
        elif isinstance(node, Mapping):
            mappings = (*around.mappings, node)[-_SURROUNDINGS:]
            for key, value in node.pairs:
                name = key.value if isinstance(key, Scalar) else ""
                item = around.item
                if around.keys[-1:] == ("matrix",) and isinstance(value, Mapping):
                    item = Item(group=f"@{node.start}", start=key.start, end=end_of(value), lines=True, whole=True)
                keys = (*around.keys, name)[-_SURROUNDINGS:]
                here = Around(mappings, keys, item, around.left_out or name == _LEFT_OUT)
                yield here, name, value
                inner.append((value, here))
        pending += reversed(inner)


def _combination(sequence: Sequence, item: Node, around: Around) -> Around:
    if isinstance(item, Mapping) and around.keys[-1:] and around.keys[-1] in _COMBINATIONS:
        found = Item(
            group=f"@{sequence.start}", start=item.start, end=end_of(item), lines=not sequence.flow, whole=True
        )
        return Around(around.mappings, around.keys, found, around.left_out)
    return around


def members_of(value: Node | None) -> Iterator[tuple[Scalar, Item | None]]:
    """The scalars of a list with their items, or the one scalar."""
    if isinstance(value, Scalar):
        yield value, None
    elif isinstance(value, Sequence):
        for scalar in value.items[:200]:
            if isinstance(scalar, Scalar):
                lines = not value.flow
                yield scalar, Item(group=f"@{value.start}", start=scalar.start, end=scalar.end, lines=lines)
