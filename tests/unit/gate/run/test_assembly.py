"""What a run rests on, and its end: what workers that were killed have left is removed with it."""

import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_py312.core import directories
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process_identity import this_process
from pytest_py312.gate.run.assembly import GateAssembly


def assembly(root: Path, plugins: Any = None, **plan: Any) -> GateAssembly:
    options = SimpleNamespace(
        plan=Plan(root=root, **plan), runner="local", isolation="", cache_folder=root / "cache", jobs=1,
        reuse_outcomes=True, resolver="", offline=False,
    )  # fmt: skip
    return GateAssembly(options, plugins=plugins)


def test_a_runner_and_a_resolver_that_a_plugin_may_replace_are_described_so(tmp_path: Path) -> None:
    """With xdist the report is written by a process that runs no cell, and does not know it."""
    plain = assembly(tmp_path)
    extended = assembly(tmp_path, SimpleNamespace(names_of=lambda hook: "house-rules"))

    for described, own in (
        (extended.describe_runner(), plain.describe_runner()),
        (extended.describe_resolver(), plain.describe_resolver()),
    ):
        assert described == f"{own}, unless house-rules has put another one in its place"


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


@pytest.mark.parametrize(
    ("codes", "bubblewrap", "network", "texts"),
    [
        (["PY110"], "", False, ["were not confined"]),
        (["PY104"], "", True, ["had the network", "were not confined"]),
        (["PY110"], "/usr/bin/bwrap", False, []),
        (["PY101"], "", True, []),
    ],
)
def test_what_is_assumed_of_builds(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    codes: list[str],
    bubblewrap: str,
    network: bool,
    texts: list[str],
) -> None:
    """Only where the outcomes rest on a build from source."""
    monkeypatch.setattr("pytest_py312.gate.run.assembly.find_bubblewrap", lambda: bubblewrap)
    outcomes = [SimpleNamespace(findings=[SimpleNamespace(code=code) for code in codes])]

    assumptions = assembly(tmp_path, build_network=network).assumptions(outcomes)  # type: ignore[arg-type]  # enough

    assert len(assumptions) == len(texts)
    assert all(text in assumption for text, assumption in zip(texts, assumptions, strict=True))
