"""The smallest change of a specifier, on pages made by hand: 3.12 is the target, 3.9 or 3.10 the baseline."""

import json
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import target_of
from pytest_py312.dependencies.diagnosis.package_index import read_page
from pytest_py312.dependencies.diagnosis.version_candidates import (
    Candidate,
    NoCandidate,
    candidates,
    latest,
    lowest_at,
    never_existed,
    smallest_change,
)


class File(NamedTuple):
    tags: str
    requires_python: str = ""
    yanked: bool = False
    uploaded: str = "2024-01-01T00:00:00Z"


class Page(NamedTuple):
    files: dict[str, list[File]]


class Ground(NamedTuple):
    """Takes wheels of its own minor and pure ones."""

    version: str
    cut_off: datetime | None = None

    def takes(self, tags: str) -> bool:
        return tags.startswith((f"cp{''.join(self.version.split('.')[:2])}-", "py3-"))

    def allows(self, requires_python: str) -> bool:
        return SpecifierSet(requires_python).contains(self.version)


PY39, PY310, PY312 = Ground("3.9.18"), Ground("3.10.13"), Ground("3.12.1")


def page(**versions: str) -> Page:
    """``page(v1_2="39 312")``: version 1.2 has wheels for 3.9 and 3.12, ``pure`` one for all, nothing a source only."""
    files = {}
    for name, minors in versions.items():
        tags = ["py3-none-any" if minor == "pure" else f"cp{minor}-cp{minor}-x" for minor in minors.split()]
        files[name[1:].replace("_", ".")] = [File(""), *map(File, tags)]
    return Page(files)


NUMPY = page(v1_2="39 310", v1_3="39 310", v1_4="39 310 312", v1_5="310 312", v2_0="310 312", v2_1="39 310 312")


@pytest.mark.parametrize(
    ("specifier", "changed"),
    [
        ("==1.2", "==1.4"),
        ("===1.2", "===1.4"),
        ("==1.2.0", "==1.4"),
        (">=1.2,<1.4", ">=1.4,<1.5"),
        ("<1.4,>=1.2", "<1.5,>=1.4"),
        (">=1.2,<=1.3", ">=1.4,<=1.4"),
        (">1.2,<1.4", ">=1.4,<1.5"),
        ("~=1.2.0", "~=1.4.0"),
        ("==1.2.*", "==1.4.*"),
        ("<1.4", "<1.5"),
        ("==1.2,<2", "==1.4,<2"),
        ("==1.2,>=1.0", "==1.4,>=1.0"),
        ("==1.2,!=1.4", None),
    ],
)
@pytest.mark.parametrize("baseline", [PY39, PY310])
def test_the_form_of_the_specifier_stays(specifier: str, changed: str | None, baseline: Ground) -> None:
    """A pin stays a pin, a range keeps both ends, and no bound is lost."""
    found = [one for one in candidates(NUMPY, specifier, target=PY312, baseline=baseline) if one.version == "1.4"]
    assert [one.specifier for one in found] == ([changed] if changed else [])
    assert all(one.also_on_baseline for one in found)


def test_the_lowest_version_comes_first_and_one_for_the_baseline_too_before_others() -> None:
    """On 3.9 the lowest one with a wheel for both; without such, the lowest for the target."""
    modern = page(v1_2="39", v1_5="310 312", v1_6="39 312", v1_7="312")
    assert smallest_change(modern, "==1.2", target=PY312, baseline=PY39) == Candidate(
        specifier="==1.6", version="1.6", also_on_baseline=True
    )
    assert smallest_change(modern, "==1.2", target=PY312, baseline=PY310) == Candidate(
        specifier="==1.5", version="1.5", also_on_baseline=True
    )
    assert smallest_change(modern, "==1.7.1", target=PY312, baseline=PY39) == NoCandidate(
        reason="no version from 1.7.1 on has a wheel for 3.12; the newest that has one is 1.7"
    )
    lost = smallest_change(page(v1_2="39", v1_5="312"), "==1.2", target=PY312, baseline=PY39)
    assert lost == Candidate(specifier="==1.5", version="1.5", also_on_baseline=False)


def test_an_upper_bound_moves_only_when_nothing_lies_below_it() -> None:
    """And as far as it was written: by one at the same place."""
    beyond = smallest_change(page(v0_27_1="39", v0_29_2="39 312"), ">=0.27.0,<0.28.0", target=PY312, baseline=PY39)
    assert beyond == Candidate(
        specifier=">=0.29.2,<0.30.0", version="0.29.2", also_on_baseline=True, beyond_upper_bound=True
    )
    # below the bound only without a wheel for the baseline: still below it
    kept = smallest_change(page(v1_2="39", v1_4="312", v2_0="39 312"), "==1.2,<2", target=PY312, baseline=PY39)
    assert kept == Candidate(specifier="==1.4,<2", version="1.4", also_on_baseline=False)


