"""The documents in a journal: runs, entries and samples as JSON. What cannot be read is a :class:`StateError`.

Measurements are stored in a compact form, because there can be a million of them.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pytest_py312.core.errors import StateError
from pytest_py312.core.serialization import decode
from pytest_py312.rollout.domain.events import EVENT_TYPES, Event
from pytest_py312.rollout.domain.measurements import MAX_DETAIL_LENGTH, Measurement, Result
from pytest_py312.rollout.domain.model import Intent

INTENT_KIND = "intent"
NOTE_KIND = "note"
_T = TypeVar("_T")


def to_json(document: object) -> str:
    """Return compact JSON."""
    return json.dumps(document, separators=(",", ":"))


def decode_document(kind: type[_T], text: str) -> _T:
    """Return the value that was stored as ``text``.

    :raises StateError: it is none of that class.
    """
    with _reading(f"a {kind.__name__}"):
        return decode(kind, json.loads(text))


def decode_entry(kind: str, text: str) -> Event | Intent | str:
    """Return an event, an intent, or the text of a note, that was stored under ``kind``.

    :raises StateError: the kind is unknown, or the document damaged.
    """
    if kind == NOTE_KIND:
        with _reading("a note"):
            return str(json.loads(text))
    entry_type: type[Any] | None = Intent if kind == INTENT_KIND else EVENT_TYPES.get(kind)
    if entry_type is None:
        raise StateError(
            f"the journal has an entry of the unknown kind {kind!r}: a newer version of this tool wrote it and has "
            "to be used, or the journal is damaged"
        )
    return decode_document(entry_type, text)  # type: ignore[no-any-return]  # it is a value of entry_type


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Report what reading a damaged document raises."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise StateError(f"the journal is damaged: {what} in it cannot be read ({error})") from error


def service_names(document: str) -> list[str]:
    """Return the services of a stored run, in its order."""
    with _reading("a run"):
        return [str(deployment["spec"]["service"]) for deployment in json.loads(document)["deployments"]]


def service_number(document: str, service: str) -> int:
    """Return the position of a service in a stored run."""
    names = service_names(document)
    if service not in names:
        raise StateError(f"the journal is damaged or of another stage: its run has no service {service}")
    return names.index(service)


_RESULT_LETTERS = {Result.SUCCESSFUL: "s", Result.FAILED: "f", Result.INCONCLUSIVE: "i", Result.ERROR: "e"}
_RESULTS_BY_LETTER = {letter: result for result, letter in _RESULT_LETTERS.items()}


def encode_measurements(measurements: Sequence[Measurement]) -> str:
    """Encode measurements as one line of JSON."""
    rows = [
        [
            measurement.metric,
            _RESULT_LETTERS[measurement.result],
            measurement.value,
            *([measurement.detail[:MAX_DETAIL_LENGTH]] if measurement.detail else []),
        ]
        for measurement in measurements
    ]
    return to_json(rows)


def decode_measurements(text: str) -> tuple[Measurement, ...]:
    """Decode what :func:`encode_measurements` returned.

    :raises StateError: it did not return that.
    """
    with _reading("a sample"):
        rows = json.loads(text)
        if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
            raise ValueError("it is no list of measurements")
        return tuple(
            Measurement(
                metric=metric, result=_RESULTS_BY_LETTER[letter], value=value, detail=detail[0] if detail else ""
            )
            for metric, letter, value, *detail in rows
        )
