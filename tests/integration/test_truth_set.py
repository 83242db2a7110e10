"""The truth set, run by every interpreter: each verdict of it is one that was seen, and the product is judged by it."""

from fractions import Fraction
from pathlib import Path

import pytest

from pytest_py312.runners.runner import CellUnavailable
from tests.truth.cases import Kind, Version, read_snippets
from tests.truth.product import findings_of
from tests.truth.score import Score, mistakes, score
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


@pytest.fixture(scope="module", params=[(3, 12), (3, 11), (3, 13)], ids=["3.12", "3.11", "3.13"])
def result(
    pythons: dict[Version, Path], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Score:
    """What the product makes of the set on the way from 3.9."""
    folder = tmp_path_factory.mktemp("product")
    return score(SNIPPETS, findings_of(SNIPPETS, (3, 9), request.param, folder), (3, 9), request.param)


def test_what_breaks_is_found(result: Score) -> None:
    """At least 98 of 100 breaks, on their lines, as errors."""
    assert result.recall(Kind.BREAK) >= Fraction(98, 100), "\n".join(mistakes(result))


def test_what_warns_is_found(result: Score) -> None:
    """At least 95 of 100 deprecations and syntax warnings. The others show at run time only."""
    assert result.recall(Kind.WARNS) >= Fraction(95, 100), "\n".join(mistakes(result))


def test_what_bars_the_way_back_is_found(result: Score) -> None:
    """At least 95 of 100 uses of what 3.9 has not."""
    assert result.recall(Kind.NEEDS) >= Fraction(95, 100), "\n".join(mistakes(result))


def test_what_is_said_is_true(result: Score) -> None:
    """Of 100 findings at most one is of a line on which nothing happens."""
    assert result.precision >= Fraction(99, 100), "\n".join(mistakes(result))


def as_users_have_them(pythons: dict[Version, Path]) -> bool:
    """Whether setuptools is there up to 3.11 and not from 3.12: so come ``venv`` and the official images."""
    return all(has_setuptools(python) is (version < (3, 12)) for version, python in pythons.items())
