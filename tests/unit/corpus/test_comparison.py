"""The gate's changes beside those of the maintainers."""

from dataclasses import replace

import pytest

from pytest_py312.core.model.findings import Interpreter
from tests.corpus.comparison import Agreement, compare, is_needed, joined
from tests.corpus.manifest import Culprit, CulpritKind, ExcusedPlace, Manifest, Place, TrueService, TrueVerdict
from tests.corpus.places import ChangedPlace, PlaceKind
from tests.corpus.upstream import HEADINGS, disagreements, rows

MANIFEST = Manifest(
    name="acme+shop",
    url="https://github.com/acme/shop",
    commit="0123456789abcdef0123456789abcdef01234567",
    baseline=Interpreter(3, 9),
    target=Interpreter(3, 12),
)


def change(
    old: str, new: str, path: str = "Dockerfile", kind: PlaceKind = PlaceKind.VERSION, line: int = 1
) -> ChangedPlace:
    return ChangedPlace(
        kind=kind, path=path, old_line=line if old else None, new_line=line if new else None, old=old, new=new
    )


IMAGE = change("FROM python:3.9", "FROM python:3.12")
LOCK = ChangedPlace(kind=PlaceKind.LOCK, path="poetry.lock")


def agreements(theirs: list[ChangedPlace], ours: list[ChangedPlace]) -> list[str]:
    return [place.agreement.value for place in compare(MANIFEST, theirs, ours).places]


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (IMAGE, replace(IMAGE, old_line=40), "both, same result"),
        (IMAGE, replace(IMAGE, new="FROM python:3.12-slim"), "both, other result"),
        # they replace an item, we add one
        (change("- 3.9", "- 3.12"), change("", "- 3.12"), "both, other result"),
        # they replace it by another than we add
        (change("- 3.9", "- 3.11"), change("", "- 3.12"), "both, other result"),
        # their tree is newer than the manifest's
        (
            change("FROM python:3.9.8", "FROM python:3.12"),
            change("FROM python:3.9.2", "FROM python:3.12"),
            "both, same result",
        ),
        (
            change("numpy==1.21", "numpy==1.26", "r.txt", PlaceKind.REQUIREMENT),
            change("numpy>=1", "numpy>=1.26", "r.txt", PlaceKind.REQUIREMENT),
            "both, other result",
        ),
        (
            change("import imp\nimp.a()", "import b\nb.a()", "a.py", PlaceKind.SOURCE),
            change("import imp", "import c as imp", "a.py", PlaceKind.SOURCE),
            "both, other result",
        ),
        (LOCK, LOCK, "both, same result"),
    ],
)
def test_a_place_of_both(theirs: ChangedPlace, ours: ChangedPlace, expected: str) -> None:
    assert agreements([theirs], [ours]) == [expected]


def test_places_of_one_side() -> None:
    other = replace(IMAGE, path="worker/Dockerfile")
    assert agreements([IMAGE], [other]) == ["only they", "only we"]
    assert agreements([LOCK], [replace(IMAGE, path="poetry.lock")]) == ["only they", "only we"]


def test_equal_lines_are_paired_one_by_one() -> None:
    assert agreements([IMAGE, replace(IMAGE, old_line=9)], [IMAGE]) == ["both, same result", "only they"]


def test_a_line_that_only_we_change_to_what_they_write_elsewhere() -> None:
    theirs = change("version: 3.11", "version: 3.12", line=4)
    ours = [theirs, change("version: 3.8", "version: 3.12", line=9)]
    assert agreements([theirs], ours) == ["both, same result", "only we"]


