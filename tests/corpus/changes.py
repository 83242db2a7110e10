"""Read unified diffs of git and of ``--py312-diff`` into blocks of changed lines. Pure functions."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -(?P<old>[0-9]+)(?:,(?P<olds>[0-9]+))? \+(?P<new>[0-9]+)(?:,(?P<news>[0-9]+))? @@")
_ESCAPE = re.compile(r"\\(?:(?P<octal>[0-7]{3})|(?P<character>.))")
_CHANGES_SECTION = re.compile(r"^=+ changes =+$", re.MULTILINE)
NO_FILE = "/dev/null"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangedBlock:
    """Lines that follow each other and are replaced by others; one side may be empty. Lines count from 1.

    ``path`` is that before the change, or the new one of a file that is added.
    """

    path: str
    old_start: int
    old: tuple[str, ...]
    new_start: int
    new: tuple[str, ...]
    is_whole_file: bool = False
    """Whether the file is added or deleted."""


def changes_section(output: str) -> str:
    """Return the part of the gate's output that shows its changes; empty if there is none."""
    match = _CHANGES_SECTION.search(output)
    return output[match.end() :] if match else ""


def read_diff(text: str) -> Iterator[ChangedBlock]:
    """Yield the blocks of a unified diff, with any number of context lines. Other lines are skipped."""
    lines = text.split("\n")
    index = 0
    path, is_whole_file = "", False
    while index < len(lines):
        line = lines[index]
        if line.startswith("--- ") and index + 1 < len(lines) and lines[index + 1].startswith("+++ "):
            old, new = _file_name(line), _file_name(lines[index + 1])
            path, is_whole_file = (new if old == NO_FILE else old), NO_FILE in (old, new)
            index += 2
        elif path and (match := _HUNK.match(line)):
            yield from _blocks(_HunkLines.read(lines, index + 1, match), path, is_whole_file=is_whole_file)
            index += 1
        else:
            index += 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _HunkLines:
    """The lines of a hunk with their first character: a blank, ``-`` or ``+``."""

    old_start: int
    new_start: int
    lines: tuple[str, ...]

    @classmethod
    def read(cls, lines: list[str], index: int, match: re.Match[str]) -> "_HunkLines":
        """Read as many lines as the hunk's head announces."""
        olds, news = (int(match[name] or 1) for name in ("olds", "news"))
        # a side without lines is given by the line before it
        old_start, new_start = int(match["old"]) + (olds == 0), int(match["new"]) + (news == 0)
        taken = []
        while (olds > 0 or news > 0) and index < len(lines):
            line = lines[index] or " "
            olds -= line[0] in " -"
            news -= line[0] in " +"
            if line[0] in " -+":
                taken.append(line)
            index += 1
        return cls(old_start=old_start, new_start=new_start, lines=tuple(taken))


def _blocks(hunk: _HunkLines, path: str, *, is_whole_file: bool) -> Iterator[ChangedBlock]:
    old_line, new_line = hunk.old_start, hunk.new_start
    old: list[str] = []
    new: list[str] = []
    for line in (*hunk.lines, " "):
        if line[0] == "-":
            old.append(line[1:].rstrip("\r"))
        elif line[0] == "+":
            new.append(line[1:].rstrip("\r"))
        else:
            if old or new:
                yield ChangedBlock(
                    path=path,
                    old_start=old_line,
                    old=tuple(old),
                    new_start=new_line,
                    new=tuple(new),
                    is_whole_file=is_whole_file,
                )
            old_line, new_line = old_line + len(old) + 1, new_line + len(new) + 1
            old, new = [], []


def _file_name(line: str) -> str:
    """Return the path of a ``---`` or ``+++`` line, without ``a/`` or ``b/``."""
    name = line[4:].rstrip("\r").partition("\t")[0]
    if name.startswith('"') and name.endswith('"') and len(name) > 1:
        data = _ESCAPE.sub(
            lambda match: chr(int(match["octal"], 8)) if match["octal"] else match["character"], name[1:-1]
        )
        name = data.encode("latin-1", "ignore").decode("utf-8", "replace") if data.isascii() is False else data
    return name if name == NO_FILE else re.sub(r"^[ab]/", "", name)
