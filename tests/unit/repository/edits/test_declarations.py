"""Places are moved to the target: only their characters change, twice is once, and nothing newer is taken back."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.text_edits import EditRefused
from pytest_py312.repository.declarations.declaration import DeclarationRole
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.edits.declarations import (
    Migrated,
    MigrationTarget,
    migrate,
    respell,
)
from pytest_py312.repository.edits.image_tags import image_tag_problem
from pytest_py312.repository.edits.version_ranges import migrated_range
from tests.support.migrations import migrate_files

TARGET = Interpreter(3, 12)
OLD = [Interpreter(3, 9), Interpreter(3, 10)]
each_old = pytest.mark.parametrize("old", OLD, ids=str)


def moved(path: str, text: str, *, baseline: Interpreter = OLD[1], close: bool = False, full: str = "") -> Migrated:
    aim = MigrationTarget(baseline=baseline, target=TARGET, drop_old_versions=close, full_version=full)
    return migrate(text, read_declarations(text, path), aim)


def filled(template: str, version: Interpreter) -> str:
    """``<V>`` is the version, ``<C>`` the same without its dot, ``<M>`` the minor."""
    compact = f"{version.major}{version.minor}"
    return template.replace("<V>", str(version)).replace("<C>", compact).replace("<M>", str(version.minor))


def without(marked: str) -> str:
    """``marked`` as it is before the edit."""
    return re.sub("«[^»]*»", "", marked)


def completed(marked: str) -> str:
    """``marked`` as it is after the edit."""
    return re.sub("[«»]", "", marked)


SINGLE = [
    ("Dockerfile", "FROM python:<V>-slim\n"),
    ("Dockerfile", "from --platform=$BUILDPLATFORM registry.invalid:5000/library/python:<V> as build\n"),
    ("Dockerfile.edu-mock", "FROM python:<V>-slim-bullseye AS a\nFROM a\nFROM python:<V>-alpine3.18\n"),
    ("svc.Dockerfile", 'ARG V="<V>"\nFROM python:${V}-slim\n'),
    ("Containerfile", "FROM python:${V:-<V>}-bookworm\n"),
    ("Dockerfile", "ARG BASE=python:<V>-slim\nFROM ${BASE} AS x\n"),
    (
        "Dockerfile",
        (
            "FROM python:<V> AS b\nFROM python:<V>\n"
            "COPY --from=b /usr/local/lib/python<V>/x /usr/local/lib/python<V>/x\n"
        ),
    ),
    ("Dockerfile", "FROM python:<V>\nRUN a \\\n  # a comment\n  && python<V> -m pip install x\\\n && pip<V> list\n"),
    ("Dockerfile", "FROM python:<V>\nENV PYTHON_VERSION=<V> PATH=/opt/venv/lib/python<V>/site-packages/bin:$PATH\n"),
    ("Dockerfile", "FROM python:<V>\nENV PYTHON_VERSION <V>\nLABEL python=<V>\n"),
    (
        "Dockerfile",
        ("FROM python:<V>\nRUN <<EOF\npython<V> -m x\nEOF\nCOPY --from=python:<V>-slim /usr/local/bin/python<V> /x\n"),
    ),
    ("Dockerfile", "FROM debian\nRUN uv python install <V> && uv venv --python <V> && /x/bin/python<V> -V\n"),
    ("Dockerfile", "FROM public.ecr.aws/lambda/python:<V>\n"),
    ("docker-compose.yml", "services:\n  a:\n    image: python:<V>-slim\n    build: {args: {PYTHON_VERSION: '<V>'}}\n"),
    ("compose.yaml", "services:\n  a:\n    build:\n      args:\n        - PYTHON_VERSION=<V>\n"),
    ("k8s/deployment.yaml", "spec:\n  containers:\n    - image: python:<V>\n---\nspec: {}\n"),
    ("chart/values.yaml", 'image:\n  repository: registry.example/library/python\n  tag: "<V>-slim"\n'),
    ("chart/templates/job.yaml", "{{- if .x }}\nspec:\n  image: python:<V>-slim\n{{- end }}\n"),
    (".github/workflows/ci.yml", "jobs:\n  a:\n    steps:\n      - with:\n          python-version: '<V>'\n"),
    (".github/workflows/ci.yml", "env:\n  PYTHON_VERSION: '<V>'\njobs:\n  a: {container: 'python:<V>-slim'}\n"),
    (
        ".github/workflows/ci.yml",
        "on: {workflow_call: {inputs: {v: {default: '<V>'}}}}\na: {python-version: '${{ inputs.v }}'}\n",
    ),
    (".github/workflows/ci.yml", "steps:\n  - name: Set up Python <V>\n    with: {python-version: '<V>'}\n"),
    (".github/workflows/ci.yml", "steps:\n  - run: python<V> -m pip install x\n"),
    ("action.yml", "inputs:\n  python-version:\n    default: '<V>'\n"),
    (".gitlab-ci.yml", "variables: {PYTHON_VERSION: '<V>'}\nimage: python:${PYTHON_VERSION}-slim\n"),
    (".circleci/config.yml", "jobs: {a: {docker: [{image: 'cimg/python:<V>'}]}}\n"),
    ("azure-pipelines.yml", "steps:\n- task: UsePythonVersion@0\n  inputs:\n    versionSpec: '<V>'\n"),
    (".travis.yml", "language: python\npython: '<V>'\n"),
    ("Jenkinsfile", "agent { docker { image 'python:<V>-slim' } }\n"),
    (".python-version", "<V>\n"),
    ("runtime.txt", "python-<V>\n"),
    (".tool-versions", "nodejs 20.1\npython <V>\n"),
    ("mise.toml", '[tools]\npython = "<V>"\n'),
    ("Pipfile", '[requires]\npython_version = "<V>"\n'),
    ("environment.yml", "dependencies:\n  - numpy\n  - python=<V>\n"),
    (".pre-commit-config.yaml", "default_language_version:\n  python: python<V>\n"),
    (".readthedocs.yaml", 'build:\n  tools:\n    python: "<V>"\n'),
    (
        ".devcontainer/devcontainer.json",
        '{\n\t// one\n\t"image": "mcr.microsoft.com/devcontainers/python:1-<V>-bullseye",\n}\n',
    ),
    ("tox.ini", "[testenv:lint]\nbasepython = python<V>\n"),
    ("noxfile.py", "import nox\n\n@nox.session(python='<V>')\ndef a(s): ...\n"),
    ("runtime.txt", "python-<V>.x\n"),
    ("pants.toml", '[python]\ninterpreter_constraints = ["==<V>.*"]\n[mypy]\ninterpreter_constraints = ["~=<V>.0"]\n'),
    (
        "Makefile",
        "PYTHON_VERSION_VENV ?= python<V>\nTOX_ENVLIST ?= py<C>\nBASE = python:<V>-slim  # an image\n\nall:\n",
    ),
    (
        "ci/compile",
        "#!/bin/bash\ndocker run --rm -v $PWD:/io \\\n  --user root \\\n  python:<V>-bullseye \\\n  sh -c 'x'\n",
    ),
    ("pin.sh", 'set -e\n  for a in b; do podman run "python:<V>" a; done\n'),
    ("GNUmakefile", "export PYTHON_VERSION := <V>\n"),
]


@each_old
@pytest.mark.parametrize(("path", "template"), SINGLE, ids=[path for path, _ in SINGLE])
def test_what_runs_one_version_moves(path: str, template: str, old: Interpreter) -> None:
    """From 3.9 and from 3.10 alike; what is on 3.12 stays as it is."""
    before, after = (filled(template, version) for version in (old, TARGET))
    found = moved(path, before)
    assert (found.text, found.refused) == (after, ())
    assert moved(path, after) == Migrated(text=after)


SEVERAL = [
    (
        ".github/workflows/ci.yml",
        "strategy: {matrix: {python: ['<V>«', '3.12»']}}\na: {python-version: '${{ matrix.python }}'}\n",
    ),
    (
        ".github/workflows/ci.yml",
        "m:\n  python-version:\n    - '<V>'  # the previous\n    - «'3.12'\n    - »pypy-3.9\n",
    ),
    (".github/workflows/ci.yml", 'python-versions: \'["3.8","<V>"«,"3.12"»]\'\n'),
    (
        "setup.py",
        'a = """\n  Programming Language :: Python\n  Programming Language :: Python :: <V>\n'
        '«  Programming Language :: Python :: 3.12\n»  License :: X\n"""\nsetup(classifiers=a.splitlines())\n',
    ),
    (
        ".github/workflows/ci.yml",
        (
            "strategy:\n  matrix:\n    include:\n      - python-version: '<V>'\n        toxenv: py<C>\n"
            "      - python-version: '3.1«2'\n        toxenv: py312\n      - python-version: '3.1»3'\n"
            "        toxenv: py313\n"
        ),
    ),
    (
        ".github/workflows/ci.yml",
        (
            "matrix:\n  include:\n    - {app: a, python-version: '<V>'}\n«    - {app: a, python-version: '3.12'}\n»"
            "    - app: b\n      python-version: '<V>'\n«    - app: b\n      python-version: '3.12'\n»"
        ),
    ),
    (
        ".github/workflows/ci.yml",
        (
            "matrix:\n  include:\n    - {name: a, python-version: '<V>'}\n«    - {name: a, python-version: '3.12'}\n»"
            "    - {name: b, python-version: '<V>'}\n«    - {name: b, python-version: '3.12'}\n»"
            "run: cd services/${{ matrix.name }} && mkdir reports/${{ matrix.python-version }}\n"
        ),
    ),
    (".github/workflows/ci.yml", "python-version: |\n  <V>\n«  3.12\n»"),
    (".gitlab-ci.yml", "a: {parallel: {matrix: [{PYTHON_VERSION: ['<V>'«, '3.12'»]}]}}\n"),
    (
        "azure-pipelines.yml",
        (
            "strategy:\n  matrix:\n    Python<C>:\n      python.version: '<V>'\n«    Python312:\n"
            "      python.version: '3.12'\n»"
        ),
    ),
    ("tox.ini", "[tox]\nenvlist = py<C>, «py312, »lint\n"),
    ("tox.ini", "[tox]\nenvlist =\n    py<C>-x\n    «py312-x\n    »lint\n"),
    ("tox.ini", "[tox]\nenvlist = py{38,<C>«,312»}-x\n"),
    ("tox.ini", "[tox]\nenvlist = py3{8,<M>«,12»}\n"),
    ("tox.ini", "[gh-actions]\npython =\n    <V>: py<C>, lint\n«    3.12: py312, lint\n»"),
    ("noxfile.py", "PY = ('<V>«', '3.12»',)\nnox.session(python=PY)\n"),
    (
        "pyproject.toml",
        (
            '[project]\nclassifiers = [\n  "Programming Language :: Python :: <V>",  # kept\n'
            '«  "Programming Language :: Python :: 3.12",\n»]\n'
        ),
    ),
    (
        "pyproject.toml",
        (
            '[project]\nclassifiers = [\n  "Programming Language :: Python :: <V>"«,\n'
            '  "Programming Language :: Python :: 3.12"»\n]\n'
        ),
    ),
    ("pyproject.toml", "[tool.black]\ntarget-version = ['py<C>'«, 'py312'»]\n"),
    ("pyproject.toml", "[tool.tox]\nenv_list = ['py<C>-x', '«py312-x', '»lint']\n"),
    (
        "setup.cfg",
        (
            "[metadata]\nclassifiers =\n    Programming Language :: Python :: <V>\n"
            "«    Programming Language :: Python :: 3.12\n»"
        ),
    ),
    (
        "setup.py",
        ("setup(classifiers=['Programming Language :: Python :: <V>'«, 'Programming Language :: Python :: 3.12'»])\n"),
    ),
]
"""Paths and texts; the part between « and » has to be added."""


