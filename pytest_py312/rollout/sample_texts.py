"""The measurements of a sample as the journal keeps them: as little text as will do, as there are a million of them."""

import json
from collections.abc import Sequence

from pytest_py312.rollout.model import Measurement, Result

_LETTERS = {Result.SUCCESSFUL: "s", Result.FAILED: "f", Result.INCONCLUSIVE: "i", Result.ERROR: "e"}
_RESULTS = {letter: result for result, letter in _LETTERS.items()}
MOST_DETAIL = 300
"""Characters of what is kept as evidence."""


def text_of(measurements: Sequence[Measurement]) -> str:
    """One line of JSON."""
    rows = [
        [one.metric, _LETTERS[one.result], one.value, *([one.detail[:MOST_DETAIL]] if one.detail else [])]
        for one in measurements
    ]
    return json.dumps(rows, separators=(",", ":"))


def measurements_in(text: str) -> tuple[Measurement, ...]:
    """What :func:`text_of` was given."""
    return tuple(
        Measurement(metric=metric, result=_RESULTS[letter], value=value, detail=detail[0] if detail else "")
        for metric, letter, value, *detail in json.loads(text)
    )
