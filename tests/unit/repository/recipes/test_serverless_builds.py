"""From AWS SAM and the Serverless Framework to what is installed for a function."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.serverless import read_serverless
from pytest_py312.repository.recipes.serverless_builds import handler_programs, read_serverless_recipe
from pytest_py312.repository.tree import Tree
from tests.support.fakes import service_tree

SAM = """\
Globals:
  Function: {Runtime: python3.9}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/hello/
      Handler: hello.app.lambda_handler
      Layers: [!Ref Deps, "arn:aws:lambda:x"]
  Other:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/other, Handler: index.main, Runtime: nodejs18.x}
  Image:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/hello, PackageType: Image}
  Deps:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: layers/deps
    Metadata: {BuildMethod: python3.9}
"""
SERVERLESS = """\
service: x
provider:
  name: aws
  runtime: python3.9
plugins:
  - serverless-python-requirements
functions:
  one: {handler: src/one.run}
"""
FILES = {
    "functions/hello/requirements.txt": "",
    "functions/other/requirements.txt": "",
    "layers/deps/requirements.txt": "",
    "api/requirements.txt": "",
    "api/reqs/prod.txt": "",
}


def steps(root: Path, service: str, files: dict[str, str], nested: tuple[str, ...] = ()) -> list[str]:
    tree = Tree(service_tree(root, {**FILES, **files}))
    recipe = read_serverless_recipe(tree, service, nested)
    found = recipe.steps if recipe is not None else ()
    assert all(step.target for step in found)
    assert recipe is None or recipe.folder_without_pth is not None
    return [f"{step.location} {step.tool} {''.join(step.files) or step.project}" for step in found]


@pytest.mark.parametrize(
    ("service", "nested", "expected"),
    [
        ("functions/hello", (), ["7 pip functions/hello", "19 pip layers/deps"]),
        (".", (), ["7 pip functions/hello", "19 pip layers/deps"]),
        (".", ("functions/hello",), []),
        ("functions/other", (), []),
        ("api", (), []),
    ],
)
def test_functions_and_their_layers(tmp_path: Path, service: str, nested: tuple[str, ...], expected: list[str]) -> None:
    found = steps(tmp_path, service, {"template.yaml": SAM}, nested)
    assert found == [f"template.yaml:{step}/requirements.txt" for step in expected]


def test_a_template_beside_its_function(tmp_path: Path) -> None:
    text = SAM.replace("functions/hello/", ".").replace("layers/deps", "../layers/deps")
    found = steps(tmp_path, "api", {"api/template.yml": text})
    assert [step.rpartition(" ")[2] for step in found] == ["api/requirements.txt", "layers/deps/requirements.txt"]


@pytest.mark.parametrize(
    ("text", "files", "expected"),
    [
        (SERVERLESS, {}, ["api/serverless.yml:8 pip api/requirements.txt"]),
        (f"{SERVERLESS}custom:\n  pythonRequirements: {{fileName: reqs/prod.txt}}\n", {},
         ["api/serverless.yml:8 pip api/reqs/prod.txt"]),
        (SERVERLESS, {"api/pyproject.toml": "[tool.poetry]\n"}, ["api/serverless.yml:8 poetry api"]),
        (SERVERLESS, {"api/Pipfile": ""}, ["api/serverless.yml:8 pipenv api"]),
        (SERVERLESS.replace("python-requirements", "offline"), {}, []),
        (SERVERLESS.replace("python3.9", "go1.x"), {}, []),
    ],
)  # fmt: skip
def test_the_serverless_framework(tmp_path: Path, text: str, files: dict[str, str], expected: list[str]) -> None:
    assert steps(tmp_path, "api", {"api/serverless.yml": text, **files}) == expected


def test_handlers_are_what_starts_a_function(tmp_path: Path) -> None:
    tree = Tree(service_tree(tmp_path, {**FILES, "template.yaml": SAM, "api/serverless.yml": SERVERLESS}))
    assert [program.name for program in handler_programs(tree, "functions/hello")] == ["hello.app"]
    assert [program.name for program in handler_programs(tree, "api")] == ["src.one"]


PART = st.sampled_from(
    ["Resources:", "  A:", "    Type: AWS::Serverless::Function", "    Properties: {CodeUri: ../..}", "provider: []",
     "functions: {a: {handler: ..}}", "Globals: 1", "- x", "\t", "    Properties: {CodeUri: s3://x, Layers: 1}"]
)  # fmt: skip


@given(st.lists(PART, max_size=9).map("\n".join) | st.text(max_size=50).map(lambda text: f"provider: {text}"))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    for function in read_serverless(text, "a/template.yaml"):
        assert not function.folder.startswith("..")
