"""Programs that the source of a service starts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.named_programs import programs_started_by


def found(source: str, path: str = "svc/app.py") -> list[str]:
    programs = programs_started_by({path: source.encode("utf-8", "replace")}, "svc")
    return [f"-m {program.name}" if program.is_module else program.name for program in programs]


@pytest.mark.parametrize(
    ("source", "programs"),
    [
        ('import subprocess\nGSUTIL = ["gsutil", "-q", "-m"]\n', ["gsutil"]),
        ('import subprocess\nsubprocess.run("celery -A app worker")\n', ["celery"]),
        ('import subprocess as sp\nsp.check_call(["celery", name])\n', ["celery"]),
        ('import subprocess\nsubprocess.run(args=["celery"])\n', []),
        ('from subprocess import Popen as start\nstart(("alembic", "upgrade"))\n', ["alembic"]),
        ('import subprocess\ncmd = ["alembic", "upgrade"]\nsubprocess.run(cmd)\n', ["alembic"]),
        ('import subprocess\nself.base_cmd = ["alembic"] + rest\n', ["alembic"]),
        ('import subprocess\nsubprocess.run(["alembic"] + rest + more)\n', ["alembic"]),
        ('import subprocess, sys\nsubprocess.run([sys.executable, "-m", "celery", "worker"])\n', ["-m celery"]),
        ('import subprocess\nsubprocess.run(["/usr/bin/python3", "-m", "pip.tool"])\n', ["-m pip.tool"]),
        ('import subprocess\nsubprocess.run(["python", "x.py"])\n', []),
        ('import os\nos.system("A=1 exec /app/bin/gunicorn x && flask run | tee log; huey")\n',
         ["gunicorn", "flask", "tee", "huey"]),
        ('import os\nos.system(f"rq {queue}")\n', ["rq"]),
        ('import os\nos.system(f"{program} rq")\n', []),
        ('import os\nos.system("rq %s" % queue)\n', ["rq"]),
        ('import os\nos.system("rq {}".format(queue))\n', ["rq"]),
        ('import os\nos.system("it\'s broken")\n', ["it's"][:0]),
        ('import os\nos.spawnlp(os.P_WAIT, "rq", "rq", "x")\n', ["rq"]),
        ('import asyncio\nasyncio.create_subprocess_exec("rq", "worker")\n', ["rq"]),
        ('import asyncio\nasyncio.run(main())\n', []),
        ('import subprocess\nAPPS = ["celery", "redis"]\n', []),
        ('APPS = ["celery", "-q"]\n', []),
        ('import subprocess\nrunner.run("celery")\n', []),
        ("import subprocess\ndef f(:\n", []),
    ],
)  # fmt: skip
def test_commands_of_source(source: str, programs: list[str]) -> None:
    assert found(source) == programs


@pytest.mark.parametrize("path", ["svc/tests/test_a.py", "svc/scripts/deploy.py", "svc/setup.py"])
def test_only_files_that_run_in_production_count(path: str) -> None:
    assert found('import subprocess\nsubprocess.run(["celery", "worker"])\n', path) == []


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    found(f"import subprocess\nsubprocess.run({text!r})\n")
    found(f"import subprocess\n{text}\n")
