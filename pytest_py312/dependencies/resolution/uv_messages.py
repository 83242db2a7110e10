"""Turn uv's error messages into findings or reasons for users."""

import re
from collections.abc import Sequence

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandResult, ExitReason
from pytest_py312.core.text import error_line, shorten
from pytest_py312.dependencies.resolution.lock import PROJECT_NAME, ResolutionRequest, Undetermined, Unresolvable
from pytest_py312.dependencies.system.build_tools import NETWORK, MissingTool, find_missing_tool
from pytest_py312.dependencies.system.known_replacements import WHEEL_ALTERNATIVES


def unwrap_message(text: str) -> str:
    """Return uv's wrapped message as one line, without the markers after names.

    An example of such a marker is ``greenlet{platform_machine == 'x86_64'}==1.1.2``.
    """
    return re.sub(r"(?<=[\w\]])\{[^{}]*\}", "", " ".join(text.split()))


def projects_without_wheels(message: str) -> list[str]:
    """Return the projects that, according to uv, have a source distribution but no matching wheel."""
    cause = message.split("hint:")[0]
    # uv adds the marker under which a requirement holds: name{python_full_version < '3.10'}
    decorations = r"(?:\[[^\]]*\]|\{[^{}]*\})*(?:[=<>!~]=?\S+)?"
    names = re.findall(rf"{PROJECT_NAME}{decorations} (?:has|have) no (?:usable )?wheels", cause)
    return list(dict.fromkeys(canonicalize_name(name) for name in names))


_DISABLED_BUILD = re.compile(rf"Building source distributions for `{PROJECT_NAME}` is disabled")


def projects_with_disabled_builds(stderr: str) -> list[str]:
    """Return the projects that uv must not build, although they have no index that could have a wheel.

    These are requirements from git or from the URL of an archive.
    """
    return list(dict.fromkeys(canonicalize_name(name) for name in _DISABLED_BUILD.findall(stderr)))


_INDEX_UNREACHABLE = re.compile(r"Failed to fetch: `?(https?://\S+/)[\w.-]+/`? cause: error sending request")


_URL_UNREACHABLE = re.compile(
    rf"Failed to download(?: and build)? `{PROJECT_NAME} @ (?P<url>[^`\s]+)`.*?error sending request"
    r".*?cause: (?P<cause>.*)"
)


def _explain_unreachable_url(message: str) -> Undetermined | None:
    """Return that what is required by its URL could not be fetched: the network is to blame, not the distribution."""
    failure = _URL_UNREACHABLE.search(message)
    if failure is None:
        return None
    cause = shorten(failure["cause"].rpartition("cause: ")[2].strip(), 200)
    name = canonicalize_name(failure[1])
    return Undetermined(f"{name} could not be fetched from {failure['url']}: {cause}. Check the network", names=(name,))


def explain_failure(
    result: CommandResult, message: str, request: ResolutionRequest, build: InterpreterBuild
) -> Exception:
    """Return the exception that a failed ``uv pip compile`` amounts to."""
    if result.exit_reason is not ExitReason.EXITED:
        return Undetermined(f"uv was stopped: {result.exit_reason.value} {result.stderr.strip()[-200:]}".strip())
    if (unreachable_url := _explain_unreachable_url(message)) is not None:
        return unreachable_url
    if any(text in message for text in BUILD_FAILURE_MESSAGES):
        return explain_build_failure(result.stderr, request, build)
    unreachable = _INDEX_UNREACHABLE.search(message)
    if unreachable:
        # without the requested project: a run in which all cells fail like this reports the message once
        return Undetermined(
            f"the index {unreachable[1]} did not answer: {shorten(message.rpartition('cause: ')[2], 200)}"
        )
    if "No solution found" not in message:
        return Undetermined(
            f"uv could not resolve the set: {shorten(message.removeprefix('error: '), 400) or 'no reason given'}"
        )
    denied = re.search(r"hint: An index .*?((?:401|403) \w+)", message)
    if denied:  # uv continues as if the index were empty
        return Undetermined(f"the index refuses to answer ({denied[1]}): check its address and credentials")
    cause = re.sub(r"^.*?cause: ", "", message.split("hint:")[0]).strip()
    names = _blamed_projects(cause, request)
    missing = re.search(rf"{PROJECT_NAME} was not found in the (?:package registry|provided package locations)", cause)
    absent = re.search(rf"there is no version of {PROJECT_NAME}|only {PROJECT_NAME}\S* is available", cause)
    if missing:
        code, description = "PY102", f"{missing[1]} is not on the index"
        remedy = "correct the name, or point the resolver at the index that has it"
    elif absent and "depends on" not in cause:
        name = absent[1] or re.split(r"[<>=!~]", absent[2])[0]
        code, description = "PY102", f"no version of {name} fits: {_readable_cause(cause)}"
        remedy = f"require a version of {name} that exists"
    else:
        code, description = "PY101", f"the set conflicts on {build.interpreter}: {_readable_cause(cause)}"
        remedy = relaxation_of(names)
    return unresolvable_set(code, description, remedy, names, request)


