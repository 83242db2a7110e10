"""What supervisord, systemd, cron and Kubernetes start, by their files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.managed_programs import (
    may_manage_programs,
    read_managed_programs,
)


def started(text: str, path: str, **variables: str) -> list[str]:
    assert may_manage_programs(path)
    commands = read_managed_programs(text, path, variables)
    return [f"{'-m ' * one.is_module}{one.name}" for command in commands for one in command.programs]


SUPERVISOR = """
[supervisord]
nodaemon=true
[program:web]
command = %(ENV_VENV)s/bin/gunicorn shop.wsgi:app ; the web
environment=MODULE="shop.queue",
    B=c
[program:worker]
command=timeout 60
  python -m shop.worker
[program:queue]
command=python -m $MODULE
"""
UNIT = """
[Service]
Environment=A=shop.worker "B=c"
ExecStartPre=-/srv/venv/bin/python -m shop.check
ExecStart=/usr/bin/env python \\
    -m $A
ExecReload=/bin/kill $MAINPID
"""
CRONTAB = """
# 1 2 3 4 5 python -m shop.comment
MODULE=shop.hourly
*/5 * * * * cd /app && /usr/local/bin/python /app/purge.py >> /proc/1/fd/1 2>&1
0 3 * * mon-fri root python -m shop.nightly
@hourly app /srv/venv/bin/python -m $MODULE
0 3 1,15 * * ops --all
0 3 * * * python -m shop.plain
text of a sentence that has no schedule
"""
CRON_JOB = """
apiVersion: batch/v1
kind: CronJob
spec:
  jobTemplate:
    spec:
      template:
        spec:
          initContainers:
            - command: ["sh", "-c", "python -m shop.wait"]
          containers:
            - name: {{ .Values.name }}
              env:
                - name: MODULE
                  value: shop.purge
              command:
                - python
              args: [-m, $(MODULE)]
            - args: [-m, shop.worker]
            - image: redis
"""


@pytest.mark.parametrize(
    ("text", "path", "programs"),
    [
        (SUPERVISOR, "deploy/supervisord.conf",
         ["gunicorn", "-m shop.wsgi", "-m shop.worker", "-m shop.queue"]),
        (SUPERVISOR, "supervisor/conf.d/web.conf",
         ["gunicorn", "-m shop.wsgi", "-m shop.worker", "-m shop.queue"]),
        ("[uwsgi]\nmodule = shop.wsgi:app\nhttp=:80\n", "deploy/uwsgi.ini", ["uwsgi", "-m shop.wsgi"]),
        ("[uwsgi]\nwsgi-file=shop/web.py\n", "app_uwsgi.ini", ["uwsgi", "-m web"]),
        (UNIT, "shop.service", ["-m shop.check", "-m shop.worker"]),
        (CRONTAB, "crontab", ["-m purge", "-m shop.nightly", "-m shop.hourly", "ops", "-m shop.plain"]),
        (CRON_JOB, "k8s/job.yaml", ["-m shop.wait", "-m shop.purge", "-m shop.worker"]),
        (CRON_JOB.replace("containers", "jobs").replace("initContainers", "jobs"), "k8s/job.yaml", []),
        ("containers: [{command: [", "k8s/job.yml", []),
    ],
)  # fmt: skip
def test_the_programs_that_a_file_starts(text: str, path: str, programs: list[str]) -> None:
    assert started(text, path) == programs


def test_variables_of_the_image_hold_as_well() -> None:
    assert started("[program:a]\ncommand=python -m $MODULE\n", "supervisord.conf", MODULE="shop") == ["-m shop"]


@given(
    st.text(alphabet="python -mc.;=*\\\n\"'[]{}:$()%05@&#,|containersmgExecStart", max_size=200),
    st.sampled_from(["supervisord.conf", "a.service", "crontab", "a.yaml"]),
)
def test_no_text_makes_it_raise(text: str, path: str) -> None:
    assert all(one.name for command in read_managed_programs(text, path) for one in command.programs)


@given(st.text(max_size=300))
def test_no_manifest_makes_it_raise(text: str) -> None:
    read_managed_programs(f"kind: Job\ncontainers:\n- command: {text}\n", "a.yaml")
