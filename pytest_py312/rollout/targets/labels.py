"""What targets write on what they make, and how they are told."""

from collections.abc import Mapping, Sequence
from typing import Any

SERVICE_LABEL = "pytest-py312.rollout.service"
RUN_LABEL = "pytest-py312.rollout.run"

Said = Mapping[str, Any]
"""What the engine says of something."""


def last_lines(log: bytes, count: int) -> Sequence[str]:
    """The end of a log, without what would move a terminal's cursor."""
    text = log.decode("utf-8", "replace")
    return ["".join(character for character in line if character.isprintable()) for line in text.splitlines()[-count:]]
