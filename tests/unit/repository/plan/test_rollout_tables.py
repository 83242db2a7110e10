"""The keys ``deploy`` and ``soak`` of the plan."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_py312.core.errors import PlanError
from pytest_py312.repository.plan.loader import load_plan
from pytest_py312.repository.plan.rollout_settings import (
    AcceptanceSettings,
    CompareSettings,
    ConfirmSettings,
    ContractAction,
    ContractSettings,
    DeploySettings,
    EnvironmentSettings,
    MailSettings,
    RolloutSettings,
    SoakSettings,
    TrafficRequest,
    TrafficSettings,
)
from pytest_py312.repository.plan.rollout_tables import load_rollout_settings


def read(tmp_path: Path, text: str) -> RolloutSettings:
    path = tmp_path / "py312.toml"
    path.write_text(text, encoding="utf-8")
    return load_rollout_settings(path)


def test_without_a_word_about_it_the_defaults_hold(tmp_path: Path) -> None:
    rollout = read(tmp_path, 'target = "3.12"\n')
    assert rollout == RolloutSettings()
    assert (rollout.soak.interval, rollout.soak.duration, rollout.soak.sample_count) == (300.0, 172800.0, 576)
    assert rollout.soak.confirm == ConfirmSettings(probes=5, every=10.0, bad=4)
    assert rollout.compare == CompareSettings(confidence=0.98, max_ratio=1.25, min_points=36, looks=2)
    assert rollout.deploy == DeploySettings(ready_timeout=30.0, readiness_delay=7.0, monitor=60.0, drain=30.0, retain=5)


@pytest.mark.parametrize(
    ("written", "seconds"), [('"48h"', 172800.0), ('"2d"', 172800.0), ("172800", 172800.0), ('"90m"', 5400.0)]
)
def test_a_duration_can_be_written_in_several_ways(tmp_path: Path, written: str, seconds: float) -> None:
    assert read(tmp_path, f"[soak]\nduration = {written}\n").soak.duration == seconds


LAYERS = """
[soak]
interval = "1m"
duration = "1h"
failure_limit = "5%"

[soak.compare]
max-ratio = 1.5

[[soak.metric]]
name = "latency"
provider = "http"
failure-limit = 0.1
compare = { confidence = 0.99 }

[deploy]
image = "platform:{version}"
ready-timeout = 10

[[stage]]
number = 3
services = ["*"]
soak = { duration = "3h", compare = { max-ratio = 1.1 } }
deploy = { ready-timeout = "20s" }

[service."*"]
soak = { interval = "2m" }

[service."billing"]
soak = { consecutive-failure-limit = 5 }
deploy = { container = "billing-main", needs = ["auth"] }
"""


def test_the_nearest_word_holds(tmp_path: Path) -> None:
    """Defaults, then the plan, the stage, the last table of a service that fits, the metric."""
    rollout = read(tmp_path, LAYERS)
    assert rollout.soak_settings_for(stage=3).duration == 3 * 3600.0
    user = rollout.soak_settings_for(stage=1, name="user", path="services/user")
    assert user == SoakSettings(interval=120.0, duration=3600.0, failure_limit=0.05)
    billing = rollout.soak_settings_for(stage=3, name="billing", path="services/billing")
    assert (billing.interval, billing.duration, billing.consecutive_failure_limit) == (60.0, 3 * 3600.0, 5)
    assert rollout.compare_settings_for(stage=3, name="billing", path="services/billing").max_ratio == 1.1
    assert rollout.deploy_settings_for(stage=3, name="billing", path="services/billing") == DeploySettings(
        image="platform:{version}", ready_timeout=20.0, container="billing-main", needs=("auth",)
    )


def test_a_metric_has_limits_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path, LAYERS)
    assert found.soak_settings_for(stage=1, name="user", path="services/user", metric="latency").failure_limit == 0.1
    compared = found.compare_settings_for(stage=1, name="user", path="services/user", metric="latency")
    assert compared == CompareSettings(max_ratio=1.5, confidence=0.99)


def test_traffic_can_have_several_kinds_of_requests(tmp_path: Path) -> None:
    text = """
    [soak.load]
    rate = 100
    p95 = "200ms"
    p99 = 0.5
    p999 = "2s"
    requests = [
        { path = "/orders?page=1", weight = 9 },
        { path = "/orders", method = "POST", body = "{}", content-type = "application/json", errors = "5%", p95 = 1 },
    ]
    """
    assert read(tmp_path, text).soak.load == TrafficSettings(
        rate=100.0,
        p95=0.2,
        p99=0.5,
        p999=2.0,
        requests=(
            TrafficRequest(path="/orders?page=1", weight=9),
            TrafficRequest(
                path="/orders", method="POST", body="{}", content_type="application/json", errors=0.05, p95=1.0
            ),
        ),
    )


def test_contracts_are_calls_or_data(tmp_path: Path) -> None:
    rollout = read(
        tmp_path,
        """
