"""Which module of a service is imported to measure its start."""

from pathlib import Path

import pytest

from pytest_py312.gate.benchmarks.service_benchmarks import entry_module
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service, service_tree

GUARDED = '"""Starts."""\nfrom app.web import serve\n\nif __name__ == "__main__":\n    serve()\n'
UNGUARDED = "from app.web import serve\nserve()\n"


def entry(root: Path, command: str, **files: str) -> str:
    written = {
        "services/user-service/Dockerfile": f"FROM python:3.9-slim\nCOPY . /app\n{command}\n",
        **{f"services/user-service/{name.replace('__', '/', 1)}.py": text for name, text in files.items()},
    }
    service_tree(root, written)
    return entry_module(Tree(root), service(), ("services/user-service/Dockerfile",))


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ('CMD ["uvicorn", "app.main:app", "--host", "0.0.0.0"]', "app.main"),
        ("CMD gunicorn -w 4 'app.wsgi:create()'", "app.wsgi"),
        ('CMD ["celery", "-A", "app.tasks", "worker"]', "app.tasks"),
        ('CMD ["node", "server.js"]', ""),
        ("", ""),
    ],
)
def test_the_module_that_the_image_starts(tmp_path: Path, command: str, module: str) -> None:
    """None, if it starts no module."""
    assert entry(tmp_path, command) == module


def test_a_package_that_is_run(tmp_path: Path) -> None:
    """Its ``__main__`` if importing it starts nothing, otherwise the package alone."""
    command = 'CMD ["python", "-m", "app"]'
    for name, text, module in (
        ("guarded", GUARDED, "app.__main__"),
        ("unguarded", UNGUARDED, "app"),
        ("broken", "if", "app"),
    ):
        root = tmp_path / name
        service_tree(root, {"services/user-service/src/app/__main__.py": text})
        assert entry(root, command) == module
    assert entry(tmp_path / "without", command) == "app"
