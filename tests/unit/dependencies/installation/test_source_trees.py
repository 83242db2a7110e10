"""The service itself is built where another project of the repository that is installed with it requires it."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.fleet import Distribution
from pytest_py312.dependencies.installation.source_trees import requires_service
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from tests.support.fakes import service


def tree(*requires: str) -> StoredDistribution:
    return StoredDistribution(name="server", version="1", folder=Path("/nowhere"), requires=requires)


@pytest.mark.parametrize(
    ("requires", "static", "expected"),
    [
        (("six", "Shop.Lib>=1 ; python_version > '3'"), True, True),
        (("shop-lib",), False, False),
        (("shop-libs",), True, False),
        ((), True, False),
    ],
)
def test_only_a_project_of_that_name_is_built(requires: tuple[str, ...], static: bool, expected: bool) -> None:
    """One whose metadata need a build is built in any case."""
    own = replace(service(), distribution=Distribution(name="shop_lib", version="1", static=static, source_roots=()))
    assert requires_service([None, tree(*requires)], own) is expected
    assert requires_service([tree(*requires)], replace(service(), distribution=None)) is False
