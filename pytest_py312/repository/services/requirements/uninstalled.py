"""Find the requirements that nothing installs where the service runs, or where its tests run: files, extras, groups.

Such a file may not be installable on the target, and the service runs there all the same: what it lacks is worth a
warning. Whether something installs a file is judged by the commands of Dockerfiles, of CI and of scripts that name it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from pytest_py312.core.model.fleet import InstallRecipe, RequirementSource, Service
from pytest_py312.repository.formats.dockerfile import is_dockerfile
from pytest_py312.repository.services.detection.service_files import ServiceFiles
from pytest_py312.repository.services.requirements.sources import TABLE_READERS
from pytest_py312.repository.tree import Tree, join_path

TEXT_LIMIT = 200
"""Maximum number of files in which commands that install are looked for, of one service."""

_AFFIXES = ("python-", "py", "-python", "-py")
"""What the names of projects often have before or after the name of their module."""
_TOOLING_WORDS = frozenset(
    {
        "doc", "docs", "documentation", "sphinx", "rtd", "readthedocs", "mkdocs", "lint", "linter", "linters",
        "linting", "style", "format", "formatting", "release", "releasing", "publish", "publishing", "changelog",
    }
)  # fmt: skip
"""Words in the names of files that are installed to document, to lint or to release a project."""
_DEVELOPER_WORDS = frozenset({"dev", "develop", "development", "local", "ide"})
_SCRIPT = re.compile(r"(?:.*/)?(?:[^/]+\.(?:sh|bash|ya?ml|toml|cfg|ini|json|rules)|(?:GNU)?[Mm]akefile|Procfile.*|"
                     r"noxfile\.py|fabfile\.py|tasks\.py|bootstrap\.py|install\.py|app\.json|rules)")  # fmt: skip
_CI = re.compile(r"(?:.*/)?(?:\.github/workflows/[^/]+|\.gitlab-ci\.ya?ml|\.circleci/config\.ya?ml|\.travis\.ya?ml|"
                 r"azure-pipelines\.ya?ml|Jenkinsfile|buildspec\.ya?ml|cloudbuild\.ya?ml)")  # fmt: skip
_OUTER_FOLDERS = (".", ".github/workflows", ".circleci", "docker", "deploy", "scripts", "bin", "ci", ".ci", "script")
_VARIABLE_PARTS = re.compile(r"(\$\(?\w+\)?|\$?\{+[^{}]*\}+|%\w+%|\*+)", re.ASCII)
_VARIABLE = re.compile(r"\$\(?\w+\)?|\$?\{+[^{}]*\}+|%\w+%|\*+", re.ASCII)
_WORD = re.compile(r"(?P<path>[^\s\"',;&|()\[\]=]*\.(?:txt|in)\b|[^\s\"',;&|()\[\]=]*/\*)")
_INSTALL = re.compile(r"(?:-r|--requirements?|pip-sync|\bpip sync)[\s=\"',]*(?P<path>[^\s\"',;&|)\]]+)")


def with_uninstalled(
    tree: Tree,
    files: ServiceFiles,
    sources: Sequence[RequirementSource],
    recipes: Sequence[InstallRecipe | None],
) -> tuple[RequirementSource, ...]:
    """Mark those of ``sources`` that nothing installs.

    :param recipes: what installs the service for production and for its tests, ``None`` where that is not known.
    """
    if not sources:
        return ()
    is_known = all(recipe is not None and recipe.is_complete for recipe in recipes)
    installing = list(_installing_texts(tree, files))
    return tuple(
        replace(source, uninstalled=_is_uninstalled(source.path, files.path, installing, is_known=is_known))
        for source in sources
    )


def _is_uninstalled(path: str, service_path: str, installing: Sequence[tuple[str, str]], *, is_known: bool) -> bool:
    inner = path if service_path == "." else path.removeprefix(f"{service_path}/")
    words = set(re.split(r"[^a-z]+", inner.rpartition(".")[0].lower()))
    is_tooling = not words.isdisjoint(_TOOLING_WORDS)
    if not is_tooling and not is_known:
        return False
    for place, text in installing:
        is_image = is_dockerfile(place.rpartition("/")[2])
        counts = is_image or (
            not is_tooling and (words.isdisjoint(_DEVELOPER_WORDS) or _CI.fullmatch(place) is not None)
        )
        # an image may install a copy of the file that has another name
        pattern = _WORD if is_image else _INSTALL
        if counts and any(_names(match["path"], place, path, service_path) for match in pattern.finditer(text)):
            return False
    return True


def _names(written: str, place: str, path: str, service_path: str) -> bool:
    """Whether the path ``written`` in the file ``place`` may be ``path`` of the service.

    A file of the service may be named from any folder above it; other files have to name it with the service's folder.
    """
    written = written if "{" in written else written.rstrip("}")
    steps = [step for step in written.split("/") if step not in ("", ".", "..")]
    variables = [number for number, step in enumerate(steps) if _VARIABLE.fullmatch(step)]
    # what stands in front of a variable says nothing: it may be any folder
    steps = steps[variables[-1] + 1 :] if variables else steps
    is_own = service_path == "." or place.startswith(f"{service_path}/")
    if not steps:
        return bool(variables) and is_own
    patterns = ["".join(map(_as_pattern, _VARIABLE_PARTS.split(step))) for step in steps]
    if _ends_with(path, patterns):
        is_beside = service_path == place.rpartition("/")[0]
        return is_own or is_beside or len(steps) > path.count("/") - service_path.count("/")
    # a folder of an image may stand in front of the path of the repository, or of the service
    wanted = [path, *([path.removeprefix(f"{service_path}/")] if is_own else [])]
    return any(_ends_with(inner, patterns[-len(inner.split("/")) :]) for inner in wanted)


def _ends_with(path: str, patterns: Sequence[str]) -> bool:
    return re.search(rf"(?:^|/){'/'.join(patterns)}$", path) is not None


def _as_pattern(text: str) -> str:
    return "[^/]*" if _VARIABLE_PARTS.fullmatch(text) else re.escape(text)


def _installing_texts(tree: Tree, files: ServiceFiles) -> Iterator[tuple[str, str]]:
    """Yield the paths and texts, without comments, of files that may have commands which install."""
    own = (join_path(files.path, name) for name in files.scan.files)
    outer = (
        join_path(folder, name)
        for folder in (_OUTER_FOLDERS if files.path != "." else ())
        for name in tree.list_folder(folder).files
    )
    count = 0
    for path in dict.fromkeys((*own, *outer)):
        if not (is_dockerfile(path.rpartition("/")[2]) or _SCRIPT.fullmatch(path) or _CI.fullmatch(path)):
            continue
        count += 1
        text = tree.read_or_none(path) if count <= TEXT_LIMIT else None
        if text is not None:
            yield path, re.sub(r"(?m)(?:^|\s)#.*$", "", text)


def optional_requirements(tree: Tree, service: Service) -> dict[str, str]:
    """Return the project names that only tables outside of the service's requirements have, with their table.

    A test file that imports one of them cannot be collected on any Python, which says nothing about the target.

    :returns: normalised project name to ``pyproject.toml [project.optional-dependencies.agent]``.
    """
    chosen = {(source.path, source.table) for source in (*service.requirements, *service.test_requirements)}
    optional: dict[str, str] = {}
    installed: set[str] = set()
    for name, reader in TABLE_READERS.items():
        path = join_path(service.path, name)
        text = tree.read_or_none(path) if tree.is_file(path) else None
        for table in reader(text, path) if text else ():
            names = [canonicalize_name(entry.name) for entry in table.requirements.entries if entry.name]
            if (path, table.table) in chosen:
                installed.update(names)
            elif table.table:
                for project in names:
                    optional.setdefault(project, f"{name} [{table.table}]")
    return {project: table for project, table in optional.items() if project not in installed}


def table_that_provides(module: str, optional: Mapping[str, str]) -> str:
    """Return the table of ``optional`` with the project that is named like ``module``; empty if there is none."""
    name = canonicalize_name(module.partition(".")[0])
    prefixed = [affix + name if not affix.startswith("-") else name + affix for affix in _AFFIXES]
    return next((optional[candidate] for candidate in (name, *prefixed) if candidate in optional), "")
