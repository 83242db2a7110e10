"""Source fixes end to end: found, changed, verified by the interpreters, written, and confirmed by a second run."""

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.runners.runner import CellUnavailable
from tests.integration.local_runners import local_runner
from tests.support.child_pytest import PYTEST

TOGETHER = ("3.9", "3.10", "3.12")
EXAMPLE = Path(__file__).parents[2] / "examples" / "suoke"

BEFORE = {
    "app/__init__.py": b"",
    "app/names.py": (
        b"import imp, pipes\r\n"
        b"from collections import (\r\n\tMapping,\r\n\tOrderedDict,\r\n)\r\n\r\n"
        b"def quoted(words):   # all  of them\r\n"
        b'\tif isinstance(words, Mapping): return "\\d"\r\n'
        b"\treturn [pipes.quote(word) for word in imp.reload(words)]"
    ),
    "app/old.py": (
        "# coding: latin-1\nfrom configparser import SafeConfigParser\n\nGRÖSSE = '\\w\\n'\n"
        "parser = SafeConfigParser()\nparser.readfp(open('größe'))\n"
    ).encode("latin-1"),
    "app/args.py": b"\xef\xbb\xbfimport inspect\n\ndef f(x):\n    return inspect.getargspec(x)\n",
    "tests/test_app.py": (
        b"import unittest\n\nclass Test(unittest.TestCase):\n    def test(self):\n"
        b"        self.assertEquals(1, 1)\n        self.assertRegexpMatches('a', 'a')\n"
    ),
}
# pipes is only deprecated on 3.12: nothing blocks because of it, so it stays
AFTER = {
    **BEFORE,
    "app/names.py": (
        b"import importlib, pipes\r\n"
        b"from collections import (\r\n\tOrderedDict,\r\n)\r\nfrom collections.abc import Mapping\r\n\r\n"
        b"def quoted(words):   # all  of them\r\n"
        b'\tif isinstance(words, Mapping): return r"\\d"\r\n'
        b"\treturn [pipes.quote(word) for word in importlib.reload(words)]"
    ),
    "app/old.py": (
        "# coding: latin-1\nfrom configparser import ConfigParser as SafeConfigParser\n\nGRÖSSE = '\\\\w\\n'\n"
        "parser = SafeConfigParser()\nparser.read_file(open('größe'))\n"
    ).encode("latin-1"),
    "tests/test_app.py": (
        b"import unittest\n\nclass Test(unittest.TestCase):\n    def test(self):\n"
        b"        self.assertEqual(1, 1)\n        self.assertRegex('a', 'a')\n"
    ),
}


