"""What uv says when it refuses: read, and said for people."""

import re

from packaging.utils import canonicalize_name

from pytest_py312.core.model.findings import Finding
from pytest_py312.core.model.measurements import InterpreterBuild
from pytest_py312.core.process import CommandRun, Ended
from pytest_py312.core.text import last_words
from pytest_py312.dependencies.resolution.known_replacements import IN_WHEELS
from pytest_py312.dependencies.resolution.lock import NAME, Blocked, Unchecked, Wanted


def _folded(text: str) -> str:
    """uv's message on one line, which it wraps and indents for people, without the markers that it puts after names:
    ``greenlet{platform_machine == 'x86_64'}==1.1.2``."""
    return re.sub(r"(?<=[\w\]])\{[^{}]*\}", "", " ".join(text.split()))


def _without_wheels(words: str) -> list[str]:
    """Projects that uv says have a source distribution but no wheel that fits."""
    cause = words.split("hint:")[0]
    found = re.findall(rf"{NAME}(?:\[[^\]]*\])?(?:[=<>!~]=?\S+)? (?:has|have) no (?:usable )?wheels", cause)
    return list(dict.fromkeys(canonicalize_name(name) for name in found))


_AWAY = re.compile(r"Failed to fetch: `?(https?://\S+/)[\w.-]+/`? cause: error sending request")


def _refusal(answer: CommandRun, words: str, wanted: Wanted, build: InterpreterBuild) -> Exception:
    """What a failed ``uv pip compile`` means."""
    if answer.ended is not Ended.EXITED:
        return Unchecked(f"uv was ended: {answer.ended.value} {answer.stderr.strip()[-200:]}".strip())
    if any(text in words for text in BUILD_FAILED):
        return build_refusal(answer.stderr, wanted, build)
    away = _AWAY.search(words)
    if away:
        # not which project was asked for: a run that has this for all cells tells it once
        return Unchecked(f"the index {away[1]} did not answer: {words.rpartition('cause: ')[2][:200]}")
    if "No solution found" not in words:
        return Unchecked(f"uv could not resolve the set: {words.removeprefix('error: ')[:400] or 'it gave no reason'}")
    denied = re.search(r"hint: An index .*?((?:401|403) \w+)", words)
    if denied:  # uv goes on as if the index had nothing
        return Unchecked(f"the index refuses to answer ({denied[1]}): check its address and credentials")
    cause = re.sub(r"^.*?cause: ", "", words.split("hint:")[0]).strip()
    names = _blamed(cause, wanted)
    missing = re.search(rf"{NAME} was not found in the (?:package registry|provided package locations)", cause)
    absent = re.search(rf"there is no version of {NAME}|only {NAME}\S* is available", cause)
    if missing:
        code, message = "PY102", f"{missing[1]} is not on the index"
        remedy = "correct the name, or point the resolver at the index that has it"
    elif absent and "depends on" not in cause:
        name = absent[1] or re.split(r"[<>=!~]", absent[2])[0]
        code, message = "PY102", f"no version of {name} fits: {_readable(cause)}"
        remedy = f"require a version of {name} that exists"
    else:
        code, message = "PY101", f"the set conflicts on {build.interpreter}: {_readable(cause)}"
        remedy = f"loosen one of {', '.join(names)}" if names else "loosen one of the requirements that are named"
    where = next((place for name in names if (place := wanted.where(name))), None)
    return Blocked([Finding(code=code, message=message, remedy=remedy, location=where, names=names)])


def _blamed(cause: str, wanted: Wanted) -> tuple[str, ...]:
    """The required projects that uv's cause mentions, those first of which it says "you require".

    Where it mentions none of them, all that it says are required.
    """
    required = [canonicalize_name(name) for name in re.findall(rf"you require {NAME}", cause)]
    mentioned = [canonicalize_name(name) for name in re.findall(rf"(?<![\w.-]){NAME}(?=[\s=<>!~\[,]|$)", cause)]
    here = wanted.names
    names = tuple(dict.fromkeys(name for name in (*required, *mentioned) if name in here))
    return names or tuple(dict.fromkeys(required))


def _readable(cause: str) -> str:
    text = re.sub(r",? we can conclude that your requirements are unsatisfiable\.?$", "", cause)
    return text.removeprefix("Because ").strip()[:500]


