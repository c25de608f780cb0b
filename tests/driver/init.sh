#!/bin/sh
# SPDX-License-Identifier: MIT
# The first process of the virtual machine (busybox): sets the place up, runs the suites named on the
# kernel's command line (suites=a,b; the others are run in full), and leaves with their status.
export PATH=/bin LD_LIBRARY_PATH=/lib HOME=/tmp
mkdir -p /proc /sys /dev /tmp /mnt /run
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mkdir -p /dev/pts
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null

argument() {
	sed "s/.*\\<$1=\\([^ ]*\\).*/\\1/; t; s/.*//" /proc/cmdline
}
status=0
# suite NAME COMMAND...: its lines are TAP
suite() {
	name=$1
	shift
	case ,$(argument suites), in
	,, | *,$name,*) ;;
	*) return ;;
	esac
	echo "# suite $name"
	"$@"
	rc=$?
	if [ $rc != 0 ]; then
		echo "not ok - suite $name ended with $rc"
		status=1
	fi
}
debug() {
	[ -e /sys/kernel/debug/kmemleak ]
}
# What the module has allocated and nobody refers to any more
leaks() {
	debug || return 0
	for _ in 1 2; do
		echo scan >/sys/kernel/debug/kmemleak
		sleep 1
	done
	if grep -q stoker /sys/kernel/debug/kmemleak; then
		cat /sys/kernel/debug/kmemleak
		echo "not ok - kmemleak"
		status=1
	else
		echo "ok - no leak of the module's is known to kmemleak"
	fi
}
# Memory that is free, could be, or lies in the CPUs' lists of free pages
free_kib() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for slab in /sys/kernel/slab/*/shrink; do
		echo 1 >"$slab" 2>/dev/null
	done
	sleep 3
	{
		awk '$1 == "count:" { pages += $2 } END { print "listed", 4 * pages }' /proc/zoneinfo
		cat /proc/meminfo
	} | awk '$1 == "listed" || $1 == "MemAvailable:" { kib += $2 } END { print kib }'
}

drive=
for disk in /sys/block/nvme*n1; do
	[ "$(tr -d " " <"$disk/device/serial")" = stoker ] && drive=/dev/${disk##*/}
done
mount -t ext4 "${drive}p1" /mnt || { echo "not ok - mounting ${drive}p1"; leave 1; }
raw=${drive}p2

before=$(free_kib)
insmod /stoker.ko || { echo "not ok - loading the module"; leave 1; }
[ ! -e /importer.ko ] || insmod /importer.ko
suite rules rules /mnt "$raw"
suite rules32 rules32 /mnt "$raw"
suite importers importers /mnt
suite reclaim reclaim /mnt
suite lifetimes lifetimes /mnt
suite transfers transfers /mnt "$raw" "$(argument transfers)"
suite fuzz fuzz /mnt "$(argument fuzz)"
suite failures failures /mnt
[ ! -e /bin/stoker ] || suite paging sh /paging.sh /mnt
[ ! -e /bin/stoker ] || [ -z "$(argument bench)" ] || suite bench sh /bench.sh "$raw"
leaks
[ ! -e /importer.ko ] || rmmod importer
# contexts end a moment after their last descriptor
for _ in 1 2 3 4 5; do
	rmmod stoker 2>/dev/null && break
	sleep 1
done
if [ ! -e /sys/module/stoker ]; then
	echo "ok - the module unloads"
else
	echo "not ok - unloading the module"
	status=1
fi
after=$(free_kib)
# Up to 60 MiB are in free lists of the CPUs.  A page lost with each transfer would show, and one arena
# in ten of those that the lifetimes suite makes.
room=16384
! debug || room=196608 # KASAN keeps freed memory for a while, kmemleak notes
if [ $((before - after)) -lt $room ]; then
	echo "ok - memory: $before KiB available before, $after after"
else
	echo "not ok - memory: $before KiB available before, $after after"
	status=1
fi
umount /mnt
leave $status
