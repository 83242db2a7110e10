"""Assign files outside of all services to the services that they name.

A workflow at the root has jobs for different services, a compose file an entry for each. So every part of a file is
assigned on its own; a part that names no service is assigned by what the rest of the file names. The module also lists
the shared files that may declare a Python version, and computes a digest of them. It never raises for what is in a
file.
"""

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_py312.core.model.fleet import Service
from pytest_py312.core.service_patterns import matches
from pytest_py312.repository.declarations.reader import (
    can_declare_versions,
    is_cdk_program,
    is_jenkinsfile,
    is_source,
    is_terraform,
    is_yaml,
)
from pytest_py312.repository.formats.dockerfile import is_dockerfile
from pytest_py312.repository.formats.text_positions import (
    blank_hash_comments,
    blank_slash_comments,
    without_jinja_ending,
)
from pytest_py312.repository.services.detection.service_files import THIRD_PARTY_FOLDERS
from pytest_py312.repository.services.file_parts import matrix_combinations, yaml_parts
from pytest_py312.repository.tree import VENDORED_FOLDERS, Tree, join_path, with_outer_folders

ServiceNames = frozenset[str]
"""Names of services."""

_TOKEN = re.compile(r"[^\s\"'`,;()<>|=:\[\]]+")
_WORD = re.compile(r"[\w.-]+", re.ASCII)
_COMPOUND_WORD = re.compile(r"[a-z0-9][-_.0-9]", re.IGNORECASE | re.ASCII)
"""A name of one common word (``user``) is too ambiguous: it only counts where a service is expected."""
_SERVICE_KEY = re.compile(
    r"(?:^|[\s{,-])(?:working[-_]directory|context|build|directory|path|folder|service|component|app|project|module)s?"
    r"[\"']?\s*[:=]\s*[\"']?(?:\./)?([\w.-]+)",
    re.IGNORECASE,
)
_LIST_ITEM = re.compile(
    r"(?m)^[ \t]*-[ \t]+[\"']?([\w.-]+)[\"']?[ \t]*(?:#.*)?$|[\[,][ \t]*[\"']?([\w.-]+)[\"']?(?=[ \t]*[,\]])"
)
_USED_FILE = re.compile(r"(?m)\b(?:uses|local|template):[ \t]*[\"']?\.?/([^\s\"'@,{}\]]+)")
_KEY_SUFFIX = re.compile(
    r"(?:[-_.](?:tests?|testing|unit|integration|ci|checks?|lint|build|image|docker|py(?:thon)?-?3[.\d]{0,5})){1,4}\Z",
    re.IGNORECASE | re.ASCII,
)
_DEPENDENCIES = re.compile(
    r"(?m)^(?P<indent>[ ]{0,40})(?:depends_on|depends-on|dependencies|needs|resources|links):[^\r\n]*(?:\r?\n|\Z)"
    r"(?:(?P=indent)(?:[ ]|-[ ])[^\r\n]*(?:\r?\n|\Z)|[ ]*\r?\n)*"
)
"""What a part of a file only waits for, or is built with."""
_RESOURCES = re.compile(
    r"(?m)\bresources:[ ]{0,8}\[[^\]]{0,5000}\]|"
    r"^(?P<indent>[ ]{0,40})resources:[^\r\n]*(?:\r?\n|\Z)"
    r"(?:(?P=indent)(?:[ ]|-[ ])[^\r\n]*(?:\r?\n|\Z)|[ ]*\r?\n)*"
)
"""The files that a task is computed from."""
_TOX_ROOT = re.compile(r"\{(?:toxinidir|tox_root)\}/?", re.ASCII)
_CODE_FOLDER = re.compile(
    r"(?m)^[ \t]*(?:CodeUri|DockerContext|Code):[ \t]*[\"']?(?P<path>[\w.][\w./-]{0,300})[\"']?[ \t]*$", re.ASCII
)
_HANDLER = re.compile(r"(?m)^[ \t]*handler:[ \t]*[\"']?(?P<path>[\w.][\w./-]{0,300})[\"']?[ \t]*$", re.ASCII)
"""Of a function in a serverless.yml: the file with its code, with the function in place of the ending."""
_VALUE = re.compile(r":[ \t]*[\"']?(?P<value>[\w.-]+)[\"']?[ \t]*(?=[,}\r\n]|\Z)")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceNameIndex:
    """The names under which files refer to services: path, name, or folder name if it is unique."""

    paths: Mapping[str, str]
    names: Mapping[str, str]
    services_below: Mapping[str, ServiceNames]
    """Folder -> the services below it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePart:
    """The characters from ``start`` to before ``end``, and the services that they name."""

    start: int
    end: int
    names: ServiceNames
    used_files: frozenset[str] = frozenset()
    """Files of the repository that it delegates work to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedServices:
    """The services that a file names: in its parts, and around them (its path included)."""

    parts: tuple[FilePart, ...]
    surroundings: FilePart

    @property
    def all_names(self) -> ServiceNames:
        return self.surroundings.names.union(*(part.names for part in self.parts))

    def names_at(self, start: int) -> ServiceNames:
        """Return the services that the text at ``start`` is for; empty if neither it nor its surroundings name one."""
        for part in self.parts:
            if part.start <= start < part.end:
                return part.names or self.surroundings.names
        return self.all_names


