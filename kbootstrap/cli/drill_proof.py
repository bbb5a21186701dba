"""What testinfra says of the steady state, before drills and after them: the same tests as those of `verify`."""

from dataclasses import replace
from typing import TYPE_CHECKING

from kbootstrap.errors import PreflightFailed, Problem

if TYPE_CHECKING:
    from kbootstrap.drills.result import DrillResult
    from kbootstrap.events import Sink
    from kbootstrap.model.cluster import Cluster
    from kbootstrap.verify.report import Report


def verified_before(cluster: "Cluster", emit: "Sink") -> "Report":
    """Hosts and cluster as they are now. Raises PreflightFailed when they are not what the inventory says."""
    report = _verified(cluster, emit)
    if not report.ok:
        raise PreflightFailed(
            "the hosts are not as the inventory says, so no drill is begun",
            [Problem(failure) for failure in _failures(report)],
            hint="`kbootstrap verify` tells more; --no-verify drills all the same",
        )
    return report


def verified_after(cluster: "Cluster", before: "Report", last: "DrillResult", emit: "Sink") -> "DrillResult":
    """The last result, with what was found after it: it has failed when drills have left something behind."""
    from kbootstrap.drills.result import Verdict  # noqa: PLC0415 - heavy; not for --help

    after = _verified(cluster, emit)
    counts = f"{_passed(before)} tests of `verify` passed before the drills, {_passed(after)} after them"
    problems = tuple(f"after the drills: {failure}" for failure in _failures(after))
    failed = problems and last.verdict is Verdict.PASSED
    return replace(
        last,
        verdict=Verdict.FAILED if failed else last.verdict,
        problems=(*last.problems, *problems),
        remarks=(*last.remarks, counts),
    )


def _verified(cluster: "Cluster", emit: "Sink") -> "Report":
    """Without what has pods of its own: the probes of the drills have some, too."""
    from kbootstrap.verify import verification  # noqa: PLC0415 - heavy; not for --help

    verification.prepare()
    return verification.verify_cluster(cluster, verification.scope(cluster, (), live=False), emit)


def _failures(report: "Report") -> list[str]:
    return [f"{one.subject}: {one.suite}: {one.title}" for one in report.failures]


def _passed(report: "Report") -> int:
    from kbootstrap.verify.report import Verdict  # noqa: PLC0415

    return report.count(Verdict.PASSED)
