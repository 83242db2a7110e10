"""Workers of a cluster that take no part in a run, or cannot take all of its services."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cloned_fleets import commit_fleet
from tests.integration.dask_clusters import DaskCluster, dask_cluster

pytestmark = pytest.mark.timeout(400)

PLAN = 'target = "3.12"\ninterpreters = ["3.11", "3.12"]\nservices = ["services/*"]\n'
FILES = {
    "py312.toml": PLAN,
    "services/alpha/Dockerfile": "FROM python:3.12-slim\n",
    "services/alpha/app.py": "",
    "services/beta/Dockerfile": "FROM python:3.11-slim\n",
    "services/beta/app.py": "",
}
CHANGED_FACTS = """
import dataclasses
from pytest_py312.gate.cluster import worker

def changed_facts(request, dask_worker, facts_of=getattr(worker._facts, "facts_of", worker._facts)):
    facts = facts_of(request, dask_worker)
    return dataclasses.replace(facts, {change})

changed_facts.facts_of = changed_facts.__defaults__[0]  # Dask imports this twice
worker._facts = changed_facts
"""
"""A module that Dask has each worker import: it answers as one of another machine would."""
WORKERS = {
    "other-tool": 'tool="0.0.9 (abc)"',
    "late-clock": "clock=facts.clock - 7200",
    "one-python": "interpreters=facts.interpreters[-1:]",
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path) as made:
        made.variables = {"XDG_CACHE_HOME": str(tmp_path / "home")}
        made.start_scheduler()
        for name, change in WORKERS.items():
            preload = tmp_path / f"{name}.py"
            preload.write_text(CHANGED_FACTS.format(change=change))
            made.start_worker(name, options=["--preload", str(preload)])
        yield made


def test_unfit_workers_are_named_and_what_nobody_can_take_is_errored(cluster: DaskCluster, tmp_path: Path) -> None:
    """The others are checked by who can."""
    root = commit_fleet(tmp_path / "fleet", FILES)
    gate = cluster.gate(root, "-m", "py312_versions or py312_source")

    assert gate.wait(200) == 1, gate.output
    outcomes = json.loads(gate.report.read_text(encoding="utf-8"))["outcomes"]
    statuses = {(outcome["service"], outcome["check"]): outcome["status"] for outcome in outcomes}
    assert statuses["beta", "source"] == statuses["beta", "versions"] == "errored"
    assert statuses["alpha", "source"] == statuses["alpha", "versions"] == "passed"
    reason = next(outcome["reason"] for outcome in outcomes if outcome["service"] == "beta")
    assert "no worker of the cluster can check it: one-python (" in reason
    assert reason.endswith("it has no Python 3.11")
    assert "is not used: it has pytest-py312 0.0.9 (abc), and this run is by " in gate.output
    assert "is not used: its clock is 2 h behind: synchronise it" in gate.output
    assert gate.output.index("beta could not be checked") < gate.output.index("alpha was checked by one-python")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that is its own authority, with its key in the same file."""
    file = tmp_path / "cert.pem"
    fixed = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*fixed, "-keyout", str(tmp_path / "key.pem"), "-out", str(file)], check=True, capture_output=True)
    return file


def test_tls_is_configured_as_for_dask(tmp_path: Path, certificate: Path) -> None:
    """With its configuration alone; there is no warning."""
    files = {"CA_FILE": certificate, "CLIENT__CERT": certificate, "CLIENT__KEY": tmp_path / "key.pem"}
    options = [
        "--tls-ca-file",
        str(certificate),
        "--tls-cert",
        str(certificate),
        "--tls-key",
        str(tmp_path / "key.pem"),
    ]
    root = commit_fleet(tmp_path / "fleet", FILES)
    with dask_cluster(tmp_path) as cluster:
        cluster.variables = {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(file) for name, file in files.items()}
        cluster.variables["XDG_CACHE_HOME"] = str(tmp_path / "home")
        cluster.start_scheduler(options=["--protocol", "tls", *options])
        cluster.start_worker("worker-1", options=["--protocol", "tls", *options])
        gate = cluster.gate(root, "-m", "py312_versions")

        assert gate.wait(200) == 0, gate.output
    assert cluster.address.startswith("tls://")
    assert "without TLS" not in gate.output
    assert "was checked by worker-1 (tls://" in gate.output
