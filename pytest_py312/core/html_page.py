"""Shared parts of all standalone HTML pages: style sheet, content security policy, and escaping templates."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_py312.core.text import escape_terminal, pluralize

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

_LONG_WORD = 20
_BREAK = re.compile(r"(?<=[./_=,:-])(?=\w)|(?<=[a-z])(?=[A-Z])")
"""Where a name may be broken: behind a separator, and between the words of ``CamelCase``."""
PAGE_FOLDER = Path(__file__).parent / "page"


def stylesheet() -> str:
    """Return ``page.css``, which all pages share."""
    return (PAGE_FOLDER / "page.css").read_text(encoding="utf-8")


@cache
def load_template(file: Path) -> "Template":
    """Load a template that escapes every value and fails on missing ones."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # imported late: only pages need it

    environment = Environment(
        loader=FileSystemLoader([file.parent, PAGE_FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pluralize"] = pluralize
    environment.filters["escape_terminal"] = lambda value: escape_terminal(str(value))
    environment.filters["breakable"] = breakable
    return environment.get_template(file.name)


def breakable(text: str) -> "Markup":
    """Return a text whose long words may be broken at their dots, slashes and the like, rather than anywhere."""
    from markupsafe import Markup, escape

    words = (_BREAK.split(word) if len(word) > _LONG_WORD else [word] for word in re.split(r"( )", text))
    return Markup("").join(Markup("<wbr>").join(map(escape, pieces)) for pieces in words)


def render_page(template: Path, style: Path, **facts: object) -> str:
    """Return a page without scripts; ``style`` is a file that adds to the style sheet of all pages."""
    from markupsafe import Markup

    styles = stylesheet() + style.read_text(encoding="utf-8")
    return load_template(template).render(style=Markup(styles), policy=content_security_policy(styles), **facts)


def content_security_policy(style: str, script: str = "") -> str:
    """Return a policy that loads nothing and allows exactly this style element and this script element."""
    script_source = f"'{_csp_hash(script)}'" if script else "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",  # an empty icon, so that browsers do not request one
            f"style-src '{_csp_hash(style)}'",
            f"script-src {script_source}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _csp_hash(text: str) -> str:
    """Return the source expression of an inline element with this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
