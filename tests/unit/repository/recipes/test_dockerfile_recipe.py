"""From a Dockerfile to what its image installs, with the place of each step."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import InstallRecipe, InstallStep, LocalProject
from pytest_py312.repository.recipes.dockerfile_recipe import read_dockerfile_recipe
from pytest_py312.repository.services.detection.declared_variables import read_declared_variables
from pytest_py312.repository.tree import Tree


def recipe_of(root: Path, dockerfile: str, files: Mapping[str, str] | None = None) -> InstallRecipe:
    """The recipe of ``svc/Dockerfile``; ``files`` are relative to the service."""
    for name, text in {"Dockerfile": dockerfile, **(files or {})}.items():
        path = root / "svc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    recipe = read_dockerfile_recipe(Tree(root), "svc/Dockerfile", "svc")
    assert recipe is not None
    return recipe


def files_of(recipe: InstallRecipe) -> list[tuple[str, tuple[str, ...]]]:
    return [(str(step.location), step.files) for step in recipe.steps if step.files]


def test_a_step_has_its_files_and_its_line(tmp_path: Path) -> None:
    text = (
        "FROM python:3.11\nWORKDIR /app\nCOPY reqs/ ./reqs\n"
        "RUN apt-get update \\\n # why\n && pip install -r reqs/a.txt\n"
    )
    assert files_of(recipe_of(tmp_path, text, {"reqs/a.txt": ""})) == [("svc/Dockerfile:6", ("svc/reqs/a.txt",))]


JUSTFILE = "name := 'a'\ndefault:\n  true\ndeps x: (default)\n  @pip install -r {{name}}.txt\n"
TASKFILE = "vars: {F: a}\ntasks:\n  deps:\n    cmds:\n      - task: inner\n  inner: pip install -r {{.F}}.txt\n"
INVOKE = "@task\ndef deps(c):\n    c.run('pip install -r a.txt')\n@task(deps)\ndef all_deps(c):\n    pass\n"
JOB = "# /// script\n# dependencies = [\n#   'six==1.16.0', 'idna',\n# ]\n# ///\nimport six\n"
SCRIPT = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', '-r', 'a.txt'])\n"


@pytest.mark.parametrize(
    "lines",
    [
        "ARG F=a\nRUN pip install -r $F.txt",
        "ENV F=a G=b\nRUN pip install -r ${F}.txt",
        'ENV F "a.txt"\nRUN pip install -r "$F"',
        "RUN F=a; pip install -r $F.txt",
        "RUN export F=a && pip install -r $F.txt",
        "RUN cd / && pip install -r /app/a.txt",
        "RUN for f in a; do pip install -r $f.txt; done",
        "RUN for f in ./a*.txt; do pip install -r $f; done",
        "RUN cd /etc && cd - && pip install -r a.txt",
        "RUN pushd /etc; pushd /; popd; popd; pip install -r a.txt",
        "RUN <<EOF\nset -e\npip install -r a.txt\nEOF",
        "RUN bash -c 'pip install -r a.txt'",
        'RUN ["pip", "install", "-r", "a.txt"]',
        "RUN --mount=type=cache,target=/root/.cache \\\n  pip install -r a.txt",
        "RUN if [ \"$X\" = 1 ]; then true; else pip install -r a.txt; fi",
        "ARG X\nRUN [ -z \"$X\" ] && pip install -r a.txt",
        "RUN pip install -r a.txt || pip install -r b.txt",
        "RUN sudo -H python3 -m pip install -r a.txt",
        "RUN ./install.sh a",
        "RUN make deps F=a",
        "RUN cat a.txt > c.txt; pip install -r a.txt",
        "RUN ./run.sh",
        "RUN <<EOF\nretry () {\n  shift\n  until \"$@\"; do sleep 1; done\n}\nretry 5 pip install -r a.txt\nEOF",
        "RUN <<EOF\nold () {\n  docker run x \\\n    \"$@\"\n}\nold pip install -r b.txt\npip install -r a.txt\nEOF",
        "RUN <<EOF\nrun () {\n  echo \"${C}$*\"\n  eval \"$*\"\n}\nrun pip install -r a.txt\nEOF",
        "RUN xargs -n 1 -a a.txt pip install --no-cache-dir",
        "RUN xargs pip install < a.txt",
        "RUN grep -v '^#' a.txt | xargs -n1 pip install",
        "RUN pip install $(cat a.txt | grep -v '^#')",
        "RUN pip install --no-cache-dir $(< a.txt)",
        "RUN cat a.txt | pip install -r /dev/stdin",
        "RUN cat a.txt | pip install -r -",
        "RUN find . -name 'a*.txt' -exec pip install -r {} \\;",
        "RUN find . -name 'a*.txt' | xargs -I{} pip install -r {}",
        "RUN cp a.txt /tmp/r.txt\nRUN pip install -r /tmp/r.txt",
        "RUN grep -v x a.txt > /tmp/r.txt\nRUN pip install -r /tmp/r.txt",
        "RUN just deps a",
        "RUN task deps",
        "RUN invoke all-deps",
        "RUN python tools/deps.py",
        "CMD pip install -r a.txt && python app.py",
        'ENTRYPOINT ["sh", "-c", "pip install -r a.txt && exec python app.py"]',
    ],
)  # fmt: skip
def test_ways_to_install_one_file(tmp_path: Path, lines: str) -> None:
    files = {
        "a.txt": "", "b.txt": "", "install.sh": "#!/bin/sh\npip install -r $1.txt\n",
        "Makefile": "F = b\ndeps:\n\tpip install -r $(F).txt\n",
        "run.sh": ". ./base.sh\nlogged pip install -r a.txt\n",
        "justfile": JUSTFILE, "Taskfile.yml": TASKFILE, "tasks.py": INVOKE, "tools/deps.py": SCRIPT,
        "base.sh": 'function logged {\n  echo "$@"\n  "$@"\n}\nshow() {\n  echo "$@"\n}\nshow pip install -r b.txt\n',
    }  # fmt: skip
    recipe = recipe_of(tmp_path, f"FROM python:3.11\nWORKDIR /app\nCOPY . .\n{lines}\n", files)
    assert [step.files for step in recipe.steps] == [("svc/a.txt",)]
    assert recipe.is_complete


def test_a_pattern_with_folders_in_the_middle(tmp_path: Path) -> None:
    """The commands of a loop are run in each folder that it fits."""
    loop = "RUN for f in ./*s/*/r.txt; do (cd $(dirname $f) && pip install -r $(basename $f)); done"
    files = {"libs/a/r.txt": "", "libs/b/r.txt": "", "libs/c/other.txt": "", "more/d/r.txt": ""}
    recipe = recipe_of(tmp_path, f"FROM python:3.11\nWORKDIR /app\nCOPY . .\n{loop}\n", files)
    assert [step.files for step in recipe.steps] == [("svc/libs/a/r.txt",), ("svc/libs/b/r.txt",)]


@pytest.mark.parametrize(
    ("lines", "installed"),
    [
        ('RUN echo "six==1.16.0" > /r.txt && pip install -r /r.txt', [("six==1.16.0",)]),
        ("RUN printf 'six\\nidna\\n' > /r.txt && pip install -r /r.txt", [("six", "idna")]),
        ("RUN <<EOF cat > /r.txt\nsix # why\n\nidna; python_version < '4'\nEOF\nRUN pip install -r /r.txt",
         [("six", "idna; python_version < '4'")]),
        ("RUN echo six > /r.txt; echo idna >> /r.txt; pip install -r /r.txt", [("six",), ("idna",)]),
        ("RUN echo six >> a.txt && pip install -r a.txt", [("six",)]),
        ("RUN echo six > /r.txt; echo idna > /r.txt; pip install -r /r.txt", [("idna",)]),
        ("RUN echo six > /etc/motd; pip install idna", [("idna",)]),
        ("CMD uv run job.py", [("six==1.16.0", "idna")]),
    ],
)  # fmt: skip
def test_requirements_that_a_command_writes(tmp_path: Path, lines: str, installed: list[tuple[str, ...]]) -> None:
    recipe = recipe_of(
        tmp_path, f"FROM python:3.11\nWORKDIR /app\nCOPY . .\n{lines}\n", {"a.txt": "tomli\n", "job.py": JOB}
    )
    assert [step.arguments for step in recipe.steps] == installed
    assert [file for step in recipe.steps for file in step.files] == ["svc/a.txt"] * (">> a.txt" in lines)


@pytest.mark.parametrize(("run", "flags"), [("uv sync --no-dev", [False]), ("pip install uv", [True])])
def test_uv_run_installs_what_the_image_has_not(tmp_path: Path, run: str, flags: list[bool]) -> None:
    text = f'FROM python:3.11\nWORKDIR /app\nCOPY . .\nRUN {run}\nCMD ["uv", "run", "app.py"]\n'
    recipe = recipe_of(tmp_path, text, {"pyproject.toml": "[project]\nname = 'x'\n"})
    assert [step.default_groups for step in recipe.steps if step.is_for_python] == flags


def test_what_a_container_installs_at_times_is_no_part(tmp_path: Path) -> None:
    """The script that starts the image installs the tools for development if it is asked to."""
    script = '#!/bin/sh\nif [ "$DEBUG" ]; then\n  pip install -r dev.txt\nfi\nexec "$@"\n'
    text = 'FROM python:3.11\nWORKDIR /app\nCOPY . .\nRUN pip install six\nENTRYPOINT ["./start.sh"]\n'
    recipe = recipe_of(tmp_path, text, {"start.sh": script, "dev.txt": ""})
    assert [step.arguments for step in recipe.steps] == [("six",)]


@pytest.mark.parametrize(
    ("files", "installed"),
    [
        ({"images/base/Dockerfile": "FROM python:3.9\nRUN pip install six\n"}, [("images/base/Dockerfile:2", "six")]),
        ({"Dockerfile.base": "FROM python:3.9\nRUN pip install six\n"}, [("Dockerfile.base:2", "six")]),
        (
            {
                "python.dockerfile": "FROM python:3.9\nRUN pip install six\n",
                "Makefile": "image:\n\tdocker build -t $(HUB)/base:1.0 \\\n\t  -f python.dockerfile .\n",
            },
            [("python.dockerfile:2", "six")],
        ),
        (
            {
                "python.dockerfile": "FROM python:3.9\nRUN pip install six\n",
                "compose.yml": "services:\n  b: {image: x/base, build: {context: ., dockerfile: python.dockerfile}}\n",
            },
            [("python.dockerfile:2", "six")],
        ),
        (
            {"base/Dockerfile": "FROM python:3.9\nONBUILD COPY r.txt /\nONBUILD RUN pip install -r /r.txt\n"},
            [("base/Dockerfile:3", "svc/r.txt")],
        ),
        ({"base/Dockerfile": "FROM x/base\n"}, []),
        (
            {
                "ci/build.sh": "docker build -t x/base:2.0 -f old .\ndocker build -t x/base:1.0 -f new .\n",
                "old": "FROM python:3.8\nRUN pip install flask\n",
                "new": "FROM python:3.9\nRUN pip install six\n",
            },
            [("new:2", "six")],
        ),
        ({f"{name}/base/Dockerfile": "FROM python:3.9\nRUN pip install six\n" for name in "ab"}, []),
    ],
    ids=["folder", "end of the file", "command", "compose file", "onbuild", "of itself", "tags", "several"],
)
def test_an_image_of_the_repository_as_base(
    tmp_path: Path, files: dict[str, str], installed: list[tuple[str, str]]
) -> None:
    """What it installs is there as well; where several may be meant, none counts."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    recipe = recipe_of(tmp_path, "FROM registry.example/x/base:1.0\nCOPY . .\nRUN pip install idna\n", {"r.txt": ""})
    steps = [(str(step.location), *step.arguments, *step.files) for step in recipe.steps]
    assert steps == [*installed, ("svc/Dockerfile:3", "idna")]


