"""Evidence bundles: writing them as files and verifying that the files are unchanged.

A bundle is a JSON document, an HTML page that contains the digest of the document, and a manifest with the digests of
both (readable by ``sha256sum --check``) and the chain of the journal's lines. The digest of the manifest covers all.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_py312 import __version__
from pytest_py312.core.files import write_document
from pytest_py312.core.html_page import render_page
from pytest_py312.core.serialization import format_json
from pytest_py312.rollout.reporting.evidence import KIND, SCHEMA, history_chain

TEMPLATE_FOLDER = Path(__file__).parent / "page"
STYLE = TEMPLATE_FOLDER / "rollout.css"
"""What pages about a rollout add to the style sheet of all pages."""
MAX_FILE_BYTES = 256 * 1024**2
_DIGEST = re.compile(r'<meta name="py312-evidence-sha256" content="([0-9a-f]{64})">')
_OWN_DIGEST = re.compile(r'<meta name="py312-page-sha256" content="([0-9a-f]{64})">')
_PLACEHOLDER_DIGEST = "0" * 64
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class InvalidBundle(ValueError):
    """The files are not an evidence bundle. ``str()`` is the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceBundle:
    """Paths of a bundle, with the SHA-256 of the JSON document (``digest``) and of the manifest."""

    document: Path
    page: Path
    manifest: Path
    digest: str
    manifest_digest: str


def evidence_page(document: Mapping[str, Any], digest: str) -> str:
    """Render the document of :mod:`.evidence`. The page contains its own digest; see :func:`digest_of_page`.

    :param digest: SHA-256 of the document's file.
    """
    page = render_page(TEMPLATE_FOLDER / "evidence.html.j2", STYLE, e=document, digest=digest, own=_PLACEHOLDER_DIGEST)
    return page.replace(_PLACEHOLDER_DIGEST, digest_of_page(page, _PLACEHOLDER_DIGEST), 1)


def digest_of_page(page: str, named_digest: str) -> str:
    """Return the SHA-256 of a page with ``named_digest``, its own digest, replaced with zeros."""
    return hashlib.sha256(page.replace(named_digest, _PLACEHOLDER_DIGEST, 1).encode("utf-8", "replace")).hexdigest()


def write_bundle(folder: Path, document: Mapping[str, Any]) -> EvidenceBundle:
    """Write the files of a bundle, each one atomically.

    :raises OSError: a file cannot be written.
    """
    text = format_json(dict(document))
    digest = _sha256(text.encode())
    name = _UNSAFE.sub("_", f"stage-{document['stage']}-{document['environment']}")
    # rendered from the parsed JSON, so that the verification can render it again
    page = evidence_page(json.loads(text), digest)
    manifest = manifest_of(document, name, digest, _sha256(page.encode()))
    bundle = EvidenceBundle(
        document=folder / f"{name}.json",
        page=folder / f"{name}.html",
        manifest=folder / f"{name}.sha256",
        digest=digest,
        manifest_digest=_sha256(manifest.encode()),
    )
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in ((bundle.document, text), (bundle.page, page), (bundle.manifest, manifest)):
        write_document(path, content.encode())
    return bundle


def manifest_of(document: Mapping[str, Any], name: str, digest: str, page_digest: str) -> str:
    """Return the text of the manifest.

    :param name: of both files without suffix.
    """
    return (
        f"# journal {_single_line(document['journal'])}, its lines chained {_single_line(document['chain'])}\n"
        f"{digest}  {name}.json\n{page_digest}  {name}.html\n"
    )


