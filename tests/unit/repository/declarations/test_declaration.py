"""Version declarations: their position, their role, and what is not understood."""

import pytest

from pytest_py312.repository.declarations.declaration import DeclarationRole, VersionDeclaration
from pytest_py312.repository.declarations.reader import read_declarations, reader_of
from pytest_py312.repository.formats.image_reference import parse_python_image

Row = tuple[int, int, str, str]


def rows(path: str, text: str) -> list[Row]:
    """Return (line, column, text, role) of each declaration."""
    places = read_declarations(text, path)
    assert all(text[place.start : place.end] == place.source_text for place in places)
    return [(place.line, place.column, place.source_text, place.role.value) for place in places]


def only(path: str, text: str) -> VersionDeclaration:
    (place,) = read_declarations(text, path)
    return place


DOCKERFILE = """\
# escape=`
ARG REGISTRY=registry.invalid
ARG PYTHON_VERSION="3.10"
from --platform=linux/amd64 ${REGISTRY}/python:${PYTHON_VERSION}-slim as Build
RUN apt-get install -y gcc `
    # python3.9 is a comment
    && python3.10 -m pip install x
FROM build AS next
FROM python:${PYTHON_VERSION}-alpine3.18
COPY --from=Build /usr/local/lib/python3.10/site-packages /opt/python3.10/
COPY --from=0 /usr/local/bin/python3.9 /x
CMD ["python3.10", "-m", "x"]
"""