@pytest.mark.parametrize("image", ["ubuntu:22.04", "alpine", "node:18"])
def test_an_image_of_the_registry_is_no_folder_of_that_name(tmp_path: Path, image: str) -> None:
    folder = tmp_path / "docker" / image.partition(":")[0]
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM python:3.9\nRUN pip install ansible\n")
    assert recipe_of(tmp_path, f"FROM {image}\nCOPY . .\n").steps == ()


@pytest.mark.parametrize("include", ["include ../common.mk", "-include ../common.mk # targets"])
def test_a_makefile_may_have_its_targets_in_a_file_that_it_includes(tmp_path: Path, include: str) -> None:
    """And name its requirements by a pattern."""
    (tmp_path / "common.mk").write_text("setup: sync\nsync:\n\tpip-sync $(wildcard $(FOLDER)/*.txt)\n")
    files = {"reqs/a.txt": "six\n", "reqs/b.txt": "idna\n", "Makefile": f"FOLDER = reqs\n{include}\n"}
    text = "FROM python:3.9\nWORKDIR /app/svc\nCOPY common.mk /app/\nCOPY svc ./\nRUN make setup\n"
    recipe = recipe_of(tmp_path, text, files)
    assert [(str(step.location), step.files) for step in recipe.steps] == [
        ("common.mk:3", ("svc/reqs/a.txt", "svc/reqs/b.txt"))
    ]


