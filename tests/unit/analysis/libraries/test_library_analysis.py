"""Analyses that are impossible report the reason and do not stop the run."""

import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pytest_py312.analysis.libraries.library_analysis import LibraryAnalyzer
from pytest_py312.analysis.oracle.probe_protocol import InterpreterUnavailable
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.plan import Plan
from pytest_py312.repository.services.requirements.requirement_set import RequirementSet
from pytest_py312.runners.runner import CellUnavailable
from tests.support.fakes import cell_of, installation_of


@pytest.mark.parametrize("reason", [InterpreterUnavailable("it was killed"), CellUnavailable("it is not here")])
def test_source_that_the_target_would_have_to_read_and_does_not(tmp_path: Path, reason: Exception) -> None:
    parts: Any = mock.Mock()  # no interpreter, index or store is come to
    parts.request_builder.requirements.of.return_value = RequirementSet()
    inspector = LibraryAnalyzer(
        plan=Plan(root=tmp_path, target=Interpreter(3, 12)), cache=tmp_path, runner=parts, installer=parts, store=parts,
        read=mock.Mock(side_effect=reason), processes=1, ended=threading.Event(),
    )  # fmt: skip

    found = inspector.analyze(cell_of("3.12"), installation_of(), installation_of())

    assert (found.findings, found.unchecked_reason) == ((), str(reason))