BUILD_FAILED = ("Failed to build", "Failed to download and build", "The build backend returned an error")
"""uv's words for a build that failed; the last ones, without a name, of a folder that is required by path."""

CANNOT_BE_BUILT = "cannot be built here"
"""How a source is told of that this machine lacks something for."""

_MACHINE_LACKS = re.compile(
    r"(?:command '\S+' failed: No such file or directory"
    r"|unable to execute '?\S+'?: No such file"
    # longintrepr.h moved in 3.11: a header that the interpreter lost is the source's trouble, not the machine's
    r"|fatal error: (?!longintrepr\.h)\S+: No such file or directory"
    r"|(?:pg_config|mysql_config|cmake|ninja|rustc|cargo|pkg-config)\S* (?:executable )?(?:is )?not "
    r"(?:be )?(?:found|installed)"
    r"|No such file or directory: '(?:[\w.+-]+-config|bazel|cargo|cmake|gfortran|git|make|meson|ninja)'"
    r"|No such file or directory: '(?:nvcc|protoc|rustc|swig)'"
    r"|Rust toolchain"
    r"|Temporary failure in name resolution|error sending request|Failed to fetch|Connection refused"
    r"|Packages were unavailable because the network was disabled|Network connectivity is disabled"
    # a build that fetches more by itself, and one whose native part is configured by what the machine has
    r"|Failed to download any of the following|CalledProcessError: Command '\['[^']*cmake'"
    r"|No space left on device)[^\n]*"
)

_WAITED = re.compile(r"Timeout \(\d+s\) when waiting for lock")
"""Another process builds the same source, and has not come to its end: that says nothing of the source."""


_NOT_CLONED = "Git operation failed"
"""No network, no access, no such tag, no git: nothing that was fetched is to blame."""


def build_refusal(stderr: str, wanted: Wanted, build: InterpreterBuild) -> Exception:
    """What a failed build of a source distribution means: broken there, or not to be told on this machine."""
    named = re.search(rf"Failed to (?:download and )?build `{NAME}(?:==([^`]+))?", stderr)
    name = canonicalize_name(named[1]) if named else ""
    version = f"=={named[2]}" if named and named[2] else ""
    return broken_source(name, version, stderr, wanted, build)


def _without_frame(said: str) -> str:
    """What tells best why a build failed; where uv refuses the source itself, all that it says under ``cause``."""
    told = last_words(said)
    if not any(text in told for text in BUILD_FAILED):
        return told
    cause = said.rpartition("cause: ")[2].splitlines()
    return " ".join(line.strip() for line in cause if not re.match(r"\s*\d*\s*\|", line)).strip()[:400] or told


def broken_source(name: str, version: str, stderr: str, wanted: Wanted, build: InterpreterBuild) -> Exception:
    """As :func:`build_refusal`, where it is known which source it was; ``version`` with its ``==``, or empty."""
    what = f"{name or 'a source'}{version}"
    if _WAITED.search(stderr):
        return Unchecked(
            f"{what} was not built on {build.interpreter}: another process that builds it did not come to its end "
            "in time. Run it again",
            names=(name,) if name else (),
        )
    if _NOT_CLONED in stderr:
        told = re.findall(r"^\s*(?:fatal|cause): (.+)", stderr, re.MULTILINE)[-1]
        return Unchecked(f"{what} could not be fetched with git: {told}", names=(name,) if name else ())
    lacks = _MACHINE_LACKS.search(stderr)
    if lacks:
        return Unchecked(
            f"{name}{version} has no wheel for {build.interpreter}, and its source {CANNOT_BE_BUILT}: "
            f"{lacks[0].strip()}. Install what its build needs, or use an image that has it"
            + (f"; {IN_WHEELS[name]} is the same code in wheels" if name in IN_WHEELS else ""),
            names=(name,) if name else (),
        )
    said = re.split(r"^\s*hint:", stderr, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    detail = "\n".join(lines[-6:])
    compiler = next((line for line in lines if re.search(r":\d+: (?:fatal )?error: ", line)), "")
    reason = compiler or _without_frame(said) or "no reason given"
    return Blocked(
        [
            Finding(
                code="PY104",
                message=f"{what}: no wheel for {build.interpreter}, and its source fails to build: {reason}",
                remedy=f"require a version of {name} that has a wheel for {build.interpreter}",
                location=wanted.where(name),
                names=(name,) if name else (),
                detail=detail,
            )
        ]
    )
