"""Programs of commands in a Dockerfile that the image of the target lacks or cannot run."""

from dataclasses import replace

import pytest

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Cell, Declaration, InstallRecipe, InstallStep
from pytest_py312.dependencies.system.image_programs import missing_program_findings
from tests.support.fakes import cell_of

LAMBDA = "public.ecr.aws/lambda/python:3.9"


def step(tool: str, line: int, *installers: str) -> InstallStep:
    return InstallStep(tool=tool, location=Location(path="Dockerfile", line=line), installers=installers)


def cell(image: str, on: str, *steps: InstallStep) -> Cell:
    """A cell of a service on 3.9 whose Dockerfile has an image and these steps."""
    declaration = Declaration(kind="image", text=image, location=Location(path="Dockerfile", line=1))
    recipe = InstallRecipe(source="Dockerfile", steps=steps)
    return replace(cell_of(on), service=replace(cell_of(on).service, recipe=recipe, declarations=(declaration,)))


@pytest.mark.parametrize(
    ("image", "tool", "on", "reported"),
    [
        (LAMBDA, "yum", "3.12", ["PY118 Dockerfile:2 yum"]),
        (LAMBDA, "yum", "3.10", []),
        (LAMBDA, "dnf", "3.12", []),
        ("amazonlinux:2", "yum", "3.12", []),
    ],
)
def test_yum_in_an_image_of_lambda(image: str, tool: str, on: str, reported: list[str]) -> None:
    """From 3.12 on these images have dnf."""
    findings = missing_program_findings(cell(image, on, step(tool, 2)))

    assert [f"{finding.code} {finding.location} {finding.names[0]}" for finding in findings] == reported


@pytest.mark.parametrize(
    ("pinned", "tool", "on", "remedies"),
    [
        ("pip==20.3.4", "pip", "3.12", ["install pip==23.1.2 or newer there"]),
        ("pip==23.1.2", "pip", "3.12", []),
        ("pip==20.3.4", "pip", "3.10", []),
        ("pip==20.3.4", "uv pip", "3.12", []),
        ("pip==23.*", "pip", "3.12", []),
        ("poetry==1.*", "poetry", "3.12", []),
        ("pip<=23.1.2", "pip", "3.12", []),
        ("poetry~=1.1.0", "poetry", "3.12", ["install poetry==1.2.0 or newer there"]),
        ("pip==20.*", "pip", "3.12", ["install pip==23.1.2 or newer there"]),
        ("pip<21", "pip", "3.12", ["install pip==23.1.2 or newer there"]),
        ("pip~=20.3", "pip", "3.12", ["install pip==23.1.2 or newer there"]),
        ("pip~=23.0", "pip", "3.12", []),
        ("pip>=20,<24", "pip", "3.12", []),
        ("pip==23.1", "pip", "3.12", []),  # it runs, unlike 23.1.1
        ("pip===20.3.4", "pip", "3.12", []),
        ("Pipenv == 2022.1.8", "pipenv", "3.12", ["install pipenv==2023.4.20 or newer there"]),
        ("poetry==1.1.15", "poetry", "3.12", ["install poetry==1.2.0 or newer there"]),
        ("poetry==1.8.2", "poetry", "3.12", []),
        ("virtualenv==20.4.7", "virtualenv", "3.12", ["install virtualenv==20.21.1 or newer there"]),
        ("virtualenv==20.21.1", "virtualenv", "3.12", []),
        ("pip==$VERSION", "pip", "3.12", []),
        ("uv==0.1", "uv", "3.12", []),
    ],
)
def test_pinned_installers_that_a_later_command_uses(pinned: str, tool: str, on: str, remedies: list[str]) -> None:
    findings = missing_program_findings(cell("python:3.9", on, step("pip", 2, pinned), step(tool, 3)))

    assert [finding.remedy for finding in findings] == remedies


@pytest.mark.parametrize(
    ("image", "on", "earlier", "reported"),
    [
        ("python:3.9", "3.12", (), ["PY118 Dockerfile:3 easy_install"]),
        ("python:3.9", "3.11", (), []),
        ("python:3.9", "3.12", ("setuptools<60",), []),
    ],
)
def test_easy_install_needs_a_setuptools(image: str, on: str, earlier: tuple[str, ...], reported: list[str]) -> None:
    """Images of 3.12 have none."""
    steps = (replace(step("pip", 2), arguments=earlier), step("easy_install", 3))

    findings = missing_program_findings(cell(image, on, *steps))

    assert [f"{finding.code} {finding.location} {finding.names[0]}" for finding in findings] == reported


def test_an_installer_that_nothing_uses_later_is_not_judged() -> None:
    """What was installed before is there; the image starts without pip."""
    steps = (step("pip", 2), step("pip", 3, "pip==20.3.4"))

    assert list(missing_program_findings(cell("python:3.9", "3.12", *steps))) == []


def test_an_installer_of_another_environment_is_not_judged() -> None:
    steps = (replace(step("pip", 2, "pip==20.3.4"), environment="/old"), step("pip", 3))

    assert (
        list(missing_program_findings(cell("python:3.9", "3.12", steps[0], replace(steps[1], environment="/new"))))
        == []
    )
    assert list(missing_program_findings(cell("python:3.9", "3.12", steps[0], replace(steps[1], environment="/old"))))


def test_a_command_under_a_condition_is_not_judged() -> None:
    """``if command -v yum; then yum install gcc; else dnf install gcc; fi``."""
    steps = (replace(step("yum", 2), conditional=True), step("dnf", 2))

    assert list(missing_program_findings(cell(LAMBDA, "3.12", *steps))) == []


def test_a_service_without_a_recipe_has_no_commands() -> None:
    assert list(missing_program_findings(cell_of("3.12"))) == []
