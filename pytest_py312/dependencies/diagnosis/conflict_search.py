"""The conflicts of a set, one after the other, until all of it that has none of them in it resolves.

What the resolver names is confirmed to clash by itself, and the set is asked about again without one member of each
conflict, in every way that there is. In the end, whatever does not contain a conflict that was found lies within a set
that resolves: so all smallest conflicts are found, whichever are found first. Those that are known
(dependencies/resolution/conflict_cache.py) are taken first, those that another interpreter has are asked about next,
and the resolver has to find what is left.

Each question is a process, and may wait for the network. What resolves is never asked about again, nor is a part of it,
nor what known solutions can be put together for (dependencies/resolution/known_solutions.py); what two sets ask alike
is asked once; and that a set resolves is taken from the cache alone wherever that has it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, product

from packaging.utils import canonicalize_name

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.findings import Confidence, Finding, Severity
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import parsed
from pytest_py312.dependencies.resolution.conflict_cache import Scope
from pytest_py312.dependencies.resolution.known_solutions import names_in
from pytest_py312.dependencies.resolution.lock import Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_resolver import Resolver

MOST_PEELS = 15
"""Conflicts of one set that are looked for before any part of it that has none was found."""
MOST_QUESTIONS = 160
"""Questions to the resolver about one set."""
MOST_MEMBERS = 8
"""A conflict of more requirements is told as the resolver tells it, and not made smaller."""

MOST_WAYS = 20
"""Ways of undoing the known conflicts in which further ones are looked for."""
MOST_COMBINATIONS = 500
"""Combinations of members of conflicts from which those ways are taken."""

CONFLICT_WORDS = "the set conflicts on "

UNTOLD = "PY113"
"""The code of a finding that says what could not be told: with one, the list of blockers may be too short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Requested:
    """One line of a set: ``text`` is PEP 508, hashes cut off."""

    name: str
    text: str
    line: str


def requested_in(wanted: Wanted) -> Iterator[Requested]:
    """The lines of a set that are requirements."""
    for line in wanted.lines:
        text = line.partition(" --hash=")[0].strip()
        requirement = parsed(text)
        if requirement is not None:
            yield Requested(name=canonicalize_name(requirement.name), text=text, line=line)


def without(wanted: Wanted, names: Collection[str]) -> Wanted:
    """``wanted`` less all lines of some projects."""
    gone = {item.line for item in requested_in(wanted) if item.name in names}
    return replace(wanted, lines=tuple(line for line in wanted.lines if line not in gone))


def _only(wanted: Wanted, names: Collection[str]) -> Wanted:
    """``wanted`` with nothing but the lines of some projects."""
    kept = {item.line for item in requested_in(wanted) if item.name in names}
    return replace(wanted, lines=tuple(line for line in wanted.lines if line in kept))


def _is_whole(lines: Collection[str], wanted: Wanted) -> bool:
    """Whether ``lines`` are all that ``wanted`` has of their projects."""
    return set(_only(wanted, names_in(lines)).lines) == set(lines)


