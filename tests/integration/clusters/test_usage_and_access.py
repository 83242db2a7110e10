"""What a cluster tells while a stage soaks: use, restarts, logs; and how the user's own access is found."""

import asyncio
import traceback
from pathlib import Path

import pytest
import yaml

from pytest_py312.cli.main import main
from pytest_py312.core import clock
from pytest_py312.rollout.domain.model import Container, Moment, Result, StageState
from pytest_py312.rollout.metrics.resource_usage import CPU, MEMORY, OUT_OF_MEMORY, RESTARTS
from pytest_py312.rollout.monitoring.probes import ContainerProbe
from pytest_py312.rollout.targets.kubernetes.api import connect
from pytest_py312.rollout.targets.target import TargetError, TargetLost, TargetRefused
from tests.integration.clusters.api_server import Refusal, Running
from tests.integration.clusters.controller import crash
from tests.integration.clusters.shop import NAMESPACE, Shop
from tests.support.fakes import service_tree

AT = Moment(wall=1e9, boottime=1.0, boot="b")


@pytest.fixture
def new(small: Shop) -> Container:
    with small.driver() as (driver, _):
        run = driver.deploy(small.run("3.12"))
    assert run.state is StageState.SOAKING
    made = run["auth"].new
    assert made is not None
    return made


def test_use_is_the_average_of_the_pods_and_restarts_their_sum(small: Shop, new: Container) -> None:
    small.server.pods.usage = lambda pod: {"cpu": "150m", "memory": "64Mi"}
    for pod in small.pods("auth"):
        crash(pod)
    usage = small.target.sample(small.spec("auth"), new, since=clock.timestamp() - 300)
    assert (usage.cores, usage.memory, usage.unmeasured) == (0.15, 64 * 2**20, "")
    assert (usage.restarts, usage.out_of_memory, usage.log_lost) == (2, False, False)
    assert usage.log == ("before it ended", "serving") * 2


def test_want_of_memory_is_told_after_the_pod_was_started_again(small: Shop, new: Container) -> None:
    crash(small.pods("auth")[0], reason="OOMKilled", code=137)
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=new)
    found = {one.metric: one for one in asyncio.run(probe.measure(None, AT))}
    assert found[OUT_OF_MEMORY].result is Result.FAILED
    assert found[RESTARTS].result is Result.SUCCESSFUL


def test_without_metrics_memory_and_processor_are_not_known(small: Shop, new: Container) -> None:
    """And neither 0 nor good."""
    probe = ContainerProbe(target=small.target, spec=small.spec("auth"), container=new)
    found = {one.metric: one for one in asyncio.run(probe.measure(None, AT))}
    assert {found[CPU].result, found[MEMORY].result} == {Result.INCONCLUSIVE}
    assert "metrics-server" in found[MEMORY].detail


def test_a_long_log_is_said_to_be_cut(small: Shop, new: Container) -> None:
    small.server.pods.log = lambda pod, previous: [f"line {number}" for number in range(2500)]
    assert small.target.sample(small.spec("auth"), new, since=0.0).log_lost


# ---- the user's own access

SECRET = "not-to-be-shown"


@pytest.fixture
def kubeconfig(tmp_path: Path, running: Running, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    clusters = {"shop": f"http://127.0.0.1:{running.port}", "gone": "http://127.0.0.1:9"}
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
def test_a_context_is_the_users_own_and_brings_its_namespace() -> None:
    cluster = connect("", "")
    assert cluster.namespace == NAMESPACE
    assert cluster.deployment(NAMESPACE, "auth") is not None
    assert connect("away", "").namespace == "default"
    assert connect("staging", "other").namespace == "other"
    cluster.close()


@pytest.mark.usefixtures("kubeconfig")
def test_a_context_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(TargetRefused, match="the kubeconfig has no context prod; it has staging, away"):
        connect("prod", "")


def test_without_any_kubeconfig_that_is_said(kubeconfig: Path) -> None:
    kubeconfig.unlink()
    for context in ("", "staging"):
        with pytest.raises(TargetRefused, match=r"no cluster is known here|there is no context staging"):
            connect(context, "")


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize("status", [401, 403, 500])
def test_no_error_shows_what_the_user_is_known_by(small: Shop, status: int) -> None:
    def refused(verb: str, resource: str, name: str) -> None:
        raise Refusal(status, "Whatever", "the server said so")

    cluster = connect("", "")
    small.server.before = refused
    told = []
    for act in (
        lambda: cluster.deployment(NAMESPACE, "auth"),
        lambda: cluster.execute(NAMESPACE, "auth", "app", ["sh"], most=10),
        lambda: cluster.create_lease({"metadata": {"name": "x"}}),
    ):
        try:
            act()
        except TargetError as error:
            told += traceback.format_exception(error)
    assert told
    assert SECRET not in " ".join(told)
    cluster.close()


@pytest.mark.usefixtures("kubeconfig")
def test_a_cluster_that_is_away_is_lost_and_not_refused() -> None:
    cluster = connect("away", "")
    with pytest.raises(TargetLost, match=r"the cluster does not answer \(get deployments\.apps\)"):
        cluster.deployment("default", "auth")
    cluster.close()


@pytest.mark.usefixtures("kubeconfig")
def test_a_stage_as_it_is_typed(small: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        told = capsys.readouterr()
        return code, told.out + told.err

    code, told = py312("deploy --stage 1 --env test")
    assert (code, small.serving()) == (0, {"auth": {"3.12"}}), told
    assert told.count("the cluster has no metrics.k8s.io (metrics-server)") == 1, "said before it soaks in vain"
    assert 'say soak.missing = "pass"' in told
    code, told = py312("doctor --env test")
    assert code == 1
    assert "could not be checked  engine" in told
    assert "no sample would count, and the soak would be inconclusive" in told
    code, told = py312("deploy --stage 1 --env prod")
    assert code == 4
    assert "shop/auth:3.12 is a name that may mean another image by now than where it was proven" in told
    code, told = py312("rollback --stage 1 --env test")
    assert (code, small.serving()) == (0, small.all_old()), told
    assert small.left_over() == []
