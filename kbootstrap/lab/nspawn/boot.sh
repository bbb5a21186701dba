#!/bin/sh
# Runs one lab host: `boot.sh supervise` stays as its parent and boots it again when it asks for a reboot.
#
# Its standard input is the lab's lock, given up as soon as this process can be found by its cgroup. Environment:
#   LAB_CGROUPS   the host's cgroup in every hierarchy, separated by blanks
#   LAB_SWITCH    network namespace of the lab's bridge        LAB_BRIDGE   the bridge in it
#   LAB_HOST      the host's name, also of its port            LAB_MACHINE  its name among all labs
#   LAB_ADDRESS   its address with prefix length               LAB_MAC      its link address
#   LAB_BASE      the root shared by all hosts                 LAB_DIR      what is the host's own
set -eu

supervise() {
    for cgroup in $LAB_CGROUPS; do echo $$ >"$cgroup/supervisor/cgroup.procs"; done
    exec </dev/null
    status=133 # what systemd-nspawn ends with when its host asks for a reboot
    while [ "$status" -eq 133 ]; do
        status=0
        unshare --mount --net --propagation private -- sh "$0" boot || status=$?
    done
    exit "$status"
}

boot() {
    # A cgroup of its own for each boot: cgroup v2 lets no process into one that systemd-nspawn has used.
    for cgroup in $LAB_CGROUPS; do
        [ ! -d "$cgroup/machine" ] || find "$cgroup/machine" -depth -type d -exec rmdir {} \;
        mkdir "$cgroup/machine"
        echo $$ >"$cgroup/machine/cgroup.procs"
    done

    ip -netns "$LAB_SWITCH" link del "$LAB_HOST" 2>/dev/null || :
    ip link add eth0 address "$LAB_MAC" type veth peer name "$LAB_HOST" netns "$LAB_SWITCH"
    ip -netns "$LAB_SWITCH" link set "$LAB_HOST" master "$LAB_BRIDGE" up
    # The default route leads nowhere (nobody answers ARP for it), but service addresses need one to be rewritten.
    ip -batch - <<COMMANDS
link set lo up
address add $LAB_ADDRESS dev eth0
link set eth0 up
route add default dev eth0
COMMANDS

    # Mounts are private to this namespace and end with it. The /run keeps nspawn's traces off the machine's.
    mount -t tmpfs -o mode=0755 tmpfs /run
    mount -t overlay -o "lowerdir=$LAB_BASE,upperdir=$LAB_DIR/upper,workdir=$LAB_DIR/work" overlay "$LAB_DIR/root"

    modules=/lib/modules/$(uname -r)
    [ ! -d "$modules" ] || set -- --bind-ro="$modules"

    # Without SYSTEMD_SECCOMP=0 runc fails: "unable to create session key".
    export SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes
    exec systemd-nspawn --quiet --boot --directory="$LAB_DIR/root" \
        --machine="$LAB_MACHINE" --hostname="$LAB_HOST" --capability=all \
        --register=no --keep-unit --network-namespace-path=/proc/self/ns/net \
        --link-journal=no --resolv-conf=off --timezone=off --bind=/dev/kmsg \
        --bind="$LAB_DIR/containerd:/var/lib/containerd" \
        --bind="$LAB_DIR/kubelet:/var/lib/kubelet" \
        --bind="$LAB_DIR/etcd:/var/lib/etcd" "$@"
}

action=$1
shift
"$action"
