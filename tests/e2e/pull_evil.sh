#!/bin/bash
# SPDX-License-Identifier: MIT
# stoker pull beside a server that lies (evil.c), and what it makes of TLS and of addresses of this
# machine and others (hub.c).  usage: pull_evil.sh BUILD
# shellcheck disable=SC2317 # check calls functions
set -u
stoker=$PWD/$1/stoker build=$PWD/$1
[ "${1#/}" = "$1" ] || { stoker=$1/stoker build=$1; }
demo=$PWD/tools/demo-model/stoker-demo-Q4_K.gguf
containers=$PWD/tests/data/containers
# addresses that no other machine has, and names, are made in a namespace of our own
if [ -z "${PULL_EVIL_INSIDE:-}" ]; then
	# shellcheck disable=SC2016 # the namespace's shell expands it
	inside='ip link set lo up && ip addr add 192.0.2.1/32 dev lo && hosts=$(mktemp) &&
		printf "127.0.0.1 localhost near.test\n192.0.2.1 far.test\n" >"$hosts" &&
		mount --bind "$hosts" /etc/hosts && rm "$hosts" && PULL_EVIL_INSIDE=yes'
	if unshare -rnm sh -c "$inside" 2>/dev/null; then
		exec unshare -rnm sh -c "$inside exec $0 $1"
	fi
fi
scratch=$(mktemp -d)
servers=()
trap '[ ${#servers[@]} = 0 ] || kill "${servers[@]}"; rm -rf "$scratch"' EXIT
# shellcheck source=tests/e2e/pull_common.sh
. tests/e2e/pull_common.sh

if ! "$stoker" pull --help | grep -q -- --offline; then
	finish 1 "this build has no libcurl, pull isn't tested"
fi
[ -x "$build/evil" ] || finish 1 "no libmicrohttpd here (libmicrohttpd-dev), pull isn't tested"
"$build/evil" "$demo" >"$scratch/port" &
servers+=($!)
for _ in $(seq 50); do
	[ -s "$scratch/port" ] && break
	sleep 0.1
done
read -r port <"$scratch/port" || finish 1 "the server of the tests doesn't start"
sum=$(sha256sum <"$demo")
sum=${sum%% *}
evil=http://127.0.0.1:$port

# Runs within 300 MiB and some seconds.
pull() {
	local peak=0 now pid start=$SECONDS
	"$stoker" pull "$@" &
	pid=$!
	while kill -0 "$pid" 2>/dev/null && [ $((SECONDS - start)) -lt 20 ]; do
		now=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null)
		peak=${now:-$peak}
		sleep 0.02
	done
	kill -9 "$pid" 2>/dev/null && echo "too long" >&2
	wait "$pid"
	local status=$?
	[ "$peak" -lt 300000 ] || grep -q __asan_init "$stoker" || { echo "peak memory $peak kB" >&2; return 99; }
	return "$status"
}
# wrong HOW TEXT: is refused in one line, nothing is kept
wrong() {
	expect 1 "$2" "pull: $1" pull "$evil/$1/x.gguf"
	check "pull: $1: nothing is kept" [ "$(find "$store" -type f 2>/dev/null | wc -l)" = 0 ]
	rm -rf "$store"
}
# right HOW
right() {
	expect 0 "x: 11.6 MiB" "pull: $1" pull "$evil/$1/x.gguf"
	check "pull: $1: right" [ "$(sha256sum <"$store/url/127.0.0.1/$1/x.gguf")" = "$sum  -" ]
	rm -rf "$store"
}
list() {
	HF_ENDPOINT=$evil expect 1 "$2" "pull: a list: $1" pull "hf:evil/$1"
	check "pull: a list: $1: nothing is kept" [ "$(find "$store" -type f 2>/dev/null | wc -l)" = 0 ]
	rm -rf "$store"
}

