"""Packages of the system in the image of a cell, with a real engine and real apt."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_py312.core.model.measurements import ImagePackages
from pytest_py312.core.process import ExitReason
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.docker_runner.conftest import INTERPRETERS, Bench, unavailable
from tests.support.child_pytest import PYTEST
from tests.support.fakes import service_tree
from tests.support.source_distributions import served_repository

pytestmark = pytest.mark.docker

DOCKERFILE = """\
FROM python:3.9-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev tree
COPY . .
RUN pip install -r requirements.txt
FROM build
CMD ["python", "app.py"]
"""
NATIVE = """\
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""
SETUP = """\
from setuptools import Extension, setup
setup(name="native", version="1.0", ext_modules=[Extension("native", ["native.c"])])
"""
SUITE = "import shutil, native\ndef test_a():\n    assert shutil.which('tree')\n"


def test_a_package_is_there_for_tools_and_for_cells(bench: Bench) -> None:
    """One that the distribution does not have is left out. Another process finds the image by its build."""
    packages = ImagePackages(names=("tree", "no-such-package-anywhere"))
    runner = bench.runner()
    build = runner.find_interpreter(INTERPRETERS[-1])
    try:
        equipped = runner.add_packages(build, packages)
    except CellUnavailable as reason:
        if "could not be reached" in str(reason):
            unavailable(str(reason))
        raise
    assert runner.find_with_packages(build, packages) == equipped
    assert equipped.digest != build.digest
    assert runner.run_tool(equipped, ["tree", "--version"]).ok
    assert runner.run_tool(build, ["tree", "--version"]).exit_reason is ExitReason.EXITED
    other = bench.runner()
    job = bench.job(other, "import shutil, os; say(tree=shutil.which('tree'), user=os.getuid())")
    for used, expected in ((equipped, "/usr/bin/tree"), (build, None)):
        result = other.run(type(job)(**{name: getattr(job, name) for name in job.__slots__} | {"build": used}))
        assert result.records[0]["tree"] == expected, result
        assert result.records[0]["user"] != 0


@pytest.mark.parametrize("name", ["-o=Dpkg::Options::=--force-all", "gcc-", "./x.deb"])
def test_what_is_no_name_never_reaches_apt(bench: Bench, name: str) -> None:
    runner = bench.runner()
    with pytest.raises(CellUnavailable, match="not a list of package names"):
        runner.add_packages(runner.find_interpreter(INTERPRETERS[-1]), ImagePackages(names=(name,)))


def test_a_source_that_needs_a_compiler_is_built_where_the_image_has_one(
    images: None, tmp_path: Path, gate_cache: Path
) -> None:
    """The suite runs with the packages too."""
    root = service_tree(
        tmp_path / "fleet",
        {
            "services/api/Dockerfile": DOCKERFILE,
            "services/api/requirements.txt": "./native\n",
            "services/api/app.py": "import native\n",
            "services/api/native/setup.py": SETUP,
            "services/api/native/native.c": NATIVE,
            "services/api/tests/test_native.py": SUITE,
        },
    )
    done = subprocess.run(
        [*PYTEST, "--py312", "--py312-runner=docker", f"--py312-cache-dir={gate_cache}",
         "-p", "no:cacheprovider", "-m", "py312_dependencies or py312_libraries or py312_suite"],
        cwd=root, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    if "could not be reached" in done.stdout:
        unavailable(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout
    assert "not checked on 3.12: source, versions: api" in done.stdout


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[str]:
    """Serve a repository with one distribution over HTTP on this machine; return its address."""
    setup = "from setuptools import setup\nsetup(name='acme', version='1', py_modules=['acme'])\n"
    with served_repository(tmp_path, {"setup.py": setup, "acme.py": ""}) as url:
        yield url


def test_a_requirement_from_git_is_fetched_in_an_image_without_git(
    images: None, tmp_path: Path, gate_cache: Path, git_server: str
) -> None:
    root = service_tree(
        tmp_path / "fleet",
        {
            "services/api/Dockerfile": "FROM python:3.9\nCOPY . .\nRUN pip install -r requirements.txt\n",
            "services/api/requirements.txt": f"acme @ git+{git_server}\n",
            "services/api/app.py": "import acme\n",
        },
    )
    done = subprocess.run(
        [*PYTEST, "--py312", "--py312-runner=docker", f"--py312-cache-dir={gate_cache}",
         "-p", "no:cacheprovider", "-m", "py312_dependencies"],
        cwd=root, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    if "could not be reached" in done.stdout:
        unavailable(done.stdout[-2000:])
    assert done.returncode == 0, done.stdout
