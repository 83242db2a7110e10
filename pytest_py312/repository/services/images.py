"""The images that a service builds itself: from which Dockerfile, in which context, and what their command starts. Pure
but for the tree, which is read.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.declarations.reader import is_dockerfile
from pytest_py312.repository.formats.dockerfile import DockerfileText, Instruction, read_dockerfile
from pytest_py312.repository.services.service_files import is_production
from pytest_py312.repository.tree import Tree, escapes, join

MOST = 4
"""Dockerfiles of one service that are built."""

_SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "waitress-serve", "celery"})
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_NOT_PYTHON = _SHELLS | {"npm", "node", "nginx", "supervisord", "make"}
_PYTHON = re.compile(r"(?:.*/)?python(?:3(?:\.\d+)?)?", re.ASCII)
_TARGET = re.compile(r"(?P<module>[A-Za-z_][\w.]*):[A-Za-z_][\w.()]*", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_SHELL_WORDS = frozenset({"exec", "env", "tini", "dumb-init", "/usr/bin/tini", "/sbin/tini", "--", "-g"})


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnImage:
    """A Dockerfile and the folder that it is built in, both relative to the root."""

    dockerfile: str
    context: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageJob:
    """An image to build and to try on ``interpreter``.

    ``changed`` are files of the repository that hold something else in the build: the places that were moved.
    ``memory_limit`` is in bytes, for each container of the finished image.
    """

    identifier: str
    root: Path
    image: OwnImage
    interpreter: Interpreter
    changed: Mapping[str, bytes] = field(default_factory=dict)
    memory_limit: int = 2 * 1024**3
    network: bool = False


class Health(Enum):
    """What a container's own health check came to."""

    NONE = "it has none"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    ENDED = "ended before it was healthy"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageRun:
    """What came of an :class:`ImageJob`. ``unchecked`` is not empty where it could not be tried, and says why.

    ``failed`` is the instruction at which the build failed (empty: it is built), ``line`` its line, ``output`` the end
    of what was printed. ``version`` is the answer to ``python -VV``, ``entry`` what was imported, ``import_error`` the
    end of the traceback, ``said`` the last words of the health check, or of a container that ended.
    """

    dockerfile: str
    unchecked: str = ""
    failed: str = ""
    line: int | None = None
    output: str = ""
    version: str = ""
    entry: str = ""
    import_error: str = ""
    health: Health = Health.NONE
    said: str = ""

    @property
    def interpreter(self) -> Interpreter | None:
        """The Python in the image, where it said which."""
        match = re.search(r"Python (3\.\d+\.\d+)", self.version)
        return Interpreter.parse(match[1]) if match else None


@runtime_checkable
class ImageProver(Protocol):
    """A runner that builds images."""

    def prove_image(self, job: ImageJob) -> ImageRun:
        """Build and try an image. Never raises for what the image does, or for an engine that goes away."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageStart:
    """How long a container took until it was healthy, in ``seconds``, and the ``memory`` of all its processes then, in
    bytes (0: unknown). ``unchecked`` is not empty where that was not measured, and says why."""

    seconds: float = 0.0
    memory: int = 0
    unchecked: str = ""


@runtime_checkable
class ImageStarter(Protocol):
    """A runner that starts images."""

    def start_image(self, job: ImageJob, seed: int) -> ImageStart:
        """Start the image, with ``seed`` for Python's hashes, and end it when it is healthy. It is built once.

        Never raises for what the image does, or for an engine that goes away.
        """
        ...


# ---- which images


def own_images(tree: Tree, service: Service, files: Iterable[str]) -> tuple[OwnImage, ...]:
    """The images of a service, ``files`` being its own, which its production runs and which have Python in them."""
    found = []
    for path in files:
        if not (is_dockerfile(path.rpartition("/")[2]) and is_production(path, service.path)):
            continue
        text = tree.text(path)
        dockerfile = read_dockerfile(text, path) if text is not None else None
        if dockerfile is not None and dockerfile.final is not None and dockerfile.final.python:
            found.append(OwnImage(dockerfile=path, context=_context(tree, service, dockerfile)))
    return tuple(found[:MOST])


def declares_health(tree: Tree, image: OwnImage) -> bool:
    """Whether the last stage of the image's Dockerfile has a health check."""
    found = False
    for one in read_dockerfile(tree.text(image.dockerfile) or "", image.dockerfile).instructions:
        if one.keyword == "FROM":
            found = False
        elif one.keyword == "HEALTHCHECK":
            found = one.arguments.strip().upper() != "NONE"
    return found


