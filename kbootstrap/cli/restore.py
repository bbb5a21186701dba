"""`restore`."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from kbootstrap.cli import options
from kbootstrap.cli.proof import ExportedKeys, Identity, Origin, required_identity
from kbootstrap.cli.timing import Timings, timed
from kbootstrap.cli.verify import verified
from kbootstrap.errors import CheckFailed
from kbootstrap.events import Event, Sink, ignore

if TYPE_CHECKING:
    from kbootstrap.model.cluster import Cluster
    from kbootstrap.workflows.restore.restore import Order, Ready


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(restore)


def restore(
    backup: Annotated[str, typer.Argument(help="Id of the backup.")] = "latest",
    inventory: options.Inventory = options.DEFAULT_INVENTORY,
    identity: Identity = None,
    origin: Origin = None,
    keys: ExportedKeys = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="A host that is given up (may be given again).")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Put the data back from before the last restore.")] = False,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Verify the cluster at the end.")] = True,
    yes: options.Yes = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name every change.")] = False,
    json_: options.Json = False,
) -> int:
    """Brings the cluster back to a backup: on its own hosts, or on new ones. Checks everything first, and asks."""
    cluster = options.load(inventory)
    screen = _Screen(Console(), json_=json_, verbose=verbose)
    given_up = tuple(without or ())
    if undo:
        seconds = _undo(cluster, screen, ask=not yes)
    else:
        seconds = _restore(cluster, _order(backup, identity, origin, given_up, keys), screen, ask=not yes)
    screen.done(cluster.name, seconds)
    if not verify:
        return 0
    from kbootstrap.workflows.restore.restore import remaining  # noqa: PLC0415 - heavy; not for --help

    return 0 if verified(remaining(cluster, given_up), json_=json_) else CheckFailed.exit_code


@dataclass(slots=True)
class _Screen:
    """What is shown: progress while something is done, and between that questions."""

    console: Console
    json_: bool
    verbose: bool
    timings: Timings = field(default_factory=Timings)
    _sink: Sink = ignore

    def emit(self, event: Event) -> None:
        """Takes an event in: a restore is prepared in one stretch of progress, and carried out in the next."""
        self._sink(event)

    @contextmanager
    def progress(self) -> Iterator[None]:
        """While open, events are shown."""
        with timed(self.console, json_lines=self.json_, verbose=self.verbose, timings=self.timings) as (sink, _):
            self._sink = sink
            yield
        self._sink = ignore

    def say(self, text: str) -> None:
        """A line for people."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def confirm(self, name: str) -> None:
        """Raises Abort unless the cluster's name is typed."""
        question = f"Type the cluster's name ({name}) to go on"
        if typer.prompt(question, default="", show_default=False, err=self.json_) != name:
            raise typer.Abort

    def done(self, name: str, seconds: float) -> None:
        """What took how long."""
        if self.json_:
            typer.echo(json.dumps({"event": "Restored", "cluster": name, "seconds": round(seconds, 2)}))
            return
        self.console.print(self.timings.table())
        self.say(f"Cluster [bold]{escape(name)}[/] is back after {seconds:.1f} s.")


def _order(
    wanted: str, identity: Path | None, origin: str | None, without: tuple[str, ...], keys: Path | None
) -> "Order":
    from kbootstrap.workflows.restore.restore import Order  # noqa: PLC0415

    return Order(required_identity(identity), wanted, origin, without, keys=keys)


def _restore(cluster: "Cluster", order: "Order", screen: _Screen, *, ask: bool) -> float:
    """Seconds from the answer until the endpoint is ready."""
    from kbootstrap.engine.lock import new_owner  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.backups.targets import target_sources  # noqa: PLC0415
    from kbootstrap.workflows.restore import restore as workflow  # noqa: PLC0415

    with ExitStack() as stack:
        with screen.progress():
            targets = stack.enter_context(target_sources(cluster, screen.emit))
            order = replace(order, targets=targets)
            ready = stack.enter_context(workflow.prepared(cluster, order, new_owner("restore"), screen.emit))
        if not screen.json_:
            _show(ready, order, screen)
        if ask:
            screen.confirm(cluster.name)
        began = time.monotonic()
        with screen.progress():
            workflow.restore(ready)
        return time.monotonic() - began


def _show(ready: "Ready", order: "Order", screen: _Screen) -> None:
    manifest, lost = ready.archive.manifest, ready.loss
    screen.say(
        f"[bold]{escape(manifest.id)}[/] from {escape(ready.where)}: made {manifest.made:%Y-%m-%d %H:%M:%S} UTC"
        f" ({_age(lost.age_seconds)} ago) on {escape(manifest.host)}, revision {manifest.revision},"
        f" {manifest.db_bytes / 1e6:.1f} MB, etcd {manifest.etcd}, Kubernetes {manifest.kubernetes}."
    )
    if ready.resumed:
        screen.say(f"A restore of it was begun at {ready.restoration.record.began}; this goes on with it.")
    elif ready.fresh:
        screen.say("There are no data of etcd on the hosts: they become the cluster's with the keys of the backup.")
    elif lost.revisions is not None:
        screen.say(f"[bold red]What was written since is lost: {lost.revisions} revisions[/] of etcd.")
    else:
        screen.say(f"[bold red]What was written since is lost[/]; how much cannot be told: {lost.why_unknown}.")
    if not ready.fresh:
        screen.say(f"The old data stay on the hosts, in {ready.restoration.record.aside}; --undo puts them back.")
    if order.without:
        screen.say(
            f"Given up: {escape(', '.join(order.without))}. Wipe them before they come back to the network:"
            " their etcd still has the old cluster."
        )


def _age(seconds: float) -> str:
    return str(timedelta(seconds=max(0, round(seconds))))


def _undo(cluster: "Cluster", screen: _Screen, *, ask: bool) -> float:
    from kbootstrap.engine.lock import new_owner  # noqa: PLC0415 - heavy; not for --help
    from kbootstrap.workflows.restore import undo as workflow  # noqa: PLC0415

    with ExitStack() as stack:
        with screen.progress():
            ready = stack.enter_context(workflow.prepared_undo(cluster, new_owner("restore --undo"), screen.emit))
        record = ready.restoration.record
        if not screen.json_:
            screen.say(
                f"This puts back what was in etcd before the restore of {escape(record.backup)} ({record.began})."
            )
            if ready.ended:
                screen.say("[bold red]What was written since the restore is lost[/]; it stays beside the data.")
        if ask:
            screen.confirm(cluster.name)
        began = time.monotonic()
        with screen.progress():
            workflow.undo(ready)
        return time.monotonic() - began
