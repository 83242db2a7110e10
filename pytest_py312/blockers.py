"""All that keeps a set of requirements from being installed, in one run: not what a resolver stumbles over first.

What is wrong with a requirement by itself comes from the index (screen.py), for all of them at once. Those are taken
out, and the rest is peeled: the resolver is asked, what it names is confirmed to clash by itself and taken out as well,
until what is left resolves. Then the members of conflicts are put back, as they may clash with others too.

Each question is a process, and may wait for the network. What resolves is never asked about again, nor is a part of it;
what two sets ask alike is asked once; and that a set resolves is taken from the cache alone wherever that has it.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product

from packaging.utils import canonicalize_name

from pytest_py312.index import Index
from pytest_py312.model import Confidence, Finding, InterpreterBuild, Severity
from pytest_py312.once import Once
from pytest_py312.refusals import placed
from pytest_py312.resolution import Resolver, Unchecked, Wanted
from pytest_py312.screen import Standing, Target, Verdict, is_wanted, parsed, screen, target_of

MOST_PEELS = 15
"""Conflicts taken out of one set, one after the other."""
MOST_QUESTIONS = 160
"""Questions to the resolver about one set."""
MOST_MEMBERS = 8
"""A conflict of more requirements is told as the resolver tells it, and not made smaller."""

MOST_WAYS = 20
"""Ways of undoing the known conflicts in which further ones are looked for."""
MOST_COMBINATIONS = 500
"""Combinations of members of conflicts from which those ways are taken."""

CONFLICT_WORDS = "the set conflicts on "

_UNTRIED = re.compile(r"(\S+)==(\S+) has no wheel for [^;]*; whether its source builds was not tried")

UNTOLD = "PY113"
"""The code of a finding that says what could not be told: with one, the list of blockers may be too short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Requested:
    """One line of a set: ``text`` is PEP 508, hashes cut off."""

    name: str
    text: str
    line: str


def all_blockers(
    wanted: Wanted,
    build: InterpreterBuild,
    resolver: Resolver,
    index: Index,
    *,
    first: Finding | None = None,
    once: Once | None = None,
) -> list[Finding]:
    """Everything that blocks ``wanted``, which the resolver has refused (with ``first``, where that is known).

    ``once`` keeps what the resolver was asked about, for other sets of the same run.

    Errors are what blocks; warnings say what was noticed beside it (``PY112``) and what could not be told
    (:data:`UNTOLD`). Without an error nothing was found that blocks. Never raises for what index or resolver do.
    """
    target = _target(wanted, build)
    requested = [item for item in _requested(wanted) if _applies(item, target)]
    pages = index.pages(item.name for item in requested if _is_indexed(item))
    verdicts = [(item, screen(pages[item.name], item.text, target)) for item in requested if _is_indexed(item)]
    alone = [_single(item, verdict, build) for item, verdict in verdicts if verdict.standing.blocks]
    sources = [verdict for _, verdict in verdicts if verdict.standing is Standing.SOURCE_ONLY]

    blocking = {verdict.name for _, verdict in verdicts if verdict.standing.blocks}
    peel = _Peel(
        build=build,
        resolver=resolver,
        once=once or Once(None),
        requested=requested,
        sources=tuple(sorted({one.name for one in sources})),
    )
    peel.run(_without(wanted, blocking), None if blocking else first)
    peel.put_back()
    peel.part()
    # a member of a clash may fail to build as well: undoing the clash would then be half of the work
    judged = {name for found in (*alone, *peel.found) if found.code != "PY101" for name in found.names}
    notes = [_not_tried(verdict, build) for verdict in sources if verdict.name not in judged]
    notes += [_about_yanked(verdict) for _, verdict in verdicts if verdict.standing is Standing.YANKED]
    return list(placed(list(dict.fromkeys([*alone, *peel.found, *notes])), wanted))


