"""What the doctor concludes from facts, and how it collects them."""

import gzip
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.database import MIN_FREE_BYTES
from pytest_py312.core.errors import OptionError, RunnerUnavailable
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.rollout.domain.journal import JOURNAL_FILE
from pytest_py312.rollout.preflight import health_rows
from pytest_py312.rollout.preflight.health_checks import has_kernel_feature
from pytest_py312.rollout.preflight.health_rows import HealthRow, HealthStatus, all_required_ok
from pytest_py312.rollout.targets.docker.inspection import parse_engine_info
from pytest_py312.rollout.targets.target import EngineInfo, ImageInfo, TargetUnavailable
from pytest_py312.runners.runner import CellUnavailable
from tests.support.fakes import FakeTarget, build_of, service_tree
from tests.unit.rollout.shells import PLAN, Shell, shell_in

FACTS = EngineInfo(name="Docker", version="26.1", cgroup_version="2", swarm_state="inactive")


def health(rows: list[HealthRow], what: str) -> HealthStatus:
    return next(row.health for row in rows if row.what == what)


# ---- judging


def test_what_is_needed_decides_and_nothing_at_all_is_not_well() -> None:
    well, unknown = (HealthRow(area="a", what="b", health=one) for one in (HealthStatus.OK, HealthStatus.UNKNOWN))
    assert all_required_ok([well])
    assert all_required_ok([well, replace(unknown, needed=False)])
    assert not all_required_ok([well, unknown]), "what could not be checked is never well"
    assert not all_required_ok([])
    assert not all_required_ok([replace(well, needed=False)])


def test_a_swarm_needs_what_a_single_engine_does_not() -> None:
    alone = health_rows.engine_rows(replace(FACTS, live_restore=True), "docker")
    assert {row.health for row in alone} == {HealthStatus.OK}
    swarm = health_rows.engine_rows(replace(FACTS, live_restore=True), "swarm")
    assert health(swarm, "live-restore") is HealthStatus.PROBLEM
    assert health(swarm, "swarm") is HealthStatus.PROBLEM
    worker = replace(FACTS, swarm_state="active")
    assert health(health_rows.engine_rows(worker, "swarm"), "swarm") is HealthStatus.PROBLEM
    assert health(health_rows.engine_rows(replace(worker, is_manager=True), "swarm"), "swarm") is HealthStatus.OK


def test_services_do_without_virtual_addresses_and_not_without_their_network() -> None:
    assert not health_rows.kernel_row("IP_VS", False).needed
    assert '"dnsrr" and ports in host mode do' in health_rows.kernel_row("IP_VS", False).remedy
    assert health_rows.kernel_row("VXLAN", False).needed
    assert not health_rows.kernel_row("VXLAN", None).needed, "the kernel of another machine cannot be checked from here"


def test_an_engine_of_which_little_is_known_is_not_called_well() -> None:
    rows = health_rows.engine_rows(replace(FACTS, cgroup_version=""), "docker")
    assert health(rows, "control groups") is HealthStatus.UNKNOWN
    assert health_rows.engine_clock_row(0.0, None, 0.0).health is HealthStatus.UNKNOWN
    assert health_rows.disk_row("engine", None, "/x").health is HealthStatus.UNKNOWN
    assert health_rows.kernel_row("IP_VS", None).health is HealthStatus.UNKNOWN
    assert health_rows.rollback_row("auth", container_exists=None, image_exists=None).health is HealthStatus.UNKNOWN
    assert health_rows.synchronised_row(None).health is HealthStatus.UNKNOWN


@pytest.mark.parametrize(("theirs", "took", "expected"), [(104, 0.0, "ok"), (90, 1.0, "trouble"), (110, 8.0, "ok")])
def test_an_engines_clock_may_be_off_by_what_asking_took(theirs: float, took: float, expected: str) -> None:
    assert health_rows.engine_clock_row(100.0, theirs, took).health.value == expected


def test_less_than_a_rollout_needs_is_a_problem() -> None:
    assert health_rows.disk_row("journal", MIN_FREE_BYTES - 1, "/x").health is HealthStatus.PROBLEM
    assert health_rows.disk_row("journal", MIN_FREE_BYTES, "/x").health is HealthStatus.OK


