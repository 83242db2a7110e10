"""Without a ``--py312`` option the plugin does nothing, and costs nothing."""

import json
import subprocess
import sys

import pytest

from tests.plugin.gate_helpers import FLEET, IDS, REAL_IDS, Faked, Real
from tests.support.fakes import service_tree

HEAVY = ("docker", "uv", "yaml", "rich", "packaging", "psutil", "filelock", "platformdirs", "sqlite3", "requests")
OWN = {"pytest_py312", "pytest_py312.plugin", "pytest_py312.plugin.hookspecs"}

LOADED = (
    "import json, sys\n"
    "before = set(sys.modules)\n"
    "def pytest_unconfigure(config):\n"
    "    with open('loaded.json', 'w') as file:\n"
    "        json.dump(sorted(sys.modules), file)\n"
)

WATCH = (
    "import sys\n"
    "def watch(event, details):\n"
    "    if event in ('subprocess.Popen', 'os.fork', 'os.posix_spawn', 'socket.connect', 'socket.getaddrinfo'):\n"
    "        print('WATCHED', event, details, flush=True)\n"
    "sys.addaudithook(watch)\n"
)

REWRITTEN = (
    "import sys\n"
    "def pytest_unconfigure(config):\n"
    "    for name, module in list(sys.modules.items()):\n"
    "        if 'Rewriting' in type(getattr(module, '__loader__', None)).__name__:\n"
    "            print('REWRITTEN', name)\n"
)


def loaded(faked: Faked, monkeypatch: pytest.MonkeyPatch, *options: str) -> set[str]:
    """What modules a run in a process of its own, with this plugin and no other, has imported."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    faked.root.joinpath("conftest.py").write_text(LOADED)
    faked.root.joinpath("test_own.py").write_text("def test_a(): pass\n")
    argv = [sys.executable, "-m", "pytest", "-p", "pytest_py312.plugin", *options]
    done = subprocess.run(argv, cwd=faked.root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads((faked.root / "loaded.json").read_text()))


def test_nothing_heavy_is_imported(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = loaded(faked, monkeypatch, "test_own.py")
    without = loaded(faked, monkeypatch, "test_own.py", "-p", "no:pytest_py312.plugin")
    new = {name.partition(".")[0] for name in modules - without}
    assert new.isdisjoint(HEAVY)
    assert {name for name in modules if name.partition(".")[0] == "pytest_py312"} == OWN


def test_modifiers_alone_do_not_ask_for_it(faked: Faked) -> None:
    """``--py312-runner`` in addopts is a setting, and turns no run into a gate. Typed, it would do nothing."""
    faked.root.joinpath("test_own.py").write_text("def test_a(): pass\n")
    result = faked.bare("test_own.py", "--py312-runner=local")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --py312-runner changes how services are checked*: add --py312"])
    faked.root.joinpath("pytest.ini").write_text("[pytest]\naddopts = --py312-runner=local --py312-jobs=2\n")
    result = faked.bare("test_own.py")
    result.assert_outcomes(passed=1)
    assert "py312:" not in result.stdout.str()


def test_changes_ask_for_it(faked: Faked) -> None:
    result = faked.bare("--py312-diff")
    assert "py312: readiness for Python" in result.stdout.str()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--py312-shard=", "--py312-shard=: expected a part and the number of parts"),
        ("--py312-deploy=", "--py312-deploy= has no value"),
        ("--py312-soak=", "--py312-soak= has no value"),
    ],
)
def test_an_option_without_a_value_asks_for_it_too(faked: Faked, option: str, message: str) -> None:
    """An unset variable of a CI system does not turn the gate into a run of other tests, which is green."""
    result = faked.bare(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])


def test_it_can_be_named_where_plugins_are_not_loaded_by_themselves(
    faked: Faked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = faked.bare("-p", "pytest_py312.plugin", "--py312", "--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == IDS


def test_a_list_of_items_starts_no_process_and_asks_no_network(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are read from files, also with the header of a plain ``--collect-only``."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    service_tree(real.root, {**FLEET, "watching.py": WATCH})
    variables = {**real.variables, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for options in (["-q"], []):
        argv = [sys.executable, "-m", "pytest", "-p", "watching", "-p", "pytest_py312.plugin", "--py312"]
        done = subprocess.run(
            [*argv, "--collect-only", *options],
            cwd=real.root,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WATCHED" not in done.stdout
        assert "2 services" in done.stdout or f"{len(REAL_IDS)} tests collected" in done.stdout


def test_the_gate_is_not_rewritten_by_pytest(real: Real) -> None:
    """Which would compile it in each run where no byte code may be written."""
    service_tree(real.root, {**FLEET, "watching.py": REWRITTEN})
    argv = real.command("--collect-only", "-q", "-p", "watching")
    done = subprocess.run(
        argv, cwd=real.root, env=real.variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rewritten = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("REWRITTEN")}
    assert "watching" in rewritten
    assert {name for name in rewritten if name.startswith("pytest_py312")} <= {
        *OWN,
        "pytest_py312.plugin.pytest_support",
        "pytest_py312.plugin.pytest_support.plain_imports",
    }
