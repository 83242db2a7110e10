"""Dockerfiles: the effective base image of each stage, and the Python that it names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.formats.dockerfile import python_version_of, read_dockerfile


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("python:3.9", "3.9"),
        ("python:3.10.13-slim-bullseye", "3.10"),
        ("python:3.12-rc-slim", "3.12"),
        ("python:3.13.0b1", "3.13"),
        ("library/python:3.10-alpine3.18", "3.10"),
        ("registry.invalid:5000/library/python:3.9-slim", "3.9"),
        ("registry.invalid/mirror/python:3.12@sha256:abcd", "3.12"),
        ("uv:python3.11-bookworm-slim", "3.11"),
        ("azure-functions/python:4-python3.10", "3.10"),
    ],
)
def test_a_tag_that_names_a_minor_gives_the_interpreter(image: str, version: str) -> None:
    """With a registry, a digest, a patch number, a variant."""
    assert python_version_of(image) == (True, Interpreter.parse(version))


@pytest.mark.parametrize(
    "image", ["python", "python:3", "python:latest", "python:slim", "python:2.7", "python@sha256:ab"]
)
def test_a_python_image_without_a_minor_names_none(image: str) -> None:
    """It is a Python image, but its version is determined elsewhere."""
    assert python_version_of(image) == (True, None)


@pytest.mark.parametrize("image", ["nginx:1.25", "node:20", "pythonista:3.9", "micropython/unix:3.9", "scratch", ""])
def test_other_images_are_no_python_images(image: str) -> None:
    """Even if their names are similar."""
    assert python_version_of(image) == (False, None)


STAGES = """\
# syntax=docker/dockerfile:1
ARG REGISTRY=registry.invalid/library
ARG PYTHON_VERSION="3.10"
from --platform=$BUILDPLATFORM ${REGISTRY}/python:${PYTHON_VERSION}-slim as Builder
RUN apt-get update \\
    # a comment within
    && apt-get install -y python3-dev

