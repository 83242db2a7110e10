"""A service that is really measured, in every report format; pyperf and pytest-benchmark read their own."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.integration.gate_runs import gate
from tests.support.fakes import service_tree

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "pytest_py312/gate/reports/report.schema.json").read_text(encoding="utf-8")
)
FILES = {
    "py312.toml": 'interpreters = ["3.10", "3.12"]\n[defaults]\nbenchmark = { budget = "3s" }\n',
    "user/Dockerfile": 'FROM python:3.10-slim\nCMD ["python", "-m", "sums"]\n',
    "user/sums.py": "",
    "user/requirements.txt": "",
    "user/requirements-test.txt": "pytest==8.4.2\npytest-benchmark==5.1.0\n",
    "user/tests/test_speed.py": "def test_sum(benchmark):\n    benchmark(sum, range(2000))\n",
}
NAME = "user/tests/test_speed.py::test_sum"
ENDINGS = (
    "html", "md", "json", "baseline.pyperf.json", "target.pyperf.json", "baseline.pytest-benchmark.json",
    "target.pytest-benchmark.json",
)  # fmt: skip


def measure(root: Path, cache: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the gate with benchmarks; return the JSON report and its comparison of the benchmark."""
    done = gate(
        root, cache, "--py312-benchmark", *(f"--py312-report=all.{ending}" for ending in ENDINGS),
        checks="py312_benchmark",
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report: dict[str, Any] = json.loads((root / "all.json").read_text(encoding="utf-8"))
    Draft202012Validator(SCHEMA).validate(report)
    [comparison] = [entry for entry in report["comparisons"] if entry["kind"] == "benchmark"]
    return report, comparison


def other(*argv: str, root: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.network
@pytest.mark.timeout(600)
def test_all_formats_contain_the_measurements(tmp_path: Path, gate_cache: Path) -> None:
    """Every sample is in the JSON and in the files of other tools; the second run contains the first run's result."""
    root = service_tree(tmp_path / "repository", FILES)
    first_report, first = measure(root, gate_cache)
    report, second = measure(root, gate_cache)

    assert first["earlier"] == []
    [earlier] = second["earlier"]
    assert (earlier["ratio"], earlier["verdict"]) == (first["ratio"], first["verdict"])

    page = (root / "all.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<svg", page)) >= 4  # the scale, the ratio, the samples, and the earlier run
    assert f"| {second['verdict']} |" in (root / "all.md").read_text(encoding="utf-8")

    dump = other("pyperf", "dump", "all.target.pyperf.json", root=root)
    assert dump.count("value") >= len(second["samples"])
    for sides in ("pyperf", "pytest-benchmark"):
        names = [f"all.{side}.{sides}.json" for side in ("baseline", "target")]
        tool = ("pyperf", "compare_to") if sides == "pyperf" else ("pytest_benchmark", "compare")
        assert "test_sum" in other(*tool, *names, root=root)
    document = json.loads((root / "all.target.pytest-benchmark.json").read_text(encoding="utf-8"))
    samples = {entry["fullname"]: entry["stats"]["data"] for entry in document["benchmarks"]}
    assert samples[NAME] == [after for _, after in second["samples"]]
    # a busy machine may have no time left for it in one of the runs, which is a note then
    notes = [finding for outcome in report["outcomes"] for finding in outcome["findings"]]
    measured = {entry["name"] for entry in (*first_report["comparisons"], *report["comparisons"])}
    assert "import of sums" in measured, notes
