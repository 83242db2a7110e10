"""PY7xx: what a built image must do, and what is pre-existing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.gate.checks.image import ImageCheck
from pytest_py312.repository.services.images import ImageCheckResult, ImageHealth
from tests.support.fakes import FakeFacts, cell_of

WHOLE = ImageCheckResult(
    dockerfile="s/Dockerfile", version="Python 3.12.1", entry_point="app.main", health=ImageHealth.HEALTHY
)
BEFORE = replace(WHOLE, version="Python 3.9.18")
BROKEN: dict[str, dict[str, Any]] = {
    "PY701": {"failed": "RUN pip install .", "line": 3, "output": "error: no wheel"},
    "PY702": {"version": "Python 3.10.1"},
    "PY703": {"import_error": "Traceback ...\nModuleNotFoundError: No module named 'distutils'"},
    "PY704": {"health": ImageHealth.UNHEALTHY, "last_output": "curl: (7) refused"},
}


def judged(before: Sequence[ImageCheckResult], after: Sequence[ImageCheckResult], on: str = "3.12") -> Outcome:
    facts = FakeFacts(image_results={"3.9": before, "3.12": after})
    return ImageCheck().run(cell_of(on), facts).outcome


def test_a_working_image_passes() -> None:
    """On both sides."""
    assert judged([BEFORE], [WHOLE]).status is Status.PASSED
    assert judged([BEFORE], [WHOLE], on="3.9").status is Status.PASSED


@pytest.mark.parametrize("code", sorted(BROKEN))
def test_a_failure_on_the_target_only_is_a_regression(code: str) -> None:
    """The detail has the output."""
    found = judged([BEFORE], [replace(WHOLE, **BROKEN[code])])
    assert (found.status, [one.code for one in found.findings]) == (Status.FAILED, [code])
    assert found.findings[0].blocks


def test_a_build_that_fails_names_the_instruction_and_its_line() -> None:
    """And the end of its output."""
    found = judged([BEFORE], [replace(WHOLE, **BROKEN["PY701"])]).findings[0]
    assert "RUN pip install ." in found.message
    assert (str(found.location), found.detail) == ("s/Dockerfile:3", "error: no wheel")


@pytest.mark.parametrize("code", ["PY703", "PY704"])
def test_a_pre_existing_failure_does_not_block(code: str) -> None:
    """It is reported on both."""
    before, after = replace(BEFORE, **BROKEN[code]), replace(WHOLE, **BROKEN[code])
    for on in ("3.9", "3.12"):
        found = judged([before], [after], on=on)
        assert (found.status, [one.preexisting for one in found.findings]) == (Status.PASSED, [True])


def test_a_build_that_fails_on_both_proves_nothing() -> None:
    """So the target is not ready, whatever the cause."""
    before, after = replace(BEFORE, **BROKEN["PY701"]), replace(WHOLE, **BROKEN["PY701"])
    found = judged([before], [after])
    assert (found.status, found.reason.endswith("(also fails on 3.9)")) == (Status.FAILED, True)


def test_another_python_on_the_baseline_is_a_warning() -> None:
    """Another file may declare the current Python of the service."""
    found = judged([replace(BEFORE, version="Python 3.10.1")], [WHOLE], on="3.9")
    assert (found.status, [one.code for one in found.findings]) == (Status.PASSED, ["PY702"])


def test_a_command_without_a_module_is_a_note() -> None:
    """For example a shell script: nothing was imported, so nothing is proven."""
    found = judged([replace(BEFORE, entry_point="")], [replace(WHOLE, entry_point="")])
    assert (found.status, [(one.code, one.blocks) for one in found.findings]) == (Status.PASSED, [("PY703", False)])


def test_an_image_that_could_not_be_checked_is_errored() -> None:
    """For example without a network."""
    found = judged([BEFORE], [replace(WHOLE, unchecked="no such host")])
    assert (found.status, found.reason) == (Status.ERRORED, "s/Dockerfile: no such host")


def test_a_broken_image_is_reported_by_name() -> None:
    """The other one works."""
    other = replace(WHOLE, dockerfile="s/deploy/Dockerfile")
    found = judged([BEFORE, replace(other, version="Python 3.9.18")], [WHOLE, replace(other, **BROKEN["PY703"])])
    assert [one.names for one in found.findings] == [("s/deploy/Dockerfile", "app.main")]


def test_a_service_without_an_image_is_skipped() -> None:
    """Nothing was checked, so nothing passed."""
    assert judged([], []).status is Status.SKIPPED
