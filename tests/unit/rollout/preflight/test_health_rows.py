"""What the doctor makes of what it is told, and what it asks."""

import gzip
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.errors import OptionError, RunnerUnavailable
from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.rollout.domain.journal import FILE
from pytest_py312.rollout.preflight import health_rows
from pytest_py312.rollout.preflight.health_rows import Health, Row, is_well
from pytest_py312.rollout.preflight.kernel_features import has_feature
from pytest_py312.rollout.targets.docker.inspection import facts_in
from pytest_py312.rollout.targets.target import EngineFacts, ImageFacts, TargetLost
from pytest_py312.runners.runner import CellUnavailable
from tests.support.fakes import FakeTarget, build_of, service_tree
from tests.unit.rollout.shells import PLAN, Shell, shell_in

FACTS = EngineFacts(name="Docker", version="26.1", cgroup="2", swarm="inactive")


def health(rows: list[Row], what: str) -> Health:
    return next(row.health for row in rows if row.what == what)


# ---- judging


def test_what_is_needed_decides_and_nothing_at_all_is_not_well() -> None:
    well, unknown = (Row(area="a", what="b", health=one) for one in (Health.OK, Health.UNKNOWN))
    assert is_well([well])
    assert is_well([well, replace(unknown, needed=False)])
    assert not is_well([well, unknown]), "what could not be checked is never well"
    assert not is_well([])
    assert not is_well([replace(well, needed=False)])


def test_a_swarm_needs_what_a_single_engine_does_not() -> None:
    alone = health_rows.engine_rows(replace(FACTS, live_restore=True), "docker")
    assert {row.health for row in alone} == {Health.OK}
    swarm = health_rows.engine_rows(replace(FACTS, live_restore=True), "swarm")
    assert health(swarm, "live-restore") is Health.TROUBLE
    assert health(swarm, "swarm") is Health.TROUBLE
    worker = replace(FACTS, swarm="active")
    assert health(health_rows.engine_rows(worker, "swarm"), "swarm") is Health.TROUBLE
    assert health(health_rows.engine_rows(replace(worker, is_manager=True), "swarm"), "swarm") is Health.OK


def test_services_do_without_virtual_addresses_and_not_without_their_network() -> None:
    assert not health_rows.kernel_row("IP_VS", False).needed
    assert '"dnsrr" and ports in host mode do' in health_rows.kernel_row("IP_VS", False).remedy
    assert health_rows.kernel_row("VXLAN", False).needed
    assert not health_rows.kernel_row("VXLAN", None).needed, "that of another machine can never be told from here"


def test_an_engine_of_which_little_is_known_is_not_called_well() -> None:
    rows = health_rows.engine_rows(replace(FACTS, cgroup=""), "docker")
    assert health(rows, "control groups") is Health.UNKNOWN
    assert health_rows.engine_clock_row(0.0, None, 0.0).health is Health.UNKNOWN
    assert health_rows.room_row("engine", None, "/x").health is Health.UNKNOWN
    assert health_rows.kernel_row("IP_VS", None).health is Health.UNKNOWN
    assert health_rows.way_back_row("auth", container=None, image=None).health is Health.UNKNOWN
    assert health_rows.synchronised_row(None).health is Health.UNKNOWN


@pytest.mark.parametrize(("theirs", "took", "expected"), [(104, 0.0, "ok"), (90, 1.0, "trouble"), (110, 8.0, "ok")])
def test_an_engines_clock_may_be_off_by_what_asking_took(theirs: float, took: float, expected: str) -> None:
    assert health_rows.engine_clock_row(100.0, theirs, took).health.value == expected


def test_less_than_a_rollout_needs_is_trouble() -> None:
    assert health_rows.room_row("journal", health_rows.ROOM - 1, "/x").health is Health.TROUBLE
    assert health_rows.room_row("journal", health_rows.ROOM, "/x").health is Health.OK


def test_an_image_that_says_another_python_is_trouble_and_one_that_says_none_is_not() -> None:
    def told(facts: ImageFacts | None) -> Health:
        return health_rows.image_row("auth", "registry/auth", facts, "3.12").health

    assert told(None) is Health.TROUBLE
    assert told(ImageFacts(id="x", python="3.9")) is Health.TROUBLE
    assert told(ImageFacts(id="x")) is told(ImageFacts(id="x", python="3.12")) is Health.OK


@pytest.mark.parametrize(
    ("container", "image", "expected"),
    [
        (True, False, Health.OK),
        (True, None, Health.OK),
        (False, True, Health.OK),
        (None, True, Health.OK),
        (False, False, Health.TROUBLE),
        (False, None, Health.TROUBLE),
        (None, None, Health.UNKNOWN),
    ],
)
def test_one_of_container_and_image_is_way_back_enough(
    container: bool | None, image: bool | None, expected: Health
) -> None:
    assert health_rows.way_back_row("auth", container=container, image=image).health is expected


# ---- reading


