"""Advice to require setuptools that was tried and does not work is not given."""

import pytest

from pytest_py312.analysis.judging.packaging import offered_setuptools, without_setuptools_offer
from pytest_py312.core.model.findings import Finding


@pytest.mark.parametrize(
    ("code", "remedy", "requirement", "left"),
    [
        (
            "PY209",
            "require setuptools<82, or use importlib.metadata and importlib.resources",
            "setuptools<82",
            "use importlib.metadata and importlib.resources (the other requirements do not work with setuptools<82)",
        ),
        (
            "PY209",
            "require setuptools",
            "setuptools",
            "do without setuptools (the other requirements do not work with setuptools)",
        ),
        (
            "PY209",
            "require setuptools>=66.1,<82, or use importlib.metadata and importlib.resources",
            "setuptools>=66.1,<82",
            "use importlib.metadata and importlib.resources "
            "(the other requirements do not work with setuptools>=66.1,<82)",
        ),
        ("PY209", "use shutil.which", "", ""),
        ("PY243", "require setuptools<82", "", ""),
    ],
)
def test_the_offer_is_taken_out(code: str, remedy: str, requirement: str, left: str) -> None:
    finding = Finding(code=code, message="missing", remedy=remedy, names=("setuptools",))

    assert offered_setuptools(finding) == requirement
    if requirement:
        assert without_setuptools_offer(finding, requirement).remedy == left
