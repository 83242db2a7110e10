"""Functions of AWS Lambda in programs of the CDK."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.functions.cdk import read_added_layers, read_cdk, read_runtime_constants

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


CONSTANTS = """\
import { Runtime } from 'aws-cdk-lib/aws-lambda';
export const PYTHON: lambda.Runtime = lambda.Runtime.PYTHON_3_11;
// const OLD = Runtime.PYTHON_3_8;
class Runtimes { static readonly NEXT = Runtime.PYTHON_3_12; }
const options = { runtime: Runtime.PYTHON_3_9 };
"""


def test_a_runtime_may_have_a_name_in_another_file() -> None:
    constants = dict(read_runtime_constants(CONSTANTS, "infra/constants.ts"))
    assert {name: str(place) for name, place in constants.items()} == {"PYTHON": "infra/constants.ts:2"}
    text = TYPESCRIPT.format(code="lambda.Code.fromAsset('orders')")
    text = re.sub(r"[\w.]*Runtime\.PYTHON_3_\d+", "constants.PYTHON", text)
    (function,) = read_cdk(text, "infra/lib/orders.ts", ".", constants)
    assert (function.folder, function.runtime) == ("orders", constants["PYTHON"])
    own = text.replace("constants.PYTHON", "PYTHON") + "const PYTHON = Runtime.PYTHON_3_10;\n"
    (function,) = read_cdk(own, "infra/lib/orders.ts", ".", constants)
    assert function.runtime is not None
    assert function.runtime.path == "infra/lib/orders.ts"
    assert read_cdk(own.replace("PYTHON_3_10", "NODEJS_18_X"), "infra/lib/orders.ts", ".", constants) == ()
    assert read_cdk(text, "infra/lib/orders.ts", ".") == ()


def test_an_argument_is_no_name_of_a_runtime() -> None:
    text = "import aws_cdk\nFunction(\n    runtime=Runtime.PYTHON_3_9,\n)\nRUNTIME = Runtime.PYTHON_3_10\n"
    assert [name for name, _ in read_runtime_constants(text, "stack.py")] == ["RUNTIME"]


ASPECT = """\
import * as cdk from 'aws-cdk-lib';
export class Layers extends Construct implements cdk.IAspect {
  visit(node: Construct): void {
    const layer = new UserAgentLayer(this, 'Agent', { entry: '../lambda/layers/agent', compatibleRuntimes: runtimes });
    // new OldLayer(this, 'Old', { entry: '../lambda/layers/old' });
    node.addLayers(layer, new lambda.LayerVersion(this, 'B', { code: lambda.Code.fromAsset('../lambda/layers/b') }));
  }
}
"""


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        (ASPECT, [("lambda/layers/agent", 4), ("lambda/layers/agent/src", 4), ("lambda/layers/b/python", 6)]),
        (ASPECT.replace("implements cdk.IAspect ", ""), []),
        (ASPECT.replace("addLayers", "print"), []),
        (ASPECT.replace("aws-cdk-lib", "mine"), []),
    ],
)
def test_layers_that_an_aspect_adds_to_all_functions(text: str, layers: list[tuple[str, int]]) -> None:
    added = read_added_layers(text, "infra/lib/aspect.ts", "infra")
    assert [(layer.modules, layer.build.line) for layer in added] == layers
    assert {layer.build.path for layer in added} == ({"infra/lib/aspect.ts"} if layers else set())


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
    read_runtime_constants("aws_cdk\n" + " ".join(words), "a/b.py")
    read_added_layers("aws_cdk IAspect .addLayers(\n" + " ".join(words), "a/b.py", "a")
    for function in read_cdk("aws_cdk\n" + " ".join(words), "a/b.py", "a"):
        assert not function.folder.startswith(("/", ".."))
