"""Finding the first version of a distribution without a problem."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.libraries.findings import LibraryProblem, LocatedProblem
from pytest_py312.analysis.libraries.import_graph import ImportChain, ImportRoot
from pytest_py312.analysis.libraries.summaries.summary import Likelihood
from pytest_py312.analysis.libraries.upgrade_advice import (
    MAX_TRIED,
    UpgradeFinder,
    UpgradeSearch,
    entered_at,
    find_first_good,
    newer_versions,
    remedy_for,
)
from pytest_py312.core.model.findings import Finding
from pytest_py312.dependencies.diagnosis.compatibility import target_environment
from pytest_py312.dependencies.diagnosis.package_index import DistributionFile, IndexPage, PageState
from pytest_py312.dependencies.resolution.lock import Pin, Undetermined, Unresolvable
from tests.support.fakes import build_of
from tests.unit.analysis.libraries.samples import entries, library

TARGET = target_environment(build_of("3.12"), machine="x86_64", glibc="2.36")


def page(
    *versions: str, tags: str = "py3-none-any", requires: str = "", yanked: bool = False
) -> dict[str, tuple[DistributionFile, ...]]:
    return {one: (DistributionFile(one, tags, requires, yanked, ""),) for one in versions}


def test_only_installable_versions_are_newer() -> None:
    files = {
        **page("0.8", "1.0", "0.9", "1.10", "1.2", "2.0rc1", "not a version"),
        **page("1.3", tags=""),
        **page("1.4", tags="cp39-cp39-manylinux2014_x86_64"),
        **page("1.5", requires="<3.12"),
        **page("1.6", yanked=True),
    }
    versions = newer_versions(IndexPage(name="old", state=PageState.FOUND, files=files), "0.9", TARGET)
    assert versions == ["1.0", "1.2", "1.10"]


@pytest.mark.parametrize(
    ("version", "versions", "newer"),
    [
        ("1.0b1", ("1.0b1", "1.0b2", "1.0b3"), ["1.0b2", "1.0b3"]),
        ("1.0b1", ("0.9", "1.0b1", "1.0b2"), ["1.0b2"]),
        ("0.9", ("0.9", "1.0b1", "1.0"), ["1.0"]),
        ("0.9", ("0.9", "1.0b1"), []),
        ("not a version", ("1.0",), []),
    ],
)
def test_a_prerelease_is_newer_than_a_prerelease(version: str, versions: tuple[str, ...], newer: list[str]) -> None:
    """Where the pin is one itself, or the project has nothing else."""
    index_page = IndexPage(name="old", state=PageState.FOUND, files=page(*versions))
    assert newer_versions(index_page, version, TARGET) == newer


@given(st.integers(1, 40), st.integers(0, 40))
def test_the_first_good_version_is_found_with_few_tries(count: int, fixed_in: int) -> None:
    """All versions from one on are good. With too many candidates the result is good, but perhaps not the first."""
    tried = []

    def is_bad(version: str) -> bool:
        tried.append(version)
        return int(version) < fixed_in

    versions = [str(number) for number in range(count)]
    search = find_first_good(versions, is_bad)
    assert len(tried) <= MAX_TRIED
    assert search.latest == versions[-1]
    if fixed_in >= count:
        assert search.first_good == ""
    else:
        assert int(search.first_good) >= fixed_in
        assert count > 2 ** (MAX_TRIED - 1) or int(search.first_good) == fixed_in


@pytest.mark.parametrize(
    ("name", "packaging", "newer", "remedy"),
    [
        ("old", "", UpgradeSearch(first_good="1.2", latest="2.0"),
         "require old>=1.2, the first version without the problem"),
        ("old", "", UpgradeSearch(first_good="", latest="2.0"), "replace old (2.0 has the same problem)"),
        ("old", "", UpgradeSearch(first_good="", latest="1.0"), "replace old (it has no newer version)"),
        ("old", "", None, ""),
        ("python-consul", "", None, "replace python-consul: py-consul is its maintained fork"),
        ("old", "pkg_resources", UpgradeSearch(first_good="1.2", latest="1.2"),
         "require old>=1.2, the first version without the problem"),
    ],
)  # fmt: skip
def test_the_remedy_is_a_version_or_another_project(
    name: str, packaging: str, newer: UpgradeSearch | None, remedy: str
) -> None:
    one = library(name, {"old.py": "import imp\n"})
    trouble = LibraryProblem(
        library=one,
        module=one.summary.modules[0],
        line=1,
        message="the module imp is gone",
        remedy="require setuptools<82",
        likelihood=Likelihood.AT_IMPORT,
        setuptools_module=packaging,
    )
    assert remedy_for(LocatedProblem(problem=trouble, chain=None), newer) == remedy


@pytest.mark.parametrize(
    ("via", "entered"),
    [
        (("boto3", "botocore.session", "urllib3", "urllib3.packages"), "urllib3"),
        (("boto3", "urllib3.packages"), "urllib3.packages"),
        (("boto3",), "urllib3.packages.six"),
        ((), "urllib3.packages.six"),
    ],
)
def test_another_version_is_entered_where_others_import_the_library(via: tuple[str, ...], entered: str) -> None:
    """It need not have the module with the problem: urllib3 2 has no ``packages.six``."""
    urllib3 = library(
        "urllib3", {"urllib3/__init__.py": "", "urllib3/packages/__init__.py": "", "urllib3/packages/six.py": ""}
    )
    module = next(each for each in urllib3.summary.modules if each.name == "urllib3.packages.six")
    trouble = LibraryProblem(
        library=urllib3, module=module, line=1, message="", remedy="", likelihood=Likelihood.AT_IMPORT
    )
    root = ImportRoot(path="app.py", line=1, target="boto3", likelihood=Likelihood.AT_IMPORT)
    chain = ImportChain(likelihood=Likelihood.AT_IMPORT, root=root, via=via)

    assert entered_at(LocatedProblem(problem=trouble, chain=chain)) == entered
    assert entered_at(LocatedProblem(problem=trouble, chain=None)) == "urllib3.packages.six"


@pytest.mark.parametrize(
    ("error", "marks"), [(Undetermined("no network"), 1), (Unresolvable([Finding(code="PY104", message="no")]), 0)]
)
def test_what_the_network_prevents_is_undetermined(error: Exception, marks: int) -> None:
    """The advice may be another one in the next run, so the failure is not cached."""
    undetermined: list[str] = []

    def fill(*arguments: object) -> None:
        raise error

    index = SimpleNamespace(page=lambda name: IndexPage(name=name, state=PageState.FOUND, files=page("1.0", "1.1")))
    (entry,) = entries({"old": ()})
    finder = UpgradeFinder(
        store=cast("Any", SimpleNamespace(fill=fill)),
        index=cast("Any", index),
        target=TARGET,
        build=build_of("3.12"),
        undetermined=lambda: undetermined.append("once"),
    )

    assert finder.first_without(entry, Pin(name="old", version="1.0", line="old==1.0"), lambda installed: True) is None
    assert len(undetermined) == marks
