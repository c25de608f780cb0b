#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the kernel of debug.config from Debian's package linux-source-6.1 (about ten minutes, 2 GB).
# Nothing is done when that has been done already.  usage: debug-kernel.sh FOLDER
set -eu

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
tree=$folder/linux-source-6.1

if [ -e "$folder/done" ] && cmp -s "$here/debug.config" "$folder/done"; then
	exit 0
fi
if [ ! -d "$tree" ]; then
	# shellcheck source=../../tools/setup/private-apt.sh
	. "$here/../../tools/setup/private-apt.sh"
	private_apt "$folder/apt" /dev/null "debian bookworm;debian-security bookworm-security"
	(cd "$folder" && apt-get -q download linux-source-6.1 && dpkg-deb -x linux-source-6.1_*.deb source)
	tar -C "$folder" -xf "$folder/source/usr/src/linux-source-6.1.tar.xz"
	rm -rf "$folder/source" "$folder"/linux-source-6.1_*.deb
fi
cd "$tree"
make -s tinyconfig >"$folder/log" 2>&1
scripts/kconfig/merge_config.sh -m .config "$here/debug.config" >>"$folder/log"
make -s olddefconfig >>"$folder/log" 2>&1
while read -r wanted; do
	case $wanted in
	CONFIG_*) grep -qx "$wanted" .config || echo "debug-kernel: not possible here: $wanted" ;;
	esac
done <"$here/debug.config"
make -s -j"$(nproc)" bzImage modules_prepare >>"$folder/log" 2>&1 || {
	tail -n 20 "$folder/log" >&2
	exit 1
}
# modules are built against the symbols of this image
[ -e Module.symvers ] || cp vmlinux.symvers Module.symvers
cp "$here/debug.config" "$folder/done"
