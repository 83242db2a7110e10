"""Find what keeps the documents of the parts of a run from being merged. Pure.

A verdict must not be about less than the whole run, or about things that were never together: each fault names the
part and the reason.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.model.shards import RunIdentity, WorkUnit
from pytest_py312.core.text import list_names, pluralize
from pytest_py312.gate.sharding.documents import ShardDocument
from pytest_py312.gate.sharding.durations import item_name
from pytest_py312.gate.sharding.packing import ItemKey

_BENCHMARK = "benchmark"


def find_faults(documents: Sequence[ShardDocument]) -> list[str]:
    """Return what is wrong with ``documents``, which are different ones; empty if they are one run."""
    started = [document for document in documents if document.shard.units and document.shard.identity is not None]
    faults = [f"{document} ended before its items were known" for document in documents if document not in started]
    if not started:
        return faults
    parts = Counter(document.shard.parts for document in documents).most_common(1)[0][0]
    alike = [document for document in started if document.shard.parts == parts]
    faults += [
        f"{document} is one of {document.shard.parts} parts, the others of {parts}"
        for document in documents
        if document.shard.parts != parts
    ]
    faults += _same_parts(documents)
    present = {document.shard.part for document in documents}
    missing = [part for part in range(1, parts + 1) if part not in present]
    if missing:
        listed = list_names([str(part) for part in missing])
        faults.append(f"part {listed} of {parts} is missing" if len(missing) == 1 else f"parts {listed} are missing")
    faults += _other_identities(alike)
    return faults if faults else _item_faults(alike)


def _same_parts(documents: Sequence[ShardDocument]) -> Iterator[str]:
    seen: dict[int, ShardDocument] = {}
    for document in documents:
        other = seen.setdefault(document.shard.part, document)
        if other is not document:
            yield f"part {document.shard.part} is in {other.file} and in {document.file}, with different content"


# ---- the same run


def _other_identities(documents: Sequence[ShardDocument]) -> Iterator[str]:
    """Yield how documents differ from the one that most of them are like; on a draw, from the first."""
    common = Counter(document.shard.identity for document in documents).most_common(1)[0][0]
    division = Counter(document.division for document in documents).most_common(1)[0][0]
    units = next((document.shard.units for document in documents if document.division == division), ())
    for document in documents:
        identity = document.shard.identity
        if identity is None or common is None:
            continue
        differences = list(_differences(identity, common))
        yield from (f"{document} {difference}" for difference in differences)
        if not differences and document.division != division:
            first = _first_difference(document.shard.units, units)
            yield f"{document} was divided in another way than the others: {first}"


def _differences(identity: RunIdentity, common: RunIdentity) -> Iterator[str]:
    if identity.tool != common.tool:
        yield f"was checked by pytest-py312 {identity.tool}, the others by {common.tool}"
    if identity.commit != common.commit:
        yield f"is of commit {identity.commit or 'none'}, the others of {common.commit or 'none'}"
    elif identity.changes != common.changes:
        paths = sorted({path for path, _ in set(identity.changes) ^ set(common.changes)})
        which = "" if paths == ["."] else f": {list_names(paths)}"
        commit = ", though of the same commit" if identity.commit else ""
        yield f"is of other files than the others{commit}{which}"
    if identity.plan != common.plan:
        yield "was checked by another plan than the others"
    options, common_options = dict(identity.options), dict(common.options)
    for name in sorted({*options, *common_options}):
        if options.get(name, "") != common_options.get(name, ""):
            yield (
                f"was checked with another value of {name} than the others: "
                f"{_shown(options.get(name, ''))}, not {_shown(common_options.get(name, ''))}"
            )
    if identity.durations != common.durations:
        yield "was divided by another file of durations than the others"


def _shown(value: str) -> str:
    return f'"{value[:80]}"' if value else "none"


def _first_difference(units: Sequence[WorkUnit], common: Sequence[WorkUnit]) -> str:
    parts = {(unit.service, name): unit.part for unit in units for name in unit.items}
    common_parts = {(unit.service, name): unit.part for unit in common for name in unit.items}
    for key in sorted({*parts, *common_parts}):
        if parts.get(key) != common_parts.get(key):
            here, elsewhere = parts.get(key), common_parts.get(key)
            return (
                f"{'::'.join(key)} is {_place(here)} there, and {_place(elsewhere)} for the others. Files that git "
                "ignores may be the reason; recorded durations (--py312-durations) make it independent of files"
            )
    return "its services are in another order"


def _place(part: int | None) -> str:
    return f"in part {part}" if part else "no item"


# ---- each item once


def _item_faults(documents: Sequence[ShardDocument]) -> list[str]:
    faults = []
    counts = Counter((unit.service, name) for unit in documents[0].shard.units for name in unit.items)
    doubled = [key for key, count in counts.items() if count > 1]
    if doubled:
        faults.append(f"{_items(doubled)} in two parts")
    for document in documents:
        judged = [
            (outcome.service, item_name(outcome.interpreter, outcome.check)) for outcome in document.report.outcomes
        ]
        own = document.shard.own_items
        foreign = [key for key in judged if key not in own]
        if foreign:
            faults.append(f"{document} judged what another part has to judge: {_items(foreign)}")
        repeated = [key for key, count in Counter(judged).items() if count > 1]
        if repeated:
            faults.append(f"{document} judged twice: {_items(repeated)}")
        unjudged = own - set(judged) - _explained(document)
        if unjudged:
            faults.append(f"{document} has no outcome of {_items(sorted(unjudged))}")
    return faults


def _explained(document: ShardDocument) -> frozenset[ItemKey]:
    """Return the items of which the document itself reports that they were not run."""
    return frozenset(
        (service, item_name(interpreter, check)) for service, interpreter, check in document.report.not_run
    )


def _items(keys: Sequence[ItemKey]) -> str:
    return list_names(["::".join(key) for key in keys])


def incomplete_parts(documents: Sequence[ShardDocument]) -> list[str]:
    """Return which parts did not check all of their items, by what they were stopped, and what is missing."""
    sentences = []
    for document in documents:
        not_run = sorted(_explained(document))
        if document.report.cut_short or not_run:
            by = f" by {document.report.end_signal}" if document.report.end_signal else ""
            reason = f"was stopped{by} before its end" if document.report.cut_short or by else "is not complete"
            sentences.append(
                f"{document} {reason}: {pluralize(len(not_run), 'item')} not checked"
                + (f" ({_items(not_run)})" if not_run else "")
            )
    return sentences


# ---- interpreters


def differing_builds(documents: Sequence[ShardDocument]) -> list[str]:
    """Return which interpreters the parts had in different builds."""
    builds: dict[str, dict[str, list[ShardDocument]]] = {}
    for document in documents:
        for build in document.report.builds:
            builds.setdefault(str(build.interpreter), {}).setdefault(_described(build), []).append(document)
    return [
        f"Python {interpreter} was not the same in all parts: "
        + "; ".join(
            f"{build} in {list_names([str(document.shard.part) for document in parts])}"
            for build, parts in kinds.items()
        )
        for interpreter, kinds in sorted(builds.items())
        if len(kinds) > 1
    ]


def _described(build: InterpreterBuild) -> str:
    return f"{build.version} {build.flags} ({build.digest[:12]})"


def measures(documents: Sequence[ShardDocument]) -> bool:
    """Return whether benchmarks are among the items of the run."""
    return any(name.rpartition("::")[2] == _BENCHMARK for unit in documents[0].shard.units for name in unit.items)
