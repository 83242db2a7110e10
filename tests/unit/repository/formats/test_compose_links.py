"""Which service of a compose file needs which other one."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.compose import read_compose
from pytest_py312.repository.formats.compose_links import read_compose_entries
from tests.unit.repository.formats.test_compose import FILE

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
def test_any_text_is_read(text: str) -> None:
    assert isinstance(read_compose_entries(text, "compose.yml"), tuple)
