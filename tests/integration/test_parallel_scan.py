"""Files are scanned by several processes, with the same facts as by one."""

from pathlib import Path

import pytest

from pytest_py312.analysis.files import parallel_scan
from pytest_py312.analysis.files.parallel_scan import MIN_BYTES_PER_PROCESS, FileScanner, ScanTask
from pytest_py312.analysis.scanner.facts.facts import FileFacts
from pytest_py312.analysis.scanner.scan import scan_text


def tasks() -> list[ScanTask]:
    """Enough source that a second process pays off."""
    line = "import imp; imp.reload(x)\n"
    text = (line * (MIN_BYTES_PER_PROCESS // len(line) // 2)).encode()
    return [ScanTask(key=str(number), path=f"file{number}.py", content=text) for number in range(4)]


def test_another_process_scans_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not scan would be scanned here again, without a word."""
    scanned_here: list[str] = []

    def count(text: bytes, path: str, *, local_modules: frozenset[str]) -> FileFacts:
        scanned_here.append(path)
        return scan_text(text, path, local_modules=local_modules)

    monkeypatch.setattr(parallel_scan, "scan_text", count)

    facts = FileScanner(cache=tmp_path, processes=2).scan(tasks())

    assert len(scanned_here) == 2
    assert facts == FileScanner(cache=tmp_path, processes=1).scan(tasks())
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == []
