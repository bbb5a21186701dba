"""Signs of life of hosts that are to lose their power: the last one tells when it was really gone.

The command that cuts it says less. It may run for seconds before it does anything, or end before the power does.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from kbootstrap.drills.watchdog import SWITCH_SECONDS
from kbootstrap.errors import CheckFailed, KbootstrapError
from kbootstrap.transport.connection import Connection

BEAT_SECONDS = 0.05
SILENT_SECONDS = 1.0
"""Without a sign, and a host is taken for dead: twenty beats, as hosts that are busy miss some."""
DYING_SECONDS = 15.0
"""From the end of the command: a switch may hold its button for seconds."""
START_SECONDS = 5.0

SCRIPT = f"timeout {SWITCH_SECONDS + DYING_SECONDS:.0f} sh -c 'while echo alive; do sleep {BEAT_SECONDS}; done'"
"""Shell that gives a sign of life again and again; it ends by itself where the power is not cut after all."""

PAUSE = 0.05


@dataclass(slots=True)
class SignsOfLife:
    """When each host was last heard, in seconds of CLOCK_MONOTONIC."""

    last: dict[str, float] = field(default_factory=dict)

    def ended(self) -> float:
        """Waits until none is heard any more; when the first of them was heard last (now, if none ever was).

        Raises CheckFailed for a host that does not fall silent.
        """
        deadline = time.monotonic() + DYING_SECONDS
        while alive := [host for host, at in self._heard() if time.monotonic() - at < SILENT_SECONDS]:
            if time.monotonic() > deadline:
                raise CheckFailed(
                    f"{', '.join(alive)} lives on {DYING_SECONDS:.0f} s after its power was cut",
                    hint="power: {turn_off: …} in the inventory has to cut it at once",
                )
            time.sleep(PAUSE)
        return min((at for _, at in self._heard()), default=time.monotonic())

    def _heard(self) -> list[tuple[str, float]]:
        """Of one moment: other threads write it."""
        return list(self.last.items())


def signs_of_life(connections: Mapping[str, Connection]) -> SignsOfLife:
    """Of hosts that are heard from now on, each of them once already; without those that cannot be heard."""
    signs = SignsOfLife()
    heard = {host: threading.Event() for host in connections}

    def listen(host: str, connection: Connection) -> None:
        def beat(_line: str) -> None:
            signs.last[host] = time.monotonic()
            heard[host].set()

        with suppress(KbootstrapError):  # it dies
            connection.run_script(SCRIPT, timeout=SWITCH_SECONDS + 2 * DYING_SECONDS, on_line=beat)
        heard[host].set()

    for host, connection in connections.items():
        threading.Thread(target=listen, args=(host, connection), name=f"life-{host}", daemon=True).start()
    deadline = time.monotonic() + START_SECONDS
    for event in heard.values():
        event.wait(max(0.0, deadline - time.monotonic()))
    return signs
