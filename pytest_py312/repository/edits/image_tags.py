"""Which tags of Python images exist, so that no edit names one that does not. Pure."""

import re
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.formats.image_reference import PythonImage, parse_python_image

_DEBIAN_RELEASES = {
    # minor: releases of Debian for which the official image was built, oldest first
    9: ("buster", "bullseye", "bookworm", "trixie"),
    10: ("buster", "bullseye", "bookworm", "trixie"),
    11: ("buster", "bullseye", "bookworm", "trixie"),
    12: ("bullseye", "bookworm", "trixie"),
    13: ("bullseye", "bookworm", "trixie"),
    14: ("bookworm", "trixie"),
}
_ALPINE_RELEASES = {9: (14, 22), 10: (14, 24), 11: (15, 24), 12: (17, 24), 13: (19, 24), 14: (21, 24)}
"""Minor: the first and the last 3.x of Alpine for which the official image was built."""
# Both from the history of versions.json in https://github.com/docker-library/python up to June 2026, which is what
# the official images are built from. A tag stays in the registry when it is no longer rebuilt.


def image_tag_problem(reference: str, target: Interpreter) -> str:
    """Explain why the image has no tag for ``target`` with the variant of ``reference``; empty if it has one."""
    image = parse_python_image(reference)
    if image is None or image.span is None:
        return "The image names no version."
    if image.reason:
        return image.reason
    if image.digest:
        return (
            f"The image is pinned by the digest of {image.version}; look up the digest of the image for {target} "
            "and write both."
        )
    if image.scheme == "official":
        return _official_tag_problem(image.variant, target)
    if "buster" in image.variant or "stretch" in image.variant:
        return f'There is no image for {target} with the variant "{image.variant}".'
    return ""


def _official_tag_problem(variant: str, target: Interpreter) -> str:
    if variant in ("", "slim", "alpine"):
        return ""
    debian, alpine = _DEBIAN_RELEASES.get(target.minor), _ALPINE_RELEASES.get(target.minor)
    if target.major != 3 or not debian or not alpine:
        return f'Whether there is an image for {target} with the variant "{variant}" is not known here.'
    if variant.removeprefix("slim-") in debian:
        return ""
    nearest = _nearest_variant(variant, target)
    if nearest == variant:
        return ""
    return f'python:{target}-{variant} does not exist; the nearest variant for {target} is "{nearest}".'


def _nearest_variant(variant: str, target: Interpreter) -> str:
    debian, alpine = _DEBIAN_RELEASES[target.minor], _ALPINE_RELEASES[target.minor]
    release = re.fullmatch(r"alpine3\.(\d+)", variant, re.ASCII)
    if release:
        return f"alpine3.{min(max(int(release[1]), alpine[0]), alpine[1])}"
    return f"slim-{debian[0]}" if variant.startswith("slim") else debian[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class TagSuffix:
    """What follows the version in a reference of an image, what is proposed instead, and what is left to decide."""

    old: str
    new: str
    note: str


def proposed_suffix(reference: str, target: Interpreter) -> TagSuffix | None:
    """Propose what follows the version where the tag as written does not exist for ``target``; ``None`` if unknown.

    A digest is left out, because only the registry knows that of another image.
    """
    image = parse_python_image(reference)
    if image is None or image.span is None or image.reason or image.scheme != "official":
        return None
    variant, notes = image.variant, []
    if _official_tag_problem(variant, target):
        if not _is_release(variant) or target.minor not in _DEBIAN_RELEASES:
            return None
        variant = _nearest_variant(variant, target)
        notes.append(f"python:{target}-{image.variant} does not exist, so the nearest variant is proposed")
    if image.digest:
        notes.append(f"the digest was that of {image.version}: look up the digest of the new image, and pin it again")
    return TagSuffix(old=_suffix_of(image), new=f"-{variant}" if variant else "", note=", and ".join(notes))


def _is_release(variant: str) -> bool:
    """Return whether a variant is only a release of Debian or Alpine."""
    known = {release for releases in _DEBIAN_RELEASES.values() for release in releases} | {"stretch"}
    return variant.removeprefix("slim-") in known or bool(re.fullmatch(r"alpine3\.\d+", variant, re.ASCII))


def _suffix_of(image: PythonImage) -> str:
    return image.reference[image.span[1] :] if image.span else ""