@each_old
@pytest.mark.parametrize(("path", "template"), SEVERAL, ids=[path for path, _ in SEVERAL])
def test_what_lists_several_gets_the_target_too(path: str, template: str, old: Interpreter) -> None:
    """In the list's own layout, beside the baseline, which is tested until the rollout is closed."""
    before, after = without(filled(template, old)), completed(filled(template, old))
    assert moved(path, before).text == after
    assert moved(path, after).text == after


@each_old
@pytest.mark.parametrize(("path", "template"), SEVERAL, ids=[path for path, _ in SEVERAL])
def test_closing_takes_the_baseline_out_of_lists(path: str, template: str, old: Interpreter) -> None:
    """Whether the target had been added before or not: both ways end in the same versions."""
    direct = moved(path, without(filled(template, old)), baseline=old, close=True).text
    later = moved(path, completed(filled(template, old)), baseline=old, close=True).text
    for text in (direct, later):
        versions = {str(place.version) for place in read_declarations(text, path) if place.item}
        assert versions - {"3.13"} == {"3.12"}
    assert moved(path, later, baseline=old, close=True).text == later


@pytest.mark.parametrize(
    ("path", "text", "closed"),
    [
        ("mypy.ini", "[mypy]\npython_version = 3.9\n", "[mypy]\npython_version = 3.12\n"),
        ("ruff.toml", 'target-version = "py310"\n', 'target-version = "py312"\n'),
        ("pyproject.toml", '[tool.mypy]\npython_version = "3.10"\n', '[tool.mypy]\npython_version = "3.12"\n'),
        ("pyproject.toml", '[tool.pyright]\npythonVersion = "3.9"\n', '[tool.pyright]\npythonVersion = "3.12"\n'),
        ("pyproject.toml", '[tool.pylint.main]\npy-version = "3.9"\n', '[tool.pylint.main]\npy-version = "3.12"\n'),
        (".pylintrc", "[MAIN]\npy-version=3.9\n", "[MAIN]\npy-version=3.12\n"),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.9"\n', '[project]\nrequires-python = ">=3.12"\n'),
        (".pre-commit-config.yaml", "args: [--py39-plus]\n", "args: [--py312-plus]\n"),
    ],
)
def test_the_oldest_version_to_suit_stays_until_the_rollout_is_closed(path: str, text: str, closed: str) -> None:
    """Until then the code has to run on the baseline, so nothing may tell tools that 3.12 is the least."""
    assert moved(path, text).text == text
    assert moved(path, text, close=True).text == closed
    assert moved(path, closed, close=True).text == closed


