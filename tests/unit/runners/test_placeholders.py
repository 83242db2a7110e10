"""Which variables an import lacked, from the end of its traceback, and what they are set to."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_py312.runners.placeholders import missing_variables, placeholder_of, variables_without_default

FRAME = 'Traceback (most recent call last):\n  File "/scratch/repository/svc/app.py", line 3, in <module>\n'
OF_3_9 = '  File "/usr/lib/python3.9/os.py", line 679, in __getitem__\n    raise KeyError(key) from None\n'
OF_3_12 = '  File "<frozen os>", line 685, in __getitem__\n'


@pytest.mark.parametrize(
    ("detail", "names"),
    [
        (f"{FRAME}    A = os.environ['MINIO_ENDPOINT']\n{OF_3_9}KeyError: 'MINIO_ENDPOINT'", ["MINIO_ENDPOINT"]),
        (f"{FRAME}    A = os.environ['db_host']\n{OF_3_12}KeyError: 'db_host'", ["db_host"]),
        (f"{FRAME}    a = table['db_host']\nKeyError: 'db_host'", []),
        ("django.core.exceptions.ImproperlyConfigured: Set the DATABASE_URL environment variable", ["DATABASE_URL"]),
        ("decouple.UndefinedValueError: API_KEY not found. Declare it as envvar or define a default.", ["API_KEY"]),
        ("KeyError: \"Config 'DEBUG' is missing, and has no default.\"", ["DEBUG"]),
        ('environs.EnvError: Environment variable "TOKEN" not set', ["TOKEN"]),
        ("RuntimeError: STRIPE_API_KEY must be set", ["STRIPE_API_KEY"]),
        ("botocore.exceptions.NoRegionError: You must specify a region.", ["AWS_DEFAULT_REGION", "AWS_REGION"]),
        (
            "pydantic.error_wrappers.ValidationError: 2 validation errors for Settings\ndb_uri\n"
            "  field required (type=value_error.missing)\nport\n  field required (type=value_error.missing)",
            ["DB_URI", "PORT"],
        ),
        (
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\ndb_uri\n"
            "  Field required [type=missing, input_value={}, input_type=dict]\n    For further information visit x",
            ["DB_URI"],
        ),
        (
            f'{FRAME}    A = "s3://" + os.getenv("BUCKET")\nTypeError: can only concatenate str (not "NoneType")',
            ["BUCKET"],
        ),
        ("ModuleNotFoundError: No module named 'MY_MODULE'", []),
        (f"{FRAME}{OF_3_12}KeyError: 'PYTHONPATH'", []),
        (f"{FRAME}{OF_3_12}KeyError: 'DJANGO_SETTINGS_MODULE'", []),
        ("", []),
    ],
)
def test_what_an_import_lacks(detail: str, names: list[str]) -> None:
    assert list(missing_variables(detail)) == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_REGION", "us-east-1"),
        ("ADF_LOG_LEVEL", "INFO"),
        ("DATABASE_URL", "postgresql://localhost:1/placeholder"),
        ("REDIS_URL", "redis://localhost:1/0"),
        ("USER_SERVICE_URL", "http://localhost:1"),
        ("db_host", "localhost"),
        ("REDIS_HOST", "localhost"),
        ("REDIS_PORT", "1"),
        ("PROMETHEUS_MULTIPROC_DIR", "/tmp"),
    ],
)
def test_the_value_fits_the_name(name: str, value: str) -> None:
    assert placeholder_of(name) == value


@given(
    st.lists(
        st.sampled_from(
            [
                "KeyError: 'A_B'",
                "Set the ",
                "A_B",
                " environment variable",
                "\n",
                "  field required [type=missing",
                "\0",
                "é",
            ]
        )
        | st.text(max_size=5)
    ).map("".join)
)
def test_any_text_is_read(detail: str) -> None:
    assert all(name.isidentifier() and name.isascii() for name in missing_variables(detail))


@pytest.mark.parametrize(
    ("last_line", "names"),
    [
        ("TypeError: 'NoneType' object is not iterable", ("DB_URL", "DB_USER")),
        ("AttributeError: 'NoneType' object has no attribute 'split'", ("DB_URL", "DB_USER")),
        ("TypeError: 'int' object is not iterable", ()),
    ],
)
def test_a_variable_may_be_used_further_down_in_its_file(
    tmp_path: Path, last_line: str, names: tuple[str, ...]
) -> None:
    """A library raises the error, and the frame of the service is that of the use."""
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc/app.py").write_text(
        'URL = os.getenv("DB_URL")\nUSER = os.environ.get("DB_USER")\nNAME = os.getenv("NAME", "x")\n'
        'PATH = os.getenv("PYTHONPATH")\nif os.getenv("TESTING"): pass\nclient = Client(hosts=URL)\n',
        encoding="ascii",
    )
    detail = f'{FRAME}    client = Client(hosts=URL)\n  File "arango/client.py", line 70, in __init__\n{last_line}\n'
    assert variables_without_default(detail, tmp_path) == names


def test_a_variable_that_is_read_as_json_has_json(tmp_path: Path) -> None:
    """Also one that is named like the path of a file."""
    (tmp_path / "svc").mkdir()
    text = "CONFIG = json.loads(os.getenv('CONFIG'))\nOTHER = loads(environ.get('OTHER'))\nURL = os.getenv('DB_URL')\n"
    (tmp_path / "svc/app.py").write_text(text, encoding="ascii")
    detail = f"{FRAME}    CONFIG\nTypeError: the JSON object must be str, bytes or bytearray, not NoneType\n"
    assert variables_without_default(detail, tmp_path) == ("CONFIG", "OTHER")
    assert [placeholder_of("CONFIG", detail), placeholder_of("CONFIG", "KeyError: 'CONFIG'")] == ["{}", "1"]


@pytest.mark.parametrize("path", ["svc/app.py", "../app.py", "link.py", "loop.py", "a\0.py", "\ud800.py"])
def test_no_file_outside_of_the_repository_is_read_for_variables(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "app.py").write_text('A = os.getenv("SECRET")\n', encoding="ascii")
    (root / "link.py").symlink_to(tmp_path / "app.py")
    (root / "loop.py").symlink_to(root / "loop.py")
    detail = f"  File \"/scratch/repository/{path}\", line 3, in f\nTypeError: 'NoneType' object is not iterable\n"
    assert variables_without_default(detail, root) == ()
