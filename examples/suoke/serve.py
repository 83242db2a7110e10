"""The fleet on the Docker engine at hand, to try its rollout on.

python serve.py build     # an image of each service for today's Python and for 3.12; needs the network
python serve.py start     # all services, on today's Python
python serve.py stop      # takes them away, with whatever was deployed since
"""

import re
import subprocess
import sys
from pathlib import Path

SERVICES = Path(__file__).parent / "services"
TARGET = "3.12"
NETWORK = "suoke"


def services():
    """Name -> (folder, text of its Dockerfile)."""
    found = {}
    for file in sorted(SERVICES.glob("**/Dockerfile")):
        folder = next(above for above in file.parents if (above / "requirements.txt").is_file())
        found[folder.name] = (folder, file.read_text(encoding="utf-8"))
    return found


def today_of(dockerfile):
    return re.search(r"^FROM python:(\d+\.\d+)", dockerfile, re.MULTILINE)[1]


def docker(*words, text=None, check=True):
    print("docker", *words, flush=True)
    return subprocess.run(["docker", *words], input=text, text=True, check=check).returncode == 0


def build():
    missing = []
    for name, (folder, dockerfile) in services().items():
        today = today_of(dockerfile)
        for python in (today, TARGET):
            moved = dockerfile.replace(f"python:{today}", f"python:{python}").replace(
                f"python{today}", f"python{python}"
            )
            image = f"suoke/{name}:py{python}"
            if not docker("build", "-q", "-t", image, "-f", "-", str(folder), text=moved, check=False):
                missing.append(image)
    if missing:
        print("could not be built:", *missing)


def start():
    docker("network", "create", NETWORK, check=False)
    for name, (_, dockerfile) in services().items():
        image = f"suoke/{name}:py{today_of(dockerfile)}"
        # health is asked by whoever deploys, in less than the half minute that the images' own checks take
        docker("run", "-d", "--name", name, "--network", NETWORK, "--no-healthcheck", "--stop-signal", "SIGINT", image)


def stop():
    listed = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"network={NETWORK}"], capture_output=True, text=True, check=True
    )
    if listed.stdout.split():
        docker("rm", "-f", *listed.stdout.split())
    docker("network", "rm", NETWORK, check=False)


if __name__ == "__main__":
    commands = {"build": build, "start": start, "stop": stop}
    if sys.argv[1:2] == [] or sys.argv[1] not in commands:
        raise SystemExit(__doc__)
    commands[sys.argv[1]]()
