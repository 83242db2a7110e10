"""Distributions of the repository satisfy requirements by name, where something installs them from there."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.core.model.plan import ServiceSettings
from pytest_py312.repository.services.own_distributions import find_own_distributions
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

CLIENT = '[project]\nname = "Acme.Client"\nversion = "0.9.0"\ndependencies = ["acme-core", "six"]\n'
CORE = 'from setuptools import setup\nsetup(name="acme_core", version="1.0")\n'
LIBRARIES = {"client/pyproject.toml": CLIENT, "client/acme.py": "", "core/setup.py": CORE}


def own(
    root: Path, files: Mapping[str, str], required: str = "acme-client", needs: tuple[str, ...] = ()
) -> Mapping[str, str]:
    """Return what a service in ``svc/app`` takes from the repository."""
    service_tree(root, {**LIBRARIES, "svc/app/requirements.txt": f"{required}\nflask\n", **files})
    path = "svc/app/requirements.txt"
    app = replace(
        service("app"),
        path="svc/app",
        requirements=(RequirementSource(path=path),),
        settings=replace(ServiceSettings(), needs=needs),
    )
    return find_own_distributions(Tree(root), app, read_requirement_set(root, app.requirements))


WORKSPACE = '[tool.uv.workspace]\nmembers = ["cl*", "core"]\n'


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "-e ./client\n-e ./core\n"},
        {"requirements/dev.txt": "-e client\n./core\n"},
        {"svc/requirements.txt": "-e ../client\nacme-core @ file:../core\n"},
        {"svc/app/requirements-dev.txt": "-e ../../client\n-e ../../core\n"},
        {"pyproject.toml": WORKSPACE},
        {"svc/app/pyproject.toml": '[tool.uv.sources]\nx = {path = "../../client"}\ny = {path = "../../core"}\n'},
        {
            "Makefile": "DIRS = core\nall:\n\tpip install -e ./client -e $(DIRS)/ && pip install -r "
            "svc/app/requirements.txt\n"
        },
        {
            "scripts/setup.sh": "set -e\nfor each in client core; do pip install ./$each; done\n(cd svc && pip install "
            "-e app)\n"
        },
    ],
    ids=["root", "folder of requirements", "above", "beside", "workspace", "sources", "Makefile", "script"],
)
def test_what_something_installs_from_the_repository_is_taken_from_there(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    """And what it requires by name in turn."""
    assert own(tmp_path, files) == {"acme-client": "client", "acme-core": "core"}


@pytest.mark.parametrize(
    "files",
    [
        {"Makefile": "client:\n\tpip install -e ./client\napp:\n\tpip install -r svc/app/requirements.txt\n"},
        {"setup.sh": "pip install ./client ./svc/other\n"},
    ],
)
def test_what_is_installed_without_the_service_does_not_count(tmp_path: Path, files: Mapping[str, str]) -> None:
    assert own(tmp_path, files) == {}


def test_folders_that_the_plan_names_count(tmp_path: Path) -> None:
    assert own(tmp_path, {}, needs=("client",)) == {"acme-client": "client"}


def test_the_name_alone_does_not_make_it_one(tmp_path: Path) -> None:
    """An example or a copy of another project may have the name of a requirement."""
    assert own(tmp_path, {}) == {}


def test_excluded_members_do_not_count(tmp_path: Path) -> None:
    assert own(tmp_path, {"pyproject.toml": WORKSPACE + 'exclude = ["core"]\n'}) == {"acme-client": "client"}


@pytest.mark.parametrize(("required", "count"), [("acme-client>=0.9", 1), ("acme-client[x]", 1), ("acme-client>1", 0)])
def test_its_version_has_to_fit(tmp_path: Path, required: str, count: int) -> None:
    assert len(own(tmp_path, {"requirements.txt": "-e client"}, required)) == count


def test_an_absolute_path_inside_the_root_is_one_of_the_repository(tmp_path: Path) -> None:
    service_tree(tmp_path, {**LIBRARIES, "svc/requirements.txt": f"acme-client @ file://{tmp_path}/client\n"})

    found = read_requirement_set(tmp_path, [RequirementSource(path="svc/requirements.txt")])

    assert [local.path for local in found.locals] == ["client"]
    assert found.problems == ()


@given(
    pattern=st.text(max_size=12) | st.sampled_from(["**", "../*", "/", "a/../../*", "[", "*/*"]),
    required=st.text(max_size=12),
)
def test_no_workspace_breaks_it(tmp_path_factory: pytest.TempPathFactory, pattern: str, required: str) -> None:
    root = tmp_path_factory.mktemp("own")
    text = "[tool.uv.workspace]\nmembers = [" + repr(pattern).replace("\\x", "\\u00") + "]\n"
    (root / "requirements.txt").write_text(required, encoding="utf-8", errors="replace")

    assert own(root, {"pyproject.toml": text.encode("utf-8", "replace").decode()}) in (
        {},
        {"acme-client": "client"},
        {"acme-client": "client", "acme-core": "core"},
    )


@pytest.mark.parametrize(
    "line",
    [
        "./client", "-e client", "--editable client", "client/", "acme-client @ ./client", "acme-client@file:client",
        "-r base/all.txt", "  -r base/all.txt", "six  # six\n./client",
    ],
)  # fmt: skip
def test_no_way_of_requiring_a_folder_is_overlooked(tmp_path: Path, line: str) -> None:
    """Files that only have names and versions are not read in full."""
    assert own(tmp_path, {"requirements.txt": f"{line}\n", "base/all.txt": "-e ../client\n"}) == {
        "acme-client": "client"
    }
