"""Distributions are read once, and their summaries are cached beside them."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_py312.analysis.files.newer_syntax import NewerSyntaxScanner
from pytest_py312.analysis.libraries.summaries import reader
from pytest_py312.analysis.libraries.summaries.reader import LibraryReader
from pytest_py312.analysis.libraries.summaries.summary import DistributionSummary
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from tests.support.fakes import FakeRunner, build_of, service_tree
from tests.unit.analysis.libraries.samples import answers_of

BUILD = build_of("3.12")


class TableOracle(Oracle):
    """An oracle for which all names exist except those of ``imp``."""

    def __init__(self, cache: Path) -> None:
        super().__init__(cache=cache, tool_runner=FakeRunner())
        self.asked = 0

    def ask(self, questions: object, build: InterpreterBuild) -> object:  # type: ignore[override]  # a table
        self.asked += 1
        return answers_of(12, ("imp",), {"x.py": "import imp\n"})


def entry(cache: Path, name: str, files: dict[str, str]) -> StoredDistribution:
    folder = cache / "store" / "local-x" / f"{name}-1.0-abc"
    service_tree(folder / "lib", files)
    return StoredDistribution(name=name, version="1.0", folder=folder)


def read(
    cache: Path, oracle: Oracle, entries: Sequence[StoredDistribution], ended: threading.Event | None = None
) -> list[DistributionSummary]:
    (cache / "store").mkdir(exist_ok=True)
    newer = NewerSyntaxScanner(cache=cache, tool_runner=FakeRunner())
    found = LibraryReader(cache=cache, oracle=oracle, newer=newer, processes=1, ended=ended).summaries(entries, BUILD)
    return [found[one.folder] for one in entries]


FILES = {
    "lib/__init__.py": "from lib import core\n",
    "lib/core.py": "import imp\nfrom lib.tests import helpers\n",
    "lib/tests/__init__.py": "",
    "lib/tests/helpers.py": "import imp\n",
    "lib/tests/test_core.py": "import imp\n",
}


def test_a_distribution_is_read_once(tmp_path: Path) -> None:
    """Also across runs; an interpreter is queried once for all distributions of a batch."""
    entries = [entry(tmp_path, "one", FILES), entry(tmp_path, "other", {"other.py": "import imp\n"})]
    oracle = TableOracle(tmp_path)
    first = read(tmp_path, oracle, entries)
    assert oracle.asked == 1
    assert read(tmp_path, oracle, entries) == first
    assert oracle.asked == 1


def test_tests_are_read_where_other_modules_import_them(tmp_path: Path) -> None:
    (digest,) = read(tmp_path, TableOracle(tmp_path), [entry(tmp_path, "one", FILES)])
    suspect = {module.name for module in digest.modules if module.suspect_facts is not None}
    assert suspect == {"lib.core", "lib.tests.helpers"}
    assert "lib.tests.test_core" in {module.name for module in digest.modules}


@pytest.mark.parametrize("damage", [b"", b"[", b"[[], [], 0, 1]", b'[[["a"]], [], 0]'])
def test_a_damaged_summary_is_rebuilt(tmp_path: Path, damage: bytes) -> None:
    oracle = TableOracle(tmp_path)
    entries = [entry(tmp_path, "one", FILES)]
    first = read(tmp_path, oracle, entries)
    (file,) = entries[0].folder.glob("source-*.json")
    file.write_bytes(damage)
    assert read(tmp_path, oracle, entries) == first
    assert oracle.asked == 2


def test_unreadable_files_are_counted_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link out of the distribution is not followed, and a data file is not read."""
    monkeypatch.setattr(reader, "FILE_LIMIT", 100)
    one = entry(tmp_path, "one", {"lib/__init__.py": "", "lib/table.py": "x = 1\n" * 100})
    (one.folder / "lib" / "lib" / "link.py").symlink_to("/etc/hostname")
    (digest,) = read(tmp_path, TableOracle(tmp_path), [one])
    assert digest.unread == 2
    assert {module.name for module in digest.modules} == {"lib", "lib.table", "lib.link"}


def test_a_stopped_run_reads_nothing_more(tmp_path: Path) -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(InterpreterUnavailable, match="was stopped"):
        read(tmp_path, TableOracle(tmp_path), [entry(tmp_path, "one", FILES)], ended)
