"""VRRP routers that a host hears."""

import subprocess
from ipaddress import IPv4Address

from kbootstrap.facts.vrrp import Advert, VrrpAdverts

FACT = VrrpAdverts(IPv4Address("198.18.0.91"))


def test_each_router_is_an_advert() -> None:
    found = FACT.value(b"198.18.0.92 100\n198.18.0.66 7\n")
    assert found == (Advert(IPv4Address("198.18.0.92"), 100), Advert(IPv4Address("198.18.0.66"), 7))


def test_where_nobody_can_listen_nobody_is_heard() -> None:
    assert FACT.value(b"") == ()


def test_the_program_is_one() -> None:
    program = FACT.command.replace("perl -e", "perl -c -e")
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
