"""Code patterns of large distributions and their findings; fake interpreters answer for a few names."""

from textwrap import dedent

import pytest

from pytest_py312.core.model.findings import Severity
from tests.unit.analysis.fake_interpreters import codes, judge_texts

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
"""What the target has and the baseline does not."""


def reported_codes(text: str) -> list[str]:
    """Return code and line of each error when migrating from 3.9 to 3.12."""
    return codes(one for one in judge_texts(text, gone=OLD, new=NEW) if one.severity is Severity.ERROR)


def test_names_that_the_fake_target_lacks_are_reported() -> None:
    assert reported_codes("import imp") == ["PY201 1"]
    assert reported_codes("import asyncio\n\nasyncio.coroutine") == ["PY202 3"]


def test_an_annotation_without_a_value_makes_no_mutable_default() -> None:
    text = """
        from dataclasses import dataclass

        @dataclass
        class Changes:
            names: list

        @dataclass
        class Task:
            changes: Changes | None = {}
        """

    assert reported_codes(text.format("None")) == []
    assert reported_codes(text.format("Changes([])")) == ["PY206 10"]


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
    assert reported_codes(f"from importlib.metadata import entry_points\n\n{text}") == found


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
def test_entry_points_of_the_library_and_of_the_backport_are_distinguished(imported: str, asked: str) -> None:
    """Only those of the standard library are evaluated by the query."""
    text = f"""
{dedent(imported)}
found = entry_points()
if {asked}:
    chosen = found.select(group="x")
else:
    chosen = found.get("x", ())
"""

    assert reported_codes(text) == []


@pytest.mark.parametrize(("second_method", "reported"), [("find_spec", []), ("find_modules", ["PY202 6"])])
def test_an_old_finder_is_not_called_where_there_is_a_new_one(second_method: str, reported: list[str]) -> None:
    text = f"""
        import pkgutil

        class Finder(Unknown):
            def find_module(self, name, path=None):
                return pkgutil.ImpImporter(path)

            def {second_method}(self, name, path=None):
                return None
        """

    assert reported_codes(text) == reported