SKAFFOLD = """\
build:
  artifacts:
  - image: svc
    context: svc
    requires:
    - {image: common, alias: BASE}
---
build: {artifacts: [{image: common, context: lib/common}]}
"""


@pytest.mark.parametrize(
    ("files", "installed"),
    [
        ({}, "none.txt"),
        ({"compose.yml": "services: {api: {build: {context: services/api, args: {FILE: prod.txt}}}}\n"}, "prod.txt"),
        ({"compose.yml": "services: {api: {build: {context: services/api, args: ['FILE=prod.txt']}}}\n"}, "prod.txt"),
        ({"compose.yml": "services: {api: {build: {context: services/api, args: {FILE: dev.txt}}}}\n"}, "none.txt"),
        ({"compose.dev.yml": "services: {a: {build: {context: services/api, args: {FILE: prod.txt}}}}\n"}, "none.txt"),
        ({"build.sh": "docker build --build-arg FILE=prod.txt -t api services/api\n"}, "prod.txt"),
        ({"build.sh": "docker build --build-arg=FILE=$FILE services/api\n"}, "none.txt"),
        (
            {"skaffold.yaml": "build: {artifacts: [{context: services/api, docker: {buildArgs: {FILE: prod.txt}}}]}"},
            "prod.txt",
        ),
        (  # one of the builds uses the default
            {"a.sh": "docker build --build-arg FILE=prod.txt services/api\n", "b.sh": "docker build services/api\n"},
            "none.txt",
        ),
    ],
)
def test_an_argument_that_all_builds_give_is_taken_instead_of_the_default(
    tmp_path: Path, files: dict[str, str], installed: str
) -> None:
    service = tmp_path / "services/api"
    service.mkdir(parents=True)
    for name in ("none.txt", "prod.txt", "dev.txt"):
        (service / name).write_text("six\n")
    (service / "Dockerfile").write_text("FROM python:3.9\nARG FILE=none.txt\nCOPY . .\nRUN pip install -r ${FILE}\n")
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    recipe = read_dockerfile_recipe(Tree(tmp_path), "services/api/Dockerfile", "services/api")

    assert recipe is not None
    assert [step.files for step in recipe.steps] == [(f"services/api/{installed}",)]


