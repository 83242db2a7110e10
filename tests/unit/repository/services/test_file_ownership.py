"""Whose a file at the root is: by its path, by what its parts name, by who hands work to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.services.file_ownership import index_of, named_in
from tests.support.fakes import service

SERVICES = [
    service("user-service", path="services/user-service"),
    service("api", path="services/api"),
    service("auth", path="auth"),
    service("listen-service", path="services/diagnostic/listen-service"),
]
INDEX = index_of(SERVICES)
ALL = {one.name for one in SERVICES}
BELOW_SERVICES = {"user-service", "api", "listen-service"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("working-directory: services/user-service", {"user-service"}),
        ("run: cd ./services/api && pytest", {"api"}),
        ("COPY services/user-service/ /app", {"user-service"}),
        ("paths: ['services/api/**']", {"api"}),
        ("paths: ['services/**']", BELOW_SERVICES),
        ("run: cd services/${{ matrix.service }}\nmatrix: {service: [api, auth]}", {"api", "auth"}),
        ("run: cd services/${{ matrix.service }}", BELOW_SERVICES),
        ("- api\n- auth  # both\n", {"api", "auth"}),
        ("context: ./auth", {"auth"}),
        ("app: user-service", {"user-service"}),
        ("$CI_PROJECT_DIR/services/diagnostic/listen-service/x.py", {"listen-service"}),
        # words that stand for something else
        ("url: https://example.org/v1/api/users", set()),
        ("auth: token", set()),
        ("see the api for auth", set()),
        ("services/user-service-2/x", set()),
        ("", set()),
    ],
)
def test_what_names_a_service(text: str, names: set[str]) -> None:
    """Paths anywhere; a name of one common word only where a service is meant."""
    assert named_in(text, "some.yml", INDEX).all == names


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("k8s/user-service.yaml", {"user-service"}),
        ("docker/Dockerfile.api", {"api"}),
        ("docker/auth.Dockerfile", {"auth"}),
        ("deploy/api/values.yaml", {"api"}),
        ("deploy/values.yaml", set()),
        (".github/workflows/ci.yml", set()),
    ],
)
def test_a_path_names_a_service(path: str, names: set[str]) -> None:
    """As a folder, as the name of the file or as its ending."""
    assert named_in("FROM python:3.10\n", path, INDEX).all == names


@pytest.mark.parametrize("path", ["pyproject.toml", "tox.ini", "setup.py", ".python-version"])
def test_metadata_at_the_root_is_for_all(path: str) -> None:
    """Lists of folders in it say nothing of whose Python it is; its own path does."""
    text = "exclude = ['api', 'services/user-service']\n"
    assert named_in(text, path, INDEX).all == set()
    assert named_in(text, f"settings/user-service/{path}", INDEX).all == {"user-service"}


WORKFLOW = """\
name: CI
env: {PYTHON_VERSION: "3.9"}
on: {push: {paths: [auth/**]}}
jobs:
  lint:
    steps: [{with: {python-version: "3.10"}}]
  user:
    defaults: {run: {working-directory: services/user-service}}
    uses: ./.github/workflows/tests.yml
  api:
    steps: [{with: {python-version: "3.12"}}]
"""


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("3.9", {"auth", "user-service", "api"}),  # around all jobs: whoever any of them is for
        ("3.10", {"auth"}),  # a job that names none goes by what is around it
        ("working-directory", {"user-service"}),
        ("3.12", {"api"}),  # by the key of the job
    ],
)
def test_each_part_of_a_workflow_is_asked_by_itself(at: str, names: set[str]) -> None:
    """Jobs for different services stand in one file."""
    assert named_in(WORKFLOW, ".github/workflows/ci.yml", INDEX).at(WORKFLOW.index(at)) == names


def test_work_that_is_handed_on_is_seen() -> None:
    """By the part that does it."""
    uses = {name: part.uses for part in named_in(WORKFLOW, "ci.yml", INDEX).parts for name in part.names}
    assert uses == {"user-service": {".github/workflows/tests.yml"}, "api": frozenset()}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docker-compose.yml", "services:\n  api:\n    image: python:3.10\n  mock:\n    image: python:3.9\n"),
        (".gitlab-ci.yml", "stages: [a]\napi:\n  image: python:3.10\nmock:\n  image: python:3.9\n"),
        ("k8s/all.yaml", "app: [api]\nimage: python:3.10\n---\napp: mock\nimage: python:3.9\n"),
    ],
)
def test_entries_jobs_and_documents_are_parts(path: str, text: str) -> None:
    """The entry beside that of a service names none."""
    named = named_in(text, path, INDEX)
    assert named.at(text.index("python:3.10")) == {"api"}
    assert named.at(text.index("python:3.9")) == set()


def test_two_folders_of_one_name_are_told_apart_by_their_paths() -> None:
    """The plain name is then nobody's."""
    index = index_of([service("a-worker", path="a/worker"), service("b-worker", path="b/worker")])
    assert named_in("service: worker", "x.yml", index).all == set()
    assert named_in("cd b/worker", "x.yml", index).all == {"b-worker"}


@given(st.text(alphabet="jobs: -\nservices/api{}[]\"'#$\t/.u*", max_size=300), st.integers(0, 300))
def test_no_text_is_too_odd(text: str, at: int) -> None:
    """Only services of the fleet are ever named."""
    assert named_in(text, "docker-compose.yml", INDEX).at(at) <= ALL


def test_long_lines_take_no_time() -> None:
    """A file of the size limit, in which nothing ends."""
    for piece in (" ", "a", "a/", "- ", "[a", "a: "):
        assert named_in(piece * (400_000 // len(piece)), "a.yml", INDEX).all == set()
