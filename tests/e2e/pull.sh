#!/bin/bash
# SPDX-License-Identifier: MIT
# stoker pull, list and rm: a hub of our own on this machine with all that goes wrong on the way, and
# the stores of other programs, laid out as they do it.  usage: pull.sh BUILD
# shellcheck disable=SC2317 # check calls functions
set -u
stoker=$PWD/$1/stoker hub=$PWD/$1/hub
[ "${1#/}" = "$1" ] || { stoker=$1/stoker hub=$1/hub; }
demo=$PWD/tools/demo-model/stoker-demo-Q4_K.gguf
containers=$PWD/tests/data/containers
scratch=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill $server; umount -l "$scratch/small" 2>/dev/null; rm -rf "$scratch"' EXIT
# shellcheck source=tests/e2e/pull_common.sh
. tests/e2e/pull_common.sh

# --- stores of other programs ---------------------------------------------------------------------

hash=$(sha256sum <"$demo")
hash=${hash%% *}
expect 0 "no models yet" "list: nothing" "$stoker" list
mkdir -p "$HOME/.cache/huggingface/hub/models--some--thing-GGUF/"{blobs,snapshots/0123abcd,refs} \
	"$HOME/.ollama/models/manifests/registry.ollama.ai/library/demo" "$HOME/.ollama/models/blobs" \
	"$HOME/.lmstudio/models/maker/repo" "$HOME/.cache/llama.cpp"