def test_skaffold_gives_an_argument_the_image_of_another_folder(tmp_path: Path) -> None:
    for name, text in {
        "skaffold.yaml": SKAFFOLD,
        "lib/common/Dockerfile": "FROM python:3.9\nRUN pip install six\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    recipe = recipe_of(tmp_path, "ARG BASE\nFROM ${BASE}\nRUN pip install idna\n")
    assert [step.arguments for step in recipe.steps] == [("six",), ("idna",)]


@pytest.mark.parametrize(
    ("base", "is_found"),
    [
        ("ARG APP_FLASK\nFROM $APP_FLASK", True),
        ("ARG APP_FLASK_IMAGE\nFROM ${APP_FLASK_IMAGE} AS backend", True),
        ("ARG BASE\nFROM $BASE", False),
        ("ARG APP_FLASK=ubuntu\nFROM $APP_FLASK", False),
        ("FROM app-flask", False),
    ],
)
def test_an_argument_that_is_named_after_a_folder_is_its_image(tmp_path: Path, base: str, is_found: bool) -> None:
    (tmp_path / "images/app-flask").mkdir(parents=True)
    (tmp_path / "images/app-flask/Dockerfile").write_text("FROM python:3.9\nRUN pip install six\n")
    recipe = recipe_of(tmp_path, f"{base}\nRUN pip install idna\n")
    assert [step.arguments for step in recipe.steps] == [*([("six",)] if is_found else []), ("idna",)]


CONDITION = 'if [ "$(uname -m)" = arm64 ]; then'


@pytest.mark.parametrize(
    ("lines", "files", "is_complete"),
    [
        (f"RUN {CONDITION} cp b.txt a.txt; fi; pip install -r a.txt", ["a.txt"], True),
        (f"RUN {CONDITION} echo flask > a.txt; fi; pip install -r a.txt", ["a.txt"], True),
        ("RUN cp a.txt b.txt /tmp/ && pip install -r /tmp/a.txt", ["a.txt"], True),
        ("RUN find . ! -name b.txt -name '*.txt' -exec pip install -r {} \\;", [], False),
        ("RUN find . -maxdepth 1 -name '*.txt' -exec pip install -r {} \\;", ["a.txt", "b.txt"], True),
        ("RUN cat a.txt | grep -vxFf b.txt | xargs pip install", ["a.txt"], True),
        ("RUN grep -v -f b.txt a.txt | xargs pip install", ["a.txt"], True),
        ("RUN find . -name 'a*.txt' | sort | xargs -n1 pip install -r", ["a.txt"], True),
        ("RUN ls *.txt | head -n 1 | xargs pip install -r", [], False),
        ("RUN curl -s x | xargs pip install", [], False),
        ("RUN pip install --index-url $(cat b.txt) -r a.txt", ["a.txt"], True),
        ("RUN xargs -I{} pip install {}==1.0 < a.txt", [], False),
        ("RUN find . -name '*.txt' | xargs -I{} {}", [], True),
        ("RUN find | xargs pip install -r", [], False),
        ("RUN find a | wc -l", [], True),
        ("RUN " + "xargs " * 1500 + "pip install six", [], True),
        ("RUN pip install -r - < a.txt", ["a.txt"], True),
        ("RUN just --list", [], True),
    ],
)
def test_ways_to_install_of_which_a_part_is_unknown(
    tmp_path: Path, lines: str, files: list[str], is_complete: bool
) -> None:
    """What a condition may change stays, and what cannot be followed makes a recipe incomplete."""
    tree = {"a.txt": "", "b.txt": "", "sub/a.list": "", "justfile": "all:\n  pip install six\n"}
    recipe = recipe_of(tmp_path, f"FROM python:3.11\nWORKDIR /app\nCOPY . .\n{lines}\n", tree)
    assert [file.removeprefix("svc/") for step in recipe.steps for file in step.files] == files
    assert recipe.is_complete is is_complete


STAGES = """\
FROM python:3.11 AS base
COPY svc/ .
RUN pip install -r a.txt
FROM base AS test
COPY svc/tests tests
RUN pip install pytest
FROM {last}
COPY docker/entrypoint.sh /e.sh
"""


@pytest.mark.parametrize("last", ["base AS final", "python:3.11-slim\nCOPY --from=base /usr /usr"])
def test_a_stage_for_tests_is_no_target_of_the_service(tmp_path: Path, last: str) -> None:
    for name, text in {"Dockerfile": STAGES.format(last=last), "svc/a.txt": "", "svc/tests/t.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    recipe = read_dockerfile_recipe(Tree(tmp_path), "Dockerfile", "svc")
    assert recipe is not None
    assert files_of(recipe) == [("Dockerfile:3", ("svc/a.txt",))]
    assert all("pytest" not in step.arguments for step in recipe.steps)


TARGETS = """\
FROM python:3.10 AS wheels
WORKDIR /build/shared
COPY shared .
RUN pip wheel -w . --no-deps .
WORKDIR /build/client
COPY client .
RUN pip wheel -w . --no-deps .
FROM python:3.10 AS base
FROM base AS first
WORKDIR /src
COPY first/requirements.txt .
RUN pip install -r requirements.txt
COPY --from=wheels /build/shared/*.whl .
COPY --from=wheels /build/client/*.whl .
RUN pip install *.whl
FROM base AS second
COPY second .
RUN pip install six
FROM second AS second-test
COPY second/tests tests
RUN pip install pytest
FROM nginx
COPY docker/nginx.conf /etc/nginx.conf
"""


@pytest.mark.parametrize(
    ("service", "installed"),
    [
        ("first", [(("first/requirements.txt",), ()), ((), ("shared",)), ((), ("client",))]),
        ("second", [((), ())]),
        ("docker", []),
    ],
)
def test_a_dockerfile_with_a_target_for_each_service(
    tmp_path: Path, service: str, installed: list[tuple[tuple[str, ...], tuple[str, ...]]]
) -> None:
    files = (
        "first/requirements.txt",
        "second/app.py",
        "second/tests/t.py",
        "docker/nginx.conf",
        "shared/setup.py",
        "client/setup.py",
    )
    for name, text in {"Dockerfile": TARGETS, **dict.fromkeys(files, "")}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    recipe = read_dockerfile_recipe(Tree(tmp_path), "Dockerfile", service)

    assert recipe is not None
    assert [(step.files, tuple(project.path for project in step.projects)) for step in recipe.steps] == installed


def test_a_step_of_a_script_has_its_place_there(tmp_path: Path) -> None:
    files = {"a.txt": "", "bin/i.sh": "set -e\npip install -r a.txt\n"}
    recipe = recipe_of(tmp_path, "FROM python:3.11\nCOPY . /x\nWORKDIR /x\nRUN sh bin/i.sh\n", files)
    assert files_of(recipe) == [("svc/bin/i.sh:2", ("svc/a.txt",))]


MULTI_STAGE = """\
FROM python:3.11 AS base
COPY base.txt .
RUN pip install -r base.txt
FROM python:3.11 AS builder
COPY *.txt /b/
RUN pip install --prefix=/install -r /b/a.txt
RUN pip install -r /b/tools.txt
FROM base AS tests
COPY test.txt /t/
RUN pip install -r /t/test.txt
FROM base
COPY --from=builder /install /usr/local
"""


def test_only_stages_that_reach_the_last_one_count(tmp_path: Path) -> None:
    """The tests' stage does not, nor do tools of the builder that are not copied."""
    names = ("base.txt", "a.txt", "tools.txt", "test.txt")
    recipe = recipe_of(tmp_path, MULTI_STAGE, dict.fromkeys(names, ""))
    assert [step.files for step in recipe.steps] == [("svc/base.txt",), ("svc/a.txt",)]


def test_wheels_of_another_stage_are_what_they_were_built_from(tmp_path: Path) -> None:
    text = """FROM python:3.11 AS w
COPY a.txt .
RUN pip wheel -w /wheels -r a.txt
FROM python:3.11
COPY --from=w /wheels /wheels
RUN pip install --no-index /wheels/*.whl
"""
    recipe = recipe_of(tmp_path, text, {"a.txt": ""})
    assert (files_of(recipe), recipe.is_complete) == ([("svc/Dockerfile:3", ("svc/a.txt",))], True)


@pytest.mark.parametrize(
    ("before", "tool"),
    [
        ("RUN", "setup.py"),
        ("RUN pip install types-setuptools &&", "setup.py"),
        ("RUN pip install -r types.txt &&", "setup.py"),
        ("RUN pip install setuptools wheel &&", "pip"),
        ("RUN pip install setuptools wheel\nRUN", "pip"),
        ("RUN pip install -r build.txt\nRUN", "pip"),
    ],
)
@pytest.mark.parametrize("command", ["python setup.py", "python3 -W ignore ./setup.py"])
@pytest.mark.parametrize("stage", ["", "FROM python:3.9-slim\nCOPY --from=0 /app/dist /app/dist\n"])
def test_a_wheel_that_setup_py_builds_needs_setuptools_before(
    tmp_path: Path, before: str, tool: str, stage: str, command: str
) -> None:
    """``python setup.py`` counts as such: an environment of 3.12 has no setuptools."""
    text = f"FROM python:3.9-slim\nWORKDIR /app\nCOPY . .\n{before} {command} bdist_wheel\n"
    text += f"{stage}RUN pip install /app/dist/*.whl\n"
    recipe = recipe_of(
        tmp_path,
        text,
        {"setup.py": "", "build.txt": "setuptools==69.0\n", "types.txt": "types-setuptools  # setuptools\n"},
    )
    assert [step.tool for step in recipe.steps if step.projects] == [tool]


def test_a_zipapp_runs_no_pth_file_of_what_was_put_into_it(tmp_path: Path) -> None:
    """``python -m zipapp`` packs a folder that pip installed into; nothing processes .pth files in an archive."""
    text = (
        "FROM python:3.11 AS build\nWORKDIR /app\nCOPY a.txt .\n"
        "RUN pip install --target pack -r a.txt && python -m zipapp pack -o app.pyz -m server:main\n"
        'FROM python:3.11-slim\nCOPY --from=build /app/app.pyz /app.pyz\nCMD ["python", "/app.pyz"]\n'
    )
    recipe = recipe_of(tmp_path, text, {"a.txt": ""})
    assert files_of(recipe) == [("svc/Dockerfile:4", ("svc/a.txt",))]
    assert recipe.folder_without_pth is not None
    assert str(recipe.folder_without_pth) == "svc/Dockerfile:4"


@pytest.mark.parametrize(("program", "is_complete"), [("$HOME_OF/bin/pip", True), ("$INSTALLER", False)])
def test_a_program_that_a_condition_looks_for_elsewhere(tmp_path: Path, program: str, is_complete: bool) -> None:
    """It is the same program in another folder; what may be any other one is not followed."""
    script = f'if which pip; then PIP="pip"; elif [ -n "$X" ]; then PIP="{program}"; fi\n"$PIP" install -r a.txt\n'
    text = "FROM python:3.11\nCOPY . .\nRUN sh install.sh\n"
    recipe = recipe_of(tmp_path, text, {"install.sh": script, "a.txt": ""})
    assert bool(recipe.steps) is is_complete


def test_an_exported_file_is_the_project_that_it_comes_from(tmp_path: Path) -> None:
    text = """FROM python:3.11 AS r
WORKDIR /tmp
COPY pyproject.toml poetry.lock* /tmp/
RUN poetry export -f requirements.txt --output requirements.txt --extras agent
FROM python:3.11
WORKDIR /code
COPY --from=r /tmp/requirements.txt /code/requirements.txt
RUN pip install -r /code/requirements.txt
"""
    recipe = recipe_of(tmp_path, text, {"pyproject.toml": "", "poetry.lock": ""})
    (step,) = recipe.steps
    assert (step.tool, step.project, step.extras, step.default_groups) == ("poetry", "svc", ("agent",), False)
    assert recipe.is_complete


def test_extras_and_groups_of_an_argument_of_the_build(tmp_path: Path) -> None:
    text = "FROM python:3.11\nCOPY . /x\nWORKDIR /x\nARG flags='--with a --extras b'\nRUN poetry install ${flags}\n"
    (step,) = recipe_of(tmp_path, text, {"pyproject.toml": ""}).steps
    assert (step.groups, step.extras, step.project) == (("a",), ("b",), "svc")


def test_the_project_itself_with_extras(tmp_path: Path) -> None:
    text = "FROM python:3.11\nWORKDIR /x\nCOPY pyproject.toml ./\nCOPY src src\nRUN pip install '.[server]' -e ./src\n"
    (step,) = recipe_of(tmp_path, text, {"pyproject.toml": "", "src/setup.py": ""}).steps
    assert step.projects == (
        LocalProject(path="svc", extras=("server",)),
        LocalProject(path="svc/src", editable=True),
    )


@pytest.mark.parametrize(
    ("command", "project", "is_own"),
    [
        ("pip install --no-build-isolation .", "", True),
        ("uv pip install --no-build-isolation -e .", "[build-system]\nrequires = ['setuptools']\n", True),
        ("pip install --no-build-isolation .", "[build-system]\nbuild-backend = 'setuptools.build_meta'\n", True),
        ("pip install --no-build-isolation .", "[build-system]\nbuild-backend = 'hatchling.build'\n", False),
        ("pip install .", "", False),
    ],
)
def test_a_build_without_isolation_uses_the_setuptools_of_the_image(
    tmp_path: Path, command: str, project: str, is_own: bool
) -> None:
    text = f"FROM python:3.11\nWORKDIR /x\nCOPY . .\nRUN {command}\n"
    (step,) = recipe_of(tmp_path, text, {"setup.py": "", "pyproject.toml": project}).steps
    assert [project.by_own_setuptools for project in step.projects] == [is_own]


@pytest.mark.parametrize(("image", "tool"), [("amazonlinux:2", "dnf"), ("public.ecr.aws/lambda/python:3.9", "yum")])
def test_yum_is_that_of_its_stage(tmp_path: Path, image: str, tool: str) -> None:
    """What matters is whether the image of the target has it: dnf is never missed."""
    text = f"FROM {image} AS b\nRUN yum install -y gcc && pip install a -t /o\n"
    text += "FROM public.ecr.aws/lambda/python:3.9\nCOPY --from=b /o .\n"
    tools = {step.tool for step in recipe_of(tmp_path, text).steps if step.system_packages}
    assert tools == {tool}


@pytest.mark.parametrize(("value", "is_own"), [("0", True), ("false", True), ("1", False), ("yes", False)])
def test_the_variable_for_isolation_is_the_value_of_the_setting(tmp_path: Path, value: str, is_own: bool) -> None:
    text = f"FROM python:3.11\nENV PIP_NO_BUILD_ISOLATION={value}\nWORKDIR /x\nCOPY . .\nRUN pip install .\n"
    (step,) = recipe_of(tmp_path, text, {"setup.py": ""}).steps
    assert [project.by_own_setuptools for project in step.projects] == [is_own]


def test_undetermined_steps_are_reported(tmp_path: Path) -> None:
    """A file that is not in the repository, a variable without a value, a script that is not there."""
    text = "FROM python:3.11\nRUN pip install -r gone.txt\nRUN pip install $WHAT\nRUN sh /install.sh\n"
    recipe = recipe_of(tmp_path, text)
    assert [step.unresolved for step in recipe.steps] == [("gone.txt",), ("$WHAT",)]
    assert recipe.limits == ("svc/Dockerfile:4 runs /install.sh, which is not in the repository",)
    assert not recipe.is_complete


def test_an_index_without_a_value_leaves_the_rest_known(tmp_path: Path) -> None:
    text = "FROM python:3.11\nRUN pip install --index-url https://$TOKEN@x/ a\n"
    assert recipe_of(tmp_path, text).is_complete


def test_a_condition_that_cannot_be_evaluated_is_marked(tmp_path: Path) -> None:
    text = 'FROM python:3.11\nRUN if [ "$CI" = 1 ]; then pip install a; fi; pip install b\n'
    steps = recipe_of(tmp_path, text).steps
    assert [(step.arguments, step.conditional) for step in steps] == [(("a",), True), (("b",), False)]


def test_options_of_the_environment_count(tmp_path: Path) -> None:
    text = (
        "FROM python:3.11\nENV PIP_CONSTRAINT=/c.txt PIP_NO_BINARY=x PIP_EXTRA_INDEX_URL=https://i/\n"
        "COPY c.txt /\nRUN pip install --require-hashes a\n"
    )
    (step,) = recipe_of(tmp_path, text, {"c.txt": ""}).steps
    assert (step.constraints, step.flags) == (("svc/c.txt",), ("--require-hashes", "--no-binary x"))
    assert step.indexes == (("--extra-index-url", "https://i/"), ("--build-constraint", "svc/c.txt"))


@pytest.mark.parametrize(
    ("variable", "command", "files"),
    [
        ("PIP_CONSTRAINT", "pip install", ["svc/c.txt"]),
        ("PIP_BUILD_CONSTRAINT", "pip install", ["svc/c.txt"]),
        ("UV_CONSTRAINT", "uv pip install", []),
        ("UV_BUILD_CONSTRAINT", "uv pip install", ["svc/c.txt"]),
        ("X", "pip install -c /c.txt", []),
        ("X", "pip install --build-constraint /c.txt", ["svc/c.txt"]),
        ("X", "uv pip install -b /c.txt", ["svc/c.txt"]),
    ],
)
def test_constraints_that_builds_get(tmp_path: Path, variable: str, command: str, files: list[str]) -> None:
    """pip hands its variables on to the environments of builds; --constraint restricts only the set itself."""
    text = f"FROM python:3.11\nENV {variable}=/c.txt\nCOPY c.txt /\nRUN {command} a\n"
    (step,) = recipe_of(tmp_path, text, {"c.txt": ""}).steps
    assert [value for option, value in step.indexes if option == "--build-constraint"] == files


def test_tools_and_packages_of_the_system(tmp_path: Path) -> None:
    """What only installs others is no requirement of the service."""
    text = "FROM python:3.11\nRUN apt-get install -y gcc && pip install -U pip poetry==1.8 && pip install gunicorn\n"
    steps = recipe_of(tmp_path, text).steps
    assert [(step.system_packages, step.installers, step.arguments) for step in steps] == [
        (("gcc",), (), ()), ((), ("poetry==1.8",), ()), ((), (), ("gunicorn",)),
    ]  # fmt: skip
    assert [step.is_for_python for step in steps] == [False, False, True]


def test_programs_that_are_judged_although_they_install_nothing_known(tmp_path: Path) -> None:
    text = "FROM python:3.9\nRUN virtualenv /venv && easy_install flask==1.0\n"
    steps = recipe_of(tmp_path, text).steps

    assert [(step.tool, step.arguments) for step in steps] == [("virtualenv", ()), ("easy_install", ("flask==1.0",))]


@pytest.mark.parametrize(
    ("lines", "installers"),
    [
        ("ENV POETRY_VERSION=1.1.13\nRUN curl -sSL https://install.python-poetry.org | python3 -", ["poetry==1.1.13"]),
        ("RUN curl https://install.python-poetry.org | POETRY_VERSION=1.1.13 python3 -", ["poetry==1.1.13"]),
        ("RUN curl https://install.python-poetry.org | python - --version 1.1.13", ["poetry==1.1.13"]),
        (
            "RUN wget https://install.python-poetry.org -O /p.py && python /install-poetry.py --version 1.1",
            ["poetry==1.1"],
        ),
        ("RUN pip install pipx && pipx install --force 'poetry==1.1.13'", ["poetry==1.1.13"]),
        ("RUN curl https://install.python-poetry.org | python3 -", []),
        ("ENV POETRY_VERSION=1.1.13\nRUN curl https://get.example/ | python3 -", []),
        ("ENV POETRY_VERSION=1.1.13\nRUN python3 setup.py build && python -", []),
    ],
)
def test_a_poetry_in_an_environment_of_its_own(tmp_path: Path, lines: str, installers: list[str]) -> None:
    steps = recipe_of(tmp_path, f"FROM python:3.11\n{lines}\nRUN pip install gunicorn\n").steps

    assert [text for step in steps for text in step.installers] == installers


def test_the_build_context_is_the_one_in_which_the_files_exist(tmp_path: Path) -> None:
    """`COPY . .` fits every folder."""
    text = "FROM python:3.11\nCOPY . /app\nWORKDIR /app\nRUN cd svc && pip install -r a.txt\n"
    assert files_of(recipe_of(tmp_path, text, {"a.txt": ""})) == [("svc/Dockerfile:4", ("svc/a.txt",))]


def test_a_build_context_is_found_around_the_dockerfile_and_never_left(tmp_path: Path) -> None:
    """`docker build -f ecs/job/Dockerfile .` in `code`: a COPY of `../../reqs` is that of `reqs`."""
    text = (
        "FROM python:3.11\nENV PYTHONPATH=/code\nWORKDIR /code\nCOPY ../../reqs reqs/\n"
        "RUN pip install -r reqs/a.txt\nCOPY ../../ /code\n"
    )
    for name, content in {"ecs/job/Dockerfile": text, "reqs/a.txt": ""}.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(content)
    for service in ("code", "code/ecs/job"):
        recipe = read_dockerfile_recipe(Tree(tmp_path), "code/ecs/job/Dockerfile", service)
        assert recipe is not None
        assert files_of(recipe) == [("code/ecs/job/Dockerfile:5", ("code/reqs/a.txt",))]
        assert (recipe.is_complete, recipe.code_folders) == (True, ("code",))


def test_another_virtual_environment_of_the_image_is_not_the_services(tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/b.txt").write_text("")
    text = (
        "FROM python:3.11\nCOPY . /app\nWORKDIR /app\nRUN cd svc && /app/bin/pip install -r a.txt\n"
        "RUN cd tool && /app/tool_venv/bin/pip install -r b.txt\nRUN /usr/local/bin/pip install c\n"
    )
    recipe = recipe_of(tmp_path, text, {"a.txt": ""})
    assert [(step.files, step.environment) for step in recipe.steps] == [(("svc/a.txt",), "/app"), ((), "")]


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("COPY a.txt /tmp", "/tmp/a.txt"),
        ("WORKDIR /app\nWORKDIR /\nCOPY a.txt /app", "/app/a.txt"),
        ("RUN mkdir -p /build/reqs && true\nCOPY a.txt /build/reqs", "/build/reqs/a.txt"),
        ("COPY sub/b.txt /data/sub/\nCOPY a.txt /data", "/data/a.txt"),
        ("COPY a.txt /other", "/other"),
    ],
)
def test_a_file_that_is_copied_to_a_folder_keeps_its_name(tmp_path: Path, lines: str, place: str) -> None:
    text = f"FROM python:3.11\n{lines}\nRUN pip install -r {place}\n"
    recipe = recipe_of(tmp_path, text, {"a.txt": "", "sub/b.txt": ""})
    assert [step.files for step in recipe.steps] == [("svc/a.txt",)]


LINES = st.sampled_from(
    [
        "FROM python:3.11 AS a", "FROM a", "COPY . .", "COPY --from=a / /x", "COPY --from=0 /w /w", "WORKDIR $X/..",
        "ARG X=1", "ENV A=$X B='c d'", "RUN pip install -r a.txt", "RUN <<EOF\npip install $A\nEOF", "RUN [\"pip\",",
        "RUN if [ a ]; then", "RUN for x in $A *; do make; done", "RUN --mount=type=bind,from=a,source=x,target=/y y",
        "RUN ((( && || ;; $( `", "ADD a.txt ../../../", "RUN pip wheel -r a.txt", "RUN sh a.txt",
        "# escape=`", "RUN case x in a) pip install b;; esac", "RUN fi done esac }", "RUN make -C",
    ]
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    (root / "svc").mkdir()
    (root / "svc/a.txt").write_text("sh a.txt\nmake x\n")
    (root / "svc/Makefile").write_text("x: x\n\tmake x\n\t./a.txt\n")
    return root


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=12))
def test_no_dockerfile_raises(folder: Path, lines: list[str]) -> None:
    (folder / "svc/Dockerfile").write_text("\n".join(lines))
    recipe = read_dockerfile_recipe(Tree(folder), "svc/Dockerfile", "svc")
    assert recipe is None or all(isinstance(step, InstallStep) for step in recipe.steps)


