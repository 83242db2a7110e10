"""The requirements of a service whose setup.py computes them."""

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_py312.core.model.findings import Finding, Location
from pytest_py312.core.model.fleet import (
    Distribution,
    InstallRecipe,
    InstallSettings,
    InstallStep,
    RequirementSource,
    Service,
)
from pytest_py312.core.model.plan import Plan
from pytest_py312.dependencies.requests.request_builder import RequestBuilder
from pytest_py312.dependencies.resolution.failure_cache import with_locations
from pytest_py312.dependencies.resolution.install_sequence import parts_of
from pytest_py312.dependencies.resolution.lock import ResolutionRequest, Undetermined
from pytest_py312.dependencies.resolution.uv_config import BUILD_CONSTRAINT
from pytest_py312.dependencies.store.stored_distribution import StoredDistribution
from pytest_py312.repository.formats.conda import PIP_TABLE
from pytest_py312.repository.plan.loader import default_plan
from pytest_py312.repository.services.discovery import discover
from pytest_py312.repository.services.requirements.requirement_set import RequirementSet
from tests.support.fakes import build_of, cell_of, service, service_tree

SETUP = """\
from setuptools import setup
setup(name="app", version="1.0", py_modules=["app"],
      install_requires=open("requirements.in").read().split())
"""


def required(root: Path, *, static: bool, setup: str = "services/app/setup.py") -> tuple[RequirementSet, list[str]]:
    """Return the requirements that a setup.py declares, and which folders are built for it."""
    service_tree(root, {setup: SETUP})
    service = replace(
        cell_of("3.12").service,
        path="services/app",
        requirements=(RequirementSource(path=setup, table="install_requires"),),
        distribution=Distribution(name="app", version="1.0", static=static, source_roots=(".",)),
    )
    demands = RequestBuilder(plan=Plan(root=root), cache=root / "cache")
    return demands.requirements.of(service), built(demands, service)


def built(demands: RequestBuilder, service: Service) -> list[str]:
    return list(demands.requirements.source_trees(service))


def test_computed_requirements_of_a_built_service_are_no_problem(tmp_path: Path) -> None:
    """Their location is kept, because it is where the requirements have to be changed."""
    found, trees = required(tmp_path, static=False)

    assert found.problems == ()
    assert [str(place) for place in found.computed] == ["services/app/setup.py:3"]
    assert trees == ["services/app"]


@pytest.mark.parametrize(
    ("static", "setup"), [(True, "services/app/setup.py"), (False, "services/app/deploy/setup.py")]
)
def test_requirements_that_no_build_reveals_are_unreadable(tmp_path: Path, static: bool, setup: str) -> None:
    """If nothing is built, or another file: they must not be mistaken for no requirements."""
    requirements, _ = required(tmp_path, static=static, setup=setup)

    assert [problem.message for problem in requirements.problems] == [
        "install_requires is computed by setup.py, and no code is run to read it."
    ]
    assert requirements.computed == ()


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize("files", [{"app/requirements.txt": "boto3==1.20.0\n"}, {}])
def test_what_a_platform_provides_is_resolved_after_what_is_required(
    tmp_path: Path, interpreter: str, files: dict[str, str]
) -> None:
    """Apart from the test tool, which the platform does not have."""
    service_tree(tmp_path, files)
    platform = RequirementSource(
        path="template.yaml", line=3, arguments=("boto3",), settings=InstallSettings(provided=True), step=2
    )
    sources = (*(RequirementSource(path=path, step=1) for path in files), platform)
    cell = cell_of(interpreter)
    cell = replace(cell, service=replace(cell.service, path="app", requirements=sources))
    builder = RequestBuilder(plan=Plan(root=tmp_path), cache=tmp_path / "cache")
    request = builder.request(cell, (), ())
    parts = {part.provided: part.lines for part in parts_of(request)}
    assert parts[True] == ("boto3",)
    assert parts[False] == (("boto3==1.20.0", "pytest") if files else ("pytest",))
    location = request.location_of("boto3")
    assert location is not None
    assert location.path == ("app/requirements.txt" if files else "template.yaml")


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
@pytest.mark.parametrize("is_built", [True, False])
def test_a_project_of_the_repository_is_built_and_not_requested_from_the_index(
    tmp_path: Path, interpreter: str, is_built: bool
) -> None:
    """Also where its build fails: that is what has to be reported, and not that the index lacks it."""
    files = {
        "app/requirements.txt": "acme[more]\nsix==1.16.0\n",
        "requirements.txt": "-e ./acme\n",
        "acme/pyproject.toml": '[project]\nname = "acme"\nversion = "0.9.0"\n',
    }
    root = service_tree(tmp_path, files)
    cell = cell_of(interpreter)
    source = RequirementSource(path="app/requirements.txt")
    service = replace(cell.service, path="app", requirements=(source,), test_requirements=())
    builder = RequestBuilder(plan=Plan(root=root), cache=root / "cache")
    folder = builder.folders.source_copy("acme")[0]
    requires = ("idna", 'wheel ; extra == "more"', "acme")
    tree = StoredDistribution(name="acme", version="0.9.0", folder=folder, requires=requires)

    request = builder.request(replace(cell, service=service), [tree] if is_built else [], ())

    assert builder.requirements.source_trees(service) == ("acme",)
    lines = [line for line in request.lines if not line.startswith("pytest")]
    assert lines == (["six==1.16.0", "idna", "wheel"] if is_built else ["six==1.16.0"])


