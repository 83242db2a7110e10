"""Tasks of just, Task and Invoke, and the commands of Python scripts: texts in, commands with their lines out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.task_files import (
    TASK_RUNNERS,
    inline_requirements,
    read_invoke_tasks,
    read_justfile,
    read_script_commands,
    read_taskfile,
)

JUSTFILE = """\
set dotenv-load
bin := "venv/bin"

# what a new user runs
devenv *args: (prodenv) clean
    {{ bin }}/pip install \\
        -r dev.txt {{args}}

@prodenv:
    -pip install -r prod.txt
clean:
    #!/usr/bin/env bash
    set -e
    rm -rf build
"""


def test_a_justfile() -> None:
    tasks = read_justfile(JUSTFILE)
    assert tasks.default == "devenv"
    assert list(tasks.commands_of("devenv", {})) == [
        (10, "pip install -r prod.txt"),
        (12, "#!/usr/bin/env bash\nset -e\nrm -rf build"),
        (6, "venv/bin/pip install -r dev.txt ${args}"),
    ]


PARAMETERS = """\
alias d := deps
default: (inst 'dev')
  true
inst name='prod' +more="":
  pip install -r {{name}}.txt
deps env: (inst env)
  pip install {{ env }}
"""


def test_parameters_of_recipes_in_a_justfile() -> None:
    tasks = read_justfile(PARAMETERS)
    assert tasks.targets["default"].needs == ("inst",)
    assert list(tasks.called(["deps", "x", "inst"])) == [("deps", {"env": "x"}), ("inst", {"name": "prod", "more": ""})]
    assert list(tasks.commands_of("d", {}))[-1] == (7, "pip install ${env}")


TASKFILE = """\
version: "3"
vars: {FILE: dev.txt}
tasks:
  default: echo hello
  test:
    dir: app
    deps: [install, {task: lint}]
    cmds:
      - cmd: pytest {{.CLI_ARGS}}
      - task: lint
      - |
        echo done
  install:
    - pip install -r {{ .FILE }}
  lint:
    cmd: ruff check
"""


def test_a_taskfile() -> None:
    tasks = read_taskfile(TASKFILE)
    assert tasks.default == "default"
    assert list(tasks.commands_of("test", {})) == [
        (14, "pip install -r dev.txt"),
        (16, "ruff check"),
        (9, "cd app && pytest ${CLI_ARGS}"),
        (10, "cd app && task lint"),
        (12, "cd app && echo done\n"),
    ]


INVOKE = """\
from invoke import task

@task
def install(c, dev=False):
    c.run("pip install -r dev.txt")

@task(install, pre=[])
def run_tests(c):
    with c.cd("app"):
        c.run(f"pytest {c.args}", pty=True)
"""


def test_tasks_of_invoke() -> None:
    tasks = read_invoke_tasks(INVOKE)
    assert list(tasks.commands_of("run-tests", {})) == [(5, "pip install -r dev.txt"), (10, "pytest ${args}")]


@pytest.mark.parametrize(
    ("command", "targets", "only_asks"),
    [
        ("make -s -j 4 deps", ("deps",), False),
        ("make -n deps", ("deps",), True),
        ("just -s deps", ("deps",), True),
        ("just --list", (), True),
        ("task -s deps", ("deps",), False),
        ("inv -l", (), True),
    ],
)
def test_what_a_command_asks_a_runner_for(command: str, targets: tuple[str, ...], only_asks: bool) -> None:
    name, *words = command.split()
    call = TASK_RUNNERS[name].read_call(words)
    assert (call.targets, call.only_asks) == (targets, only_asks)


def test_files_folders_and_variables_of_a_command() -> None:
    call = TASK_RUNNERS["make"].read_call(["-C", "sub", "-f", "Build.mk", "V=1", "all"])
    assert (call.folder, call.file, call.variables, call.targets) == ("sub", "Build.mk", {"V": "1"}, ("all",))


@pytest.mark.parametrize(
    ("statement", "commands"),
    [
        ("subprocess.check_call([sys.executable, '-m', 'pip', 'install', 'six'])", [(2, "python -m pip install six")]),
        ("os.system('pip install -r dev.txt')", [(2, "pip install -r dev.txt")]),
        ("run(['pip', 'install', name])", []),
        ("run(['pip', 'install', 'a b'], cwd='sub')", [(2, "cd sub && pip install 'a b'")]),
        ("def unused(): os.system('pip install six')", []),
        ("def used(): os.system('pip install six')\nif __name__ == '__main__': used()", [(2, "pip install six")]),
        ("print('pip install six')", []),
        ("subprocess.run(['git', 'status'])", []),
        ("subprocess.run(", []),
    ],
)
def test_what_a_script_installs(statement: str, commands: list[tuple[int, str]]) -> None:
    assert list(read_script_commands(f"import os  # pip\n{statement}\n")) == commands


@given(text=st.text(alphabet="# /scripdent=['a\n]", max_size=80))
def test_no_script_makes_the_reader_of_its_requirements_raise(text: str) -> None:
    found = inline_requirements(f"# /// script\n# {text}\n# ///\n")
    assert found is None or isinstance(found, tuple)


@given(
    text=st.text(alphabet="ab:=\n \t{}[]'\"@#!|-\\", max_size=200),
    runner=st.sampled_from(sorted(TASK_RUNNERS)),
)
def test_no_text_makes_a_reader_raise(text: str, runner: str) -> None:
    tasks = TASK_RUNNERS[runner].read(text)
    lines = [line for name in tasks.targets for line, _ in tasks.commands_of(name, {})]
    assert all(1 <= line <= text.count("\n") + 2 for line in lines)
