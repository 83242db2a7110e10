"""What is not installed although an installed distribution requires it, because a list is installed and no more."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallRecipe, InstallStep, LocalProject, RequirementSource, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin
from tests.support.fakes import cell_of, service, service_tree

PYPROJECT = '[tool.poetry]\nname = "app"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.9"\nzope = "*"\n'
POETRY_LOCK = '[[package]]\nname = "zope"\nversion = "5.5.2"\n'
TABLE = RequirementSource(path="app/pyproject.toml", table="tool.poetry.dependencies")
FILE = RequirementSource(path="app/requirements.txt")
POETRY = InstallStep(tool="poetry", location=Location(path="app/Dockerfile", line=2), project="app")
PIP = InstallStep(tool="pip", location=Location(path="app/Dockerfile", line=2), files=("app/requirements.txt",))


def recipe(*steps: InstallStep) -> InstallRecipe:
    return InstallRecipe(source="app/Dockerfile", steps=steps)


def installed(root: Path, *, interpreter: str = "3.12", lock: str = POETRY_LOCK, **changes: object) -> list[str]:
    """Return what is installed of a resolved set in which zope requires setuptools."""
    files = {"app/pyproject.toml": PYPROJECT, "app/requirements.txt": "zope==5.5.2\n"}
    service_tree(root, {**files, **({"app/poetry.lock": lock} if lock else {})})
    of: Service = replace(service(), path="app", requirements=(TABLE,), suite=None)
    of = replace(of, **changes)  # type: ignore[arg-type]  # any field
    pins = tuple(Pin(name=name, version="1", line=f"{name}==1") for name in ("setuptools", "zope"))
    made = RequestBuilder(plan=Plan(root=root), cache=root / "cache")
    return [pin.name for pin in made.as_installed(cell_of(interpreter, of), DependencyLock(pins=pins)).pins]


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize("steps", [(), (POETRY,), (POETRY, replace(PIP, files=(), flags=("--no-deps",)))])
def test_a_lock_without_setuptools_installs_none(
    tmp_path: Path, interpreter: str, steps: tuple[InstallStep, ...]
) -> None:
    assert installed(tmp_path, interpreter=interpreter, recipe=recipe(*steps) if steps else None) == ["zope"]


def test_a_lock_with_setuptools_installs_it(tmp_path: Path) -> None:
    lock = POETRY_LOCK + '[[package]]\nname = "setuptools"\nversion = "1"\n'

    assert installed(tmp_path, lock=lock) == ["setuptools", "zope"]


@pytest.mark.parametrize(
    "steps",
    [
        (PIP,),
        (POETRY, PIP),
        (replace(POETRY, exported=True),),
        (replace(POETRY, project=None, tool="pip", projects=(LocalProject(path="app"),)),),
        (replace(POETRY, unresolved=("$FILE",)),),
    ],
)
def test_pip_installs_what_is_required(tmp_path: Path, steps: tuple[InstallStep, ...]) -> None:
    """Also after Poetry, and from a file that Poetry has written."""
    assert installed(tmp_path, recipe=recipe(*steps)) == ["setuptools", "zope"]


@pytest.mark.parametrize("flags", [("--no-deps",), ("--require-hashes", "--no-deps")])
def test_without_dependencies_only_the_file_counts(tmp_path: Path, flags: tuple[str, ...]) -> None:
    step = replace(PIP, flags=flags)

    assert installed(tmp_path, lock="", requirements=(FILE,), recipe=recipe(step)) == ["zope"]
    assert installed(tmp_path, lock="", requirements=(FILE,), recipe=recipe(PIP)) == ["setuptools", "zope"]


def test_tools_without_a_lock_resolve(tmp_path: Path) -> None:
    exported = replace(POETRY, exported=True, flags=("--no-deps",))

    assert installed(tmp_path, lock="", recipe=recipe(POETRY)) == ["setuptools", "zope"]
    assert installed(tmp_path, lock="", recipe=recipe(exported)) == ["setuptools", "zope"]


def test_what_is_exported_from_a_lock_may_be_the_whole_list(tmp_path: Path) -> None:
    assert installed(tmp_path, recipe=recipe(replace(POETRY, exported=True, flags=("--no-deps",)))) == ["zope"]


def test_tests_that_pip_installs_have_what_is_required(tmp_path: Path) -> None:
    """The environment has it then; that production has none is for the check of its imports."""
    assert installed(tmp_path, test_requirements=(FILE,), test_recipe=recipe(PIP)) == ["setuptools", "zope"]
    assert installed(tmp_path, test_requirements=(FILE,)) == ["setuptools", "zope"]
    assert installed(tmp_path, test_requirements=(TABLE,), test_recipe=recipe(POETRY)) == ["zope"]


def test_production_is_judged_by_itself(tmp_path: Path) -> None:
    service_tree(tmp_path, {"app/pyproject.toml": PYPROJECT, "app/poetry.lock": POETRY_LOCK})
    of = replace(service(), path="app", requirements=(TABLE,), test_requirements=(FILE,))
    made = RequestBuilder(plan=Plan(root=tmp_path), cache=tmp_path / "cache")

    assert made.requirements.production_leaves_out(of) == {"setuptools"}
    assert made.requirements.production_leaves_out(replace(of, requirements=())) == frozenset()
