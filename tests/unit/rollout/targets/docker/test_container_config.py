"""Requests for containers that are configured like the serving one."""

from typing import Any

from pytest_py312.rollout.targets.common import RUN_LABEL, SERVICE_LABEL, printable_last_lines
from pytest_py312.rollout.targets.docker.container_config import (
    CONTROL,
    ROLE_LABEL,
    as_control,
    initial_request,
    is_auxiliary,
    request_from_container,
)
from pytest_py312.rollout.targets.docker.container_state import cpu_seconds_used, memory_in_use
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
    """A container of the image above without settings of its own, except ``config``."""
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
    return request_from_container(container(**config), OLD_IMAGE, spec=spec("user"), image="sha256:new", run="r1")


def test_settings_of_the_old_image_are_not_copied() -> None:
    made = request()
    assert made["Image"] == "sha256:new"
    assert made["Env"] == []
    assert made["ExposedPorts"] == {}
    assert {"Cmd", "Entrypoint", "WorkingDir", "Healthcheck", "Hostname"} & made.keys() == set()
    assert made["Labels"] == {SERVICE_LABEL: "user", RUN_LABEL: "r1"}


def test_settings_of_the_container_itself_are_copied() -> None:
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


def test_a_custom_entrypoint_is_copied_with_its_command() -> None:
    """Without it, the command of the image would be lost."""
    made = request(Entrypoint=["/start"], Cmd=["python3"])
    assert (made["Entrypoint"], made["Cmd"]) == (["/start"], ["python3"])


def test_ports_networks_and_volumes_are_copied() -> None:
    made = request()
    host = made["HostConfig"]
    assert host["PortBindings"] == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    assert host["Binds"] == ["/srv/data:/data", "unnamed:/cache"]
    assert (host["Memory"], host["RestartPolicy"]) == (512, {"Name": "unless-stopped"})
    assert made["NetworkingConfig"] == {"EndpointsConfig": {"backend": {"Aliases": ["user-service"]}}}


def test_labels_name_the_new_run() -> None:
    made = request(Labels={SERVICE_LABEL: "user", RUN_LABEL: "r0"})
    assert made["Labels"] == {SERVICE_LABEL: "user", RUN_LABEL: "r1"}


def test_a_control_container_is_isolated_from_the_service() -> None:
    """No proxy and no alias leads to it, and its shared volumes are read-only."""
    container_info = container(Labels={"traefik.enable": "true"}, Hostname="user-1", Env=["MODE=fast"])
    container_info["HostConfig"] |= {
        "Binds": ["/srv/data:/data", "/srv/more:/more:rw,z"],
        "Mounts": [{"Type": "volume", "Source": "a", "Target": "/a"}, {"Type": "tmpfs", "Target": "/t"}],
        "VolumesFrom": ["other:rw"],
        "PublishAllPorts": True,
    }
    container_info["NetworkSettings"]["Networks"]["backend"]["IPAMConfig"] = {"IPv4Address": "10.0.0.2"}
    made = as_control(
        request_from_container(container_info, OLD_IMAGE, spec=spec("user"), image="sha256:old", run="r1")
    )
    assert made["Labels"] == {SERVICE_LABEL: "user", RUN_LABEL: "r1", ROLE_LABEL: CONTROL}
    assert "Hostname" not in made
    assert made["Env"] == ["MODE=fast", "PY312_CONTROL=1"]
    assert made["NetworkingConfig"] == {"EndpointsConfig": {"backend": {}}}
    host = made["HostConfig"]
    assert (host["PortBindings"], host["PublishAllPorts"], host["Memory"]) == ({}, False, 512)
    assert host["RestartPolicy"] == {"Name": "always"}
    assert host["Binds"] == ["/srv/data:/data:ro", "/srv/more:/more:ro,z", "unnamed:/cache:ro"]
    assert [one.get("ReadOnly") for one in host["Mounts"]] == [True, None]
    assert host["VolumesFrom"] == ["other:ro"]
    assert is_auxiliary({"Labels": made["Labels"]})
    assert is_auxiliary({"Config": {"Labels": made["Labels"]}})
    assert not is_auxiliary(container_info)


def test_the_first_container_of_a_service() -> None:
    first = spec("user", publish=(("127.0.0.1:8080", 80), (":9000", 90)), network="backend", environment={"A": "1"})
    made = initial_request(first, image="sha256:new", run="r1")
    assert made["HostConfig"]["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}],
        "90/tcp": [{"HostIp": "", "HostPort": "9000"}],
    }
    assert made["Env"] == ["A=1"]
    assert made["NetworkingConfig"]["EndpointsConfig"] == {"backend": {"Aliases": ["user"]}}
    assert initial_request(spec("user"), image="i", run="r1")["HostConfig"]["NetworkMode"] == "default"


def test_memory_excludes_reclaimable_cache() -> None:
    assert memory_in_use({"memory_stats": {"usage": 100, "stats": {"inactive_file": 30}}}) == 70
    assert memory_in_use({"memory_stats": {"usage": 100, "stats": {"total_inactive_file": 40}}}) == 60
    assert memory_in_use({}) == 0
    assert cpu_seconds_used({"cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}}}) == 1.5


def test_log_lines_have_no_control_characters() -> None:
    assert printable_last_lines(b"one\ntwo \x1b[31mred\xff\nthree\n", 2) == ["two [31mred\ufffd", "three"]
