#!/bin/sh
# Runs one lab host as a virtual machine, until it is switched off; a reboot is qemu's own affair.
#
# Its standard input is the lab's lock, given up as soon as this process can be found by its cgroup. Environment:
#   LAB_CGROUPS   the host's cgroup in every hierarchy, separated by blanks
#   LAB_SWITCH    network namespace of the lab's bridge        LAB_BRIDGE   the bridge in it
#   LAB_HOST      the host's name, also of its port            LAB_MAC      its link address
#   LAB_DIR       what is the host's own                       LAB_KERNEL, LAB_INITRD   what it boots
#   LAB_ACCEL, LAB_PROCESSOR   what runs its instructions (tcg, kvm), and which processor that seems to be
#   LAB_MEMORY, LAB_CPUS       how large it is (MiB)
set -eu

for cgroup in $LAB_CGROUPS; do echo $$ >"$cgroup/supervisor/cgroup.procs"; done
exec </dev/null

ip -netns "$LAB_SWITCH" link del "$LAB_HOST" 2>/dev/null || :
ip -netns "$LAB_SWITCH" tuntap add dev "$LAB_HOST" mode tap
ip -netns "$LAB_SWITCH" link set "$LAB_HOST" master "$LAB_BRIDGE" up

# cache=unsafe: a power cut is the end of this process, not of the machine, and what was written stays written.
exec nsenter --net="/run/netns/$LAB_SWITCH" -- qemu-system-x86_64 \
    -name "$LAB_MACHINE" -nodefaults -no-user-config -display none -serial stdio \
    -accel "$LAB_ACCEL" -cpu "$LAB_PROCESSOR" -smp "$LAB_CPUS" -m "$LAB_MEMORY" \
    -kernel "$LAB_KERNEL" -initrd "$LAB_INITRD" \
    -append "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off panic=1 quiet" \
    -drive "file=$LAB_DIR/disk,format=raw,if=virtio,cache=unsafe,discard=unmap" \
    -netdev "tap,id=net,ifname=$LAB_HOST,script=no,downscript=no" \
    -device "virtio-net-pci,netdev=net,mac=$LAB_MAC" -device virtio-rng-pci