def test_a_variable_is_followed_to_its_value() -> None:
    """One declaration for two images, and each path belongs to its image."""
    places = read_declarations(DOCKERFILE, "Dockerfile")
    assert rows("Dockerfile", DOCKERFILE) == [
        (3, 21, "3.10", "exact"),
        (7, 14, "3.10", "path"),
        (10, 40, "3.10", "path"),
        (10, 70, "3.10", "path"),
        (11, 36, "3.9", "path"),
        (12, 13, "3.10", "path"),
    ]
    assert places[0].images == ("registry.invalid/python:3.10-slim", "python:3.10-alpine3.18")
    assert places[0].image_lines == (4, 9)
    assert [place.bound_line for place in places[1:]] == [4, 4, 9, 4, 9]
    assert places[0].end_column == 25


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(
    ("path", "text", "line", "column", "meaning"),
    [
        ("Dockerfile", "FROM python:@\n", 1, 13, "exact"),
        ("\N{SNOWMAN}/Dockerfile", "\ufeffFROM python:@\n", 1, 14, "exact"),
        ("Dockerfile", "ARG ARCH\nFROM ${ARCH}python:@-slim\n", 2, 20, "exact"),
        ("Dockerfile", "FROM $REGISTRY/$TEAM/python:@ AS x\n", 1, 29, "exact"),
        ("Dockerfile", "ARG V=@\nARG REGISTRY\nFROM ${REGISTRY}/python:$V\n", 1, 7, "exact"),
        ("Dockerfile", "FROM x\r\nFROM python:@-slim\r\n", 2, 13, "exact"),
        ("ci.dockerfile", "FROM python:@\n", 1, 13, "exact"),
        (".github/workflows/a.yaml", "\ufeffpython-version: '@'\n", 1, 19, "exact"),
        (".github/workflows/a.yml", "a: \N{SNOWMAN}\r\npython-version: '@'\r\n", 2, 18, "exact"),
        (".github/workflows/a.yml", "matrix: {exclude: [{python-version: '@'}]}\n", 1, 38, "apart"),
        ("setup.py", "setup(classifiers=('\N{SNOWMAN}', 'Programming Language :: Python :: @'))\n", 1, 60, "member"),
        ("pyproject.toml", "\ufeff[project]\r\nrequires-python = '@.*'\r\n", 2, 20, "range"),
        ("tox.ini", "\ufeff[testenv:a]\nbasepython =\n    python@\n", 3, 11, "exact"),
        ("noxfile.py", "\ufeffnox.session(python='@')(f)\n", 1, 22, "exact"),
        (".python-version", "\ufeff# ours\n@\n", 2, 1, "exact"),
        ("runtime.txt", "python-@\n", 1, 8, "exact"),
        ("Jenkinsfile", "docker.image('registry.invalid/python:@')\n", 1, 39, "exact"),
        ("template.yaml", "Runtime: python@\n", 1, 16, "exact"),
        ("environment.yml", "dependencies:\n  - conda-forge::python=@\n", 2, 25, "exact"),
        (".coveragerc", "[paths]\na =\n    */lib/python@/site-packages\n", 3, 17, "path"),
    ],
)
def test_positions_are_those_of_the_version_only(
    path: str, text: str, line: int, column: int, meaning: str, version: str
) -> None:
    """With byte order marks, non-ASCII letters, and Windows line ends."""
    written = f"{version}.*" if meaning == "range" else version
    assert rows(path, text.replace("@", version)) == [(line, column, written, meaning)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Dockerfile", "FROM python:${TAG}\n"),
        ("Dockerfile", "FROM ${IMAGE}\n"),
        ("Dockerfile", "FROM ${IMAGE}-slim\n"),
        ("Dockerfile", "FROM ${REGISTRY}/${IMAGE}\n"),
        ("Dockerfile", "FROM ${REGISTRY}/python:${TAG}\n"),
        (".github/workflows/a.yml", "python-version: ${{ steps.a.outputs.version }}\n"),
        (".github/workflows/a.yml", "python-version: ${{ fromJSON(needs.a.outputs.b) }}\n"),
        (".github/workflows/a.yml", "jobs: [python\n"),
        (".gitlab-ci.yml", "image: python:$UNKNOWN\n"),
        ("docker-compose.yml", "image: 'python:3.9\n"),
        ("setup.py", "setup(python_requires=read('x'))\n"),
        ("noxfile.py", "nox.session(python=versions())\n"),
        ("pyproject.toml", "[project]\nrequires-python = 'new'\n"),
        (".python-version", "pypy3.9-7.3\n"),
    ],
)
def test_a_computed_version_is_unknown_but_declared(path: str, text: str) -> None:
    """With the reason."""
    place = only(path, text)
    assert place.role is DeclarationRole.UNKNOWN
    assert place.unknown_reason.endswith(".") or "YAML" in place.unknown_reason


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Dockerfile", "FROM python:3-slim\n"),
        ("Dockerfile", "FROM python\n"),
        ("Dockerfile", "FROM python:latest\n"),
        ("Dockerfile", "FROM gcr.io/distroless/python3-debian12\n"),
        ("Dockerfile", "FROM registry.example/astral-sh/uv:latest\n"),
        ("Dockerfile", "FROM continuumio/miniconda3\n"),
        (".github/workflows/a.yml", "python-version: 3.x\n"),
        (".github/workflows/a.yml", "python-version: '>=3.9 <3.12'\n"),
        (".readthedocs.yaml", "build: {tools: {python: mambaforge-22.9}}\n"),
        (".pre-commit-config.yaml", "default_language_version: {python: python3}\n"),
        (".python-version", "system\n"),
    ],
)
def test_a_python_that_is_determined_elsewhere_is_floating(path: str, text: str) -> None:
    """It is reported, and never guessed."""
    place = only(path, text)
    assert place.role is DeclarationRole.FLOATING
    assert place.unknown_reason


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Dockerfile", "FROM nginx:3.10\n"),
        ("Dockerfile", "FROM node:20\nENV NODE_VERSION=3.10\n"),
        ("Dockerfile", "FROM debian\nRUN apt-get install python3-dev python3-opencv\n"),
        ("k8s.yaml", "image: registry.invalid/pythonista:3.9\nversion: 3.10\n"),
        (".github/workflows/a.yml", "steps: [{uses: actions/checkout@v3.10}]\nversion: 3.10\n"),
        ("requirements.txt", "python==3.10\n"),
        ("README.md", "Python 3.10\n"),
        ("Dockerfile.dockerignore", "FROM python:3.9\n"),
        ("environment.yml", "dependencies: [ipython=3.9, python-dateutil=3.10]\n"),
        ("tox.ini", "[tox]\nenvlist = pypy39, lint, copy310\n"),
    ],
)
def test_other_versions_are_no_declarations(path: str, text: str) -> None:
    """Even if they look like those of Python."""
    assert read_declarations(text, path) == ()


@pytest.mark.parametrize(
    "path",
    [
        "Dockerfile", "Dockerfile.prod", "a.Dockerfile", "Containerfile", "docker-compose.yml", "compose.prod.yaml",
        ".github/workflows/a.yml", ".github/actions/a/action.yml", ".gitlab-ci.yml", ".circleci/config.yml",
        "azure-pipelines.yml", ".travis.yml", "appveyor.yml", "Jenkinsfile", "pyproject.toml", "setup.py", "setup.cfg",
        "tox.ini", "noxfile.py", "mypy.ini", "ruff.toml", ".pylintrc", ".coveragerc", "Pipfile", ".python-version",
        "runtime.txt", ".tool-versions", "mise.toml", "environment.yml", ".pre-commit-config.yaml",
        ".readthedocs.yaml", ".devcontainer/devcontainer.json", "chart/values.yaml", "pants.toml", "Makefile",
        ".manylinux-install.sh", "main.tf", "ci/test.sh", "infra/stack.ts",
    ],
)  # fmt: skip
def test_each_format_has_a_reader(path: str) -> None:
    """By the name of the file alone; the module of each is there."""
    reader = reader_of(f"svc/{path}")
    assert reader is not None
    assert reader("", path) == ()