ln "$demo" "$HOME/.ollama/models/blobs/sha256-$hash" 2>/dev/null || cp "$demo" "$HOME/.ollama/models/blobs/sha256-$hash"
cp "$HOME/.ollama/models/blobs/sha256-$hash" "$HOME/.cache/huggingface/hub/models--some--thing-GGUF/blobs/$hash"
ln -s "../../blobs/$hash" "$HOME/.cache/huggingface/hub/models--some--thing-GGUF/snapshots/0123abcd/thing-Q4_K.gguf"
mkdir "$HOME/.cache/huggingface/hub/models--some--thing-GGUF/snapshots/89abcdef"
ln -s "../../blobs/$hash" "$HOME/.cache/huggingface/hub/models--some--thing-GGUF/snapshots/89abcdef/thing-Q4_K.gguf"
cat >"$HOME/.ollama/models/manifests/registry.ollama.ai/library/demo/1b" <<END
{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:$hash","size":1},
"layers":[{"mediaType":"application/vnd.ollama.image.template","digest":"sha256:$hash","size":2},
{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:$hash","size":12138784}]}
END
echo '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../../etc/passwd"}]}' \
	>"$HOME/.ollama/models/manifests/registry.ollama.ai/library/demo/evil"
echo '{"layers": ' >"$HOME/.ollama/models/manifests/registry.ollama.ai/library/demo/cut"
cp "$demo" "$HOME/.lmstudio/models/maker/repo/studio.gguf"
cp "$containers/plain.gguf" "$HOME/.cache/llama.cpp/maker_repo_plain.gguf"
cp "$containers"/split-0000?-of-00002.gguf "$HOME/.lmstudio/models/maker/repo/"
printf 'GGUF' >"$HOME/.lmstudio/models/maker/repo/cut.gguf"
expect 0 "thing-Q4_K" "list: Hugging Face's cache" "$stoker" list
check "list: one model of several revisions" [ "$(grep -c '^thing-Q4_K ' "$scratch/out")" = 1 ]
check "list: Ollama's store" grep -qE '^demo:1b .* 11.6 MiB .* ollama .* yes' "$scratch/out"
check "list: a manifest that climbs out names nothing" not grep -q evil "$scratch/out"
check "list: LM Studio's store" grep -qE '^studio .* lmstudio .* yes' "$scratch/out"
check "list: llama.cpp's cache" grep -qE '^maker_repo_plain .* llama .* llama.cpp .* yes' "$scratch/out"
check "list: a split model is one" [ "$(grep -c '^split ' "$scratch/out")" = 1 ]
check "list: what doesn't run says why" grep -qE '^cut .* no: ' "$scratch/out"
expect 0 '"store": "ollama"' "list --json" "$stoker" list --json
whole=$("$stoker" run -m "$demo" -p "And God said" -n 8 --temp 0 2>/dev/null)
for name in thing-Q4_K demo:1b studio hf:some/thing-GGUF hf:some/thing-GGUF:Q4_K huggingface/some/thing-GGUF/thing-Q4_K; do
	text=$("$stoker" run "$name" -p "And God said" -n 8 --temp 0 2>"$scratch/err")
	if [ -n "$whole" ] && [ "$text" = "$whole" ]; then ok "run $name"; else bad "run $name"; fi
done
expect 0 "token_embd.weight" "inspect: by name" "$stoker" inspect split
expect 1 "stoker pull hf:some/other" "run: a name that isn't here says how" "$stoker" run hf:some/other -p x
expect 1 "No such file" "run: any other word is a file" "$stoker" run nothing.gguf -p x
cp "$containers/plain.gguf" "$scratch/studio"
(cd "$scratch" && "$stoker" inspect --json studio) 2>"$scratch/err" | grep -q '"bytes": 34304\|plain' ||
	(cd "$scratch" && [ "$("$stoker" inspect --json studio | sha256sum)" = "$("$stoker" inspect --json "$containers/plain.gguf" | sha256sum)" ])
check "a file that is there wins over a name" [ $? = 0 ]
expect 1 "isn't ours" "rm: never from another store" "$stoker" rm -y studio
check "rm: it is still there" [ -f "$HOME/.lmstudio/models/maker/repo/studio.gguf" ]
expect 1 "no model called" "rm: unknown" "$stoker" rm -y juggle
check "nothing was copied" [ ! -e "$store" ]
rm -rf "$HOME/.lmstudio" "$HOME/.ollama" "$HOME/.cache/llama.cpp"

# --- the hub ----------------------------------------------------------------------------------------

if ! "$stoker" pull --help | grep -q -- --offline; then
	expect 1 "built without libcurl" "pull: says that it can't" "$stoker" pull hf:a/b
	finish 1 "this build has no libcurl, pull isn't tested"
fi
# libcurl and libcrypto are loaded by what needs them, and by nothing else
loaded() { # loaded VERB...: the two, if they are
	LD_DEBUG=files "$stoker" "$@" 2>&1 >"$scratch/out" | sed -n 's/.*file=\(lib\(curl\|crypto\)\.so[.0-9]*\) .*dynamically loaded by.*/\1/p'
	LD_DEBUG=files "$stoker" "$@" 2>&1 >"$scratch/out" | sed -n 's/.*file=\(lib\(curl\|crypto\|ssl\)\.so[.0-9]*\) .*needed by.*stoker .*/linked: \1/p'
}
refused=http://192.0.2.1/x.gguf # before anything is sent
libraries=$(loaded pull $refused)
check "pull loads libcurl and libcrypto" [ "$(cut -d. -f1 <<<"$libraries" | sort | xargs)" = "libcrypto libcurl" ]
check "pull --check loads libcrypto alone" [ "$(loaded pull --check)" = "$(grep crypto <<<"$libraries")" ]
check "pull --offline loads neither" [ -z "$(loaded pull --offline hf:a/b)" ]
check "list loads neither" [ -z "$(loaded list)" ]
check "--version loads neither" [ -z "$(loaded --version)" ]
check "eval loads neither" [ -z "$(loaded eval -m "$containers/plain.gguf" --tokens 1)" ]
# without VERB...: with a folder in the place of the system's libraries that has all but these
mkdir "$scratch/libraries"
ldd "$stoker" "$(command -v mount)" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// && !/:$/ { print $1 }' | sort -u |
	xargs cp -Lt "$scratch/libraries"
without() {
	# shellcheck disable=SC2016 # the namespace's shell expands it
	unshare -rm sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' - "$scratch/libraries" "$system" "$stoker" "$@"
}
system=$(dirname "$(ldd "$stoker" | awk '$1 == "libc.so.6" { print $3 }')")
if without --version >"$scratch/out" 2>&1; then
	expect 0 "greedy_next" "eval without libcurl and libcrypto" without eval -m "$containers/plain.gguf" --tokens 1 --greedy 1 --json -
	expect 1 "can't be loaded, which fetching models needs; it is in the package libssl" "pull without libcrypto" without pull $refused
	expect 1 "libssl" "pull --check without libcrypto" without pull --check
	cp -L "$system"/libcrypto.so* "$scratch/libraries"
	expect 1 "libcurl.so.4 can't be loaded, which fetching models needs; it is in the package libcurl4" \
		"pull without libcurl" without pull $refused
	expect 0 "" "pull --check without libcurl" without pull --check
else
	skipped=$((skipped + 1))
fi
# one that isn't what its name says
for library in $libraries; do
	mkdir "$scratch/broken"
	echo broken >"$scratch/broken/$library"
	expect 1 "$library can't be loaded" "pull: a broken $library" env LD_LIBRARY_PATH="$scratch/broken" "$stoker" pull $refused
	expect 0 "stoker 0" "--version: a broken $library" env LD_LIBRARY_PATH="$scratch/broken" "$stoker" --version
	rm -r "$scratch/broken"
done
[ -x "$hub" ] || finish 1 "no libmicrohttpd here (libmicrohttpd-dev), pull isn't tested"
"$hub" "$demo" "$containers"/split-0000?-of-00002.gguf "$scratch/log" >"$scratch/ports" 2>"$scratch/err" &
server=$!
for _ in $(seq 50); do
	[ -s "$scratch/ports" ] && break
	sleep 0.1
done
read -r port cdn sum _ <"$scratch/ports" || finish 1 "the hub of the tests doesn't start"
export HF_ENDPOINT=http://127.0.0.1:$port
# libcurl asks the locale how a host's name is encoded; nothing is sent without certificates
expect 1 "certificate" "pull: a host whose name isn't ASCII" \
	env LC_ALL=C CURL_CA_BUNDLE="$scratch/none" "$stoker" pull "https://bücher.localhost:$port/x.gguf"
rm -rf "$store"
pull() {
	"$stoker" pull "$@"
}
left() { # what the store holds, folders aside
	find "$store" -type f 2>/dev/null | wc -l
}
file() { # where a repository's file goes
	echo "$store/hf/test/$1/model-Q4_K.gguf"
}
whole() {
	[ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$sum" ]
}
# right HOW NAME [TEXT]: is pulled
right() {
	expect 0 "${3:-}" "pull: $2" pull "hf:test/$1"
	check "pull: $2: right" whole "$(file "$1")"
	rm -rf "$store"
}
# wrong HOW TEXT NAME: one line, and nothing is kept
wrong() {
	expect 1 "$2" "pull: $3" pull "hf:test/$1"
	check "pull: $3: nothing is kept" [ "$(left)" = 0 ]
	rm -rf "$store"
}

expect 0 "model-Q4_K: 11.6 MiB" "pull: a file" pull hf:test/plain
check "pull: what came is right" whole "$(file plain)"
check "pull: modes" [ "$(stat -c %a "$(file plain)" "$store/hf/test/plain" | tr '\n' ' ')" = "644 755 " ]
check "pull: the other host was asked" grep -aq '^cdn /cdn/plain' "$scratch/log"
lines=$(grep -ac ^cdn "$scratch/log")
expect 0 "here already" "pull: again" pull hf:test/plain
check "pull: again: nothing is fetched" [ "$(grep -ac ^cdn "$scratch/log")" = "$lines" ]
expect 0 "model-Q4_K" "list: what was pulled" "$stoker" list
expect 0 '"was_here": true' "pull --json" pull hf:test/plain --json
expect 0 "here already" "pull --offline" pull --offline hf:test/plain
expect 1 "nothing is fetched offline" "pull --offline: what isn't here" pull --offline hf:test/cut
[ "$("$stoker" run hf:test/plain -p "And God said" -n 8 --temp 0 2>"$scratch/err")" = "$whole" ]
check "run: what was pulled" [ $? = 0 ]
expect 0 "right" "pull --check" pull --check
printf 'x' | dd of="$(file plain)" bs=1 seek=5000000 conv=notrunc status=none
expect 1 "not what was pulled" "pull --check: a changed byte" pull --check model-Q4_K
expect 1 "there is no terminal to ask on" "rm asks" "$stoker" rm model-Q4_K
expect 0 "" "rm -y" "$stoker" rm -y model-Q4_K
check "rm leaves nothing" [ "$(find "$store" -mindepth 1 | wc -l)" = 0 ]

right busy "429 and Retry-After"
right broken500 "a server that is ill for a moment"
right cut "a transfer that breaks off three times"
check "pull: it went on with ranges" grep -aq 'cdn /cdn/cut.* Range=bytes=3000000-.* If-Range="v' "$scratch/log"
right norange "no ranges"
right norangecut "no ranges, and it breaks off"
right changing "another file each time, by its tag"
right chunked "no length"
expect 0 "a folder/model-Q4_K.gguf" "pull: a folder with a blank" pull hf:test/folder
rm -rf "$store"
expect 0 "model-Q4_K" "pull: a list in pages" pull hf:test/pages
rm -rf "$store"
expect 0 "model: 33.7 KiB" "pull: a split model" pull hf:test/split
expect 0 "2 files" "pull: a split model: opens" "$stoker" inspect hf:test/split
expect 0 "" "pull --check: a split model" pull --check model
check "pull --check: both files" [ "$(grep -c ': right' "$scratch/out")" = 2 ]
check "pull: what goes with a model isn't one" not ls "$store/hf/test/split/mmproj-F16.gguf" 2>/dev/null
rm "$store/hf/test/split/model-00002-of-00002.gguf"
lines=$(grep -ac ^cdn "$scratch/log")
expect 0 "model: 33.7 KiB" "pull: a part that is gone" pull hf:test/split
check "pull: only that part is fetched" [ "$(grep -ac ^cdn "$scratch/log")" = $((lines + 1)) ]
expect 0 "" "rm -y: a split model" "$stoker" rm -y model
check "rm: all of it" [ "$(left)" = 0 ]
expect 1 "what the hub has is no model" "pull: parts of no model" pull hf:test/mixed
rm -rf "$store"
expect 0 "model-Q2_K: chosen of 4" "pull: what fits" pull hf:test/many --memory 14M
check "pull: what fits: right" whole "$store/hf/test/many/model-Q2_K.gguf"
rm -rf "$store"
pull hf:test/many --memory 20G >"$scratch/out" 2>"$scratch/err"
check "pull: of about 4 bits, when it fits" grep -q "model-Q4_K_M: chosen of 4, 23.2 MiB fits into 20.0 GiB" "$scratch/err"
rm -rf "$store"
expect 0 "model-Q2_K" "pull: by quantization" pull hf:test/many:q2_k
rm -rf "$store"
# several connections
expect 2 "--parallel takes 1 to 16" "pull --parallel 0" pull hf:test/plain --parallel 0
expect 2 "--parallel takes 1 to 16" "pull --parallel 17" pull hf:test/plain --parallel 17
: >"$scratch/log"
right plain "several parts at once"
check "pull: several parts: ranges" [ "$(grep -ac '^cdn /cdn/plain.* Range=bytes=' "$scratch/log")" = 3 ]
: >"$scratch/log"
expect 0 "model-Q4_K" "pull --parallel 1" pull hf:test/plain --parallel 1
check "pull --parallel 1: right" whole "$(file plain)"
check "pull --parallel 1: one request" [ "$(grep -ac '^cdn /cdn/plain.* Range=- ' "$scratch/log")" = 1 ]
rm -rf "$store"
"$stoker" pull hf:test/slow2 --parallel 4 >"$scratch/out" 2>"$scratch/err" &
pid=$!
sleep 1.2
kill -9 $pid
wait $pid 2>/dev/null
check "several parts, killed: each is partly there" \
	[ "$(grep -o '\[[0-9]*,[0-9]*\]' "$store/hf/test/slow2/.model-Q4_K.gguf.part.json" | wc -l)" = 3 ]
: >"$scratch/log"
expect 0 '"received_bytes"' "several parts, killed: go on" pull hf:test/slow2 --parallel 4 --json
check "several parts, killed: right" whole "$(file slow2)"
check "several parts, killed: each went on where it was" \
	[ "$(sed -n 's/.*"received_bytes": \([0-9]*\).*/\1/p' "$scratch/out")" -lt 10000000 ]
check "several parts, killed: none from its beginning" not grep -aqE '^cdn.* Range=(-|bytes=(0|4194304|8388608)-)' "$scratch/log"
rm -rf "$store"

# where a connection is slow there are soon more
: >"$scratch/log"
requests() {
	grep -ac '^cdn ' "$scratch/log"
}
"$stoker" pull hf:test/slow3 >"$scratch/out" 2>"$scratch/err" &
pid=$!
for _ in {1..100}; do
	[ "$(requests)" != 0 ] && break
	sleep 0.1
done
check "a slow server: one connection at first" [ "$(requests)" = 1 ]
for _ in {1..100}; do
	[ "$(requests)" -gt 1 ] && break
	sleep 0.1
done
check "a slow server: then another one" [ "$(requests)" -gt 1 ]
sleep 0.5
kill -9 $pid
wait $pid 2>/dev/null
first=$(grep -o '\[[0-9]*,[0-9]*\]' "$store/hf/test/slow3/.model-Q4_K.gguf.part.json" | head -1)
check "a slow server: while the first is under way" [ "${first%,*}" != "[0" -a "${first#*,}" = "4194304]" ]
rm -rf "$store"

# where only one is taken the first goes on alone
: >"$scratch/log"
expect 0 "model-Q4_K" "a server that takes one connection" pull hf:test/alone
check "a server that takes one connection: right" whole "$(file alone)"
check "a server that takes one connection: another one was tried" \
	[ "$(requests)" -gt $(($(stat -c %s "$(file alone)") / 4194304 + 1)) ]
rm -rf "$store"

# revisions
: >"$scratch/log"
expect 0 "plain@old/model-Q4_K.gguf" "pull: a tag" pull hf:test/plain@old
check "pull: a tag: its commit is asked for" grep -aq 'hub /test/plain/resolve/2222222222222222222222222222222222222222/' "$scratch/log"
check "pull: a tag: nothing else is" not grep -aq 'resolve/[^2]' "$scratch/log"
check "pull: a tag: the record has the commit" grep -q '"commit":.*"2222222222222222222222222222222222222222"' \
	"$store/hf/test/plain@old/.model-Q4_K.gguf.json"
expect 1 "isn't on this machine" "inspect: another revision isn't here" "$stoker" inspect hf:test/plain
expect 0 "token_embd" "inspect: a revision" "$stoker" inspect hf:test/plain@old
expect 0 "plain@refs+pr+1" "pull --revision" pull hf:test/plain:Q4_K --revision refs/pr/1
expect 0 '"commit": "1111111111111111111111111111111111111111"' "pull --json: the commit" pull hf:test/plain --json
expect 0 "token_embd" "inspect: by commit" "$stoker" inspect hf:test/plain@1111111
expect 1 "isn't on this machine" "inspect: by another commit" "$stoker" inspect hf:test/plain@3333333
expect 0 "test/plain@old/" "list: revisions" "$stoker" list
expect 0 "here already" "pull: a tag again" pull "$HF_ENDPOINT/test/plain/blob/old/model-Q4_K.gguf"
rm -rf "$store"
expect 0 "plain/model" "pull: @main is nothing else" pull hf:test/plain@main
expect 1 "there is no such repository or revision" "pull: no such revision" pull hf:test/plain@nothing
expect 1 "doesn't tell the commit" "pull: a commit that isn't one" pull hf:test/nocommit
expect 1 "is no name" "pull: a revision that climbs" pull hf:test/plain@../x
expect 1 "is no name" "pull --revision: nothing" pull hf:test/plain --revision ""
expect 1 "names a revision already" "pull: two revisions" pull hf:test/plain@old --revision main
expect 2 "goes with" "pull --revision: an address" pull "http://127.0.0.1:$cdn/cdn/plain/x.gguf" --revision main
rm -rf "$store"

wrong wronghash "was announced, what came has" "a wrong hash"
wrong flip "was announced, what came has" "a flipped byte"
wrong garbage "was announced, what came has" "something else"
wrong shorter "bytes were announced, the server now has" "more than announced"
wrong longer "bytes were announced, the server now has" "less than announced"
wrong more "bytes were announced, the server now has" "a length that isn't the hub's"
wrong endless "the server sends more" "a body without end"
wrong climb "is refused" "a name that climbs out"
wrong absolute "is refused" "a name from the root"
wrong escape 'a/^[[31m model.gguf" is refused' "a name that a terminal obeys"
wrong hidden "is refused" "a hidden name"
check "nothing climbed out" not ls "$scratch/climbed.gguf" /tmp/climbed.gguf 2>/dev/null
wrong tohttp "http is for this machine's own addresses" "a redirect to http elsewhere"
wrong tofile "file addresses aren't fetched" "a redirect to a file"
wrong touser "aren't sent" "a redirect with a user and a password"
wrong loop "redirected more than 10 times" "a redirect in a circle"
wrong gone "there is no such file" "a file that is gone"
wrong none "there is no such repository" "no such repository"
wrong badlist "no list of files" "a list that isn't one"
wrong elsewhere "is refused" "a list that goes on elsewhere"
wrong busylong "to wait 86400 seconds" "a wait of a day"
wrong shifted "asked for byte" "another range than asked for"
wrong private "it wants a token" "a private repository"
expect 1 "there are Q4_K" "pull: no such quantization" pull hf:test/plain:Q9
expect 1 "fits into" "pull: none fits" pull hf:test/many --memory 1M
wrong huge "1048576.0 TiB more" "more than the drive has"
expect 2 "one NAME is needed" "pull: nothing" pull
expect 2 "NAME is" "pull: a file's name" pull model.gguf
expect 1 "is no name" "pull: half a name" pull hf:test
expect 1 "is no name" "pull: a name that climbs" pull hf:../x
expect 1 "use https" "pull: http elsewhere" pull http://example.com/model.gguf
expect 1 "aren't fetched" "pull: ftp" pull ftp://example.com/model.gguf
expect 1 "doesn't end in the name" "pull: no model's name" pull "http://127.0.0.1:$cdn/cdn/plain/x.zip"
expect 1 "doesn't end in the name" "pull: an address that climbs" pull "http://127.0.0.1:$cdn/cdn/plain/..%2f..%2fx.gguf"

# the token: to the hub, to nobody else
: >"$scratch/log"
HF_TOKEN=hf_secret expect 0 "model-Q4_K" "pull: with a token" pull hf:test/private
check "the token goes to the hub, each time" \
	[ "$(grep -ac "^hub .*Authorization=Bearer hf_secret" "$scratch/log")" = "$(grep -ac "^hub" "$scratch/log")" ]
check "the token goes nowhere else" not grep -aq '^cdn .*hf_secret' "$scratch/log"
rm -rf "$store"
echo hf_secret >"$scratch/token"
expect 0 "model-Q4_K" "pull --token-file" pull hf:test/private --token-file "$scratch/token"
rm -rf "$store"
printf 'a\r\nHost: evil\n' >"$scratch/token"
expect 1 "no token" "pull --token-file: two lines" pull hf:test/private --token-file "$scratch/token"
check "the token stands in no file" not grep -rq hf_secret "$XDG_DATA_HOME" 2>/dev/null

# an address
url=http://127.0.0.1:$cdn/cdn/cut/some.gguf
expect 0 "some: 11.6 MiB" "pull: an address" pull "$url?secret=1"
check "pull: an address: right" whole "$store/url/127.0.0.1/cdn/cut/some.gguf"
check "what follows the question mark isn't kept" not grep -rq --include="*.json" secret "$store"
expect 0 "here already" "pull: an address again" pull "$url"
expect 0 "token_embd" "inspect: by address" "$stoker" inspect "$url"
rm -rf "$store"
expect 1 "was announced" "pull --sha256: another" pull "$url" --sha256 "${sum//0/1}"
expect 0 "some" "pull --sha256" pull "$url" --sha256 "$sum"
rm -rf "$store"
expect 1 "gave no model" "pull: an address that gives something else" pull "http://127.0.0.1:$cdn/cdn/garbage/x.gguf"
check "it isn't kept" [ "$(left)" = 0 ]
expect 0 "model-Q4_K" "pull: the hub's own address" pull "$HF_ENDPOINT/test/plain/blob/main/model-Q4_K.gguf"
check "it is the hub's model" whole "$(file plain)"
rm -rf "$store"

# already in the hub's own cache
mkdir -p "$HOME/.cache/huggingface/hub/models--test--plain/"{blobs,snapshots/1}
cp "$demo" "$HOME/.cache/huggingface/hub/models--test--plain/blobs/$sum"
ln -s "../../blobs/$sum" "$HOME/.cache/huggingface/hub/models--test--plain/snapshots/1/model-Q4_K.gguf"
expect 0 "here already" "pull: Hugging Face's cache has it" pull hf:test/plain
check "no copy is made" [ "$(left)" = 0 ]
rm -rf "$HOME/.cache/huggingface"

# killed at ten moments, then gone on with
for i in 0 1 2 3 4 5 6 7 8 9; do
	"$stoker" pull hf:test/slow >/dev/null 2>"$scratch/err" &
	pid=$!
	sleep 0.$((25 + 5 * i))
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	[ ! -e "$(file slow)" ] || break
done
check "killed ten times: no model yet" [ ! -e "$(file slow)" ]
"$stoker" list | grep -q 'model-Q4_K .*unfinished'
check "list: what is unfinished" [ $? = 0 ]
expect 0 "model-Q4_K" "killed ten times, then left alone" pull hf:test/slow
check "killed ten times: right" whole "$(file slow)"
check "killed ten times: it went on" [ "$(grep -a '^cdn /cdn/slow/' "$scratch/log" | grep -avc ' Range=- ')" -ge 5 ]
check "killed: a file and what is known of it are left" [ "$(left)" = 2 ]
rm -rf "$store"

# interrupted; a byte of the unfinished part changes; two at a time
"$stoker" pull hf:test/slowfirst >"$scratch/out" 2>"$scratch/err" &
pid=$!
sleep 1
expect 1 "another program is fetching it" "pull: two of one file" pull hf:test/slowfirst
expect 1 "another program is fetching it" "rm: what is being fetched" "$stoker" rm -y model-Q4_K
kill -INT $pid
wait $pid
check "pull: interrupted" [ $? = 130 ]
check "pull: interrupted: the part stays" [ -s "$(file slowfirst).part" ]
printf 'x' | dd of="$(file slowfirst).part" bs=1 seek=20000 conv=notrunc status=none
expect 0 "model-Q4_K" "a changed byte of the part" pull hf:test/slowfirst
check "a changed byte never becomes a model" whole "$(file slowfirst)"
rm -rf "$store"
"$stoker" pull hf:test/slow2 >"$scratch/out" 2>"$scratch/err" &
pid=$!
sleep 0.5
kill -TERM $pid
wait $pid
check "pull: ended by SIGTERM" [ $? = 143 ]
expect 0 "" "rm: what is unfinished" "$stoker" rm -y model-Q4_K
check "rm: nothing is left of it" [ "$(left)" = 0 ]

# full drives, and a limit on files
expect 1 "File too large" "pull: a limit on files" bash -c "ulimit -f 4000; exec '$stoker' pull hf:test/plain --parallel 1"
check "the part stays" [ "$(stat -c %s "$(file plain).part")" = 4096000 ]
expect 0 "model-Q4_K" "pull: with the limit gone" pull hf:test/plain
check "with the limit gone: right" whole "$(file plain)"
rm -rf "$store"
expect 1 "File too large" "pull: a limit on files, several parts" bash -c "ulimit -f 4000; exec '$stoker' pull hf:test/plain"
expect 0 "model-Q4_K" "pull: several parts, with the limit gone" pull hf:test/plain
check "several parts, with the limit gone: right" whole "$(file plain)"
rm -rf "$store"
mkdir "$scratch/small"
if mount -t tmpfs -o size=8m none "$scratch/small" 2>/dev/null; then
	export STOKER_MODELS=$scratch/small/models
	expect 1 "8.0 MiB left" "pull: a drive too small is told before" pull hf:test/plain
	check "nothing is left on it" [ "$(find "$scratch/small" -type f | wc -l)" = 0 ]
	expect 1 "no space left" "pull: full on the way" pull "http://127.0.0.1:$cdn/cdn/chunked/x.gguf"
	check "only what can be gone on with is left" \
		[ "$(find "$scratch/small" -type f -printf '%f ' | tr ' ' '\n' | LC_ALL=C sort | tr '\n' ' ')" = ".x.gguf.part.json x.gguf.part " ]
	unset STOKER_MODELS
	umount "$scratch/small"
else
	skipped=$((skipped + 1))
	echo "skipped: a full drive, mounting isn't allowed here"
fi
finish
