"""The plan file: where it is searched, how it is read, and how its mistakes are reported."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_py312.core.errors import PlanError
from pytest_py312.core.model.findings import Interpreter, Location
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage, StageDates, Suite, SuiteKind, Waiver
from pytest_py312.repository.plan.fleet_check import settings_for
from pytest_py312.repository.plan.loader import SERVICE_KEYS, default_plan, find_plan, load_plan

TODAY = date(2026, 11, 25)
PY39, PY310, PY311, PY312 = (Interpreter(3, minor) for minor in (9, 10, 11, 12))

FULL = """\
target = "3.12"
interpreters = ["3.12", "3.9", "3.10"]
services = ["services/*", "./services/diagnostic-services/*/"]
exclude = ["services/legacy-*"]
runner = "docker"
isolation = "interpreter"
image = "mirror/python:{version}-slim"
fetch-interpreters = true
shared-folder = "/mnt/shared"
engines = ["unix:///run/other.sock", "ssh://ci@build-host:22", "tcp://[::1]:2376"]
reruns = 0
exclude-newer = "2026-11-01T02:00:00+02:00"
lock-hours = 1.5
build-limit = "5m"

[images]
"3.12" = "registry/python:3.12-bookworm"

[[stage]]
number = 2
services = ["diagnostic-services/*"]

[[stage]]
number = 1
name = "Core"
services = ["api-gateway", "auth-service"]
critical = true

[defaults]
time-limit = 600
environment = { TZ = "UTC", MODE = "test" }

[service."user-service"]
baseline = "3.10"
requirements = ["requirements.txt", "../shared/requirements.txt"]
test-requirements = ["requirements-test.txt"]
suite = ["pytest", "-q", "tests"]
python-path = ["src"]
prepare = [["python", "-m", "grpc_tools.protoc", ""]]
environment = { MODE = "user" }
needs = ["libs/common"]
memory-limit = "512MiB"
suite-share = 0.75
network = true

[[waiver]]
service = "user-service"
code = "PY401"
reason = "measured on a shared machine"
owner = "payments team"
until = 2026-11-25
"""


def plan_of(folder: Path, text: str, name: str = "py312.toml") -> Plan:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load_plan(path, today=TODAY)


def error_of(folder: Path, text: str, name: str = "py312.toml") -> PlanError:
    with pytest.raises(PlanError) as caught:
        plan_of(folder, text, name)
    return caught.value


# ---- planned dates of stages

STAGE = '[[stage]]\nnumber = 1\nservices = ["a"]\n'
ENVIRONMENTS = "[deploy.environments]\ntest = {}\nproduction = { after = ['test'] }\n"


def test_a_stage_has_planned_dates_by_environment(tmp_path: Path) -> None:
    dates = "dates = { test = { start = 2027-01-11, end = 2027-01-15 }, production = { end = 2027-01-29 } }\n"
    (stage,) = plan_of(tmp_path, f"{ENVIRONMENTS}{STAGE}{dates}").stages
    assert stage.dates_in("test") == StageDates(environment="test", start=date(2027, 1, 11), end=date(2027, 1, 15))
    assert stage.dates_in("production") == StageDates(environment="production", end=date(2027, 1, 29))
    assert stage.dates_in("lab") == StageDates(environment="lab")
    assert plan_of(tmp_path, f"{STAGE}dates = {{ anything = {{ start = 2027-01-11 }} }}").stages[0].dates


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (
            "{ tset = { start = 2027-01-11 } }",
            'no environment tset, perhaps you meant "test"; [deploy.env',
        ),
        ("{ test = { begin = 2027-01-11 } }", "the dates in test has no such key; its keys are start, end"),
        ("{ test = { start = 2027-01-11, end = 2027-01-10 } }", "is before the start, 2027-01-11"),
        ('{ test = { start = "2027-01-11" } }', "expected a date without quotes"),
        ("{ test = 2027-01-11 }", "expected a table"),
        ("2027-01-11", "expected a table"),
    ],
)
def test_a_wrong_date_of_a_stage_is_named(tmp_path: Path, dates: str, message: str) -> None:
    error = error_of(tmp_path, f"{ENVIRONMENTS}{STAGE}dates = {dates}\n")
    assert message in str(error)
    assert str(error).startswith("py312.toml:7: stage[1].dates")


# ---- where it is found


def test_the_nearest_plan_above_is_found(tmp_path: Path) -> None:
    """From a service's folder as from the root; a pyproject.toml without the table is passed by."""
    service = tmp_path / "services" / "api"
    service.mkdir(parents=True)
    (service / "pyproject.toml").write_text("[project]\nname = 'api'\n", encoding="utf-8")
    (tmp_path / "py312.toml").touch()
    assert find_plan(service) == tmp_path / "py312.toml"
    assert find_plan(tmp_path) == tmp_path / "py312.toml"


