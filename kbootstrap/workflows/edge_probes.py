"""Requests to the applications by name, where load balancers serve them: what users outside feel."""

import asyncio
import ssl
from collections.abc import Iterator

from kbootstrap.events import Note, Sink
from kbootstrap.model.applications import HTTP_PORT, HTTPS_PORT, Application
from kbootstrap.probes.exchange import ask_anew, way_to
from kbootstrap.probes.kinds import EDGE, name_at
from kbootstrap.probes.spec import Credentials, Probe
from kbootstrap.workflows.ways import Ways

TRIAL_SECONDS = 5.0
"""For the first answer, before an application counts as one that is not there."""


def probes(ways: Ways, rate: float, emit: Sink) -> Iterator[Probe]:
    """One for each application with a name that answers now; all of them together send `rate` requests a second.

    What does not answer is told and not probed: it would say nothing about what is done to the cluster.
    """
    named = ways.cluster.named_applications
    for name, application in named.items():
        probe = _probe(ways, name, application, rate / len(named))
        if trouble := _trouble(probe):
            emit(Note(f"the application {name} is not probed: {trouble}", level="warning"))
        else:
            yield probe


def _probe(ways: Ways, name: str, application: Application, rate: float) -> Probe:
    secure = application.protocol == "https"
    return Probe(
        name_at(EDGE, name),
        (ways.to_edge(HTTPS_PORT if secure else HTTP_PORT),),
        path="/",
        secure=secure,
        rate=rate,
        credentials=Credentials(
            server_name=application.server_names[0].replace("*", "kbootstrap-probe"),
            authority=application.certificate.read_text() if application.certificate is not None else "",
        ),
        strict=False,
    )


def _trouble(probe: Probe) -> str:
    """Why a request fails now; empty when it is answered."""

    async def ask() -> str:
        [target] = probe.targets
        way = way_to(probe, target, ssl.create_default_context(), "")
        deadline = asyncio.get_running_loop().time() + TRIAL_SECONDS
        return (await ask_anew(way, way.request(probe.path), deadline)).error

    return asyncio.run(ask())
