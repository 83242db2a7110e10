"""Plan edits of many files as bytes before and after, and show them as a unified diff. Writes nothing."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name

from pytest_py312.core.files import UnsafeFile, read_regular_file
from pytest_py312.core.model.findings import SourceChange
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits import pyproject as pyproject_editor
from pytest_py312.repository.edits import requirements_file as requirements_editor
from pytest_py312.repository.edits.python.rewrite import rewrite
from pytest_py312.repository.edits.python.syntax import decode_source as decoded_python
from pytest_py312.repository.edits.setuptools import SetupCfgEditor, SetupPyEditor
from pytest_py312.repository.edits.specifiers import parse_specifier
from pytest_py312.repository.formats.lockfiles import LOCK_FORMATS, lock_format
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.tree import join_path, leaves_root

SIZE_LIMIT = 2 * 1024**2
"""Maximum size in bytes: larger files hold no requirements written by a person."""

PANTS_LOCK_COMMAND = "pants generate-lockfiles"
_MAX_RESOLVES = 50
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecifierEdit:
    """Give the requirement ``name`` on ``line`` of ``path`` the specifier ``new``; ``old`` has to be there now.

    ``path`` is relative to the root; ``old`` may be empty, and in any equal spelling; lines count from 1.
    """

    path: str
    line: int
    name: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementComment:
    """Give the requirement on ``line`` of ``path`` the comment ``# py312: comment``."""

    path: str
    line: int
    comment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """All edits of one file."""

    path: str
    before: bytes
    after: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedEdit:
    """An edit that is not made; ``reason`` consists of one or two sentences."""

    edit: SpecifierEdit | RequirementComment | SourceChange
    reason: str

    def __str__(self) -> str:
        return f"{self.edit.path}:{self.edit.line}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeSet:
    """Changed files, sorted by path, and refused edits."""

    changes: tuple[FileChange, ...] = ()
    refusals: tuple[RefusedEdit, ...] = ()