@pytest.mark.parametrize(
    ("written", "opened", "closed"),
    [
        (">=3.9", ">=3.9", ">=3.12"),
        (">=3.9,<3.11", ">=3.9,<3.13", ">=3.12,<3.13"),
        (">= 3.9, < 3.12", ">= 3.9, < 3.13", ">= 3.12, < 3.13"),
        (">=3.9,<=3.11", ">=3.9,<3.13", ">=3.12,<3.13"),
        ("^3.10", "^3.10", "^3.12"),
        ("~3.10", ">=3.10,<3.13", "~3.12"),
        ("3.10.*", ">=3.10,<3.13", "3.12.*"),
        ("==3.9.*", ">=3.9,<3.13", "==3.12.*"),
        ("~=3.10.0", ">=3.10,<3.13", "~=3.12.0"),
        ("~=3.8", "~=3.8", "~=3.12"),
        (">=3.12", ">=3.12", ">=3.12"),
        (">=3.13", None, None),
        (">=3.9,!=3.12.*", None, None),
        ("<3.11 || >=3.13", None, None),
    ],
)
def test_a_range_takes_in_the_target(written: str, opened: str | None, closed: str | None) -> None:
    """With its own words; where they cannot say it, nothing is written."""
    for expected, close in ((opened, False), (closed, True)):
        if expected is None:
            with pytest.raises(EditRefused):
                migrated_range(written, baseline=OLD[1], target=TARGET, drop_old_versions=close)
        else:
            assert migrated_range(written, baseline=OLD[1], target=TARGET, drop_old_versions=close) == expected


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("ci/compile", "docker run python:3.9\n"),  # no script of a shell
        ("ci/compile", "#!/usr/bin/env python3\ndocker run python:3.9\n"),
        ("notes", "#!/bin/sh\ndocker run python:3.9\n"),
        ("a.sh", "# docker run python:3.9\ndocker build .\necho python:3.9\n"),
        ("a.sh", "docker run $REGISTRY/python:3.9 x\ndocker run my-python:3.9\n"),
    ],
)
def test_other_words_of_scripts_are_left(path: str, text: str) -> None:
    assert moved(path, text) == Migrated(text=text)


