"""The work for one service does not depend on how many others there are."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.recipes.serverless_builds import handler_programs
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service_tree

SERVICES = {
    "requirements and no Python": {"requirements.txt": "six\n"},
    "a project": {"pyproject.toml": '[project]\nname = "{name}"\nversion = "1"\ndependencies = ["six"]\n'},
    "an image of the folder": {"Dockerfile": "FROM python:3.9\nCOPY . .\nRUN pip install -r requirements.txt\n"},
    "an image of the repository": {
        "Dockerfile": "FROM python:3.9\nCOPY services/{name} .\nRUN pip install -r requirements.txt\n",
        "requirements.txt": "",
    },
    "a function": {
        "requirements.txt": "",
        "serverless.yml": "service: x\nprovider: {runtime: python3.9}\nfunctions:\n  f: {handler: app.h}\n",
    },
}
SMALL, LARGE = 40, 80
"""Numbers of services. What grows with their square is the larger part of the work with so many."""
MOST_GROWTH = 1.15 * LARGE / SMALL


class Calls:
    """How many functions were called, of Python and of C."""

    def __init__(self) -> None:
        self.number = 0

    def count(self, frame: object, event: str, argument: object) -> None:
        self.number += event in ("call", "c_call")


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Count calls instead of seconds, which depend on what else the machine does."""
    calls, previous = Calls(), sys.getprofile()
    sys.setprofile(calls.count)
    try:
        yield calls
    finally:
        sys.setprofile(previous)


def fleet(root: Path, number: int, files: dict[str, str]) -> Path:
    names = [f"service-{index:03d}" for index in range(number)]
    return service_tree(
        root,
        {f"services/{name}/{path}": text.replace("{name}", name) for name in names for path, text in files.items()},
    )


def calls_for(root: Path, number: int, files: dict[str, str]) -> int:
    plan = Plan(root=fleet(root, number, files))
    with counted_calls() as calls:
        assert len(discover(plan).services) == number
    return calls.number


@pytest.mark.parametrize("kind", SERVICES)
def test_discovery_grows_no_faster_than_the_fleet(tmp_path: Path, kind: str) -> None:
    calls_for(tmp_path / "first", 1, SERVICES[kind])  # what is imported, and kept between runs

    small = calls_for(tmp_path / "small", SMALL, SERVICES[kind])
    large = calls_for(tmp_path / "large", LARGE, SERVICES[kind])

    assert large <= MOST_GROWTH * small


def test_a_service_looks_at_its_own_functions_only(tmp_path: Path) -> None:
    numbers = []
    for count in (SMALL, LARGE):
        tree = Tree(fleet(tmp_path / str(count), count, SERVICES["a function"]))
        assert list(handler_programs(tree, "services/service-001"))
        with counted_calls() as calls:
            assert list(handler_programs(tree, "services/service-002"))
        numbers.append(calls.number)

    assert numbers[0] == numbers[1]


def test_functions_of_a_folder_with_a_longer_name_are_not_its_own(tmp_path: Path) -> None:
    """In the order of paths it stands between the folder and what is inside of it."""
    resource = "  F{0}:\n    Type: AWS::Serverless::Function\n    Properties: {{CodeUri: {1}, Handler: {2}.h}}\n"
    folders = {"a": "own", "a/b": "inner", "a-b": "other", "a0": "another"}
    functions = "".join(resource.format(number, *found) for number, found in enumerate(folders.items()))
    template = f"Globals:\n  Function: {{Runtime: python3.9}}\nResources:\n{functions}"
    tree = Tree(service_tree(tmp_path, {"template.yaml": template, **{f"{path}/x.py": "" for path in folders}}))

    names = {path: [program.name for program in handler_programs(tree, path)] for path in (*folders, ".")}

    assert names == {
        "a": ["own", "inner"], "a/b": ["inner"], "a-b": ["other"], "a0": ["another"],
        ".": ["own", "inner", "other", "another"],
    }  # fmt: skip
