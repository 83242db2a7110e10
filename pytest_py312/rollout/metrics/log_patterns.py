"""What a service's log says, in counts that can be compared with the old version's: levels, exceptions, deprecations.

How often "ERROR" stands in a log tells little; that an exception stands there which the old version never logs tells
much. An exception is known by its *fingerprint*: its type and the innermost frame of the service's own code. Numbers
of lines are not part of it, as they move with every edit. Pure, and bounded: a log is whatever a service wrote.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MOST_LINES = 20_000
LONGEST_LINE = 4_000
MOST_FINGERPRINTS = 200
LONGEST_FINGERPRINT = 200
MOST_FRAMES = 1_000
OTHERS = "(others)"
"""Stands for all exceptions beyond the first :data:`MOST_FINGERPRINTS` kinds."""

_FRAME = re.compile(r'\s*File "([^"\n]{1,1000})", line \d{1,9}(?:, in (.{1,200}))?')
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]{0,150})(?::|$)")
_LEVEL = re.compile(r"\b(CRITICAL|FATAL|ERROR|SEVERE|WARNING|WARN)\b")
_LEVEL_KEY = re.compile(r'\b(?:level|lvl|severity)=["\']?(critical|fatal|error|severe|warning|warn)\b', re.IGNORECASE)
_DEPRECATION = re.compile(r"\b(?:Pending)?DeprecationWarning\b")
_FOREIGN = re.compile(r"(?:^|/)(?:site-packages|dist-packages|lib/python\d)|^<|^/usr/lib/")
_LEVEL_KEYS = ("level", "levelname", "severity", "log.level", "lvl")
_TRACE_KEYS = ("exc_info", "exception", "traceback", "stack", "stack_trace", "error.stack_trace", "stacktrace")
_TEXT_KEYS = ("message", "msg", "event")
_NO_EXCEPTIONS = frozenset({"DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"})
TRACEBACK = "Traceback (most recent call last):"


class Level(Enum):
    """What a line says about itself."""

    NONE = "none"
    WARNING = "warning"
    ERROR = "error"


_LEVELS = {
    "critical": Level.ERROR,
    "fatal": Level.ERROR,
    "error": Level.ERROR,
    "severe": Level.ERROR,
    "warning": Level.WARNING,
    "warn": Level.WARNING,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Patterns:
    """Counts of a piece of log. ``lost`` is whether some of it was not read: cut off here, or gone before.

    ``exceptions`` are fingerprints, such as ``KeyError in app/orders.py:total``, and how often each stands there.
    """

    lines: int = 0
    errors: int = 0
    warnings: int = 0
    deprecations: int = 0
    exceptions: Mapping[str, int] = field(default_factory=dict)
    lost: bool = False


def patterns_in(log: Iterable[str], *, lost: bool = False) -> Patterns:
    """What stands in ``log``, of which :data:`MOST_LINES` lines are read."""
    reader = _Reader()
    for line in log:
        for part in line.splitlines() or [""]:
            if reader.lines >= MOST_LINES:
                return reader.found(lost=True)
            reader.read(part[:LONGEST_LINE])
    return reader.found(lost=lost)


class _Reader:
    """Goes through lines, one after the other."""

    def __init__(self) -> None:
        self.lines = 0
        self._levels: Counter[Level] = Counter()
        self._deprecations = 0
        self._exceptions: Counter[str] = Counter()
        self._frames: list[tuple[str, str]] | None = None
        """Of the traceback that is being read; ``None`` outside of one."""

    def read(self, line: str) -> None:
        self.lines += 1
        if self._frames is not None and self._goes_on(line):
            return
        if line.startswith("{") and (entry := _entry(line)) is not None:
            self._read_entry(entry)
            return
        self._count(level_of(line), line)
        if TRACEBACK in line:
            self._frames = []

    def found(self, *, lost: bool) -> Patterns:
        return Patterns(
            lines=self.lines,
            errors=self._levels[Level.ERROR],
            warnings=self._levels[Level.WARNING],
            deprecations=self._deprecations,
            exceptions=dict(self._exceptions),
            lost=lost,
        )

    def _count(self, level: Level, text: str) -> None:
        self._levels[level] += 1
        self._deprecations += bool(_DEPRECATION.search(text))

    def _goes_on(self, line: str) -> bool:
        """Whether ``line`` belongs to the traceback that is being read."""
        assert self._frames is not None
        frame = _FRAME.match(line)
        if frame:
            if len(self._frames) < MOST_FRAMES:
                self._frames.append((frame[1], frame[2] or ""))
            return True
        if line[:1].isspace() or not line:
            return True  # source, marks under it, and what stands between the parts of a chain
        frames, self._frames = self._frames, None
        name = _EXCEPTION.match(line)
        if name is None or not frames or name[1] in _NO_EXCEPTIONS:
            return False
        self._add(fingerprint(name[1], frames))
        self._deprecations += bool(_DEPRECATION.search(line))
        return True

    def _read_entry(self, entry: Mapping[str, Any]) -> None:
        texts = [text for key in _TEXT_KEYS if isinstance(text := entry.get(key), str)]
        level = next((text for key in _LEVEL_KEYS if isinstance(text := entry.get(key), str)), "")
        self._count(_LEVELS.get(level.lower(), Level.NONE), " ".join(texts))
        for trace in [text for key in _TRACE_KEYS if isinstance(text := entry.get(key), str)] or texts:
            self._read_trace(trace)

    def _read_trace(self, text: str) -> None:
        """A whole traceback in one text. The lines in it are no lines of the log."""
        if TRACEBACK not in text:
            return
        inner = _Reader()
        for line in text.splitlines()[:MOST_FRAMES]:
            inner.read(line[:LONGEST_LINE] if not line.startswith("{") else "")
        for name, count in inner._exceptions.items():
            self._add(name, count)

    def _add(self, name: str, count: int = 1) -> None:
        known = name in self._exceptions or len(self._exceptions) < MOST_FINGERPRINTS
        self._exceptions[name if known else OTHERS] += count


def level_of(line: str) -> Level:
    """What a line of plain text says about itself. Words in small letters are talk, but for ``level=error``."""
    found = _LEVEL_KEY.search(line) or _LEVEL.search(line[:200])
    return _LEVELS[found[1].lower()] if found else Level.NONE


def fingerprint(exception: str, frames: Iterable[tuple[str, str]]) -> str:
    """``KeyError in app/orders.py:total``: the type without its module, and the innermost frame of one's own.

    :param frames: (file, function), the outermost first. Where all are of libraries, the innermost of those.
    """
    listed = list(frames)
    own = [frame for frame in listed if not _FOREIGN.search(frame[0])]
    file, function = (own or listed or [("", "")])[-1]
    short = "/".join(file.replace("\\", "/").split("/")[-2:])
    text = f"{exception.rpartition('.')[2] or exception} in {short}:{function}"
    return "".join(character if character.isprintable() else "?" for character in text)[:LONGEST_FINGERPRINT]


def _entry(line: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
