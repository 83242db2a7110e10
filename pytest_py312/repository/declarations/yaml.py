"""Find the Python versions in YAML: workflows, pipelines, compose files, manifests and tool settings.

All dialects share one walk; they differ in the keys that contain versions and in how expressions are resolved.
Positions come from the parser's events, because replacing a span is the smallest possible change: ruamel.yaml also
keeps comments, but reformats the rest of the file. Never raises.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    ListItem,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.declarations.programs import COMMAND, programs_in
from pytest_py312.repository.declarations.step_sequences import sequence_items
from pytest_py312.repository.declarations.yaml_walk import (
    YamlContext,
    combination_scalars,
    is_of_function,
    item_of_matrix,
    outside_combination,
    runs_service,
    scalars_of,
    walk_pairs,
)
from pytest_py312.repository.formats.image_reference import parse_python_image
from pytest_py312.repository.formats.text_positions import TrackedText, expand_variables
from pytest_py312.repository.formats.version_ranges import single_minor
from pytest_py312.repository.formats.yaml import (
    InvalidYaml,
    YamlMapping,
    YamlNode,
    YamlScalar,
    YamlSequence,
    child_of,
    content_end,
    content_span,
    parse_documents,
)

VERSION_VARIABLE = re.compile(r"(?:DEFAULT_|BASE_)?PY(?:THON)?[-_.]?VER(?:SION)?S?", re.IGNORECASE | re.ASCII)
_IMAGE_KEY = re.compile(r"(?:[\w-]+[-_])?image|container|baseImage", re.IGNORECASE | re.ASCII)
_SCRIPT_KEYS = frozenset({"run", "script", "before_script", "after_script", "command", "entry", "install"})
_COMMAND_KEYS = frozenset({"command", "args", "entrypoint"})
"""Of compose files, Kubernetes and Amazon ECS."""
_SETTING_KEYS = frozenset({"environment", "Environment", "env", "volumes", "volumeMounts"})
_REFERENCE = re.compile(
    r"\$\{\{\s*(?:matrix|env|inputs|parameters|variables|vars|steps|needs|github)?"
    r"(?:\.?(?P<dotted>[\w.-]+)|\[\s*'(?P<bracket>[\w.-]+)'\s*\])\s*\}\}"
    r"|\$\((?P<azure>[\w.]+)\)"
    r"|<<\s*(?:parameters|matrix|pipeline\.parameters)\.(?P<circle>[\w-]+)\s*>>"
    r"|\$(?:\{(?P<braced>[A-Za-z_]\w*)\}|(?P<bare>[A-Za-z_]\w*))",
    re.ASCII,
)
_SHELL_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_]|[A-Za-z_])", re.ASCII)
_OTHER_PYTHON = re.compile(
    r"pypy|graalpy|jython|ironpython|micropython|3\.\d{1,2}(?:\.\d+)?t(?:-dev)?\Z", re.IGNORECASE | re.ASCII
)
_RANGE_OR_ALIAS = re.compile(
    r"[\s\dvx.*<>=~^|,-]+|python\d?|latest|lts|stable|system|default|(?:mini|ana)conda\S*|(?:mamba|mini)forge\S*",
    re.ASCII,
)
_VERSION_IN_LIST = re.compile(r"([\"'])(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)\1", re.ASCII)
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
_ENVIRONMENT_NAME = re.compile(r"(?<![\w.])(?:py|python)-?(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII)


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
    def __init__(self, text: str, path: str, dialect: YamlDialect) -> None:
        self._text = text
        self._path = path
        self._dialect = dialect
        self._collector = DeclarationCollector(text, path)
        self._step_items: dict[int, tuple[ListItem, str]] = {}

    @property
    def declarations(self) -> tuple[VersionDeclaration, ...]:
        return self._collector.declarations

    def read(self, root: YamlNode) -> None:
        pairs = list(walk_pairs(root))
        if self._dialect.is_pipeline:
            self._step_items.update(sequence_items(root, self._text))
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
            VERSION_VARIABLE.fullmatch(key) and (self._allows_variable_names(context) or _is_version_list(value))
        ):
            return
        for value_node in (value, child_of(value, "default"), child_of(value, "options"), child_of(value, "enum")):
            for scalar, item in scalars_of(value_node):
                self._read_scalar(context, scalar, item, key)

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
                    self._read_scalar(context, first, item, "config")

    def _allows_variable_names(self, context: YamlContext) -> bool:
        """Return whether a key may be a version variable; in manifests only arguments and environment variables are."""
        return self._dialect.is_pipeline or bool({"args", "environment", "env", "containerEnv"} & {*context.keys[:-1]})

    def _read_other_key(self, context: YamlContext, key: str, value: YamlNode) -> None:
        if _IMAGE_KEY.fullmatch(key) or (key == "name" and context.parent == "image"):
            for scalar, _ in scalars_of(value):
                self._read_image(context, scalar)
            self._read_helm_image(value)
        elif key in ("args", "environment", "env"):
            self._read_assignments(value)
        for name, pattern, role in self._dialect.patterns:
            if key == name:
                is_path = role is DeclarationRole.PATH
                subject = key if key.lower() != "runtime" or is_of_function(context) else f"{context.parent} {key}"
                self._read_patterns(value, pattern, role, subject, declared=not is_path, item=context.item)
        if not self._dialect.is_pipeline:
            self._read_started_programs(context, key, value)
            return
        if key in ("name", "displayName"):
            setup = child_of(child_of(context.mappings[-1] if context.mappings else None, "with"), "python-version")
            bound_line = self._collector.line_at(setup.start) if isinstance(setup, YamlScalar) else None
            self._read_patterns(value, _VERSION_IN_NAME, DeclarationRole.LABEL, "a name", bound_line=bound_line)
        elif key in _SCRIPT_KEYS:
            self._read_patterns(value, _VERSION_IN_SCRIPT, DeclarationRole.EXACT, "a command")
            self._read_patterns(value, _ENVIRONMENT_IN_SCRIPT, DeclarationRole.EXACT, "a command")
        elif key.lower() in ("toxenv", "tox_env", "tox-env", "nox_session"):
            for scalar, item in scalars_of(value):
                self._read_environment_name(context, scalar, item)

    def _read_started_programs(self, context: YamlContext, key: str, value: YamlNode) -> None:
        """Read ``python3.9`` in what a container is started with: its command, its variables, what is mounted."""
        is_command = key.lower() in _COMMAND_KEYS and context.parent != "build"
        if self._dialect.kind != "image" or not (is_command or _SETTING_KEYS.intersection(context.keys)):
            return
        named = [
            match for scalar, _ in scalars_of(value) for match in programs_in(self._text, scalar.start, scalar.end)
        ]
        for match in named if named and runs_service(context, self._text, self._path) else ():
            self._add(
                DeclarationRole.PATH, match.span("version"), subject=COMMAND if is_command else "a path",
                text=match[0], version=version_of(match["version"]), declared=False, starts_service=True,
            )  # fmt: skip

    # ---- versions

    def _read_scalar(
        self, context: YamlContext, scalar: YamlScalar, item: ListItem | None, subject: str, image: str = ""
    ) -> None:
        value = scalar.value.strip()
        content = content_span(self._text, scalar)
        if scalar.style in ("|", ">"):
            self._read_lines(scalar, subject)
        elif value and content and _VERSION_IN_LIST.search(value) and "[" in value:
            for match in _VERSION_IN_LIST.finditer(scalar.value):
                list_item = ListItem(
                    group=f"@{scalar.start}", start=content[0] + match.start(), end=content[0] + match.end()
                )
                self._add(
                    DeclarationRole.LIST_ITEM,
                    (content[0] + match.start("version"), content[0] + match.end("version")),
                    subject=subject,
                    version=version_of(match["version"]),
                    item=list_item,
                )
        elif reference := _REFERENCE.fullmatch(value):
            targets = list(self._referenced_scalars(context, reference))
            for target_context, target, target_item in targets:
                if not _REFERENCE.search(target.value):
                    self._read_scalar(target_context, target, target_item, subject, image)
            if not targets and context.is_provided_elsewhere(reference[0]):
                self._add(
                    DeclarationRole.IGNORED, content or (scalar.start, scalar.end), subject=subject, declared=False
                )
            elif not targets and _is_empty_matrix_value(context, reference[0]):
                self._add(
                    DeclarationRole.FLOATING, content or (scalar.start, scalar.end), subject=subject, text=value,
                    unknown_reason="The job has no matrix, so the value is empty: it is the Python of the machine.",
                )  # fmt: skip
            elif not targets:
                self._add_unknown(scalar, subject)
        elif value:
            self._read_plain(context, scalar, item, subject, image)

    def _read_plain(
        self, context: YamlContext, scalar: YamlScalar, item: ListItem | None, subject: str, image: str
    ) -> None:
        value = scalar.value.strip()
        content = content_span(self._text, scalar)
        version = version_of(value)
        start, end = content or (scalar.start, scalar.end)
        start += len(scalar.value) - len(scalar.value.lstrip()) if content else 0
        span = (start, start + len(value)) if content else (start, end)
        if self._collector.has_declaration_at(span[0]):
            self._collector.add_image(span[0], image)
            return
        step_item, reason = self._step_items.get(scalar.start, (None, ""))
        item = step_item or item_of_matrix(context, item or context.item, self._text)
        if version and context.is_excluded:
            self._add(DeclarationRole.IGNORED, span, subject=subject, version=version, declared=False)
        elif version:
            self._add(
                DeclarationRole.LIST_ITEM if item else DeclarationRole.EXACT,
                span,
                subject=subject,
                version=version,
                item=item,
                quoted=bool(scalar.style),
                misread_as=_misread_number(scalar),
                images=(image,) if image else (),
                not_editable_reason=reason if content else "It contains escape sequences or spans several lines.",
            )
        elif _OTHER_PYTHON.match(value):
            self._add(DeclarationRole.IGNORED, span, subject=subject)
        elif _RANGE_OR_ALIAS.fullmatch(value):
            self._add(
                DeclarationRole.FLOATING, span, subject=subject,
                unknown_reason="It names no single minor version: its Python can change without a change here.",
            )  # fmt: skip
        elif context.is_provided_elsewhere(value):
            self._add(DeclarationRole.IGNORED, span, subject=subject, declared=False)
        else:
            self._add_unknown(scalar, subject)

    def _add_unknown(self, scalar: YamlScalar, subject: str) -> None:
        content = content_span(self._text, scalar) or (scalar.start, scalar.end)
        self._add(
            DeclarationRole.UNKNOWN, content, subject=subject, text=scalar.value[:200],
            unknown_reason="The value is computed or comes from outside of the file.",
        )  # fmt: skip

    def _read_lines(self, scalar: YamlScalar, subject: str) -> None:
        """Read a block scalar, which setup-python treats as one version per line."""
        content_start = self._text.find("\n", scalar.start, scalar.end) + 1
        for match in re.finditer(
            r"[^\s#](?:[^\r\n]*[^\s])?", self._text[content_start : scalar.end] if content_start else ""
        ):
            span = (content_start + match.start(), content_start + match.end())
            item = ListItem(group=f"@{scalar.start}", start=span[0], end=span[1], on_own_lines=True)
            version = version_of(match[0])
            self._add(
                DeclarationRole.LIST_ITEM if version else DeclarationRole.IGNORED,
                span,
                subject=subject,
                version=version,
                item=item,
            )

    def _read_environment_name(self, context: YamlContext, scalar: YamlScalar, item: ListItem | None) -> None:
        content = content_span(self._text, scalar)
        item = item_of_matrix(context, item or context.item, self._text)
        for match in _ENVIRONMENT_NAME.finditer(scalar.value) if content else ():
            start = content[0] if content else 0
            self._add(
                DeclarationRole.LIST_ITEM if item else DeclarationRole.EXACT,
                (start + match.start("version"), start + match.end("version")), subject="a tox environment",
                item=item, version=version_of(match["version"]), declared=False,
            )  # fmt: skip

    # ---- expressions

    def _referenced_scalars(
        self, context: YamlContext, reference: re.Match[str]
    ) -> Iterator[tuple[YamlContext, YamlScalar, ListItem | None]]:
        """Yield the scalars that an expression refers to, resolved as the pipeline does."""
        name = next((value for value in reference.groupdict().values() if value), "")
        expression = reference[0]
        if "matrix" in expression or reference["azure"] or reference["circle"]:
            strategy = next(iter(context.nearest_values("strategy")), None)
            yield from _matrix_scalars(strategy, name)
        nearest_value = next(
            iter([*context.nearest_values("env", name), *context.nearest_values("variables", name)]), None
        )
        if nearest_value is not None:
            for scalar, item in scalars_of(nearest_value):
                yield outside_combination(context), scalar, item
        for table in ("inputs", "parameters"):
            for mapping in context.mappings:
                for holder in (mapping, child_of(mapping, "on")):
                    yield from _default_scalars(context, holder, table, name)

    # ---- images

    def _read_image(self, context: YamlContext, scalar: YamlScalar) -> None:
        content = content_span(self._text, scalar)
        value = scalar.value.strip()
        if not value or ("python" not in value.lower() and parse_python_image(value) is None and "$" not in value):
            return
        start = content[0] if content else scalar.start
        reference = _REFERENCE.search(value)
        if reference and not _SHELL_VARIABLE.match(reference[0]):
            for target_context, target, item in self._referenced_scalars(context, reference):
                image = value.replace(reference[0], target.value.strip())
                if parse_python_image(image):
                    self._read_scalar(target_context, target, item, "an image", image)
            return
        values = self._variables_in_scope(context)
        missing: list[str] = []
        word = TrackedText(scalar.value, range(start, start + len(scalar.value)))
        image_text = expand_variables(word, values, missing)
        parsed_image = parse_python_image(image_text.text.strip())
        if parsed_image is None:
            return
        if missing:
            self._add_unknown(scalar, "an image")
            return
        self._add_image(
            image_text, parsed_image.span, (start, start + len(scalar.value)), is_literal=content is not None,
            item=context.item if context.in_versioned_entry else None,
        )  # fmt: skip

    def _add_image(
        self, image: TrackedText, span: tuple[int, int] | None, whole_span: tuple[int, int], *, is_literal: bool,
        item: ListItem | None = None,
    ) -> None:  # fmt: skip
        parsed_image = parse_python_image(image.text)
        if parsed_image is None:
            return
        version_span = image.span(*span) if span and is_literal else None
        if version_span and self._collector.has_declaration_at(version_span[0]):
            self._collector.add_image(version_span[0], image.text)
            return
        reason = parsed_image.reason or ("" if version_span else "The version is composed of several values.")
        role = DeclarationRole.LIST_ITEM if item else DeclarationRole.EXACT
        self._add(
            role if parsed_image.version else DeclarationRole.FLOATING,
            version_span or whole_span,
            subject="an image",
            text=image.text,
            version=parsed_image.version,
            images=(image.text,),
            not_editable_reason=reason,
            unknown_reason="" if parsed_image.version else reason,
            item=item,
        )

    def _variables_in_scope(self, context: YamlContext) -> Mapping[str, TrackedText]:
        variables: dict[str, TrackedText] = {}
        for table in (*context.nearest_values("variables"), *context.nearest_values("env")):
            for key, value in table.pairs if isinstance(table, YamlMapping) else ():
                holder = child_of(value, "value") or value
                content = content_span(self._text, holder) if isinstance(holder, YamlScalar) else None
                if isinstance(key, YamlScalar) and content:
                    variables.setdefault(key.value, TrackedText.from_span(self._text, *content))
        return variables

    def _read_helm_image(self, value: YamlNode) -> None:
        """Read ``image: {repository: python, tag: 3.10-slim}``."""
        repository, tag = child_of(value, "repository"), child_of(value, "tag")
        if not isinstance(repository, YamlScalar) or not isinstance(tag, YamlScalar):
            return
        content = content_span(self._text, tag)
        image = TrackedText(
            f"{repository.value}:{tag.value}",
            [*[-1] * (len(repository.value) + 1), *range(*content or (0, len(tag.value)))],
        )
        parsed_image = parse_python_image(image.text)
        if parsed_image:
            self._add_image(image, parsed_image.span, content or (tag.start, tag.end), is_literal=content is not None)

    def _read_assignments(self, value: YamlNode) -> None:
        """Read ``- PYTHON_VERSION=3.10`` of compose files, ``- {name: PYTHON_VERSION, value: ...}`` of Kubernetes."""
        for scalar, item in scalars_of(value):
            name, separator, version = scalar.value.partition("=")
            content = content_span(self._text, scalar)
            if separator and name.strip().lower() == "toxenv" and self._dialect.is_pipeline:
                self._read_environment_name(YamlContext(), scalar, item)
            if separator and content and VERSION_VARIABLE.fullmatch(name.strip()) and version_of(version):
                self._add(DeclarationRole.EXACT, (content[0] + len(name) + 1, content[1]), subject=name.strip(),
                           version=version_of(version))  # fmt: skip
        for entry in value.items if isinstance(value, YamlSequence) else ():
            name_node, value_node = child_of(entry, "name"), child_of(entry, "value")
            if (
                isinstance(name_node, YamlScalar)
                and isinstance(value_node, YamlScalar)
                and VERSION_VARIABLE.fullmatch(name_node.value)
            ):
                self._read_scalar(YamlContext(), value_node, None, name_node.value)

    # ---- patterns in text

    def _read_patterns(
        self, value: YamlNode, pattern: re.Pattern[str], role: DeclarationRole, subject: str, *, declared: bool = False,
        item: ListItem | None = None, bound_line: int | None = None,
    ) -> None:  # fmt: skip
        for scalar, _ in scalars_of(value):
            for match in pattern.finditer(self._text, scalar.start, scalar.end):
                range_text = match.groupdict().get("range")
                span = match.span("range" if range_text else "version")
                version = single_minor(range_text) if range_text else version_of(match["version"])
                if range_text or version:
                    if item and role is DeclarationRole.EXACT:
                        role = DeclarationRole.LIST_ITEM
                    self._add(
                        DeclarationRole.RANGE if range_text else role, span, subject=subject, version=version,
                        text=range_text or match[0].strip(), declared=declared, item=item, bound_line=bound_line,
                        starts_service=role is DeclarationRole.PATH,
                    )  # fmt: skip

    def _add(self, role: DeclarationRole, span: tuple[int, int], **attributes: Any) -> None:
        self._collector.add(self._dialect.kind, role, *span, **attributes)


def _is_version_list(value: YamlNode) -> bool:
    """Whether it is a list of Python versions only: ``[38, 39, 311]``, ``["3.9", "3.10"]``."""
    return (
        isinstance(value, YamlSequence)
        and bool(value.items)
        and all(isinstance(item, YamlScalar) and version_of(item.value) is not None for item in value.items)
    )


def _matrix_scalars(strategy: YamlNode | None, name: str) -> Iterator[tuple[YamlContext, YamlScalar, ListItem | None]]:
    matrix = child_of(strategy, "matrix")
    if matrix is None or not isinstance(strategy, YamlMapping):
        return
    first, _, inner = name.partition(".")
    for pair_context, key, value in walk_pairs(matrix, YamlContext(mappings=(strategy,), keys=("matrix",))):
        if key == first:
            for scalar, item in combination_scalars(value, inner) if inner else scalars_of(value):
                yield pair_context, scalar, item


def _is_empty_matrix_value(context: YamlContext, expression: str) -> bool:
    """Return whether a job of GitHub refers to a matrix that it does not have: ``${{ matrix.python-version }}``.

    GitHub evaluates a property that does not exist to an empty string.
    https://docs.github.com/en/actions/reference/workflows-and-actions/contexts
    """
    return (
        re.match(r"\$\{\{\s*matrix\.", expression) is not None
        and bool(list(context.nearest_values("runs-on")))
        and not list(context.nearest_values("strategy"))
    )


def _default_scalars(
    context: YamlContext, holder: YamlNode | None, table: str, name: str
) -> Iterator[tuple[YamlContext, YamlScalar, ListItem | None]]:
    for trigger_node in (holder, child_of(holder, "workflow_call"), child_of(holder, "workflow_dispatch")):
        default = child_of(child_of(child_of(trigger_node, table), name), "default")
        for scalar, item in scalars_of(default):
            yield outside_combination(context), scalar, item


def _misread_number(scalar: YamlScalar) -> str:
    value = scalar.value.strip()
    return value.rstrip("0") if not scalar.style and re.fullmatch(r"3\.\d+0", value, re.ASCII) else ""
