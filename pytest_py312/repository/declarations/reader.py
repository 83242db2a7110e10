"""Select the reader of a file by its name, and read its version declarations. Never raises.

Whether a file can declare a version is decided by its name alone, without loading a reader.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from operator import attrgetter

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    VersionDeclaration,
    service_declarations,
)
from pytest_py312.repository.formats.commands.crontab import is_crontab
from pytest_py312.repository.formats.dockerfile import is_dockerfile
from pytest_py312.repository.formats.text_positions import blank_jinja, without_jinja_ending

DeclarationReader = Callable[[str, str], tuple[VersionDeclaration, ...]]

MAKEFILE_NAMES = ("Makefile", "makefile", "GNUmakefile")
_READERS: Mapping[str, str] = {
    **dict.fromkeys(
        ("setup.cfg", "mypy.ini", ".mypy.ini", ".pylintrc", "pylintrc", ".coveragerc"), "ini.read_ini_declarations"
    ),
    "tox.ini": "tox.read_tox_declarations",
    "pyproject.toml": "toml.read_pyproject_declarations",
    **dict.fromkeys(("ruff.toml", ".ruff.toml"), "toml.read_ruff_declarations"),
    **dict.fromkeys(("mise.toml", ".mise.toml"), "toml.read_mise_declarations"),
    "Pipfile": "toml.read_pipfile_declarations",
    "pants.toml": "toml.read_pants_declarations",
    "setup.py": "python_files.read_setup_py_declarations",
    "noxfile.py": "python_files.read_noxfile_declarations",
    **dict.fromkeys(MAKEFILE_NAMES, "pins.read_makefile_declarations"),
    ".python-version": "pins.read_python_version_declarations",
    "runtime.txt": "pins.read_runtime_declarations",
    ".tool-versions": "pins.read_tool_versions_declarations",
    ".manylinux-install.sh": "pins.read_manylinux_declarations",
}
"""Readers by exact file name: module of this package and function. :func:`reader_of` handles names that match a
pattern."""

_MAY_NAME_PYTHON = re.compile(r"image:[^\n]{0,200}python|py(?:thon)?[-_]?version|language_version", re.IGNORECASE)
"""Marks of a Python version in an unreadable file; most other unreadable files only mention the word."""
RARELY_DECLARING = (".yml", ".yaml", ".py")
"""The ends of files of which most declare no Python at all: one that cannot be read is passed over."""
LENGTH_LIMIT = 200_000
"""Characters of a file that is read; a longer one is not written by hand."""
_MAY_HAVE_VERSION = re.compile(r"py|3\.\d|versionSpec", re.IGNORECASE)
_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\r\n]*|/\*.*?\*/|\t', re.DOTALL)
_IMAGE_LINE = re.compile(r"(?m)^[ \t-]*image:[ \t]*[\"']?(?P<image>[^\s\"'{}#]+)")


def reader_of(path: str) -> DeclarationReader | None:
    """Return the reader of the file at ``path``; ``None`` for a format that declares no Python version."""
    name = path.rpartition("/")[2]
    if name in _READERS:
        return partial(_read_with, _READERS[name])
    if is_dockerfile(name):
        return partial(_read_with, "dockerfile.read_dockerfile_declarations")
    if is_jenkinsfile(name):
        return partial(_read_with, "pins.read_jenkins_declarations")
    if is_script(path):
        return partial(_read_with, "programs.read_script_declarations")
    if starts_programs(path):
        return partial(_read_with, "programs.read_program_settings")
    if is_terraform(name):
        return partial(_read_with, "pins.read_terraform_declarations")
    if is_cdk_program(path):
        return partial(_read_with, "pins.read_cdk_declarations")
    if is_source(path):
        return partial(_read_with, "programs.read_source_declarations")
    return _read_yaml if is_yaml(name) else None


def _read_with(reader: str, text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a file. Each reader is imported for the first file of its kind, since most repositories have few kinds."""
    module, _, function = reader.partition(".")
    read: DeclarationReader = getattr(import_module(f"{__package__}.{module}"), function)
    return read(text, path)


def can_declare_versions(path: str) -> bool:
    """Return whether there is a reader for the file at ``path``."""
    return reader_of(path) is not None