wrong headers "head is longer"
wrong header ""
wrong continue "head is longer"
wrong nothing ""
wrong noise ""
wrong most "the drive has"
wrong over ""
wrong minus ""
wrong status ""
wrong empty "it is empty"
wrong control "no address that can be fetched"
check "a redirect's address doesn't reach the terminal" not grep -q $'\033' "$scratch/err"
wrong long "asked for byte"
wrong backwards "asked for byte"
wrong totals ""
wrong tags "another file each time"
right tagless
right weak
right short
right sometimes
right tag
list deep "no list of files"
list large "longer than"
list zeros ""
list sizes "TiB"
list minus "has no size"
list kinds "has no GGUF files"
list nul "has no GGUF files"
list folder:a "there is no such file"

# what another connection gets is checked as well: a tag that isn't that of the first
expect 1 "another file each time" "pull: other parts of other files" pull "$evil/tags/x.gguf" --parallel 3
rm -rf "$store"

# links in the store lead nowhere
mkdir -p "$store/url/127.0.0.1/short"
echo precious >"$scratch/precious"
ln -s "$scratch/precious" "$store/url/127.0.0.1/short/x.gguf.part"
expect 1 "x.gguf.part" "pull: an unfinished file that is a link" pull "$evil/short/x.gguf"
rm "$store/url/127.0.0.1/short/x.gguf.part"
ln -s "$scratch/precious" "$store/url/127.0.0.1/short/.x.gguf.part.json.new"
ln -s "$scratch/precious" "$store/url/127.0.0.1/short/.x.gguf.json.new"
expect 0 "x: 11.6 MiB" "pull: a record that is a link" pull "$evil/short/x.gguf"
rm -rf "$store"
mkdir -p "$store/url/127.0.0.1/short/x.gguf.part"
expect 1 "x.gguf.part" "pull: an unfinished file that is a folder" pull "$evil/short/x.gguf"
rm -rf "$store"
mkdir -p "$store/url/127.0.0.1/short"
mkfifo "$store/url/127.0.0.1/short/x.gguf.part"
expect 1 "no regular file" "pull: an unfinished file that is a pipe" pull "$evil/short/x.gguf"
check "no link was written through" [ "$(cat "$scratch/precious")" = precious ]
rm -rf "$store"
mkdir "$scratch/elsewhere"
mkdir -p "${store%/*}"
ln -s "$scratch/elsewhere" "$store"
expect 0 "x: 11.6 MiB" "pull: the store itself may be a link" pull "$evil/short/x.gguf"
expect 0 "x " "list: the store itself may be a link" "$stoker" list
rm -rf "$store" "$scratch/elsewhere"

# records that somebody made up
mkdir -p "$store/url/127.0.0.1/short"
for missing in '[[0,5],[3,9]]' '[[9,5]]' '[[-1,5]]' '[[0,9223372036854775807]]' '[[12000000,99999999999]]' '{}' '[[]]' \
	'[[12138783,12138784]]'; do
	head -c 5000 /dev/zero >"$store/url/127.0.0.1/short/x.gguf.part"
	echo "{\"url\":\"$evil/short/x.gguf\",\"etag\":\"\\\"a\\\"\",\"bytes\":12138784,\"missing\":$missing}" \
		>"$store/url/127.0.0.1/short/.x.gguf.part.json"
	expect 0 "x: 11.6 MiB" "pull: a record that says $missing" pull "$evil/short/x.gguf" --sha256 "$sum"
	rm -f "$store/url/127.0.0.1/short/"{,.}*.*
done
rm -rf "$store"

# --- TLS --------------------------------------------------------------------------------------------

[ -n "${PULL_EVIL_INSIDE:-}" ] || finish 1 "no namespaces here (unshare, ip), TLS and other machines aren't tested"
command -v openssl >/dev/null || finish 1 "no openssl here, TLS isn't tested"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=test -days 2 -keyout "$scratch/key" -out "$scratch/certificate" \
	-addext subjectAltName=DNS:localhost,DNS:near.test,DNS:far.test,IP:192.0.2.1 2>"$scratch/err" ||
	finish 1 "no certificate can be made, TLS isn't tested"
