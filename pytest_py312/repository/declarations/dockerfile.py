"""Find the Python versions in Dockerfiles, from the tags of base images to paths in the images.

A variable is followed to its value, so that the declaration is the text that has to change. Never raises.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.repository.declarations.declaration import (
    BUILD_VARIABLE,
    DISTRIBUTION_FOLDERS,
    DeclarationCollector,
    DeclarationRole,
    VersionDeclaration,
    version_of,
)
from pytest_py312.repository.formats.dockerfile import (
    MAX_INSTRUCTION_LENGTH,
    BuildStage,
    DockerfileText,
    Instruction,
    read_dockerfile,
)
from pytest_py312.repository.formats.image_reference import parse_python_image
from pytest_py312.repository.formats.text_positions import TrackedText, expand_variables

DISTUTILS_PACKAGE = "distutils was removed in Python 3.12, and so was its package."
"""Why ``python3.11-distutils`` cannot be edited."""
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:=(?P<value>\"[^\"]*\"|'[^']*'|\S*))?", re.ASCII)
_VARIABLE_PREFIX = re.compile(r"(?:\$\{?[A-Za-z_]\w*\}?/?)+", re.ASCII)
_ANY_VARIABLE = re.compile(r"\$\{[^}]*\}?|\$\w+", re.ASCII)
_IMAGE_SUFFIX = re.compile(r"(?:_(?:base|builder|image|name|tag|version))+$")
_MENTIONS_PYTHON = re.compile(r"python|\bpip3?\b|\buvx?\b|poetry|conda|\.py\b|requirements", re.IGNORECASE)
_OTHER_IMAGES = frozenset(
    {
        "bash", "busybox", "caddy", "composer", "corretto", "dotnet", "elixir", "envoy", "erlang", "go", "golang",
        "gradle", "haproxy", "haskell", "httpd", "java", "jdk", "jre", "keycloak", "kubectl", "mariadb", "maven",
        "memcached", "mongo", "mysql", "nginx", "node", "nodejs", "openjdk", "php", "postgres", "rabbitmq", "redis",
        "ruby", "rust", "scratch", "swift", "temurin", "terraform", "traefik",
    }
)  # fmt: skip
"""Words in names of images that show what the image is for, which is not Python."""
_FROM_FLAG = re.compile(r"(?<!\w)from=(?P<image>[^\s,]+)")

_PYTHON_WORD = re.compile(r"(?<![\w.-])(?P<lib>lib)?(?P<name>python|pip)(?P<version>3\.\d{1,2})(?!\d|\.\d)", re.ASCII)
_INSTALLED_PYTHON = re.compile(
    r"(?:\buv\s+python\s+(?:install|pin)|\bpyenv\s+(?:install|global|local)(?:\s+-\S+){0,4}|(?<!\S)--python)"
    r"[\s=]+[\"']?(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)(?![\w.])"
    r"|(?<![\w-])python={1,2}(?P<conda>3\.\d{1,2}(?:\.\d{1,3})?)(?![\w.])",
    re.ASCII,
)
_PYTHON_SOURCE = re.compile(r"(?:\bPython-|/python/)(?P<version>3\.\d{1,2}\.\d{1,3})(?![\w.]*\d)", re.ASCII)
_WHEEL_TAG = re.compile(r"(?<=-)cp(?P<version>3\d{1,2})-(?:cp|abi)", re.ASCII)
_VERSION_IN_LABEL = re.compile(r"(?<![\d.])3\.\d{1,2}(?:\.\d{1,3})?(?![\d.])", re.ASCII)
_PACKAGE_COMMANDS = re.compile(r"\b(?:apt-get|apt|apk|dnf|yum|microdnf)\b[^;&|\n]*", re.ASCII)
_PACKAGE_SUFFIX = re.compile(r"-(?:dev|venv|distutils|minimal|full|lib2to3|dbg|pip|tk|gdbm)\b", re.ASCII)


def read_dockerfile_declarations(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the version declarations of a Dockerfile. ``path`` is only stored in them."""
    return _DockerfileReader(text, path).read()


