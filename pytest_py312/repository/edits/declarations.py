"""Places that say a Python version are moved to the target: only their own characters change.

What runs one version moves; what lists several gets the target beside the others, and loses what is older only
when the rollout is closed; what names the oldest version to suit stays until then, because the code still has to.
Nothing that is newer is ever taken back. An edit is proved before it is handed back: the new text is read again.

Which tags of Python images exist, so that an edit never names one that does not. Pure data and text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.text_edits import EditRefused, Splice, spliced
from pytest_py312.repository.declarations.declaration import Meaning, Place
from pytest_py312.repository.declarations.reader import read_places
from pytest_py312.repository.edits.list_items import added, removed
from pytest_py312.repository.edits.version_ranges import moved_range
from pytest_py312.repository.formats.image_reference import python_image
from pytest_py312.repository.formats.version_ranges import allows

_NO_PATCH = "It has to name a patch release, and which one is not for this tool to choose."


@dataclass(frozen=True, kw_only=True, slots=True)
class Aim:
    """Where to: ``close`` ends the time in which baseline and target are served side by side.

    ``full_version`` (``3.12.7``) is written where a patch release has to be named; empty: such places are refused.
    """

    baseline: Interpreter
    target: Interpreter
    close: bool = False
    full_version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A place that has to change and cannot be changed here; ``reason`` is a sentence or two."""

    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.place.location}: {self.reason}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """The new text, the places that were written anew, and those that were refused (they are as they were)."""

    text: str
    changed: tuple[Place, ...] = ()
    refused: tuple[Refused, ...] = ()


Choice = Callable[[str, Sequence[Place]], Sequence[Place]]
"""Which of the places of a text are meant: asked of the text as it is, and again of what it becomes."""


def _all(_: str, places: Sequence[Place]) -> Sequence[Place]:
    return places


def move(text: str, places: Sequence[Place], aim: Aim, chosen: Choice = _all) -> Moved:
    """``text`` with its ``places`` (all of them, as a reader found them) moved. A second time changes nothing.

    :param chosen: which of them, where others move at another time.
    :raises EditRefused: the new text would not say what it was meant to say.
    """
    mover = _Mover(text, chosen(text, places), aim)
    mover.plan()
    edited = spliced(text, mover.splices)
    if edited != text:
        again = read_places(edited, places[0].path)
        check = _Mover(edited, chosen(edited, again), aim)
        check.plan()
        if check.splices or _others(again, aim) != _others(places, aim):
            raise EditRefused("The versions cannot be changed without changing what else the file says.")
    return Moved(text=edited, changed=tuple(mover.changed), refused=tuple(mover.refused))


def spelled(written: str, version: Interpreter, target: Interpreter, full_version: str = "") -> str:
    """``target`` in the way in which ``written`` spells ``version``: ``3.10``, ``3.10.13``, ``py310``, ``310``, ``10``.

    :raises EditRefused: it is spelled in no known way.
    """
    match = re.fullmatch(r"(?P<head>(?:cpython|python|py|cp)?-?)(?P<version>\d.*)", written, re.ASCII)
    number = match["version"] if match else ""
    if match and number == f"{version.major}{version.minor}":
        return f"{match['head']}{target.major}{target.minor}"
    if match and number == str(version.minor):
        return f"{match['head']}{target.minor}"
    if match and re.match(rf"{version.major}\.{version.minor}(?!\d)", number):
        return match["head"] + (full_version or f"{target}{'.*' if number.endswith('.*') else ''}")
    raise EditRefused(f'Nothing tells how to write {target} in the place of "{written[:80]}".')


def _others(places: Iterable[Place], aim: Aim) -> set[tuple[str, str, str]]:
    """What an edit must leave alone: places that say no version which moves."""
    still = (Meaning.APART, Meaning.FLOATING, Meaning.UNKNOWN)
    newer = (
        place for place in places if place.version and place.version > aim.target and place.meaning is not Meaning.PATH
    )
    kept = [place for place in places if place.meaning in still]
    return {(place.meaning.value, place.subject, place.written) for place in (*kept, *newer)}


