#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the unit tests for 64-bit Arm, against libraries that are fetched into BUILD/arm64, and has
# an emulator run them: with NEON's dot product and in plain C.  Ops and logits are compared as on the
# machine itself.  Without a cross compiler, an emulator or packages it says what is missing.
# usage: SHADER_BUILD=FOLDER [SUITES="ops vectors"] arm64.sh BUILD
set -eu

[ $# = 1 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
read -ra suites <<<"${SUITES:-ops vectors formats session pages batch sampler}"
mkdir -p "$1/arm64"
folder=$(cd "$1/arm64" && pwd)
root=$folder/root
compiler=aarch64-linux-gnu-gcc
passed=0 failed=0 skipped=0

finish() {
	echo "$passed passed, $failed failed, $skipped skipped"
	exit $((failed > 0))
}

skip() {
	echo "skipped: $*"
	skipped=$((skipped + 1))
	finish
}

# fetch: the libraries' packages for this system's release
fetch() {
	local package release link target
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && [ "$ID" = debian ] && echo "$VERSION_CODENAME") || return 1
	(
		# shellcheck source=../../tools/setup/private-apt.sh
		. tools/setup/private-apt.sh
		private_apt "$folder/apt" /dev/null "debian $release" arm64 &&
			apt-get -q -y --download-only install liburing-dev libpcre2-dev libutf8proc-dev \
				libjson-c-dev libdrm-dev libnuma-dev libcunit1-dev
	) >"$folder/log" 2>&1 || return 1
	for package in "$folder"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$package" "$root"
	done
	rm -rf "$folder/apt"
	# links that name a place of the system lead to one below the root
	find "$root" -type l -lname '/*' -printf '%p %l\n' | while read -r link target; do
		ln -sfn "$root$target" "$link"
	done
}

emulator=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || skip "no qemu-aarch64 (Debian: qemu-user-static)"
command -v "$compiler" >/dev/null || skip "no $compiler (Debian: gcc-aarch64-linux-gnu)"
if [ ! -e "$folder/fetched" ]; then
	rm -rf "$root"
	fetch || skip "the libraries can't be fetched, see $folder/log; wanted: Debian and its package index"
	# where the loader's path leads on a system
	[ -e "$root/lib" ] || ln -s usr/lib "$root/lib"
	touch "$folder/fetched"
fi
# headers that are the same for all processors
mkdir -p "$folder/include"
ln -sfn /usr/include/volk.h /usr/include/vulkan /usr/include/vk_video "$folder/include"
# shaders are the same, too; what embeds them isn't
rm -rf "$folder/shaders"
cp -a "$SHADER_BUILD" "$folder/shaders"
rm -f "$folder/shaders/shaders.o"

PKG_CONFIG_LIBDIR=$root/usr/lib/aarch64-linux-gnu/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root make -s -j"$(nproc)" BUILD="$folder" \
	CC="$compiler" AR=aarch64-linux-gnu-ar OBJCOPY=aarch64-linux-gnu-objcopy \
	CFLAGS="-O2 -g --sysroot=$root -isystem $folder/include" LDFLAGS="--sysroot=$root" "$folder/unit"

for isa in dotprod scalar; do
	for suite in "${suites[@]}"; do
		log=$folder/$suite-$isa.log
		if STOKER_ISA=$isa "$emulator" -cpu max -L "$root" "$folder/unit" "$suite" >"$log" 2>&1 &&
			grep -q '^ *tests .* 0  *[0-9]*$' "$log"; then
			awk -v isa="$isa" -v suite="$suite" '$1 == "asserts" {
				print "ok: " suite ", " isa ", " $3 " comparisons" }' "$log"
			passed=$((passed + 1))
		else
			tail -n 30 "$log"
			echo "FAILED: $suite, $isa: $log"
			failed=$((failed + 1))
		fi
	done
done
finish
