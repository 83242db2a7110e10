"""Python in templates of AWS SAM and CloudFormation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.repository.formats.functions.serverless import has_inline_code, read_inline_code

SAM = """
Resources:
  Rotate:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      InlineCode: |
        import imp
        def handler(event, context): ...
"""
CODE = "import imp\ndef handler(event, context): ...\n"
CLOUD_FORMATION = """
Resources:
  Rotate:
    Properties:
      Runtime: "python3.9"
      Code:
        ZipFile: !Sub |
          import imp
          def handler(event, context): ...
  Other:
    Properties:
      Code: {S3Bucket: a}
"""
GLOBALS = SAM.replace("      Runtime: python3.11\n", "") + "Globals: {Function: {Runtime: python3.9}}\n"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (SAM, [(8, CODE)]),
        (CLOUD_FORMATION, [(8, CODE)]),
        (GLOBALS, [(7, CODE)]),
        (SAM.replace("python3.11", "nodejs20.x"), []),
        (SAM.replace("python3.11", "python2.7"), []),
        ("Resources: {A: {Properties: {InlineCode: [", []),
    ],
)
def test_the_code_of_functions_with_its_line(text: str, codes: list[tuple[int, str]]) -> None:
    assert [(command.line, command.code) for command in read_inline_code(text)] == codes


def test_few_templates_have_code() -> None:
    assert has_inline_code(SAM)
    assert has_inline_code(CLOUD_FORMATION)
    assert not has_inline_code("Resources:\n  A: {}\n")


@given(st.text(max_size=200))
def test_no_template_makes_it_raise(text: str) -> None:
    list(read_inline_code(text))
    list(read_inline_code(f"Resources:\n  A:\n    Properties:\n      Runtime: python3.9\n      InlineCode: {text}\n"))
