"""The smallest change of a specifier, on artificial pages: 3.12 is the target, 3.9 or 3.10 the baseline."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.dependencies.diagnosis.compatibility import TargetEnvironment, target_environment
from pytest_py312.dependencies.diagnosis.package_index import DistributionFile, IndexPage, PageState, parse_page
from pytest_py312.dependencies.diagnosis.version_candidates import (
    MAX_CANDIDATES,
    NoCandidate,
    VersionCandidate,
    candidates,
    latest_version,
    never_existed,
    smallest_change,
    with_minimum,
)


def file(
    tags: str, requires_python: str = "", yanked: bool = False, uploaded: str = "2024-01-01T00:00:00Z"
) -> DistributionFile:
    return DistributionFile("", tags, requires_python, yanked, uploaded)


def page_of(files: Mapping[str, Sequence[DistributionFile]]) -> IndexPage:
    return IndexPage(name="", state=PageState.FOUND, files={version: tuple(each) for version, each in files.items()})


def interpreter(version: str, cut_off: datetime | None = None) -> TargetEnvironment:
    """An interpreter that accepts pure wheels and those for its own minor version."""
    own = f"cp{''.join(version.split('.')[:2])}"
    tags = frozenset((f"{own}-{own}-x", "py3-none-any"))
    return TargetEnvironment(version=version, tags=tags, platforms=frozenset("x"), environment={}, cut_off=cut_off)


NOTHING = page_of({})
PY39, PY310, PY312 = interpreter("3.9.18"), interpreter("3.10.13"), interpreter("3.12.1")


def page(**versions: str) -> IndexPage:
    """``page(v1_2="39 312")``: version 1.2 has wheels for 3.9 and 3.12. ``pure`` is a wheel for all, empty a source."""
    files = {}
    for name, minors in versions.items():
        tags = ["py3-none-any" if minor == "pure" else f"cp{minor}-cp{minor}-x" for minor in minors.split()]
        files[name[1:].replace("_", ".")] = [file(""), *map(file, tags)]
    return page_of(files)


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
def test_the_form_of_the_specifier_stays(specifier: str, changed: str | None, baseline: TargetEnvironment) -> None:
    """A pin stays a pin, a range keeps both bounds, and no bound is lost."""
    made = [
        candidate
        for candidate in candidates(NUMPY, specifier, target=PY312, baseline=baseline)
        if candidate.version == "1.4"
    ]
    assert [candidate.specifier for candidate in made] == ([changed] if changed else [])
    assert all(candidate.also_on_baseline for candidate in made)


def test_the_lowest_version_comes_first_and_those_for_the_baseline_before_others() -> None:
    """It is the lowest with a wheel for both, else the lowest for the target."""
    modern = page(v1_2="39", v1_5="310 312", v1_6="39 312", v1_7="312")
    assert smallest_change(modern, "==1.2", target=PY312, baseline=PY39) == VersionCandidate(
        specifier="==1.6", version="1.6", also_on_baseline=True
    )
    assert smallest_change(modern, "==1.2", target=PY312, baseline=PY310) == VersionCandidate(
        specifier="==1.5", version="1.5", also_on_baseline=True
    )
    assert smallest_change(modern, "==1.7.1", target=PY312, baseline=PY39) == NoCandidate(
        reason="no version from 1.7.1 on has a wheel for 3.12; the newest that has one is 1.7"
    )
    only_target = smallest_change(page(v1_2="39", v1_5="312"), "==1.2", target=PY312, baseline=PY39)
    assert only_target == VersionCandidate(specifier="==1.5", version="1.5", also_on_baseline=False)


def test_an_upper_bound_is_raised_only_without_a_candidate_below_it() -> None:
    """It is raised by one at its own precision."""
    beyond = smallest_change(page(v0_27_1="39", v0_29_2="39 312"), ">=0.27.0,<0.28.0", target=PY312, baseline=PY39)
    assert beyond == VersionCandidate(
        specifier=">=0.29.2,<0.30.0", version="0.29.2", also_on_baseline=True, beyond_upper_bound=True
    )
    # a candidate below the bound is preferred even without a wheel for the baseline
    below = smallest_change(page(v1_2="39", v1_4="312", v2_0="39 312"), "==1.2,<2", target=PY312, baseline=PY39)
    assert below == VersionCandidate(specifier="==1.4,<2", version="1.4", also_on_baseline=False)


@pytest.mark.parametrize(
    ("project", "specifier", "changed"),
    [
        (page(v1_2="", v1_3="39", v1_4="", v2_0rc1=""), "==1.2", ["==1.4"]),
        (page(v1_2="", v1_4="", v2_0=""), ">=1.2,<2", [">=1.4,<2"]),
        (page(v1_2="", v1_4=""), "==1.4", []),
        (page(v1_2="", v1_4=""), "", []),
        (page(v1_2="312", v1_4=""), "==1.3", ["==1.4"]),
        (page(v1_2="312", v1_3="312", v1_4=""), "==1.2", ["==1.3", "==1.4"]),
        (page(v1_2="312", v1_3="", v1_4="312"), "==1.2", ["==1.4"]),
    ],
)
def test_the_highest_source_is_tried_if_it_has_no_wheel(project: IndexPage, specifier: str, changed: list[str]) -> None:
    assert [candidate.specifier for candidate in candidates(project, specifier, target=PY312, baseline=PY39)] == changed


def test_a_source_is_no_candidate_where_nothing_can_be_built() -> None:
    project = page(v1_2="312", v1_3="312", v1_4="")
    found = candidates(project, "==1.2", target=PY312, baseline=PY39, with_sources=False)
    assert [candidate.specifier for candidate in found] == ["==1.3"]


@pytest.mark.parametrize(
    ("project", "specifier", "reason"),
    [
        (NOTHING, "==1", "the index has no version of it"),
        (page(v1_2="39", v1_3=""), "==1.2", "no version has a wheel for 3.12"),
        (page(v1_1="312", v1_2="39"), "==1.2", "no version from 1.2 on has a wheel for 3.12; the newest that has one"),
        (page(v1_2="39", v2_0rc1="39 312"), "==1.2", "only pre-releases have a wheel for 3.12, such as 2.0rc1"),
        (page(v1_2="pure"), "==1.2", "1.2 is allowed already and has a wheel for 3.12"),
        (page(v1_2="39", v1_3="312"), ">=1.2,<2", "1.3 is allowed already"),
        (page(v1_2="39"), "===1.2-custom+", "has no version"),
        (page(v1_2="39"), "1.2", "has no version"),
        (page(v1_2="39"), "", "no version has a wheel for 3.12"),
        (page(v1_2="39", v1_3="312"), "==1.2+cu118", "no version of the build +cu118 has a wheel for 3.12"),
    ],
)
def test_without_a_candidate_there_is_a_reason(project: IndexPage, specifier: str, reason: str) -> None:
    """It can follow the requirement's name in a sentence."""
    answer = smallest_change(project, specifier, target=PY312, baseline=PY39)
    assert isinstance(answer, NoCandidate)
    assert reason in answer.reason


