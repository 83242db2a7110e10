"""The start commands of the images that a compose file builds, and which of its services needs which other one."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.compose import read_compose, read_compose_entries

FILE = """
x-common: &common
  build: {context: ./shop, dockerfile: docker/Dockerfile}
services:
  web:
    build: ./shop
    command: gunicorn shop.wsgi
  worker:
    <<: *common
    entrypoint: ["/entry.sh"]
    command:
      - celery
      - worker
  waits:
    build: .
    command: sh -c "alembic upgrade head && uvicorn shop:app"
  database: {image: postgres, command: postgres -c fsync=off}
  silent: {build: .}
  broken: {build: ., command: "gunicorn 'shop"}
"""


def test_built_services_and_their_start_commands() -> None:
    entries = read_compose(FILE, "deploy/compose.yml")

    assert [(entry.context, entry.folder) for entry in entries] == [
        ("deploy/shop", "deploy/shop"),
        ("deploy/shop", "deploy/shop/docker"),
        ("deploy", "deploy"),
        ("deploy", "deploy"),
        ("deploy", "deploy"),
    ]
    assert [[program.name for command in entry.commands for program in command.programs] for entry in entries] == [
        ["gunicorn", "shop.wsgi"],
        ["celery"],
        ["alembic", "uvicorn", "shop"],
        [],
        [],
    ]
    assert entries[3].commands == ()
    assert entries[1].commands[0].shell_scripts == ("entry.sh",)


@given(st.text(max_size=200) | st.sampled_from(["services: [a]", "services: {a: {build: [], command: {}}}", "- a"]))
def test_no_text_crashes_the_reader(text: str) -> None:
    assert all(entry.context and entry.folder for entry in read_compose(text, "compose.yml"))


LINKS = """
services:
  web:
    build: ./web
    depends_on: {api: {condition: service_healthy}}
    environment:
      API_URL: http://api:8000/v1
      DATABASE_HOST: database
      LOG_LEVEL: debug
  worker:
    image: shop/worker
    links: ["api:backend"]
    environment: ["QUEUE=redis:6379", "NAME=worker"]
"""


def test_dependencies_links_and_variables_name_other_services() -> None:
    web, worker = read_compose_entries(LINKS, "deploy/compose.yml")

    assert (web.name, web.folder) == ("web", "deploy/web")
    assert [(host.name, host.reason, host.line) for host in web.hosts] == [
        ("api", "depends_on", 5),
        ("api", "API_URL", 7),
        ("database", "DATABASE_HOST", 8),
    ]
    assert (worker.folder, [host.name for host in worker.hosts]) == ("", ["api", "redis"])


def test_a_service_is_built_where_the_reader_of_start_commands_finds_it() -> None:
    """Also if its build is merged from a template (``<<: *common``)."""
    folders = [entry.folder for entry in read_compose_entries(FILE, "deploy/compose.yml")]
    assert list(filter(None, folders)) == [entry.context for entry in read_compose(FILE, "deploy/compose.yml")]


@given(st.text() | st.text(alphabet="services:\n -{}[]<&*!build").map("services:\n  a: ".__add__))
def test_no_text_crashes_the_reader_of_links(text: str) -> None:
    assert isinstance(read_compose_entries(text, "compose.yml"), tuple)
