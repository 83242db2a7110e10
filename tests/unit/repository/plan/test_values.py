"""Mistakes in a plan: each is answered with its line, its key, what was found and what to write."""

from datetime import date
from pathlib import Path

import pytest

from pytest_py312.core.errors import PlanError
from pytest_py312.repository.plan.loader import load_plan

TODAY = date(2026, 11, 25)

STAGE = '[[stage]]\nnumber = 1\nservices = ["a"]\n'
WAIVER = '[[waiver]]\nservice = "a"\ncode = "PY401"\nreason = "r"\nowner = "o"\nuntil = 2027-01-31\n'


def error_of(folder: Path, text: str) -> PlanError:
    path = folder / "py312.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        load_plan(path, today=TODAY)
    return caught.value


TOP = [
    ("target = 3.12", "target", "is the number 3.12; write it in quotes"),
    ('target = "3"', "target", "expected a Python version of two numbers"),
    ('target = "3.12.1"', "target", 'such as "3.12"; write "3.12"; found the string "3.12.1"'),
    ('target = "py312"', "target", 'write "3.12"'),
    ('target = "3.09"', "target", "expected a Python version"),
    ('target = ""', "target", "is empty"),
    ("target = true", "target", 'expected a string, such as "3.12"; found true'),
    ("interpreters = []", "interpreters", "is an empty list"),
    ('interpreters = "3.12"', "interpreters", 'expected a list, such as ["3.9"'),
    ('interpreters = ["3.9", "3.10"]', "interpreters", 'does not contain the target, "3.12"'),
    ('interpreters = ["3.9", "3.12", "3.9"]', "interpreters[3]", "stands here twice"),
    ("interpreters = [3.10]", "interpreters[1]", "3.10 without them is 3.1"),
    ("services = []", "services", "is an empty list"),
    ('services = ["/abs/*"]', "services[1]", "is absolute"),
    ('services = ["a/../../b"]', "services[1]", "has .. in it"),
    ('services = ["a[b"]', "services[1]", "has a [ that is not closed"),
    ('exclude = ["a", 1]', "exclude[2]", "expected a string"),
    ('runner = "dokcer"', "runner", 'perhaps you meant "docker"'),
    ("runner = 1", "runner", 'expected a string, such as "auto"; found the number 1'),
    ('isolation = "process"', "isolation", 'expected one of "cell", "interpreter"'),
    ('image = "python:3.12-slim"', "image", "has no {version}"),
    ('image = "python:{version}-{flavour}"', "image", "expected the reference of an image"),
    ('image = "--privileged {version}"', "image", "expected the reference of an image"),
    ('shared-folder = "shared"', "shared-folder", 'expected an absolute path, such as "/mnt/shared"'),
    ('shared-folder = "/mnt/../etc"', "shared-folder", "expected an absolute path"),
    ("engines = []", "engines", "is an empty list"),
    ('engines = ["build-host"]', "engines[1]", "expected the address of a Docker engine"),
    (
        'engines = ["tcp://build-host"]',
        "engines[1]",
        "such as unix:///run/docker.sock, ssh://user@host or tcp://host:2376",
    ),
    ('engines = ["ssh://-oProxyCommand=x"]', "engines[1]", "expected the address of a Docker engine"),
    ('engines = ["ssh://a@b", "ssh://a@b"]', "engines[2]", "stands here twice"),
    ('fetch-interpreters = "no"', "fetch-interpreters", 'expected true or false, such as true; found the string "no"'),
    ("reruns = -1", "reruns", "expected a whole number from 0 to 100"),
    ("reruns = true", "reruns", "expected a whole number, such as 2; found true"),
    ("reruns = 1.0", "reruns", "expected a whole number"),
    ('exclude-newer = "2026-11-01"', "exclude-newer", "has no zone"),
    ('exclude-newer = "2026-11-01T00:00:00"', "exclude-newer", "has no zone"),
    ("exclude-newer = 2026-11-01", "exclude-newer", "has no zone"),
    ("exclude-newer = 2026-11-01T00:00:00", "exclude-newer", "has no zone"),
    ('exclude-newer = "2026-13-01T00:00:00Z"', "exclude-newer", "is not on the calendar"),
    ('exclude-newer = "0001-01-01T00:00:00+10:00"', "exclude-newer", "is not on the calendar in UTC"),
    ('exclude-newer = "yesterday"', "exclude-newer", "expected a timestamp in UTC"),
    ("lock-hours = nan", "lock-hours", "expected hours from 0"),
    ("lock-hours = -1", "lock-hours", "expected hours from 0"),
    ('lock-hours = "24h"', "lock-hours", "expected a number of hours"),
    ('tarlet = "3.12"', "tarlet", 'the plan has no such key, perhaps you meant "target"'),
    ("lock_hours = 24", "lock_hours", 'perhaps you meant "lock-hours"'),
    ("network = true", "network", 'it belongs into [defaults] or [service."..."]'),
    ("defaults = 1", "defaults", "expected a table, such as [defaults]; found the number 1"),
    ("stage = 1", "stage", "expected a list, such as [[stage]]"),
    ("stage = []", "stage", "is an empty list"),
    ("stage = [1]", "stage[1]", "expected a table, such as [[stage]]"),
    ("images = 1", "images", "expected a table"),
    ("service = 1", "service", "expected a table"),
    ("service.a = 1", "service.a", 'write [service."user-service"] above "a"'),
    ("[stage]", "stage", "write [[stage]], with two brackets"),
    ("[waiver]", "waiver", "write [[waiver]], with two brackets"),
    ("[[service]]", "service", 'write [service."user-service"]'),
]


