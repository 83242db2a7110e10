"""From a run of protoc, where an image or a job has it, to the command that a cell repeats."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Location
from pytest_py312.core.model.fleet import InstallRecipe
from pytest_py312.repository.recipes.commands.code_generation import read_protoc_run
from pytest_py312.repository.recipes.commands.file_map import WORKSPACE, FileMap
from pytest_py312.repository.recipes.dockerfile_recipe import read_dockerfile_recipe
from pytest_py312.repository.recipes.suites.job_recipes import read_workflow_recipe
from pytest_py312.repository.tree import Tree

PROTOC = "python -m grpc_tools.protoc"


def recipe_of(root: Path, lines: str) -> InstallRecipe:
    """The recipe of ``api/Dockerfile``, built in the root, where ``protos/user.proto`` lies."""
    for name, text in {
        "api/Dockerfile": f"FROM python:3.11-slim\nWORKDIR /app\nCOPY api/requirements.txt ./\n{lines}\n",
        "api/requirements.txt": "grpcio-tools\n",
        "api/main.py": "import user_pb2\n",
        "protos/user.proto": "",
        "protos/deep/name.proto": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    recipe = read_dockerfile_recipe(Tree(root), "api/Dockerfile", "api")
    assert recipe is not None
    return recipe


def commands_of(recipe: InstallRecipe) -> list[str]:
    return [" ".join(generation.words).replace(PROTOC, "protoc") for generation in recipe.generations]


@pytest.mark.parametrize(
    ("lines", "command"),
    [
        (
            f"COPY protos /protos\nRUN {PROTOC} -I/protos --python_out=. --grpc_python_out=. /protos/user.proto",
            "protoc -I../protos --python_out=. --grpc_python_out=. ../protos/user.proto",
        ),
        (
            f"COPY protos/user.proto /protos/\nRUN {PROTOC} -I /protos --python_out . user.proto",
            "protoc -I../protos --python_out=. ../protos/user.proto",
        ),
        (
            f"COPY protos ./protos\nRUN {PROTOC} --proto_path=.:/none --python_out=gen protos/deep/*.proto\nCOPY api .",
            "protoc -I.. -I. --python_out=gen ../protos/deep/name.proto",
        ),
        (
            f"COPY protos ./protos\nRUN cd protos && {PROTOC} --pyi_out=.. --python_out=pyi:../gen deep/name.proto",
            "protoc -I../protos --pyi_out=. --python_out=pyi:gen ../protos/deep/name.proto",
        ),
        (
            f"COPY protos /protos\nRUN for f in /protos/*.proto; do {PROTOC} -I/protos --python_out=. $f; done",
            "protoc -I../protos --python_out=. ../protos/user.proto",
        ),
        (
            "COPY protos /protos\n"
            "RUN python -u -mgrpc_tools.protoc -I=/protos --python_opt=x --python_out=a:. user.proto",
            "protoc -I../protos --python_opt=x --python_out=a:. ../protos/user.proto",
        ),
        (
            f"COPY protos /protos\nRUN {PROTOC} -I/protos --descriptor_set_out=a.pb --python_out=. /protos/user.proto",
            "",
        ),
        (f"COPY protos /protos\nRUN {PROTOC} -I/protos --python_out=/usr/lib/stubs /protos/user.proto", ""),
        (f"COPY protos /protos\nRUN {PROTOC} -I/protos --python_out=. $UNKNOWN", ""),
        (f"RUN {PROTOC} -I/protos --python_out=. /protos/user.proto", ""),
        (f"COPY protos /protos\nRUN {PROTOC} -I/protos --plugin=protoc-gen-x=/x --x_out=. /protos/user.proto", ""),
        ("COPY protos /protos\nRUN protoc -I/protos --python_out=. /protos/user.proto", ""),
    ],
)
def test_a_run_of_an_image_is_one_of_the_cell(tmp_path: Path, lines: str, command: str) -> None:
    assert commands_of(recipe_of(tmp_path, lines)) == [command] * bool(command)


@pytest.mark.parametrize(
    ("copy", "folder"),
    [
        ("COPY --from=build /gen ./stubs", "stubs"),
        ("COPY --from=build /gen/*_pb2.py ./", "."),
        ("COPY --from=build /gen/user_pb2.py ./stubs/user_pb2.py", "stubs"),
        ("COPY --from=build /gen/* ./stubs/", "stubs"),
        ("COPY --from=build /other ./stubs", ""),
    ],
)
def test_what_another_stage_generates_is_where_it_is_copied_to(tmp_path: Path, copy: str, folder: str) -> None:
    lines = (
        f"FROM python:3.11 AS build\nCOPY protos /protos\nRUN {PROTOC} -I/protos --python_out=/gen /protos/user.proto\n"
        f"FROM python:3.11-slim\nWORKDIR /app\nCOPY api .\n{copy}"
    )
    [generation] = recipe_of(tmp_path, lines).generations or [None]
    assert (generation.outputs if generation else ()) == ((folder,) if folder else ())


def test_an_interface_that_is_copied_into_the_build_context_before(tmp_path: Path) -> None:
    """The context is the service's folder, as its requirements are there; `cp -r protos api/` comes before."""
    recipe_of(tmp_path, "")
    lines = f"COPY protos/user.proto /protos/\nRUN cd / && {PROTOC} -I protos --python_out=/app protos/user.proto"
    (tmp_path / "api/Dockerfile").write_text(
        f"FROM python:3.11\nCOPY requirements.txt /app/requirements.txt\n{lines}\n"
    )
    recipe = read_dockerfile_recipe(Tree(tmp_path), "api/Dockerfile", "api")
    assert recipe is not None
    assert commands_of(recipe) == ["protoc -I../protos --python_out=. ../protos/user.proto"]


