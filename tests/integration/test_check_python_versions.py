"""Comparison with check-python-versions: what it finds in a file is found here too."""

from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.repository.declarations.declaration import DeclarationRole
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.formats.version_ranges import range_includes
from tests.unit.repository.edits.test_moving_a_platform import platform

check_python_versions = pytest.importorskip("check_python_versions.sources.all")

PLANNED = [Interpreter(3, minor) for minor in range(6, 15)]
FILES = {
    "setup.py": [
        "from setuptools import setup\nsetup(classifiers=['Programming Language :: Python :: 3',\n"
        "    'Programming Language :: Python :: @'], python_requires='>=@')\n",
        "from setuptools import setup\nc = ['Programming Language :: Python :: @']\nsetup(classifiers=c)\n",
        "from setuptools import setup\nsetup(classifiers=['x'] + ['Programming Language :: Python :: @'],\n"
        "    python_requires=', '.join(['>=@', '!=3.8.*']))\n",
    ],
    "pyproject.toml": [
        "[project]\nrequires-python = '>=@'\nclassifiers = [\n  'Programming Language :: Python :: @',\n]\n",
        "[tool.poetry]\nclassifiers = ['Programming Language :: Python :: @']\n"
        "[tool.poetry.dependencies]\npython = '^@'\n",
        "[tool.flit.metadata]\nrequires-python = '>=@,<3.13'\nclassifiers = ['Programming Language :: Python :: @']\n",
    ],
    "tox.ini": [
        "[tox]\nenvlist = py38,py#,lint\n",
        "[tox]\nenvlist =\n    py38\n    py#-a, py@-b\n    pypy3\n",
        "[tox]\nenvlist = py{38,#}-{a,b} docs\n",
        "[tox]\nenvlist = py{38,39,310,311,312},flake8\n",
    ],
    ".travis.yml": [
        "python:\n  - '3.8'\n  - '@'\n  - pypy3\n",
        "python: '@'\n",
        "matrix:\n  include:\n    - python: '@'\n      env: TOXENV=py#\n",
        "jobs:\n  include:\n    - python: '@'\n    - {python: '3.8', env: X}\n",
        "python: '3.8'\nenv:\n  - TOXENV=py#\n",
    ],
    ".github/workflows/ci.yml": [
        "jobs:\n  a:\n    strategy:\n      matrix:\n        python-version: ['3.8', '@', pypy-3.9]\n",
        "jobs:\n  a:\n    strategy:\n      matrix:\n        python-version:\n          - '@'\n        include:\n"
        "          - {python-version: '3.11', os: x}\n",
        "jobs:\n  a:\n    strategy:\n      matrix:\n        config:\n"
        "          - ['@', 'py#']\n          - ['3.8', 'py38']\n",
    ],
    "appveyor.yml": [
        "environment:\n  matrix:\n    - PYTHON: 'C:\\Python#'\n    - PYTHON: 'C:\\Python38-x64'\n",
        'environment:\n  matrix:\n    - PYTHON: "C:\\\\Python#-x64"\n      TOXENV: py38\n',
    ],
    ".manylinux-install.sh": [
        'for PYBIN in /opt/python/*/bin; do\n    if [[ "${PYBIN}" == *"cp#"* ]] || \\\n'
        '       [[ "${PYBIN}" == *"cp38"* ]]; then\n        :\n    fi\ndone\n'
    ],
}
"""Texts of each file; ``@`` is the version, ``#`` the same without its dot."""


def versions_found_by_tool(path: str, file: Path) -> set[str]:
    """Return what its sources read in ``file``, which is at ``path`` in a repository."""
    sources = (source for source in check_python_versions.ALL_SOURCES if Path(path).match(source.filename))
    return {str(found) for source in sources for found in source.extract(str(file)) or ()}


def versions_found_by_us(text: str, path: str) -> set[str]:
    """Return the versions that a text declares, or includes in a range."""
    places = read_declarations(text, path)
    ranges = [place.text for place in places if place.role is DeclarationRole.RANGE]
    ours = {str(place.version) for place in places if place.version}
    return ours | {str(planned) for planned in PLANNED if any(range_includes(written, planned) for written in ranges)}


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(("path", "template"), [(path, text) for path, texts in FILES.items() for text in texts])
def test_all_versions_that_it_finds_are_found(path: str, template: str, version: str, tmp_path: Path) -> None:
    """Each version that one of its sources reads is declared, or included in a range."""
    text = template.replace("@", version).replace("#", version.replace(".", ""))
    file = tmp_path / Path(path).name
    file.write_text(text, encoding="utf-8")
    theirs = versions_found_by_tool(path, file)
    ours = versions_found_by_us(text, path)
    cpython = {found for found in theirs if found.startswith("3.") and Interpreter.parse(found) in PLANNED}
    assert version in cpython
    assert cpython - ours == set()


def test_all_versions_that_it_finds_in_a_platform_are_found(tmp_path: Path) -> None:
    """Twenty services like those of a real platform; it reads metadata and workflows."""
    seen = 0
    for path, text in platform().items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        theirs = {found for found in versions_found_by_tool(path, file) if Interpreter.parse(found) in PLANNED}
        seen += len(theirs)
        assert theirs - versions_found_by_us(text, path) == set(), path
    assert seen > 0
