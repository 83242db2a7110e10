"""Compare two runs: which services became ready, which are blocked now, and why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pytest_py312.core.errors import Py312Error
from pytest_py312.core.model.readiness import Cause, RunRecord, ServiceRecord, ServiceVerdict, WaiverRecord

_UNCHECKED = (ServiceVerdict.ERRORED, ServiceVerdict.INCOMPLETE)


class ComparisonRefused(Py312Error):
    """The two runs answer different questions."""


class ChangeKind(Enum):
    """What became of a service between two runs."""

    NEWLY_BLOCKED = "newly blocked"
    NO_LONGER_CHECKED = "no longer checked"
    """It was ready or blocked, and could not be checked, or not completely."""
    CAUSES_CHANGED = "still blocked, with changed causes"
    NEWLY_READY = "newly ready"
    ADDED = "only in the new report"
    REMOVED = "only in the old report"
    STILL_BLOCKED = "still blocked as before"
    STILL_UNCHECKED = "still not checked"
    STILL_READY = "still ready"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceChange:
    """One service in two runs. ``before`` or ``after`` is ``None`` if it is in one of them only."""

    before: ServiceRecord | None
    after: ServiceRecord | None
    kind: ChangeKind
    new_causes: tuple[Cause, ...] = ()
    fixed_causes: tuple[Cause, ...] = ()
    """Those of before that the new run does not have any more."""
    accepted_causes: tuple[Cause, ...] = ()
    """Those of before that are still there, and do not block because they are waived or known now."""
    remaining_causes: tuple[Cause, ...] = ()

    @property
    def service(self) -> ServiceRecord:
        record = self.after or self.before
        assert record is not None
        return record

    @property
    def is_worse(self) -> bool:
        """Whether less is proven than before, or more has to be fixed.

        Another cause in the place of a fixed one is not worse: it may have been hidden behind that one.
        """
        if self.kind is ChangeKind.NEWLY_BLOCKED:
            return self.before is not None and self.before.verdict is ServiceVerdict.READY
        if self.kind is ChangeKind.NO_LONGER_CHECKED:
            return self.before is not None and self.before.verdict is ServiceVerdict.READY
        if self.kind is ChangeKind.ADDED:
            return self.after is not None and self.after.verdict is not ServiceVerdict.READY
        return self.kind is ChangeKind.CAUSES_CHANGED and bool(self.new_causes) and not self.fixed_causes


@dataclass(frozen=True, kw_only=True, slots=True)
class WaiverChange:
    """A waiver of the plan that was added, removed, or has another end, owner or reason."""

    before: WaiverRecord | None
    after: WaiverRecord | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDifference:
    """What has changed from ``old`` to ``new``. ``remarks`` are sentences on what the comparison cannot show."""

    old: RunRecord
    new: RunRecord
    changes: tuple[ServiceChange, ...]
    waivers: tuple[WaiverChange, ...]
    remarks: tuple[str, ...]

    def of_kind(self, kind: ChangeKind) -> list[ServiceChange]:
        return [change for change in self.changes if change.kind is kind]

    @property
    def worse(self) -> list[ServiceChange]:
        return [change for change in self.changes if change.is_worse]


def compare_runs(old: RunRecord, new: RunRecord) -> RunDifference:
    """Compare two runs.

    :raises ComparisonRefused: they are about different targets.
    """
    if old.target != new.target:
        raise ComparisonRefused(
            f"{old.origin} is about Python {old.target}, and {new.origin} about {new.target}: a service that is ready "
            "for one need not be for the other. Compare reports with the same target"
        )
    old_services = {service.name: service for service in old.services}
    new_services = {service.name: service for service in new.services}
    names = sorted(
        {*old_services, *new_services}, key=lambda name: ((new_services.get(name) or old_services[name]).stage, name)
    )
    return RunDifference(
        old=old,
        new=new,
        changes=tuple(_change(old_services.get(name), new_services.get(name)) for name in names),
        waivers=tuple(_waiver_changes(old.waivers, new.waivers)),
        remarks=tuple(_remarks(old, new)),
    )


def _change(old: ServiceRecord | None, new: ServiceRecord | None) -> ServiceChange:
    old_causes = {cause.fingerprint: cause for cause in old.causes} if old else {}
    new_causes = {cause.fingerprint: cause for cause in new.causes} if new else {}
    accepted = {cause.fingerprint: cause for cause in new.accepted} if new else {}
    # what could not be checked shows nothing about the causes of before, and they are not fixed
    is_judged = new is not None and new.verdict not in _UNCHECKED
    gone = [cause for key, cause in old_causes.items() if key not in new_causes and key not in accepted]
    return ServiceChange(
        before=old,
        after=new,
        kind=_kind(old, new, is_changed=old_causes.keys() != new_causes.keys()),
        new_causes=tuple(cause for key, cause in new_causes.items() if key not in old_causes),
        fixed_causes=tuple(gone) if is_judged else (),
        accepted_causes=tuple(cause for key, cause in accepted.items() if key in old_causes),
        remaining_causes=tuple(cause for key, cause in new_causes.items() if key in old_causes),
    )


def _kind(old: ServiceRecord | None, new: ServiceRecord | None, *, is_changed: bool) -> ChangeKind:
    if old is None or new is None:
        return ChangeKind.ADDED if old is None else ChangeKind.REMOVED
    if new.verdict is ServiceVerdict.READY:
        return ChangeKind.STILL_READY if old.verdict is ServiceVerdict.READY else ChangeKind.NEWLY_READY
    if new.verdict in _UNCHECKED:
        return ChangeKind.STILL_UNCHECKED if old.verdict in _UNCHECKED else ChangeKind.NO_LONGER_CHECKED
    if old.verdict is not ServiceVerdict.BLOCKED:
        return ChangeKind.NEWLY_BLOCKED
    return ChangeKind.CAUSES_CHANGED if is_changed else ChangeKind.STILL_BLOCKED


def _waiver_changes(old: Sequence[WaiverRecord], new: Sequence[WaiverRecord]) -> list[WaiverChange]:
    old_waivers = {waiver.key: waiver for waiver in old}
    new_waivers = {waiver.key: waiver for waiver in new}
    return [
        WaiverChange(before=old_waivers.get(key), after=new_waivers.get(key))
        for key in sorted({*old_waivers, *new_waivers})
        if old_waivers.get(key) != new_waivers.get(key)
    ]


def _remarks(old: RunRecord, new: RunRecord) -> list[str]:
    remarks = [
        f"The run of {run.origin} did not come to its end: it shows what was known by then."
        for run in (old, new)
        if not run.complete
    ]
    if datetime.fromisoformat(new.ended_at) < datetime.fromisoformat(old.ended_at):
        remarks.append(f"{new.origin} is older than {old.origin}: are they in the right order?")
    if old.tool_version != new.tool_version:
        remarks.append(
            f"They were written by different versions of pytest-py312 ({old.tool_version}, {new.tool_version}), "
            "so a difference may come from the tool."
        )
    if new.checkout.modified:
        remarks.append(f"When {new.origin} was made, files differed from its commit.")
    return remarks