@dataclass(kw_only=True, slots=True)
class Peel:
    """The rest of a set, conflict by conflict. ``found`` are the findings, ``dropped`` the projects in them.

    ``sources`` are projects that may be built, ``scope`` is what is known of parts of such sets.
    """

    build: InterpreterBuild
    resolver: Resolver
    once: Once
    requested: Sequence[Requested]
    sources: tuple[str, ...]
    scope: Scope
    found: list[Finding] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    questions: int = 0
    whole: Wanted = field(default_factory=lambda: Wanted(lines=()))
    asked: set[frozenset[str]] = field(default_factory=set)
    """The lines of the ways that were asked about, of which ``peels`` before one had ``settled`` and ``ways`` after."""
    peels: int = 0
    ways: int = 0
    settled: bool = False
    ended: bool = False
    lost: set[str] = field(default_factory=set)
    """Projects without which the set can be asked about at all."""
    fine: list[frozenset[str]] = field(default_factory=list)
    """The lines of sets that resolve: so does every part of them."""

    def run(self, wanted: Wanted, first: Finding | None) -> None:
        """Find all conflicts of ``wanted``; ``first`` is why all of it was refused, where that is known.

        The set is asked about in every way that undoes the conflicts that are known: with one member of each left out.
        Where it does not resolve like that, there is one more.
        """
        self.whole = wanted
        self._take_known()
        if first and not self.dropped & set(first.names):
            self._settle(partial(self._take, first, wanted), wanted)
        while not self.ended:
            if self.fine:
                self._take_suspected()  # others have found more meanwhile
            tried = next((tried for tried in self._ways() if frozenset(tried.lines) not in self.asked), None)
            if tried is None:
                return
            self.asked.add(frozenset(tried.lines))
            if self.settled:
                self._put_back(tried)
            else:
                self._settle(partial(self._next, tried), tried)

    def _ways(self) -> Iterator[Wanted]:
        # one that cannot be had by itself would hide what else there is
        alone = {name for found in self.found if found.blocks and len(found.names) == 1 for name in found.names}
        gone = alone | self.lost
        conflicts = dict.fromkeys(found.names for found in self.found if len(found.names) > 1)
        for way in _ways_out([names for names in conflicts if not gone & set(names)]):
            yield without(self.whole, way | gone)

    def _settle(self, ask: Callable[[], tuple[str, ...] | None], tried: Wanted) -> None:
        """Ask until some way resolves; each time that it does not, there is one conflict more."""
        self.peels += 1
        try:
            members = ask()
        except Unchecked as reason:
            members = self._members(reason.names, tried)
            self.found.append(unknown(str(reason), members))
            self.lost.update(members)
            self.ended = not members
            return
        self.settled = members is None
        if members == ():
            self.found.append(unknown("what else blocks the set could not be told", ()))
            self.ended = True
        elif self.peels >= MOST_PEELS and not self.settled:
            self.found.append(
                unknown(f"more than {MOST_PEELS} conflicts: what else blocks the set was not looked for", ())
            )
            self.ended = True

    def _put_back(self, tried: Wanted) -> None:
        """Ask about another way; most resolve, and then mostly from the cache."""
        self.ways += 1
        self.ended = self.ways >= MOST_WAYS
        try:
            if not self._is_fine(tried) and (guess := self._guess(tried)) and not self._is_confirmed(guess, tried):
                self._next(tried)
        except Unchecked as reason:
            self.found.append(unknown(str(reason), ()))
            self.ended = True

    def _take_known(self) -> None:
        """Take what is known to clash here, and what clashes on another interpreter and turns out to do so here."""
        for lines, known in self.scope.clashes(self.whole.lines):
            if _is_whole(lines, self.whole):
                self._add(known, tuple(sorted(names_in(lines))))
        self._take_suspected()

    def _take_suspected(self) -> None:
        for lines in self.suspected(self.whole):
            if not self.scope.clashes(lines) and (refusal := self.suspicion(lines, self.whole)):
                self._take(refusal, self.whole)

    def suspected(self, wanted: Wanted) -> list[frozenset[str]]:
        """Parts of ``wanted`` that clash on another interpreter, and of which nothing is known on this one."""
        return [lines for lines in self.resolver.parts.suspected(wanted, self.build) if _is_whole(lines, wanted)]

    def suspicion(self, lines: Collection[str], wanted: Wanted) -> Finding | None:
        """Why ``lines`` of ``wanted`` cannot be had by themselves; ``None`` where they can, or it was not told."""
        try:
            return self._refusal(_only(wanted, names_in(lines)))
        except Unchecked:
            return None

    def part(self) -> None:
        """Tell of one member of a pair alone where it cannot be had without the other either.

        That is rare, and left until now as the ways in which conflicts were put back have mostly shown that it can.
        """
        pairs = [one for one in self.found if one.code == "PY101" and one.blocks and len(one.names) == 2]
        try:
            for name in sorted({name for pair in pairs for name in pair.names}):
                alone = _only(self.whole, [name])
                if not self._resolves(alone) and (refusal := self._refusal(alone)):
                    self._add(refusal, (name,))
        except Unchecked:
            pass  # they clash, which is known; that no less does is not
        alone_too = {one.names for one in self.found if one.blocks and len(one.names) == 1}
        self.found = [one for one in self.found if one not in pairs or not {(name,) for name in one.names} & alone_too]

    def _next(self, wanted: Wanted) -> tuple[str, ...] | None:
        """Add one finding of ``wanted``, and return the projects to take out for it; ``None`` where it resolves."""
        refusal = None if self._is_fine(wanted) else self._refusal(wanted)
        return None if refusal is None else self._take(refusal, wanted)

    def _is_confirmed(self, guess: Finding, wanted: Wanted) -> bool:
        """Whether a guess names what does clash by itself, and that is then added: less is asked of the network."""
        members = self._members(guess.names, wanted)
        if guess.code not in ("PY101", "PY102") or not 0 < len(members) <= MOST_MEMBERS:
            return False
        try:
            refusal = self._refusal(_only(wanted, members))
        except Unchecked:
            return False
        return refusal is not None and bool(self._take(replace(refusal, names=members), wanted))

    def _resolves(self, wanted: Wanted) -> bool:
        """From what is known, else from the cache, else from the network: no from the cache is no more than a guess."""
        return self._is_fine(wanted) or self._guess(wanted) is None or self._refusal(wanted) is None

    def _is_fine(self, wanted: Wanted) -> bool:
        lines = frozenset(wanted.lines)
        if any(lines <= fine for fine in self.fine):
            return True
        if self.scope.resolves(lines):
            self.fine.append(lines)
            return True
        return False

    def _guess(self, wanted: Wanted) -> Finding | None:
        return self._asked("guess", self.resolver.guess, wanted)

    def _refusal(self, wanted: Wanted) -> Finding | None:
        return self._asked("refusal", self.resolver.refusal, wanted)

    def _asked(
        self,
        what: str,
        ask: Callable[[Wanted, InterpreterBuild, Sequence[str]], Finding | None],
        wanted: Wanted,
    ) -> Finding | None:
        self._count()
        sources = self._sources(wanted)
        key = f"{what} {self.resolver.key(wanted, self.build)} {' '.join(sources)}"
        found = self.once(key, lambda: ask(wanted, self.build, sources))
        if found is None:
            self.fine.append(frozenset(wanted.lines))
        return found

    def _count(self) -> None:
        self.questions += 1
        if self.questions > MOST_QUESTIONS:
            raise Unchecked(f"the resolver was asked {MOST_QUESTIONS} times, and no more")

    def _sources(self, wanted: Wanted) -> list[str]:
        """What may be built; a project that only comes in through another has wheels: this set's pin has none."""
        here = {item.name for item in requested_in(wanted)}
        return [name for name in self.sources if name in here]

    def _members(self, names: Sequence[str], wanted: Wanted) -> tuple[str, ...]:
        """Those of ``names`` that are required here, so that they can be taken out."""
        here = {item.name for item in requested_in(wanted)}
        return tuple(sorted(name for name in dict.fromkeys(names) if name in here))

    def _take(self, refusal: Finding, wanted: Wanted) -> tuple[str, ...]:
        """Add the finding that ``refusal`` amounts to, and return the projects to take out for it."""
        members = self._members(refusal.names, wanted)
        if refusal.code in ("PY101", "PY102") and members:
            refusal, members = self._smallest(refusal, members, wanted)
        return self._add(refusal, members)

    def _add(self, refusal: Finding, members: tuple[str, ...]) -> tuple[str, ...]:
        finding = self._told(refusal, members)
        if (finding.code, finding.names) not in {(one.code, one.names) for one in self.found}:
            self.found.append(finding)
        self.dropped.update(members)
        return members

    def _smallest(self, refusal: Finding, members: tuple[str, ...], wanted: Wanted) -> tuple[Finding, tuple[str, ...]]:
        """Confirm that ``members`` clash by themselves, without those that have no part in it (pairs: :meth:`part`)."""
        try:
            alone = self._refusal(_only(wanted, members))
            if alone is not None:
                fewer = self._fewer(members, wanted) if 2 < len(members) <= MOST_MEMBERS else members
                smallest = _only(wanted, fewer)
                refusal = self._refusal(smallest) or alone
                if len(fewer) <= MOST_MEMBERS and refusal.code in ("PY101", "PY102"):
                    self.scope.add_clash(smallest.lines, refusal)
                return refusal, fewer
        except Unchecked:
            pass  # it was refused, only not made smaller
        return replace(refusal, confidence=Confidence.LIKELY), members

    def _fewer(self, members: tuple[str, ...], wanted: Wanted) -> tuple[str, ...]:
        """Those of ``members`` without which the others resolve."""
        for name in members:
            fewer = tuple(one for one in members if one != name)
            if fewer and not self._resolves(_only(wanted, fewer)):
                members = fewer
        return members

    def _told(self, refusal: Finding, members: tuple[str, ...]) -> Finding:
        if refusal.code != "PY101":
            return replace(refusal, names=members or refusal.names)
        texts = [item.text for item in self.requested if item.name in members]
        on = str(self.build.interpreter)
        cause = refusal.message.removeprefix(f"{CONFLICT_WORDS}{on}: ")
        if not members:
            return refusal
        if len(texts) == 1:
            what, remedy = f"{texts[0]} cannot be had on {on}", f"require another version of {members[0]}"
        else:
            what, remedy = f"{_listed(texts)} clash on {on}", f"loosen one of {', '.join(members)}"
        return replace(refusal, message=f"{what}: {cause}", remedy=remedy, names=members)


def _ways_out(conflicts: Sequence[tuple[str, ...]]) -> list[frozenset[str]]:
    """The sets of members without which none of ``conflicts`` is left, none larger than it need be, small ones first.

    Of many conflicts only some, as their number grows with each.
    """
    found: list[frozenset[str]] = []
    for way in sorted(
        map(frozenset, islice(product(*conflicts), MOST_COMBINATIONS)), key=lambda way: (len(way), sorted(way))
    ):
        if not any(other <= way for other in found):
            found.append(way)
    return found


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def unknown(reason: str, names: Sequence[str]) -> Finding:
    return Finding(code=UNTOLD, message=reason, severity=Severity.WARNING, names=tuple(names))