@dataclass(frozen=True, slots=True)
class _OwningPython:
    """The Python that a path or a command belongs to: the line of its image, or why it cannot be edited with one."""

    line: int | None = None
    not_editable_reason: str = ""


def _after_unknown_prefix(word: TrackedText) -> TrackedText:
    """Return ``python:3.10`` of ``${REGISTRY}/python:3.10`` and ``${ARCH}python:3.10``.

    The origin of an image does not affect its Python. Empty if the variables may contain more than the origin.
    """
    prefix = _VARIABLE_PREFIX.match(word.text)
    if prefix is None:
        return TrackedText("", ())
    remainder = word.section(prefix.end(), len(word.text))
    return remainder if prefix[0].endswith("/") or remainder.text.startswith("python:") else TrackedText("", ())


def _names_other_image(reference: str, variables: Sequence[str]) -> bool:
    """Whether the name of an image shows that it is no Python, whatever its variables are.

    ``${ARCH}-golang:1.22``, and ``$MAVEN_IMAGE`` by the name of the variable.
    """
    name = reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
    words = set(re.split(r"[-_.]+", _ANY_VARIABLE.sub("-", name).lower()))
    if _ANY_VARIABLE.fullmatch(reference):
        words.add(_IMAGE_SUFFIX.sub("", variables[0].lower()))
    return (
        not words.isdisjoint(_OTHER_IMAGES)
        and not any(word.startswith("py") for word in words)
        and not any("PY" in variable.upper() for variable in variables)
    )


