"""The images that a service builds: their Dockerfile, build context and entry point, and the protocols to check them.

Only reads files of the tree.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.formats.dockerfile import is_dockerfile, read_dockerfile
from pytest_py312.repository.recipes.commands.file_map import find_build_context
from pytest_py312.repository.services.detection.service_files import is_production_dockerfile
from pytest_py312.repository.tree import Tree

MAX_IMAGES = 4
"""Maximum number of Dockerfiles that are built of one service."""

_SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "waitress-serve", "celery"})
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_NON_PYTHON_PROGRAMS = _SHELLS | {"npm", "node", "nginx", "supervisord", "make"}
_PYTHON = re.compile(r"(?:.*/)?python(?:3(?:\.\d+)?)?", re.ASCII)
_APP_REFERENCE = re.compile(r"(?P<module>[A-Za-z_][\w.]*):[A-Za-z_][\w.()]*", re.ASCII)
_MODULE = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)
_WRAPPER_WORDS = frozenset({"exec", "env", "tini", "dumb-init", "/usr/bin/tini", "/sbin/tini", "--", "-g"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceImage:
    """A Dockerfile and its build context, both relative to the root."""

    dockerfile: str
    context: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageJob:
    """An image to build and to check on ``interpreter``.

    ``changed`` maps files of the repository to the content that they have in the build (with migrated versions).
    ``memory_limit`` is in bytes, for each container of the finished image.
    """

    identifier: str
    root: Path
    image: ServiceImage
    interpreter: Interpreter
    changed: Mapping[str, bytes] = field(default_factory=dict)
    memory_limit: int = 2 * 1024**3
    network: bool = False


class ImageHealth(Enum):
    """The result of a container's own health check."""

    NONE = "it has none"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    ENDED = "ended before it was healthy"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageCheckResult:
    """The result of an :class:`ImageJob`.

    ``unchecked`` is the reason why the image could not be checked (empty: it was). ``failed`` is the instruction at
    which the build failed (empty: it succeeded), ``line`` its line, ``output`` the end of the build's output.
    ``version`` is the output of ``python -VV``, ``entry_point`` what was imported, ``import_error`` the end of its
    traceback, ``last_output`` the last output of the health check, or of a container that ended.
    """

    dockerfile: str
    unchecked: str = ""
    failed: str = ""
    line: int | None = None
    output: str = ""
    version: str = ""
    entry_point: str = ""
    import_error: str = ""
    health: ImageHealth = ImageHealth.NONE
    last_output: str = ""

    @property
    def interpreter(self) -> Interpreter | None:
        """The Python in the image, if it printed its version."""
        match = re.search(r"Python (3\.\d+\.\d+)", self.version)
        return Interpreter.parse(match[1]) if match else None


@runtime_checkable
class ImageChecker(Protocol):
    """A runner that can build images."""

    def check_image(self, job: ImageJob) -> ImageCheckResult:
        """Build and check an image. Never raises for what the image does, or for a lost engine."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageStartup:
    """Startup of a container: ``seconds`` until it was healthy, and the ``memory`` of its processes then.

    ``memory`` is in bytes (0: unknown). ``unchecked`` is the reason why nothing was measured (empty: it was).
    """

    seconds: float = 0.0
    memory: int = 0
    unchecked: str = ""


@runtime_checkable
class ImageStarter(Protocol):
    """A runner that can start images."""

    def start_image(self, job: ImageJob, seed: int) -> ImageStartup:
        """Start the image with ``seed`` as the hash seed, and stop it once it is healthy. It is built only once.

        Never raises for what the image does, or for a lost engine.
        """
        ...


# ---- which images


def service_images(tree: Tree, service: Service, files: Iterable[str]) -> tuple[ServiceImage, ...]:
    """Return the production images with Python among ``files``, the service's own files."""
    images = []
    for path in files:
        if not (is_dockerfile(path.rpartition("/")[2]) and is_production_dockerfile(path, service.path)):
            continue
        text = tree.read_or_none(path)
        dockerfile = read_dockerfile(text, path) if text is not None else None
        if dockerfile is not None and dockerfile.final_stage is not None and dockerfile.final_stage.is_python:
            images.append(ServiceImage(dockerfile=path, context=find_build_context(tree, service.path, dockerfile)))
    return tuple(images[:MAX_IMAGES])