FROM builder AS grpc-builder
FROM ${OTHER:-python:3.9}
"""


def test_stages_resolve_variables_and_each_other() -> None:
    """Any case, a platform, defaults of ARG, ``${X:-y}``, a stage that builds on a stage."""
    dockerfile = read_dockerfile(STAGES, "Dockerfile")
    assert [
        (stage.name, stage.image, stage.line, stage.image_line, str(stage.interpreter)) for stage in dockerfile.stages
    ] == [
        ("builder", "registry.invalid/library/python:3.10-slim", 4, 4, "3.10"),
        ("grpc-builder", "registry.invalid/library/python:3.10-slim", 9, 4, "3.10"),
        ("", "python:3.9", 10, 10, "3.9"),
    ]
    assert dockerfile.stages[0].platform == "$BUILDPLATFORM"
    assert dockerfile.stages[1].parent == 0
    assert dockerfile.final_stage is dockerfile.stages[2]
    assert [(declaration.text, declaration.location.line) for declaration in dockerfile.declarations] == [
        ("registry.invalid/library/python:3.10-slim", 4),
        ("python:3.9", 10),
    ]


def test_the_last_python_stage_counts_before_a_stage_of_another_kind() -> None:
    """Built on 3.10, replaced by 3.12, copied into nginx."""
    text = "FROM python:3.10 AS a\nFROM python:3.12 AS b\nFROM nginx\nCOPY --from=b /x /x\n"
    final = read_dockerfile(text, "Dockerfile").final_python_stage
    assert final is not None
    assert str(final.interpreter) == "3.12"


def test_a_variable_without_a_value_is_named() -> None:
    """The image is unknown; the missing variable is not."""
    (stage,) = read_dockerfile("ARG TAG\nFROM python:${TAG}\n", "Dockerfile").stages
    assert stage.unresolved == ("TAG",)
    assert stage.interpreter is None


def test_arg_after_the_first_from_does_not_apply_to_from() -> None:
    """As in the reference."""
    found = read_dockerfile("FROM python:3.9\nARG V=3.12\nFROM python:$V\n", "Dockerfile")
    assert found.stages[1].unresolved == ("V",)


def test_here_documents_and_continued_lines_contain_no_instructions() -> None:
    """A FROM within them is text."""
    text = "FROM python:3.9\nRUN <<EOF\nFROM python:3.12\nEOF\nRUN echo \\\n\n FROM python:3.10\nCMD x\n"
    found = read_dockerfile(text, "Dockerfile")
    assert [(one.keyword, one.line, one.end_line) for one in found.instructions] == [
        ("FROM", 1, 1),
        ("RUN", 2, 4),
        ("RUN", 5, 7),
        ("CMD", 8, 8),
    ]


def test_the_escape_directive_changes_line_continuation() -> None:
    """As used by Windows images."""
    found = read_dockerfile("# escape=`\nFROM `\n  python:3.9\nRUN dir C:\\\nCMD x", "Dockerfile")
    assert [one.keyword for one in found.instructions] == ["FROM", "RUN", "CMD"]
    assert found.stages[0].image == "python:3.9"


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    """Lines are always within the file."""
    found = read_dockerfile(text, "Dockerfile")
    count = text.count("\n") + text.count("\r") + 1
    assert all(1 <= one.line <= one.end_line <= count for one in found.instructions)


@given(
    st.lists(
        st.sampled_from(
            ["FROM ", "ARG ", "RUN ", "python:3.9", " AS a", "a", "${X", ":-", "}", "$X", "=", "\n", "\\\n", "#",
             "<<EOF", "EOF", '"', "--platform=", "\t"]
        )
    )
)  # fmt: skip
def test_no_arrangement_of_the_grammar_crashes_the_reader(pieces: list[str]) -> None:
    """The index of every stage is its position."""
    found = read_dockerfile("".join(pieces), "Dockerfile")
    assert [stage.index for stage in found.stages] == list(range(len(found.stages)))


@pytest.mark.parametrize(
    ("names", "final"),
    [
        (("builder", "app", "devstack", "legacy_devapp"), "app"),
        (("builder", "app", "latest"), "latest"),
        (("builder", "app", "device"), "device"),
        (("builder", "base-without-command", "test"), "test"),
        (("worker", "testimonials"), "testimonials"),
        (("worker", "devops"), "worker"),
        (("worker", "runtests"), "worker"),
        (("worker", "pytest"), "worker"),
        (("worker", "contest"), "contest"),
        (("worker", "unit-tests2"), "worker"),
    ],
)
def test_stages_for_developers_at_the_end_are_no_production(names: tuple[str, ...], final: str) -> None:
    """They follow the stage that is built with ``--target``, if there is one that starts something."""
    commands = {"builder": "RUN make", "base-without-command": "RUN make"}
    stages = (f"FROM python:3.9 AS {name}\n{commands.get(name, 'CMD app')}\n" for name in names)
    dockerfile = read_dockerfile("".join(stages), "Dockerfile")
    assert dockerfile.final_stage is not None
    assert dockerfile.final_stage.name == final
    assert dockerfile.build_target == ("" if final == names[-1] else final)


FRONTEND = "FROM node:18 AS frontend\nCMD npm start\n"
BASE = "FROM python:3.9 AS base\nRUN pip install a\n"


@pytest.mark.parametrize(
    ("stages", "final"),
    [
        ("FROM base AS production\nCOPY --from=frontend /a /b\nFROM base AS development\nCMD app\n", "production"),
        ("FROM base AS production\nFROM production AS development\nCMD app\n", "development"),
        ("FROM base AS docs\nFROM base AS development\nCMD app\n", "development"),
        ("FROM base AS builder\nFROM base AS development\nCOPY --from=builder /a /b\nCMD app\n", "development"),
        ("FROM base AS production\nCMD app\nFROM production AS development\n", "production"),
    ],
)
def test_the_stage_of_production_has_the_image_of_python_that_the_last_one_has(stages: str, final: str) -> None:
    """Compose may name what starts it; a stage that others copy from is none."""
    dockerfile = read_dockerfile(FRONTEND + BASE + stages, "Dockerfile")
    assert dockerfile.final_stage is not None
    assert dockerfile.final_stage.name == final
    assert dockerfile.final_python_stage is dockerfile.final_stage


def test_the_python_of_production_counts_and_not_that_of_developers() -> None:
    text = "FROM python:3.9-slim AS production\nCMD app\nFROM python:3.12-slim AS development\nCMD app\n"
    stage = read_dockerfile(text, "Dockerfile").final_python_stage
    assert stage is not None
    assert str(stage.interpreter) == "3.9"
