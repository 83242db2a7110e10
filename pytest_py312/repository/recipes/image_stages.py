"""Follow the stages of a Dockerfile: the files that each has, what its commands install, and what it sets."""

import json
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallStep, LocalProject, Program
from pytest_py312.repository.formats.commands.install_commands import read_install_command
from pytest_py312.repository.formats.dockerfile import (
    BuildStage,
    DockerfileText,
    Instruction,
    environment_pairs,
    read_dockerfile,
    substitute_variables,
    without_quotes,
)
from pytest_py312.repository.formats.functions.serverless import LAMBDA_CODE
from pytest_py312.repository.formats.image_reference import is_lambda_image
from pytest_py312.repository.formats.start_commands import read_argv
from pytest_py312.repository.recipes.base_images import CHAIN_LIMIT, base_dockerfile
from pytest_py312.repository.recipes.commands.code_generation import ProtocRun, moved_run
from pytest_py312.repository.recipes.commands.command_walk import CommandWalk
from pytest_py312.repository.recipes.commands.file_map import (
    LINUX_FOLDERS,
    FileMap,
    context_path,
    find_build_context,
    instruction_lines,
    instruction_words,
    is_related,
    resolve_path,
)
from pytest_py312.repository.recipes.image_builds import build_arguments
from pytest_py312.repository.tree import Tree, join_path, leaves_root, with_outer_folders

_STAGE_LIMIT = 50
_BASE_LIMIT = 10
"""Maximum number of images of the repository that one image builds on or copies from."""
_ARCHIVES = (".pyz", ".zip", ".pex")
"""Ends of the names of applications in one file, such as those of ``python -m zipapp``."""
_MADE_FOLDERS = re.compile(r"\bmkdir[ \t]+(?P<folders>[^;&|\r\n]{1,1000})")
_LAMBDA_IMAGE = (("LAMBDA_TASK_ROOT", LAMBDA_CODE), ("LAMBDA_RUNTIME_DIR", "/var/runtime"))
"""What images of AWS Lambda set; the first is their working folder as well.

https://github.com/aws/aws-lambda-base-images
"""
_RUN_LIMIT = 20_000
_RUN_FLAG = re.compile(r"(?:\s|\\\n)*--(?P<name>mount|network|security)(?:=(?P<value>\S*))?")


@dataclass(slots=True)
class StageContent:
    """What a stage has once the instructions that were read so far have run."""

    files: FileMap
    folder: str = "/"
    variables: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    """The variables of ``ENV``, which a stage hands on to those that build on it."""
    unset: set[str] = field(default_factory=set)
    """The variables of ``ARG`` without a default."""
    steps: list[InstallStep] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    generators: list[ProtocRun] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    """What its commands run, except for installers, and has to succeed."""
    made_folders: set[str] = field(default_factory=set)
    start: dict[str, Instruction] = field(default_factory=dict)
    """The last ``ENTRYPOINT`` and ``CMD``."""

    def handed_on(self) -> "StageContent":
        """Return what a stage that builds on this one starts with: all but the variables of ``ARG``."""
        return StageContent(
            files=self.files.copy(), folder=self.folder, variables=dict(self.environment),
            environment=dict(self.environment), steps=list(self.steps), limits=list(self.limits),
            generators=list(self.generators), programs=list(self.programs), made_folders=set(self.made_folders),
            start=dict(self.start),
        )  # fmt: skip

    def has_folder(self, path: str) -> bool:
        """Return whether ``path`` is certainly a folder of the image: one of Linux, or one that a line has made."""
        if path in LINUX_FOLDERS or path in self.made_folders or path == self.folder:
            return True
        found = self.files.find(path)
        is_around = any(mount.destination.startswith(f"{path}/") for mount in self.files.mounts)
        return is_around or (found is not None and self.files.tree.is_folder(found))


