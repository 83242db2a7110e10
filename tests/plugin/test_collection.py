"""Collection: ids under real paths that can be run again, read from files, and nothing of a service imported."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.plugin.gate_helpers import IDS, TRAP, Faked
from tests.support.fakes import service_tree


def test_every_cell_has_an_item_for_each_check(faked: Faked) -> None:
    """From each service's baseline up to the target, under the service's real path, in the plan's order."""
    assert faked.ids() == IDS


@pytest.mark.parametrize("nodeid", IDS)
def test_each_id_can_be_run_again_by_itself(faked: Faked, nodeid: str) -> None:
    faked.run(nodeid).assert_outcomes(passed=1)
    path, interpreter, check = nodeid.split("::")
    assert faked.asked() == [f"{Path(path).name}-{interpreter}-{check}"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([IDS[9], IDS[0]], [IDS[0], IDS[9]]),
        (["services/user-service::py3.12"], IDS[8:]),
        (["services/user-service"], IDS[4:]),
        (["services/user-service/"], IDS[4:]),
        (["services/user-service/tests/test_user.py"], IDS[4:]),
        (["services/auth-service/requirements.txt"], IDS[:4]),
        (["services"], IDS),
        (["."], IDS),
        (["services/auth-service", "services/user-service::py3.9::suite"], [*IDS[:4], IDS[5]]),
        (["--py312-stage=2"], IDS[4:]),
        (["--py312-stage=1,2"], IDS),
        (["--py312-services=auth-service"], IDS[:4]),
        (["--py312-services=services/u*"], IDS[4:]),
        (["--py312-python=3.9,3.12"], [*IDS[2:6], *IDS[8:]]),
        (["--py312-stage=2", "--py312-python=3.9", "services/user-service::py3.9::suite"], [IDS[5]]),
    ],
)
def test_what_is_chosen_on_the_command_line(faked: Faked, arguments: list[str], expected: list[str]) -> None:
    """Paths, node ids and options each narrow the choice; the plan's order stays."""
    assert faked.ids(*arguments) == expected