def test_an_image_that_declares_another_python_is_a_problem_and_one_that_declares_none_is_not() -> None:
    def image_health(facts: ImageInfo | None) -> HealthStatus:
        return health_rows.image_row("auth", "registry/auth", facts, "3.12").health

    assert image_health(None) is HealthStatus.PROBLEM
    assert image_health(ImageInfo(id="x", declared_python="3.9")) is HealthStatus.PROBLEM
    assert image_health(ImageInfo(id="x")) is image_health(ImageInfo(id="x", declared_python="3.12")) is HealthStatus.OK


@pytest.mark.parametrize(
    ("container", "image", "expected"),
    [
        (True, False, HealthStatus.OK),
        (True, None, HealthStatus.OK),
        (False, True, HealthStatus.OK),
        (None, True, HealthStatus.OK),
        (False, False, HealthStatus.PROBLEM),
        (False, None, HealthStatus.PROBLEM),
        (None, None, HealthStatus.UNKNOWN),
    ],
)
def test_a_container_or_an_image_is_enough_for_a_rollback(
    container: bool | None, image: bool | None, expected: HealthStatus
) -> None:
    assert health_rows.rollback_row("auth", container_exists=container, image_exists=image).health is expected


# ---- reading


def test_an_engines_own_words() -> None:
    engine_info = {
        "ServerVersion": "26.1.5", "Name": "vm", "CgroupVersion": "1", "LiveRestoreEnabled": True,
        "Swarm": {"LocalNodeState": "active", "ControlAvailable": True}, "SystemTime": "2026-11-26T03:02:48.073657301Z",
    }  # fmt: skip
    facts = parse_engine_info(engine_info, is_local=True)
    assert (facts.version, facts.host, facts.cgroup_version, facts.live_restore) == ("26.1.5", "vm", "1", True)
    assert (facts.swarm_state, facts.is_manager, facts.engine_time) == ("active", True, 1795662168.073657)
    assert parse_engine_info({"SystemTime": "?", "Swarm": None}, is_local=False).engine_time is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"sys/module/ip_vs/version": ""}, True),
        ({"lib/modules/6/modules.builtin": "kernel/net/netfilter/ipvs/ip_vs.ko\n"}, True),
        ({"lib/modules/6/modules.dep": "kernel/net/ip_vs.ko.zst: kernel/x.ko\n"}, True),
        ({"lib/modules/6/modules.dep": "kernel/net/ip_vs_rr.ko: kernel/x.ko\n"}, False),
        ({"proc/config.gz": "CONFIG_IP_VS=y\n"}, True),
        ({"proc/config.gz": "# CONFIG_IP_VS is not set\nCONFIG_IP_VS_RR=y\n"}, False),
        # as a module, of which this machine has no list: it may be on another one's disk
        ({"proc/config.gz": "CONFIG_IP_VS=m\n"}, None),
        ({"proc/config.gz": "CONFIG_IP_VS=m\n", "lib/modules/6/modules.dep": "kernel/x.ko:\n"}, False),
        ({}, None),
    ],
)
def test_what_a_kernel_can_do(tmp_path: Path, files: dict[str, str], expected: bool | None) -> None:
    service_tree(tmp_path, files)
    for name in files:
        if name.endswith(".gz"):
            (tmp_path / name).write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    assert has_kernel_feature("IP_VS", "ip_vs", root=tmp_path, release="6") is expected


def test_a_file_that_is_no_configuration_tells_nothing(tmp_path: Path) -> None:
    service_tree(tmp_path, {"proc/config.gz": "no archive"})
    assert has_kernel_feature("IP_VS", "ip_vs", root=tmp_path, release="6") is None


# ---- asking


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch)
    monkeypatch.setattr("pytest_py312.core.clock.is_synchronised", lambda: True)
    return shell


