#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds kernel modules out of tree, leaving the folder of their sources as it is.
# usage: build.sh SOURCES KERNEL-TREE OUTPUT [MAKE-ARGUMENT...]
set -eu

[ $# -ge 3 ] || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
sources=$1 tree=$2 output=$3
shift 3
if [ ! -e "$tree/Makefile" ]; then
	echo "build: no kernel headers at $tree; package linux-headers-amd64, or KDIR=FOLDER" >&2
	exit 1
fi
mkdir -p "$output"
cp -u "$sources"/*.[ch] "$sources/Kbuild" "$output/"
cp -ru "$(dirname "$0")/../uapi" "$output/"
make -s -C "$(cd "$tree" && pwd)" M="$(cd "$output" && pwd)" "$@" modules