@each_old
def test_pants_runs_the_only_minor_version_of_a_range(old: Interpreter) -> None:
    """A range of several is widened."""
    text = f'[python]\ninterpreter_constraints = [">={old},<3.{old.minor + 1}"]\n'
    assert moved("pants.toml", text).text == '[python]\ninterpreter_constraints = [">=3.12,<3.13"]\n'
    several = '[python]\ninterpreter_constraints = [">=3.8,<3.12"]\n'
    assert moved("pants.toml", several).text == several.replace("<3.12", "<3.13")


@pytest.mark.parametrize(
    "text", ["PYTHON = /usr/bin/python3.9\n", "V = 3.9\n", "all:\n\t# PYTHON=python3.9 make\n", "PYTHON = $(X)3.9\n"]
)
def test_other_lines_of_a_makefile_are_left(text: str) -> None:
    assert moved("Makefile", text) == Migrated(text=text)


STEPS = """steps:
- uses: actions/checkout@v3
- name: Set up Python 3.9
  uses: actions/setup-python@v4
  with: {python-version: 3.9}
- name: Test
  run: ./test

- name: Set up Python <V>
  uses: actions/setup-python@v4
  with: {python-version: '<V>'}
- name: Test
  run: ./test
- run: ./upload
"""


def test_steps_that_are_repeated_for_each_python_are_a_matrix() -> None:
    """They get one more block, and none of them changes."""
    old = Interpreter(3, 11)
    block = STEPS[STEPS.index("- name: Set up Python <V>") : STEPS.index("- run: ./upload")]
    end = STEPS.index("- run: ./upload")
    expected = filled(STEPS[:end], old) + filled(block, TARGET) + STEPS[end:]
    assert moved(".github/workflows/ci.yml", filled(STEPS, old)).text == expected
    assert moved(".github/workflows/ci.yml", expected) == Migrated(text=expected)