@pytest.mark.parametrize(("line", "key", "message"), TOP, ids=[f"{line}" for line, _, _ in TOP])
def test_mistakes_at_the_top(tmp_path: Path, line: str, key: str, message: str) -> None:
    """On the third line, after a comment and a blank one."""
    error = error_of(tmp_path, f"# a plan\n\n{line}\n")
    assert (error.where, error.key) == ("py312.toml:3", key)
    assert message in error.message


SERVICE = [
    ('baseline = "3.x"', "baseline", "expected a Python version"),
    ("baseline = 3.10", "baseline", "3.10 without them is 3.1"),
    ("requirements = []", "requirements", "is an empty list"),
    ('requirements = "requirements.txt"', "requirements", 'expected a list, such as ["requirements.txt"]'),
    ('requirements = ["/etc/passwd"]', "requirements[1]", "is absolute"),
    ('requirements = ["~/r.txt"]', "requirements[1]", "is absolute"),
    ('test-requirements = ["C:\\\\r.txt"]', "test-requirements[1]", "is absolute"),
    ('test-requirements = ["a\\\\r.txt"]', "test-requirements[1]", "write it with /"),
    ('python-path = [""]', "python-path[1]", "is empty"),
    ('needs = ["../other"]', "needs[1]", "has .. in it"),
    ('suite = "pytest -q"', "suite", 'expected a list of words, or false, such as ["pytest", "-q", "tests"]'),
    ("suite = true", "suite", "expected a list of words, or false"),
    ("suite = []", "suite", "is an empty list"),
    ('suite = ["pytest", 1]', "suite[2]", "expected a string"),
    ("suite = false", "suite", 'needs a "reason"'),
    ('suite = ["make", "test"]', "suite", 'needs "junit" beside it'),
    ('suite = ["python", "-m", "pytest"]', "suite", 'begin with "pytest" and leave out "python -m"'),
    ('junit = "report.xml"', "junit", 'has no "suite" beside it'),
    ('reason = "none"', "reason", 'has no "suite" beside it'),
    ("prepare = []", "prepare", "is an empty list"),
    ('prepare = ["make"]', "prepare[1]", "expected a list"),
    ("prepare = [[]]", "prepare[1]", "is an empty list"),
    ('prepare = [["make", "\\u0000"]]', "prepare[1][2]", "has a NUL character"),
    ("environment = { A = 1 }", "environment.A", 'expected a string, such as "true"; found the number 1'),
    ('environment = { "A=B" = "1" }', 'environment."A=B"', "is no name of an environment variable"),
    ('environment = ["A=1"]', "environment", "expected a table"),
    ("time-limit = 0", "time-limit", "expected more than 0 seconds"),
    ("time-limit = inf", "time-limit", "at most 7 days"),
    ("time-limit = nan", "time-limit", "at most 7 days"),
    ('time-limit = "15"', "time-limit", '900 (seconds), "15m" or "2h"'),
    ('time-limit = "0s"', "time-limit", "expected more than 0 seconds"),
    ("time-limit = true", "time-limit", "expected a time"),
    ("memory-limit = 2048", "memory-limit", 'perhaps you meant "2048MiB"'),
    ('memory-limit = "2G"', "memory-limit", '"512MiB", "2GiB" or "1.5GB"'),
    ("memory-limit = 1.5", "memory-limit", "expected an amount of memory"),
    ('memory-limit = "99999TiB"', "memory-limit", "at most 1024TiB"),
    ("network = 1", "network", "expected true or false"),
    ("suite-share = 50", "suite-share", "from 0 to 1; found the number 50; for 50 % write 0.5"),
    ("suite-share = -0.1", "suite-share", "expected a share from 0 to 1"),
    ("suite-share = nan", "suite-share", "expected a share from 0 to 1"),
    ("suite-share = true", "suite-share", "expected a share, such as 0.5"),
    ("time_limit = 1", "time_limit", 'perhaps you meant "time-limit"'),
    ("reruns = 1", "reruns", "it belongs to the top, above the first table"),
]


