"""Output of uv becomes a lock, a finding, or an undetermined result."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core import clock
from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.dependencies.resolution.lock import DependencyLock, Pin, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.resolution.uv_messages import explain_build_failure
from pytest_py312.dependencies.resolution.uv_resolver import UvResolver
from tests.support.fakes import FakeRunner, build_of, command_run_of

WHERE = Location(path="services/a/requirements.txt", line=3, column=1)


def failed(text: str) -> CommandResult:
    return command_run_of(stderr=text, exit_code=1)


def resolver(folder: Path, results: Sequence[CommandResult], *, hours: float = 24.0) -> tuple[UvResolver, FakeRunner]:
    runner = FakeRunner(answers=list(results))
    return UvResolver(cache=folder, runner=runner, uv_version="0.9.0", lock_hours=hours), runner


def request_for(*names: str) -> ResolutionRequest:
    return ResolutionRequest(
        lines=names, direct=tuple((name.split("=")[0], replace(WHERE, line=at)) for at, name in enumerate(names, 1))
    )


def blocked(folder: Path, text: str, *names: str) -> Finding:
    with pytest.raises(Unresolvable) as caught:
        resolver(folder, [failed(text)])[0].resolve(request_for(*names), build_of("3.12"))
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
    lock = resolver(tmp_path, [command_run_of(COMPILED)])[0].resolve(request_for("numpy"), build_of(interpreter))

    assert [(pin.name, pin.version, pin.from_source) for pin in lock.pins] == [
        ("certifi", "2024.2.2", False),
        ("demo", "", True),
        ("numpy", "1.26.4", False),
        ("ruamel-yaml", "0.18.6", False),
    ]
    assert lock.pins[2].line == "numpy==1.26.4 --hash=sha256:aa --hash=sha256:bb"


def test_a_set_is_resolved_once_and_its_lock_is_stored_by_content(tmp_path: Path) -> None:
    uv, runner = resolver(tmp_path, [command_run_of("a==1\n")])

    first = uv.resolve(request_for("a"), build_of("3.12"))

    assert uv.resolve(request_for("a"), build_of("3.12")) == first
    assert uv.cached_lock(request_for("a"), build_of("3.9")) is None
    assert uv.cached_lock(request_for("a", "b"), build_of("3.12")) is None
    assert len(runner.tools) == 1
    assert not list((tmp_path / "tmp").iterdir())


def test_a_lock_expires_unless_there_is_a_cut_off_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv, _ = resolver(tmp_path, [command_run_of("a==1\n"), command_run_of("a==1\n")], hours=1.0)
    dated = replace(request_for("a"), exclude_newer="2024-01-01T00:00:00Z")
    for request in (request_for("a"), dated):
        uv.resolve(request, build_of())
    now = clock.timestamp()
    monkeypatch.setattr(clock, "timestamp", lambda: now + 3601)

    assert uv.cached_lock(request_for("a"), build_of()) is None
    assert uv.cached_lock(dated, build_of()) is not None


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"pins": [3], "created": 1}', '{"pins": [], "created": "x"}'])
def test_a_damaged_lock_is_ignored(tmp_path: Path, damage: str) -> None:
    uv, _ = resolver(tmp_path, [command_run_of("a==1\n")])
    uv.resolve(request_for("a"), build_of())
    (file,) = (tmp_path / "locks").iterdir()
    file.write_text(damage)

    assert uv.cached_lock(request_for("a"), build_of()) is None


def test_what_is_asked_for_reaches_uv(tmp_path: Path) -> None:
    uv, runner = resolver(tmp_path, [command_run_of("a==1\n")])
    request = replace(request_for("a"), constraints=("b<2",), exclude_newer="2024-01-01T00:00:00Z", hashes=True)

    uv.resolve(request, build_of())

    (argv,) = runner.tools
    assert argv[:3] == ("{uv}", "pip", "compile")
    assert {"--generate-hashes", "--constraint", "--exclude-newer", "2024-01-01T00:00:00Z"} <= set(argv)
    assert argv[argv.index("--only-binary") :][:2] == ("--only-binary", ":all:")


def test_another_commit_of_a_lock_file_is_another_lock(tmp_path: Path) -> None:
    uv, runner = resolver(tmp_path, [command_run_of("a==1\n"), command_run_of("a==2\n")])
    request = replace(request_for("a @ git+https://host/a@main"), at_commits=("a @ git+https://host/a@0123",))

    assert uv.resolve(request, build_of()).versions == {"a": "1"}
    assert "--override" in runner.tools[0]
    assert uv.resolve(replace(request, at_commits=()), build_of()).versions == {"a": "2"}
    assert "--override" not in runner.tools[1]


# ---- no wheel

NO_WHEEL = """\
error: No solution found when resolving dependencies
  cause: Because numpy==1.21.6 has no usable wheels and you require numpy==1.21.6, we can conclude that your \
