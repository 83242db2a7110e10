"""Labels of the objects that targets create, and helpers shared by all targets."""

from collections.abc import Mapping, Sequence
from typing import Any

SERVICE_LABEL = "pytest-py312.rollout.service"
RUN_LABEL = "pytest-py312.rollout.run"

JsonObject = Mapping[str, Any]
"""A JSON object as an engine's API returns it."""


def printable_last_lines(log: bytes, count: int) -> Sequence[str]:
    """Return the last lines of a log without terminal control characters."""
    text = log.decode("utf-8", "replace")
    return ["".join(character for character in line if character.isprintable()) for line in text.splitlines()[-count:]]
