"""Functions of AWS Lambda in programs of the CDK."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.functions.cdk import read_cdk

PYTHON = """\
from aws_cdk import aws_lambda as lambda_
orders = {function}(
    self, "Orders (new)",
    runtime=lambda_.Runtime.PYTHON_3_9,
    {code},
    handler="app.handle",
    environment={{"A": "b, c"}},
)
"""
TYPESCRIPT = """\
import * as lambda from 'aws-cdk-lib/aws-lambda';
new lambda.Function(this, 'Orders', {{
  handler: 'app.handle',
  code: {code},
  runtime: lambda.Runtime.PYTHON_3_9,
}});
"""


@pytest.mark.parametrize(
    ("code", "folder"),
    [
        ('code=lambda_.Code.from_asset("lambdas/orders")', "infra/lambdas/orders"),
        ('code=lambda_.Code.from_asset(os.path.join(os.getcwd(), "lambdas", "orders"))', "infra/lambdas/orders"),
        ('code=lambda_.Code.from_asset("../lambdas/orders", exclude=["*.md"])', "lambdas/orders"),
        ('code=Code.asset(os.path.join(os.path.dirname(__file__), "../../orders"))', "orders"),
        ('code=Code.from_asset(str(Path(__file__).resolve().parent.parent / "orders"))', "infra/orders"),
        ('environment=dict(code="other"), code=lambda_.Code.from_asset("lambdas/orders")', "infra/lambdas/orders"),
        ('# code=lambda_.Code.from_asset("gone")', ""),
        ("code=lambda_.Code.from_asset(folder)", ""),
        ('code=lambda_.Code.from_asset(f"{folder}/orders")', ""),
        ('code=lambda_.Code.from_asset("../../outside")', ""),
        ('code=lambda_.Code.from_inline("import imp")', ""),
    ],
)
def test_functions_in_python(code: str, folder: str) -> None:
    text = PYTHON.format(function="lambda_.Function", code=code)
    functions = read_cdk(text, "infra/stacks/orders.py", "infra")
    assert [(function.folder, function.module, function.line) for function in functions] == (
        [(folder, "app", 4)] if folder else []
    )


@pytest.mark.parametrize(("index", "module"), [("", "index"), ('index="run.py", ', "run")])
def test_a_python_function_is_built_from_its_entry(index: str, module: str) -> None:
    text = PYTHON.format(function="PythonFunction", code=f'{index}entry="lambdas/orders"')
    (function,) = read_cdk(text, "stack.py", ".")
    assert (function.folder, function.module, function.builds[0].reads_projects) == ("lambdas/orders", module, True)


@pytest.mark.parametrize(
    ("code", "folder"),
    [
        ("lambda.Code.fromAsset('../lambdas/orders')", "lambdas/orders"),
        ("lambda.Code.fromAsset(path.join(__dirname, '..', '..', 'lambdas/orders'))", "lambdas/orders"),
        ("lambda.Code.fromAsset(`${folder}/orders`)", ""),
    ],
)
def test_functions_in_typescript(code: str, folder: str) -> None:
    functions = read_cdk(TYPESCRIPT.format(code=code), "infra/lib/orders.ts", "infra")
    assert [(function.folder, function.module) for function in functions] == ([(folder, "app")] if folder else [])


LAYERS = {
    "lib/orders.ts": """\
const tools = new PythonLambdaLayerConstruct(this, 'tools', {
  layerName: 'tools',
  layerDirectory: path.join(__dirname, '../layers/tools/'),
});
new PythonFunction(this, 'Orders', {
  entry: 'orders',
  runtime: lambda.Runtime.PYTHON_3_9,
  layers: [tools.layerVersion, unknown],
});
""",
    "lib/orders.py": """\
self.tools = PythonLayerVersion(
    self, "tools",
    entry="layers/tools",
)
PythonFunction(self, "Orders", entry="orders", runtime=Runtime.PYTHON_3_9, layers=[self.tools, other])
""",
}


@pytest.mark.parametrize("path", LAYERS)
def test_layers_of_the_same_program(path: str) -> None:
    """Orcabus has a class of its own for them, with the folder as a property."""
    (function,) = read_cdk("aws_cdk\n" + LAYERS[path], path, ".")
    assert function.folder == "orders"
    assert [(build.folder, build.target, build.line) for build in function.builds] == [
        ("orders", "/var/task", 8 if path.endswith(".ts") else 6),
        ("layers/tools", "/opt/python", 2),
    ]
    assert function.layers == ("layers/tools", "layers/tools/src")


def test_a_layer_that_is_copied_as_it_is() -> None:
    layer = 'tools = LayerVersion(self, "tools", code=Code.from_asset("layers/tools"))\n'
    text = layer + PYTHON.format(function="Function", code='code=Code.from_asset("a"), layers=[tools]')
    (function,) = read_cdk(text, "stack.py", ".")
    assert (len(function.builds), function.layers) == (1, ("layers/tools/python",))


@pytest.mark.parametrize(
    "text",
    [
        PYTHON.format(function="Function", code='code=Code.asset("a")').replace("aws_cdk", "mine"),
        "import aws_cdk\nRUNTIME = Runtime.PYTHON_3_9\n",
        "import aws_cdk\nPythonLayerVersion(self, 'x', entry='layers/a', compatible_runtimes=[Runtime.PYTHON_3_9])\n",
    ],
)
def test_what_is_no_function(text: str) -> None:
    assert read_cdk(text, "stack.py", ".") == ()


@given(
    st.lists(
        st.sampled_from(
            [*PYTHON.split(), *TYPESCRIPT.split(), "layers=[a]", "a = b(", "(", "}", "'", "Runtime.PYTHON_3_9"]
        ),
        max_size=30,
    )
)
def test_no_text_makes_the_reader_fail(words: list[str]) -> None:
    for function in read_cdk("aws_cdk\n" + " ".join(words), "a/b.py", "a"):
        assert not function.folder.startswith(("/", ".."))
