# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# What test scripts count and expect. They have a folder $scratch for what a command writes.
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
# expect STATUS TEXT NAME COMMAND...: exit status, and TEXT on standard output or error
expect() {
	local status=$1 text=$2 name=$3
	shift 3
	"$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	local got=$?
	if [ $got = "$status" ] && { [ -z "$text" ] || grep -qF -- "$text" "$scratch/out" "$scratch/err"; }; then
		ok "$name"
	else
		bad "$name (status $got, expected $status and \"$text\")"
	fi
}
