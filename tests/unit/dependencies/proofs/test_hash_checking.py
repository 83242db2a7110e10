"""What pip refuses once a requirements file has hashes. The texts were checked with pip 23.2 on 3.11 and 3.12."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.fleet import RequirementSource
from pytest_py312.dependencies.proofs.hash_checking import unhashed_findings
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.services.requirements.requirement_set import read_requirement_set
from tests.support.fakes import build_of, service_tree

HASH = "--hash=sha256:" + "9" * 64
GUNICORN = StoredDistribution(name="gunicorn", version="20.1.0", folder=Path("/"), requires=("setuptools>=3.0",))


def refused(
    root: Path, interpreter: str, *texts: str, installed: tuple[StoredDistribution, ...] = (GUNICORN,)
) -> list[Finding]:
    """Return what pip refuses when the files ``texts`` are installed one after the other."""
    preinstalled = ("setuptools==65.5.0",) if interpreter != "3.12" else ()
    build = build_of(interpreter, preinstalled=preinstalled)
    versions = {"setuptools": "65.5.0" if preinstalled else "84.2.1", "gunicorn": "20.1.0"}
    service_tree(root, {f"requirements{number}.txt": text for number, text in enumerate(texts)})
    sets = [
        read_requirement_set(root, [RequirementSource(path=f"requirements{number}.txt")])
        for number in range(len(texts))
    ]
    return list(unhashed_findings(sets, installed, versions, build))


@pytest.mark.parametrize(("interpreter", "count"), [("3.9", 0), ("3.10", 0), ("3.11", 0), ("3.12", 1)])
def test_a_setuptools_that_no_line_pins_is_refused_where_no_environment_has_it(
    tmp_path: Path, interpreter: str, count: int
) -> None:
    findings = refused(tmp_path, interpreter, f"gunicorn==20.1.0 {HASH}\n")

    assert [(finding.code, finding.names, str(finding.location)) for finding in findings] == [
        ("PY114", ("setuptools",), "requirements0.txt:1")
    ] * count


def test_a_pinned_setuptools_with_a_hash_suffices(tmp_path: Path) -> None:
    assert not refused(tmp_path, "3.12", f"gunicorn==20.1.0 {HASH}\nsetuptools==84.2.1 {HASH}\n")


def test_what_an_earlier_installation_brings_is_not_checked(tmp_path: Path) -> None:
    """pip leaves what is there; a later file is no help."""
    assert not refused(tmp_path, "3.12", "setuptools\n", f"gunicorn==20.1.0 {HASH}\n")
    assert refused(tmp_path, "3.12", f"gunicorn==20.1.0 {HASH}\n", "setuptools\n")


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize(
    "text", [f"gunicorn==20.1.0 {HASH}\niniconfig==2.0.0\n", "--require-hashes\niniconfig==2.0.0\n"]
)
def test_a_line_without_a_hash_is_refused_on_every_python(tmp_path: Path, interpreter: str, text: str) -> None:
    assert ("iniconfig",) in [finding.names for finding in refused(tmp_path, interpreter, text)]


def test_files_without_hashes_are_not_checked(tmp_path: Path) -> None:
    assert not refused(tmp_path, "3.12", "gunicorn==20.1.0\n")


def test_dependencies_of_other_pythons_and_of_extras_that_are_not_asked_for_do_not_count(tmp_path: Path) -> None:
    requires = ('tomli; python_version < "3.11"', 'eventlet; extra == "eventlet"')
    installed = (StoredDistribution(name="gunicorn", version="20.1.0", folder=Path("/"), requires=requires),)

    assert not refused(tmp_path, "3.12", f"gunicorn==20.1.0 {HASH}\n", installed=installed)
    assert [f.names for f in refused(tmp_path, "3.10", f"gunicorn==20.1.0 {HASH}\n", installed=installed)] == [
        ("tomli",)
    ]
    assert [
        f.names for f in refused(tmp_path, "3.12", f"gunicorn[eventlet]==20.1.0 {HASH}\n", installed=installed)
    ] == [("eventlet",)]


def test_lines_whose_marker_excludes_the_interpreter_are_not_checked(tmp_path: Path) -> None:
    assert not refused(tmp_path, "3.12", f'iniconfig==2.0.0 {HASH}\ntomli; python_version < "3.11"\n', installed=())


@given(requires=st.lists(st.text(max_size=40), max_size=4))
def test_no_metadata_breaks_it(tmp_path_factory: pytest.TempPathFactory, requires: list[str]) -> None:
    installed = (StoredDistribution(name="gunicorn", version="1", folder=Path("/"), requires=tuple(requires)),)

    refused(tmp_path_factory.mktemp("hashed"), "3.12", f"gunicorn==20.1.0 {HASH}\n", installed=installed)
