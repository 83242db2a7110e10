"""Distributions are read once: what was found lies beside them."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_py312.analysis.files.newer_syntax import NewerSyntax
from pytest_py312.analysis.libraries import reader
from pytest_py312.analysis.libraries.reader import LibraryReader
from pytest_py312.analysis.libraries.summary import Digest
from pytest_py312.analysis.oracle.oracle import Oracle
from pytest_py312.analysis.oracle.probe_protocol import Unanswered
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.installation.distribution_store import Entry
from tests.support.fakes import FakeRunner, build_of, service_tree
from tests.unit.analysis.libraries.samples import answers_of

BUILD = build_of("3.12")


class TableOracle(Oracle):
    """Knows all names, and those of ``imp`` not."""

    def __init__(self, cache: Path) -> None:
        super().__init__(cache=cache, door=FakeRunner())
        self.asked = 0

    def ask(self, questions: object, build: InterpreterBuild) -> object:  # type: ignore[override]  # a table
        self.asked += 1
        return answers_of(12, ("imp",), {"x.py": "import imp\n"})


def entry(cache: Path, name: str, files: dict[str, str]) -> Entry:
    folder = cache / "store" / "local-x" / f"{name}-1.0-abc"
    service_tree(folder / "lib", files)
    return Entry(name=name, version="1.0", folder=folder)


def read(cache: Path, oracle: Oracle, entries: Sequence[Entry], ended: threading.Event | None = None) -> list[Digest]:
    (cache / "store").mkdir(exist_ok=True)
    newer = NewerSyntax(cache=cache, door=FakeRunner())
    found = LibraryReader(cache=cache, oracle=oracle, newer=newer, processes=1, ended=ended).digests(entries, BUILD)
    return [found[one.folder] for one in entries]


FILES = {
    "lib/__init__.py": "from lib import core\n",
    "lib/core.py": "import imp\nfrom lib.tests import helpers\n",
    "lib/tests/__init__.py": "",
    "lib/tests/helpers.py": "import imp\n",
    "lib/tests/test_core.py": "import imp\n",
}


def test_a_distribution_is_read_once(tmp_path: Path) -> None:
    """Also by the next run; and an interpreter is asked once for all that were read together."""
    entries = [entry(tmp_path, "one", FILES), entry(tmp_path, "other", {"other.py": "import imp\n"})]
    oracle = TableOracle(tmp_path)
    first = read(tmp_path, oracle, entries)
    assert oracle.asked == 1
    assert read(tmp_path, oracle, entries) == first
    assert oracle.asked == 1


def test_tests_are_read_where_other_modules_import_them(tmp_path: Path) -> None:
    (digest,) = read(tmp_path, TableOracle(tmp_path), [entry(tmp_path, "one", FILES)])
    suspect = {module.name for module in digest.modules if module.suspects is not None}
    assert suspect == {"lib.core", "lib.tests.helpers"}
    assert "lib.tests.test_core" in {module.name for module in digest.modules}


@pytest.mark.parametrize("damage", [b"", b"[", b"[[], [], 0, 1]", b'[[["a"]], [], 0]'])
def test_a_damaged_digest_is_made_again(tmp_path: Path, damage: bytes) -> None:
    oracle = TableOracle(tmp_path)
    entries = [entry(tmp_path, "one", FILES)]
    first = read(tmp_path, oracle, entries)
    (file,) = entries[0].folder.glob("source-*.json")
    file.write_bytes(damage)
    assert read(tmp_path, oracle, entries) == first
    assert oracle.asked == 2


def test_what_is_no_source_is_counted_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link out of the distribution is not followed, a file of data not read."""
    monkeypatch.setattr(reader, "FILE_LIMIT", 100)
    one = entry(tmp_path, "one", {"lib/__init__.py": "", "lib/table.py": "x = 1\n" * 100})
    (one.folder / "lib" / "lib" / "link.py").symlink_to("/etc/hostname")
    (digest,) = read(tmp_path, TableOracle(tmp_path), [one])
    assert digest.unread == 2
    assert {module.name for module in digest.modules} == {"lib", "lib.table", "lib.link"}


def test_an_ended_run_reads_no_more(tmp_path: Path) -> None:
    ended = threading.Event()
    ended.set()
    with pytest.raises(Unanswered, match="was ended"):
        read(tmp_path, TableOracle(tmp_path), [entry(tmp_path, "one", FILES)], ended)