@pytest.mark.parametrize("table", ["[defaults]", '[service."services/a-*"]'])
@pytest.mark.parametrize(("line", "key", "message"), SERVICE, ids=[line for line, _, _ in SERVICE])
def test_mistakes_of_a_service(tmp_path: Path, table: str, line: str, key: str, message: str) -> None:
    """The same in the defaults as in a service's own table."""
    error = error_of(tmp_path, f"{table}\n# below\n{line}\n")
    assert (error.where, error.key) == ("py312.toml:3", f"{table[1:-1]}.{key}")
    assert message in error.message


@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        ('suite = ["pytest"]\nreason = "none"', "reason", "belongs to suite = false only"),
        ('suite = ["unittest"]\njunit = "r.xml"', "junit", "unittest needs no JUnit file"),
        ('suite = false\njunit = "r.xml"\nreason = "none"', "junit", "writes no JUnit file"),
        ('suite = ["make"]\njunit = "/tmp/r.xml"', "junit", "is absolute"),
        ('suite = ["make"]\njunit = "../r.xml"', "junit", "has .. in it"),
    ],
)
def test_keys_of_the_suite_that_do_not_go_together(tmp_path: Path, lines: str, key: str, message: str) -> None:
    """The line is that of the key to take away."""
    error = error_of(tmp_path, f"[defaults]\n{lines}\n")
    assert (error.where, error.key) == ("py312.toml:3", f"defaults.{key}")
    assert message in error.message


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        (STAGE + "[[stage]]\nservices = ['b']\n", 4, "stage[2]", 'has no "number"; add one, such as number = 1'),
        (STAGE + "[[stage]]\nnumber = 2\n", 4, "stage[2]", 'has no "services"'),
        (STAGE + "\n" + STAGE, 6, "stage[2].number", "there is a stage 1 already"),
        ("[[stage]]\nnumber = 0\n", 2, "stage[1].number", "expected a whole number from 1"),
        ("[[stage]]\nnumber = 1\nservices = []\n", 3, "stage[1].services", "is an empty list"),
        ("[[stage]]\nnumber = 1\nservices = [\n 'a',\n '/b'\n]\n", 5, "stage[1].services[2]", "is absolute"),
        (STAGE + "critical = 1\n", 4, "stage[1].critical", "expected true or false"),
        (STAGE + 'nmae = "x"\n', 4, "stage[1].nmae", 'perhaps you meant "name"'),
        (STAGE + 'name = "\\u001b[31m"\n', 4, "stage[1].name", "control character"),
        ('[images]\n"3.1x" = "a"\n', 2, 'images."3.1x"', "expected a Python version"),
        ('[images]\n3.12 = "a"\n', 2, "images.3", "write the version in quotes"),
        ('[images]\n"3.12" = "a b"\n', 2, 'images."3.12"', "expected the reference of an image"),
        ("[images]\nreruns = 2\n", 2, "images.reruns", "it belongs to the top, above the first table"),
        ('[service."/a"]\n', 1, 'service."/a"', "the name, path or glob of the service is absolute"),
        (WAIVER.replace("2027-01-31", "2026-11-24"), 6, "waiver[1].until", "ended on 2026-11-24"),
        (WAIVER.replace("2027-01-31", '"2027-01-31"'), 6, "waiver[1].until", "expected a date without quotes"),
        (WAIVER.replace("2027-01-31", "2027-01-31T00:00:00Z"), 6, "waiver[1].until", "expected a date without quotes"),
        (WAIVER.replace('owner = "o"\n', ""), 1, "waiver[1]", 'has no "owner"'),
        (WAIVER.replace('"r"', '" "'), 4, "waiver[1].reason", "is empty"),
        (WAIVER.replace("PY401", "py401"), 3, "waiver[1].code", "expected the code of a check"),
        (WAIVER.replace('code = "PY401"\n', ""), 1, "waiver[1]", "has neither"),
        (WAIVER + 'test = "t.py::t"\n', 1, "waiver[1]", "has both"),
        (WAIVER + WAIVER.replace('"a"', "1"), 8, "waiver[2].service", "expected a string"),
        (WAIVER + 'expires = "x"\n', 7, "waiver[1].expires", "[[waiver]] has no such key; its keys are service, code"),
    ],
)
def test_mistakes_in_tables(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    """The key that is wrong, or the table from which one is missing."""
    error = error_of(tmp_path, text)
    assert (error.where, error.key) == (f"py312.toml:{line}", key)
    assert message in error.message


def test_a_mistake_in_pyproject_names_its_line_and_the_key_below_the_table(tmp_path: Path) -> None:
    """The rest of the file does not matter."""
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\ntarget = 1\n\n[tool.pytest-py312]\n\ntarget = "x"\n', encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        load_plan(path, today=TODAY)
    assert str(caught.value).startswith("pyproject.toml:6: target: expected a Python version")


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("900", 900.0), ("0.5", 0.5), ('"90s"', 90.0), ('"15m"', 900.0), ('"2h"', 7200.0), ('"1.5 h"', 5400.0)],
)
def test_times(tmp_path: Path, line: str, seconds: float) -> None:
    """A number is seconds; s, m and h are understood."""
    path = tmp_path / "py312.toml"
    path.write_text(f"[defaults]\ntime-limit = {line}\n", encoding="utf-8")
    assert load_plan(path, today=TODAY).defaults.time_limit == seconds


