"""What files say about Python versions: requires-python, classifiers, pins, tool settings. Text in, facts out.

Never raises. A file that cannot be parsed says nothing here; who reads its dependencies reports that.
"""

from dataclasses import dataclass

from pytest_py312.core.model.fleet import Declaration
from pytest_py312.repository.declarations.declaration import Meaning
from pytest_py312.repository.declarations.reader import METADATA_NAMES, read_places

FILES = METADATA_NAMES
"""Names of the files that :func:`read_metadata` reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """The declarations of one file, by what they are for."""

    requires_python: tuple[Declaration, ...] = ()
    """Ranges that a distribution states of itself (kind ``metadata``)."""
    classifiers: tuple[Declaration, ...] = ()
    pins: tuple[Declaration, ...] = ()
    """What a version manager or platform is told to run (kind ``pin``)."""
    tools: tuple[Declaration, ...] = ()
    """Settings of type checkers, formatters and test tools (kind ``tool``)."""

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        return (*self.requires_python, *self.classifiers, *self.pins, *self.tools)


def read_metadata(text: str, path: str) -> Metadata:
    """Read a file by its name; a name that is none of :data:`FILES` says nothing."""
    known = path.rpartition("/")[2] in FILES
    places = [place for place in read_places(text, path) if place.declared] if known else []
    ranges = [place for place in places if place.kind == "metadata" and place.meaning is not Meaning.MEMBER]
    return Metadata(
        requires_python=tuple(place.declaration for place in ranges),
        classifiers=tuple(place.declaration for place in places if place.kind == "metadata" and place not in ranges),
        pins=tuple(place.declaration for place in places if place.kind == "pin"),
        tools=tuple(place.declaration for place in places if place.kind == "tool"),
    )
