"""Read JSON reports from files, and say what is wrong with a file that is none."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_py312.core.errors import Py312Error, did_you_mean

SCHEMA = 1
SIZE_LIMIT = 1024 * 1024 * 1024
"""Maximum size of a document in bytes."""
KEYS = ("schema", "target", "generated", "services", "outcomes", "waivers", "exit_status", "complete")
"""Names by which a report is recognized, and which all readers need."""
_OTHER_DOCUMENTS: Mapping[str, str] = {
    "runs": "a SARIF report",
    "chain": "the evidence of a rollout",
    "benchmarks": "an export of benchmarks",
    "environments": "a roadmap",
}
"""A name that only other documents have at their top."""


class DocumentFault(Py312Error):
    """A file is not the document that is needed. ``str()`` is the end of a sentence that begins with its name."""


class NoReport(DocumentFault):
    """A file is something else: other JSON, or none at all."""


class PartOfRun(DocumentFault):
    """A file is the report of one part of a divided run."""


def read_content(path: Path) -> bytes:
    """Return the content of a file.

    :raises DocumentFault: it cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise DocumentFault(f"is larger than {SIZE_LIMIT} bytes")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a ValueError: the name has a NUL character
        raise DocumentFault(f"cannot be read: {getattr(error, 'strerror', '') or error}") from None


def parse_document(content: bytes, keys: Collection[str] = KEYS) -> dict[str, Any]:
    """Return the document in ``content``, which has all ``keys`` and the schema of this version.

    :raises DocumentFault: it is something else, or not whole.
    """
    if not content.strip():
        raise DocumentFault("is empty: it was not written to its end")
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        if content.lstrip()[:1] == b"<":
            raise NoReport("is HTML or XML: --py312-report=FILE.json writes the JSON report") from None
        if error.pos == 0:
            raise NoReport("is no JSON document") from None
        raise DocumentFault(f"is not whole: it is no JSON from line {error.lineno} on ({error.msg})") from None
    except (ValueError, RecursionError):
        raise DocumentFault("is no JSON document") from None
    if not isinstance(document, dict):
        raise NoReport("is no report of pytest-py312: --py312-report=FILE.json writes one")
    _check_kind(document, keys)
    return document


def _check_kind(document: Mapping[str, Any], keys: Collection[str]) -> None:
    missing = [key for key in keys if key not in document]
    if len(missing) > len(keys) // 2:
        other = next((title for key, title in _OTHER_DOCUMENTS.items() if key in document), "")
        what = f"is {other}, and not a report of the gate" if other else "is no report of pytest-py312"
        raise NoReport(f"{what}: --py312-report=FILE.json writes one")
    schema = document.get("schema", SCHEMA)
    if schema != SCHEMA or isinstance(schema, bool):
        age = "a newer" if isinstance(schema, int) and schema > SCHEMA else "another"
        raise DocumentFault(f'was written by {age} version of pytest-py312: its "schema" is not {SCHEMA}')
    if missing:
        unknown = [name for name in document if name not in keys]
        raise DocumentFault(f'has no "{missing[0]}"{misspelling(missing[0], unknown)}: it was edited, or is not whole')


def misspelling(name: str, others: Sequence[str]) -> str:
    """Return a hint if one of the names that are there seems to be the missing one, else nothing."""
    hint = did_you_mean(name, list(others))
    return f" ({hint.removeprefix(', perhaps you meant ')} may be a misspelling of it)" if hint else ""
