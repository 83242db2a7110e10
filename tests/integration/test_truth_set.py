"""The truth set, run by every interpreter: each verdict of it is one that was seen."""

from pathlib import Path

import pytest

from pytest_py312.runners.base import CellUnavailable
from tests.truth.cases import Version, read_snippets
from tests.truth.verify import find_pythons, has_setuptools, record_all, untrue

SNIPPETS = read_snippets()
CATEGORIES = sorted({snippet.category for snippet in SNIPPETS})


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[Version, Path]:
    try:
        return find_pythons(tmp_path_factory.mktemp("found"))
    except CellUnavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_mark_was_seen(category: str, pythons: dict[Version, Path], tmp_path: Path) -> None:
    """Each snippet breaks, warns and changes where its marks say, and nowhere else."""
    if category == "packaging" and not as_users_have_them(pythons):
        pytest.skip("setuptools does not come with 3.9 to 3.11 here, or comes with 3.12 and later")
    snippets = tuple(snippet for snippet in SNIPPETS if snippet.category == category)
    runs = record_all(pythons, snippets, tmp_path)

    assert [trouble for snippet in snippets for trouble in untrue(snippet, runs[snippet.id])] == []


def as_users_have_them(pythons: dict[Version, Path]) -> bool:
    """Whether setuptools is there up to 3.11 and not from 3.12: so come ``venv`` and the official images."""
    return all(has_setuptools(python) is (version < (3, 12)) for version, python in pythons.items())