@pytest.mark.parametrize(
    ("found", "specifier", "changed"),
    [
        (page(v1_2="", v1_3="39", v1_4="", v2_0rc1=""), "==1.2", ["==1.4"]),
        (page(v1_2="", v1_4="", v2_0=""), ">=1.2,<2", [">=1.4,<2"]),
        (page(v1_2="", v1_4=""), "==1.4", []),
        (page(v1_2="", v1_4=""), "", []),
        (page(v1_2="312", v1_4=""), "==1.3", []),
    ],
)
def test_of_what_never_had_a_wheel_the_highest_source_is_tried(found: Page, specifier: str, changed: list[str]) -> None:
    assert [one.specifier for one in candidates(found, specifier, target=PY312, baseline=PY39)] == changed


@pytest.mark.parametrize(
    ("found", "specifier", "reason"),
    [
        (Page({}), "==1", "the index has no version of it"),
        (page(v1_2="39", v1_3=""), "==1.2", "no version has a wheel for 3.12"),
        (page(v1_1="312", v1_2="39"), "==1.2", "no version from 1.2 on has a wheel for 3.12; the newest that has one"),
        (page(v1_2="39", v2_0rc1="39 312"), "==1.2", "only pre-releases have a wheel for 3.12, such as 2.0rc1"),
        (page(v1_2="pure"), "==1.2", "1.2 is allowed already and has a wheel for 3.12"),
        (page(v1_2="39", v1_3="312"), ">=1.2,<2", "1.3 is allowed already"),
        (page(v1_2="39"), "===1.2-custom+", "holds no version"),
        (page(v1_2="39"), "1.2", "holds no version"),
        (page(v1_2="39"), "", "no version has a wheel for 3.12"),
        (page(v1_2="39", v1_3="312"), "==1.2+cu118", "no version of the build +cu118 has a wheel for 3.12"),
    ],
)
def test_where_there_is_none_the_reason_says_why(found: Page, specifier: str, reason: str) -> None:
    """In words that can follow the requirement's name."""
    answer = smallest_change(found, specifier, target=PY312, baseline=PY39)
    assert isinstance(answer, NoCandidate)
    assert reason in answer.reason


def test_yanked_excluded_and_too_new_files_do_not_count() -> None:
    """A wheel that would not be taken is none; a file without an upload time is not taken for too new."""
    wheel = "cp312-cp312-x"
    files = {
        "1.2": [File("cp39-cp39-x")],
        "1.3": [File(wheel, yanked=True)],
        "1.4": [File(wheel, requires_python=">=3.8,<3.12")],
        "1.5": [File(wheel, uploaded="2025-06-01T00:00:00Z")],
        "1.6": [File(wheel, uploaded="")],
    }
    ground = PY312._replace(cut_off=datetime(2025, 5, 22, tzinfo=UTC))
    answer = smallest_change(Page(files), "==1.2", target=ground)
    assert answer == Candidate(specifier="==1.6", version="1.6", also_on_baseline=True)
    del files["1.6"]
    assert smallest_change(Page(files), "==1.2", target=ground) == NoCandidate(
        reason="no version has a wheel for 3.12 up to the cut-off date; 1.5 came after it"
    )


def test_a_project_that_only_has_pre_releases_or_a_pin_on_one_may_move_to_one() -> None:
    """As opentelemetry's instrumentations, which have never had another version."""
    betas = page(v0_41b0="39", v0_42b0="pure", v0_43b0="pure")
    answer = smallest_change(betas, "==0.41b0", target=PY312, baseline=PY39)
    assert answer == Candidate(specifier="==0.42b0", version="0.42b0", also_on_baseline=True)


def test_a_page_of_the_index_and_a_build_are_what_is_asked_for() -> None:
    """As the index module reads the one, and the screen the other."""
    names = ["numpy-1.24.3-cp310-cp310-manylinux_2_17_x86_64.whl", "numpy-1.24.3.tar.gz"]
    names += [f"numpy-1.26.0-cp{minor}-cp{minor}-manylinux_2_17_x86_64.whl" for minor in (39, 310, 312)]
    files = [{"filename": name, "hashes": {}, "url": ""} for name in names]
    found = read_page("numpy", json.dumps({"meta": {"api-version": "1.1"}, "name": "numpy", "files": files}))
    old, new = (
        target_of(
            InterpreterBuild(
                interpreter=Interpreter.parse(version),
                version=version,
                executable="/usr/local/bin/python",
                origin=f"image python:{version}-slim",
                digest="",
                flags="",
            ),
            machine="x86_64",
        )
        for version in ("3.10.13", "3.12.1")
    )
    answer = smallest_change(found, "==1.24.3", target=new, baseline=old)
    assert answer == Candidate(specifier="==1.26.0", version="1.26.0", also_on_baseline=True)


