"""What an environment should hold and does not: from its metadata, without an installer."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.dependencies.proofs.verification import (
    ExpectedDistribution,
    InstalledMetadata,
    describe_deviations,
    environment_deviations,
    incomplete_reason,
    read_installed,
    requirement_deviations,
    tree_deviations,
)
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from tests.support.fakes import build_of, service_tree

TOGETHER = ("3.9", "3.10", "3.12")
SIX = ExpectedDistribution(name="six", version="1.16.0")
IDNA = ExpectedDistribution(name="idna", version="3.6")


def distribution(name: str, version: str, *requires: str, from_source: bool = False) -> StoredDistribution:
    folder = Path("/nowhere")
    return StoredDistribution(name=name, version=version, folder=folder, requires=requires, from_source=from_source)


def environment(root: Path, interpreter: str, *distributions: tuple[str, str], record: str | None = None) -> Path:
    """An environment with the metadata of ``distributions``, each of which has one module."""
    site = f"lib/python{interpreter}/site-packages"
    files = {}
    for name, version in distributions:
        info = f"{name}-{version}.dist-info"
        files[f"{site}/{name}.py"] = ""
        files[f"{site}/{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        files[f"{site}/{info}/RECORD"] = f"{name}.py,,\n{info}/METADATA,,\n" if record is None else record
    return service_tree(root, files)


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_an_environment_as_locked_has_no_deviations(tmp_path: Path, interpreter: str) -> None:
    root = environment(tmp_path, interpreter, ("six", "1.16.0"), ("idna", "3.6"))
    installed = [distribution("six", "1.16.0"), distribution("idna", "3.6")]

    assert incomplete_reason(root, installed, [], [SIX, IDNA], ["six==1.16.0"], build_of(interpreter)) == ""


@pytest.mark.parametrize("interpreter", TOGETHER)
def test_a_locked_distribution_that_is_not_installed_is_named(tmp_path: Path, interpreter: str) -> None:
    root = environment(tmp_path, interpreter, ("six", "1.16.0"))

    reason = incomplete_reason(root, [distribution("six", "1.16.0")], [], [SIX, IDNA], [], build_of(interpreter))

    assert reason == "it lacks idna 3.6, which is required"


def test_another_version_is_named() -> None:
    installed = [InstalledMetadata(name="six", version="1.15.0")]

    assert environment_deviations(installed, [SIX]) == ("it has six 1.15.0 and not 1.16.0, which is required",)


@pytest.mark.parametrize(("locked", "installed"), [("1.0", "1.0.0"), ("1.0+local", "1.0+local"), ("", "7")])
def test_versions_are_compared_as_versions(locked: str, installed: str) -> None:
    expected = ExpectedDistribution(name="six", version=locked)

    assert environment_deviations([InstalledMetadata(name="six", version=installed)], [expected]) == ()


def test_two_distributions_of_one_name_are_named() -> None:
    installed = [InstalledMetadata(name="acme", version=version) for version in ("0.9.0", "0.9.1")]
    expected = [ExpectedDistribution(name="acme", version="0.9.0")]

    assert environment_deviations(installed, expected) == ("it has acme more than once: 0.9.0 and 0.9.1",)


def test_what_nothing_requires_is_named() -> None:
    installed = [
        InstalledMetadata(name="six", version="1.16.0"),
        InstalledMetadata(name="setuptools", version="84.2.1"),
    ]

    assert environment_deviations(installed, [SIX]) == ("it has setuptools 84.2.1, which nothing requires",)


def test_files_that_record_lists_are_there(tmp_path: Path) -> None:
    """Byte code is written later, and files outside of the environment are never installed."""
    record = "six.py,,\nsix_more.py,,\n__pycache__/six.cpython-312.pyc,,\n../../../../outside,,\n/etc/absent,,\n"
    record += "six-1.16.0.data/scripts/six,,\n"
    root = environment(tmp_path / "environment", "3.12", ("six", "1.16.0"), record=record)

    (metadata,) = read_installed(root, build_of("3.12"))

    assert metadata.missing_files == ("six_more.py",)
    assert environment_deviations([metadata], [SIX]) == ("six 1.16.0 lacks its file six_more.py",)


def test_a_distribution_without_record_is_named(tmp_path: Path) -> None:
    root = environment(tmp_path, "3.12", ("six", "1.16.0"))
    next(root.rglob("RECORD")).unlink()

    assert environment_deviations(read_installed(root, build_of("3.12")), [SIX]) == (
        "six 1.16.0 has no RECORD of its files",
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("idna", "moved 1.0 requires idna, which is not installed"),
        ("six>=2", "moved 1.0 requires six>=2, and 1.16.0 is installed"),
        ("six<2", ""),
        ('idna ; python_version < "3.12"', ""),
        ('idna ; extra == "more"', ""),
        ("six @ https://example.org/six.whl", ""),
        ("not a requirement !", ""),
    ],
)
def test_what_a_build_reports_is_compared(line: str, reason: str) -> None:
    """Its metadata may differ from those that were resolved: another interpreter may have computed them."""
    installed = [distribution("six", "1.16.0"), distribution("moved", "1.0", line, from_source=True)]

    assert describe_deviations(requirement_deviations(installed, (), build_of("3.12"))) == reason


def test_a_tree_satisfies_the_requirements_of_others() -> None:
    trees = [distribution("acme", "0.9.0", from_source=True)]
    other = distribution("uses-acme", "1.0", "acme>=0.9.1")

    reasons = requirement_deviations([*trees, other], {"acme"}, build_of("3.12"))

    assert reasons == ("uses-acme 1.0 requires acme>=0.9.1, and 0.9.0 is installed",)
    assert tree_deviations(["acme==0.9.1", "acme", "six==1"], trees, build_of("3.12")) == [
        "acme==0.9.1 is required, and the repository's own acme is 0.9.0"
    ]


@given(text=st.text(), metadata=st.text())
def test_no_metadata_make_it_raise(tmp_path_factory: pytest.TempPathFactory, text: str, metadata: str) -> None:
    root = tmp_path_factory.mktemp("environment")
    info = root / "lib/python3.12/site-packages/six-1.16.0.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_bytes(text.encode("utf-8", "surrogatepass"))
    (info / "METADATA").write_bytes(metadata.encode("utf-8", "surrogatepass"))
    installed = [distribution("six", "1.16.0", text, from_source=True)]

    assert isinstance(incomplete_reason(root, installed, installed, [SIX], [text, metadata], build_of("3.12")), str)
