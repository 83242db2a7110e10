"""Edits of the dependencies of a pyproject.toml or a Pipfile: one specifier changes, or one comment.

The string is found by its place and replaced there, so no formatting is ever written anew. An edit is proved before it
is handed back: the new text is parsed, and nothing but the one string may differ.

One string of a TOML document: what it says, and where each of its characters stands in the document.
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

from pytest_py312.core.text_edits import EditRefused, Splice, annotated, spliced
from pytest_py312.repository.edits.specifiers import (
    clause_splices,
    clauses_of,
    requirement_splices,
    same_specifier,
    specifier_set,
)
from pytest_py312.repository.formats.toml import KeyPath, TomlText, read_toml, string_spans
from pytest_py312.repository.formats.version_ranges import Untranslatable, specifier_of

_BARE = re.compile(r"\s*(?:\^|~(?!=)|=(?!=))?\s*v?(?P<version>[0-9][^\s,<>=!~^|]*)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """One dependency: the path of its string, and whether that is in Poetry's form (``name = "^1.2"``)."""

    name: str
    path: KeyPath
    poetry: bool


def set_specifier(text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str:
    """``text`` with ``specifier`` (PEP 440) for the dependency ``name`` whose string or key is on ``line`` (from 1).

    Poetry's own forms are kept where they can say it: ``^1.2`` with ``>=1.3,<2`` becomes ``^1.3``.

    :param old: the specifier (PEP 440) that must be there now, in any equal spelling; ``None``: any. It also tells
        two dependencies of one name on one line apart.
    :raises EditRefused: there is no such dependency, more than one, or it cannot be edited by itself.
    """
    wanted = specifier_set(specifier)
    toml, body = _parsed(text)
    place, string = _chosen(toml, body, line, name, wanted, old)
    if place.poetry:
        splices = _poetry_splices(string.text, name, specifier, old)
    else:
        splices = requirement_splices(string.text, name=name, specifier=specifier, old=old)
    edited = spliced(body, [string.in_document(splice) for splice in splices])
    _prove(toml, edited, place, spliced(string.text, splices), specifier)
    return text[: len(text) - len(body)] + edited


def annotate(text: str, *, line: int, comment: str) -> str:
    """``text`` with ``# py312: comment`` at the end of the line on which the dependency at ``line`` ends.

    :raises EditRefused: there is no dependency, or a comment would change what the file says.
    """
    toml, body = _parsed(text)
    spans = string_spans(body, toml.data)
    places = [place for place in _places(toml) if toml.line(*_line_key(place)) == line and place.path in spans]
    if not places:
        raise EditRefused(f"Line {line} holds no dependency that can be annotated.")
    last = max(spans[place.path][1] for place in places)
    start = body.rfind("\n", 0, last) + 1
    end = body.find("\n", last)
    end = len(body) if end < 0 else end
    end -= body.endswith("\r", start, end)
    # what stands before the end of the string is no comment, whatever it looks like
    edited = body[: last - 1] + annotated(body[last - 1 : end], comment) + body[end:]
    if _repr(read_toml(edited).data) != _repr(toml.data):
        raise EditRefused("A comment there would change what the file says.")
    return text[: len(text) - len(body)] + edited


def _parsed(text: str) -> tuple[TomlText, str]:
    toml = read_toml(text)
    if toml.trouble:
        raise EditRefused(f"The file is no TOML: {toml.trouble}.")
    return toml, text.removeprefix("\ufeff")


def _places(toml: TomlText) -> Iterator[_Place]:
    lists: list[tuple[str, ...]] = [("project", "dependencies"), ("tool", "uv", "dev-dependencies")]
    lists += [("project", "optional-dependencies", extra) for extra in toml.table("project", "optional-dependencies")]
    lists += [("dependency-groups", group) for group in toml.table("dependency-groups")]
    for keys in lists:
        value = toml.value(*keys)
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, str):
                yield _Place(name=_name_of(item), path=(*keys, index), poetry=False)
    tables: list[tuple[str, ...]] = [("tool", "poetry", "dependencies"), ("tool", "poetry", "dev-dependencies")]
    tables += [("tool", "poetry", "group", name, "dependencies") for name in toml.table("tool", "poetry", "group")]
    tables += [("packages",), ("dev-packages",)]  # of a Pipfile, whose forms are Poetry's
    for keys in tables:
        for name, value in toml.table(*keys).items():
            if canonicalize_name(name) != "python":
                yield from _poetry_places(name, value, (*keys, name))


def _poetry_places(name: str, value: Any, path: KeyPath) -> Iterator[_Place]:
    forms = [((*path, index), form) for index, form in enumerate(value)] if isinstance(value, list) else [(path, value)]
    for form_path, form in forms:
        if isinstance(form, str):
            yield _Place(name=canonicalize_name(name), path=form_path, poetry=True)
        elif isinstance(form, Mapping) and _has_version(form):
            yield _Place(name=canonicalize_name(name), path=(*form_path, "version"), poetry=True)


def _has_version(form: Mapping[str, Any]) -> bool:
    return isinstance(form.get("version"), str) and not {"git", "path", "url", "file"} & form.keys()


def _name_of(requirement: str) -> str:
    try:
        return canonicalize_name(Requirement(requirement.strip()).name)
    except (ValueError, RecursionError):
        return ""


def _line_key(place: _Place) -> KeyPath:
    """The path whose line a reader gives for the dependency: its list element, or its key in Poetry's table."""
    if not place.poetry:
        return place.path
    if place.path[0] != "tool":
        return place.path[:2]
    return place.path[: 6 if place.path[2] == "group" else 4]