@pytest.fixture
def machine(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The Pythons of this machine, which a test can change."""
    local_pythons = ["3.9", "3.10", "3.11", "3.12"]

    def find(interpreter: Interpreter, _: Path) -> InterpreterBuild:
        if str(interpreter) not in local_pythons:
            raise CellUnavailable("none")
        return build_of(str(interpreter))

    monkeypatch.setattr("pytest_py312.rollout.preflight.plan_checks.find_installed", find)
    return local_pythons


def rows_of(shell: Shell, *, code: int, line: str = "doctor") -> dict[tuple[str, str], dict[str, Any]]:
    document = shell.document(line, code=code)
    assert document["well"] is (code == 0)
    return {(row["area"], row["what"]): row for row in document["rows"]}


def test_where_all_is_well_it_says_so_and_changes_nothing(py312: Shell) -> None:
    serving_before = py312.target.serving()
    text = py312("doctor")
    assert text.endswith("all required checks passed\n")
    assert "trouble" not in text
    assert py312.target.serving() == serving_before
    assert not (py312.context.state_dir / JOURNAL_FILE).exists(), "looking makes no journal"


def test_without_an_engine_nothing_of_it_is_called_well(py312: Shell) -> None:
    def none() -> FakeTarget:
        raise RunnerUnavailable("no Docker engine can be used")

    py312.context = replace(py312.context, target=none)
    rows = rows_of(py312, code=1)
    assert rows["engine", "reachable"]["health"] == "trouble"
    assert rows["images", "auth"]["health"] == rows["rollback", "auth"]["health"] == "could not be checked"


def test_of_a_target_that_does_not_tell_it_is_known_that_it_answers(py312: Shell) -> None:
    quiet = FakeTarget()
    quiet.serve("auth", "old-3.9")
    py312.context = replace(py312.context, target=lambda: quiet)
    rows = rows_of(py312, code=0)
    assert rows["engine", "reachable"]["detail"] == "fake answers"
    assert (rows["images", "auth"]["health"], rows["images", "auth"]["needed"]) == ("could not be checked", False)
    assert rows["rollback", "auth"]["health"] == "ok", "what serves can be asked of any target"


def test_the_lock_holder_is_shown(py312: Shell) -> None:
    assert rows_of(py312, code=0)["lock", "test"]["detail"] == "free"
    py312("deploy --stage 1")
    assert rows_of(py312, code=0)["lock", "test"]["detail"].startswith("held by ")


def test_an_engine_that_is_lost_meanwhile_is_not_reached(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(target: object) -> EngineInfo:
        raise TargetUnavailable("it does not answer")

    monkeypatch.setattr(type(py312.target), "engine_info", lost)
    assert rows_of(py312, code=1)["engine", "reachable"]["detail"] == "it does not answer"


def test_images_of_one_stage_are_looked_at(py312: Shell) -> None:
    del py312.target.images["new-3.12"]
    rows = rows_of(py312, code=1, line="doctor --stage 2")
    assert rows["images", "gateway"]["detail"] == "new-3.12 does not exist"
    assert ("images", "auth") not in rows
    with pytest.raises(OptionError, match="there is no stage 7"):
        py312("doctor --stage 7")


def test_a_lost_previous_version_is_reported_while_a_stage_is_up(py312: Shell) -> None:
    py312("deploy --stage 1")
    assert rows_of(py312, code=0)["rollback", "auth"]["detail"] == "the previous container exists"
    gone = next(key for key, one in py312.target.containers.items() if one.image == "old-3.9" and not one.running)
    del py312.target.containers[gone]
    assert "its container is gone" in rows_of(py312, code=0)["rollback", "auth"]["detail"]
    del py312.target.images["old-3.9"]
    assert rows_of(py312, code=1)["rollback", "auth"]["health"] == "trouble"


def test_a_stopped_service_cannot_be_rolled_back_to(py312: Shell) -> None:
    for one in py312.target.containers.values():
        one.running = one.name != "auth"
    assert "is not running" in rows_of(py312, code=1)["rollback", "auth"]["detail"]


def test_the_gates_interpreters_are_listed_and_not_required(py312: Shell, machine: list[str]) -> None:
    machine.clear()
    py312.target.images["python:3.11-slim"] = ImageInfo(id="x")
    rows = rows_of(py312, code=0)
    assert rows["interpreters", "3.11"]["detail"] == "the image python:3.11-slim"
    assert rows["interpreters", "3.12"]["health"] == "trouble"
    assert "uv python install 3.12, or docker pull python:3.12-slim" in rows["interpreters", "3.12"]["remedy"]
    machine.append("3.12")
    assert rows_of(py312, code=0)["interpreters", "3.12"]["detail"] == "3.12.1, a test"


def test_what_a_dead_run_left_is_reported(py312: Shell) -> None:
    def killed(step: str) -> None:
        if step == "switch auth":
            raise MemoryError

    py312.target.before = killed
    with pytest.raises(MemoryError):
        py312("deploy --stage 1")
    py312.target.before = lambda step: None
    row = rows_of(py312, code=1)["journal", "unfinished"]
    assert (row["health"], row["detail"]) == ("trouble", "stage 1 was left deploying")
    assert "py312 recover --env test" in row["remedy"]


def test_a_damaged_journal_is_reported_and_not_touched(py312: Shell) -> None:
    py312("deploy --stage 1")
    file = py312.context.state_dir / JOURNAL_FILE
    file.write_bytes(file.read_bytes()[:512] + b"\xff" * 8192)
    before = file.read_bytes()
    assert rows_of(py312, code=1)["journal", "file"]["health"] == "trouble"
    assert file.read_bytes() == before


def test_a_date_that_was_set_is_reported(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    py312("deploy --stage 1")
    py312("sample --stage 1", code=75)
    py312.sample_once()
    assert rows_of(py312, code=0)["clock", "date"]["health"] == "ok"
    monkeypatch.setattr("pytest_py312.core.clock.timestamp", lambda: 2e9)
    assert "was changed by +" in rows_of(py312, code=0)["clock", "date"]["detail"]


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_webhooks_are_connected_to_and_not_notified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    webhooks = f'["http://127.0.0.1:{port}/secret", "http://127.0.0.1:1/x"]'
    where = f'{{ webhooks = {webhooks}, notify = [["sh"], ["no-such-one"]] }}'
    shell = shell_in(tmp_path, monkeypatch, plan=f"{PLAN}\n[deploy.environments]\ntest = {where}\n")
    rows = rows_of(shell, code=1)
    assert rows["notifications", f"webhook at 127.0.0.1:{port}"]["detail"] == "accepts connections; nothing was posted"
    assert rows["notifications", "webhook at 127.0.0.1:1"]["health"] == "trouble"
    assert rows["notifications", "sh"]["health"] == "ok"
    assert rows["notifications", "no-such-one"]["health"] == "trouble"
    assert "secret" not in shell("doctor", code=1)


def test_chats_and_mail_servers_are_connected_to_and_not_notified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setenv("PY312_SLACK", f"http://127.0.0.1:{port}/secret")
    monkeypatch.delenv("PY312_TEAMS", raising=False)
    mail = '{ to = ["a@example.com"], from = "b@example.com", server = "127.0.0.1:1" }'
    where = f'{{ slack = ["$PY312_SLACK"], teams = ["$PY312_TEAMS"], mail = {mail} }}'
    shell = shell_in(tmp_path, monkeypatch, plan=f"{PLAN}\n[deploy.environments]\ntest = {where}\n")

    rows = rows_of(shell, code=1)

    assert rows["notifications", f"webhook at 127.0.0.1:{port}"]["health"] == "ok"
    assert rows["notifications", "variable PY312_TEAMS"]["health"] == "trouble"
    assert rows["notifications", "mail server at 127.0.0.1:1"]["health"] == "trouble"
    assert "secret" not in shell("doctor", code=1)


METRIC = '\n[[soak.metric]]\nname = "errors"\nprovider = "prometheus"\nquery = "e{service=\'{service}\'}"\n'


def test_a_metric_without_a_prometheus_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = shell_in(tmp_path, monkeypatch, plan=PLAN + METRIC)
    assert "errors needs a Prometheus, but test names none" in rows_of(shell, code=1)["prometheus", "address"]["detail"]


def test_each_query_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_py312.rollout.metrics.reading import MetricReading

    asked: list[str] = []
    answers = {"vector(1)": MetricReading(value=1.0), "e{service='auth'}": MetricReading(detail="no series")}

    async def query(address: str, expression: str, *, timeout: float) -> MetricReading:
        asked.append(expression)
        return answers[expression]

    monkeypatch.setattr("pytest_py312.rollout.preflight.plan_checks.run_query", query)
    where = '[deploy.environments]\ntest = { prometheus = "http://prometheus:9090" }\n'
    shell = shell_in(tmp_path, monkeypatch, plan=f"{PLAN}\n{where}{METRIC}")
    monkeypatch.setattr("pytest_py312.core.clock.is_synchronised", lambda: True)
    rows = rows_of(shell, code=0)
    assert asked == ["vector(1)", "e{service='auth'}"]
    assert rows["prometheus", "errors of auth"]["health"] == "could not be checked", "no data is never well"
    answers["e{service='auth'}"] = MetricReading.error("Prometheus refuses it")
    assert rows_of(shell, code=1)["prometheus", "errors of auth"]["health"] == "trouble"
    answers["vector(1)"] = MetricReading.error("Prometheus: nobody answers")
    assert ("prometheus", "errors of auth") not in rows_of(shell, code=1), "an unreachable Prometheus is reported once"
