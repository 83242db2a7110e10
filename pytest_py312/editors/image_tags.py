"""Which tags of Python images exist, so that an edit never names one that does not. Pure data and text."""

import re

from pytest_py312.model import Interpreter
from pytest_py312.readers.images import python_image

_DEBIAN = {
    # minor: releases of Debian for which the official image was made, oldest first
    9: ("buster", "bullseye", "bookworm", "trixie"),
    10: ("buster", "bullseye", "bookworm", "trixie"),
    11: ("buster", "bullseye", "bookworm", "trixie"),
    12: ("bullseye", "bookworm", "trixie"),
    13: ("bullseye", "bookworm", "trixie"),
    14: ("bookworm", "trixie"),
}
_ALPINE = {9: (14, 22), 10: (14, 24), 11: (15, 24), 12: (17, 24), 13: (19, 24), 14: (21, 24)}
"""Minor: the first and the last 3.x of Alpine for which the official image was made."""
# Both from the history of versions.json in https://github.com/docker-library/python up to June 2026, which is what
# the official images are made of. A tag stays in the registry when it is no longer made anew.


def tag_trouble(reference: str, target: Interpreter) -> str:
    """Why the image has no tag for ``target`` with the variant of ``reference``, as a sentence; empty when it has."""
    image = python_image(reference)
    if image is None or image.span is None:
        return "The image names no version."
    if image.reason:
        return image.reason
    if image.digest:
        return (
            f"The image is held by a digest, which belongs to {image.version}; look up that of the image for {target} "
            "and write both."
        )
    if image.scheme == "official":
        return _official(image.variant, target)
    if "buster" in image.variant or "stretch" in image.variant:
        return f'There is no image for {target} with the variant "{image.variant}".'
    return ""


def _official(variant: str, target: Interpreter) -> str:
    if variant in ("", "slim", "alpine"):
        return ""
    debian, alpine = _DEBIAN.get(target.minor), _ALPINE.get(target.minor)
    if target.major != 3 or not debian or not alpine:
        return f'Whether there is an image for {target} with the variant "{variant}" is not known here.'
    if variant.removeprefix("slim-") in debian:
        return ""
    release = re.fullmatch(r"alpine3\.(\d+)", variant, re.ASCII)
    if release and alpine[0] <= int(release[1]) <= alpine[1]:
        return ""
    if release:
        near = f"alpine3.{min(max(int(release[1]), alpine[0]), alpine[1])}"
    else:
        near = f"slim-{debian[0]}" if variant.startswith("slim") else debian[0]
    return f'python:{target}-{variant} does not exist; the nearest variant for {target} is "{near}".'
