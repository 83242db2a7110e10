"""Versions of the contract between the platform and those who store with it."""

from pkg_resources import parse_version

PUBLISHED = ("1.0", "1.2", "1.10", "2.0rc1")


def newest(published=PUBLISHED):
    """The newest version that is final."""
    final = [version for version in published if not parse_version(version).is_prerelease]
    return max(final, key=parse_version)


def accepted(offered, oldest="1.2"):
    """Whether a client with the contract ``offered`` may still write."""
    return offered in PUBLISHED and parse_version(offered) >= parse_version(oldest)