def test_wheels_that_a_loop_builds_into_one_folder(tmp_path: Path) -> None:
    """Each project of the folder is built, and all are installed."""
    text = (
        "FROM python:3.11 AS builder\nCOPY . /src\nWORKDIR /src\n"
        "RUN for each in ./services/*; do python -m build $each --outdir ./dist; done\n"
        "FROM python:3.11\nCOPY --from=builder /src/lock/all.txt /src/dist/ /app/\nWORKDIR /app\n"
        "RUN pip install --no-deps -r all.txt\nRUN pip install --no-deps *.whl\n"
    )
    files = {"lock/all.txt": "six\n", "services/a/pyproject.toml": "", "services/b/pyproject.toml": ""}
    recipe = recipe_of(tmp_path, text, files)

    assert [step.files for step in recipe.steps if step.files] == [("svc/lock/all.txt",)]
    assert [project.path for step in recipe.steps for project in step.projects] == ["svc/services/a", "svc/services/b"]
    assert recipe.is_complete


def test_variables_of_an_image_are_those_that_a_program_may_lack(tmp_path: Path) -> None:
    text = (
        "FROM python:3.11 AS base\nENV STAGE=prod\nFROM base\nWORKDIR /app\nCOPY . .\nRUN mkdir -p /run/metrics\n"
        "ENV CONFIG=/app/conf/a.ini METRICS_DIR=/run/metrics OTHER=/etc/a.ini\n"
    )
    recipe = recipe_of(tmp_path, text, {"conf/a.ini": ""})
    assert dict(recipe.image_variables) == {
        "STAGE": "prod", "CONFIG": "conf/a.ini", "METRICS_DIR": "/tmp", "OTHER": "/etc/a.ini",
    }  # fmt: skip
    assert dict(read_declared_variables(Tree(tmp_path), "svc", recipe.image_variables).others)["STAGE"] == "prod"
    (tmp_path / "svc/.env.example").write_text("STAGE=test\n")
    assert dict(read_declared_variables(Tree(tmp_path), "svc", recipe.image_variables).others)["STAGE"] == "test"


