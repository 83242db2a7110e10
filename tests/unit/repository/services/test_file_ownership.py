"""Ownership of a file at the root: by its path, by what its parts name, by the files that delegate work to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.services.file_ownership import build_name_index, find_named_services
from tests.support.fakes import service

SERVICES = [
    service("user-service", path="services/user-service"),
    service("api", path="services/api"),
    service("auth", path="auth"),
    service("listen-service", path="services/diagnostic/listen-service"),
]
INDEX = build_name_index(SERVICES)
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
    assert find_named_services(text, "some.yml", INDEX).all_names == names


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
    assert find_named_services("FROM python:3.10\n", path, INDEX).all_names == names


@pytest.mark.parametrize("path", ["pyproject.toml", "tox.ini", "setup.py", ".python-version"])
def test_metadata_at_the_root_is_for_all(path: str) -> None:
    """Lists of folders in it say nothing of whose Python it is; its own path does."""
    text = "exclude = ['api', 'services/user-service']\n"
    assert find_named_services(text, path, INDEX).all_names == set()
    assert find_named_services(text, f"settings/user-service/{path}", INDEX).all_names == {"user-service"}


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
        ("3.9", {"auth", "user-service", "api"}),  # around all jobs: for all services that they name
        ("3.10", {"auth"}),  # a job that names no service is assigned by what is around it
        ("working-directory", {"user-service"}),
        ("3.12", {"api"}),  # by the key of the job
    ],
)
def test_each_part_of_a_workflow_is_asked_by_itself(at: str, names: set[str]) -> None:
    """Jobs for different services stand in one file."""
    assert find_named_services(WORKFLOW, ".github/workflows/ci.yml", INDEX).names_at(WORKFLOW.index(at)) == names


def test_each_combination_of_a_matrix_is_for_the_service_that_it_names() -> None:
    text = (
        "jobs:\n  test:\n    strategy:\n      matrix:\n        include:\n          - {name: api, python: 1}\n"
        "          - python: 2\n            folder: services/user-service\n          - {os: linux, python: 3}\n"
        "    steps: [{run: cd services/${{ matrix.app }}}, {with: {python-version: 4}}]\n"
    )
    named = find_named_services(text, ".github/workflows/ci.yml", INDEX)
    of_job = {"api", "user-service"}
    places = (f" {number}" for number in (1, 2, 3, 4))
    assert [set(named.names_at(text.index(place))) for place in places] == [{"api"}, {"user-service"}, of_job, of_job]


def test_work_that_is_handed_on_is_seen() -> None:
    """By the part that does it."""
    uses = {
        name: part.used_files for part in find_named_services(WORKFLOW, "ci.yml", INDEX).parts for name in part.names
    }
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
    named = find_named_services(text, path, INDEX)
    assert named.names_at(text.index("python:3.10")) == {"api"}
    assert named.names_at(text.index("python:3.9")) == set()


def test_two_folders_of_one_name_are_distinguished_by_their_paths() -> None:
    """The plain name is then ambiguous, and names neither."""
    index = build_name_index([service("a-worker", path="a/worker"), service("b-worker", path="b/worker")])
    assert find_named_services("service: worker", "x.yml", index).all_names == set()
    assert find_named_services("cd b/worker", "x.yml", index).all_names == {"b-worker"}


@given(st.text(alphabet="jobs: -\nservices/api{}[]\"'#$\t/.u*", max_size=300), st.integers(0, 300))
def test_no_text_is_too_odd(text: str, at: int) -> None:
    """Only services of the fleet are ever named."""
    assert find_named_services(text, "docker-compose.yml", INDEX).names_at(at) <= ALL


def test_long_lines_take_no_time() -> None:
    """A file of the size limit, in which nothing ends."""
    for piece in (" ", "a", "a/", "- ", "[a", "a: "):
        assert find_named_services(piece * (400_000 // len(piece)), "a.yml", INDEX).all_names == set()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "kinds/kind.yml",
            "tasks:\n  python39:\n    # copied from services/user-service/image_setup.sh\n    args: {}\n",
        ),
        ("ci.yml", "# for user-service\nname: x  # user-service\n"),
        ("ci.yml", "jobs:\n  x:\n    run: |\n      # cd services/user-service\n      make\n"),
        ("docker/base.Dockerfile", "# like services/user-service/Dockerfile\nFROM python:3.9\n"),
        ("Jenkinsfile", "// services/user-service\nnode {}\n/* user-service */\n"),
    ],
)
def test_a_comment_names_nothing(path: str, text: str) -> None:
    """It says where a line comes from, and owns nothing."""
    assert find_named_services(text, path, INDEX).all_names == set()


def test_a_task_is_a_part() -> None:
    """Taskcluster's kinds have a task for each service; a task for none of them is nobody's."""
    text = "tasks:\n  api:\n    v: 1\n  python39:\n    v: 2\n  api-test-py39:\n    v: 3\n  auth-server:\n    v: 4\n"
    named = find_named_services(text, "taskcluster/kinds/docker-image/kind.yml", INDEX)
    assert [named.names_at(text.index(f"v: {number}")) for number in (1, 2, 3, 4)] == [{"api"}, set(), {"api"}, set()]


@pytest.mark.parametrize("key", ["depends_on", "needs", "resources"])
def test_what_a_service_depends_on_does_not_own_its_part(key: str) -> None:
    """The part of a service is its own; a part of nobody is for those that it is made of."""
    text = f"services:\n  auth:\n    {key}:\n    - api\n    - user-service\n    image: x\n"
    text += f"  init:\n    {key}:\n      - api\n"
    named = find_named_services(text, "ci.yml", INDEX)
    assert named.names_at(text.index("image")) == {"auth"}
    assert named.names_at(text.index("init")) == {"api"}


def test_the_environments_of_a_root_tox_are_those_of_services() -> None:
    """By their factors, or by the folder that they change to; an environment of none of them is nobody's."""
    text = (
        "[tox]\nenvlist =\n    user-service-py39, {api,auth}-py310\n    lint-py39\n    # api-py39\n"
        "[testenv:user-service-py39]\na = 1\n[testenv:x-py39]\nchangedir = {toxinidir}/auth\nb = 2\n"
        "[testenv:lint-py39]\nc = 3\n"
    )
    named = find_named_services(text, "tox.ini", INDEX)
    places = ("user-service-py39", "{api,auth}", "lint-py39", "a = 1", "b = 2", "c = 3")
    assert [set(named.names_at(text.index(place))) for place in places] == [
        {"user-service"}, {"api", "auth"}, set(), {"user-service"}, {"auth"}, set(),
    ]  # fmt: skip


TASKS = """\
tasks:
  auth: {python-versions: [311], resources: [auth, services/api]}
  init: {python-versions: [39], resources: [docker.d, auth/docker.d, services/api/docker.d]}
  again:
    python-versions: [38]
    resources:
      - auth/docker.d
      - services/api
"""


@pytest.mark.parametrize(("at", "names"), [("311", {"auth"}), ("[39]", set()), ("[38]", {"api"})])
def test_data_of_a_service_does_not_make_it_the_owner_of_a_task(at: str, names: set[str]) -> None:
    """Nor what else the task of another service reads."""
    assert find_named_services(TASKS, "taskcluster/kinds/tox/kind.yml", INDEX).names_at(TASKS.index(at)) == names