def build_name_index(services: Iterable[Service]) -> ServiceNameIndex:
    """Collect the names of the ``services`` of a fleet."""
    paths: dict[str, str] = {}
    folders: dict[str, list[str]] = {}
    services_below: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for service in services:
        paths[service.path] = service.name
        names[service.name.lower()] = service.name
        folders.setdefault(service.path.rpartition("/")[2].lower(), []).append(service.name)
        parent = service.path.rpartition("/")[0]
        while parent:
            services_below.setdefault(parent, set()).add(service.name)
            parent = parent.rpartition("/")[0]
    for folder, owners in folders.items():
        if len(owners) == 1:
            names.setdefault(folder, owners[0])
    return ServiceNameIndex(
        paths=paths,
        names=names,
        services_below={folder: frozenset(service_names) for folder, service_names in services_below.items()},
    )


def find_named_services(text: str, path: str, index: ServiceNameIndex) -> NamedServices:
    """Return the services that the file at ``path`` names.

    Metadata, pins and tool settings at the root apply to all services, whatever words they contain; only their path
    counts. What stands in a comment names nothing: it says where a line was copied from, or what was there before.
    """
    name = path.rpartition("/")[2]
    if name == "tox.ini":
        return _services_of_tox(text, path, index)
    if not (is_yaml(name) or is_dockerfile(name) or is_jenkinsfile(name)):
        whole_file = FilePart(start=0, end=len(text), names=_names_of_path(path, index))
        return NamedServices(parts=(), surroundings=whole_file)
    text = _without_comments(text, name)
    spans = list(yaml_parts(text, path)) if without_jinja_ending(path).endswith((".yml", ".yaml")) else []
    parts = [
        _function_part(text[start:end], start, end, index, path) or _keyed_part(text[start:end], start, end, index, key)
        for start, end, key in spans
    ]
    rows = [_combination_part(text, start, end, index) for start, end in matrix_combinations(text, spans)]
    between_parts: list[str] = []
    position = 0
    for start, end, _ in spans:
        between_parts.append(text[position:start])
        position = end
    between_parts.append(text[position:])
    surroundings = _file_part("".join(between_parts), 0, len(text), index, _names_of_path(path, index))
    for number, part in enumerate(parts):
        of_rows = (row.names for row in rows if part.start <= row.start < part.end)
        parts[number] = replace(part, names=part.names.union(*of_rows))
    # the rows come first, as they are inside of jobs
    return NamedServices(parts=(*(row for row in rows if row.names), *parts), surroundings=surroundings)


def _function_part(text: str, start: int, end: int, index: ServiceNameIndex, path: str) -> FilePart | None:
    """Return the part of a serverless function: it belongs to the service that has its code, whatever its name is."""
    folder, _, name = path.rpartition("/")
    match = _CODE_FOLDER.search(text) or (_HANDLER.search(text) if name.startswith("serverless") else None)
    if match is None:
        return None
    code = posixpath.normpath(posixpath.join(folder, match["path"]))
    return FilePart(start=start, end=end, names=owners_of_folder(code, index))


def owners_of_folder(folder: str, index: ServiceNameIndex) -> ServiceNames:
    """Return the service that has the code in a folder; empty if none has."""
    path = next((path for path in with_outer_folders(folder) if path in index.paths), None)
    return frozenset() if path is None else frozenset((index.paths[path],))