"$build/hub" "$demo" "$containers"/split-0000?-of-00002.gguf "$scratch/log" "$scratch/certificate" "$scratch/key" \
	>"$scratch/ports" &
servers+=($!)
for _ in $(seq 50); do
	[ -s "$scratch/ports" ] && break
	sleep 0.1
done
read -r _ cdn _ tls <"$scratch/ports" || finish 1 "the hub of the tests doesn't start"
[ "$tls" != 0 ] || finish 1 "this libmicrohttpd has no TLS"
x=cdn/plain/x.gguf
expect 1 "certificate" "TLS: a certificate that nobody knows" pull "https://localhost:$tls/$x"
check "TLS: nothing is kept" [ "$(find "$store" -type f | wc -l)" = 0 ]
CURL_CA_BUNDLE=$scratch/certificate expect 0 "x: 11.6 MiB" "TLS: CURL_CA_BUNDLE" pull "https://localhost:$tls/$x"
rm -rf "$store"
CURL_CA_BUNDLE=$scratch/nothing expect 1 "" "TLS: a bundle that isn't there" pull "https://localhost:$tls/$x"
export SSL_CERT_FILE=$scratch/certificate
expect 0 "x: 11.6 MiB" "TLS: SSL_CERT_FILE" pull "https://localhost:$tls/$x"
rm -rf "$store"
expect 1 "SSL" "TLS: another name than the certificate's" pull "https://127.0.0.1:$tls/$x"
expect 0 "x: 11.6 MiB" "TLS: another machine" pull "https://192.0.2.1:$tls/$x"
rm -rf "$store"
expect 1 "use https" "http to another machine" pull "http://192.0.2.1:$cdn/$x"
expect 1 "use https" "http to another machine by name" pull "http://far.test:$cdn/$x"
expect 1 "use https" "http to a name that leads here" pull "http://near.test:$cdn/$x"
# to FROM ADDRESS: an address that redirects to it
to() {
	echo "https://$1:$tls/redirect/x.gguf?to=$2"
}
expect 0 "x: 11.6 MiB" "a redirect to another machine" pull "$(to localhost "https://192.0.2.1:$tls/$x")"
rm -rf "$store"
expect 0 "x: 11.6 MiB" "a redirect from one machine to another" pull "$(to 192.0.2.1 "https://far.test:$tls/$x")"
rm -rf "$store"
expect 1 "from https to http isn't followed" "a redirect from https to http" pull "$(to localhost "http://localhost:$cdn/$x")"
expect 1 "from https to http isn't followed" "a redirect to http elsewhere" pull "$(to 192.0.2.1 "http://far.test:$cdn/$x")"
for here in localhost 127.0.0.1 127.1 2130706433 0x7f000001 "[::1]"; do
	expect 1 "another machine's redirect to this one" "a redirect from another machine to $here" \
		pull "$(to 192.0.2.1 "https://$here:$tls/$x")"
done
for here in near.test 0.0.0.0 "[::ffff:127.0.0.1]" "localhost."; do
	: >"$scratch/log"
	expect 1 "" "a redirect from another machine to $here" pull "$(to 192.0.2.1 "https://$here:$tls/$x")"
	check "$here isn't connected to" not grep -aq /cdn/ "$scratch/log"
done
: >"$scratch/log"
expect 1 "" "a redirect by way of another machine" \
	pull "$(to 192.0.2.1 "https://far.test:$tls/redirect/x.gguf?to=https://near.test:$tls/$x")"
check "this machine isn't connected to" not grep -aq /cdn/ "$scratch/log"
check "nothing was kept" [ "$(find "$store" -type f 2>/dev/null | wc -l)" = 0 ]
finish
