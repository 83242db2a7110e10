"""Decide whether production turns a warning into an error: PYTHONWARNINGS and ``-W`` of the interpreter.

https://docs.python.org/3/library/warnings.html#describing-warning-filters
"""

import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Confidence, Finding, Location, Severity
from pytest_py312.core.model.fleet import InterpreterVariable

COMPILER_WARNING = "PY221"
WARNING_ERRORS = frozenset({"DeprecationWarning", "Warning"})
"""Exceptions that a deprecation warning is, where it is raised."""
_ACTIONS = ("default", "always", "ignore", "module", "once", "error")
_OWN_FILTER = re.compile(
    r"\b(?:simplefilter|filterwarnings)\(\s*[\"'](?:default|always|ignore|module|once)[\"'](?P<rest>[^)]{0,500})"
)
_LOCAL_FILTER = re.compile(r"catch_warnings\([^)\n]*\)[^\n:]*:\s*\n\s+(?:warnings\.)?(?:simplefilter|filterwarnings)\(")
_STRICT_CODE = re.compile(
    r"^warnings\.(?:simplefilter|filterwarnings)\(\s*[\"']error[\"']\s*(?:,\s*(?:category\s*=\s*)?(?P<category>\w+)\s*)?\)",
    re.MULTILINE | re.ASCII,
)
_CATEGORY = re.compile(r"\b\w*Warning\b", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class WarningFilters:
    """The filters of each process of production, and the files that run there, with their texts."""

    variables: tuple[InterpreterVariable, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    of_code: tuple[InterpreterVariable, ...] = ()
    """Filters that the modules which start it set at their top: for what runs after that."""

    def as_error(self, finding: Finding, category: str, baseline_category: str = "") -> Finding:
        """Return a finding about a warning, as an error if production raises it on the target and not on the baseline.

        :param category: that of the warning on the target.
        :param baseline_category: that of the same warning on the baseline; empty if there is none.
        """
        path = finding.location.path if finding.location is not None else ""
        is_certain = finding.confidence is Confidence.CERTAIN and finding.severity is Severity.WARNING
        if not is_certain or path not in self.files:
            return finding
        later = self.of_code if finding.code != COMPILER_WARNING else ()  # files were compiled before
        of_code = tuple(variable for variable in later if self._is_after(finding.location, variable.location))
        place = _place_of_error((*self.variables, *of_code), category, baseline_category, finding.detail)
        if place is None or any(_sets_other_filter(text, category) for text in self.files.values()):
            return finding
        message = f"{finding.message}, and {place} turns this warning into an error"
        return replace(finding, message=message, severity=Severity.ERROR)

    def _is_after(self, place: Location | None, setting: Location) -> bool:
        """Return whether code surely runs after the line ``setting``: below it, or inside of a function or class."""
        if place is None or not place.line or not setting.line:
            return False
        lines = self.files[place.path].splitlines()
        is_inside = place.line <= len(lines) and lines[place.line - 1][:1].isspace()
        return is_inside or (place.path == setting.path and place.line > setting.line)


def filters_in_code(path: str, text: bytes) -> Iterator[InterpreterVariable]:
    """Yield the filters that a module sets when it is run, and which raise warnings."""
    for match in _STRICT_CODE.finditer(text.decode("utf-8", "replace") if b"warnings." in text else ""):
        place = Location(path=path, line=match.string.count("\n", 0, match.start()) + 1)
        yield InterpreterVariable(name="PYTHONWARNINGS", value=f"error::{match['category'] or ''}", location=place)


def _place_of_error(
    variables: Sequence[InterpreterVariable], category: str, baseline_category: str, text: str
) -> Location | None:
    for variable in variables:
        options = variable.value.split(",")
        if _is_error(options, category, text):
            return None if _is_error(options, baseline_category, text) else variable.location
    return None


def _is_error(options: list[str], category: str, text: str) -> bool:
    """Return whether the last filter that may match a warning raises it; one for a module or a line does not count."""
    for option in reversed(options):
        action, message, name, *place = (
            part.strip() for part in f"{option}::".split(":")[: max(3, option.count(":") + 1)]
        )
        if not _includes(name, category) or not text.lower().startswith(message.lower()):
            continue
        matching = next((known for known in _ACTIONS if action and known.startswith(action)), "")
        if any(place) and matching == "error":
            continue
        return matching == "error"
    return False


def _includes(name: str, category: str) -> bool:
    """Return whether a filter for the category ``name`` is one for ``category`` as well; an empty name is all."""
    filtered, raised = getattr(builtins, name or "Warning", None), getattr(builtins, category, None)
    return isinstance(filtered, type) and isinstance(raised, type) and issubclass(raised, filtered)


def _sets_other_filter(text: bytes, category: str) -> bool:
    """Return whether code changes for the whole process what is done with warnings of a category."""
    if b"filter" not in text:
        return False
    outside = _LOCAL_FILTER.sub("", text.decode("utf-8", "replace"))
    for match in _OWN_FILTER.finditer(outside):
        names = _CATEGORY.findall(match["rest"])
        if not names or any(_includes(name, category) for name in names):
            return True
    return False