class _DockerfileReader:
    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._collector = DeclarationCollector(text, path)
        self._dockerfile: DockerfileText = read_dockerfile(text, path)
        self._deadsnakes = "deadsnakes" in text
        self._arguments: dict[str, TrackedText] = {}
        self._installed_pythons: dict[int, set[str]] = {}
        """The versions that each stage installs itself (uv, pyenv, conda), by index of the stage."""
        self._has_several_pythons = False
        """Whether the current stage has several Pythons: then none of them is the service's."""

    def read(self) -> tuple[VersionDeclaration, ...]:
        stages = iter(self._dockerfile.stages)
        current: BuildStage | None = None
        other_instructions: list[tuple[BuildStage | None, Instruction, str]] = []
        for instruction in self._dockerfile.instructions:
            masked = _mask_comments(self._text, instruction)
            if instruction.keyword == "FROM":
                current = next(stages, current)
                self._read_from(instruction, masked, current)
            elif instruction.keyword == "ARG" and current is None:
                self._read_global_arguments(instruction, masked)
            else:
                other_instructions.append((current, instruction, masked))
        for current, instruction, masked in other_instructions:
            installed = _INSTALLED_PYTHON.findall(masked) if current and instruction.keyword == "RUN" else []
            if current and installed:
                self._installed_pythons.setdefault(current.index, set()).update(
                    str(version_of(version or conda_version)) for version, conda_version in installed
                )
        for current, instruction, masked in other_instructions:
            if self._collector.is_full:
                break
            self._read_other(current, instruction, masked)
        if self._dockerfile.problem:
            self._collector.add_unreadable_file("image", self._dockerfile.problem)
        return self._collector.declarations

    # ---- images

    def _read_global_arguments(self, instruction: Instruction, masked: str) -> None:
        for name, start, end in _assigned_values(masked):
            value = TrackedText.from_span(self._text, instruction.start + start, instruction.start + end)
            self._arguments[name] = expand_variables(value, self._arguments)

    def _read_from(self, instruction: Instruction, masked: str, stage: BuildStage | None) -> None:
        words = [word for word in list(re.finditer(r"\S+", masked))[1:] if not word[0].startswith("--")]
        if not words or stage is None or stage.parent is not None:
            return
        start, end = _without_quotes(masked, words[0].start(), words[0].end())
        word = TrackedText.from_span(self._text, instruction.start + start, instruction.start + end)
        subject = f"stage {stage.name or stage.index + 1}"
        if stage.unresolved:
            image_word = _after_unknown_prefix(word)
            missing: list[str] = []
            image = expand_variables(image_word, self._arguments, missing)
            if image.text and not missing:
                self._add_image(image, image_word, subject, stage.line)
                return
            known_part = expand_variables(word, self._arguments, []).text
            is_other = any(_names_other_image(name, stage.unresolved) for name in (word.text, known_part))
            if is_other and not (_ANY_VARIABLE.fullmatch(word.text) and self._runs_python(stage)):
                return
            variables = ", ".join(stage.unresolved)
            self._collector.add(
                "image", DeclarationRole.UNKNOWN, word.offsets[0], word.offsets[-1] + 1, subject=subject,
                unknown_reason=f"The value of {variables} is a build argument without a default in the file.",
            )  # fmt: skip
            return
        self._add_image(expand_variables(word, self._arguments), word, subject, stage.line)
        # a default that is never used still misleads readers
        self._add_image(expand_variables(word, {}), word, subject, stage.line, only_additional=True)

    def _runs_python(self, stage: BuildStage) -> bool:
        """Return whether a stage names a program or a file of Python."""
        lines = (item.arguments for item in self._dockerfile.instructions_of(stage) if item.keyword != "FROM")
        return any(map(_MENTIONS_PYTHON.search, lines))

    def _add_image(
        self, image: TrackedText, word: TrackedText, subject: str, line: int, *, only_additional: bool = False
    ) -> None:
        parsed_image = parse_python_image(image.text)
        if parsed_image is None or not word.offsets:
            return
        word_span = (word.offsets[0], word.offsets[-1] + 1)
        if parsed_image.span is None:
            if not only_additional:
                role = DeclarationRole.EXACT if parsed_image.version else DeclarationRole.FLOATING
                self._collector.add(
                    "image", role, *word_span, text=image.text, subject=subject, version=parsed_image.version,
                    not_editable_reason=parsed_image.reason, unknown_reason=parsed_image.reason, images=(image.text,),
                )  # fmt: skip
            return
        span = image.span(*parsed_image.span)
        if span is None and only_additional:
            return
        not_editable_reason = parsed_image.reason if span else "The version is composed of several variables."
        start, end = span or word_span
        if self._collector.has_declaration_at(start):
            self._collector.add_image(start, image.text, line)
            return
        self._collector.add(
            "image",
            DeclarationRole.EXACT,
            start,
            end,
            text=image.text,
            subject=subject,
            version=parsed_image.version,
            not_editable_reason=not_editable_reason,
            images=(image.text,),
            image_lines=(line,),
        )

    # ---- instructions that use the images

    def _read_other(self, stage: BuildStage | None, instruction: Instruction, masked: str) -> None:
        self._has_several_pythons = stage is not None and len(self._installed_pythons.get(stage.index, ())) > 1
        if instruction.keyword in ("COPY", "ADD", "RUN"):
            self._read_copied_images(instruction, masked)
        if instruction.keyword in ("ENV", "ARG"):
            self._read_variables(instruction, masked)
        if instruction.keyword == "LABEL":
            self._read_labels(instruction, masked)
            return
        sources = self._copied_from(instruction, masked, stage)
        for match in _INSTALLED_PYTHON.finditer(masked):
            name = "version" if match["version"] else "conda"
            self._add(instruction, DeclarationRole.EXACT, match.span(name), subject="the Python that is installed")
        for match in _PYTHON_SOURCE.finditer(masked):
            self._add(
                instruction, DeclarationRole.EXACT, match.span("version"), subject="the Python that is built",
                keeps_patch=True,
            )  # fmt: skip
        for match in _WHEEL_TAG.finditer(masked):
            self._add(
                instruction, DeclarationRole.EXACT, match.span("version"), subject="a wheel",
                not_editable_reason="It is the name of a wheel; look up the name of the wheel for the other Python.",
            )  # fmt: skip
        packages = [match.span() for match in _PACKAGE_COMMANDS.finditer(masked)]
        for match in _PYTHON_WORD.finditer(masked):
            if self._collector.is_full:
                break
            owner = self._owner_of(masked, match, sources, packages, stage)
            role = DeclarationRole.EXACT if owner.not_editable_reason or owner.line is None else DeclarationRole.PATH
            self._add(
                instruction, role, match.span("version"), text=_surrounding_word(masked, match),
                subject="a path or command", bound_line=owner.line, not_editable_reason=owner.not_editable_reason,
            )  # fmt: skip

    def _add(
        self, instruction: Instruction, role: DeclarationRole, span: tuple[int, int], *, subject: str, text: str = "",
        bound_line: int | None = None, not_editable_reason: str = "", keeps_patch: bool = False,
    ) -> None:  # fmt: skip
        start, end = instruction.start + span[0], instruction.start + span[1]
        source_text = self._text[start:end]
        if self._has_several_pythons and role is DeclarationRole.EXACT and not not_editable_reason:
            role = DeclarationRole.IGNORED
        self._collector.add(
            "image", role, start, end, text=text or source_text, subject=subject, version=version_of(source_text),
            bound_line=bound_line, not_editable_reason=not_editable_reason, keeps_patch=keeps_patch, declared=False,
        )  # fmt: skip

    def _read_copied_images(self, instruction: Instruction, masked: str) -> None:
        for match in _FROM_FLAG.finditer(masked):
            if any(match["image"].lower() == stage.name for stage in self._dockerfile.stages if stage.name):
                continue
            start, end = _without_quotes(masked, *match.span("image"))
            word = TrackedText.from_span(self._text, instruction.start + start, instruction.start + end)
            image = expand_variables(word, self._arguments)
            parsed_image = parse_python_image(image.text)
            if parsed_image and parsed_image.version:  # otherwise uv itself is copied, not a Python
                self._add_image(image, word, "an image that is copied from", instruction.line)

    def _read_variables(self, instruction: Instruction, masked: str) -> None:
        for name, start, end in _assigned_values(masked):
            value = masked[start:end]
            if not BUILD_VARIABLE.fullmatch(name) or "$" in value:
                continue
            version = version_of(value)
            if version is None:
                continue
            has_patch = value.count(".") > 1
            self._add(instruction, DeclarationRole.EXACT, (start, end), subject=name, keeps_patch=has_patch)

    def _read_labels(self, instruction: Instruction, masked: str) -> None:
        if "python" in masked.lower():
            for match in _VERSION_IN_LABEL.finditer(masked):
                self._add(instruction, DeclarationRole.LABEL, match.span(), subject="a label")

    # ---- which Python a path belongs to

    def _copied_from(
        self, instruction: Instruction, masked: str, stage: BuildStage | None
    ) -> tuple[int, _OwningPython] | None:
        """For a COPY from a stage: the offset up to which its words are paths there, and the Python they belong to."""
        flag = _FROM_FLAG.search(masked) if instruction.keyword in ("COPY", "ADD") else None
        if not flag:
            return None
        last = re.search(r"\S+\s*\Z", masked)
        end = last.start() if last else len(masked)
        name = flag["image"].strip("\"'").lower()
        for number, stage_candidate in enumerate(self._dockerfile.stages):
            if name in (stage_candidate.name, str(number)) and (stage_candidate.name or name == str(number)):
                return end, self._owner_in_stage(stage_candidate)
        image = parse_python_image(name)
        if image and image.version:
            return end, _OwningPython(line=instruction.line)
        return end, _OwningPython(not_editable_reason=f"It is copied from {name[:80]}, whose Python is unknown.")

    def _owner_in_stage(self, stage: BuildStage | None) -> _OwningPython:
        if stage is None:
            return _OwningPython(not_editable_reason="It is before the first image.")
        if stage.is_python and stage.interpreter:
            return _OwningPython(line=stage.image_line)
        ancestor: BuildStage | None = stage
        while ancestor is not None:
            if ancestor.index in self._installed_pythons:
                return _OwningPython()
            ancestor = self._dockerfile.stages[ancestor.parent] if ancestor.parent is not None else None
        if self._deadsnakes:
            return _OwningPython()
        return _OwningPython(
            not_editable_reason=f"It belongs to the Python of {stage.image[:80] or 'the base image'}; the "
            "image to move to is unknown."
        )

    def _owner_of(
        self, masked: str, match: re.Match[str], copied_from: tuple[int, _OwningPython] | None,
        packages: Sequence[tuple[int, int]], stage: BuildStage | None,
    ) -> _OwningPython:  # fmt: skip
        stage_owner = self._owner_in_stage(stage)
        path_prefix = re.search(r"[^\s\"'=:,;&|()]*\Z", masked[max(0, match.start() - 300) : match.start()])
        folder = path_prefix[0] if path_prefix else ""
        suffix = _PACKAGE_SUFFIX.match(masked, match.end())
        is_package = not folder and match["name"] == "python" and any(a <= match.start() < b for a, b in packages)
        if is_package or match["lib"] or (suffix and not folder):
            if suffix and suffix[0] == "-distutils":
                return _OwningPython(not_editable_reason=DISTUTILS_PACKAGE)
            if self._deadsnakes:
                return _OwningPython()
            return _OwningPython(
                not_editable_reason="It is a package of the Linux distribution, which may lack one for that Python."
            )
        if folder.startswith(DISTRIBUTION_FOLDERS):
            if self._deadsnakes or (stage_owner.line is None and not stage_owner.not_editable_reason):
                return _OwningPython()
            return _OwningPython(
                not_editable_reason="It belongs to the Python of the Linux distribution, not to the one in /usr/local."
            )
        if copied_from and (match.start() < copied_from[0] or stage_owner.not_editable_reason):
            return copied_from[1]
        return stage_owner


