"""What the imports in a cell prove, and what is remembered of them."""

from pathlib import Path
from typing import Any

import pytest

from pytest_py312.distributions import Store
from pytest_py312.environments import Environment, Environments
from pytest_py312.installer import Installer
from pytest_py312.model import Plan
from pytest_py312.once import Once
from pytest_py312.resolution import Resolver, Unchecked
from pytest_py312.runners.base import Ended
from pytest_py312.testing import FakeRunner, build_of, cell_of, cell_run_of

IMPORTING = {"event": "importing", "module": "acme"}


def imports_of(cache: Path, *records: dict[str, Any], **end: Any) -> dict[str, str]:
    """What is told of the module ``acme`` whose cell reported ``records`` and ended as ``end`` says."""
    runner = FakeRunner(cell=lambda job: cell_run_of(*records, **end))
    (cache / "envs").mkdir(exist_ok=True)
    environments = Environments(cache=cache, runner=runner)
    installer = Installer(
        plan=Plan(root=cache),
        cache=cache,
        runner=runner,
        resolver=Resolver(cache=cache, runner=runner, uv_version="test", lock_hours=24.0),
        store=Store(cache=cache, runner=runner),
        environments=environments,
        once=Once(None),
        parallel=1,
    )
    environment = Environment(key="0" * 32, folder=cache / "environment", versions={}, modules={})
    return installer._imports(cell_of(), build_of(), environment, ("acme",))


@pytest.mark.parametrize(
    ("ended", "code"), [(Ended.EXITED, 0), (Ended.EXITED, 1), (Ended.KILLED, -11), (Ended.EXITED, 134)]
)
def test_a_module_that_ends_its_process_cannot_be_imported(tmp_path: Path, ended: Ended, code: int) -> None:
    told = imports_of(tmp_path, IMPORTING, ended=ended, exit_code=code, trouble="it died")

    assert told == {"acme": "importing it ended the process: it died"}


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (Ended.CANCELLED, -9),
        (Ended.KILLED, -9),
        (Ended.TIMED_OUT, -2),
        (Ended.OUT_OF_MEMORY, -9),
        (Ended.ENGINE_LOST, None),
        (Ended.DISK_FULL, 1),
    ],
)
def test_an_import_that_others_ended_is_not_held_against_the_module(
    tmp_path: Path, ended: Ended, code: int | None
) -> None:
    """Nor is it remembered: the next run, which nobody interrupts, finds out."""
    with pytest.raises(Unchecked, match="the run was ended"):
        imports_of(tmp_path, IMPORTING, ended=ended, exit_code=code, trouble="the run was ended")

    assert imports_of(tmp_path, {"event": "import", "module": "acme", "ok": True}) == {"acme": ""}
