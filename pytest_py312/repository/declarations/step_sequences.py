"""Find steps of a job that set up several Pythons one after another: a matrix that is written out. Never raises."""

import re
from collections.abc import Iterator

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.declarations.declaration import ListItem, version_of
from pytest_py312.repository.declarations.yaml_walk import walk_pairs
from pytest_py312.repository.formats.yaml import (
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    content_end,
    scalar_text,
)

MIN_SEQUENCE = 3
"""Number of Pythons that a job sets up one after another to be a matrix whatever it does with each."""
NOT_REPEATED = "The job sets up several Pythons one after another; write the steps for the target manually."
_SETUP_ACTION = re.compile(r"(?:[\w.-]+/)?setup-(?:python|uv)(?:@|\Z)", re.ASCII)


def sequence_items(root: YamlNode, text: str) -> dict[int, tuple[ListItem, str]]:
    """Map the start of each version that is set up in a sequence to its item, and to why it cannot be repeated.

    The item is the block of steps from the setup of a Python to that of the next one. A job of at least two Pythons
    with equal blocks is a matrix; so is one of :data:`MIN_SEQUENCE`, but its blocks cannot be copied if they differ.
    """
    items: dict[int, tuple[ListItem, str]] = {}
    for _, key, value in walk_pairs(root):
        if key == "steps" and isinstance(value, YamlSequence) and not value.is_flow:
            items.update(_items_of_job(value, text))
    return items


def _items_of_job(steps: YamlSequence, text: str) -> Iterator[tuple[int, tuple[ListItem, str]]]:
    setups = [
        (index, scalar, version) for index, step in enumerate(steps.items[:200]) for scalar, version in _set_up_in(step)
    ]
    versions = {version for _, _, version in setups}
    if len(versions) < 2 or len(versions) < len(setups):
        return
    ends = [index for index, _, _ in setups[1:]]
    length = ends[0] - setups[0][0]
    blocks = [steps.items[index : index + length] for index, _, _ in setups]
    is_repeated = (
        all(end - start == length for (start, _, _), end in zip(setups, ends, strict=False))
        and len(blocks[-1]) == length
        and len({_without_version(text, block, version) for block, (_, _, version) in zip(blocks, setups, strict=True)})
        == 1
    )
    if not is_repeated and len(versions) < MIN_SEQUENCE:
        return
    for block, (_, scalar, _) in zip(blocks, setups, strict=True):
        item = ListItem(
            group=f"@steps:{steps.start}",
            start=block[0].start,
            end=content_end(block[-1]),
            on_own_lines=True,
            is_combination=True,
        )
        yield scalar.start, (item, "" if is_repeated else NOT_REPEATED)


def _set_up_in(step: YamlNode) -> Iterator[tuple[YamlScalar, Interpreter]]:
    """Yield the version that a step sets up, if it is written there."""
    scalar = child_of(child_of(step, "with"), "python-version")
    if isinstance(step, YamlMapping) and isinstance(scalar, YamlScalar):
        version = version_of(scalar.value)
        if version and _SETUP_ACTION.match(scalar_text(child_of(step, "uses"))):
            yield scalar, version


def _without_version(text: str, block: list[YamlNode], version: Interpreter) -> str:
    source = text[block[0].start : content_end(block[-1])]
    return re.sub(rf"[\"']?(?<![\d.]){version.major}\.{version.minor}(?!\d)[\"']?", "", re.sub(r"\s+", " ", source))
