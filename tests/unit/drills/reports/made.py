"""Results of drills as runs leave them, made by hand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kbootstrap.drills.result import DrillResult, Jitter, Kind, Limit, Measured, Moment, Verdict
from kbootstrap.probes.ledger import ledger
from kbootstrap.probes.recording import Account, Observation
from kbootstrap.probes.samples import Failure, Move, Samples, Track
from kbootstrap.probes.spec import object_name

ZERO = 51_000.0
"""The clock when the observation began."""

FAULT = ZERO + 12.0
BEGAN = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
INTERVAL = 0.02
REFUSED = "198.18.0.100:6443: connection refused"

READS = Limit("reads", 3.0, ("api-new", "api-kept"))
WRITES = Limit("writes", 5.0, ("write-new", "write-kept"))
LEADS = Limit("another scheduler leads", 20.0)


def track(name: str, outage: float = 0.0, *, seconds: float = 40.0, since: float = FAULT) -> Track:
    """A probe on its grid, without answers for `outage` seconds; the answers before it jitter as real ones do."""
    made = Track(name, highest=round(seconds / INTERVAL) - 1)
    for serial in range(made.highest + 1):
        at = ZERO + serial * INTERVAL
        if since <= at < since + outage:
            made.failures.append(Failure(serial, at, 0.8, REFUSED, maybe=False))
            continue
        if name.endswith("kept") and abs(at - since) < 0.05:
            made.moves.append(Move(serial, at, 0.01, "the server closed the connection"))
        made.serials.append(serial)
        made.began.append(at)
        made.seconds.append(0.003 + (serial * 7919 % 97) / 20_000)
    return made


def observed(outages: Mapping[str, float], *, seconds: float = 40.0, missing: int = 0) -> Observation:
    """Probes by name and their outages; of the acknowledged writes some may be missing from one member."""
    tracks = [track(name, outage, seconds=seconds) for name, outage in outages.items()]
    book = ledger([one for one in tracks if one.name.startswith("write")])
    lossy = sorted(book.acknowledged)[missing:]
    places = [book.compared(book.acknowledged, "the API"), book.compared(book.acknowledged, "etcd on cp1")]
    return Observation(
        started=BEGAN,
        began=ZERO,
        ended=ZERO + seconds,
        samples=Samples(
            tracks,
            [(ZERO + at, 2) for at in range(int(seconds))],
            {"write-kept-0000001": ZERO + 0.5},
            [(ZERO + 1.0, "silent")],
        ),
        account=Account(cpu=0.21, late=0.004),
        ledgers=(*places, book.compared(lossy, "etcd on cp2")) if book.sent else (),
        replicas_wanted=1,
    )


def result(drill: str = "vip-power-off", *, reads: float = 1.4, writes: float = 2.1, day: int = 0) -> DrillResult:
    """The VIP's holder loses its power; passed when reads and writes had no answers for no longer than allowed."""
    seen = observed({"api-new": reads, "api-kept": reads, "write-new": writes, "write-kept": writes, "application": 0})
    measured = (Measured(READS, reads, "api-new" if reads else ""), Measured(WRITES, writes))
    broken = [one for one in measured if not one.within]
    return DrillResult(
        drill=drill,
        title="Power off the VIP's holder",
        cluster="demo",
        run=f"20261121-10000{day}-abcd",
        began=BEGAN + timedelta(days=day),
        seconds=71.3,
        verdict=Verdict.FAILED if broken else Verdict.PASSED,
        hosts=("cp1",),
        measured=measured,
        problems=tuple(f"{one.limit.what}: {one.seconds:.2f} s; {one.limit.seconds:g} s are allowed" for one in broken),
        moments=moments(max(reads, writes)),
        jitter=(Jitter("api-new", 0.0041, 0.0079, 0.0121), Jitter("write-new", 0.006, 0.02, 0.04)),
        setting={"kbootstrap": "0.1.0", "Kubernetes": "1.36.4", "etcd": "3.6.5", "keepalived": "advert_int 0.3 s"},
        seen=seen,
    )


def moments(outage: float) -> tuple[Moment, ...]:
    """What happens when a host with the VIP loses its power."""
    return (
        Moment(ZERO + 1.0, Kind.STEADY, "probes at full rate, no error for 10 s"),
        Moment(FAULT - 0.4, Kind.ARMED, "the undo waits on the host", "cp1"),
        Moment(FAULT, Kind.FAULT, "power off", "cp1"),
        Moment(FAULT + 0.92, Kind.DETECTED, "no advertisement for 0.9 s", "cp2"),
        Moment(FAULT + 1.01, Kind.VIP_MOVED, "198.18.0.100 from cp1 to cp2", "cp2"),
        Moment(FAULT + outage, Kind.SERVING, "the first good request after the last that failed"),
        Moment(FAULT + 15.0, Kind.RECOVER, "power on", "cp1"),
        Moment(FAULT + 24.5, Kind.STEADY_AGAIN, "every host and member is healthy"),
    )


def leader() -> DrillResult:
    """One whose limit is not about requests."""
    measured = (Measured(Limit("requests", 0.0, ("api-new", "write-new")), 0.0), Measured(LEADS, 16.2, "cp3 leads"))
    made = result("scheduler-leader-kill", reads=0.0, writes=0.0)
    return replace(made, title="Kill the leading scheduler", measured=measured, began=BEGAN + timedelta(minutes=2))


def refused() -> DrillResult:
    """A guard stood in the way."""
    return DrillResult(
        drill="etcd-leader-kill",
        title="Kill -9 the etcd leader",
        cluster="demo",
        run="20261121-100000-abcd",
        began=BEGAN + timedelta(minutes=4),
        seconds=1.2,
        verdict=Verdict.REFUSED,
        problems=("the cluster is degraded: cp3: etcd.service is stopped",),
    )


def cut_short() -> DrillResult:
    """Somebody pressed Ctrl-C."""
    made = result("partition")
    return replace(
        made,
        title="Cut a control-plane host off the network",
        verdict=Verdict.CUT_SHORT,
        measured=(Measured(READS, None), Measured(WRITES, None)),
        problems=("it was interrupted 4 s after the fault",),
        moments=made.moments[:4],
        began=BEGAN + timedelta(minutes=6),
    )


def lossy() -> DrillResult:
    """Two acknowledged writes are missing from a member."""
    made = result("member-wipe")
    name = object_name("write-kept", 0)
    return replace(
        made,
        title="Wipe an etcd member, and let it join again",
        verdict=Verdict.FAILED,
        seen=observed({"api-new": 0.0, "write-kept": 0.0}, missing=2),
        problems=(f"2 acknowledged writes are not in etcd on cp2, such as {name}",),
        began=BEGAN + timedelta(minutes=8),
    )


def suite() -> list[DrillResult]:
    """One of each kind."""
    return [result(), leader(), refused(), cut_short(), lossy(), result("vip-handover", reads=3.4, writes=3.4, day=0)]
