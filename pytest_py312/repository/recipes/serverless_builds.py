"""Read what installs the functions of a service: builds of AWS SAM and of the Serverless Framework, and AWS Lambda."""

import posixpath
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice, pairwise
from typing import TypeVar

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import AWS_LAMBDA, GOOGLE_FUNCTIONS, InstallRecipe, InstallStep, Program
from pytest_py312.repository.formats.functions.cdk import (
    read_added_layers,
    read_cdk,
    read_layer_constants,
    read_runtime_constants,
)
from pytest_py312.repository.formats.functions.nested_stacks import layers_by_name, layers_of_parameters
from pytest_py312.repository.formats.functions.serverless import (
    LAYER_CODE,
    BuiltFolder,
    FunctionLayer,
    ServerlessFunction,
    is_serverless_file,
    read_serverless,
)
from pytest_py312.repository.formats.functions.terraform import read_terraform
from pytest_py312.repository.recipes.image_builds import COMMAND_ARGUMENTS, scripts_of
from pytest_py312.repository.recipes.suites.suite_commands import option_of
from pytest_py312.repository.tree import Tree, is_inside, join_path, leaves_root, with_outer_folders

T = TypeVar("T")

HANDLER_FILE_LIMIT = 100
"""Maximum number of files of one folder in which handlers are searched."""
_SAM_BUILD = re.compile(rf"\bsam(?:local)?[ \t]+build\b{COMMAND_ARGUMENTS}")
_FLAGS = frozenset({
    "-u", "--use-container", "-p", "--parallel", "-c", "--cached", "--no-cached", "--debug", "--beta-features",
    "--no-beta-features", "--skip-pull-image", "--save-params", "--build-in-source", "--no-build-in-source",
})  # fmt: skip
"""Options of ``sam build`` without a value."""
_CHANGES_FOLDER = re.compile(r"\b(?:cd|pushd)\s|working-directory:")
_TEST_FOLDER = re.compile(r"(?:^|/)(?:tests?|__snapshots__|node_modules)/")
_HANDLER = re.compile(r"^def \w+\(\s*_?event\b[^()]{0,200}?,\s*(?:_?context\b|_\w*\s*[,):=])", re.MULTILINE | re.ASCII)
_FOR_LAMBDA = re.compile(
    r"^[ \t]*(?:import|from)\s+(?:boto3|botocore|aws_lambda_\w+|aws_xray_sdk|crhelper|cfnresponse)\b",
    re.MULTILINE | re.ASCII,
)
_POWERTOOLS_LAYER = re.compile(r"AWSLambdaPowertoolsPythonV(?P<major>[1-9])")
"""The public layer with Powertools for AWS Lambda: https://docs.aws.amazon.com/powertools/python/latest/"""
_FRAMEWORK = re.compile(r"^(?:import functions_framework|from functions_framework)\b", re.MULTILINE)
FILE_LIMIT = 2_000
"""Maximum number of files that are read."""
SEARCH_DEPTH = 12
FOLDER_LIMIT = 100_000
"""Maximum number of files and folders among which they are searched."""
LAMBDA_PACKAGES = (
    "boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3",
    "awslambdaric; sys_platform == 'linux'", "simplejson",
    "snapshot-restore-py; python_version >= '3.12'",
)  # fmt: skip
"""What every Python of AWS Lambda has in ``/var/runtime``: the SDK and the client of the runtime, with what they need.

https://docs.aws.amazon.com/lambda/latest/dg/python-package.html: "The Lambda Python runtimes include the AWS SDK for
Python (Boto3) and its dependencies". A deployment package and layers come before them on the path. Its images are
preloaded with them as well: https://docs.aws.amazon.com/lambda/latest/dg/python-image.html. The versions change without
a deployment. The client has wheels for Linux only: https://pypi.org/project/awslambdaric/. Snapshots are restored from
Python 3.12 on: https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html
"""