@pytest.mark.parametrize(
    ("line", "amount"),
    [
        ("2147483648", 2 * 1024**3),
        ('"512MiB"', 512 * 1024**2),
        ('"2GiB"', 2 * 1024**3),
        ('"1.5GB"', 1_500_000_000),
        ('"100000 kb"', 100_000_000),
        ('"536870912B"', 512 * 1024**2),
    ],
)
def test_amounts_of_memory(tmp_path: Path, line: str, amount: int) -> None:
    """A number is bytes; MB is a million, MiB 1024 squared."""
    path = tmp_path / "py312.toml"
    path.write_text(f"[defaults]\nmemory-limit = {line}\n", encoding="utf-8")
    assert load_plan(path, today=TODAY).defaults.memory_limit == amount


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        ('"2026-11-01T00:00:00Z"', "2026-11-01T00:00:00Z"),
        ('"2026-11-01t00:00:00z"', "2026-11-01T00:00:00Z"),
        ('"2026-11-01 05:30:00.5+05:30"', "2026-11-01T00:00:00.500000Z"),
        ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-10-31T19:00:00-05:00", "2026-11-01T00:00:00Z"),
    ],
)
def test_cut_off_dates_are_kept_in_utc(tmp_path: Path, line: str, moment: str) -> None:
    """As text or as a TOML date-time, in any time zone."""
    path = tmp_path / "py312.toml"
    path.write_text(f"exclude-newer = {line}\n", encoding="utf-8")
    assert load_plan(path, today=TODAY).exclude_newer == moment
