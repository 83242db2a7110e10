"""The steps of a recipe are carried out: the environment of a cell holds what the image has."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from pytest_py312.core import process
from tests.integration.gate_runs import gate
from tests.support.fakes import service_tree

pytestmark = pytest.mark.network

CHECKS = "py312_dependencies or py312_libraries"


def report_of(tmp_path: Path, cache: Path, dockerfile: str, files: dict[str, str]) -> dict[str, dict[str, object]]:
    """The outcomes on the target, by check."""
    root = service_tree(
        tmp_path / "repository",
        {
            "py312.toml": 'target = "3.12"\ninterpreters = ["3.11", "3.12"]\n',
            "svc/Dockerfile": f"FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\n{dockerfile}",
            "svc/app.py": "",
            **files,
        },
    )
    done = gate(root, cache, f"--py312-report={root / 'report.json'}", checks=CHECKS, seconds=600)
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done.stdout + done.stderr
    report = json.loads((root / "report.json").read_text(encoding="utf-8"))
    return {outcome["check"]: outcome for outcome in report["outcomes"] if str(outcome["interpreter"]) == "3.12"}


# iniconfig-2.0.0-py3-none-any.whl, gunicorn-20.1.0-py3-none-any.whl
HASHED = (
    "gunicorn==20.1.0 --hash=sha256:9dcc4547dbb1cb284accfb15ab5667a0e5d1881cc443e0677b4882a4067a807e\n"
    "iniconfig==2.0.0 --hash=sha256:b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374\n"
)


def test_without_dependencies_nothing_else_needs_a_hash(tmp_path: Path, gate_cache: Path) -> None:
    """gunicorn 20.1 requires setuptools, which 3.12 does not have: pip installs it all the same, and it does not start.

    What it lacks is a fact about the image, and no refusal of pip.
    """
    outcomes = report_of(
        tmp_path,
        gate_cache,
        "RUN pip install --no-deps --require-hashes -r requirements.txt\n",
        {"svc/requirements.txt": HASHED},
    )
    findings = json.dumps(outcomes)
    assert "PY114" not in findings
    assert "setuptools" in findings or "pkg_resources" in findings
    assert outcomes["dependencies"]["status"] != "passed" or outcomes["libraries"]["status"] != "passed"


def test_a_step_without_dependencies_beside_one_with_them(tmp_path: Path, gate_cache: Path) -> None:
    """`requests` comes alone, and its dependencies from the second step."""
    outcomes = report_of(
        tmp_path,
        gate_cache,
        "RUN pip install --no-deps -r alone.txt\nRUN pip install -r with.txt\n",
        {"svc/alone.txt": "requests==2.31.0\nidna==3.6\n", "svc/with.txt": "urllib3\ncertifi\ncharset-normalizer\n"},
    )
    assert outcomes["dependencies"]["status"] == "passed", outcomes


@pytest.mark.parametrize(("variable", "status"), [("PIP_CONSTRAINT", "passed"), ("OTHER", "failed")])
def test_constraints_reach_the_environments_of_builds(
    tmp_path: Path, gate_cache: Path, variable: str, status: str
) -> None:
    """The source needs the pkg_resources of an older setuptools."""
    files = {"setup.py": "import pkg_resources\nfrom setuptools import setup\nsetup(name='old', version='1')\n"}
    files["PKG-INFO"] = "Metadata-Version: 1.0\nName: old\nVersion: 1\n"
    archive = tmp_path / "repository/svc/files/old-1.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"old-1/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))

    dockerfile = f"ENV {variable}=/app/c.txt\nRUN pip install --find-links files old==1\n"
    outcomes = report_of(tmp_path, gate_cache, dockerfile, {"svc/c.txt": "setuptools<82\n"})

    assert outcomes["dependencies"]["status"] == status


def test_a_source_that_must_not_be_built_blocks(tmp_path: Path, gate_cache: Path) -> None:
    """future 0.18.2 has no wheel."""
    outcomes = report_of(tmp_path, gate_cache, "RUN pip install --only-binary :all: future==0.18.2\n", {})
    assert outcomes["dependencies"]["status"] == "failed"
    assert "only-binary" in json.dumps(outcomes["dependencies"])


OWN_CODE = """
import subprocess
from setuptools import setup
described = subprocess.check_output(["git", "describe", "--tags"], text=True).strip()
setup(name="svc", version=described.split("-")[0], py_modules=["app"], install_requires=[])
"""
SETUPTOOLS_SCM = """
[build-system]
requires = ["setuptools", "setuptools-scm"]
[project]
name = "svc"
dynamic = ["version", "dependencies"]
[tool.setuptools]
py-modules = ["app"]
[tool.setuptools_scm]
root = ".."
"""


@pytest.mark.parametrize(
    ("files", "tagged"),
    [
        ({"svc/setup.py": OWN_CODE}, True),
        ({"svc/setup.py": OWN_CODE}, False),
        ({"svc/pyproject.toml": SETUPTOOLS_SCM, "svc/setup.cfg": "[options]\ninstall_requires =\n"}, True),
    ],
    ids=["own code", "own code without a tag", "setuptools-scm with the root above"],
)
def test_a_build_takes_its_version_from_git(
    tmp_path: Path, gate_cache: Path, files: dict[str, str], tagged: bool
) -> None:
    """The copy that is built has one; where the checkout has no version, nothing is known of the service."""
    root = tmp_path / "repository"
    root.mkdir()
    for command in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m1"], ["tag", "1.2.0"][: 2 * tagged]):
        author = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        assert not command or process.run(["git", "-C", str(root), *author, *command]).ok

    outcomes = report_of(tmp_path, gate_cache, "RUN pip install .\n", files)

    assert "PY106" not in json.dumps(outcomes)
    assert outcomes["dependencies"]["status"] == ("passed" if tagged else "errored")