def _mask_comments(text: str, instruction: Instruction) -> str:
    """Replace line continuations and comments of the instruction by blanks, so that all offsets stay valid."""
    end = min(instruction.body_end or instruction.end, instruction.start + MAX_INSTRUCTION_LENGTH)
    raw = text[instruction.start : end]
    parts: list[str] = []
    for line in re.findall(r"[^\r\n]*(?:\r\n|\r|\n|\Z)", raw):
        content = line.rstrip()
        if not content or content.lstrip().startswith("#"):
            parts.append(" " * len(line))
        elif content.endswith(instruction.escape):
            parts.append(content[:-1] + " " * (len(line) - len(content) + 1))
        else:
            parts.append(line)
    return "".join(parts)


def _assigned_values(masked: str) -> Iterator[tuple[str, int, int]]:
    """Yield (name, start, end) of each value of an ARG or ENV, without quotation marks."""
    keyword = re.match(r"\s*\S+\s+", masked)
    position = keyword.end() if keyword else len(masked)
    space_separated = re.compile(r"([A-Za-z_]\w*)\s+([^\s=]+)\s*\Z", re.ASCII).match(masked, position)
    if space_separated and masked[:position].strip().upper() == "ENV":
        yield (space_separated[1], *_without_quotes(masked, *space_separated.span(2)))
        return
    for match in _ASSIGNMENT.finditer(masked, position):
        if match["value"]:
            yield (match["name"], *_without_quotes(masked, *match.span("value")))


def _without_quotes(text: str, start: int, end: int) -> tuple[int, int]:
    if end - start >= 2 and text[start] == text[end - 1] and text[start] in "\"'":
        return start + 1, end - 1
    return start, end


def _surrounding_word(masked: str, match: re.Match[str]) -> str:
    """Return the whole word that contains the version."""
    prefix = re.search(r"[^\s\"';&|()]*\Z", masked[max(0, match.start() - 200) : match.start()])
    suffix = re.match(r"[^\s\"';&|()]*", masked[match.end() : match.end() + 200])
    return (prefix[0] if prefix else "") + match[0] + (suffix[0] if suffix else "")
