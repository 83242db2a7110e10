"""Find the Python versions in YAML: workflows, pipelines, compose files, manifests and tool settings.

All dialects share one walk; they differ in the keys that contain versions and in how expressions are resolved.
Positions come from the parser's events, because replacing a span is the smallest possible change: ruamel.yaml also
keeps comments, but reformats the rest of the file. Never raises.
"""

import re
from dataclasses import dataclass

from pytest_py312.repository.declarations.declaration import DeclarationRole, ListItem, VersionDeclaration, version_of
from pytest_py312.repository.declarations.programs import COMMAND, programs_in
from pytest_py312.repository.declarations.yaml_dialects import YamlDialect
from pytest_py312.repository.declarations.yaml_values import YamlValueReader
from pytest_py312.repository.declarations.yaml_walk import (
    YamlContext,
    is_of_function,
    runs_service,
    scalars_of,
    walk_pairs,
)
from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    content_end,
    content_span,
    parse_documents,
)

_VERSION_VARIABLE = re.compile(r"(?:DEFAULT_|BASE_)?PY(?:THON)?[-_.]?VER(?:SION)?S?", re.IGNORECASE | re.ASCII)
_IMAGE_KEY = re.compile(r"(?:[\w-]+[-_])?image|container|baseImage", re.IGNORECASE | re.ASCII)
_SCRIPT_KEYS = frozenset({"run", "script", "before_script", "after_script", "command", "entry", "install"})
_COMMAND_KEYS = frozenset({"command", "args", "entrypoint"})
"""Of compose files, Kubernetes and Amazon ECS."""
_SETTING_KEYS = frozenset({"environment", "Environment", "env", "volumes", "volumeMounts"})
_VERSION_IN_NAME = re.compile(
    r"\bpython[ -]?v?(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)(?![\w.]*\d)", re.IGNORECASE | re.ASCII
)
_VERSION_IN_SCRIPT = re.compile(r"(?<![\w.-])(?:python|pip)(?P<version>3\.\d{1,2})(?!\d|\.\d)", re.ASCII)
_ENVIRONMENT_IN_SCRIPT = re.compile(
    r"\b(?:tox|nox)\b[^\r\n;&|]{0,80}?\s-[es][ =]?(?:(?!py(?:thon)?-?3)[\w.-]){0,80}?"
    r"(?<![\w.])(?:py|python)-?(?P<version>3\.?\d{1,2})(?![\w.,])",
    re.ASCII,
)
"""The environment in ``tox -e user-service-py39``; several environments are not one version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlText:
    """The version declarations of a YAML text; ``parse_error`` is not empty if it cannot be read."""

    documents: int = 0
    declarations: tuple[VersionDeclaration, ...] = ()
    parse_error: str = ""
    parse_error_line: int | None = None


def read_yaml_declarations(text: str, path: str, dialect: YamlDialect) -> YamlText:
    """Return the declarations of ``text``. ``path`` is only stored in them."""
    try:
        documents = parse_documents(text)
    except InvalidYaml as error:
        return YamlText(parse_error=str(error), parse_error_line=error.line)
    reader = _YamlReader(text, path, dialect)
    for document in documents:
        reader.read(document)
    return YamlText(documents=len(documents), declarations=reader.declarations)


class _YamlReader:
    """Decides which keys of a file have a version, and hands their values on."""

    def __init__(self, text: str, path: str, dialect: YamlDialect) -> None:
        self._text = text
        self._path = path
        self._dialect = dialect
        self._values = YamlValueReader(text, path, dialect.kind)

    @property
    def declarations(self) -> tuple[VersionDeclaration, ...]:
        return self._values.declarations

    def read(self, root: YamlNode) -> None:
        pairs = list(walk_pairs(root))
        if self._dialect.is_pipeline:
            self._values.take_step_sequences(root)
        for context, key, value in pairs:
            self._read_version_key(context, key, value)
        for context, key, value in pairs:
            self._read_other_key(context, key, value)

    def _read_version_key(self, context: YamlContext, key: str, value: YamlNode) -> None:
        dialect = self._dialect
        if key == "config" and context.matrix is not None:
            self._read_configurations(context, value)
        if "features/python" in key:  # of a development container
            value = child_of(value, "version") or value
        is_version_key = key in dialect.keys or "features/python" in key or (context.parent, key) in dialect.paths
        if not is_version_key and not (
            _VERSION_VARIABLE.fullmatch(key) and (self._allows_variable_names(context) or _is_version_list(value))
        ):
            return
        for value_node in (value, child_of(value, "default"), child_of(value, "options"), child_of(value, "enum")):
            for scalar, item in scalars_of(value_node):
                self._values.read_scalar(context, scalar, item, key)

    def _read_configurations(self, context: YamlContext, value: YamlNode) -> None:
        """Read ``config: [["3.10", "py310"]]``: lists of a version and what is run with it."""
        if not isinstance(value, YamlSequence):
            return
        for configuration in value.items[:200]:
            if (
                isinstance(configuration, YamlSequence)
                and configuration.items
                and isinstance(configuration.items[0], YamlScalar)
            ):
                first = configuration.items[0]
                item = ListItem(
                    group=f"@{value.start}",
                    start=configuration.start,
                    end=content_end(configuration),
                    on_own_lines=not value.is_flow,
                    is_combination=True,
                )
                if version_of(first.value):
                    self._values.read_scalar(context, first, item, "config")

    def _allows_variable_names(self, context: YamlContext) -> bool:
        """Return whether a key may be a version variable; in manifests only arguments and environment variables are."""
        return self._dialect.is_pipeline or bool({"args", "environment", "env", "containerEnv"} & {*context.keys[:-1]})

    def _read_other_key(self, context: YamlContext, key: str, value: YamlNode) -> None:
        if _IMAGE_KEY.fullmatch(key) or (key == "name" and context.parent == "image"):
            for scalar, _ in scalars_of(value):
                self._values.read_image(context, scalar)
            self._values.read_helm_image(value)
        elif key in ("args", "environment", "env"):
            self._read_assignments(value)
        for name, pattern, role in self._dialect.patterns:
            if key == name:
                is_path = role is DeclarationRole.PATH
                subject = key if key.lower() != "runtime" or is_of_function(context) else f"{context.parent} {key}"
                self._values.read_patterns(value, pattern, role, subject, declared=not is_path, item=context.item)
        if not self._dialect.is_pipeline:
            self._read_started_programs(context, key, value)
            return
        if key in ("name", "displayName"):
            setup = child_of(child_of(context.mappings[-1] if context.mappings else None, "with"), "python-version")
            bound_line = self._values.line_at(setup.start) if isinstance(setup, YamlScalar) else None
            self._values.read_patterns(value, _VERSION_IN_NAME, DeclarationRole.LABEL, "a name", bound_line=bound_line)
        elif key in _SCRIPT_KEYS:
            self._values.read_patterns(value, _VERSION_IN_SCRIPT, DeclarationRole.EXACT, "a command")
            self._values.read_patterns(value, _ENVIRONMENT_IN_SCRIPT, DeclarationRole.EXACT, "a command")
        elif key.lower() in ("toxenv", "tox_env", "tox-env", "nox_session"):
            for scalar, item in scalars_of(value):
                self._values.read_environment_name(context, scalar, item)

    def _read_started_programs(self, context: YamlContext, key: str, value: YamlNode) -> None:
        """Read ``python3.9`` in what a container is started with: its command, its variables, what is mounted."""
        is_command = key.lower() in _COMMAND_KEYS and context.parent != "build"
        if self._dialect.kind != "image" or not (is_command or _SETTING_KEYS.intersection(context.keys)):
            return
        named = [
            match for scalar, _ in scalars_of(value) for match in programs_in(self._text, scalar.start, scalar.end)
        ]
        for match in named if named and runs_service(context, self._text, self._path) else ():
            self._values.add(
                DeclarationRole.PATH, match.span("version"), subject=COMMAND if is_command else "a path",
                text=match[0], version=version_of(match["version"]), declared=False, starts_service=True,
            )  # fmt: skip

    def _read_assignments(self, value: YamlNode) -> None:
        """Read ``- PYTHON_VERSION=3.10`` of compose files, ``- {name: PYTHON_VERSION, value: ...}`` of Kubernetes."""
        for scalar, item in scalars_of(value):
            name, separator, version = scalar.value.partition("=")
            content = content_span(self._text, scalar)
            if separator and name.strip().lower() == "toxenv" and self._dialect.is_pipeline:
                self._values.read_environment_name(YamlContext(), scalar, item)
            if separator and content and _VERSION_VARIABLE.fullmatch(name.strip()) and version_of(version):
                self._values.add(DeclarationRole.EXACT, (content[0] + len(name) + 1, content[1]), subject=name.strip(),
                           version=version_of(version))  # fmt: skip
        for entry in value.items if isinstance(value, YamlSequence) else ():
            name_node, value_node = child_of(entry, "name"), child_of(entry, "value")
            if (
                isinstance(name_node, YamlScalar)
                and isinstance(value_node, YamlScalar)
                and _VERSION_VARIABLE.fullmatch(name_node.value)
            ):
                self._values.read_scalar(YamlContext(), value_node, None, name_node.value)


def _is_version_list(value: YamlNode) -> bool:
    """Whether it is a list of Python versions only: ``[38, 39, 311]``, ``["3.9", "3.10"]``."""
    return (
        isinstance(value, YamlSequence)
        and bool(value.items)
        and all(isinstance(item, YamlScalar) and version_of(item.value) is not None for item in value.items)
    )