def test_a_sequence_of_different_steps_is_left_to_decide() -> None:
    """From three Pythons on; with two, each has its own purpose and both move."""
    steps = "".join(f"- uses: actions/setup-python@v4\n  with: {{python-version: 3.{minor}}}\n" for minor in (7, 8))
    last = "- uses: actions/setup-python@v4\n  with: {python-version: 3.9}\n"
    text = f"steps:\n{steps}- run: a\n{last}- run: b\n"
    found = moved(".github/workflows/ci.yml", text)
    assert (found.text, [item.reason for item in found.refused]) == (
        text,
        ["The job sets up several Pythons one after another; write the steps for the target manually."],
    )
    two = f"steps:\n{last}- run: a\n{last.replace('3.9', '3.8')}- run: b\n"
    assert moved(".github/workflows/ci.yml", two).text.count("3.12") == 2


@pytest.mark.parametrize(("baseline", "stays"), [(Interpreter(3, 11), True), (Interpreter(3, 9), False)])
def test_the_job_of_the_oldest_supported_python_stays(baseline: Interpreter, stays: bool) -> None:
    """It tests the lower bound of the metadata, unless the service runs on that. Its label stays as well."""
    text = "steps:\n- name: Set up Python 3.9\n  uses: actions/setup-python@v4\n  with: {python-version: 3.9}\n"
    path = ".github/workflows/ci.yml"
    for drops in (False, True):
        migration = MigrationTarget(
            baseline=baseline, target=TARGET, oldest_supported=Interpreter(3, 9), drop_old_versions=drops
        )
        after = migrate(text, read_declarations(text, path), migration).text
        assert after == (text if stays and not drops else text.replace("3.9", "3.12"))


def test_a_label_follows_the_version_of_its_own_step() -> None:
    """Also if the file lists the same version elsewhere."""
    text = "a: {matrix: {python: ['3.9']}}\nsteps:\n- name: Python <V>\n  with: {python-version: '<V>'}\n"
    after = moved(".github/workflows/ci.yml", filled(text, Interpreter(3, 9))).text
    assert after.endswith("- name: Python 3.12\n  with: {python-version: '3.12'}\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("python:3.10.13-slim", "python:3.12-slim"),
        ("python:3.9.18", "python:3.12"),
        ("python:3.10-rc-slim", "python:3.12-slim"),
        ("python:3.10-slim-bullseye", "python:3.12-slim-bullseye"),
        ("python:3.10-alpine3.18", "python:3.12-alpine3.18"),
        ("python:3.13-slim", "python:3.13-slim"),
        ("python:3.13.1-slim-buster", "python:3.13.1-slim-buster"),
        ("nginx:1.10", "nginx:1.10"),
    ],
)
def test_a_patch_release_is_left_out_and_a_variant_kept(before: str, after: str) -> None:
    """The patch release 3.12.13 may not exist, and newer versions are never lowered."""
    found = moved("Dockerfile", f"FROM {before}\n")
    assert (found.text, found.refused) == (f"FROM {after}\n", ())


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("python:3.10-slim-buster", 'the nearest variant for 3.12 is "slim-bullseye"'),
        ("python:3.9-buster", 'the nearest variant for 3.12 is "bullseye"'),
        ("python:3.10-alpine3.14", 'the nearest variant for 3.12 is "alpine3.17"'),
        ("python:3.10@sha256:abcd", "digest"),
        ("registry.example/astral-sh/uv:python3.10-bookworm", "image of uv"),
        ("circleci/python:3.9", "cimg/python"),
        ("bitnami/python:3.10", "are unknown"),
        ("tiangolo/uvicorn-gunicorn:python3.9", "are unknown"),
        ("registry.invalid/ubi9/python-39", "name of the image"),
    ],
)
def test_an_image_that_may_not_exist_is_refused_not_guessed(image: str, reason: str) -> None:
    """The message says what is known of it."""
    found = moved("Dockerfile", f"FROM {image}\n")
    assert found.text == f"FROM {image}\n"
    assert [reason in str(refused) for refused in found.refused] == [True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM python:3.10\nRUN apt-get install -y python3.10-dev\n", "package of the Linux distribution"),
        ("FROM ubuntu:22.04\nRUN python3.10 -m venv /v\n", "ubuntu:22.04"),
        ("FROM python:3.10\nRUN /usr/bin/python3.10 -V\n", "Python of the Linux distribution"),
        ("ARG A=3\nARG B=10\nFROM python:$A.$B\n", "several variables"),
        ("FROM debian\nADD https://x.invalid/python/3.10.13/Python-3.10.13.tgz /\n", "patch release"),
        ("FROM debian\nENV PYTHON_VERSION=3.9.18\n", "patch release"),
        ("FROM python:3.10\nRUN pip install x-1-cp310-cp310-linux.whl\n", "wheel"),
        (
            "FROM ubuntu\nRUN add-apt-repository ppa:deadsnakes/ppa && apt-get install python3.9-distutils\n",
            "removed in Python 3.12",
        ),
    ],
)
def test_what_does_not_move_with_the_image_is_refused(text: str, reason: str) -> None:
    """Each with its reason."""
    assert any(reason in refused.reason for refused in moved("Dockerfile", text).refused)


