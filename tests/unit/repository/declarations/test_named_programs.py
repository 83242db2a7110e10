"""Versions in the names of programs and of layers: ``python3.9`` in a script, ``AWSSDKPandas-Python39``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.declarations.reader import can_declare_versions, read_declarations


def declared(text: str, path: str) -> list[str]:
    """What each declaration of a version names, with its line."""
    assert can_declare_versions(path)
    found = read_declarations(text, path)
    assert all(text[one.start : one.end] == one.source_text for one in found)
    return [f"{one.location.line} {one.version}" for one in found]


@pytest.mark.parametrize(
    ("path", "text", "versions"),
    [
        ("run.sh", "#!/bin/sh\nexec python3.9 main.py\n", ["2 3.9"]),
        ("run.sh", "/usr/local/bin/python3.10 -m app\npip3.10 check\n", ["1 3.10", "2 3.10"]),
        ("run.sh", "export PYTHONPATH=/usr/local/lib/python3.12/site-packages\n", ["1 3.12"]),
        ("supervisord.conf", "[program:web]\ncommand=/opt/venv/bin/python3.9 main.py\n", ["2 3.9"]),
        ("uwsgi.ini", "[uwsgi]\npythonpath = /usr/local/lib/python3.9/site-packages\n", ["2 3.9"]),
        ("crontab", "0 * * * * root /usr/local/bin/python3.9 /app/job.py\n", ["1 3.9"]),
        ("deploy/api.service", "[Service]\nExecStart=/srv/venv/bin/python3.9 -m api\n", ["2 3.9"]),
        ("run.sh", "[ $# -gt 0 ] || exit 1; exec python3.9 a.py\n", ["1 3.9"]),
        ("supervisord.conf", ";command=python3.9 x\ncommand=python3.12 x\n", ["2 3.12"]),
        ("run.sh", "ssh old python3.6 a.py\ndocker run x python3.11 -m black\n", []),
        ("run.sh", "uv venv --python 3.9 .venv\npoetry env use 3.9\nuv run -p 3.9 x\n", ["1 3.9", "2 3.9", "3 3.9"]),
        ("run.sh", "uv venv .venv --python 3.9\nuv sync --extra dev --python 3.9\n", ["1 3.9", "2 3.9"]),
        ("run.sh", "uv run --with x --python 3.9 y\nuv run pytest -p 3.9\nuv tool install --python 3.9 x\n", ["1 3.9"]),
        ("run.sh", "uv venv --python 3.9\npython3.10 a.py\nmypy --python 3.9\n", []),
        ("Procfile", "web: python3.9 -m shop\nworker: python3.9 -m shop.worker\n", ["1 3.9", "2 3.9"]),
        ("Procfile", "web: python3.12 app.py\nworker: python3.9 worker.py\n", ["1 3.12", "2 3.9"]),
        ("bin/start", "#!/usr/local/bin/python3.9\nimport shop\n", ["1 3.9"]),
        ("bin/start", "#!/usr/bin/python3.9\nimport shop\n", []),
        ("uwsgi.ini", "[uwsgi]\nplugins = http,python39\n; plugin = python36\n", ["2 3.9"]),
        ("Makefile", "V := 3.8\nvenv:\n\tpython3.9 -m venv .venv\n# python3.10\n", ["3 3.9"]),
        ("Makefile", "PYTHON ?= python3.9\nvenv:\n\tuv venv --python 3.9\n", ["1 3.9", "3 3.9"]),
        ("Makefile", "a:\n\tpython3.9 a.py\nb:\n\tpython3.10 b.py\n", []),
        ("svc/buildspec.yml", "phases:\n  install:\n    runtime-versions:\n      python: 3.9\n", ["4 3.9"]),
        (
            "cloudbuild.yaml",
            "steps:\n- name: python:3.9-slim\n- name: gcr.io/x/python:3.10\n- name: a:3.9\n",
            ["2 3.9", "3 3.10"],
        ),
        ("zappa_settings.json", '{"dev": {"runtime": "python3.9"}}', ["1 3.9"]),
        (
            ".elasticbeanstalk/config.yml",
            "global:\n  default_platform: Python 3.9 running on 64bit Amazon Linux 2\n",
            ["2 3.9"],
        ),
        ("run.sh", "tar xf Python-3.9.18.tgz\nmake altinstall\npython3.9 -m ensurepip\n", []),
        ("run.sh", 'P="python3.9 python3.9-venv"\napt-get install $P\n', []),
        ("run.sh", "python3.9 a.py\npython3.10 a.py\n", []),
        ("run.sh", "apt-get install -y python3.9\npython3.9 a.py\n", []),
        ("run.sh", "pyenv install 3.9.18\npython3.9 a.py\n", []),
        ("run.sh", "/usr/bin/python3.9 a.py  # that of the distribution\n", []),
        ("run.sh", "# python3.9 a.py\npython3 a.py\nmypython3.9 b\npython3.9-config\n", []),
    ],
)
def test_programs_with_a_version_in_their_name(path: str, text: str, versions: list[str]) -> None:
    assert declared(text, path) == versions


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("#!/usr/bin/env python3.9\nimport shop\n", ["1 3.9"]),
        ("#!/usr/bin/env -S python3.10 -u\nimport shop\n", ["1 3.10"]),
        ("subprocess.run(['python3.9', 'job.py'])\n", ["1 3.9"]),
        ("subprocess.Popen('cd /srv && python3.12 job.py', shell=True)\n", ["1 3.12"]),
        ("subprocess.run(['bash', '-c', 'pip3.9 install six'])\n", ["1 3.9"]),
        ("from os import system\nsystem('python3.9 job.py')\n", ["2 3.9"]),
        ("os.execv('/usr/local/bin/python3.9', ['python3.9', 'a.py'])\n", ["1 3.9", "1 3.9"]),
        ("sys.path.append('/usr/local/lib/python3.9/site-packages')\n", ["1 3.9"]),
        ("ctypes.CDLL('libpython3.9.so.1.0')\n", ["1 3.9"]),
        ("client.create_function(Runtime='python3.9')\n", []),
        ("RUNTIMES = {'python3.9': 'al2'}\n", []),
        ("app.run('python3.9 is deprecated')\n", []),
        ("URL = 'https://docs.python.org/python3.9/library'\n", []),
        ("print('see /usr/local/lib/python3.9 for it')\n", []),
        ('"""/usr/local/lib/python3.9/site-packages"""\n', []),
        ("subprocess.run(['/usr/bin/python3.9', 'a.py'])\n", []),
        ("subprocess.run('apt-get install python3.9', shell=True)\n", []),
        ("subprocess.run(['python3.9', 'a.py'])\nsubprocess.run(['python3.10', 'a.py'])\n", []),
        ("subprocess.run(['python3.9', 'a.py'\n", []),
    ],
)
def test_programs_and_paths_in_python(text: str, versions: list[str]) -> None:
    """What the source starts, and where it looks; a tool that works with several Pythons depends on none."""
    assert declared(text, "shop/main.py") == versions


@pytest.mark.parametrize(
    ("path", "text", "versions"),
    [
        ("compose.yml", "services:\n  a:\n    build: .\n    command: python3.9 -m a\n", ["4 3.9"]),
        ("compose.yml", "services:\n  a:\n    build: .\n    entrypoint: [/v/bin/python3.10, -m, a]\n", ["4 3.10"]),
        ("compose.yml", "services:\n  a:\n    image: a\n    environment: {P: /v/lib/python3.9/x}\n", ["4 3.9"]),
        ("compose.yml", "services:\n  a:\n    build: .\n    volumes: ['./c:/v/lib/python3.9/c']\n", ["4 3.9"]),
        ("compose.yml", "services:\n  a:\n    build: {args: [PYTHON=python3.9]}\n", []),
        ("compose.yml", "services:\n  a:\n    build: .\n    labels: [needs python3.9]\n", []),
        ("compose.yml", "services:\n  a:\n    build: .\n    command: /usr/bin/python3.9 -m a\n", []),
        ("compose.yml", "services:\n  a:\n    build: .\n    command: python3.12 a || python3.9 a\n", []),
        ("a/k8s/b.yaml", "containers:\n- image: r.io/a:1\n  command: [python3.12, -m, a]\n", ["3 3.12"]),
        ("a/k8s/b.yaml", "containers:\n- image: a\n- image: v/spark\n  command: [python3.9]\n", []),
        ("a/k8s/b.yaml", "containers:\n- image: team/backend\n  command: [python3.9]\n", ["3 3.9"]),
        ("a/k8s/b.yaml", "containers:\n- image: a\n  env: [{name: P, value: /v/lib/python3.9/x}]\n", ["3 3.9"]),
        ("ecs.yaml", "ContainerDefinitions:\n- Image: a\n  Command: [python3.9, a.py]\n", ["3 3.9"]),
        ("app.yaml", "runtime: python312\nentrypoint: python3.9 a.py\n", ["1 3.12", "2 3.9"]),
        ("Taskfile.yml", "env: {PY: python3.9}\n", []),
        ("docs/mkdocs.yml", "extra: {env: {url: 'https://docs.python.org/python3.9/'}}\n", []),
    ],
)
def test_what_containers_are_started_with(path: str, text: str, versions: list[str]) -> None:
    """Their commands, variables, and the paths that are mounted."""
    assert declared(text, path) == versions


LAYER = "arn:aws:lambda:us-east-1:336392948345:layer:"


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("AWSSDKPandas-Python39:5", ["2 3.9"]),
        ("AWSLambdaPowertoolsPythonV3-python312-x86_64:2", ["2 3.12"]),
        ("Klayers-p310-requests:1", ["2 3.10"]),
        ("NewRelicPython39:7", ["2 3.9"]),
        ("AWSLambdaPowertoolsPythonV2:40", []),
        ("LambdaInsightsExtension:21", []),
        ("Python39:1  # it is for ours", ["2 3.9"]),
    ],
)
@pytest.mark.parametrize("path", ["serverless.yml", "main.tf"])
def test_layers_for_one_python(path: str, name: str, versions: list[str]) -> None:
    text = f"layers:\n  - {LAYER}{name}\n" if path == "serverless.yml" else f'layers = [\n  "{LAYER}{name}"\n]\n'

    assert declared(text, path) == versions


@pytest.mark.parametrize(
    "arn",
    [
        "!Sub arn:aws:lambda:${AWS::Region}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python39-x86_64:2",
        "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:layer:ours-python3-9:1",
        "arn:aws:lambda:${self:provider.region}:336392948345:layer:AWSSDKPandas-Python39:5",
    ],
)
def test_layers_with_variables(arn: str) -> None:
    assert declared(f"Layers:\n  - {arn}\n", "template.yaml") == ["2 3.9"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("deploy.sh", "gcloud functions deploy f --gen2 \\\n  --runtime python311 --trigger-http\n"),
        ("deploy.sh", "set -e\naws lambda create-function --runtime=python3.11 --function-name f\n"),
        ("deploy.sh", "set -e\nawslocal lambda create-function --runtime python3.11 --handler main.f\n"),
        ("Makefile", "deploy:\n\tgcloud functions deploy f --runtime python311\n"),
        ("cloudbuild.yaml", "steps:\n- args: ['functions', 'deploy', '--runtime', 'python311', '--region']\n"),
        ("cloudbuild.yaml", "- '--runtime'\n- 'python311'\n"),
    ],
)
def test_runtimes_in_commands_that_deploy(path: str, text: str) -> None:
    assert declared(text, path) == ["2 3.11"]
    assert declared(text.replace("--runtime", "# --runtime"), path) == []


def test_a_layer_is_changed_by_hand() -> None:
    """The layer for another Python has another number behind the colon."""
    (layer,) = read_declarations(f"layers:\n  - {LAYER}AWSSDKPandas-Python39:5\n", "serverless.yml")

    assert layer.not_editable_reason == "The layer for another Python has a number of its own."


@given(text=st.text(alphabet="python3.912 /#\napt-get:layer:arnw", max_size=300))
@pytest.mark.parametrize("path", ["run.sh", "supervisord.conf", "serverless.yml", "main.py", "Procfile"])
def test_no_text_makes_it_raise(path: str, text: str) -> None:
    declared(text, path)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", [" ", "docker ", "python3.9 a;", "docker run \\\n", "/python3.9"])
@pytest.mark.parametrize("path", ["run.sh", "Procfile"])
def test_reading_takes_no_longer_for_one_long_line(path: str, part: str) -> None:
    text = part * (200_000 // len(part))
    assert len(declared(text, path)) <= 2_001
