"""Python in Dockerfiles, scripts of a shell and Cython, as a program that the scanner reads."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.analysis.files.embedded_python import embedded_python, may_embed_python
from pytest_py312.analysis.scanner.scan import scan_text


def modules(text: str, name: str) -> list[tuple[str, int, int]]:
    """The standard modules that a file uses, with line and column."""
    facts = scan_text(embedded_python(text, name), name)
    assert facts.failure is None
    return [(reference.module, reference.line, reference.column) for reference in facts.references]


@pytest.mark.parametrize(
    ("name", "text", "uses"),
    [
        ("Dockerfile", "FROM python:3.9\nRUN python -c 'import imp'\n", [("imp", 2, 5)]),
        ("Dockerfile", 'FROM python:3.9\nCMD ["python", "-m", "smtpd"]\n', [("smtpd", 2, 7)]),
        ("start.sh", "python -m asyncore\n", [("asyncore", 1, 1)]),
        ("start.sh", " python -m asyncore\n", [("asyncore", 1, 1)]),
        ("Makefile", "run:\n\tpython -m imp\n", [("imp", 2, 1)]),
        ("Makefile", "run:\n\t@python -m imp\n", [("imp", 2, 3)]),
        ("Procfile", "web: python <<EOF\n  import cgi\n  import imp\nEOF\n", [("cgi", 1, 6), ("imp", 1, 6)]),
        ("docker-compose.yml", "services:\n  mail:\n    command: python -m smtpd\n", [("smtpd", 3, 14)]),
        ("start.sh", "python -m gunicorn app\npython -c 'print '\n", []),
        ("Dockerfile", "FROM node:16 AS js\nRUN python3 -m imp\nFROM python:3.9\nRUN python -m cgi\n", [("cgi", 4, 5)]),
        ("Dockerfile", "FROM python:2.7\nRUN python -m imp\nFROM python:3.9\nRUN python -m cgi\n", [("cgi", 4, 5)]),
        ("Dockerfile", "ARG V\nFROM python:$V\nRUN python -m imp\n", [("imp", 3, 5)]),
        ("Dockerfile", 'FROM python:3.9\nCMD ["python", "-c", "x = 1\\nimport imp"]\n', [("imp", 2, 7)]),
        ("supervisord.conf", "[program:mail]\ncommand=python -m smtpd\n", [("smtpd", 2, 9)]),
        ("start.sh", "python3.7 -m smtpd\npython3.12 -m aiosmtpd\npython -m imp\n", [("imp", 3, 1)]),
        ("start.sh", "python -c 'import imp; print(!)'\n", [("imp", 1, 1)]),
        ("start.sh", 'python -c "import $pkg; import imp"\n', [("imp", 1, 1)]),
        ("job.yaml", "kind: J\n  containers:\n  - command:\n    - python\n    - -m\n    - smtpd\n", [("smtpd", 4, 7)]),
        ("values.yaml", "command: python -m smtpd\n", []),
        ("job.yaml", "kind: J\ncontainers:\n- exec:\n  - python\n  - -c\n  - |\n    import imp\n", [("imp", 4, 5)]),
        ("crontab", "# x\n0 3 * * * root python -c 'import imp'\n", [("imp", 2, 16)]),
        ("etc/cron.d/purge", "0 3 * * * root python -m smtpd\n", [("smtpd", 1, 16)]),
        ("crontab", "python -m smtpd\n", []),
        ("k8s/a.yaml", "kind: ConfigMap\ndata:\n  settings.py: |\n    import imp\n", [("imp", 4, 5)]),
        ("k8s/a.yaml", "kind: ConfigMap\ndata:\n  'a.py': |-\n    a = 1\n\n    import imp\n  b: x\n", [("imp", 4, 5)]),
        ("k8s/a.yaml", "kind: ConfigMap\ndata:\n  a.sh: |\n    exec python -m smtpd\n", [("smtpd", 4, 10)]),
        ("k8s/a.yaml", "kind: ConfigMap\ndata:\n  a.txt: |\n    import imp\n", []),
        ("k8s/a.yaml", "kind: Secret\ndata:\n  a.py: |\n    import imp\n", []),
        ("template.yaml", "Resources:\n  A:\n    Properties:\n      Runtime: python3.9\n      InlineCode: |\n"
         "        import imp\n", [("imp", 6, 1)]),
        ("fast.pyx", '"""\nimport asyncore\n"""\nimport imp\n', [("imp", 4, 8)]),
        ("fast.pyx", "cimport cython\nimport imp\nfrom distutils import log as a, util # x\n", [
            ("imp", 2, 8), ("distutils", 3, 6), ("distutils", 3, 23), ("distutils", 3, 33),
        ]),
        ("fast.pyx", "import numpy\nif x:\n    import imp\nfrom imp import (\n    a)\n", []),
    ],
)  # fmt: skip
def test_the_standard_modules_that_a_file_uses(name: str, text: str, uses: list[tuple[str, int, int]]) -> None:
    assert may_embed_python(name)
    assert modules(text, name) == uses


def test_several_commands_on_a_line() -> None:
    uses = modules("RUN python -m imp && python -c 'import cgi' && python -m smtpd\n", "Dockerfile")

    assert [(module, line) for module, line, _ in uses] == [("imp", 1), ("cgi", 1), ("smtpd", 1)]


@pytest.mark.parametrize("name", ["main.py", "notes.md", "Dockerfile.md", "start.py", "manage"])
def test_other_files_have_none(name: str) -> None:
    assert not may_embed_python(name)


def test_a_file_without_python_is_empty() -> None:
    assert embedded_python("FROM python:3.9\nRUN pip install flask\n", "Dockerfile") == ""


@given(
    text=st.text(alphabet="python -cmuW'\"<EOF\n\\$[],;|#/3.import", max_size=200),
    name=st.sampled_from(["Dockerfile", "start.sh", "fast.pyx"]),
)
def test_any_text_becomes_a_program_no_longer_than_itself(text: str, name: str) -> None:
    program = embedded_python(text, name)

    ast.parse(program)
    assert program.count("\n") <= len(text.splitlines())
