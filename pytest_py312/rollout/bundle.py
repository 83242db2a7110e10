"""The evidence as two files, and whether they are still what they were: the JSON, and a page that names its digest."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312 import __version__
from pytest_py312.reports.json_document import written
from pytest_py312.rollout.evidence import KIND, SCHEMA
from pytest_py312.rollout.pages import evidence_page, own_digest

MOST_BYTES = 256 * 1024**2
_DIGEST = re.compile(r'<meta name="py312-evidence-sha256" content="([0-9a-f]{64})">')
_OWN_DIGEST = re.compile(r'<meta name="py312-page-sha256" content="([0-9a-f]{64})">')
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class NoEvidence(ValueError):
    """Files that are no bundle. ``str()`` says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """Where the two files are. ``digest`` is the SHA-256 of the JSON."""

    document: Path
    page: Path
    digest: str


def write_bundle(folder: Path, document: Mapping[str, Any]) -> Bundle:
    """Write both files; whoever reads sees the whole of each, or the last.

    :raises OSError: they cannot be written.
    """
    text = written(dict(document))
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = _UNSAFE.sub("_", f"stage-{document['stage']}-{document['environment']}")
    made = Bundle(document=folder / f"{name}.json", page=folder / f"{name}.html", digest=digest)
    folder.mkdir(parents=True, exist_ok=True)
    # the page is made of what can be read again, so that it can be made again
    _write(made.document, text)
    _write(made.page, evidence_page(json.loads(text), digest))
    return made


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(text.encode())
    part.replace(path)


def troubles_of(place: Path, *, noted: str = "") -> tuple[list[str], dict[str, Any]]:
    """What is wrong with a bundle, and what its JSON says.

    :param place: its folder, where there is one bundle in it, or one of its files.
    :param noted: the digest that somebody has written down elsewhere; whoever changes a bundle can change those in it.
    :raises NoEvidence: there is no bundle.
    """
    document, page = _files(place)
    content = _read(document)
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NoEvidence(f"{document} is no JSON: {error}") from error
    if not isinstance(said, dict) or said.get("kind") != KIND or said.get("schema") != SCHEMA:
        raise NoEvidence(f"{document} is no evidence that this version can read")
    digest = hashlib.sha256(content).hexdigest()
    html = _read(page).decode("utf-8", "replace")
    found = [f"it has SHA-256 {digest}, and {noted} was noted"] if noted and noted.lower() != digest else []
    named, own = _DIGEST.search(html), _OWN_DIGEST.search(html)
    if named is None or named[1] != digest:
        found.append(f"{document.name} has SHA-256 {digest}, and {page.name} names {named[1] if named else 'none'}")
    elif own is None or own_digest(html, own[1]) != own[1]:
        found.append(f"{page.name} was changed since it was made")
    elif not _says_the_same(said, digest, html):
        found.append(f"{page.name} does not say what {document.name} says")
    return found, said


def _says_the_same(said: Mapping[str, Any], digest: str, html: str) -> bool:
    """Whether the page is that of the document; of one that another version has made only its digest is known."""
    tool = said.get("tool")
    if not isinstance(tool, dict) or tool.get("version") != __version__:
        return True
    try:
        return evidence_page(said, digest) == html
    except Exception as error:  # whatever a template makes of a stranger's document
        raise NoEvidence(f"the JSON is no evidence: {error}") from error


def _files(place: Path) -> tuple[Path, Path]:
    if place.is_dir():
        found = sorted(place.glob("stage-*.json"))
        if len(found) != 1:
            raise NoEvidence(f"{place} has {len(found)} bundles; name the JSON file of one")
        place = found[0]
    document, page = place.with_suffix(".json"), place.with_suffix(".html")
    for path in (document, page):
        if not path.is_file():
            raise NoEvidence(f"{path} is not there: a bundle is a JSON file and a page of the same name")
    return document, page


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NoEvidence(f"{path} is larger than {MOST_BYTES // 1024**2} MiB")
        return path.read_bytes()
    except OSError as error:
        raise NoEvidence(f"{path} cannot be read: {error.strerror or error}") from error
