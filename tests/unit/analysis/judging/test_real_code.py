"""Shapes of code that large distributions hold, and what is said of them; interpreters are played by a few names."""

from textwrap import dedent

import pytest

from pytest_py312.core.model.findings import Severity
from tests.unit.analysis.hearing import codes, heard

OLD = (
    "imp",
    "imp:reload",
    "asyncio:coroutine",
    "collections:Mapping",
    "distutils",
    "unittest:makeSuite",
    "pkgutil:ImpImporter",
)
"""What the baseline has and the target does not."""
NEW = ("tomllib", "asyncio:timeout", "importlib.metadata:entry_points().select")
"""The other way round."""


def said(text: str) -> list[str]:
    """Code and line of each finding that blocks, on the way from 3.9 to 3.12."""
    return codes(one for one in heard(text, gone=OLD, new=NEW) if one.severity is Severity.ERROR)


def test_what_the_helper_calls_gone_is_found() -> None:
    assert said("import imp") == ["PY201 1"]
    assert said("import asyncio\n\nasyncio.coroutine") == ["PY202 3"]


def test_an_annotation_beside_none_makes_no_mutable_default() -> None:
    text = """
        from dataclasses import dataclass

        @dataclass
        class Changes:
            names: list

        @dataclass
        class Task:
            changes: Changes | None = {}
        """

    assert said(text.format("None")) == []
    assert said(text.format("Changes([])")) == ["PY206 10"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('entry_points()["x"]', ["PY206 3"]),
        ('entry_points().get("x", ())', ["PY206 3"]),
        ('entry_points(group="x")["y"]', []),
        ('entry_points(group="x").names', []),
    ],
)
def test_entry_points_that_are_selected_are_looked_up_by_name(text: str, found: list[str]) -> None:
    assert said(f"from importlib.metadata import entry_points\n\n{text}") == found


@pytest.mark.parametrize(
    "imported",
    [
        "from importlib.metadata import entry_points",
        """
        try:
            from importlib.metadata import entry_points
        except ImportError:
            from importlib_metadata import entry_points
        """,
        """
        import sys
        if sys.version_info >= (3, 8):
            from importlib import metadata
        else:
            import importlib_metadata as metadata
        entry_points = metadata.entry_points
        """,
    ],
)
@pytest.mark.parametrize("asked", ['hasattr(found, "select")', "not isinstance(found, dict)"])
def test_entry_points_are_asked_for_what_they_have(imported: str, asked: str) -> None:
    """Of the library or of its backport: where it is the library's, the question is answered by that."""
    text = f"""
{dedent(imported)}
found = entry_points()
if {asked}:
    chosen = found.select(group="x")
else:
    chosen = found.get("x", ())
"""

    assert said(text) == []


@pytest.mark.parametrize(("beside", "found"), [("find_spec", []), ("find_modules", ["PY202 6"])])
def test_an_old_finder_beside_a_new_one_is_not_called_any_more(beside: str, found: list[str]) -> None:
    text = f"""
        import pkgutil

        class Finder(Unknown):
            def find_module(self, name, path=None):
                return pkgutil.ImpImporter(path)

            def {beside}(self, name, path=None):
                return None
        """

    assert said(text) == found
