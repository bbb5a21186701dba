"""What runs a virtual machine's instructions: the processor (KVM) where it can, otherwise a translator (TCG)."""

from contextlib import suppress
from pathlib import Path

from kbootstrap.errors import LabError
from kbootstrap.lab.command import run

KVM = "kvm"
TCG = "tcg,thread=multi,tb-size=512"
"""With room for 512 MiB of translated code; only what is used takes memory. A control plane does not fit into 128 MiB
(17 octets for each of its own): all was thrown away and translated anew 155 times in ten minutes of an `up`."""

_DEVICE = Path("/dev/kvm")
_PROBE_SECONDS = 10
"""A kernel that runs takes less than 2 s to find that it has no root."""
_LAST_WORDS = "Unable to mount root fs"


def accelerator(kernel: Path) -> str:
    """As qemu's `-accel` names it. /dev/kvm may be there and still not run a stock kernel: it is tried."""
    said = ""
    if _DEVICE.exists():
        with suppress(LabError):
            said = run(
                [
                    *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"),
                    *("-accel", KVM, "-cpu", "max", "-m", "256", "-no-reboot"),
                    *("-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
                ],
                timeout=_PROBE_SECONDS,
            )
    return KVM if _LAST_WORDS in said else TCG
