"""The snippets of the truth set: their files and their marks.

A file ``snippets/<category>.cases`` holds many snippets. ``[case name]`` begins one, its text is ``main.py``, and
``[file name]`` begins a further file of it. A line that is judged carries a mark at its end:

``# <- break since 3.12``
    works on the interpreters before, fails on 3.12 and later, on this line
``# <- warns since 3.10``, ``# <- warns 3.10-3.12``
    gives a deprecation or a syntax warning there (a range includes both ends)
``# <- silent since 3.11``
    gives another result there, without an error
``# <- needs 3.11``
    fails on the interpreters before, works from there on
``# <- also``
    a second line of the same problem, as right as the first

Several marks are separated by commas: ``# <- warns 3.9-3.11, break since 3.12``. A snippet without a mark works alike
everywhere and must have no finding. Marks are removed before anything reads the code.
"""

import ast
import re
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from pathlib import Path

SNIPPETS = Path(__file__).parent / "snippets"
MAIN = "main.py"
INTERPRETERS = ((3, 9), (3, 10), (3, 11), (3, 12), (3, 13))

Version = tuple[int, int]


class Kind(Enum):
    """What happens on a marked line."""

    BREAK = "break"
    WARNS = "warns"
    SILENT = "silent"
    NEEDS = "needs"
    ALSO = "also"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One verdict on one line: it holds from ``first`` to ``last``, both included; ``last`` is open when ``None``."""

    path: str
    line: int
    kind: Kind
    first: Version = INTERPRETERS[0]
    last: Version | None = None

    def holds(self, version: Version) -> bool:
        """Whether the verdict is true of this interpreter."""
        if self.kind is Kind.NEEDS:
            return version < self.first
        return self.first <= version and (self.last is None or version <= self.last)


@dataclass(frozen=True, kw_only=True, slots=True)
class Snippet:
    """One small program: its files by their name, its marks, and where it is written down."""

    category: str
    name: str
    line: int
    files: dict[str, str]
    marks: tuple[Mark, ...]

    @property
    def id(self) -> str:
        return f"{self.category}/{self.name}"

    @property
    def negative(self) -> bool:
        """Whether it runs everywhere, so that it must have no finding."""
        return not self.marks

    @property
    def also(self) -> frozenset[tuple[str, int]]:
        return frozenset((mark.path, mark.line) for mark in self.marks if mark.kind is Kind.ALSO)

    def holding(self, kind: Kind, version: Version) -> tuple[Mark, ...]:
        """Return the marks of one kind that are true of this interpreter."""
        return tuple(mark for mark in self.marks if mark.kind is kind and mark.holds(version))

    def statement(self, path: str, line: int) -> range:
        """Return the lines of the innermost statement at a line (of a compound one its head), or the line itself."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tree = ast.parse(self.files.get(path, ""))
            except SyntaxError:
                return range(line, line + 1)
        return min(
            (span for node in ast.walk(tree) if isinstance(node, ast.stmt) and line in (span := _head(node))),
            key=len,
            default=range(line, line + 1),
        )


@cache
def read_snippets(folder: Path = SNIPPETS) -> tuple[Snippet, ...]:
    """Read all snippets, in the order of their files. :raises ValueError: a file has an invalid format."""
    snippets = tuple(snippet for path in sorted(folder.glob("*.cases")) for snippet in read_cases(path))
    counts = Counter(snippet.id for snippet in snippets)
    if doubled := sorted(name for name, count in counts.items() if count > 1):
        raise ValueError(f"snippets of the same name: {', '.join(doubled)}")
    return snippets


def read_cases(path: Path) -> tuple[Snippet, ...]:
    """Read the snippets of one file. :raises ValueError: invalid format; the message has path and line."""
    snippets: list[Snippet] = []
    name, start, texts = "", 0, dict[str, list[str]]()
    current: list[str] | None = None
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if head := re.fullmatch(r"\[case (\w+)\]", line):
            if name:
                snippets.append(_snippet(path, name, start, texts))
            current = []
            name, start, texts = head[1], number, {MAIN: current}
        elif head := re.fullmatch(r"\[file ([\w./-]+)\]", line):
            current = texts.setdefault(head[1], [])
        elif current is not None:
            current.append(line)
        elif line and not line.startswith("#"):
            raise ValueError(f"{path}:{number}: a line before the first [case ...]")
    return (*snippets, _snippet(path, name, start, texts))


def write_snippets(snippets: tuple[Snippet, ...], folder: Path) -> None:
    """Write each snippet into its own folder ``<category>/<name>``, without the marks."""
    for snippet in snippets:
        for name, text in snippet.files.items():
            path = folder / snippet.id / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def _snippet(source: Path, name: str, start: int, texts: dict[str, list[str]]) -> Snippet:
    files, marks = dict[str, str](), list[Mark]()
    for path, lines in texts.items():
        while lines and not lines[-1]:
            del lines[-1]
        plain = list[str]()
        for number, line in enumerate(lines, 1):
            code, arrow, mark_text = line.partition("# <- ")
            plain.append(code.rstrip() if arrow else line)
            try:
                marks += [replace(mark, path=path, line=number) for mark in _marks(mark_text)]
            except ValueError as error:
                raise ValueError(f"{source}: {name}, line {number}: {error}") from error
        files[path] = "".join(f"{line}\n" for line in plain)
    return Snippet(category=source.stem, name=name, line=start, files=files, marks=tuple(marks))


def _marks(text: str) -> list[Mark]:
    """Parse the text after an arrow. :raises ValueError: invalid format."""
    marks = []
    for part in filter(None, text.strip().split(", ")):
        match = re.fullmatch(r"(?!also)(\w+)(?: since)? (3\.\d+)(?:-(3\.\d+))?|(also)", part)
        if not match:
            raise ValueError(f"{part!r} is no mark")
        if match[4]:
            marks.append(Mark(path="", line=0, kind=Kind.ALSO))
        else:
            last = _version(match[3]) if match[3] else None
            marks.append(Mark(path="", line=0, kind=Kind(match[1]), first=_version(match[2]), last=last))
    return marks


def _version(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)


def _head(node: ast.stmt) -> range:
    end = node.end_lineno or node.lineno
    body = getattr(node, "body", None)
    if isinstance(body, list) and body:
        end = max(node.lineno, min(end, body[0].lineno - 1))
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return range(first, end + 1)
