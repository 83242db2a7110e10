"""``docs/tutorial.md`` as it is printed, in a folder outside of the checkout, installed as it says."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
STEP = re.compile(r"^## (\d)\. .*?(?=^## )", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FAILING = "pytest --py312-stage=2"
"""Ends with 1 when it is run first, as the tutorial says."""
MARK = "@@ ended with"


def collapse(text: str) -> str:
    """Return a text without what depends on the width of the terminal and on the time."""
    plain = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
    return re.sub(r"={3,}", "===", re.sub(r"\b\d+ s of", "N s of", plain))


@dataclass(kw_only=True)
class Reader:
    """Someone who types what the tutorial prints."""

    home: Path
    environment: dict[str, str]
    folder: Path
    printed: str = ""
    codes: list[int] = field(default_factory=list)

    def follow(self, step: int) -> None:
        """Type the commands of a step, and compare what they print with what the tutorial shows."""
        text = next(match[0] for match in STEP.finditer(TUTORIAL) if match[1] == str(step))
        for kind, block in BLOCK.findall(text):
            if kind == "sh":
                self.type(block)
            else:
                for part in re.split(r"^\.\.\.$", block, flags=re.MULTILINE):
                    assert collapse(part) in self.printed, self.printed[-6000:]

    def type(self, block: str) -> None:
        """Run one block in bash; folder and variables are those that the blocks before have left."""
        commands = block.replace("$HOME", str(self.home))
        script = f'. "{self.home}/variables"\n{commands}\necho "{MARK} $? $PWD"\nexport -p > "{self.home}/variables"\n'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=560,
            check=False,
        )
        self.printed += " " + collapse(done.stdout)
        end = re.search(rf"^{MARK} (\d+) (.+)$", done.stdout, re.MULTILINE)
        assert end is not None, done.stdout
        self.folder = Path(end[2])
        is_first = FAILING in block and 1 not in self.codes
        self.codes.append(int(end[1]))
        assert self.codes[-1] == (1 if is_first else 0), done.stdout[-6000:]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, gate_cache: Path) -> Iterator[Reader]:
    home = tmp_path_factory.mktemp("home")
    (home / "pytest-py312").symlink_to(ROOT)
    (home / "bin").mkdir()
    (home / "cache").mkdir()
    (home / "cache/pytest-py312").symlink_to(gate_cache)
    (home / "bin/python3").symlink_to(os.path.realpath(sys.executable))
    (home / "variables").touch()
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "VIRTUAL_ENV"))}
    uv_cache = subprocess.run(
        [find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    variables |= {
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
        "PATH": f"{home}/bin{os.pathsep}{variables['PATH']}",
        "UV_CACHE_DIR": uv_cache.strip(),
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    yield Reader(home=home, environment=variables, folder=home)
    shutil.rmtree(home / "py312-tutorial", ignore_errors=True)


@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_stage_becomes_green(reader: Reader) -> None:
    """Steps 1 to 5: the first check fails, each fix is confirmed, and the last check passes."""
    for step in range(1, 6):
        reader.follow(step)
    assert reader.codes.count(1) == 1
    assert "proven: 4 services ready for 3.12" in reader.printed


@pytest.mark.docker
@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_stage_is_deployed_and_rolled_back(reader: Reader) -> None:
    """Step 6, in the folder and the environment of the other steps."""
    if reader.folder == reader.home:
        reader.follow(1)
    try:
        reader.follow(6)
    finally:
        subprocess.run([sys.executable, "serve.py", "stop"], cwd=reader.folder, capture_output=True, check=False)
    assert "stage 1 is rolled back: to try the rollback" in reader.printed
