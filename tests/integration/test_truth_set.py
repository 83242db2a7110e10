"""The truth set, run on every interpreter: its marks are verified, and the source check is scored on it."""

from fractions import Fraction
from itertools import chain
from pathlib import Path

import pytest

from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.runners.runner import CellUnavailable
from tests.truth.cases import Kind, Snippet, Version, read_snippets
from tests.truth.product import findings_of
from tests.truth.score import Score, mistakes, score
from tests.truth.verify import Run, find_builds, has_setuptools, is_verified, mark_mistakes, programs_of, record_all

SNIPPETS = read_snippets()
CATEGORIES = sorted({snippet.category for snippet in SNIPPETS})


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[Version, InterpreterBuild]:
    try:
        return find_builds(tmp_path_factory.mktemp("found"))
    except CellUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def pythons(builds: dict[Version, InterpreterBuild]) -> dict[Version, Path]:
    return programs_of(builds)


@pytest.fixture(scope="module")
def chosen(builds: dict[Version, InterpreterBuild]) -> dict[str, tuple[Snippet, ...]]:
    """The snippets of each category that are run.

    Of a category that was verified on the same interpreters, and has not changed since then, this is one of ten.
    """
    steps = {category: 10 if is_verified(category, builds) else 1 for category in CATEGORIES}
    return {
        category: tuple(snippet for snippet in SNIPPETS if snippet.category == category)[::step]
        for category, step in steps.items()
    }


@pytest.fixture(scope="module")
def runs(
    chosen: dict[str, tuple[Snippet, ...]], pythons: dict[Version, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[Version, Run]]:
    """How the chosen snippets run: by snippet and interpreter."""
    return record_all(pythons, tuple(chain.from_iterable(chosen.values())), tmp_path_factory.mktemp("snippets"))


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_mark_is_true(
    category: str,
    chosen: dict[str, tuple[Snippet, ...]],
    runs: dict[str, dict[Version, Run]],
    pythons: dict[Version, Path],
) -> None:
    """Each snippet breaks, warns and changes where its marks say, and nowhere else."""
    if category == "packaging" and not is_setuptools_as_in_venv(pythons):
        pytest.skip("setuptools does not come with 3.9 to 3.11 here, or comes with 3.12 and later")

    assert [mistake for snippet in chosen[category] for mistake in mark_mistakes(snippet, runs[snippet.id])] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the source check reads all snippets, once for all moves."""
    return tmp_path_factory.mktemp("product")


@pytest.fixture(scope="module", params=[(3, 12), (3, 11), (3, 13)], ids=["3.12", "3.11", "3.13"])
def result(pythons: dict[Version, Path], request: pytest.FixtureRequest, folder: Path) -> Score:
    """The score of the source check for a move from 3.9."""
    return score(SNIPPETS, findings_of(SNIPPETS, (3, 9), request.param, folder), (3, 9), request.param)


def test_breaks_are_found(result: Score) -> None:
    """At least 98 of 100 breaks, on their lines, as errors."""
    assert result.recall(Kind.BREAK) >= Fraction(98, 100), "\n".join(mistakes(result))


def test_warnings_are_found(result: Score) -> None:
    """At least 95 of 100 deprecations and syntax warnings; the others occur at run time only."""
    assert result.recall(Kind.WARNS) >= Fraction(95, 100), "\n".join(mistakes(result))


def test_code_that_is_too_new_for_the_baseline_is_found(result: Score) -> None:
    """At least 95 of 100 uses of what 3.9 lacks."""
    assert result.recall(Kind.NEEDS) >= Fraction(95, 100), "\n".join(mistakes(result))


def test_findings_are_true(result: Score) -> None:
    """At most one of 100 findings is about a line on which nothing happens."""
    assert result.precision >= Fraction(99, 100), "\n".join(mistakes(result))


def is_setuptools_as_in_venv(pythons: dict[Version, Path]) -> bool:
    """Whether setuptools is installed up to 3.11 and not from 3.12, as with ``venv`` and the official images."""
    return all(has_setuptools(python) is (version < (3, 12)) for version, python in pythons.items())
