"""Python that Dockerfiles and scripts of a shell contain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.commands.python_commands import PythonCommand, read_python_commands


def shown(command: PythonCommand) -> str:
    what = f"-m {command.module}" if command.module else command.code
    return f"{command.line}:{command.column} {what}"


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ('RUN python -c "import imp; print(imp)"', ["1:5 import imp; print(imp)"]),
        ("RUN make \\\n  && python3.9 -W ignore -c 'import imp'", ["2:6 import imp"]),
        ('CMD ["python", "-u", "-m", "smtpd", "-n"]', ["1:7 -m smtpd"]),
        ('CMD ["/venv/bin/python3", "-c", "import imp"]', ["1:7 import imp"]),
        ("web: python -Im asyncore", ["1:6 -m asyncore"]),
        ("  command: python3 -m smtpd", ["1:12 -m smtpd"]),
        ("python -m pip install x; python -m imp", ["1:1 -m pip", "1:26 -m imp"]),
        ("SITE=$(python -c 'import imp')", ["1:8 import imp"]),
        ("\t@python -c 'import imp'", ["1:3 import imp"]),
        ('python -c "\nimport os\nprint(\\"$HOME\\")\n"', ['1:1 \nimport os\nprint("expanded")\n']),
        ('python -c "import os; \\\n  print(os)"', ["1:1 import os;   print(os)"]),
        ("RUN python <<EOF\nimport imp\nEOF\nCMD x", ["1:5 import imp\n"]),
        ("cd x\npython3 - <<-'EOF'\nprint('$x')\n\tEOF", ["2:1 print('$x')\n"]),
        ('python - "$@" <<\\EOF\nimport imp\nEOF', ["1:1 import imp\n"]),
        ("HEALTHCHECK CMD python -c 'import imp' || exit 1", ["1:17 import imp"]),
        ("python -c 'import imp' || { echo failed; exit 1; }", ["1:1 import imp"]),
        ('ENTRYPOINT ["sh", "-c", "python -m smtpd"]', ["1:26 -m smtpd"]),
        ("RUN --mount=type=cache,target=/c python -m imp", ["1:34 -m imp"]),
        ("exec env A=b sudo -E python -m imp", ["1:22 -m imp"]),
        ("poetry run python -m imp", ["1:12 -m imp"]),
        ('echo "in $(python -m imp)"', ["1:12 -m imp"]),
        ("$PYTHON -m imp; ${PYTHON:-python3} -m cgi", ["1:1 -m imp", "1:17 -m cgi"]),
        ("\t$(PYTHON) -m imp", ["1:2 -m imp"]),
        ('  command: "python -m smtpd"', ["1:13 -m smtpd"]),
        ("# python -c 'print(1)\npython -m asyncore\n# don't", ["2:1 -m asyncore"]),
        ('python -c "import imp; print($(date +%s))"', ["1:1 import imp; print(expanded)"]),
        ("python -X pycache_prefix=/tmp/x -m imp", ["1:1 -m imp"]),
        ("\t$(VENV)/bin/python -m imp", ["1:2 -m imp"]),
        ('exec "$VENV/bin/python" -m imp; "$PYTHON" -m cgi', ["1:7 -m imp", "1:34 -m cgi"]),
        ('RUN python -c "import imp" && echo fine', ["1:5 import imp"]),
        ('if [ "$1" = mail ]; then exec python -m smtpd; fi', ["1:31 -m smtpd"]),
        ("mail) exec python -m smtpd ;;", ["1:12 -m smtpd"]),
        ("ddtrace-run python -m imp", ["1:13 -m imp"]),
        ("sudo -u app timeout -k 5 30 python -m imp", ["1:29 -m imp"]),
        ("RUN a && \\\n    python -m imp", ["2:5 -m imp"]),
        ('CMD ["sh", "-c", "python -c \\"import imp\\" && x"]', ["1:19 import imp"]),
        ("command:\n  - python3\n  - -m\n  - smtpd\n", ["2:5 -m smtpd"]),
        ('args:\n- "python"\n- "-c"\n- "import imp"\n', ["2:4 import imp"]),
        ("  - python\n  - -c\n  - import imp # x\n  - b\n", ["1:5 import imp"]),
        ("  - python\n  - -c\n  - |\n    import imp\n\n    print(1)\n  a: b\n", ["1:5 import imp\n\nprint(1)\n"]),
        ("  - python\n  - -c\n  - >-\n    import imp;\n    print(1)\n", ["1:5 import imp; print(1) "]),
        ("command: [python, -c, import imp, b]", ["1:11 import imp"]),
        ('MODULE=${NAME:-smtpd}\nexec timeout 1 python -m "$MODULE" -n', ["2:16 -m smtpd"]),
        ("python -m ${MODULE:-smtpd}", ["1:1 -m smtpd"]),
        ("PY=${PYTHON:-python}\n\"$PY\" -c 'import imp'\nexec ${PY} -m cgi", ["2:2 import imp", "3:6 -m cgi"]),
        ("PY ?= python3\nrun:\n\t$(PY) -m imp", ["3:2 -m imp"]),
    ],
)
def test_commands_that_run_python(text: str, commands: list[str]) -> None:
    assert [shown(command) for command in read_python_commands(text)] == commands


@pytest.mark.parametrize(
    "text",
    [
        "python main.py -m smtpd",
        "ipython -m imp",
        "python2 -c 'import imp'",
        "# python -c 'import imp'",
        'echo "run: python -m smtpd"',
        "LABEL usage='python -m smtpd'",
        "python -c 'import imp' || true",
        "python -c 'import imp' 2>/dev/null \\\n  || echo no",
        "if python -c 'import imp'; then exit 1; fi",
        "! python -c 'import imp'",
        "python -c 'import imp",
        "python <<EOF\nimport imp\n",
        "python -c 'import imp' >/dev/null 2>&1 || pip install x",
        "HAS=$(python -c 'import imp' 2>/dev/null && echo 1 || echo 0)",
        "python -c 'import imp' && HAS=1 || HAS=0",
        "HAS := $(shell python -c 'import imp' && echo yes)",
        "if python -c 'a; b' && python -c 'import imp'; then",
        "\t-@python -c 'import imp'",
        "cat <<EOF\nusage:\npython -m smtpd\nEOF\n",
        "define HELP\npython -m smtpd\nendef",
        'pgrep -f "python -m smtpd"',
        'log "now python -m smtpd"',
        'echo "to start; python -m smtpd"',
        "ENV HELP='python -m smtpd'",
        "sed -i 's/x/python -m smtpd/' a",
        "docker run --rm -it python:3.9 \\\n    python -m smtpd",
        "if command -v python3 >/dev/null &&\n  python3 -c 'import imp' 2>/dev/null; then",
        'usage() { echo "\nUsage:\n  python -m smtpd\n"; }',
        'USAGE="\n  python -m smtpd\n"',
        "python3 -c 'import imp' >/dev/null 2>&1\nif [ $? -ne 0 ]; then pip install x; fi",
        "python3 - <<'PY' || echo skipped\nimport imp\nPY\n",
        "python -c 'import imp' 2>/dev/null && return 0",
        "python -m $MODULE",
        "MODULE=imp\nMODULE=cgi\npython -m $MODULE",
        "MODULE=../x\npython -m $MODULE",
        "PY=ruby\n$PY -m imp",
        "$PY -m imp",
        "- sh\n- -c\n- import imp\n",
    ],
)
def test_text_that_runs_no_python_or_whose_failure_is_expected(text: str) -> None:
    assert read_python_commands(text) == ()


@given(st.text(alphabet="python -cm=:$PY{}()\n\"'|>[], ", max_size=200))
def test_no_variable_or_list_makes_it_raise(text: str) -> None:
    for command in read_python_commands(text):
        assert not (command.module and command.code)


@given(st.text(alphabet="python -cmuW'\"<EOF\n\\$[],;|#/3.", max_size=200))
def test_no_text_makes_it_raise_and_places_are_those_of_commands(text: str) -> None:
    lines = text.split("\n")

    for command in read_python_commands(text):
        assert "python" in lines[command.line - 1][command.column - 1 :]
        assert not (command.module and command.code)


@pytest.mark.parametrize(
    "line",
    [
        "RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,source=a,target=b xvfb-run python -m imp",
        "-" * 5_000 + " x python -m imp",
        "define x\n" * 20_000 + "python -m imp",
        'echo "' * 20_000 + "python -m imp",
    ],
)
def test_words_in_front_of_a_command_take_no_time(line: str) -> None:
    """Each of these lines once took seconds to minutes."""
    assert len(read_python_commands(line)) <= 1


@pytest.mark.parametrize("part", ["python <<EOF\n", "python \\\n", "python -W", "a/", "python -u "])
def test_long_text_without_an_end_has_no_commands(part: str) -> None:
    """A search for the end from each of these places would take minutes."""
    assert read_python_commands(part * 40_000) == ()
