#!/bin/bash
# libvirtd, as the first process but one of namespaces of its own (mounts, processes, network): `libvirt.sh WORK`.
# What this machine has of libvirt is neither seen nor changed, what libvirt writes goes below WORK, and bridges, packet
# filters, sysctls, DHCP servers and machines are gone with the namespaces: when the standard input is closed.
# Says its process id, as seen from outside, when libvirtd answers. Run by bash, which reaps whatever ends.
set -euo pipefail
work=$1
read -r pid _ </proc/self/stat
mount -t proc proc /proc
mount -t sysfs sysfs /sys
ip link set lo up

mount -t tmpfs tmpfs /run
for place in etc var; do
  mkdir -p "/run/$place/upper" "/run/$place/work"
  mount -t overlay -o "lowerdir=/$place,upperdir=/run/$place/upper,workdir=/run/$place/work" overlay "/$place"
done
for place in etc var/lib var/cache var/log; do
  mkdir -p "/$place/libvirt" "$work/$place"
  mount --bind "$work/$place" "/$place/libvirt"
done

# libvirtd wants to know it, whomever qemu.conf names.
id libvirt-qemu >/dev/null 2>&1 || useradd --system --user-group libvirt-qemu
cat >/etc/libvirt/libvirtd.conf <<'CONF'
auth_unix_rw = "none"
CONF
# As root: otherwise a /dev/kvm that only root may open has libvirt probe qemu anew at every step.
cat >/etc/libvirt/qemu.conf <<'CONF'
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
CONF

libvirtd </dev/null >"$work/libvirtd.log" 2>&1 &
until virsh --quiet --connect qemu:///system uri >/dev/null 2>&1; do
  kill -0 $! 2>/dev/null || { cat "$work/libvirtd.log" >&2; exit 1; }
  sleep 0.2
done
echo "$pid"
read -r _ || :