def _single_line(value: object) -> str:
    return " ".join(str(value).encode("utf-8", "replace").decode().split())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def verify_bundle(location: Path, *, noted_digest: str = "") -> tuple[list[str], dict[str, Any]]:
    """Verify a bundle; return the problems and the parsed JSON document.

    :param location: one of its files, or its folder if that has only one bundle.
    :param noted_digest: a digest that was noted elsewhere, because the digests inside a bundle can be changed with it.
    :raises InvalidBundle: there is no readable bundle.
    """
    document, page, manifest = _bundle_files(location)
    content = _read(document)
    try:
        evidence = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(f"{document} is not valid JSON: {error}") from error
    if not isinstance(evidence, dict) or evidence.get("kind") != KIND or evidence.get("schema") != SCHEMA:
        raise InvalidBundle(f"{document} is not evidence that this version can read")
    digest, page_bytes, manifest_bytes = _sha256(content), _read(page), _read(manifest)
    html = page_bytes.decode("utf-8", "replace")
    problems = []
    if noted_digest and noted_digest.lower() not in (digest, _sha256(manifest_bytes)):
        problems.append(
            f"{document.name} has SHA-256 {digest} and {manifest.name} {_sha256(manifest_bytes)}, but {noted_digest} "
            "was noted"
        )
    problems += _manifest_problems(
        evidence, (document.stem, digest, _sha256(page_bytes)), manifest_bytes.decode("utf-8", "replace"), manifest.name
    )
    named_digest, named_page_digest = _DIGEST.search(html), _OWN_DIGEST.search(html)
    if named_digest is None or named_digest[1] != digest:
        problems.append(
            f"{document.name} has SHA-256 {digest}, but {page.name} contains "
            f"{named_digest[1] if named_digest else 'none'}"
        )
    elif named_page_digest is None or digest_of_page(html, named_page_digest[1]) != named_page_digest[1]:
        problems.append(f"{page.name} was changed after it was written")
    elif not _is_page_of(evidence, digest, html):
        problems.append(f"{page.name} does not match {document.name}")
    return problems, evidence


def _manifest_problems(
    evidence: Mapping[str, Any], files: tuple[str, str, str], manifest_text: str, manifest_name: str
) -> list[str]:
    """Return the differences between a bundle and its manifest and chain."""
    try:
        if history_chain(evidence["journal"], evidence["runs"]) != evidence["chain"]:
            return ["its history does not match its chain: a line was changed, removed or added"]
        expected = manifest_of(evidence, *files)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidBundle(f"the JSON is not evidence: {error!r}") from error
    if manifest_text == expected:
        return []
    missing = [line.split("  ")[1] for line in expected.splitlines()[1:] if line not in manifest_text.splitlines()]
    return [
        f"{manifest_name} has a different SHA-256 of {' and '.join(missing)}"
        if missing
        else f"{manifest_name} was changed"
    ]


def _is_page_of(evidence: Mapping[str, Any], digest: str, html: str) -> bool:
    """Return whether the page belongs to the document; assume so if another version of the tool wrote it."""
    tool = evidence.get("tool")
    if not isinstance(tool, dict) or tool.get("version") != __version__:
        return True
    try:
        return evidence_page(evidence, digest) == html
    except Exception as error:  # an arbitrary document may fail anywhere in the template
        raise InvalidBundle(f"the JSON is not evidence: {error}") from error


def _bundle_files(location: Path) -> tuple[Path, Path, Path]:
    if location.is_dir():
        documents = sorted(location.glob("stage-*.json"))
        if len(documents) != 1:
            raise InvalidBundle(f"{location} has {len(documents)} bundles; give the JSON file of one")
        location = documents[0]
    document, page, manifest = (location.with_suffix(f".{kind}") for kind in ("json", "html", "sha256"))
    for path in (document, page, manifest):
        if not path.is_file():
            raise InvalidBundle(f"{path} is missing: a bundle is a JSON file, a page and a manifest of the same name")
    return document, page, manifest


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidBundle(f"{path} is larger than {MAX_FILE_BYTES // 1024**2} MiB")
        return path.read_bytes()
    except OSError as error:
        raise InvalidBundle(f"{path} cannot be read: {error.strerror or error}") from error
