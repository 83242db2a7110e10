"""The libraries check on real distributions of the index: outdated ones that break, and some that do not."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gate_runs import gate
from tests.support.fakes import service_tree

pytestmark = pytest.mark.network

FLEET = {
    "py312.toml": 'target = "3.12"\ninterpreters = ["3.9", "3.10", "3.12"]\nservices = ["services/*"]\n',
    "services/old/Dockerfile": "FROM python:3.9-slim\n",
    "services/old/requirements.txt": (
        "aiohttp==3.9.5\naioredis==2.0.1\nnose==1.3.7\npyfiglet==0.8.post1\npython-consul==1.1.0\n"
    ),
    "services/old/main.py": (
        "import consul.aio\n"
        "import aioredis\n"
        "import pyfiglet\n\n\n"
        "def discover():\n"
        "    from nose.tools import eq_\n"
        "    return consul.aio.Consul(), aioredis, eq_\n"
    ),
    "services/old/tests/test_main.py": "import nose.importer\n",
    "services/sound/Dockerfile": "FROM python:3.10-slim\n",
    "services/sound/requirements.txt": "attrs==24.2.0\nrequests==2.32.3\n",
    "services/sound/app/main.py": (
        "import attr\nimport requests\nimport urllib3\n"
        "try:\n    import ujson\nexcept ImportError:\n    ujson = None\n"
        "import tomlkit\n"
    ),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, gate_cache: Path) -> dict[str, dict[str, Any]]:
    """Outcomes of both services; a second run must give the same."""
    root = service_tree(tmp_path_factory.mktemp("fleet"), FLEET)
    first, second = (run(root, gate_cache) for _ in range(2))
    assert first == second
    return first


def run(root: Path, cache: Path) -> dict[str, dict[str, Any]]:
    done = gate(root, cache, f"--py312-report={root / 'report.json'}", checks="py312_libraries", seconds=600)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    report = json.loads((root / "report.json").read_text(encoding="utf-8"))
    changing = ("seconds", "cached")
    return {
        outcome["service"]: {key: value for key, value in outcome.items() if key not in changing}
        for outcome in report["outcomes"]
    }


def findings_with_code(outcome: dict[str, Any], code: str) -> dict[str, dict[str, Any]]:
    """Return the findings with a code, by the name that they blame."""
    return {finding["names"][0]: finding for finding in outcome["findings"] if finding["code"] == code}


def test_a_distribution_that_fails_to_import_blocks(outcomes: dict[str, dict[str, Any]]) -> None:
    """With the failing line in the distribution, and the line of the service that imports it."""
    assert outcomes["old"]["status"] == "failed"
    broken = findings_with_code(outcomes["old"], "PY240")
    assert broken["python-consul"]["severity"] == "error"
    assert "asyncio.coroutine was removed in 3.12 (consul/aio.py:" in broken["python-consul"]["message"]
    assert (broken["python-consul"]["path"], broken["python-consul"]["line"]) == ("services/old/main.py", 1)
    assert "module 'imp' was removed in 3.12 (nose/importer.py:" in broken["nose"]["message"]
    assert broken["nose"]["path"] == "services/old/tests/test_main.py"


def test_distutils_without_setuptools_blocks(outcomes: dict[str, dict[str, Any]]) -> None:
    finding = findings_with_code(outcomes["old"], "PY243")["aioredis"]
    assert "'distutils' is missing, and nothing requires setuptools (aioredis/connection.py:" in finding["message"]
    assert finding["severity"] == "error"


def test_the_remedy_is_the_first_version_without_it(outcomes: dict[str, dict[str, Any]]) -> None:
    """Found by analysing newer versions; if there is none, the remedy says so."""
    remedies = {
        name: finding["remedy"]
        for code in ("PY240", "PY243")
        for name, finding in findings_with_code(outcomes["old"], code).items()
    }
    assert re.fullmatch(
        r"require setuptools<82 \(verified: with it pyfiglet imports on 3\.12\), or require pyfiglet>=1\.0\.\d, "
        r"the first version without the problem",
        remedies["pyfiglet"],
    )
    assert remedies["nose"] == "replace nose (it has no newer version)"
    assert remedies["aioredis"].startswith("replace aioredis (it has no newer version): its code lives on in redis")


def test_an_import_that_nothing_provides_leaves_sound_distributions_unproven(
    outcomes: dict[str, dict[str, Any]],
) -> None:
    """tomlkit is imported unconditionally, and neither the environment nor the repository has it."""
    assert outcomes["sound"]["status"] == "errored"
    assert "tomlkit" in outcomes["sound"]["reason"]
    assert {finding["code"] for finding in outcomes["sound"]["findings"]} == {"PY120", "PY121"}


def test_undeclared_imports_are_reported(outcomes: dict[str, dict[str, Any]]) -> None:
    """A project that another one requires, and one that is missing on the baseline too."""
    by_chance, missing = findings_with_code(outcomes["sound"], "PY121"), findings_with_code(outcomes["sound"], "PY120")
    assert by_chance["urllib3"]["message"].endswith("it is installed only because requests requires it")
    assert list(missing) == ["tomlkit"]
    assert missing["tomlkit"]["preexisting"]
