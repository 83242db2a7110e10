"""The truth set, run by every interpreter: each verdict of it is one that was seen."""

from pathlib import Path

import pytest

from pytest_py312.runners.base import CellUnavailable
from tests.truth.cases import Snippet, Version, read_snippets
from tests.truth.verify import Run, find_pythons, has_setuptools, record_all, untrue

SNIPPETS = read_snippets()


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[Version, Path]:
    try:
        return find_pythons(tmp_path_factory.mktemp("found"))
    except CellUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def runs(pythons: dict[Version, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[Version, Run]]:
    return record_all(pythons, SNIPPETS, tmp_path_factory.mktemp("snippets"))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.id)
def test_every_mark_was_seen(
    snippet: Snippet, runs: dict[str, dict[Version, Run]], pythons: dict[Version, Path]
) -> None:
    """Each snippet breaks, warns and changes where its marks say, and nowhere else."""
    if snippet.category == "packaging" and not as_users_have_them(pythons):
        pytest.skip("setuptools does not come with 3.9 to 3.11 here, or comes with 3.12 and later")
    assert list(untrue(snippet, runs[snippet.id])) == []


def as_users_have_them(pythons: dict[Version, Path]) -> bool:
    """Whether setuptools is there up to 3.11 and not from 3.12: so come ``venv`` and the official images."""
    return all(has_setuptools(python) is (version < (3, 12)) for version, python in pythons.items())
