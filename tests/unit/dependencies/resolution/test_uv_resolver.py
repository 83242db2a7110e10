"""What uv says becomes a lock, a finding, or the admission that it could not be found out."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.dependencies.resolution.lock import Blocked, Lock, Pin, Unchecked, Wanted
from pytest_py312.dependencies.resolution.uv_messages import build_refusal
from pytest_py312.dependencies.resolution.uv_resolver import Resolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

WHERE = Location(path="services/a/requirements.txt", line=3, column=1)


def refused(text: str) -> CommandRun:
    return command_run_of(stderr=text, exit_code=1)


def resolver(folder: Path, answers: Sequence[CommandRun], *, hours: float = 24.0) -> tuple[Resolver, FakeRunner]:
    runner = FakeRunner(answers=list(answers))
    return Resolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=hours), runner


def wanting(*names: str) -> Wanted:
    return Wanted(
        lines=names, direct=tuple((name.split("=")[0], replace(WHERE, line=at)) for at, name in enumerate(names, 1))
    )


def blocked(folder: Path, text: str, *names: str) -> Finding:
    with pytest.raises(Blocked) as caught:
        resolver(folder, [refused(text)])[0].resolve(wanting(*names), build_of("3.12"))
    (finding,) = caught.value.findings
    return finding


# ---- a set that resolves

COMPILED = """\
certifi==2024.2.2
demo @ git+https://example.org/demo@0123456789abcdef
numpy==1.26.4 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
# a remark
Ruamel.YAML[jinja2]==0.18.6
"""


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_the_output_of_uv_becomes_pins_sorted_by_name(tmp_path: Path, interpreter: str) -> None:
    found = resolver(tmp_path, [command_run_of(COMPILED)])[0].resolve(wanting("numpy"), build_of(interpreter))

    assert [(pin.name, pin.version, pin.from_source) for pin in found.pins] == [
        ("certifi", "2024.2.2", False),
        ("demo", "", True),
        ("numpy", "1.26.4", False),
        ("ruamel-yaml", "0.18.6", False),
    ]
    assert found.pins[2].line == "numpy==1.26.4 --hash=sha256:aa --hash=sha256:bb"


def test_a_lock_is_asked_for_once_and_kept_by_content(tmp_path: Path) -> None:
    asked, runner = resolver(tmp_path, [command_run_of("a==1\n")])

    first = asked.resolve(wanting("a"), build_of("3.12"))

    assert asked.resolve(wanting("a"), build_of("3.12")) == first
    assert asked.known(wanting("a"), build_of("3.9")) is None
    assert asked.known(wanting("a", "b"), build_of("3.12")) is None
    assert len(runner.tools) == 1
    assert not list((tmp_path / "tmp").iterdir())


def test_a_lock_is_too_old_after_its_hours_unless_a_cut_off_date_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _ = resolver(tmp_path, [command_run_of("a==1\n"), command_run_of("a==1\n")], hours=1.0)
    dated = replace(wanting("a"), exclude_newer="2024-01-01T00:00:00Z")
    for wanted in (wanting("a"), dated):
        asked.resolve(wanted, build_of())
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    assert asked.known(wanting("a"), build_of()) is None
    assert asked.known(dated, build_of()) is not None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"pins": [3], "created": 1}', '{"pins": [], "created": "x"}'])
def test_a_damaged_lock_is_no_lock(tmp_path: Path, damage: str) -> None:
    asked, _ = resolver(tmp_path, [command_run_of("a==1\n")])
    asked.resolve(wanting("a"), build_of())
    (file,) = (tmp_path / "locks").iterdir()
    file.write_text(damage)

    assert asked.known(wanting("a"), build_of()) is None


def test_what_is_asked_for_reaches_uv(tmp_path: Path) -> None:
    asked, runner = resolver(tmp_path, [command_run_of("a==1\n")])
    wanted = replace(wanting("a"), constraints=("b<2",), exclude_newer="2024-01-01T00:00:00Z", hashes=True)

    asked.resolve(wanted, build_of())

    (words,) = runner.tools
    assert words[:3] == ("{uv}", "pip", "compile")
    assert {"--generate-hashes", "--constraint", "--exclude-newer", "2024-01-01T00:00:00Z"} <= set(words)
    assert words[words.index("--only-binary") :][:2] == ("--only-binary", ":all:")


# ---- no wheel

NO_WHEEL = """\
error: No solution found when resolving dependencies
  cause: Because numpy==1.21.6 has no usable wheels and you require numpy==1.21.6, we can conclude that your \
