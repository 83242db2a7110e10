"""The cache of build failures: what is cached, for how long, and what never is."""

from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.dependencies.resolution.lock import Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.store.install_failures import BuildFailureCache, refuse_unfit_wheel
from pytest_py312.dependencies.system.build_tools import NETWORK, MissingTool
from tests.support.fakes import build_of

NUMPY = Pin(name="numpy", version="1.24.3", line="numpy==1.24.3", from_source=True)
BROKEN = Finding(code="PY104", message="numpy==1.24.3: its source fails to build: no distutils", names=("numpy",))
WHERE = Location(path="requirements.txt", line=7)
WANTED = ResolutionRequest(lines=("numpy==1.24.3",), direct=(("numpy", WHERE),))
BUILD = build_of("3.12")


@pytest.fixture
def failed(tmp_path: Path) -> BuildFailureCache:
    return BuildFailureCache(cache=tmp_path, tools="local 0.9", lock_hours=24.0)


def raised_text(failures: BuildFailureCache, pin: Pin = NUMPY, interpreter: str = "3.12", limit: float = 90.0) -> str:
    try:
        failures.raise_if_known(pin, build_of(interpreter), WANTED, limit)
    except Unresolvable as blocked:
        return f"blocked: {blocked}"
    except Undetermined as reason:
        return f"unchecked: {reason}"
    return ""


def test_a_cached_failure_is_reported_at_the_current_location_of_the_requirement(failed: BuildFailureCache) -> None:
    failed.put(NUMPY, BUILD, Unresolvable([BROKEN]))

    with pytest.raises(Unresolvable) as again:
        failed.raise_if_known(NUMPY, BUILD, WANTED, 90.0)

    (finding,) = again.value.findings
    assert (finding.message, finding.location) == (BROKEN.message, WHERE)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10"])
def test_a_failure_does_not_apply_to_other_interpreters(failed: BuildFailureCache, interpreter: str) -> None:
    failed.put(NUMPY, BUILD, Unresolvable([BROKEN]))

    assert raised_text(failed).startswith("blocked")
    assert raised_text(failed, interpreter=interpreter) == ""


@pytest.mark.parametrize(
    "other",
    [
        Pin(name="numpy", version="1.26.0", line="numpy==1.26.0", from_source=True),
        Pin(name="numpy", version="1.24.3", line="numpy==1.24.3 --hash=sha256:00", from_source=True),
        Pin(name="numpy", version="1.24.3", line="numpy==1.24.3", from_source=True, index="--index-url https://own"),
    ],
)
def test_a_failure_does_not_apply_to_other_sources(failed: BuildFailureCache, other: Pin) -> None:
    failed.put(NUMPY, BUILD, Unresolvable([BROKEN]))

    assert raised_text(failed, other) == ""


def test_a_failure_expires_with_locks(failed: BuildFailureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    failed.put(NUMPY, BUILD, Unresolvable([BROKEN]))
    now = clock.timestamp()

    monkeypatch.setattr(clock, "timestamp", lambda: now + 25 * 3600)

    assert raised_text(failed) == ""


def test_failures_of_url_requirements_count_for_their_run_only(failed: BuildFailureCache, tmp_path: Path) -> None:
    """Other cells of the run do not build the source again; before the next run it may have changed."""
    pin = Pin(name="own", version="", line="own @ git+https://example.org/own", from_source=True)
    failed.put(pin, BUILD, Unresolvable([BROKEN]))

    assert raised_text(failed, pin) == f"blocked: {BROKEN.message}"
    assert not (tmp_path / "builds").exists()


def test_a_build_that_lacks_a_program_is_not_repeated_in_the_same_run(failed: BuildFailureCache) -> None:
    """The network may be back for the next cell."""
    gcc = MissingTool(name="gcc", key="gcc", message="gcc: not found")
    network = MissingTool(name=NETWORK, key=NETWORK, message="Could not resolve host")
    for missing in (network, None):
        failed.put_undetermined(NUMPY, BUILD, Undetermined("not built", missing=missing))
        assert raised_text(failed) == ""
    failed.put_undetermined(NUMPY, BUILD, Undetermined("gcc is missing", missing=gcc))

    assert raised_text(failed) == "unchecked: gcc is missing"


def test_an_unfinished_build_is_tried_again_only_with_a_longer_time_limit(failed: BuildFailureCache) -> None:
    failed.put_unfinished(NUMPY, BUILD, 90.0)

    assert raised_text(failed, limit=90.0).endswith("the build of its source took longer than 90 s, and was ended")
    assert raised_text(failed, limit=1800.0) == ""


def test_only_failed_builds_are_cached(failed: BuildFailureCache) -> None:
    """A wrong hash, for example, says nothing about the build."""
    failed.put(NUMPY, BUILD, Unresolvable([Finding(code="PY114", message="no hash", names=("numpy",))]))

    assert raised_text(failed) == ""


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"created": 1e18, "finding": {}}', '{"created": null}'])
def test_a_damaged_file_is_ignored(failed: BuildFailureCache, tmp_path: Path, damage: str) -> None:
    failed.put(NUMPY, BUILD, Unresolvable([BROKEN]))
    (file,) = (tmp_path / "builds").glob("*.json")
    file.write_text(damage)

    assert raised_text(failed) == ""


@pytest.mark.parametrize(
    ("tags", "refused"),
    [
        ("py3-none-any", []),
        ("py2.py3-none-any", []),
        ("cp38-abi3-manylinux_2_17_x86_64", []),
        ("cp311-cp311-manylinux_2_17_x86_64", ["3.9", "3.12"]),
        ("cp312-cp312-win_amd64", ["3.9", "3.11"]),
        ("cp312-abi3-any", ["3.9", "3.11"]),
        ("py311-none-any", ["3.9"]),
        ("py2-none-any", ["3.9", "3.11", "3.12"]),
        ("no-tags", []),
    ],
)
def test_a_wheel_is_refused_by_the_tags_of_its_name(tags: str, refused: list[str]) -> None:
    """What is no name of a wheel is left to the installer, and so is a wheel for another platform."""
    refusing = []
    for interpreter in ("3.9", "3.11", "3.12"):
        try:
            refuse_unfit_wheel(f"acme-1.0-{tags}.whl", build_of(interpreter))
        except Unresolvable:
            refusing.append(interpreter)

    assert refusing == refused
