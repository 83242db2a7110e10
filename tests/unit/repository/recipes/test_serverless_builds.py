"""From AWS SAM and the Serverless Framework to what is installed for a function."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.fleet import AWS_LAMBDA
from pytest_py312.repository.formats.functions.nested_stacks import layers_by_name, layers_of_parameters
from pytest_py312.repository.formats.functions.serverless import read_serverless
from pytest_py312.repository.recipes.dockerfile_recipe import read_dockerfile_recipe
from pytest_py312.repository.recipes.serverless_builds import (
    LAMBDA_PACKAGES,
    handler_programs,
    read_serverless_recipe,
)
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
      Layers: [!Ref Deps, "arn:aws:lambda:x", !Ref Code]
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
  Code:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/code}
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
    installing = recipe.steps if recipe is not None else ()
    assert all(step.target for step in installing)
    assert recipe is None or recipe.folder_without_pth is not None
    installing = tuple(step for step in installing if step.tool != AWS_LAMBDA)
    return [f"{step.location} {step.tool} {''.join(step.files) or step.project}" for step in installing]


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


PARENT = """\
Resources:
  Layers:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: ./layers.yaml
  Api:
    Type: {type}
    Properties:
      {location}
      Parameters:
        Name: x
        CommonLayers: {value}
"""
LAYERS = """\
Resources:
  Common:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: ../layers/common/
Outputs:
  CommonLayer:
    Value: !Ref Common
"""
CHILD = """\
Globals:
  Function:
    Runtime: python3.9
    Layers: {layers}
Parameters:
  CommonLayers: {{Type: CommaDelimitedList}}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/hello
      Handler: app.handler
