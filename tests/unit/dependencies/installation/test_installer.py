"""What the imports in a cell prove, and what is remembered of them."""

from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.concurrency import Once
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.process import Ended
from pytest_py312.dependencies.installation.distribution_store import Store
from pytest_py312.dependencies.installation.environments import Environment, Environments
from pytest_py312.dependencies.installation.import_check import Imports
from pytest_py312.dependencies.installation.installer import Installer
from pytest_py312.dependencies.resolution.lock import Unchecked
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from tests.support.fakes import FakeRunner, build_of, cell_of, cell_run_of, service, service_tree

IMPORTING = {"event": "importing", "module": "acme"}


def installer_of(root: Path, runner: FakeRunner) -> Installer:
    """An installer for the repository ``root``, with its cache there as well."""
    (root / "envs").mkdir(exist_ok=True)
    return Installer(
        plan=Plan(root=root),
        cache=root,
        runner=runner,
        resolver=Resolver(cache=root, runner=runner, uv_version="test", lock_hours=24.0),
        store=Store(cache=root, runner=runner),
        environments=Environments(cache=root, runner=runner),
        once=Once(None),
        parallel=1,
    )


def imports_of(cache: Path, *records: dict[str, Any], **end: Any) -> dict[str, str]:
    """What is told of the module ``acme`` whose cell reported ``records`` and ended as ``end`` says."""
    runner = FakeRunner(cell=lambda job: cell_run_of(*records, **end))
    environment = Environment(key="0" * 32, folder=cache / "environment", versions={}, modules={})
    (cache / "envs").mkdir(exist_ok=True)
    imports = Imports(root=cache, runner=runner, environments=Environments(cache=cache, runner=runner))
    return imports.of(cell_of(), build_of(), environment, ("acme",))


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


def test_a_lock_does_not_outlive_the_folder_of_wheels_that_it_was_found_in(tmp_path: Path) -> None:
    """``--find-links ../wheels`` stays the same text when another wheel of the same version lies there."""
    of = service(requirements=(RequirementSource(path="user/requirements.txt"),))
    root = service_tree(tmp_path, {"user/requirements.txt": "--find-links ../wheels\nacme\n", "wheels/a.whl": "1"})
    resolver = Resolver(cache=root, runner=FakeRunner(), uv_version="test", lock_hours=24.0)
    keys = []
    for content in ("1", "2", "1"):
        (root / "wheels/a.whl").write_text(content)
        wanted = installer_of(root, FakeRunner()).demands.wanted(cell_of(of=of), (), ())
        keys.append(resolver.key(wanted, build_of()))

    assert keys[0] == keys[2]
    assert keys[0] != keys[1]
