"""The evidence as files, and whether they are still what they were.

The JSON, a page that names its digest, and a manifest with the digests of both, as ``sha256sum --check`` reads it, and
the chain of the journal's lines: whoever has noted the manifest's digest has noted all of it.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312 import __version__
from pytest_py312.core.serialization import written
from pytest_py312.rollout.reporting.evidence import KIND, SCHEMA, chain_of
from pytest_py312.rollout.reporting.html import evidence_page, own_digest

MOST_BYTES = 256 * 1024**2
_DIGEST = re.compile(r'<meta name="py312-evidence-sha256" content="([0-9a-f]{64})">')
_OWN_DIGEST = re.compile(r'<meta name="py312-page-sha256" content="([0-9a-f]{64})">')
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class NoEvidence(ValueError):
    """Files that are no bundle. ``str()`` says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """Where the files are. ``digest`` is the SHA-256 of the JSON, ``sealed`` that of the manifest."""

    document: Path
    page: Path
    manifest: Path
    digest: str
    sealed: str


def write_bundle(folder: Path, document: Mapping[str, Any]) -> Bundle:
    """Write the files; whoever reads sees the whole of each, or the last.

    :raises OSError: they cannot be written.
    """
    text = written(dict(document))
    digest = _sha256(text.encode())
    name = _UNSAFE.sub("_", f"stage-{document['stage']}-{document['environment']}")
    # the page is made of what can be read again, so that it can be made again
    page = evidence_page(json.loads(text), digest)
    manifest = manifest_of(document, name, digest, _sha256(page.encode()))
    made = Bundle(
        document=folder / f"{name}.json",
        page=folder / f"{name}.html",
        manifest=folder / f"{name}.sha256",
        digest=digest,
        sealed=_sha256(manifest.encode()),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in ((made.document, text), (made.page, page), (made.manifest, manifest)):
        _write(path, content)
    return made


def manifest_of(document: Mapping[str, Any], name: str, digest: str, page_digest: str) -> str:
    """The text of the manifest.

    :param name: of both files, without what it ends with.
    """
    return (
        f"# journal {_line(document['journal'])}, its lines chained {_line(document['chain'])}\n"
        f"{digest}  {name}.json\n{page_digest}  {name}.html\n"
    )


def _line(value: object) -> str:
    return " ".join(str(value).encode("utf-8", "replace").decode().split())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
    document, page, manifest = _files(place)
    content = _read(document)
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NoEvidence(f"{document} is no JSON: {error}") from error
    if not isinstance(said, dict) or said.get("kind") != KIND or said.get("schema") != SCHEMA:
        raise NoEvidence(f"{document} is no evidence that this version can read")
    digest, shown, sealed = _sha256(content), _read(page), _read(manifest)
    html = shown.decode("utf-8", "replace")
    found = []
    if noted and noted.lower() not in (digest, _sha256(sealed)):
        found.append(f"{document.name} has SHA-256 {digest}, {manifest.name} {_sha256(sealed)}, and {noted} was noted")
    found += _unsealed(said, (document.stem, digest, _sha256(shown)), sealed.decode("utf-8", "replace"), manifest.name)
    named, own = _DIGEST.search(html), _OWN_DIGEST.search(html)
    if named is None or named[1] != digest:
        found.append(f"{document.name} has SHA-256 {digest}, and {page.name} names {named[1] if named else 'none'}")
    elif own is None or own_digest(html, own[1]) != own[1]:
        found.append(f"{page.name} was changed since it was made")
    elif not _says_the_same(said, digest, html):
        found.append(f"{page.name} does not say what {document.name} says")
    return found, said


def _unsealed(said: Mapping[str, Any], files: tuple[str, str, str], sealed: str, manifest: str) -> list[str]:
    """What of a bundle is not what its manifest and its chain say."""
    try:
        if chain_of(said["journal"], said["runs"]) != said["chain"]:
            return ["its history does not make the chain that it names: a line was changed, left out or put in"]
        expected = manifest_of(said, *files)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise NoEvidence(f"the JSON is no evidence: {error!r}") from error
    if sealed == expected:
        return []
    missing = [line.split("  ")[1] for line in expected.splitlines()[1:] if line not in sealed.splitlines()]
    return [f"{manifest} names another SHA-256 of {' and '.join(missing)}" if missing else f"{manifest} was changed"]


def _says_the_same(said: Mapping[str, Any], digest: str, html: str) -> bool:
    """Whether the page is that of the document; of one that another version has made only its digest is known."""
    tool = said.get("tool")
    if not isinstance(tool, dict) or tool.get("version") != __version__:
        return True
    try:
        return evidence_page(said, digest) == html
    except Exception as error:  # whatever a template makes of a stranger's document
        raise NoEvidence(f"the JSON is no evidence: {error}") from error


def _files(place: Path) -> tuple[Path, Path, Path]:
    if place.is_dir():
        found = sorted(place.glob("stage-*.json"))
        if len(found) != 1:
            raise NoEvidence(f"{place} has {len(found)} bundles; name the JSON file of one")
        place = found[0]
    document, page, manifest = (place.with_suffix(f".{kind}") for kind in ("json", "html", "sha256"))
    for path in (document, page, manifest):
        if not path.is_file():
            raise NoEvidence(f"{path} is not there: a bundle is a JSON file, a page and a manifest of the same name")
    return document, page, manifest


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise NoEvidence(f"{path} is larger than {MOST_BYTES // 1024**2} MiB")
        return path.read_bytes()
    except OSError as error:
        raise NoEvidence(f"{path} cannot be read: {error.strerror or error}") from error