LAMBDA_VARIABLES = (("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_REGION", "us-east-1"))
"""What AWS Lambda sets; the SDK makes no client without a region.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""


def read_serverless_recipe(tree: Tree, service_path: str, nested: Sequence[str] = ()) -> InstallRecipe | None:
    """Return what a build installs for the functions of a service, and what their platform provides.

    ``None`` if no file defines one.

    :param nested: the folders of other services inside of it, relative to the service.
    """
    for path, functions in _functions_of(tree, service_path, nested):
        builds = dict.fromkeys(build for function in functions for build in function.builds)
        manifest = _manifest_of_sam(tree, path)
        steps = [step for build in builds if (step := _step(tree, build, path, manifest)) is not None]
        on_lambda = [function for function in functions if function.platform == AWS_LAMBDA]
        on_google = [function for function in functions if function.platform == GOOGLE_FUNCTIONS]
        if on_lambda:
            place = on_lambda[0].runtime or Location(path=path, line=on_lambda[0].line)
            steps.append(lambda_step(place, target="/var/runtime"))
            steps += _powertools_step(tree, path)
        if on_google:
            steps.append(_google_step(Location(path=path, line=on_google[0].line)))
        if steps:
            layers = dict.fromkeys(folder for function in functions for folder in function.layers)
            return InstallRecipe(
                source=path,
                steps=tuple(steps),
                code_folders=tuple(filter(tree.is_folder, layers)),
                environment=LAMBDA_VARIABLES if on_lambda else (),
            )
    return None


def read_handler_recipe(tree: Tree, service_path: str, files: Sequence[str]) -> InstallRecipe | None:
    """Return what the platform provides to a function of which only the code shows where it runs.

    On AWS Lambda it has a handler ``(event, context)`` and imports the SDK or what is for Lambda alone, or a
    configuration of Chalice (https://aws.github.io/chalice/topics/configfile.html). A ``main.py`` of Google Cloud
    imports the framework for functions. What defines it may be generated, or be elsewhere.

    :param files: the paths of the service's files, relative to it; of folders further inside only ``src`` counts.
    """
    main = join_path(service_path, "main.py")
    text = (tree.read_or_none(main) or "") if "main.py" in files else ""
    if framework := _FRAMEWORK.search(text):
        location = Location(path=main, line=text.count("\n", 0, framework.start()) + 1)
        return InstallRecipe(source=main, steps=(_google_step(location),))
    source, line = join_path(service_path, ".chalice/config.json"), 1
    if ".chalice/config.json" not in files:
        names = [name for name in files if re.fullmatch(r"(?:src/)?(?!test_|conftest)[^/]+(?<!_test)\.py", name)]
        texts = {name: tree.read_or_none(join_path(service_path, name)) or "" for name in names[:HANDLER_FILE_LIMIT]}
        handlers = ((name, match) for name in sorted(texts) if (match := _HANDLER.search(texts[name])) is not None)
        name, handler = next(handlers, ("", None))
        if handler is None or not any(map(_FOR_LAMBDA.search, texts.values())):
            return None
        source, line = join_path(service_path, name), texts[name].count("\n", 0, handler.start()) + 1
    steps = [lambda_step(Location(path=source, line=line), target="/var/runtime")]
    if ".chalice/config.json" in files:  # it puts its own modules into what it deploys
        steps.append(replace(steps[0], arguments=("chalice",), flags=("--no-deps",)))
    return InstallRecipe(source=source, steps=tuple(steps), environment=LAMBDA_VARIABLES)


def lambda_step(location: Location, *, target: str = "") -> InstallStep:
    """Return what AWS Lambda provides to a function of which ``location`` says that it runs there."""
    return InstallStep(tool=AWS_LAMBDA, location=location, arguments=LAMBDA_PACKAGES, target=target)


def _powertools_step(tree: Tree, path: str) -> Iterator[InstallStep]:
    """Yield what the public layer of Powertools provides to the functions that a file defines, if it names the layer.

    It may name it by a variable of another file: the repository has one version of it then.
    """
    text = tree.read_or_none(path) or ""
    match = _POWERTOOLS_LAYER.search(text)
    location = (
        Location(path=path, line=text.count("\n", 0, match.start()) + 1) if match else Location(path=path, line=1)
    )
    majors = {match["major"]: location} if match else _powertools_layers(tree)
    if "powertools" in text.lower() and len(majors) == 1:
        ((major, place),) = majors.items()
        name = f"aws-lambda-powertools[all]>={major},<{int(major) + 1}"
        yield InstallStep(tool=AWS_LAMBDA, location=place, arguments=(name,), target=LAYER_CODE)


@lru_cache(maxsize=2)
def _powertools_layers(tree: Tree) -> Mapping[str, Location]:
    """Return the major versions of Powertools whose layer files of the repository name, each with the first place."""
    names = tree.scan_folder(".", depth=SEARCH_DEPTH, limit=FOLDER_LIMIT).files
    places: dict[str, Location] = {}
    for name in [name for name in names if name.endswith((".ts", ".py", ".tf", ".yaml", ".yml"))][:FILE_LIMIT]:
        text = tree.read_or_none(name) or ""
        for match in _POWERTOOLS_LAYER.finditer(text):
            places.setdefault(match["major"], Location(path=name, line=text.count("\n", 0, match.start()) + 1))
    return places


def _google_step(location: Location) -> InstallStep:
    """Return the framework for functions, which Google Cloud installs where the requirements lack it.

    https://cloud.google.com/run/docs/runtimes/python-dependencies
    """
    return InstallStep(tool=GOOGLE_FUNCTIONS, location=location, arguments=("functions-framework",))


def bare_layers(tree: Tree, service_path: str, nested: Sequence[str] = ()) -> list[str]:
    """Return the folders of the layers of a service's functions that have no requirements: what is in them is made."""
    builds = (
        build
        for path, functions in _functions_of(tree, service_path, nested)
        for function in functions
        for build in function.builds
        if build.target == LAYER_CODE and _step(tree, build, path) is None
    )
    return list(dict.fromkeys(build.folder for build in builds))


def handler_programs(tree: Tree, service_path: str, nested: Sequence[str] = ()) -> Iterator[Program]:
    """Yield the modules of the handlers of a service's functions."""
    for _, functions in _functions_of(tree, service_path, nested):
        for function in functions:
            if function.module:
                yield Program(name=function.module, is_module=True, is_application=True)


@lru_cache(maxsize=4)
def functions_by_file(tree: Tree) -> Mapping[str, tuple[ServerlessFunction, ...]]:
    """Return the Python functions that files of the repository define, by the paths of these."""
    names = tree.scan_folder(".", depth=SEARCH_DEPTH, limit=FOLDER_LIMIT).files
    paths = [name for name in names if is_serverless_file(name.rpartition("/")[2])][:FILE_LIMIT]
    texts = {path: tree.read_or_none(path) or "" for path in paths}
    parameters, named = layers_of_parameters(texts), layers_by_name(texts)
    functions = {
        path: read_serverless(text, path, {**named, **parameters.get(path, {})}) for path, text in texts.items()
    }
    of_terraform = [name for name in names if name.endswith(".tf")][:FILE_LIMIT]
    for path, function in read_terraform({name: tree.read_or_none(name) or "" for name in of_terraform}, tree.is_file):
        functions[path] = (*functions.get(path, ()), function)
    functions |= _functions_of_cdk(tree, names)
    return {path: found for path, found in functions.items() if found}


def _functions_of_cdk(tree: Tree, names: Sequence[str]) -> dict[str, tuple[ServerlessFunction, ...]]:
    """Return the functions that programs of the AWS CDK define, with the modules that their aspects add to all.

    Of the layers that an aspect adds, those without modules of their own only hold libraries, for some functions.
    """
    texts: dict[str, dict[str, str]] = {}
    for path, app_folder in _programs_of_cdk(names):
        texts.setdefault(app_folder, {})[path] = tree.read_or_none(path) or ""
    functions: dict[str, tuple[ServerlessFunction, ...]] = {}
    for app_folder, programs in texts.items():
        constants = _constants(read_runtime_constants(text, path) for path, text in programs.items())
        named = _constants(read_layer_constants(text, path, app_folder) for path, text in programs.items())
        added = (layer for path, text in programs.items() for layer in read_added_layers(text, path, app_folder))
        layers = [layer for layer in dict.fromkeys(added) if _has_modules(tree, layer.modules)]
        for path, text in programs.items():
            of_program = read_cdk(text, path, app_folder, constants, named)
            functions[path] = tuple(_with_layers(function, layers) for function in of_program)
    return functions


def _constants(named: Iterable[Sequence[tuple[str, T]]]) -> dict[str, T]:
    """Return what files of one application give a name, without names that several things have."""
    values: dict[str, list[T]] = {}
    for name, value in chain.from_iterable(named):
        values.setdefault(name, []).append(value)
    return {name: of_name[0] for name, of_name in values.items() if len(of_name) == 1}


def _has_modules(tree: Tree, folder: str) -> bool:
    return any(
        name.endswith(".py") and name not in ("setup.py", "__init__.py") for name in tree.list_folder(folder).files
    )


def _with_layers(function: ServerlessFunction, layers: Sequence[FunctionLayer]) -> ServerlessFunction:
    others = [layer for layer in layers if layer.modules not in function.layers]
    return replace(
        function,
        builds=(*function.builds, *(layer.build for layer in others)),
        layers=(*function.layers, *(layer.modules for layer in others)),
    )


def _programs_of_cdk(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the files that may define functions with the AWS CDK, and the innermost folder of a ``cdk.json`` around."""
    apps = sorted((_folder_of(name) for name in names if name.rpartition("/")[2] == "cdk.json"), key=len, reverse=True)
    sources = (name for name in names if apps and name.endswith((".py", ".ts")) and not name.endswith(".d.ts"))
    for name in islice(sources, FILE_LIMIT):
        app_folder = next((folder for folder in apps if is_inside(name, folder)), None)
        if app_folder is not None and not _TEST_FOLDER.search(name):
            yield name, app_folder


@lru_cache(maxsize=4)
def function_folders(tree: Tree) -> Mapping[str, str]:
    """Return the folders with the code of functions, and the paths of the files that define these."""
    return {
        function.folder: path
        for path, functions in functions_by_file(tree).items()
        for function in functions
        if any(name.endswith(".py") for name in tree.list_folder(function.folder).files)
        or (function.module and tree.is_file(join_path(function.folder, f"{function.module.replace('.', '/')}.py")))
    }


def _functions_of(
    tree: Tree, service_path: str, nested: Sequence[str]
) -> Iterator[tuple[str, list[ServerlessFunction]]]:
    """Yield the files that define functions of a service, with these functions.

    Those in its folder and above it come first, the nearest before the others; then those in a folder beside the code.
    """
    levels = {folder: level for level, folder in enumerate(with_outer_folders(service_path))}
    by_file: dict[str, list[ServerlessFunction]] = {}
    for path, function in _functions_inside(tree, service_path):
        by_file.setdefault(path, []).append(function)
    for path in sorted(by_file, key=lambda path: (levels.get(_folder_of(path), len(levels)), path)):
        functions = [
            function
            for function in by_file[path]
            if not any(is_inside(function.folder, join_path(service_path, inner)) for inner in nested)
            # what is in a folder inside of the service together with its template is something of its own
            and (_folder_of(path) in levels or not is_inside(function.folder, _folder_of(path)))
        ]
        if functions:
            yield path, functions


def _functions_inside(tree: Tree, service_path: str) -> Iterator[tuple[str, ServerlessFunction]]:
    """Yield the functions in a service's folder, with the files that define them, in the order of each file."""
    folders, functions = _functions_by_folder(tree)
    # the folders inside of another one follow each other, but not the folder itself: "a", "a-b", "a/b"
    inside = [(0, len(folders))]
    if service_path != ".":
        inside = [
            (bisect_left(folders, service_path), bisect_right(folders, service_path)),
            (bisect_left(folders, f"{service_path}/"), bisect_left(folders, f"{service_path}0")),
        ]
    for path, number in sorted(entry for start, end in inside for entry in functions[start:end]):
        yield path, functions_by_file(tree)[path][number]


@lru_cache(maxsize=4)
def _functions_by_folder(tree: Tree) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the folders of all functions, sorted, and for each its file and number in it.

    Each service asks for those inside of it, and there may be thousands of services.
    """
    entries = sorted(
        (function.folder, path, number)
        for path, functions in functions_by_file(tree).items()
        for number, function in enumerate(functions)
    )
    return [folder for folder, _, _ in entries], [(path, number) for _, path, number in entries]


def _folder_of(path: str) -> str:
    return path.rpartition("/")[0] or "."


def _manifest_of_sam(tree: Tree, template: str) -> tuple[str, Location] | None:
    """Return the requirements file that all builds of a template with AWS SAM are given, and where the first is.

    ``None`` without one: also for a build of one function only, or where it is not known which file it is.

    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-cli-command-reference-sam-build.html
    """
    if not template.endswith((".yaml", ".yml", ".json")) or posixpath.basename(template).startswith("serverless"):
        return None
    builds = _sam_builds(tree)
    manifests = {**builds.get(_folder_of(template), {}), **builds.get(template, {})}
    return next(iter(manifests.items())) if len(manifests) == 1 and "" not in manifests else None


@lru_cache(maxsize=4)
def _sam_builds(tree: Tree) -> Mapping[str, Mapping[str, Location]]:
    """Return for each template, or folder of one, the requirements files that its builds are given, empty for none."""
    builds: dict[str, dict[str, Location]] = {}
    for path in scripts_of(tree):
        text = tree.read_or_none(path) or ""
        for match in _SAM_BUILD.finditer(text):
            line = text[: match.start()].rpartition("\n")[2]
            ahead = line if posixpath.basename(path) == "Makefile" else text[: match.start()]
            if line.lstrip().startswith("#"):
                continue
            words = [word.strip("\"'") for word in match["arguments"].replace("\\\n", " ").split()]
            manifest = option_of(words, "-m", "--manifest")
            template = option_of(words, "-t", "--template", "--template-file")
            is_clear = _CHANGES_FOLDER.search(ahead) is None and not _names_function(words)
            for folder in _working_folders(path):
                file = join_path(folder, manifest)
                is_given = is_clear and bool(manifest) and not leaves_root(file) and tree.is_file(file)
                place = join_path(folder, template) if template else folder
                location = Location(path=path, line=text.count("\n", 0, match.start()) + 1)
                builds.setdefault(place, {}).setdefault(file if is_given else "", location)
    return builds


def _working_folders(path: str) -> tuple[str, ...]:
    """Return the folders in which the commands of a file are run: of a script, its own or the root."""
    if path.startswith("."):
        return (".",)
    own = _folder_of(path)
    return (own,) if posixpath.basename(path) == "Makefile" else tuple(dict.fromkeys((".", own)))


def _names_function(words: Sequence[str]) -> bool:
    """Return whether ``sam build`` is for one function: a word that is no option, and no value of one."""
    return any(
        word[:1] not in ("-", "$", "") and "=" not in word and (option[:1] != "-" or "=" in option or option in _FLAGS)
        for option, word in pairwise(("", *words))
    )


def _step(
    tree: Tree, build: BuiltFolder, path: str, manifest: tuple[str, Location] | None = None
) -> InstallStep | None:
    """Return what is installed for a folder; ``None`` without requirements: then its code is only copied.

    :param manifest: a requirements file that replaces those of all folders, and the place that says so.
    """
    if manifest is not None:
        return InstallStep(tool="pip", location=manifest[1], files=(manifest[0],), target=build.target)
    location = Location(path=build.path or path, line=build.line)
    if build.reads_projects:
        pyproject = tree.read_or_none(join_path(build.folder, "pyproject.toml")) or ""
        if "[tool.poetry" in pyproject:
            return InstallStep(
                tool="poetry", location=location, project=build.folder, default_groups=False, target=build.target
            )
        if tree.is_file(join_path(build.folder, "Pipfile")):
            return InstallStep(
                tool="pipenv", location=location, project=build.folder, default_groups=False, target=build.target
            )
    file = join_path(build.folder, build.file_name)
    if not tree.is_file(file):
        return None
    return InstallStep(tool="pip", location=location, folder=build.folder, files=(file,), target=build.target)