def test_a_wheel_by_its_path_is_required_where_its_marker_applies(tmp_path: Path) -> None:
    names = [f"acme-1.0-cp3{minor}-cp3{minor}-any.whl" for minor in (11, 12)]
    lines = [f"./{names[0]} ; python_version < '3.12'\n", f"acme @ file:./{names[1]} ; python_version >= '3.12'\n"]
    root = service_tree(tmp_path, {"r.txt": "".join(lines), **dict.fromkeys(names, "")})
    service = replace(cell_of("3.12").service, requirements=(RequirementSource(path="r.txt"),), test_requirements=())
    builder = RequestBuilder(plan=Plan(root=root), cache=root / "cache")

    assert builder.requirements.source_trees(service) == tuple(names)
    assert builder.requirements.source_trees(service, build_of("3.11")) == (names[0],)
    assert builder.requirements.source_trees(service, build_of("3.12")) == (names[1],)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_a_project_that_is_installed_from_a_folder_is_not_requested_from_the_index(
    tmp_path: Path, interpreter: str
) -> None:
    """By path in one file and by name in another: one distribution, and the folder decides which."""
    files = {
        "app/requirements.txt": "acme[more]\nsix==1.16.0\n",
        "app/dev.txt": "-e ../acme\n",
        "acme/setup.py": "",
    }
    root = service_tree(tmp_path, files)
    sources = tuple(RequirementSource(path=f"app/{name}.txt") for name in ("requirements", "dev"))
    cell = cell_of(interpreter)
    cell = replace(cell, service=replace(cell.service, path="app", requirements=sources, test_requirements=()))
    builder = RequestBuilder(plan=Plan(root=root), cache=root / "cache")
    key = builder.folders.source_copy("acme")[1]
    requires = ("idna", 'wheel ; extra == "more"', "ghi ; extra == 'other'", "other")
    trees = [
        StoredDistribution(name="acme", version="0.9.0", folder=Path(f"tree-{key}"), requires=requires),
        StoredDistribution(name="other", version="1", folder=Path("tree-x"), requires=("acme>=0.9",)),
    ]

    request = builder.request(cell, trees, ())

    assert [line for line in request.lines if not line.startswith("pytest")] == ["six==1.16.0", "idna", "wheel"]


