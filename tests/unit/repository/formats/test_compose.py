"""The start commands of the images that a compose file builds."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.compose import read_compose

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