class _Editor(Protocol):
    """The editor of one file format: a module of this package, or an object."""

    def set_specifier(self, text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str: ...

    def annotate(self, text: str, *, line: int, comment: str) -> str: ...


_EDITORS: Mapping[str, _Editor] = {
    "pyproject.toml": pyproject_editor,
    "Pipfile": pyproject_editor,
    "setup.cfg": SetupCfgEditor(),
    "setup.py": SetupPyEditor(),
}


def plan_changes(root: Path, edits: Iterable[SpecifierEdit | RequirementComment | SourceChange]) -> ChangeSet:
    """Apply ``edits`` to the files below ``root`` as they are now. Writes nothing, and never raises for an edit.

    Different specifiers for one requirement are all refused: a file shared by several services has to suit all of them.
    """
    by_path: dict[str, list[SpecifierEdit | RequirementComment | SourceChange]] = {}
    for edit in dict.fromkeys(edits):
        by_path.setdefault(edit.path, []).append(edit)
    changes: list[FileChange] = []
    refusals: list[RefusedEdit] = []
    for path, file_edits in sorted(by_path.items()):
        try:
            content = read_regular_file(root, path, SIZE_LIMIT)
            requirement_edits = [edit for edit in file_edits if not isinstance(edit, SourceChange)]
            new_content = (
                _edit_requirements(path, content, requirement_edits, refusals) if requirement_edits else content
            )
            # last, because an import may add a line, and all line numbers refer to the original file
            new_content = _edit_source(
                new_content, [edit for edit in file_edits if isinstance(edit, SourceChange)], refusals
            )
        except (UnsafeFile, EditRefused) as error:
            refusals += [RefusedEdit(edit=edit, reason=str(error)) for edit in file_edits]
            continue
        if new_content != content:
            changes.append(FileChange(path=path, before=content, after=new_content))
    return ChangeSet(changes=tuple(changes), refusals=tuple(refusals))


def _edit_requirements(
    path: str, content: bytes, edits: Sequence[SpecifierEdit | RequirementComment], refusals: list[RefusedEdit]
) -> bytes:
    editor = _editor_for(path)
    text, encode = decode_text(content)
    conflicts = _conflicting_edits(edits)
    # specifiers first: comments describe what remains, and neither kind of edit moves a line
    for edit in sorted(edits, key=lambda edit: isinstance(edit, RequirementComment)):
        try:
            if isinstance(edit, SpecifierEdit) and edit in conflicts:
                raise EditRefused(f"{edit.name} would become {conflicts[edit]}, and only one of them can be written.")
            edited = _apply_edit(editor, text, edit)
            encode(edited)
        except EditRefused as error:
            refusals.append(RefusedEdit(edit=edit, reason=str(error)))
        except UnicodeEncodeError:
            refusals.append(
                RefusedEdit(edit=edit, reason="The comment has characters that the file's encoding does not support.")
            )
        else:
            text = edited
    return encode(text)


def with_source_changes(
    file: FileChange, changes: Sequence[SourceChange]
) -> tuple[FileChange, tuple[RefusedEdit, ...]]:
    """Apply further ``changes`` to the new text of ``file``; also return those that are refused."""
    refusals: list[RefusedEdit] = []
    try:
        return replace(file, after=_edit_source(file.after, changes, refusals)), tuple(refusals)
    except EditRefused as error:
        return file, tuple(RefusedEdit(edit=change, reason=str(error)) for change in changes)


def _edit_source(content: bytes, changes: Sequence[SourceChange], refusals: list[RefusedEdit]) -> bytes:
    """Apply changes of Python source.

    :raises EditRefused: the file cannot be read as Python, or cannot be written in its encoding.
    """
    if not changes:
        return content
    text, encode = decoded_python(content)
    rewritten = rewrite(text, changes)
    refusals += [RefusedEdit(edit=change, reason=reason) for change, reason in rewritten.refused]
    return encode(rewritten.text)


def _apply_edit(editor: _Editor, text: str, edit: SpecifierEdit | RequirementComment) -> str:
    if isinstance(edit, RequirementComment):
        return editor.annotate(text, line=edit.line, comment=edit.comment)
    return editor.set_specifier(text, line=edit.line, name=edit.name, specifier=edit.new, old=edit.old)


def _conflicting_edits(edits: Sequence[SpecifierEdit | RequirementComment]) -> dict[SpecifierEdit, str]:
    """Return the edits of one requirement to different specifiers, with all these specifiers."""
    groups: dict[tuple[int, str, str], list[SpecifierEdit]] = {}
    for edit in edits:
        if isinstance(edit, SpecifierEdit):
            key = (edit.line, canonicalize_name(edit.name), _canonical(edit.old))
            groups.setdefault(key, []).append(edit)
    conflicts: dict[SpecifierEdit, str] = {}
    for group in groups.values():
        if len({_canonical(edit.new) for edit in group}) > 1:
            specifiers = " and ".join(dict.fromkeys(edit.new for edit in group))
            conflicts.update(dict.fromkeys(group, specifiers))
    return conflicts


def _canonical(specifier: str) -> str:
    try:
        return str(parse_specifier(specifier))
    except EditRefused:
        return specifier


def _editor_for(path: str) -> _Editor:
    """Return the editor of a file.

    :raises EditRefused: the file is generated by a tool.
    """
    name = path.rpartition("/")[2]
    lock = lock_format(name)
    if lock is not None:
        command = " ".join(lock.lock_command) or lock.example_command
        raise EditRefused(f"A lock file is generated: edit its source, then run: {command}")
    return _EDITORS.get(name, requirements_editor)


def decode_text(data: bytes) -> tuple[str, Callable[[str], bytes]]:
    """Decode a file as the readers do (a byte order mark stays in the text); also return its encoder."""
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = data.decode(encoding)
        if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            raise EditRefused("The file is not in the encoding of its byte order mark.") from None
    if text.encode(encoding) != data:
        raise EditRefused("The file's encoding would not survive an edit.")
    return text, lambda edited: edited.encode(encoding)


def stale_locks(root: Path, changes: Iterable[FileChange]) -> tuple[tuple[str, str], ...]:
    """Return (lock file, command that regenerates it) for each lock that ``changes`` make stale, sorted.

    The lock of a workspace is above its members, so the folders above are searched, up to the root.
    """
    stale: set[tuple[str, str]] = set()
    for change in changes:
        folder, _, name = change.path.rpartition("/")
        if name == "pants.toml":
            stale |= {(path, PANTS_LOCK_COMMAND) for path in _pants_locks(root, folder, change)}
        locks = [lock for lock in LOCK_FORMATS if lock.source_file == name and lock.lock_command]
        locks = locks if _concerns_lock(change) else []
        while locks:
            prefix = f"{folder}/" if folder else ""
            stale |= {
                (prefix + lock.name, " ".join(lock.lock_command))
                for lock in locks
                if (root / prefix / lock.name).is_file()
            }
            if not folder:
                break
            folder = folder.rpartition("/")[0]
    return tuple(sorted(stale))


def _pants_locks(root: Path, folder: str, change: FileChange) -> Iterable[str]:
    """Yield the lock files of Pants that are in the repository."""
    resolves = read_toml(change.after.decode("utf-8", "replace")).table("python", "resolves")
    for name in list(resolves.values())[:_MAX_RESOLVES]:
        path = join_path(folder or ".", name) if isinstance(name, str) else ""
        if path and not leaves_root(path) and (root / path).is_file():
            yield path


def _concerns_lock(change: FileChange) -> bool:
    """Return whether a lock has to know of a change: not of the settings of a formatter, or of classifiers."""
    if not change.path.endswith("pyproject.toml"):
        return True
    before, after = (_locked_part(data) for data in (change.before, change.after))
    return before is None or before != after


def _locked_part(data: bytes) -> object:
    """Return what a lock depends on in a pyproject.toml; ``None`` if it cannot be read."""
    toml = read_toml(data.decode("utf-8", "replace"))
    if toml.parse_error:
        return None
    keys = ("requires-python", "dependencies", "optional-dependencies")
    poetry = {key: value for key, value in toml.table("tool", "poetry").items() if key != "classifiers"}
    return (
        [toml.value("project", key) for key in keys],
        toml.value("dependency-groups"),
        poetry,
        [toml.value("tool", name) for name in ("pdm", "uv", "pixi")],
    )


def unified_diff(changes: Iterable[FileChange]) -> str:
    """Return a unified diff for ``git apply`` and ``patch -p1``, with the line ends of the files.

    Bytes that are not UTF-8 become surrogates: encode it with ``errors="surrogateescape"``.
    """
    parts: list[str] = []
    for change in changes:
        old, new = (_lines(data) for data in (change.before, change.after))
        names = (_header(f"a/{change.path}"), _header(f"b/{change.path}"))
        parts += [
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(old, new, *names, lineterm="\n")
        ]
    return "".join(parts)


def _lines(data: bytes) -> list[str]:
    encoding = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), "")
    text = data.decode(encoding, "replace") if encoding else data.decode("utf-8", "surrogateescape")
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _header(name: str) -> str:
    if re.search(r'[\x00-\x1f"\\\x7f]', name):
        quoted = re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\{ord(match[0]):03o}", re.sub(r'(["\\])', r"\\\1", name))
        return f'"{quoted}"'
    return f"{name}\t" if " " in name else name
