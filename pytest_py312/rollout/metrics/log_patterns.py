"""Counts of levels, exceptions and deprecations in a log, comparable between two versions of a service.

The number of "ERROR" lines means little, but an exception that the previous version never logs means much. An exception
is identified by its *fingerprint*: its type and the innermost frame of the service's own code, without line numbers,
which change with every edit. Pure, and bounded in time and memory, because a log may contain anything.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MAX_LINES = 20_000
MAX_LINE_LENGTH = 4_000
MAX_FINGERPRINTS = 200
MAX_FINGERPRINT_LENGTH = 200
MAX_FRAMES = 1_000
OTHER_EXCEPTIONS = "(others)"
"""Fingerprint of all exceptions beyond the first :data:`MAX_FINGERPRINTS` kinds."""

_FRAME = re.compile(r'\s*File "([^"\n]{1,1000})", line \d{1,9}(?:, in (.{1,200}))?')
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]{0,150})(?::|$)")
_LEVEL = re.compile(r"\b(CRITICAL|FATAL|ERROR|SEVERE|WARNING|WARN)\b")
_LEVEL_KEY = re.compile(r'\b(?:level|lvl|severity)=["\']?(critical|fatal|error|severe|warning|warn)\b', re.IGNORECASE)
_DEPRECATION = re.compile(r"\b(?:Pending)?DeprecationWarning\b")
_LIBRARY_PATH = re.compile(r"(?:^|/)(?:site-packages|dist-packages|lib/python\d)|^<|^/usr/lib/")
_LEVEL_KEYS = ("level", "levelname", "severity", "log.level", "lvl")
_TRACE_KEYS = ("exc_info", "exception", "traceback", "stack", "stack_trace", "error.stack_trace", "stacktrace")
_TEXT_KEYS = ("message", "msg", "event")
_LEVEL_NAMES = frozenset({"DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"})
TRACEBACK = "Traceback (most recent call last):"


class LogLevel(Enum):
    """Level of a log line."""

    NONE = "none"
    WARNING = "warning"
    ERROR = "error"


_LEVELS = {
    "critical": LogLevel.ERROR,
    "fatal": LogLevel.ERROR,
    "error": LogLevel.ERROR,
    "severe": LogLevel.ERROR,
    "warning": LogLevel.WARNING,
    "warn": LogLevel.WARNING,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class LogPatterns:
    """Counts of a part of a log.

    ``exceptions`` maps fingerprints, such as ``KeyError in app/orders.py:total``, to their number. ``is_incomplete``:
    some lines were not read, because the log is too long or they were already lost.
    """

    lines: int = 0
    errors: int = 0
    warnings: int = 0
    deprecations: int = 0
    exceptions: Mapping[str, int] = field(default_factory=dict)
    is_incomplete: bool = False


def count_patterns(log: Iterable[str], *, is_incomplete: bool = False) -> LogPatterns:
    """Count the patterns in the first :data:`MAX_LINES` lines of ``log``."""
    reader = _LogReader()
    for line in log:
        for part in line.splitlines() or [""]:
            if reader.lines >= MAX_LINES:
                return reader.patterns(is_incomplete=True)
            reader.read(part[:MAX_LINE_LENGTH])
    return reader.patterns(is_incomplete=is_incomplete)


class _LogReader:
    """Reader of a log, line by line."""

    def __init__(self) -> None:
        self.lines = 0
        self._levels: Counter[LogLevel] = Counter()
        self._deprecations = 0
        self._exceptions: Counter[str] = Counter()
        self._frames: list[tuple[str, str]] | None = None
        """(file, function) of the current traceback, ``None`` outside of one."""

    def read(self, line: str) -> None:
        self.lines += 1
        if self._frames is not None and self._continue_traceback(line):
            return
        if line.startswith("{") and (entry := _parse_json_entry(line)) is not None:
            self._read_json_entry(entry)
            return
        self._count(parse_level(line), line)
        if TRACEBACK in line:
            self._frames = []

    def patterns(self, *, is_incomplete: bool) -> LogPatterns:
        return LogPatterns(
            lines=self.lines,
            errors=self._levels[LogLevel.ERROR],
            warnings=self._levels[LogLevel.WARNING],
            deprecations=self._deprecations,
            exceptions=dict(self._exceptions),
            is_incomplete=is_incomplete,
        )

    def _count(self, level: LogLevel, text: str) -> None:
        self._levels[level] += 1
        self._deprecations += bool(_DEPRECATION.search(text))

    def _continue_traceback(self, line: str) -> bool:
        """Add ``line`` to the current traceback; return whether it belongs to it."""
        assert self._frames is not None
        frame = _FRAME.match(line)
        if frame:
            if len(self._frames) < MAX_FRAMES:
                self._frames.append((frame[1], frame[2] or ""))
            return True
        if line[:1].isspace() or not line:
            return True  # source, position marks, and lines between chained exceptions
        frames, self._frames = self._frames, None
        name = _EXCEPTION.match(line)
        if name is None or not frames or name[1] in _LEVEL_NAMES:
            return False
        self._count_exception(exception_fingerprint(name[1], frames))
        self._deprecations += bool(_DEPRECATION.search(line))
        return True

    def _read_json_entry(self, entry: Mapping[str, Any]) -> None:
        texts = [text for key in _TEXT_KEYS if isinstance(text := entry.get(key), str)]
        level = next((text for key in _LEVEL_KEYS if isinstance(text := entry.get(key), str)), "")
        self._count(_LEVELS.get(level.lower(), LogLevel.NONE), " ".join(texts))
        for trace in [text for key in _TRACE_KEYS if isinstance(text := entry.get(key), str)] or texts:
            self._read_embedded_traceback(trace)

    def _read_embedded_traceback(self, text: str) -> None:
        """Read a traceback inside a JSON entry; its lines do not count as lines of the log."""
        if TRACEBACK not in text:
            return
        inner = _LogReader()
        for line in text.splitlines()[:MAX_FRAMES]:
            inner.read(line[:MAX_LINE_LENGTH] if not line.startswith("{") else "")
        for name, count in inner._exceptions.items():
            self._count_exception(name, count)

    def _count_exception(self, name: str, count: int = 1) -> None:
        is_listed = name in self._exceptions or len(self._exceptions) < MAX_FINGERPRINTS
        self._exceptions[name if is_listed else OTHER_EXCEPTIONS] += count


def parse_level(line: str) -> LogLevel:
    """Return the level of a plain text line. Level names in lower case only count as in ``level=error``."""
    match = _LEVEL_KEY.search(line) or _LEVEL.search(line[:200])
    return _LEVELS[match[1].lower()] if match else LogLevel.NONE


def exception_fingerprint(exception: str, frames: Iterable[tuple[str, str]]) -> str:
    """Return a fingerprint such as ``KeyError in app/orders.py:total``.

    It has the exception's type without module, and the innermost frame outside of libraries, or else of all.

    :param frames: (file, function), the outermost first.
    """
    all_frames = list(frames)
    own_frames = [frame for frame in all_frames if not _LIBRARY_PATH.search(frame[0])]
    file, function = (own_frames or all_frames or [("", "")])[-1]
    short_path = "/".join(file.replace("\\", "/").split("/")[-2:])
    text = f"{exception.rpartition('.')[2] or exception} in {short_path}:{function}"
    return "".join(character if character.isprintable() else "?" for character in text)[:MAX_FINGERPRINT_LENGTH]


def _parse_json_entry(line: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
