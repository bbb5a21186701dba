"""Whether any other host is heard: the script of keepalived's, with real sockets."""

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath

from kbootstrap.components import keepalived
from kbootstrap.components.keepalived import _Others, _others
from kbootstrap.model.cluster import Cluster
from kbootstrap.render.renderer import render
from kbootstrap.steps.file import File
from tests.golden.sites import TOPOLOGIES, site, slowed

LONGEST = 5.0
"""The greeting (0.3 s), the patience (0.7 s), and what a busy machine needs."""

MANY = 100
"""More connections than anything here makes."""


@contextmanager
def deaf() -> Iterator[str]:
    """Where the kernel drops what comes, as nobody takes the connections that wait."""
    with listening() as address, socket.create_connection(_pair(address)):
        yield address


@contextmanager
def listening(backlog: int = 0) -> Iterator[str]:
    """Where so many connections and one more are taken."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        plug.listen(backlog)
        yield f"127.0.0.1:{plug.getsockname()[1]}"


def _pair(address: str) -> tuple[str, int]:
    host, _, port = address.partition(":")
    return host, int(port)


def ask(proxies: tuple[str, ...], daemons: tuple[str, ...] = (), slow: int = 10_000_000) -> int:
    script = render("keepalived/others.sh.j2", _Others(proxies, daemons, slow_microseconds=slow))
    return subprocess.run(["bash"], input=script, check=False, capture_output=True).returncode


def test_one_that_is_heard_is_enough() -> None:
    with listening(MANY) as well, deaf() as gone:
        assert ask((well,)) == 0
        assert [ask(both) for both in ((gone, well), (well, gone))] == [0, 0], "whoever's turn it is"
        assert ask((gone,), (well,)) == 0


def test_who_falls_silent_in_the_middle_of_a_second_is_noticed() -> None:
    with listening() as once:
        assert ask((once,)) != 0


def test_silence_is_known_soon() -> None:
    with deaf() as one, deaf() as other:
        began = time.monotonic()
        assert ask((one, other), (other,)) != 0
        assert time.monotonic() - began < LONGEST


def test_who_was_too_busy_to_look_knows_nothing() -> None:
    with deaf() as one:
        assert ask((one,), slow=1) == 0


def test_nobody_is_left_waiting() -> None:
    """One that is gone would be waited for by one more process every second."""
    with deaf() as gone, listening(MANY) as well:
        ask((gone,), (well, gone))
        ask((gone,), (gone,))
        waiting = subprocess.run(["ss", "-Htn", "dst", gone], capture_output=True, text=True, check=True)
        assert "SYN-SENT" not in waiting.stdout


def test_a_refusal_is_no_answer() -> None:
    assert ask(("127.0.0.1:1",)) != 0


def test_who_alone_can_have_the_vip_does_not_ask() -> None:
    """The others find the API by the VIP: who asked them first would wait for them, and they for it."""
    vip = TOPOLOGIES["vip"]
    first, *workers = (host for host in vip.hosts if host.name == "cp1" or not host.is_control_plane)
    more = [replace(workers[0], name=f"more{number}") for number in range(3)]
    assert _others(site(replace(vip, hosts=(first, *workers, *more)), "cp1")) is None


def test_hosts_do_not_all_ask_the_same_one_at_the_same_time() -> None:
    tier = TOPOLOGIES["load-balancers"]
    turns = [
        re.findall(r"PROXIES\[(.*) %", content)
        for name in ("lb1", "lb2")
        if (content := written(tier, name, keepalived.USEFUL_SCRIPT))
    ]
    assert turns == [["(EPOCHSECONDS + $1)"], ["(EPOCHSECONDS + 1 + $1)"]]


def written(of: Cluster, name: str, path: PurePosixPath) -> str:
    """A file of keepalived's on a host."""
    made = [step for step in keepalived.keepalived(site(of, name)) if isinstance(step, File)]
    return next(step.content.decode() for step in made if step.path == path)


def test_slow_hosts_have_more_time_for_what_they_ask_and_are_asked() -> None:
    slow = slowed(TOPOLOGIES["lvs-dr"], 4)
    config, script = (written(slow, "lb1", path) for path in (keepalived.CONFIG, keepalived.USEFUL_SCRIPT))
    assert "vrrp_rlimit_rttime 400000\n" in config
    assert "connect_timeout 4\n" in config
    assert "timeout 40\n" in config
    assert "heard 1.2 " in script
    assert "heard 2.8 " in script
    assert "> 8000000))" in script
    assert "read -r -t 0.5 _" in script, "keepalived asks every second, however slow the host is"
    config, alive, useful = (
        written(slowed(TOPOLOGIES["vip"], 4), "cp1", path)
        for path in (keepalived.CONFIG, keepalived.ALIVE_SCRIPT, keepalived.USEFUL_SCRIPT)
    )
    assert "timeout 16\n" in config
    assert "read -r -t 4 said" in alive
    assert "--max-time 20 " in useful


def test_no_scale_makes_the_limits_shorter() -> None:
    plain, hasty = (
        written(of, "lb1", keepalived.CONFIG) for of in (TOPOLOGIES["lvs-dr"], slowed(TOPOLOGIES["lvs-dr"], 0.1))
    )
    assert hasty == plain


def test_kubelets_are_asked_too() -> None:
    """They answer before they have found the API, as nothing else of a worker does."""
    asked = _others(site(TOPOLOGIES["vip"], "cp1"))
    assert asked is not None
    assert len([address for address in asked.daemons if address.endswith(":10250")]) == len(asked.proxies)


def test_who_has_only_one_other_host_does_not_ask() -> None:
    vip = TOPOLOGIES["vip"]
    assert _others(site(vip, "cp1")) is not None
    assert all(_others(site(vip, host.name)) is None for host in vip.hosts if host.is_load_balancer)