def test_of_many_candidates_some_up_to_the_last_are_tried() -> None:
    """With a release each day, the first twenty are all of one month."""
    many = page(**{f"v1_{minor}": "39 312" for minor in range(400)})
    versions = [int(one.version.partition(".")[2]) for one in candidates(many, "==1.0", target=PY312, baseline=PY39)]
    assert versions[:10] == list(range(1, 11))
    assert versions == sorted(set(versions))
    assert versions[-1] == 399
    assert len(versions) <= MAX_CANDIDATES
    below = candidates(many, ">=1.0,<1.390", target=PY312, baseline=PY39)
    assert below[-1].version == "1.389"


def test_yanked_excluded_and_too_new_files_do_not_count() -> None:
    """A file without an upload time is not considered too new."""
    wheel = "cp312-cp312-x"
    files = {
        "1.2": [file("cp39-cp39-x")],
        "1.3": [file(wheel, yanked=True)],
        "1.4": [file(wheel, requires_python=">=3.8,<3.12")],
        "1.5": [file(wheel, uploaded="2025-06-01T00:00:00Z")],
        "1.6": [file(wheel, uploaded="")],
    }
    target = interpreter("3.12.1", datetime(2025, 5, 22, tzinfo=UTC))
    answer = smallest_change(page_of(files), "==1.2", target=target)
    assert answer == VersionCandidate(specifier="==1.6", version="1.6", also_on_baseline=True)
    del files["1.6"]
    assert smallest_change(page_of(files), "==1.2", target=target) == NoCandidate(
        reason="no version has a wheel for 3.12 up to the cut-off date; 1.5 came after it"
    )


def test_a_project_that_only_has_pre_releases_or_a_pin_on_one_may_move_to_one() -> None:
    """For example opentelemetry's instrumentations, which have only pre-releases."""
    betas = page(v0_41b0="39", v0_42b0="pure", v0_43b0="pure")
    answer = smallest_change(betas, "==0.41b0", target=PY312, baseline=PY39)
    assert answer == VersionCandidate(specifier="==0.42b0", version="0.42b0", also_on_baseline=True)