class ImageReader:
    """Reads the stages of one Dockerfile, each once, and the images of the repository that they are based on."""

    def __init__(
        self,
        tree: Tree,
        text: str,
        dockerfile: DockerfileText,
        context: str,
        outer: tuple[str, ...] = (),
        bases_left: list[int] | None = None,
    ) -> None:
        """``outer``: the Dockerfiles of the images that build on this one. ``bases_left``: how many more are read."""
        self._tree = tree
        self._bases_left = bases_left if bases_left is not None else [_BASE_LIMIT]
        self._outer = outer or (dockerfile.path,)
        self._text = text
        self._dockerfile = dockerfile
        self._context = context
        self._stages: dict[int, StageContent] = {}

    def stage(self, stage: BuildStage) -> StageContent:
        if stage.index not in self._stages:
            self._stages[stage.index] = self._read_stage(stage)
        return self._stages[stage.index]

    def _read_stage(self, stage: BuildStage) -> StageContent:
        parent = self._dockerfile.stages[stage.parent] if stage.parent is not None else None
        if parent is not None and len(self._stages) < _STAGE_LIMIT:
            state = self.stage(parent).handed_on()
        else:
            state = self._base_state(stage)
        for instruction in self._dockerfile.instructions_of(stage):
            self._apply(instruction, state, stage)
        return state

    def _base_state(self, stage: BuildStage) -> StageContent:
        """Return what the image has that a stage is based on; nothing unless the repository has its Dockerfile."""
        may_follow = len(self._outer) < CHAIN_LIMIT and self._bases_left[0] > 0
        path = base_dockerfile(self._tree, stage) if may_follow else ""
        text = self._tree.read_or_none(path) if path and path not in self._outer else None
        base = read_dockerfile(text, path) if text is not None else None
        if text is None or base is None or base.final_stage is None:
            is_lambda = is_lambda_image(stage.image)
            given, folder = (dict(_LAMBDA_IMAGE), LAMBDA_CODE) if is_lambda else ({}, "/")
            return StageContent(files=FileMap(self._tree), folder=folder, variables={**given}, environment=given)
        context = find_build_context(self._tree, posixpath.dirname(path) or ".", base)
        self._bases_left[0] -= 1
        outer = (*self._outer, path)
        state = ImageReader(self._tree, text, base, context, outer, self._bases_left).stage(base.final_stage)
        triggers = {item.line: item.arguments for item in base.instructions if item.keyword == "ONBUILD"}
        lines = ["FROM scratch", *(triggers.get(number, "") for number in range(2, max(triggers, default=1) + 1))]
        triggered = read_dockerfile("\n".join(lines), path)
        reader = ImageReader(self._tree, "\n".join(lines), triggered, self._context, outer, self._bases_left)
        for instruction in triggered.instructions[1:]:  # they run in the context of the image that builds on it
            reader._apply(instruction, state, triggered.stages[0])
        return replace(state, start={})  # its lines are in another file

    def _apply(self, instruction: Instruction, state: StageContent, stage: BuildStage) -> None:
        if instruction.keyword == "ARG":
            self._declare_arguments(instruction, state)
        elif instruction.keyword == "ENV":
            pairs = dict(environment_pairs(instruction.arguments, state.variables))
            state.variables.update(pairs)
            state.environment.update(pairs)
        elif instruction.keyword == "WORKDIR":
            folder = substitute_variables(instruction.arguments.strip().strip("\"'"), state.variables)[0]
            state.folder = resolve_path(folder, state.folder)
            state.made_folders.add(state.folder)
        elif instruction.keyword in ("COPY", "ADD"):
            self._copy(instruction, state, stage)
        elif instruction.keyword == "RUN":
            self._run(instruction, state, stage)
        elif instruction.keyword == "CMD":
            state.start["CMD"] = instruction
        elif instruction.keyword == "ENTRYPOINT":  # an inherited CMD is no argument of it
            state.start = {"ENTRYPOINT": instruction}

    def _declare_arguments(self, instruction: Instruction, state: StageContent) -> None:
        defaults = dict(self._dockerfile.arguments)
        for match in re.finditer(r"([A-Za-z_]\w*)(=(?:\"[^\"]*\"|'[^']*'|\S)*)?", instruction.arguments, re.ASCII):
            value = match[2][1:] if match[2] is not None else defaults.get(match[1])
            if re.search(rf"\$\{{?{match[1]}\b", self._text):  # builds are looked for in many files
                value = build_arguments(self._tree, self._dockerfile.path).get(match[1], value)
            if value is None:  # a build gives it; without one it is empty
                state.unset.update({match[1]} - state.variables.keys())
            elif match[1] not in state.environment:  # ENV takes precedence over ARG
                state.variables[match[1]] = substitute_variables(without_quotes(value), state.variables)[0]

    # ---- files

    def _copy(self, instruction: Instruction, state: StageContent, stage: BuildStage) -> None:
        arguments = instruction.arguments
        source_stage = None
        flag = re.search(r"--from=(\S+)", arguments)
        if flag:
            source_stage = self._named_stage(substitute_variables(flag[1].strip("\"'"), state.variables)[0], stage)
            if source_stage is None:
                return  # another image, whose files are not in the repository
        plain = instruction_words(re.sub(r"^(?:\s*--[a-z-]+(?:=\S*)?)+", "", arguments))
        words = [substitute_variables(word, state.variables)[0] for word in plain]
        if len(words) < 2 or "<<" in arguments:
            return
        *sources, target = words
        destination = resolve_path(target, state.folder)
        into_folder = target.endswith(("/", "/.")) or target in (".", "..") or len(sources) > 1
        into_folder = into_folder or state.has_folder(destination)
        for source in sources[:200]:
            if source_stage is not None:
                self._copy_from_stage(source, destination, source_stage, state, into_folder=into_folder)
            elif "://" not in source and not source.startswith("git@"):
                self._copy_from_context(source, destination, state, into_folder=into_folder)

    def _copy_from_context(self, source: str, destination: str, state: StageContent, *, into_folder: bool) -> None:
        built = self._built_project(source)
        if built is not None:
            name = source.rpartition("/")[2]
            is_file = into_folder and name.endswith(".whl") and "*" not in name
            state.files.add_generated(f"{destination}/{name}" if is_file else destination, built)
        for path in self._context_paths(source):
            if self._tree.is_folder(path):
                state.files.add(destination, path)
            elif self._tree.is_file(path):
                name = path.rpartition("/")[2]
                state.files.add(f"{destination}/{name}" if into_folder else destination, path)

    def _context_paths(self, source: str) -> list[str]:
        found = self._paths_in(self._context, source)
        if found or not source.endswith(".proto"):
            return found
        # something copies an interface that several services share into each build context
        around = (self._paths_in(folder, source) for folder in with_outer_folders(self._context))
        return next(filter(None, around), [])

    def _paths_in(self, folder: str, source: str) -> list[str]:
        path = join_path(folder, context_path(source))
        if leaves_root(path):
            return []
        # the context is mounted at the root of a map of its own, so that patterns are expanded in one place
        context = FileMap(self._tree)
        context.add("/", folder)
        found = [context.find(name) for name in context.expand(resolve_path(source, "/"))]
        return [name for name in found if name is not None]

    def _built_project(self, source: str) -> InstallStep | None:
        """Return the step for wheels that are built before the image, in a ``dist`` which the repository lacks."""
        folder, slash, name = source.strip("/").rpartition("/")
        folder, name = (folder, name) if name.endswith((".whl", ".tar.gz", "*")) else (f"{folder}{slash}{name}", "")
        *above, last = folder.split("/")
        project = join_path(self._context, *above) if above else self._context
        is_there = self._tree.is_folder(join_path(self._context, folder))
        is_project = any(self._tree.is_file(join_path(project, file)) for file in ("pyproject.toml", "setup.py"))
        if last != "dist" or is_there or leaves_root(project) or not is_project:
            return None
        return InstallStep(
            tool="pip", location=Location(path=self._dockerfile.path), projects=(LocalProject(path=project),)
        )

    def _named_stage(self, name: str, current: BuildStage) -> BuildStage | None:
        earlier = self._dockerfile.stages[: current.index]
        if name.isdigit():
            return earlier[int(name)] if int(name) < len(earlier) else None
        return next((stage for stage in reversed(earlier) if stage.name == name.lower()), None)

    def _copy_from_stage(
        self, source: str, destination: str, source_stage: BuildStage, state: StageContent, *, into_folder: bool
    ) -> None:
        other = self.stage(source_stage)
        for path in other.files.expand(resolve_path(source, "/")):
            state.files.copy_from(other.files, path, destination, into_folder=into_folder)
            moved = (moved_run(run, path, destination) for run in other.generators)
            state.generators += filter(None, moved)
            found = other.files.find(path)
            if found is not None and self._tree.is_file(found):
                continue  # only a file of the repository
            if other.files.find_generated(path):
                continue  # its steps count where the file is installed
            self._take_steps(other, path, resolve_path(destination, state.folder), state)

    def _take_steps(self, other: StageContent, path: str, destination: str, state: StageContent) -> None:
        """Add the steps of a stage whose result is copied.

        If some of them install into the folder that is copied, the others do not count, except for the packages of the
        system that they were built with. An archive has what was installed into any folder of the stage.
        """
        is_archive = path.endswith(_ARCHIVES)

        def installs_into_copy(step: InstallStep) -> bool:
            folder = step.target or step.prefix
            return bool(folder) and is_related(resolve_path(folder, "/"), [path])

        if any(step.is_for_python for step in other.steps):
            state.programs += other.programs
        has_own_folder = any(installs_into_copy(step) for step in other.steps)
        for step in other.steps:
            is_elsewhere = (
                not is_archive and (has_own_folder or bool(step.target or step.prefix)) and not installs_into_copy(step)
            )
            if step.target and installs_into_copy(step):
                step = replace(step, target=_moved(resolve_path(step.target, "/"), path, destination))
            if step not in state.steps and not (is_elsewhere and step.is_for_python):
                state.steps.append(step)
        state.limits += other.limits

    # ---- commands

    def steps_at_start(
        self, state: StageContent, stage: BuildStage, commands: Sequence[tuple[Location, Sequence[str]]]
    ) -> list[InstallStep]:
        """Return what a container always installs when it starts: ``CMD pip install -r requirements.txt && python``.

        An ``ENTRYPOINT`` gets ``CMD`` as its arguments. Other commands count for an image that installs nothing itself.
        """
        start = state.start.get("ENTRYPOINT") or state.start.get("CMD")
        walks = [self._walk(start, state, stage)] if start is not None else []
        has_environment = any(step.is_for_python for step in state.steps)
        if not has_environment and not any(walk.steps for walk in walks):
            for location, words in commands:
                walk = self._new_walk(state, state.files.copy(), location.path, is_start=True)
                walk.run_argv(words, location.line or 1)
                walks.append(walk)
        steps = [step for walk in walks for step in walk.steps if step.is_for_python and not step.conditional]
        # `uv run` brings an environment up to date, which is there already if the image has one
        return [step for step in steps if step.tool not in ("uv", "hatch") or not has_environment]

    def _run(self, instruction: Instruction, state: StageContent, stage: BuildStage) -> None:
        walk = self._walk(instruction, state, stage)
        state.steps += walk.steps
        state.limits += walk.limits
        state.generators += walk.generators
        for run in walk.runs:
            if run.counts and not run.conditional and read_install_command(run.words) is None:
                state.programs += read_argv(run.words, state.variables).programs
        state.variables = {**walk.settings, **state.variables}
        state.environment = {**walk.settings, **state.environment}
        for match in _MADE_FOLDERS.finditer(instruction.arguments[:_RUN_LIMIT]):
            words = (substitute_variables(word, state.variables)[0] for word in match["folders"].split())
            state.made_folders.update(resolve_path(word, state.folder) for word in words if not word.startswith("-"))

    def _walk(self, instruction: Instruction, state: StageContent, stage: BuildStage) -> CommandWalk:
        """Walk through the commands of an instruction; the files that they write stay in the image."""
        lines = instruction_lines(self._text, instruction)
        keyword = re.match(rf"\s*{instruction.keyword}", lines, re.IGNORECASE)
        text = (" " * keyword.end() + lines[keyword.end() :]) if keyword else lines
        files = state.files.copy()
        while flag := _RUN_FLAG.match(text):
            if flag["name"] == "mount":
                self._mount(flag["value"] or "", files, state, stage)
            text = "\n" * flag[0].count("\n") + text[flag.end() :]
        first = len(files.mounts)
        is_start = instruction.keyword != "RUN"
        walk = self._new_walk(state, files, self._dockerfile.path, is_start=is_start)
        if text.lstrip().startswith("["):
            try:
                argv = json.loads(text.strip().replace("\\\n", " "))
            except (ValueError, RecursionError):
                argv = None
            if isinstance(argv, list):
                walk.run_argv([str(word) for word in argv], instruction.line)
                text = ""
        walk.run(text, instruction.line)
        state.files.mounts += files.mounts[first:]
        return walk

    def _new_walk(self, state: StageContent, files: FileMap, path: str, *, is_start: bool) -> CommandWalk:
        return CommandWalk(
            is_start=is_start,
            files=files,
            path=path,
            folder=state.folder,
            variables={"HOME": "/root", **state.variables},
            unset=frozenset(state.unset),
            earlier=tuple(state.steps),
        )

    def _mount(self, value: str, files: FileMap, state: StageContent, stage: BuildStage) -> None:
        """Apply ``--mount=type=bind``: files of the context or of another stage."""
        options = dict(part.partition("=")[::2] for part in value.split(","))
        if options.get("type", "bind") != "bind":
            return
        source = substitute_variables(options.get("source", options.get("src", ".")), state.variables)[0]
        target = options.get("target", options.get("dst", options.get("destination", source)))
        destination = resolve_path(substitute_variables(target, state.variables)[0], state.folder)
        name = substitute_variables(options.get("from", ""), state.variables)[0]
        other = self._named_stage(name, stage) if name else None
        if other is not None:
            files.copy_from(self.stage(other).files, resolve_path(source, "/"), destination, into_folder=False)
        elif not name:
            for path in self._context_paths(source):
                files.add(destination, path)


def _moved(folder: str, source: str, destination: str) -> str:
    """Return where ``folder`` is once ``source``, which contains it or is in it, was copied to ``destination``."""
    inner = folder.removeprefix(source).strip("/") if f"{folder}/".startswith(f"{source.rstrip('/')}/") else ""
    return f"{destination.rstrip('/')}/{inner}".rstrip("/")