requirements are unsatisfiable.

hint: Wheels are required for `numpy` because building from source is disabled for all packages (i.e., with \
`--no-build`)
"""


def test_a_project_without_a_wheel_may_be_built_and_no_other(tmp_path: Path) -> None:
    asked, runner = resolver(tmp_path, [refused(NO_WHEEL), command_run_of("numpy==1.21.6\nsix==1.16.0\n")])

    found = asked.resolve(wanting("numpy==1.21.6"), build_of())

    assert [(pin.name, pin.from_source) for pin in found.pins] == [("numpy", True), ("six", False)]
    assert "--no-binary" not in runner.tools[0]
    assert runner.tools[1][runner.tools[1].index("--no-binary") + 1] == "numpy"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("docopt", "all versions of docopt have no usable wheels"),
        ("docopt>=0.6", "docopt>=0.6.0 has no usable wheels"),
        ("docopt>=0.6.1,<0.7", "docopt>=0.6.1 has no usable wheels"),
        ("docopt[fast]==0.6.2", "docopt[fast]==0.6.2 has no usable wheels"),
        ("docopt==0.6.2", "docopt{os_name == 'nt' or\n   os_name == 'posix'}==0.6.2 has no usable wheels"),
    ],
)
def test_a_project_that_never_had_a_wheel_may_be_built(tmp_path: Path, line: str, words: str) -> None:
    said = (
        f"error: No solution found when resolving dependencies\n  cause: Because {words} and you require {line}, we can"
    )
    asked, _ = resolver(tmp_path, [refused(said), command_run_of("docopt==0.6.2\n")])

    assert [(pin.name, pin.from_source) for pin in asked.resolve(wanting(line), build_of()).pins] == [("docopt", True)]


def test_a_set_of_many_projects_without_wheels_is_resolved(tmp_path: Path) -> None:
    """uv names one of them at a time."""
    names = [f"old{number}" for number in range(40)]
    answers = [refused(NO_WHEEL.replace("numpy", name)) for name in names]
    pinned = "".join(f"{name}==1.0\n" for name in names)

    lock = resolver(tmp_path, [*answers, command_run_of(pinned)])[0].resolve(wanting(*names), build_of())

    assert {pin.name for pin in lock.pins if pin.from_source} == set(names)


def test_a_resolution_that_never_settles_is_unchecked(tmp_path: Path) -> None:
    answers = [refused(NO_WHEEL.replace("numpy", f"numpy{number}")) for number in range(201)]

    with pytest.raises(Unchecked, match="did not settle"):
        resolver(tmp_path, answers)[0].resolve(wanting("numpy"), build_of())


# ---- no solution

NOT_FOUND = """\
error: No solution found when resolving dependencies
  cause: Because no-such-project was not found in the package registry and you require no-such-project, we can \
conclude that your requirements are unsatisfiable.
"""
NO_VERSION = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==99.0 and you require numpy==99.0, we can conclude that your \
requirements are unsatisfiable.
"""
TWICE = """\
error: No solution found when resolving dependencies
  cause: Because you require pandas==2.2.0 and pandas==2.0.0, we can conclude that your requirements are unsatisfiable.
"""
CONFLICT = """\
error: No solution found when resolving dependencies
  cause: Because fastapi==0.110.0 depends on starlette>=0.36.3,<0.37.0 and you require fastapi==0.110.0, we can \
conclude that you require starlette>=0.36.3,<0.37.0.
         And because you require starlette==0.27.0, we can conclude that your requirements are unsatisfiable.
"""


