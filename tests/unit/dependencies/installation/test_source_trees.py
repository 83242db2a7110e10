"""The service itself is built where another project of the repository that is installed with it requires it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_py312.core.concurrency import SingleFlight
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.fleet import Distribution
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.installation.source_trees import SourceTrees, requires_service
from pytest_py312.dependencies.resolution.lock import Unresolvable
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from tests.support.fakes import build_of, cell_of, service, service_tree


def tree(*requires: str) -> StoredDistribution:
    return StoredDistribution(name="server", version="1", folder=Path("/nowhere"), requires=requires)


@pytest.mark.parametrize(
    ("requires", "static", "expected"),
    [
        (("six", "Shop.Lib>=1 ; python_version > '3'"), True, True),
        (("shop-lib",), False, False),
        (("shop-libs",), True, False),
        ((), True, False),
    ],
)
def test_only_a_project_of_that_name_is_built(requires: tuple[str, ...], static: bool, expected: bool) -> None:
    """One whose metadata need a build is built in any case."""
    own = replace(service(), distribution=Distribution(name="shop_lib", version="1", static=static, source_roots=()))
    assert requires_service([None, tree(*requires)], own) is expected
    assert requires_service([tree(*requires)], replace(service(), distribution=None)) is False


def no_editable(*_: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("requires", "remedy"),
    [
        ('["setuptools==58.0.4", "wheel"]', "require a newer version than setuptools==58.0.4 in [build-system], or "),
        ('["setuptools>=61"]', ""),
    ],
)
def test_a_build_that_fails_names_its_limited_requirements(tmp_path: Path, requires: str, remedy: str) -> None:
    cell = cell_of("3.12")
    service_tree(tmp_path / cell.service.path, {"pyproject.toml": f"[build-system]\nrequires = {requires}\n"})
    failure = Unresolvable([Finding(code="PY104", message="x==1 fails to build: No module named 'distutils'")])

    def refuse(*_: object, **__: object) -> StoredDistribution:
        raise failure

    folders = SimpleNamespace(source_copy=lambda folder: (tmp_path, folder))
    request_builder: Any = SimpleNamespace(
        requirements=SimpleNamespace(source_trees=lambda of, build: [of.path], is_editable=no_editable), folders=folders
    )
    store: Any = SimpleNamespace(install_tree=refuse)
    trees = SourceTrees(
        plan=Plan(root=tmp_path), request_builder=request_builder, store=store, single_flight=SingleFlight(None)
    )

    distributions, (finding,) = trees.build(cell, build_of("3.12"))

    assert distributions == []
    assert finding.message == "the service itself does not build on 3.12: No module named 'distutils'"
    assert finding.remedy == f"{remedy}fix its setup so that it builds there"


def test_a_wheel_that_does_not_fit_is_reported_where_it_is_required(tmp_path: Path) -> None:
    cell, path = cell_of("3.12"), "wheels/acme-1.0-cp311-cp311-any.whl"
    refusal = Unresolvable([Finding(code="PY104", message="it is for another Python")])

    def refuse(*_: object, **__: object) -> StoredDistribution:
        raise refusal

    service_tree(tmp_path, {path: ""})
    place = Location(path="requirements.txt", line=3)
    required = SimpleNamespace(locals=[SimpleNamespace(path=path, location=place)])
    request_builder: Any = SimpleNamespace(
        requirements=SimpleNamespace(
            source_trees=lambda of, build: [path], of=lambda of: required, is_editable=no_editable
        ),
        folders=SimpleNamespace(source_copy=lambda folder: (tmp_path, folder)),
    )
    store: Any = SimpleNamespace(install_tree=refuse)
    trees = SourceTrees(
        plan=Plan(root=tmp_path), request_builder=request_builder, store=store, single_flight=SingleFlight(None)
    )

    assert trees.build(cell, build_of("3.12")) == ([], [replace(refusal.findings[0], location=place)])
