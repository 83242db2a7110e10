"""Read values of YAML files: versions, images, and versions in the text of commands. Never raises."""

import re
from collections.abc import Mapping
from typing import Any

from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    ListItem,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.declarations.step_sequences import sequence_items
from pytest_py312.repository.declarations.yaml_expressions import REFERENCE, is_empty_matrix_value, referenced_scalars
from pytest_py312.repository.declarations.yaml_walk import YamlContext, item_of_matrix, scalars_of
from pytest_py312.repository.formats.image_reference import parse_python_image
from pytest_py312.repository.formats.text_positions import TrackedText, expand_variables
from pytest_py312.repository.formats.version_ranges import single_minor
from pytest_py312.repository.formats.yaml import YamlMapping, YamlNode, YamlScalar, child_of, content_span

_SHELL_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_]|[A-Za-z_])", re.ASCII)
_OTHER_PYTHON = re.compile(
    r"pypy|graalpy|jython|ironpython|micropython|3\.\d{1,2}(?:\.\d+)?t(?:-dev)?\Z", re.IGNORECASE | re.ASCII
)
_RANGE_OR_ALIAS = re.compile(
    r"[\s\dvx.*<>=~^|,-]+|python\d?|latest|lts|stable|system|default|(?:mini|ana)conda\S*|(?:mamba|mini)forge\S*",
    re.ASCII,
)
_VERSION_IN_LIST = re.compile(r"([\"'])(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)\1", re.ASCII)
_ENVIRONMENT_NAME = re.compile(r"(?<![\w.])(?:py|python)-?(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII)


class YamlValueReader:
    """Reads values of one YAML file to declarations: versions, images, and versions in the text of commands."""

    def __init__(self, text: str, path: str, kind: str) -> None:
        """``kind`` is that of the declarations."""
        self._text = text
        self._kind = kind
        self._collector = DeclarationCollector(text, path)
        self._step_items: dict[int, tuple[ListItem, str]] = {}

    @property
    def declarations(self) -> tuple[VersionDeclaration, ...]:
        return self._collector.declarations

    def line_at(self, start: int) -> int:
        return self._collector.line_at(start)

    def take_step_sequences(self, root: YamlNode) -> None:
        """Make lists of the steps of a pipeline that are the same but for a version; before a value is read."""
        self._step_items.update(sequence_items(root, self._text))

    def read_scalar(
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
                self.add(
                    DeclarationRole.LIST_ITEM,
                    (content[0] + match.start("version"), content[0] + match.end("version")),
                    subject=subject,
                    version=version_of(match["version"]),
                    item=list_item,
                )
        elif reference := REFERENCE.fullmatch(value):
            targets = list(referenced_scalars(context, reference))
            for target_context, target, target_item in targets:
                if not REFERENCE.search(target.value):
                    self.read_scalar(target_context, target, target_item, subject, image)
            if not targets and context.is_provided_elsewhere(reference[0]):
                self.add(
                    DeclarationRole.IGNORED, content or (scalar.start, scalar.end), subject=subject, declared=False
                )
            elif not targets and is_empty_matrix_value(context, reference[0]):
                self.add(
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
            self.add(DeclarationRole.IGNORED, span, subject=subject, version=version, declared=False)
        elif version:
            self.add(
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
            self.add(DeclarationRole.IGNORED, span, subject=subject)
        elif _RANGE_OR_ALIAS.fullmatch(value):
            self.add(
                DeclarationRole.FLOATING, span, subject=subject,
                unknown_reason="It names no single minor version: its Python can change without a change here.",
            )  # fmt: skip
        elif context.is_provided_elsewhere(value):
            self.add(DeclarationRole.IGNORED, span, subject=subject, declared=False)
        else:
            self._add_unknown(scalar, subject)

    def _add_unknown(self, scalar: YamlScalar, subject: str) -> None:
        content = content_span(self._text, scalar) or (scalar.start, scalar.end)
        self.add(
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
            self.add(
                DeclarationRole.LIST_ITEM if version else DeclarationRole.IGNORED,
                span,
                subject=subject,
                version=version,
                item=item,
            )

    def read_environment_name(self, context: YamlContext, scalar: YamlScalar, item: ListItem | None) -> None:
        content = content_span(self._text, scalar)
        item = item_of_matrix(context, item or context.item, self._text)
        for match in _ENVIRONMENT_NAME.finditer(scalar.value) if content else ():
            start = content[0] if content else 0
            self.add(
                DeclarationRole.LIST_ITEM if item else DeclarationRole.EXACT,
                (start + match.start("version"), start + match.end("version")), subject="a tox environment",
                item=item, version=version_of(match["version"]), declared=False,
            )  # fmt: skip

    # ---- images

    def read_image(self, context: YamlContext, scalar: YamlScalar) -> None:
        content = content_span(self._text, scalar)
        value = scalar.value.strip()
        if not value or ("python" not in value.lower() and parse_python_image(value) is None and "$" not in value):
            return
        start = content[0] if content else scalar.start
        reference = REFERENCE.search(value)
        if reference and not _SHELL_VARIABLE.match(reference[0]):
            for target_context, target, item in referenced_scalars(context, reference):
                image = value.replace(reference[0], target.value.strip())
                if parse_python_image(image):
                    self.read_scalar(target_context, target, item, "an image", image)
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
        self.add(
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

    def read_helm_image(self, value: YamlNode) -> None:
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

    # ---- patterns in text

    def read_patterns(
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
                    self.add(
                        DeclarationRole.RANGE if range_text else role, span, subject=subject, version=version,
                        text=range_text or match[0].strip(), declared=declared, item=item, bound_line=bound_line,
                        starts_service=role is DeclarationRole.PATH,
                    )  # fmt: skip

    def add(self, role: DeclarationRole, span: tuple[int, int], **attributes: Any) -> None:
        self._collector.add(self._kind, role, *span, **attributes)


def _misread_number(scalar: YamlScalar) -> str:
    value = scalar.value.strip()
    return value.rstrip("0") if not scalar.style and re.fullmatch(r"3\.\d+0", value, re.ASCII) else ""
