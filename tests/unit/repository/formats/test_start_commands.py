"""The Python programs of start commands, in all the forms in which people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import Program
from pytest_py312.repository.formats.start_commands import StartCommand, read_command, without_wrapper


def shown(command: StartCommand) -> list[str]:
    return [
        f"{one.name}{'.py' * one.is_module}" if one.is_script else f"-m {one.name}" if one.is_module else one.name
        for one in command.programs
    ]


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        ('["celery", "-A", "shop", "worker"]', ["celery", "-m shop"]),
        ('["/venv/bin/gunicorn", "shop.wsgi"]', ["gunicorn", "-m shop.wsgi"]),
        ('["python", "-m", "flask", "run"]', ["-m flask", "-m wsgi", "-m app"]),
        ('["python3.10", "-u", "-W", "ignore", "-m", "shop.main"]', ["-m shop.main"]),
        ('["python", "manage.py", "-m"]', ["manage.py"]),
        ('["python3", "-u", "/app/src/run-server.py", "--port=80"]', ["run-server.py"]),
        ("opentelemetry-instrument python main.py", ["opentelemetry-instrument", "main.py"]),
        ("poetry run ./manage.py runserver", ["manage.py"]),
        ("uv run worker.py", ["worker.py"]),
        ("python -u bin/worker --fast", ["worker"]),
        ("python setup.py develop && python -W ignore worker.py", ["worker.py"]),
        ("python", []),
        ('["python", "-c", "print(1)"]', []),
        ('["python", "-c", "from app.worker import main; main()"]', ["-m app.worker", "-m app.worker.main"]),
        ("sh -c \"python -uc 'import app.worker as w, shop; w.main()'\"", ["-m app.worker", "-m shop"]),
        ("python -c 'from . import x; import'", []),
        ("python -Im app.worker; python -mapp.purge", ["-m app.worker", "-m app.purge"]),
        ('["timeout", "3600", "python3", "-m", "app.worker"]', ["-m app.worker"]),
        ('["env", "A=b", "timeout", "-k", "5", "9", "nice", "python3", "-m", "app.worker"]', ["-m app.worker"]),
        ("stdbuf -oL setpriv --reuid=app --clear-groups python -m app", ["-m app"]),
        ("su app -c 'python -m app'", ["-m app"]),
        ("sudo -u app python -m app", ["-m app"]),
        ("chpst -u app python -m app", ["-m app"]),
        ("./wait-for-it.sh db:5432 -- python -m app", ["-m app"]),
        ("chamber exec shop -- python -m app", ["chamber", "-m app"]),
        ("exec python -m ${MODULE:-app.worker}", ["-m app.worker"]),
        ("MODULE=app.worker; exec python -m $MODULE", ["-m app.worker"]),
        ("export MODULE=${NAME:-app.worker} && python -m \"$MODULE\"", ["-m app.worker"]),
        (': "${MODULE:=app.worker}"; python -m $MODULE', ["-m app.worker"]),
        ("PY=${PYTHON:-python}; CMD='-m app'; exec \"$PY\" $CMD", ["-m app"]),
        ("python -m $UNKNOWN", []),
        ("uwsgi --http :80 --module shop.wsgi:app --master", ["uwsgi", "-m shop.wsgi"]),
        ("uwsgi --wsgi-file=shop/web.py", ["uwsgi", "-m web"]),
        ('["-m", "app.worker"]', ["-m app.worker"]),
        ("flask --app shop.web run", ["flask", "-m shop.web"]),
        ("FLASK_APP=shop.web:create() flask run", ["flask", "-m shop.web"]),
        ("export FLASK_APP=src/web.py; flask run", ["flask", "-m web"]),
        ('["tini", "-g", "--", "uvicorn", "shop:app"]', ["uvicorn", "-m shop"]),
        ('["sh", "-c", "alembic upgrade head && exec uvicorn shop:app"]', ["alembic", "uvicorn", "-m shop"]),
        ("exec gunicorn --bind :$PORT shop:app", ["gunicorn", "-m shop"]),
        ("PORT=80 DEBUG= hypercorn shop:app", ["hypercorn", "-m shop"]),
        ("poetry run --quiet flower", ["flower"]),
        ("poetry install", []),
        ("gosu shop rq worker", ["rq"]),
        ("opentelemetry-instrument uvicorn shop:app", ["opentelemetry-instrument", "uvicorn", "-m shop"]),
        ("newrelic-admin run-program gunicorn shop", ["newrelic-admin", "gunicorn"]),
        ("flask db upgrade; daphne shop.asgi | tee log", ["flask", "-m wsgi", "-m app", "daphne", "tee"]),
        ("gunicorn -k uvicorn.workers.UvicornWorker -c gunicorn.conf.py --bind unix:/x shop.wsgi",
         ["gunicorn", "-m shop.wsgi"]),
        ("gunicorn 'shop:create(debug=False)' -w 2", ["gunicorn", "-m shop"]),
        ("uvicorn --host 0.0.0.0 --app-dir src --factory shop.main:create", ["uvicorn", "-m shop.main"]),
        ("flask --app=shop.web run", ["flask", "-m shop.web"]),
        ("celery -A", ["celery"]),
        ("locust --headless 2>&1", ["locust"]),
        ("[ -f .env ] && arq shop.Worker", ["arq"]),
        ("echo 'a quotation", []),
        ("./entrypoint.sh gunicorn shop", []),
        ("", []),
    ],
)  # fmt: skip
def test_the_programs_of_a_command(text: str, programs: list[str]) -> None:
    assert shown(read_command(text)) == programs


def test_a_script_is_read_line_by_line() -> None:
    """An unreadable line does not affect the others."""
    script = "#!/bin/sh\nif wait-for db; then\n  alembic \\\n  upgrade head\nfi\necho 'two\nlines'\nexec flask run\n"
    assert shown(read_command(script, is_script=True)) == ["wait-for", "alembic", "flask", "-m wsgi", "-m app"]


def test_the_shell_scripts_among_the_words() -> None:
    assert read_command('["sh", "/app/bin/start.sh", "worker"]').shell_scripts == ("start.sh",)
    assert read_command("bash -c './wait.sh && ./docker-entrypoint'").shell_scripts == ("wait.sh", "docker-entrypoint")


@given(st.text(max_size=200), st.booleans())
def test_no_text_crashes_the_reader(text: str, is_script: bool) -> None:
    assert all(one.name and "/" not in one.name for one in read_command(text, is_script=is_script).programs)


def test_the_variables_with_which_a_command_is_run() -> None:
    variables = {"MODULE": "app.worker", "FLASK_APP": "shop.web"}
    assert shown(read_command("exec python -m $MODULE", variables=variables)) == ["-m app.worker"]
    assert shown(read_command('["flask", "run"]', variables=variables)) == ["flask", "-m shop.web"]
    assert shown(read_command("MODULE=app; python -m $MODULE", is_script=True, variables=variables)) == ["-m app"]


@pytest.mark.parametrize(
    ("command", "inner"),
    [
        ("sudo -u app pip install x", "pip install x"),
        ("env -i pip install x", "pip install x"),
        ("gosu app pip install x", "pip install x"),
        ("exec pip install x", "pip install x"),
        ("timeout -k 5 300 pip install x", "pip install x"),
        ("nice -n 5 pip install x", "pip install x"),
        ("stdbuf -oL -e L pip install x", "pip install x"),
        ("setpriv --reuid=app --regid app --clear-groups pip install x", "pip install x"),
        ("chpst -u app:app pip install x", "pip install x"),
        ("tini -g -- pip install x", "pip install x"),
        ("flock -n /tmp/lock pip install x", "pip install x"),
        ("timeout", ""),
        ("pip install x", None),
    ],
)
def test_a_wrapper_is_removed(command: str, inner: str | None) -> None:
    found = without_wrapper(command.split())
    assert (None if found is None else " ".join(found)) == inner


@pytest.mark.parametrize(
    ("text", "folder"),
    [("python jobs/purge --all", "jobs"), ("python ./purge", ""), ("cd /srv && exec python /srv/jobs/purge", "")],
)
def test_a_file_without_a_suffix_has_the_folder_that_the_command_names(text: str, folder: str) -> None:
    assert read_command(text).programs == (Program(name="purge", is_script=True, folder=folder),)
