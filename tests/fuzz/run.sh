#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one fuzzer from the small models in tests/data.  usage: run.sh FUZZER RUNS
set -eu
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
cp tests/data/containers/*.gguf "$corpus"
longest=40000
case $1 in *text) longest=1500 ;; esac # texts needn't be long, and take longer
"$1" -runs="$2" -max_len=$longest -rss_limit_mb=4096 -timeout=20 -malloc_limit_mb=2048 -print_final_stats=1 \
	-artifact_prefix="$corpus/" "$corpus" 2>"$corpus.log" || {
	tail -40 "$corpus.log" >&2
	cp "$corpus"/crash-* "$corpus"/oom-* "$corpus"/timeout-* . 2>/dev/null || true
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}
grep -E 'number_of_executed_units' "$corpus.log"
rm -f "$corpus.log"
echo "1 passed, 0 failed, 0 skipped"
