"""Find the member of a uv workspace that has a name.

https://docs.astral.sh/uv/concepts/projects/workspaces/
"""

from itertools import islice

from packaging.utils import canonicalize_name

from pytest_py312.repository.formats.toml import read_toml, strings_in
from pytest_py312.repository.tree import Tree, join_path, matching_folders, with_outer_folders

MEMBER_LIMIT = 200
"""Maximum number of members of a workspace that are read."""
_PATTERN_LIMIT = 50


def workspace_member(tree: Tree, folder: str, name: str) -> str | None:
    """Return the folder of the project ``name`` in the workspace of ``folder``; ``None`` if there is none.

    ``folder`` may be the root of the workspace, or one of its members.
    """
    wanted = canonicalize_name(name)
    for root in with_outer_folders(folder):
        toml = read_toml(tree.read_or_none(join_path(root, "pyproject.toml")) or "")
        if root != folder and not toml.table("tool", "uv", "workspace"):
            continue
        patterns = strings_in(toml.value("tool", "uv", "workspace", "members"))[:_PATTERN_LIMIT]
        members = (member for pattern in patterns for member in matching_folders(tree, root, pattern, MEMBER_LIMIT))
        for member in (root, *islice(members, MEMBER_LIMIT)):
            project = read_toml(tree.read_or_none(join_path(member, "pyproject.toml")) or "").table("project")
            if canonicalize_name(str(project.get("name", ""))) == wanted:
                return member
    return None