def unresolvable_set(
    code: str, message: str, remedy: str, names: tuple[str, ...], request: ResolutionRequest
) -> Unresolvable:
    """Return the exception for a set that has no versions, at the place of the first of the blamed projects."""
    location = next((project_location for name in names if (project_location := request.location_of(name))), None)
    return Unresolvable([Finding(code=code, message=message, remedy=remedy, location=location, names=names)])


def _blamed_projects(cause: str, request: ResolutionRequest) -> tuple[str, ...]:
    """Return the requested projects in uv's explanation, those after "you require" first.

    If it mentions none of them, return all that it calls required.
    """
    required = [canonicalize_name(name) for name in re.findall(rf"you require {PROJECT_NAME}", cause)]
    mentioned = [canonicalize_name(name) for name in re.findall(rf"(?<![\w.-]){PROJECT_NAME}(?=[\s=<>!~\[,]|$)", cause)]
    requested = request.names
    names = tuple(dict.fromkeys(name for name in (*required, *mentioned) if name in requested))
    return names or tuple(dict.fromkeys(required))


def relaxation_of(names: Sequence[str]) -> str:
    """Return the remedy of a conflict of requirements."""
    if len(names) == 1:
        return f"relax the requirement on {names[0]}, or what it conflicts with"
    return f"relax one of: {', '.join(names)}" if names else "relax one of the named requirements"


def _readable_cause(cause: str) -> str:
    """Return uv's explanation without its conclusion, and without the words that only introduce that."""
    text = re.sub(r",? we can conclude that your requirements are unsatisfiable\.?\s*$", "", cause.strip())
    head, introduction, last = text.rpartition("And because ")
    if introduction and "we can conclude" not in last:
        text = f"{head}And {last}"
    return shorten(text.removeprefix("Because ").strip(), 500)


BUILD_FAILURE_MESSAGES = ("Failed to build", "Failed to download and build", "The build backend returned an error")
"""uv's messages for a failed build; the last one, which has no name, is for a folder that is required by path."""

CANNOT_BE_BUILT = "cannot be built here"
"""Part of the message about a source that this machine lacks something for."""

_BUILD_LOCK_TIMEOUT = re.compile(r"Timeout \(\d+s\) when waiting for lock")
"""Another process is still building the same source, which proves nothing about the source."""


_GIT_FAILURE = "Git operation failed"
"""No network, no access, no such tag or no git: the source itself is not to blame."""

_NO_GIT_VERSION = re.compile(
    r".*(?:unable to detect version|not a git repository|access to an upstream git|find the version from "
    r"SCM|\[?['\"]git['\"], |Command ['\"]git |cannot describe anything|\bgit\b.*\bversion\b|\bversion\b.*\bgit\b).*",
    re.IGNORECASE,
)
"""What setuptools-scm, git, pbr and PDM say where there is no git or no repository, and what others may say."""

