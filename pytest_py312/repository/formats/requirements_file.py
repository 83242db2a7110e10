"""Read requirements files with pip's grammar: text in, requirements with their positions out. Never raises.

What pip would reject becomes a :class:`ReadProblem`; the rest of the file is still read. The classes also represent
tables of dependencies in other files (:class:`DependencyTable`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from pytest_py312.core.errors import did_you_mean
from pytest_py312.core.text import shorten, split_words

MAX_LINES = 20_000
MAX_REQUIREMENTS = 5_000
"""Requirements of one file: no environment has as many."""
MAX_PATHS = 500
MAX_REQUIREMENT_LENGTH = 10_000
"""Characters of one requirement, without its hashes."""
MAX_LINE_LENGTH = 100_000
"""Characters of one joined line: enough for a requirement with a thousand hashes."""

_COMMENT = re.compile(r"(?:^|\s)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_LONG_OPTIONS = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
}
_VALUE_OPTIONS = (
    "--requirement", "--constraint", "--editable", "--index-url", "--pypi-url", "--extra-index-url", "--find-links",
    "--no-binary", "--only-binary", "--trusted-host", "--use-feature",
)  # fmt: skip
_FLAG_OPTIONS = ("--no-index", "--pre", "--prefer-binary", "--require-hashes")
_REQUIREMENT_OPTIONS = ("--hash", "--global-option", "--config-settings", "--install-option")
_PATH = re.compile(r"(?P<path>(?:file:|\.|/|~|[\w.-]+/)[^\[\];<>|*?\"]*?)(?P<extras>\[[\w\s.,-]*\])?", re.ASCII)
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_REPOSITORY = re.compile(
    r"(?:git\+)?\w+://(?:[^/@]+@)?[^/]+/(?:[\w.~${}-]+/)+?(?P<name>[A-Za-z0-9][\w.-]*?)"
    r"(?:\.git(?:@[^#]*)?|/(?:-/)?(?:archive|zipball|tarball)/.+)", re.ASCII,
)  # fmt: skip
_CLONED = re.compile(
    r"git\+\w+://(?:[^/@]+@)?[^/@]+/(?:[\w.~${}-]+/)+?(?P<name>[A-Za-z0-9][\w.-]*)/?(?:@[^#]*)?",
    re.ASCII | re.IGNORECASE,
)
"""A repository of Git whose address does not end in ``.git``."""
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementEntry:
    """One requirement. ``text`` is PEP 508, ``name`` normalised, ``raw`` the original line(s)."""

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
    """Names of environment variables that pip would substitute (``${TOKEN}``); they are not substituted here."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IncludedFile:
    """A file that this one includes: ``kind`` is ``requirements`` (``-r``) or ``constraints`` (``-c``)."""

    kind: str
    path: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalPath:
    """A distribution at a local path: ``-e ../lib``, ``./lib[extra]``, ``name @ file:../lib``."""

    path: str
    editable: bool = False
    extras: tuple[str, ...] = ()
    marker: str = ""
    line: int
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FileOption:
    """An option for the whole file, under its long name; ``value`` is empty for a flag."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadProblem:
    """Something that cannot be read. ``line`` and ``column`` count from 1; ``message`` is a sentence.

    ``is_computed``: the value is computed by code, so only a build of the distribution can determine it.
    """

    line: int
    column: int
    text: str
    message: str
    is_computed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementsText:
    """The content of a requirements file, or of one table of another file."""

    path: str
    entries: tuple[RequirementEntry, ...] = ()
    includes: tuple[IncludedFile, ...] = ()
    local_paths: tuple[LocalPath, ...] = ()
    options: tuple[FileOption, ...] = ()
    problems: tuple[ReadProblem, ...] = ()


@dataclass(slots=True)
class RequirementCollector:
    """Collector of the parts of a :class:`RequirementsText` while a file is read."""

    path: str
    entries: list[RequirementEntry] = field(default_factory=list)
    includes: list[IncludedFile] = field(default_factory=list)
    local_paths: list[LocalPath] = field(default_factory=list)
    options: list[FileOption] = field(default_factory=list)
    problems: list[ReadProblem] = field(default_factory=list)
    is_full: bool = False

    def has_room(self, line: int) -> bool:
        """Return whether another requirement is read; if not, there is a problem that says so."""
        for items, limit, noun in (
            (self.entries, MAX_REQUIREMENTS, "requirements"),
            (self.local_paths, MAX_PATHS, "local paths"),
            (self.includes, MAX_PATHS, "included files"),
            (self.problems, MAX_PATHS, "lines that cannot be read"),
        ):
            if len(items) >= limit and not self.is_full:
                self.add_problem(line, "", f"It has more than {limit} {noun}; the rest is not checked.")
                self.is_full = True
        return not self.is_full

    def add_problem(self, line: int, text: str, message: str, column: int = 1, *, is_computed: bool = False) -> None:
        problem = ReadProblem(line=line, column=column, text=text[:200], message=message, is_computed=is_computed)
        self.problems.append(problem)

    def add_requirement(
        self, text: str, line: int, *, raw: str = "", column: int = 1, hashes: tuple[str, ...] = ()
    ) -> None:
        """Parse one requirement and add it to the entries, local paths or problems."""
        if not self.has_room(line):
            return
        parsed = parse_requirement(text, line, raw or text, column, hashes)
        if isinstance(parsed, RequirementEntry):
            self.entries.append(parsed)
        elif isinstance(parsed, LocalPath):
            self.local_paths.append(parsed)
        else:
            self.problems.append(parsed)

    def build(self) -> RequirementsText:
        return RequirementsText(
            path=self.path,
            entries=tuple(self.entries),
            includes=tuple(self.includes),
            local_paths=tuple(self.local_paths),
            options=tuple(self.options),
            problems=tuple(self.problems),
        )

    def table(self, name: str) -> "DependencyTable":
        return DependencyTable(table=name, requirements=self.build())


@lru_cache(maxsize=16)
def read_requirements(text: str, path: str) -> RequirementsText:
    """Read a requirements file. ``path`` is only stored in the result. Cached: several steps read the same file."""
    collector = RequirementCollector(path)
    for number, raw in _joined_lines(text.removeprefix("\ufeff")):
        if number > MAX_LINES:
            collector.add_problem(number, "", f"The file has more than {MAX_LINES} lines; the rest is ignored.")
            break
        line = _COMMENT.sub("", raw).strip()
        if not line:
            continue
        if not collector.has_room(number):
            break
        column = len(raw) - len(raw.lstrip()) + 1
        if len(line) > MAX_LINE_LENGTH:
            collector.add_problem(number, line, f"The line is longer than {MAX_LINE_LENGTH} characters.", column)
        elif line.startswith("-"):
            _read_option(collector, line, number, raw, column)
        else:
            _read_requirement(collector, line, number, raw, column)
    return collector.build()


def _joined_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield logical lines with the number of their first line, joined at ``\\`` as pip does."""
    parts: list[str] = []
    first = 1
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        comment = _COMMENT.match(line)
        if line.endswith("\\") and not comment:
            if not parts:
                first = number
            parts.append(line.rstrip("\\"))
            continue
        # a comment ends a continued line; it needs a blank before it to count as a comment
        joined = "".join([*parts, f" {line}" if comment and parts else line])
        yield (first if parts else number), joined
        parts = []
    if parts:
        yield first, "".join(parts)