def declares_health_check(tree: Tree, image: ServiceImage) -> bool:
    """Return whether the image has a health check, of its own stage or of one that this builds on."""
    dockerfile = read_dockerfile(tree.read_or_none(image.dockerfile) or "", image.dockerfile)
    stages = dockerfile.chain_of(dockerfile.final_stage) if dockerfile.final_stage is not None else ()
    for stage in stages:
        checks = [each for each in dockerfile.instructions_of(stage) if each.keyword == "HEALTHCHECK"]
        if checks:
            return checks[-1].arguments.strip().upper() != "NONE"
    return False


# ---- what it starts


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageEntryPoint:
    """What an image starts: a ``module``, a ``script`` (a path) or a ``command`` (a console script)."""

    kind: str
    name: str

    def __str__(self) -> str:
        return self.name


def entry_point_of(argv: Sequence[str]) -> ImageEntryPoint | None:
    """Return what ``argv`` starts; ``None`` if it is not Python, or cannot be determined."""
    words = [
        word for word in _unwrap_shell(argv) if word not in _WRAPPER_WORDS and not re.match(r"[A-Za-z_]\w*=", word)
    ]
    if not words:
        return None
    program, arguments = words[0], words[1:]
    if _PYTHON.fullmatch(program):
        return _python_entry_point(arguments)
    name = program.rpartition("/")[2]
    if name in _SERVERS:
        return _server_entry_point(name, arguments)
    if program.endswith(".py"):
        return ImageEntryPoint(kind="script", name=program)
    if program.endswith(".sh") or name in _NON_PYTHON_PROGRAMS:
        return None
    return ImageEntryPoint(kind="command", name=name) if name else None


def _unwrap_shell(argv: Sequence[str]) -> Sequence[str]:
    """Return the words of the last command in a shell's ``-c`` argument; other command lines stay as they are."""
    is_shell = len(argv) >= 3 and argv[0].rpartition("/")[2] in _SHELLS
    if is_shell and argv[1].startswith("-") and "c" in argv[1]:
        last = re.split(r"&&|;", argv[2])[-1]
        try:
            return shlex.split(last)
        except ValueError:
            return ()
    return argv


def _python_entry_point(arguments: Sequence[str]) -> ImageEntryPoint | None:
    for number, word in enumerate(arguments):
        if word == "-m" and number + 1 < len(arguments):
            module, remaining = arguments[number + 1], arguments[number + 2 :]
            if module in _SERVERS:
                return _server_entry_point(module, remaining)
            return ImageEntryPoint(kind="module", name=module) if _MODULE.fullmatch(module) else None
        if word in ("-c", "-"):
            return None
        if word and not word.startswith("-") and (number == 0 or arguments[number - 1] not in ("-W", "-X")):
            return ImageEntryPoint(kind="script", name=word)
    return None


def _server_entry_point(name: str, words: Sequence[str]) -> ImageEntryPoint | None:
    """Find ``app.main:app`` among the arguments of a server; celery has it in an option."""
    if name == "celery":
        return _module_option_entry_point(words, ("-A", "--app"))
    match = next((match for word in words if (match := _APP_REFERENCE.fullmatch(word))), None)
    return ImageEntryPoint(kind="module", name=match["module"]) if match else None


def _module_option_entry_point(words: Sequence[str], options: Sequence[str]) -> ImageEntryPoint | None:
    for number, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in options:
            name = (value if equals else next(iter(words[number + 1 :]), "")).partition(":")[0]
            return ImageEntryPoint(kind="module", name=name) if _MODULE.fullmatch(name) else None
    return None
