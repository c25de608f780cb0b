# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# Counts of a test script, which has a folder $scratch for what a command writes to standard error.
passed=0 failed=0 skipped=0

ok() {
	passed=$((passed + 1))
	echo "ok: $1"
}
bad() {
	failed=$((failed + 1))
	echo "FAILED: $1"
	sed 's/^/    /' "$scratch/err" | tail -n 5
}
