"""Certificates and kubeconfigs with the lifetimes of the inventory."""

from pathlib import PurePosixPath

from kbootstrap.components.packages import has_proxy
from kbootstrap.components.site import Site
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.steps.certificate import Certificate
from kbootstrap.steps.kubeconfig import Kubeconfig


def certificate(
    site: Site, path: PurePosixPath, authority: Authority, spec: CertificateSpec, owner: str = "root"
) -> Certificate:
    """A certificate at `path` (without suffix: `.crt` and `.key` are added)."""
    lifetimes = site.cluster.settings.certificates
    return Certificate(
        cert_path=path.with_name(f"{path.name}.crt"),
        key_path=path.with_name(f"{path.name}.key"),
        authority=authority,
        spec=spec,
        days=lifetimes.days,
        renew_before_days=lifetimes.renew_before_days,
        now=site.now,
        owner=owner,
        group=owner,
    )


def kubeconfig(
    site: Site, path: PurePosixPath, server: str, user: str, organizations: tuple[str, ...] = ()
) -> Kubeconfig:
    """A kubeconfig for `user`, who finds the API at `server` (`host:port`)."""
    lifetimes = site.cluster.settings.certificates
    return Kubeconfig(
        path=path,
        server_url=f"https://{server}",
        cluster_name=site.cluster.name,
        user=user,
        authority=site.pki.kubernetes,
        spec=CertificateSpec(user, organizations, client=True),
        days=lifetimes.days,
        renew_before_days=lifetimes.renew_before_days,
        now=site.now,
    )


def own_apiserver(site: Site) -> str:
    """`host:port` of the apiserver of this very control-plane host."""
    return f"{site.host.address}:{site.cluster.settings.endpoint.port}"


def nearest_api(site: Site) -> str:
    """`host:port` of the API for the host's node daemons: its own proxy where it has one, which needs no VIP."""
    if has_proxy(site.cluster, site.host):
        return f"127.0.0.1:{site.cluster.settings.endpoint.port}"
    return site.cluster.api_server_for(site.host)