def _keyed_part(text: str, start: int, end: int, index: ServiceNameIndex, key: str) -> FilePart:
    """Return the part with the given key; where the key is a service, what the part depends on does not own it too.

    A folder below a service among the resources of a task, ``api/docker.d``, is data: the task is not the service's.
    """
    names = _names_of_key(key, index) if key else frozenset()
    if names:
        return _file_part(_RESOURCES.sub("", _DEPENDENCIES.sub("", text)), start, end, index, names)
    return _file_part(_RESOURCES.sub(lambda match: _without_data(match[0], index), text), start, end, index, names)


def _without_data(resources: str, index: ServiceNameIndex) -> str:
    """Return a list of resources without the paths that are no services."""

    def kept(match: re.Match[str]) -> str:
        return match[0] if "/" not in match[0] or "/".join(_path_components(match[0])) in index.paths else ""

    return _TOKEN.sub(kept, resources)


def _services_of_tox(text: str, path: str, index: ServiceNameIndex) -> NamedServices:
    """Return the services that the environments name: ``user-service-py39``, ``changedir = {toxinidir}/api``."""
    from pytest_py312.repository.declarations.tox import tox_parts

    text = blank_hash_comments(text)
    parts = [
        FilePart(
            start=start,
            end=end,
            names=_names_of_environment(name, index)
            or _file_part(_TOX_ROOT.sub("./", text[start:end]), start, end, index, frozenset()).names,
        )
        for start, end, name in tox_parts(text)
    ]
    surroundings = FilePart(start=0, end=len(text), names=_names_of_path(path, index))
    return NamedServices(parts=tuple(parts), surroundings=surroundings)


def _names_of_environment(name: str, index: ServiceNameIndex) -> ServiceNames:
    """Return the services among the factors of a tox environment, the longest names first."""
    names: set[str] = set()
    for alternative in re.split(r"[{},\s]+", name)[:20]:
        factors = [factor for factor in alternative.split("-")[:12] if factor]
        position = 0
        while position < len(factors):
            for end in range(len(factors), position, -1):
                found = _names_of_word("-".join(factors[position:end]), index)
                if found:
                    names |= found
                    position = end - 1
                    break
            position += 1
    return frozenset(names)


def _names_of_key(key: str, index: ServiceNameIndex) -> ServiceNames:
    """Return the service that is the key, also with a suffix for its tests: ``user-service-test-py39``."""
    return _names_of_word(key, index) or _names_of_word(_KEY_SUFFIX.sub("", key), index)


def _without_comments(text: str, name: str) -> str:
    """Blank the comments of a YAML file, a Dockerfile or a Jenkinsfile; all positions stay."""
    if is_jenkinsfile(name) or name.endswith(".json"):
        return blank_slash_comments(text)
    return blank_hash_comments(text, whole_lines_only=is_dockerfile(name))


def _file_part(text: str, start: int, end: int, index: ServiceNameIndex, extra_names: ServiceNames) -> FilePart:
    used_files = frozenset(posixpath.normpath(match[1]) for match in _USED_FILE.finditer(text))
    paths = {token for token in _TOKEN.findall(text) if "/" in token}
    explicit_names = extra_names.union(_names_by_word(text, index), *(_services_in_path(path, index) for path in paths))
    # services/${{ matrix.service }}: the services that are listed, or all below the folder if none is
    names = explicit_names or frozenset().union(*(_services_by_glob(path, index) for path in paths))
    return FilePart(start=start, end=end, names=names, used_files=used_files)


def _names_by_word(text: str, index: ServiceNameIndex) -> Iterator[str]:
    for word in set(_WORD.findall(text)):
        if _COMPOUND_WORD.search(word):
            yield from _names_of_word(word, index)
    for term in {
        *_SERVICE_KEY.findall(text),
        *(block_item or inline_item for block_item, inline_item in _LIST_ITEM.findall(text)),
    }:
        yield from _names_of_word(term, index)


def _names_of_word(word: str, index: ServiceNameIndex) -> ServiceNames:
    name = index.names.get(word.lower())
    return frozenset((name,)) if name else frozenset()


def _names_of_path(path: str, index: ServiceNameIndex) -> ServiceNames:
    """Return the services in a path such as ``k8s/user-service.yaml`` or ``docker/user-service.Dockerfile``."""
    words = {
        word
        for component in path.split("/")
        for word in (component, *component.split("."), component.rpartition(".")[0])
    }
    return frozenset().union(*(_names_of_word(word, index) for word in words if word))