def _context(tree: Tree, service: Service, dockerfile: DockerfileText) -> str:
    """The folder that has most of what the Dockerfile copies: the service's, the Dockerfile's own, or the root."""
    candidates = dict.fromkeys((service.path, join(".", dockerfile.path.rpartition("/")[0] or "."), "."))
    sources = [source for one in dockerfile.instructions for source in _copied(one)]
    return max(candidates, key=lambda folder: sum(_is_there(tree, folder, source) for source in sources))


def _copied(instruction: Instruction) -> Iterator[str]:
    """What a COPY or ADD takes from the context."""
    if instruction.keyword not in ("COPY", "ADD") or "<<" in instruction.arguments or "--from" in instruction.arguments:
        return
    words = [word for word in words_of(instruction.arguments) if not word.startswith("--")]
    for word in words[:-1]:
        if "$" not in word and "://" not in word and not word.startswith("git@"):
            yield word.lstrip("/")


def words_of(arguments: str) -> list[str]:
    """What an instruction of a Dockerfile lists, as JSON or in the manner of a shell."""
    try:
        if arguments.lstrip().startswith("["):
            listed = json.loads(arguments)
            return [str(word) for word in listed] if isinstance(listed, list) else []
        return shlex.split(arguments)
    except (ValueError, RecursionError):
        return arguments.split()


def _is_there(tree: Tree, folder: str, source: str) -> bool:
    fixed = re.split(r"[*?\[]", source, maxsplit=1)[0]
    path = join(folder, (fixed if fixed == source else fixed.rpartition("/")[0]) or ".")
    return not escapes(path) and (tree.is_file(path) or tree.is_folder(path))


# ---- what it starts


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What the command of an image starts: a ``module``, a ``script`` (a path) or a ``command`` (a console script)."""

    kind: str
    name: str

    def __str__(self) -> str:
        return self.name


def entry_of(argv: Sequence[str]) -> Entry | None:
    """What can be imported of what ``argv`` starts; ``None`` where that is not Python, or nothing tells."""
    words = [word for word in _unwrapped(argv) if word not in _SHELL_WORDS and not re.match(r"[A-Za-z_]\w*=", word)]
    if not words:
        return None
    program, rest = words[0], words[1:]
    if _PYTHON.fullmatch(program):
        return _of_python(rest)
    name = program.rpartition("/")[2]
    if name in _SERVERS:
        return _of_server(name, rest)
    if program.endswith(".py"):
        return Entry(kind="script", name=program)
    if program.endswith(".sh") or name in _NOT_PYTHON:
        return None
    return Entry(kind="command", name=name) if name else None


def _unwrapped(argv: Sequence[str]) -> Sequence[str]:
    """The words of a shell's command line, up to where it goes on with another one."""
    is_shell = len(argv) >= 3 and argv[0].rpartition("/")[2] in _SHELLS
    if is_shell and argv[1].startswith("-") and "c" in argv[1]:
        last = re.split(r"&&|;", argv[2])[-1]
        try:
            return shlex.split(last)
        except ValueError:
            return ()
    return argv


def _of_python(rest: Sequence[str]) -> Entry | None:
    for number, word in enumerate(rest):
        if word == "-m" and number + 1 < len(rest):
            module, more = rest[number + 1], rest[number + 2 :]
            if module in _SERVERS:
                return _of_server(module, more)
            return Entry(kind="module", name=module) if _MODULE.fullmatch(module) else None
        if word in ("-c", "-"):
            return None
        if word and not word.startswith("-") and (number == 0 or rest[number - 1] not in ("-W", "-X")):
            return Entry(kind="script", name=word)
    return None


def _of_server(name: str, words: Sequence[str]) -> Entry | None:
    """``app.main:app`` among the arguments of a server; celery has it in an option."""
    if name == "celery":
        return _after(words, ("-A", "--app"))
    match = next((match for word in words if (match := _TARGET.fullmatch(word))), None)
    return Entry(kind="module", name=match["module"]) if match else None


def _after(words: Sequence[str], options: Sequence[str]) -> Entry | None:
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in options:
            name = (value if equals else next(iter(words[number + 1 :]), "")).partition(":")[0]
            return Entry(kind="module", name=name) if _MODULE.fullmatch(name) else None
    return None
