"""Parse references of container images: their parts, and the Python version in their names and tags."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter

_TAG = re.compile(
    r"(?P<version>3\.(?P<minor>\d{1,2})(?:\.\d+)?)(?P<pre>-rc|(?:rc|[ab])\d*)?(?P<rest>\Z|[.-].*)", re.ASCII
)
_VERSION_IN_TAG = re.compile(
    r"(?:^|(?<=[-_.]))(?:python|py)?(?P<version>3\.(?P<minor>\d{1,2})(?:\.\d+)?)(?![\d.]|\w)", re.ASCII
)
_NAMED_VERSION_IN_TAG = re.compile(
    r"(?:^|[-_.])python-?(?P<version>3\.(?P<minor>\d{1,2})(?:\.\d+)?)(?![\d.]|\w)", re.ASCII
)
"""``3.7.3-python3.13`` of an image that has a version of its own."""
_VERSION_IN_NAME = re.compile(r"python-?(3)\.?(\d{1,2})(?!\d)", re.ASCII)

_TAG_SCHEMES = {
    "cimg/python": "circleci",
    "lambda/python": "lambda",
    "aws-lambda-python": "lambda",
    "devcontainers/python": "devcontainer",
}
"""Images whose tags follow a known scheme, so that the tag of the target version can be derived."""
_LAMBDA = re.compile(
    rf"(?:{'|'.join(name for name, scheme in _TAG_SCHEMES.items() if scheme == 'lambda')})(?:[:@][^/]*)?\Z",
    re.IGNORECASE,
)

_DISTROLESS_REASON = "Its Python is that of its Debian release; a newer one needs a newer Debian release."
_UV_REASON = "It is an image of uv, whose tags do not exist for every Python; choose one manually."
_CONDA_REASON = "It is an image of conda; the conda environment determines its Python."
_UNKNOWN_TAGS_REASON = "The tags that its vendor offers for other Pythons are unknown; choose one manually."
_UNGUESSABLE_IMAGES = (
    ("distroless/python", _DISTROLESS_REASON),
    ("astral-sh/uv", _UV_REASON),
    ("/uv/", _UV_REASON),
    ("miniconda", _CONDA_REASON),
    ("anaconda", _CONDA_REASON),
    ("miniforge", _CONDA_REASON),
    ("mambaforge", _CONDA_REASON),
    ("micromamba", _CONDA_REASON),
    ("circleci/python", "The image is discontinued and has no tags for newer Pythons; use cimg/python."),
    ("chainguard/python", _UNKNOWN_TAGS_REASON),
    ("bitnami/python", _UNKNOWN_TAGS_REASON),
    ("bitnamilegacy/python", _UNKNOWN_TAGS_REASON),
)  # fmt: skip
"""Parts of names of other images with a Python, and why their tags are not guessed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonImage:
    """An image that contains a Python.

    ``span`` is the position of the version in the reference (``None``: it has none), ``variant`` the rest of the tag
    (``slim-bullseye``). ``scheme`` is ``official``, one of a few others with known tags, or empty: then ``reason``
    states why the image is not changed. ``digest`` is the part after ``@``.
    """

    reference: str
    scheme: str
    variant: str = ""
    digest: str = ""
    span: tuple[int, int] | None = None
    version: Interpreter | None = None
    reason: str = ""


def is_lambda_image(reference: str) -> bool:
    """Return whether an image is a Python of AWS Lambda, whatever its tag says about the version."""
    return _LAMBDA.search(reference) is not None


def names_service(reference: str, path: str) -> bool:
    """Return whether an image is named after a folder or the name of the file ``path`` that starts it.

    One whose name is not written there, ``${IMAGE}``, may be.
    """
    name = reference.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    if not name or "$" in reference or "{" in reference:
        return True
    own = [re.sub(r"\.\w+$", "", part).lower() for part in path.split("/")]
    return any(name == part or name.endswith(f"-{part}") or part.endswith(f"-{name}") for part in own if part)


