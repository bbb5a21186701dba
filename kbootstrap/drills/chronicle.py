"""What happens while a drill goes on, moment by moment. Many threads write it."""

import threading
import time
from dataclasses import dataclass, field

from kbootstrap.drills.result import Kind, Moment
from kbootstrap.events import Note, Sink


@dataclass(slots=True)
class Chronicle:
    """The time line; whoever watches hears it as well."""

    emit: Sink
    _moments: list[Moment] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: Kind, text: str, host: str = "", *, at: float | None = None) -> None:
        """Something happens, now or at a time of CLOCK_MONOTONIC."""
        moment = Moment(time.monotonic() if at is None else at, kind, text, host)
        with self._lock:
            self._moments.append(moment)
            since = next((one.at for one in self._moments if one.kind is Kind.FAULT), None)
        after = "" if since is None else f"{moment.at - since:+.2f} s "
        self.emit(Note(f"{after}{kind}: {text}", host=host or None))

    def first(self, kind: Kind) -> float | None:
        """When the first moment of a kind was."""
        return next((moment.at for moment in self.moments() if moment.kind is kind), None)

    def moments(self) -> tuple[Moment, ...]:
        """All so far, in order."""
        with self._lock:
            return tuple(sorted(self._moments, key=lambda moment: moment.at))
