"""The discovered fleet in four formats."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.fleet import (
    Declaration,
    Distribution,
    Fleet,
    InstallRecipe,
    InstallStep,
    RequirementSource,
    Service,
)
from pytest_py312.core.model.plan import Plan, ServiceSettings, Suite, SuiteKind
from pytest_py312.gate.reports.inventory import render_csv, render_json, render_markdown, render_table

PLAN = Plan(root=Path("/nowhere"))


def image(text: str, line: int) -> Declaration:
    return Declaration(kind="image", text=text, location=Location(path="services/api/Dockerfile", line=line))


SERVICE = Service(
    name="api",
    path="services/api",
    stage=2,
    critical=True,
    baseline=Interpreter(3, 9),
    baseline_source="services/api/Dockerfile:3 says python:3.9-slim",
    requirements=(RequirementSource(path="services/api/requirements.txt"),),
    test_requirements=(RequirementSource(path="services/api/pyproject.toml", table="dependency-groups.test"),),
    suite=Suite(kind=SuiteKind.PYTEST, arguments=("tests",), import_mode="importlib", folder="services"),
    settings=ServiceSettings(),
    declarations=tuple(
        image(f"python:{version}", line) for line, version in enumerate(("3.9", "3.10", "3.12"), start=1)
    ),
    distribution=Distribution(name="api", version="1.0", static=True, source_roots=("src",)),
    manifest="services/api/pyproject.toml",
)
FLEET = Fleet(services=(SERVICE,), assumptions=("api is in no stage of the plan.",))


def test_owners_are_in_every_format() -> None:
    owned = Fleet(services=(replace(SERVICE, owners=("@a", "b team"), owners_source="CODEOWNERS:3"),))

    document = json.loads(render_json(owned, PLAN))["services"][0]

    assert (document["owners"], document["owners_source"]) == (["@a", "b team"], "CODEOWNERS:3")
    assert next(csv.DictReader(io.StringIO(render_csv(owned, PLAN))))["owners"] == "'@a; b team"
    assert "b team" in render_table(owned, PLAN, width=200, color=False)
    assert "b team" in render_markdown(owned, PLAN)


@pytest.mark.parametrize(
    "render", [lambda: render_table(FLEET, PLAN, width=400, color=False), lambda: render_markdown(FLEET, PLAN)]
)
def test_a_reader_sees_what_was_found_and_why(render: object) -> None:
    """The baseline with its reason, each declared version with its place, the files, the suite, the assumptions."""
    assert callable(render)
    text = render().replace("\\", "")
    for words in (
        "1 service, target Python 3.12", "services/api", "2 critical", "Dockerfile:3 says python:3.9-slim",
        "python:3.9 at Dockerfile:1", "python:3.10 at Dockerfile:2", "python:3.12 at Dockerfile:3", "requirements.txt",
        "pyproject.toml [dependency-groups.test] (tests)", "pytest --import-mode=importlib tests", "api 1.0",
        "api is in no stage of the plan.",
    ):  # fmt: skip
        assert words in text


def test_the_json_document_is_stable_and_complete() -> None:
    """The same bytes for the same fleet, a version, paths of the root, nothing of this machine."""
    text = render_json(FLEET, PLAN)
    assert text == render_json(FLEET, PLAN)
    document = json.loads(text)
    assert document["schema"] == 1
    assert document["interpreters"] == ["3.9", "3.10", "3.11", "3.12"]
    (service,) = document["services"]
    assert service["baseline"] == "3.9"
    assert service["declarations"][1] == {
        "kind": "image",
        "text": "python:3.10",
        "path": "services/api/Dockerfile",
        "line": 2,
        "column": None,
        "interpreter": None,
    }
    assert service["distribution"]["source_roots"] == ["src"]
    expected = {"kind": "pytest", "arguments": ["tests"], "import_mode": "importlib", "folder": "services"}
    assert service["suite"] == expected
    assert "/nowhere" not in text


def test_csv_has_one_line_for_each_service() -> None:
    """With a heading, and several values in one field."""
    (row,) = csv.DictReader(io.StringIO(render_csv(FLEET, PLAN)))
    assert row["baseline"] == "3.9"
    assert row["images"].split("; ")[2] == "python:3.12 at services/api/Dockerfile:3"
    assert row["test_requirements"] == "services/api/pyproject.toml [dependency-groups.test]"


def test_a_service_without_anything_is_listed_with_nothing() -> None:
    """There are no empty cells that could be misread."""
    bare = replace(SERVICE, requirements=(), test_requirements=(), suite=None, declarations=(), distribution=None)
    text = render_table(Fleet(services=(bare,)), PLAN, width=200, color=False)
    assert "none found" in text
    assert "nothing" in text


def test_a_narrow_terminal_gets_fewer_columns_and_a_note() -> None:
    """Eight columns of ten characters each would be unreadable."""
    text = render_table(FLEET, PLAN, width=80, color=False)
    assert "Distribution" not in text
    assert "A wider terminal" in text
    assert max(map(len, text.splitlines())) <= 80


def test_colour_is_used_on_request_only() -> None:
    """A pipe gets plain text."""
    assert "\x1b" not in render_table(FLEET, PLAN, width=120, color=False)
    assert "\x1b" in render_table(FLEET, PLAN, width=120, color=True)


hostile = st.one_of(st.text(), st.sampled_from(["\x1b[31mred", "[bold]x[/bold]", "a|b\n<script>", "=cmd()", ":smile:"]))


@given(hostile)
def test_names_from_the_tree_are_escaped_in_all_formats(name: str) -> None:
    """Terminal sequences, markup, table syntax and formulas are plain text."""
    service = replace(SERVICE, name=name, baseline_source=name, declarations=(image(name, 1),))
    fleet = Fleet(services=(service,), assumptions=(name,))
    assert "\x1b" not in render_table(fleet, PLAN, width=80, color=False)
    assert "<script>" not in render_markdown(fleet, PLAN)
    (row,) = csv.DictReader(io.StringIO(render_csv(fleet, PLAN)))
    assert not row["name"].startswith("=")
    assert json.loads(render_json(fleet, PLAN))["services"][0]["name"] == name


# ---- what installs the service

RECIPE = InstallRecipe(
    source="svc/Dockerfile",
    steps=(
        InstallStep(
            tool="pip",
            location=Location(path="svc/Dockerfile", line=4),
            files=("svc/requirements.txt",),
            flags=("--no-deps",),
            indexes=(("--index-url", "https://user:secret@index/simple"),),
        ),
        InstallStep(
            tool="uv",
            location=Location(path="svc/build.sh", line=2),
            project="svc",
            extras=("server",),
            conditional=True,
            unresolved=("$GROUP",),
        ),
    ),
    limits=("svc/Dockerfile:9 runs x.sh, which is not in the repository",),
)


def with_recipe() -> Fleet:
    return replace(FLEET, services=(replace(SERVICE, recipe=RECIPE),))


@pytest.mark.parametrize("render", [render_markdown, partial(render_table, width=200, color=False)])
def test_the_steps_of_a_recipe_are_shown_with_their_places(render: Callable[[Fleet, Plan], str]) -> None:
    """And no password of an index."""
    text = render(with_recipe(), PLAN).replace("\\", "")
    assert "production: svc/Dockerfile" in text
    assert "svc/Dockerfile:4" in text
    assert "pip -r svc/requirements.txt --no-deps --index-url https://index/simple" in text
    assert "uv project svc --extra server (under a condition; cannot be determined: $GROUP)" in text
    assert "svc/Dockerfile:9 runs x.sh, which is not in the repository" in text


def test_the_document_has_the_steps() -> None:
    (service,) = json.loads(render_json(with_recipe(), PLAN))["services"]
    assert service["test_recipe"] is None
    assert [(step["path"], step["line"], step["tool"]) for step in service["recipe"]["steps"]] == [
        ("svc/Dockerfile", 4, "pip"), ("svc/build.sh", 2, "uv"),
    ]  # fmt: skip
    assert "secret" not in json.dumps(service)
