"""Describe one service from its files: what it requires and starts, how it is tested, on which Python it runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from pytest_py312.core.model.fleet import PLATFORMS, InstallRecipe, RequirementSource, Service
from pytest_py312.core.model.plan import Plan, ServiceSettings, Stage, Suite, SuiteKind
from pytest_py312.core.text import join_names
from pytest_py312.repository.declarations.declaration import VersionDeclaration
from pytest_py312.repository.declarations.reader import read_declarations
from pytest_py312.repository.formats.dockerfile import is_dockerfile, read_dockerfile
from pytest_py312.repository.formats.toml import read_toml
from pytest_py312.repository.services.detection.baseline import find_baseline
from pytest_py312.repository.services.detection.declared_variables import DeclaredVariables, read_declared_variables
from pytest_py312.repository.services.detection.entry_points import start_modules, started_above, started_programs
from pytest_py312.repository.services.detection.interpreter_variables import read_interpreter_variables
from pytest_py312.repository.services.detection.packaging import (
    find_distribution,
    has_src_packages,
    old_build_requirements,
)
from pytest_py312.repository.services.detection.service_files import ServiceFiles, read_service_files
from pytest_py312.repository.services.detection.suites import READ_MODULES, django_project_folder, find_suite
from pytest_py312.repository.services.install_recipes import (
    find_production_recipe,
    find_test_recipe,
    find_test_run,
    read_planned_recipe,
)
from pytest_py312.repository.services.requirements.required_sources import find_required_sources
from pytest_py312.repository.tree import Tree, join_path

_WORKFLOWS = ".github/workflows/"
_CONFTESTS_LIMIT = 50
_BUILDING_TOOLS = frozenset({"uv", "pdm", "rye", "hatch"})
"""Tools that install a project with the requirements of its build."""
_OWN_BUILD = re.compile(
    r"^[ \t]*(?:(?:-e|--editable)[ =]?)?[ \t]*\.(?:\[[^\]\n]*\])?/?[ \t]*(?:[;#].*)?$"
    r"|path[ \t]*=[ \t]*[\"']\.[\"']|-m[ \t]+build\b|bdist_wheel|\bpip3?[ \t]+wheel\b",
    re.MULTILINE,
)
"""A requirement of the project itself in a requirements file or a Pipfile, or a command that builds it."""
_BOOTSTRAP = "opentelemetry-bootstrap"
"""Installs the instrumentation of the libraries that are there; https://opentelemetry.io/docs/zero-code/python/."""
_AWS_SDK = re.compile(r"\b(?:aio)?boto(?:3|core)\b|\bmoto\b")
_REGION = "AWS_DEFAULT_REGION"
_JOBS = re.compile(r"^jobs:[ \t]*(?:#.*)?\n", re.MULTILINE)


def describe_service(
    plan: Plan, tree: Tree, stage: Stage | None, inner: Sequence[str], assumptions: list[str], bare: Service
) -> Service:
    """Return the service with what its files declare, and add what was assumed about it to ``assumptions``."""
    path, settings = bare.path, bare.settings
    files = read_service_files(tree, path, inner)
    distribution = find_distribution(files.scan.files, files.texts)
    recipe, test_recipe = _recipes(plan, tree, files, bare)
    if distribution is not None and _has_to_be_built(tree, files, (recipe, test_recipe)):
        distribution = replace(distribution, static=False)
    image_files = _with_image(tree, files, recipe)
    runtime, with_test_job = partial(_runtime_of, tree, path, recipe), partial(_with_test_job, tree, test_recipe)
    baseline = find_baseline(image_files, settings, plan, runtime, with_test_job)
    suite, test_run, suite_clause = _find_tests(tree, files, bare, test_recipe)
    required = find_required_sources(plan, tree, files, settings, recipe, test_recipe, is_tested=suite is not None)
    image = recipe or InstallRecipe(source="", steps=())
    scripts = distribution.scripts if distribution is not None else ()
    programs = started_programs(tree, files, scripts, image.build_programs)
    variables = read_declared_variables(tree, path, image.image_variables)
    given = [*variables.of_tests, *settings.environment]
    given += [variable for each in (recipe, test_recipe) if each is not None for variable in each.environment]
    region = _region_of_tests(tree, (*required.run_time, *required.tests), dict(given), dict(variables.others))
    warnings = _warnings_of(test_run) if test_run is not test_recipe else ()
    clauses = [*baseline.assumptions, *required.clauses, suite_clause, _stage_clause(files, recipe)]
    clauses += _unlisted_clauses(image)
    if suite is not None:
        clauses += [*_variable_clauses(test_recipe, variables), *_warning_clauses(suite, test_run, warnings)]
        clauses += [
            f"is tested with {name}={value}: it uses AWS, and no file gives its tests a region"
            for name, value in region
        ]
    clauses += _unread_clauses(files, is_in_no_stage=bool(plan.stages) and stage is None)
    assumptions += [f"{bare.name} {clause}." for clause in clauses if clause]
    return replace(
        bare,
        baseline=baseline.interpreter,
        baseline_source=baseline.source,
        baseline_is_declared=baseline.is_declared,
        requirements=required.run_time,
        test_requirements=required.tests,
        suite=suite,
        python_path=_python_path(files, settings, test_recipe, is_distribution=distribution is not None),
        distribution=distribution,
        declarations=files.declarations,
        manifest=_manifest(files, required.run_time),
        additional_requirements=required.additional,
        nested_folders=tuple(inner),
        programs=programs,
        started_above=started_above(tree, files),
        start_modules=start_modules(programs, files),
        recipe=recipe,
        test_recipe=test_recipe,
        test_variables=(*warnings, *variables.of_tests, *region),
        declared_variables=variables.others,
        interpreter_variables=read_interpreter_variables(tree, image_files, image.source),
        separate_tests=required.separate_tests,
    )