class _Mover:
    def __init__(self, text: str, places: Sequence[Place], aim: Aim) -> None:
        self._text = text
        self._places = places
        self._aim = aim
        self._images = {line: place for place in places for line in place.serves}
        self.splices: list[Splice] = []
        self.changed: list[Place] = []
        self.refused: list[Refused] = []

    def plan(self) -> None:
        groups: dict[str, list[Place]] = {}
        for place in self._places:
            if place.meaning is Meaning.MEMBER and place.item:
                groups.setdefault(place.item.group, []).append(place)
                continue
            try:
                self._single(place)
            except EditRefused as error:
                self.refused.append(Refused(place=place, reason=str(error)))
        for members in groups.values():
            try:
                self._group(members)
            except EditRefused as error:
                self.refused.append(Refused(place=members[0], reason=str(error)))

    # ---- one version

    def _single(self, place: Place) -> None:
        aim = self._aim
        if place.meaning is Meaning.RANGE:
            self._range(place)
            return
        moves = place.meaning in (Meaning.EXACT, Meaning.PATH, Meaning.MEMBER)
        moves = moves or (place.meaning is Meaning.FLOOR and aim.close)
        moves = moves or (place.meaning is Meaning.LABEL and self._label_moves(place))
        target = self._target_of(place)
        if not moves or place.version is None or place.version >= target:
            if place.misread:
                self._quote(place)
            return
        self._write(place, self._new(place, target))

    def _target_of(self, place: Place) -> Interpreter:
        """That of the image which it stands on, where that is newer already."""
        line = place.bound_line
        image = self._images.get(line) if line is not None and place.meaning is Meaning.PATH else None
        return max(self._aim.target, image.version) if image and image.version else self._aim.target

    def _new(self, place: Place, target: Interpreter) -> str:
        self._check(place)
        full = self._aim.full_version if place.keeps_patch and target == self._aim.target else ""
        if place.keeps_patch and not full:
            raise EditRefused(_NO_PATCH)
        new = spelled(place.written, place.version or target, target, full)
        return f'"{new}"' if not place.quoted and re.fullmatch(r"3\.\d+0", new) else new

    def _check(self, place: Place) -> None:
        if place.fixed:
            raise EditRefused(place.fixed)
        for image in place.images:
            trouble = tag_trouble(image, self._aim.target)
            if trouble:
                raise EditRefused(trouble)

    def _write(self, place: Place, new: str) -> None:
        if new != place.written:
            self.splices.append(Splice(start=place.start, end=place.end, text=new))
            self.changed.append(place)

    def _quote(self, place: Place) -> None:
        self._write(place, f'"{place.written}"')

    def _label_moves(self, label: Place) -> bool:
        """Words follow what they describe: a version that runs alone in the same file, and moves."""
        same = [place for place in self._places if place.version == label.version and place is not label]
        single = any(place.meaning is Meaning.EXACT and place.editable for place in same)
        return single and not any(place.meaning is Meaning.MEMBER for place in same)

    def _range(self, place: Place) -> None:
        aim = self._aim
        if allows(place.text, aim.target) and not aim.close:
            return
        new = moved_range(place.text, baseline=aim.baseline, target=aim.target, close=aim.close)
        if new != place.text:
            self._check(place)
            self._write(place, new)

    # ---- several

    def _group(self, members: Sequence[Place]) -> None:
        aim = self._aim
        leaving = [place for place in members if aim.close and place.version and place.version < aim.target]
        listed = any(place.version == aim.target for place in members)
        model = None if listed else _model(members, aim.target)
        if model is None and not listed:
            leaving = []  # all are newer: what is older has been taken away by hand, or was never there
        removals = [place for place in leaving if not model or _item(place) != _item(model)]
        splices: list[Splice] = []
        if removals:
            for place in removals:
                self._removable(place)
            splices += removed(self._text, {_item(place): place.item for place in removals if place.item}.values())
            if model is None or model in leaving:  # one that is added brings a comma
                splices += self._tuple_comma([place for place in members if place not in removals])
        if model and model in leaving and model.item:
            member = self._member(model)
            bare = self._text[model.item.start : model.item.end].rstrip()
            splices.append(Splice(start=model.item.start, end=model.item.start + len(bare), text=member))
        elif model and model.item:
            splices += added(self._text, model.item, self._member(model))
        staying = [place for place in members if place.misread and place not in leaving and place is not model]
        if model and model.misread and model not in leaving:
            staying.append(model)
        splices += [Splice(start=place.start, end=place.end, text=f'"{place.written}"') for place in staying]
        self.splices += splices
        self.changed += [place for place in (model, *removals, *staying) if place]

    def _tuple_comma(self, staying: Sequence[Place]) -> Iterator[Splice]:
        """A tuple of one needs its comma."""
        last = max((place.item for place in staying if place.item), key=lambda item: item.end, default=None)
        if last and last.group.endswith("()") and not self._text[last.end :].lstrip().startswith(","):
            yield Splice(start=last.end, end=last.end, text=",")

    def _removable(self, place: Place) -> None:
        if place.fixed:
            raise EditRefused(place.fixed)

    def _member(self, model: Place) -> str:
        """The item of ``model`` with the target in the place of its version, however often that is said."""
        item = model.item
        if item is None or model.version is None:
            raise EditRefused("It is no member of a list.")
        new = self._new(model, self._aim.target)
        before, after = self._text[item.start : model.start], self._text[model.end : item.end]
        return _with_target(before, model.version, self._aim.target) + new + _with_target(
            after, model.version, self._aim.target
        ).rstrip()  # fmt: skip