def test_constraints_of_builds_are_lines_of_the_request(tmp_path: Path) -> None:
    """So locks and built distributions depend on what they say."""
    root = service_tree(tmp_path, {"c.txt": "cython<3  # old\nx @ https://example.org/x.zip\n", "r.txt": "six\n"})
    settings = InstallSettings(options=(("--build-constraint", "c.txt"),))
    cell = cell_of("3.12")
    sources = (RequirementSource(path="r.txt", settings=settings),)
    cell = replace(cell, service=replace(cell.service, requirements=sources, test_requirements=()))

    request = RequestBuilder(plan=Plan(root=root), cache=root / "cache").request(cell, (), ())

    assert request.options == (f"{BUILD_CONSTRAINT}cython<3",)


@pytest.mark.parametrize("interpreter", ["3.9", "3.10", "3.12"])
def test_what_only_a_lock_file_pins_is_found_there(tmp_path: Path, interpreter: str) -> None:
    """A build that fails is of the line that pins it; a conflict is of what is required."""
    lock = '[[package]]\nname = "web"\nversion = "1.0"\n\n[[package]]\nname = "pyyaml"\nversion = "6.0"\n'
    project = '[project]\nname = "x"\nversion = "1"\ndependencies = ["web"]\n'
    root = service_tree(tmp_path, {"poetry.lock": lock, "pyproject.toml": project})
    cell = cell_of(interpreter)
    sources = (RequirementSource(path="pyproject.toml", table="project.dependencies"),)
    cell = replace(cell, service=replace(cell.service, path=".", requirements=sources, test_requirements=()))
    request = RequestBuilder(plan=Plan(root=root), cache=root / "cache").request(cell, (), ())
    assert (request.location_of("pyyaml"), str(request.location_of("web"))) == (None, "pyproject.toml:4")
    failure = Finding(code="PY104", message="no wheel", names=("pyyaml",))
    assert [str(found.location) for found in with_locations([failure], request)] == ["poetry.lock:6"]
    conflict = replace(failure, names=("pyyaml", "web"))
    assert [str(found.location) for found in with_locations([conflict], request)] == ["pyproject.toml:4"]


IMAGE = "svc/Dockerfile"


def installed(text: str, **settings: object) -> RequirementSource:
    return RequirementSource(
        path=IMAGE,
        line=2,
        arguments=tuple(text.split()),
        settings=InstallSettings(**settings),  # type: ignore[arg-type]
    )


def request_of(root: Path, *sources: RequirementSource, constraints: tuple[str, ...] = ()) -> ResolutionRequest:
    service_tree(root, {IMAGE: "", "svc/wheels/x.txt": ""})
    cell = cell_of("3.12")
    service = replace(cell.service, path="svc", requirements=sources, test_requirements=())
    builder = RequestBuilder(plan=Plan(root=root), cache=root / "cache")
    return builder.request(replace(cell, service=service), (), constraints)


def test_commands_with_settings_of_their_own_are_requests_of_their_own(tmp_path: Path) -> None:
    request = request_of(
        tmp_path,
        installed("alone==1", no_deps=True),
        installed("six"),
        installed("own", options=(("--index-url", "https://x/"),)),
        installed("more", options=(("--extra-index-url", "https://y/"),)),
    )
    # these have no known order, so that those with the same settings are one request
    alone, more = request.others
    assert (alone.lines, alone.no_deps, alone.position) == (("alone==1",), True, 0)
    assert (more.lines, more.options, more.position) == (("six", "more"), ("--extra-index-url https://y/",), 1)
    assert more.best_match
    assert [line for line in request.lines if line != "pytest"] == ["own"]
    assert (request.options, request.best_match, request.position) == (("--index-url https://x/",), False, 2)


def steps_of(root: Path, tests: tuple[str, ...], *steps: tuple[str, ...]) -> list[ResolutionRequest]:
    sources = [replace(installed("x"), arguments=lines, step=number) for number, lines in enumerate(steps, start=1)]
    service_tree(root, {IMAGE: ""})
    service = replace(
        cell_of("3.12").service, path="svc", requirements=tuple(sources), suite=None,
        test_requirements=(replace(installed("x"), arguments=tests, step=1),) if tests else (),
    )  # fmt: skip
    builder = RequestBuilder(plan=Plan(root=root), cache=root / "cache")
    return list(parts_of(builder.request(cell_of("3.12", service), (), ())))


