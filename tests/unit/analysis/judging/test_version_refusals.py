"""Code that refuses to run on some Pythons."""

import pytest

from tests.unit.analysis.fake_interpreters import codes, judge_texts

PROGRAM = """\
import os, platform, sys
MAX = (3, 10)
def main():
    {test}:
        {end}
def unused():
    pass
if __name__ == "__main__":
    {called}()
"""


@pytest.mark.parametrize(
    ("test", "end"),
    [
        ("if sys.version_info >= (3, 11)", 'sys.exit("unsupported")'),
        ("if sys.version_info.minor > 10", "raise SystemExit(1)"),
        ("if sys.version_info[1] not in (8, 9, 10)", "raise RuntimeError"),
        ('if not platform.python_version().startswith("3.9")', "os._exit(3)"),
        ("if sys.hexversion >= 0x030b0000", "raise RuntimeError"),
        ("if sys.version_info[:2] > MAX", "raise RuntimeError"),
        ("if sys.version_info < (3, 11):\n        pass\n    else", "raise RuntimeError"),
    ],
)
def test_a_program_that_refuses_the_target(test: str, end: str) -> None:
    """An error in what runs with the module, as its ``main()`` does; a warning in what only a caller runs."""
    text = PROGRAM.format(test=test, end=end, called="main")
    assert [code.split()[0] for code in codes(judge_texts(text, target=(3, 12)))] == ["PY206"]
    only_called = PROGRAM.format(test=test, end=end, called="unused")
    assert [code.split()[0] for code in codes(judge_texts(only_called, target=(3, 12)))] == ["PY230"]


@pytest.mark.parametrize(
    ("test", "end"),
    [
        ("if sys.version_info < (3, 9)", 'sys.exit("too old")'),
        ("if sys.version_info >= (3, 13)", "raise RuntimeError"),
        ("if sys.version_info >= (3, 11)", "raise SystemExit"),
        ("if sys.version_info >= (3, 11)", "sys.exit(0)"),
        ("if sys.version_info >= (3, 11)", "print('new')"),
        ("if sys.version_info >= (3, 11) and os.environ.get('STRICT')", "raise RuntimeError"),
    ],
)
def test_other_tests_of_the_version(test: str, end: str) -> None:
    """Other Pythons are refused, the program ends well, or something else decides."""
    assert judge_texts(PROGRAM.format(test=test, end=end, called="main"), target=(3, 12)) == ()


def test_a_refusal_that_is_caught() -> None:
    text = "import sys\ntry:\n    if sys.version_info >= (3, 11): raise ImportError\nexcept ImportError: pass\n"
    assert judge_texts(text, target=(3, 12)) == ()
