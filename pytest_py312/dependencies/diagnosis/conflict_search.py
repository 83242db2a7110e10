"""Find all minimal conflicts of a requirement set.

The resolver reports one conflict at a time. Each is confirmed by itself and shrunk to a minimal conflicting subset
(deletion-based MUS extraction). Then the set is resolved again without one member of each known conflict, for every
minimal hitting set; such a reduced set is called a *variant* here. When all variants resolve, every subset without a
known conflict resolves, so all minimal conflicts have been found, whatever the order.

Conflicts in the cache come first (dependencies/resolution/conflict_cache.py), then those known for another interpreter,
which have to be confirmed. The resolver finds the others.

Each query is a process that may wait for the network. So subsets of resolved sets are not queried again, nor sets that
known solutions can satisfy (dependencies/resolution/known_solutions.py); equal queries of two sets run once; and uv's
cache alone is tried before the network.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, product

from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import SingleFlight, Work
from pytest_py312.core.model.findings import Confidence, Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.text import join_with_and
from pytest_py312.dependencies.diagnosis.compatibility import parse_requirement
from pytest_py312.dependencies.resolution.conflict_cache import ConflictScope
from pytest_py312.dependencies.resolution.known_solutions import projects_in
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined
from pytest_py312.dependencies.resolution.uv_messages import relaxation_of
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver

MAX_CONFLICTS = 15
"""Conflicts of one set that are searched for before a first variant resolves."""
MAX_QUERIES = 160
"""Resolver runs for one set."""
MAX_MEMBERS = 8
"""A conflict of more requirements is reported as the resolver does, without minimizing it."""

MAX_VARIANTS = 20
"""Variants that are tried after the first one has resolved."""
MAX_COMBINATIONS = 500
"""Combinations of members of conflicts from which the variants are derived."""

CONFLICT_PREFIX = "the set conflicts on "

UNDETERMINED_CODE = "PY113"
"""Code of a finding about something that could not be determined: the list of blockers may be incomplete."""
_REFUSAL: Work[Finding | None] = Work("explain")
_OFFLINE_REFUSAL: Work[Finding | None] = Work("explain offline")


@dataclass(frozen=True, kw_only=True, slots=True)
class RequirementLine:
    """One requirement line of a set. ``text`` is PEP 508, without hashes."""

    name: str
    text: str
    line: str


def requirement_lines(request: ResolutionRequest) -> Iterator[RequirementLine]:
    """Yield the lines of a set that are requirements."""
    for line in request.lines:
        text = line.partition(" --hash=")[0].strip()
        requirement = parse_requirement(text)
        if requirement is not None:
            yield RequirementLine(name=canonicalize_name(requirement.name), text=text, line=line)


def without_projects(request: ResolutionRequest, names: Collection[str]) -> ResolutionRequest:
    """Return ``request`` without the lines of some projects."""
    removed_lines = {item.line for item in requirement_lines(request) if item.name in names}
    return replace(request, lines=tuple(line for line in request.lines if line not in removed_lines))


def _restricted_to(request: ResolutionRequest, names: Collection[str]) -> ResolutionRequest:
    """Return ``request`` with only the lines of some projects."""
    kept_lines = {item.line for item in requirement_lines(request) if item.name in names}
    return replace(request, lines=tuple(line for line in request.lines if line in kept_lines))


def _covers_projects(lines: Collection[str], request: ResolutionRequest) -> bool:
    """Return whether ``lines`` are all lines that ``request`` has for their projects."""
    return set(_restricted_to(request, projects_in(lines)).lines) == set(lines)


@dataclass(kw_only=True, slots=True)
class ConflictSearch:
    """The search for the conflicts of one set. ``findings`` are its results, ``blamed`` the projects in them.

    ``sources`` are projects that may be built from source, ``scope`` has the known conflicts and solutions.
    """

    build: InterpreterBuild
    resolver: UvResolver
    single_flight: SingleFlight
    requested: Sequence[RequirementLine]
    sources: tuple[str, ...]
    scope: ConflictScope
    findings: list[Finding] = field(default_factory=list)
    blamed: set[str] = field(default_factory=set)
    queries: int = 0
    request: ResolutionRequest = field(default_factory=lambda: ResolutionRequest(lines=()))
    tried_variants: set[frozenset[str]] = field(default_factory=set)
    """The lines of each variant tried so far: ``rounds`` of them up to the first solution, ``variants_tried`` later."""
    rounds: int = 0
    variants_tried: int = 0
    has_solution: bool = False
    finished: bool = False
    undetermined: set[str] = field(default_factory=set)
    """Projects that have to be left out because the resolver gives no answer with them."""
    satisfiable: list[frozenset[str]] = field(default_factory=list)
    """The lines of sets that resolve; all their subsets do as well."""

    def run(self, request: ResolutionRequest, first_refusal: Finding | None) -> None:
        """Find all conflicts of ``request``; ``first_refusal`` is why the whole set is unresolvable, if known."""
        self.request = request
        self._record_known()
        if first_refusal and not self.blamed & set(first_refusal.names):
            self._search_first_solution(partial(self._record, first_refusal, request), request)
        while not self.finished:
            if self.satisfiable:
                self._record_suspected()  # searches in parallel may have found more
            variant = next(
                (variant for variant in self._variants() if frozenset(variant.lines) not in self.tried_variants), None
            )
            if variant is None:
                return
            self.tried_variants.add(frozenset(variant.lines))
            if self.has_solution:
                self._try_variant(variant)
            else:
                self._search_first_solution(partial(self._find_next, variant), variant)

    def _variants(self) -> Iterator[ResolutionRequest]:
        # a requirement that is unresolvable by itself would hide further conflicts
        blocking_alone = {
            name for finding in self.findings if finding.blocks and len(finding.names) == 1 for name in finding.names
        }
        excluded = blocking_alone | self.undetermined
        conflicts = dict.fromkeys(finding.names for finding in self.findings if len(finding.names) > 1)
        for hitting_set in _minimal_hitting_sets([names for names in conflicts if not excluded & set(names)]):
            yield without_projects(self.request, hitting_set | excluded)

    def _search_first_solution(self, attempt: Callable[[], tuple[str, ...] | None], variant: ResolutionRequest) -> None:
        """Try a variant while none has resolved yet; each failure is one more conflict."""
        self.rounds += 1
        try:
            members = attempt()
        except Undetermined as reason:
            members = self._required_among(reason.names, variant)
            self.findings.append(undetermined_finding(str(reason), members))
            self.undetermined.update(members)
            self.finished = not members
            return
        self.has_solution = members is None
        if members == ():
            self.findings.append(undetermined_finding("what else blocks the set could not be determined", ()))
            self.finished = True
        elif self.rounds >= MAX_CONFLICTS and not self.has_solution:
            self.findings.append(
                undetermined_finding(
                    f"more than {MAX_CONFLICTS} conflicts: the search for what else blocks the set was stopped", ()
                )
            )
            self.finished = True

    def _try_variant(self, variant: ResolutionRequest) -> None:
        """Try a further variant; most resolve, and then mostly from the cache."""
        self.variants_tried += 1
        self.finished = self.variants_tried >= MAX_VARIANTS
        try:
            if (
                not self._is_known_satisfiable(variant)
                and (guess := self._explain_offline(variant))
                and not self._confirm_guess(guess, variant)
            ):
                self._find_next(variant)
        except Undetermined as reason:
            self.findings.append(undetermined_finding(str(reason), ()))
            self.finished = True

    def _record_known(self) -> None:
        """Record the known conflicts, and confirmed ones of other interpreters."""
        for lines, finding in self.scope.conflicts_among(self.request.lines):
            if _covers_projects(lines, self.request):
                self._add_finding(finding, tuple(sorted(projects_in(lines))))
        self._record_suspected()

    def _record_suspected(self) -> None:
        for lines in self.suspected_conflicts(self.request):
            if not self.scope.conflicts_among(lines) and (refusal := self.confirm_conflict(lines, self.request)):
                self._record(refusal, self.request)

    def suspected_conflicts(self, request: ResolutionRequest) -> list[frozenset[str]]:
        """Return conflicts within ``request`` that are known for other interpreters, and open for this one."""
        return [
            lines
            for lines in self.resolver.conflict_cache.suspected_conflicts(request, self.build)
            if _covers_projects(lines, request)
        ]

    def confirm_conflict(self, lines: Collection[str], request: ResolutionRequest) -> Finding | None:
        """Return why ``lines`` of ``request`` do not resolve alone; ``None`` if they do, or without an answer."""
        try:
            return self._explain(_restricted_to(request, projects_in(lines)))
        except Undetermined:
            return None

    def split_pairs(self) -> None:
        """Replace a conflicting pair by one of its members if that is unresolvable by itself.

        This is rare, and checked last: most variants have shown by then that the members resolve alone.
        """
        pairs = [
            finding
            for finding in self.findings
            if finding.code == "PY101" and finding.blocks and len(finding.names) == 2
        ]
        with suppress(Undetermined):  # the pair conflicts in any case, whether or not one member suffices
            for name in sorted({name for pair in pairs for name in pair.names}):
                alone_request = _restricted_to(self.request, [name])
                if not self._is_satisfiable(alone_request) and (refusal := self._explain(alone_request)):
                    self._add_finding(refusal, (name,))
        blocking_alone = {finding.names for finding in self.findings if finding.blocks and len(finding.names) == 1}
        self.findings = [
            finding
            for finding in self.findings
            if finding not in pairs or not {(name,) for name in finding.names} & blocking_alone
        ]

    def _find_next(self, request: ResolutionRequest) -> tuple[str, ...] | None:
        """Record one conflict of ``request`` and return its projects; ``None`` if the set resolves."""
        refusal = None if self._is_known_satisfiable(request) else self._explain(request)
        return None if refusal is None else self._record(refusal, request)

    def _confirm_guess(self, guess: Finding, request: ResolutionRequest) -> bool:
        """Record a conflict from uv's cache if it is confirmed for its members alone, which saves network queries."""
        members = self._required_among(guess.names, request)
        if guess.code not in ("PY101", "PY102") or not 0 < len(members) <= MAX_MEMBERS:
            return False
        try:
            refusal = self._explain(_restricted_to(request, members))
        except Undetermined:
            return False
        return refusal is not None and bool(self._record(replace(refusal, names=members), request))

    def _is_satisfiable(self, request: ResolutionRequest) -> bool:
        """Return whether ``request`` resolves: from known solutions, uv's cache, or at last the network."""
        return (
            self._is_known_satisfiable(request)
            or self._explain_offline(request) is None
            or self._explain(request) is None
        )

    def _is_known_satisfiable(self, request: ResolutionRequest) -> bool:
        lines = frozenset(request.lines)
        if any(lines <= resolved_lines for resolved_lines in self.satisfiable):
            return True
        if self.scope.can_satisfy(lines):
            self.satisfiable.append(lines)
            return True
        return False

    def _explain_offline(self, request: ResolutionRequest) -> Finding | None:
        return self._query_once(_OFFLINE_REFUSAL, self.resolver.explain_offline, request)

    def _explain(self, request: ResolutionRequest) -> Finding | None:
        return self._query_once(_REFUSAL, self.resolver.explain, request)

    def _query_once(
        self,
        kind: Work[Finding | None],
        query: Callable[[ResolutionRequest, InterpreterBuild, Sequence[str]], Finding | None],
        request: ResolutionRequest,
    ) -> Finding | None:
        self._count_query()
        sources = self._buildable_projects(request)
        work = kind.of(self.resolver.cache_key(request, self.build), *sources)
        refusal = self.single_flight.run(work, lambda: query(request, self.build, sources))
        if refusal is None:
            self.satisfiable.append(frozenset(request.lines))
        return refusal

    def _count_query(self) -> None:
        self.queries += 1
        if self.queries > MAX_QUERIES:
            raise Undetermined(f"the limit of {MAX_QUERIES} resolver runs for one set was reached")

    def _buildable_projects(self, request: ResolutionRequest) -> list[str]:
        """Return the required projects that may be built from source; indirect requirements have to be wheels."""
        requested = {item.name for item in requirement_lines(request)}
        return [name for name in self.sources if name in requested]

    def _required_among(self, names: Sequence[str], request: ResolutionRequest) -> tuple[str, ...]:
        """Return the ``names`` that are required directly, and so can be left out."""
        requested = {item.name for item in requirement_lines(request)}
        return tuple(sorted(name for name in dict.fromkeys(names) if name in requested))

    def _record(self, refusal: Finding, request: ResolutionRequest) -> tuple[str, ...]:
        """Record the conflict behind ``refusal``, minimized, and return its projects."""
        members = self._required_among(refusal.names, request)
        if refusal.code in ("PY101", "PY102") and members:
            refusal, members = self._minimize(refusal, members, request)
        return self._add_finding(refusal, members)

    def _add_finding(self, refusal: Finding, members: tuple[str, ...]) -> tuple[str, ...]:
        finding = self._describe(refusal, members)
        if (finding.code, finding.names) not in {(other.code, other.names) for other in self.findings}:
            self.findings.append(finding)
        self.blamed.update(members)
        return members

    def _minimize(
        self, refusal: Finding, members: tuple[str, ...], request: ResolutionRequest
    ) -> tuple[Finding, tuple[str, ...]]:
        """Confirm that ``members`` conflict by themselves, and drop bystanders (for pairs see :meth:`split_pairs`)."""
        with suppress(Undetermined):  # it is a conflict, perhaps not a minimal one
            alone_refusal = self._explain(_restricted_to(request, members))
            if alone_refusal is not None:
                minimal = self._drop_bystanders(members, request) if 2 < len(members) <= MAX_MEMBERS else members
                smallest = _restricted_to(request, minimal)
                refusal = self._explain(smallest) or alone_refusal
                if len(minimal) <= MAX_MEMBERS and refusal.code in ("PY101", "PY102"):
                    self.scope.add_conflict(smallest.lines, refusal)
                return refusal, minimal
        return replace(refusal, confidence=Confidence.LIKELY), members

    def _drop_bystanders(self, members: tuple[str, ...], request: ResolutionRequest) -> tuple[str, ...]:
        """Drop each project whose removal leaves the others unsatisfiable."""
        for name in members:
            remaining = tuple(other for other in members if other != name)
            if remaining and not self._is_satisfiable(_restricted_to(request, remaining)):
                members = remaining
        return members

    def _describe(self, refusal: Finding, members: tuple[str, ...]) -> Finding:
        if refusal.code != "PY101":
            return replace(refusal, names=members or refusal.names)
        # `a<5,>=3` and `a>=3,<5` are one requirement: it conflicts with what it requires itself
        different = {parse_requirement(item.text) or item.text: item.text for item in self.requested[::-1]}
        texts = [item.text for item in self.requested if item.name in members and item.text in different.values()]
        interpreter = str(self.build.interpreter)
        cause = refusal.message.removeprefix(f"{CONFLICT_PREFIX}{interpreter}: ")
        if not members:
            return refusal
        if len(texts) == 1:
            summary, remedy = (
                f"{texts[0]} cannot be resolved on {interpreter}",
                f"require another version of {members[0]}",
            )
        else:
            summary, remedy = f"{join_with_and(texts)} conflict on {interpreter}", relaxation_of(members)
        return replace(refusal, message=f"{summary}: {cause}", remedy=remedy, names=members)


def _minimal_hitting_sets(conflicts: Sequence[tuple[str, ...]]) -> list[frozenset[str]]:
    """Return the minimal sets of projects that hit every conflict, small ones first.

    Their number grows exponentially, so of many conflicts only some hitting sets are returned.
    """
    hitting_sets: list[frozenset[str]] = []
    for way in sorted(
        map(frozenset, islice(product(*conflicts), MAX_COMBINATIONS)), key=lambda way: (len(way), sorted(way))
    ):
        if not any(other <= way for other in hitting_sets):
            hitting_sets.append(way)
    return hitting_sets


def undetermined_finding(reason: str, names: Sequence[str]) -> Finding:
    return Finding(code=UNDETERMINED_CODE, message=reason, severity=Severity.WARNING, names=tuple(names))
