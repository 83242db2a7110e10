"""Install the set of a cell without what cannot be had: what is not needed, or what could not be fetched or built."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import Cell
from pytest_py312.dependencies.installation.cell_locks import CellLocks, InstallationParts
from pytest_py312.dependencies.installation.lock_installation import LockInstaller
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.resolution.lock import PROJECT_NAME, Undetermined, Unresolvable
from pytest_py312.runners.runner import CellUnavailable

MAX_UNAVAILABLE = 5
"""Number of times that a set is tried without one more project that cannot be had here."""


class ReducedSets:
    """Installer of sets without some of their projects. Thread-safe.

    :param installation: returns the installation of a cell.
    """

    def __init__(
        self,
        parts: InstallationParts,
        locks: CellLocks,
        lock_installer: LockInstaller,
        installation: Callable[[Cell], Installation],
    ) -> None:
        self._parts = parts
        self._locks = locks
        self._lock_installer = lock_installer
        self._installation = installation

    def without_dispensable(self, cell: Cell, installation: Installation) -> Installation:
        """Leave out what cannot be had and is not needed, see :attr:`Installation.dispensable`.

        Return ``installation`` with :attr:`Installation.dispensable` if that changes nothing.
        """
        dispensable = self._dispensable(cell)
        if not dispensable:
            return installation
        # if none of them is named, one of them may require what is
        left_out = dispensable & _blamed(installation) or dispensable
        if installation.environment is None and (installation.findings or installation.unavailable):
            rest = self._install_without(cell, left_out)
            for _ in range(MAX_UNAVAILABLE):
                more = (dispensable & _blamed(rest)) - left_out
                if rest.environment is not None or not more:
                    break
                left_out |= more
                rest = self._install_without(cell, left_out)
            reasons = _reasons_left_out(installation, rest, left_out)
            if reasons:
                return replace(rest, dispensable=dispensable, dispensed=reasons)
        return replace(installation, dispensable=dispensable)

    def _dispensable(self, cell: Cell) -> frozenset[str]:
        try:
            trees, _ = self._parts.trees.build(cell, self._parts.builds.find(cell))
        except (CellUnavailable, Undetermined):
            self._locks.mark_undetermined(cell)
            return frozenset()
        baseline = self._installation(cell.baseline_cell) if not cell.is_baseline else None
        environment = baseline.environment if baseline is not None else None
        return self._parts.request_builder.requirements.dispensable(
            cell.service, trees, environment.modules if environment else {}
        )

    def install_rest(self, cell: Cell, unavailable: Sequence[str]) -> Installation | None:
        """Install the requirements of a cell without those of ``unavailable`` that its files require.

        ``None`` if nothing else is required, or if that could not be checked either. What needs an unavailable project
        is not blamed: with it, the set might resolve.
        """
        names = set(unavailable)
        for _ in range(MAX_UNAVAILABLE):
            parts = {
                *self._parts.request_builder.requirements.directly_required(cell.service),
                *self._parts.request_builder.requirements.source_trees(cell.service),
            }
            if not names < parts:  # another requirement brings it, or nothing is left
                return self._judge_pins_alone(cell, names)
            rest = self._install_without(cell, names)
            if not rest.unchecked:
                findings = [finding for finding in rest.findings if not _is_about(finding, names)]
                return replace(rest, findings=tuple(findings), unavailable=tuple(names))
            if names >= set(rest.unavailable):
                return self._judge_pins_alone(cell, names)
            names |= set(rest.unavailable)
        return None

    def _judge_pins_alone(self, cell: Cell, names: set[str]) -> Installation | None:
        """Return what blocks each pinned version alone, for a set that cannot be installed even without ``names``."""
        from pytest_py312.dependencies.installation.source_builds import findings_on_pins_alone  # lazy: rarely needed

        try:
            build = self._parts.builds.find(cell)
            request = self._parts.request_builder.request(cell, (), (), unavailable=names)
            findings, left_out = findings_on_pins_alone(request, build, self._parts.locker, self._parts.store)
        except (CellUnavailable, Undetermined):
            return None
        return Installation(build=build, findings=findings, unavailable=(*names, *left_out)) if findings else None

    def _install_without(self, cell: Cell, names: Collection[str]) -> Installation:
        make_request = partial(self._parts.request_builder.request, unavailable=names)
        try:
            build = self._parts.builds.find(cell)
            trees, build_findings = self._parts.trees.build(cell, build, names)
            try:
                lock = self._parts.locker.lock(make_request(cell, trees, ()), build)
                lock = self._parts.locker.keep_preinstalled(lock, build, partial(make_request, cell, trees))
            except Unresolvable as blocked:
                return Installation(build=build, findings=(*build_findings, *blocked.findings))
        except (CellUnavailable, Undetermined) as reason:
            return self._locks.unchecked(cell, reason)
        return self._lock_installer.install(
            cell, self._parts.request_builder.as_installed(cell, lock), make_request, without=names
        )


def _blamed(installation: Installation) -> frozenset[str]:
    return frozenset(installation.unavailable).union(*(finding.names for finding in installation.findings))


def _is_about(finding: Finding, names: set[str]) -> bool:
    """Whether a finding is about one of some projects, or its message mentions one."""
    words = {canonicalize_name(word) for word in re.findall(PROJECT_NAME, finding.message)}
    return not names.isdisjoint(finding.names) or not names.isdisjoint(words)


def _reasons_left_out(whole: Installation, rest: Installation, left_out: Collection[str]) -> tuple[Finding, ...]:
    """Return the findings of ``whole`` that leaving out some projects takes away; an unknown result counts as one.

    Empty if that does not help.
    """
    remaining = {(finding.code, finding.message) for finding in rest.findings}
    gone = tuple(finding for finding in whole.findings if (finding.code, finding.message) not in remaining)
    if whole.unchecked and not rest.unchecked:
        names = tuple(sorted(left_out))
        message = f"{', '.join(names)} could not be checked: {whole.unchecked}"
        gone += (Finding(code="PY111", message=message, names=names),)
    return gone if rest.environment is not None or rest.findings else ()