def _read_requirement(collector: RequirementCollector, line: str, number: int, raw: str, column: int) -> None:
    words = line.split(" ")
    options_start = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    requirement = " ".join(words[:options_start]).strip()
    hashes: list[str] = []
    for name, value in _option_pairs(" ".join(words[options_start:])):
        if name == "--hash" and value:
            hashes.append(value)
        elif name not in _REQUIREMENT_OPTIONS:
            message = f'"{name}" cannot follow a requirement{did_you_mean(name, list(_REQUIREMENT_OPTIONS))}.'
            collector.add_problem(number, line, message, column)
    collector.add_requirement(requirement, number, raw=raw, column=column, hashes=tuple(hashes))


def _option_pairs(text: str) -> list[tuple[str, str]]:
    """Return ``--a=b --c d -rx`` as (long name, value) pairs; a flag has an empty value."""
    pairs: list[tuple[str, list[str]]] = []
    for word in split_words(text):  # pip rejects an unclosed quotation mark later
        if word.startswith("--"):
            name, _, value = word.partition("=")
            pairs.append((name, [value]))
        elif word.startswith("-") and word[:2] in _LONG_OPTIONS:
            pairs.append((_LONG_OPTIONS[word[:2]], [word[2:].removeprefix("=")]))
        elif word.startswith("-") or not pairs:
            pairs.append((word, []))
        else:
            pairs[-1][1].append(word)
    return [(name, " ".join(filter(None, values))) for name, values in pairs]


