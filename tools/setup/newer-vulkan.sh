#!/bin/sh
# SPDX-License-Identifier: MIT
# Unpacks newer Vulkan software from Debian beside the system's own, which stays as it is, so that
# shaders and drivers of tomorrow can be tested today:
#
#   FOLDER/lavapipe-25/   Mesa from bookworm-backports, for this system's C library (Debian 12 only)
#   FOLDER/trixie/        glslc, Vulkan headers, volk and validation layers from trixie and Mesa from
#                         trixie-backports, with the C library that they need
#   FOLDER/bin/           glslc, spirv-val: trixie's;  on-lavapipe-25, on-lavapipe-26 PROGRAM ARGS...
#
# usage: newer-vulkan.sh FOLDER
set -eu

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
log=$folder/log

# shellcheck source=private-apt.sh
. "$(dirname "$0")/private-apt.sh"

# unpack PREFIX STATUS "ARCHIVE SUITE;..." PACKAGES...: downloads what STATUS, a dpkg status file,
# doesn't say is installed.
unpack() {
	prefix=$folder/$1 state=$folder/apt/$1
	status=$2 sources=$3
	shift 3
	rm -rf "$prefix"
	mkdir -p "$prefix"
	if ! { private_apt "$state" "$status" "$sources" &&
		apt-get -q -y --download-only install "$@"; } >>"$log" 2>&1; then
		echo "newer-vulkan: apt couldn't download for $prefix, see $log" >&2
		tail -n 3 "$log" >&2
		exit 1
	fi
	unset APT_CONFIG
	for package in "$state"/cache/archives/*.deb; do
		dpkg-deb -x "$package" "$prefix"
	done
	rm -rf "$state/cache"
	# the driver's manifest names a library of the system
	sed "s|\"library_path\": *\"[^\"]*\"|\"library_path\": \"$prefix/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so\"|" \
		"$prefix"/usr/share/vulkan/icd.d/lvp_icd*.json >"$prefix/lavapipe.json"
	echo "newer-vulkan: $prefix"
}

# wrapper NAME: FOLDER/bin/NAME from standard input
wrapper() {
	cat >"$folder/bin/$1"
	chmod +x "$folder/bin/$1"
}

rm -f "$log"
mkdir -p "$folder/bin"
trixie=$folder/trixie/usr
libraries=$trixie/lib/x86_64-linux-gnu
unpack trixie /dev/null "debian trixie;debian trixie-backports" \
	mesa-vulkan-drivers/trixie-backports libgbm1/trixie-backports mesa-libgallium/trixie-backports \
	glslc libvulkan-dev libvulkan-volk-dev vulkan-validationlayers spirv-tools libgomp1
# The whole process has to use trixie's C library: its own loader starts the program.
wrapper with-trixie <<-END
	#!/bin/sh
	program=\$(command -v "\$1") || { echo "with-trixie: no \$1" >&2; exit 127; }
	shift
	exec $trixie/lib64/ld-linux-x86-64.so.2 --inhibit-cache --library-path $libraries \\
		--argv0 "\$program" "\$program" "\$@"
END
wrapper on-lavapipe-26 <<-END
	#!/bin/sh
	export VK_DRIVER_FILES=$folder/trixie/lavapipe.json VK_ICD_FILENAMES=$folder/trixie/lavapipe.json
	export VK_LAYER_PATH=$trixie/share/vulkan/explicit_layer.d
	exec $folder/bin/with-trixie "\$@"
END
for tool in glslc spirv-val; do
	wrapper $tool <<-END
		#!/bin/sh
		exec $folder/bin/with-trixie $trixie/bin/$tool "\$@"
	END
done
if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
	unpack lavapipe-25 /var/lib/dpkg/status \
		"debian bookworm;debian bookworm-updates;debian-security bookworm-security;debian bookworm-backports" \
		-t bookworm-backports mesa-vulkan-drivers
	prefix=$folder/lavapipe-25
	wrapper on-lavapipe-25 <<-END
		#!/bin/sh
		export VK_DRIVER_FILES=$prefix/lavapipe.json VK_ICD_FILENAMES=$prefix/lavapipe.json
		LD_LIBRARY_PATH=$prefix/usr/lib/x86_64-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH} exec "\$@"
	END
fi