def test_paths_hold_from_where_pytest_was_started(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a service's folder its own path is ``.``; the ids stay relative to pytest's rootdir, and can be typed."""
    faked.root.joinpath("pytest.ini").write_text("[pytest]\n")
    monkeypatch.chdir(faked.root / "services/user-service")
    assert faked.ids() == IDS
    assert faked.ids(".") == IDS[4:]
    assert faked.ids("tests") == IDS[4:]
    assert faked.ids("../auth-service::py3.12::suite") == [IDS[3]]
    assert faked.ids(IDS[3]) == [IDS[3]]


@pytest.mark.parametrize("folder", ["services", "services/user-service", "services/user-service/tests"])
@pytest.mark.parametrize("settings", ["pytest.ini", "services/user-service/pytest.ini", "services/pytest.ini", ""])
def test_an_item_has_one_id_wherever_pytest_was_started(
    faked: Faked, monkeypatch: pytest.MonkeyPatch, folder: str, settings: str
) -> None:
    """Its service's, in the lines of pytest, the summary and the report, also if the rootdir is that service."""
    if settings:
        faked.root.joinpath(settings).write_text("[pytest]\n")
    faked.gate.answers["user-service-py3.12-suite"] = ("failed", "1 test fails")
    monkeypatch.chdir(faked.root / folder)
    assert faked.ids() == IDS
    assert faked.ids(IDS[9]) == [IDS[9]]
    verbose = faked.run("-v", f"--py312-report={faked.root}/report.json")
    verbose.stdout.fnmatch_lines([f"{IDS[0]} PASSED*", f"{IDS[9]} FAILED*", f"  {IDS[9]}", f"FAILED {IDS[9]}*"])
    assert f'"{IDS[9]}"' in (faked.root / "report.json").read_text()
    faked.run(str(faked.root / "services/user-service")).stdout.fnmatch_lines(["services/user-service .....F*"])


def test_a_path_from_outside_the_repository(
    faked: Faked, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is looked for upwards of the path that is given, wherever pytest was started."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    result = faked.run(f"{faked.root}/services/user-service::py3.12::suite", f"--rootdir={faked.root}")
    result.assert_outcomes(passed=1)
    assert faked.asked() == ["user-service-py3.12-suite"]


def test_the_plan_may_lie_below_the_rootdir(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the ids have the way down in front of them, and each can still be run again from the rootdir."""
    below = faked.root / "backend"
    below.mkdir()
    for name in ("services", "py312.toml"):
        faked.root.joinpath(name).rename(below / name)
    faked.root.joinpath("test_of_the_rest.py").write_text("raise SystemExit('not asked for')\n")
    faked.root.joinpath("pytest.ini").write_text("[pytest]\n")
    moved = [f"backend/{nodeid}" for nodeid in IDS]
    assert faked.ids("--py312-plan=backend/py312.toml") == moved
    assert faked.ids("backend") == moved
    for nodeid in moved:
        assert faked.ids(nodeid) == [nodeid]
    monkeypatch.chdir(below)
    assert faked.ids() == moved
    assert faked.ids("services/auth-service") == moved[:4]


def test_the_plan_may_lie_above_the_rootdir(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service with a pytest.ini of its own does not become the rootdir of a run that looks at the repository."""
    faked.root.joinpath("services/user-service/pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    monkeypatch.chdir(faked.root / "services")
    faked.run("--rootdir=.", "user-service::py3.12::suite").assert_outcomes(passed=1)
    assert faked.asked() == ["user-service-py3.12-suite"]


def test_a_service_with_its_own_settings_of_pytest_can_be_named(faked: Faked) -> None:
    """The settings of a service are for its cells: here its options would be unknown, and its ids relative to it."""
    faked.root.joinpath("services/user-service/pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    result = faked.run("services/user-service::py3.12::suite")
    result.assert_outcomes(passed=1)
    assert faked.asked() == ["user-service-py3.12-suite"]


@pytest.mark.parametrize("arguments", [[], ["services/user-service"], ["services/user-service/tests"], [IDS[9]]])
def test_nothing_of_a_service_is_imported(faked: Faked, arguments: list[str]) -> None:
    """Every conftest.py, __init__.py and test of the fleet would end the process that imports it."""
    result = faked.run(*arguments)
    result.stdout.no_fnmatch_line("*was imported where pytest was started*")
    result.stderr.no_fnmatch_line("*was imported where pytest was started*")
    assert result.ret == 0


def test_the_repositorys_own_conftest_is_loaded(faked: Faked) -> None:
    """It may add checks and fixtures to the gate, also where a service is named on the command line."""
    faked.root.joinpath("conftest.py").write_text(
        "# for pytest_py312\ndef pytest_report_header(config):\n    return 'the conftest of the repository'\n"
    )
    for arguments in ([], ["services/user-service"], [IDS[0]]):
        faked.run(*arguments).stdout.fnmatch_lines(["the conftest of the repository"])


@pytest.mark.parametrize(
    "text",
    [
        "import no_such_library\n",
        "from services import shared\n",
        "# tox -e py312\npy312_only = True\n",
        "import pytest\ndef pytest_sessionfinish(session):\n    session.no_such_attribute\n",
    ],
)
def test_a_conftest_for_the_tests_of_the_services_is_not_loaded(faked: Faked, text: str) -> None:
    """What it imports is installed in their cells, and its hooks are for the pytest there."""
    faked.root.joinpath("conftest.py").write_text(text + TRAP)
    assert faked.run().ret == 0


def test_the_conftest_of_tests_beside_the_services_is_not_loaded(faked: Faked) -> None:
    """pytest would load it with the folder above, because its name begins with ``test``."""
    service_tree(faked.root, {"tests/conftest.py": TRAP, "tests/test_all.py": TRAP})
    assert faked.run().ret == 0


def test_a_repository_of_one_service(faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service may be the repository itself: its conftest files are for its cells as well."""
    files = {"Dockerfile": "FROM python:3.9\n", "requirements.txt": "", "tests/test_x.py": TRAP}
    files |= {"conftest.py": TRAP, "tests/conftest.py": TRAP}
    root = service_tree(tmp_path / "alone", files)
    monkeypatch.chdir(root)
    ids = faked.ids("--rootdir=.")
    assert [nodeid.split("::", 1)[1] for nodeid in ids][-2:] == ["py3.12::dependencies", "py3.12::suite"]
    faked.run("--rootdir=.", ids[-1]).assert_outcomes(passed=1)


def test_settings_of_the_only_service_stay_in_its_cells(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its options and settings may be those of plugins that are not installed here."""
    settings = "[pytest]\naddopts = --cov=app --strict-config --py312-jobs=1\ntestpaths = tests\nenv = A=1\n"
    settings += "filterwarnings = error\n"
    root = service_tree(tmp_path / "alone", {"requirements.txt": "", "tests/test_x.py": TRAP, "pytest.ini": settings})
    monkeypatch.chdir(root)
    ids = faked.ids()
    assert ids[-1].endswith("py3.12::suite")
    faked.run(ids[-1]).assert_outcomes(passed=1)


def test_settings_that_pytest_takes_before_any_plugin_can_be_blanked(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the how-to describes; otherwise pytest ends before the plugin is loaded."""
    settings = "[pytest]\naddopts = -p no_such_plugin\nminversion = 99\n"
    settings += "filterwarnings =\n  error\n  ignore::no_such.Warning\n"
    root = service_tree(tmp_path / "alone", {"requirements.txt": "", "tests/test_x.py": TRAP, "pytest.ini": settings})
    monkeypatch.chdir(root)
    assert faked.ids("-o", "addopts=", "-o", "minversion=", "-o", "filterwarnings=")[-1].endswith("py3.12::suite")


def test_a_conftest_of_the_only_service_that_adds_to_the_gate_is_loaded(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those further in are not."""
    ours = "def pytest_py312_checks():\n    return []\ndef pytest_report_header():\n    return 'added to the gate'\n"
    files = {"requirements.txt": "", "conftest.py": ours, "tests/conftest.py": TRAP, "tests/test_x.py": TRAP}
    monkeypatch.chdir(service_tree(tmp_path / "alone", files))
    result = faked.run("--rootdir=.")
    result.stdout.fnmatch_lines(["added to the gate"])
    assert result.ret == 0


def test_a_repository_without_a_plan_says_what_it_assumed(faked: Faked) -> None:
    """The services are found by their files, and the header shows that there is no plan."""
    faked.root.joinpath("py312.toml").unlink()
    faked.root.joinpath("services/user-service/Dockerfile").unlink()
    result = faked.run()
    result.stdout.fnmatch_lines(["py312: target 3.12; 2 services, * no plan, using defaults", "*Assumptions*"])
    assert "user-service" in result.stdout.str().split("Assumptions")[1]


def test_a_service_on_the_target_has_one_cell(faked: Faked) -> None:
    faked.root.joinpath("services/user-service/Dockerfile").write_text("FROM python:3.12-slim\n")
    assert faked.ids("services/user-service") == IDS[8:]


def test_options_in_a_services_own_settings_stay_in_its_cells(faked: Faked) -> None:
    """pytest would take ``addopts`` of the file that is nearest to a typed path."""
    faked.root.joinpath("services/user-service/pytest.ini").write_text("[pytest]\naddopts = -k nothing --no-such\n")
    faked.run("services/user-service", "-k", "suite").assert_outcomes(passed=3, deselected=3)


SETTINGS = {
    "addopts": "--cov=app --cov-report term -k nothing --maxfail=1",
    "timeout": "0.01",
    "required_plugins": "pytest-no-such-plugin",
    "filterwarnings": "error",
    "xfail_strict": "true",
    "strict": "true",
    "asyncio_mode": "auto",
    "faulthandler_timeout": "0.01",
    "reruns": "3",
    "pythonpath": "shadows",
    "markers": "slow: a test of a service",
    "env": "A=1",
}
SLOW = """
import sys, time
def pytest_py312_fleet(config, plan, fleet):
    print("loaded by", [name for name in sys.path if name.endswith("shadows")])
def pytest_runtest_call(item):
    time.sleep(0.03)
"""


def settings_file(values: dict[str, str]) -> str:
    return "[pytest]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_above_the_services_are_for_their_cells(faked: Faked, name: str) -> None:
    """Services often share a file of settings, which names plugins that only their cells have."""
    faked.root.joinpath("slow_items.py").write_text(SLOW)
    faked.pytester.syspathinsert()
    faked.root.joinpath("pytest.ini").write_text(settings_file({name: SETTINGS[name]}))
    for arguments, passed in ([], 10), (["services/user-service"], 6):
        result = faked.run("-s", "-p", "slow_items", *arguments)
        result.assert_outcomes(passed=passed)
        result.stdout.fnmatch_lines(["*loaded by []*"])


def test_settings_of_the_gate_and_of_the_command_line_hold(faked: Faked) -> None:
    options = {"addopts": "--py312-python 3.9 --cov --no-such x", "py312_stage": "2", "junit_family": "none"}
    faked.root.joinpath("pytest.ini").write_text(settings_file(options))
    assert faked.ids() == IDS[4:6]
    assert faked.ids("-k", "suite") == IDS[5:6]
    result = faked.run("-o", "console_output_style=count")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*2/2*"])


def test_settings_that_are_named_on_the_command_line_hold(faked: Faked) -> None:
    """``-c FILE`` is the user's choice for this run."""
    faked.root.joinpath("gate.ini").write_text("[pytest]\naddopts = -k py3.9\n")
    faked.run("-c", "gate.ini").assert_outcomes(passed=2, deselected=8)


def test_an_unknown_option_of_the_only_service_may_have_its_value_apart(
    faked: Faked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--cov-report term``: the value is no path of the run."""
    settings = "[pytest]\naddopts = --cov=app --cov-report term\n"
    root = service_tree(tmp_path / "alone", {"requirements.txt": "", "tests/test_x.py": TRAP, "pytest.ini": settings})
    monkeypatch.chdir(root)
    ids = faked.ids()
    assert ids[-1].endswith("py3.12::suite")
    faked.run(ids[-1]).assert_outcomes(passed=1)


def test_names_of_folders_do_not_tear_lines(pytester: pytest.Pytester) -> None:
    """Ids, the lines of pytest and its JUnit file have escaped names, and two names never share an id."""
    names = ("a\x1b[31mred\nsecond\u202e|x", "ared\nsecond\u202e|x")
    service_tree(pytester.path, {f"services/{name}/requirements.txt": "attrs\n" for name in names})
    arguments = ("--py312", "--py312-runner=local", "-m", "py312_versions", "-v", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*arguments, "--junitxml=junit.xml")
    result.assert_outcomes(skipped=2, deselected=result.parseoutcomes()["deselected"])
    assert "\x1b" not in result.stdout.str()
    lines = [line for line in result.outlines if "::versions" in line]
    assert len({line.partition("::")[0] for line in lines}) == 2
    assert all(line.startswith(r"services/ared\nsecond\u202e|x~") for line in lines)
    cases = ElementTree.parse(pytester.path / "junit.xml").getroot().iter("testcase")
    assert len({case.get("classname") for case in cases}) == 2
