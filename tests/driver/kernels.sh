#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches what the module is tested with from Debian's archives: the cloud kernels of bookworm (6.1) and
# of bookworm-backports (6.12) with their headers, and checkpatch.  Nothing is installed, and nothing
# done when that has been done already.
#
#   FOLDER/6.1/vmlinuz, FOLDER/6.1/headers     likewise 6.12
#   FOLDER/checkpatch/checkpatch.pl
#
# usage: kernels.sh FOLDER
set -eu

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ ! -e "$folder/done" ] || exit 0
log=$folder/log
# shellcheck source=../../tools/setup/private-apt.sh
. "$(dirname "$0")/../../tools/setup/private-apt.sh"

# fetch FOLDER PACKAGES...: unpacked there
fetch() {
	into=$1
	shift
	mkdir -p "$into"
	(cd "$into" && apt-get -q download "$@" >>"$log" 2>&1) || {
		tail -n 3 "$log" >&2
		exit 1
	}
	for package in "$into"/*.deb; do
		dpkg-deb -x "$package" "$into"
		rm "$package"
	done
}

# the package that NAME's newest version of SUITE depends on, by pattern
dependency() {
	apt-cache show "$1" | sed -n "s/^Depends:.*\\($2\\).*/\\1/p" | head -n 1
}

# kernel VERSION "ARCHIVE SUITE;..."
kernel() {
	into=$folder/$1
	rm -rf "$into"
	private_apt "$folder/apt-$1" /dev/null "$2" >>"$log" 2>&1 || { tail -n 3 "$log" >&2; exit 1; }
	image=$(dependency linux-image-cloud-amd64 'linux-image-[^ ]*-cloud-amd64')
	release=${image#linux-image-}
	headers=linux-headers-$release
	fetch "$into" "$image" "$headers" "$(dependency "$headers" 'linux-headers-[^ ]*-common')" \
		"$(dependency "$headers" 'linux-kbuild-[^ ,]*')"
	unset APT_CONFIG
	mv "$into/boot/vmlinuz-$release" "$into/vmlinuz"
	# the makefile includes another one by its absolute path
	sed -i "s|/usr/src|$into/usr/src|" "$into/usr/src/$headers/Makefile"
	ln -s "usr/src/$headers" "$into/headers"
	(cd "$into" && rm -rf boot lib usr/lib/modules usr/share)
	echo "kernels: $release"
}

rm -f "$log"
kernel 6.1 "debian bookworm;debian-security bookworm-security"
kernel 6.12 "debian bookworm-backports"
private_apt "$folder/apt-6.1" /dev/null "debian bookworm;debian-security bookworm-security" >>"$log" 2>&1
fetch "$folder/source" linux-source-6.1
unset APT_CONFIG
mkdir -p "$folder/checkpatch"
tar -C "$folder/checkpatch" --strip-components=2 -xf "$folder/source/usr/src/linux-source-6.1.tar.xz" \
	linux-source-6.1/scripts/checkpatch.pl linux-source-6.1/scripts/spelling.txt \
	linux-source-6.1/scripts/const_structs.checkpatch
rm -rf "$folder/source" "$folder"/apt-*
touch "$folder/done"
