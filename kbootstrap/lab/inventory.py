"""The inventory with which kbootstrap makes a cluster of a lab."""

from kbootstrap.errors import LabError
from kbootstrap.lab.keys import SSH_PORT, user_folder
from kbootstrap.lab.spec import HostSpec, LabSpec
from kbootstrap.model.cluster import Role

_KUBERNETES = "1.36.4"

_SETTINGS = """\
# What hosts that share a machine's kernel need, and others do not.
containerd: {restrict_oom_score_adj: true}           # they may lack CAP_SYS_RESOURCE
kubelet:
  config:
    failCgroupV1: false                              # the machine may still have cgroup v1
    # How full the machine's disk is, is not these hosts' affair: no eviction, no removal of images for it.
    evictionHard: {memory.available: 100Mi, nodefs.available: 1Gi, imagefs.available: 1Gi}
    imageGCHighThresholdPercent: 99
    imageGCLowThresholdPercent: 98
kube_proxy: {config: {conntrack: {maxPerCore: 0}}}   # its sysctls belong to the machine
# They share its processors, too, and it has memory: less work for Go's garbage collector.
etcd: {environment: {GOGC: "400"}}
kube_apiserver: {environment: {GOGC: "400"}}
systemd: {limit_nofile: 16384}                       # below the machine's hard limit
artifacts: {source: auto}
"""


_VIRTUAL = "host: {max_clock_skew_seconds: 5}                    # virtual machines begin with whole seconds\n"
_EMULATED = "timeouts: {scale: 4}                                 # and these have their instructions translated\n"


def inventory(spec: LabSpec, *, emulated: bool = False) -> str:
    """The inventory, as a YAML file, of the lab's hosts that have a role. `LabError` if none has.

    `emulated` says that the processor cannot run the virtual machines among them itself.
    """
    hosts = {name: host for name, host in spec.hosts.items() if host.roles}
    if not hosts:
        raise LabError("no host of this lab has a role: there is nothing to write into an inventory")
    keys = f"~/{user_folder(spec.name)}"
    port = "" if spec.options.ssh_port == SSH_PORT else f"\n  port: {spec.options.ssh_port}"
    sudo = "\n  sudo: password" if spec.options.login == "deploy" else ""
    virtual = any(host.vm is not None for host in hosts.values())
    slow = (_VIRTUAL + (_EMULATED if emulated else "")) if virtual else ""
    lines = "\n".join(f"  {name}: {{{_host(spec, host)}}}" for name, host in hosts.items())
    return (
        f"# The hosts of `kbootstrap lab up`, lab {spec.name!r}. Written by the lab.\n"
        "apiVersion: kbootstrap/v1\n"
        "cluster:\n"
        f"  name: {spec.name}\n"
        f"  kubernetes: {_KUBERNETES}\n"
        f"  endpoint: {{mode: {_mode(spec)}, vip: {spec.vip}}}\n"
        "ssh:\n"
        f"  user: {spec.options.login}{sudo}{port}\n"
        f"  identity_file: {keys}/id_ed25519\n"
        f"  known_hosts: {keys}/known_hosts\n"
        "  host_keys: strict\n"
        f"{_SETTINGS}{slow}"
        "power:\n"
        f"  turn_off: kbootstrap lab power-off {{host}} --name {spec.name}\n"
        f"  turn_on: kbootstrap lab power-on {{host}} --name {spec.name}\n"
        "drills: {production: false}\n"
        f"hosts:\n{lines}\n"
    )


def _mode(spec: LabSpec) -> str:
    """Load balancers hold the VIP where there are any."""
    return "external" if any(Role.LOAD_BALANCER in host.roles for host in spec.hosts.values()) else "vip"


def _host(spec: LabSpec, host: HostSpec) -> str:
    entry = f"address: {host.address}, roles: [{', '.join(host.roles)}]"
    ssh = {
        "user": host.login,
        "sudo": "password" if host.login == "deploy" else None,
        "port": host.ssh_port,
        "jump": _jump(spec, host.jump) if host.jump else None,
    }
    said = ", ".join(f"{key}: {value}" for key, value in ssh.items() if value is not None)
    return f"{entry}, ssh: {{{said}}}" if said else entry


def _jump(spec: LabSpec, name: str) -> str:
    """The jump host's name if it is in the inventory, otherwise how to log in to it."""
    host = spec.hosts[name]
    return name if host.roles else f"{spec.login(name)}@{host.address}:{spec.ssh_port(name)}"