def _services_in_path(path: str, index: ServiceNameIndex) -> Iterator[str]:
    components = _path_components(path)
    for first in range(len(components)):
        for last in range(len(components), first, -1):
            folder = "/".join(components[first:last])
            # a single word only counts at the start of a path: v1/api does not name the service api
            if folder in index.paths and (first == 0 or last - first > 1):
                yield index.paths[folder]
                return


def _services_by_glob(path: str, index: ServiceNameIndex) -> ServiceNames:
    components = _path_components(path)
    for last in range(1, len(components)):
        if components[last].startswith(("*", "$", "{")):
            return index.services_below.get("/".join(components[:last]), frozenset())
    return frozenset()


def _path_components(path: str) -> list[str]:
    return [component for component in path.split("/") if component not in ("", ".")][:20]


def _combination_part(text: str, start: int, end: int, index: ServiceNameIndex) -> FilePart:
    """Return the part of one combination, whose values may be names of services, whatever their keys are."""
    names = (name for match in _VALUE.finditer(text, start, end) for name in _names_of_word(match["value"], index))
    return _file_part(text[start:end], start, end, index, frozenset(names))


SHARED_FILE_DEPTH = 5
SHARED_FILE_LIMIT = 5_000
"""Maximum number of shared files that are read."""

TEST_DATA_FOLDERS = frozenset(
    {"assets", "cases", "data", "examples", "files", "projects", "resources", "samples", "snippets"}
)
"""Folders below a folder of tests with files that only tests read."""


def is_kept_as_it_is(path: str) -> bool:
    """Return whether no fix changes the file: it is code of another project, or a test that reads such files."""
    *folders, name = path.split("/")
    if not VENDORED_FOLDERS.isdisjoint(folders):
        return True
    vendored = next((number for number, folder in enumerate(folders) if folder in THIRD_PARTY_FOLDERS), None)
    if vendored is None:
        return False
    is_test = re.fullmatch(r"(?:test_.*|.*_test|tests?|conftest)\.py", name) is not None
    return is_test or not {"test", "tests", "testing"}.isdisjoint(folders[vendored:])


def shared_files(tree: Tree, services: Mapping[str, Service], exclude: Sequence[str]) -> Iterator[str]:
    """Yield the paths of files outside of all services that may declare a Python version.

    A file of a service at the root is shared too if it may concern several services. ``services`` maps paths to all
    services; ``exclude`` has patterns of folders to skip.
    """
    is_only_root = "." in services and len(services) == 1
    is_relevant = may_name_several_services if "." in services else _may_declare_for_services
    pending = [] if is_only_root else [(".", 0)]
    while pending:
        folder, depth = pending.pop()
        listing = tree.list_folder(folder)
        yield from (path for name in listing.files if is_relevant(path := join_path(folder, name)))
        if depth < SHARED_FILE_DEPTH:
            inner = [join_path(folder, name) for name in reversed(listing.folders) if name not in THIRD_PARTY_FOLDERS]
            pending += [(path, depth + 1) for path in inner if not _is_owned_or_excluded(path, services, exclude)]


def _may_declare_for_services(path: str) -> bool:
    return can_declare_versions(path) and not is_source(path)


def may_name_several_services(path: str) -> bool:
    """Return whether a file may have parts for several services: workflows, compose files, manifests, pipelines."""
    name = path.rpartition("/")[2]
    may_name_some = is_yaml(name) or is_jenkinsfile(name) or is_terraform(name) or is_cdk_program(path)
    return may_name_some and can_declare_versions(path)


def _is_owned_or_excluded(path: str, services: Mapping[str, Service], exclude: Sequence[str]) -> bool:
    name = path.rpartition("/")[2]
    return path in services or any(matches(pattern, name, path) for pattern in exclude)


def shared_files_digest(tree: Tree, services: Sequence[Service], exclude: Sequence[str]) -> str:
    """Return a digest of the shared files and of the services that they may name."""
    digest = hashlib.blake2b(digest_size=20)
    for service in services:
        digest.update(f"{service.name}\0{service.path}\0".encode("utf-8", "surrogatepass"))
    for number, path in enumerate(shared_files(tree, {service.path: service for service in services}, exclude)):
        text = (tree.read_or_none(path) if number < SHARED_FILE_LIMIT else None) or ""
        digest.update(f"{path}\0{len(text)}\0{text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