def test_an_engines_own_words() -> None:
    said = {
        "ServerVersion": "26.1.5", "Name": "vm", "CgroupVersion": "1", "LiveRestoreEnabled": True,
        "Swarm": {"LocalNodeState": "active", "ControlAvailable": True}, "SystemTime": "2026-11-26T03:02:48.073657301Z",
    }  # fmt: skip
    facts = facts_in(said, is_beside=True)
    assert (facts.version, facts.host, facts.cgroup, facts.live_restore) == ("26.1.5", "vm", "1", True)
    assert (facts.swarm, facts.is_manager, facts.time) == ("active", True, 1795662168.073657)
    assert facts_in({"SystemTime": "?", "Swarm": None}, is_beside=False).time is None


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
    assert has_feature("IP_VS", "ip_vs", root=tmp_path, release="6") is expected


def test_a_file_that_is_no_configuration_tells_nothing(tmp_path: Path) -> None:
    service_tree(tmp_path, {"proc/config.gz": "no archive"})
    assert has_feature("IP_VS", "ip_vs", root=tmp_path, release="6") is None


# ---- asking


@pytest.fixture
def py312(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = shell_in(tmp_path, monkeypatch)
    monkeypatch.setattr("pytest_py312.core.clock.is_synchronised", lambda: True)
    return shell


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The Pythons of this machine, which no unit test looks for."""
    there = ["3.9", "3.10", "3.11", "3.12"]

    def find(interpreter: Interpreter, **_: object) -> InterpreterBuild:
        if str(interpreter) not in there:
            raise CellUnavailable("none")
        return build_of(str(interpreter))

    monkeypatch.setattr("pytest_py312.rollout.preflight.health_checks.find_local", find)
    return there


def rows_of(shell: Shell, *, code: int, line: str = "doctor") -> dict[tuple[str, str], dict[str, Any]]:
    document = shell.document(line, code=code)
    assert document["well"] is (code == 0)
    return {(row["area"], row["what"]): row for row in document["rows"]}


def test_where_all_is_well_it_says_so_and_changes_nothing(py312: Shell) -> None:
    before = py312.target.serving()
    text = py312("doctor")
    assert text.endswith("all that is needed is well\n")
    assert "trouble" not in text
    assert py312.target.serving() == before
    assert not (py312.ground.state / FILE).exists(), "looking makes no journal"


def test_without_an_engine_nothing_of_it_is_called_well(py312: Shell) -> None:
    def none() -> FakeTarget:
        raise RunnerUnavailable("no Docker engine can be used")

    py312.ground = replace(py312.ground, target=none)
    rows = rows_of(py312, code=1)
    assert rows["engine", "reachable"]["health"] == "trouble"
    assert rows["images", "auth"]["health"] == rows["way back", "auth"]["health"] == "could not be checked"


def test_of_a_target_that_does_not_tell_it_is_known_that_it_answers(py312: Shell) -> None:
    quiet = FakeTarget()
    quiet.serve("auth", "old-3.9")
    py312.ground = replace(py312.ground, target=lambda: quiet)
    rows = rows_of(py312, code=0)
    assert rows["engine", "reachable"]["detail"] == "fake answers"
    assert (rows["images", "auth"]["health"], rows["images", "auth"]["needed"]) == ("could not be checked", False)
    assert rows["way back", "auth"]["health"] == "ok", "what serves can be asked of any target"


def test_who_holds_the_environment_is_told(py312: Shell) -> None:
    assert rows_of(py312, code=0)["lock", "test"]["detail"] == "free"
    py312("deploy --stage 1")
    assert rows_of(py312, code=0)["lock", "test"]["detail"].startswith("held by ")


def test_an_engine_that_is_lost_meanwhile_is_not_reached(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(target: object) -> EngineFacts:
        raise TargetLost("it does not answer")

    monkeypatch.setattr(type(py312.target), "engine_facts", lost)
    assert rows_of(py312, code=1)["engine", "reachable"]["detail"] == "it does not answer"


def test_images_of_one_stage_are_looked_at(py312: Shell) -> None:
    del py312.target.images["new-3.12"]
    rows = rows_of(py312, code=1, line="doctor --stage 2")
    assert rows["images", "gateway"]["detail"] == "new-3.12 is not there"
    assert ("images", "auth") not in rows
    with pytest.raises(OptionError, match="there is no stage 7"):
        py312("doctor --stage 7")


def test_a_way_back_that_is_gone_is_told_while_a_stage_is_up(py312: Shell) -> None:
    py312("deploy --stage 1")
    assert rows_of(py312, code=0)["way back", "auth"]["detail"] == "the old container is there"
    gone = next(key for key, one in py312.target.containers.items() if one.image == "old-3.9" and not one.running)
    del py312.target.containers[gone]
    assert "its container is gone" in rows_of(py312, code=0)["way back", "auth"]["detail"]
    del py312.target.images["old-3.9"]
    assert rows_of(py312, code=1)["way back", "auth"]["health"] == "trouble"


def test_a_service_that_does_not_run_is_no_way_back(py312: Shell) -> None:
    for one in py312.target.containers.values():
        one.running = one.name != "auth"
    assert "does not run" in rows_of(py312, code=1)["way back", "auth"]["detail"]


def test_what_the_gate_runs_on_is_told_and_does_not_count(py312: Shell, machine: list[str]) -> None:
    machine.clear()
    py312.target.images["python:3.11-slim"] = ImageFacts(id="x")
    rows = rows_of(py312, code=0)
    assert rows["interpreters", "3.11"]["detail"] == "the image python:3.11-slim"
    assert rows["interpreters", "3.12"]["health"] == "trouble"
    assert "uv python install 3.12, or docker pull python:3.12-slim" in rows["interpreters", "3.12"]["remedy"]
    machine.append("3.12")
    assert rows_of(py312, code=0)["interpreters", "3.12"]["detail"] == "3.12.1, a test"


def test_what_a_dead_run_left_is_told(py312: Shell) -> None:
    def killed(step: str) -> None:
        if step == "switch auth":
            raise MemoryError

    py312.target.before = killed
    with pytest.raises(MemoryError):
        py312("deploy --stage 1")
    py312.target.before = lambda step: None
    row = rows_of(py312, code=1)["journal", "half done"]
    assert (row["health"], row["detail"]) == ("trouble", "stage 1 was left deploying")
    assert "py312 recover --env test" in row["remedy"]


def test_a_damaged_journal_is_told_and_left_alone(py312: Shell) -> None:
    py312("deploy --stage 1")
    file = py312.ground.state / FILE
    file.write_bytes(file.read_bytes()[:512] + b"\xff" * 8192)
    before = file.read_bytes()
    assert rows_of(py312, code=1)["journal", "file"]["health"] == "trouble"
    assert file.read_bytes() == before


def test_a_date_that_was_set_is_told(py312: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    py312("deploy --stage 1")
    py312("tick --stage 1", code=75)
    py312.ticked()
    assert rows_of(py312, code=0)["clock", "date"]["health"] == "ok"
    monkeypatch.setattr("pytest_py312.core.clock.timestamp", lambda: 2e9)
    assert "was set by +" in rows_of(py312, code=0)["clock", "date"]["detail"]


@pytest.fixture
def port() -> Iterator[int]:
    """Somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_who_is_to_be_told_is_connected_to_and_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    webhooks = f'["http://127.0.0.1:{port}/secret", "http://127.0.0.1:1/x"]'
    where = f'{{ webhooks = {webhooks}, notify = [["sh"], ["no-such-one"]] }}'
    shell = shell_in(tmp_path, monkeypatch, plan=f"{PLAN}\n[deploy.environments]\ntest = {where}\n")
    rows = rows_of(shell, code=1)
    assert rows["told", f"webhook at 127.0.0.1:{port}"]["detail"] == "accepts connections; nothing was posted"
    assert rows["told", "webhook at 127.0.0.1:1"]["health"] == "trouble"
    assert rows["told", "sh"]["health"] == "ok"
    assert rows["told", "no-such-one"]["health"] == "trouble"
    assert "secret" not in shell("doctor", code=1)


METRIC = '\n[[soak.metric]]\nname = "errors"\nprovider = "prometheus"\nquery = "e{service=\'{service}\'}"\n'


def test_a_metric_without_a_prometheus_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = shell_in(tmp_path, monkeypatch, plan=PLAN + METRIC)
    assert "errors asks one, and test names none" in rows_of(shell, code=1)["prometheus", "address"]["detail"]


def test_each_query_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_py312.rollout.metrics.reading import Reading

    asked: list[str] = []
    answers = {"vector(1)": Reading(value=1.0), "e{service='auth'}": Reading(detail="no series")}

    async def query(address: str, expression: str, *, limit: float) -> Reading:
        asked.append(expression)
        return answers[expression]

    monkeypatch.setattr("pytest_py312.rollout.preflight.health_checks.query", query)
    where = '[deploy.environments]\ntest = { prometheus = "http://prometheus:9090" }\n'
    shell = shell_in(tmp_path, monkeypatch, plan=f"{PLAN}\n{where}{METRIC}")
    monkeypatch.setattr("pytest_py312.core.clock.is_synchronised", lambda: True)
    rows = rows_of(shell, code=0)
    assert asked == ["vector(1)", "e{service='auth'}"]
    assert rows["prometheus", "errors of auth"]["health"] == "could not be checked", "no data is never well"
    answers["e{service='auth'}"] = Reading.error("Prometheus refuses it")
    assert rows_of(shell, code=1)["prometheus", "errors of auth"]["health"] == "trouble"
    answers["vector(1)"] = Reading.error("Prometheus: nobody answers")
    assert ("prometheus", "errors of auth") not in rows_of(shell, code=1), "one that is away is told once"