requirements are unsatisfiable.

hint: Wheels are required for `numpy` because building from source is disabled for all packages (i.e., with \
`--no-build`)
"""


def test_a_project_without_a_wheel_may_be_built_and_no_other(tmp_path: Path) -> None:
    uv, runner = resolver(tmp_path, [failed(NO_WHEEL), command_run_of("numpy==1.21.6\nsix==1.16.0\n")])

    lock = uv.resolve(request_for("numpy==1.21.6"), build_of())

    assert [(pin.name, pin.from_source) for pin in lock.pins] == [("numpy", True), ("six", False)]
    assert "--no-binary" not in runner.tools[0]
    assert runner.tools[1][runner.tools[1].index("--no-binary") + 1] == "numpy"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("docopt", "all versions of docopt have no usable wheels"),
        ("docopt>=0.6", "docopt>=0.6.0 has no usable wheels"),
        ("docopt>=0.6.1,<0.7", "docopt>=0.6.1 has no usable wheels"),
        ("docopt[fast]==0.6.2", "docopt[fast]==0.6.2 has no usable wheels"),
        ("docopt==0.6.2", "docopt{os_name == 'nt' or\n   os_name == 'posix'}==0.6.2 has no usable wheels"),
    ],
)
def test_a_project_that_never_had_a_wheel_may_be_built(tmp_path: Path, line: str, message: str) -> None:
    output = (
        "error: No solution found when resolving dependencies\n"
        f"  cause: Because {message} and you require {line}, we can"
    )
    uv, _ = resolver(tmp_path, [failed(output), command_run_of("docopt==0.6.2\n")])

    assert [(pin.name, pin.from_source) for pin in uv.resolve(request_for(line), build_of()).pins] == [("docopt", True)]


DISABLED = """\
error: Failed to download and build `Acme_Lib @ git+https://example.org/acme`
  cause: Building source distributions for `acme-lib` is disabled
