"""Sources that do not build: what is remembered of them, for how long, and what never is."""

from pathlib import Path

import pytest

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.dependencies.installation.build_failures import FailedBuilds
from pytest_py312.dependencies.resolution.lock import Blocked, Pin, Unchecked, Wanted
from tests.support.fakes import build_of

NUMPY = Pin(name="numpy", version="1.24.3", line="numpy==1.24.3", from_source=True)
BROKEN = Finding(code="PY104", message="numpy==1.24.3: its source fails to build: no distutils", names=("numpy",))
WHERE = Location(path="requirements.txt", line=7)
WANTED = Wanted(lines=("numpy==1.24.3",), direct=(("numpy", WHERE),))
BUILD = build_of("3.12")


@pytest.fixture
def failed(tmp_path: Path) -> FailedBuilds:
    return FailedBuilds(cache=tmp_path, tools="local 0.9", lock_hours=24.0)


def told(failed: FailedBuilds, pin: Pin = NUMPY, interpreter: str = "3.12", limit: float = 90.0) -> str:
    try:
        failed.check(pin, build_of(interpreter), WANTED, limit)
    except Blocked as blocked:
        return f"blocked: {blocked}"
    except Unchecked as reason:
        return f"unchecked: {reason}"
    return ""


def test_a_failure_is_told_again_at_the_place_where_the_requirement_stands_now(failed: FailedBuilds) -> None:
    failed.keep(NUMPY, BUILD, Blocked([BROKEN]))

    with pytest.raises(Blocked) as again:
        failed.check(NUMPY, BUILD, WANTED, 90.0)

    (finding,) = again.value.findings
    assert (finding.message, finding.location) == (BROKEN.message, WHERE)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10"])
def test_it_says_nothing_of_other_interpreters(failed: FailedBuilds, interpreter: str) -> None:
    failed.keep(NUMPY, BUILD, Blocked([BROKEN]))

    assert told(failed).startswith("blocked")
    assert told(failed, interpreter=interpreter) == ""


@pytest.mark.parametrize(
    "other",
    [
        Pin(name="numpy", version="1.26.0", line="numpy==1.26.0", from_source=True),
        Pin(name="numpy", version="1.24.3", line="numpy==1.24.3 --hash=sha256:00", from_source=True),
        Pin(name="numpy", version="1.24.3", line="numpy==1.24.3", from_source=True, index="--index-url https://own"),
    ],
)
def test_it_says_nothing_of_other_sources(failed: FailedBuilds, other: Pin) -> None:
    failed.keep(NUMPY, BUILD, Blocked([BROKEN]))

    assert told(failed, other) == ""


def test_it_is_forgotten_when_a_lock_would_be(failed: FailedBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    failed.keep(NUMPY, BUILD, Blocked([BROKEN]))
    now = clock.timestamp()

    monkeypatch.setattr(clock, "timestamp", lambda: now + 25 * 3600)

    assert told(failed) == ""


def test_what_lies_at_an_address_may_be_mended_at_any_time(failed: FailedBuilds) -> None:
    pin = Pin(name="own", version="", line="own @ git+https://example.org/own", from_source=True)
    failed.keep(pin, BUILD, Blocked([BROKEN]))

    assert told(failed, pin) == ""


def test_a_build_that_was_ended_holds_for_those_who_give_no_more_time(failed: FailedBuilds) -> None:
    failed.keep_unfinished(NUMPY, BUILD, 90.0)

    assert "not finished within 90 s" in told(failed, limit=90.0)
    assert told(failed, limit=1800.0) == ""


def test_only_a_failed_build_is_a_verdict(failed: FailedBuilds) -> None:
    """A hash that does not fit is another one's."""
    failed.keep(NUMPY, BUILD, Blocked([Finding(code="PY114", message="no hash", names=("numpy",))]))

    assert told(failed) == ""


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"created": 1e18, "finding": {}}', '{"created": null}'])
def test_a_damaged_file_is_none(failed: FailedBuilds, tmp_path: Path, damage: str) -> None:
    failed.keep(NUMPY, BUILD, Blocked([BROKEN]))
    (file,) = (tmp_path / "builds").glob("*.json")
    file.write_text(damage)

    assert told(failed) == ""