def test_real_pages_and_builds_are_understood() -> None:
    """They come from package_index.py and compatibility.py."""
    names = ["numpy-1.24.3-cp310-cp310-manylinux_2_17_x86_64.whl", "numpy-1.24.3.tar.gz"]
    names += [f"numpy-1.26.0-cp{minor}-cp{minor}-manylinux_2_17_x86_64.whl" for minor in (39, 310, 312)]
    files = [{"filename": name, "hashes": {}, "url": ""} for name in names]
    project = parse_page("numpy", json.dumps({"meta": {"api-version": "1.1"}, "name": "numpy", "files": files}))
    old, new = (
        target_environment(
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
    answer = smallest_change(project, "==1.24.3", target=new, baseline=old)
    assert answer == VersionCandidate(specifier="==1.26.0", version="1.26.0", also_on_baseline=True)


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
            file,
            st.sampled_from(["", "py3-none-any", "cp39-cp39-x", "cp312-cp312-x", "odd"]),
            st.sampled_from(["", ">=3.8", "<3.12"]),
            st.booleans(),
            st.sampled_from(["", "2024-01-01T00:00:00Z", "soon"]),
        )
    ),
).map(page_of)


@given(project=PAGES, clauses=st.lists(CLAUSE, max_size=3) | st.lists(st.text(max_size=5)))
def test_every_candidate_allows_its_version_and_none_below_the_minimum(project: IndexPage, clauses: list[str]) -> None:
    """The form stays and nothing raises, whatever the page and the specifier."""
    specifier = ",".join(clauses)
    answer = smallest_change(project, specifier, target=PY312, baseline=PY39)
    assert isinstance(answer, VersionCandidate) or answer.reason
    for candidate in candidates(project, specifier, target=PY312, baseline=PY39):
        assert SpecifierSet(candidate.specifier).contains(candidate.version, prereleases=True)
        original, changed = SpecifierSet(specifier), SpecifierSet(candidate.specifier)
        assert {clause.operator.replace("<=", "<") for clause in changed} <= {
            {">": ">="}.get(clause.operator, clause.operator).replace("<=", "<") for clause in original
        } | {">"}
        minimums = [clause.version for clause in original if clause.operator in ("==", "~=", ">=", ">")]
        assert all(Version(candidate.version) >= Version(minimum.removesuffix(".*")) for minimum in minimums)


def dated(**versions: tuple[str, str]) -> IndexPage:
    """``dated(v1_2=("py3-none-any", "2024"))``: version 1.2 has one file with these tags, published in that year."""
    return page_of(
        {
            name[1:].replace("_", "."): [file(tags, uploaded=f"{year}-01-01T00:00:00Z")]
            for name, (tags, year) in versions.items()
        }
    )


@pytest.mark.parametrize("target", [PY39, PY310, PY312])
@pytest.mark.parametrize(
    ("project", "version"),
    [
        # the numbering was restarted, so the higher version is older
        (dated(v1_12_0rc1=("py3-none-any", "2022"), v0_59b0=("py3-none-any", "2025")), "0.59b0"),
        (dated(v1_0=("py3-none-any", "2022"), v2_0=("", "2025")), "1.0"),
        (dated(v0_1=("", "2021"), v0_2=("", "2022")), "0.2"),
        (dated(v0_1=("cp38-cp38-x", "2021")), ""),
        (NOTHING, ""),
    ],
)
def test_the_latest_version_is_the_one_published_last(
    project: IndexPage, version: str, target: TargetEnvironment
) -> None:
    """Wheels are preferred to sources, and the version has to install on the target."""
    assert latest_version(project, target) == version


def test_the_latest_version_is_not_after_the_cut_off_date() -> None:
    project = dated(v1_0=("py3-none-any", "2022"), v2_0=("py3-none-any", "2025"))
    assert latest_version(project, interpreter("3.12.1", datetime(2024, 1, 1, tzinfo=UTC))) == "1.0"


@pytest.mark.parametrize(
    ("specifier", "never"),
    [("==1.2", False), (">=3.0", True), ("==1.9", True), ("", False), ("~=2.0", False), ("no specifier", False)],
)
def test_a_version_that_never_existed_differs_from_one_without_a_wheel(specifier: str, never: bool) -> None:
    assert never_existed(NUMPY, specifier, PY312) is never
    assert not never_existed(NOTHING, specifier, PY312)


@pytest.mark.parametrize(
    ("specifier", "changed"),
    [
        ("==1.20.0", "==0.41b0"),
        (">=1.18.0", ">=0.41b0"),
        (">=1.18.0,<2", ">=0.41b0,<2"),
        ("~=1.20.0", "~=0.41b0"),
        ("==1.20.0,!=0.41b0", None),
        ("not a specifier", None),
    ],
)
def test_a_specifier_can_be_lowered_in_the_same_form(specifier: str, changed: str | None) -> None:
    assert with_minimum(specifier, "0.41b0") == changed


@given(st.text(max_size=20), st.text(max_size=10))
def test_no_text_raises(specifier: str, version: str) -> None:
    made = with_minimum(specifier, version)
    assert made is None or SpecifierSet(made).contains(version, prereleases=True)
    assert not never_existed(NOTHING, specifier, PY312)
