"""What a part of a divided run was, so that its document can be compared with those of the other parts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkUnit:
    """Items of one service that one part of the run checks.

    ``items`` are the ends of their node ids (``versions``, ``py3.12::suite``), in the order of the run.
    """

    service: str
    part: int
    items: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunIdentity:
    """What has to be equal in all parts of one run."""

    tool: str
    """Version of this package, and the digest of its code."""
    commit: str
    """The commit that is checked out; empty outside of a git checkout."""
    changes: tuple[tuple[str, str], ...]
    """Files that differ from the commit, with the digest of their content; empty for a deleted one.

    Outside of a git checkout: the digest of the whole folder, with the path ``.``.
    """
    plan: str
    """Digest of the plan."""
    options: tuple[tuple[str, str], ...]
    """The options on which the outcomes depend: (name, value)."""
    durations: str
    """Digest of the file of durations; empty if there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShardPart:
    """One part of a divided run. ``part`` counts from 1.

    ``identity`` is missing, and ``units`` is empty, if the part ended before they were known.
    """

    part: int
    parts: int
    identity: RunIdentity | None = None
    units: tuple[WorkUnit, ...] = ()
    """All items of the whole run, ordered by service as in the fleet; those of the part among them."""
    prefix: str = ""
    """The path from the checkout to the plan's folder, such as ``platform/``."""
    record: str = ""
    """The report of the part as it is stored beside the plan, in base64."""

    @property
    def own_items(self) -> frozenset[tuple[str, str]]:
        """The items of this part: (service, end of the node id)."""
        return frozenset((unit.service, item) for unit in self.units if unit.part == self.part for item in unit.items)
