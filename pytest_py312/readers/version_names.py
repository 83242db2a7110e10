"""Which files may say a Python version, by their names alone: no reader is loaded to tell."""

import re

METADATA_NAMES: tuple[str, ...] = (
    "pyproject.toml", "setup.cfg", "tox.ini", "mypy.ini", ".mypy.ini", "setup.py", "ruff.toml", ".ruff.toml", "Pipfile",
    ".python-version", "runtime.txt", ".tool-versions",
)  # fmt: skip
"""The files that discovery reads of every service."""

_OTHER_NAMES = frozenset(
    {".pylintrc", "pylintrc", ".coveragerc", "mise.toml", ".mise.toml", "noxfile.py", ".manylinux-install.sh"}
)
_JENKINS = re.compile(r"Jenkinsfile(?:[._-].+)?", re.IGNORECASE)
_DOCKERFILE = re.compile(r"(?:(?:Docker|Container)file(?:[._-].+)?|.+\.(?:Docker|Container)file)", re.IGNORECASE)
_NO_DOCKERFILE = (".dockerignore", ".bak", ".orig", ".md", ".j2", ".jinja", ".tmpl", ".template", ".py", ".sh", "~")


def is_dockerfile(name: str) -> bool:
    """Whether a file of this name is a Dockerfile, whatever stands in front of or behind the word."""
    return _DOCKERFILE.fullmatch(name) is not None and not name.lower().endswith(_NO_DOCKERFILE)


def is_jenkinsfile(name: str) -> bool:
    return _JENKINS.fullmatch(name) is not None


def is_yaml(name: str) -> bool:
    """Whether it is YAML, or the JSON of a development container, which is read as such."""
    return name.lower().endswith((".yml", ".yaml", "devcontainer.json"))


def may_say_versions(path: str) -> bool:
    """Whether there is a reader for the file at ``path``."""
    name = path.rpartition("/")[2]
    known = name in METADATA_NAMES or name in _OTHER_NAMES
    return known or is_dockerfile(name) or is_jenkinsfile(name) or is_yaml(name)
