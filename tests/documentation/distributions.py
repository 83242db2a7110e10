"""Builds the distributions, checks what is in them, and makes a first run from the wheel alone.

    python -m tests.documentation.distributions [FOLDER]     # keeps them in FOLDER

It takes half a minute, needs the package index, and is a step of ``.ci/run``.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SDIST_TOP = frozenset({
    ".gitignore", ".pre-commit-hooks.yaml", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "README.zh-CN.md",
    "action.yml", "conftest.py", "docs", "examples", "mkdocs.yml", "pyproject.toml", "pytest_py312", "tests", "tox.ini",
})  # fmt: skip
"""What may be at the top of the source distribution; a file that lies around in a checkout is none of it."""
STRAY_PARTS = frozenset(
    {"__pycache__", ".py312", ".pytest_cache", ".mypy_cache", ".hypothesis", ".venv", "site", "dist"}
)
SUFFIXES = frozenset({".py", ".typed", ".css", ".js", ".j2", ".json"})
"""What the package consists of."""
SERVICE = {
    "shop/requirements.txt": "",
    "shop/Dockerfile": "FROM python:3.11-slim\n",
    "shop/shop.py": "import asyncore\n",
}
"""A service with one finding, and nothing to install."""


def stray_in_wheel(names: Iterable[str], name: str, version: str) -> list[str]:
    """Return the files of a wheel that do not belong there."""
    return [path for path in names if not (path.startswith(f"{name}-{version}.dist-info/") or _is_of(path, name))]


def _is_of(path: str, package: str) -> bool:
    parts = Path(path).parts
    return parts[0] == package and Path(path).suffix in SUFFIXES and not STRAY_PARTS & set(parts)


def stray_in_sdist(names: Iterable[str]) -> list[str]:
    """Return the files of a source distribution that do not belong there; the first part of each name is its folder."""
    parts = {path: Path(path).parts[1:] for path in names}
    return [path for path, rest in parts.items() if rest and (rest[0] not in SDIST_TOP or STRAY_PARTS & set(rest))]


def missing_in_wheel(names: Iterable[str], package: Path) -> list[str]:
    """Return the files of the package that a wheel lacks."""
    present = set(names)
    files = (file.relative_to(package.parent) for file in package.rglob("*") if file.is_file())
    return sorted(
        path.as_posix()
        for path in files
        if "__pycache__" not in path.parts and path.suffix in SUFFIXES and path.as_posix() not in present
    )


def run(argv: Sequence[object], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program without the settings of this environment."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    return subprocess.run(
        [str(word) for word in argv], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


def require(done: subprocess.CompletedProcess[str], code: int, text: str = "") -> None:
    """End this program unless another one ended as it should."""
    if done.returncode != code or text not in done.stdout:
        raise SystemExit(f"{' '.join(done.args)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def problems_of(wheel: Path, sdist: Path) -> list[str]:
    """Return what is wrong with the content of both distributions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = project["name"].replace("-", "_")
    with zipfile.ZipFile(wheel) as archive:
        wheel_names = archive.namelist()
    with tarfile.open(sdist) as sources:
        sdist_names = sources.getnames()
    return [
        *(f"{wheel.name} has {path}" for path in stray_in_wheel(wheel_names, name, project["version"])),
        *(f"{wheel.name} lacks {path}" for path in missing_in_wheel(wheel_names, ROOT / name)),
        *(f"{sdist.name} has {path}" for path in stray_in_sdist(sdist_names)),
    ]


def first_run(wheel: Path, folder: Path) -> None:
    """Install a wheel alone into a new environment, and check a service with it."""
    from uv import find_uv_bin

    environment = folder / "environment"
    require(run([sys.executable, "-m", "venv", "--without-pip", environment], folder), 0)
    python = environment / "bin/python"
    require(run([find_uv_bin(), "pip", "install", "--quiet", "--python", python, wheel], folder), 0)
    repository = folder / "repository"
    for path, text in SERVICE.items():
        file = repository / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    require(run([environment / "bin/py312", "inventory"], repository), 0, "shop")
    source_check = [environment / "bin/pytest", "--py312", "--py312-runner=local", "-m", "py312_source"]
    require(run(source_check, repository), 1, "PY201 module 'asyncore' was removed")


def main(arguments: list[str]) -> int:
    """Build, check, install and run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        output = Path(arguments[0]).absolute() if arguments else folder / "distributions"
        require(run([sys.executable, "-m", "build", "--installer", "uv", "--outdir", output, ROOT], folder), 0)
        (wheel,), (sdist,) = output.glob("*.whl"), output.glob("*.tar.gz")
        require(run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], folder), 0)
        problems = problems_of(wheel, sdist)
        for problem in problems:
            print(problem)
        if not problems:
            first_run(wheel, folder)
            print(f"{wheel.name} and {sdist.name} are complete, and a first run from the wheel works")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
