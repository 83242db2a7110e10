"""Find the modules that programs import first: programs in the service's start commands, and well-known ones.

A service often starts a server or worker without importing it: ``import celery`` works on 3.12 where ``celery worker``
fails at once. Importing the first module of a program shows that without starting it, because a console script begins
with the import of its module.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import ConfigParser, Error
from pathlib import Path

from pytest_py312.core.model.fleet import Program
from pytest_py312.core.python_syntax import parse_python
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution

PROGRAM_MODULES: Mapping[str, tuple[str, ...]] = {
    "alembic": ("alembic.config",),
    "arq": ("arq.cli",),
    "celery": ("celery.bin.celery", "celery.apps.worker"),
    "daphne": ("daphne.cli",),
    "django": ("django.core.management",),
    "dramatiq": ("dramatiq.cli",),
    "flask": ("flask.cli",),
    "flower": ("flower.command",),
    "gunicorn": ("gunicorn.app.wsgiapp",),
    "huey": ("huey.consumer",),
    "hypercorn": ("hypercorn.run",),
    "locust": ("locust.main",),
    "rq": ("rq.cli",),
    "uvicorn": ("uvicorn.main",),
    "waitress": ("waitress.runner",),
}
"""Project -> the modules that its program imports first."""
_PROJECT_BY_MODULE = {module: project for project, modules in PROGRAM_MODULES.items() for module in modules}


def start_modules_of_project(project: str, distributions: Sequence[StoredDistribution]) -> tuple[str, ...]:
    """Return the well-known start modules of ``project`` that are installed; not every version has all of them."""
    candidate_modules = PROGRAM_MODULES.get(project, ())
    project_distributions = (
        [distribution for distribution in distributions if distribution.name == project] if candidate_modules else []
    )
    return tuple(
        module
        for module in candidate_modules
        if any(_module_file(module, distribution) for distribution in project_distributions)
    )


def start_modules_of_programs(
    programs: Iterable[Program], distributions: Sequence[StoredDistribution]
) -> tuple[str, ...]:
    """Return the modules that ``programs`` import first, as far as an installed distribution has them.

    For a console script this is the module of its entry point; for a script without one, those of its modules that it
    imports. For ``python -m package`` it is the package and the submodules that its ``__main__`` imports: importing
    ``__main__`` itself would start most programs.
    """
    return tuple(dict.fromkeys(module for program in programs for module in _start_modules(program, distributions)))


def installed_modules(names: Iterable[str], distributions: Sequence[StoredDistribution]) -> frozenset[str]:
    """Return the modules of ``distributions`` in which dotted ``names`` are found; names of nothing are left out.

    Of ``package.module.attribute`` that is ``package.module``. A package without ``__init__.py`` is not one of them:
    importing it proves nothing about what it contains.
    """
    providers: dict[str, list[StoredDistribution]] = {}
    modules = set()
    for name in names:
        steps = name.split(".")
        if steps[0] not in providers:
            providers[steps[0]] = [
                distribution
                for distribution in distributions
                if (distribution.folder / "lib" / steps[0]).is_dir() or _module_file(steps[0], distribution)
            ]
        candidates = (".".join(steps[:count]) for count in range(len(steps), 0, -1))
        modules.add(next((m for m in candidates if any(_module_file(m, found) for found in providers[steps[0]])), ""))
    return frozenset(modules - {""})


_NOT_FOR_IMPORT = re.compile(r"tests?|test_\w+|\w+_tests?|conftest|setup|docs|examples?|benchmarks?")
"""Top-level modules that a distribution contains by mistake: they need what only its own development has."""


def importable_modules(modules: Sequence[str]) -> tuple[str, ...]:
    """Return the top-level modules of a distribution that are meant to be imported; all, if it has no other."""
    return tuple(name for name in modules if not _NOT_FOR_IMPORT.fullmatch(name)) or tuple(modules)


def project_of_module(module: str, distributions: Iterable[StoredDistribution] = ()) -> str | None:
    """Return the project whose program starts with ``module``, or that contains it."""
    return _PROJECT_BY_MODULE.get(module) or next(
        (distribution.name for distribution in distributions if _module_file(module, distribution)), None
    )


def _start_modules(program: Program, distributions: Sequence[StoredDistribution]) -> Iterator[str]:
    if not program.is_module:
        owners = [
            distribution
            for distribution in distributions
            if (distribution.folder / "data" / "bin" / program.name).is_file()
        ]
        for distribution in owners:
            module = _entry_point_module(distribution, program.name)
            imported = (module,) if module else _imported_modules(distribution.folder / "data" / "bin" / program.name)
            yield from (name for name in imported if _module_file(name, distribution))
        return
    for distribution in distributions if not program.is_script else ():
        file = _module_file(program.name, distribution)
        if file is not None and file.name == "__init__.py":
            yield program.name
            yield from (
                submodule
                for submodule in _imported_submodules(file.with_name("__main__.py"), program.name)
                if _module_file(submodule, distribution)
            )


def _module_file(module: str, distribution: StoredDistribution) -> Path | None:
    path = distribution.folder / "lib" / module.replace(".", "/")
    return next((file for file in (path / "__init__.py", path.with_name(f"{path.name}.py")) if file.is_file()), None)


def _entry_point_module(distribution: StoredDistribution, script: str) -> str:
    """Return the module that a console script imports according to the metadata; empty if they do not list it."""
    for file in (distribution.folder / "lib").glob("*.dist-info/entry_points.txt"):
        parser = ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # documented way to keep the case of names
        try:
            parser.read(file, encoding="utf-8")
        except (Error, UnicodeDecodeError):
            continue
        return parser.get("console_scripts", script, fallback="").partition(":")[0].strip()
    return ""


def _imported_submodules(file: Path, package: str) -> Iterator[str]:
    """Yield the modules of ``package`` that ``file`` imports outside of functions and conditions."""
    for module in _imported_modules(file, package):
        if module.startswith(f"{package}."):
            yield module


def _imported_modules(file: Path, package: str = "") -> Iterator[str]:
    """Yield the dotted names that ``file``, which is in ``package``, imports outside of functions and conditions."""
    try:
        tree = parse_python(file.read_bytes())
    except OSError:
        return
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level <= 1:
            module = ".".join(filter(None, (package if node.level else "", node.module or "")))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