@pytest.mark.parametrize(
    ("text", "wanted", "code", "names", "line", "words"),
    [
        (NOT_FOUND, ("a", "no-such-project"), "PY102", ("no-such-project",), 2, "no-such-project is not on the index"),
        (
            NOT_FOUND.replace("package registry", "provided package locations"),
            ("no-such-project",),
            "PY102",
            ("no-such-project",),
            1,
            "no-such-project is not on the index",
        ),
        (NO_VERSION, ("a", "b", "numpy==99.0"), "PY102", ("numpy",), 3, "no version of numpy fits"),
        (TWICE, ("pandas==2.2.0",), "PY101", ("pandas",), 1, "you require pandas==2.2.0 and pandas==2.0.0"),
        (
            CONFLICT,
            ("starlette==0.27.0", "fastapi==0.110.0"),
            "PY101",
            ("fastapi", "starlette"),
            2,
            "conflicts on 3.12",
        ),
    ],
)
def test_a_set_without_a_solution_names_the_culprit_and_its_line(
    tmp_path: Path, text: str, wanted: tuple[str, ...], code: str, names: tuple[str, ...], line: int, words: str
) -> None:
    finding = blocked(tmp_path, text, *wanted)

    assert (finding.code, finding.names) == (code, names)
    assert finding.location == replace(WHERE, line=line)
    assert words in finding.message
    assert "unsatisfiable" not in finding.message
    assert finding.remedy
    assert finding.blocks


def test_what_is_required_without_standing_in_a_file_is_blamed_as_well(tmp_path: Path) -> None:
    """The tools of the suite, and what a source tree asks for."""
    bare = Wanted(lines=("starlette==0.27.0", "fastapi==0.110.0", "-e ."))

    with pytest.raises(Blocked) as caught:
        resolver(tmp_path, [refused(CONFLICT)])[0].resolve(bare, build_of("3.12"))
    (finding,) = caught.value.findings
    assert (finding.names, finding.location) == (("fastapi", "starlette"), None)


# ---- what could not be found out

NO_NETWORK = """\
error: Request failed after 3 retries in 10.9s
  cause: Failed to fetch: http://127.0.0.1:9/simple/numpy/
  cause: error sending request for url (http://127.0.0.1:9/simple/numpy/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""
DENIED = """\
error: No solution found when resolving dependencies
  cause: Because numpy was not found in the package registry and you require numpy, we can conclude that your \
requirements are unsatisfiable.

