"""Reading the manifests of the corpus, and those that are there."""

from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Interpreter
from tests.corpus.manifest import (
    REPOSITORIES,
    CulpritKind,
    ManifestError,
    Place,
    TrueVerdict,
    read_manifest,
    read_manifests,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TEXT = f"""\
[repository]
url = "https://github.com/acme/shop"
commit = "{COMMIT}"
baseline = "3.11"
target = "3.12"
moved_by = []
kinds = ["tox"]

[[service]]
path = "./services/api/"
verdict = "broken"
reason = "its suite cannot be installed"
commands = ["python3.12 -m venv v"]

[[service.culprit]]
kind = "requirement"
name = "greenlet==1.1.2"
place = "services/api/requirements.txt:12"
reason = "no wheel for 3.12"
remedy = ""

[[service]]
path = "docs"
verdict = "no-service"
reason = "only text"

[[upstream.out_of_reach]]
place = "ci/*.sh"
reason = "an image of their own"
"""


def write(folder: Path, text: str = TEXT, name: str = "acme+shop.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path))

    assert (manifest.label, manifest.commit, manifest.complete) == ("acme/shop", COMMIT, False)
    assert (manifest.baseline, manifest.target) == (Interpreter(3, 11), Interpreter(3, 12))
    api, docs = manifest.services
    assert (api.path, api.verdict, docs.verdict) == ("services/api", TrueVerdict.BROKEN, TrueVerdict.NO_SERVICE)
    assert api.culprits[0].kind is CulpritKind.REQUIREMENT
    assert str(api.culprits[0].place) == "services/api/requirements.txt:12"
    assert manifest.out_of_reach[0].place.covers("ci/build.sh", 3)


def test_a_place_covers_its_line_only() -> None:
    assert Place(path="tox.ini", line=3).covers("tox.ini", 2, 3)
    assert not Place(path="tox.ini", line=3).covers("tox.ini", 4)
    assert not Place(path="tox.ini").covers("api/tox.ini", 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f'"{COMMIT}"', '"0123"', "acme+shop.toml:3: repository.commit: expected the 40 hex digits of a commit"),
        (
            'target = "3.12"',
            'target = "3.11"',
            "acme+shop.toml:5: repository.target: is not newer than the baseline 3.11",
        ),
        ('target = "3.12"\n', "", "acme+shop.toml:1: repository: has no `target`"),
        ('"broken"', '"borken"', 'service[1].verdict: expected one of "ready", "broken", .*perhaps you meant "broken"'),
        ('"broken"', '"ready"', "acme+shop.toml:15: service[1].culprit: is about a service that is ready"),
        ('"no-service"', '"broken"', "acme+shop.toml:24: service[2].verdict: is broken and has no culprit"),
        (
            "kinds =",
            "kind =",
            'acme+shop.toml:7: repository.kind: `repository` has no such key, perhaps you meant "kinds"',
        ),
        ('"docs"', '"../docs"', "acme+shop.toml:23: service[2].path: .* leads out of the repository"),
        ('"docs"', '"services/api"', 'the service "services/api" stands here twice'),
        ("acme/shop", "acme/shops", "acme+shop.toml: is about https://github.com/acme/shops; name it acme+shops.toml"),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, TEXT.replace(old, new))

    with pytest.raises(ManifestError) as error:
        read_manifest(path)

    assert all(part in str(error.value) for part in message.split(".*"))


def test_one_wrong_manifest_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "[repository", "acme+bank.toml")

    wrong, right = read_manifests(tmp_path, only="acme/")

    assert isinstance(wrong, ManifestError)
    assert not isinstance(right, ManifestError)
    assert list(read_manifests(tmp_path, only="other")) == []


@pytest.mark.parametrize("path", sorted(REPOSITORIES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_manifests_are_valid(path: Path) -> None:
    read_manifest(path)
