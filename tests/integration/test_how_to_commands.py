"""Each pytest command of the how-to selects something in the example fleet, and its options go together.

What the commands do is the subject of other tests: here they are typed as they are printed, and pytest only collects,
all in one process, as its start costs more than a collection.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_py312.gate.run.known_findings import format_file
from tests.documentation.commands import ROOT, ShownCommand, commands_in

EXAMPLE = ROOT / "examples/suoke"
COLLECT = """
import contextlib, io, json, sys
import pytest

results = []
for words in json.load(sys.stdin):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = pytest.main([*words, "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "py312_health_check"])
    results.append((int(code), printed.getvalue()[-500:]))
print(json.dumps(results))
"""


def gate_commands() -> list[ShownCommand]:
    """Return the pytest commands of all pages that turn the gate on."""
    pages = [page for page in sorted((ROOT / "docs/how-to").glob("*.md")) if page.name.count(".") == 1]
    return [
        command
        for page in pages
        for command in commands_in(page)
        if command.program == "pytest" and any(word.startswith("--py312") for word in command.words)
    ]


@pytest.mark.docker
@pytest.mark.timeout(300)
def test_each_command_selects_something(tmp_path: Path) -> None:
    fleet = shutil.copytree(EXAMPLE, tmp_path / "suoke", ignore=shutil.ignore_patterns(".py312", "__pycache__"))
    (fleet / "py312-known.json").write_text(format_file([]), encoding="utf-8")  # an earlier command writes it
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    commands = gate_commands()
    done = subprocess.run(
        [sys.executable, "-c", COLLECT],
        input=json.dumps(
            [
                [word.replace("VALUE", "2") for word in command.words[1:]] for command in commands
            ]  # of a matrix of stages
        ),
        cwd=fleet,
        env=variables | {"PYTHONPATH": str(ROOT / "examples/health-check")},
        capture_output=True,
        text=True,
        check=True,
    )
    results = zip(commands, json.loads(done.stdout.splitlines()[-1]), strict=True)
    failed = {f"{command}: {printed}" for command, (code, printed) in results if code != pytest.ExitCode.OK}
    assert failed == set()
    assert len(commands) > 15  # they were found
