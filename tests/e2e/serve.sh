#!/bin/bash
# SPDX-License-Identifier: MIT
# The server end to end, by Python's standard library: tests/e2e/serve/test_*.py.
# usage: serve.sh BUILD [TEST...]
set -eu
build=$1
shift
if ! command -v python3 >/dev/null; then
	echo "serve: skipped, no python3"
	exit 0
fi
if "$build/stoker" serve --help | grep -q "built without"; then
	echo "serve: skipped, built without libmicrohttpd"
	exit 0
fi
export STOKER=$build/stoker PYTHONDONTWRITEBYTECODE=1
ulimit -n "$(ulimit -Hn)" # thousands of connections
if [ $# = 0 ]; then
	set -- tests/e2e/serve/test_*.py
fi
# most of their time is waiting
export PYTHONPATH=tests/e2e/serve
if ! printf '%s\n' "$@" | sed 's,.*/,,; s,\.py$,,' | xargs -P 3 -n 1 python3 -W ignore::ResourceWarning -m unittest -q 2>"$build/serve.log"; then
	cat "$build/serve.log"
	exit 1
fi
grep -h '^Ran\|skipped' "$build/serve.log"
echo "serve: all good"