hint: An index URL (http://127.0.0.1:9/simple) could not be queried due to a lack of valid authentication credentials \
(401 Unauthorized)
"""
FORBIDDEN = (
    DENIED.partition("hint:")[0]
    + """\
hint: An index (http://127.0.0.1:9/simple) returned a 403 Forbidden error. Check that the index URL is correct and the \
credentials are valid.
"""
)
NOT_PARSED = """\
error: Couldn't parse requirement in `requirements.in` at position 0
  cause: no such comparison operator "=>", must be one of ~= == != <= >= < > ===
         numpy=>1
              ^^^
"""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refused(NO_NETWORK), "the index http://127.0.0.1:9/simple/ did not answer: Connection refused"),
        (refused(NOT_PARSED), "no such comparison operator"),
        (refused(DENIED), "the index refuses to answer .401 Unauthorized."),
        (refused(FORBIDDEN), "the index refuses to answer .403 Forbidden."),
        (refused(""), "it gave no reason"),
        (command_run_of(ended=Ended.TIMED_OUT, exit_code=-2), "time limit reached"),
        (command_run_of(ended=Ended.CANCELLED, exit_code=-9), "cancelled"),
        (command_run_of(ended=Ended.NOT_STARTED, exit_code=None, stderr="no such file"), "no such file"),
        (command_run_of(ended=Ended.KILLED, exit_code=-9), "killed"),
    ],
)
def test_what_could_not_be_found_out_is_no_finding(tmp_path: Path, answer: CommandRun, words: str) -> None:
    with pytest.raises(Unchecked, match=words):
        resolver(tmp_path, [answer])[0].resolve(wanting("numpy"), build_of())


# ---- builds that fail

BUILD = """\
error: Failed to build `fakec==1.0`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)

         [stdout]
         running build_ext
         building 'fakec' extension
         gcc -O3 -Wall -fPIC -c fakec.c -o build/fakec.o

         [stderr]
{reason}

hint: This error likely indicates that you need to install something for `fakec`, or add it to your `pyproject.toml`:

[tool.uv.extra-build-dependencies]
fakec = ["setuptools"]

or `uv pip install setuptools` into the environment and re-run with `--no-build-isolation`.
"""
COMPILER_FAILED = """\
         fakec.c:1:10: fatal error: {header}: No such file or directory
             1 | #include <{header}>
               |          ^~~~~~~~~~~~~~~
         compilation terminated.
         error: Command '['gcc', '-c', 'fakec.c']' returned non-zero exit status 1."""


def build_blocked(reason: str) -> Finding:
    refusal = build_refusal(BUILD.format(reason=reason), wanting("fakec==1.0"), build_of("3.12"))
    assert isinstance(refusal, Blocked), refusal
    return refusal.findings[0]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("         ModuleNotFoundError: No module named 'distutils'", "No module named 'distutils'"),
        ("         FileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'", "requirements.txt"),
        ("         AttributeError: module 'pkgutil' has no attribute 'ImpImporter'", "ImpImporter"),
        (COMPILER_FAILED.format(header="longintrepr.h"), "longintrepr.h"),
        ("         fakec.c:9:5: error: too few arguments\n         error: command 'gcc' failed", "too few arguments"),
    ],
)
def test_a_source_that_does_not_build_there_blocks_and_says_why(reason: str, told: str) -> None:
    """The line that tells the cause, not uv's hint and not the compiler's command line."""
    finding = build_blocked(reason)

    assert finding.code == "PY104"
    assert finding.names == ("fakec",)
    assert finding.location == replace(WHERE, line=1)
    assert told in finding.message.splitlines()[0]
    assert "hint" not in finding.message + finding.detail
    assert "uv pip install" not in finding.message + finding.detail


@pytest.mark.parametrize(
    "reason",
    [
        COMPILER_FAILED.format(header="libpq-fe.h"),
        "         error: command 'gcc' failed: No such file or directory",
        "         unable to execute 'gcc': No such file or directory",
        "         Error: pg_config executable not found.",
        "         error: could not find Rust toolchain",
        "         ConfigurationError: Could not run curl-config: [Errno 2] No such file or directory: 'curl-config'",
        "         FileNotFoundError: [Errno 2] No such file or directory: 'swig'",
        "         urllib.error.URLError: <urlopen error Temporary failure in name resolution>",
        "         OSError: [Errno 28] No space left on device",
        "         error: Failed to download any of the following: ['https://example.org/freetype-2.6.1.tar.gz'].",
        "         subprocess.CalledProcessError: Command '['cmake', '/tmp/x']' returned non-zero exit status 1.",
    ],
)
def test_what_this_machine_lacks_is_not_the_sources_fault(reason: str) -> None:
    refusal = build_refusal(BUILD.format(reason=reason), wanting("fakec==1.0"), build_of("3.12"))

    assert isinstance(refusal, Unchecked)
    assert "fakec==1.0 has no wheel for 3.12" in str(refusal)


def test_a_source_that_lacks_something_here_names_its_twin_in_wheels() -> None:
    said = BUILD.format(reason="         Error: pg_config executable not found.").replace("fakec", "psycopg2")

    refusal = build_refusal(said, wanting("psycopg2==1.0"), build_of("3.12"))

    assert isinstance(refusal, Unchecked)
    assert str(refusal).endswith("; psycopg2-binary is the same code in wheels")


def test_what_git_does_not_fetch_is_no_broken_source() -> None:
    said = (
        "error: Failed to download and build `fakec @ git+https://git.invalid/fakec@1.0`\n"
        "  cause: Git operation failed\n"
        "  cause: failed to clone into: /cache/git-v2/db/daf57faabd123ecb\n"
        "  cause: process didn't exit successfully: `/usr/bin/git fetch --force` (exit status: 128)\n"
        "--- stderr\n"
        "fatal: unable to access 'https://git.invalid/fakec/': Could not resolve host: git.invalid\n"
    )

    refusal = build_refusal(said, wanting("fakec==1.0"), build_of("3.12"))

    assert isinstance(refusal, Unchecked)
    assert str(refusal) == (
        "fakec could not be fetched with git: unable to access 'https://git.invalid/fakec/': Could not resolve host: "
        "git.invalid"
    )


def test_a_source_that_uv_refuses_is_told_with_its_words() -> None:
    said = (
        "error: Failed to download and build `fakec==1.0`\n"
        "  cause: TOML parse error at line 1, column 1\n"
        "  |\n"
        "1 | [project]\n"
        "  | ^^^^^^^^^\n"
        "`pyproject.toml` is using the `[project]` table, but has no version\n"
    )

    refusal = build_refusal(said, wanting("fakec==1.0"), build_of("3.12"))

    assert isinstance(refusal, Blocked)
    assert refusal.findings[0].message.endswith(
        "fails to build: TOML parse error at line 1, column 1 `pyproject.toml` is using the `[project]` table, but has "
        "no version"
    )


def test_waiting_in_vain_for_another_build_is_not_the_sources_fault() -> None:
    said = (
        "error: Failed to build `pkg @ file:///repository/libs/pkg`\n"
        "  cause: Timeout (300s) when waiting for lock on `/cache/sdists/path/1` at `/cache/sdists/path/1/.lock`, is "
        "another uv process running? You can set `UV_LOCK_TIMEOUT` to increase the timeout.\n"
    )

    refusal = build_refusal(said, wanting("pkg"), build_of("3.10"))

    assert isinstance(refusal, Unchecked)
    assert "pkg was not built on 3.10: another process that builds it" in str(refusal)


def test_a_failed_build_while_resolving_is_told_as_one(tmp_path: Path) -> None:
    reason = "         ModuleNotFoundError: No module named 'distutils'"

    assert blocked(tmp_path, BUILD.format(reason=reason), "fakec==1.0").code == "PY104"


# ---- what holds for all texts


@given(
    st.text()
    | st.sampled_from([NO_WHEEL, NOT_FOUND, CONFLICT, BUILD]).flatmap(
        lambda text: st.permutations(text.split()).map(" ".join)
    )
)
def test_no_message_of_uv_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    asked, _ = resolver(tmp_path_factory.getbasetemp() / "any", [refused(text)] * 8)

    with pytest.raises((Blocked, Unchecked)) as caught:
        asked.resolve(wanting("numpy", "fakec"), build_of())
    assert str(caught.value)


@given(st.lists(st.sampled_from("abcdef"), unique=True))
def test_the_digest_of_a_lock_does_not_depend_on_when_it_was_made(names: list[str]) -> None:
    pins = tuple(Pin(name=name, version="1", line=f"{name}==1") for name in names)

    assert Lock(pins=pins, created=1.0).digest == Lock(pins=pins, created=2.0).digest
    assert json.loads(json.dumps(Lock(pins=pins).versions)) == dict.fromkeys(names, "1")
