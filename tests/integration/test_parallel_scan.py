"""Scanning in several processes."""

from pathlib import Path

import pytest

from pytest_py312.analysis.files import parallel_scan
from pytest_py312.analysis.files.source_reader import SourceFolder, SourceReader
from tests.support.fakes import service_tree

SERVICE = SourceFolder(path="services/api", roots=("services/api",))


def test_several_processes_give_the_same_result_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_scan, "MIN_BYTES_PER_PROCESS", 10)
    root = service_tree(
        tmp_path / "repository",
        {f"services/api/part{number}.py": f"import imp\nx = {number}\n" for number in range(20)}
        | {"services/api/bad.py": "x = ("},
    )

    together = SourceReader(root=root, cache=tmp_path / "cache", processes=3).read([SERVICE])
    monkeypatch.setattr(parallel_scan, "_WORKER", "raise SystemExit(1)")
    alone = SourceReader(root=root, cache=tmp_path / "other", processes=3).read([SERVICE])

    assert together == alone
    assert len(together[SERVICE.path].facts) == 21
