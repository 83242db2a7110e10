"""What a build of foreign code made is checked before it is installed."""

import base64
import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.system.built_wheels import UntrustworthyWheel, check_wheel, take_wheel

FILES = {
    "evil.py": "ANSWER = 42\n",
    "evil-1.0.data/scripts/evil": "#!python\n",
    "evil-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n",
    "evil-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\n",
}
RECORD = "evil-1.0.dist-info/RECORD"


def line_of(name: str, content: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def wheel(
    folder: Path,
    files: Mapping[str, str] = FILES,
    record: Callable[[str], str] = lambda text: text,
    name: str = "evil-1.0-py3-none-any.whl",
    mode: int = 0o100644,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(line_of(file, content) for file, content in files.items()) + f"{RECORD},,\n"
    with zipfile.ZipFile(folder / name, "w") as archive:
        for file, content in {**files, RECORD: record(text)}.items():
            member = zipfile.ZipInfo(file)
            member.external_attr = (mode if file == "evil.py" else 0o100644) << 16
            archive.writestr(member, content)
    return folder / name


def test_a_wheel_as_backends_make_it_is_accepted(tmp_path: Path) -> None:
    check_wheel(wheel(tmp_path))


@pytest.mark.parametrize(
    "path",
    [
        "../planted.py",
        "evil/../../planted.py",
        "/planted.py",
        "C:/planted.py",
        "evil\\planted.py",
        "evil/new\nline.py",
        "evil//x.py",
        "evil-1.0.data/elsewhere/x",
        "victim-1.0.dist-info/METADATA",
        "victim-1.0.data/purelib/victim.py",
        "evil-2.0.dist-info/METADATA",
    ],
)
def test_no_path_leaves_the_installation_or_is_of_another_project(tmp_path: Path, path: str) -> None:
    with pytest.raises(UntrustworthyWheel):
        check_wheel(wheel(tmp_path, {**FILES, path: ""}))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_wheel_has_no_links_and_no_devices(tmp_path: Path, kind: int) -> None:
    with pytest.raises(UntrustworthyWheel, match="link or a device"):
        check_wheel(wheel(tmp_path, mode=kind | 0o777))


@pytest.mark.parametrize(
    "record",
    [
        lambda text: text.replace("sha256=", "sha256=A"),
        lambda text: text.replace("sha256=", "md5="),
        lambda text: "".join(line + "\n" for line in text.splitlines() if not line.startswith("evil.py")),
        lambda text: text + "more.py,,\n",
        lambda text: "",
    ],
    ids=["another hash", "a weak hash", "a file less", "a file more", "empty"],
)
def test_record_lists_every_file_with_its_hash(tmp_path: Path, record: Callable[[str], str]) -> None:
    with pytest.raises(UntrustworthyWheel):
        check_wheel(wheel(tmp_path, record=record))


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_py312.dependencies.system.built_wheels.MAX_CONTENT_SIZE", 10)
    with pytest.raises(UntrustworthyWheel, match="too large"):
        check_wheel(wheel(tmp_path))


@given(st.binary(max_size=300))
def test_no_content_breaks_it(content: bytes) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"evil-1.0-py3-none-any-{os.getpid()}"
    path.mkdir(exist_ok=True)
    file = path / "evil-1.0-py3-none-any.whl"
    file.write_bytes(b"PK\x03\x04" + content)
    with pytest.raises(UntrustworthyWheel):
        check_wheel(file)


def taken(folder: Path, name: str = "evil", version: str = "1.0") -> Path:
    (folder / "target").mkdir()
    return take_wheel(folder / "scratch", name, version, folder / "target")


def test_the_wheel_of_the_source_is_taken_from_uvs_cache(tmp_path: Path) -> None:
    """Others there are of what its build required."""
    for name in ("evil-1.0-py3-none-any.whl", "helper-2.0-py3-none-any.whl"):
        made = wheel(tmp_path / "scratch/cache/sdists-v11/pypi/x/1.0/rev", name="evil-1.0-py3-none-any.whl")
        made.rename(made.with_name(name))
    wheel(tmp_path / "scratch/cache/sdists-v11/pypi/x/1.0/rev")

    assert taken(tmp_path) == tmp_path / "target" / "evil-1.0-py3-none-any.whl"


@pytest.mark.parametrize("kind", ["path", "git", "url"])
@pytest.mark.parametrize("version", ["1.0", ""])
def test_a_tree_is_the_only_source_that_comes_from_no_index(tmp_path: Path, version: str, kind: str) -> None:
    wheel(tmp_path / f"scratch/cache/sdists-v11/{kind}/digest/rev")
    wheel(tmp_path / "scratch/cache/sdists-v11/pypi/x/1.0/rev")
    assert taken(tmp_path, "", version).name == "evil-1.0-py3-none-any.whl"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither one to a file nor one to a folder: what is behind it was not made by this build."""
    made = wheel(tmp_path / "elsewhere")
    folder = tmp_path / "scratch/cache/sdists-v11/pypi/x/1.0"
    folder.mkdir(parents=True)
    (folder / made.name).symlink_to(made)
    (folder / "rev").symlink_to(made.parent)
    with pytest.raises(UntrustworthyWheel, match="there is none"):
        taken(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "scratch/cache/sdists-v11/pypi/x/1.0"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "evil-1.0-py3-none-any.whl")
    with pytest.raises(UntrustworthyWheel, match="no regular file"):
        taken(tmp_path)


def test_several_wheels_are_not_chosen_from(tmp_path: Path) -> None:
    for number in (1, 2):
        wheel(tmp_path / f"scratch/cache/sdists-v11/pypi/x/1.0/{number}")
    with pytest.raises(UntrustworthyWheel, match="should have made one wheel"):
        taken(tmp_path)
