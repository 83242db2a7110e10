"""Small sample distributions, summarized with the answers of a fake target."""

from collections.abc import Mapping
from pathlib import Path

from pytest_py312.analysis.libraries.import_graph import EnvironmentModules, InstalledLibrary
from pytest_py312.analysis.libraries.summaries.module_files import classify
from pytest_py312.analysis.libraries.summaries.summarize import summarize
from pytest_py312.analysis.libraries.summaries.summary import DistributionSummary
from pytest_py312.analysis.linking.link import link_files
from pytest_py312.analysis.scanner.facts.stdlib_queries import InterpreterAnswers, StdlibAnswer, StdlibQuery
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

GONE = ("imp", "asynchat", "asyncio.coroutine", "inspect.getargspec")
"""What the target of these tests lacks, of all that they use."""


def answers_of(minor: int, gone: tuple[str, ...], texts: Mapping[str, str]) -> InterpreterAnswers:
    """Return the answers of Python 3.``minor`` to all queries of ``texts``, if it lacks ``gone``."""
    queries = {one for path, text in texts.items() for one in scan_text(text, path).queries()}

    def is_there(question: StdlibQuery) -> bool:
        return not any(str(question) == name or str(question).startswith(f"{name}.") for name in gone)

    answers = {question: StdlibAnswer(present=is_there(question)) for question in queries}
    return InterpreterAnswers(origin=f"CPython 3.{minor}", version=(3, minor), answers=answers)


def summarized(texts: Mapping[str, str], gone: tuple[str, ...] = GONE) -> DistributionSummary:
    """Return the summary of the files in ``texts``, by path below site-packages."""
    files = classify(texts)
    facts = {one.path: one for one in link_files([scan_text(texts[file.path], file.path) for file in files.modules])}
    read = [(file, facts[file.path], texts[file.path].encode()) for file in files.modules]
    return summarize(read, files.compiled, (), answers_of(12, gone, texts))


def library(name: str, texts: Mapping[str, str], version: str = "1.0") -> InstalledLibrary:
    return InstalledLibrary(name=name, version=version, summary=summarized(texts))


def installed(**libraries: Mapping[str, str]) -> EnvironmentModules:
    """Return an environment of distributions, each given by its files."""
    return EnvironmentModules([library(name, texts) for name, texts in libraries.items()])


def entries(requires: Mapping[str, tuple[str, ...]]) -> list[StoredDistribution]:
    """Return installed distributions without files, each with its requirements."""
    return [
        StoredDistribution(name=name, version="1.0", folder=Path("/nowhere"), requires=lines)
        for name, lines in requires.items()
    ]
