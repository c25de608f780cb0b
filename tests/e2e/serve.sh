#!/bin/bash
# SPDX-License-Identifier: MIT
# The server end to end, by Python's standard library: tests/e2e/serve/test_*.py.
# usage: serve.sh BUILD [TEST...]
set -eu
build=$1
shift
if ! command -v python3 >/dev/null; then
	printf '%s\n' "skipped: the server's tests need python3" "0 passed, 0 failed, 1 skipped"
	exit 0
fi
if "$build/stoker" serve --help | grep -q "built without"; then
	printf '%s\n' "skipped: built without libmicrohttpd" "0 passed, 0 failed, 1 skipped"
	exit 0
fi
export STOKER=$build/stoker PYTHONDONTWRITEBYTECODE=1
ulimit -n "$(ulimit -Hn)" # thousands of connections
if [ $# = 0 ]; then
	set -- tests/e2e/serve/test_*.py
fi
# most of their time is waiting
export PYTHONPATH=tests/e2e/serve
failed=0
printf '%s\n' "$@" | sed 's,.*/,,; s,\.py$,,' |
	xargs -P 3 -n 1 python3 -W ignore::ResourceWarning -m unittest -q 2>"$build/serve.log" || failed=1
if [ $failed = 1 ]; then
	cat "$build/serve.log"
fi
# "Ran 12 tests in 1.234s", "OK (skipped=1)", "FAILED (failures=1, errors=2, skipped=1)"
awk -F '[^0-9]+' '
	function of(name) { return match($0, name "=[0-9]+") ? substr($0, RSTART + length(name) + 1) + 0 : 0 }
	/^Ran [0-9]+ test/ { ran += $2 }
	/^(OK|FAILED) ?\(/ { bad += of("failures") + of("errors"); skipped += of("skipped") }
	END { printf "%d passed, %d failed, %d skipped\n", ran - bad - skipped, bad, skipped }' "$build/serve.log"
exit $failed
