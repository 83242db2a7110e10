"""Requirements files: text in, requirements with their places out. Follows pip's grammar; never raises.

What pip would refuse becomes a :class:`Problem`, with line and column; everything else of the file is still read.

What a table of dependencies is, wherever it stands.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from pytest_py312.core.errors import perhaps

LINE_LIMIT = 20_000
LENGTH_LIMIT = 100_000
"""Characters of one joined line: a requirement with a thousand hashes fits."""

_COMMENT = re.compile(r"(?:^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links"}
_WITH_VALUE = (
    "--requirement", "--constraint", "--editable", "--index-url", "--pypi-url", "--extra-index-url", "--find-links",
    "--no-binary", "--only-binary", "--trusted-host", "--use-feature",
)  # fmt: skip
_FLAGS = ("--no-index", "--pre", "--prefer-binary", "--require-hashes")
_OF_ONE_REQUIREMENT = ("--hash", "--global-option", "--config-settings", "--install-option")
_PATH = re.compile(r"(?P<path>(?:file:|\.|/|~|[\w.-]+/)[^\[\];<>|*?\"]*?)(?P<extras>\[[\w\s.,-]*\])?", re.ASCII)
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One requirement. ``text`` is PEP 508, ``name`` normalised, ``raw`` the line(s) as they stand."""

    text: str
    name: str
    extras: tuple[str, ...] = ()
    specifier: str = ""
    marker: str = ""
    url: str = ""
    line: int
    raw: str
    hashes: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    """Names of environment variables that pip would put in (``${TOKEN}``); they are left as they stand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Include:
    """Another file that is read as well: ``kind`` is ``requirements`` (``-r``) or ``constraints`` (``-c``)."""

    kind: str
    target: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalPath:
    """A distribution in the repository itself: ``-e ../lib``, ``./lib[extra]``, ``name @ file:../lib``."""

    path: str
    editable: bool = False
    extras: tuple[str, ...] = ()
    line: int
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """An option for the whole file, under its long name; ``value`` is empty for a flag."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """What cannot be read. ``line`` and ``column`` count from 1; ``message`` is a sentence.

    ``computed``: it is code that says it, so a build of the distribution can tell.
    """

    line: int
    column: int
    text: str
    message: str
    computed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementsText:
    """What a requirements file (or one table of another file) says."""

    path: str
    entries: tuple[Entry, ...] = ()
    includes: tuple[Include, ...] = ()
    locals: tuple[LocalPath, ...] = ()
    options: tuple[Option, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(slots=True)
class Collector:
    """Gathers the parts of a :class:`RequirementsText` while a reader goes through a file."""

    path: str
    entries: list[Entry] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    locals: list[LocalPath] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, line: int, text: str, message: str, column: int = 1, *, computed: bool = False) -> None:
        found = Problem(line=line, column=column, text=text[:200], message=message, computed=computed)
        self.problems.append(found)

    def requirement(
        self, text: str, line: int, *, raw: str = "", column: int = 1, hashes: tuple[str, ...] = ()
    ) -> None:
        """Sort one requirement into entries, locals or problems."""
        found = requirement_of(text, line, raw or text, column, hashes)
        if isinstance(found, Entry):
            self.entries.append(found)
        elif isinstance(found, LocalPath):
            self.locals.append(found)
        else:
            self.problems.append(found)

    def result(self) -> RequirementsText:
        return RequirementsText(
            path=self.path,
            entries=tuple(self.entries),
            includes=tuple(self.includes),
            locals=tuple(self.locals),
            options=tuple(self.options),
            problems=tuple(self.problems),
        )


def read_requirements(text: str, path: str) -> RequirementsText:
    """Read a requirements file. ``path`` is only carried along."""
    found = Collector(path)
    for number, raw in _joined_lines(text.removeprefix("\ufeff")):
        if number > LINE_LIMIT:
            found.problem(number, "", f"The file has more than {LINE_LIMIT} lines; the rest is not read.")
            break
        line = _COMMENT.sub("", raw).strip()
        if not line:
            continue
        column = len(raw) - len(raw.lstrip()) + 1
        if len(line) > LENGTH_LIMIT:
            found.problem(number, line, f"The line is longer than {LENGTH_LIMIT} characters.", column)
        elif line.startswith("-"):
            _read_option(found, line, number, raw, column)
        else:
            _read_requirement(found, line, number, raw, column)
    return found.result()


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first line, joined at ``\\`` as pip does."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        comment = _COMMENT.match(line)
        if line.endswith("\\") and not comment:
            if not parts:
                first = number
            parts.append(line.rstrip("\\"))
            continue
        # a comment ends a continued line, and needs the blank before it to be taken for one
        joined = "".join([*parts, f" {line}" if comment and parts else line])
        yield (first if parts else number), joined
        parts = []
    if parts:
        yield first, "".join(parts)


def _read_requirement(found: Collector, line: str, number: int, raw: str, column: int) -> None:
    words = line.split(" ")
    cut = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    requirement = " ".join(words[:cut]).strip()
    hashes: list[str] = []
    for name, value in _option_pairs(" ".join(words[cut:])):
        if name == "--hash" and value:
            hashes.append(value)
        elif name not in _OF_ONE_REQUIREMENT:
            message = f'"{name}" cannot follow a requirement{perhaps(name, list(_OF_ONE_REQUIREMENT))}.'
            found.problem(number, line, message, column)
    found.requirement(requirement, number, raw=raw, column=column, hashes=tuple(hashes))


def _option_pairs(text: str) -> list[tuple[str, str]]:
    """``--a=b --c d -rx`` as (long name, value) pairs; a flag has an empty value."""
    try:
        words = shlex.split(text)
    except ValueError:  # an open quotation mark: pip refuses it, and the pieces still tell what was meant
        words = text.split()
    pairs: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            pairs.append((name, [value]))
        elif word.startswith("-") and word[:2] in _SHORT:
            pairs.append((_SHORT[word[:2]], [word[2:].removeprefix("=")]))
        elif word.startswith("-") or not pairs:
            pairs.append((word, []))
        else:
            pairs[-1][1].append(word)
    return [(name, " ".join(filter(None, values))) for name, values in pairs]


def _read_option(found: Collector, line: str, number: int, raw: str, column: int) -> None:
    for name, value in _option_pairs(line):
        if name in _WITH_VALUE and not value:
            found.problem(number, line, f'"{name}" needs a value.', column)
        elif name in ("--requirement", "--constraint"):
            kind = "requirements" if name == "--requirement" else "constraints"
            found.includes.append(Include(kind=kind, target=value, line=number))
        elif name == "--editable":
            _read_editable(found, value, number, raw, column)
        elif name in _WITH_VALUE:
            found.options.append(Option(name=name, value=value, line=number))
        elif name in _FLAGS:
            found.options.append(Option(name=name, value="", line=number))
        else:
            known = [*_WITH_VALUE, *_FLAGS]
            found.problem(number, line, f'pip has no option "{name}" in a file{perhaps(name, known)}.', column)


def _read_editable(found: Collector, value: str, number: int, raw: str, column: int) -> None:
    if _VCS.match(value) or (_URL.match(value) and not value.startswith("file:")):
        found.requirement(value, number, raw=raw, column=column)
        return
    match = re.fullmatch(r"([^\[\]]+?)\s*(\[[\w\s.,-]*\])?", value)
    if not match or "\0" in value:
        found.problem(number, value, "This is no path of a distribution.", column)
        return
    found.locals.append(
        LocalPath(path=_path_of(match[1]), editable=True, extras=_extras(match[2] or ""), line=number, raw=raw)
    )


def requirement_of(
    text: str, line: int, raw: str, column: int = 1, hashes: tuple[str, ...] = ()
) -> Entry | LocalPath | Problem:
    """What one requirement says: an entry, a path in the repository, or why it is neither."""
    named = text
    if _VCS.match(text) or _URL.match(text):
        named = _named_url(text)
    try:
        parsed = Requirement(named)
        name, specifier, marker = canonicalize_name(parsed.name), str(parsed.specifier), str(parsed.marker or "")
    except (ValueError, RecursionError) as error:
        return _local(text, line, raw) or _problem(text, line, column, error)
    url = parsed.url or ""
    extras = tuple(sorted(parsed.extras))
    if url and (url.startswith("file:") or not _URL.match(_VCS.sub("", url))):
        return LocalPath(path=_path_of(url), extras=extras, line=line, raw=raw)
    variables = tuple(dict.fromkeys(_VARIABLE.findall(raw)))
    return Entry(
        text=named, name=name, extras=extras, specifier=specifier, marker=marker, url=url, line=line, raw=raw,
        hashes=hashes, variables=variables,
    )  # fmt: skip


def _named_url(text: str) -> str:
    """``git+https://x/y#egg=name`` and ``https://x/name-1.0.whl`` as ``name @ url``; unchanged when it has no name."""
    address, semicolon, marker = text.partition(" ;")
    suffix = f" ;{marker}" if semicolon else ""
    egg = re.search(r"[#&]egg=([\w.-]+(?:\[[\w.,-]*\])?)", address, re.ASCII)
    if egg:
        return f"{egg[1]} @ {address}{suffix}"
    file = address.partition("#")[0].partition("?")[0].rsplit("/", 1)[-1]
    try:
        if file.endswith(".whl"):
            return f"{parse_wheel_filename(file)[0]} @ {address}{suffix}"
        return f"{parse_sdist_filename(file)[0]} @ {address}{suffix}"
    except ValueError:
        return text


