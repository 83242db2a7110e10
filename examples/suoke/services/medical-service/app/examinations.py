"""Gathers the signs that the four diagnostic services have found."""

from app import settings

SERVICES = {
    "inquiry": settings.INQUIRY_SERVICE_URL,
    "listen": settings.LISTEN_SERVICE_URL,
    "look": settings.LOOK_SERVICE_URL,
    "palpation": settings.PALPATION_SERVICE_URL,
}


def gather(patient, transport, services=None):
    """All signs, sorted, and the names of services that could not be asked."""
    signs, silent = set(), []
    for name, base_url in (services or SERVICES).items():
        try:
            signs.update(transport("GET", "{}/{}/signs".format(base_url, patient))["signs"])
        except OSError:
            silent.append(name)
    return sorted(signs), silent
