"""Cost of judging the declared versions of a large fleet: five files per service, and a job in a root workflow.

    pytest tests/benchmarks/test_version_check_speed.py --benchmark-only

The budget is 10 s of processor time for a thousand services. ``peak MiB`` is what Python holds at most beside the fleet
itself: of a thousand services little more than of a hundred, since what a service says is not kept.
"""

import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.gate.checks.version_consistency import check_consistency
from pytest_py312.repository.edits.declarations import MigrationTarget
from pytest_py312.repository.services.version_survey import VersionSurvey
from tests.support.fakes import service, service_tree

FILES = {
    "Dockerfile": "FROM python:@-slim AS builder\nWORKDIR /app\nCOPY requirements.txt .\n"
    "RUN pip install --no-cache-dir -r requirements.txt\nFROM python:@-slim\n"
    "COPY --from=builder /usr/local/lib/python@/site-packages /usr/local/lib/python@/site-packages\n"
    'HEALTHCHECK --interval=30s CMD curl -f http://localhost:8000/health\nCMD ["python", "-m", "app"]\n',
    "docker-compose.yml": "services:\n  app:\n    build: .\n    ports: ['8000:8000']\n"
    "  mock:\n    image: python:@-slim\n    command: python -m http.server\n",
    "pyproject.toml": "[project]\nname = 'app'\nversion = '1'\nrequires-python = '>=@,<3.12'\n"
    "classifiers = ['Programming Language :: Python :: @']\n[tool.mypy]\npython_version = '@'\n",
    "tox.ini": "[tox]\nenvlist = py#,lint\n[testenv]\ndeps = pytest\ncommands = pytest\n",
    "k8s/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nspec:\n  template:\n    spec:\n"
    "      containers:\n      - name: app\n        image: registry.example.org/app:1.2\n"
    "      initContainers:\n      - name: wait\n        image: python:@-alpine\n",
}
JOB = "  {name}:\n    defaults: {{run: {{working-directory: {path}}}}}\n    steps:\n" \
    "      - uses: actions/setup-python@v5\n        with: {{python-version: '3.10'}}\n"  # fmt: skip
MIGRATION = MigrationTarget(baseline=Interpreter(3, 10), target=Interpreter(3, 12))


def fleet(root: Path, count: int) -> list[Service]:
    services = [service(f"service-{number:04}", path=f"services/service-{number:04}") for number in range(count)]
    texts = {name: text.replace("@", "3.10").replace("#", "310") for name, text in FILES.items()}
    for member in services:
        service_tree(root / member.path, texts)
    jobs = [JOB.format(name=member.name, path=member.path) for member in services]
    for number in range(0, count, 20):
        service_tree(root, {f".github/workflows/{number:04}.yml": "jobs:\n" + "".join(jobs[number : number + 20])})
    return services


def judged(root: Path, services: Sequence[Service]) -> int:
    """Judge all services one after the other; return the number of findings."""
    survey = VersionSurvey(root, services)
    return sum(
        len(check_consistency(survey.read(member).declarations, MIGRATION, service=member.path).findings)
        for member in services
    )


@pytest.mark.benchmark(group="versions", timer=time.process_time)
@pytest.mark.parametrize("count", [100, 1000])
def test_judging_a_fleet(benchmark: BenchmarkFixture, tmp_path: Path, count: int) -> None:
    """Reading, attribution and judging in one thread."""
    services = fleet(tmp_path, count)
    count_of_findings = benchmark.pedantic(judged, (tmp_path, services), rounds=3)
    tracemalloc.start()
    judged(tmp_path, services)
    benchmark.extra_info["peak MiB"] = round(tracemalloc.get_traced_memory()[1] / 1024**2, 1)
    tracemalloc.stop()

    assert count_of_findings == 10 * count
