"""Which version of a distribution is the first without what is gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.findings import Located, Trouble
from pytest_py312.analysis.libraries.summary import How
from pytest_py312.analysis.libraries.upgrade_advice import MOST_TRIED, Newer, first_good, newer_versions, remedy_for
from pytest_py312.dependencies.diagnosis.compatibility import target_of
from pytest_py312.dependencies.diagnosis.package_index import File, Page, PageState
from tests.support.fakes import build_of
from tests.unit.analysis.libraries.samples import library

TARGET = target_of(build_of("3.12"), machine="x86_64", glibc="2.36")


def page(
    *versions: str, tags: str = "py3-none-any", requires: str = "", yanked: bool = False
) -> dict[str, tuple[File, ...]]:
    return {one: (File(one, tags, requires, yanked, ""),) for one in versions}


def test_only_what_an_installer_would_take_is_newer() -> None:
    files = {
        **page("0.8", "1.0", "0.9", "1.10", "1.2", "2.0rc1", "not a version"),
        **page("1.3", tags=""),
        **page("1.4", tags="cp39-cp39-manylinux2014_x86_64"),
        **page("1.5", requires="<3.12"),
        **page("1.6", yanked=True),
    }
    found = newer_versions(Page(name="old", state=PageState.FOUND, files=files), "0.9", TARGET)
    assert found == ["1.0", "1.2", "1.10"]


@given(st.integers(1, 40), st.integers(0, 40))
def test_the_first_good_version_is_found_with_few_tries(count: int, mended: int) -> None:
    """All from one on are good. Where too many lie between, one that is good is named, perhaps not the first."""
    tried = []

    def is_bad(version: str) -> bool:
        tried.append(version)
        return int(version) < mended

    versions = [str(number) for number in range(count)]
    found = first_good(versions, is_bad)
    assert len(tried) <= MOST_TRIED
    assert found.latest == versions[-1]
    if mended >= count:
        assert found.first == ""
    else:
        assert int(found.first) >= mended
        assert count > 2 ** (MOST_TRIED - 1) or int(found.first) == mended


@pytest.mark.parametrize(
    ("name", "packaging", "newer", "remedy"),
    [
        ("old", "", Newer(first="1.2", latest="2.0"), "require old>=1.2, the first version without it"),
        ("old", "", Newer(first="", latest="2.0"), "replace old, of which 2.0 is no better"),
        ("old", "", Newer(first="", latest="1.0"), "replace old, which has no newer version"),
        ("old", "", None, ""),
        ("python-consul", "", None, "replace python-consul: py-consul is its maintained fork"),
        ("old", "pkg_resources", Newer(first="1.2", latest="1.2"),
         "require old>=1.2, the first version without it; or require setuptools<82"),
    ],
)  # fmt: skip
def test_the_remedy_is_a_version_or_another_project(
    name: str, packaging: str, newer: Newer | None, remedy: str
) -> None:
    one = library(name, {"old.py": "import imp\n"})
    trouble = Trouble(
        library=one,
        module=one.digest.modules[0],
        line=1,
        what="the module imp is gone",
        remedy="require setuptools<82",
        how=How.AT_IMPORT,
        packaging=packaging,
    )
    assert remedy_for(Located(trouble=trouble, reached=None), newer) == remedy
