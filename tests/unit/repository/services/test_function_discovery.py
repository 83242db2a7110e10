"""Functions of platforms as services: which files define them, what is installed for them, what is none."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.core.model.findings import Interpreter
from pytest_py312.core.model.plan import ServiceSettings
from pytest_py312.repository.formats.functions.terraform import read_terraform
from pytest_py312.repository.formats.text_positions import blank_jinja
from pytest_py312.repository.services.install_recipes import INSTALLS_INTO_FOLDER
from pytest_py312.repository.services.own_distributions import _INSTALLS_FOLDER
from tests.unit.repository.services.test_discovery import PROJECT, fleet_of


def no_file(_: str) -> bool:
    return False


CLOUDFORMATION = """\
Parameters:
  {% if is_private %}
  Subnets: {Type: String}
  {% endif %}
Resources:
  Role:
    Type: {{ 'Custom::Role' if is_private else 'AWS::IAM::Role' }}
  {{ name }}Log: {Type: "AWS::Logs::LogGroup"}
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Code: src/
      {# the oldest that is supported #}
      Handler: shop.handler.run
      Runtime: python3.10
      {% if is_private %}
      VpcConfig: {SubnetIds: !Ref Subnets}
      {% endif %}
"""


@pytest.mark.parametrize("name", ["orders-cf.yml.j2", "orders.yaml.jinja2"])
def test_a_template_that_jinja_fills_in_defines_functions(tmp_path: Path, name: str) -> None:
    """Whatever its name is, and with a package below the folder of the code."""
    files = {f"apps/orders/{name}": CLOUDFORMATION, "apps/orders/src/shop/handler.py": ""}
    (service,) = fleet_of(tmp_path, files).services
    assert service.path == "apps/orders/src"
    assert [str(module.name) for module in service.start_modules] == ["shop.handler"]
    assert str(service.baseline) == "3.10"
    assert service.baseline_source == f"apps/orders/{name}:15 says 3.10"


def test_blanking_a_template_keeps_all_positions() -> None:
    blanked = blank_jinja(CLOUDFORMATION)
    assert len(blanked) == len(CLOUDFORMATION)
    assert [line.strip() for line in blanked.splitlines()][1] == ""
    assert blanked.index("Runtime") == CLOUDFORMATION.index("Runtime")
    assert not {"{{", "{%", "{#"} & {blanked[start : start + 2] for start in range(len(blanked))}


@pytest.mark.parametrize(
    ("path", "code"), [("infra/stack.yaml", "../src/orders"), ("deploy/aws/orders.yml", "../../src/orders")]
)
def test_a_template_in_a_folder_beside_the_code_defines_functions(tmp_path: Path, path: str, code: str) -> None:
    text = CLOUDFORMATION.replace("Code: src/", f"Code: {code}")
    fleet = fleet_of(
        tmp_path, {f"{path}.j2": text, "src/orders/shop/handler.py": "", "src/web/requirements.txt": "flask\n"}
    )
    assert [service.path for service in fleet.services] == ["src/orders", "src/web"]
    orders, web = fleet.services
    assert [str(source) for source in orders.requirements] == [f"{path}.j2:15 (provided)"]
    assert web.recipe is None


def test_a_template_inside_of_a_service_is_not_its(tmp_path: Path) -> None:
    """What it defines beside itself is something of its own, as an example of a plugin."""
    files = {"requirements.txt": "", "app.py": "", "tests/data/template.yaml": CLOUDFORMATION.replace("{", "#{")}
    (service,) = fleet_of(tmp_path, {**files, "tests/data/src/shop/handler.py": ""}).services
    assert (service.path, service.recipe) == (".", None)


INSTALLED = {
    "apps/a/template.yaml": CLOUDFORMATION.replace("{", "#{"), "apps/a/src/shop/handler.py": "",
    "apps/b/template.yaml": CLOUDFORMATION.replace("{", "#{"), "apps/b/src/shop/handler.py": "",
    "requirements-a.txt": "six\n./lib/shared/\n", "requirements-b.txt": "attrs\n",
    "lib/shared/setup.py": "from setuptools import setup\nsetup(name='shared', packages=['shared'])\n",
    "lib/shared/shared/__init__.py": "",
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Makefile", "A = ${PWD}/apps/a/src\nbuild:\n\tpip install -r requirements-a.txt -t ${A}; \\\n"
         "\tpip install -r requirements-b.txt -t ${PWD}/apps/b/src\n"),
        ("build.sh", "pip install --target apps/a/src -r requirements-a.txt\n"
         "cd apps/b/src\npip install -r ../../../requirements-b.txt -t .\n"),
    ],
)  # fmt: skip
def test_what_is_installed_into_the_folder_of_a_function_is_its(tmp_path: Path, path: str, text: str) -> None:
    """Before what the platform provides. The library that it installs is no service, it is needed."""
    fleet = fleet_of(tmp_path, {**INSTALLED, path: text})
    first, second = fleet.services
    provided = ["apps/{}/template.yaml:15 (provided)".format(name) for name in "ab"]  # noqa: UP032 - one template
    assert [str(source) for source in first.requirements] == ["requirements-a.txt", provided[0]]
    assert [str(source) for source in second.requirements] == ["requirements-b.txt", provided[1]]
    assert (first.settings.needs, second.settings.needs) == (("lib/shared",), ())
    assert first.runs_without_pth is not None
    assert not any("requirements-a.txt" in text for text in fleet.assumptions)


@pytest.mark.parametrize(
    ("files", "plan"),
    [
        ({"lib/tests/test_lib.py": ""}, {}),
        ({"lib/Dockerfile": "FROM python:3.9\n"}, {}),
        ({"lib/requirements.txt": ""}, {}),
        ({"lib/pyproject.toml": f'{PROJECT}[project.scripts]\nrun = "lib:run"\n'}, {}),
        ({"api/requirements.txt": "six\n"}, {}),
        ({}, {"overrides": (("lib", ServiceSettings()),)}),
    ],
)
def test_a_project_of_its_own_is_a_service_although_others_install_it(
    tmp_path: Path, files: dict[str, str], plan: dict[str, object]
) -> None:
    """What nothing starts and nothing tests is a library, unless nobody installs it or the plan names it."""
    library = {"api/requirements.txt": "-e ../lib\n", "lib/pyproject.toml": PROJECT, "lib/lib.py": ""}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert [service.path for service in fleet_of(tmp_path / "a", library).services] == ["api"]
    found = fleet_of(tmp_path / "b", {**library, **files}, **plan).services
    assert [service.path for service in found] == ["api", "lib"]


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({"app.yaml": "runtime: python310\n", "main.py": ""}, "svc/app.yaml:1 says 310"),
        ({"app.yaml": "runtime: python310\n", "pyproject.toml": f'{PROJECT}requires-python = ">=3.9"\n'},
         "svc/app.yaml:1 says 310"),
        ({"serverless.yml": "provider: {name: aws, runtime: python3.10}\nfunctions: {a: {handler: x.y}}\n",
          "setup.cfg": "[options]\npython_requires = >=3.9\n"}, "svc/serverless.yml:1 says 3.10"),
        ({"runtime.txt": "python-3.10.4\n", "Procfile": "web: gunicorn app:app\n"},
         "svc/runtime.txt:1 says python-3.10.4"),
        ({"app.yaml": "runtime: nodejs20\n", "Dockerfile": "FROM python:3.10\n"}, "svc/Dockerfile:1 says python:3.10"),
    ],
)  # fmt: skip
def test_a_platform_says_what_its_service_runs_on(tmp_path: Path, files: dict[str, str], source: str) -> None:
    """Before what metadata allow. Its file alone makes a service."""
    (service,) = fleet_of(tmp_path, {f"svc/{name}": text for name, text in files.items()}).services
    assert (str(service.baseline), service.baseline_source) == ("3.10", source)


@pytest.mark.parametrize(
    ("files", "is_service"),
    [
        (["host.json", "function_app.py"], True),
        (["host.json", "Hello/function.json", "Hello/__init__.py"], True),
        (["host.json", "Hello/function.json", "Hello/index.js"], False),
        (["app.yaml", "main.py"], False),
        (["Procfile", "server.py"], False),
    ],
)
def test_functions_of_azure_are_a_service(tmp_path: Path, files: list[str], is_service: bool) -> None:
    """Without requirements as well."""
    other = {"other/requirements.txt": ""}
    found = fleet_of(tmp_path, {**other, **{f"svc/{name}": "" for name in files}}).services
    assert ("svc" in [service.path for service in found]) is is_service


TERRAFORM = """\
data "archive_file" "orders" {
  type        = "zip"
  source_dir  = "${path.module}/../src/orders"
  output_path = "${path.module}/build/orders.zip"
}

resource "aws_lambda_function" "orders" {
  function_name = "orders"
  filename      = data.archive_file.orders.output_path
  handler       = "shop.handler.run"
  runtime       = var.runtime
  environment {
    variables = { runtime = "x" }
  }
}

module "web" {
  source      = "terraform-aws-modules/lambda/aws"
  source_path = "../src/web/app.py"
  handler     = "app.run"
  runtime     = "python3.11"
}

resource "aws_lambda_function" "node" {
  filename = data.archive_file.orders.output_path
  runtime  = "nodejs18.x"
}
"""
VARIABLES = 'variable "runtime" {\n  type    = string\n  default = "python3.10"\n}\n'


def test_terraform_defines_functions(tmp_path: Path) -> None:
    """With the runtime of a variable in another file, and with what is installed for them."""
    files = {
        "infra/main.tf": TERRAFORM, "infra/variables.tf": VARIABLES, "src/orders/shop/handler.py": "",
        "src/orders/requirements.txt": "six\n", "src/web/app.py": "", "src/web/helper.py": "",
        "jobs/requirements.txt": "",
    }  # fmt: skip
    jobs, orders, web = fleet_of(tmp_path, files, target=Interpreter(3, 12)).services
    assert [service.path for service in (jobs, orders, web)] == ["jobs", "src/orders", "src/web"]
    assert (str(orders.baseline), orders.baseline_source) == ("3.10", "infra/variables.tf:3 says 3.10")
    assert (str(web.baseline), web.baseline_source) == ("3.11", "infra/main.tf:21 says 3.11")
    assert "oldest" in jobs.baseline_source
    assert [str(source) for source in orders.requirements] == [
        "src/orders/requirements.txt", "infra/variables.tf:3 (provided)",
    ]  # fmt: skip
    assert [module.name for module in orders.start_modules] == ["shop.handler"]


GOOGLE_FUNCTION = """\
data "archive_file" "report" {
  type        = "zip"
  source_dir  = "${path.module}/../functions/report"
  output_path = "/tmp/report.zip"
}

resource "google_storage_bucket_object" "report" {
  name   = "report.${data.archive_file.report.output_md5}.zip"
  bucket = google_storage_bucket.code.name
  source = data.archive_file.report.output_path
}

resource "google_cloudfunctions2_function" "report" {
  name = "report"
  build_config {
    runtime     = "python310"
    entry_point = "run"
    source {
      storage_source {
        bucket = google_storage_bucket.code.name
        object = google_storage_bucket_object.report.name
      }
    }
  }
}

resource "google_cloudfunctions_function" "mail" {
  runtime               = "python39"
  source_archive_object = google_storage_bucket_object.mail.name
  environment_variables = {
    GOOGLE_FUNCTION_SOURCE = "send.py"
  }
}
"""
OBJECT_OF_ANOTHER_FILE = """\
data "archive_file" "mail" {
  source_dir  = "../functions/mail"
  output_path = "../build/mail.zip"
}
resource "google_storage_bucket_object" "mail" {
  source = "../build/mail.zip"
}
module "event" {
  source           = "terraform-google-modules/event-function/google"
  runtime          = "python311"
  source_directory = "${path.module}/../functions/event"
}
"""


def test_terraform_defines_functions_of_google_cloud(tmp_path: Path) -> None:
    """Their code is an object of a bucket, made from an archive; the module is ``main`` unless a variable names one."""
    folders = {"report": "main.py", "mail": "send.py", "event": "main.py"}
    files = {f"functions/{name}/{module}": "" for name, module in folders.items()}
    files |= {"infra/main.tf": GOOGLE_FUNCTION, "infra/code.tf": OBJECT_OF_ANOTHER_FILE}
    files |= {"functions/report/requirements.txt": "six\n"}
    event, mail, report = fleet_of(tmp_path, files, target=Interpreter(3, 12)).services
    assert [service.path for service in (event, mail, report)] == [f"functions/{name}" for name in sorted(folders)]
    assert (str(report.baseline), report.baseline_source) == ("3.10", "infra/main.tf:16 says 310")
    assert (str(mail.baseline), mail.baseline_source) == ("3.9", "infra/main.tf:28 says 39")
    assert (str(event.baseline), event.baseline_source) == ("3.11", "infra/code.tf:10 says 311")
    assert [str(source) for source in report.requirements] == [
        "functions/report/requirements.txt", "infra/main.tf:16 (provided)",
    ]  # fmt: skip
    assert report.recipe is not None
    assert [step.arguments for step in report.recipe.steps] == [(), ("functions-framework",)]
    assert [[module.name for module in each.start_modules] for each in (event, mail)] == [["main"], ["send"]]


CALLED_MODULE = """\
variable "source_dir" {
  type = string
}
variable "python" {
  default = "python3.9"
}
data "archive_file" "code" {
  source_dir  = var.source_dir
  output_path = "/tmp/code.zip"
}
resource "aws_s3_object" "code" {
  key    = "code.zip"
  source = data.archive_file.code.output_path
}
resource "aws_lambda_function" "this" {
  s3_key  = aws_s3_object.code.key
  runtime = var.python
  handler = "${var.name}.run"
}
"""
CALLS = """\
module "orders" {
  source     = "../modules/function"
  name       = "orders"
  source_dir = "${path.module}/../../src/orders"
}
module "web" {
  source     = "../modules/function"
  name       = "app"
  source_dir = "${path.module}/../../src/web"
  python     = local.python_version
}
locals {
  python_version = "python3.11"
}
"""


def test_modules_of_terraform_are_called_with_values(tmp_path: Path) -> None:
    """Each call defines a function; what it does not give is the default of the module's variable."""
    files = {"infra/modules/function/main.tf": CALLED_MODULE, "infra/live/main.tf": CALLS}
    orders, web = fleet_of(
        tmp_path, {**files, "src/orders/orders.py": "", "src/web/app.py": ""}, target=Interpreter(3, 12)
    ).services
    assert [service.path for service in (orders, web)] == ["src/orders", "src/web"]
    assert (str(orders.baseline), orders.baseline_source) == ("3.9", "infra/modules/function/main.tf:5 says 3.9")
    assert (str(web.baseline), web.baseline_source) == ("3.11", "infra/live/main.tf:13 says 3.11")
    assert [[module.name for module in each.start_modules] for each in (orders, web)] == [["orders"], ["app"]]


@pytest.mark.timeout(20)
def test_modules_of_terraform_that_call_each_other_are_read_to_a_depth() -> None:
    calls = "".join(f'module "m{number}" {{\n  source = "../b"\n  x = "y"\n}}\n' for number in range(300))
    texts = {"a/main.tf": calls, "b/main.tf": calls.replace("../b", "../a"), "c/main.tf": calls.replace("../b", ".")}
    assert list(read_terraform(texts, no_file)) == []


ARCHIVE_OF_A_FILE = """\
locals {
  app  = "bfd"
  name = "${local.app}_alerter"
}

data "archive_file" "this" {
  type        = "zip"
  output_path = "${path.module}/src/${local.name}.zip"
  source {
    content  = file("${path.module}/src/${local.name}.py")
    filename = "${local.name}.py"
  }
}
"""
FUNCTION_OF_THE_ARCHIVE = """\
resource "aws_lambda_function" "this" {
  filename = data.archive_file.this.output_path
  handler  = "${local.name}.handler"
  runtime  = "python3.11"
}
"""


def test_an_archive_of_one_file_and_deep_modules_are_functions(tmp_path: Path) -> None:
    """The archive is in another file than the function, and names refer to each other."""
    module = "ops/terraform/services/server/insights/api/modules/alerts"
    files = {
        f"{module}/data-sources.tf": ARCHIVE_OF_A_FILE,
        f"{module}/main.tf": FUNCTION_OF_THE_ARCHIVE,
        f"{module}/src/bfd_alerter.py": "",
    }
    (alerts,) = fleet_of(tmp_path, files, target=Interpreter(3, 12)).services
    assert (alerts.path, str(alerts.baseline)) == (f"{module}/src", "3.11")
    assert [start.name for start in alerts.start_modules] == ["bfd_alerter"]


@pytest.mark.parametrize(("module", "paths"), [("register", ["app", "infra/registrar"]), ("other", ["app"])])
def test_an_archive_beside_its_code_is_a_function(tmp_path: Path, module: str, paths: list[str]) -> None:
    """Open Supply Hub commits the archive; the module of the handler shows that the folder has its code."""
    files = {
        "infra/main.tf": 'resource "aws_lambda_function" "r" {\n  filename = "${path.module}/registrar/code.zip"\n'
        f'  handler = "{module}.handler"\n  runtime = "python3.10"\n}}\n',
        "infra/registrar/register.py": "import boto3\n",
        "app/requirements.txt": "six\n",
    }
    fleet = fleet_of(tmp_path, files, target=Interpreter(3, 12))
    assert [service.path for service in fleet.services] == paths


def test_a_job_installs_into_the_folders_of_functions(tmp_path: Path) -> None:
    """The requirements of all lie at the root, by the names of the functions."""
    template = (
        "Resources:\n  A:\n    Type: AWS::Lambda::Function\n"
        "    Properties: {Code: src/, Handler: app.handler, Runtime: python3.9}\n"
    )
    lines = [f"python -m pip install -r requirements-{name}.txt -t {name}/src/" for name in ("orders", "jobs")]
    job = f"jobs: {{deploy: {{steps: [{{run: {' && '.join(lines)!r}}}]}}}}\n"
    files = {
        f"{name}/{file}": text
        for name in ("orders", "jobs")
        for file, text in {"cloudformation.yaml": template, "src/app.py": ""}.items()
    }
    files |= {"requirements-orders.txt": "six\n", "requirements-jobs.txt": "idna\n", ".github/workflows/a.yml": job}
    for function in fleet_of(tmp_path, files, target=Interpreter(3, 12)).services:
        assert function.recipe is not None
        name = function.path.partition("/")[0]
        assert [step.files for step in function.recipe.steps if step.tool == "pip"] == [(f"requirements-{name}.txt",)]


@pytest.mark.parametrize(
    "change",
    [
        ('"${path.module}/../src/orders"', '"${path.module}/../../src/orders"'),
        ('"${path.module}/../src/orders"', "var.folder"),
        ("data.archive_file.orders.output_path", "aws_s3_object.orders.key"),
        ('default = "python3.10"', "nullable = false"),
        ('"aws_lambda_function" "orders"', '"aws_lambda_alias" "orders"'),
    ],
)
def test_what_terraform_does_not_say_is_no_function(tmp_path: Path, change: tuple[str, str]) -> None:
    files = {"infra/main.tf": TERRAFORM.replace(*change), "infra/variables.tf": VARIABLES.replace(*change)}
    fleet = fleet_of(tmp_path, {**files, "src/orders/shop/handler.py": "", "src/web/app.py": ""})
    assert [service.path for service in fleet.services] == ["src/web"]


@given(
    st.lists(
        st.sampled_from([*(TERRAFORM + GOOGLE_FUNCTION + CALLS + VARIABLES).splitlines(), "{", '"', "locals {"]),
        max_size=20,
    )
)
def test_no_text_of_terraform_makes_the_reader_fail(lines: list[str]) -> None:
    for path, function in read_terraform(
        {"infra/main.tf": "\n".join(lines), "modules/function/main.tf": CALLED_MODULE}, no_file
    ):
        assert path in ("infra/main.tf", "modules/function/main.tf")
        assert not function.folder.startswith(("/", ".."))


@pytest.mark.parametrize(
    ("before", "change"),
    [
        ('variable "v" {\n  default = "x"\n}\n' * 300, ("", "")),
        ("", ('src/orders"\n', 'src/orders" # "the code"\n')),
        ("", ("output_path\n", "output_path // of above\n")),
        ('locals {\n  v = "' + "v" * 2000 + '"\n}\n', ("", "")),
    ],
    ids=["many blocks", "comment", "comment after a reference", "long value"],
)
def test_terraform_with_comments_and_much_else_defines_functions(before: str, change: tuple[str, str]) -> None:
    text = before + TERRAFORM.replace(*change) + VARIABLES
    assert [function.folder for _, function in read_terraform({"infra/main.tf": text}, no_file)] == [
        "src/orders",
        "src/web",
    ]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["{%", "{#", "{{", "{", "install ", "install\\\n", "pip install -t"])
