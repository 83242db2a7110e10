"""How a new container is set up like the one that serves."""

from typing import Any

from pytest_py312.rollout.targets.docker.container_config import (
    ROLE_LABEL,
    TWIN,
    as_twin,
    cpu_of,
    memory_of,
    request_like,
    request_of,
    stands_beside,
)
from pytest_py312.rollout.targets.labels import RUN_LABEL, SERVICE_LABEL, last_lines
from tests.unit.rollout.runs import spec

OLD_IMAGE: dict[str, Any] = {
    "Config": {
        "Env": ["PATH=/usr/local/bin:/usr/bin", "PYTHON_VERSION=3.9.18"],
        "Cmd": ["python3"],
        "Entrypoint": None,
        "WorkingDir": "/app",
        "Labels": {"maintainer": "platform"},
        "ExposedPorts": {"8000/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "true"]},
    }
}


def container(**config: Any) -> dict[str, Any]:
    """One made of the image above without a word of its own, but for ``config``."""
    return {
        "Id": "0123456789abcdef",
        "Config": {**OLD_IMAGE["Config"], "Hostname": "0123456789ab", "User": "", **config},
        "HostConfig": {
            "Binds": ["/srv/data:/data"],
            "PortBindings": {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
            "Memory": 512,
            "AutoRemove": False,
        },
        "Mounts": [
            {"Type": "bind", "Source": "/srv/data", "Destination": "/data", "RW": True},
            {"Type": "volume", "Name": "unnamed", "Destination": "/cache", "RW": True},
        ],
        "NetworkSettings": {
            "Networks": {
                "backend": {"Aliases": ["user-service", "0123456789ab"], "IPAddress": "10.0.0.2", "MacAddress": "aa"},
                "bridge": {"Aliases": None, "IPAddress": "172.17.0.2"},
            }
        },
    }


def request(**config: Any) -> dict[str, Any]:
    return request_like(container(**config), OLD_IMAGE, spec=spec("user"), image="sha256:new", run="r1")


def test_what_the_old_image_says_is_not_forced_on_the_new_one() -> None:
    made = request()
    assert made["Image"] == "sha256:new"
    assert made["Env"] == []
    assert made["ExposedPorts"] == {}
    assert {"Cmd", "Entrypoint", "WorkingDir", "Healthcheck", "Hostname"} & made.keys() == set()
    assert made["Labels"] == {SERVICE_LABEL: "user", RUN_LABEL: "r1"}


def test_what_somebody_has_settled_for_the_container_stays() -> None:
    made = request(
        Env=[*OLD_IMAGE["Config"]["Env"], "DATABASE=main"],
        Cmd=["gunicorn", "app"],
        WorkingDir="/srv",
        User="app",
        Hostname="user",
        Labels={"maintainer": "platform", "team": "payments"},
        ExposedPorts={"8000/tcp": {}, "9000/tcp": {}},
    )
    assert made["Env"] == ["DATABASE=main"]
    assert (made["Cmd"], made["WorkingDir"], made["User"], made["Hostname"]) == (
        ["gunicorn", "app"],
        "/srv",
        "app",
        "user",
    )
    assert made["Labels"]["team"] == "payments"
    assert made["ExposedPorts"] == {"9000/tcp": {}}


def test_an_entrypoint_of_its_own_takes_its_command_along() -> None:
    """Alone it would lose the command that the image gives."""
    made = request(Entrypoint=["/start"], Cmd=["python3"])
    assert (made["Entrypoint"], made["Cmd"]) == (["/start"], ["python3"])


def test_its_place_in_the_world_is_the_same() -> None:
    made = request()
    host = made["HostConfig"]
    assert host["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    assert host["Binds"] == ["/srv/data:/data", "unnamed:/cache"]
    assert (host["Memory"], host["RestartPolicy"]) == (512, {"Name": "unless-stopped"})
    assert made["NetworkingConfig"] == {"EndpointsConfig": {"backend": {"Aliases": ["user-service"]}}}


def test_a_container_of_ours_is_given_the_new_runs_name() -> None:
    made = request(Labels={SERVICE_LABEL: "user", RUN_LABEL: "r0"})
    assert made["Labels"] == {SERVICE_LABEL: "user", RUN_LABEL: "r1"}


def test_a_twin_gets_in_nobodys_way() -> None:
    """Neither a proxy nor a name leads to it, and what it shares with the others it can only read."""
    said = container(Labels={"traefik.enable": "true"}, Hostname="user-1", Env=["MODE=fast"])
    said["HostConfig"] |= {
        "Binds": ["/srv/data:/data", "/srv/more:/more:rw,z"],
        "Mounts": [{"Type": "volume", "Source": "a", "Target": "/a"}, {"Type": "tmpfs", "Target": "/t"}],
        "VolumesFrom": ["other:rw"],
        "PublishAllPorts": True,
    }
    said["NetworkSettings"]["Networks"]["backend"]["IPAMConfig"] = {"IPv4Address": "10.0.0.2"}
    made = as_twin(request_like(said, OLD_IMAGE, spec=spec("user"), image="sha256:old", run="r1"))
    assert made["Labels"] == {SERVICE_LABEL: "user", RUN_LABEL: "r1", ROLE_LABEL: TWIN}
    assert "Hostname" not in made
    assert made["Env"] == ["MODE=fast", "PY312_TWIN=1"]
    assert made["NetworkingConfig"] == {"EndpointsConfig": {"backend": {}}}
    host = made["HostConfig"]
    assert (host["PortBindings"], host["PublishAllPorts"], host["Memory"]) == ({}, False, 512)
    assert host["RestartPolicy"] == {"Name": "always"}
    assert host["Binds"] == ["/srv/data:/data:ro", "/srv/more:/more:ro,z", "unnamed:/cache:ro"]
    assert [one.get("ReadOnly") for one in host["Mounts"]] == [True, None]
    assert host["VolumesFrom"] == ["other:ro"]
    assert stands_beside({"Labels": made["Labels"]})
    assert stands_beside({"Config": {"Labels": made["Labels"]}})
    assert not stands_beside(said)


def test_a_service_that_nothing_served_before() -> None:
    first = spec("user", publish=(("127.0.0.1:8080", 80), (":9000", 90)), network="backend", environment={"A": "1"})
    made = request_of(first, image="sha256:new", run="r1")
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "90/tcp": [{"HostIp": "", "HostPort": "9000"}],
    }
    assert made["Env"] == ["A=1"]
    assert made["NetworkingConfig"]["EndpointsConfig"] == {"backend": {"Aliases": ["user"]}}
    assert request_of(spec("user"), image="i", run="r1")["HostConfig"]["NetworkMode"] == "default"


def test_memory_is_without_what_the_kernel_would_give_up() -> None:
    assert memory_of({"memory_stats": {"usage": 100, "stats": {"inactive_file": 30}}}) == 70
    assert memory_of({"memory_stats": {"usage": 100, "stats": {"total_inactive_file": 40}}}) == 60
    assert memory_of({}) == 0
    assert cpu_of({"cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}}}) == 1.5


def test_a_log_cannot_move_the_cursor() -> None:
    assert last_lines(b"one\ntwo \x1b[31mred\xff\nthree\n", 2) == ["two [31mred\ufffd", "three"]