def test_modules_that_the_repository_has_are_not_generated(tmp_path: Path) -> None:
    lines = f"COPY protos /protos\nRUN {PROTOC} -I/protos --python_out=. /protos/user.proto"
    (tmp_path / "api").mkdir()
    (tmp_path / "api/user_pb2.py").write_text("")
    assert recipe_of(tmp_path, lines).generations == ()


def test_only_what_is_committed_of_all_outputs_is_left_out(tmp_path: Path) -> None:
    lines = f"COPY protos /protos\nRUN {PROTOC} -I/protos --python_out=. --grpc_python_out=. /protos/user.proto"
    (tmp_path / "api").mkdir()
    (tmp_path / "api/user_pb2.py").write_text("")
    assert len(recipe_of(tmp_path, lines).generations) == 1
    (tmp_path / "api/user_pb2_grpc.py").write_text("")
    assert recipe_of(tmp_path, lines).generations == ()


def test_the_folders_of_imported_files_are_read_as_well(tmp_path: Path) -> None:
    """The root is an include, and too large to be in a cell as a whole."""
    recipe_of(tmp_path, "")
    (tmp_path / "protos/user.proto").write_text('import "shared/base.proto";\nimport public "google/a.proto";\n')
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/base.proto").write_text('import "protos/user.proto";\n')
    lines = f"COPY api/requirements.txt ./\nCOPY . .\nRUN {PROTOC} -I. --python_out=api protos/user.proto"
    (tmp_path / "api/Dockerfile").write_text(f"FROM python:3.11-slim\nWORKDIR /app\n{lines}\n")
    recipe = read_dockerfile_recipe(Tree(tmp_path), "api/Dockerfile", "api")
    assert recipe is not None
    assert [generation.folders for generation in recipe.generations] == [("protos", "shared")]


def test_a_job_says_it_for_the_tests(tmp_path: Path) -> None:
    recipe_of(tmp_path, "")
    workflow = tmp_path / ".github/workflows/test.yml"
    workflow.parent.mkdir(parents=True)
    steps = (
        "pip install -r requirements.txt",
        f"{PROTOC} -I ../protos --python_out=. ../protos/user.proto",
        "pytest",
    )
    runs = "".join(f"      - run: {step}\n        working-directory: api\n" for step in steps)
    workflow.write_text(f"on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n{runs}")
    recipe = read_workflow_recipe(Tree(tmp_path), "api", "api")
    assert recipe is not None
    assert commands_of(recipe) == ["protoc -I../protos --python_out=. ../protos/user.proto"]
    assert recipe.generations[0].folders == ("protos",)


@given(st.lists(st.sampled_from(["-I", "-I.", "--python_out", "--python_out=", "a.proto", "..", "--x", "", "/", "=:"])))
def test_no_words_crash_it(words: list[str]) -> None:
    files = FileMap(Tree(Path(__file__).parent))
    files.add(WORKSPACE, ".")
    run = read_protoc_run(["python", "-m", "grpc_tools.protoc", *words], WORKSPACE, files, Location(path="a"))
    assert run is None or run.protos
