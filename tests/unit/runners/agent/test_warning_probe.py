"""Warnings of a suite are counted, and reach the function that the suite has chosen to show them."""

import logging
import warnings
from collections.abc import Iterator

import pytest

from pytest_py312.runners.agent.warning_probe import WarningRecorder


@pytest.fixture(autouse=True)
def own_filters() -> Iterator[None]:
    """Each test has the filters and the functions of the library for itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
        logging.captureWarnings(False)


def test_an_ignored_deprecation_is_counted() -> None:
    recorder = WarningRecorder("/scratch")
    recorder.install_filters()

    warnings.warn("old", DeprecationWarning, stacklevel=1)

    assert [(name, text) for name, text, _ in recorder._seen] == [("DeprecationWarning", "old")]


def test_a_suite_that_shows_warnings_itself(caplog: pytest.LogCaptureFixture) -> None:
    """astropy and ``logging.captureWarnings`` replace ``warnings.showwarning``; each phase of a test looks again."""
    recorder = WarningRecorder("/scratch")
    recorder.install_filters()
    logging.captureWarnings(True)
    count = len(warnings.filters)
    for _ in range(3):
        recorder.install_filters()

    warnings.warn("shown", UserWarning, stacklevel=1)

    assert len(warnings.filters) == count
    assert "shown" in caplog.text


def test_an_older_state_that_a_suite_restores() -> None:
    """pytest and suites keep the functions of the library while a test runs, and restore them afterwards."""
    recorder = WarningRecorder("/scratch")
    recorder.install_filters()
    with warnings.catch_warnings(record=True):
        recorder.install_filters()
    recorder.install_filters()

    warnings.warn("old", DeprecationWarning, stacklevel=1)

    assert [text for _, text, _ in recorder._seen] == ["old"]
