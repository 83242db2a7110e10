"""Find the Python versions in plain text files: pins of managers and platforms, Jenkinsfiles, Makefiles.

Nothing of it raises.
"""

import re
from collections.abc import Iterator

from pytest_py312.repository.declarations.declaration import (
    DeclarationCollector,
    DeclarationRole,
    ListItem,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.declarations.programs import TEXT_LIMIT, add_named_programs
from pytest_py312.repository.formats.image_reference import parse_python_image

_QUOTED = re.compile(r"([\"'])(?P<text>[^\"'\r\n$]{1,300})\1")
_RECIPE_LINE = re.compile(r"^\t.*$", re.MULTILINE)
RUNTIME = "a runtime"
"""The subject of what a platform runs functions on."""
COMPATIBLE_RUNTIMES = "the runtimes of a layer"
LAYER = "a layer"
"""The subject of a layer of AWS Lambda that is made for one Python."""
_RUNTIME_OPTION = re.compile(
    r"--runtime(?:=|[\"']?[ \t]*[,\s][\s-]{0,40}[\"']?)[\"']?python(?P<version>3\.?\d{1,2})(?![\w.])", re.ASCII
)
_ARN_FIELD = r"(?:[^\s\"':${}]|\$\{[^{}\n]{1,60}\}){0,60}"
_LAYER = re.compile(
    rf"arn:{_ARN_FIELD}:lambda:{_ARN_FIELD}:{_ARN_FIELD}:layer:[\w-]{{0,80}}?(?:[Pp]ython[-_]?|[-_]py?)"
    r"(?P<version>3[-_.]?\d{1,2})(?!\d)",
    re.ASCII,
)
_CDK_LIBRARY = re.compile(r"aws[-_]?cdk|amazon\.(?:aws)?cdk", re.IGNORECASE)
_COMMENT_START = re.compile(r"^\s*(?:\*|/\*)|(?<!:)//")
_LIST_OF_RUNTIMES = re.compile(r"untimes[\"']?\s{0,5}[:=]\s{0,5}\[[^\]]{0,200}$", re.IGNORECASE)
_CDK_RUNTIME = re.compile(r"\bRuntime\.PYTHON_(?P<version>3_\d{1,2})\b", re.ASCII)
_TERRAFORM_RUNTIME = re.compile(r"(?m)^[ \t]*(?:\w{0,60}?(?:runtime|python)\w*|default)[ \t]*=[^\r\n]{1,500}")


def _meaningful_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the offset and the text of each non-empty line, without comments and surrounding blanks."""
    for number, match in enumerate(re.finditer(r"[^\r\n]+", text[:TEXT_LIMIT])):
        content = match[0].partition("#")[0]
        content = " " + content[1:] if number == 0 and content.startswith("\ufeff") else content
        if content.strip():
            yield match.start() + len(content) - len(content.lstrip()), content.strip()[:200]


def read_python_version_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read .python-version: pyenv runs the first line and also offers the following ones."""
    collector = DeclarationCollector(text, path)
    for number, (start, line) in enumerate(_meaningful_lines(text)):
        prefix = re.match(r"(?:cpython-|python-?)?", line)
        version_start = prefix.end() if prefix else 0
        version = version_of(line[version_start:])
        role = DeclarationRole.IGNORED if number else DeclarationRole.EXACT if version else _role_without_version(line)
        collector.add(
            "pin", role, start + version_start, start + len(line), subject="the pin", version=version,
            unknown_reason="" if version else "It names no minor version of CPython.", declared=number == 0,
        )  # fmt: skip
        if number >= 50:
            break
    return collector.declarations


def _role_without_version(line: str) -> DeclarationRole:
    return DeclarationRole.FLOATING if re.fullmatch(r"3|system|latest", line) else DeclarationRole.UNKNOWN


def read_runtime_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read runtime.txt: ``python-3.10.13``."""
    collector = DeclarationCollector(text, path)
    for start, line in _meaningful_lines(text):
        match = re.match(r"python-*", line, re.IGNORECASE)
        if match:
            _add_pin(collector, start + match.end(), line[match.end() :], line)
            break
    return collector.declarations


def read_tool_versions_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read .tool-versions: asdf runs the first of several versions."""
    collector = DeclarationCollector(text, path)
    for start, line in _meaningful_lines(text):
        match = re.fullmatch(r"python[ \t]+(?P<version>\S+).*", line)
        if match:
            _add_pin(collector, start + match.start("version"), match["version"], line)
            break
    return collector.declarations


def _add_pin(collector: DeclarationCollector, start: int, source_text: str, line: str) -> None:
    version = version_of(source_text)
    if source_text:
        collector.add(
            "pin",
            DeclarationRole.EXACT if version else DeclarationRole.FLOATING,
            start,
            start + len(source_text),
            subject="the pin",
            text=line,
            version=version,
            keeps_patch=source_text.count(".") > 1 and not source_text.endswith((".x", ".*")),
            unknown_reason="" if version else "It names no minor version of CPython.",
        )


def read_jenkins_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a Jenkinsfile: the Python images in its string literals."""
    collector = DeclarationCollector(text, path)
    for match in _QUOTED.finditer(text[:TEXT_LIMIT]):
        if "/" in match["text"] or ":" in match["text"]:
            collector.add_image_reference("workflow", match.start("text"), match["text"])
    return collector.declarations


def read_manylinux_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read .manylinux-install.sh: the tags of the interpreters for which wheels are built."""
    collector = DeclarationCollector(text, path)
    for match in re.finditer(r"(?<![A-Za-z])cp(?P<version>3\d{1,2})(?!\d)", text[:TEXT_LIMIT], re.ASCII):
        collector.add(
            "tool", DeclarationRole.LIST_ITEM, *match.span("version"), subject="wheels", text=match[0],
            version=version_of(match[0]), item=ListItem(group="wheels", start=match.start(), end=match.end()),
            not_editable_reason="It is in a shell script; add the target manually.", declared=False,
        )  # fmt: skip
    return collector.declarations


_MAKEFILE_ASSIGNMENT = re.compile(
    r"^(?:(?:export|override)[ \t]+)?(?P<name>[A-Za-z_]\w{0,100})[ \t]*(?:\?|:{0,3})=[ \t]*(?P<value>[^\s#]{1,300})"
    r"[ \t]*(?:#.*)?$",
    re.MULTILINE | re.ASCII,
)
_COMMAND = re.compile(r"(?:python|pip)-?(?P<version>3\.\d{1,2})", re.ASCII)
_ENVIRONMENT = re.compile(r"(?:python|py)-?(?P<version>3\.?\d{1,2})", re.ASCII)
_ENVIRONMENT_VARIABLE = re.compile(r"TOX|NOX|ENV", re.IGNORECASE)
_VERSION_VARIABLE = re.compile(r"(?:\w+_)?PY(?:THON)?_?VER(?:SION)?(?:_\w+)?", re.IGNORECASE | re.ASCII)


def read_makefile_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a Makefile: variables whose whole value is a Python, an environment of tox, or an image."""
    collector = DeclarationCollector(text, path)
    for match in _MAKEFILE_ASSIGNMENT.finditer(text[:TEXT_LIMIT]):
        name, value, start = match["name"], match["value"], match.start("value")
        image = parse_python_image(value) if ":" in value else None
        if image and image.version and image.span:
            collector.add_image_reference("tool", start, value, subject=name, declared=False)
            continue
        command = _COMMAND.fullmatch(value) or (
            _ENVIRONMENT.fullmatch(value) if _ENVIRONMENT_VARIABLE.search(name) else None
        )
        span = command.span("version") if command else (0, len(value))
        if command or _VERSION_VARIABLE.fullmatch(name):
            version = version_of(value[span[0] : span[1]])
            if version:
                collector.add(
                    "tool", DeclarationRole.EXACT, start + span[0], start + span[1], subject=name, text=value,
                    version=version, keeps_patch=value.count(".") > 1, declared=False,
                )  # fmt: skip
    add_named_programs(collector, _recipes_of(text[:TEXT_LIMIT]))
    return collector.declarations


def _recipes_of(text: str) -> str:
    """Replace everything by blanks but the lines of commands."""
    kept, end = [], 0
    for line in _RECIPE_LINE.finditer(text):
        kept += [re.sub(r"[^\n]", " ", text[end : line.start()]), line[0]]
        end = line.end()
    return "".join(kept)


def read_cdk_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a program of the AWS CDK, in any language: the runtimes of functions and layers, ``Runtime.PYTHON_3_12``.

    https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_lambda.Runtime.html
    """
    collector = DeclarationCollector(text, path)
    for match in _CDK_RUNTIME.finditer(text[:TEXT_LIMIT]) if _CDK_LIBRARY.search(text) else ():
        before = text[max(0, match.start() - 200) : match.start()]
        line = before.rpartition("\n")[2]
        is_comment = _COMMENT_START.search(line) or (path.endswith(".py") and "#" in line)
        is_in_list = _LIST_OF_RUNTIMES.search(before) is not None
        if not is_comment:
            collector.add(
                "image", DeclarationRole.EXACT, *match.span("version"),
                subject=COMPATIBLE_RUNTIMES if is_in_list else RUNTIME, text=match[0],
                version=version_of(match["version"].replace("_", ".")),
                not_editable_reason="It is one of a list of runtimes." if is_in_list else "",
            )  # fmt: skip
    return collector.declarations


def read_layer_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read the AWS Lambda layers for one Python in a template of functions: ``...:layer:AWSSDKPandas-Python39:5``."""
    collector = DeclarationCollector(text, path)
    for match in _uncommented(_LAYER, text):
        collector.add(
            "image", DeclarationRole.EXACT, *match.span("version"), subject=LAYER, text=match[0],
            version=version_of(re.sub(r"[-_]", ".", match["version"])), declared=False,
            not_editable_reason="The layer for another Python has a number of its own.",
        )  # fmt: skip
    return collector.declarations


def read_runtime_options(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read the runtimes in commands that deploy functions: ``gcloud functions deploy --runtime python311``."""
    collector = DeclarationCollector(text, path)
    for match in _uncommented(_RUNTIME_OPTION, text):
        collector.add(
            "image", DeclarationRole.EXACT, *match.span("version"), subject=RUNTIME,
            text=f"--runtime python{match['version']}", version=version_of(match["version"]),
        )  # fmt: skip
    return collector.declarations


def _uncommented(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Yield the matches that no comment contains."""
    for match in pattern.finditer(text[:TEXT_LIMIT]):
        if "#" not in text[text.rfind("\n", 0, match.start()) + 1 : match.start()]:
            yield match


def read_terraform_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Read a file of Terraform: the runtimes of functions and layers, and the defaults of variables for them."""
    collector = DeclarationCollector(text, path)
    for attribute in _TERRAFORM_RUNTIME.finditer(text[:TEXT_LIMIT]):
        for match in re.finditer(r"(?<=\"python)3\.?\d{1,2}(?=\")", attribute[0], re.ASCII):
            start = attribute.start() + match.start()
            of_layer = attribute[0].lstrip().startswith("compatible_")
            collector.add(
                "image", DeclarationRole.EXACT, start, start + len(match[0]),
                subject=COMPATIBLE_RUNTIMES if of_layer else RUNTIME, version=version_of(match[0]),
            )  # fmt: skip
    return collector.declarations