"""


@pytest.mark.parametrize(
    ("location", "value", "layers", "is_found"),
    [
        ("TemplateURL: api.yaml", "!GetAtt Layers.Outputs.CommonLayer", "!Ref CommonLayers", True),
        ("TemplateURL: api.yaml", '!Join [",", [!GetAtt Layers.Outputs.CommonLayer]]', "[!Ref CommonLayers]", True),
        ("Location: api.yaml", "!GetAtt Layers.Outputs.CommonLayer", "!Ref CommonLayers", True),
        ("TemplateURL: api.yaml", "!GetAtt Other.Outputs.CommonLayer", "!Ref CommonLayers", False),
        ("TemplateURL: api.yaml", "!GetAtt Layers.Outputs.Other", "!Ref CommonLayers", False),
        ("TemplateURL: https://x/api.yaml", "!GetAtt Layers.Outputs.CommonLayer", "!Ref CommonLayers", False),
        ("TemplateURL: api.yaml", "!GetAtt Layers.Outputs.CommonLayer", "!Ref Others", False),
    ],
)
def test_layers_that_a_stack_hands_on_to_a_nested_one(
    tmp_path: Path, location: str, value: str, layers: str, is_found: bool
) -> None:
    """Without a method of building, what is required beside the modules of a layer has been installed before."""
    kind = "AWS::Serverless::Application" if location.startswith("Location") else "AWS::CloudFormation::Stack"
    files = {
        "templates/main.yaml": PARENT.format(type=kind, location=location, value=value),
        "templates/layers.yaml": LAYERS,
        "templates/api.yaml": CHILD.format(layers=layers),
        "functions/hello/app.py": "",
        "layers/common/python/common.py": "",
        "layers/common/requirements.txt": "six\n",
    }
    recipe = read_serverless_recipe(Tree(service_tree(tmp_path, files)), "functions/hello")

    assert recipe is not None
    assert recipe.code_folders == (("layers/common/python",) if is_found else ())
    installed = [(str(step.location), step.files, step.target) for step in recipe.steps if step.tool == "pip"]
    file = "layers/common/requirements.txt"
    assert installed == ([("templates/layers.yaml:5", (file,), "/opt/python")] if is_found else [])


def test_a_stack_hands_its_own_layer_on_to_a_nested_one(tmp_path: Path) -> None:
    parent = PARENT.format(type="AWS::Serverless::Application", location="Location: api.yaml", value="!Ref Common")
    files = {
        "templates/main.yaml": parent + LAYERS.partition("Outputs")[0].removeprefix("Resources:\n"),
        "templates/api.yaml": CHILD.format(layers="[!Ref CommonLayers]"),
        "functions/hello/app.py": "",
        "layers/common/python/common.py": "",
    }
    recipe = read_serverless_recipe(Tree(service_tree(tmp_path, files)), "functions/hello")

    assert recipe is not None
    assert recipe.code_folders == ("layers/common/python",)


@pytest.mark.parametrize(
    ("layer", "is_found"),
    [
        ('!Sub "arn:aws:lambda:eu-central-1:1234:layer:shop-common-${STAGE}:1"', True),
        ("!ImportValue shop-common-arn", True),
        ('"arn:aws:lambda:eu-central-1:1234:layer:other:1"', False),
        ("!ImportValue other", False),
    ],
)
def test_a_layer_of_another_stack_is_named_by_its_arn_or_its_export(tmp_path: Path, layer: str, is_found: bool) -> None:
    layers = (
        "Resources:\n  Common:\n    Type: AWS::Serverless::LayerVersion\n    Properties:\n"
        '      LayerName: !Sub "shop-common-${STAGE}"\n      ContentUri: .\n'
        "Outputs:\n  Arn:\n    Value: !Ref Common\n    Export:\n      Name: shop-common-arn\n"
    )
    function = (
        "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: .\n"
        f"      Runtime: python3.9\n      Layers:\n        - {layer}\n"
    )
    files = {
        "layers/common/template.yaml": layers,
        "layers/common/requirements.txt": "six\n",
        "layers/common/python/common.py": "",
        "functions/hello/template.yaml": function,
        "functions/hello/app.py": "",
    }
    recipe = read_serverless_recipe(Tree(service_tree(tmp_path, files)), "functions/hello")

    assert recipe is not None
    assert recipe.code_folders == (("layers/common/python",) if is_found else ())
    installed = [step.files for step in recipe.steps if step.tool == "pip"]
    assert installed == ([("layers/common/requirements.txt",)] if is_found else [])


@given(st.text(alphabet="abO:.utps-[]{}!&*# \n", max_size=80))
def test_no_text_makes_a_stack_fail(text: str) -> None:
    texts = {"a.yaml": f"{PARENT}\nOutputs: x\n{text}", "layers.yaml": f"{LAYERS}{text}"}

    assert isinstance(layers_of_parameters(texts), dict)
    assert "" not in layers_by_name(texts)


def provided(root: Path, service: str, files: dict[str, str]) -> list[str]:
    """Where a file says that the platform provides its packages to a service."""
    recipe = read_serverless_recipe(Tree(service_tree(root, files)), service)
    provided_by = [step for step in recipe.steps if step.tool == AWS_LAMBDA] if recipe is not None else []
    assert all(step.arguments == LAMBDA_PACKAGES for step in provided_by)
    return [str(step.location) for step in provided_by]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SAM, "template.yaml:2"),
        (SAM.replace("      CodeUri: fun", "      Runtime: python3.9\n      CodeUri: fun"), "template.yaml:7"),
        (SAM.replace("      CodeUri: fun", "      PackageType: Image\n      CodeUri: fun"), ""),
        (SAM.replace("python3.9", "nodejs18.x"), ""),
        ("Resources:\n  A:\n    Type: AWS::Lambda::Function\n    Properties:\n      Runtime: python3.9\n"
         "      Code: functions/hello\n", "template.yaml:5"),
        ("Globals: {Function: {Runtime: python3.9}}\nResources:\n  A:\n    Type: AWS::Lambda::Function\n"
         "    Properties: {Code: functions/hello}\n", ""),
        ("Resources:\n  A:\n    Type: AWS::Lambda::Function\n"
         "    Properties: {Runtime: python3.9, Code: {ZipFile: x}}\n", ""),
    ],
)  # fmt: skip
def test_aws_lambda_provides_its_packages_to_functions_in_archives(tmp_path: Path, text: str, expected: str) -> None:
    """Also to one that requires nothing: the file of its requirements may be missing."""
    files = {"functions/hello/hello/app.py": "", "template.yaml": text}
    assert provided(tmp_path, "functions/hello", files) == list(filter(None, [expected]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SERVERLESS, ["api/serverless.yml:4"]),
        (SERVERLESS.replace("name: aws", "name: google"), []),
        (SERVERLESS.replace("handler: src/one.run", "image: x"), []),
    ],
)
def test_the_provider_of_the_serverless_framework_is_the_platform(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    assert provided(tmp_path, "api", {"api/serverless.yml": text, "api/requirements.txt": ""}) == expected


@pytest.mark.parametrize(
    "base",
    [
        "public.ecr.aws/lambda/python:3.9",
        "public.ecr.aws/lambda/python",
        "example.org/aws/lambda/python:latest@sha256:0",
        "amazon/aws-lambda-python:3.9",
        "python:3.9",
        "example.org/shop/python:3.9",
    ],
)
def test_an_image_of_aws_lambda_has_its_packages(tmp_path: Path, base: str) -> None:
    """After what the image installs; pip installs that where .pth files are processed."""
    text = f"FROM python:3.9 AS build\nFROM {base}\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n"
    tree = Tree(service_tree(tmp_path, {"svc/Dockerfile": text, "svc/requirements.txt": ""}))
    recipe = read_dockerfile_recipe(tree, "svc/Dockerfile", "svc")
    assert recipe is not None
    assert recipe.folder_without_pth is None
    expected = [f"{AWS_LAMBDA} svc/Dockerfile:2"] if "lambda" in base else []
    assert bool(recipe.environment) == ("lambda" in base)
    assert [f"{step.tool} {step.location}" for step in recipe.steps] == ["pip svc/Dockerfile:4", *expected]


@pytest.mark.parametrize(
    ("files", "installed"),
    [
        ({"Makefile": "build:\n\tsamlocal build --use-container -m requirements/base.txt\n"}, "requirements/base.txt"),
        (
            {".github/workflows/deploy.yml": "- run: sam build --manifest=requirements/base.txt\n"},
            "requirements/base.txt",
        ),
        ({"a.sh": "sam build\n", "b.sh": "sam build -m requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "sam build -m elsewhere.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "sam build -m ../requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "# do not use: sam build -m requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "cd other && sam build -m requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "sam build Orders -m requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "sam build --use-container Orders -m requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "sam build -t other.yml -m requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"a.sh": "sam build -u -t template.yml -m requirements/base.txt\n"}, "requirements/base.txt"),
        ({"other/Makefile": "build:\n\tsam build -m ../requirements/base.txt\n"}, "hello/requirements.txt"),
        ({"scripts/a.sh": "sam build --region x -m requirements/base.txt\n"}, "requirements/base.txt"),
    ],
)
def test_a_build_of_sam_names_the_requirements(tmp_path: Path, files: dict[str, str], installed: str) -> None:
    """If all builds of a template name the same file, it stands in for those beside the functions."""
    sam = (
        "Resources:\n  A:\n    Type: AWS::Serverless::Function\n    Properties: {CodeUri: hello, Runtime: python3.9}\n"
    )
    given = {"template.yml": sam, "requirements/base.txt": "six\n", "hello/requirements.txt": "", "hello/app.py": ""}
    recipe = read_serverless_recipe(Tree(service_tree(tmp_path, {**given, **files})), "hello")
    assert recipe is not None
    assert [step.files for step in recipe.steps if step.tool == "pip"] == [(installed,)]


def test_an_image_of_aws_lambda_has_a_folder_for_the_code(tmp_path: Path) -> None:
    dockerfile = (
        "FROM public.ecr.aws/lambda/python:3.11\nCOPY requirements.txt ${LAMBDA_TASK_ROOT}/\n"
        'RUN pip install -r requirements.txt --target "${LAMBDA_TASK_ROOT}"\n'
    )
    tree = Tree(service_tree(tmp_path, {"Dockerfile": dockerfile, "requirements.txt": "six\n"}))
    recipe = read_dockerfile_recipe(tree, "Dockerfile", ".")
    assert recipe is not None
    assert [(step.files, step.target) for step in recipe.steps if step.tool == "pip"] == [
        (("requirements.txt",), "/var/task")
    ]


def test_layers_without_a_build_are_on_the_path(tmp_path: Path) -> None:
    """What a build installs into a layer is on the path as well, beside the layer's own code."""
    files = {**FILES, "template.yaml": SAM, "layers/code/python/shared.py": "", "layers/deps/own.py": ""}
    recipe = read_serverless_recipe(Tree(service_tree(tmp_path, files)), "functions/hello")
    assert recipe is not None
    assert recipe.code_folders == ("layers/deps", "layers/code/python")
    assert dict(recipe.environment)["AWS_DEFAULT_REGION"]


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
