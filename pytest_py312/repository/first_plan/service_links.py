"""Find which service needs which other one, with the place that says so. Only reads files; best effort.

Three kinds of evidence count: a service imports or installs from another one's folder; a compose file starts it after
another one or hands it the other one's address; a file of it has the other one's name as the host of an address.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.formats.compose import URL_HOST, ComposeEntry, read_compose_entries
from pytest_py312.repository.services.detection.entry_points import is_compose_file
from pytest_py312.repository.tree import Tree, join_path, with_outer_folders

FILE_LIMIT = 2_000
"""Files of a service that are searched for addresses."""
_SCAN_DEPTH = 8
_ADDRESS_FILE = re.compile(r"(?:.*\.(?:py|ya?ml|toml|ini|cfg|conf|json|properties|env)|\.env(?:\..+)?)", re.ASCII)
_TEST_FOLDERS = frozenset({"tests", "test", "testing"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceLink:
    """``service`` needs ``needed`` (both are names), because of ``evidence``: ``compose.yml:7 (depends_on)``."""

    service: str
    needed: str
    evidence: str


def find_links(tree: Tree, services: Sequence[Service]) -> tuple[ServiceLink, ...]:
    """Return one link for each pair of services of which one needs the other, in order of their names."""
    links: dict[tuple[str, str], ServiceLink] = {}
    hosts = _host_names(services)
    for link in (*_folder_links(services), *_compose_links(tree, services, hosts), *_url_links(tree, services, hosts)):
        if link.service != link.needed:
            links.setdefault((link.service, link.needed), link)
    return tuple(links[pair] for pair in sorted(links))


def _host_names(services: Sequence[Service]) -> dict[str, str]:
    """Map the names under which a service can be reached to its own: its name, and its folder's if it is unique."""
    names: dict[str, set[str]] = {}
    for service in services:
        for name in {service.name, service.path.rpartition("/")[2]}:
            names.setdefault(name.lower(), set()).add(service.name)
    return {name: next(iter(owners)) for name, owners in names.items() if len(owners) == 1}


def _folder_links(services: Sequence[Service]) -> Iterator[ServiceLink]:
    by_path = {service.path: service.name for service in services if service.path != "."}
    for service in services:
        for folder in service.settings.needs:
            for outer in with_outer_folders(folder):
                if outer in by_path and not service.path.startswith(f"{outer}/"):
                    yield ServiceLink(service=service.name, needed=by_path[outer], evidence=f"it uses {folder}")
                    break


def _compose_links(tree: Tree, services: Sequence[Service], hosts: Mapping[str, str]) -> Iterator[ServiceLink]:
    folders = dict.fromkeys(outer for service in services for outer in with_outer_folders(service.path))
    for folder in folders:
        for name in filter(is_compose_file, tree.list_folder(folder).files):
            path = join_path(folder, name)
            entries = read_compose_entries(tree.read_or_none(path) or "", path)
            yield from _links_of_entries(path, entries, services, hosts)


def _links_of_entries(
    path: str, entries: Sequence[ComposeEntry], services: Sequence[Service], hosts: Mapping[str, str]
) -> Iterator[ServiceLink]:
    owners = {entry.name: owner for entry in entries if (owner := _owner_of(entry, services, hosts))}
    for entry in entries:
        for host in entry.hosts:
            if entry.name in owners and host.name in owners:
                evidence = f"{path}:{host.line} ({host.reason})"
                yield ServiceLink(service=owners[entry.name], needed=owners[host.name], evidence=evidence)


def _owner_of(entry: ComposeEntry, services: Sequence[Service], hosts: Mapping[str, str]) -> str:
    """Return the service that an entry starts: the one whose folder it is built in, else the one of its name."""
    built = [service.name for service in services if service.path == entry.folder]
    return built[0] if built and entry.folder != "." else hosts.get(entry.name.lower(), "")


def _url_links(tree: Tree, services: Sequence[Service], hosts: Mapping[str, str]) -> Iterator[ServiceLink]:
    for service in services:
        for path in _files_with_addresses(tree, service):
            text = tree.read_or_none(path) or ""
            if "://" not in text:
                continue
            for match in URL_HOST.finditer(text):
                # the first part of the name of a service in a cluster: auth-service.default.svc.cluster.local
                needed = hosts.get(match["host"].partition(".")[0].lower())
                if needed is not None:
                    line = text.count("\n", 0, match.start()) + 1
                    yield ServiceLink(service=service.name, needed=needed, evidence=f"{path}:{line}")


def _files_with_addresses(tree: Tree, service: Service) -> Iterator[str]:
    """Yield the files of a service that may say whom it calls; those of its tests name what they replace."""
    inner = [folder[len(service.path) + 1 :] if service.path != "." else folder for folder in service.nested_folders]
    scan = tree.scan_folder(service.path, depth=_SCAN_DEPTH).without(inner)
    files = (
        name
        for name in scan.files
        if _ADDRESS_FILE.fullmatch(name.rpartition("/")[2])
        and _TEST_FOLDERS.isdisjoint(name.split("/"))
        and not is_compose_file(name.rpartition("/")[2])
    )
    for _, name in zip(range(FILE_LIMIT), files, strict=False):
        yield join_path(service.path, name)
