"""Usage, restarts and logs of a soaking stage in a cluster; and how the user's own access is found."""

import asyncio
import json
import traceback
from pathlib import Path

import pytest
import yaml

from pytest_py312.cli.main import main
from pytest_py312.core import clock
from pytest_py312.rollout.domain.measurements import Result, Timestamp
from pytest_py312.rollout.domain.model import StageState
from pytest_py312.rollout.domain.target_model import Container
from pytest_py312.rollout.metrics.resource_usage import CPU, MEMORY, OUT_OF_MEMORY, RESTARTS
from pytest_py312.rollout.monitoring.probes import ContainerProbe
from pytest_py312.rollout.targets.kubernetes.api import connect
from pytest_py312.rollout.targets.target import TargetError, TargetRefused, TargetUnavailable
from tests.integration.clusters.api_server import Refusal, ServerThread
from tests.integration.clusters.controller import crash
from tests.integration.clusters.shop import NAMESPACE, Shop
from tests.support.fakes import service_tree

AT = Timestamp(wall=1e9, boottime=1.0, boot="b")


@pytest.fixture
def new(small: Shop) -> Container:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is StageState.SOAKING
    made = run["auth"].new
    assert made is not None
    return made


def test_usage_is_the_average_of_the_pods_and_restarts_their_sum(small: Shop, new: Container) -> None:
    small.server.pods.usage = lambda pod: {"cpu": "150m", "memory": "64Mi"}
    for pod in small.pods("auth"):
        crash(pod)
    usage = small.target.read_usage(small.spec("auth"), new, since=clock.timestamp() - 300)
    assert (usage.cores, usage.memory, usage.unmeasured) == (0.15, 64 * 2**20, "")
    assert (usage.restarts, usage.out_of_memory, usage.log_lost) == (2, False, False)
    assert usage.log == ("before it ended", "serving") * 2


def test_an_out_of_memory_kill_is_reported_after_the_restart(small: Shop, new: Container) -> None:
    crash(small.pods("auth")[0], reason="OOMKilled", code=137)
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=new)
    measurements = {measurement.metric: measurement for measurement in asyncio.run(probe.measure(None, AT))}
    assert measurements[OUT_OF_MEMORY].result is Result.FAILED
    assert measurements[RESTARTS].result is Result.SUCCESSFUL


def test_without_metrics_memory_and_cpu_are_inconclusive(small: Shop, new: Container) -> None:
    """And neither 0 nor successful."""
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=new)
    measurements = {measurement.metric: measurement for measurement in asyncio.run(probe.measure(None, AT))}
    assert {measurements[CPU].result, measurements[MEMORY].result} == {Result.INCONCLUSIVE}
    assert "metrics-server" in measurements[MEMORY].detail


def test_a_long_log_is_reported_as_truncated(small: Shop, new: Container) -> None:
    small.server.pods.log = lambda pod, previous: [f"line {number}" for number in range(2500)]
    assert small.target.read_usage(small.spec("auth"), new, since=0.0).log_lost


# ---- the user's own access

SECRET = "not-to-be-shown"


@pytest.fixture
def kubeconfig(tmp_path: Path, server_thread: ServerThread, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    clusters = {"shop": f"http://127.0.0.1:{server_thread.port}", "gone": "http://127.0.0.1:9"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}} for name, server in clusters.items()],
        "users": [{"name": "ci", "user": {"token": SECRET}}],
        "contexts": [
            {"name": "staging", "context": {"cluster": "shop", "user": "ci", "namespace": NAMESPACE}},
            {"name": "away", "context": {"cluster": "gone", "user": "ci"}},
        ],
        "current-context": "staging",
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    return path


@pytest.mark.usefixtures("kubeconfig", "small")
def test_the_users_context_determines_the_namespace() -> None:
    cluster = connect("", "")
    assert cluster.namespace == NAMESPACE
    assert cluster.deployment(NAMESPACE, "auth") is not None
    assert connect("away", "").namespace == "default"
    assert connect("staging", "other").namespace == "other"
    cluster.close()


