"""Services are read together, and an error of this package in one of them is that service's alone."""

from pathlib import Path

import pytest

from pytest_py312.analysis.services import service_analysis
from pytest_py312.analysis.services.service_analysis import AnalysisResult, ServiceAnalyzer
from pytest_py312.core.model.fleet import Cell
from pytest_py312.core.model.plan import Plan
from tests.support.fakes import FakeRunner, cell_of, service


def test_an_error_in_one_service_does_not_end_the_analysis_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell_of("3.12", service(name)) for name in ("api", "web", "worker")]
    batches: list[set[str]] = []

    def analyze(batch: service_analysis._Batch, cell: Cell, *_: object) -> AnalysisResult:
        names = {of.name for of in batch.inputs.services}
        batches.append(names)
        if "web" in names:
            raise RecursionError("of ours")
        return AnalysisResult(unchecked_reason=cell.service.name)

    monkeypatch.setattr(service_analysis._Batch, "analyze", analyze)
    analyzer = ServiceAnalyzer(plan=Plan(root=tmp_path), cache=tmp_path, runner=FakeRunner(), processes=1)
    analyzer.register([cell.service for cell in cells])

    api, web, worker = cells
    assert analyzer.analyze(api, None).unchecked_reason == "api"
    assert analyzer.analyze(worker, None).unchecked_reason == "worker"
    with pytest.raises(RecursionError, match="of ours"):
        analyzer.analyze(web, None)
    assert batches[-1] == {"web"}