def test_each_command_of_production_is_a_request_in_its_order(tmp_path: Path) -> None:
    first, second = steps_of(tmp_path, (), ("six==1.15.0", "a"), ("six==1.16.0",))
    assert (first.lines, second.lines) == (("six==1.15.0", "a"), ("six==1.16.0",))


def test_tests_do_not_replace_what_production_requires(tmp_path: Path) -> None:
    """A later command of production does: of two pins the last one counts."""
    _, second = steps_of(tmp_path, ("six<1.16",), ("six==1.15.0", "a==1"), ("six==1.16.0",))
    assert second.lines == ("six==1.16.0", "six<1.16", "a==1")


def test_options_of_formats_are_no_lines_of_a_requirements_file(tmp_path: Path) -> None:
    options = (("--no-binary", "six"), ("--find-links", "svc/wheels"))
    request = request_of(tmp_path, installed("six", options=options))
    assert request.formats.is_source_only("six")
    assert [option.partition(" #")[0] for option in request.options] == [f"--find-links {tmp_path}/svc/wheels"]


def test_what_uv_installs_is_searched_as_uv_does(tmp_path: Path) -> None:
    options = (("--extra-index-url", "https://y/"),)
    assert not request_of(tmp_path, installed("six", options=options, by_uv=True)).best_match


def test_what_a_command_upgrades_is_not_kept_at_an_older_version(tmp_path: Path) -> None:
    constraints = ("setuptools==65.5.1", "wheel==0.40", "other<2")
    request = request_of(tmp_path, installed("setuptools", upgrade=True), installed("wheel"), constraints=constraints)
    assert request.constraints == ("wheel==0.40", "other<2")


@pytest.mark.parametrize(("separate", "lines"), [(True, {"a==1"}), (False, {"a==2", "a==1"})])
def test_separate_tests_are_installed_without_production(tmp_path: Path, separate: bool, lines: set[str]) -> None:
    service_tree(tmp_path, {"app/prod.txt": "a==2\n", "app/test.txt": "a==1\n"})
    service = replace(
        cell_of("3.12").service,
        path="app",
        suite=None,
        requirements=(RequirementSource(path="app/prod.txt"),),
        test_requirements=(RequirementSource(path="app/test.txt"),),
        separate_tests=separate,
    )

    request = RequestBuilder(plan=Plan(root=tmp_path), cache=tmp_path / "cache").request(
        cell_of("3.12", service), (), ()
    )

    assert {line.split(";")[0].strip() for line in request.lines} == lines


@pytest.mark.parametrize(
    ("packed", "paths"),
    [("shop", ("shop",)), ("linked", ("linked",)), (".git", ()), (".git/config", ()), ("history", ()), ("outside", ())],
)
def test_a_build_packs_nothing_that_no_copy_has(tmp_path: Path, packed: str, paths: tuple[str, ...]) -> None:
    """Such as the settings of git, in which a job of CI may have a token; a link to them is no way around that."""
    root = tmp_path / "repository"
    text = f'[tool.hatch.build.targets.wheel.force-include]\n"../{packed}" = "packed"\n'
    service_tree(root, {"api/pyproject.toml": text, "shop/log.py": "", ".git/config": "[core]\n"})
    service_tree(tmp_path, {"elsewhere/secret.txt": ""})
    for name, target in (("linked", "shop"), ("history", ".git"), ("outside", "../elsewhere")):
        (root / name).symlink_to(target)

    assert RequestBuilder(plan=Plan(root=root), cache=tmp_path / "cache").folders.outer_paths("api") == paths


PIPFILE_LOCK = """\
{"_meta": {"requires": {"python_version": "3.11"}}, "default": {}, "develop": {"six": {"version": "==1.16.0"}}}
"""