def _read_option(collector: RequirementCollector, line: str, number: int, raw: str, column: int) -> None:
    for name, value in _option_pairs(line):
        if name in _VALUE_OPTIONS and not value:
            collector.add_problem(number, line, f'"{name}" needs a value.', column)
        elif name in ("--requirement", "--constraint"):
            kind = "requirements" if name == "--requirement" else "constraints"
            collector.includes.append(IncludedFile(kind=kind, path=value, line=number))
        elif name == "--editable":
            _read_editable(collector, value, number, raw, column)
        elif name in _VALUE_OPTIONS:
            collector.options.append(FileOption(name=name, value=value, line=number))
        elif name in _FLAG_OPTIONS:
            collector.options.append(FileOption(name=name, value="", line=number))
        else:
            hint = did_you_mean(name, [*_VALUE_OPTIONS, *_FLAG_OPTIONS])
            collector.add_problem(number, line, f'pip allows no "{name}" in a requirements file{hint}.', column)


def _read_editable(collector: RequirementCollector, value: str, number: int, raw: str, column: int) -> None:
    if _VCS.match(value) or (_URL.match(value) and not value.startswith("file:")):
        collector.add_requirement(value, number, raw=raw, column=column)
        return
    match = re.fullmatch(r"([^\[\]]+?)\s*(\[[\w\s.,-]*\])?", value)
    if not match or "\0" in value:
        collector.add_problem(number, value, f'"{value[:80]}" is not the path of a distribution.', column)
        return
    collector.local_paths.append(
        LocalPath(path=_path_of(match[1]), editable=True, extras=_extras(match[2] or ""), line=number, raw=raw)
    )


def parse_requirement(
    text: str, line: int, raw: str, column: int = 1, hashes: tuple[str, ...] = ()
) -> RequirementEntry | LocalPath | ReadProblem:
    """Parse one requirement as an entry, a local path, or a problem."""
    if len(text) > MAX_REQUIREMENT_LENGTH:
        message = f"It is longer than {MAX_REQUIREMENT_LENGTH} characters, so it is not checked."
        return ReadProblem(line=line, column=column, text=text[:200], message=message)
    pep508_text = text
    if _VCS.match(text) or _URL.match(text):
        pep508_text = _with_project_name(text)
    try:
        parsed = Requirement(pep508_text)
        name, specifier, marker = canonicalize_name(parsed.name), str(parsed.specifier), str(parsed.marker or "")
    except (ValueError, RecursionError) as error:
        return _local_path(text, line, raw) or _unparsable_problem(text, line, column, error)
    url = parsed.url or ""
    extras = tuple(sorted(parsed.extras))
    if url and (url.startswith("file:") or not _URL.match(_VCS.sub("", url))):
        return LocalPath(path=_path_of(url), extras=extras, marker=marker, line=line, raw=raw)
    variables = tuple(dict.fromkeys(_VARIABLE.findall(raw)))
    return RequirementEntry(
        text=pep508_text, name=name, extras=extras, specifier=specifier, marker=marker, url=url, line=line, raw=raw,
        hashes=hashes, variables=variables,
    )  # fmt: skip


