"""Self-contained HTML pages about a rollout: no other files, no network, no scripts. Templates escape all texts."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_py312.core import html_page

TEMPLATE_FOLDER = Path(__file__).parent / "page"
_PLACEHOLDER_DIGEST = "0" * 64


def evidence_page(document: Mapping[str, Any], digest: str) -> str:
    """Render the document of :mod:`.evidence`. The page contains its own digest; see :func:`digest_of_page`.

    :param digest: SHA-256 of the document's file.
    """
    page = _render("evidence.html.j2", e=document, digest=digest, own=_PLACEHOLDER_DIGEST)
    return page.replace(_PLACEHOLDER_DIGEST, digest_of_page(page, _PLACEHOLDER_DIGEST), 1)


def live_page(**facts: Any) -> str:
    """Render the page of a monitored stage; see :mod:`~pytest_py312.rollout.live.live_page`."""
    return _render("live.html.j2", **facts)


def digest_of_page(page: str, named_digest: str) -> str:
    """Return the SHA-256 of a page with ``named_digest``, its own digest, replaced with zeros."""
    return hashlib.sha256(page.replace(named_digest, _PLACEHOLDER_DIGEST, 1).encode("utf-8", "replace")).hexdigest()


def _render(name: str, **facts: Any) -> str:
    from markupsafe import Markup

    style = html_page.stylesheet() + (TEMPLATE_FOLDER / "rollout.css").read_text(encoding="utf-8")
    template = html_page.load_template(TEMPLATE_FOLDER / name)
    return template.render(style=Markup(style), policy=html_page.content_security_policy(style), **facts)
