"""Which programs start a service, by its files and those around it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import FileLines
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover

IMAGE = "FROM python:3.10-slim\n"


def programs_in(root: Path, files: Mapping[str, str], name: str = "shop") -> list[str]:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    (service,) = (one for one in discover(Plan(root=root)).services if one.name == name)
    return [one.name for one in service.programs]


@pytest.mark.parametrize(
    ("dockerfile", "programs"),
    [
        (IMAGE + 'CMD ["flask", "run"]\nCMD ["gunicorn", "shop"]\n', ["gunicorn"]),
        (IMAGE + 'ENTRYPOINT ["python"]\nCMD ["-m", "shop"]\n', ["shop"]),
        (IMAGE + 'ENTRYPOINT ["tini", "--"]\nCMD ["celery", "worker"]\n', ["celery"]),
        ("FROM python:3.10 AS base\nCMD gunicorn shop\nFROM base\nRUN flask db\n", ["gunicorn"]),
        ("FROM python:3.10 AS base\nCMD flask run\nFROM base\nCMD gunicorn shop\n", ["gunicorn"]),
        ("FROM node AS web\nCMD npm start\n" + IMAGE + "CMD rq worker\n", ["rq"]),
    ],
)
def test_the_last_stage_says_it(tmp_path: Path, dockerfile: str, programs: list[str]) -> None:
    assert programs_in(tmp_path, {"shop/Dockerfile": dockerfile}) == programs


def test_scripts_and_processes_are_followed(tmp_path: Path) -> None:
    files = {
        "shop/Dockerfile": IMAGE + 'COPY . /app\nENTRYPOINT ["/app/start.sh"]\n',
        "shop/docker/start.sh": "#!/bin/sh\nexec hypercorn shop:app\n",
        "shop/Procfile": "web: gunicorn shop\nworker: rq worker\n",
        "shop/Dockerfile.dev": IMAGE + "CMD flask run\n",
    }
    assert programs_in(tmp_path, files) == ["hypercorn", "shop", "gunicorn", "rq"]


def test_compose_files_start_what_they_build(tmp_path: Path) -> None:
    """By the folder of its context, or of its Dockerfile; those of developers and tests say nothing of production."""
    files = {
        "shop/Dockerfile": IMAGE,
        "mail/Dockerfile": IMAGE,
        "compose.yml": "services:\n  a: {build: shop, command: uvicorn shop:app}\n"
        "  b: {build: {context: ., dockerfile: mail/Dockerfile}, command: dramatiq mail}\n",
        "compose.dev.yml": "services:\n  a: {build: shop, command: flask run}\n",
    }
    assert programs_in(tmp_path, files) == ["uvicorn", "shop"]
    assert programs_in(tmp_path, files, "mail") == ["dramatiq"]


def test_the_lines_of_compose_files_above_that_start_a_service(tmp_path: Path) -> None:
    files = {
        "shop/Dockerfile": IMAGE,
        "shop/compose.yml": "services:\n  a:\n    build: .\n    command: flask run\n",
        "compose.yml": "services:\n  a:\n    build: shop\n    command:\n      - flask\n      - run\n\n"
        "  b: {build: shop}\n  c: {build: other, command: x}\n",
    }
    programs_in(tmp_path, files)

    assert discover(Plan(root=tmp_path))["shop"].started_above == (FileLines(path="compose.yml", first=3, last=6),)


@pytest.mark.parametrize(
    ("command", "files", "modules"),
    [
        ("python -m shop.server", ["shop/server.py"], [("shop.server", ".", True)]),
        ("python -m shop", ["shop/__init__.py", "shop/__main__.py"], [("shop", ".", True)]),
        ("uvicorn main:app", ["src/main.py", "src/lib/main.py"], [("main", "src", False)]),
        ("uvicorn main:app", ["a/main.py", "b/main.py"], []),
        ("uvicorn other:app", ["main.py"], []),
        ("python -m flask run", ["main.py"], []),
        ("python main.py", ["main.py", "lib/main.py", "main/__init__.py"], [("main", ".", True)]),
        ("python /app/run-server.py", ["src/run-server.py"], [("run-server", "src", True)]),
        ("python main.py", ["a/main.py", "b/main.py"], []),
        ("python main.py", ["main/__init__.py"], []),
        ("python ./api/main.py", ["main.py", "api/main.py"], [("main", "api", True)]),
        ("python api/main.py", ["main.py", "src/api/main.py"], [("main", "src/api", True)]),
        ("python api/main.py", ["main.py", "web/main.py"], [("main", ".", True)]),
        ("python /app/main.py", ["main.py", "app/main.py"], [("main", ".", True)]),
        ('["python", "-c", "from app.worker import main; main()"]', ["app/worker.py"], [("app.worker", ".", False)]),
        ("python -m $MODULE\nENV MODULE=app.worker", ["app/worker.py"], [("app.worker", ".", True)]),
        ('["flask", "run"]\nENV FLASK_APP app.web', ["app/web.py", "app.py"], [("app.web", ".", False)]),
        ("flask run", ["src/wsgi.py"], [("wsgi", "src", False)]),
        ("sh -c 'flask db upgrade && python app.py'", ["app.py"], [("app", ".", True)]),
        ("flask --app src/web.py run", ["src/web.py"], [("web", "src", False)]),
        ("flask --app src/web.py run", ["src/__init__.py", "src/web.py"], [("src.web", ".", False)]),
    ],
)
def test_the_modules_of_the_service_that_start_it(
    tmp_path: Path, command: str, files: list[str], modules: list[tuple[str, str, bool]]
) -> None:
    programs_in(tmp_path, {"svc/Dockerfile": f"{IMAGE}CMD {command}\n", **{f"svc/{name}": "" for name in files}}, "svc")
    (service,) = discover(Plan(root=tmp_path)).services
    assert [(module.name, module.folder, module.is_program) for module in service.start_modules] == modules


@pytest.mark.parametrize(
    ("command", "files", "modules"),
    [
        ("gunicorn app:app -k gevent", {}, [("gunicorn.workers.ggevent", ".", False)]),
        ("gunicorn app:app\nENV A=b GUNICORN_CMD_ARGS='--bind :80 -k gevent'", {},
         [("gunicorn.workers.ggevent", ".", False)]),
        ("gunicorn app:app -k shop.own.Worker", {"src/shop/own.py": ""}, [("shop.own", "src", True)]),
        ("gunicorn app:app", {"conf/gunicorn.conf.py": "worker_class = 'gevent'\n"},
         [("gunicorn.conf", "conf", True), ("gunicorn.workers.ggevent", ".", False)]),
        ("gunicorn app:app", {"conf/gunicorn.conf.py": "", "conf/__init__.py": ""}, [("gunicorn.conf", "conf", True)]),
        ("./run.sh", {"run.sh": "exec gunicorn -c web.py app:app\n", "web.py": "threads = 4\n"},
         [("web", ".", True), ("gunicorn.workers.gthread", ".", False)]),
    ],
)  # fmt: skip
def test_options_of_servers_are_start_modules(
    tmp_path: Path, command: str, files: Mapping[str, str], modules: list[tuple[str, str, bool]]
) -> None:
    own = {f"svc/{name}": text for name, text in files.items()}
    programs_in(tmp_path, {"svc/Dockerfile": f"{IMAGE}CMD {command}\n", "svc/b.py": "", **own}, "svc")
    (service,) = discover(Plan(root=tmp_path)).services
    assert [(module.name, module.folder, module.is_own) for module in service.start_modules] == modules


def test_a_console_script_of_the_service_is_started_by_its_module(tmp_path: Path) -> None:
    files = {
        "svc/Dockerfile": f'{IMAGE}RUN pip install .\nCMD ["ops", "--all"]\n',
        "svc/pyproject.toml": '[project]\nname = "svc"\n[project.scripts]\nops = "app.ops:main"\nx = "app.x:main"\n',
        "svc/src/app/ops.py": "",
    }
    assert programs_in(tmp_path, files, "svc") == ["ops", "app.ops"]
    (service,) = discover(Plan(root=tmp_path)).services
    assert [(module.name, module.folder) for module in service.start_modules] == [("app.ops", "src")]


def test_variables_of_images_and_compose_files(tmp_path: Path) -> None:
    files = {
        "shop/Dockerfile": "FROM python:3.11 AS base\nARG NAME=worker\nENV A=shop.$NAME\n"
        'FROM base\nENV B="x" PORT=80\nENTRYPOINT ["./start.sh"]\n',
        "shop/start.sh": "python -m $A\npython -m ${B:-y}\n",
        "compose.yml": "services:\n  a: {build: shop, environment: {C: shop.purge}, command: sh -c 'python -m $$C'}\n",
        "shop/.flaskenv": "FLASK_APP=shop.web\n",
        "shop/Procfile": "web: flask run\n",
    }
    assert programs_in(tmp_path, files) == ["shop.worker", "x", "flask", "shop.web", "shop.purge"]


MANAGED = {
    "svc/Dockerfile": f'{IMAGE}RUN echo "5 4 * * * root python -m shop.hourly\\n" > /etc/cron.d/a\n'
    'RUN echo "5 4 * * * python -m shop.dev"\nCMD ["python", "-m", "shop.web"]\n',
    "svc/supervisord.conf": "[program:web]\ncommand=python -m shop.web\n[program:a]\ncommand=./run.sh\n",
    "svc/run.sh": "exec python -m shop.queue\n",
    "svc/deploy/worker.service": "[Service]\nExecStart=/srv/venv/bin/python -m shop.worker\n",
    "svc/crontab": "0 3 * * * root cd /srv && python /srv/jobs/purge.py\n",
    "svc/k8s/job.yaml": "kind: CronJob\ncontainers:\n- command: [python, -m, shop.nightly]\n",
    "svc/k8s/dev/job.yaml": "kind: CronJob\ncontainers:\n- command: [python, -m, shop.dev]\n",
    "svc/tests/crontab": "0 3 * * * python -m shop.dev\n",
    **{f"svc/shop/{name}.py": "" for name in ("web", "worker", "nightly", "hourly", "queue", "dev")},
    "svc/jobs/purge.py": "",
}


def test_what_else_starts_programs_of_the_service(tmp_path: Path) -> None:
    """What fails there on the baseline as well says nothing: a machine of its own may have what it needs."""
    programs_in(tmp_path, MANAGED, "svc")
    (service,) = discover(Plan(root=tmp_path)).services
    assert {module.name: module.is_additional for module in service.start_modules} == {
        "shop.web": False, "shop.queue": True, "shop.worker": True, "purge": True, "shop.nightly": True,
        "shop.hourly": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "modules"),
    [
        ("python manage.py purge --all", [("web.shop.management.commands.purge", "src")]),
        ("./manage.py --traceback purge", [("web.shop.management.commands.purge", "src")]),
        ("python -m web.manage purge", [("web.shop.management.commands.purge", "src")]),
        ("python -m django purge", [("web.shop.management.commands.purge", "src")]),
        ("python manage.py twice", []),
        ("python manage.py migrate", []),
        ("python other.py purge", []),
    ],
)
def test_commands_of_django_are_modules(tmp_path: Path, command: str, modules: list[tuple[str, str]]) -> None:
    folder = "svc/src/web/shop/management/commands"
    files = {
        "svc/Dockerfile": f"{IMAGE}CMD gunicorn x\n",
        "svc/crontab": f"0 3 * * * {command}\n",
        f"{folder}/purge.py": "",
        f"{folder}/twice.py": "",
        "svc/src/other/management/commands/twice.py": "",
        "svc/src/web/__init__.py": "",
        "svc/src/web/shop/__init__.py": "",
    }
    programs_in(tmp_path, files, "svc")
    (service,) = discover(Plan(root=tmp_path)).services
    assert [(module.name, module.folder) for module in service.start_modules] == modules
    assert all(module.kind == "command" and module.is_additional for module in service.start_modules)


def test_programs_that_build_the_image_have_to_work_there(tmp_path: Path) -> None:
    """Files of the service are none of them: many download what a cell cannot reach."""
    lines = "RUN pip install flask\nRUN pybabel compile -d texts\nRUN python -m shop.assets && python fetch.py\n"
    files = {"svc/Dockerfile": f"{IMAGE}{lines}CMD flask run\n", "svc/shop/assets.py": "", "svc/fetch.py": ""}
    assert programs_in(tmp_path, files, "svc") == ["flask", "wsgi", "app", "pybabel", "shop.assets"]
    (service,) = discover(Plan(root=tmp_path)).services
    assert [(module.name, module.is_additional) for module in service.start_modules] == [("shop.assets", True)]


def test_what_an_image_installs_for_its_libraries_is_an_assumption(tmp_path: Path) -> None:
    lines = "RUN pip install opentelemetry-distro && opentelemetry-bootstrap -a install\n"
    programs_in(tmp_path, {"svc/Dockerfile": f"{IMAGE}{lines}CMD flask run\n"}, "svc")
    (assumption,) = (text for text in discover(Plan(root=tmp_path)).assumptions if "opentelemetry" in text)
    assert (
        assumption == "svc gets packages from opentelemetry-bootstrap while its image is built, which are not checked."
    )
