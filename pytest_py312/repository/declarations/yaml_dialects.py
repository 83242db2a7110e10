"""Select the YAML dialect of a file by its path: where a kind of file declares versions."""

import re
from dataclasses import dataclass

from pytest_py312.repository.declarations.declaration import DeclarationRole


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlDialect:
    """Where a kind of file declares versions. ``kind`` is that of the declarations.

    ``keys`` contain a version wherever they are; ``paths`` are (parent key, key) pairs that contain one.
    ``is_pipeline``: names of steps, scripts and matrices count too. ``patterns`` are searched in the scalars below a
    key and have a role.
    """

    kind: str
    is_pipeline: bool = False
    keys: frozenset[str] = frozenset()
    paths: frozenset[tuple[str, str]] = frozenset()
    patterns: tuple[tuple[str, re.Pattern[str], DeclarationRole], ...] = ()


GITHUB = YamlDialect(kind="workflow", is_pipeline=True)
_CIRCLECI = YamlDialect(
    kind="workflow",
    is_pipeline=True,
    paths=frozenset({("python/install", "version"), ("python/default", "tag"), ("python/test", "version")}),
)
_AZURE = YamlDialect(kind="workflow", is_pipeline=True, keys=frozenset({"versionSpec"}))
_TRAVIS = YamlDialect(kind="workflow", is_pipeline=True, paths=frozenset({("", "python"), ("include", "python")}))
_APPVEYOR = YamlDialect(
    kind="workflow",
    is_pipeline=True,
    patterns=tuple(
        (key, re.compile(r"python(?P<version>3\d{1,2})(?!\d)", re.IGNORECASE | re.ASCII), DeclarationRole.EXACT)
        for key in ("PYTHON", "python")
    ),
)
_TASKCLUSTER = YamlDialect(
    kind="workflow",
    is_pipeline=True,
    # an image of the repository itself is named after its Python: ``docker-image: {in-tree: python39}``
    patterns=(
        (
            "in-tree",
            re.compile(r"(?<![a-z0-9.])(?:python|py)-?(?P<version>3\.?\d{1,2})(?![\w.])", re.IGNORECASE | re.ASCII),
            DeclarationRole.EXACT,
        ),
    ),
)
_READTHEDOCS = YamlDialect(kind="tool", paths=frozenset({("tools", "python"), ("python", "version")}))
_PRE_COMMIT = YamlDialect(
    kind="tool",
    keys=frozenset({"language_version"}),
    paths=frozenset({("default_language_version", "python")}),
    patterns=(
        ("args", re.compile(r"(?<=--py)(?P<version>3\d{1,2})(?=-plus)", re.ASCII), DeclarationRole.MINIMUM),
        ("args", re.compile(r"(?<![\w.])py(?P<version>3\d{1,2})(?!\w)", re.ASCII), DeclarationRole.MINIMUM),
        (
            "args",
            re.compile(r"--python-version[= ](?P<version>3\.\d{1,2})(?![\w.])", re.ASCII),
            DeclarationRole.MINIMUM,
        ),
    ),
)
_DEVCONTAINER = YamlDialect(
    kind="image",
    patterns=(
        (
            "VARIANT",
            re.compile(r"(?:(?<=[\"'])|(?<=\d-))(?P<version>3\.\d{1,2})(?![\d.])", re.ASCII),
            DeclarationRole.EXACT,
        ),
    ),
)
_CONDA = YamlDialect(
    kind="pin",
    patterns=(
        (
            "dependencies",
            re.compile(r"(?<![\w-])python[ ]*={1,2}[ ]*(?P<version>3\.\d{1,2}(?:\.[\d*]+)?)(?![\w.])", re.ASCII),
            DeclarationRole.EXACT,
        ),
        (
            "dependencies",
            re.compile(r"(?<![\w-])python[ ]*(?P<range>[<>!~][=\d.,<>!~* ]*\d)(?![\w.])", re.ASCII),
            DeclarationRole.RANGE,
        ),
    ),
)
_COMPOSE = YamlDialect(
    kind="image",
    # serverless functions: ``runtime: python3.10``, and ``python310`` of App Engine
    patterns=(
        *(
            (key, re.compile(r"(?<=python)(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII), DeclarationRole.EXACT)
            for key in ("runtime", "Runtime")
        ),
        # with what the Serverless Framework and AWS SAM install: an image, and the Python of a build
        *(
            (key, re.compile(r"python(?P<version>3\.\d{1,2})(?![\w.])", re.ASCII), DeclarationRole.PATH)
            for key in ("dockerImage", "BuildMethod")
        ),
        # AWS Elastic Beanstalk: ``default_platform: Python 3.9 running on 64bit Amazon Linux 2``
        (
            "default_platform",
            re.compile(r"(?<=Python )(?P<version>3\.\d{1,2})(?= running)", re.ASCII),
            DeclarationRole.EXACT,
        ),
    ),
)
_CODEBUILD = YamlDialect(kind="workflow", is_pipeline=True, paths=frozenset({("runtime-versions", "python")}))
_CLOUDBUILD = YamlDialect(
    kind="workflow",
    # the image of a step is its name: ``name: python:3.9-slim``
    patterns=(
        ("name", re.compile(r"(?<![\w.-])python:(?P<version>3\.\d{1,2})(?![\d.])", re.ASCII), DeclarationRole.EXACT),
    ),
)

_BY_PATH = tuple(
    (re.compile(pattern, re.IGNORECASE | re.ASCII), dialect)
    for pattern, dialect in (
        (r"(?:.*/)?\.github/workflows/[^/]+\.ya?ml", GITHUB),
        (r"(?:.*/)?action\.ya?ml", GITHUB),
        (r"(?:.*/)?(?:[^/]*\.)?\.?gitlab-ci\.ya?ml|(?:.*/)?\.gitlab/.+\.ya?ml", GITHUB),
        (r"(?:.*/)?\.circleci/[^/]+\.ya?ml", _CIRCLECI),
        (r"(?:.*/)?\.?azure-pipelines[^/]*\.ya?ml|(?:.*/)?\.?azure-pipelines/.+\.ya?ml", _AZURE),
        (r"(?:.*/)?\.travis\.ya?ml", _TRAVIS),
        (r"(?:.*/)?\.taskcluster\.ya?ml|(?:.*/)?taskcluster/.+\.ya?ml", _TASKCLUSTER),
        (r"(?:.*/)?\.?appveyor\.ya?ml", _APPVEYOR),
        (r"(?:.*/)?buildspec[^/]*\.ya?ml", _CODEBUILD),
        (r"(?:.*/)?cloudbuild[^/]*\.ya?ml", _CLOUDBUILD),
        (r"(?:.*/)?zappa_settings\.json", _COMPOSE),
        (r"(?:.*/)?\.?readthedocs\.ya?ml", _READTHEDOCS),
        (r"(?:.*/)?\.pre-commit-config\.ya?ml", _PRE_COMMIT),
        (r"(?:.*/)?\.?devcontainer(?:/.*)?\.json", _DEVCONTAINER),
        (r"(?:.*/)?(?:[^/]*[-_])?(?:environment|conda)(?:[-_.][^/]*)?\.ya?ml", _CONDA),
        (r"(?:.*/)?[^/]+\.ya?ml(?:\.(?:j2|jinja2?))?", _COMPOSE),
    )
)


def dialect_of(path: str) -> YamlDialect | None:
    """Return the dialect of the file at ``path``; ``None`` if it is not YAML."""
    return next((dialect for pattern, dialect in _BY_PATH if pattern.fullmatch(path)), None)
