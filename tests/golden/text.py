"""Steps as text that a person can review."""

from collections.abc import Sequence

from kbootstrap.components.cordons import Uncordoned
from kbootstrap.components.images import ImportedImage
from kbootstrap.components.lvs import Table
from kbootstrap.components.manifests import Manifests
from kbootstrap.components.node_labels import NodeLabels
from kbootstrap.steps.block import Block
from kbootstrap.steps.certificate import Certificate
from kbootstrap.steps.command import Command
from kbootstrap.steps.delivery import Delivery
from kbootstrap.steps.file import Absent, Directory, File, Link
from kbootstrap.steps.kubeconfig import Kubeconfig
from kbootstrap.steps.package import Packages
from kbootstrap.steps.step import Step
from kbootstrap.steps.sysctl import Sysctls
from kbootstrap.steps.unit import Unit, UnitAbsent


def host_text(components: Sequence[tuple[str, list[Step]]]) -> str:
    """All steps of a host, in order."""
    parts = [f"##### {name}\n" + "".join(map(step_text, steps)) for name, steps in components]
    return "\n".join(parts)


def step_text(step: Step) -> str:
    """What a step stands for. A kind of step that is not known here is an error."""
    match step:
        case File(path, content, mode, owner, group):
            text = "(key material)\n" if b"-----BEGIN" in content else content.decode()
            return f"=== file {path} {mode:04o} {owner}:{group}{' secret' if step.secret else ''}\n{text}"
        case Sysctls() | Manifests():
            return step_text(written_file(step))
        case Block(path, marker, content):
            return f"=== block {marker} in {path}\n{content}"
        case Directory(path, mode, owner, group):
            return f"=== folder {path} {mode:04o} {owner}:{group}\n"
        case Link(path, target):
            return f"=== link {path} -> {target}\n"
        case Absent(path):
            return f"=== absent {path}\n"
        case Certificate(spec=spec):
            return f"=== certificate {step.cert_path} {step.key_path} {step.owner}\n{spec}\n"
        case Kubeconfig(path, server_url, spec=spec):
            return f"=== kubeconfig {path} {server_url}\n{spec}\n"
        case Delivery(artifact, path, mode):
            return f"=== deliver {artifact.ref} to {path} {mode:04o}\n"
        case Command(title, script, unless):
            return f"=== command {title}\nunless: {unless}\n{script}\n"
        case Packages(names):
            return f"=== packages {' '.join(names)}\n"
        case Unit(name, inputs, on_change, wait):
            return f"=== unit {name} {on_change}{'' if wait else ' without waiting'}\n" + "".join(
                f"  for {path}\n" for path in inputs
            )
        case UnitAbsent(name):
            return f"=== no unit {name}\n"
        case ImportedImage(artifact, reference, pinned):
            return f"=== image {artifact.ref} as {reference}{' pinned' if pinned else ''}\n"
        case NodeLabels(node, labels, taints):
            return f"=== node {node} {dict(labels)} {' '.join(map(str, taints))}\n"
        case Table(wanted):
            return f"=== table of IPVS\n{wanted}\n"
        case Uncordoned(node):
            return f"=== node {node} not cordoned by a run\n"
        case _:
            raise TypeError(f"no text for {step}")


def written_file(step: Step) -> File:
    """The file behind a step that writes one and does more."""
    assert isinstance(step, Sysctls | Manifests)
    return step.file
