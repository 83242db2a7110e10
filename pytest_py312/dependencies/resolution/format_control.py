"""Which projects may be installed from wheels, and which from sources: ``--no-binary`` and ``--only-binary``."""

from collections.abc import Iterable
from dataclasses import dataclass

from packaging.utils import canonicalize_name

OPTIONS = ("--no-binary", "--only-binary")
ALL = ":all:"
_NONE = ":none:"


@dataclass(frozen=True, kw_only=True, slots=True)
class FormatControl:
    """Normalised names of projects that are built from source in any case, and of those that are never built.

    :data:`ALL` stands for all projects that the other field does not name.
    """

    source_only: frozenset[str] = frozenset()
    wheel_only: frozenset[str] = frozenset()

    @property
    def is_source_by_default(self) -> bool:
        """Whether projects are built from source that neither field names."""
        return ALL in self.source_only

    def is_wheel_only(self, name: str) -> bool:
        """Whether the project ``name`` must not be built."""
        return name in self.wheel_only or (ALL in self.wheel_only and name not in self.source_only)

    def is_source_only(self, name: str) -> bool:
        """Whether the project ``name`` must be built."""
        return name in self.source_only or (ALL in self.source_only and name not in self.wheel_only)


ANY_FORMAT = FormatControl()
"""Wheels where there are some, and sources otherwise."""


def read_format_control(options: Iterable[tuple[str, str]]) -> FormatControl:
    """Return what the options (name, value) of pip ask for; each overrides those in front of it.

    https://pip.pypa.io/en/stable/cli/pip_install/#install-no-binary
    """
    source_only: set[str] = set()
    wheel_only: set[str] = set()
    for option, value in options:
        if option not in OPTIONS:
            continue
        target, other = (source_only, wheel_only) if option == "--no-binary" else (wheel_only, source_only)
        for name in value.replace(",", " ").split():
            if name == ALL:
                other.clear()
                target.clear()
                target.add(ALL)
            elif name == _NONE:
                target.clear()
            else:
                target.add(canonicalize_name(name))
                other.discard(canonicalize_name(name))
    return FormatControl(source_only=frozenset(source_only), wheel_only=frozenset(wheel_only))
