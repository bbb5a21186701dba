"""The kernel's table of virtual servers, as ipvsadm 1.31 prints it."""

from kbootstrap.facts.ipvs import RealServer, VirtualServer, VirtualServers

SAVED = b"""\
-A -t 198.18.0.100:6443 -s wlc
-a -t 198.18.0.100:6443 -r 198.18.0.11:6443 -g -w 100
-a -t 198.18.0.100:6443 -r 198.18.0.12:6443 -g -w 0
-A -t 198.18.0.101:80 -s sh -p 300
-a -t 198.18.0.101:80 -r 198.18.0.21:30080 -m -w 1
-A -u 198.18.0.101:53 -s rr
-a -u 198.18.0.101:53 -r 198.18.0.21:53 -i -w 1
"""


def test_each_virtual_server_has_its_real_servers() -> None:
    assert VirtualServers().value(SAVED) == (
        VirtualServer(
            "198.18.0.100:6443",
            "wlc",
            0,
            (RealServer("198.18.0.11:6443", "dr", 100), RealServer("198.18.0.12:6443", "dr", 0)),
        ),
        VirtualServer("198.18.0.101:80", "sh", 300, (RealServer("198.18.0.21:30080", "nat", 1),)),
    )


def test_without_ipvs_there_is_nothing() -> None:
    assert VirtualServers().value(b"") == ()
