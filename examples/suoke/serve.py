"""Run the fleet on a Docker engine, to try its rollout.

python serve.py build     # an image of each service for its current Python and for 3.12; needs the network
python serve.py start     # all services, on their current Python
python serve.py stop      # remove them, and everything that was deployed since

Names of services after `build` and `start` restrict them to these.
"""

import re
import subprocess
import sys
from pathlib import Path

SERVICES = Path(__file__).parent / "services"
TARGET = "3.12"
NETWORK = "suoke"


def services(names):
    """Return the services of these names, or all: name -> (folder, text of its Dockerfile)."""
    by_name = {}
    for file in sorted(SERVICES.glob("**/Dockerfile")):
        folder = next(parent for parent in file.parents if (parent / "requirements.txt").is_file())
        by_name[folder.name] = (folder, file.read_text(encoding="utf-8"))
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SystemExit(f"there is no service {', '.join(unknown)}; there are {', '.join(by_name)}")
    return {name: by_name[name] for name in names or by_name}


def current_python(dockerfile):
    return re.search(r"^FROM python:(\d+\.\d+)", dockerfile, re.MULTILINE)[1]


def docker(*words, text=None, check=True):
    print("docker", *words, flush=True)
    return subprocess.run(["docker", *words], input=text, text=True, check=check).returncode == 0


def build(*names):
    failed = []
    for name, (folder, dockerfile) in services(names).items():
        current = current_python(dockerfile)
        for python in (current, TARGET):
            text = dockerfile.replace(f"python:{current}", f"python:{python}").replace(
                f"python{current}", f"python{python}"
            )
            image = f"suoke/{name}:py{python}"
            if not docker("build", "-q", "-t", image, "-f", "-", str(folder), text=text, check=False):
                failed.append(image)
    if failed:
        print("could not be built:", *failed)


def start(*names):
    chosen = services(names)
    docker("network", "create", NETWORK, check=False)
    for name, (_, dockerfile) in chosen.items():
        image = f"suoke/{name}:py{current_python(dockerfile)}"
        # the rollout probes the health itself; the images' own checks would take half a minute
        docker("run", "-d", "--name", name, "--network", NETWORK, "--no-healthcheck", "--stop-signal", "SIGINT", image)


def stop():
    containers = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"network={NETWORK}"], capture_output=True, text=True, check=True
    )
    if containers.stdout.split():
        docker("rm", "-f", *containers.stdout.split())
    docker("network", "rm", NETWORK, check=False)


if __name__ == "__main__":
    commands = {"build": build, "start": start, "stop": stop}
    if sys.argv[1:2] == [] or sys.argv[1] not in commands:
        raise SystemExit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