def is_foreseen(wanted: Wanted, build: InterpreterBuild, index: Index) -> bool:
    """Whether the pages that this run has seen already say that no resolver can find ``wanted``. Asks nobody.

    What only Requires-Python excludes is not foreseen: that is left to the resolver, as resolvers differ on it.
    """
    target = _target(wanted, build)
    none = (Standing.NO_PROJECT, Standing.NO_VERSION, Standing.NO_FILE)
    return any(
        screen(page, item.text, target).standing in none
        for item in _requested(wanted)
        if _is_indexed(item) and (page := index.seen(item.name))
    )


def _target(wanted: Wanted, build: InterpreterBuild) -> Target:
    return target_of(
        build, exclude_newer=wanted.exclude_newer, prereleases=any(line == "--pre" for line in wanted.options)
    )


def _requested(wanted: Wanted) -> Iterator[Requested]:
    for line in wanted.lines:
        text = line.partition(" --hash=")[0].strip()
        requirement = parsed(text)
        if requirement is not None:
            yield Requested(name=canonicalize_name(requirement.name), text=text, line=line)


def _applies(item: Requested, target: Target) -> bool:
    requirement = parsed(item.text)
    return requirement is not None and is_wanted(requirement, target)


def _is_indexed(item: Requested) -> bool:
    return " @ " not in item.text and "://" not in item.text


def _without(wanted: Wanted, names: Collection[str]) -> Wanted:
    """``wanted`` less all lines of some projects."""
    gone = {item.line for item in _requested(wanted) if item.name in names}
    return replace(wanted, lines=tuple(line for line in wanted.lines if line not in gone))


def _only(wanted: Wanted, names: Collection[str]) -> Wanted:
    """``wanted`` with nothing but the lines of some projects."""
    kept = {item.line for item in _requested(wanted) if item.name in names}
    return replace(wanted, lines=tuple(line for line in wanted.lines if line in kept))


@dataclass(kw_only=True, slots=True)
class _Peel:
    """The rest of a set, conflict by conflict. ``found`` are the findings, ``dropped`` the projects in them."""

    build: InterpreterBuild
    resolver: Resolver
    once: Once
    requested: Sequence[Requested]
    sources: tuple[str, ...]
    found: list[Finding] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    questions: int = 0
    whole: Wanted = field(default_factory=lambda: Wanted(lines=()))
    settled: Wanted | None = None
    """What is left and resolves."""
    fine: list[frozenset[str]] = field(default_factory=list)
    """The lines of sets that resolve: so does every part of them."""

    def run(self, wanted: Wanted, first: Finding | None) -> None:
        self.whole = rest = wanted
        for _ in range(MOST_PEELS):
            try:
                members = self._take(first, rest) if first else self._next(rest)
            except Unchecked as reason:
                members = self._members(reason.names, rest)
                self.found.append(_unknown(str(reason), members))
                self.dropped.update(members)
                if not members:
                    return
            if members is None:
                self.settled = rest
                return
            if not members:
                self.found.append(_unknown("what else blocks the set could not be told", ()))
                return
            first, rest = None, _without(rest, members)
        self.found.append(
            _unknown(f"more than {MOST_PEELS} conflicts: what else blocks the set was not looked for", ())
        )

    def put_back(self) -> None:
        """Look for what members of conflicts clash with beside: what was left, and members of other conflicts.

        Each is in the way of the others, so they are put back together, in every way that undoes the conflicts that
        are known: with one member of each left out. Where such a set does not resolve either, there is one more.
        """
        if self.settled is None:
            return
        left = {item.name for item in _requested(self.settled)}
        asked: set[frozenset[str]] = set()
        while len(asked) < MOST_WAYS:
            conflicts = list(dict.fromkeys(found.names for found in self.found if len(found.names) > 1))
            members = {name for names in conflicts for name in names}
            way = next((way for way in _ways_out(conflicts) if way not in asked), None)
            if way is None or not members:
                return
            asked.add(way)
            # one that cannot be had by itself would hide what else there is
            alone = {name for found in self.found if found.blocks and len(found.names) == 1 for name in found.names}
            tried = _only(self.whole, (left | members) - way - alone)
            try:
                if not self._is_fine(tried) and self._guess(tried) is not None:
                    self._next(tried)
            except Unchecked as reason:
                self.found.append(_unknown(str(reason), ()))
                return

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
        refusal = self._refusal(wanted)
        return None if refusal is None else self._take(refusal, wanted)

    def _resolves(self, wanted: Wanted) -> bool:
        """From what is known, else from the cache, else from the network: no from the cache is no more than a guess."""
        return self._is_fine(wanted) or self._guess(wanted) is None or self._refusal(wanted) is None

    def _is_fine(self, wanted: Wanted) -> bool:
        lines = frozenset(wanted.lines)
        return any(lines <= fine for fine in self.fine)

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
        here = {item.name for item in _requested(wanted)}
        return [name for name in self.sources if name in here]

    def _members(self, names: Sequence[str], wanted: Wanted) -> tuple[str, ...]:
        """Those of ``names`` that are required here, so that they can be taken out."""
        here = {item.name for item in _requested(wanted)}
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
                return self._refusal(_only(wanted, fewer)) or alone, fewer
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