def read_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the version declarations of ``text`` in order; the name of ``path`` selects the reader."""
    reader = reader_of(path)
    if reader is None:
        return ()
    # YAML has a limit of its own, as manifests may be longer, and so have the readers of Python
    if len(text) > LENGTH_LIMIT and not is_yaml(path) and not path.endswith(".py"):
        collector = DeclarationCollector(text, path)
        if _MAY_HAVE_VERSION.search(text):
            collector.add_unreadable_file("tool", f"it is longer than {LENGTH_LIMIT} characters")
        return collector.declarations
    declarations = reader(text, path)
    name = path.rpartition("/")[2]
    readers = []
    if ":layer:" in text and (reader is _read_yaml or name.endswith(".tf")) and not is_jenkinsfile(name):
        readers.append("pins.read_layer_declarations")
    if "--runtime" in text and (reader is _read_yaml or is_script(path) or name in MAKEFILE_NAMES):
        readers.append("pins.read_runtime_options")
    taken = {declaration.start for declaration in declarations}
    more = [found for each in readers for found in _read_with(each, text, path) if found.start not in taken]
    return tuple(sorted((*declarations, *more), key=attrgetter("start"))) if more else declarations


def _read_yaml(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    if not _MAY_HAVE_VERSION.search(text):
        return ()  # parsing is slow, and most manifests do not mention Python
    # they load YAML, which many repositories do not need
    from pytest_py312.repository.declarations.yaml import read_yaml_declarations
    from pytest_py312.repository.declarations.yaml_dialects import dialect_of

    dialect = dialect_of(path)
    if dialect is None:
        return ()
    without_comments = _JSON_TOKEN.sub(_blank_comment, text) if path.endswith(".json") else text
    if without_jinja_ending(path) != path:
        without_comments = blank_jinja(text)
    yaml_text = read_yaml_declarations(without_comments, path, dialect)
    if not yaml_text.parse_error:
        # tabs in JSON strings and the syntax of Jinja were replaced: drop declarations whose text differs
        return tuple(
            declaration
            for declaration in yaml_text.declarations
            if text.startswith(declaration.source_text, declaration.start)
        )
    if "{{" in text and not dialect.is_pipeline:
        return _template_images(text, path)
    collector = DeclarationCollector(text, path)
    if dialect.is_pipeline or _MAY_NAME_PYTHON.search(text):
        collector.add_unreadable_file(dialect.kind, yaml_text.parse_error, yaml_text.parse_error_line)
    return collector.declarations


def _blank_comment(match: re.Match[str]) -> str:
    """Replace a JSON comment, which YAML does not support, by blanks."""
    if match[0].startswith('"'):
        return match[0]
    return "".join(character if character in "\r\n" else " " for character in match[0])


def _template_images(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the images of a template, which is not valid YAML until it is rendered."""
    collector = DeclarationCollector(text, path)
    for match in _IMAGE_LINE.finditer(text):
        collector.add_image_reference("image", match.start("image"), match["image"])
    return collector.declarations


METADATA_NAMES: tuple[str, ...] = (
    "pyproject.toml", "setup.cfg", "tox.ini", "mypy.ini", ".mypy.ini", "setup.py", "ruff.toml", ".ruff.toml", "Pipfile",
    ".python-version", "runtime.txt", ".tool-versions", "environment.yml", "environment.yaml",
)  # fmt: skip
"""The files that discovery reads for every service."""

_SCRIPT_FOLDERS = frozenset({"ci", ".ci", "bin", "build", "hack", "script", "scripts", "tools", "maintenance"})
_JENKINSFILE = re.compile(r"Jenkinsfile(?:[._-].+)?", re.IGNORECASE)
_PROGRAM_SETTINGS = re.compile(r"(?:supervisor|uwsgi)[\w.-]*\.(?:conf|ini)|[\w.@-]+\.service", re.IGNORECASE | re.ASCII)
_CDK_ENDINGS = (".ts", ".py", ".java", ".cs")
_CDK_PATH = re.compile(
    r"(?:^|/)(?:(?i:[\w-]*cdk[\w-]*|infra(?:structure)?|iac|(?:[\w-]*[-_])?stacks?)|\w*Stacks?)(?:/|\.\w+$)", re.ASCII
)
_CDK_LIBRARY_FOLDER = re.compile(r"(?:^|/)(?:bin|lib)/(?:[^/]+/)*[^/]+\.ts$")
_TEST_SOURCE = re.compile(r"(?:^|/)(?:tests?/|test_[^/]*$|conftest\.py$)|_test\.py$")
_TEST_PATH = re.compile(r"(?:^|/)(?:tests?|__snapshots__)/")


