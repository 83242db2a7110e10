"""Compile the modules of an environment that a cell is likely to import."""

from collections.abc import Collection
from pathlib import Path

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.runner import Runner

CATALOGUE_SIZE = 64
"""A folder with more modules is a catalogue (lexers, locales), of which a program imports only a few."""

COMPILE_SCRIPT = """
import compileall, importlib.util, marshal, os, sys
root, catalogue_size, left_out = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
for folder, folders, files in os.walk(root):
    folders[:] = [name for name in folders if name not in ("__pycache__", "tests", *left_out)]
    modules = [name for name in files if name.endswith(".py")]
    if len(modules) > catalogue_size:
        modules = [name for name in modules if name.startswith("_")]
    for name in modules:
        path = os.path.join(folder, name)
        compileall.compile_file(path, quiet=2)
        compiled = importlib.util.cache_from_source(path)
        try:
            if os.path.getsize(compiled) % 512 == 0:
                with open(compiled, "rb") as stream:
                    marshal.loads(stream.read()[16:])
        except OSError:
            continue
        except (EOFError, TypeError, ValueError):
            os.remove(compiled)
"""
"""Compiles the modules that a cell is likely to import. uv's ``--compile-bytecode`` compiles everything, which takes a
third of a cold run: mostly in catalogues, in tests, and in a setuptools that is not required. A module that is left out
is compiled once per environment, when it is imported.

Until 3.12.8 and 3.13.1 a full disk leaves a file that was cut off at a block of the disk, and each import of it fails
(https://github.com/python/cpython/issues/126606). Such a file is removed here."""


def compile_modules(library: Path, left_out: Collection[str], build: InterpreterBuild, runner: Runner) -> None:
    """Compile the modules below ``library``, except for the projects ``left_out``.

    Failures do not matter: imports compile as well.
    """
    argv = ["{python}", "-I", "-c", COMPILE_SCRIPT, runner.path_inside(library), str(CATALOGUE_SIZE)]
    runner.run_tool(build, [*argv, ",".join(sorted(left_out))], time_limit=600)