@pytest.mark.parametrize(
    ("reference", "scheme", "version", "variant"),
    [
        ("python:3.10.13-slim-bullseye", "official", "3.10", "slim-bullseye"),
        ("registry.invalid:5000/library/python:3.9", "official", "3.9", ""),
        ("python:3.12-rc-slim", "official", "3.12", "slim"),
        ("cimg/python:3.10-node", "circleci", "3.10", "node"),
        ("public.ecr.aws/lambda/python:3.9", "lambda", "3.9", ""),
        ("mcr.microsoft.com/devcontainers/python:1-3.10-bookworm", "devcontainer", "3.10", "bookworm"),
        ("registry.invalid/ubi9/python-312", "", "3.12", ""),
        ("registry.example/astral-sh/uv:python3.10-alpine", "", "3.10", "alpine"),
        ("example/prefect:3.7.3-python3.13", "", "3.13", ""),
        ("python:3", "", "None", ""),
    ],
)
def test_an_image_reference_is_parsed(reference: str, scheme: str, version: str, variant: str) -> None:
    """Its tag scheme, its minor version, and its variant."""
    image = parse_python_image(reference)
    assert image is not None
    assert (image.scheme, str(image.version), image.variant) == (scheme, version, variant)
    assert bool(image.reason) == (scheme == "")


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(
    ("path", "head"),
    [
        (".github/workflows/a.yml", "on: {workflow_call: {inputs: {python-version: {required: true}}}}\n"),
        (".github/actions/a/action.yml", "inputs: {python-version: {required: true}}\n"),
    ],
)
def test_an_input_is_determined_by_the_callers(path: str, head: str, version: str) -> None:
    """Its use alone declares nothing; its default does."""
    use = "steps: [{with: {python-version: '${{ inputs.python-version }}'}}]\n"
    assert [place.role for place in read_declarations(head + use, path)] == [DeclarationRole.IGNORED]
    given = head.replace("required: true", f"default: '{version}'")
    assert [(place.role, str(place.version)) for place in read_declarations(given + use, path)] == [
        (DeclarationRole.EXACT, version)
    ]


def test_an_input_of_a_manual_run_is_unknown() -> None:
    """Nothing in the repository defines it."""
    text = "on: {workflow_dispatch: {inputs: {v: {required: true}}}}\na: {python-version: '${{ inputs.v }}'}\n"
    assert only(".github/workflows/a.yml", text).role is DeclarationRole.UNKNOWN


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_the_output_of_a_setup_step_is_resolved(version: str) -> None:
    """The outputs of other steps are unknown."""
    text = (
        "jobs:\n  a:\n    outputs: {python-version: '${{ steps.py.outputs.python-version }}'}\n"
        f"    steps:\n    - {{id: py, uses: actions/setup-python@v5, with: {{python-version: '{version}'}}}}\n"
        "  b:\n    needs: a\n    steps: [{with: {python-version: '${{ needs.a.outputs.python-version }}'}}]\n"
    )
    path = ".github/workflows/a.yml"
    assert [place.role for place in read_declarations(text, path)] == [
        DeclarationRole.IGNORED,
        DeclarationRole.EXACT,
        DeclarationRole.IGNORED,
    ]
    computed = text.replace("actions/setup-python@v5", "./choose")
    assert [place.role for place in read_declarations(computed, path)] == [
        DeclarationRole.UNKNOWN,
        DeclarationRole.EXACT,
        DeclarationRole.UNKNOWN,
    ]


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_a_copied_program_declares_no_python(version: str) -> None:
    """An image of uv without a Python is only the program; one with a Python, and Python's own, declare theirs."""
    text = f"FROM python:{version}\nCOPY --from=registry.example/astral-sh/uv:0.9.26 /uv /bin/\n"
    assert len(read_declarations(text, "Dockerfile")) == 1
    assert len(read_declarations(f"{text}COPY --from=python:{version}-slim /usr/local /x\n", "Dockerfile")) == 2


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_environments_named_after_a_python_keep_it(version: str) -> None:
    """Otherwise the name ``py39`` would be wrong; the Python of a linter is different."""
    compact = version.replace(".", "")
    lines = [f"{factor}: python{version}" for factor in (version, f"py{compact}-a", "lint")]
    text = "[testenv]\nbasepython =\n    " + "\n    ".join(lines) + "\n"
    assert [place.role for place in read_declarations(text, "tox.ini")] == [
        DeclarationRole.IGNORED,
        DeclarationRole.IGNORED,
        DeclarationRole.EXACT,
    ]
    of_section = read_declarations(f"[testenv:py{compact}]\nbasepython = python{version}\n", "tox.ini")
    assert [place.role for place in of_section] == [DeclarationRole.LIST_ITEM, DeclarationRole.IGNORED]


