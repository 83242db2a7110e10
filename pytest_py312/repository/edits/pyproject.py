"""Change the specifier or the comment of a dependency in a pyproject.toml or a Pipfile.

Only the dependency's string is replaced, so the formatting stays. Each edit is verified by parsing the new text: only
that string may differ.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from pytest_py312.core.text_edits import EditRefused, TextEdit, annotate_line, apply_edits
from pytest_py312.repository.edits.specifiers import (
    clause_edits,
    parse_clauses,
    parse_specifier,
    requirement_edits,
    same_specifier,
)
from pytest_py312.repository.formats.toml import KeyPath, TomlText, read_toml, string_spans
from pytest_py312.repository.formats.version_ranges import Untranslatable, to_specifier

_BARE_VERSION = re.compile(r"\s*(?:\^|~(?!=)|=(?!=))?\s*v?(?P<version>[0-9][^\s,<>=!~^|]*)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Dependency:
    """A dependency: the path of its string, and whether it is in Poetry's form (``name = "^1.2"``)."""

    name: str
    path: KeyPath
    poetry: bool


def set_specifier(text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
    """Return ``text`` with ``specifier`` (PEP 440) for the dependency ``name`` on ``line`` (from 1).

    Poetry's own forms are kept where possible: ``^1.2`` with ``>=1.3,<2`` becomes ``^1.3``.

    :param old: the specifier (PEP 440) that has to be there now, in any equal spelling; ``None``: any. It also
        distinguishes two dependencies of one name on a line.
    :raises EditRefused: there is no such dependency, there are several, or it cannot be edited on its own.
    """
    requested = parse_specifier(specifier)
    toml, body = _parsed(text)
    dependency, string = _find_dependency(toml, body, line, name, requested, old)
    if dependency.poetry:
        text_edits = _poetry_edits(string.text, name, specifier, old)
    else:
        text_edits = requirement_edits(string.text, name=name, specifier=specifier, old=old)
    edited = apply_edits(body, [string.to_document_edit(text_edit) for text_edit in text_edits])
    _verify_edit(toml, edited, dependency, apply_edits(string.text, text_edits), specifier)
    return text[: len(text) - len(body)] + edited


def annotate(text: str, *, line: int, comment: str) -> str:
    """Return ``text`` with ``# py312: comment`` at the end of the line on which the dependency at ``line`` ends.

    :raises EditRefused: there is no dependency, or a comment would change what the file means.
    """
    toml, body = _parsed(text)
    spans = string_spans(body, toml.data)
    dependencies = [
        dependency
        for dependency in _dependencies(toml)
        if toml.line(*_line_key(dependency)) == line and dependency.path in spans
    ]
    if not dependencies:
        raise EditRefused(f"Line {line} holds no dependency that can be annotated.")
    last = max(spans[dependency.path][1] for dependency in dependencies)
    start = body.rfind("\n", 0, last) + 1
    end = body.find("\n", last)
    end = len(body) if end < 0 else end
    end -= body.endswith("\r", start, end)
    # a # inside the string starts no comment
    edited = body[: last - 1] + annotate_line(body[last - 1 : end], comment) + body[end:]
    if _comparable(read_toml(edited).data) != _comparable(toml.data):
        raise EditRefused("A comment there would change what the file means.")
    return text[: len(text) - len(body)] + edited


def _parsed(text: str) -> tuple[TomlText, str]:
    toml = read_toml(text)
    if toml.parse_error:
        raise EditRefused(f"The file is not valid TOML: {toml.parse_error}.")
    return toml, text.removeprefix("\ufeff")


def _dependencies(toml: TomlText) -> Iterator[_Dependency]:
    lists: list[tuple[str, ...]] = [("project", "dependencies"), ("tool", "uv", "dev-dependencies")]
    lists += [("project", "optional-dependencies", extra) for extra in toml.table("project", "optional-dependencies")]
    lists += [("dependency-groups", group) for group in toml.table("dependency-groups")]
    for keys in lists:
        value = toml.value(*keys)
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, str):
                yield _Dependency(name=_project_of(item), path=(*keys, index), poetry=False)
    tables: list[tuple[str, ...]] = [("tool", "poetry", "dependencies"), ("tool", "poetry", "dev-dependencies")]
    tables += [("tool", "poetry", "group", name, "dependencies") for name in toml.table("tool", "poetry", "group")]
    tables += [("packages",), ("dev-packages",)]  # of a Pipfile, which has the same forms as Poetry
    for keys in tables:
        for name, value in toml.table(*keys).items():
            if canonicalize_name(name) != "python":
                yield from _poetry_dependencies(name, value, (*keys, name))