[[contract]]
caller = "gateway"
callee = "auth"
call = ["check", "{callee}"]

[[contract]]
writer = "gateway"
reader = "auth"
write = "app.cache:example"
format = "pickle"
limit = "3s"
""",
    ).contracts
    assert rollout == (
        ContractSettings(first="gateway", second="auth", call=ContractAction(command=("check", "{callee}"))),
        ContractSettings(
            first="gateway",
            second="auth",
            write=ContractAction(function="app.cache:example"),
            format="pickle",
            limit=3.0,
        ),
    )
    assert [one.description for one in rollout] == ["check {callee}", "pickle of app.cache:example"]


def test_a_stage_has_acceptance_tests(tmp_path: Path) -> None:
    """Without a table ``deploy`` or ``soak`` they are validated as well, and the digest changes with them."""
    plan = '[[stage]]\nnumber = 2\nservices = ["*"]\n'
    rollout = read(
        tmp_path,
        plan
        + """
[[stage.acceptance]]
name = "e2e"
pytest = "./tests/e2e/"
python = ".venv/bin/python"
environment = { BASE_URL = "http://127.0.0.1:8080" }

[[stage.acceptance]]
name = "smoke"
command = ["sh", "smoke.sh", ""]
folder = "tests"
timeout = "30s"
""",
    )
    assert rollout.acceptance_tests_of(1) == ()
    assert rollout.acceptance_tests_of(2) == (
        AcceptanceSettings(
            name="e2e",
            pytest="tests/e2e",
            python=".venv/bin/python",
            environment=(("BASE_URL", "http://127.0.0.1:8080"),),
        ),
        AcceptanceSettings(name="smoke", command=("sh", "smoke.sh", ""), folder="tests", timeout=30.0),
    )
    assert [tests.description for tests in rollout.acceptance_tests_of(2)] == ["pytest tests/e2e", "sh smoke.sh "]
    assert load_plan(tmp_path / "py312.toml", today=date(2026, 11, 28)).has_rollout
    assert rollout.digest != read(tmp_path, plan).digest == RolloutSettings().digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stage.acceptance]\nname = 'a'", r"py312\.toml:4: stage\[1\]\.acceptance: .*with two brackets"),
        ("[[stage.acceptance]]\ncommand = ['x']", r'py312\.toml:4: stage\[1\]\.acceptance\[1\]: has no "name"'),
        ("[[stage.acceptance]]\nname = 'a'", r'py312\.toml:4: .*"pytest" .* or "command" .*; has neither'),
        ("[[stage.acceptance]]\nname = 'a'\npytest = 't'\ncommand = ['x']", "has both"),
        ("[[stage.acceptance]]\nname = 'a'\ncommand = 'x'", r"py312\.toml:6: .*command: expected a list"),
        (
            "[[stage.acceptance]]\nname = 'a'\ncommand = ['x']\npython = 'p'",
            r"py312\.toml:7: .*a command names its own",
        ),
        ("[[stage.acceptance]]\nname = 'a'\npytest = '../t'", r"py312\.toml:6: .*may lead out"),
        ("[[stage.acceptance]]\nname = 'a'\npytest = '/t'", "is absolute"),
        ("[[stage.acceptance]]\nname = 'a'\npytest = 't'\nfolder = '..'", "may lead out"),
        ("[[stage.acceptance]]\nname = 'a b'\npytest = 't'", "a name of letters"),
        ("[[stage.acceptance]]\nname = 'a'\npytest = 't'\ntimeout = 0", "more than 0 seconds"),
        ("[[stage.acceptance]]\nname = 'a'\npytest = 't'\ntimout = 3", r'py312\.toml:7: .*perhaps you meant "timeout"'),
        ("[[stage.acceptance]]\nname = 'a'\npytest = 't'\nenvironment = { A = 1 }", "expected a string"),
        ("[[stage.acceptance]]\nname = 'a'\npytest = 't'\n" * 2, r'py312\.toml:7: .*"a" already'),
        ("acceptence = []", 'perhaps you meant "acceptance"'),
        ("[[acceptance]]\nname = 'a'", r"has no such key \(it belongs into \[\[stage\]\]\)"),
    ],
)
def test_mistakes_in_acceptance_tests_are_found_when_the_plan_is_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "py312.toml"
    path.write_text(f'[[stage]]\nnumber = 1\nservices = ["*"]\n{text}', encoding="utf-8")
    with pytest.raises(PlanError, match=message):
        load_plan(path, today=date(2026, 11, 28))


def test_environments_come_one_after_the_other(tmp_path: Path) -> None:
    found = read(tmp_path, '[deploy.environments]\ntest = {}\nprod = { after = ["test"] }\n')
    assert found.environment_settings("prod") == EnvironmentSettings(name="prod", after=("test",))
    assert found.environment_settings("laboratory") == EnvironmentSettings(name="laboratory")


def test_settings_of_an_earlier_version_keep_their_digest(tmp_path: Path) -> None:
    """A soak that runs while the tool is updated goes on. The digest is that of the version before `requests`."""
    assert read(tmp_path, 'soak = { load = { rate = 20, path = "/work" } }\n').digest == "71bd8e2fbbae3a3d"


def test_the_digest_changes_with_a_limit(tmp_path: Path) -> None:
    """By it a soak notices that it is judged by other limits than it began with."""
    assert read(tmp_path, LAYERS).digest == read(tmp_path, LAYERS).digest
    assert read(tmp_path, LAYERS).digest != read(tmp_path, LAYERS.replace("0.1", "0.2", 1)).digest


def test_the_digest_changes_with_an_override_that_is_the_default(tmp_path: Path) -> None:
    """It overrides something else; only a field that earlier versions did not have is no change by its default."""
    text = '[soak]\nworker-processes = "ignore"\n[service.user.soak]\ninterval = "5m"\n'
    judged = f'{text}worker-processes = "inconclusive"\n'
    assert read(tmp_path, text).digest != read(tmp_path, judged).digest


def test_a_service_with_a_slash_has_a_name_on_the_engine() -> None:
    assert DeploySettings().container_of("agent-services/laoke-service") == "agent-services.laoke-service"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[[soak.metric]]\nname = "e"\nprovider = "prometheus"\nquery = "x"\nbudget = "0.1%"',
            r"py312\.toml:5: .*needs `requests`",
        ),
        (
            '[[soak.metric]]\nname = "e"\nprovider = "http"\nquery = "/"\nrequests = "x"\nbudget = 0.001',
            r"py312\.toml:6: .*errors measured by Prometheus",
        ),
        ("[soak]\nload = { path = '/x' }", r"py312\.toml:2: soak\.load: has no \"rate\""),
        (
            "[soak]\nload = { rate = 9, path = '/x', requests = [{ path = '/y' }] }",
            r"load\.path: is not used beside \"requests\"",
        ),
        ("[soak]\nload = { rate = 9, requests = [{ weight = 2 }] }", r'has no "path"'),
        ("[soak]\nload = { rate = 9, requests = [] }", r"load\.requests: is an empty list"),
        ("[soak]\nload = { rate = 9, requests = [{ path = '/y', method = 'PSOT' }] }", r'perhaps you meant "?POST'),
        ("[soak]\nload = { rate = 9, requests = [{ path = '/y' }, { path = '/y' }] }", r"GET /y is there twice"),
        ("[soak]\nload = { rate = 9, p99 = '1s' }", r"load\.p99: requires 100 requests in each sample; .* make 90"),
        ("[soak]\nload = { rate = 20, p999 = '1s' }", r"load\.p999: requires 1000 requests in each sample"),
        ("[soak]\nload = { rate = 0 }", r"py312\.toml:2: .*between 0 and 5000"),
        ("[soak]\nload = { rate = 9, second = 3 }", r'perhaps you meant "seconds"'),
        ("[contract]\ncaller = 'a'", r"py312\.toml:1: contract: .*with two brackets"),
        ("[[contract]]\ncaller = 'a'\npath = '/x'", r'py312\.toml:1: .*has no "callee"'),
        ("[[contract]]\ncaller = 'a'\ncallee = 'b'\npath = '/x'\nat = 'http://p'", r"py312\.toml:5: .*host and port"),
        (
            "[[contract]]\ncaller = 'a'\ncallee = 'b'\ncall = ['x']\nat = 'p:80'",
            r"py312\.toml:5: .*no word of the command contains \{callee\}",
        ),
        ("[[contract]]\ncaller = 'a'\ncallee = 'b'", r'needs a "path" of the callee or something to "call"'),
        (
            "[[contract]]\ncaller = 'a'\ncallee = 'b'\npath = '/x'\nwrite = 'a:b'",
            r"py312\.toml:5: .*applies to data contracts only",
        ),
        ("[[contract]]\nwriter = 'a'\nreader = 'b'\nwrite = 'a:b'", r'needs "read" or "format"'),
        ("[[contract]]\nwriter = 'a'\nreader = 'b'\nwrite = 'a b'\nformat = 'json'", r"a function \(module:function\)"),
        ("[[contract]]\nwriter = 'a'\nreader = 'b'\nwrite = ['x']\nformat = 'json'", "writes bytes"),
        ("[[contract]]\nwriter = 'a'\nreader = 'b'\nwrite = 'a:b'\nformat = 'hash'", 'needs an action to "read"'),
        ("[[contract]]\nwriter = 'a'\nreader = 'b'\nwrite = 'a:b'\nformat = 'pickel'", 'perhaps you meant "pickle"'),
        ("[soak]\nintervall = 3", r'py312\.toml:2: soak\.intervall: .*perhaps you meant "interval"'),
        ('[deploy]\n\nredy_timeout = "3s"', r'py312\.toml:3: .*perhaps you meant "ready-timeout"'),
        ("[soak.compare]\nmaxratio = 2", 'perhaps you meant "max-ratio"'),
        ("[soak]\nconfirm = { probe = 2 }", 'perhaps you meant "probes"'),
        ("[soak]\nconfirm = { probes = 2, bad = 3 }", "requires 3 bad probes of 2"),
        ('[soak]\nfailure-limit = "120%"', "expected a share from 0 to 1"),
        ("[soak]\nfailure-limit = 2", "expected a share from 0 to 1"),
        ('[soak]\nduration = "1m"', r"an interval of 300 s, longer than the soak of 60 s"),
        ('[[stage]]\nnumber = 1\nservices = ["*"]\nsoak = { duration = "1m" }', "longer than the soak of 60 s"),
        ("[soak]\nmissing = 'pas'", 'perhaps you meant "pass"'),
        ("[soak]\nscope = 'service'", r"py312\.toml:2: soak\.scope"),
        ("[deploy]\ntarget = 'swam'", r'py312\.toml:2: deploy\.target.*perhaps you meant "swarm"'),
        ("[service.user]\ndeploy = { target = 'swarm' }", "applies to the whole plan"),
        ("[deploy.environments]\ntest = { engines = ['worker'] }", "expected a table"),
        ("[deploy.environments]\ntest = { engines = { worker = 1 } }", "expected a string"),
        ("[soak]\ninterval = 1\ninitial_delay = 1\ninitial-delay = 2", "stands here twice"),
        ('[soak.metric]\nname = "a"', "with two brackets"),
        ('[[soak.metric]]\nname = "a"', 'has no "provider"'),
        ('[[soak.metric]]\nname = "a"\nprovider = "http"\n[[soak.metric]]\nname = "a"\nprovider = "http"', "already"),
        ('[[soak.metric]]\nname = "a"\nprovider = "http"\nsuccess = "x < 1"', "is no condition; write one such as"),
        ('[deploy]\ncontainer = "a/b"', "the name of a container"),
        ('[deploy]\npublish = ["80"]', "port inside"),
        ('[deploy]\npublish = ["80000:80"]', "ports from 1 to 65535"),
        (
            "[deploy.environments]\ntest = { engine = 'ssh://a' }\nprod = { engine = 'ssh://a/' }",
            r'py312\.toml:3: .*has the same address as "test".*shares-target-with = \["test"\]',
        ),
        (
            "[deploy]\ntarget = 'kubernetes'\n[deploy.environments]\na = { namespace = 'n' }\nb = { namespace = 'n' }",
            r'py312\.toml:5: .*has the same address as "a"',
        ),
        ('[deploy]\nhealth = "health"', "from its /"),
        ('[deploy.environments]\nprod = { after = ["tset"] }\ntest = {}', 'perhaps you meant "test"'),
        ('[defaults]\nsoak = { interval = "1m" }', r"\[defaults\] has no such key"),
        ("[service.user]\nsoak = { duratio = 3 }", 'perhaps you meant "duration"'),
        ('[deploy]\nnamespace = "shop"', 'means nothing where the target is "docker"'),
        ('[deploy]\ntarget = "kubernetes"\ndrain = "5s"', 'means nothing where the target is "kubernetes"'),
        ('[deploy]\ntarget = "kubernetes"\n[service.user]\ndeploy = { publish = ["80:80"] }', "means nothing"),
        ('[deploy]\ntarget = "kubernetes"\nenvironments = { a = { engine = "ssh://a" } }', "means nothing"),
        ('[deploy]\nenvironments = { a = { context = "staging" } }', "means nothing"),
        ('[deploy]\ntarget = "kubernetes"\nnamespace = "Shop"', "the name of a namespace"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    """Already when the plan is read for anything else."""
    path = tmp_path / "py312.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=message):
        load_plan(path, today=date(2026, 11, 25))


tables = ["deploy", "soak", "soak.compare", "soak.metric", "stage", "service.a", "deploy.environments.a"]
keys = st.sampled_from([*tables, "interval", "confirm", "needs"])
values = st.sampled_from(
    ["1", "true", '""', '"5m"', "[]", "[1]", '["a"]', "{}", "{ a = 1 }", "nan", "2026-01-01", "-1"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.one_of(st.tuples(keys, values).map(" = ".join), keys.map("[{}]".format), keys.map("[[{}]]".format))))
def test_nothing_ends_in_a_traceback(tmp_path: Path, lines: list[str]) -> None:
    message = "py312.toml"
    try:
        sample_count = read(tmp_path, "\n".join(lines)).soak.sample_count
    except PlanError as error:
        sample_count, message = 1, str(error)
    assert sample_count > 0
    assert message.startswith("py312.toml")


def test_an_environment_names_its_prometheus_and_its_receivers(tmp_path: Path) -> None:
    text = """