def test_deadsnakes_has_every_python() -> None:
    """Where its archive is used, packages and paths of the distribution move."""
    text = "FROM ubuntu\nRUN add-apt-repository ppa:deadsnakes/ppa && apt-get install python3.9-venv && python3.9 -V\n"
    assert moved("Dockerfile", text).text == text.replace("3.9", "3.12")


def test_a_patch_release_that_is_known_is_written_where_one_is_needed() -> None:
    """asdf and Heroku want it in full."""
    assert moved("runtime.txt", "python-3.10.13\n").refused
    assert moved("runtime.txt", "python-3.10.13\n", full="3.12.7").text == "python-3.12.7\n"
    assert moved(".tool-versions", "python 3.9.18\n", full="3.12.7").text == "python 3.12.7\n"


def test_a_path_follows_an_image_that_is_newer_already() -> None:
    """The image runs 3.13, so 3.12 would be as wrong as 3.10."""
    text = "FROM python:3.13-slim\nENV A=/usr/local/lib/python3.10/site-packages\n"
    assert moved("Dockerfile", text).text == text.replace("python3.10", "python3.13")


def test_an_unquoted_three_ten_is_quoted_where_it_stays() -> None:
    """YAML and TOML take it for 3.1; 3.9 and 3.12 survive that."""
    assert moved("a/.travis.yml", "python: [3.9, 3.10]\n").text == 'python: [3.9, "3.10", 3.12]\n'
    toml = "[tool.mypy]\npython_version = 3.10\n"
    assert moved("pyproject.toml", toml).text == '[tool.mypy]\npython_version = "3.10"\n'


def test_words_of_a_step_follow_only_a_version_that_moves() -> None:
    """In a matrix the version stays, and so do the words."""
    text = "name: Python 3.10\nx: {python-version: ['3.10']}\n"
    assert moved(".github/workflows/a.yml", text).text.startswith("name: Python 3.10\n")


def test_all_places_of_a_service_move_or_none() -> None:
    """An image that cannot be moved keeps the workflow where it is."""
    aim = MigrationTarget(baseline=OLD[1], target=TARGET)
    good = {"a/Dockerfile": "FROM python:3.10\n", "a/.python-version": "3.10\n", "a/README.md": "Python 3.10\n"}
    texts, refused = migrate_files(good, aim)
    assert (dict(texts), refused) == ({"a/Dockerfile": "FROM python:3.12\n", "a/.python-version": "3.12\n"}, ())
    texts, refused = migrate_files({**good, "b/Dockerfile": "FROM python:3.10-buster\n"}, aim)
    assert (dict(texts), [one.declaration.path for one in refused]) == ({}, ["b/Dockerfile"])


@pytest.mark.parametrize("old", ["3.9", "3.10"])
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("<V>", "3.12"),
        ("<V>.13", "3.12"),
        ("py<C>", "py312"),
        ("<C>", "312"),
        ("<M>", "12"),
        ("python<V>", "python3.12"),
        ("3_<M>", "3_12"),
    ],
)
def test_the_spelling_is_kept(written: str, expected: str, old: str) -> None:
    """With a dot, without, with a prefix, the minor alone."""
    version = Interpreter.parse(old)
    assert respell(filled(written, version), version, TARGET) == expected


@pytest.mark.parametrize("old", OLD, ids=str)
@pytest.mark.parametrize("variant", ["", "-slim", "-bookworm", "-slim-trixie", "-alpine", "-alpine3.20"])
def test_variants_of_the_official_image_that_exist(variant: str, old: Interpreter) -> None:
    """They are taken as they are."""
    assert image_tag_problem(f"python:{old}{variant}", TARGET) == ""


