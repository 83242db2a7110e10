"""Compare the changes that the gate proposes with those that the maintainers made.

    python -m tests.corpus.upstream --repositories DIR [--only NAME] [--python PATH] [--results DIR] [--markdown]
    python -m tests.corpus.upstream --repositories DIR --from DIR

For each repository whose manifest has ``moved-by``: the gate runs with ``--py312-diff`` on the tree before the move,
and its diff is compared with the union of the maintainers' commits, place by place. It prints a table and all places
on which the two do not agree; the exit code is 0 only if each place that only one side changes is explained by the
manifest. With ``--from`` the gate is not run: the output that ``--results`` kept is read. What follows ``--`` are
options for pytest.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.corpus.changes import ChangedBlock, changes_section, read_diff
from tests.corpus.clones import CloneError, CorpusOptions, gate_run, git
from tests.corpus.command_line import for_each, parse
from tests.corpus.comparison import BOTH, Agreement, ComparedRepository, compare, joined
from tests.corpus.manifest import Manifest
from tests.corpus.places import ChangedPlace, PlaceKind, is_compiled, places_of
from tests.corpus.report import ReportedState, ReportError, read_report
from tests.corpus.tables import aligned, markdown

HEADINGS = (
    "repository", "commit", "move", "their places", "both, same", "both, other", "only they", "out of reach",
    "not needed", "share", *(f"{kind.value}s" for kind in PlaceKind), "only we", "of these right",
    "not ready",
)  # fmt: skip
"""``their places`` are those that count, without what is not needed. The columns of the kinds have: changed by both /
by them, without what is out of reach. ``not ready`` counts services of which the gate leaves the versions that they
declare.
"""

_STALE_LOCK = re.compile(r"^(?P<path>\S.*?) (?:is out of date: run `|has to be regenerated manually: )", re.MULTILINE)
_NOTE = re.compile(r"^(?:not migrated|not changed): .+$", re.MULTILINE)


def compare_with_upstream(manifest: Manifest, options: CorpusOptions) -> ComparedRepository | None:
    """Compare one repository; ``None`` if its manifest names no commit of the move.

    :raises CloneError: the clone cannot be used, or the gate reported nothing.
    """
    if not manifest.moved_by:
        return None
    clone = options.clone_of(manifest)
    theirs = joined(_places_of_commit(clone, commit, manifest) for commit in manifest.moved_by)
    wanted = ("--py312-diff", *(("--py312-drop-old-versions",) if manifest.drop_old_versions else ()))
    finished = gate_run(manifest, replace(options, pytest_options=(*wanted, *options.pytest_options)))
    if finished.problem:
        raise CloneError(finished.problem)
    try:
        services = read_report(finished.report)
    except ReportError as error:
        raise CloneError(str(error)) from None
    changes = changes_section(finished.output)
    if not changes:
        raise CloneError("the output has no section of changes: was the gate run with --py312-diff?")
    ours = our_places(clone, manifest, changes)
    compared = compare(manifest, theirs, ours, [match[0] for match in _NOTE.finditer(changes)])
    return replace(compared, not_ready=sum(item.state is not ReportedState.PROVEN for item in services))


def _places_of_commit(clone: Path, commit: str, manifest: Manifest) -> tuple[ChangedPlace, ...]:
    text = git(clone, "-c", "core.quotePath=false", "diff", "--no-color", "--no-ext-diff", "-U0", "-M",
               f"{commit}^1", commit)  # fmt: skip
    blocks = list(read_diff(text))
    return places_of(blocks, manifest.baseline, manifest.target, locks=_compiled_files(clone, f"{commit}^1", blocks))


def our_places(clone: Path, manifest: Manifest, changes: str) -> tuple[ChangedPlace, ...]:
    """Return the places of the gate's diff, and the lock files that it says to regenerate."""
    blocks = list(read_diff(changes))
    locks = _compiled_files(clone, manifest.commit, blocks)
    places = places_of(blocks, manifest.baseline, manifest.target, locks=locks, everything=True)
    paths = {place.path for place in places if place.kind is PlaceKind.LOCK}
    stale = dict.fromkeys(match["path"] for match in _STALE_LOCK.finditer(changes))
    return (*places, *(ChangedPlace(kind=PlaceKind.LOCK, path=path) for path in stale if path not in paths))


def _compiled_files(clone: Path, commit: str, blocks: Sequence[ChangedBlock]) -> frozenset[str]:
    """Return which of the changed requirement files were written by a tool."""
    compiled = set()
    for path in {block.path for block in blocks if block.path.endswith(".txt")}:
        try:
            text = git(clone, "show", f"{commit}:{path}")
        except CloneError:
            continue  # the file is new
        if is_compiled(text):
            compiled.add(path)
    return frozenset(compiled)


def rows(repositories: Sequence[ComparedRepository]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each repository, and one for all of them."""
    for compared in repositories:
        manifest = compared.manifest
        label = f"[{manifest.label}]({manifest.url})"
        yield (label, manifest.commit[:8], f"{manifest.baseline} to {manifest.target}", *_figures([compared]))
    yield (f"all {len(repositories)}", "", "", *_figures(repositories))


def _figures(repositories: Sequence[ComparedRepository]) -> Iterator[str]:
    def count(*agreements: Agreement, kind: PlaceKind | None = None) -> int:
        return sum(compared.count(*agreements, kind=kind) for compared in repositories)

    both, wanted = count(*BOTH), count(*BOTH, Agreement.ONLY_THEY)
    yield str(wanted + count(Agreement.OUT_OF_REACH))
    for agreement in (
        Agreement.SAME,
        Agreement.OTHER,
        Agreement.ONLY_THEY,
        Agreement.OUT_OF_REACH,
        Agreement.NOT_NEEDED,
    ):
        yield str(count(agreement))
    yield f"{100 * both / wanted:.0f} %" if wanted else ""
    for kind in PlaceKind:
        yield f"{count(*BOTH, kind=kind)}/{count(*BOTH, Agreement.ONLY_THEY, kind=kind)}"
    yield str(count(Agreement.ONLY_WE, Agreement.RIGHT))
    yield str(count(Agreement.RIGHT))
    yield str(sum(compared.not_ready for compared in repositories))


def disagreements(repositories: Sequence[ComparedRepository]) -> Iterator[str]:
    """Yield the places that are not changed by both with the same result, and the gate's own remarks."""
    for compared in repositories:
        yield f"== {compared.manifest.label}"
        agreed = (Agreement.SAME, Agreement.NOT_NEEDED)
        yield from (str(place) for place in compared.places if place.agreement not in agreed)
        yield from compared.notes


def main(arguments: Sequence[str]) -> int:
    """Compare the repositories that are asked for; 0 only if each difference is explained."""
    options, as_markdown = parse(
        arguments, "python -m tests.corpus.upstream", "Compare the gate's changes with those of the maintainers."
    )
    failed = False
    compared: list[ComparedRepository] = []
    for result in for_each(options, lambda manifest: (compare_with_upstream(manifest, options),)):
        if result is None:
            failed = True
        elif result[0] is not None:
            compared.append(result[0])
    if not compared:
        print("no repository was compared", file=sys.stderr)
        return 2
    table = list(rows(compared))
    print(markdown(HEADINGS, table) if as_markdown else aligned(HEADINGS, table), flush=True)
    print("", *disagreements(compared), sep="\n", file=sys.stderr if as_markdown else sys.stdout)
    unexplained = sum(item.count(Agreement.ONLY_THEY, Agreement.ONLY_WE) for item in compared)
    return 1 if failed or unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