def test_programs_of_a_build_have_to_succeed(tmp_path: Path) -> None:
    """Not those that may fail, and those of stages from which nothing is copied."""
    text = (
        "FROM python:3.11 AS tools\nRUN pip install ruff\nRUN ruff check .\n"
        "FROM python:3.11 AS builder\nRUN pip install -t /deps flask\nRUN opentelemetry-bootstrap -a install\n"
        "FROM python:3.11\nCOPY --from=builder /deps /deps\nRUN playwright install || true\n"
        'RUN if [ "$(id -u)" = 0 ]; then spacy download en; fi\nRUN set -e; python -m shop.assets\nCMD flask run\n'
    )
    programs = [program.name for program in recipe_of(tmp_path, text).build_programs]
    assert programs == ["opentelemetry-bootstrap", "shop.assets"]


@pytest.mark.parametrize(
    ("lines", "closed"),
    [
        ("FROM python:3.11-slim\nRUN pip install flask\n", True),
        (
            "FROM docker.io/library/python:3.11 AS a\nRUN pip install -t /d flask\nFROM a\nCOPY --from=a /d /d\n",
            True,
        ),
        ("FROM python:3.11\nCOPY --from=ghcr.invalid/astral-sh/uv:0.5 /uv /bin/\nRUN uv pip install flask\n", True),
        ("FROM python:3.11\nRUN apt-get install -y python3-dev gcc && pip install flask\n", True),
        ("FROM python:3.11\n", False),
        ("FROM registry.invalid/ml/python:3.11\nRUN pip install flask\n", False),
        (
            "FROM python:3.11\nADD vendor.tar.gz /usr/local/lib/python3.11/site-packages/\nRUN pip install flask\n",
            False,
        ),
        ("FROM registry.invalid/platform/python-base:3.11\nRUN pip install flask\n", False),
        ("FROM python:3.11\nRUN apt-get install -y python3-six && pip install flask\n", False),
        ("FROM python:3.11\nCOPY --from=registry.invalid/wheels:1 /site /site\nRUN pip install flask\n", False),
        ("FROM python:3.11\nADD https://example.invalid/six.py /app/\nRUN pip install flask\n", False),
        ("FROM python:3.11\nRUN git clone git@example.invalid:x && pip install flask\n", False),
    ],
)
def test_an_image_whose_lines_bring_all_of_its_modules(tmp_path: Path, lines: str, closed: bool) -> None:
    assert recipe_of(tmp_path, lines).is_closed is closed
