"""``--py312-cluster``: what it cannot be combined with."""

from typing import Any

import pytest

from pytest_py312.gate.cluster.assembly import ClusterAssembly
from tests.plugin.gate_helpers import Faked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--py312-cluster=scheduler:8786"], "expected the address of a Dask scheduler"),
        (["--py312-cluster=local:0"], "has from 1 to 256 workers"),
        (["--py312-cluster=local:2", "-n", "2"], "remove -n and --dist"),
        (["--py312-cluster=local:2", "--py312-shard=1/2", "--py312-report=a.json"], "remove one of them"),
        (["--py312-cluster=local:2", "--py312-diff"], "--py312-diff tries its changes with the interpreters of this"),
        (["--py312-cluster=local:2", "--py312-fix"], "--py312-fix tries its changes with the interpreters of this"),
        (["--py312-cluster=local:2", "--py312-verify-rollback"], "run it without --py312-cluster=local:2"),
    ],
)
def test_what_cannot_be_combined_is_refused(faked: Faked, options: list[str], message: str) -> None:
    result = faked.run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{message}*"])


def test_items_are_listed_without_a_cluster(faked: Faked) -> None:
    """``--collect-only`` connects to nothing."""
    assert faked.ids("--py312-cluster=tcp://127.0.0.1:1") == faked.ids()


HOOKS = """
def pytest_py312_{hook}(): ...
"""


@pytest.mark.parametrize("hook", ["services", "fleet", "checks", "finding", "runner", "resolver", "verdict", "report"])
def test_the_workers_load_what_their_outcomes_depend_on(
    faked: Faked, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    """A plugin that makes a finding an error does so there, too. What is about the report is asked once, here."""
    name = f"house_{hook}"
    faked.pytester.makepyfile(**{name: HOOKS.format(hook=hook)})
    faked.pytester.syspathinsert()
    loaded: list[str] = []
    make = ClusterAssembly.__init__

    def note(self: ClusterAssembly, *arguments: Any, **parts: Any) -> None:
        loaded.extend(parts["plugins"])
        make(self, *arguments, **parts)

    monkeypatch.setattr(ClusterAssembly, "__init__", note)
    result = faked.run("--py312-cluster=local:1", "--collect-only", "-p", name)
    assert result.ret == pytest.ExitCode.OK
    assert loaded == ([] if hook in ("verdict", "report") else [name])


OBJECT = """
class House:
    def pytest_py312_finding(self, finding): ...
House.__module__ = "elsewhere"

def pytest_configure(config):
    config.pluginmanager.register(House(), "house")
"""


def test_a_hook_that_no_worker_can_load_is_refused(faked: Faked) -> None:
    (faked.root / "conftest.py").write_text(OBJECT)
    result = faked.run("--py312-cluster=local:1", "--collect-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: pytest_py312_finding of house is no function of a module*"])


ON_A_WORKER = """
from pathlib import Path

def pytest_configure(config):
    config.pluginmanager.register(object(), "py312-cluster-service")

def note():
    with Path(__file__).with_name("asked").open("a") as file:
        file.write("asked")

def pytest_py312_verdict(): note(); return []
def pytest_py312_report_sections(): note(); return []
def pytest_py312_report(): note()
"""


def test_plugins_are_asked_about_the_whole_report_only(faked: Faked) -> None:
    """Not for each service on a worker as well: a hook may send messages."""
    (faked.root / "conftest.py").write_text(ON_A_WORKER)
    assert faked.run().ret == pytest.ExitCode.OK
    assert not (faked.root / "asked").exists()


def test_a_scheduler_that_does_not_answer_is_an_error(faked: Faked) -> None:
    """In a process of its own: after pytester has removed the modules of Dask, no plugin is found in this one."""
    result = faked.pytester.runpytest_subprocess(
        "--py312", "--py312-cluster=tcp://127.0.0.1:1", "--py312-runner=local", timeout=120
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--py312-cluster=tcp://127.0.0.1:1: no scheduler of Dask answers there" in result.stderr.str()