"""


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_requirement_from_git_or_an_archive_is_built(tmp_path: Path, interpreter: str) -> None:
    """It has no index that could have a wheel. uv says so for what other projects require as well."""
    line = "acme-lib @ git+https://example.org/acme@0123"
    uv, runner = resolver(tmp_path, [command_run_of(stderr=DISABLED, exit_code=2), command_run_of(f"{line}\n")])

    lock = uv.resolve(request_for("acme-lib @ git+https://example.org/acme"), build_of(interpreter))

    assert [(pin.line, pin.from_source) for pin in lock.pins] == [(line, True)]
    assert runner.tools[-1][runner.tools[-1].index("--no-binary") + 1] == "acme-lib"


def test_a_set_of_many_projects_without_wheels_is_resolved(tmp_path: Path) -> None:
    """uv names only one of them at a time."""
    names = [f"old{number}" for number in range(40)]
    results = [failed(NO_WHEEL.replace("numpy", name)) for name in names]
    pinned = "".join(f"{name}==1.0\n" for name in names)

    lock = resolver(tmp_path, [*results, command_run_of(pinned)])[0].resolve(request_for(*names), build_of())

    assert {pin.name for pin in lock.pins if pin.from_source} == set(names)


def test_a_resolution_that_never_settles_is_undetermined(tmp_path: Path) -> None:
    results = [failed(NO_WHEEL.replace("numpy", f"numpy{number}")) for number in range(201)]

    with pytest.raises(Undetermined, match="did not settle"):
        resolver(tmp_path, results)[0].resolve(request_for("numpy"), build_of())


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
    ("text", "lines", "code", "names", "line", "message"),
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
def test_the_finding_names_the_project_to_blame_and_its_line(
    tmp_path: Path, text: str, lines: tuple[str, ...], code: str, names: tuple[str, ...], line: int, message: str
) -> None:
    finding = blocked(tmp_path, text, *lines)

    assert (finding.code, finding.names) == (code, names)
    assert finding.location == replace(WHERE, line=line)
    assert message in finding.message
    assert "unsatisfiable" not in finding.message
    assert finding.remedy
    assert finding.blocks


def test_requirements_that_are_in_no_file_are_blamed_as_well(tmp_path: Path) -> None:
    """For example the tools of the suite, and requirements of a source tree."""
    bare = ResolutionRequest(lines=("starlette==0.27.0", "fastapi==0.110.0", "-e ."))

    with pytest.raises(Unresolvable) as caught:
        resolver(tmp_path, [failed(CONFLICT)])[0].resolve(bare, build_of("3.12"))
    (finding,) = caught.value.findings
    assert (finding.names, finding.location) == (("fastapi", "starlette"), None)


# ---- undetermined results

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
    ("result", "message"),
    [
        (failed(NO_NETWORK), "the index http://127.0.0.1:9/simple/ did not answer: Connection refused"),
        (failed(NOT_PARSED), "no such comparison operator"),
        (failed(DENIED), "the index refuses to answer .401 Unauthorized."),
        (failed(FORBIDDEN), "the index refuses to answer .403 Forbidden."),
        (failed(""), "no reason given"),
        (command_run_of(exit_reason=ExitReason.TIMED_OUT, exit_code=-2), "time limit reached"),
        (command_run_of(exit_reason=ExitReason.CANCELLED, exit_code=-9), "cancelled"),
        (command_run_of(exit_reason=ExitReason.NOT_STARTED, exit_code=None, stderr="no such file"), "no such file"),
        (command_run_of(exit_reason=ExitReason.KILLED, exit_code=-9), "killed"),
    ],
)
def test_an_undetermined_result_is_no_finding(tmp_path: Path, result: CommandResult, message: str) -> None:
    with pytest.raises(Undetermined, match=message):
        resolver(tmp_path, [result])[0].resolve(request_for("numpy"), build_of())


# ---- failed builds

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
    refusal = explain_build_failure(BUILD.format(reason=reason), request_for("fakec==1.0"), build_of("3.12"))
    assert isinstance(refusal, Unresolvable), refusal
    return refusal.findings[0]


@pytest.mark.parametrize(
    ("reason", "reported"),
    [
        ("         ModuleNotFoundError: No module named 'distutils'", "No module named 'distutils'"),
        ("         FileNotFoundError: [Errno 2] No such file or directory: 'requirements.txt'", "requirements.txt"),
        ("         AttributeError: module 'pkgutil' has no attribute 'ImpImporter'", "ImpImporter"),
        (COMPILER_FAILED.format(header="longintrepr.h"), "longintrepr.h"),
        ("         fakec.c:9:5: error: too few arguments\n         error: command 'gcc' failed", "too few arguments"),
    ],
)
def test_a_failed_build_blocks_and_reports_the_reason(reason: str, reported: str) -> None:
    """The reason is the line with the cause, not uv's hint or the compiler's command line."""
    finding = build_blocked(reason)

    assert finding.code == "PY104"
    assert finding.names == ("fakec",)
    assert finding.location == replace(WHERE, line=1)
    assert reported in finding.message.splitlines()[0]
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
def test_a_missing_tool_of_this_machine_is_not_the_sources_fault(reason: str) -> None:
    refusal = explain_build_failure(BUILD.format(reason=reason), request_for("fakec==1.0"), build_of("3.12"))

    assert isinstance(refusal, Undetermined)
    assert "fakec==1.0 has no wheel for 3.12" in str(refusal)
    assert ("Let its build reach what it fetches" in str(refusal)) is ("the network is missing" in str(refusal))


@pytest.mark.parametrize(
    "reason",
    [
        "LookupError: setuptools-scm was unable to detect version for /tmp/fakec.",
        "Exception: Versioning for this project requires either an sdist tarball, or access to an upstream git repo",
        "ValueError: Cannot find the version from SCM or SCM isn't detected.",
        "RuntimeError: version not available from git or from file '/tmp/fakec/version.py'",
        "subprocess.CalledProcessError: Command '['git', 'describe', '--tags']' returned non-zero exit status 128.",
    ],
)
def test_a_build_without_git_metadata_says_nothing_about_the_source(reason: str) -> None:
    refusal = explain_build_failure(BUILD.format(reason=f"         {reason}"), request_for("fakec"), build_of("3.12"))

    assert isinstance(refusal, Undetermined)
    assert "its version comes from git" in str(refusal)
    assert reason in str(refusal)


def test_a_source_that_cannot_be_built_here_suggests_the_same_code_in_wheels() -> None:
    output = BUILD.format(reason="         Error: pg_config executable not found.").replace("fakec", "psycopg2")

    refusal = explain_build_failure(output, request_for("psycopg2==1.0"), build_of("3.12"))

    assert isinstance(refusal, Undetermined)
    assert str(refusal).endswith("; psycopg2-binary is the same code in wheels")


def test_a_failed_git_fetch_is_no_broken_source() -> None:
    output = (
        "error: Failed to download and build `fakec @ git+https://git.invalid/fakec@1.0`\n"
        "  cause: Git operation failed\n"
        "  cause: failed to clone into: /cache/git-v2/db/daf57faabd123ecb\n"
        "  cause: process didn't exit successfully: `/usr/bin/git fetch --force` (exit status: 128)\n"
        "--- stderr\n"
        "fatal: unable to access 'https://git.invalid/fakec/': Could not resolve host: git.invalid\n"
    )

    refusal = explain_build_failure(output, request_for("fakec==1.0"), build_of("3.12"))

    assert isinstance(refusal, Undetermined)
    assert str(refusal) == (
        "fakec could not be fetched with git: unable to access 'https://git.invalid/fakec/': Could not resolve host: "
        "git.invalid"
    )


def test_an_image_without_git_lacks_a_program() -> None:
    """So the set can be tried in an image that has it."""
    output = (
        "error: Failed to download and build `fakec @ git+https://git.invalid/fakec`\n"
        "  cause: Git operation failed\n"
        "  cause: Git executable not found. Ensure that Git is installed and available.\n"
    )

    refusal = explain_build_failure(output, request_for("fakec"), build_of("3.12"))

    assert isinstance(refusal, Undetermined)
    assert refusal.missing is not None
    assert refusal.missing.key == "git"
    assert refusal.names == ("fakec",)


def test_a_source_that_uv_rejects_has_uvs_message() -> None:
    output = (
        "error: Failed to download and build `fakec==1.0`\n"
        "  cause: TOML parse error at line 1, column 1\n"
        "  |\n"
        "1 | [project]\n"
        "  | ^^^^^^^^^\n"
        "`pyproject.toml` is using the `[project]` table, but has no version\n"
    )

    refusal = explain_build_failure(output, request_for("fakec==1.0"), build_of("3.12"))

    assert isinstance(refusal, Unresolvable)
    assert refusal.findings[0].message.endswith(
        "fails to build: TOML parse error at line 1, column 1 `pyproject.toml` is using the `[project]` table, but has "
        "no version"
    )


def test_a_timeout_while_waiting_for_another_build_is_not_the_sources_fault() -> None:
    output = (
        "error: Failed to build `pkg @ file:///repository/libs/pkg`\n"
        "  cause: Timeout (300s) when waiting for lock on `/cache/sdists/path/1` at `/cache/sdists/path/1/.lock`, is "
        "another uv process running? You can set `UV_LOCK_TIMEOUT` to increase the timeout.\n"
    )

    refusal = explain_build_failure(output, request_for("pkg"), build_of("3.10"))

    assert isinstance(refusal, Undetermined)
    assert "pkg was not built on 3.10: another process that is building it" in str(refusal)


def test_a_failed_build_while_resolving_is_reported(tmp_path: Path) -> None:
    reason = "         ModuleNotFoundError: No module named 'distutils'"

    assert blocked(tmp_path, BUILD.format(reason=reason), "fakec==1.0").code == "PY104"


# ---- properties of all texts


@given(
    st.text()
    | st.sampled_from([NO_WHEEL, NOT_FOUND, CONFLICT, BUILD]).flatmap(
        lambda text: st.permutations(text.split()).map(" ".join)
    )
)
def test_no_message_of_uv_crashes_the_parser(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    uv, _ = resolver(tmp_path_factory.getbasetemp() / "any", [failed(text)] * 8)

    with pytest.raises((Unresolvable, Undetermined)) as caught:
        uv.resolve(request_for("numpy", "fakec"), build_of())
    assert str(caught.value)


@given(st.lists(st.sampled_from("abcdef"), unique=True))
def test_the_digest_of_a_lock_does_not_depend_on_its_time(names: list[str]) -> None:
    pins = tuple(Pin(name=name, version="1", line=f"{name}==1") for name in names)

    assert DependencyLock(pins=pins, created=1.0).digest == DependencyLock(pins=pins, created=2.0).digest
    assert json.loads(json.dumps(DependencyLock(pins=pins).versions)) == dict.fromkeys(names, "1")