def test_patterns_take_no_longer_for_text_without_an_end(part: str) -> None:
    text = part * (1024**2 // len(part))
    blank_jinja(text)
    INSTALLS_INTO_FOLDER.search(text)
    _INSTALLS_FOLDER.search(text)


@pytest.mark.timeout(20)
def test_values_of_terraform_do_not_grow_without_limit() -> None:
    """References to a long value would multiply it."""
    value, references = "v" * 300_000, "${local.v}" * 60_000
    text = f'locals {{\n  v = "{value}"\n}}\nmodule "m" {{\n  runtime = "{references}"\n}}\n'
    assert list(read_terraform({"main.tf": text}, no_file)) == []


def test_references_of_terraform_do_not_multiply_without_limit() -> None:
    """Else a file of a few lines takes gigabytes."""
    long, chain = "x" * 900, [f'  {name} = "{f"${{local.{of}}}" * 40}"' for name, of in (("b", "a"), ("c", "b"))]
    text = "\n".join(["locals {", f'  a = "{long}"', *chain, "}", 'resource "aws_lambda_function" "f" {'])
    text += f'\n  runtime = "python3.9"\n  filename = "{"${local.c}" * 40}"\n}}\n'
    tracemalloc.start()
    try:
        assert list(read_terraform({"main.tf": text}, no_file)) == []
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
