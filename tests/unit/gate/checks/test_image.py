"""PY7xx: what a built image has to show, and what is as bad on the baseline."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_py312.core.model.findings import Outcome, Status
from pytest_py312.gate.checks.image import Image
from pytest_py312.repository.services.images import Health, ImageRun
from tests.support.fakes import FakeFacts, cell_of

WHOLE = ImageRun(dockerfile="s/Dockerfile", version="Python 3.12.1", entry="app.main", health=Health.HEALTHY)
BEFORE = replace(WHOLE, version="Python 3.9.18")
BROKEN: dict[str, dict[str, Any]] = {
    "PY701": {"failed": "RUN pip install .", "line": 3, "output": "error: no wheel"},
    "PY702": {"version": "Python 3.10.1"},
    "PY703": {"import_error": "Traceback ...\nModuleNotFoundError: No module named 'distutils'"},
    "PY704": {"health": Health.UNHEALTHY, "said": "curl: (7) refused"},
}


def judged(before: Sequence[ImageRun], after: Sequence[ImageRun], on: str = "3.12") -> Outcome:
    facts = FakeFacts(image_runs={"3.9": before, "3.12": after})
    return Image().judge(cell_of(on), facts).outcome


def test_a_whole_image_passes() -> None:
    """On both sides."""
    assert judged([BEFORE], [WHOLE]).status is Status.PASSED
    assert judged([BEFORE], [WHOLE], on="3.9").status is Status.PASSED


@pytest.mark.parametrize("code", sorted(BROKEN))
def test_what_breaks_on_the_target_alone_is_a_regression(code: str) -> None:
    """With the evidence."""
    found = judged([BEFORE], [replace(WHOLE, **BROKEN[code])])
    assert (found.status, [one.code for one in found.findings]) == (Status.FAILED, [code])
    assert found.findings[0].blocks


def test_a_build_that_fails_names_the_instruction_and_its_line() -> None:
    """And the end of its output."""
    found = judged([BEFORE], [replace(WHOLE, **BROKEN["PY701"])]).findings[0]
    assert "RUN pip install ." in found.message
    assert (str(found.location), found.detail) == ("s/Dockerfile:3", "error: no wheel")


@pytest.mark.parametrize("code", ["PY703", "PY704"])
def test_what_is_as_bad_on_the_baseline_does_not_block(code: str) -> None:
    """It is shown on both."""
    before, after = replace(BEFORE, **BROKEN[code]), replace(WHOLE, **BROKEN[code])
    for on in ("3.9", "3.12"):
        found = judged([before], [after], on=on)
        assert (found.status, [one.preexisting for one in found.findings]) == (Status.PASSED, [True])


def test_a_build_that_fails_on_both_proves_nothing() -> None:
    """So the target is not ready, whoever is to blame."""
    before, after = replace(BEFORE, **BROKEN["PY701"]), replace(WHOLE, **BROKEN["PY701"])
    found = judged([before], [after])
    assert (found.status, found.reason.endswith("(as on 3.9)")) == (Status.FAILED, True)


def test_another_python_on_the_baseline_is_a_warning() -> None:
    """What the service runs on today may be told by something else."""
    found = judged([replace(BEFORE, version="Python 3.10.1")], [WHOLE], on="3.9")
    assert (found.status, [one.code for one in found.findings]) == (Status.PASSED, ["PY702"])


def test_a_command_that_tells_no_module_is_noted() -> None:
    """A script of a shell, say: what was not imported is not proven to be."""
    found = judged([replace(BEFORE, entry="")], [replace(WHOLE, entry="")])
    assert (found.status, [(one.code, one.blocks) for one in found.findings]) == (Status.PASSED, [("PY703", False)])


def test_what_could_not_be_tried_is_no_pass() -> None:
    """The network was not there."""
    found = judged([BEFORE], [replace(WHOLE, unchecked="no such host")])
    assert (found.status, found.reason) == (Status.ERRORED, "s/Dockerfile: no such host")


def test_one_of_two_images_that_breaks_is_told_by_its_name() -> None:
    """The other is whole."""
    other = replace(WHOLE, dockerfile="s/deploy/Dockerfile")
    found = judged([BEFORE, replace(other, version="Python 3.9.18")], [WHOLE, replace(other, **BROKEN["PY703"])])
    assert [one.names for one in found.findings] == [("s/deploy/Dockerfile", "app.main")]


def test_a_service_without_an_image_is_skipped() -> None:
    """Nothing was tried, so nothing passed."""
    assert judged([], []).status is Status.SKIPPED