def _poetry_dependencies(name: str, value: Any, path: KeyPath) -> Iterator[_Dependency]:
    forms = [((*path, index), form) for index, form in enumerate(value)] if isinstance(value, list) else [(path, value)]
    for form_path, form in forms:
        if isinstance(form, str):
            yield _Dependency(name=canonicalize_name(name), path=form_path, poetry=True)
        elif isinstance(form, Mapping) and _has_version(form):
            yield _Dependency(name=canonicalize_name(name), path=(*form_path, "version"), poetry=True)


def _has_version(form: Mapping[str, Any]) -> bool:
    return isinstance(form.get("version"), str) and not {"git", "path", "url", "file"} & form.keys()


def _project_of(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement.strip()).name)
    except (ValueError, RecursionError):
        return ""


def _line_key(dependency: _Dependency) -> KeyPath:
    """Return the path whose line readers report for the dependency: its list element, or its key in Poetry's table."""
    if not dependency.poetry:
        return dependency.path
    if dependency.path[0] != "tool":
        return dependency.path[:2]
    return dependency.path[: 6 if dependency.path[2] == "group" else 4]


@dataclass(frozen=True, kw_only=True, slots=True)
class TomlString:
    """A string literal of a TOML document: its ``text``, and the (start, end) of each character in the document.

    ``opening`` is where the first character of an empty string would be.
    """

    text: str
    spans: Sequence[tuple[int, int]]
    opening: int

    def to_document_edit(self, text_edit: TextEdit) -> TextEdit:
        """Convert an edit of :attr:`text` to an edit of the document."""
        if text_edit.start == text_edit.end:
            offset = self.spans[text_edit.start - 1][1] if text_edit.start else self.opening
            return TextEdit(start=offset, end=offset, text=text_edit.text)
        return TextEdit(start=self.spans[text_edit.start][0], end=self.spans[text_edit.end - 1][1], text=text_edit.text)


def _find_dependency(
    toml: TomlText, body: str, line: int, name: str, requested: SpecifierSet, old: str | None
) -> tuple[_Dependency, TomlString]:
    """Return the dependency ``name`` on ``line``; ``old`` decides between several."""
    spans = string_spans(body, toml.data)
    candidates = [
        (dependency, toml_string(body, spans[dependency.path]))
        for dependency in _dependencies(toml)
        if dependency.name == canonicalize_name(name)
        and dependency.path in spans
        and toml.line(*_line_key(dependency)) == line
    ]
    if not candidates:
        raise EditRefused(f"Line {line} holds no dependency on {name} whose version can be edited.")
    if len(candidates) > 1 and old is not None:

        def having(wanted: str) -> list[tuple[_Dependency, TomlString]]:
            present = ((candidate, _current_specifier(*candidate)) for candidate in candidates)
            return [
                candidate for candidate, current in present if current is not None and same_specifier(wanted, current)
            ]

        candidates = having(old) or having(str(requested))[:1] or candidates
    if len(candidates) > 1:
        raise EditRefused(f"Line {line} holds {len(candidates)} dependencies on {name}; change the right one manually.")
    return candidates[0]


def _current_specifier(dependency: _Dependency, string: TomlString) -> SpecifierSet | None:
    try:
        return (
            SpecifierSet(to_specifier(string.text)) if dependency.poetry else Requirement(string.text.strip()).specifier
        )
    except (Untranslatable, ValueError, RecursionError):
        return None