PATHS = sorted({path for path, _ in (*SINGLE, *SEVERAL)} | {"mypy.ini", "ruff.toml"})
SCRAPS = [
    "FROM ", "python:", "3.9", "3.10", "3.12", "3.13", "-slim", "-buster", "@sha256:ab", " AS a", "ARG V=", "${V}",
    "${V:-3.9}", "COPY --from=a ", "/usr/local/lib/python3.9/", "RUN ", "\\\n", "\r\n", "\n", "  ", "- ", "[", "]",
    "{", "}", ",", ", ", ": ", "'", '"', "#", "python-version: ",
    "python-version:", "matrix:", "include:", "image: ",
    "py39", "py3{9,10}", "envlist = ", "[tox]\n", "[options]\n", "python_requires = >=3.9,<3.11", "\ufeff",
    "python = ", "setup(", "classifiers=[", "'Programming Language :: Python :: 3.9'",
    "requires-python = '>=3.9,<3.10'",
    "[project]\n", "[tool.black]\ntarget-version = ['py39']\n", ")", "=", "|\n", "env:\n", "python ",
    "python-", "&a ", "*a",
]  # fmt: skip
texts = st.one_of(st.text(), st.lists(st.sampled_from(SCRAPS), max_size=30).map("".join))
examples = st.sampled_from([*SINGLE, *((path, without(text)) for path, text in SEVERAL)])


def newer(path: str, text: str) -> set[str]:
    """Return the versions that are newer than the target."""
    return {
        place.source_text
        for place in read_declarations(text, path)
        if place.version and place.version > TARGET and place.role is not DeclarationRole.PATH
    }


@given(st.sampled_from(PATHS), texts)
@settings(max_examples=300)
def test_no_text_crashes_a_reader(path: str, text: str) -> None:
    """Every declaration covers the characters that it names, within one line."""
    for place in read_declarations(text, path):
        assert text[place.start : place.end] == place.source_text
        assert place.column >= 1
        assert place.end_column - place.column == place.end - place.start
        assert place.path == path


@given(st.sampled_from(PATHS), texts, st.booleans(), st.sampled_from(OLD))
@settings(max_examples=300)
def test_no_text_makes_an_edit_that_is_not_its_own_end(
    path: str, text: str, close: bool, baseline: Interpreter
) -> None:
    """Twice is once, nothing newer goes, and an edit that would do otherwise is refused."""
    try:
        once = moved(path, text, baseline=baseline, close=close).text
    except EditRefused:
        return
    assert moved(path, once, baseline=baseline, close=close).text == once
    assert newer(path, once) == newer(path, text)


