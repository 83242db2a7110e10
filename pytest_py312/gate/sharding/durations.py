"""The file of recorded durations (``--py312-durations``), by which the parts of a run are divided.

It is an input of the run, equal on all machines: ``py312 merge --durations=FILE`` writes it, and it is committed or
handed to all parts. What is stale in it makes a part longer, and never a verdict wrong.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.findings import Interpreter, Outcome
from pytest_py312.core.serialization import escape_lone_surrogates
from pytest_py312.gate.sharding.packing import ItemKey

SCHEMA = 1
SIZE_LIMIT = 64 * 1024 * 1024
"""Maximum size of the file in bytes."""
MAX_SECONDS = 1e6
Durations = Mapping[ItemKey, float]
"""Seconds of each item that is known."""


class DurationsError(Py312Error):
    """The file of durations cannot be used. The message has its name and, where it is known, the line."""


def item_name(interpreter: Interpreter | None, check: str) -> str:
    """Return the end of the node id of an item: ``py3.12::suite``, or ``versions``."""
    return f"{interpreter.label}::{check}" if interpreter else check


def parse_durations(content: bytes, file_name: str) -> Durations:
    """Parse the content of the file ``file_name``.

    :raises DurationsError: it is no such file.
    """
    try:
        document = json.loads(content.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise DurationsError(f"{file_name}:{error.lineno}: this is not JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise DurationsError(f"{file_name}: this is not a JSON document in UTF-8") from None
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict):
        raise DurationsError(f'{file_name}: this is not a file of durations: it has no object "services"')
    if document.get("schema") != SCHEMA:
        raise DurationsError(f'{file_name}: "schema" is not {SCHEMA}: another version of pytest-py312 has written it')
    return {
        (service, name): _seconds(value, f"{file_name}: {service}: {name}")
        for service, items in document["services"].items()
        for name, value in _object(items, f"{file_name}: {service}").items()
    }


def read_durations(file: str) -> Durations:
    """Read the file that the option ``--durations`` of a command of ``py312`` names.

    :raises DurationsError: it cannot be read, or is no such file.
    """
    try:
        return parse_durations(Path(file).read_bytes(), file)
    except OSError as error:
        raise DurationsError(f"--durations {file}: {error.strerror or error}") from None


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DurationsError(f"{where}: expected an object of items and their seconds")
    return value


def _seconds(value: Any, where: str) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_SECONDS:
        raise DurationsError(f"{where}: expected seconds, from 0 to {MAX_SECONDS:.0f}")
    return float(value)


def format_durations(durations: Durations) -> str:
    """Return the text of the file: sorted, with one service on each line, for readable diffs."""
    services: dict[str, dict[str, float]] = {}
    for (service, name), seconds in sorted(durations.items()):
        services.setdefault(service, {})[name] = round(seconds, 1)
    lines = [f"    {_text(service)}: {_text(items)}" for service, items in services.items()]
    body = ",".join(f"\n{line}" for line in lines)
    return f'{{\n  "schema": {SCHEMA},\n  "services": {{{body}\n  }}\n}}\n'


def _text(value: object) -> str:
    return escape_lone_surrogates(json.dumps(value, ensure_ascii=False))


def updated_durations(
    previous: Durations, outcomes: Iterable[Outcome], services: Collection[str], *, covers_all: bool
) -> Durations:
    """Return the durations after a run of ``services``.

    An outcome from the cache took no time, which says nothing of the next run: its previous duration is kept.

    :param covers_all: the run covers all services, so those that are missing no longer exist.
    """
    durations = {key: seconds for key, seconds in previous.items() if not covers_all or key[0] in services}
    for outcome in outcomes:
        if not outcome.cached:
            durations[outcome.service, item_name(outcome.interpreter, outcome.check)] = outcome.seconds
    return durations
