"""Rate the gate on clones of the corpus.

    python -m tests.corpus.judge --repositories DIR [--only NAME] [--python PATH] [--results DIR] [--markdown]
    python -m tests.corpus.judge --from DIR

DIR has a clone of each repository, in a folder that is named like its manifest, ``OWNER+NAME``. The gate runs on a copy
of each, without a plan and with the local runner. It prints a table, what is wrong, and the totals; the exit code is 0
only where nothing is wrong. With ``--from`` nothing is run: the reports that ``--results`` kept are rated. What follows
``--`` are options for pytest.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.corpus.clones import CloneError, GateRun, check_clone, copy_of, keep, kept_run, run_gate
from tests.corpus.manifest import REPOSITORIES, Manifest, ManifestError, read_manifests
from tests.corpus.rating import RatedRepository, rate
from tests.corpus.report import ReportError, read_report
from tests.corpus.tables import HEADINGS, aligned, is_all_right, markdown, mistakes, rows, totals

TIME_LIMIT = 1800.0


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeOptions:
    """The command line. ``kept`` is the folder of reports that are rated without a run."""

    repositories: Path | None
    manifests: Path
    only: str
    python: str
    results: Path | None
    kept: Path | None
    time_limit: float
    pytest_options: tuple[str, ...]


def judge(manifest: Manifest, options: JudgeOptions) -> RatedRepository:
    """Run the gate on one clone, or take the report that is kept, and rate it.

    :raises CloneError: the clone cannot be used.
    """
    if options.kept is not None:
        return _rate(manifest, kept_run(options.kept, manifest.name), options.kept / f"{manifest.name}.json")
    if options.repositories is None:
        raise CloneError("where are the clones? Name their folder by --repositories, or that of reports by --from")
    clone = options.repositories / manifest.name
    check_clone(clone, manifest)
    with TemporaryDirectory(prefix="corpus-report-") as folder, copy_of(clone, manifest) as copy:
        report = Path(folder).resolve() / "report.json"
        outcome = run_gate(
            copy, report, python=options.python, time_limit=options.time_limit, options=options.pytest_options
        )
        if options.results is not None:
            keep(options.results, manifest.name, report, outcome.output)
        return _rate(manifest, outcome, report)


def _rate(manifest: Manifest, outcome: GateRun, report: Path) -> RatedRepository:
    problem = outcome.problem
    if not problem:
        try:
            return rate(manifest, read_report(report), seconds=outcome.seconds)
        except ReportError as error:
            problem = str(error)
    return rate(manifest, (), seconds=outcome.seconds, problem=problem)


def main(arguments: Sequence[str]) -> int:
    """Judge the repositories that are asked for; 0 only where everything is right."""
    options, as_markdown = _parse(arguments)
    rated: list[RatedRepository] = []
    failed = False
    for manifest in read_manifests(options.manifests, options.only):
        try:
            if isinstance(manifest, ManifestError):
                raise manifest
            print(f"{manifest.label} ...", file=sys.stderr, flush=True)
            rated.append(judge(manifest, options))
        except (ManifestError, CloneError) as error:
            label = "" if isinstance(manifest, ManifestError) else f"{manifest.label}: "
            print(f"{label}{error}", file=sys.stderr)
            failed = True
    if not rated:
        print("no repository was judged", file=sys.stderr)
        return 2
    table = list(rows(rated))
    print(markdown(HEADINGS, table) if as_markdown else aligned(HEADINGS, table), end="\n\n")
    print(totals(rated), flush=True)
    details = sys.stderr if as_markdown else sys.stdout
    print("", *mistakes(rated), sep="\n", file=details)
    return 0 if is_all_right(rated) and not failed else 1


def _parse(arguments: Sequence[str]) -> tuple[JudgeOptions, bool]:
    own, pytest_options = split_options(arguments)
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.judge", description=__doc__.splitlines()[0])
    add_common_options(parser)
    parser.add_argument("--from", dest="kept", type=Path, help="rate the reports that --results has kept here")
    chosen = parser.parse_args(own)
    options = JudgeOptions(
        repositories=chosen.repositories,
        manifests=chosen.manifests,
        only=chosen.only,
        python=chosen.python,
        results=chosen.results,
        kept=chosen.kept,
        time_limit=chosen.time_limit,
        pytest_options=pytest_options,
    )
    return options, chosen.markdown


def split_options(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Split a command line at ``--``: what follows is for pytest."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    return words[:end], tuple(words[end + 1 :])


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that both commands of the corpus have."""
    parser.add_argument("--repositories", type=Path, help="the folder of the clones, OWNER+NAME each")
    parser.add_argument("--manifests", type=Path, default=REPOSITORIES, help="the folder of the manifests")
    parser.add_argument("--only", default="", metavar="NAME", help="only repositories with this in their name")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the gate; default: this one")
    parser.add_argument("--results", type=Path, help="keep reports and output of the gate in this folder")
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, metavar="SECONDS", help="for each run")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/reference/accuracy.md")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
