"""Rate the gate on clones of the corpus.

    python -m tests.corpus.judge --repositories DIR [--only NAME] [--python PATH] [--results DIR] [--markdown]
    python -m tests.corpus.judge --from DIR

DIR has a clone of each repository, in a folder that is named like its manifest, ``OWNER+NAME``. The gate runs on a copy
of each, with the local runner and without a plan (``--with-plan``: with that of the manifest). The command prints a
table, what is wrong, and the totals; the exit code is 0 only where nothing is wrong. With ``--from`` nothing is run:
the reports that ``--results`` kept are rated. What follows ``--`` are options for pytest.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from tests.corpus.clones import CorpusOptions, gate_run
from tests.corpus.command_line import for_each, parse
from tests.corpus.manifest import Manifest
from tests.corpus.rating import RatedRepository, rate
from tests.corpus.report import ReportError, read_report
from tests.corpus.tables import HEADINGS, aligned, is_all_right, markdown, mistakes, rows, totals


def judge(manifest: Manifest, options: CorpusOptions) -> RatedRepository:
    """Run the gate on one clone, or take the report that is kept, and rate it.

    :raises CloneError: the clone cannot be used.
    """
    finished = gate_run(manifest, options)
    try:
        services, problem = read_report(finished.report) if finished.report else (), finished.problem
    except ReportError as error:
        services, problem = (), finished.problem or str(error)
    rated = rate(manifest, services, seconds=finished.seconds, problem=problem)
    return replace(rated, seconds_again=finished.seconds_again)


def main(arguments: Sequence[str]) -> int:
    """Judge the repositories that are asked for; 0 only where everything is right."""
    options, as_markdown = parse(arguments, "python -m tests.corpus.judge", "Rate the gate on clones of the corpus.")
    results = list(for_each(options, lambda manifest: judge(manifest, options)))
    rated = [result for result in results if result is not None]
    if not rated:
        print("no repository was judged", file=sys.stderr)
        return 2
    table = list(rows(rated))
    print(markdown(HEADINGS, table) if as_markdown else aligned(HEADINGS, table), end="\n\n")
    print(totals(rated), flush=True)
    print("", *mistakes(rated), sep="\n", file=sys.stderr if as_markdown else sys.stdout)
    return 0 if is_all_right(rated) and len(rated) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
