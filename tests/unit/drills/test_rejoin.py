"""A wiped member joins again, wherever an earlier try has stopped. The shell is real, etcd and systemd are played."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from kbootstrap.drills.faults.members import Rejoin
from kbootstrap.render.renderer import render

URL = "https://198.18.0.13:2380"
PLAYED = """\
#!{python}
import json, pathlib, sys
name, words = pathlib.Path(sys.argv[0]).name, [word for word in sys.argv[1:] if not word.startswith("--")]
folder = pathlib.Path({folder!r})
state = json.loads((folder / "state.json").read_text())
state["calls"] += 1
if state["calls"] == state["dies_at"]:
    (folder / "state.json").write_text(json.dumps(state))
    sys.exit("killed")
members = state["members"]
if words[:2] == ["member", "list"]:
    for one in members:
        print(", ".join([one["id"], one["state"], one["name"], one["url"], "", one["learner"]]))
elif words[:2] == ["member", "remove"]:
    state["members"] = [one for one in members if one["id"] != words[2]]
elif words[:2] == ["member", "add"]:
    assert not any(one["url"] == {url!r} for one in members), "added twice"
    new = {{"id": "abc" + str(state["calls"]), "state": "unstarted", "name": "", "url": {url!r}, "learner": "true"}}
    members.append(new)
elif words[:2] == ["member", "promote"]:
    for one in members:
        if one["id"] == words[2]:
            one["learner"] = "false"
elif name == "systemctl" and words == ["start", "etcd.service"]:
    for one in members:
        if one["url"] == {url!r} and one["state"] == "unstarted" and "existing" in (folder / "initial.env").read_text():
            assert not (folder / "marker").exists(), "the guard refuses"
            one.update(state="started", name="cp3")
            (folder / "data/member").mkdir(parents=True)
(folder / "state.json").write_text(json.dumps(state))
"""


@dataclass
class World:
    """Three members, of which the third has lost its data."""

    folder: Path

    def __post_init__(self) -> None:
        commands = self.folder / "bin"
        commands.mkdir()
        for name in ("etcdctl", "systemctl", "sleep"):
            text = PLAYED.format(python=sys.executable, folder=str(self.folder), url=URL)
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        members = [
            {"id": f"{number}", "state": "started", "name": f"cp{number}", "url": f"https://198.18.0.1{number}:2380",
             "learner": "false"}
            for number in (1, 2, 3)
        ]  # fmt: skip
        self.state(members=members, calls=0, dies_at=-1)
        (self.folder / "initial.env").write_text("ETCD_INITIAL_CLUSTER_STATE=new\n")
        (self.folder / "marker").touch()
        (self.folder / "data").mkdir()

    def state(self, **said: object) -> dict[str, object]:
        file = self.folder / "state.json"
        state = {**(json.loads(file.read_text()) if file.exists() else {}), **said}
        file.write_text(json.dumps(state))
        return state

    def run(self, *, dies_at: int = -1) -> int:
        self.state(calls=0, dies_at=dies_at)
        folder = PurePosixPath(self.folder)
        order = Rejoin(
            "cp3",
            URL,
            ("https://198.18.0.11:2379",),
            "kube-apiserver.service",
            data=folder / "data",
            marker=folder / "marker",
            initial=folder / "initial.env",
            kept=folder / "kept.env",
            commands=folder / "bin",
            tries=3,
        )
        text = render("drills/rejoin.sh.j2", order)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(["sh"], input=text, env={"PATH": path}, check=False, capture_output=True).returncode

    def require_joined(self) -> None:
        members = self.state()["members"]
        assert isinstance(members, list)
        assert [(one["name"], one["state"], one["learner"]) for one in members] == [
            (name, "started", "false") for name in ("cp1", "cp2", "cp3")
        ]
        assert (self.folder / "initial.env").read_text() == "ETCD_INITIAL_CLUSTER_STATE=new\n"
        assert not (self.folder / "kept.env").exists()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_joins_as_a_learner_and_becomes_a_voter(world: World) -> None:
    assert world.run() == 0
    world.require_joined()


@pytest.mark.parametrize("dies_at", range(1, 9))
def test_a_try_that_stops_anywhere_is_gone_on_with(world: World, dies_at: int) -> None:
    world.run(dies_at=dies_at)
    world.run()
    world.require_joined()


def test_a_member_that_is_well_is_left_alone(world: World) -> None:
    world.run()
    before = world.state()["members"]
    assert world.run() == 0
    assert world.state()["members"] == before
