"""What a container of the gate is started with."""

import ast
from pathlib import Path

from pytest_py312.runners import agent
from pytest_py312.runners.agent import probe
from pytest_py312.runners.docker.container_specs import PROBE_MODULES


def test_a_cell_gets_all_modules_that_the_probe_loads() -> None:
    """Except for that of the ports that cells of one machine share: a container has its own."""
    loaded = {module for module, _ in probe._OTHER_KINDS.values()}
    for file in Path(agent.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("agent_module"):
                loaded |= {str(part.value) for part in node.args if isinstance(part, ast.Constant)}
    assert {f"{name}.py" for name in loaded} - {"shared_ports.py"} == set(PROBE_MODULES)