VERSION = st.builds(
    lambda numbers, end: ".".join(map(str, numbers)) + end,
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.sampled_from(["", "", "rc1", ".post1", "+cu118"]),
)
CLAUSE = st.builds(
    str.__add__, st.sampled_from(["==", "===", "~=", ">=", ">", "<", "<=", "!="]), VERSION | st.just("1.*")
)
PAGES = st.dictionaries(
    VERSION | st.sampled_from(["junk", "", "1!2"]),
    st.lists(
        st.builds(
            File,
            st.sampled_from(["", "py3-none-any", "cp39-cp39-x", "cp312-cp312-x", "odd"]),
            st.sampled_from(["", ">=3.8", "<3.12"]),
            st.booleans(),
            st.sampled_from(["", "2024-01-01T00:00:00Z", "soon"]),
        )
    ),
).map(Page)


@given(found=PAGES, clauses=st.lists(CLAUSE, max_size=3) | st.lists(st.text(max_size=5)))
def test_every_candidate_allows_its_version_and_none_below_the_old_bound(found: Page, clauses: list[str]) -> None:
    """Whatever the page and the specifier: no form is lost, and nothing raises."""
    specifier = ",".join(clauses)
    answer = smallest_change(found, specifier, target=PY312, baseline=PY39)
    assert isinstance(answer, Candidate) or answer.reason
    for one in candidates(found, specifier, target=PY312, baseline=PY39):
        assert SpecifierSet(one.specifier).contains(one.version, prereleases=True)
        before, after = SpecifierSet(specifier), SpecifierSet(one.specifier)
        assert {clause.operator.replace("<=", "<") for clause in after} <= {
            {">": ">="}.get(clause.operator, clause.operator).replace("<=", "<") for clause in before
        } | {">"}
        floors = [clause.version for clause in before if clause.operator in ("==", "~=", ">=", ">")]
        assert all(Version(one.version) >= Version(floor.removesuffix(".*")) for floor in floors)


def dated(**versions: tuple[str, str]) -> Page:
    """``dated(v1_2=("py3-none-any", "2024"))``: a version with one file of these tags, published in that year."""
    return Page(
        {
            name[1:].replace("_", "."): [File(tags, uploaded=f"{year}-01-01T00:00:00Z")]
            for name, (tags, year) in versions.items()
        }
    )


@pytest.mark.parametrize("target", [PY39, PY310, PY312])
@pytest.mark.parametrize(
    ("found", "version"),
    [
        # numbered anew since: the higher number is the older one
        (dated(v1_12_0rc1=("py3-none-any", "2022"), v0_59b0=("py3-none-any", "2025")), "0.59b0"),
        (dated(v1_0=("py3-none-any", "2022"), v2_0=("", "2025")), "1.0"),
        (dated(v0_1=("", "2021"), v0_2=("", "2022")), "0.2"),
        (dated(v0_1=("cp38-cp38-x", "2021")), ""),
        (Page({}), ""),
    ],
)
def test_the_latest_is_the_one_that_was_published_last(found: Page, version: str, target: Ground) -> None:
    """A wheel before a source, and nothing that does not install there."""
    assert latest(found, target) == version


def test_nothing_is_latest_that_came_after_the_cut_off_date() -> None:
    found = dated(v1_0=("py3-none-any", "2022"), v2_0=("py3-none-any", "2025"))
    assert latest(found, Ground("3.12.1", datetime(2024, 1, 1, tzinfo=UTC))) == "1.0"


@pytest.mark.parametrize(
    ("specifier", "never"),
    [("==1.2", False), (">=3.0", True), ("==1.9", True), ("", False), ("~=2.0", False), ("no specifier", False)],
)
def test_what_was_never_there_is_told_from_what_has_no_wheel(specifier: str, never: bool) -> None:
    assert never_existed(NUMPY, specifier, PY312) is never
    assert not never_existed(Page({}), specifier, PY312)


@pytest.mark.parametrize(
    ("specifier", "changed"),
    [
        ("==1.20.0", "==0.41b0"),
        (">=1.18.0", ">=0.41b0"),
        (">=1.18.0,<2", ">=0.41b0,<2"),
        ("~=1.20.0", "~=0.41b0"),
        ("==1.20.0,!=0.41b0", None),
        ("of no kind", None),
    ],
)
def test_a_specifier_may_be_written_for_a_lower_version_in_the_same_form(specifier: str, changed: str | None) -> None:
    assert lowest_at(specifier, "0.41b0") == changed


@given(st.text(max_size=20), st.text(max_size=10))
def test_no_text_raises(specifier: str, version: str) -> None:
    made = lowest_at(specifier, version)
    assert made is None or SpecifierSet(made).contains(version, prereleases=True)
    assert not never_existed(Page({}), specifier, PY312)
