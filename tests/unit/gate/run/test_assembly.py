"""The end of a run: what workers that were killed have left is removed with it."""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_py312.core import directories
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process_identity import this_process
from pytest_py312.gate.run.assembly import GateAssembly


def assembly(root: Path) -> GateAssembly:
    options = SimpleNamespace(
        plan=Plan(root=root), runner="local", isolation="", cache_folder=root / "cache", jobs=1,
        reuse_outcomes=True, resolver="", offline=False,
    )  # fmt: skip
    return GateAssembly(options)


@pytest.mark.parametrize(("is_dead", "remaining"), [(True, []), (False, ["worker"])])
def test_the_folder_of_a_killed_worker_is_removed_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_dead: bool, remaining: list[str]
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    controller = assembly(tmp_path)
    assert controller.shared_folder().is_dir()
    worker = directories.create_run_folder("worker")
    if is_dead:  # this process exists, and started at another time
        identity = replace(this_process(), start_ticks=1)
        (worker / "owner").write_text(str(identity), encoding="ascii")

    controller.close()

    assert [folder.name for folder in directories.runs_folder().iterdir()] == remaining
