"""Which test files in a folder above several services belong to which of them."""

import pytest

from pytest_py312.repository.services.detection.suites_above import names_folder


@pytest.mark.parametrize(
    "text",
    [
        "import orders",
        "import six, orders.app as app",
        "from orders.app import handler",
        "from .. import orders",
        "sys.path.insert(0, './orders')",
        "run(['python', 'orders/app.py'])",
        "sys.path.append(os.path.join(HERE, '..', 'orders'))",
        "APP = Path(__file__).parents[1] / 'orders' / 'app.py'",
    ],
)
def test_imports_and_paths_name_a_folder(text: str) -> None:
    assert names_folder(text, "orders")


@pytest.mark.parametrize(
    "text",
    [
        "def test_users():\n    orders = []\n    assert not orders",
        "import users  # not orders",
        '"""As in orders."""',
        "client.get('/orders')",
        "assert body == {'orders': []}",
        "', '.join(['orders'])",
        "KEY = ForeignKey('orders.id')",
        "import orders_of_users",
        "import orders\nprint 1",
        "import orders\0",
    ],
)
def test_other_words_name_none(text: str) -> None:
    """Variables, comments, documentation, URLs and data; and what is no Python."""
    assert not names_folder(text, "orders")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from src import orders", True),
        ("from src.orders.app import handler", True),
        ("with patch('src.orders.app.boto3'): pass", True),
        ("subprocess.run('cd src/orders && make', shell=True)", True),
        ("os.path.join(HERE, '../src', 'orders')", True),
        ("ROOT / 'src/orders'", True),
        ("import src.orders_old", False),
        ("# like src/orders", False),
        ("import orders", False),
        ("import src.users", False),
    ],
)
def test_a_folder_in_a_folder(text: str, expected: bool) -> None:
    assert names_folder(text, "src/orders") is expected
