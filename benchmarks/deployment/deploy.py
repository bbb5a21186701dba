"""The deployment for pyinfra; what it is about comes from set.json. Run by pyinfra's own interpreter."""

import json
from pathlib import Path

from pyinfra import host  # type: ignore[import-not-found]
from pyinfra.operations import apt, files, systemd  # type: ignore[import-not-found]

HERE = Path(__file__).parent
WANTED: dict[str, list[str]] = json.loads((HERE / "set.json").read_text())

apt.packages(name="Packages", packages=WANTED["packages"])
files.directory(name="Folder", path="/etc/benchmark-pyinfra", mode="755")
for item in WANTED["files"]:
    files.template(
        name=f"File {item}",
        src=str(HERE / "settings.conf.j2"),
        dest=f"/etc/benchmark-pyinfra/{item}.conf",
        mode="644",
        item=item,
        inventory_hostname=host.name,
    )
for service in WANTED["services"]:
    systemd.service(name=f"Service {service}", service=service, enabled=True, running=True)