@pytest.mark.parametrize("packages", ["", 'six = "*"\n'])
def test_a_lock_that_excludes_a_python_counts_without_requirements_for_run_time(tmp_path: Path, packages: str) -> None:
    """pipenv refuses to install it on any other Python, whatever is in it."""
    pipfile = f'[packages]\n{packages}[dev-packages]\nsix = "*"\n[requires]\npython_version = "3.11"\n'
    service_tree(
        tmp_path,
        {"api/Pipfile": pipfile, "api/Pipfile.lock": PIPFILE_LOCK, "api/handler.py": "", "api/tests/test_api.py": ""},
    )
    (service,) = discover(default_plan(tmp_path)).services

    locks = RequestBuilder(plan=Plan(root=tmp_path), cache=tmp_path / "cache").requirements.of(service).locks

    assert [(lock.path, lock.requires_python) for lock in locks] == [("api/Pipfile.lock", "==3.11.*")]


def test_projects_that_are_required_for_another_reason_than_their_import(tmp_path: Path) -> None:
    """Lines as Snyk writes them, in requirements files and in tables; tools for development."""
    tree = service_tree(
        tmp_path,
        {
            "svc/pyproject.toml": '[project]\nname = "svc"\nversion = "1"\ndependencies = [\n'
            '    "anyconfig~=0.10",  # not directly required, pinned by Snyk to avoid a vulnerability\n'
            '    "six",\n]\n',
            "svc/requirements.txt": "zipp>=3.19.1 # not directly required, pinned by Snyk\nattrs # required\nnose\n",
        },
    )
    tables = (
        RequirementSource(path="svc/pyproject.toml", table="project.dependencies"),
        RequirementSource(path="svc/requirements.txt"),
    )
    service = replace(cell_of("3.12").service, path="svc", requirements=tables)
    builder = RequestBuilder(plan=Plan(root=tree), cache=tmp_path / "cache")
    assert builder.requirements.unused(service) == {
        "anyconfig": "its line says that nothing requires it directly",
        "zipp": "its line says that nothing requires it directly",
        "nose": "it is a tool for development",
    }


def test_a_set_that_an_unknown_program_installs_has_no_result(tmp_path: Path) -> None:
    place = Location(path="tox.ini", line=22)
    step = InstallStep(tool="pip", location=place, arguments=("six",), unknown_program="python tools/install.py")
    cell = cell_of("3.12")
    recipe = InstallRecipe(source="tox.ini", steps=(step,))
    alone = replace(cell.service, test_recipe=recipe)  # production, without what the tests require
    tested = replace(alone, test_requirements=(RequirementSource(path="services/user-service/dev.txt"),))
    builder = RequestBuilder(plan=Plan(root=tmp_path), cache=tmp_path / "cache")

    builder.request(replace(cell, service=alone), (), ()).require_constraints()
    with pytest.raises(Undetermined) as caught:
        builder.request(replace(cell, service=tested), (), ()).require_constraints()

    assert str(caught.value) == (
        "tox.ini:22 installs with `python tools/install.py`, of which nothing is known: name what it installs with "
        "`test-install` in the plan"
    )


@pytest.mark.parametrize(
    ("environment", "arguments", "reason"),
    [
        ("- python=3.9\n- pip: [flask]\n", (), ""),
        ("- python=3.9\n- conda-forge::numpy=1.20\n", (), "env.yml:3 installs conda-forge::numpy=1.20 with conda"),
        ("- python=3.9\n", ("pip", "gdal<3"), "Dockerfile:2 installs gdal<3 with conda"),
    ],
)
def test_a_set_that_conda_installs_has_no_result(
    tmp_path: Path, environment: str, arguments: tuple[str, ...], reason: str
) -> None:
    """Its channels have other builds than the index; only the section of pip is checked."""
    root = service_tree(tmp_path, {"env.yml": f"dependencies:\n{environment}"})
    step = InstallStep(
        tool="conda", location=Location(path="Dockerfile", line=2), files=("env.yml",), system_packages=arguments
    )
    cell = cell_of("3.12")
    of_pip = RequirementSource(path="env.yml", table=PIP_TABLE)
    service = replace(cell.service, requirements=(of_pip,), recipe=InstallRecipe(source="Dockerfile", steps=(step,)))
    builder = RequestBuilder(plan=Plan(root=root), cache=tmp_path / "cache")

    request = builder.request(replace(cell, service=service), (), ())

    assert request.missing == (
        reason and f"{reason}, which is not checked: name what it installs with `install` in the plan"
    )