def _local(text: str, line: int, raw: str) -> LocalPath | None:
    bare = text.partition(";")[0].strip()
    if _URL.match(_VCS.sub("", bare)) and not bare.startswith("file:"):
        return None
    match = _PATH.fullmatch(bare)
    if match and not re.search(r"\s@|[=!]=|\0", bare):
        return LocalPath(path=_path_of(match["path"]), extras=_extras(match["extras"] or ""), line=line, raw=raw)
    if _ARCHIVE.search(bare) and not re.search(r"[\s<>\0]", bare):
        return LocalPath(path=bare, line=line, raw=raw)
    return None


def _path_of(text: str) -> str:
    """``file:../lib``, ``file:///srv/lib`` and ``../lib#egg=x`` as a path."""
    path = text.strip().partition("#")[0]
    if path.startswith("file:"):
        path = path.removeprefix("file:")
        path = re.sub(r"^//(localhost)?(?=/)", "", path)
    return path


def _extras(text: str) -> tuple[str, ...]:
    return tuple(sorted(name.strip() for name in text.strip("[]").split(",") if name.strip()))


def _problem(text: str, line: int, column: int, error: Exception) -> Problem:
    single = re.match(r"^([A-Za-z0-9][\w.-]*)\s*=\s*([\w.]+)$", text, re.ASCII)
    if single:
        message = f'"{text[:80]}" has a single "="; a pinned version is written {single[1]}=={single[2]}.'
    elif re.match(r"^</?\w+[^>]*>$", text):
        message = f'"{text[:80]}" is markup, not a requirement; delete the line.'
    elif _URL.match(_VCS.sub("", text)):
        message = f'"{text[:80]}" names no project; write "name @ {text[:80]}".'
    else:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        message = f'"{text[:80]}" is not a requirement that pip can read: {reason[:200]}'
    return Problem(line=line, column=column, text=text[:200], message=message)


@dataclass(frozen=True, kw_only=True, slots=True)
class DependencyTable:
    """The requirements of one table; ``table`` is its dotted name, the same as in a ``RequirementSource``."""

    table: str
    requirements: RequirementsText
