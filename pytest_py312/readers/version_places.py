"""Every file format that says a Python version, by the name of the file. Text in, places out; never raises."""

import re
from collections.abc import Callable, Mapping

from pytest_py312.readers.dockerfile_places import read_dockerfile_places
from pytest_py312.readers.ini_places import read_ini_places
from pytest_py312.readers.pin_places import (
    read_jenkins_places,
    read_manylinux_places,
    read_python_version_places,
    read_runtime_places,
    read_tool_versions_places,
)
from pytest_py312.readers.places import Meaning, Place, Scribe
from pytest_py312.readers.python_places import read_noxfile_places, read_setup_py_places
from pytest_py312.readers.toml_places import (
    read_mise_places,
    read_pipfile_places,
    read_pyproject_places,
    read_ruff_places,
)

Reader = Callable[[str, str], tuple[Place, ...]]

METADATA_READERS: Mapping[str, Reader] = {
    "pyproject.toml": read_pyproject_places,
    "setup.cfg": read_ini_places,
    "tox.ini": read_ini_places,
    "mypy.ini": read_ini_places,
    ".mypy.ini": read_ini_places,
    "setup.py": read_setup_py_places,
    "ruff.toml": read_ruff_places,
    ".ruff.toml": read_ruff_places,
    "Pipfile": read_pipfile_places,
    ".python-version": read_python_version_places,
    "runtime.txt": read_runtime_places,
    ".tool-versions": read_tool_versions_places,
}
"""The files that discovery reads of every service."""

_OTHER_READERS: Mapping[str, Reader] = {
    ".pylintrc": read_ini_places,
    "pylintrc": read_ini_places,
    ".coveragerc": read_ini_places,
    "mise.toml": read_mise_places,
    ".mise.toml": read_mise_places,
    "noxfile.py": read_noxfile_places,
    ".manylinux-install.sh": read_manylinux_places,
}
_JENKINS = re.compile(r"Jenkinsfile(?:[._-].+)?", re.IGNORECASE)
_DOCKERFILE = re.compile(r"(?:(?:Docker|Container)file(?:[._-].+)?|.+\.(?:Docker|Container)file)", re.IGNORECASE)
_NO_DOCKERFILE = (".dockerignore", ".bak", ".orig", ".md", ".j2", ".jinja", ".tmpl", ".template", ".py", ".sh", "~")
_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\r\n]*|/\*.*?\*/|\t', re.DOTALL)
_IMAGE_LINE = re.compile(r"(?m)^[ \t-]*image:[ \t]*[\"']?(?P<image>[^\s\"'{}#]+)")


def is_dockerfile(name: str) -> bool:
    """Whether a file of this name is a Dockerfile, whatever stands in front of or behind the word."""
    return _DOCKERFILE.fullmatch(name) is not None and not name.lower().endswith(_NO_DOCKERFILE)


def reader_of(path: str) -> Reader | None:
    """The reader of the file at ``path``; ``None`` for a format that says no Python version."""
    name = path.rpartition("/")[2]
    known = METADATA_READERS.get(name) or _OTHER_READERS.get(name)
    if known:
        return known
    if is_dockerfile(name):
        return read_dockerfile_places
    if _JENKINS.fullmatch(name):
        return read_jenkins_places
    return _read_yaml if name.lower().endswith((".yml", ".yaml", "devcontainer.json")) else None


def read_places(text: str, path: str) -> tuple[Place, ...]:
    """Every place of ``text`` that says a Python version, in order; read by the name of ``path``."""
    reader = reader_of(path)
    return reader(text, path) if reader else ()


def _read_yaml(text: str, path: str) -> tuple[Place, ...]:
    if not re.search(r"py|3\.\d|versionSpec", text, re.IGNORECASE):
        return ()  # parsing costs more than all else, and most manifests name no Python
    from pytest_py312.readers.dialects import dialect_of  # loads YAML, which many fleets can do without
    from pytest_py312.readers.yaml_places import read_yaml_places

    dialect = dialect_of(path)
    if dialect is None:
        return ()
    plain = _JSON_TOKEN.sub(_blanked, text) if path.endswith(".json") else text
    found = read_yaml_places(plain, path, dialect)
    if not found.trouble:
        # a tab within a string of JSON was a blank to the parser
        return tuple(place for place in found.places if text.startswith(place.written, place.start))
    if "{{" in text and not dialect.pipeline:
        return _template_images(text, path)
    scribe = Scribe(text, path)
    if dialect.pipeline or re.search(r"python", text, re.IGNORECASE):
        scribe.unreadable(dialect.kind, found.trouble, found.trouble_line)
    return scribe.places


def _blanked(match: re.Match[str]) -> str:
    """Comments of JSON, which YAML does not know, as blanks."""
    if match[0].startswith('"'):
        return match[0]
    return "".join(character if character in "\r\n" else " " for character in match[0])


def _template_images(text: str, path: str) -> tuple[Place, ...]:
    """Images of a template, which is no YAML before it is filled in."""
    from pytest_py312.readers.images import python_image

    scribe = Scribe(text, path)
    for match in _IMAGE_LINE.finditer(text):
        image = python_image(match["image"])
        if image:
            first = match.start("image")
            span = (first + image.span[0], first + image.span[1]) if image.span else match.span("image")
            scribe.note(
                "image", Meaning.EXACT if image.version else Meaning.FLOATING, *span, subject="an image",
                text=match["image"], version=image.version, images=(match["image"],), fixed=image.reason,
                unclear="" if image.version else image.reason,
            )  # fmt: skip
    return scribe.places
