"""A check, and the shell that waits for it on the host itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """A state that must be reached within `deadline` seconds.

    `probe` is shell that succeeds when it is; what it prints explains a failure. It is repeated on the host every
    `interval` seconds, so that waiting costs no round trips; a probe that watches by itself may take as many seconds
    as `$(remaining)` says: at least one, because kubectl takes a negative timeout for a week.
    """

    name: str
    probe: str
    deadline: float
    hint: str = ""
    interval: float = 0.2
    asked: tuple[str, ...] = ()
    """Who can answer in place of the host itself: the first of these that is connected is asked."""

    def script(self, scale: float = 1.0) -> str:
        """Shell that ends with 0 as soon as the probe does, or with 1 and the probe's last words."""
        return f"""\
deadline=$(( $(date +%s) + {max(1, round(self.deadline * scale))} ))
remaining() {{ left=$(( deadline - $(date +%s) )); [ "$left" -gt 0 ] && echo "$left" || echo 1; }}
while :; do
  if said=$( ( {self.probe}
  ) 2>&1 ); then exit 0; fi
  if [ "$(date +%s)" -ge "$deadline" ]; then printf '%s\\n' "$said"; exit 1; fi
  sleep {self.interval}
done
"""
