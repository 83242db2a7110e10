"""What is wrong with a deployment is seen when the plan is read, with its line and what to write."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.repository.plan.fleet_check import check_against_fleet
from pytest_py312.repository.plan.loader import load_plan

SERVICES = [
    ("gateway", "services/gateway"),
    ("orders", "services/orders"),
    ("payments", "services/payments"),
    ("x", "services/x"),
]
STAGES = """\
[[stage]]
number = 1
services = ["gateway", "orders"]
[[stage]]
number = 2
services = ["payments"]
"""


def check(folder: Path, text: str) -> None:
    path = folder / "py312.toml"
    path.write_text(STAGES + text, encoding="utf-8")
    check_against_fleet(load_plan(path, today=date(2026, 11, 25)), SERVICES)


@pytest.mark.parametrize("target", ["swarm", "kubernetes"])
@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("[soak]\ncontrol = true\n", "10: soak.control", "runs no control (gateway)"),
        (
            '[stage.soak]\nload = { rate = 20, path = "/" }\n',
            "8: stage[2].soak.load",
            "has no address to send traffic to (payments)",
        ),
        (
            '[[soak.metric]]\nname = "latency"\nprovider = "http"\nquery = "/"\nsuccess = "value < 1"\n',
            "11: soak.metric[1].provider",
            "has no address to send requests to (latency)",
        ),
        ('[[contract]]\ncaller = "orders"\ncallee = "payments"\npath = "/"\n', "9: contract[1]", "runs no contracts"),
    ],
)
def test_what_only_docker_can_do_is_refused_for_other_targets(
    tmp_path: Path, target: str, text: str, place: str, message: str
) -> None:
    deploy = f'[deploy]\ntarget = "{target}"\n'
    both = text + deploy if text.startswith("[stage") else deploy + text

    with pytest.raises(PlanError) as refused:
        check(tmp_path, both)

    assert str(refused.value).startswith(f"py312.toml:{place}: the target {target} {message}; remove it: availability")
    check(tmp_path, both.replace(f'"{target}"', '"docker"'))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('health-command = ["true"]', "runs no command in a container"),
        ('grpc-health = "orders.Orders"', "has no address to ask over gRPC"),
    ],
)
def test_health_that_only_docker_can_ask_for_is_refused_in_a_swarm(tmp_path: Path, line: str, message: str) -> None:
    text = f'[deploy]\ntarget = "swarm"\n[service.orders.deploy]\n{line}\n'

    with pytest.raises(
        PlanError, match=rf"^py312\.toml:10: service\.orders\.deploy\..*: the target swarm {message} \(orders"
    ):
        check(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            '[service.orders.deploy]\nneeds = [\n  "gateway",\n  "paymens",\n]\n',
            r'^py312\.toml:10: service\.orders\.deploy\.needs\[2\]: "paymens" fits no service, perhaps you meant '
            '"payments"$',
            id="a need that is no service",
        ),
        pytest.param(
            '[deploy]\nneeds = ["nope"]\n', r'^py312\.toml:8: deploy\.needs\[1\]: "nope" fits no service', id="for all"
        ),
        pytest.param(
            '[service."services/orders".deploy]\nneeds = ["orders"]\n',
            r'^py312\.toml:8: .*needs\[1\]: "orders" is the service itself; write what has to be deployed before it',
            id="a service that needs itself",
        ),
        pytest.param(
            '[service.gateway.deploy]\nneeds = ["orders"]\n[service.orders.deploy]\nneeds = ["gateway"]\n',
            r"^py312\.toml:\d+: service\.\w+\.deploy\.needs: the services of stage 1 need each other, so that none can "
            "be first: (gateway needs orders needs gateway|orders needs gateway needs orders); remove one",
            id="a circle",
        ),
        pytest.param(
            '[service.payments.deploy]\ncontainer = "orders"\n',
            r"^py312\.toml:8: service\.payments\.deploy\.container: orders and payments would both be named orders",
            id="two containers of one name, in different stages",
        ),
        pytest.param(
            '[[stage]]\nnumber = 3\nservices = ["x"]\n[deploy]\nhealth = "/"\n',
            r'^py312\.toml:10: deploy: the container of x is named "x", and Docker wants two characters at least; '
            'write container = "x-service"',
            id="a name of one letter",
        ),
        pytest.param(
            '[service.orders.deploy]\npublish = ["8080:80"]\n[service.payments.deploy]\npublish = ["8080:81"]\n',
            r"^py312\.toml:10: service\.payments\.deploy\.publish: port 8080 is published by orders and payments both",
            id="a port twice, in different stages",
        ),
        pytest.param(
            '[service.orders.deploy]\npublish = ["127.0.0.1:8080:80", "8080:81"]\n',
            r"^py312\.toml:8: .*: port 8080 is published by orders twice; give one of them another port",
            id="a port of all addresses is one of each",
        ),
        pytest.param(
            '[soak]\ncontrol = true\nduration = "1h"\n',
            r"^py312\.toml:9: soak\.duration: gateway runs beside a control in stage 1, whose soak has 12 samples, and "
            r'the first comparison needs 36 \(compare\.min-points\); write duration = "3h" at least',
            id="a soak that ends before the first comparison",
        ),
        pytest.param(
            '[soak]\nduration = "2h"\n[service.payments.soak]\ncontrol = true\n',
            r"^py312\.toml:8: soak\.duration: payments runs beside a control in stage 2",
            id="one service with a control",
        ),
        pytest.param(
            '[[stage.acceptance]]\nname = "a"\npytest = "tests/e3e"\n',
            r'^py312\.toml:9: stage\[2\]\.acceptance\[1\]\.pytest: the string "tests/e3e" is not there; write',
            id="acceptance tests that are not there",
        ),
        pytest.param(
            f'[[stage.acceptance]]\nname = "a"\npytest = "{"e" * 5000}"\n',
            r"^py312\.toml:9: .*the string \"e{57}\.\.\.\" is not there",
            id="a path that no disk can have",
        ),
        pytest.param(
            '[[stage.acceptance]]\nname = "a"\ncommand = ["true"]\nfolder = "out"\n',
            r'^py312\.toml:10: .*folder: the string "out" leads out of the repository; write a path inside',
            id="a folder behind a link",
        ),
    ],
)
def test_mistakes_are_named_with_line_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "out").symlink_to("/")
    with pytest.raises(PlanError, match=message):
        check(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[deploy]\nneeds = ["gateway"]\n', id="all but the gateway need the gateway"),
        pytest.param('[service.orders.deploy]\nneeds = ["services/*"]\n', id="a glob that fits the service too"),
        pytest.param(
            '[service.gateway.deploy]\nneeds = ["payments"]\n[service.payments.deploy]\nneeds = ["gateway"]\n',
            id="a circle over two stages, of which one is deployed before the other",
        ),
        pytest.param('[service.orders.deploy]\npublish = ["127.0.0.1:80:80", "127.0.0.2:80:80"]\n', id="two addresses"),
        pytest.param('[soak]\nduration = "1h"\n', id="a short soak without a control"),
        pytest.param('[deploy]\nhealth = "/"\n', id="a service of one letter that no stage deploys"),
        pytest.param(
            '[deploy]\ntarget = "kubernetes"\n[service.payments.deploy]\nnamespace = "b"\ndeployment = "orders"\n',
            id="one name in two namespaces",
        ),
    ],
)
def test_what_can_work_is_accepted(tmp_path: Path, text: str) -> None:
    check(tmp_path, text)
    assert (tmp_path / "py312.toml").read_text(encoding="utf-8").endswith(text)
