"""The command line of the corpus's commands."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tests.corpus.clones import CloneError, CorpusOptions
from tests.corpus.manifest import REPOSITORIES, Manifest, ManifestError, read_manifests

TIME_LIMIT = 1800.0

T = TypeVar("T")


def parse(arguments: Sequence[str], program: str, description: str) -> tuple[CorpusOptions, bool]:
    """Return the options, and whether Markdown is asked for. What follows ``--`` is for pytest."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(prog=program, description=description)
    add = parser.add_argument
    add("--repositories", type=Path, help="the folder of the clones, OWNER+NAME each")
    add("--manifests", type=Path, default=REPOSITORIES, help="the folder of the manifests")
    add("--only", default="", metavar="NAME", help="only repositories with this in their name")
    add("--python", default=sys.executable, help="an interpreter that has the gate; default: this one")
    add("--results", type=Path, help="keep reports and output of the gate in this folder")
    add("--from", dest="kept", type=Path, help="run nothing, take what --results has kept in this folder")
    add("--time-limit", type=float, default=TIME_LIMIT, metavar="SECONDS", help="for each run of the gate")
    add("--with-plan", action="store_true", help="with the lines of py312.toml that the manifest has")
    add("--twice", action="store_true", help="run the gate again on each copy, and show how long that takes")
    add("--markdown", action="store_true", help="print the table for docs/reference/accuracy.md")
    chosen = parser.parse_args(words[:end])
    if chosen.repositories is None and chosen.kept is None:
        parser.error("name the folder of the clones by --repositories, or that of kept results by --from")
    options = CorpusOptions(
        repositories=chosen.repositories,
        manifests=chosen.manifests,
        only=chosen.only,
        python=chosen.python,
        results=chosen.results,
        kept=chosen.kept,
        time_limit=chosen.time_limit,
        with_plan=chosen.with_plan,
        twice=chosen.twice,
        pytest_options=tuple(words[end + 1 :]),
    )
    return options, chosen.markdown


def for_each(options: CorpusOptions, work: Callable[[Manifest], T]) -> Iterator[T | None]:
    """Yield the result of ``work`` for each manifest; ``None``, and a message, for one that cannot be used."""
    for manifest in read_manifests(options.manifests, options.only):
        label = "" if isinstance(manifest, ManifestError) else f"{manifest.label}: "
        try:
            if isinstance(manifest, ManifestError):
                raise manifest
            if options.kept is None:
                print(f"{manifest.label} ...", file=sys.stderr, flush=True)
            yield work(manifest)
        except (ManifestError, CloneError) as error:
            print(f"{label}{error}", file=sys.stderr)
            yield None