def _item(place: Place) -> tuple[int, int]:
    return (place.item.start, place.item.end) if place.item else (place.start, place.end)


def _model(members: Sequence[Place], target: Interpreter) -> Place | None:
    """The newest before the target; a plain one rather than a whole combination."""
    older = [place for place in members if place.version and place.version < target and place.item]
    plain = [place for place in older if place.item and not place.item.whole]
    ranked = sorted(plain or older, key=lambda place: (place.version or target, place.start))
    return ranked[-1] if ranked else None


def _with_target(text: str, version: Interpreter, target: Interpreter) -> str:
    dotted = rf"(?<![\d.]){version.major}\.{version.minor}(?:\.\d+)?(?![\d.]*\d)"
    text = re.sub(dotted, str(target), text)
    compact = rf"(?i)(?<![a-z])(py|python|cp)(-?){version.major}{version.minor}(?!\d)"
    return re.sub(compact, lambda match: f"{match[1]}{match[2]}{target.major}{target.minor}", text)


def move_files(texts: Mapping[str, str], aim: Aim) -> tuple[Mapping[str, str], tuple[Refused, ...]]:
    """The texts (by path) of one service with every place moved, or as they are with what is refused.

    Moving some of the places is how upgrades break, so one that is refused keeps all of them. What is unknown or
    settled elsewhere holds nothing back: it is for whoever judges the places to say so.
    """
    refused: list[Refused] = []
    moved: dict[str, str] = {}
    for path, text in texts.items():
        places = read_places(text, path)
        if not places:
            continue
        try:
            found = move(text, places, aim)
        except EditRefused as error:
            refused.append(Refused(place=places[0], reason=str(error)))
            continue
        refused += found.refused
        if found.text != text:
            moved[path] = found.text
    return ({}, tuple(refused)) if refused else (moved, ())


_DEBIAN = {
    # minor: releases of Debian for which the official image was made, oldest first
    9: ("buster", "bullseye", "bookworm", "trixie"),
    10: ("buster", "bullseye", "bookworm", "trixie"),
    11: ("buster", "bullseye", "bookworm", "trixie"),
    12: ("bullseye", "bookworm", "trixie"),
    13: ("bullseye", "bookworm", "trixie"),
    14: ("bookworm", "trixie"),
}
_ALPINE = {9: (14, 22), 10: (14, 24), 11: (15, 24), 12: (17, 24), 13: (19, 24), 14: (21, 24)}
"""Minor: the first and the last 3.x of Alpine for which the official image was made."""
# Both from the history of versions.json in https://github.com/docker-library/python up to June 2026, which is what
# the official images are made of. A tag stays in the registry when it is no longer made anew.


def tag_trouble(reference: str, target: Interpreter) -> str:
    """Why the image has no tag for ``target`` with the variant of ``reference``, as a sentence; empty when it has."""
    image = python_image(reference)
    if image is None or image.span is None:
        return "The image names no version."
    if image.reason:
        return image.reason
    if image.digest:
        return (
            f"The image is held by a digest, which belongs to {image.version}; look up that of the image for {target} "
            "and write both."
        )
    if image.scheme == "official":
        return _official(image.variant, target)
    if "buster" in image.variant or "stretch" in image.variant:
        return f'There is no image for {target} with the variant "{image.variant}".'
    return ""


def _official(variant: str, target: Interpreter) -> str:
    if variant in ("", "slim", "alpine"):
        return ""
    debian, alpine = _DEBIAN.get(target.minor), _ALPINE.get(target.minor)
    if target.major != 3 or not debian or not alpine:
        return f'Whether there is an image for {target} with the variant "{variant}" is not known here.'
    if variant.removeprefix("slim-") in debian:
        return ""
    release = re.fullmatch(r"alpine3\.(\d+)", variant, re.ASCII)
    if release and alpine[0] <= int(release[1]) <= alpine[1]:
        return ""
    if release:
        near = f"alpine3.{min(max(int(release[1]), alpine[0]), alpine[1])}"
    else:
        near = f"slim-{debian[0]}" if variant.startswith("slim") else debian[0]
    return f'python:{target}-{variant} does not exist; the nearest variant for {target} is "{near}".'
