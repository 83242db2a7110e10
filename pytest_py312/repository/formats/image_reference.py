"""References of container images: their parts, and what their names and tags say of Python. Pure text."""

import re
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter

_TAG = re.compile(
    r"(?P<version>3\.(?P<minor>\d{1,2})(?:\.\d+)?)(?P<pre>-rc|(?:rc|[ab])\d*)?(?P<rest>\Z|[.-].*)", re.ASCII
)
_INNER = re.compile(r"(?:^|(?<=[-_.]))(?:python|py)?(?P<version>3\.(?P<minor>\d{1,2})(?:\.\d+)?)(?![\d.]|\w)", re.ASCII)
_IN_NAME = re.compile(r"python-?(3)\.?(\d{1,2})(?!\d)", re.ASCII)

_SCHEMES = {
    "cimg/python": "circleci",
    "lambda/python": "lambda",
    "aws-lambda-python": "lambda",
    "devcontainers/python": "devcontainer",
}
"""Images of others whose tags follow a scheme under which the target exists."""

_DISTROLESS = "The image has the Python of its Debian, and a newer one only with a newer Debian."
_UV = "It is an image of uv's, whose tags are not made for every Python; choose one by hand."
_CONDA = "It is an image of conda's; which Python runs in it is settled by the conda environment."
_OPEN = "Which tags its maker offers for which Python is not known here; choose one by hand."
_FOREIGN = (
    ("distroless/python", _DISTROLESS),
    ("astral-sh/uv", _UV),
    ("/uv/", _UV),
    ("miniconda", _CONDA),
    ("anaconda", _CONDA),
    ("miniforge", _CONDA),
    ("mambaforge", _CONDA),
    ("micromamba", _CONDA),
    ("circleci/python", "The image is no longer made, and has no tag for newer Pythons; use cimg/python."),
    ("chainguard/python", _OPEN),
    ("bitnami/python", _OPEN),
    ("bitnamilegacy/python", _OPEN),
)  # fmt: skip
"""Parts of names of images with a Python of their own, and why none of them is guessed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonImage:
    """An image with a Python in it.

    ``span`` is where its reference says the version (``None``: it does not), ``variant`` what follows in the tag
    (``slim-bullseye``). ``scheme`` is ``official``, one of a few others whose tags are known, or empty: then
    ``reason`` says why the image is not changed. ``digest`` is what stands after ``@``.
    """

    reference: str
    scheme: str
    variant: str = ""
    digest: str = ""
    span: tuple[int, int] | None = None
    version: Interpreter | None = None
    reason: str = ""


def python_image(reference: str) -> PythonImage | None:
    """What ``reference`` says of Python, or ``None`` for an image of another kind."""
    plain, _, digest = reference.partition("@")
    slash = plain.rfind("/")
    colon = plain.find(":", slash + 1)
    name = plain[: colon if colon >= 0 else len(plain)].lower()
    tag_at = colon + 1 if colon >= 0 else len(plain)
    tag = plain[tag_at:]
    foreign = next((why for part, why in _FOREIGN if part in f"/{name}/"), "")
    scheme = next((scheme for part, scheme in _SCHEMES.items() if name.endswith(part)), "")
    if not foreign and not scheme and name.rpartition("/")[2] == "python":
        scheme = "official"
    scheme = "" if foreign else scheme
    match = _TAG.match(tag) if scheme in ("official", "circleci", "lambda") else None
    inner = match or _INNER.search(tag) if scheme or foreign or "python" in tag else None
    if not inner or not (scheme or foreign or "python3." in tag):
        in_name = _IN_NAME.search(name.rpartition("/")[2])
        if in_name and not foreign:
            why = "The name of the image says the version, and which other image takes its place is not known here."
            version = Interpreter(3, int(in_name[2]))
            return PythonImage(reference=reference, scheme="", digest=digest, version=version, reason=why)
        if not scheme and not foreign:
            return None
        why = foreign or "The tag names no minor: which Python it is changes without a change here."
        return PythonImage(reference=reference, scheme="", digest=digest, reason=why)
    span = (tag_at + inner.start("version"), tag_at + inner.end("version"))
    variant = tag[inner.end("version") :].removeprefix("-")
    why = foreign or ("" if scheme else _OPEN)
    if match and match["pre"]:
        variant, span = match["rest"].removeprefix("-"), (span[0], tag_at + match.end("pre"))
    return PythonImage(
        reference=reference,
        scheme=scheme,
        variant=variant,
        digest=digest,
        span=span,
        version=Interpreter(3, int(inner["minor"])),
        reason=why,
    )
