"""Resolve what several commands install one after the other, as pip does, into one lock."""

from collections.abc import Callable, Set
from dataclasses import replace

from pytest_py312.core import clock
from pytest_py312.dependencies.resolution.lock import (
    DependencyLock,
    Pin,
    ResolutionRequest,
    Undetermined,
    Unresolvable,
)

MAX_KEPT_VERSIONS = 5
"""Number of versions from earlier commands for which a resolution is tried that keeps them."""
_RELEASED_DAILY = ("boto3", "botocore")
"""Projects of platforms with more than a thousand versions."""


def parts_of(request: ResolutionRequest) -> tuple[ResolutionRequest, ...]:
    """Return what is resolved on its own, in the order in which it is installed."""
    if not request.others:
        return (request,)
    alone = replace(request, others=())
    parts = (*((alone,) if alone.lines else ()), *(part for part in request.others if part.lines))
    return tuple(sorted(parts, key=lambda part: part.position)) or (alone,)


def resolve_parts(request: ResolutionRequest, resolve: Callable[[ResolutionRequest], DependencyLock]) -> DependencyLock:
    """Return the lock of what several commands install one after the other, as pip does.

    What is installed already is kept where the next command allows that, and is replaced otherwise.

    :param resolve: resolves a request without ``others``; raises ``Unresolvable`` and ``Undetermined``.
    """
    pins: dict[str, Pin] = {}
    replaced: list[Pin] = []
    required: set[str] = set()
    for part in parts_of(request):
        kept = (pin for pin in pins.values() if pin.version and not (part.upgrade and pin.name in part.names))
        part = replace(part, installed=tuple(f"{pin.name}=={pin.version}" for pin in kept))
        if part.provided:
            pins = {pin.name: pin for pin in _resolve_provided(part, resolve).pins} | pins
            continue
        lock = resolve(part)
        if not (part.by_uv or part.no_deps):
            lock = _with_kept_versions(part, lock, required - part.names, resolve)
        required |= part.names
        resolved = {
            pin.name: pins[pin.name] if pin.name in pins and pins[pin.name].version == pin.version else pin
            for pin in lock.pins
        }
        replaced += [pin for pin in pins.values() if pin.from_source and resolved.get(pin.name, pin).line != pin.line]
        pins |= resolved
    in_order = tuple(sorted(pins.values(), key=lambda pin: pin.name))
    return DependencyLock(pins=in_order, created=clock.timestamp(), replaced=tuple(replaced))


def _with_kept_versions(
    part: ResolutionRequest,
    lock: DependencyLock,
    names: Set[str],
    resolve: Callable[[ResolutionRequest], DependencyLock],
) -> DependencyLock:
    """Return ``lock`` with the installed versions of ``names`` that pip keeps where a resolver may give them up.

    pip takes what is installed first, and the distributions that nothing requires directly in the order of their names
    (``PipProvider.get_preference``). If what is installed does not fit to a newer version of a later one, because of
    something that both require, pip goes back to an older one of that; if the newer version itself requires another
    one of what is installed, pip replaces it. Measured with pip 23.2.1, 24.0 and 26.3.
    """
    installed = dict(line.split("==", 1) for line in part.installed)
    chosen = lock.versions
    given_up = [name for name in sorted(names & installed.keys() & chosen.keys()) if chosen[name] != installed[name]]
    fixed = [f"{pin.name}=={pin.version}" for pin in lock.pins if pin.version and pin.name in part.names]
    for name in given_up[:MAX_KEPT_VERSIONS]:
        kept = f"{name}=={installed[name]}"
        try:
            other = resolve(replace(part, constraints=(*part.constraints, *fixed, kept)))
        except Unresolvable:
            continue
        gone_back = {
            each: lock.versions[each]
            for each, version in other.versions.items()
            if each not in installed and lock.versions.get(each, version) != version
        }
        if not any(each < name or _requires(f"{each}=={gone_back[each]}", name, part, resolve) for each in gone_back):
            lock = other
            fixed.append(kept)
    return lock


def _requires(
    line: str, name: str, part: ResolutionRequest, resolve: Callable[[ResolutionRequest], DependencyLock]
) -> bool:
    """Return whether a distribution requires the project ``name``, directly or through others."""
    try:
        return name in resolve(replace(part, lines=(line,), installed=())).versions
    except Unresolvable:
        return True


def _resolve_provided(
    part: ResolutionRequest, resolve: Callable[[ResolutionRequest], DependencyLock]
) -> DependencyLock:
    """Return what a platform provides, which replaces nothing that is installed already.

    Its versions are the newest, whether they fit to that or not: a platform does not compare them with what it finds
    beside them. Those of the same minor version that fit are preferred. Of a project with a thousand versions a
    resolver would try all that ever were, the first of which have to be built to be read.
    """
    kept = replace(part, constraints=(*part.constraints, *part.installed))
    try:
        newest = resolve(replace(kept, no_deps=True))
        open_pins = (pin for pin in newest.pins if f"{pin.name}=={pin.version}" not in part.installed)
        bounds = (_same_minor(pin) for pin in open_pins if pin.name in _RELEASED_DAILY)
        try:
            return resolve(replace(kept, constraints=(*kept.constraints, *bounds)))
        except Unresolvable:
            return newest
    except Unresolvable as error:
        raise Undetermined(f"what the platform provides cannot be resolved: {error}", sorted(part.names)) from error


def _same_minor(pin: Pin) -> str:
    """Return the requirement of the minor version of a pin, or of a newer one."""
    return f"{pin.name}>={'.'.join(pin.version.split('.')[:2])}"
