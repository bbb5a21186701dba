"""Whether something in the cluster is so already, told by one request: what a run that changes nothing needs.

Waiting is kubectl's work. It watches, and takes a tenth of a second of CPU to start.
"""

from collections.abc import Sequence

from kbootstrap.facts.api import AS_TABLE, KUBELET_CONF, ask
from kbootstrap.facts.boot import BOOT_ID


def nodes_ready(names: Sequence[str]) -> str:
    """Shell that succeeds when all these nodes are there and Ready, as the API prints it for people."""
    return f"""\
( said=$(
{ask(["/api/v1/nodes?includeObject=None"], AS_TABLE)})
for name in {" ".join(names)}; do
  case $said in *'"cells":["'"$name"'","Ready'[\\",]*) ;; *) exit 1 ;; esac
done )"""


def boot_known(name: str) -> str:
    """Shell for a node's own host that succeeds when the API knows of its present boot."""
    return f"""\
( boot=$(cat {BOOT_ID})
said=$(
{ask([f"/api/v1/nodes/{name}"], kubeconfig=KUBELET_CONF)})
case $said in
  *'"bootID":"'"$boot"'"'*) ;;
  *) echo "the API knows nothing of the boot $boot"; exit 1 ;;
esac )"""


def deployment_complete(namespace: str, name: str) -> str:
    """Shell that succeeds when all replicas of the deployment's present generation are there and available.

    It is stricter than `kubectl rollout status`: the status has to name every count, each the wanted one.
    """
    same = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    status = ",".join(('"observedGeneration":\\1', *(f'"{count}":\\2' for count in same)))
    pattern = f'"generation":\\([0-9]*\\),.*"replicas":\\([0-9]*\\),.*"status":{{{status},'
    return f"""\
( said=$(
{ask([f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"])})
printf '%s\\n' "$said" | grep -q '{pattern}' )"""