@dataclass(kw_only=True)
class Repository:
    """A checkout with one service on 3.9."""

    root: Path
    cache: Path

    @property
    def service(self) -> Path:
        return self.root / "services/app"

    def put(self, files: dict[str, bytes]) -> None:
        for path, content in files.items():
            (self.service / path).parent.mkdir(parents=True, exist_ok=True)
            (self.service / path).write_bytes(content)

    @property
    def held(self) -> dict[str, bytes]:
        return {path: (self.service / path).read_bytes() for path in BEFORE}

    def git(self, *arguments: str, stdin: str = "") -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "core.autocrlf=false"]
        argv = ["git", *who, *arguments]
        return subprocess.run(argv, cwd=self.root, input=stdin.encode(), capture_output=True, check=True).stdout.decode(
            errors="surrogateescape"
        )

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-qm", "as it is")

    def gate(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        fixed = ["--py312", "-m", "py312_source", "--py312-runner=local", f"--py312-cache-dir={self.cache}"]
        return subprocess.run(
            [*PYTEST, *fixed, "-p", "no:cacheprovider", *arguments],
            cwd=self.root,
            capture_output=True,
            check=False,
            timeout=300,
        )


@pytest.fixture(scope="module")
def interpreters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Programs of the interpreters on which fixed files are compiled."""
    folder = tmp_path_factory.mktemp("runner")
    runner = local_runner(folder)
    try:
        return {text: runner.find_interpreter(Interpreter.parse(text)).executable for text in TOGETHER}
    except CellUnavailable as reason:
        pytest.skip(str(reason))
    finally:
        runner.close()


@pytest.fixture
def repository(tmp_path: Path, gate_cache: Path, interpreters: dict[str, str]) -> Repository:
    made = Repository(root=tmp_path / "repository", cache=gate_cache)
    made.put({**BEFORE, "requirements.txt": b""})
    (made.root / "py312.toml").write_text(
        'target = "3.12"\ninterpreters = ["3.9", "3.10", "3.12"]\n[service.app]\nbaseline = "3.9"\n'
    )
    (made.root / ".gitignore").write_text(".py312/\n__pycache__/\n")
    made.git("init", "-q")
    made.commit()
    return made


def test_the_diff_is_what_would_be_written(repository: Repository) -> None:
    """It changes nothing, and git shows the same after the fix."""
    done = repository.gate("--py312-diff")
    shown = done.stdout.decode(errors="surrogateescape")
    assert done.returncode == 1
    assert repository.held == BEFORE
    assert "args.py:4: Its replacement returns a longer tuple" in shown
    fixed = repository.gate("--py312-fix")
    assert repository.held == AFTER, fixed.stdout.decode(errors="replace")
    written = repository.git("diff", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    lines = [line for line in written.splitlines() if line.startswith(("+", "-")) and line.isascii()]
    assert [line for line in lines if line.rstrip("\r") not in shown] == []


def test_fixed_files_compile_everywhere_and_need_no_further_fix(
    repository: Repository, interpreters: dict[str, str]
) -> None:
    """Tabs, line ends, encoding and byte order mark stay; code without a drop-in replacement stays."""
    done = repository.gate("--py312-fix").stdout.decode(errors="replace")
    assert repository.held == AFTER, done
    assert "3 files written" in done
    assert "the gate was run again (exit status 1), and reports none of these" in done
    strict = ["-W", "error", "-m", "py_compile"]
    for program in interpreters.values():
        subprocess.run([program, *strict, *AFTER], cwd=repository.service, check=True, capture_output=True)
    again = repository.gate("--py312-fix", "--py312-allow-dirty").stdout.decode(errors="replace")
    assert repository.held == AFTER
    assert "nothing to change" in again
    undo = next(line for line in done.splitlines() if "to undo it: git " in line).partition("to undo it: git ")[2]
    repository.git(*shlex.split(undo))
    assert repository.held == BEFORE


def test_a_file_with_uncommitted_changes_is_not_written_to(repository: Repository) -> None:
    """Unless that was allowed; then the uncommitted changes are kept."""
    changed = BEFORE["app/names.py"] + b"  # not committed"
    repository.put({"app/names.py": changed})
    done = repository.gate("--py312-fix")
    assert done.returncode == 4
    assert b"uncommitted changes: services/app/app/names.py" in done.stdout
    assert repository.held == {**BEFORE, "app/names.py": changed}
    repository.gate("--py312-fix", "--py312-allow-dirty")
    assert repository.held == {**AFTER, "app/names.py": AFTER["app/names.py"] + b"  # not committed"}


@pytest.mark.parametrize(
    ("utc", "written"),
    [
        (None, b"from datetime import datetime\nx = datetime.utcnow()\n"),
        ("aware", b"from datetime import datetime, timezone\nx = datetime.now(timezone.utc)\n"),
        ("naive", b"from datetime import datetime, timezone\nx = datetime.now(timezone.utc).replace(tzinfo=None)\n"),
    ],
)
def test_utc_times_are_fixed_on_request(repository: Repository, utc: str | None, written: bytes) -> None:
    """A deprecation does not block, so it is not fixed by default."""
    repository.put(dict.fromkeys(BEFORE, b""))
    repository.put({"app/args.py": b"from datetime import datetime\nx = datetime.utcnow()\n"})
    repository.commit()
    done = repository.gate("--py312-fix", *([f"--py312-utc={utc}"] if utc else []))
    assert repository.held["app/args.py"] == written
    assert done.returncode == 0


def test_the_diff_of_the_example_fleet(tmp_path: Path, gate_cache: Path) -> None:
    """Without Docker and without the network; ``imp.load_source``, which has none, stays."""
    root = tmp_path / "suoke"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".py312", "__pycache__"))
    done = Repository(root=root, cache=gate_cache).gate("--py312-diff", "--py312-offline")
    shown = done.stdout.decode()
    changed = [line for line in shown.splitlines() if line.startswith(("+", "-")) and not line.startswith("--py312")]
    assert changed == [
        "--- a/services/accessibility-service/accessibility/profiles.py",
        "+++ b/services/accessibility-service/accessibility/profiles.py",
        "-    parser = configparser.SafeConfigParser()",
        "+    parser = configparser.ConfigParser()",
        "--- a/services/user-service/tests/test_profiles.py",
        "+++ b/services/user-service/tests/test_profiles.py",
        '-        self.assertEquals(read_profile(LIN).email, "lin@example.org")',
        '+        self.assertEqual(read_profile(LIN).email, "lin@example.org")',
        '-        self.assertRegexpMatches(str(caught.exception), "^email:")',
        '+        self.assertRegex(str(caught.exception), "^email:")',
        '-        self.assertNotRegexpMatches(masked("lin@example.org"), "lin")',
        '+        self.assertNotRegex(masked("lin@example.org"), "lin")',
    ]
