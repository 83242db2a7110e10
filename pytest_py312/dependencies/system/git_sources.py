"""Sources from git whose metadata only a build reveals: their commit, and the place in uv's cache that waits for them.

uv takes no ``dependency-metadata`` for a source from git. It looks into its cache first, where it has made a folder by
the digest of the URL as it was written and by commit: ``sdists-v11/git/e57c86552c8f20ca/153f17428dae795f``.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pytest_py312.core.files import write_atomically

GIT_MARK = " @ git+"
"""In what uv calls a source from git."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedGitSource:
    """A source at its commit, which uv finds without the network once it is in a cache.

    ``folder`` is where uv waits for its metadata, relative to the cache.
    """

    line: str
    folder: Path


def pin_git_source(source: str, cache: Path) -> PinnedGitSource | None:
    """Return ``source`` at the commit that uv has just fetched into ``cache``, which has nothing else from git.

    No foreign code may have run there. ``None`` if uv has left something else than is known of it.
    """
    folders = [folder for folder in cache.glob("sdists-*/git/*/*") if folder.is_dir()]
    heads = list(cache.glob("git-*/checkouts/*/*/.git/HEAD"))
    if len(folders) != 1 or len(heads) != 1:
        return None
    with suppress(OSError, ValueError):  # unreadable, or no URL
        commit = _commit_of(heads[0])
        if _COMMIT.fullmatch(commit) and commit.startswith(folders[0].name):
            return PinnedGitSource(line=_at_commit(source, commit), folder=folders[0].relative_to(cache))
    return None


def _commit_of(head: Path) -> str:
    """Return the commit that a fresh checkout is at, by its ``HEAD``."""
    text = head.read_text(encoding="ascii").strip()
    if not text.startswith("ref: refs/heads/") or ".." in text:
        return text
    return (head.parent / text.removeprefix("ref: ")).read_text(encoding="ascii").strip()


def _at_commit(source: str, commit: str) -> str:
    name, mark, url = source.partition(GIT_MARK)
    parts = urlsplit(url)
    repository = parts.path.rpartition("@")[0] or parts.path
    return f"{name}{mark}{urlunsplit(parts._replace(path=f'{repository}@{commit}'))}"


def give_metadata_to_uv(content: bytes, source: PinnedGitSource, cache: Path) -> None:
    """Put checked metadata where uv waits for them in a cache. If that fails, uv asks for a build again."""
    file = cache / source.folder / "metadata.msgpack"
    if file.parent.is_dir() and not file.exists():
        with suppress(OSError):
            write_atomically(file, content)
