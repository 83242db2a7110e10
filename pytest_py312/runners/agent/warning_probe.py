"""The probe's recorder of warnings: standard library only, for Python 3.8 and later. Used by probe.py."""

from __future__ import annotations

import os
import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class WarningRecorder:
    """Counter of warnings by text and place, including those that the suite's filters ignore.

    Before each ``ignore`` filter it inserts one that matches the same warnings and passes them to this recorder. The
    suite behaves as before: the same warnings are shown, raised as errors, or collected by tests.
    """

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch + os.sep
        self._seen: dict[tuple[str, str, str], int] = {}
        self._count_by_text: dict[str, int] = {}
        self._last_match = threading.local()
        self._own_display: Any = None
        self._original_display = _warning_display()

    def record(self, warning_message: Any) -> None:
        message, category = str(warning_message.message)[:300], warning_message.category
        origin = "%s:%s" % (str(warning_message.filename).replace(self._scratch, ""), warning_message.lineno)
        key = (getattr(category, "__name__", str(category)), message, origin)
        if key in self._seen or len(self._seen) < 10_000:
            self._seen[key] = self._seen.get(key, 0) + 1

    def write(self, records: Any) -> None:
        """Write the counted warnings, deprecations first, as their number is limited."""
        ordered = sorted(self._seen.items(), key=lambda seen: "Deprecat" not in seen[0][0])
        for (category, message, origin), count in ordered[:500]:
            records.add("warning", category=category, message=message, origin=origin, count=count)

    def install_filters(self) -> None:
        """Insert a filter before each present ``ignore``, unless that was done since the display function changed."""
        if _warning_display() is None or not _shows_plainly() or self._is_installed():
            return
        # equal, not identical: what suites restore may be an older one; it would hand on to itself without an end
        if _warning_display() != self._own_display:
            self._original_display = _warning_display()
        self._own_display = warnings._showwarnmsg_impl = self._receive  # type: ignore[attr-defined]  # private, in 3.8 to 3.14
        for place, item in reversed(list(enumerate(warnings.filters))):
            action, message, category, module, line = item
            if action == "ignore" and not line and (category is Warning or _is_deprecation(category)):
                warnings.filters.insert(place, self._recording_filter(message, category, module))  # type: ignore[attr-defined]
        # the library notices changed filters only after a change by its own functions
        warnings.simplefilter("ignore", type("Nothing", (Warning,), {}), append=True)

    def _is_installed(self) -> bool:
        return _shows_plainly() and _warning_display() == self._own_display != self._original_display

    def _recording_filter(self, message: Any, category: Any, module: Any) -> tuple[Any, ...]:
        last_match = self._last_match

        def of_text(text: str) -> bool:
            matches = self._is_installed() and not self._is_saturated(text) and _matches_pattern(message, text)
            last_match.what = (text, category) if matches else None
            return matches

        def of_module(name: str) -> bool:
            last_match.what = getattr(last_match, "what", None) if _matches_pattern(module, name) else None
            return last_match.what is not None

        return ("always", _Pattern(of_text), category, _Pattern(of_module), 0)

    def _is_saturated(self, text: str) -> bool:
        """Return whether a warning occurred so often that recording more of it would only slow the suite down."""
        return self._count_by_text.get(text, -1 if len(self._count_by_text) < 10_000 else 1000) >= 1000

    def _receive(self, message: Any) -> None:
        matched, self._last_match.what = getattr(self._last_match, "what", None), None
        if matched is None or matched[0] != str(message.message) or not issubclass(message.category, matched[1]):
            self._original_display(message)
            return
        self._count_by_text[matched[0]] = self._count_by_text.get(matched[0], 0) + 1
        if _is_deprecation(message.category):
            with suppress(Exception):  # an error here would be raised in the suite
                self.record(message)


def _warning_display() -> Any:
    """Return the function that shows or collects warnings; ``None`` if the library has another name for it."""
    return getattr(warnings, "_showwarnmsg_impl", None)


def _shows_plainly() -> bool:
    """Return whether nothing has replaced ``warnings.showwarning``, as ``logging.captureWarnings`` and astropy do."""
    return warnings.showwarning is getattr(warnings, "_showwarning_orig", None)


def _is_deprecation(category: Any) -> bool:
    return isinstance(category, type) and issubclass(category, (DeprecationWarning, PendingDeprecationWarning))


class _Pattern:
    """A function in the guise of a regular expression, as warning filters need one."""

    def __init__(self, match: Callable[[str], bool]) -> None:
        self.match = match


def _matches_pattern(pattern: Any, text: str) -> bool:
    return pattern is None or (pattern == text if isinstance(pattern, str) else bool(pattern.match(text)))