@given(examples, st.sampled_from(OLD), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_line_ends_and_marks_survive(
    example: tuple[str, str], old: Interpreter, newline: str, mark: bool, close: bool
) -> None:
    """Everything but versions, separators and new members keeps its bytes."""
    path, template = example
    text = ("\ufeff" if mark else "") + filled(template, old).replace("\n", newline)
    migrated_text = moved(path, text, baseline=old, close=close).text
    assert migrated_text.startswith("\ufeff") == mark
    assert re.findall(r"\r\n|\r|\n", migrated_text).count(newline) == len(re.findall(r"\r\n|\r|\n", migrated_text))
    if not close:
        assert all(word in migrated_text for word in re.findall(r"[A-Za-z_]{4,}", text))


TOX = [
    # an environment with a section of its own needs one for the target
    (
        "[tox]\n\n[testenv:api-py<C>]\nchangedir = {toxinidir}/api\ncommands =\n    tox -e py<C>\n    - tox -e x\n"
        "«\n[testenv:api-py312]\nchangedir = {toxinidir}/api\ncommands =\n    tox -e py312\n    - tox -e x\n»"
        "\n[testenv:lint]\n"
    ),
    (
        "[tox]\nenvlist = api-py<C>«, api-py312»\n\n[testenv:api-py<C>]\ndeps = protobuf==<V>.2"
        "«\n\n[testenv:api-py312]\ndeps = protobuf==<V>.2»"
    ),
    # a section of an older version only: the target needs none
    "[tox]\nenvlist = py38, py<C>«, py312»\n\n[testenv:py38]\ndeps = backport\n",
    "[tox]\nenvlist = py{38,<C>«,312»}\n\n[testenv:py38]\ndeps = backport\n",
    # generative sections and conditions, which the environment of the target needs as well
    (
        "[sets]\npythons = {38,<C>«,312»}\n[tox]\nenv_list = py{[sets]pythons}-test-{lin,mac}\n"
        "[testenv:py{38,<C>«,312»}-test-{lin,mac}]\ndeps =\n    {[common]deps}\n    py{37,38}: c\n"
        "[common]\ndeps =\n    py{38,<C>«,312»}-{lin}: a\n    mac: b\n"
    ),
    "[tox]\nenvlist = py3{8,<M>«,12»}-x\n[testenv:py3{8,<M>«,12»}-x]\n[testenv:py3{7,8}-y]\n",
    "[tox]\nenvlist = py{38,<C>«,312»}\n[testenv]\ndeps = {[common]pythons}\n[common]\npythons = x{1}\n",
    # the newest environment's conditions
    (
        "[tox]\nenvlist = py38,py<C>«,py312»\n[testenv]\ndeps =\n    py<C>: -r test.txt\n"
        "«    py312: -r test.txt\n»    py38: -r test.py38.txt\n"
    ),
    "[tox]\nenvlist = py38,py<C>«,py312»\n[testenv]\ndeps =\n    py38: backport\n    x\n",
    "[testenv]\ndeps =\n    !py<C>: x\n    py<C>-django: y\n    «py312-django: y\n    »z\n",
    # several versions in the commands are a list
    (
        "[testenv:docker]\ncommands =\n    docker build --build-arg PYTHON_VERSION=3.8 --build-arg SUFFIX=.py38 .\n"
        "    docker run x py38\n    docker build --build-arg PYTHON_VERSION=<V>.7 .\n    docker run x-py<C> py<C>\n"
        "«    docker build --build-arg PYTHON_VERSION=3.12 .\n    docker run x-py312 py312\n»    echo done\n"
    ),
]


@each_old
@pytest.mark.parametrize("template", TOX)
def test_the_environments_of_tox(template: str, old: Interpreter) -> None:
    """All that an environment of the target needs is there, and a second time changes nothing."""
    marked = filled(template, old)
    first = moved("tox.ini", without(marked))
    assert (first.text, first.refused) == (completed(marked), ())
    assert moved("tox.ini", first.text).text == first.text


@each_old
def test_one_version_in_the_commands_of_tox_is_replaced(old: Interpreter) -> None:
    """In build arguments, names of images and environments."""
    template = (
        "[testenv:docker]\ncommands =\n    docker build --build-arg PYTHON_VERSION=<F> -t x-{envname}-py<C> .\n"
        "    docker build --build-arg BASE_IMAGE=python:<V>-slim .\n    docker run --rm x-py<C> py<C>\n"
        "    docker run python:<V> -c pass\n    echo py<C>\n"
    )
    head, _, tail = filled(template, old).replace("<F>", f"{old}.7").rpartition("    echo")
    expected = filled(template, TARGET).replace("<F>", "3.12").rpartition("    echo")[0]
    assert moved("tox.ini", f"{head}    echo{tail}").text == f"{expected}    echo{tail}"


@each_old
def test_a_condition_on_a_file_of_one_version_is_refused(old: Interpreter) -> None:
    """That of the target has to be made first."""
    compact = f"{old.major}{old.minor}"
    condition = f"[testenv]\ndeps =\n    py{compact}: -r test.py{compact}.txt\n"
    command = f"[testenv]\ncommands =\n    docker build --build-arg PYTHON_VERSION={old} --build-arg S=.py{compact} .\n"
    for text in (condition, command):
        refused = moved("tox.ini", text).refused
        assert {str(one.declaration.location) for one in refused} == {"tox.ini:3"}
        assert "first" in refused[0].reason


@each_old
def test_old_environments_of_tox_are_closed(old: Interpreter) -> None:
    """With their sections and their conditions."""
    compact = f"{old.major}{old.minor}"
    text = (
        f"[tox]\nenvlist = py{compact}, py312\n\n[testenv]\ndeps =\n    py{compact}: a\n    py312: b\n\n"
        f"[testenv:py{compact}]\nx = 1\n\n[testenv:py312]\nx = 2\n"
    )
    assert moved("tox.ini", text, close=True).text == (
        "[tox]\nenvlist = py312\n\n[testenv]\ndeps =\n    py312: b\n\n[testenv:py312]\nx = 2\n"
    )


TOX_LINES = (
    "[testenv]\n", "[testenv:py39]\n", "[testenv:a-py310]\n", "[tox]\n", "envlist = py39,a-py310\n", "deps =\n",
    "  py39: x\n", "  py310: y\n", "\n", "commands =\n", "  tox -e py39\n", "  docker run python:3.10-slim\n", "\r\n",
    "  docker build --build-arg PYTHON_VERSION=3.9 .\n", "# py39\n", "py39",
)  # fmt: skip


@given(st.lists(st.sampled_from(TOX_LINES), max_size=14).map("".join))
def test_no_tox_ini_crashes(text: str) -> None:
    """It is moved as a whole, or refused; twice is once."""
    try:
        first = moved("tox.ini", text)
    except EditRefused:
        return
    if not first.refused:
        assert moved("tox.ini", first.text).text == first.text
