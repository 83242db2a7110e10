"""The example plugin, installed as a distribution of its own, extends the gate through each hook."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from pytest_py312.plugin import hookspecs
from tests.plugin.gate_helpers import Real

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
PAGE = (EXAMPLE.parents[1] / "docs" / "reference" / "plugin-api.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example as pip installs it from its wheel, which has the metadata of its pyproject.toml."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"].replace("-", "_"), project["version"]
    info = f"{name}-{version}.dist-info"
    files = {
        "py312_house_rules.py": (EXAMPLE / "py312_house_rules.py").read_text(encoding="utf-8"),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
            for group, entries in project["entry-points"].items()
        ),
    }
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD")))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(folder / "lib")]
    subprocess.run([*pip, str(wheel)], check=True, timeout=120)
    return folder / "lib"


@pytest.fixture
def house(real: Real, site: Path, monkeypatch: pytest.MonkeyPatch) -> Real:
    """A small repository in whose runs the plugin is installed."""
    monkeypatch.setenv("PYTHONPATH", str(site))
    return real


def test_a_severity_that_is_lowered_is_shown_as_such(house: Real) -> None:
    run = house.run("--py312-report=report.md", "-v")

    assert run.code == 0, run.out + run.err
    [lowered] = [
        finding
        for outcome in run.report["outcomes"]
        for finding in outcome["findings"]
        if finding["lowered_from"] and outcome["interpreter"] == "3.12"
    ]
    assert (lowered["code"], lowered["severity"], lowered["lowered_from"]) == ("PY401", "warning", "error")
    assert (lowered["lowered_by"], lowered["owner"], lowered["blocks"]) == ("house-rules", "accounts team", False)
    assert "lowered from error to warning by house-rules" in lowered["detail"]
    assert "(an error, lowered to warning by house-rules)" in re.sub(r"\s+", " ", run.out)
    assert re.search(r"^proven: 2 services ready for 3\.12 \(.*2 errors lowered by a plugin\)", run.out, re.MULTILINE)
    markdown = (house.root / "report.md").read_text(encoding="utf-8")
    assert "## Lowered by a plugin (2)" in markdown
    assert "## Who to ask" in markdown
    assert run.report["sections"] == [{"title": "Who to ask", "text": "user-service: accounts team"}]
    assert "Who to ask\n  user-service: accounts team" in run.out


def test_a_verdict_can_only_become_worse(house: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_FREEZE", "1")
    run = house.run("services/auth-service")

    assert run.code == 1, run.out + run.err
    assert run.report["objections"] == ["deployments are frozen"]
    assert run.report["exit_status"] == 1
    assert "not proven: deployments are frozen; 1 ready for 3.12" in run.out


def test_services_are_added_and_the_report_says_by_whom(house: Real) -> None:
    (house.root / "jobs" / "nightly").mkdir(parents=True)
    (house.root / "jobs" / "nightly" / "job.py").write_text("import asyncore\n", encoding="utf-8")

    run = house.run("--py312-services=nightly", "-m", "py312_source")

    assert run.statuses == {"jobs/nightly::source": "failed"}, run.out + run.err
    assert "nightly: added by the plugin house-rules." in run.report["assumptions"]


def test_runner_and_resolver_are_put_around_those_of_the_gate(
    house: Real, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOUSE_LOG", str(tmp_path / "log"))
    run = house.run("services/auth-service")

    assert run.code == 0, run.out + run.err
    assert run.report["runner"].startswith("logging ")
    assert run.report["resolver"].startswith("counting uv ")
    assert (tmp_path / "log").read_text(encoding="utf-8").count("run") >= 2


TARGET = """
from contextlib import contextmanager

@contextmanager
def connect(settings):
    raise SystemExit("the target of the house was asked for")
    yield
"""


def test_a_target_is_connected_by_the_plugin(house: Real, site: Path) -> None:
    plan = house.root / "py312.toml"
    deploy = '\n[deploy]\nimage = "{service}:{version}"\n[deploy.environments]\nhouse = {}\n'
    plan.write_text(plan.read_text(encoding="utf-8") + deploy, encoding="utf-8")
    (site / "py312_house_target.py").write_text(TARGET, encoding="utf-8")

    run = house.run("--py312-stage=1", "--py312-deploy=house")

    assert "the target of the house was asked for" in run.out + run.err
    assert run.code != 0


BROKEN = """
from dataclasses import replace

def pytest_py312_{hook}:
    {body}
"""


@pytest.mark.parametrize(
    ("hook", "body", "message"),
    [
        ("finding(finding)", "return replace(finding, waived=True)", "may change severity, remedy and owner"),
        ("finding(finding)", "return 1 / 0", "pytest_py312_finding of conftest.py failed: ZeroDivisionError"),
        ("verdict()", "return 1 / 0", "pytest_py312_verdict of conftest.py failed: ZeroDivisionError"),
        ("finding(finding)", "return replace(finding, severity='warning')", "of conftest.py may change severity"),
        ("finding(finding)", "import pytest; pytest.fail('no')", "pytest_py312_finding of conftest.py failed: Failed"),
        ("verdict()", "import pytest; pytest.fail('frozen')", "pytest_py312_verdict of conftest.py failed: Failed"),
        ("runner(runner)", "return 1 / 0", "pytest_py312_runner of conftest.py failed: ZeroDivisionError"),
        ("resolver(resolver)", "return 1 / 0", "pytest_py312_resolver of conftest.py failed: ZeroDivisionError"),
        ("report_sections()", "return ['a section']", "'a section' is no ReportSection of two texts"),
        ("services(services)", "services.clear()", "there is no service left"),
        ("services(services)", "services.append(services[0])", "two services are named auth-service"),
        ("services(services)", "services[0] = replace(services[0], path='../x')", "../x is no folder"),
        ("fleet(fleet)", "return 1 / 0", "pytest_py312_fleet of conftest.py failed: ZeroDivisionError"),
        ("checks()", "return [1 / 0]", "pytest_py312_checks of conftest.py failed: ZeroDivisionError"),
        ("checks()", "return 5", "pytest_py312_checks of conftest.py failed: TypeError"),
        ("report(report)", "return 1 / 0", "pytest_py312_report of conftest.py failed: ZeroDivisionError"),
        ("services(services)", "return 1 / 0", "pytest_py312_services of conftest.py failed: ZeroDivisionError"),
    ],
)  # fmt: skip
def test_a_hook_that_fails_or_cheats_proves_nothing(real: Real, hook: str, body: str, message: str) -> None:
    (real.root / "conftest.py").write_text(BROKEN.format(hook=hook, body=body), encoding="utf-8")

    run = real.run("-m", "py312_suite or py312_versions", "--py312-stage=2")

    assert run.code not in (0, 5)
    assert message in re.sub(r"\s+", " ", run.out + run.err)
    assert "Traceback" not in run.out + run.err
    assert "INTERNALERROR" not in run.out + run.err


def test_the_page_describes_every_hook() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("pytest_py312_")}

    assert set(re.findall(r"^\| `(pytest_py312_[a-z_]+)\(", PAGE, re.MULTILINE)) == hooks
