"""Collect all version declarations of a service: in its own files, and in shared files that name it.

Files are read by name, within limits, and never outside of the root. A service's own files are read on each request;
the shared files are read once for the fleet.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import Fleet, Service
from pytest_py312.core.model.plan import Plan
from pytest_py312.core.text import list_names
from pytest_py312.repository.declarations.declaration import (
    DeclarationRole,
    VersionDeclaration,
    service_declarations,
)
from pytest_py312.repository.declarations.programs import COMMAND, SCRIPT_INTERPRETER
from pytest_py312.repository.declarations.reader import (
    RARELY_DECLARING,
    can_declare_versions,
    is_source,
    is_terraform,
    read_declarations,
    starts_programs,
)
from pytest_py312.repository.formats.dockerfile import DockerfileText, is_dockerfile, read_dockerfile
from pytest_py312.repository.recipes.base_images import python_base
from pytest_py312.repository.recipes.serverless_builds import functions_by_file
from pytest_py312.repository.services.detection.service_files import (
    SCAN_DEPTH,
    THIRD_PARTY_FOLDERS,
    declaration_order,
    is_production_dockerfile,
)
from pytest_py312.repository.services.file_ownership import (
    SHARED_FILE_LIMIT,
    TEST_DATA_FOLDERS,
    FilePart,
    NamedServices,
    ServiceNames,
    build_name_index,
    find_named_services,
    may_name_several_services,
    owners_of_folder,
    shared_files,
)
from pytest_py312.repository.tree import Tree, UnreadableFile, join_path, nested_paths

FILE_LIMIT = 1_000
"""Maximum number of files that are read of one service."""

_MAX_LISTED = 5
"""Maximum number of files that one sentence names."""
_MAX_FORWARDING_DEPTH = 5
"""How many levels of reusable workflows are followed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeclaredVersions:
    """The version declarations of one service.

    ``unread`` are files that could not be read, with the reason as the end of a sentence.
    """

    declarations: tuple[VersionDeclaration, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFile:
    """A file outside of all services: its version declarations, and the services that its parts name."""

    path: str
    declarations: tuple[VersionDeclaration, ...]
    named_services: NamedServices
    forwarded: ServiceNames
    """Services whose work other files forward to this one."""
    root_service: ServiceNames = frozenset()
    """The service at the root, if there are others as well; it owns what names no service."""

    def owners(self, declaration: VersionDeclaration) -> ServiceNames:
        """Return the services that the declaration is for; empty: it is for the fleet as a whole."""
        return self.named_services.names_at(declaration.start) | self.forwarded or self.root_service


class VersionSurvey:
    """Reader of the version declarations of services. Thread-safe."""

    def __init__(self, root: Path, services: Iterable[Service], *, exclude: Sequence[str] = ()) -> None:
        """Prepare for all ``services`` of a fleet; ``exclude`` are the plan's patterns of excluded folders."""
        self._tree = Tree(root)
        self._services = {service.path: service for service in services}
        self._all_names = frozenset(service.name for service in self._services.values())
        self._inner = nested_paths(self._services)
        outermost = self._services.get(".") if len(self._services) > 1 else None
        self._root_service = frozenset((outermost.name,)) if outermost else frozenset()
        self._name_index = build_name_index(self._services.values())
        self._built_by: dict[str, set[str]] = {}
        """The services that a Dockerfile is the image of."""
        self._installing: dict[str, set[str]] = {}
        """The services for which a file installs something: that of their image, and those that it is based on."""
        for service in self._services.values():
            if service.recipe is not None:
                self._built_by.setdefault(service.recipe.source, set()).add(service.name)
                for path in service.recipe.files:
                    self._installing.setdefault(path, set()).add(service.name)
        self._exclude = tuple(exclude)
        self._lock = threading.Lock()
        self._shared_files: tuple[SharedFile, ...] | None = None
        self._shared_declarations: Mapping[str, Sequence[VersionDeclaration]] | None = None

    def read(self, service: Service) -> DeclaredVersions:
        """Return all version declarations of ``service``."""
        declarations: list[VersionDeclaration] = []
        unread: list[tuple[str, str]] = []
        starting: list[str] = []
        paths = self.own_files(service)
        for path in paths:
            try:
                text = self._tree.read(path)
            except UnreadableFile as reason:
                if _must_be_readable(path):
                    unread.append((path, str(reason)))
                continue
            of_file = read_declarations(text, path)
            declarations += self._with_bases(of_file, text, path)
            if is_production_dockerfile(path, service.path):
                starting += _start_commands(text, path, of_file)
        shared = self._shared_declarations_by_service().get(service.name, ())
        of_all = (*_with_started_files(declarations, starting, paths), *shared)
        distinct = {(each.path, each.start, each.subject): each for each in of_all}
        return DeclaredVersions(declarations=tuple(distinct.values()), unread=tuple(unread))

    def _with_bases(self, declarations: Sequence[VersionDeclaration], text: str, path: str) -> list[VersionDeclaration]:
        """Replace images that only the build knows by those of the Dockerfiles in the repository that make them."""
        unknown = [each for each in declarations if each.role is DeclarationRole.UNKNOWN and each.kind == "image"]
        stages = {stage.line: stage for stage in read_dockerfile(text, path).stages} if unknown else {}
        bases = {line: python_base(self._tree, stage) for line, stage in stages.items() if stage.unresolved}
        resolved: list[VersionDeclaration] = []
        for declaration in declarations:
            base = bases.get(declaration.line) if declaration in unknown else None
            resolved += [declaration] if base is None else self._declarations_of_result(base)
        return resolved

    def _declarations_of_result(self, dockerfile: DockerfileText) -> Iterator[VersionDeclaration]:
        """Yield the declarations of the image that the final stage of a Dockerfile is based on."""
        stage = dockerfile.final_stage
        lines = {each.line for each in dockerfile.chain_of(stage)} if stage is not None else set()
        for declaration in read_declarations(self._tree.read(dockerfile.path), dockerfile.path):
            if lines.intersection(declaration.image_lines):
                yield declaration

    def own_files(self, service: Service) -> tuple[str, ...]:
        """Return the files in its folder that may declare versions, without those of nested services."""
        inner = tuple(f"{path}/" for path in self._inner.get(service.path, ()))
        scan = self._tree.scan_folder(service.path, depth=SCAN_DEPTH)
        linked = frozenset(scan.linked_files)
        paths = []
        for name in scan.files:
            path = join_path(service.path, name)
            if not can_declare_versions(path) or _is_third_party_or_test_data(name) or path.startswith(inner):
                continue
            if service.name in self._root_service and may_name_several_services(path):
                continue
            if name not in linked or not self._leads_inside(path, service.path):
                paths.append(path)
        return tuple(sorted(paths, key=is_source)[:FILE_LIMIT])  # sources rarely declare a version

    def _leads_inside(self, path: str, folder: str) -> bool:
        """Return whether a link leads to another file of the same folder, which is read as itself."""
        return (self._tree.root / path).resolve().is_relative_to((self._tree.root / folder).resolve())

    def shared_files(self) -> tuple[SharedFile, ...]:
        """Return the files outside of all services that declare a Python version."""
        with self._lock:
            if self._shared_files is None:
                self._shared_files = self._read_shared_files()
            return self._shared_files

    def _shared_declarations_by_service(self) -> Mapping[str, Sequence[VersionDeclaration]]:
        """Map each service to the declarations in shared files that are for it."""
        files = self.shared_files()
        with self._lock:
            if self._shared_declarations is None:
                by_service: dict[str, list[VersionDeclaration]] = {}
                for file in files:
                    guests = self._guests_of(file)
                    for declaration in file.declarations:
                        for name in self._all_names if len(self._all_names) == 1 else file.owners(declaration):
                            is_of_another = declaration.kind == "image" and name in guests
                            of_service = replace(declaration, declared=False) if is_of_another else declaration
                            by_service.setdefault(name, []).append(of_service)
                self._shared_declarations = by_service
            return self._shared_declarations

    def _guests_of(self, file: SharedFile) -> ServiceNames:
        """Return the services that a Dockerfile names, and whose code is only beside that of another one in its image.

        It installs the other one, or is named after it, and installs nothing of these. What
        ``docker/worker.Dockerfile`` is based on is up to ``worker``, also if it copies ``services/common``.
        """
        names = file.named_services.all_names
        if not names or not is_dockerfile(file.path.rpartition("/")[2]):
            return frozenset()
        text = self._tree.read_or_none(file.path) or ""
        named = [service for service in self._services.values() if service.name in names]
        label = canonicalize_name(_image_label(file.path))
        hosts = self._built_by.get(file.path) or {
            service.name for service in named if _is_named_after(label, service.path)
        }
        others = (service for service in named if hosts and service.name not in hosts)
        return frozenset(service.name for service in others if not _installs_from(text, service.path))

    def movable_selector(
        self, file: SharedFile, names: ServiceNames
    ) -> Callable[[str, Sequence[VersionDeclaration]], Sequence[VersionDeclaration]]:
        """Return a selector of the declarations that migrate when the services ``names`` do.

        It is called with the text of ``file``, original or partly migrated, and the declarations in it.
        """

        def chosen(text: str, places: Sequence[VersionDeclaration]) -> Sequence[VersionDeclaration]:
            named_services = self._named_services(text, file.path)
            default_names = file.root_service or self._all_names
            return [
                declaration
                for declaration in places
                if (named_services.names_at(declaration.start) | file.forwarded or default_names) <= names
            ]

        return chosen

    # ---- outside of all services

    def _named_services(self, text: str, path: str) -> NamedServices:
        """Return the services that a file names; of Terraform by the functions that run on what a line names.

        A Dockerfile that names none is for those that it installs.
        """
        named = find_named_services(text, path, self._name_index)
        if is_dockerfile(path.rpartition("/")[2]) and not named.all_names:
            installed = frozenset(self._installing.get(path, ()))
            return replace(named, surroundings=replace(named.surroundings, names=installed))
        functions = functions_by_file(self._tree).get(path, ()) if is_terraform(path) else ()
        names: dict[int, ServiceNames] = {}
        for function in functions:
            owners = owners_of_folder(function.folder, self._name_index)
            names[function.line] = names.get(function.line, frozenset()) | owners
        starts = list(accumulate(map(len, text.splitlines(keepends=True)), initial=0))
        parts = (
            FilePart(start=starts[line - 1], end=starts[line], names=found)
            for line, found in names.items()
            if line < len(starts)
        )
        return replace(named, parts=(*named.parts, *parts))

    def _read_shared_files(self) -> tuple[SharedFile, ...]:
        parsed: dict[str, tuple[tuple[VersionDeclaration, ...], NamedServices]] = {}
        named_by_path: list[tuple[str, NamedServices]] = []
        for number, path in enumerate(shared_files(self._tree, self._services, self._exclude)):
            text = self._tree.read_or_none(path) if number < SHARED_FILE_LIMIT else None
            declarations = read_declarations(text, path) if text else ()
            if text and (declarations or "uses:" in text or "local:" in text):
                named_services = self._named_services(text, path)
                named_by_path.append((path, named_services))
                if declarations:
                    parsed[path] = declarations, named_services
        forwarded = _forwarded_work(named_by_path)
        return tuple(
            SharedFile(
                path=path,
                declarations=declarations,
                named_services=named_services,
                forwarded=forwarded.get(path, frozenset()),
                root_service=self._root_service,
            )
            for path, (declarations, named_services) in sorted(parsed.items())
        )


def _image_label(path: str) -> str:
    """Return the name of an image: ``api`` of ``Dockerfile-api``, ``api.Dockerfile`` and ``api/Dockerfile``."""
    folder, _, name = path.lower().rpartition("/")
    own_name = re.sub(r"^(?:docker|container)file[-_.]?|[-_.]?(?:docker|container)file$", "", name)
    return own_name or folder.rpartition("/")[2]


def _is_named_after(label: str, path: str) -> bool:
    """Return whether the normalised name of an image is that of a folder, or begins or ends with it as a word."""
    folder = canonicalize_name(path.rpartition("/")[2])
    return re.search(rf"(?:^|-){re.escape(folder)}(?:$|-)", label) is not None


def _installs_from(text: str, path: str) -> bool:
    """Return whether a Dockerfile names a file of requirements or a project in a folder."""
    return re.search(rf"{re.escape(path)}/\S*(?:requirements|pyproject|setup)", text) is not None


def with_all_declarations(fleet: Fleet, plan: Plan, full_fleet: Fleet) -> Fleet:
    """Return ``fleet``, a part of ``full_fleet``, with all declarations of its services, shared files included."""
    survey = VersionSurvey(plan.root, full_fleet.services, exclude=plan.exclude)
    return replace(
        fleet,
        services=tuple(
            replace(
                service,
                declarations=tuple(
                    sorted(service_declarations(survey.read(service).declarations), key=declaration_order)
                ),
            )
            for service in fleet.services
        ),
        assumptions=(*fleet.assumptions, *_fleet_wide_note(survey, full_fleet)),
    )


def _fleet_wide_note(survey: VersionSurvey, full_fleet: Fleet) -> Iterator[str]:
    """Yield a sentence about shared files that declare a Python and name no service, if there are several services."""
    paths = [
        file.path
        for file in survey.shared_files()
        if any(not file.owners(declaration) for declaration in file.declarations)
    ]
    if paths and len(full_fleet.services) > 1:
        listed = list_names(paths, _MAX_LISTED)
        verb = "declares a Python version and names" if len(paths) == 1 else "declare a Python version and name"
        yield f"{listed} {verb} no service: this applies to the whole fleet, and is migrated once all services are."


def _forwarded_work(files: Sequence[tuple[str, NamedServices]]) -> Mapping[str, ServiceNames]:
    """Map reusable workflows and composite actions to the services whose work other files forward to them."""
    forwarded: dict[str, ServiceNames] = {}
    for _ in range(_MAX_FORWARDING_DEPTH):
        previous = dict(forwarded)
        for path, named_services in files:
            for part in (*named_services.parts, named_services.surroundings):
                names = (part.names or named_services.surroundings.names) | previous.get(path, frozenset())
                for used in part.used_files if names else ():
                    for file in (used, f"{used}/action.yml", f"{used}/action.yaml"):
                        forwarded[file] = forwarded.get(file, frozenset()) | names
        if forwarded == previous:
            break
    return forwarded


def _start_commands(text: str, path: str, declarations: Iterable[VersionDeclaration]) -> Iterator[str]:
    """Yield the text of a file that starts programs: of a Dockerfile, what the image starts."""
    if is_dockerfile(path.rpartition("/")[2]):
        started = ("CMD", "ENTRYPOINT", "HEALTHCHECK")
        yield from (item.arguments for item in read_dockerfile(text, path).instructions if item.keyword in started)
    elif starts_programs(path) or any(declaration.starts_service for declaration in declarations):
        yield text


def _with_started_files(
    declarations: Sequence[VersionDeclaration], texts: Sequence[str], paths: Sequence[str]
) -> Iterator[VersionDeclaration]:
    """Yield ``declarations``; production runs the commands of a file that one of ``texts`` names.

    :param paths: all files of the service; a name without folders counts if only one has it.
    """
    words = {word.removeprefix("./").lstrip("/") for text in texts for word in re.findall(r"[\w./-]+", text)}
    names = {word.rpartition("/")[2] for word in words}
    alike = Counter(path.rpartition("/")[2] for path in paths)
    started = {
        path
        for path in {declaration.path for declaration in declarations}
        if not words.isdisjoint(_endings_with_folder(path))
        or ((name := path.rpartition("/")[2]) in names and alike[name] == 1)
    }
    for declaration in declarations:
        is_command = declaration.role is DeclarationRole.PATH and declaration.subject in (COMMAND, SCRIPT_INTERPRETER)
        yield replace(declaration, starts_service=True) if is_command and declaration.path in started else declaration


def _endings_with_folder(path: str) -> Iterator[str]:
    """Yield the ends of a path that contain a folder: ``b/c.sh`` and ``a/b/c.sh``."""
    parts = path.split("/")
    yield from ("/".join(parts[start:]) for start in range(len(parts) - 1))


def _is_third_party_or_test_data(name: str) -> bool:
    folders = name.split("/")[:-1]
    if THIRD_PARTY_FOLDERS.intersection(folders):
        return True
    tests = next((number for number, folder in enumerate(folders) if folder in ("test", "tests")), None)
    return tests is not None and bool(TEST_DATA_FOLDERS.intersection(folders[tests:]))


def _must_be_readable(path: str) -> bool:
    """Return whether an unreadable file is reported."""
    return not path.endswith(RARELY_DECLARING) or re.search(r"(?:^|/)\.(?:github|gitlab|circleci)", path) is not None