def test_a_plan_in_pyproject_is_found_and_py312_toml_beside_a_plain_one_holds(tmp_path: Path) -> None:
    """Either file may hold the plan."""
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text("[tool.pytest-py312]\n", encoding="utf-8")
    assert find_plan(tmp_path) == pyproject
    pyproject.write_text("# pytest-py312 is configured elsewhere\n", encoding="utf-8")
    (tmp_path / "py312.toml").touch()
    assert find_plan(tmp_path) == tmp_path / "py312.toml"


def test_two_plans_in_one_folder_are_an_error(tmp_path: Path) -> None:
    """It would not be plain which one holds."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest-py312]\n", encoding="utf-8")
    (tmp_path / "py312.toml").touch()
    with pytest.raises(PlanError, match="second plan"):
        find_plan(tmp_path)


@pytest.mark.parametrize("border", ["git folder", "git file", "stop"])
def test_the_search_does_not_leave_the_repository(tmp_path: Path, border: str) -> None:
    """A plan above the repository, or above the given folder, belongs to something else."""
    inner = tmp_path / "repository" / "services"
    inner.mkdir(parents=True)
    (tmp_path / "py312.toml").touch()
    if border == "git folder":
        (tmp_path / "repository" / ".git").mkdir()
    elif border == "git file":
        (tmp_path / "repository" / ".git").touch()
    stop = tmp_path / "repository" if border == "stop" else None
    assert find_plan(inner, stop) is None
    (tmp_path / "repository" / "py312.toml").touch()
    assert find_plan(inner, stop) == tmp_path / "repository" / "py312.toml"


def test_a_start_outside_of_stop_is_looked_at_alone(tmp_path: Path) -> None:
    """The search does not leave the stop folder."""
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "py312.toml").touch()
    assert find_plan(tmp_path / "a" / "deep", tmp_path / "b") is None
    assert find_plan(tmp_path / "a", tmp_path / "b") == tmp_path / "a" / "py312.toml"


def test_a_broken_pyproject_matters_only_where_it_mentions_a_plan(tmp_path: Path) -> None:
    """Its own tools complain about it otherwise."""
    (tmp_path / ".git").mkdir()
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text("[project\n", encoding="utf-8")
    assert find_plan(tmp_path) is None
    pyproject.write_text("[tool.pytest-py312\n", encoding="utf-8")
    with pytest.raises(PlanError, match=r"^pyproject.toml:1: is not valid TOML"):
        find_plan(tmp_path)


# ---- what it becomes


def test_without_a_plan_defaults_hold(tmp_path: Path) -> None:
    """And an empty plan means the same."""
    plan = default_plan(tmp_path)
    assert plan == Plan(root=tmp_path.resolve())
    assert plan.interpreters == (PY39, PY310, PY311, PY312)
    assert plan_of(tmp_path, "") == Plan(root=tmp_path.resolve(), source="py312.toml")


@pytest.mark.parametrize("name", ["py312.toml", "pyproject.toml"])
def test_every_key_reaches_the_plan(tmp_path: Path, name: str) -> None:
    """In its own file and in pyproject.toml alike."""
    text = FULL
    if name == "pyproject.toml":
        text = FULL.replace("[service.", "[tool.pytest-py312.service.")
        for table in ("images", "defaults", "[stage]", "[waiver]"):
            bare = table.strip("[]")
            text = text.replace(f"[{table}]", f"[{table.replace(bare, 'tool.pytest-py312.' + bare)}]")
        text = "[tool.pytest-py312]\n" + text
    plan = plan_of(tmp_path, text, name)
    waiver_line = next(at for at, line in enumerate(text.splitlines(), 1) if line.endswith("waiver]]"))
    defaults = ServiceSettings(time_limit=600.0, environment=(("TZ", "UTC"), ("MODE", "test")))
    user = ServiceSettings(
        baseline=PY310,
        requirements=("requirements.txt", "../shared/requirements.txt"),
        test_requirements=("requirements-test.txt",),
        suite=Suite(kind=SuiteKind.PYTEST, arguments=("-q", "tests")),
        python_path=("src",),
        prepare=(("python", "-m", "grpc_tools.protoc", ""),),
        environment=(("TZ", "UTC"), ("MODE", "user")),
        needs=("libs/common",),
        time_limit=600.0,
        memory_limit=512 * 1024**2,
        suite_share=0.75,
        network=True,
    )
    assert plan == Plan(
        root=tmp_path.resolve(),
        source=name,
        target=PY312,
        interpreters=(PY39, PY310, PY312),
        services=("services/*", "services/diagnostic-services/*"),
        exclude=("services/legacy-*",),
        stages=(
            Stage(number=1, name="Core", services=("api-gateway", "auth-service"), critical=True),
            Stage(number=2, services=("diagnostic-services/*",)),
        ),
        defaults=defaults,
        overrides=(("user-service", user),),
        waivers=(
            Waiver(
                service="user-service",
                code="PY401",
                reason="measured on a shared machine",
                owner="payments team",
                until=TODAY,
                location=Location(path=name, line=waiver_line),
            ),
        ),
        fetch_interpreters=True,
        shared_folder="/mnt/shared",
        engines=("unix:///run/other.sock", "ssh://ci@build-host:22", "tcp://[::1]:2376"),
        runner="docker",
        isolation="interpreter",
        images=((PY312, "registry/python:3.12-bookworm"),),
        image="mirror/python:{version}-slim",
        reruns=0,
        exclude_newer="2026-11-01T00:00:00Z",
        lock_hours=1.5,
        build_limit=300.0,
    )
    assert plan.image_of(PY312) == "registry/python:3.12-bookworm"
    assert plan.image_of(PY39) == "mirror/python:3.9-slim"


def test_interpreters_follow_the_target_where_the_plan_does_not_list_them(tmp_path: Path) -> None:
    """From 3.9 up to it."""
    assert plan_of(tmp_path, 'target = "3.11"').interpreters == (PY39, PY310, PY311)
    assert plan_of(tmp_path, 'target = "3.13"').interpreters == (PY39, PY310, PY311, PY312, Interpreter(3, 13))
    assert plan_of(tmp_path, 'target = "3.8"').interpreters == (Interpreter(3, 8),)


def test_the_last_service_table_that_fits_holds(tmp_path: Path) -> None:
    """A name, a path and a glob all fit; what fits nothing has the defaults."""
    plan = plan_of(
        tmp_path,
        "[defaults]\nnetwork = true\n"
        '[service."diagnostic-services/*"]\ntime-limit = "2h"\nmemory-limit = 1073741824\n'
        '[service."listen-service"]\ntime-limit = "90s"\n',
    )
    listen = settings_for(plan, "listen-service", "services/diagnostic-services/listen-service")
    look = settings_for(plan, "look-service", "services/diagnostic-services/look-service")
    assert (listen.time_limit, listen.memory_limit, listen.network) == (90.0, 2 * 1024**3, True)
    assert (look.time_limit, look.memory_limit, look.network) == (7200.0, 1024**3, True)
    assert settings_for(plan, "api", "services/api") == plan.defaults


@pytest.mark.parametrize(
    ("lines", "suite", "reason"),
    [
        ('suite = ["pytest"]', Suite(kind=SuiteKind.PYTEST), ""),
        ('suite = ["unittest", "-b"]', Suite(kind=SuiteKind.UNITTEST, arguments=("-b",)), ""),
        (
            'suite = ["make", "test"]\njunit = "out/report.xml"',
            Suite(kind=SuiteKind.COMMAND, arguments=("make", "test"), junit="out/report.xml"),
            "",
        ),
        ('suite = false\nreason = "end to end only"', None, "end to end only"),
    ],
)
def test_suite(tmp_path: Path, lines: str, suite: Suite | None, reason: str) -> None:
    """pytest, unittest, a command of one's own, or none with a reason."""
    found = plan_of(tmp_path, f"[defaults]\n{lines}\n").defaults
    assert (found.suite, found.suite_skip_reason) == (suite, reason)


