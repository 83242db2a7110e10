"""Read the runs of protoc that write the modules which a repository does not have: ``python -m grpc_tools.protoc``."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import CodeGeneration
from pytest_py312.repository.formats.commands.shell import UNKNOWN
from pytest_py312.repository.recipes.commands.file_map import FileMap, resolve_path
from pytest_py312.repository.tree import Tree, is_inside, join_path, leaves_root, lies_in

RUN_LIMIT = 200
"""Maximum number of runs of protoc of one service; where there are more, none is repeated."""
PROTO_LIMIT = 1_000
"""Maximum number of files that one run reads; one with more is not repeated."""
_PROTO_SIZE = 1024**2
_OUTPUT = re.compile(r"--(?!descriptor_set_out$|dependency_out$)\w{0,40}_out", re.ASCII)
_GENERATED = {"--python_out": "_pb2.py", "--grpc_python_out": "_pb2_grpc.py"}
"""What generators put in place of ``.proto``; https://protobuf.dev/reference/python/python-generated/."""
_IMPORT = re.compile(
    r"^[ \t]*import[ \t]+(?:public[ \t]+|weak[ \t]+)?[\"'](?P<name>[^\"'\n]{1,300})[\"']", re.MULTILINE
)
_INCLUDE = "--proto_path"
_MODULE = "grpc_tools.protoc"
_FLAG = re.compile(r"--[A-Za-z][\w-]{0,60}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocOutput:
    """What one generator of protoc writes into ``folder``, an absolute path where protoc runs."""

    option: str
    folder: str
    parameters: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtocRun:
    """A run of protoc. ``includes`` are folders of the repository, ``protos`` are files: (folder in includes, name)."""

    location: Location
    includes: tuple[str, ...]
    protos: tuple[tuple[str, str], ...]
    outputs: tuple[ProtocOutput, ...]
    flags: tuple[str, ...] = ()


def read_protoc_run(words: Sequence[str], folder: str, files: FileMap, location: Location) -> ProtocRun | None:
    """Return a run of ``grpc_tools.protoc`` whose files are all in the repository; ``None`` for any other command.

    :param folder: the absolute path in which it runs.
    :param files: what lies where it runs.
    """
    arguments_of_protoc = _arguments(words)
    if arguments_of_protoc is None or any(UNKNOWN in word or "$" in word for word in words):
        return None
    includes: list[str] = []
    outputs: list[ProtocOutput] = []
    flags: list[str] = []
    arguments: list[str] = []
    for option, value in _options(arguments_of_protoc):
        if option == _INCLUDE:
            includes += value.split(":")
        elif _OUTPUT.fullmatch(option):
            first, colon, rest = value.partition(":")
            parameters, target = (first, rest) if colon else ("", value)
            outputs.append(ProtocOutput(option=option, folder=resolve_path(target, folder), parameters=parameters))
        elif not option:
            arguments.append(value)
        elif _FLAG.fullmatch(option) and (not value or option.endswith("_opt")):
            flags.append(f"{option}={value}" if value else option)
        else:
            return None  # a plugin, or a file outside of the repository
    paths = [resolve_path(include, folder) for include in includes or ["."]]
    given = [path for word in arguments for path in files.expand(resolve_path(word, folder))]
    protos = [_proto(files, path, folder, paths) for path in given]
    named = tuple(dict.fromkeys(proto for proto in protos if proto is not None))
    if not outputs or not named or None in protos or len(named) > PROTO_LIMIT:
        return None
    places = [folder_at(files, path) for path in paths]
    return ProtocRun(
        location=location,
        includes=tuple(dict.fromkeys((*(place for place, _ in named), *filter(None, places)))),
        protos=named,
        outputs=tuple(outputs),
        flags=tuple(flags),
    )


def _arguments(words: Sequence[str]) -> Sequence[str] | None:
    """Return the arguments of protoc in ``python -u -m grpc_tools.protoc ...``; ``None`` for other commands."""
    if not words[0].rpartition("/")[2].startswith("python"):
        return None
    for number, word in enumerate(words[1:], start=1):
        if word == "-m":
            return words[number + 2 :] if list(words[number + 1 : number + 2]) == [_MODULE] else None
        if word == f"-m{_MODULE}":
            return words[number + 1 :]
        if not re.fullmatch(r"-[BbdEIOPqRsSuvx]+", word):
            return None
    return None


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of protoc with their values, and its files without an option."""
    pending = ""
    for word in words:
        if pending:
            yield pending, word
            pending = ""
        elif word.startswith("-I"):
            if word == "-I":
                pending = _INCLUDE
            else:
                yield _INCLUDE, word[2:].removeprefix("=")
        elif word.startswith("--"):
            option, equals, value = word.partition("=")
            if not equals and (option == _INCLUDE or _OUTPUT.fullmatch(option)):
                pending = option
            else:
                yield option, value
        else:
            yield "", word


def _proto(files: FileMap, path: str, folder: str, includes: Sequence[str]) -> tuple[str, str] | None:
    """Return a file as protoc names it, after the folder of the repository in which it has this name.

    It is given as a path in one of ``includes``, or by its name there: ``protoc --help``.
    """
    relative = posixpath.relpath(path, folder)
    for include in includes:
        inner = path if lies_in(path, include) else posixpath.join(include, relative)
        name = posixpath.relpath(inner, include)
        source = files.find(inner)
        if source is not None and files.tree.is_file(source) and f"/{source}".endswith(f"/{name}"):
            return source.removesuffix(name).rstrip("/") or ".", name
    return None


def folder_at(files: FileMap, path: str) -> str | None:
    """Return the folder of the repository at ``path``: also one of which only single files were copied there."""
    source = files.find(path)
    if source is not None:
        return source if files.tree.is_folder(source) else None
    for mount in reversed(files.mounts):
        outer, name = posixpath.split(mount.destination)
        if outer == path and posixpath.basename(mount.source) == name and files.tree.is_file(mount.source):
            return posixpath.dirname(mount.source) or "."
    return None


def moved_run(run: ProtocRun, source: str, destination: str) -> ProtocRun | None:
    """Return the run as one that writes to ``destination``, to which ``source`` was copied; ``None`` if it is not.

    ``source`` may be a folder around the modules or of some of them, a module, or a pattern for several.
    """
    name = posixpath.basename(source)
    if "*" in name or name.endswith(".py"):
        source = posixpath.dirname(source)
        destination = posixpath.dirname(destination) if destination.endswith(".py") else destination
    outputs = []
    for output in run.outputs:
        if lies_in(output.folder, source) or lies_in(source, output.folder):
            inner = posixpath.relpath(output.folder, source)
            outputs.append(replace(output, folder=posixpath.normpath(posixpath.join(destination, inner))))
    return replace(run, outputs=tuple(outputs)) if outputs else None


def generations_of(runs: Iterable[ProtocRun], files: FileMap, service_path: str) -> tuple[CodeGeneration, ...]:
    """Return the runs as commands of a cell: those that write modules into the service which it does not have."""
    unique = tuple(dict.fromkeys(runs))
    if len(unique) > RUN_LIMIT:
        return ()
    return tuple(filter(None, (_generation(run, files, service_path) for run in unique)))


def _generation(run: ProtocRun, files: FileMap, service_path: str) -> CodeGeneration | None:
    written = {output: _written_folder(files, output.folder) for output in run.outputs}
    outputs = {output: place for output, place in written.items() if place and is_inside(place, service_path)}
    if not outputs or all(_is_committed(files.tree, run, output, place) for output, place in outputs.items()):
        return None

    def inside(path: str) -> str:
        return posixpath.relpath(path, service_path)

    targets = [
        f"{output.option}={output.parameters}{':' if output.parameters else ''}{inside(place)}"
        for output, place in outputs.items()
    ]
    protos = [posixpath.join(inside(place), name) for place, name in run.protos]
    return CodeGeneration(
        words=("python", "-m", "grpc_tools.protoc", *(f"-I{inside(place)}" for place in run.includes), *run.flags,
               *targets, *protos),
        outputs=tuple(dict.fromkeys(inside(place) for place in outputs.values())),
        folders=tuple(sorted(_folders_read(files.tree, run))),
        location=run.location,
    )  # fmt: skip


def _folders_read(tree: Tree, run: ProtocRun) -> set[str]:
    """Return the folders of the repository that a run reads. Of the root only those of its files, as it is large."""
    read: set[tuple[str, str]] = set()
    pending = list(run.protos)
    while pending and len(read) < PROTO_LIMIT:
        place, name = pending.pop()
        if (place, name) in read:
            continue
        read.add((place, name))
        text = tree.read_or_none(join_path(place, name)) or ""
        imports = [posixpath.normpath(match["name"]) for match in _IMPORT.finditer(text[:_PROTO_SIZE])]
        places = (place, *run.includes)
        pending += [(each, name) for name in imports for each in places if _is_file_of(tree, each, name)]
    of_files = {join_path(place, posixpath.dirname(name)) for place, name in read}
    return ({*run.includes} | of_files) - {"."}


def _is_file_of(tree: Tree, folder: str, name: str) -> bool:
    path = join_path(folder, name)
    return not leaves_root(path) and tree.is_file(path)


def _written_folder(files: FileMap, path: str) -> str:
    """Return the folder of the repository that corresponds to ``path``, even if it is made there; empty without one."""
    outer, made = path, ""
    while outer != "/":
        place = folder_at(files, outer)
        if place is not None:
            written = join_path(place, made) if made else place
            return "" if leaves_root(written) else written
        made = posixpath.join(posixpath.basename(outer), made) if made else posixpath.basename(outer)
        outer = posixpath.dirname(outer)
    return ""


def _is_committed(tree: Tree, run: ProtocRun, output: ProtocOutput, folder: str) -> bool:
    """Return whether the repository has the modules that a generator writes already; those of type checkers count."""
    suffix = _GENERATED.get(output.option)
    names = (name.removesuffix(".proto").replace("-", "_") for _, name in run.protos)
    return suffix is None or all(tree.is_file(join_path(folder, f"{name}{suffix}")) for name in names)
