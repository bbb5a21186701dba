"""Where a cluster's own secrets lie on its control-plane hosts: as kubeadm lays them out."""

from pathlib import PurePosixPath

KUBERNETES = PurePosixPath("/etc/kubernetes")
PKI = KUBERNETES / "pki"

CA_CERTIFICATE = PKI / "ca.crt"
CA_KEY = PKI / "ca.key"
ETCD_CA_CERTIFICATE = PKI / "etcd/ca.crt"
ETCD_CA_KEY = PKI / "etcd/ca.key"
FRONT_PROXY_CA_CERTIFICATE = PKI / "front-proxy-ca.crt"
FRONT_PROXY_CA_KEY = PKI / "front-proxy-ca.key"
SERVICE_ACCOUNT_PUBLIC = PKI / "sa.pub"
SERVICE_ACCOUNT_PRIVATE = PKI / "sa.key"
ENCRYPTION_CONFIG = KUBERNETES / "encryption.yaml"
