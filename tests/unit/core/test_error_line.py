"""The line of a process's output that best explains why it ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.text import error_line

USAGE = """\
ERROR: usage: __main__.py [options] [file_or_dir] [file_or_dir] [...]
__main__.py: error: unrecognized arguments: --cov=app
  inifile: /work/app/pyproject.toml
  rootdir: /work/app
"""
CONFTEST = """\
ImportError while loading conftest '/work/app/tests/conftest.py'.
tests/conftest.py:8: in <module>
    import redis
E   ModuleNotFoundError: No module named 'redis'
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "/work/app/settings.py", line 3, in <module>
    SECRET_KEY = config("SECRET_KEY")
                 ^^^^^^^^^^^^^^^^^^^^
decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default value.
"""
FOLDED = """\
  ImportError: cannot import name 'formatargspec' from 'inspect' (/opt/python/3.12.1/lib/python3.12/inspect.py). Did you
  mean: 'formatargvalues'?

  hint: This usually indicates a problem with the package or the build environment.
"""
BACKEND = """\
error: Multiple top-level packages discovered in a flat-layout: ['shop', 'static'].

To find more information, look for "package discovery" on setuptools docs.
"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (USAGE, "__main__.py: error: unrecognized arguments: --cov=app"),
        (CONFTEST, "ModuleNotFoundError: No module named 'redis'"),
        (
            TRACEBACK,
            "decouple.UndefinedValueError: SECRET_KEY not found. Declare it as envvar or define a default value.",
        ),
        (
            FOLDED,
            "ImportError: cannot import name 'formatargspec' from 'inspect' "
            "(/opt/python/3.12.1/lib/python3.12/inspect.py). Did you mean: 'formatargvalues'?",
        ),
        (BACKEND, "error: Multiple top-level packages discovered in a flat-layout: ['shop', 'static']."),
        ("ERROR: while parsing filters:\n\nDeprecationWarning: 'cgi' is gone\n", "DeprecationWarning: 'cgi' is gone"),
        ("Connecting\nnothing answers\n\n", "nothing answers"),
        ("", ""),
    ],
)
def test_the_explaining_line_is_found(output: str, line: str) -> None:
    assert error_line(output) == line


@given(st.text())
def test_any_output_is_accepted(output: str) -> None:
    assert len(error_line(output)) <= 410
