"""Layers of functions: what Terraform names, and what scripts install into their folders."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.fleet import Service
from pytest_py312.repository.formats.functions.terraform import read_terraform
from tests.unit.repository.services.test_discovery import fleet_of

FUNCTIONS = """\
locals {
  libraries = module.libraries.lambda_layer_arn
  shared    = "${aws_lambda_layer_version.shared.layer_arn}:${aws_lambda_layer_version.shared.version}"
}

module "report" {
  source      = "terraform-aws-modules/lambda/aws"
  handler     = "app.run"
  runtime     = "python3.9"
  source_path = "${path.module}/lambda/report"
  layers = [
    local.libraries, # what pip installs
    local.shared
  ]
}

resource "aws_lambda_function" "alone" {
  filename = "lambda/alone/code.zip"
  handler  = "alone.run"
  runtime  = "python3.9"
}
"""
LAYERS = """\
module "libraries" {
  source       = "terraform-aws-modules/lambda/aws"
  create_layer = true
  layer_name   = "libraries"
  runtime      = "python3.9"
  source_path  = "${path.module}/layers/libraries/"
}

data "archive_file" "shared" {
  type        = "zip"
  source_dir  = "${path.module}/layers/shared"
  output_path = "${path.module}/shared.zip"
}

resource "aws_lambda_layer_version" "shared" {
  filename   = data.archive_file.shared.output_path
  layer_name = "shared"
}
"""
SCRIPT = 'ROOT="${PWD}"\nmkdir work && cd work\ncd ${ROOT}\npip install idna==3.7 --target layers/libraries/python\n'
FILES = {
    "main.tf": FUNCTIONS,
    "layers.tf": LAYERS,
    "init.sh": SCRIPT,
    "layers/libraries/.gitkeep": "",
    "layers/shared/python/common/names.py": "",
    "lambda/report/app.py": "import idna\nfrom common import names\n",
    "lambda/alone/alone.py": "",
}


def functions_of(root: Path, **changed: str) -> dict[str, Service]:
    fleet = fleet_of(root, {**FILES, **changed}, target=Interpreter(3, 12))
    return {service.path: service for service in fleet.services}


def steps_of(service: Service) -> list[str]:
    assert service.recipe is not None
    return [
        f"{step.location} {' '.join((*step.arguments, *step.files))} {step.target}"
        for step in service.recipe.steps
        if step.tool == "pip"
    ]


def test_a_script_installs_into_a_layer_of_terraform(tmp_path: Path) -> None:
    """Only the functions that name the layer have it, and the modules of another layer are on their path."""
    functions = functions_of(tmp_path)
    assert sorted(functions) == ["lambda/alone", "lambda/report"]
    report = functions["lambda/report"]
    assert steps_of(report) == ["init.sh:4 idna==3.7 /opt/python"]
    assert report.settings.needs == ("layers/shared/python",)
    assert report.python_path == ("../../layers/shared/python",)
    assert steps_of(functions["lambda/alone"]) == []


def test_requirements_in_a_layer_count_before_scripts(tmp_path: Path) -> None:
    functions = functions_of(tmp_path, **{"layers/libraries/requirements.txt": "six\n"})
    assert steps_of(functions["lambda/report"]) == ["layers.tf:6 layers/libraries/requirements.txt /opt/python"]


def test_all_of_a_folder_is_put_into_a_layer(tmp_path: Path) -> None:
    """https://registry.terraform.io/modules/terraform-aws-modules/lambda/aws: ``prefix_in_zip``."""
    layers = LAYERS.replace('layers/libraries/"', 'common"\n  prefix_in_zip = "python"')
    report = functions_of(tmp_path, **{"layers.tf": layers, "common/tools.py": ""})["lambda/report"]
    assert report.settings.needs == ("common", "layers/shared/python")


def test_a_module_of_the_repository_gets_layers(tmp_path: Path) -> None:
    """The call names those of its own module."""
    module = (
        'variable "layers" {\n  default = []\n}\nvariable "folder" {}\nresource "aws_lambda_function" "this" {\n'
        '  filename = "${var.folder}/code.zip"\n  handler = "app.run"\n  runtime = "python3.9"\n'
        "  layers = var.layers\n}\n"
    )
    call = FUNCTIONS.replace("terraform-aws-modules/lambda/aws", "./modules/function").replace("source_path", "folder")
    files = {"modules/function/main.tf": module, "main.tf": call.replace("${path.module}/lambda", "../../lambda")}
    assert steps_of(functions_of(tmp_path, **files)["lambda/report"]) == ["init.sh:4 idna==3.7 /opt/python"]