def test_projects_that_a_poetry_project_requires_by_path_are_built_as_well(tmp_path: Path) -> None:
    """An optional one is not, nor is one outside of the repository; two may require each other."""
    library = '[tool.poetry.dependencies]\npython = "^3.9"\n{}'
    root = service_tree(
        tmp_path,
        {
            "svc/pyproject.toml": library.format('common = {path = "../lib/common", develop = true}\n'),
            "lib/common/pyproject.toml": library.format(
                'grpc = {path = "../grpc"}\nmore = {path = "../more", optional = true}\nout = {path = "../../../x"}\n'
            ),
            "lib/grpc/pyproject.toml": library.format('common = {path = "../common"}\n'),
            "lib/more/pyproject.toml": library.format(""),
        },
    )
    source = RequirementSource(path="svc/pyproject.toml", table="tool.poetry.dependencies")
    of = replace(service(), path="svc", requirements=(source,))
    builder = RequestBuilder(plan=Plan(root=root), cache=tmp_path / "cache")
    assert builder.requirements.source_trees(of) == ("lib/common", "lib/grpc")


@pytest.mark.parametrize(("path", "replaced"), [(".", set()), ("svc", {"urllib3==2.0.0"})])
def test_what_production_contradicts_in_a_command_for_others(tmp_path: Path, path: str, replaced: set[str]) -> None:
    """At the root a file is the service's: pip refuses both in one environment, and so do we."""
    root = service_tree(tmp_path, {f"{path}/requirements.txt": "urllib3==1.26.5\n", "test.txt": "urllib3==2.0.0\n"})
    step = InstallStep(tool="pip", location=Location(path="ci.yml", line=1), files=("test.txt",))
    of = replace(
        service(),
        path=path,
        requirements=(RequirementSource(path=f"{path}/requirements.txt".removeprefix("./")),),
        test_requirements=(RequirementSource(path="test.txt", step=1),),
        test_recipe=InstallRecipe(source="ci.yml", steps=(step,)),
    )
    builder = RequestBuilder(plan=Plan(root=root), cache=tmp_path / "cache")
    assert builder.replaced(cell_of("3.12", of), []) == replaced


@pytest.mark.parametrize(
    ("install", "built"),
    [
        ("RUN pip install -r requirements.txt\n", ()),
        ("RUN pip install -r requirements.txt .\n", ("svc",)),
        ("RUN pip install -r requirements.txt -r missing.txt\n", ("svc",)),
        ("RUN pip install -r requirements.txt\nCOPY src/ .\n", ("svc",)),
    ],
)
def test_a_project_that_its_image_does_not_install_is_not_built(
    tmp_path: Path, install: str, built: tuple[str, ...]
) -> None:
    """Its setup.py may need what only the image has, such as a file with the version.

    But its tests find what is in ``src`` only if it is installed.
    """
    files = {
        "svc/Dockerfile": f"FROM python:3.10\nWORKDIR /app\nCOPY . .\n{install}CMD python main.py\n",
        "svc/requirements.txt": "six\n",
        "svc/setup.py": "from setuptools import setup\nsetup(name='svc', version=open('/var/tmp/VERSION').read())\n",
        "svc/main.py": "",
        **({"svc/src/svc/__init__.py": ""} if "src" in install else {}),
    }
    (of,) = discover(Plan(root=service_tree(tmp_path, files))).services
    builder = RequestBuilder(plan=Plan(root=tmp_path), cache=tmp_path / "cache")
    assert builder.requirements.source_trees(of) == built