def test_a_service_brings_back_the_suite_that_the_defaults_take_away(tmp_path: Path) -> None:
    """The suite's three keys are one setting."""
    plan = plan_of(tmp_path, '[defaults]\nsuite = false\nreason = "later"\n[service.api]\nsuite = ["pytest"]\n')
    assert plan.overrides[0][1].suite == Suite(kind=SuiteKind.PYTEST)
    assert plan.overrides[0][1].suite_skip_reason == ""


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Some editors write one."""
    (tmp_path / "py312.toml").write_bytes(b'\xef\xbb\xbftarget = "3.11"\r\n')
    assert load_plan(tmp_path / "py312.toml", today=TODAY).target == PY311


# ---- the file itself


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """The line of the first invalid byte is reported."""
    (tmp_path / "py312.toml").write_bytes(b'target = "3.12"\n# caf\xe9\n')
    with pytest.raises(PlanError, match=r"^py312\.toml:2: is not UTF-8"):
        load_plan(tmp_path / "py312.toml", today=TODAY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target = \n", "py312.toml:1: is not valid TOML"),
        ('a = 1\nb = "x', "py312.toml: is not valid TOML: Unterminated string (at end of document)"),
        ("[[stage]]\n[stage]\n", "py312.toml:2: is not valid TOML"),
        ("a = " + "[" * 5000, "py312.toml: cannot be read: it has a number too long or a value nested too deep"),
        ("a = " + "9" * 5000, "py312.toml: cannot be read: it has a number too long or a value nested too deep"),
        ("\n" + ".".join(["a"] * 300_000) + " = 1", "py312.toml:2: has a dotted key of more than 64 parts"),
        ("#" * (1024 * 1024 + 1), "py312.toml: is larger than 1 MiB"),
    ],
    ids=["no value", "open string", "table twice", "deep", "long number", "long key", "large"],
)
def test_a_file_that_cannot_be_read_as_toml(tmp_path: Path, text: str, message: str) -> None:
    """The line is reported if it is known; limits apply."""
    assert str(error_of(tmp_path, text)).startswith(message)


def test_a_file_that_is_not_there_or_not_a_file(tmp_path: Path) -> None:
    """A sentence, not a traceback."""
    with pytest.raises(PlanError, match=r"^none\.toml: cannot be read: No such file"):
        load_plan(tmp_path / "none.toml", today=TODAY)
    with pytest.raises(PlanError, match="is not a file"):
        load_plan(tmp_path, today=TODAY)


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    """A repository must not make us read files beside it; a link within the folder is harmless."""
    (tmp_path / "outside.toml").touch()
    root = tmp_path / "root"
    root.mkdir()
    (root / "py312.toml").symlink_to(tmp_path / "outside.toml")
    with pytest.raises(PlanError, match="leads out of its folder"):
        load_plan(root / "py312.toml", today=TODAY)
    (root / "plan.toml").touch()
    (root / "inside.toml").symlink_to(root / "plan.toml")
    assert load_plan(root / "inside.toml", today=TODAY).source == "inside.toml"


def test_pyproject_without_the_table(tmp_path: Path) -> None:
    """Asked for by its path, it has to have a plan."""
    assert "has no table [tool.pytest-py312]" in str(error_of(tmp_path, "[tool]\n", "pyproject.toml"))
    error = error_of(tmp_path, "[tool]\n\npytest-py312 = 3\n", "pyproject.toml")
    assert str(error).startswith("pyproject.toml:3: tool.pytest-py312: is not a table")


# ---- whatever stands in it

KEYS = st.sampled_from(
    ["target", "interpreters", "stage", "defaults", "service", "waiver", "images", "services", "number", *SERVICE_KEYS]
)
LEAVES = st.one_of(
    st.sampled_from(["1", "-1", "3.12", "nan", "inf", "1e400", "9" * 400, "true", "false", "2027-01-31", "10:00:00"]),
    st.sampled_from(['"3.12"', '""', '"../x"', '"\\u001b[31m"', "2026-11-01T00:00:00Z"]),
    st.sampled_from(["[]", "[1]", '["a"]', '[["a"], []]', "{}", "{ a = {} }"]),
)


def read_or_error(path: Path) -> tuple[Plan | None, str]:
    """Return the plan, or the error message."""
    try:
        return load_plan(path, today=TODAY), ""
    except PlanError as error:
        return None, str(error)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.tuples(KEYS, LEAVES).map(" = ".join), KEYS.map("[{}]".format), KEYS.map("[[{}]]".format))))
def test_nothing_in_a_plan_ends_in_a_traceback(tmp_path: Path, lines: list[str]) -> None:
    """A plan or a PlanError that begins with the file's name, for any mix of keys, tables and values."""
    path = tmp_path / "py312.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    plan, message = read_or_error(path)
    assert plan is not None or message.startswith("py312.toml")
    assert "\x1b" not in message


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
def test_no_bytes_end_in_a_traceback(tmp_path: Path, data: bytes) -> None:
    """Whatever the file holds."""
    path = tmp_path / "py312.toml"
    path.write_bytes(data)
    plan, message = read_or_error(path)
    assert plan is not None or message.startswith("py312.toml")
