#!/bin/sh
# Run by mmdebstrap as its essential hook: the root ($1) is about to get a kernel. Its initrd needs to know one
# machine alone, and under emulation every module in it takes time to unpack.
set -eu
mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"
echo MODULES=list >"$1/etc/initramfs-tools/conf.d/lab"
printf '%s\n' virtio_pci virtio_blk ext4 crc32c_generic >"$1/usr/share/initramfs-tools/modules.d/lab"
