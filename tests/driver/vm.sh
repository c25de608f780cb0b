#!/bin/bash
# SPDX-License-Identifier: MIT
# Boots a kernel in QEMU with an NVMe drive (ext4 and a raw partition) and two NUMA nodes, loads the
# module, runs the suites, and looks for trouble in the kernel's log.  Prints TAP and closes with
# "N passed, N failed, N skipped".
#
# usage: vm.sh KERNEL FOLDER [ARGUMENT...]
#   FOLDER     holds stoker.ko, importer.ko, the suites' programs and, for paging, stoker and MODEL.gguf
#   ARGUMENT   suites=a,b  transfers=N  fuzz=N  bench=1, for init.sh
#   SECONDS_MAX (1200), MEMORY (2G), ACCEL (tcg) are taken from the environment
set -eu

[ $# -ge 2 ] || { sed -n '4,13p' "$0" >&2; exit 2; }
kernel=$1 folder=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
for tool in qemu-system-x86_64 busybox mke2fs cpio; do
	command -v $tool >/dev/null || PATH=$PATH:/sbin:/usr/sbin command -v $tool >/dev/null || {
		echo "vm: needs $tool; packages qemu-system-x86 busybox-static e2fsprogs cpio" >&2
		exit 2
	}
done
export PATH=$PATH:/sbin:/usr/sbin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --- the first file system ---
root=$work/root
mkdir -p "$root/bin" "$root/lib"
cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh mount umount mkdir cat sed tr grep sync sleep insmod rmmod echo head awk sort dd cmp rm mknod; do
	ln -s busybox "$root/bin/$applet"
done
cp "$here/init.sh" "$root/init"
for file in "$folder"/*; do
	case $file in
	*.ko | *.sh) cp "$file" "$root/" ;;
	*.gguf) ;;
	*) cp "$file" "$root/bin/" ;;
	esac
done
# what the programs load; the dynamic loader at its own place
for program in "$root"/bin/*; do
	{ ldd "$program" 2>/dev/null || true; } | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^\s*\(\/[^ ]*ld-linux[^ ]*\).*/\1/p'
done | sort -u | while read -r library; do
	case $library in
	*ld-linux*) mkdir -p "$root/$(dirname "$library")"; cp -L "$library" "$root/$library" ;;
	*) cp -L "$library" "$root/lib/" ;;
	esac
done
chmod +x "$root/init" "$root"/bin/*
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs"

# --- the drive: a partition table by hand, 768 MiB of ext4, 256 MiB raw ---
mkdir "$work/files"
for model in "$folder"/*.gguf; do
	[ ! -e "$model" ] || cp "$model" "$work/files/"
done
truncate -s 1025M "$work/drive"
entry() { # type, first sector, sectors
	printf '\\0\\0\\0\\0\\x%02x\\0\\0\\0' "$1"
	for number in "$2" "$3"; do
		printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((number & 255)) $((number >> 8 & 255)) \
			$((number >> 16 & 255)) $((number >> 24))
	done
}
printf '%b' "$(entry 131 2048 1572864)$(entry 131 1574912 524288)" |
	dd of="$work/drive" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$work/drive" bs=1 seek=510 conv=notrunc status=none
mke2fs -q -t ext4 -E offset=1048576 -d "$work/files" "$work/drive" 768M >/dev/null 2>&1

# --- run ---
log=$work/log
# With cx16 a guest of 6.12 fails at times in QEMU 7.2.
cpu=max,-cx16
[ "${ACCEL:-tcg}" = tcg ] || cpu=host
set +e
timeout -k 10 "${SECONDS_MAX:-1200}" qemu-system-x86_64 -machine q35 -accel "${ACCEL:-tcg}" -cpu $cpu \
	-smp 2,sockets=2,cores=1 -m "${MEMORY:-2G}" \
	-object memory-backend-ram,id=m0,size=1G -object memory-backend-ram,id=m1,size=1G \
	-numa node,cpus=0,memdev=m0 -numa node,cpus=1,memdev=m1 \
	-drive if=none,id=drive,file="$work/drive",format=raw,cache=unsafe,discard=unmap \
	-device nvme,drive=drive,serial=stoker -device isa-debug-exit,iobase=0xf4,iosize=4 \
	-kernel "$kernel" -initrd "$work/initramfs" -nographic -no-reboot -net none \
	-append "console=ttyS0 panic=-1 oops=panic kasan.fault=panic watchdog_thresh=60 loglevel=4 $*" \
	</dev/null 2>&1 | tr -d '\r' | tee "$log" | grep -aE --line-buffered '^(ok|not ok|#|bench)'
status=${PIPESTATUS[0]}
set -e

# --- judge ---
signs='BUG:|WARNING:|KASAN|Oops|general protection|possible recursive|lock.*inversion|INFO: task|unreferenced object|Kernel panic|UBSAN|DEBUG_LOCKS_WARN|soft lockup|rcu.*stall'
trouble=$(grep -aE -m 1 "$signs" "$log" || true)
passed=$(grep -ac '^ok' "$log" || true)
failed=$(grep -ac '^not ok' "$log" || true)
skipped=$(grep -ac '^ok.*# SKIP' "$log" || true)
if [ -n "$trouble" ]; then
	echo "not ok - the kernel's log:"
	grep -aE -A 25 "$signs" "$log" | head -80
	failed=$((failed + 1))
fi
if [ "$status" = 124 ]; then
	echo "not ok - no end within ${SECONDS_MAX:-1200} s"
	failed=$((failed + 1))
elif [ "$status" != 1 ] && [ "$failed" = 0 ]; then
	echo "not ok - the virtual machine ended with $status"
	tail -n 20 "$log"
	failed=$((failed + 1))
fi
[ -z "${KEEP_LOG:-}" ] || cp "$log" "$KEEP_LOG"
echo "$((passed - skipped)) passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