def is_jenkinsfile(name: str) -> bool:
    return _JENKINSFILE.fullmatch(name) is not None


def is_yaml(name: str) -> bool:
    """Return whether it is YAML, perhaps made by Jinja, or JSON that is read as YAML: of a container, of Zappa."""
    return without_jinja_ending(name).lower().endswith((".yml", ".yaml", "devcontainer.json", "zappa_settings.json"))


def is_terraform(name: str) -> bool:
    return name.endswith(".tf")


def is_cdk_program(path: str) -> bool:
    """Return whether it may be a program of the AWS CDK: its name, or that of a folder, is one of infrastructure.

    ``cdk init`` puts those in TypeScript into ``bin`` and ``lib``.
    """
    may_be_program = path.endswith(_CDK_ENDINGS) and not path.endswith(".d.ts") and _TEST_PATH.search(path) is None
    return may_be_program and (_CDK_PATH.search(path) or _CDK_LIBRARY_FOLDER.search(path)) is not None


def starts_programs(path: str) -> bool:
    """Return whether a file has the commands of a Procfile, cron, supervisord, uWSGI or systemd."""
    name = path.rpartition("/")[2]
    return name == "Procfile" or is_program_settings(name) or is_crontab(path)


def is_source(path: str) -> bool:
    """Return whether it is a Python source that is no test."""
    return path.endswith(".py") and _TEST_SOURCE.search(path) is None


def is_program_settings(name: str) -> bool:
    """Return whether they are settings of supervisord, uWSGI or systemd, which start a service."""
    return _PROGRAM_SETTINGS.fullmatch(name) is not None


def is_script(path: str) -> bool:
    """Return whether it is a shell script by its name, or may be one: a file without a suffix in a folder of tools."""
    folder, _, name = path.rpartition("/")
    return name.endswith(".sh") or ("." not in name and folder.rpartition("/")[2].lower() in _SCRIPT_FOLDERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionMetadata:
    """The declarations of one file, grouped by purpose."""

    requires_python: tuple[Declaration, ...] = ()
    """Ranges that a distribution declares for itself (kind ``metadata``)."""
    classifiers: tuple[Declaration, ...] = ()
    pins: tuple[Declaration, ...] = ()
    """Versions that a version manager or a platform is configured to run (kind ``pin``)."""
    tools: tuple[Declaration, ...] = ()
    """Settings of type checkers, formatters and test tools (kind ``tool``)."""

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        return (*self.requires_python, *self.classifiers, *self.pins, *self.tools)


def read_metadata(text: str, path: str) -> VersionMetadata:
    """Read a file by its name; a name that is not in :data:`METADATA_NAMES` yields nothing."""
    is_metadata_file = path.rpartition("/")[2] in METADATA_NAMES
    declarations = read_declarations(text, path) if is_metadata_file else ()
    by_purpose: dict[str, list[VersionDeclaration]] = {}
    for declaration in declarations:
        is_classifier = declaration.kind == "metadata" and declaration.role is DeclarationRole.LIST_ITEM
        by_purpose.setdefault("classifier" if is_classifier else declaration.kind, []).append(declaration)
    return VersionMetadata(
        requires_python=service_declarations(by_purpose.get("metadata", ())),
        classifiers=service_declarations(by_purpose.get("classifier", ())),
        pins=service_declarations(by_purpose.get("pin", ())),
        tools=service_declarations(by_purpose.get("tool", ())),
    )


def read_workflow(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the versions of one workflow file, which is a single document. ``path`` is only stored in them."""
    # they load YAML, which a fleet without workflows does not need
    from pytest_py312.repository.declarations.yaml import read_yaml_declarations
    from pytest_py312.repository.declarations.yaml_dialects import GITHUB

    yaml_text = read_yaml_declarations(text, path, GITHUB)
    return yaml_text.declarations if yaml_text.documents <= 1 else ()