def _region_of_tests(
    tree: Tree, sources: Sequence[RequirementSource], given: Mapping[str, str], declared: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return a region for the tests of a service that requires the SDK of AWS, which makes no client without one.

    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html

    :param given: the variables of the tests: there is nothing to add if these have it.
    :param declared: those of other programs of the service, whose region counts.
    """
    paths = dict.fromkeys(source.path for source in sources) if _REGION not in given else {}
    uses_sdk = any(_AWS_SDK.search(tree.read_or_none(path) or "") for path in paths)
    return ((_REGION, declared.get(_REGION) or "us-east-1"),) if uses_sdk else ()


def _unread_clauses(files: ServiceFiles, *, is_in_no_stage: bool) -> Iterator[str]:
    if is_in_no_stage:
        yield "is in no stage of the plan; it counts as stage 0"
    if not files.scan.complete:
        yield "is too deep or too large to be searched in full"


def _stage_clause(files: ServiceFiles, recipe: InstallRecipe | None) -> str:
    """Return which stage is that of production, as a clause, if it is not the last; otherwise empty."""
    dockerfile = next((each for each in files.dockerfiles if recipe is not None and each.path == recipe.source), None)
    if dockerfile is None or not dockerfile.build_target:
        return ""
    last = dockerfile.stages[-1].name
    return (
        f"is built from the stage {dockerfile.build_target} of {dockerfile.path}: {last} is for developers by its name"
    )


def _unlisted_clauses(recipe: InstallRecipe) -> list[str]:
    """Return what an image installs for the libraries that it finds in itself, as a clause: no file lists that."""
    installs = any(program.name == _BOOTSTRAP for program in recipe.build_programs)
    return [f"gets packages from {_BOOTSTRAP} while its image is built, which are not checked"] if installs else []


def _recipes(
    plan: Plan, tree: Tree, files: ServiceFiles, bare: Service
) -> tuple[InstallRecipe | None, InstallRecipe | None]:
    """Return what installs the service for production and for its tests: as the plan says, or as its files do."""
    install, test_install = bare.settings.install, bare.settings.test_install
    return (
        find_production_recipe(tree, files)
        if install is None
        else read_planned_recipe(tree, plan, files.path, "install", install),
        find_test_recipe(tree, files, bare.name)
        if test_install is None
        else read_planned_recipe(tree, plan, files.path, "test-install", test_install),
    )


def _has_to_be_built(tree: Tree, files: ServiceFiles, recipes: Sequence[InstallRecipe | None]) -> bool:
    """Return whether only a build shows that the service installs: its build has requirements of old versions.

    Not where a recipe is known that does not install it. Poetry installs a project without the requirements of its
    build.
    """
    if not old_build_requirements(read_toml(files.texts.get("pyproject.toml", ""))):
        return False
    own_recipes = [recipe for recipe in recipes if recipe is not None]
    steps = [step for recipe in own_recipes for step in recipe.steps]
    named = (file for step in steps for file in step.files if file.rpartition("/")[0] == files.path.removeprefix("."))
    texts = [
        tree.read_or_none(path) or "" for path in dict.fromkeys((*named, *(recipe.source for recipe in own_recipes)))
    ]
    return (
        not own_recipes
        or any(map(_OWN_BUILD.search, texts))
        or any(project.path == files.path for step in steps for project in step.projects)
        or any(
            step.project == files.path and step.tool in _BUILDING_TOOLS and not step.without_project for step in steps
        )
    )


def _find_tests(
    tree: Tree, files: ServiceFiles, bare: Service, test_recipe: InstallRecipe | None
) -> tuple[Suite | None, InstallRecipe | None, str]:
    """Return the suite, how it is run, and what was assumed about it.

    It is run with what is installed for the tests or, if the plan says that or nobody, by itself.
    """
    suite, clause = _choose_suite(tree, files, bare.settings, test_recipe)
    if suite is None:
        return None, None, clause
    is_planned = bare.settings.test_install is not None
    run = find_test_run(tree, files, bare.name) if test_recipe is None or is_planned else test_recipe
    if run is None or bare.settings.suite is not None:
        return suite, run, clause
    return _with_test_run(suite, run), run, "; it ".join(filter(None, (clause, _further_tests_clause(run))))


def _warnings_of(run: InstallRecipe | None) -> tuple[tuple[str, str], ...]:
    """Return the variable for warnings with which tests are run."""
    return tuple(pair for pair in (run.environment if run is not None else ()) if pair[0] == "PYTHONWARNINGS")


def _with_test_run(suite: Suite, run: InstallRecipe) -> Suite:
    """Return the suite with the options for warnings of a run of its tests, and the commands beside it.

    Those of an interpreter that runs no pytest are for the tests only: pytest itself, and its plugins, may warn.
    """
    suite = replace(suite, further=run.further_tests)
    if suite.kind is not SuiteKind.PYTEST:
        return replace(suite, warning_options=run.warning_options)
    of_python = run.warning_options if run.runs_pytest else ()
    of_pytest = run.pytest_warnings if run.runs_pytest else run.warning_options
    arguments = (*suite.arguments, *(f"-W{value}" for value in of_pytest))
    return replace(suite, arguments=arguments, warning_options=of_python)


def _warning_clauses(suite: Suite, run: InstallRecipe | None, variables: Sequence[tuple[str, str]]) -> Iterator[str]:
    of_pytest = (word.removeprefix("-W") for word in suite.arguments if word.startswith("-W"))
    options = dict.fromkeys((*suite.warning_options, *of_pytest))
    shown = [*(f"{name}={value}" for name, value in variables), *(f"-W {value}" for value in options)]
    if run is not None and shown:
        yield f"is tested with {join_names(shown)}, as in {run.source}"


def _further_tests_clause(run: InstallRecipe) -> str:
    """Return what else tests the service that a cell does not repeat, as a clause; empty if nothing does."""
    commands = [f"`{command.text}`" for command in run.further_tests if not command.words]
    verb, pronoun = ("is", "it") if len(commands) == 1 else ("are", "them")
    end = f"which {verb} not run here: the proof does not include {pronoun}"
    return f"is also tested with {join_names(commands)} ({run.source}), {end}" if commands else ""


def _variable_clauses(test_recipe: InstallRecipe | None, declared: DeclaredVariables) -> Iterator[str]:
    of_recipe = (test_recipe.source, test_recipe.environment) if test_recipe is not None else ("", ())
    for source, variables in (of_recipe, (declared.source, declared.of_tests)):
        if variables:
            yield f"is tested with the variables of {source}: {join_names([name for name, _ in variables])}"


def _with_image(tree: Tree, files: ServiceFiles, recipe: InstallRecipe | None) -> ServiceFiles:
    """Return the service's files with the Dockerfile outside of it that installs it: its base is the service's."""
    path = recipe.source if recipe is not None else ""
    if not is_dockerfile(path.rpartition("/")[2]) or any(image.path == path for image in files.dockerfiles):
        return files
    return replace(files, dockerfiles=(*files.dockerfiles, read_dockerfile(tree.read_or_none(path) or "", path)))


def _with_test_job(tree: Tree, test_recipe: InstallRecipe | None, files: ServiceFiles) -> ServiceFiles:
    """Return the service's files with the Pythons of the job outside of it that runs its tests."""
    path = test_recipe.source if test_recipe is not None else ""
    is_own = path.startswith(f"{files.path}/") or files.path == "."
    if test_recipe is None or _WORKFLOWS not in path or is_own:
        return files
    text = tree.read_or_none(path) or ""
    lines = [step.location.line for step in test_recipe.steps if step.location.path == path and step.location.line]
    line = min(lines, default=test_recipe.line)
    job = job_around(text, line) if line else range(0)
    declared = tuple(found for found in _declarations_of_workflow(text, path) if found.line in job)
    return replace(files, workflows=(*files.workflows, declared))


@lru_cache(maxsize=16)
def _declarations_of_workflow(text: str, path: str) -> tuple[VersionDeclaration, ...]:
    """Return the declarations of a workflow, which is the same for many services."""
    return read_declarations(text, path)


def job_around(text: str, line: int) -> range:
    """Return the lines of the job of a workflow that contains ``line``, counted from 1; empty if there is none."""
    jobs = _JOBS.search(text)
    first = re.compile(r"^( +)[^\s#]", re.MULTILINE).search(text, jobs.end()) if jobs else None
    if first is None:
        return range(0)
    names = re.compile(rf"^{first[1]}[^\s#-]", re.MULTILINE).finditer(text, first.start())
    starts = [text.count("\n", 0, name.start()) + 1 for name in names]
    start = max((start for start in starts if start <= line), default=0)
    end = min((start for start in starts if start > line), default=len(text.splitlines()) + 1)
    return range(start, end) if start else range(0)


def _runtime_of(tree: Tree, path: str, recipe: InstallRecipe | None) -> VersionDeclaration | None:
    """Return what a platform runs the service on: where its functions are defined, or in a file of App Engine."""
    steps = recipe.steps if recipe is not None else ()
    places = [(step.location.path, step.location.line) for step in steps if step.tool in PLATFORMS]
    places += [(join_path(path, name), None) for name in ("app.yaml", "app.yml")]
    deploying = (name for name in tree.list_folder(path).files if name.endswith((".sh", ".yaml", ".yml", "Makefile")))
    texts = ((join_path(path, name), tree.read_or_none(join_path(path, name)) or "") for name in deploying)
    places += [(place, None) for place, text in texts if "--runtime" in text]
    for place, line in places:
        for declaration in read_declarations(tree.read_or_none(place) or "", place):
            is_there = line is None or declaration.line == line
            if is_there and declaration.kind == "image" and declaration.version and not declaration.images:
                return declaration
    return None


def _choose_suite(
    tree: Tree, files: ServiceFiles, settings: ServiceSettings, test_recipe: InstallRecipe | None
) -> tuple[Suite | None, str]:
    if settings.suite or settings.suite_skip_reason:
        return settings.suite, ""
    names = files.scan.existing_files(*READ_MODULES)
    modules = {name: tree.read_or_none(join_path(files.path, name)) or "" for name in names}
    further = test_recipe.further_paths if test_recipe is not None else ()
    # those at the top and in folders of the top that are called test* are always loaded first
    inner = [name for name in files.scan.files if name.endswith("/conftest.py")][:_CONFTESTS_LIMIT]
    detected = find_suite(
        files.scan.files, files.scan.folders, files.texts, files.nested_folders, modules, further,
        {name: tree.read_or_none(join_path(files.path, name)) or "" for name in inner},
    )  # fmt: skip
    suite, ignored = detected.suite, test_recipe.ignored_tests if test_recipe is not None else ()
    if suite is None or suite.kind is not SuiteKind.PYTEST or suite.folder or test_recipe is None or not ignored:
        return suite, detected.assumption
    suite = replace(suite, arguments=(*suite.arguments, *(f"--ignore={path}" for path in ignored)))
    left_out = f"is tested without {join_names(list(ignored))}, as in {test_recipe.source}"
    return suite, "; it ".join(filter(None, (detected.assumption, left_out)))


def _python_path(
    files: ServiceFiles, settings: ServiceSettings, test_recipe: InstallRecipe | None, *, is_distribution: bool
) -> tuple[str, ...]:
    if settings.python_path is not None:
        return settings.python_path
    source: tuple[str, ...] = ("src",) if not is_distribution and has_src_packages(files.scan.files) else ()
    if files.scan.existing_files("charmcraft.yaml"):  # the script that starts a charm sets PYTHONPATH=lib:venv:src
        source = tuple(name for name in ("lib", "src") if name in files.scan.folders)
    project = django_project_folder(files.scan.files, files.texts)
    variables = dict(test_recipe.environment) if test_recipe is not None else {}
    named = [path.strip("/") for path in variables.get("PYTHONPATH", "").split(":")]
    folders = [path.removeprefix("./") for path in named if path.removeprefix("./") in files.scan.folders]
    return tuple(dict.fromkeys((*source, *filter(None, [project]), *folders)))


def _manifest(files: ServiceFiles, sources: Sequence[RequirementSource]) -> str:
    names = files.scan.existing_files("pyproject.toml", "requirements.txt", "setup.py", "Dockerfile")
    if names:
        return join_path(files.path, names[0])
    images = [name for name in files.scan.files if is_dockerfile(name.rpartition("/")[2])]
    return sources[0].path if sources else join_path(files.path, images[0]) if images else ""
