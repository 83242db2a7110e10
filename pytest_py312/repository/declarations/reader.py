"""Select the reader of a file by its name, and read its version declarations. Never raises.

Whether a file can declare a version is decided by its name alone, without loading a reader.
"""

import re
from collections.abc import Callable, Mapping
from operator import attrgetter

from pytest_py312.repository.declarations.declaration import DeclarationCollector, DeclarationRole, VersionDeclaration
from pytest_py312.repository.formats.text_positions import blank_jinja, without_jinja_ending

DeclarationReader = Callable[[str, str], tuple[VersionDeclaration, ...]]

# Each reader is imported for the first file of its kind, since most repositories have few kinds.


def _read_ini(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations.ini import read_ini_declarations

    if path.rpartition("/")[2] == "tox.ini":
        from pytest_py312.repository.declarations.tox import read_tox_declarations

        return read_tox_declarations(text, path)
    return read_ini_declarations(text, path)


def _read_dockerfile(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations.dockerfile import read_dockerfile_declarations

    return read_dockerfile_declarations(text, path)


def _read_toml(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations import toml

    readers: Mapping[str, DeclarationReader] = {
        "pyproject.toml": toml.read_pyproject_declarations,
        "ruff.toml": toml.read_ruff_declarations,
        "mise.toml": toml.read_mise_declarations,
        "Pipfile": toml.read_pipfile_declarations,
        "pants.toml": toml.read_pants_declarations,
    }
    return readers[path.rpartition("/")[2].removeprefix(".")](text, path)


def _read_python(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations import python_files

    if path.endswith("noxfile.py"):
        return python_files.read_noxfile_declarations(text, path)
    return python_files.read_setup_py_declarations(text, path)


def _read_pin(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations import pins

    readers: Mapping[str, DeclarationReader] = {
        ".python-version": pins.read_python_version_declarations,
        "runtime.txt": pins.read_runtime_declarations,
        ".tool-versions": pins.read_tool_versions_declarations,
        ".manylinux-install.sh": pins.read_manylinux_declarations,
    }
    return readers.get(path.rpartition("/")[2], pins.read_jenkins_declarations)(text, path)


def _read_script(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations.pins import read_script_declarations

    return read_script_declarations(text, path)


def _read_program_settings(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations.pins import read_program_settings

    return read_program_settings(text, path)


def _read_cdk(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations.pins import read_cdk_declarations

    return read_cdk_declarations(text, path)


def _read_terraform(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations.pins import read_terraform_declarations

    return read_terraform_declarations(text, path)


MAKEFILE_NAMES = ("Makefile", "makefile", "GNUmakefile")


def _read_makefile(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    from pytest_py312.repository.declarations.pins import read_makefile_declarations

    return read_makefile_declarations(text, path)


_READERS: Mapping[str, DeclarationReader] = {
    **dict.fromkeys(
        ("setup.cfg", "tox.ini", "mypy.ini", ".mypy.ini", ".pylintrc", "pylintrc", ".coveragerc"), _read_ini
    ),
    **dict.fromkeys(
        ("pyproject.toml", "ruff.toml", ".ruff.toml", "mise.toml", ".mise.toml", "Pipfile", "pants.toml"), _read_toml
    ),
    **dict.fromkeys(MAKEFILE_NAMES, _read_makefile),
    **dict.fromkeys(("setup.py", "noxfile.py"), _read_python),
    **dict.fromkeys((".python-version", "runtime.txt", ".tool-versions", ".manylinux-install.sh"), _read_pin),
}
"""Readers by exact file name. :func:`reader_of` handles names that match a pattern."""

_MAY_NAME_PYTHON = re.compile(r"image:[^\n]{0,200}python|py(?:thon)?[-_]?version|language_version", re.IGNORECASE)
"""Marks of a Python version in an unreadable file; most other unreadable files only mention the word."""
LENGTH_LIMIT = 200_000
"""Characters of a file that is read; a longer one is not written by hand."""
_MAY_HAVE_VERSION = re.compile(r"py|3\.\d|versionSpec", re.IGNORECASE)
_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\r\n]*|/\*.*?\*/|\t', re.DOTALL)
_IMAGE_LINE = re.compile(r"(?m)^[ \t-]*image:[ \t]*[\"']?(?P<image>[^\s\"'{}#]+)")


def reader_of(path: str) -> DeclarationReader | None:
    """Return the reader of the file at ``path``; ``None`` for a format that declares no Python version."""
    name = path.rpartition("/")[2]
    if name in _READERS:
        return _READERS[name]
    if is_dockerfile(name):
        return _read_dockerfile
    if is_jenkinsfile(name):
        return _read_pin
    if is_script(path):
        return _read_script
    if _PROGRAM_SETTINGS.fullmatch(name):
        return _read_program_settings
    if is_terraform(name):
        return _read_terraform
    if is_cdk_program(path):
        return _read_cdk
    return _read_yaml if is_yaml(name) else None


def read_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the version declarations of ``text`` in order; the name of ``path`` selects the reader."""
    reader = reader_of(path)
    if reader is None:
        return ()
    if len(text) > LENGTH_LIMIT and not is_yaml(path):  # YAML has a limit of its own: manifests may be longer
        collector = DeclarationCollector(text, path)
        if _MAY_HAVE_VERSION.search(text):
            collector.add_unreadable_file("tool", f"it is longer than {LENGTH_LIMIT} characters")
        return collector.declarations
    declarations = reader(text, path)
    if ":layer:" in text and (reader in (_read_yaml, _read_terraform)):
        from pytest_py312.repository.declarations.pins import read_layer_declarations

        declarations = tuple(sorted((*declarations, *read_layer_declarations(text, path)), key=attrgetter("start")))
    return declarations


def _read_yaml(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    if not _MAY_HAVE_VERSION.search(text):
        return ()  # parsing is slow, and most manifests do not mention Python
    from pytest_py312.repository.declarations.yaml import read_yaml_declarations
    from pytest_py312.repository.declarations.yaml_dialects import (
        dialect_of,  # imports yaml, which many repositories do not need
    )

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
    from pytest_py312.repository.formats.image_reference import parse_python_image

    collector = DeclarationCollector(text, path)
    for match in _IMAGE_LINE.finditer(text):
        image = parse_python_image(match["image"])
        if image:
            first = match.start("image")
            span = (first + image.span[0], first + image.span[1]) if image.span else match.span("image")
            collector.add(
                "image",
                DeclarationRole.EXACT if image.version else DeclarationRole.FLOATING,
                *span,
                subject="an image",
                text=match["image"],
                version=image.version,
                images=(match["image"],),
                not_editable_reason=image.reason,
                unknown_reason="" if image.version else image.reason,
            )
    return collector.declarations


METADATA_NAMES: tuple[str, ...] = (
    "pyproject.toml", "setup.cfg", "tox.ini", "mypy.ini", ".mypy.ini", "setup.py", "ruff.toml", ".ruff.toml", "Pipfile",
    ".python-version", "runtime.txt", ".tool-versions",
)  # fmt: skip
"""The files that discovery reads for every service."""

_OTHER_NAMES = frozenset(
    {
        ".pylintrc",
        "pylintrc",
        ".coveragerc",
        "mise.toml",
        ".mise.toml",
        "noxfile.py",
        ".manylinux-install.sh",
        "pants.toml",
        *MAKEFILE_NAMES,
    }
)
_SCRIPT_FOLDERS = frozenset({"ci", ".ci", "bin", "build", "hack", "script", "scripts", "tools", "maintenance"})
_JENKINSFILE = re.compile(r"Jenkinsfile(?:[._-].+)?", re.IGNORECASE)
_DOCKERFILE = re.compile(
    r"(?:(?:Docker|Container)file(?:[._-].+)?|.+\.(?:Docker|Container)file|[\w-]+Dockerfile)", re.IGNORECASE
)
_PROGRAM_SETTINGS = re.compile(r"(?:supervisor|uwsgi)[\w.-]*\.(?:conf|ini)|[\w.@-]+\.service", re.IGNORECASE | re.ASCII)
"""Settings of programs that start a service: supervisord, uWSGI, systemd."""
_NOT_DOCKERFILE_ENDINGS = (
    ".dockerignore",
    ".bak",
    ".orig",
    ".md",
    ".j2",
    ".jinja",
    ".tmpl",
    ".template",
    ".py",
    ".sh",
    "~",
)


_CDK_ENDINGS = (".ts", ".py", ".java", ".cs")
_CDK_PATH = re.compile(
    r"(?:^|/)(?:(?i:[\w-]*cdk[\w-]*|infra(?:structure)?|iac|(?:[\w-]*[-_])?stacks?)|\w*Stacks?)(?:/|\.\w+$)", re.ASCII
)
_TEST_PATH = re.compile(r"(?:^|/)(?:tests?|__snapshots__)/")


def is_dockerfile(name: str) -> bool:
    """Return whether a file of this name is a Dockerfile, with any prefix or suffix."""
    return _DOCKERFILE.fullmatch(name) is not None and not name.lower().endswith(_NOT_DOCKERFILE_ENDINGS)


def is_jenkinsfile(name: str) -> bool:
    return _JENKINSFILE.fullmatch(name) is not None


def is_yaml(name: str) -> bool:
    """Return whether it is YAML, perhaps made by Jinja, or the JSON of a development container, read as YAML."""
    return without_jinja_ending(name).lower().endswith((".yml", ".yaml", "devcontainer.json"))


def is_terraform(name: str) -> bool:
    return name.endswith(".tf")


def is_cdk_program(path: str) -> bool:
    """Return whether it may be a program of the AWS CDK: its name, or that of a folder, is one of infrastructure."""
    is_source = path.endswith(_CDK_ENDINGS) and not path.endswith(".d.ts") and _TEST_PATH.search(path) is None
    return is_source and _CDK_PATH.search(path) is not None


def is_script(path: str) -> bool:
    """Return whether it is a shell script by its name, or may be one: a file without a suffix in a folder of tools."""
    folder, _, name = path.rpartition("/")
    return name.endswith(".sh") or ("." not in name and folder.rpartition("/")[2].lower() in _SCRIPT_FOLDERS)


def can_declare_versions(path: str) -> bool:
    """Return whether there is a reader for the file at ``path``."""
    name = path.rpartition("/")[2]
    is_known_name = name in METADATA_NAMES or name in _OTHER_NAMES
    is_known_name = (
        is_known_name or _PROGRAM_SETTINGS.fullmatch(name) is not None or is_terraform(name) or is_cdk_program(path)
    )
    return is_known_name or is_script(path) or is_dockerfile(name) or is_jenkinsfile(name) or is_yaml(name)