FETCH_FAILURES = (
    _GIT_FAILURE,
    "when waiting for lock",
    "ash mismatch",
    "wasn't found in the cache",
    "status client error",
)
"""Parts of uv's messages about a source that it did not get, or that is not the required one."""


def explain_build_failure(stderr: str, request: ResolutionRequest, build: InterpreterBuild) -> Exception:
    """Return the exception for a failed build of a source: it is broken, or this machine cannot build it."""
    if (unreachable_url := _explain_unreachable_url(unwrap_message(stderr))) is not None:
        return unreachable_url
    failed_build = re.search(rf"Failed to (?:download and )?build `{PROJECT_NAME}(?:==([^`]+))?", stderr)
    name = canonicalize_name(failed_build[1]) if failed_build else ""
    version = f"=={failed_build[2]}" if failed_build and failed_build[2] else ""
    return explain_source_failure(name, version, stderr, request, build)


def _best_error_line(stderr: str) -> str:
    """Return the line that explains a failed build best; if uv itself rejects the source, its whole ``cause``."""
    last_line = error_line(stderr)
    if not any(text in last_line for text in BUILD_FAILURE_MESSAGES):
        return last_line
    cause = stderr.rpartition("cause: ")[2].splitlines()
    words = " ".join(line.strip() for line in cause if not re.match(r"\s*\d*\s*\|", line)).strip()
    return shorten(words, 400) or last_line


def _explain_git_failure(source: str, names: tuple[str, ...], stderr: str) -> Undetermined:
    git_error = (re.findall(r"^\s*(?:fatal|cause|Caused by): (.+)", stderr, re.MULTILINE) or [_GIT_FAILURE])[-1]
    lacks_git = re.search(r"[Gg]it executable not found", stderr)
    return Undetermined(
        f"{source} could not be fetched with git: {git_error}",
        names=names,
        missing=MissingTool(name="git", key="git", message=git_error) if lacks_git else None,
    )


def explain_source_failure(
    name: str, version: str, stderr: str, request: ResolutionRequest, build: InterpreterBuild
) -> Exception:
    """As :func:`explain_build_failure`, for a known source. ``version`` includes its ``==``, or is empty."""
    source = f"{name or 'a source'}{version}"
    names = (name,) if name else ()
    if _BUILD_LOCK_TIMEOUT.search(stderr):
        return Undetermined(
            f"{source} was not built on {build.interpreter}: another process that is building it did not finish "
            "in time. Run it again",
            names=names,
        )
    if _GIT_FAILURE in stderr:
        return _explain_git_failure(source, names, stderr)
    missing = find_missing_tool(stderr)
    if missing is not None:
        needed = "Install what its build needs, or use an image that has it"
        remedy = "Let its build reach what it fetches" if missing.name == NETWORK else needed
        return Undetermined(
            f"{source} has no wheel for {build.interpreter}, and its source {CANNOT_BE_BUILT}: {missing.name} is "
            f"missing ({missing.message}). {remedy}"
            + (f"; {WHEEL_ALTERNATIVES[name]} is the same code in wheels" if name in WHEEL_ALTERNATIVES else ""),
            names=names,
            missing=missing,
        )
    build_output = re.split(r"^\s*hint:", stderr, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip() for line in build_output.splitlines() if line.strip()]
    detail = "\n".join(lines[-6:])
    compiler = next((line for line in lines if re.search(r":\d+: (?:fatal )?error: ", line)), "")
    reason = compiler or _best_error_line(build_output) or "no reason given"
    if _NO_GIT_VERSION.fullmatch(reason):
        return Undetermined(
            f"{source} was not built on {build.interpreter}: its version comes from git, and there is no git or no "
            f"checkout with tags ({reason}). Check it out with its tags, or set the variable that its build reads",
            names=names,
        )
    return Unresolvable(
        [
            Finding(
                code="PY104",
                message=f"{source}: no wheel for {build.interpreter}, and its source fails to build: {reason}",
                remedy=f"require a version of {name} that has a wheel for {build.interpreter}",
                location=request.pin_location_of(name),
                names=names,
                detail=detail,
            )
        ]
    )
