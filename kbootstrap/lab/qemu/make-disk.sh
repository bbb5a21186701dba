#!/bin/sh
# Makes a virtual machine's disk: `make-disk.sh BASE UPPER DISK SIZE`, the files of UPPER over those of BASE.
# To be run in a mount namespace of its own.
set -eu
base=$1 upper=$2 disk=$3 size=$4
merged=$disk.root
mkdir "$merged"
mount -t overlay -o "ro,lowerdir=$upper:$base" overlay "$merged"
mke2fs -q -t ext4 -m 0 -d "$merged" "$disk" "$size"
umount "$merged"
rmdir "$merged"
