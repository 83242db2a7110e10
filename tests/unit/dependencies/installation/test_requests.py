"""What a service asks for, where the code of its setup.py says it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Distribution, RequirementSource, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.installation.requests import Demands
from pytest_py312.repository.services.requirement_set import RequirementSet
from tests.support.fakes import cell_of, service_tree

SETUP = """\
from setuptools import setup
setup(name="app", version="1.0", py_modules=["app"],
      install_requires=open("requirements.in").read().split())
"""


def required(root: Path, *, static: bool, setup: str = "services/app/setup.py") -> tuple[RequirementSet, list[str]]:
    """What is required by the service's setup.py, or another, and which folders are built for it."""
    service_tree(root, {setup: SETUP})
    service = replace(
        cell_of("3.12").service,
        path="services/app",
        requirements=(RequirementSource(path=setup, table="install_requires"),),
        distribution=Distribution(name="app", version="1.0", static=static, source_roots=(".",)),
    )
    demands = Demands(plan=Plan(root=root), cache=root / "cache")
    return demands.requirements(service), built(demands, service)


def built(demands: Demands, service: Service) -> list[str]:
    return list(demands.trees(service))


def test_what_code_computes_is_known_once_the_service_is_built(tmp_path: Path) -> None:
    """It is no line that cannot be read, and its place is kept for what has to be changed there."""
    found, trees = required(tmp_path, static=False)

    assert found.problems == ()
    assert [str(place) for place in found.computed] == ["services/app/setup.py:3"]
    assert trees == ["services/app"]


@pytest.mark.parametrize(
    ("static", "setup"), [(True, "services/app/setup.py"), (False, "services/app/deploy/setup.py")]
)
def test_what_no_build_tells_is_told_as_unreadable(tmp_path: Path, static: bool, setup: str) -> None:
    """Nothing that is built, or not the file that is run for it: it must not be taken for no requirements."""
    found, _ = required(tmp_path, static=static, setup=setup)

    assert [problem.message for problem in found.problems] == [
        "install_requires is computed by setup.py, which is not run to be read."
    ]
    assert found.computed == ()