def _single(item: Requested, verdict: Verdict, build: InterpreterBuild) -> Finding:
    """What keeps a requirement from being installed, whatever it stands beside."""
    name, on = verdict.name, build.interpreter
    release = f"{name}=={verdict.version}"
    better = (
        f"{name}=={verdict.better} is the first after it that installs on {on} from a wheel" if verdict.better else ""
    )
    if verdict.standing is Standing.NO_PROJECT:
        code, message = "PY102", f"{name} is not on the index"
        remedy = "correct the name, or point the resolver at the index that has it"
    elif verdict.standing is Standing.NO_VERSION:
        code, message = "PY102", f"no version of {name} fits {item.text}: {verdict.reason}"
        remedy = f"require a version of {name} that exists"
    elif verdict.standing is Standing.EXCLUDED:
        code = "PY103"
        message = f"{release} says Requires-Python {verdict.reason}: pip refuses it on {build.version}"
        remedy = better or f"no version of {name} allows {on}: replace it"
    else:
        code, there = "PY104", f"; {verdict.reason}" if verdict.reason else ""
        message = f"{release}: no wheel for {on}, and no source that could be built{there}"
        remedy = better or f"no later version of {name} has a wheel for {on}: replace it"
    return Finding(code=code, message=message, remedy=remedy, names=(name,))


def untried(finding: Finding) -> tuple[str, str] | None:
    """The name and version of the source that a finding says was not tried."""
    match = _UNTRIED.match(finding.message) if finding.code == "PY112" else None
    return (match[1], match[2]) if match else None


def _not_tried(verdict: Verdict, build: InterpreterBuild) -> Finding:
    there = f" ({verdict.reason})" if verdict.reason else ""
    better = f"{verdict.name}=={verdict.better} is the first after it with a wheel" if verdict.better else ""
    return Finding(
        code="PY112",
        message=f"{verdict.name}=={verdict.version} has no wheel for {build.interpreter}{there}; whether its source "
        "builds was not tried, as the set is blocked by something else",
        remedy=better or "remove what blocks the set, and the source is tried",
        severity=Severity.WARNING,
        names=(verdict.name,),
    )


def _about_yanked(verdict: Verdict) -> Finding:
    return Finding(
        code="PY112",
        message=f"{verdict.name}=={verdict.version} was yanked; it installs only because it is pinned",
        severity=Severity.WARNING,
        names=(verdict.name,),
    )


def _unknown(reason: str, names: Sequence[str]) -> Finding:
    return Finding(code=UNTOLD, message=reason, severity=Severity.WARNING, names=tuple(names))