def project_name(text: str) -> str:
    """Return the normalised name of the project that a requirement names; empty for others."""
    parsed = parse_requirement(text, 1, text)
    return parsed.name if isinstance(parsed, RequirementEntry) else ""


def _with_project_name(text: str) -> str:
    """Rewrite ``git+https://x/y#egg=name`` and ``https://x/name-1.0.whl`` as ``name @ url``, if they have a name."""
    address, semicolon, marker = text.partition(" ;")
    suffix = f" ;{marker}" if semicolon else ""
    egg = re.search(r"[#&]egg=([\w.-]+(?:\[[\w.,-]*\])?)", address, re.ASCII)
    if egg:
        return f"{egg[1]} @ {address}{suffix}"
    place = address.partition("#")[0].partition("?")[0].strip()
    repository = _REPOSITORY.fullmatch(place) or _CLONED.fullmatch(place)
    if repository:  # pip reads the name from the metadata, which is nearly always that of the repository
        return f"{repository['name']} @ {address}{suffix}"
    file = place.rsplit("/", 1)[-1]
    try:
        if file.endswith(".whl"):
            return f"{parse_wheel_filename(file)[0]} @ {address}{suffix}"
        return f"{parse_sdist_filename(file)[0]} @ {address}{suffix}"
    except ValueError:
        return text


def _local_path(text: str, line: int, raw: str) -> LocalPath | None:
    without_marker, _, marker = (part.strip() for part in text.partition(";"))
    if _URL.match(_VCS.sub("", without_marker)) and not without_marker.startswith("file:"):
        return None
    match = _PATH.fullmatch(without_marker)
    if match and not re.search(r"\s@|[=!]=|\0", without_marker):
        path, extras = _path_of(match["path"]), _extras(match["extras"] or "")
        return LocalPath(path=path, extras=extras, marker=marker, line=line, raw=raw)
    if _ARCHIVE.search(without_marker) and not re.search(r"[\s<>\0]", without_marker):
        return LocalPath(path=without_marker, marker=marker, line=line, raw=raw)
    return None


def _path_of(text: str) -> str:
    """Return the path of ``file:../lib``, ``file:///srv/lib`` or ``../lib#egg=x``."""
    path = text.strip().partition("#")[0]
    if path.startswith("file:"):
        path = path.removeprefix("file:")
        path = re.sub(r"^//(localhost)?(?=/)", "", path)
    return path


def _extras(text: str) -> tuple[str, ...]:
    return tuple(sorted(name.strip() for name in text.strip("[]").split(",") if name.strip()))


def _unparsable_problem(text: str, line: int, column: int, error: Exception) -> ReadProblem:
    single_equals = re.match(r"^([A-Za-z0-9][\w.-]*)\s*=\s*([\w.]+)$", text, re.ASCII)
    if single_equals:
        message = f'"{text[:80]}" has a single "="; a pinned version is written {single_equals[1]}=={single_equals[2]}.'
    elif re.match(r"^</?\w+[^>]*>$", text):
        message = f'"{text[:80]}" is markup, not a requirement; delete the line.'
    elif _URL.match(_VCS.sub("", text)):
        message = f'"{text[:80]}" names no project; write "name @ {text[:80]}".'
    else:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        message = f'"{text[:80]}" is not a requirement that pip can read: {shorten(reason, 200).rstrip(".")}.'
    return ReadProblem(line=line, column=column, text=text[:200], message=message)


@dataclass(frozen=True, kw_only=True, slots=True)
class DependencyTable:
    """The requirements of one table; ``table`` is its dotted name, as in a ``RequirementSource``."""

    table: str
    requirements: RequirementsText


def unreadable_table(table: str, path: str, line: int | None, message: str) -> DependencyTable:
    """Return what stands for the tables of a file that cannot be read: one with nothing but the problem."""
    collector = RequirementCollector(path)
    collector.add_problem(line or 1, "", message)
    return collector.table(table)
