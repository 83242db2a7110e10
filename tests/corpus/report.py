"""Read what the gate reports about each service from its JSON report (``docs/reference/json.md``)."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pytest_py312.core.text import shorten

SCHEMA = 1
"""The version of the document that is understood."""
_SETTING = re.compile(r"`[a-z-]+(?: = [^`]*)?` in the plan|in py312\.toml")
"""What a reason has that says which line to write."""


class ReportError(Exception):
    """A document that is no report of the gate, or has no service that was checked to its end."""


class ReportedState(Enum):
    """What the gate says about a service as a whole."""

    PROVEN = "proven"
    BLOCKED = "blocked"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockingFinding:
    """A finding that keeps a service back. ``line`` is 0 where the whole file is meant, ``path`` may be empty."""

    code: str
    message: str
    path: str = ""
    line: int = 0
    names: tuple[str, ...] = ()
    detail: str = ""
    remedy: str = ""
    changes: tuple[str, ...] = ()
    """The tried changes of requirements and the changes of source that the gate offers."""
    interpreter: str = ""
    """Empty if it is about the service as a whole."""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return " ".join(part for part in (self.code, place, _one_line(self.message)) if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportedService:
    """A service in a report. ``reasons`` say why something of it could not be checked."""

    name: str
    path: str
    baseline: str
    state: ReportedState
    findings: tuple[BlockingFinding, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def asks_for_setting(self) -> bool:
        """Whether it could not be checked for one reason only: a line of the plan, which the reason names."""
        return (
            self.state is ReportedState.NOT_CHECKED
            and bool(self.reasons)
            and all(_SETTING.search(reason) for reason in self.reasons)
        )


def read_report(text: str) -> tuple[ReportedService, ...]:
    """Return the services of a report, in its order.

    :raises ReportError: it cannot be read, or no service came to its end.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ReportError(f"the report is no JSON: {error}") from None
    return services_of(document)


def services_of(document: Any) -> tuple[ReportedService, ...]:
    """Return the services of a report, in its order.

    :raises ReportError: it is of another version, or no service came to its end.
    """
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ReportError(f"the report is not of version {SCHEMA} of the document")
    if not document["complete"] and not any(service.get("complete") for service in document.get("services", ())):
        raise ReportError("the run did not come to its end")
    return tuple(_service(service, document) for service in document["services"])


def _service(service: Mapping[str, Any], document: Mapping[str, Any]) -> ReportedService:
    outcomes = [outcome for outcome in document["outcomes"] if outcome["service"] == service["name"]]
    statuses = {outcome["status"] for outcome in outcomes}
    is_complete = service.get("complete", document["complete"])
    unchecked = tuple(_unchecked_reasons(outcomes, document["target"], has_suite=service["has_suite"]))
    if not is_complete:
        outcomes, statuses, unchecked = [], set(), ("the run was ended before all of it was checked",)
    if "failed" in statuses:
        state = ReportedState.BLOCKED
    else:
        state = ReportedState.NOT_CHECKED if unchecked else ReportedState.PROVEN
    return ReportedService(
        name=service["name"],
        path=service["path"],
        baseline=service["baseline"],
        state=state,
        findings=tuple(dict.fromkeys(_blocking_findings(outcomes))),
        reasons=unchecked,
    )


def _unchecked_reasons(outcomes: list[dict[str, Any]], target: str, *, has_suite: bool) -> Iterator[str]:
    """Yield why nothing is proven although nothing failed: the rule of the gate's own verdict."""
    errored = [outcome for outcome in outcomes if outcome["status"] == "errored"]
    for outcome in errored:
        place = f"{outcome['check']} on {outcome['interpreter'] or 'all Pythons'}"
        yield f"{place}: {_one_line(outcome['reason'], limit=2000)}"
    passed = {
        outcome["check"] for outcome in outcomes if outcome["status"] == "passed" and outcome["interpreter"] == target
    }
    if not passed and not errored:
        yield f"nothing was checked on {target}"
    elif has_suite and "suite" not in passed and not errored:
        yield f"the suite was not run on {target}"


def _blocking_findings(outcomes: list[dict[str, Any]]) -> Iterator[BlockingFinding]:
    for outcome in outcomes:
        for finding in outcome["findings"]:
            if finding["blocks"]:
                yield BlockingFinding(
                    code=finding["code"],
                    message=finding["message"],
                    path=finding["path"] or "",
                    line=finding["line"] or 0,
                    names=tuple(finding["names"]),
                    detail=finding["detail"],
                    remedy=finding["remedy"],
                    changes=tuple(f"{change.get('name', '')}{change['new']}" for change in finding["changes"]),
                    interpreter=outcome["interpreter"] or "",
                )


def _one_line(text: str, limit: int = 200) -> str:
    """Return the first line of a text, shortened."""
    return shorten(next((line.strip() for line in text.splitlines() if line.strip()), ""), limit)
