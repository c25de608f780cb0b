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
read -r port _ <"$scratch/ports"
bytes=$(stat -c %s "$scratch/model.gguf")
rm "$scratch/model.gguf"
export HF_ENDPOINT=http://127.0.0.1:$port
address=$HF_ENDPOINT/test/plain/resolve/1111111111111111111111111111111111111111/model-Q4_K.gguf
peak=0
seconds() { # of a command, and its highest memory in $peak
	local start=${EPOCHREALTIME/./} now pid
	"$@" >/dev/null &
	pid=$!
	while [ -e /proc/$pid/stat ] && read -r now <"/proc/$pid/statm" && [ "$now" != "0 0 0 0 0 0 0" ]; do
		now=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null)
		[ "${now:-0}" -gt "$peak" ] && peak=$now
		sleep 0.05
	done
	wait $pid || exit
	took=$((${EPOCHREALTIME/./} - start))
}
for _ in 1 2 3 4 5; do
	seconds curl -sSfL -o "$scratch/curl" "$address"
	echo "$took" >>"$scratch/curl.times"
	rm "$scratch/curl"
	peak=0
	seconds "$stoker" pull hf:test/plain "$@"
	echo "$took" >>"$scratch/stoker.times"
	rm -rf "$scratch/data"
done
median() {
	sort -n "$1" | sed -n 3p
}
curl=$(median "$scratch/curl.times") own=$(median "$scratch/stoker.times")
echo "$bytes $curl $own $peak" | awk '{ printf "%d bytes: curl %.2f s, stoker %.2f s, %.2f of its speed; peak memory %.0f MiB\n",
	$1, $2 / 1e6, $3 / 1e6, $2 / $3, $4 / 1024 }'
