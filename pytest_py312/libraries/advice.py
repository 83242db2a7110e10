"""What to do about a distribution that dies when it is imported: which newer version lives, or that none does."""

from collections.abc import Callable, Sequence

from pytest_py312.distributions import Entry
from pytest_py312.libraries.digest import How
from pytest_py312.libraries.graph import Installed, Library, Root
from pytest_py312.libraries.newer import Newer, NewerVersions
from pytest_py312.libraries.packaging import Packaging
from pytest_py312.libraries.verdict import Located, located, troubles_of
from pytest_py312.resolution import Pin
from pytest_py312.source.witnesses import Witnesses
from pytest_py312.successors import SUCCESSORS


class Adviser:
    """Looks at newer versions of what is installed. ``digested`` reads an installed distribution, ``witnesses`` asks
    the interpreters about it."""

    def __init__(
        self,
        *,
        versions: NewerVersions,
        entries: Sequence[Entry],
        pins: Sequence[Pin],
        packaging: Packaging,
        digested: Callable[[Entry], Library],
        witnesses: Callable[[Installed], Witnesses],
    ) -> None:
        self._versions = versions
        self._entries = {entry.name: entry for entry in entries}
        self._pins = {pin.name: pin for pin in pins}
        self._packaging = packaging
        self._digested = digested
        self._witnesses = witnesses

    def __call__(self, one: Located) -> str:
        """The remedy; empty where nothing was found out."""
        name = one.trouble.library.name
        entry, pin = self._entries.get(name), self._pins.get(name)
        if entry is None or pin is None:
            return ""
        newer = self._versions.first_without(entry, pin, lambda other: self._is_bad(one, other))
        return remedy_for(one, newer)

    def _is_bad(self, one: Located, other: Entry) -> bool:
        """Whether importing another version as the service imports this one would run into such a trouble."""
        installed = Installed([self._digested(other)])
        entrance = one.entrance if self._is_of(one, one.entrance) else one.trouble.module.name
        if installed.module(entrance) is None:
            return True  # it does not have what the service imports
        root = Root(path="", line=0, target=entrance, how=How.AT_IMPORT)
        found = located(troubles_of(installed, self._witnesses(installed), self._packaging), installed.reach([root]))
        return any(found_one.how == How.AT_IMPORT for found_one in found)

    def _is_of(self, one: Located, module: str) -> bool:
        return any(own.name == module for own in one.trouble.library.digest.modules)


def remedy_for(one: Located, newer: Newer | None) -> str:
    """In words: the first version without it, or that there is none, and what took the project's place."""
    library = one.trouble.library
    if newer is not None and newer.first:
        text = f"require {library.name}>={newer.first}, the first version without it"
    elif newer is not None or library.name in SUCCESSORS:
        text = f"replace {library.name}{_why(library, newer)}"
        text += f": {SUCCESSORS[library.name]}" if library.name in SUCCESSORS else ""
    else:
        return ""
    return f"{text}; or {one.trouble.remedy}" if one.trouble.packaging else text


def _why(library: Library, newer: Newer | None) -> str:
    if newer is None:
        return ""
    if newer.latest == library.version:
        return ", which has no newer version"
    return f", of which {newer.latest} is no better"
