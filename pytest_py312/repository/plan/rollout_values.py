"""Readers of the kinds of values that settings of the rollout have."""

import re

from pytest_py312.repository.plan import values as read
from pytest_py312.repository.plan.plan_node import NodeReader, PlanNode, describe_value

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%", re.ASCII)


def share(node: PlanNode) -> float:
    """Read ``"2%"`` or ``0.02``."""
    match = _PERCENT.fullmatch(node.value.strip()) if isinstance(node.value, str) else None
    value = float(match[1]) / 100 if match else node.number("a share", '"2%" or 0.02')
    if not 0 <= value <= 1:
        raise node.error(f'expected a share from 0 to 1 ("100%"); found {describe_value(node.value)}')
    return float(value)


def count_reader(minimum: int, maximum: int, example: str) -> NodeReader:
    """Return a reader of whole numbers in a range."""
    return lambda node: node.integer(minimum=minimum, maximum=maximum, example=example)


def choice_reader(*words: str) -> NodeReader:
    """Return a reader of one of these words."""
    return lambda node: read.choice(node, words)


def duration_or_zero(node: PlanNode) -> float:
    """Read a duration in seconds, which may be 0."""
    return 0.0 if node.value in (0, "0s", "0") and not isinstance(node.value, bool) else read.duration(node)


def number_reader(low: float, high: float, example: str) -> NodeReader:
    """Return a reader of numbers between two others, both excluded."""

    def reader(node: PlanNode) -> float:
        value = node.number("a number", example)
        if not low < value < high:
            raise node.error(f"expected a number between {low:g} and {high:g}; found {value}")
        return float(value)

    return reader


def pattern_reader(pattern: re.Pattern[str], expected: str, example: str) -> NodeReader:
    """Return a reader of text that a pattern matches as a whole."""

    def reader(node: PlanNode) -> str:
        text = node.text(example)
        if not pattern.fullmatch(text):
            raise node.unexpected(expected, example)
        return text

    return reader


def url_path(node: PlanNode) -> str:
    """Read the path of a URL, from its first slash."""
    text = node.text('"/health"')
    if not text.startswith("/") or any(character.isspace() for character in text):
        raise node.unexpected("a path of the service, from its /", '"/health"')
    return text