def _poetry_edits(text: str, name: str, specifier: str, old: str | None) -> tuple[TextEdit, ...]:
    try:
        current = SpecifierSet(to_specifier(text))
    except Untranslatable as error:
        raise EditRefused(f"The dependency {name} {error}.") from None
    requested = parse_specifier(specifier)
    if same_specifier(specifier, current):
        return ()
    if old is not None and not same_specifier(old, current):
        raise EditRefused(f'{name} has the specifier "{current}", not "{old}".')
    clauses, new = parse_clauses(text), parse_clauses(specifier) or ()
    bare_version = _BARE_VERSION.fullmatch(text)
    for clause in new if bare_version else ():
        text_edit = TextEdit(start=bare_version.start("version"), end=bare_version.end("version"), text=clause.version)  # type: ignore[union-attr]  # the loop is empty without a match
        if _constraint_equals(apply_edits(text, [text_edit]), requested):
            return (text_edit,)
    if clauses:
        text_edits = clause_edits(clauses, new)
        if _constraint_equals(apply_edits(text, text_edits), requested):
            return text_edits
    return (TextEdit(start=0, end=len(text), text=",".join(clause.operator + clause.version for clause in new)),)


def _constraint_equals(constraint: str, specifiers: SpecifierSet) -> bool:
    try:
        return same_specifier(to_specifier(constraint), specifiers)
    except Untranslatable:
        return False


def _verify_edit(toml: TomlText, edited: str, dependency: _Dependency, string: str, specifier: str) -> None:
    """Refuse an edit that changes more than the specifier in that string."""
    try:
        expected = deepcopy(toml.data)
    except RecursionError:
        raise EditRefused("The file is nested too deeply.") from None
    owner: Any = expected
    for step in dependency.path[:-1]:
        owner = owner[step]
    original = owner[dependency.path[-1]]
    owner[dependency.path[-1]] = string
    is_valid = _comparable(read_toml(edited).data) == _comparable(expected)
    if is_valid and dependency.poetry:
        is_valid = _constraint_equals(string, parse_specifier(specifier))
    elif is_valid:
        old_requirement, new_requirement = Requirement(original.strip()), Requirement(string.strip())
        is_valid = same_specifier(specifier, new_requirement.specifier)
        is_valid = is_valid and (old_requirement.name, old_requirement.extras, str(old_requirement.marker)) == (
            new_requirement.name,
            new_requirement.extras,
            str(new_requirement.marker),
        )
    if not is_valid:
        raise EditRefused(
            f"The specifier of {dependency.name} cannot be changed without changing something else in the file."
        )


def _comparable(data: Mapping[str, Any]) -> str:
    """Return a form for comparison: a TOML document may contain ``nan``, which is not equal to itself."""
    try:
        return repr(data)
    except RecursionError:
        raise EditRefused("The file is nested too deeply.") from None


_STRING_CHARACTER = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[^uU])|[^\\]", re.DOTALL)


def toml_string(document: str, span: tuple[int, int]) -> TomlString:
    """Return the string literal at ``span`` of ``document``.

    :raises EditRefused: it spans several lines, so that the position of its characters is ambiguous.
    """
    start, end = span
    raw = document[start:end]
    quote = next(quote for quote in ('"""', "'''", '"', "'") if raw.startswith(quote))
    text = str(tomllib.loads(f"key = {raw}")["key"])
    start, end = start + len(quote), end - len(quote)
    if len(quote) == 3:
        start += 2 if document.startswith("\r\n", start) else 1 if document.startswith("\n", start) else 0
    if "'" in quote:
        spans = [(offset, offset + 1) for offset in range(start, end)]
    else:
        spans = [match.span() for match in _STRING_CHARACTER.finditer(document, start, end)]
    if len(spans) != len(text):
        raise EditRefused("The requirement spans several lines of one string; edit it manually.")
    return TomlString(text=text, spans=spans, opening=start)
