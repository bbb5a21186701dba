"""What a host's etcd member says of itself."""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath

from kbootstrap.facts.fact import Single, scaled

ANSWER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A member as it sees itself; `leader` is 0 while it knows of none, `alarms` are etcd's own words."""

    member: int
    leader: int
    version: str
    revision: int
    raft_term: int
    raft_index: int
    raft_applied: int
    db_bytes: int
    db_used_bytes: int
    learner: bool
    alarms: tuple[str, ...]
    cluster: int = 0
    """The cluster's own id: another one after a restore."""


@dataclass(frozen=True, slots=True)
class EtcdStatus(Single[MemberStatus | None]):
    """The status of the host's own member, which it gives also without a quorum; None when it does not answer.

    `etcdctl` is a command that knows the endpoint and has the certificates.
    """

    waits = True

    etcdctl: PurePosixPath

    @property
    def command(self) -> str:
        patience = f"{scaled(ANSWER_SECONDS)}s"
        return (
            f"timeout {scaled(ANSWER_SECONDS + 1)} {self.etcdctl} --dial-timeout={patience}"
            f" --command-timeout={patience} endpoint status --write-out=json"
        )

    def value(self, output: bytes) -> MemberStatus | None:
        try:
            status = json.loads(output)[0]["Status"]
            header = status["header"]
            return MemberStatus(
                member=header["member_id"],
                leader=status.get("leader", 0),
                version=status.get("version", ""),
                revision=header.get("revision", 0),
                raft_term=status.get("raftTerm", 0),
                raft_index=status.get("raftIndex", 0),
                raft_applied=status.get("raftAppliedIndex", 0),
                db_bytes=status.get("dbSize", 0),
                db_used_bytes=status.get("dbSizeInUse", 0),
                learner=status.get("isLearner", False),
                alarms=tuple(status.get("errors") or ()),
                cluster=header.get("cluster_id", 0),
            )
        except (ValueError, LookupError, TypeError):
            return None