@pytest.mark.parametrize(
    "script",
    [
        "pip install idna==3.7 --target layers/other/python\n",
        "pip install idna==3.7\n",
        "# pip install idna -t layers/\n",
    ],
)
def test_what_is_installed_elsewhere_is_not_in_a_layer(tmp_path: Path, script: str) -> None:
    assert steps_of(functions_of(tmp_path, **{"init.sh": script})["lambda/report"]) == []


@given(st.lists(st.sampled_from([*(FUNCTIONS + LAYERS).splitlines(), "  layers = [[[[", "  ]", "["]), max_size=30))
def test_no_text_makes_the_reader_fail(lines: list[str]) -> None:
    for _, function in read_terraform({"main.tf": "\n".join(lines)}, lambda path: False):
        assert all(not folder.startswith(("/", "..")) for folder in (function.folder, *function.layers))


def test_many_brackets_are_no_deep_list() -> None:
    text = f"{FUNCTIONS}\nlocals {{\n  deep = {'[' * 900}\n}}\n".replace("local.shared", "local.deep")
    (function, *_) = [each for _, each in read_terraform({"main.tf": text + LAYERS}, lambda path: False)]
    assert function.layers == ("layers/libraries/python",)


SHARED = """\
import * as lambda from "aws-cdk-lib/aws-lambda";
const pythonRuntime = lambda.Runtime.PYTHON_3_11;
export class Shared extends Construct {
  readonly commonLayer: lambda.ILayerVersion;
  constructor(scope: Construct) {
    const commonLayer = new Layer(this, "Common", { path: path.join(__dirname, "./layers/common") });
    this.commonLayer = commonLayer.layer;
    this.powertools = lambda.LayerVersion.fromLayerVersionArn(this, "Powertools",
      `arn:aws:lambda:eu-west-2:017000801446:layer:AWSLambdaPowertoolsPythonV2:59`);
  }
}
"""
OTHER = """\
import * as lambda from "aws-cdk-lib/aws-lambda";
const commonLayer = new Layer(this, "Other", { path: path.join(__dirname, "./layers/other") });
"""
STACK = """\
import * as lambda from "aws-cdk-lib/aws-lambda";
new lambda.Function(this, "Api", {
  code: props.shared.code.bundleWithLambdaAsset(path.join(__dirname, "./api")),
  handler: "index.handler",
  runtime: props.shared.pythonRuntime,
  layers: [props.shared.powertools, props.shared.commonLayer],
});
"""
CDK = {
    "cdk.json": "{}",
    "lib/shared.ts": SHARED,
    "lib/stack.ts": STACK,
    "lib/api/index.py": "import idna\n",
    "lib/layers/common/requirements.txt": "idna==3.7\n",
}


def test_layers_of_the_cdk_are_constants_of_another_file(tmp_path: Path) -> None:
    """A function of the repository's own packs the code; that file has the address of Powertools, too."""
    fleet = fleet_of(tmp_path, CDK, target=Interpreter(3, 12))
    (api,) = [service for service in fleet.services if service.path == "lib/api"]
    assert steps_of(api) == ["lib/shared.ts:6 lib/layers/common/requirements.txt /opt/python"]
    assert (str(api.baseline), [module.name for module in api.start_modules]) == ("3.11", ["index"])
    assert api.recipe is not None
    provided = {str(step.location): step.arguments for step in api.recipe.steps}
    assert provided["lib/shared.ts:9"] == ("aws-lambda-powertools[all]>=2,<3",)


@pytest.mark.parametrize(
    "changed",
    [
        {"lib/other.ts": OTHER},
        {"lib/stack.ts": STACK.replace("props.shared.commonLayer", "common")},
    ],
    ids=["two of one name", "unknown variable"],
)
def test_an_unclear_layer_is_none(tmp_path: Path, changed: dict[str, str]) -> None:
    fleet = fleet_of(tmp_path, {**CDK, **changed}, target=Interpreter(3, 12))
    assert [steps_of(service) for service in fleet.services if service.path == "lib/api"] == [[]]


def test_a_function_without_powertools_gets_none(tmp_path: Path) -> None:
    stack = STACK.replace("props.shared.powertools, ", "")
    fleet = fleet_of(tmp_path, {**CDK, "lib/stack.ts": stack}, target=Interpreter(3, 12))
    (api,) = [service for service in fleet.services if service.path == "lib/api"]
    assert api.recipe is not None
    assert not any("powertools" in text for step in api.recipe.steps for text in step.arguments)