def test_what_the_manifest_explains() -> None:
    manifest = replace(
        MANIFEST,
        out_of_reach=(ExcusedPlace(place=Place(path="ci/*"), reason="an image of their own"),),
        unrelated=(ExcusedPlace(place=Place(path="tox.ini", line=3), reason="a typing mistake"),),
        right=(ExcusedPlace(place=Place(path="worker/Dockerfile"), reason="they forgot it"),),
    )
    unrelated = change("a", "b", "tox.ini", line=3)
    theirs = [IMAGE, replace(IMAGE, path="ci/build.sh"), unrelated]
    ours = [replace(IMAGE, path="worker/Dockerfile"), IMAGE, unrelated]

    compared = compare(manifest, theirs, ours, ["not migrated: api: it is blocked"])

    assert [place.agreement for place in compared.places] == [Agreement.SAME, Agreement.OUT_OF_REACH, Agreement.RIGHT]
    row, _ = rows([compared])
    assert dict(zip(HEADINGS, row, strict=True)) == {
        "repository": "[acme/shop](https://github.com/acme/shop)", "commit": "01234567", "move": "3.9 to 3.12",
        "their places": "2", "both, same": "1", "both, other": "0", "only they": "0", "out of reach": "1",
        "not needed": "0",
        "share": "100 %", "declared versions": "1/1", "requirements": "0/0", "sources": "0/0", "lock files": "0/0",
        "only we": "1", "of these right": "1", "not ready": "0",
    }  # fmt: skip
    assert list(disagreements([compared])) == [
        "== acme/shop",
        "out of reach: ci/build.sh:1 (declared version)\n    - FROM python:3.9\n    + FROM python:3.12\n"
        "    an image of their own",
        "only we, rightly: worker/Dockerfile:1 (declared version)\n    - FROM python:3.9\n    + FROM python:3.12\n"
        "    they forgot it",
        "not migrated: api: it is blocked",
    ]


def test_an_update_of_everything_is_not_needed() -> None:
    culprit = Culprit(
        kind=CulpritKind.REQUIREMENT, name="Greenlet==1.1.2", place=Place(path="api/r.txt", line=2), reason="no wheel"
    )
    broken = TrueService(path="api", verdict=TrueVerdict.BROKEN, reason="tried", culprits=(culprit,))
    ready = TrueService(path="web", verdict=TrueVerdict.READY, reason="tried")
    manifest = replace(MANIFEST, services=(broken, ready))
    raised = change("flask==2.2", "flask==3.0", "api/r.txt", PlaceKind.REQUIREMENT)
    needed = change("greenlet==1.1.2", "greenlet==3", "api/r.txt", PlaceKind.REQUIREMENT)

    def is_needed_in(place: ChangedPlace, path: str) -> bool:
        return is_needed(manifest, replace(place, path=path))

    assert is_needed(manifest, needed)
    assert not is_needed(manifest, raised)
    assert [is_needed_in(raised, path) for path in ("web/r.txt", "worker/r.txt")] == [False, True]
    assert [is_needed_in(LOCK, f"{path}/r.txt") for path in ("api", "web", "worker")] == [True, False, True]
    assert is_needed_in(LOCK, "web/poetry.lock")
    compared = compare(manifest, [raised, needed], [raised])
    assert [place.agreement for place in compared.places] == [Agreement.SAME, Agreement.ONLY_THEY]
    assert [place.agreement for place in compare(manifest, [raised], []).places] == [Agreement.NOT_NEEDED]


def test_a_block_of_theirs_may_be_several_of_ours() -> None:
    theirs = change("import imp\nx = imp.a()", "import b\nx = b.a()", "a.py", PlaceKind.SOURCE)
    ours = [
        change("import imp", "import b", "a.py", PlaceKind.SOURCE),
        change("x = imp.a()", "x = b.a()", "a.py", PlaceKind.SOURCE, line=9),
    ]
    assert agreements([theirs], ours) == ["both, other result"]
    assert agreements(ours, [theirs]) == ["both, other result", "both, other result"]


def test_what_was_changed_twice_is_one_place() -> None:
    first = change("FROM python:3.9", "FROM python:3.12-rc")
    second = change("FROM python:3.12-rc", "FROM python:3.12")
    undone = change("- 3.9", "- 3.12", "ci.yml")
    back = change("- 3.12", "- 3.9", "ci.yml")

    assert joined([[first, undone, LOCK], [second, back, LOCK]]) == (IMAGE, LOCK)
    twice = replace(IMAGE, old_line=9)
    assert joined([[IMAGE, twice], [IMAGE]]) == (IMAGE, twice)
