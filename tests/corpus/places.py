"""Which changed lines are there because of the Python. Pure functions.

Three kinds count: a declared version (a line in which the baseline or the target of the move appears, goes or changes,
in a file that declares Pythons), a requirement whose version changes, is added or removed, and a block of Python
source. A lock file is one place. Documentation does not count.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import Enum
from pathlib import PurePosixPath

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Interpreter
from tests.corpus.changes import ChangedBlock

LOCK_NAMES = frozenset(("conda-lock.yml", "package-lock.json"))
SETUP_NAMES = frozenset(("setup.py", "noxfile.py"))
PIN_NAMES = frozenset((".python-version", "runtime.txt", ".tool-versions"))
DOCUMENT_ENDINGS = (".md", ".rst", ".adoc", ".html", ".svg", ".ipynb")
DOCUMENT_FOLDERS = frozenset(("doc", "docs", "documentation", "changelog.d", "newsfragments", "releasenotes"))
SIMILARITY = 0.6
"""Two lines that are at least this similar are the same line before and after."""
GAP = 5
"""Unchanged lines between two blocks of source that are one change."""
LONGEST_BLOCK = 200
"""Lines of a block that are paired by similarity, which takes quadratic time."""

_REQUIREMENT = re.compile(
    r"""^\s*(?:-\s+|[\w.-]+\s*=\s*\[\s*)?["']?(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)["']?\s*(?:\[[^\]]*\])?\s*
    (?P<specifier>(?:===?|~=|>=|<=|!=|>|<)\s*[\w.*+!-]+(?:\s*,\s*(?:===?|~=|>=|<=|!=|>|<)\s*[\w.*+!-]+)*
    |@\s*\S+|=\s*["'{\d].*)?""",
    re.VERBOSE,
)
_NOT_REQUIRED = frozenset(
    ("python", "python-version", "python-full-version", "python-requires", "requires-python", "target-version",
     "minversion", "version")
)  # fmt: skip
"""Keys of tables that look like a requirement with its version."""
_VERSION_KEY = re.compile(r"py|runtime|interpreter|target|env_?list|factor|version|\bFROM\b|\bARG\b", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)*")


class PlaceKind(Enum):
    """Why a place is there because of the Python."""

    VERSION = "declared version"
    REQUIREMENT = "requirement"
    SOURCE = "source"
    LOCK = "lock file"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedPlace:
    """A line that is changed, added or removed; of source, a block of lines. A line is ``None`` if it has no side."""

    kind: PlaceKind
    path: str
    old_line: int | None = None
    new_line: int | None = None
    old: str = ""
    new: str = ""

    @property
    def position(self) -> str:
        """``path:line``, the line before the change if there is one."""
        line = self.old_line or self.new_line
        return f"{self.path}:{line}" if line else self.path

    @property
    def lines(self) -> tuple[int, ...]:
        """All numbers of the place, before and after."""
        old = range(self.old_line, self.old_line + self.old.count("\n") + 1) if self.old_line else ()
        new = range(self.new_line, self.new_line + self.new.count("\n") + 1) if self.new_line else ()
        return (*old, *new)


def places_of(
    blocks: Iterable[ChangedBlock],
    baseline: Interpreter,
    target: Interpreter,
    *,
    locks: frozenset[str] = frozenset(),
    everything: bool = False,
) -> tuple[ChangedPlace, ...]:
    """Return the places of a diff.

    :param locks: paths of compiled requirement files, which only their content tells from others.
    :param everything: count each line as a place, as is right for a diff that has no other purpose.
    """
    reader = _PlaceReader(baseline, target, everything=everything)
    places: dict[object, ChangedPlace] = {}
    for block in _joined_blocks(blocks):
        if is_lock(block.path) or block.path in locks:
            places.setdefault(("lock", block.path), ChangedPlace(kind=PlaceKind.LOCK, path=block.path))
        elif everything or not is_document(block.path):
            places.update((place, place) for place in reader.read(block))
    return tuple(places.values())


def _joined_blocks(blocks: Iterable[ChangedBlock]) -> Iterator[ChangedBlock]:
    """Join the blocks of a source file that lie close together; lines between them are left out."""
    last: ChangedBlock | None = None
    for block in blocks:
        if last is not None and _is_continued(last, block):
            last = replace(last, old=(*last.old, *block.old), new=(*last.new, *block.new))
            continue
        if last is not None:
            yield last
        last = block
    if last is not None:
        yield last


def _is_continued(block: ChangedBlock, following: ChangedBlock) -> bool:
    gap = following.new_start - block.new_start - len(block.new)
    return block.path == following.path and _is_source(block.path) and gap <= GAP


def _is_source(path: str) -> bool:
    return path.endswith(".py") and PurePosixPath(path).name not in SETUP_NAMES


def is_lock(path: str) -> bool:
    name = PurePosixPath(path).name
    return name in LOCK_NAMES or name.endswith(".lock") or (name.startswith("pylock") and name.endswith(".toml"))


def is_compiled(text: str) -> bool:
    """Return whether a requirement file was written by a tool, by its first lines."""
    head = "\n".join(text.splitlines()[:12]).lower()
    return bool(
        re.search(r"autogenerated by (?:pip-compile|uv)|pip[- ]compile|--hash=sha256:|(?m:^-i https?://)", head)
    )


def is_document(path: str) -> bool:
    file = PurePosixPath(path)
    if file.suffix.lower() in DOCUMENT_ENDINGS or DOCUMENT_FOLDERS & {part.lower() for part in file.parts[:-1]}:
        return not _is_requirement_file(path)
    return (file.suffix == ".txt" and not _is_requirement_file(path) and file.name not in PIN_NAMES) or bool(
        re.match(r"(?:changelog|changes|history|news|readme|license|authors)\b", file.name, re.IGNORECASE)
    )


def _is_requirement_file(path: str) -> bool:
    return bool(
        re.search(r"(?:requirement|constraint|^deps|/deps)[^/]*(?:/[^/]+)?\.(?:txt|in|pip)$", path, re.IGNORECASE)
    )


def _may_require(path: str) -> bool:
    name = PurePosixPath(path).name
    names = ("pyproject.toml", "setup.cfg", "setup.py", "Pipfile", "tox.ini")
    return name in names or _is_requirement_file(path) or bool(re.fullmatch(r"environment.*\.ya?ml", name))


class _PlaceReader:
    """Classifier of changed lines for one move."""

    def __init__(self, baseline: Interpreter, target: Interpreter, *, everything: bool) -> None:
        self._everything = everything
        short = "|".join(f"{version.major}{version.minor}" for version in (baseline, target))
        dotted = "|".join(rf"{version.major}\.{version.minor}" for version in (baseline, target))
        self._dotted = re.compile(rf"(?<![\d.])(?:{dotted})(?:\.\d+)?(?!\d)")
        self._prefixed = re.compile(rf"(?<![a-z])(?:py|python|cp|pypy)-?(?:{short})(?!\d)", re.IGNORECASE)
        self._bare = re.compile(rf"(?<![\w.])(?:{short})(?![\w.])")

    def read(self, block: ChangedBlock) -> Iterator[ChangedPlace]:
        """Yield the places of a block."""
        if _is_source(block.path):
            if any(_is_code(line) for line in (*block.old, *block.new)):
                yield self._block_place(block)
            return
        for old, new in _pairs(block.old, block.new):
            old_text, new_text = (_line_at(lines, index) for lines, index in ((block.old, old), (block.new, new)))
            kind = self._kind(block.path, old_text.strip(), new_text.strip())
            if kind is not None:
                yield ChangedPlace(
                    kind=kind,
                    path=block.path,
                    old_line=block.old_start + old if old is not None and old_text.strip() else None,
                    new_line=block.new_start + new if new is not None and new_text.strip() else None,
                    old=old_text.rstrip(),
                    new=new_text.rstrip(),
                )

    def _block_place(self, block: ChangedBlock) -> ChangedPlace:
        return ChangedPlace(
            kind=PlaceKind.SOURCE,
            path=block.path,
            old_line=block.old_start if block.old else None,
            new_line=block.new_start if block.new else None,
            old="\n".join(block.old),
            new="\n".join(block.new),
        )

    def _kind(self, path: str, old: str, new: str) -> PlaceKind | None:
        """Return why a line is a place; ``None`` if it is none."""
        if old == new or not (self._everything or _is_code(old) or _is_code(new)):
            return None
        name = PurePosixPath(path).name
        if _may_require(path) and _is_other_requirement(path, old, new):
            return PlaceKind.REQUIREMENT
        if self._versions(path, old) != self._versions(path, new):
            return PlaceKind.VERSION
        if name in SETUP_NAMES and re.search(r"\bimport\b|distutils|pkg_resources", f"{old} {new}"):
            return PlaceKind.SOURCE
        if not self._everything:
            return None
        return PlaceKind.SOURCE if path.endswith(".py") else PlaceKind.VERSION

    def _versions(self, path: str, line: str) -> tuple[str, ...]:
        """Return the versions of the move that a line declares."""
        requirement = _read_requirement(path, line) if _may_require(path) else None
        if requirement is not None and requirement[1]:
            return tuple(match[0] for match in self._prefixed.finditer(line))
        versions = [match[0] for match in self._prefixed.finditer(line)]
        versions += [
            match[0]
            for match in self._dotted.finditer(line)
            if PurePosixPath(path).name in PIN_NAMES or _declares(line[: match.start()], line[match.end() :], match[0])
        ]
        if re.search("py", line, re.IGNORECASE):
            versions += [match[0] for match in self._bare.finditer(line)]
        return tuple(versions)


def _declares(text_before: str, text_after: str, version: str) -> bool:
    """Return whether a dotted version in a line is that of a Python, by what stands around it."""
    letters = re.sub(r"[^A-Za-z]", "", text_before)
    if not letters:  # an item of a list, unless it is a key
        return not text_after.lstrip("\"'").startswith("=")
    if re.fullmatch(r"""[\s"'-]*version["']?\s*[:=][\s"']*""", text_before, re.IGNORECASE):
        return version.count(".") == 1  # three numbers are a version of the project
    return bool(_VERSION_KEY.search(text_before))


def _is_other_requirement(path: str, old: str, new: str) -> bool:
    """Return whether a requirement is another one after the change: its version, or whether it is there at all."""
    old_requirement, new_requirement = _read_requirement(path, old), _read_requirement(path, new)
    both = [item for item in (old_requirement, new_requirement) if item is not None]
    if not both:
        return False
    if old_requirement and new_requirement:
        return old_requirement[0] == new_requirement[0] and bool(old_requirement[1] or new_requirement[1])
    if old and new:
        return False
    (_, specifier), line = both[0], old or new
    if _is_requirement_file(path):
        return True
    # elsewhere a line alone is one only if it looks like an entry of a list: "name>=1",
    return (
        bool(specifier)
        and not specifier.startswith("=")
        and bool(re.match(r"""(?:-\s+)?["']?[\w.\[\]-]+\s*[=<>~!]""", line))
    )


def _read_requirement(path: str, line: str) -> tuple[str, str] | None:
    """Return canonical name and specifier (with marker) of a requirement; ``None`` if the line is none.

    A single ``=`` is one in tables and in conda's files; elsewhere it is an argument or a setting.
    """
    text = line.strip()
    if not text or text.startswith(("#", "[", "-r", "-c", "--")):
        return None
    match = _REQUIREMENT.match(text)
    name = canonicalize_name(match["name"]) if match else ""
    if not match or name in _NOT_REQUIRED:
        return None
    has_single_sign = re.match("=(?!=)", match["specifier"] or "") is not None
    if has_single_sign and not path.endswith(("pyproject.toml", "Pipfile", ".yml", ".yaml")):
        return None
    rest = text[match.end("name") :].strip(" \"',")
    return name, rest if match["specifier"] or ";" in rest else ""


def _is_code(line: str) -> bool:
    """Return whether a line is more than a comment."""
    text = line.strip()
    return bool(text) and not text.startswith(("#", "//"))


def _line_at(lines: Sequence[str], index: int | None) -> str:
    return "" if index is None else lines[index]


def _pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield which line became which, as indexes; ``None`` for a line that was added or removed."""
    if len(old) == len(new):
        yield from zip(range(len(old)), range(len(new)), strict=True)
        return
    free = list(range(len(new)))
    for index, line in enumerate(old):
        partner = _most_similar(line, new, free)
        if partner is not None:
            free.remove(partner)
        yield index, partner
    yield from ((None, index) for index in free)


def _most_similar(line: str, candidates: Sequence[str], free: Sequence[int]) -> int | None:
    """Return the free line that differs from ``line`` in numbers only, or else the most similar one."""
    masked = _NUMBER.sub("#", line.strip())
    for index in free:
        if _NUMBER.sub("#", candidates[index].strip()) == masked:
            return index
    if len(free) > LONGEST_BLOCK:
        return None
    ratios = [(SequenceMatcher(None, line.strip(), candidates[index].strip()).ratio(), index) for index in free]
    ratio, index = max(ratios, default=(0.0, 0))
    return index if ratio >= SIMILARITY else None
