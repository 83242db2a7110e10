"""The requirement to which a finding about an installed distribution leads."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import Cell, Declaration, InstallRecipe, InstallStep, LocalProject, RequirementSource
from pytest_py312.dependencies.installation.findings import installation_findings, without_consequences
from pytest_py312.dependencies.installation.image_builds import image_build_findings, lacking_build_findings
from pytest_py312.dependencies.installation.installed_distributions import excluding_requirements, requirement_of
from pytest_py312.dependencies.installation.result import Installation
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.dependencies.system.build_tools import NETWORK, MissingTool
from pytest_py312.repository.formats.requirements_file import read_requirements
from pytest_py312.repository.services.requirements.requirement_set import LocatedEntry
from tests.support.elf import compiled_module
from tests.support.fakes import build_of, cell_of, installation_of

FAILURE = "ModuleNotFoundError: No module named 'pkg_resources'"


def entries(*lines: str) -> list[LocatedEntry]:
    read = read_requirements("\n".join(lines), "requirements.txt").entries
    return [
        LocatedEntry(entry=entry, location=Location(path="requirements.txt", line=number))
        for number, entry in enumerate(read, start=1)
    ]


def installed(name: str, *requires: str) -> StoredDistribution:
    return StoredDistribution(name=name, version="1", folder=Path("/nowhere"), requires=requires)


SET = (
    installed("distro", "Instrumentation==0.33b0", "api>=1.2; python_version >= '3.9'"),
    installed("instrumentation", "setuptools>=16"),
    installed("flask", "click", 'instrumentation; extra == "trace"'),
)


@pytest.mark.parametrize(
    ("project", "requirement"),
    [("instrumentation", "distro"), ("setuptools", "distro"), ("api", "distro"), ("flask", "flask"), ("wheel", "")],
)
def test_what_brings_a_distribution_in_is_the_nearest_requirement(project: str, requirement: str) -> None:
    """Not one that would require it for an extra."""
    located = requirement_of(project, entries("flask==2.3.3", "distro==0.33b0"), SET)

    assert (located.name if located else "") == requirement


@pytest.mark.parametrize(
    ("limit", "requirement"), [("tornado>=4.1,<6", "tracing"), ("tornado>=4.1", "client"), ("tornado==5", "tracing")]
)
def test_of_several_requirements_the_one_counts_that_keeps_newer_versions_away(limit: str, requirement: str) -> None:
    """Also where it is further away than the others."""
    distributions = (
        installed("client", "tornado>=4.3"), installed("tracing", "hooks"), installed("hooks", limit),
    )  # fmt: skip

    located = requirement_of("tornado", entries("client==4.3", "tracing==3.2"), distributions)

    assert located is not None
    assert located.name == requirement


def test_a_direct_requirement_counts_before_those_of_others() -> None:
    located = requirement_of("numpy", entries("numpy", "pandas"), (installed("pandas", "numpy<3,>=1.26"),))
    assert located is not None
    assert located.name == "numpy"


@pytest.mark.parametrize(
    ("line", "excludes"),
    [
        ("tornado<6", True), ("tornado==5", True), ("tornado<7", False), ("tornado>=4", False), ("tornado", False),
        ('tornado<6; python_version < "3.10"', False), ('tornado<6; python_version >= "3.10"', True),
        ("tornado @ https://example.org/t.zip", False), ("tornado<6; extra == 'x'", False),
    ],
)  # fmt: skip
def test_what_excludes_a_version_of_a_project(line: str, excludes: bool) -> None:
    """Only what applies there and excludes just this version: what a platform provides in any version is not named."""
    distributions = (installed("client", "hooks==1"), installed("hooks", line), installed("stray", "tornado<6"))
    required = entries("tornado", "hooks", "client==4.3", "other==1")

    found = excluding_requirements("tornado", "6.1", required, distributions, build_of("3.12"))

    assert [item.name for item in found] == ["client"] * excludes


def test_a_limit_of_what_nothing_requires_is_ignored() -> None:
    distributions = (installed("client", "tornado>=4.3"), installed("stray", "tornado<6"))

    located = requirement_of("tornado", entries("client==4.3"), distributions)

    assert located is not None
    assert located.name == "client"


@pytest.mark.parametrize("interpreter", ["3.10", "3.12"])
def test_a_failing_import_names_the_requirement_that_brings_its_project_in(interpreter: str) -> None:
    versions = {"instrumentation": "0.33b0", "distro": "0.33b0"}
    installation = installation_of(interpreter, versions, distributions=SET, imports={"instrumentation": FAILURE})

    (finding,) = installation_findings(cell_of(interpreter), installation, entries("flask==2.3.3", "distro==0.33b0"))

    assert finding.location == Location(path="requirements.txt", line=2)
    assert finding.message.endswith(f"fails: {FAILURE} (distro requires it)")
    assert finding.names == ("instrumentation",)


@pytest.mark.parametrize(
    ("folder", "remedy"),
    [
        (
            "tree-0123-cp312",
            "fix its source, which the repository has, or require what it lacks: the traceback shows the line",
        ),
        ("shared-1", "require a version of shared that runs on 3.12, or replace it"),
    ],
)
def test_no_other_version_is_required_of_what_the_repository_has(folder: str, remedy: str) -> None:
    failure = "ModuleNotFoundError: No module named 'imp'"
    entry = replace(installed("shared"), folder=Path("/store") / folder)
    installation = installation_of("3.12", {"shared": "1"}, distributions=(entry,), imports={"shared": failure})

    (finding,) = installation_findings(cell_of("3.12"), installation, [])

    assert finding.remedy == remedy


def setup_script(
    *,
    packages: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    tests: str = "",
    conditional: bool = False,
    tool: str = "setup.py",
    projects: tuple[LocalProject, ...] = (),
) -> Cell:
    """A cell whose Dockerfile runs setup.py after other steps."""
    steps = [
        InstallStep(tool="pip", location=Location(path="Dockerfile", line=2), files=("requirements.txt",)),
        InstallStep(tool="apt", location=Location(path="Dockerfile", line=3), system_packages=packages, flags=flags),
        InstallStep(
            tool=tool, location=Location(path="Dockerfile", line=4), conditional=conditional, projects=projects
        ),
    ]
    cell = cell_of("3.12")
    sources = [RequirementSource(path=path) for path in ("requirements.txt", tests) if path]
    service = replace(
        cell.service,
        recipe=InstallRecipe(source="Dockerfile", steps=tuple(steps)),
        requirements=tuple(sources[:1]),
        test_requirements=tuple(sources[1:]),
    )
    return replace(cell, service=service)


def findings_on_setup(cell: Cell, *lines: str, seeds: tuple[str, ...] = ()) -> list[str]:
    installation = installation_of("3.12", {"flask": "1"}, distributions=SET, imports={})
    assert installation.build is not None
    installation = replace(installation, build=replace(installation.build, preinstalled=seeds))
    return [
        f"{finding.code} {finding.location}" for finding in installation_findings(cell, installation, entries(*lines))
    ]


def test_setup_py_needs_a_setuptools_that_production_has() -> None:
    """`python setup.py install` in a Dockerfile fails on an image of 3.12, where `pip install .` works."""
    assert findings_on_setup(setup_script(), "flask==1") == ["PY106 Dockerfile:4"]
    assert findings_on_setup(setup_script(), "flask==1", seeds=("setuptools==65.5.0",)) == []
    assert findings_on_setup(setup_script(), "flask==1", "setuptools==69") == []
    assert findings_on_setup(setup_script(), "distro==1") == [], "it requires setuptools"


def test_a_build_in_place_needs_setuptools() -> None:
    """`python setup.py build_ext` installs nothing, so `pip install .` is no remedy."""
    installation = installation_of("3.12", {"flask": "1"}, distributions=SET, imports={})
    remedies = [
        finding.remedy
        for cell in (setup_script(), setup_script(projects=(LocalProject(path="."),)))
        for finding in installation_findings(cell, installation, entries("flask==1"))
    ]
    assert remedies == [
        "install setuptools before",
        "write `pip install .` there, which brings setuptools along for the build",
    ]


def test_setup_py_is_not_judged_where_something_else_may_bring_setuptools() -> None:
    assert findings_on_setup(setup_script(packages=("python3-setuptools",)), "flask==1") == []
    assert findings_on_setup(setup_script(conditional=True), "flask==1") == []
    assert findings_on_setup(cell_of("3.12"), "flask==1") == []


def test_a_build_without_isolation_needs_a_setuptools_as_well() -> None:
    """Only where setuptools is the backend: another one has to be installed before on every Python."""
    by_setuptools, by_another = (
        setup_script(tool="pip", projects=(LocalProject(path=".", by_own_setuptools=is_own),))
        for is_own in (True, False)
    )

    assert findings_on_setup(by_setuptools, "flask==1") == ["PY106 Dockerfile:4"]
    assert findings_on_setup(by_setuptools, "flask==1", "setuptools==69") == []
    assert findings_on_setup(by_another, "flask==1") == []


def test_a_setuptools_of_the_tests_does_not_help_production() -> None:
    """The entries of this file are those of the tests."""
    cell = setup_script(tests="requirements.txt")
    cell = replace(cell, service=replace(cell.service, requirements=(RequirementSource(path="other.txt"),)))
    assert findings_on_setup(cell, "setuptools==69") == ["PY106 Dockerfile:4"]


# ---- compiled here, and not in the image


def compiled(root: Path, name: str = "psycopg2-binary", *, from_source: bool = True) -> StoredDistribution:
    (root / "lib" / name).mkdir(parents=True, exist_ok=True)
    (root / "lib" / name / "_speed.so").touch()
    return replace(installed(name), folder=root, from_source=from_source)


def needs_compiler(distribution: StoredDistribution) -> bool:
    """A build without a compiler fails."""
    return False


def image_findings(
    root: Path,
    *,
    image: str = "python:3.11-slim",
    packages: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    on_target: bool = True,
    on_baseline: bool = False,
    origin: str = "PATH",
) -> list[str]:
    """What is concluded for a set of which one distribution was built from source on the target."""
    cell = setup_script(packages=packages, flags=flags)
    location = Location(path="Dockerfile", line=1)
    declarations = (Declaration(kind="image", text=image, location=location),)
    cell = replace(cell, service=replace(cell.service, declarations=declarations))
    versions = {"psycopg2-binary": "2.9.6"}
    target, baseline = (
        installation_of(on, versions, distributions=(compiled(root / on, from_source=built),))
        for on, built in (("3.12", on_target), ("3.11", on_baseline))
    )
    assert target.build is not None
    target = replace(target, build=replace(target.build, origin=origin))
    found = image_build_findings(cell, target, baseline, entries("psycopg2-binary==2.9.6"), needs_compiler)
    return [f"{finding.code} {finding.location}" for finding in found]


@pytest.mark.parametrize(
    "different",
    [
        {}, {"image": "registry.example/python:3.11-alpine3.19"}, {"image": "public.ecr.aws/lambda/python:3.10"},
        {"image": "amazon/aws-lambda-python:3.11"}, {"image": "gcr.io/distroless/python3-debian12"},
        {"image": "debian:12"}, {"image": "docker.io/library/alpine"},
        {"image": "public.ecr.aws/docker/library/ubuntu:24.04"},
        {"image": "ghcr.io/astral-sh/uv:python3.12-bookworm-slim"}, {"image": "company/server:python3.9-slim"},
        {"packages": ("git", "libpq-dev", "gccgo-doc")},
        {"image": "ubuntu:22.04", "packages": ("python3-pip",), "flags": ("--no-install-recommends",)},
    ],
)  # fmt: skip
def test_what_needs_a_compiler_is_no_wheel_of_a_slim_image(tmp_path: Path, different: dict[str, Any]) -> None:
    """It builds on this machine, and the image of production stops at it."""
    assert image_findings(tmp_path, **different) == ["PY104 requirements.txt:1"]


@pytest.mark.parametrize(
    "different",
    [
        {"image": "python:3.11"}, {"image": "python:3.11-bookworm"}, {"image": "company/base-slim:1"},
        {"image": "company/python-debian:1"}, {"image": "company/debian:12-build"},
        {"image": "company/ubuntu"}, {"packages": ("build-essential", "libpq-dev")}, {"packages": ("gcc-12",)},
        {"image": "ubuntu:22.04", "packages": ("python3-pip",)}, {"packages": ("gcc=4:12.2.0-3",)},
        {"image": "debian", "packages": ("libpython3-all-dev",)}, {"packages": ("gfortran",)},
        {"packages": ("cargo-1.75",)}, {"packages": ("gcc10-c++",)}, {"packages": ("python3.11-dev",)},
        {"on_target": False}, {"on_baseline": True}, {"origin": "image python:3.12-slim"},
    ],
)  # fmt: skip
def test_a_build_is_not_doubted_without_a_reason(tmp_path: Path, different: dict[str, Any]) -> None:
    assert image_findings(tmp_path, **different) == []


@pytest.mark.parametrize("target", ["/var/task", "/opt/python"], ids=["function", "layer"])
@pytest.mark.parametrize(
    ("needed", "codes"),
    [(["libpq.so.5", "libc.so.6"], ["PY104"]), (["libm.so.6", "libpthread.so.0"], []), (["libown.so.3"], [])],
)
def test_a_function_has_no_library_of_the_machine_that_built_it(
    tmp_path: Path, needed: list[str], codes: list[str], target: str
) -> None:
    """What the distribution itself brings is there, and what a module only tries to open need not be."""
    image_findings(tmp_path)
    module = tmp_path / "3.12" / "lib" / "psycopg2-binary" / "_speed.so"
    module.write_bytes(compiled_module(needed, texts=["libcuda.so.1"]))
    module.with_name("libown.so.3").touch()
    name, cell = "psycopg2-binary", cell_of("3.12")
    step = InstallStep(tool="pip", location=Location(path="build.yml", line=9), target=target)
    cell = replace(cell, service=replace(cell.service, recipe=InstallRecipe(source="build.yml", steps=(step,))))
    installation = installation_of(
        "3.12", {name: "1"}, distributions=(replace(installed(name), folder=tmp_path / "3.12", from_source=True),)
    )
    baseline = installation_of("3.9", {name: "1"}, distributions=(installed(name),))

    findings = list(image_build_findings(cell, installation, baseline, entries(name), needs_compiler))

    assert [finding.code for finding in findings] == codes
    assert all("needs libpq.so.5 of this machine" in finding.message for finding in findings)


def test_what_only_the_target_requires_has_to_be_compiled_as_well(tmp_path: Path) -> None:
    """By a marker, or since another distribution requires it there."""
    image_findings(tmp_path)
    declarations = (Declaration(kind="image", text="python:3.11-slim", location=Location(path="Dockerfile", line=1)),)
    cell = setup_script()
    cell = replace(cell, service=replace(cell.service, declarations=declarations))
    name, new = "psycopg2-binary", compiled(tmp_path / "3.12")
    target = installation_of("3.12", {name: "1"}, distributions=(new,))

    for before, codes in ((installed("flask"), ["PY104"]), (new, []), (None, [])):
        baseline = installation_of("3.9", {}, distributions=(before,) if before else ())
        findings = image_build_findings(cell, target, baseline, entries(name), needs_compiler)
        assert [finding.code for finding in findings] == codes


def test_a_source_whose_extension_is_optional_needs_no_compiler(tmp_path: Path) -> None:
    """It was built without one: markupsafe runs without its module in C."""
    image_findings(tmp_path)
    declarations = (Declaration(kind="image", text="python:3.11-slim", location=Location(path="Dockerfile", line=1)),)
    cell = replace(setup_script(), service=replace(setup_script().service, declarations=declarations))
    name = "psycopg2-binary"
    target = installation_of("3.12", {name: "1"}, distributions=(compiled(tmp_path / "3.12"),))
    baseline = installation_of("3.11", {name: "1"}, distributions=(installed(name),))
    tried: list[str] = []

    def is_optional(distribution: StoredDistribution) -> bool:
        tried.append(distribution.name)
        return True

    assert list(image_build_findings(cell, target, baseline, entries(name), is_optional)) == []
    assert tried == [name]


def test_a_source_without_extension_modules_needs_no_compiler(tmp_path: Path) -> None:
    image_findings(tmp_path)
    (tmp_path / "3.12" / "lib" / "psycopg2-binary" / "_speed.so").rename(tmp_path / "pure.py")
    target = installation_of("3.12", {}, distributions=(replace(installed("x"), folder=tmp_path, from_source=True),))
    baseline = installation_of("3.11", {}, distributions=(installed("x"),))
    assert list(image_build_findings(setup_script(), target, baseline, entries("x"), needs_compiler)) == []


# ---- neither built here nor in the image

LACKS_LIBRARY = MissingTool(name="the header libpq-fe.h", key="libpq-fe", message="fatal error: libpq-fe.h")
LACKS_COMPILER = MissingTool(name="gcc", key="gcc", message="unable to execute 'gcc'")
LACKS_NETWORK = MissingTool(name=NETWORK, key=NETWORK, message="Could not resolve host")
FUNCTION = InstallStep(tool="pip", location=Location(path="build.yml", line=9), target="/var/task")


@pytest.mark.parametrize(
    ("different", "codes"),
    [
        ({}, ["PY104 requirements.txt:1"]),
        ({"missing": LACKS_COMPILER}, ["PY104 requirements.txt:1"]),
        ({"image": "python:3.11"}, []),
        ({"image": ""}, []),
        ({"image": "", "steps": (FUNCTION,)}, ["PY104 requirements.txt:1"]),
        ({"image": "", "steps": (FUNCTION,), "missing": LACKS_COMPILER}, []),
        ({"steps": (InstallStep(tool="apt", location=FUNCTION.location, system_packages=("gcc",)),)}, []),
        ({"missing": LACKS_NETWORK}, []),
        ({"missing": None}, []),
        ({"from_source": True}, []),
        ({"interpreter": "3.9"}, []),
    ],
)
def test_what_is_built_neither_here_nor_in_the_image_blocks(different: dict[str, Any], codes: list[str]) -> None:
    """If the baseline has it as a wheel. What this machine alone lacks proves nothing."""
    setting: dict[str, Any] = {
        "image": "python:3.9-slim", "missing": LACKS_LIBRARY, "steps": (), "from_source": False, "interpreter": "3.12",
        **different,
    }  # fmt: skip
    name, cell = "psycopg2-binary", cell_of(setting["interpreter"])
    location = Location(path="Dockerfile", line=1)
    images = (Declaration(kind="image", text=setting["image"], location=location),) if setting["image"] else ()
    recipe = InstallRecipe(source="Dockerfile", steps=setting["steps"])
    cell = replace(cell, service=replace(cell.service, declarations=images, recipe=recipe))
    target = Installation(build=build_of("3.12"), unchecked="lacks", unavailable=(name,), missing=setting["missing"])
    wheel = replace(installed(name), from_source=setting["from_source"])
    baseline = installation_of("3.9", {name: "1"}, distributions=(wheel,))

    findings = list(lacking_build_findings(cell, target, baseline, entries(f"{name}==2.8.6")))

    assert [f"{finding.code} {finding.location}" for finding in findings] == codes


# ---- what fails because of another import

CAUSE = "Traceback (most recent call last):\n{}TypeError: not an acceptable base type"
FRAME = '  File "/cache/envs/0123456789abcdef01/lib/python3.12/site-packages/{}.py", line 3, in <module>\n'
OF_BASE = CAUSE.format(FRAME.format("base"))
OF_WEB = CAUSE.format(FRAME.format("web") + FRAME.format("base"))


@pytest.mark.parametrize(
    ("dispensable", "is_only_cause", "expected"),
    [
        ((), True, ["error base"]),
        ((), False, ["error base"]),
        (("base",), False, ["error base", "error web"]),
        (("web",), True, ["warning base", "error web"]),
        (("web",), False, ["error base", "error web"]),
    ],
)
def test_an_import_that_fails_for_another_one_is_left_out_only_if_that_one_blocks(
    dispensable: tuple[str, ...], is_only_cause: bool, expected: list[str]
) -> None:
    """``dispensable`` are projects that only tests require; what is done for them comes later, and says warning."""
    installation = replace(
        installation_of("3.12", {"web": "1", "base": "1"}),
        imports={"web": OF_WEB, "base": OF_BASE},
        import_causes=frozenset({"base"} if is_only_cause else ()),
        dispensable=frozenset(dispensable),
    )
    findings = installation_findings(cell_of("3.12"), installation, entries("web"))
    kept = without_consequences(list(findings), installation)
    assert [f"{finding.severity.value} {finding.names[0]}" for finding in kept] == expected


def test_what_fails_on_the_baseline_as_well_is_not_left_out() -> None:
    """It says that nothing proves that the service runs."""
    installation = replace(installation_of("3.12", {"web": "1", "base": "1"}), imports={"web": OF_WEB, "base": OF_BASE})
    findings = [
        replace(finding, preexisting=True)
        for finding in installation_findings(cell_of("3.12"), installation, entries("web"))
    ]
    assert without_consequences(findings, installation) == findings
