"""Reading what commands on hosts print: pure functions from text to values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kbootstrap.verify.layout import ANYWHERE

_WILDCARDS = frozenset(("*", "0.0.0.0", "[::]", "::", ""))  # noqa: S104 - read, not bound


@dataclass(frozen=True, slots=True)
class Listener:
    """A TCP socket that is listened on, and the program that does."""

    address: str
    port: int
    program: str


def listeners(text: str) -> list[Listener]:
    """What `ss --no-header --listening --tcp --numeric --processes` prints."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 5:
            continue
        address, _, port = fields[3].rpartition(":")
        address = address.partition("%")[0]
        program = fields[5].partition('(("')[2].partition('"')[0] if len(fields) > 5 else ""
        address = ANYWHERE if address in _WILDCARDS else address.strip("[]").removeprefix("::ffff:")
        found.append(Listener(address, int(port), program))
    return found


def is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def properties(text: str) -> dict[str, dict[str, str]]:
    """What `systemctl show --property=Id,…` prints for several units, by unit."""
    blocks = [dict(_pairs(block.splitlines())) for block in text.strip().split("\n\n")]
    return {block["Id"]: block for block in blocks if "Id" in block}


def _pairs(lines: Iterable[str]) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def flags(cmdline: str) -> dict[str, str]:
    """The flags in a /proc/PID/cmdline; the last one wins, as with the daemons."""
    words = cmdline.split("\0")[1:]
    return dict(_pairs(word.lstrip("-") for word in words if word.startswith("--")))


def forwarded(text: str, service: str) -> tuple[str, dict[str, str]]:
    """What `ipvsadm --save --numeric` says of a TCP service: how it chooses, and by real server its flag and weight."""
    chooses, servers = "", {}
    for words in (line.split() for line in text.splitlines()):
        if words[:3] == ["-A", "-t", service]:
            chooses = " ".join(words[3:])
        elif words[:4] == ["-a", "-t", service, "-r"]:
            flag = next((word for word in words if word in ("-g", "-i", "-m")), "")
            servers[words[4]] = f"{flag} {words[words.index('-w') + 1]}"
    return chooses, servers


def statuses(text: str) -> dict[str, str]:
    """Lines of a key and a value, as our own probes print them."""
    return {key: value for key, _, value in (line.partition(" ") for line in text.splitlines()) if key}


def differing(values: Mapping[str, str]) -> dict[str, str]:
    """Those whose value is not the most frequent one; empty when all agree."""
    counted = sorted(values.values(), key=list(values.values()).count)
    return {key: value for key, value in values.items() if value != counted[-1]} if counted else {}
