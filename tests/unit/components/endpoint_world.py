"""`kube-endpoint` run for real, with a curl and an nginx that do as the test says."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kbootstrap.components.endpoint import Program, Servers
from kbootstrap.render.renderer import render

A, B, C = "198.18.0.11", "198.18.0.12", "198.18.0.13"
PORT = 6443

CURL = """\
#!/bin/bash
# Says of each address what the file of its name says (a code and an error), once the delay is over; before that the
# lines of a file `ADDRESS.first`, each one time. One with a file `ADDRESS.ends` says no only because it ends.
cd {folder}/answers && echo "$*" >>../asked
for word; do
  [[ $word == https://* ]] || continue
  address=${{word#https://}} address=${{address%%:*}}
  said=$(<"$address")
  [[ ! -s $address.first ]] || {{ read -r said <"$address.first" && sed -i 1d "$address.first"; }}
  [[ $word != *exclude=shutdown || ! -e $address.ends ]] || said=200
  read -r code error <<<"$said"
  connected=0.000123
  [[ $error != 'Connection timed out'* && $error != 'Failed to connect'* ]] || connected=0.000000
  echo "$word $code $connected $error"
done
sleep "$(<../delay)"
"""

SS = """\
#!/bin/bash
# There are four connections to each apiserver: one is its own, three are nginx's. Those that are ended are noted.
if [[ $1 == --kill ]]; then
  echo "$*" >>{folder}/ended
else
  said="${{*: -1}} timer:(keepalive,9min,0)"
  echo "ESTAB 0 0 198.18.0.10:1000 $said ino:1 sk:1 cgroup:/system.slice/kube-apiserver.service <->"
  for port in 1001 1002 1003; do
    echo "ESTAB 0 0 198.18.0.10:$port $said uid:$(id --user www-data) ino:1 sk:2 <->"
  done
fi
"""

NGINX = """\
#!/bin/bash
# Tests well unless the test says otherwise; reloads by telling its master.
case "$*" in
  *"-t -q") [[ ! -e {folder}/broken ]] || {{ cat {folder}/broken >&2; exit 1; }} ;;
  *"-s reload") cat {folder}/run/apiservers.conf >>{folder}/reloads; echo -- >>{folder}/reloads
    kill -HUP "$(<{folder}/pid)" ;;
  *) exit 3 ;;
esac
"""

MASTER = """\
#!/bin/bash
# Like nginx's: new workers first, then the old ones end.
start() { (exec -a 'nginx: worker process' sleep 600) & workers+=" $!"; }
renew() { local old=$workers; sleep "$(<delay)"; workers=''; start; kill $old; }
trap renew HUP
trap 'kill $workers; exit' TERM
workers=''
start
echo $$ >pid
while :; do wait; done
"""


@dataclass
class World:
    """A host's proxy in a folder. `times` are laid over the program's own, which are too long for tests."""

    folder: Path
    addresses: Sequence[str] = (A, B, C)
    nginx: tuple[str, ...] = ()
    """Default: one that is not real."""
    times: dict[str, Any] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("answers", "bin", "run"):
            (self.folder / name).mkdir()
        self.write("bin/curl", CURL.format(folder=self.folder), 0o755)
        self.write("bin/ss", SS.format(folder=self.folder), 0o755)
        self.write("bin/nginx", NGINX.format(folder=self.folder), 0o755)
        self.write("bin/master", MASTER, 0o755)
        self.write("delay", "0")
        self.write("servers", render("nginx/servers.conf.j2", Servers(tuple(f"{a}:{PORT}" for a in self.addresses))))
        for address in self.addresses:
            self.answers(address)
        quick: dict[str, Any] = {
            "at_once": 2,
            "confirm": 2,
            "revive": 5,
            "hurry": 2,
            "reload": 200,
            "rest": 50,
            **self.times,
        }
        own = Program(
            self.nginx or (f"{self.folder}/bin/nginx",),
            self.path("pid"),
            self.path("servers"),
            self.path("run"),
            self.path("run/apiservers.conf"),
            **quick,
        )
        self.write("kube-endpoint", render("nginx/kube-endpoint.sh.j2", own), 0o755)

    def path(self, name: str) -> PurePosixPath:
        """Of a file of the host's."""
        return PurePosixPath(self.folder / name)

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> None:
        """A file, all at once."""
        new = self.folder / f"{name}.test"
        new.write_bytes(content if isinstance(content, bytes) else content.encode())
        new.chmod(mode)
        new.rename(self.folder / name)

    def answers(self, address: str, said: str = "200") -> None:
        """What an apiserver says from now on: a code (000: nothing) and curl's error."""
        self.write(f"answers/{address}", said)

    def answers_first(self, address: str, *said: str) -> None:
        """What the next questions to it get, each one of these, before it says what it says."""
        self.write(f"answers/{address}.first", "".join(f"{one}\n" for one in said))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A subcommand, to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=20)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A subcommand, not waited for."""
        process = subprocess.Popen(
            [f"{self.folder}/kube-endpoint", *arguments],
            env={**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def start_nginx(self) -> None:
        """A master with a worker, that have the list of now."""
        assert self.run("list").returncode == 0
        master = ["bash", "-c", f"cd {self.folder} && exec -a 'nginx: master process' bash bin/master"]
        self.running.append(subprocess.Popen(master, text=True))
        until((self.folder / "pid").exists)

    def stop(self) -> None:
        """Everything that was started."""
        for process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)

    def listed(self) -> str:
        """Who gets connections by nginx's list, and after a bar who only if need be: by their last digits."""
        lines = (self.folder / "run/apiservers.conf").read_text().splitlines()
        assert all(line.startswith("server ") and line.endswith(";") for line in lines)
        last = [(line.split(":")[0][-2:], line.endswith(" backup;")) for line in lines]
        return " ".join(n for n, backup in last if not backup) + " | " + " ".join(n for n, backup in last if backup)

    def reloads(self) -> int:
        """How often nginx has been told to."""
        file = self.folder / "reloads"
        return file.read_text().count("--") if file.exists() else 0

    def ended(self) -> list[str]:
        """Whose connections were ended, each time: by ss's filters."""
        file = self.folder / "ended"
        return file.read_text().splitlines() if file.exists() else []

    def shown(self) -> dict[str, tuple[str, str, str]]:
        """What `show` says: state, reason and since, by address."""
        done = self.run("show")
        assert (done.returncode, done.stderr) == (0, "")
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        return {address: (state, reason, since) for address, state, reason, since in rows}

    def states(self) -> str:
        """The states alone."""
        return " ".join(state for state, _, _ in self.shown().values())


def until(reached: Callable[[], bool], seconds: float = 8) -> None:
    """Waits; fails when it takes longer."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.02)
