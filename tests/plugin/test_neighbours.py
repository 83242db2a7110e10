"""Other plugins beside the gate: they are given items like any others."""

import xml.etree.ElementTree as ElementTree
from importlib.metadata import entry_points

import pytest

from tests.plugin.gate_helpers import Faked

PLUGINS = entry_points(group="pytest11").names


def needs(plugin: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(plugin not in PLUGINS, reason=f"the plugin {plugin} is not installed")


@needs("rerunfailures")
def test_reruns(faked: Faked) -> None:
    """An item is judged again; its last answer counts, and is in the report once."""
    faked.gate.answers["auth-service-py3.12-suite"] = ("failed", "no")
    result = faked.run("--reruns=1", "--junitxml=junit.xml", "--py312-report=all.json")
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(["*1 rerun*"])
    assert faked.asked().count("auth-service-py3.12-suite") == 2
    for case in ElementTree.parse(faked.root / "junit.xml").getroot().iter("testcase"):
        names = [found.get("name") for found in case.iter("property")]
        assert len(names) == len(set(names))
    assert (faked.root / "all.json").read_text().count('"services/auth-service::py3.12::suite"') == 1


@needs("timeout")
def test_timeout_of_a_users_own(faked: Faked) -> None:
    """``--timeout`` holds for items that wait for their cell; an item in time is not touched."""
    faked.run("--timeout=60").assert_outcomes(passed=10)


@needs("randomly")
def test_random_order(faked: Faked) -> None:
    faked.run("-p", "randomly").assert_outcomes(passed=10)
    assert len(set(faked.asked())) == 10


@needs("html")
def test_html(faked: Faked) -> None:
    faked.gate.answers["auth-service-py3.12-suite"] = ("failed", "1 test fails")
    faked.run("--html=all.html", "--self-contained-html").assert_outcomes(passed=9, failed=1)
    assert "1 test fails" in (faked.root / "all.html").read_text()


@needs("xdist")
def test_xdist_that_is_switched_off(faked: Faked) -> None:
    """``-n 0`` is a plain run: it works ahead in threads."""
    faked.run("-n", "0").assert_outcomes(passed=10)
    assert len(faked.gate.ahead) == 10


def test_hooks_tell_of_the_fleet_and_the_report(faked: Faked) -> None:
    faked.root.joinpath("conftest.py").write_text(
        "def pytest_py312_fleet(config, plan, fleet):\n"
        "    print('fleet of', [service.name for service in fleet.services])\n"
        "def pytest_py312_report(config, report):\n"
        "    print('report of', len(report.outcomes), 'outcomes, exit status', report.exit_status)\n"
    )
    result = faked.run("-s")
    result.stdout.fnmatch_lines(["fleet of ['auth-service', 'user-service']", "*report of 10 outcomes, exit status 0"])