def test_a_list_from_the_callers_is_ignored() -> None:
    """``fromJson`` of an input."""
    text = (
        "on: {workflow_call: {inputs: {python_versions: {type: string}}}}\n"
        "a: {strategy: {matrix: {python-version: '${{ fromJson(inputs.python_versions) }}'}}}\n"
    )
    assert only(".github/workflows/a.yml", text).role is DeclarationRole.IGNORED


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
def test_several_installed_pythons_are_ignored(version: str) -> None:
    """It is unknown which of them the service runs on; of a single one it is known."""
    single = f"FROM debian\nRUN pyenv install {version} && pyenv exec python{version} -V\n"
    assert [place.role for place in read_declarations(single, "Dockerfile")] == [
        DeclarationRole.EXACT,
        DeclarationRole.EXACT,
    ]
    two = single.replace("RUN ", "RUN pyenv install 3.11 && ")
    assert {place.role for place in read_declarations(two, "Dockerfile")} == {DeclarationRole.IGNORED}


def test_the_registry_of_an_image_may_be_unknown() -> None:
    """A registry that is a build argument does not affect the Python; other images are no Python."""
    assert rows("Dockerfile", "FROM ${REGISTRY}/node:18\n") == []


@pytest.mark.parametrize(
    ("reference", "is_unknown"),
    [
        ("${ARCH}-golang", False),
        ("${ARCH}/golang:${GO_VERSION}", False),
        ("$REGISTRY/node:$NODE", False),
        ("$MAVEN_IMAGE", False),
        ("${KEYCLOAK_IMAGE}", False),
        ("${PYTHON_OR_NODE_IMAGE}", True),
        ("${NODE_AGENT}-base", True),
        ("$REDIS_WORKER_IMAGE", True),
        ("${BASE}", True),
        ("${BASE}-slim", True),
        ("${ARCH}-backend", True),
        ("${ARCH}-python:${TAG}", True),
        ("company/service-base:${TAG}", True),
        ("golang-and-more:${PYTHON_VERSION}", True),
    ],
)
def test_an_image_of_something_else_is_not_unclear(reference: str, is_unknown: bool) -> None:
    """Its name shows that it is no Python, whatever its variables are."""
    places = read_declarations(f"FROM {reference} AS build\nFROM python:3.9\n", "Dockerfile")
    assert [place.role is DeclarationRole.UNKNOWN for place in places] == ([True, False] if is_unknown else [False])


def test_an_image_that_runs_python_is_unclear_whatever_its_argument_is_called() -> None:
    (place,) = read_declarations("FROM $NODE_IMAGE\nRUN pip install six\n", "Dockerfile")
    assert place.role is DeclarationRole.UNKNOWN


@pytest.mark.parametrize(("default", "is_unknown"), [("=postgres", False), ("=service-base", True), ("", True)])
def test_a_name_that_is_known_may_show_that_an_image_is_something_else(default: str, is_unknown: bool) -> None:
    """Also if its tag is only known to the build."""
    places = read_declarations(f"ARG TAG\nARG BASE{default}\nFROM ${{BASE}}:${{TAG}}\nRUN pip list\n", "Dockerfile")
    assert [place.role for place in places] == [DeclarationRole.UNKNOWN] * is_unknown


CDK = """\
import * as lambda from 'aws-cdk-lib/aws-lambda'; // Runtime.PYTHON_3_7
const one = { runtime: lambda.Runtime.PYTHON_3_9 };
const layer = { compatibleRuntimes: [Runtime.PYTHON_3_10, Runtime.NODEJS_18_X] };
  /* Runtime.PYTHON_3_8 */
"""


@pytest.mark.parametrize(
    "path", ["cdk/lib/app.ts", "source/my-cdk-app/app.ts", "infra/functions.py", "lib/ShopStack.java", "app/a-stack.ts"]
)
def test_runtimes_of_the_aws_cdk(path: str) -> None:
    """In each of its languages, where the name of a file or folder says that it is of infrastructure."""
    assert rows(path, CDK) == [(2, 46, "3_9", "exact"), (3, 53, "3_10", "exact")]
    assert [(place.kind, place.editable) for place in read_declarations(CDK, path)] == [
        ("image", True),
        ("image", False),
    ]


@pytest.mark.parametrize(
    "path",
    ["web/src/app.ts", "cdk/lib/app.d.ts", "cdk/README.md", "svc/app.py", "fullstack/app.ts", "cdk/test/app.ts"],
)
def test_other_programs_declare_nothing(path: str) -> None:
    assert rows(path, CDK) == []


def test_a_runtime_is_one_of_the_cdk_only_where_its_library_is_named() -> None:
    assert rows("infra/app.ts", CDK.replace("aws-cdk-lib", "another")) == []
