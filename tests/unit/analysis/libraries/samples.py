"""Distributions made of a few lines, digested as the target answers to them."""

from collections.abc import Mapping
from pathlib import Path

from pytest_py312.analysis.libraries.import_graph import Installed, Library
from pytest_py312.analysis.libraries.module_files import classify
from pytest_py312.analysis.libraries.summarize import digest_of
from pytest_py312.analysis.libraries.summary import Digest
from pytest_py312.analysis.linking.link import linked
from pytest_py312.analysis.scanner.facts.stdlib_queries import Answer, Question, Testimony
from pytest_py312.analysis.scanner.scan import scan_text
from pytest_py312.dependencies.installation.distribution_store import Entry

GONE = ("imp", "asynchat", "asyncio.coroutine", "inspect.getargspec")
"""What the target of these tests lacks, of all that they use."""


def answers_of(minor: int, gone: tuple[str, ...], texts: Mapping[str, str]) -> Testimony:
    """What Python 3.``minor`` says to all that ``texts`` use, if it lacks ``gone``."""
    asked = {one for path, text in texts.items() for one in scan_text(text, path).questions()}

    def is_there(question: Question) -> bool:
        return not any(str(question) == name or str(question).startswith(f"{name}.") for name in gone)

    answers = {question: Answer(present=is_there(question)) for question in asked}
    return Testimony(origin=f"CPython 3.{minor}", version=(3, minor), answers=answers)


def digest(texts: Mapping[str, str], gone: tuple[str, ...] = GONE) -> Digest:
    """The digest of the files in ``texts``, by their paths below site-packages."""
    files = classify(texts)
    facts = {one.path: one for one in linked([scan_text(texts[file.path], file.path) for file in files.modules])}
    read = [(file, facts[file.path], texts[file.path].encode()) for file in files.modules]
    return digest_of(read, files.compiled, (), answers_of(12, gone, texts))


def library(name: str, texts: Mapping[str, str], version: str = "1.0") -> Library:
    return Library(name=name, version=version, digest=digest(texts))


def installed(**libraries: Mapping[str, str]) -> Installed:
    """An environment of distributions, each by its files."""
    return Installed([library(name, texts) for name, texts in libraries.items()])


def entries(requires: Mapping[str, tuple[str, ...]]) -> list[Entry]:
    """Installed distributions without files, each with what it says that it requires."""
    return [
        Entry(name=name, version="1.0", folder=Path("/nowhere"), requires=lines) for name, lines in requires.items()
    ]