[deploy.environments.prod]
prometheus = "http://prometheus:9090"
textfile = "/var/lib/node_exporter/py312.prom"
webhooks = ["https://chat/hook"]
notify = [["tell-us", "--urgent"]]
slack = ["$PY312_SLACK", "https://hooks.slack.com/x"]
teams = ["$PY312_TEAMS"]
mail = { to = ["a@example.com"], from = "py312@example.com", server = "smtp.example.com" }
"""
    assert read(tmp_path, text).environment_settings("prod") == EnvironmentSettings(
        name="prod",
        prometheus="http://prometheus:9090",
        textfile="/var/lib/node_exporter/py312.prom",
        webhooks=("https://chat/hook",),
        notify=(("tell-us", "--urgent"),),
        slack=("$PY312_SLACK", "https://hooks.slack.com/x"),
        teams=("$PY312_TEAMS",),
        mail=MailSettings(to=("a@example.com",), sender="py312@example.com", server="smtp.example.com"),
    )


@pytest.mark.parametrize(
    ("server", "security", "address"),
    [("smtp", "starttls", ("smtp", 587)), ("smtp", "tls", ("smtp", 465)), ("smtp:2525", "none", ("smtp", 2525))],
)
def test_a_mail_server_has_a_port(server: str, security: str, address: tuple[str, int]) -> None:
    assert MailSettings(to=(), sender="", server=server, security=security).address == address


@pytest.mark.parametrize(
    ("mail", "message"),
    [
        ('{ to = ["a@b"], from = "c@d" }', 'has no "server"; add one, such as server = "smtp:587"'),
        ('{ to = ["a"], from = "c@d", server = "s" }', "expected an address of mail"),
        ('{ to = ["a@b"], from = "c@d", server = "s:x" }', "expected a host, or a host and a port"),
        ('{ to = ["a@b"], from = "c@d", server = "s", security = "ssl" }', "security"),
        ('{ to = ["a@b"], from = "c@d", server = "s", password = "x" }', "password"),
    ],
)
def test_mistakes_in_the_settings_of_mail(tmp_path: Path, mail: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        read(tmp_path, f"[deploy.environments.prod]\nmail = {mail}\n")


@pytest.mark.parametrize(
    "written",
    [
        'webhooks = ["ftp://chat"]',
        'prometheus = "prometheus:9090"',
        "notify = [[]]",
        'slack = ["$1"]',
        'teams = ["chat"]',
        'notify = ["tell-us"]',
    ],
)
def test_an_address_or_a_command_that_is_none_is_a_mistake(tmp_path: Path, written: str) -> None:
    with pytest.raises(PlanError, match=r"expected|empty list"):
        read(tmp_path, f"[deploy.environments.prod]\n{written}\n")


def test_a_cluster_has_deployments_contexts_and_more_time(tmp_path: Path) -> None:
    text = """
[deploy]
target = "kubernetes"
environments = { test = { context = "staging", namespace = "shop" } }

[service."agent-services/*"]
deploy = { deployment = "agents", container = "app", namespace = "agents", ready_timeout = "20m" }
"""
    rollout = read(tmp_path, text)
    assert rollout.deploy.ready_timeout == 600.0
    assert rollout.deploy.container_of("agent-services/laoke_service") == "agent-services-laoke-service"
    changed = rollout.deploy_settings_for(stage=1, name="agent-services/laoke", path="agent-services/laoke")
    assert (changed.container_of("x"), changed.container, changed.namespace) == ("agents", "app", "agents")
    assert changed.ready_timeout == 1200.0
    assert rollout.environment_settings("test") == EnvironmentSettings(name="test", context="staging", namespace="shop")
