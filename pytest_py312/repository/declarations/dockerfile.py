"""Dockerfiles: every place that says a Python version, from the tags of base images to the paths beneath them.

A variable is followed to where its value stands, so the place is the one that has to change. Never raises.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_py312.repository.declarations.declaration import Meaning, Place, Scribe, version_of
from pytest_py312.repository.formats.dockerfile import DockerfileText, Instruction, Stage, read_dockerfile
from pytest_py312.repository.formats.image_reference import python_image
from pytest_py312.repository.formats.text_positions import Traced, expanded

_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:=(?P<value>\"[^\"]*\"|'[^']*'|\S*))?", re.ASCII)
_NAME = re.compile(r"(?:DEFAULT_|BASE_)?PY(?:THON)?_?VER(?:SION)?", re.IGNORECASE | re.ASCII)
_IN_FRONT = re.compile(r"(?:\$\{?[A-Za-z_]\w*\}?/?)+", re.ASCII)
_FROM_FLAG = re.compile(r"(?<!\w)from=(?P<image>[^\s,]+)")

_WORD = re.compile(r"(?<![\w.-])(?P<lib>lib)?(?P<name>python|pip)(?P<version>3\.\d{1,2})(?!\d|\.\d)", re.ASCII)
_INSTALLED = re.compile(
    r"(?:\buv\s+python\s+(?:install|pin)|\bpyenv\s+(?:install|global|local)(?:\s+-\S+){0,4}|(?<!\S)--python)"
    r"[\s=]+[\"']?(?P<version>3\.\d{1,2}(?:\.\d{1,3})?)(?![\w.])"
    r"|(?<![\w-])python={1,2}(?P<conda>3\.\d{1,2}(?:\.\d{1,3})?)(?![\w.])",
    re.ASCII,
)
_SOURCE = re.compile(r"(?:\bPython-|/python/)(?P<version>3\.\d{1,2}\.\d{1,3})(?![\w.]*\d)", re.ASCII)
_WHEEL = re.compile(r"(?<=-)cp(?P<version>3\d{1,2})-(?:cp|abi)", re.ASCII)
_IN_LABEL = re.compile(r"(?<![\d.])3\.\d{1,2}(?:\.\d{1,3})?(?![\d.])", re.ASCII)
_COMMANDS = re.compile(r"\b(?:apt-get|apt|apk|dnf|yum|microdnf)\b[^;&|\n]*", re.ASCII)
_PACKAGE = re.compile(r"-(?:dev|venv|distutils|minimal|full|lib2to3|dbg|pip|tk|gdbm)\b", re.ASCII)
_DISTRIBUTION = ("/usr/lib/", "/usr/lib64/", "/usr/bin/", "/usr/include/", "/usr/share/")


def read_dockerfile_places(text: str, path: str) -> tuple[Place, ...]:
    """Every place of a Dockerfile that says a Python version. ``path`` is only carried along."""
    return _Reader(text, path).read()


@dataclass(frozen=True, slots=True)
class _Ground:
    """Whose Python a path or a command is: the line of its image, or why it does not move with any."""

    line: int | None = None
    fixed: str = ""


def _behind_unknown(word: Traced) -> Traced:
    """``python:3.10`` of ``${REGISTRY}/python:3.10`` and ``${ARCH}python:3.10``: from where an image comes says nothing
    of its Python. Empty where it says more than that."""
    front = _IN_FRONT.match(word.text)
    if front is None:
        return Traced("", ())
    rest = word.part(front.end(), len(word.text))
    return rest if front[0].endswith("/") or rest.text.startswith("python:") else Traced("", ())


class _Reader:
    def __init__(self, text: str, path: str) -> None:
        self._text = text
        self._scribe = Scribe(text, path)
        self._dockerfile: DockerfileText = read_dockerfile(text, path)
        self._deadsnakes = "deadsnakes" in text
        self._arguments: dict[str, Traced] = {}
        self._own: dict[int, set[str]] = {}
        """Stages that install a Python by themselves (uv, pyenv, conda), and which."""
        self._several = False
        """Whether the stage at hand has several side by side: none of them tells what the service runs on."""

    def read(self) -> tuple[Place, ...]:
        stages = iter(self._dockerfile.stages)
        current: Stage | None = None
        later: list[tuple[Stage | None, Instruction, str]] = []
        for instruction in self._dockerfile.instructions:
            masked = _masked(self._text, instruction)
            if instruction.keyword == "FROM":
                current = next(stages, current)
                self._from(instruction, masked, current)
            elif instruction.keyword == "ARG" and current is None:
                self._global_arguments(instruction, masked)
            else:
                later.append((current, instruction, masked))
        for current, instruction, masked in later:
            found = _INSTALLED.findall(masked) if current and instruction.keyword == "RUN" else []
            if current and found:
                self._own.setdefault(current.index, set()).update(str(version_of(one or two)) for one, two in found)
        for current, instruction, masked in later:
            self._other(current, instruction, masked)
        return self._scribe.places

    # ---- images

    def _global_arguments(self, instruction: Instruction, masked: str) -> None:
        for name, start, end in _assigned(masked):
            value = Traced.of(self._text, instruction.start + start, instruction.start + end)
            self._arguments[name] = expanded(value, self._arguments)

    def _from(self, instruction: Instruction, masked: str, stage: Stage | None) -> None:
        words = [word for word in list(re.finditer(r"\S+", masked))[1:] if not word[0].startswith("--")]
        if not words or stage is None or stage.parent is not None:
            return
        start, end = _unquoted(masked, words[0].start(), words[0].end())
        word = Traced.of(self._text, instruction.start + start, instruction.start + end)
        subject = f"stage {stage.name or stage.index + 1}"
        if stage.unresolved:
            behind = _behind_unknown(word)
            lost: list[str] = []
            image = expanded(behind, self._arguments, lost)
            if image.text and not lost:
                self._image(image, behind, subject, stage.line)
                return
            listed = ", ".join(stage.unresolved)
            self._scribe.note(
                "image", Meaning.UNKNOWN, word.offsets[0], word.offsets[-1] + 1, subject=subject,
                unclear=f"The value of {listed} is given to the build from outside, and the file has no default.",
            )  # fmt: skip
            return
        self._image(expanded(word, self._arguments), word, subject, stage.line)
        # a default that is never used still misleads who reads it
        self._image(expanded(word, {}), word, subject, stage.line, only_more=True)

    def _image(self, image: Traced, word: Traced, subject: str, line: int, *, only_more: bool = False) -> None:
        found = python_image(image.text)
        if found is None or not word.offsets:
            return
        whole = (word.offsets[0], word.offsets[-1] + 1)
        if found.span is None:
            if not only_more:
                meaning = Meaning.EXACT if found.version else Meaning.FLOATING
                self._scribe.note(
                    "image", meaning, *whole, text=image.text, subject=subject, version=found.version,
                    fixed=found.reason, unclear=found.reason, images=(image.text,),
                )  # fmt: skip
            return
        span = image.span(*found.span)
        if span is None and only_more:
            return
        fixed = found.reason if span else "The version is put together from several variables."
        start, end = span or whole
        if self._scribe.has(start):
            self._scribe.also_in(start, image.text, line)
            return
        self._scribe.note(
            "image", Meaning.EXACT, start, end, text=image.text, subject=subject, version=found.version, fixed=fixed,
            images=(image.text,), serves=(line,),
        )  # fmt: skip

    # ---- what stands on the images

    def _other(self, stage: Stage | None, instruction: Instruction, masked: str) -> None:
        self._several = stage is not None and len(self._own.get(stage.index, ())) > 1
        if instruction.keyword in ("COPY", "ADD", "RUN"):
            self._other_images(instruction, masked)
        if instruction.keyword in ("ENV", "ARG"):
            self._variables(instruction, masked)
        if instruction.keyword == "LABEL":
            self._labels(instruction, masked)
            return
        sources = self._sources(instruction, masked, stage)
        for match in _INSTALLED.finditer(masked):
            name = "version" if match["version"] else "conda"
            self._note(instruction, Meaning.EXACT, match.span(name), subject="the Python that is installed")
        for match in _SOURCE.finditer(masked):
            self._note(
                instruction, Meaning.EXACT, match.span("version"), subject="the Python that is built",
                keeps_patch=True,
            )  # fmt: skip
        for match in _WHEEL.finditer(masked):
            self._note(
                instruction, Meaning.EXACT, match.span("version"), subject="a wheel",
                fixed="It is the name of a wheel; which one there is for another Python has to be looked up.",
            )  # fmt: skip
        packages = [match.span() for match in _COMMANDS.finditer(masked)]
        for match in _WORD.finditer(masked):
            ground = self._ground(masked, match, sources, packages, stage)
            meaning = Meaning.EXACT if ground.fixed or ground.line is None else Meaning.PATH
            self._note(
                instruction, meaning, match.span("version"), text=_around(masked, match),
                subject="a path or command", bound_line=ground.line, fixed=ground.fixed,
            )  # fmt: skip

    def _note(
        self, instruction: Instruction, meaning: Meaning, span: tuple[int, int], *, subject: str, text: str = "",
        bound_line: int | None = None, fixed: str = "", keeps_patch: bool = False,
    ) -> None:  # fmt: skip
        start, end = instruction.start + span[0], instruction.start + span[1]
        written = self._text[start:end]
        if self._several and meaning is Meaning.EXACT and not fixed:
            meaning = Meaning.APART
        self._scribe.note(
            "image", meaning, start, end, text=text or written, subject=subject, version=version_of(written),
            bound_line=bound_line, fixed=fixed, keeps_patch=keeps_patch, declared=False,
        )  # fmt: skip

    def _other_images(self, instruction: Instruction, masked: str) -> None:
        for match in _FROM_FLAG.finditer(masked):
            if any(match["image"].lower() == stage.name for stage in self._dockerfile.stages if stage.name):
                continue
            start, end = _unquoted(masked, *match.span("image"))
            word = Traced.of(self._text, instruction.start + start, instruction.start + end)
            image = expanded(word, self._arguments)
            found = python_image(image.text)
            if found and found.version:  # else it is no Python that is copied, but uv's program for one
                self._image(image, word, "an image that is copied from", instruction.line)

    def _variables(self, instruction: Instruction, masked: str) -> None:
        for name, start, end in _assigned(masked):
            value = masked[start:end]
            if not _NAME.fullmatch(name) or "$" in value:
                continue
            version = version_of(value)
            if version is None:
                continue
            patch = value.count(".") > 1
            self._note(instruction, Meaning.EXACT, (start, end), subject=name, keeps_patch=patch)

    def _labels(self, instruction: Instruction, masked: str) -> None:
        if "python" in masked.lower():
            for match in _IN_LABEL.finditer(masked):
                self._note(instruction, Meaning.LABEL, match.span(), subject="a label")

    # ---- whose Python it is

    def _sources(self, instruction: Instruction, masked: str, stage: Stage | None) -> tuple[int, _Ground] | None:
        """Of a COPY from a stage: up to where its words name what lies there, and whose Python that is."""
        flag = _FROM_FLAG.search(masked) if instruction.keyword in ("COPY", "ADD") else None
        if not flag:
            return None
        last = re.search(r"\S+\s*\Z", masked)
        end = last.start() if last else len(masked)
        name = flag["image"].strip("\"'").lower()
        for number, found in enumerate(self._dockerfile.stages):
            if name in (found.name, str(number)) and (found.name or name == str(number)):
                return end, self._of_stage(found)
        image = python_image(name)
        if image and image.version:
            return end, _Ground(line=instruction.line)
        return end, _Ground(fixed=f"It is copied from {name[:80]}, of whose Python nothing is known here.")

    def _of_stage(self, stage: Stage | None) -> _Ground:
        if stage is None:
            return _Ground(fixed="It stands before the first image.")
        if stage.python and stage.interpreter:
            return _Ground(line=stage.image_line)
        chain: Stage | None = stage
        while chain is not None:
            if chain.index in self._own:
                return _Ground()
            chain = self._dockerfile.stages[chain.parent] if chain.parent is not None else None
        if self._deadsnakes:
            return _Ground()
        return _Ground(
            fixed=f"It belongs to the Python of {stage.image[:80] or 'the base image'}; which other one there is to "
            "move to is not known here."
        )

    def _ground(
        self, masked: str, match: re.Match[str], sources: tuple[int, _Ground] | None,
        packages: Sequence[tuple[int, int]], stage: Stage | None,
    ) -> _Ground:  # fmt: skip
        here = self._of_stage(stage)
        before = re.search(r"[^\s\"'=:,;&|()]*\Z", masked[max(0, match.start() - 300) : match.start()])
        folder = before[0] if before else ""
        suffix = _PACKAGE.match(masked, match.end())
        packaged = not folder and match["name"] == "python" and any(a <= match.start() < b for a, b in packages)
        if packaged or match["lib"] or (suffix and not folder):
            if suffix and suffix[0] == "-distutils":
                return _Ground(fixed="distutils left Python with 3.12, and there is no such package any more.")
            if self._deadsnakes:
                return _Ground()
            return _Ground(fixed="It is a package of the distribution; whether it has one for another Python is open.")
        if folder.startswith(_DISTRIBUTION):
            if self._deadsnakes or (here.line is None and not here.fixed):
                return _Ground()
            return _Ground(fixed="It belongs to the distribution's own Python, not to the image's in /usr/local.")
        if sources and (match.start() < sources[0] or here.fixed):
            return sources[1]
        return here


def _masked(text: str, instruction: Instruction) -> str:
    """The instruction's characters, with blanks for what only joins its lines and for comments: no place moves."""
    raw = text[instruction.start : instruction.body_end or instruction.end]
    parts: list[str] = []
    for line in re.findall(r"[^\r\n]*(?:\r\n|\r|\n|\Z)", raw):
        joined = line.rstrip()
        if not joined or joined.lstrip().startswith("#"):
            parts.append(" " * len(line))
        elif joined.endswith(instruction.escape):
            parts.append(joined[:-1] + " " * (len(line) - len(joined) + 1))
        else:
            parts.append(line)
    return "".join(parts)


def _assigned(masked: str) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of each value that an ARG or ENV gives; quotation marks are left out."""
    keyword = re.match(r"\s*\S+\s+", masked)
    position = keyword.end() if keyword else len(masked)
    old_form = re.compile(r"([A-Za-z_]\w*)\s+([^\s=]+)\s*\Z", re.ASCII).match(masked, position)
    if old_form and masked[:position].strip().upper() == "ENV":
        yield (old_form[1], *_unquoted(masked, *old_form.span(2)))
        return
    for match in _ASSIGNMENT.finditer(masked, position):
        if match["value"]:
            yield (match["name"], *_unquoted(masked, *match.span("value")))


def _unquoted(text: str, start: int, end: int) -> tuple[int, int]:
    if end - start >= 2 and text[start] == text[end - 1] and text[start] in "\"'":
        return start + 1, end - 1
    return start, end


def _around(masked: str, match: re.Match[str]) -> str:
    """The whole word that the version stands in."""
    before = re.search(r"[^\s\"';&|()]*\Z", masked[max(0, match.start() - 200) : match.start()])
    after = re.match(r"[^\s\"';&|()]*", masked[match.end() : match.end() + 200])
    return (before[0] if before else "") + match[0] + (after[0] if after else "")
