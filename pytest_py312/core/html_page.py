"""What all pages share that stand alone: their style, their policy, and templates that escape all they are given."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.text import counted, prose

if TYPE_CHECKING:
    from jinja2 import Template

FOLDER = Path(__file__).parent / "page"


def style() -> str:
    """The style sheet."""
    return (FOLDER / "page.css").read_text(encoding="utf-8")


@cache
def template(file: Path) -> "Template":
    """A template that escapes all that it is given, and refuses what it is not given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # only pages need it

    environment = Environment(
        loader=FileSystemLoader([file.parent, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["counted"] = counted
    environment.filters["prose"] = lambda value: prose(str(value))
    return environment.get_template(file.name)


def policy(styles: str, script: str = "") -> str:
    """Nothing is loaded; of styles and scripts, these and no others are obeyed."""
    scripts = f"'{_digest(script)}'" if script else "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",  # the empty icon, which keeps browsers from asking for one
            f"style-src '{_digest(styles)}'",
            f"script-src {scripts}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
