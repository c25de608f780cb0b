#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs fuzzers one after another, each from seeds of its own kind.  What one finds is copied to where it was
# called.  usage: run.sh STOKER RUNS FUZZER...
set -eu
stoker=$1 runs=$2
shift 2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0 failed=0

# What a target begins with: the small models of the tests, or texts.
seeds() {
	case $1 in
	fuzz_trace)
		printf 'stoker-trace 2 layers 2 experts 8 used 2 bytes 4096\n0 0 1 2 | 1 2 | 3 4 | 5 6\n0 1 3 4\n1 0 7 0 | 7 0\n' >"$2/trace"
		printf 'stoker-trace 2 layers 1 experts 4096 used 1 bytes 1\n' >"$2/empty"
		;;
	fuzz_template) # what Jinja is tested with, a line each, as far as it can be read as it stands
		local line n=0
		while IFS= read -r line; do
			n=$((n + 1))
			printf '%s\000[{"role": "user", "content": "Hi"}]\000{"x": [1, 2.5, {"a": "b"}]}' "$line" >"$2/$n"
		done < <(sed 's/^\["//; s/\\"/'"'"'/g; s/\\n/ /g; s/", ".*//' tests/data/templates.json)
		;;
	fuzz_calls) # one of each style, and tools
		local n=0
		while IFS= read -r line; do
			n=$((n + 1))
			printf '%b' "$line" >"$2/$n"
		done <<-'END'
			\0000\0003<tool_call>{"name": "f", "arguments": {"a": "x", "b": 1}}</tool_call>
			\0001\0007<tool_call>\n<function=f>\n<parameter=a>\nx\n</parameter>\n<parameter=b>\n7\n</parameter>\n</function>\n</tool_call>
			\0003\0002<tool_call>f<arg_key>c</arg_key><arg_value>{"x": 1}</arg_value></tool_call>
			\0020\0005[TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]{"a": "b"}[TOOL_CALLS]g[ARGS]{}
			\0037\0001<|tool_call_start|>[f(a='x', b=3, c={'k': [1, None]}), g()]<|tool_call_end|>
			\0040\0004<|tool_call>call:f{a:<|"|>x<|"|>,c:{k:[1,true]}}<tool_call|>
			\0043\0006{"tool_calls": [{"name": "f", "arguments": {}}, {"arguments": {"a": "x"}, "name": "g"}]}
			\0001\0001x\0000[{"name":"f","parameters":{"type":"object","properties":{"a":{"enum":["x"]},"b":{"$ref":"#/$defs/q"}},"$defs":{"q":{"type":"integer"}}}}]
		END
		;;
	fuzz_request) # one of each dialect, a head, keys
		local n=0
		while IFS= read -r line; do
			n=$((n + 1))
			printf '%b' "$line" >"$2/$n"
		done <<-'END'
			hHost:localhost:80\nOrigin:http://localhost:80\nContent-Length:5\nAuthorization:Bearer sk-one\nX: 1
			hHost:[::1]\nTransfer-Encoding:chunked\nx-api-key:sk-one\nSec-Fetch-Site:none
			k# one\nsk-one\n\n sk-two\r\n
			c{"messages":[{"role":"system","content":"x"},{"role":"user","content":[{"type":"text","text":"y"}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto","temperature":0.5,"stop":["a"],"logit_bias":{"1":2},"n":2,"stream":true}
			c{"messages":[{"role":"user","content":"y"}],"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}},"max_tokens":5,"seed":1}
			r{"input":[{"role":"user","content":[{"type":"input_text","text":"x"}]},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a","output":"y"}],"instructions":"z"}
			a{"max_tokens":5,"system":[{"type":"text","text":"x"}],"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"h"},{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"y"}]}],"thinking":{"type":"enabled","budget_tokens":9}}
			o{"messages":[{"role":"user","content":"x"}],"options":{"num_predict":3,"top_k":2},"format":"json","think":"low","keep_alive":"5m"}
			g{"prompt":"x","suffix":"y","raw":true,"context":[1,2],"options":{}}
		END
		;;
	fuzz_schema) # those that unit tests begin with, a line each
		local line n=0
		while IFS= read -r line; do
			n=$((n + 1))
			printf 's%s' "$line" >"$2/$n"
		done < <(sed -n 's/^{"schema": \(.*\),$/\1/p' tests/data/schemas.json)
		printf 'r%s' '^(a|[b-d\u00e9]{2,7})*?\d[^\s"].x+$' >"$2/regex"
		printf 'r%s' '(^\w$|(?:x\.y)?)' >"$2/anchors"
		;;
	fuzz_grammar) # what people write, in which order tokens are chosen behind it
		printf 'root ::= ([^"\\\\] | "\\\\" ["\\\\bfnrt])* <[7]> !<[9]>\000abcdefgh' >"$2/string"
		printf 'root ::= e\ne ::= t ([-+] t)*\nt ::= [0-9]+ | "(" e ")" | i?\ni ::= [a-z]{1,3}\000\001\002\003' >"$2/nested"
		printf 'root ::= "a" root "b" | "a" root "c" | [\303\240-\360\237\230\200]{2,} # c\000\001\001\001' >"$2/ways"
		;;
	fuzz_text)
		printf 'Once upon a time\n' >"$2/plain"
		printf '\303\244\342\202\254\360\237\230\200 <|im_start|></s>' >"$2/special"
		;;
	fuzz_state) # of the model that it restores into, as it is and with what it puts right
		for how in 0 1 2 3; do
			for n in 1 70; do
				rm -f "$scratch/state"
				"$stoker" run -m tests/data/containers/plain.gguf -p x -n $n --ignore-eos --state "$scratch/state"
				{ printf "%b" "\\0$how" && cat "$scratch/state"; } >"$2/$how-$n"
			done
		done >/dev/null
		;;
	fuzz_head)
		# of dense models and of some with experts; two bytes before a head say how to load it
		for type in Q4_0 Q8_0 F16; do
			"$stoker" synth "$scratch/$type.gguf" --type "$type" --layers 2 --experts 8 --used 2 --width 64 \
				--expert-ff 64 --heads 2 --kv-heads 1 --head-size 32 --vocab 300 --ctx 64
		done
		for file in tests/data/containers/plain.gguf "$scratch"/*.gguf; do
			for how in 'a\000\000' 'b\010\001' 'c\050\022' 'd\021\142' 'e\013\204'; do
				{ printf '%b' "${how#?}" && head -c 30000 "$file"; } >"$2/${file##*/}.${how%%\\*}"
			done
		done
		;;
	*) cp tests/data/containers/*.gguf "$2" ;;
	esac
}

for fuzzer; do
	name=${fuzzer##*/}
	corpus=$scratch/$name
	mkdir "$corpus"
	seeds "$name" "$corpus"
	longest=40000 inputs=$runs words=()
	case $name in fuzz_calls | fuzz_grammar | fuzz_request | fuzz_schema | fuzz_text | fuzz_template | fuzz_trace) longest=1500 ;; esac # longer ones only take longer
	[ ! -e "tests/fuzz/${name#fuzz_}.dict" ] || words=("-dict=tests/fuzz/${name#fuzz_}.dict")
	[ "$name" != fuzz_state ] || longest=120000
	[ "$name" != fuzz_head ] || inputs=$((runs / 4 + 1)) # each loads a model and runs it
	start=$SECONDS
	if "$fuzzer" -runs="$inputs" -seed=1 -max_len=$longest -rss_limit_mb=4096 -timeout=20 -malloc_limit_mb=2048 \
		-close_fd_mask=3 -artifact_prefix="$scratch/" "${words[@]}" "$corpus" 2>"$scratch/log"; then
		passed=$((passed + 1))
		echo "$name: $inputs inputs in $((SECONDS - start)) s, $(grep -oE 'cov: [0-9]+' "$scratch/log" | tail -n 1)"
	else
		failed=$((failed + 1))
		tail -n 60 "$scratch/log" >&2
		for found in "$scratch"/crash-* "$scratch"/oom-* "$scratch"/timeout-* "$scratch"/leak-*; do
			[ ! -e "$found" ] || cp "$found" "$name-${found##*/}"
		done
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
