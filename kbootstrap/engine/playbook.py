"""A playbook: an ordered list of phases on one page, each saying where it runs and what it waits for."""

from typing import Annotated

from pydantic import Field, model_validator

from kbootstrap.engine.generic import GenericStep
from kbootstrap.model.settings import Section, Serial

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Phase(Section):
    """One phase. On each host its components (or steps) are applied in order, then its checks must pass.

    It starts on a host as soon as that host has finished the phases in `after` and every host those in
    `after_all`; a phase that names neither waits for everything above it.

    `rolling` phases go host by host (or `serial` at a time) while their service already runs, and everywhere at
    once while it does not yet. Only a host that served has its work done inside the guards of `around`, and has to
    pass the `gates` as well before the next one is touched.
    """

    phase: Slug
    hosts: tuple[str, ...] | str = "all"
    components: tuple[str, ...] = ()
    steps: tuple[GenericStep, ...] = ()
    checks: tuple[str, ...] = ()
    around: tuple[str, ...] = Field((), description="guards, taken on before a host that serves is touched")
    gates: tuple[str, ...] = Field((), description="checks between hosts of a rolling phase that serve")
    after: tuple[Slug, ...] | None = None
    after_all: tuple[Slug, ...] | None = None
    rolling: bool = False
    serial: Serial | None = Field(None, description="hosts at a time: a number or a percentage")
    last: str | None = Field(None, description="who of the hosts goes last, e.g. etcd-leader")
    ahead: bool = Field(False, description="made only when a phase below has changes")
    gentle: bool = Field(False, description="with what the host's services leave of its processors and disks")
    max_failures: Annotated[int, Field(ge=0)] = Field(0, description="failed hosts before the phase stops")
    always: bool = Field(False, description="run the checks also when nothing was changed")


class Playbook(Section):
    """A named list of phases."""

    name: Slug
    description: str = ""
    phases: tuple[Phase, ...]

    @model_validator(mode="after")
    def _phases_fit(self) -> "Playbook":
        seen: set[str] = set()
        for phase in self.phases:
            if phase.phase in seen:
                raise ValueError(f"the phase {phase.phase!r} is there twice")
            for needed in (*(phase.after or ()), *(phase.after_all or ())):
                if needed not in seen:
                    raise ValueError(f"phase {phase.phase!r} waits for {needed!r}, which is not above it")
            seen.add(phase.phase)
        return self

    def waits(self, phase: Phase) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The phases that `phase` waits for on its own host, and on all hosts."""
        if phase.after is None and phase.after_all is None:
            above = [other.phase for other in self.phases[: self.phases.index(phase)]]
            return (), tuple(above)
        return phase.after or (), phase.after_all or ()