_RELEASES: Mapping[str, int] = {
    "buster": 7, "bullseye": 9, "bookworm": 11, "trixie": 13, "bionic": 6, "focal": 8, "jammy": 10, "noble": 12,
    "debian:10": 7, "debian:11": 9, "debian:12": 11, "debian:13": 13,
    "ubuntu:18.04": 6, "ubuntu:20.04": 8, "ubuntu:22.04": 10, "ubuntu:24.04": 12,
    "ubuntu18.04": 6, "ubuntu20.04": 8, "ubuntu22.04": 10, "ubuntu24.04": 12,
    "alpine:3.14": 9, "alpine:3.15": 9, "alpine:3.16": 10, "alpine:3.17": 10, "alpine:3.18": 11, "alpine:3.19": 11,
    "alpine:3.20": 12, "alpine:3.21": 12, "alpine:3.22": 12, "amazonlinux:2023": 9,
}  # fmt: skip
"""Release of a distribution, as images name it -> the minor version of its package ``python3``.

https://packages.debian.org/python3, https://packages.ubuntu.com/python3, https://pkgs.alpinelinux.org/packages?name=python3
"""
_RELEASE = re.compile(
    rf"(?:^|[:/-])(?P<release>{'|'.join(map(re.escape, sorted(_RELEASES, key=len, reverse=True)))})(?![a-z0-9])",
    re.ASCII,
)


def python_of_distribution(reference: str) -> Interpreter | None:
    """Return the Python that the distribution of an image has as ``python3``, as of ``node:18-bookworm``.

    ``None`` if its release is not known, as that of ``ubuntu``.
    """
    image = reference.partition("@")[0].lower().rpartition("/")[2]
    release = _RELEASE.search(
        image, 0 if image.startswith(("debian:", "ubuntu:", "alpine:", "amazon")) else image.find(":")
    )
    return Interpreter(3, _RELEASES[release["release"]]) if release and ":" in image else None


def parse_python_image(reference: str) -> PythonImage | None:
    """Return what ``reference`` states about Python, or ``None`` for an image of another kind."""
    without_digest, _, digest = reference.partition("@")
    slash = without_digest.rfind("/")
    colon = without_digest.find(":", slash + 1)
    name = without_digest[: colon if colon >= 0 else len(without_digest)].lower()
    tag_start = colon + 1 if colon >= 0 else len(without_digest)
    tag = without_digest[tag_start:]
    unguessable_reason = next((reason for part, reason in _UNGUESSABLE_IMAGES if part in f"/{name}/"), "")
    scheme = next((scheme for part, scheme in _TAG_SCHEMES.items() if name.endswith(part)), "")
    if not unguessable_reason and not scheme and name.rpartition("/")[2] == "python":
        scheme = "official"
    scheme = "" if unguessable_reason else scheme
    tag_match = _TAG.match(tag) if scheme in ("official", "circleci", "lambda") else None
    named_match = None if scheme == "official" else _NAMED_VERSION_IN_TAG.search(tag)
    is_of_python = bool(scheme or unguessable_reason) or "python" in tag
    version_match = tag_match or named_match or (_VERSION_IN_TAG.search(tag) if is_of_python else None)
    if not version_match or not (scheme or unguessable_reason or "python3." in tag):
        name_match = _VERSION_IN_NAME.search(name.rpartition("/")[2])
        if name_match and not unguessable_reason:
            reason = "The name of the image contains the version, and the image that replaces it is unknown."
            version = Interpreter(3, int(name_match[2]))
            return PythonImage(reference=reference, scheme="", digest=digest, version=version, reason=reason)
        if not scheme and not unguessable_reason:
            return None
        reason = unguessable_reason or "The tag names no minor version: its Python can change without a change here."
        return PythonImage(reference=reference, scheme="", digest=digest, reason=reason)
    span = (tag_start + version_match.start("version"), tag_start + version_match.end("version"))
    variant = tag[version_match.end("version") :].removeprefix("-")
    reason = unguessable_reason or ("" if scheme else _UNKNOWN_TAGS_REASON)
    if tag_match and tag_match["pre"]:
        variant, span = tag_match["rest"].removeprefix("-"), (span[0], tag_start + tag_match.end("pre"))
    return PythonImage(
        reference=reference,
        scheme=scheme,
        variant=variant,
        digest=digest,
        span=span,
        version=Interpreter(3, int(version_match["minor"])),
        reason=reason,
    )
