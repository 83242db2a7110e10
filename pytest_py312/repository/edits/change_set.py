"""Edits of many files, planned as bytes before and after, and shown as a unified diff. Reads, and changes nothing."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from packaging.utils import canonicalize_name

from pytest_py312.core.files import Refused, read_regular
from pytest_py312.core.model.findings import SourceChange
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.edits import pyproject as pyproject_editor
from pytest_py312.repository.edits import requirements_file as requirements_editor
from pytest_py312.repository.edits import setup_cfg as setup_cfg_editor
from pytest_py312.repository.edits import setup_py as setup_py_editor
from pytest_py312.repository.edits.python.rewrite import mend
from pytest_py312.repository.edits.python.syntax import decoded as decoded_python
from pytest_py312.repository.edits.specifiers import specifier_set

SIZE_LIMIT = 2 * 1024**2
"""Bytes: larger files hold no requirements that a person wrote."""

REGENERATED_BY = {
    "uv.lock": "uv lock",
    "poetry.lock": "poetry lock",
    "pdm.lock": "pdm lock",
    "Pipfile.lock": "pipenv lock",
}
"""Lock files, and the command that makes them anew."""

_LOCKS_OF = {"pyproject.toml": ("uv.lock", "poetry.lock", "pdm.lock"), "Pipfile": ("Pipfile.lock",)}
_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """The requirement ``name`` on ``line`` of ``path`` gets the specifier ``new``; ``old`` must be there now.

    ``path`` is relative to the root; ``old`` is in any equal spelling and may be empty; the line counts from 1.
    """

    path: str
    line: int
    name: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """The requirement on ``line`` of ``path`` gets the comment ``# py312: comment``."""

    path: str
    line: int
    comment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """All edits of one file together."""

    path: str
    before: bytes
    after: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An edit that is not made; ``reason`` is a sentence or two."""

    edit: Edit | Annotation | SourceChange
    reason: str

    def __str__(self) -> str:
        return f"{self.edit.path}:{self.edit.line}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class MendingPlan:
    """What would be written, sorted by path (files that stay as they are left out), and what is refused."""

    changes: tuple[FileChange, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class _Editor(Protocol):
    """A module of ``editors``."""

    def set_specifier(self, text: str, *, line: int, name: str, specifier: str, old: str | None = None) -> str: ...

    def annotate(self, text: str, *, line: int, comment: str) -> str: ...


_EDITORS: Mapping[str, _Editor] = {
    "pyproject.toml": pyproject_editor,
    "Pipfile": pyproject_editor,
    "setup.cfg": setup_cfg_editor,
    "setup.py": setup_py_editor,
}


def plan_edits(root: Path, edits: Iterable[Edit | Annotation | SourceChange]) -> MendingPlan:
    """Make ``edits`` on the files beneath ``root`` as they are now. Writes nothing, and never raises for an edit.

    Two edits that want different specifiers for one requirement are both refused: a file that several services share
    has to suit all of them.
    """
    by_path: dict[str, list[Edit | Annotation | SourceChange]] = {}
    for edit in dict.fromkeys(edits):
        by_path.setdefault(edit.path, []).append(edit)
    changes: list[FileChange] = []
    refusals: list[Refusal] = []
    for path, wanted in sorted(by_path.items()):
        try:
            before = read_regular(root, path, SIZE_LIMIT)
            others = [edit for edit in wanted if not isinstance(edit, SourceChange)]
            after = _edited(path, before, others, refusals) if others else before
            # last, as an import may need a line more: the lines of the others are those of the file as it was
            after = _source_edited(after, [edit for edit in wanted if isinstance(edit, SourceChange)], refusals)
        except (Refused, EditRefused) as error:
            refusals += [Refusal(edit=edit, reason=str(error)) for edit in wanted]
            continue
        if after != before:
            changes.append(FileChange(path=path, before=before, after=after))
    return MendingPlan(changes=tuple(changes), refusals=tuple(refusals))


def _edited(path: str, before: bytes, edits: Sequence[Edit | Annotation], refusals: list[Refusal]) -> bytes:
    editor = _editor_of(path)
    text, encode = decoded(before)
    at_odds = _at_odds(edits)
    # specifiers first: neither kind of edit moves a line, and a comment says what is left
    for edit in sorted(edits, key=lambda edit: isinstance(edit, Annotation)):
        try:
            if isinstance(edit, Edit) and edit in at_odds:
                raise EditRefused(f"{edit.name} is to become {at_odds[edit]}, and only one of them can be written.")
            edited = _made(editor, text, edit)
            encode(edited)
        except EditRefused as error:
            refusals.append(Refusal(edit=edit, reason=str(error)))
        except UnicodeEncodeError:
            refusals.append(Refusal(edit=edit, reason="The comment has letters that the file's encoding has not."))
        else:
            text = edited
    return encode(text)


def with_source_changes(file: FileChange, changes: Sequence[SourceChange]) -> tuple[FileChange, tuple[Refusal, ...]]:
    """``file`` with further ``changes``, of the text that it would have, and those that are refused."""
    refusals: list[Refusal] = []
    try:
        return replace(file, after=_source_edited(file.after, changes, refusals)), tuple(refusals)
    except EditRefused as error:
        return file, tuple(Refusal(edit=change, reason=str(error)) for change in changes)


def _source_edited(before: bytes, changes: Sequence[SourceChange], refusals: list[Refusal]) -> bytes:
    """:raises EditRefused: the file cannot be read as Python, or cannot be written in its encoding."""
    if not changes:
        return before
    text, encode = decoded_python(before)
    mended = mend(text, changes)
    refusals += [Refusal(edit=change, reason=reason) for change, reason in mended.refused]
    return encode(mended.text)


def _made(editor: _Editor, text: str, edit: Edit | Annotation) -> str:
    if isinstance(edit, Annotation):
        return editor.annotate(text, line=edit.line, comment=edit.comment)
    return editor.set_specifier(text, line=edit.line, name=edit.name, specifier=edit.new, old=edit.old)


def _at_odds(edits: Sequence[Edit | Annotation]) -> dict[Edit, str]:
    """Edits of one requirement to different specifiers, with all that it is to become."""
    groups: dict[tuple[int, str, str], list[Edit]] = {}
    for edit in edits:
        if isinstance(edit, Edit):
            key = (edit.line, canonicalize_name(edit.name), _canonical(edit.old))
            groups.setdefault(key, []).append(edit)
    found: dict[Edit, str] = {}
    for group in groups.values():
        if len({_canonical(edit.new) for edit in group}) > 1:
            words = " and ".join(dict.fromkeys(edit.new for edit in group))
            found.update(dict.fromkeys(group, words))
    return found


def _canonical(specifier: str) -> str:
    try:
        return str(specifier_set(specifier))
    except EditRefused:
        return specifier


def _editor_of(path: str) -> _Editor:
    """:raises EditRefused: for files that are not edited by hand, or not by us."""
    name = path.rpartition("/")[2]
    command = REGENERATED_BY.get(name)
    if re.fullmatch(r"pylock(\.[^.]+)?\.toml", name):
        command = "uv export --format pylock.toml"
    if command:
        raise EditRefused(f"A lock file is not edited by hand: edit what it is made from, then run: {command}")
    return _EDITORS.get(name, requirements_editor)


def decoded(data: bytes) -> tuple[str, Callable[[str], bytes]]:
    """The text as the readers take it (a byte order mark stays in it), and the way back to bytes."""
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = data.decode(encoding)
        if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            raise EditRefused("The file is not in the encoding that its byte order mark says.") from None
    if text.encode(encoding) != data:
        raise EditRefused("The file's encoding would not survive an edit.")
    return text, lambda edited: edited.encode(encoding)


def stale_locks(root: Path, changes: Iterable[FileChange]) -> tuple[tuple[str, str], ...]:
    """(Path of a lock file, the command that makes it anew) for each lock that ``changes`` leave behind, sorted.

    A workspace has its lock above its members, so the folders above are looked into, up to the root.
    """
    found: set[tuple[str, str]] = set()
    for change in changes:
        folder, _, name = change.path.rpartition("/")
        names = _LOCKS_OF.get(name, ())
        while names:
            prefix = f"{folder}/" if folder else ""
            found |= {(prefix + lock, REGENERATED_BY[lock]) for lock in names if (root / prefix / lock).is_file()}
            if not folder:
                break
            folder = folder.rpartition("/")[0]
    return tuple(sorted(found))


def diff_of(changes: Iterable[FileChange]) -> str:
    """A unified diff that ``git apply`` and ``patch -p1`` take. Line ends are as in the files.

    Bytes that are no UTF-8 are kept as surrogates: encode with ``errors="surrogateescape"`` to have them back.
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
    encoding = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), "")
    text = data.decode(encoding, "replace") if encoding else data.decode("utf-8", "surrogateescape")
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _header(name: str) -> str:
    if re.search(r'[\x00-\x1f"\\\x7f]', name):
        quoted = re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\{ord(match[0]):03o}", re.sub(r'(["\\])', r"\\\1", name))
        return f'"{quoted}"'
    return f"{name}\t" if " " in name else name