@pytest.mark.usefixtures("kubeconfig")
def test_an_unknown_context_is_reported_with_the_existing_ones() -> None:
    with pytest.raises(TargetRefused, match="the kubeconfig has no context prod; it has staging, away"):
        connect("prod", "")


def test_a_missing_kubeconfig_is_reported(kubeconfig: Path) -> None:
    kubeconfig.unlink()
    for context in ("", "staging"):
        with pytest.raises(TargetRefused, match=r"no cluster is configured|there is no context staging"):
            connect(context, "")


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("status", [401, 403, 500])
def test_no_error_shows_the_users_credentials(small: Shop, status: int) -> None:
    def refused(verb: str, resource: str, name: str) -> None:
        raise Refusal(status, "Whatever", "the server refuses")

    cluster = connect("", "")
    small.server.before = refused
    errors = []
    for act in (
        lambda: cluster.deployment(NAMESPACE, "auth"),
        lambda: cluster.execute(NAMESPACE, "auth", "app", ["sh"], max_bytes=10),
        lambda: cluster.create_lease({"metadata": {"name": "x"}}),
    ):
        try:
            act()
        except TargetError as error:
            errors += traceback.format_exception(error)
    assert errors
    assert SECRET not in " ".join(errors)
    cluster.close()


@pytest.mark.usefixtures("kubeconfig")
def test_an_unreachable_cluster_is_unavailable_and_not_a_refusal() -> None:
    cluster = connect("away", "")
    with pytest.raises(TargetUnavailable, match=r"the cluster does not answer \(get deployments\.apps\)"):
        cluster.deployment("default", "auth")
    cluster.close()


@pytest.mark.usefixtures("kubeconfig")
def test_a_stage_on_the_command_line(small: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = """
[deploy]
target = "kubernetes"
image = "shop/{service}:{version}"
readiness-delay = 0
environments = { test = { context = "staging" }, prod = { after = ["test"] } }

[service.auth]
baseline = "3.9"
"""
    service_tree(tmp_path / "repo", {"services/auth/requirements.txt": "attrs\n", "py312.toml": plan})

    def py312(line: str) -> tuple[int, str]:
        code = main([*line.split(), str(tmp_path / "repo")])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    code, output = py312("deploy --stage 1 --env test")
    assert (code, small.serving()) == (0, {"auth": {"3.12"}}), output
    assert output.count("the cluster has no metrics.k8s.io (metrics-server)") == 1, (
        "reported before a soak that cannot pass"
    )
    assert 'set soak.missing = "pass"' in output
    code, output = py312("doctor --env test")
    assert code == 1
    assert "could not be checked  engine" in output
    assert "no sample counts, and the soak is inconclusive" in output
    code, output = py312("deploy --stage 1 --env prod")
    assert code == 4
    assert "shop/auth:3.12 is a tag, which may have moved since the image was proven" in output
    code, output = py312("rollback --stage 1 --env test")
    assert (code, small.serving()) == (0, small.all_old()), output
    assert small.left_over() == []


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("may_delete", [True, False])
def test_a_drill_deletes_pods_until_it_is_noticed(
    small: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], may_delete: bool
) -> None:
    plan = """
target = "3.12"
stage = [{ number = 1, services = ["auth"] }]

[deploy]
target = "kubernetes"
image = "shop/{service}:{version}"
readiness-delay = 0
environments = { test = { context = "staging", drill = true } }

[service.auth]
baseline = "3.9"
"""
    root = service_tree(tmp_path / "repo", {"services/auth/requirements.txt": "attrs\n", "py312.toml": plan})
    if not may_delete:
        small.server.forbidden.add(("delete", "pods"))
    code = main(["drill", "--stage", "1", "--fault", "stop", str(root), "--json"])
    captured = capsys.readouterr()
    assert captured.out, captured.err
    result = json.loads(captured.out)
    assert (code, result["passed"], result["state"]) == (int(not may_delete), may_delete, "rolled back"), result
    assert may_delete or "auth could not be made to fail" in result["detail"]
    deleted = [name for verb, resource, name in small.server.requests if (verb, resource) == ("delete", "pods")]
    assert len(deleted) >= (4 if may_delete else 1), "two pods, before each sample"
    assert small.serving() == small.all_old()
    assert small.left_over() == []
