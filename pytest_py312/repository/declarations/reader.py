"""Every file format that says a Python version, by the name of the file. Text in, places out; never raises.

Which files may say a Python version, by their names alone: no reader is loaded to tell.
"""

import re
from collections.abc import Callable, Mapping

from pytest_py312.repository.declarations.declaration import Meaning, Place, Scribe

Reader = Callable[[str, str], tuple[Place, ...]]

# Each reader is loaded with the first file of its kind: a fleet has few of the kinds.


def _ini(text: str, path: str) -> tuple[Place, ...]:
    from pytest_py312.repository.declarations.ini import read_ini_places

    return read_ini_places(text, path)


def _dockerfile(text: str, path: str) -> tuple[Place, ...]:
    from pytest_py312.repository.declarations.dockerfile import read_dockerfile_places

    return read_dockerfile_places(text, path)


def _toml(text: str, path: str) -> tuple[Place, ...]:
    from pytest_py312.repository.declarations import toml

    readers: Mapping[str, Reader] = {
        "pyproject.toml": toml.read_pyproject_places,
        "ruff.toml": toml.read_ruff_places,
        "mise.toml": toml.read_mise_places,
        "Pipfile": toml.read_pipfile_places,
    }
    return readers[path.rpartition("/")[2].removeprefix(".")](text, path)


def _python(text: str, path: str) -> tuple[Place, ...]:
    from pytest_py312.repository.declarations import python_files

    if path.endswith("noxfile.py"):
        return python_files.read_noxfile_places(text, path)
    return python_files.read_setup_py_places(text, path)


def _pin(text: str, path: str) -> tuple[Place, ...]:
    from pytest_py312.repository.declarations import pins

    readers: Mapping[str, Reader] = {
        ".python-version": pins.read_python_version_places,
        "runtime.txt": pins.read_runtime_places,
        ".tool-versions": pins.read_tool_versions_places,
        ".manylinux-install.sh": pins.read_manylinux_places,
    }
    return readers.get(path.rpartition("/")[2], pins.read_jenkins_places)(text, path)


_READERS: Mapping[str, Reader] = {
    **dict.fromkeys(("setup.cfg", "tox.ini", "mypy.ini", ".mypy.ini", ".pylintrc", "pylintrc", ".coveragerc"), _ini),
    **dict.fromkeys(("pyproject.toml", "ruff.toml", ".ruff.toml", "mise.toml", ".mise.toml", "Pipfile"), _toml),
    **dict.fromkeys(("setup.py", "noxfile.py"), _python),
    **dict.fromkeys((".python-version", "runtime.txt", ".tool-versions", ".manylinux-install.sh"), _pin),
}
"""By the name of the file, those of ``reader.py``."""

_TELLS = re.compile(r"image:[^\n]{0,200}python|py(?:thon)?[-_]?version|language_version", re.IGNORECASE)
"""What a file that cannot be read may say a Python by; most others only have the word in them somewhere."""
_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\r\n]*|/\*.*?\*/|\t', re.DOTALL)
_IMAGE_LINE = re.compile(r"(?m)^[ \t-]*image:[ \t]*[\"']?(?P<image>[^\s\"'{}#]+)")


def reader_of(path: str) -> Reader | None:
    """The reader of the file at ``path``; ``None`` for a format that says no Python version."""
    name = path.rpartition("/")[2]
    if name in _READERS:
        return _READERS[name]
    if is_dockerfile(name):
        return _dockerfile
    if is_jenkinsfile(name):
        return _pin
    return _read_yaml if is_yaml(name) else None


def read_places(text: str, path: str) -> tuple[Place, ...]:
    """Every place of ``text`` that says a Python version, in order; read by the name of ``path``."""
    reader = reader_of(path)
    return reader(text, path) if reader else ()


def _read_yaml(text: str, path: str) -> tuple[Place, ...]:
    if not re.search(r"py|3\.\d|versionSpec", text, re.IGNORECASE):
        return ()  # parsing costs more than all else, and most manifests name no Python
    from pytest_py312.repository.declarations.yaml import read_yaml_places
    from pytest_py312.repository.declarations.yaml_dialects import (
        dialect_of,  # loads YAML, which many fleets can do without
    )

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
    if dialect.pipeline or _TELLS.search(text):
        scribe.unreadable(dialect.kind, found.trouble, found.trouble_line)
    return scribe.places


def _blanked(match: re.Match[str]) -> str:
    """Comments of JSON, which YAML does not know, as blanks."""
    if match[0].startswith('"'):
        return match[0]
    return "".join(character if character in "\r\n" else " " for character in match[0])


def _template_images(text: str, path: str) -> tuple[Place, ...]:
    """Images of a template, which is no YAML before it is filled in."""
    from pytest_py312.repository.formats.image_reference import python_image

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
