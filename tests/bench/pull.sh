#!/bin/bash
# SPDX-License-Identifier: MIT
# How fast stoker pull is beside curl: 1 GB from the tests' hub on this machine, five times in turn.
# usage: pull.sh BUILD [FOLDER [OPTION...]], files go to FOLDER (/dev/shm: the drive isn't what is measured)
set -u
stoker=$1/stoker hub=$1/hub
if [ ! -x "$stoker" ] || [ ! -x "$hub" ]; then
	echo "usage: pull.sh BUILD [FOLDER [OPTION...]], after make and make $1/hub" >&2
	exit 2
fi
scratch=$(mktemp -d -p "${2:-/dev/shm}")
shift $(($# < 2 ? $# : 2))
server=
trap '[ -z "$server" ] || kill $server; rm -rf "$scratch"' EXIT
unset http_proxy HTTP_PROXY ALL_PROXY all_proxy HF_TOKEN
export HOME=$scratch XDG_DATA_HOME=$scratch/data LC_ALL=C
# the hub keeps it in memory
"$stoker" synth --layers 17 "$scratch/model.gguf" || exit
"$hub" "$scratch/model.gguf" tests/data/containers/split-0000?-of-00002.gguf "$scratch/log" >"$scratch/ports" &
server=$!
while [ ! -s "$scratch/ports" ]; do
	kill -0 $server || exit
	sleep 0.1
done
read -r port _ sum _ <"$scratch/ports"
bytes=$(stat -c %s "$scratch/model.gguf")
rm "$scratch/model.gguf"
export HF_ENDPOINT=http://127.0.0.1:$port
address=$HF_ENDPOINT/test/plain/resolve/1111111111111111111111111111111111111111/model-Q4_K.gguf
TIMEFORMAT=%R
peak=0
for _ in 1 2 3 4 5; do
	{ time curl -sSfL -o "$scratch/curl" "$address"; } 2>>"$scratch/curl.times"
	rm "$scratch/curl"
	{ time "$stoker" pull hf:test/plain "$@" >/dev/null; } 2>>"$scratch/stoker.times" &
	job=$!
	while kill -0 $job 2>/dev/null; do
		pid=$(pgrep -P $job -x stoker) &&
			now=$(sed -n 's/^VmHWM: *\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null) &&
			[ "${now:-0}" -gt "$peak" ] && peak=$now
		sleep 0.1
	done
	rm -rf "$scratch/data"
done
median() {
	sort -n "$1" | sed -n 3p
}
echo "curl $(median "$scratch/curl.times") s, stoker $(median "$scratch/stoker.times") s for $bytes bytes," \
	"$(echo "$(median "$scratch/curl.times") $(median "$scratch/stoker.times")" | awk '{ printf "%.2f", $1 / $2 }') of curl's speed," \
	"peak memory $((peak / 1024)) MiB (SHA-256 ${sum:0:12} checked)"
