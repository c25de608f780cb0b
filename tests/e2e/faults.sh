#!/bin/bash
# SPDX-License-Identifier: MIT
# Paging from a drive that fails, hangs or is cut off: the bundled model on a file system of our own.
# usage: faults.sh BUILD
set -u
stoker=$1/stoker faultfs=$1/faultfs
demo=tools/demo-model/stoker-demo-Q4_K.gguf
scratch=$(mktemp -d)
server=
# shellcheck source=tests/e2e/results.sh
. tests/e2e/results.sh

check() { # check CONDITION-STATUS NAME
	if [ "$1" = 0 ]; then ok "$2"; else bad "$2"; fi
}
finish() {
	echo "$passed passed, $failed failed, $((skipped + ${1:-0})) skipped${2:+: $2}"
	[ $failed = 0 ]
	exit
}
serve() {
	mkdir -p "$scratch/mount"
	"$faultfs" $demo "$scratch/mount" >"$scratch/mounted" 2>"$scratch/err" &
	server=$!
	for _ in $(seq 50); do
		[ -s "$scratch/mounted" ] && return 0
		kill -0 $server 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}
stop() {
	umount -l "$scratch/mount" 2>/dev/null # reading from it ends, should the signal come to nothing
	[ -n "$server" ] && kill $server 2>/dev/null
	[ -n "$server" ] && wait $server 2>/dev/null
	server=
}
trap 'stop; rm -rf "$scratch"' EXIT

[ "$(id -u)" = 0 ] || finish 1 "only root can mount a file system that fails"
[ -w /dev/fuse ] || finish 1 "no /dev/fuse here"
serve || finish 1 "mounting isn't allowed here ($(tail -n 1 "$scratch/err"))"
model=$scratch/mount/model.gguf
# long text from the fewest slots: thousands of reads
write="--memory min -c 512 -n 500 --ignore-eos --temp 0"
# shellcheck disable=SC2086 # a list of options
whole=$("$stoker" run -m $demo -p "And God said" $write 2>"$scratch/err")
for store in uring threads; do
	# shellcheck disable=SC2086
	text=$("$stoker" run -m "$model" -p "And God said" $write --store $store 2>"$scratch/err")
	[ -n "$whole" ] && [ "$text" = "$whole" ]
	check $? "$store: the same text from a file system without a page cache"

	# start COMMAND...: waits until text comes
	start() {
		: >"$scratch/out"
		# shellcheck disable=SC2086
		"$stoker" run -m "$model" -p "And God said" $write --store $store >"$scratch/out" 2>"$scratch/err" &
		pid=$!
		for _ in $(seq 100); do
			[ "$(stat -c %s "$scratch/out")" -gt 40 ] && break
			sleep 0.02
		done
	}
	start
	began=$SECONDS
	kill -USR2 $server
	wait $pid
	status=$?
	[ $status = 0 ] && [ "$(cat "$scratch/out")" = "$whole" ] && [ $((SECONDS - began)) -ge 4 ]
	check $? "$store: the same text after a read of five seconds"

	start
	kill -USR2 $server
	sleep 0.5
	began=$SECONDS
	kill -INT $pid
	wait $pid
	status=$?
	[ $status = 130 ] && [ $((SECONDS - began)) -le 8 ]
	check $? "$store: Ctrl-C while a read hangs"

	start
	kill -KILL $pid
	wait $pid 2>/dev/null
	stop
	[ -z "$(ls "$scratch/mount")" ]
	check $? "$store: killed, and nothing holds the file system"
	serve

	start
	kill -USR1 $server
	wait $pid
	status=$?
	[ $status = 1 ] && grep -qE 'model.gguf: expert [0-9]+ of layer [0-9]+: reading .*Input/output error' "$scratch/err" &&
		[[ $whole == "$(cat "$scratch/out")"* ]]
	check $? "$store: a drive that fails ends the text with an error, no wrong word before"
	stop
	serve || break
done
finish
