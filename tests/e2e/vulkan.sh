#!/bin/bash
# SPDX-License-Identifier: MIT
# The Vulkan suites in the forms that one process can't have: subgroups of 4 and 16 lanes, GPU-assisted
# validation, newer drivers.  usage: vulkan.sh BUILD NEXT [PART...], of widths, validation, drivers.
set -u
unit=$1/unit
next=$2/bin
parts=" ${*:3} "
[ $# -gt 2 ] || parts=" widths validation drivers "
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# try NAME SUITES COMMAND...
try() {
	local name=$1 suites=$2 start=$SECONDS
	shift 2
	# shellcheck disable=SC2086 # a list of words
	if "$@" "$unit" $suites >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok: $name ($((SECONDS - start)) s)"
	else
		failed=$((failed + 1))
		echo "FAILED: $name"
		grep -v '^$' "$log" | tail -n 30 | sed 's/^/    /'
	fi
}

skip() {
	skipped=$((skipped + 1))
	echo "skipped: $1"
}

asked() { [[ $parts == *" $1 "* ]]; }

# The widths reach into the driver's cache, which takes them for one.
for bits in 128 512; do
	asked widths || break
	try "subgroups of $((bits / 32))" "ops" env LP_NATIVE_VECTOR_WIDTH=$bits MESA_SHADER_CACHE_DISABLE=true
done
# Instrumented, shaders take ten times as long to compile: one variant of the device.
! asked validation ||
	try "GPU-assisted validation" "ops" env STOKER_TEST_VULKAN=no-cache,validate-gpu STOKER_TEST_VARIANTS=1
for version in 25 26; do
	asked drivers || break
	if [ -x "$next/on-lavapipe-$version" ]; then
		try "lavapipe $version" "ops vulkan vectors" "$next/on-lavapipe-$version"
	else
		skip "lavapipe $version: not there (make deps-next)"
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
