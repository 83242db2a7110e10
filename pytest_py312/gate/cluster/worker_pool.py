"""The workers of a cluster that take part in a run: each is asked for its facts once, and gets the tree once."""

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_py312.core import clock
from pytest_py312.gate.cluster import worker
from pytest_py312.gate.cluster.connection import ClusterConnection
from pytest_py312.gate.cluster.jobs import FactsRequest, RunSetup, WorkerFacts, from_text, to_text
from pytest_py312.gate.cluster.placement import refusal
from pytest_py312.gate.cluster.tree_archive import TreeArchive
from pytest_py312.gate.sharding.documents import tool_identity

Objection = Callable[[WorkerFacts], str]
"""Why a worker that joins late cannot take part; empty if it can."""


def no_objection(facts: WorkerFacts) -> str:
    """Return no objection: before it is decided what goes where."""
    return ""


@dataclass(kw_only=True, slots=True)
class WorkerPool:
    """The workers of a cluster. Not thread-safe."""

    connection: ClusterConnection
    request: FactsRequest
    run_id: str
    plugins: Mapping[str, str] = field(default_factory=dict)
    """Module of each plugin that workers load -> digest of its code here."""
    facts: dict[str, WorkerFacts] = field(default_factory=dict)
    """Those that are present and take part, by address."""
    refused: dict[str, str] = field(default_factory=dict)
    """Those that do not, with the reason."""
    changes: int = 0
    """How often ``facts`` has changed."""
    _names: dict[str, str] = field(default_factory=dict)
    _prepared: set[str] = field(default_factory=set)

    def name(self, address: str) -> str:
        """Return what users call a worker: its name with its address."""
        name = self._names.get(address, address)
        return address if name == address else f"{name} ({address})"

    def refresh(self, objection: Objection = no_objection) -> tuple[list[str], list[str]]:
        """Ask workers that are new; return the addresses of those that joined, and of those that have left."""
        present = self.connection.workers()
        left = [address for address in self.facts if address not in present]
        for address in (*left, *(address for address in self.refused if address not in present)):
            self.forget(address)
        new = [address for address in present if address not in self.facts and address not in self.refused]
        joined = self._ask(new, objection) if new else []
        return joined, left

    def forget(self, address: str) -> None:
        """Forget a worker: if it is there again, it is asked and prepared again."""
        self.changes += 1
        self.facts.pop(address, None)
        self.refused.pop(address, None)
        self._prepared.discard(address)

    def _ask(self, addresses: Collection[str], objection: Objection) -> list[str]:
        asked = clock.timestamp()
        answers = self.connection.run(worker.describe_worker, to_text(self.request), workers=addresses)
        answered = clock.timestamp()
        joined = []
        for address in addresses:
            facts, reason = _facts_of(answers.get(address))
            if facts is not None:
                self._names[address] = facts.name
                offset = min(0.0, facts.clock - asked) or max(0.0, facts.clock - answered)
                python = f"{sys.version_info.major}.{sys.version_info.minor}"
                reason = refusal(
                    facts, tool=tool_identity(), python=python, clock_offset=offset, plugins=self.plugins
                ) or objection(facts)
            if facts is None or reason:
                self._refuse(address, reason)
            else:
                self.changes += 1
                self.facts[address] = facts
                joined.append(address)
        return joined

    def _refuse(self, address: str, reason: str) -> None:
        self.changes += 1
        self.facts.pop(address, None)
        self.refused[address] = reason
        self.connection.run(worker.refuse, self.run_id, reason, workers=[address])

    def prepare(self, setup: RunSetup, archive: TreeArchive) -> None:
        """Send the tree to workers that do not have it; those that cannot unpack it are refused."""
        addresses = [address for address in self.facts if address not in self._prepared]
        if not addresses:
            return
        content = b"" if setup.archive else archive.content
        answers = self.connection.run(worker.prepare, to_text(setup), content, workers=addresses)
        for address in addresses:
            answer = answers.get(address)
            if answer == "":
                self._prepared.add(address)
            else:
                self._refuse(address, str(answer) or "it did not answer")

    def dismiss(self) -> None:
        """Let the workers end what they still check, and remove the tree."""
        self.connection.run(worker.dismiss, self.run_id, workers=[*self.facts, *self.refused])

    def describe(self) -> Mapping[str, WorkerFacts]:
        """Return the facts by what users call the workers."""
        return {self.name(address): facts for address, facts in self.facts.items()}


def _facts_of(answer: Any) -> tuple[WorkerFacts | None, str]:
    """Return the facts that a worker has sent, or why there are none."""
    if isinstance(answer, ImportError | AttributeError):
        return None, "it has no pytest-py312, or another version: install the same version there"
    if not isinstance(answer, str):
        return None, f"it did not answer ({type(answer).__name__}: {answer})"
    try:
        return from_text(WorkerFacts, answer), ""
    except (ValueError, TypeError, KeyError):
        return None, "it has another version of pytest-py312: install the same version there"
