"""Which dialect of YAML a file is written in, by its path. Pure."""

import re

from pytest_py312.repository.declarations.declaration import Meaning
from pytest_py312.repository.declarations.yaml import Dialect

GITHUB = Dialect(kind="workflow", pipeline=True)
_CIRCLE = Dialect(
    kind="workflow",
    pipeline=True,
    paths=frozenset({("python/install", "version"), ("python/default", "tag"), ("python/test", "version")}),
)
_AZURE = Dialect(kind="workflow", pipeline=True, keys=frozenset({"versionSpec"}))
_TRAVIS = Dialect(kind="workflow", pipeline=True, paths=frozenset({("", "python"), ("include", "python")}))
_APPVEYOR = Dialect(
    kind="workflow",
    pipeline=True,
    words=tuple(
        (key, re.compile(r"python(?P<version>3\d{1,2})(?!\d)", re.IGNORECASE | re.ASCII), Meaning.EXACT)
        for key in ("PYTHON", "python")
    ),
)
_READTHEDOCS = Dialect(kind="tool", paths=frozenset({("tools", "python"), ("python", "version")}))
_PRE_COMMIT = Dialect(
    kind="tool",
    keys=frozenset({"language_version"}),
    paths=frozenset({("default_language_version", "python")}),
    words=(
        ("args", re.compile(r"(?<=--py)(?P<version>3\d{1,2})(?=-plus)", re.ASCII), Meaning.FLOOR),
        ("args", re.compile(r"(?<![\w.])py(?P<version>3\d{1,2})(?!\w)", re.ASCII), Meaning.FLOOR),
        ("args", re.compile(r"--python-version[= ](?P<version>3\.\d{1,2})(?![\w.])", re.ASCII), Meaning.FLOOR),
    ),
)
_DEVCONTAINER = Dialect(
    kind="image",
    words=(
        ("VARIANT", re.compile(r"(?:(?<=[\"'])|(?<=\d-))(?P<version>3\.\d{1,2})(?![\d.])", re.ASCII), Meaning.EXACT),
    ),
)
_CONDA = Dialect(
    kind="pin",
    words=(
        (
            "dependencies",
            re.compile(r"(?<![\w-])python[ ]*={1,2}[ ]*(?P<version>3\.\d{1,2}(?:\.[\d*]+)?)(?![\w.])", re.ASCII),
            Meaning.EXACT,
        ),
        (
            "dependencies",
            re.compile(r"(?<![\w-])python[ ]*(?P<range>[<>!~][=\d.,<>!~* ]*\d)(?![\w.])", re.ASCII),
            Meaning.RANGE,
        ),
    ),
)
_COMPOSE = Dialect(
    kind="image",
    # serverless functions: ``runtime: python3.10``, and ``python310`` of App Engine
    words=tuple(
        (key, re.compile(r"(?<=python)(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII), Meaning.EXACT)
        for key in ("runtime", "Runtime")
    ),
)

_BY_PATH = tuple(
    (re.compile(pattern, re.IGNORECASE | re.ASCII), dialect)
    for pattern, dialect in (
        (r"(?:.*/)?\.github/workflows/[^/]+\.ya?ml", GITHUB),
        (r"(?:.*/)?action\.ya?ml", GITHUB),
        (r"(?:.*/)?(?:[^/]*\.)?\.?gitlab-ci\.ya?ml|(?:.*/)?\.gitlab/.+\.ya?ml", GITHUB),
        (r"(?:.*/)?\.circleci/[^/]+\.ya?ml", _CIRCLE),
        (r"(?:.*/)?\.?azure-pipelines[^/]*\.ya?ml|(?:.*/)?\.?azure-pipelines/.+\.ya?ml", _AZURE),
        (r"(?:.*/)?\.travis\.ya?ml", _TRAVIS),
        (r"(?:.*/)?\.?appveyor\.ya?ml", _APPVEYOR),
        (r"(?:.*/)?\.?readthedocs\.ya?ml", _READTHEDOCS),
        (r"(?:.*/)?\.pre-commit-config\.ya?ml", _PRE_COMMIT),
        (r"(?:.*/)?\.?devcontainer(?:/.*)?\.json", _DEVCONTAINER),
        (r"(?:.*/)?(?:[^/]*[-_])?(?:environment|conda)(?:[-_.][^/]*)?\.ya?ml", _CONDA),
        (r"(?:.*/)?[^/]+\.ya?ml", _COMPOSE),
    )
)


def dialect_of(path: str) -> Dialect | None:
    """The dialect of the file at ``path``; ``None`` for what is no YAML."""
    return next((dialect for pattern, dialect in _BY_PATH if pattern.fullmatch(path)), None)
