"""Find the Pythons that variables of a Makefile name: ``PYTHON ?= python3.10``. Never raises."""

import re

from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.formats.image_reference import parse_python_image

_LIMIT = 500_000
_ASSIGNMENT = re.compile(
    r"^(?:(?:export|override)[ \t]+)?(?P<name>[A-Za-z_]\w{0,100})[ \t]*(?:\?|:{0,3})=[ \t]*(?P<value>[^\s#]{1,300})"
    r"[ \t]*(?:#.*)?$",
    re.MULTILINE | re.ASCII,
)
_COMMAND = re.compile(r"(?:python|pip)-?(?P<version>3\.\d{1,2})", re.ASCII)
_ENVIRONMENT = re.compile(r"(?:python|py)-?(?P<version>3\.?\d{1,2})", re.ASCII)
_ENVIRONMENT_VARIABLE = re.compile(r"TOX|NOX|ENV", re.IGNORECASE)
_VERSION_VARIABLE = re.compile(r"(?:\w+_)?PY(?:THON)?_?VER(?:SION)?(?:_\w+)?", re.IGNORECASE | re.ASCII)


def read_makefile_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a Makefile: variables whose whole value is a Python, an environment of tox, or an image."""
    collector = DeclarationCollector(text, path)
    for match in _ASSIGNMENT.finditer(text[:_LIMIT]):
        name, value, start = match["name"], match["value"], match.start("value")
        image = parse_python_image(value) if ":" in value else None
        if image and image.version and image.span:
            collector.add(
                "tool", DeclarationRole.EXACT, start + image.span[0], start + image.span[1], subject=name, text=value,
                version=image.version, images=(value,), not_editable_reason=image.reason, declared=False,
            )  # fmt: skip
            continue
        command = _COMMAND.fullmatch(value) or (
            _ENVIRONMENT.fullmatch(value) if _ENVIRONMENT_VARIABLE.search(name) else None
        )
        span = command.span("version") if command else (0, len(value))
        if command or _VERSION_VARIABLE.fullmatch(name):
            version = version_of(value[span[0] : span[1]])
            if version:
                collector.add(
                    "tool", DeclarationRole.EXACT, start + span[0], start + span[1], subject=name, text=value,
                    version=version, keeps_patch=value.count(".") > 1, declared=False,
                )  # fmt: skip
    return collector.declarations
