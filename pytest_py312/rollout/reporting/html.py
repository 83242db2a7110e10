"""Pages about a rollout that stand alone: no other file, no network, no script. Templates escape all texts."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_py312.core import html_page

FOLDER = Path(__file__).parent / "page"
_NO_DIGEST = "0" * 64


def evidence_page(document: Mapping[str, Any], digest: str) -> str:
    """The document of :mod:`.evidence` for people. It names its own digest as well; see :func:`own_digest`.

    :param digest: SHA-256 of the document's file.
    """
    page = _page("evidence.html.j2", e=document, digest=digest, own=_NO_DIGEST)
    return page.replace(_NO_DIGEST, own_digest(page, _NO_DIGEST), 1)


def live_page(**facts: Any) -> str:
    """A stage that is watched; see :mod:`~pytest_py312.rollout.live.live_page`."""
    return _page("live.html.j2", **facts)


def own_digest(page: str, named: str) -> str:
    """SHA-256 of a page, with zeros in the place where the digest stands that it ``named``."""
    return hashlib.sha256(page.replace(named, _NO_DIGEST, 1).encode("utf-8", "replace")).hexdigest()


def _page(name: str, **facts: Any) -> str:
    from markupsafe import Markup

    style = html_page.style() + (FOLDER / "rollout.css").read_text(encoding="utf-8")
    made = html_page.template(FOLDER / name)
    return made.render(style=Markup(style), policy=html_page.policy(style), **facts)
