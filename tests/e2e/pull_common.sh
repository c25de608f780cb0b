# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034
# What the tests of stoker pull share: they have a folder $scratch.
# shellcheck source=tests/e2e/results.sh
. tests/e2e/results.sh

finish() {
	echo "$passed passed, $failed failed, $((skipped + ${1:-0})) skipped${2:+: $2}"
	[ $failed = 0 ]
	exit
}
# expect STATUS TEXT NAME COMMAND...: exit status, TEXT on standard output or error, one line of complaint
expect() {
	local status=$1 text=$2 name=$3
	shift 3
	"$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	local got=$?
	if [ $got = "$status" ] && { [ -z "$text" ] || grep -qF -- "$text" "$scratch/out" "$scratch/err"; } &&
		{ [ $got != 1 ] || [ "$(wc -l <"$scratch/err")" = 1 ]; }; then
		ok "$name"
	else
		bad "$name (status $got, expected $status and \"$text\")"
	fi
}
check() { # check NAME COMMAND...
	local name=$1
	shift
	if "$@"; then ok "$name"; else bad "$name"; fi
}
not() {
	! "$@"
}

export HOME=$scratch/home XDG_DATA_HOME=$scratch/data NO_COLOR=1
unset XDG_CACHE_HOME HF_HOME HF_HUB_CACHE HF_TOKEN HF_TOKEN_PATH HF_HUB_OFFLINE HF_ENDPOINT OLLAMA_MODELS \
	LLAMA_CACHE STOKER_MODELS CURL_CA_BUNDLE SSL_CERT_FILE SSL_CERT_DIR http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
mkdir -p "$HOME"
store=$XDG_DATA_HOME/stoker/models