@dataclass(frozen=True, kw_only=True, slots=True)
class TomlString:
    """``text`` is what the string says; ``places[i]`` where (start, end) its character ``i`` stands.

    ``opening`` is where the first character would stand in an empty string.
    """

    text: str
    places: Sequence[tuple[int, int]]
    opening: int

    def in_document(self, splice: Splice) -> Splice:
        """A splice of :attr:`text` as one of the document."""
        if splice.start == splice.end:
            place = self.places[splice.start - 1][1] if splice.start else self.opening
            return Splice(start=place, end=place, text=splice.text)
        return Splice(start=self.places[splice.start][0], end=self.places[splice.end - 1][1], text=splice.text)


def _chosen(
    toml: TomlText, body: str, line: int, name: str, wanted: SpecifierSet, old: str | None
) -> tuple[_Place, TomlString]:
    """The one dependency that is meant."""
    spans = string_spans(body, toml.data)
    here = [
        (place, toml_string(body, spans[place.path]))
        for place in _places(toml)
        if place.name == canonicalize_name(name) and place.path in spans and toml.line(*_line_key(place)) == line
    ]
    if not here:
        raise EditRefused(f"Line {line} holds no dependency on {name} whose version can be edited.")
    if len(here) > 1 and old is not None:
        present = [(found, _present(*found)) for found in here]
        exact = [found for found, specifier in present if specifier is not None and same_specifier(old, specifier)]
        here = exact or [found for found, specifier in present if specifier == wanted][:1] or here
    if len(here) > 1:
        raise EditRefused(f"Line {line} holds {len(here)} dependencies on {name}, and nothing tells which is meant.")
    return here[0]


def _present(place: _Place, string: TomlString) -> SpecifierSet | None:
    try:
        return SpecifierSet(specifier_of(string.text)) if place.poetry else Requirement(string.text.strip()).specifier
    except (Untranslatable, ValueError, RecursionError):
        return None


def _poetry_splices(text: str, name: str, specifier: str, old: str | None) -> tuple[Splice, ...]:
    try:
        present = SpecifierSet(specifier_of(text))
    except Untranslatable as error:
        raise EditRefused(f"The dependency {name} {error}.") from None
    wanted = specifier_set(specifier)
    if present == wanted:
        return ()
    if old is not None and not same_specifier(old, present):
        raise EditRefused(f'{name} has the specifier "{present}", not "{old}".')
    clauses, new = clauses_of(text), clauses_of(specifier) or ()
    bare = _BARE.fullmatch(text)
    for clause in new if bare else ():
        splice = Splice(start=bare.start("version"), end=bare.end("version"), text=clause.version)  # type: ignore[union-attr]  # there are none without it
        if _says(spliced(text, [splice]), wanted):
            return (splice,)
    if clauses:
        splices = clause_splices(clauses, new)
        if _says(spliced(text, splices), wanted):
            return splices
    return (Splice(start=0, end=len(text), text=",".join(clause.operator + clause.version for clause in new)),)


def _says(constraint: str, wanted: SpecifierSet) -> bool:
    try:
        return same_specifier(specifier_of(constraint), wanted)
    except Untranslatable:
        return False


def _prove(toml: TomlText, edited: str, place: _Place, string: str, specifier: str) -> None:
    """Refuse an edit that changes more than the one string, or more of that than its specifier."""
    try:
        expected = deepcopy(toml.data)
    except RecursionError:
        raise EditRefused("The file is nested too deeply.") from None
    owner: Any = expected
    for step in place.path[:-1]:
        owner = owner[step]
    before = owner[place.path[-1]]
    owner[place.path[-1]] = string
    good = _repr(read_toml(edited).data) == _repr(expected)
    if good and place.poetry:
        good = _says(string, specifier_set(specifier))
    elif good:
        was, now = Requirement(before.strip()), Requirement(string.strip())
        good = same_specifier(specifier, now.specifier)
        good = good and (was.name, was.extras, str(was.marker)) == (now.name, now.extras, str(now.marker))
    if not good:
        raise EditRefused(f"The specifier of {place.name} cannot be changed without changing what else the file says.")


def _repr(data: Mapping[str, Any]) -> str:
    """For comparing: a TOML document may hold ``nan``, which equals nothing."""
    try:
        return repr(data)
    except RecursionError:
        raise EditRefused("The file is nested too deeply.") from None


_UNIT = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[^uU])|[^\\]", re.DOTALL)


def toml_string(document: str, span: tuple[int, int]) -> TomlString:
    """The string literal at ``span`` of ``document``.

    :raises EditRefused: it runs over several lines in a way that leaves open where its characters stand.
    """
    start, end = span
    raw = document[start:end]
    mark = next(mark for mark in ('"""', "'''", '"', "'") if raw.startswith(mark))
    text = str(tomllib.loads(f"key = {raw}")["key"])
    start, end = start + len(mark), end - len(mark)
    if len(mark) == 3:
        start += 2 if document.startswith("\r\n", start) else 1 if document.startswith("\n", start) else 0
    if "'" in mark:
        places = [(place, place + 1) for place in range(start, end)]
    else:
        places = [match.span() for match in _UNIT.finditer(document, start, end)]
    if len(places) != len(text):
        raise EditRefused("The requirement is written over several lines of one string; edit it by hand.")
    return TomlString(text=text, places=places, opening=start)
