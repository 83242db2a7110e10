"""Variables for the interpreter with which production runs a service, and where they are set."""

from pathlib import Path

import pytest

from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.discovery import discover
from tests.support.fakes import service_tree

IMAGE = "FROM python:3.11-slim\n"
START = 'CMD ["python", "-m", "shop"]\n'
STRICT = "PYTHONWARNINGS=error"


def variables_in(root: Path, files: dict[str, str]) -> list[str]:
    service_tree(root, {"shop/requirements.txt": "", "shop/shop.py": "", **files})
    (service,) = (each for each in discover(Plan(root=root)).services if each.name == "shop")
    return [f"{each.location} {each.name}={each.value}" for each in service.interpreter_variables]


@pytest.mark.parametrize(
    ("dockerfile", "expected"),
    [
        (IMAGE + START, []),
        (IMAGE + f"ENV {STRICT}\n" + START, ["shop/Dockerfile:2 PYTHONWARNINGS=error"]),
        (IMAGE + "ENV PYTHONWARNINGS error\n" + START, ["shop/Dockerfile:2 PYTHONWARNINGS=error"]),
        (IMAGE + f"ENV A=1 {STRICT}\nENV PYTHONWARNINGS=default\n", ["shop/Dockerfile:3 PYTHONWARNINGS=default"]),
        (f"FROM python:3.11 AS base\nENV {STRICT}\nFROM base\n" + START, ["shop/Dockerfile:2 PYTHONWARNINGS=error"]),
        (f"FROM python:3.11 AS build\nENV {STRICT}\n" + IMAGE + START, []),
        (IMAGE + 'CMD ["python", "-W", "error", "-m", "shop"]\n', ["shop/Dockerfile:2 PYTHONWARNINGS=error"]),
        (IMAGE + "CMD exec python3 -Werror shop.py\n", ["shop/Dockerfile:2 PYTHONWARNINGS=error"]),
        (IMAGE + f"CMD {STRICT} gunicorn shop\n", ["shop/Dockerfile:2 PYTHONWARNINGS=error"]),
        (
            IMAGE + f'ENV {STRICT}\nENTRYPOINT ["python", "-W", "ignore"]\nCMD ["-m", "shop"]\n',
            ["shop/Dockerfile:3 PYTHONWARNINGS=error,ignore"],
        ),
        (IMAGE + f"ENV {STRICT}\nCMD pytest\n", []),
        (
            IMAGE + "ENV SETUPTOOLS_USE_DISTUTILS=stdlib\n" + START,
            ["shop/Dockerfile:2 SETUPTOOLS_USE_DISTUTILS=stdlib"],
        ),
    ],
)
def test_an_image_says_it(tmp_path: Path, dockerfile: str, expected: list[str]) -> None:
    assert variables_in(tmp_path, {"shop/Dockerfile": dockerfile}) == expected


def test_an_image_of_tests_says_nothing(tmp_path: Path) -> None:
    files = {"shop/Dockerfile": IMAGE + START, "shop/Dockerfile.test": f"{IMAGE}ENV {STRICT}\n{START}"}
    assert variables_in(tmp_path, files) == []


@pytest.mark.parametrize(
    ("command", "script", "expected"),
    [
        ('["bin/serve"]', "#!/usr/bin/env -S python3 -W error\n", ["shop/bin/serve:1 PYTHONWARNINGS=error"]),
        ('["/srv/bin/serve"]', "#!/usr/bin/python3 -Werror\n", ["shop/bin/serve:1 PYTHONWARNINGS=error"]),
        ('["python", "bin/serve"]', "#!/usr/bin/env -S python3 -W error\n", []),
        ('["bin/serve"]', "#!/usr/bin/env python3\n# python -W error\n", []),
        ('["bin/other"]', "#!/usr/bin/env -S python3 -W error\n", []),
    ],
)
def test_a_script_says_it_in_its_first_line(tmp_path: Path, command: str, script: str, expected: list[str]) -> None:
    files = {"shop/Dockerfile": f"{IMAGE}COPY . .\nCMD {command}\n", "shop/bin/serve": script}
    assert variables_in(tmp_path, files) == expected


def test_a_script_of_the_shell_says_it(tmp_path: Path) -> None:
    script = f"#!/bin/sh\n# {STRICT}\nexport {STRICT}\nexec python -W default -m shop\n"
    files = {"shop/Dockerfile": f'{IMAGE}ENTRYPOINT ["./entrypoint.sh"]\n', "shop/entrypoint.sh": script}
    assert variables_in(tmp_path, files) == ["shop/entrypoint.sh:4 PYTHONWARNINGS=error,default"]


COMPOSE = "services:\n  shop:\n    build: shop\n"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", []),
        ("    environment:\n      PYTHONWARNINGS: error\n", ["compose.yml:5 PYTHONWARNINGS=error"]),
        (f"    environment: [{STRICT}]\n", ["compose.yml:4 PYTHONWARNINGS=error"]),
        ("    command: python -W error -m shop\n", ["compose.yml:4 PYTHONWARNINGS=error"]),
        (f"    command: pytest\n    environment: [{STRICT}]\n", []),
    ],
)
def test_a_compose_file_says_it(tmp_path: Path, settings: str, expected: list[str]) -> None:
    files = {"shop/Dockerfile": IMAGE + START, "compose.yml": COMPOSE + settings}
    assert variables_in(tmp_path, files) == expected


def test_a_procfile_says_it(tmp_path: Path) -> None:
    files = {"shop/Procfile": "release: true\nweb: python -W error -m shop\n"}
    assert variables_in(tmp_path, files) == ["shop/Procfile:2 PYTHONWARNINGS=error"]


CONTAINER = """\
kind: Deployment
spec:
  template:
    spec:
      containers:
        - image: shop
          command: {command}
          env:
            - name: PYTHONWARNINGS
              value: {value}
"""


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("k8s/shop.yaml", CONTAINER.format(command="[flask]", value="error"), [":9 PYTHONWARNINGS=error"]),
        (
            "k8s/shop.yaml",
            CONTAINER.format(command="[python, -W, default, -m, shop]", value="error"),
            [":7 PYTHONWARNINGS=error,default"],
        ),
        ("k8s/shop.yaml", CONTAINER.format(command="[pytest]", value="error"), []),
        (
            "k8s/shop.yaml",
            CONTAINER.format(command="[flask]", value="default").replace("shop", "vendor/agent")
            + "        - image: shop\n",
            [],
        ),
        ("k8s/test/shop.yaml", CONTAINER.format(command="[flask]", value="error"), []),
        ("supervisord.conf", f"[program:shop]\n;{STRICT}\nenvironment={STRICT}\n", [":3 PYTHONWARNINGS=error"]),
        ("crontab", "0 * * * * root python -W error job.py\n", [":1 PYTHONWARNINGS=error"]),
    ],
)
def test_what_starts_programs_says_it(tmp_path: Path, path: str, text: str, expected: list[str]) -> None:
    """Manifests of Kubernetes, and settings of supervisord and cron."""
    files = {"shop/Dockerfile": IMAGE + START, f"shop/{path}": text}
    assert variables_in(tmp_path, files) == [f"shop/{path}{place}" for place in expected]
