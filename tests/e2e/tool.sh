#!/bin/bash
# SPDX-License-Identifier: MIT
# The program end to end.  usage: tool.sh BUILD
set -u
stoker=$1/stoker
containers=tests/data/containers
demo=tools/demo-model/stoker-demo-Q4_K.gguf
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source=tests/e2e/results.sh
. tests/e2e/results.sh

prompt=1,39,37,232,145,172,175,207,8,141,43,117

expect 2 "Usage: stoker VERB" "no verb" "$stoker"
expect 0 "perplexity" "help" "$stoker" --help
expect 2 "no verb" "unknown verb" "$stoker" juggle
expect 0 "stoker 0" "version" "$stoker" --version
for verb in run pull list rm info inspect tokenize template grammar embed eval perplexity bench plan replay quantize imatrix pack synth; do
	expect 0 "Usage: stoker $verb" "$verb --help" "$stoker" $verb --help
	expect 2 "unknown option --juggle" "$verb: unknown option" "$stoker" $verb --juggle
done
expect 2 "is needed" "template: neither model nor template" "$stoker" template
expect 1 "one of alpaca" "template: unknown name" "$stoker" template --template chatmI
expect 1 "no chat template" "template: a file without one" "$stoker" template $containers/plain.gguf
printf '{%% for m in messages %%}<|%%{{ m.role }}|>{{ m.content }}\n{{ tools | length }}{{ x }}{%% endfor %%}' >"$scratch/t.jinja"
printf '[{"role": "user", "content": "Grüße, <|end|>"}]' >"$scratch/messages.json"
printf '[{"type": "function"}]' >"$scratch/tools.json"
expect 0 "Grüße, <|end|>" "template" "$stoker" template --template "$scratch/t.jinja" --messages "$scratch/messages.json" \
	--tools "$scratch/tools.json" --kwargs '{"x": [1.5, true, null]}'
if [ "$(cat "$scratch/out")" = "<|%user|>Grüße, <|end|>
1[1.5, True, None]" ]; then ok "template: exactly"; else bad "template: exactly"; fi
expect 0 '"begin": 9' "template --json" "$stoker" template --template "$scratch/t.jinja" --messages "$scratch/messages.json" \
	--tools "$scratch/tools.json" --json
printf '{%% if x %%}\n{{ x + 1 }}\n{%% endif %%}' >"$scratch/bad.jinja"
expect 1 "line 2: can only concatenate str (not \"int\") to str: \`{{ x + 1 }}\`" "template: an error has line and text" \
	"$stoker" template --template "$scratch/bad.jinja" --kwargs '{"x": "y"}'
expect 2 "a JSON object" "template: bad variables" "$stoker" template --template chatml --kwargs '{"x": '
printf '[{"role": ' >"$scratch/cut.json"
expect 1 "byte 10 of the JSON: unexpected end" "template: bad JSON" "$stoker" template --template chatml --messages "$scratch/cut.json"
expect 0 "<|im_start|>user" "template: bundled" "$stoker" template --template chatml
if tail -n 1 "$scratch/out" | grep -q "^<|im_start|>assistant"; then ok "template: generation prompt"; else bad "template: generation prompt"; fi
expect 0 "cpu" "info" "$stoker" info
expect 0 '"devices"' "info --json" "$stoker" info --json
expect 0 "token_embd.weight" "inspect" "$stoker" inspect $containers/plain.gguf
expect 0 "2 files" "inspect a split model" "$stoker" inspect $containers/split-00001-of-00002.gguf
expect 1 "open the first one" "the second file of a split model" "$stoker" inspect $containers/split-00002-of-00002.gguf
expect 0 '"tensors"' "inspect --json" "$stoker" inspect --json $containers/extra-keys.gguf
expect 1 "No such file" "missing file" "$stoker" inspect /nonexistent.gguf
expect 1 "not a GGUF file" "wrong file" "$stoker" inspect Makefile
expect 2 "is needed" "run without a model" "$stoker" run -p x
expect 1 "no device called" "unknown device" "$stoker" eval -m $containers/plain.gguf --tokens 1 --device abacus
expect 1 "vocabulary has 292" "token out of range" "$stoker" eval -m $containers/plain.gguf --tokens 1,292
expect 0 '264' "eval" "$stoker" eval -m $containers/plain.gguf --tokens $prompt --greedy 16 --json - --exact \
	--logits "$scratch/logits"
if [ "$(stat -c %s "$scratch/logits" 2>/dev/null)" = $((12 * 292 * 4)) ]; then ok "eval --logits"; else bad "eval --logits"; fi
expect 1 "No such file" "eval: unwritable output" "$stoker" eval -m $containers/plain.gguf --tokens 1 --logits /nonexistent/x

# every malformed file: status 1 and one line
head -c 9000 $containers/plain.gguf >"$scratch/cut.gguf"
expect 1 "end beyond the file" "truncated model" "$stoker" eval -m "$scratch/cut.gguf" --tokens 1
sed 's/llama\.embedding_length/llama.embedding_lengtX/' $containers/plain.gguf >"$scratch/key.gguf"
expect 1 "key llama.embedding_length is missing" "missing key" "$stoker" eval -m "$scratch/key.gguf" --tokens 1
sed 's/blk\.0\.attn_norm/blk.0.attn_norX/' $containers/plain.gguf >"$scratch/tensor.gguf"
expect 1 "tensor blk.0.attn_norm.weight is missing" "missing tensor" "$stoker" eval -m "$scratch/tensor.gguf" --tokens 1
if [ "$(wc -l <"$scratch/err")" = 1 ]; then ok "one line of complaint"; else bad "one line of complaint"; fi

expect 1 "a folder" "a folder for a model" "$stoker" inspect "$scratch"
expect 1 "standard input" "a model on standard input" "$stoker" run -m - -p x
expect 1 "address" "an address for a model" "$stoker" run -m https://example.org/x.gguf -p x
sed 's/llama/hyvid/g' $containers/plain.gguf >"$scratch/kind.gguf"
expect 1 "makes videos" "run of another kind of model" "$stoker" run -m "$scratch/kind.gguf" -p x
expect 1 "makes videos" "eval of another kind of model" "$stoker" eval -m "$scratch/kind.gguf" --tokens 1
expect 1 "makes videos" "bench of another kind of model" "$stoker" bench model -m "$scratch/kind.gguf"
sed 's/rope\.freq_base/rope.freq_bose/' $containers/plain.gguf >"$scratch/key.gguf"
expect 1 "key llama.rope.freq_bose" "a key that isn't known" "$stoker" eval -m "$scratch/key.gguf" --tokens 1
echo "<!DOCTYPE html>" >"$scratch/page.gguf"
expect 1 "a web page" "a web page for a model" "$stoker" tokenize -m "$scratch/page.gguf"
head -c 9000 $containers/plain.gguf >"$scratch/holes.gguf"
truncate -s "$(stat -c %s $containers/plain.gguf)" "$scratch/holes.gguf"
expect 0 "an unfinished download?" "holes in a file are warned of" "$stoker" eval -m "$scratch/holes.gguf" --tokens 1

# synth, quantize, bench
expect 0 "" "synth" "$stoker" synth --layers 2 --width 256 --heads 4 --kv-heads 2 --head-size 64 --experts 8 --used 2 \
	--expert-ff 256 --vocab 600 --type F16 "$scratch/synth.gguf"
for type in Q1_0 Q2_0 Q8_0 Q4_0 Q4_K Q4_K_M Q5_K Q6_K MXFP4 BF16; do
	expect 0 "" "quantize $type" "$stoker" quantize "$scratch/synth.gguf" "$scratch/q.gguf" $type
	expect 0 "greedy_next" "eval $type" "$stoker" eval -m "$scratch/q.gguf" --tokens 1,2,3 --greedy 2
done
expect 0 "" "quantize a quantized file" "$stoker" quantize "$scratch/q.gguf" "$scratch/again.gguf" Q8_0
expect 0 "Q8_0" "inspect what was quantized twice" "$stoker" inspect "$scratch/again.gguf"
mkfifo "$scratch/pipe.gguf"
expect 1 "not a regular file" "a pipe" "$stoker" inspect "$scratch/pipe.gguf"
if [ -e /dev/full ]; then
	"$stoker" inspect "$scratch/q.gguf" >/dev/full 2>"$scratch/err"
	if [ $? = 1 ]; then ok "full standard output"; else bad "full standard output"; fi
fi
expect 2 "no type" "quantize: unknown type" "$stoker" quantize "$scratch/synth.gguf" "$scratch/x.gguf" Q9
expect 0 "tokens/s" "bench model" "$stoker" bench model -m "$scratch/synth.gguf" -p 8 -n 4 -r 1
expect 0 "tokens_per_second" "bench model --json" "$stoker" bench model -m "$scratch/synth.gguf" -p 8 -n 4 -r 1 --json
limited() { (ulimit -f 64; trap '' XFSZ; exec "$@"); }
expect 1 "File too large" "no room for the output" limited "$stoker" quantize "$scratch/synth.gguf" "$scratch/full.gguf" Q8_0
expect 1 "is the input" "quantize onto itself" "$stoker" quantize "$scratch/q.gguf" "$scratch/q.gguf" Q8_0
mkfifo "$scratch/device"
expect 1 "not a regular file" "output that isn't a file" "$stoker" quantize "$scratch/q.gguf" "$scratch/device" Q8_0
ln -s /nonexistent "$scratch/link"
expect 1 "leads nowhere" "output through a dead link" "$stoker" quantize "$scratch/q.gguf" "$scratch/link" Q8_0
expect 1 "no token id" "eval: no number" "$stoker" eval -m "$scratch/q.gguf" --tokens 1,x2
expect 0 "each, largest gap" "bench batch" "$stoker" bench batch -m "$scratch/synth.gguf" --sequences 1,3 -p 8 -n 4 -r 1 --shared-prefix 5
expect 0 "largest_gap_seconds" "bench batch --json" "$stoker" bench batch -m "$scratch/synth.gguf" --sequences 2,5 -p 0 -n 3 -r 2 --json
if [ "$(grep -oE '"(sequences|tokens_per_second|largest_gap_seconds)":' "$scratch/out" | sort | uniq -c | tr -d ' \n')" = '2"largest_gap_seconds":2"sequences":2"tokens_per_second":' ]; then
	ok "bench batch --json: a run for each number"
else
	bad "bench batch --json: a run for each number"
fi
expect 0 ", the one that arrives " "bench batch --arrive" "$stoker" bench batch -m "$scratch/synth.gguf" --sequences 2 -p 3 -n 4 -r 1 --arrive 200 --max-gap 0.05
expect 0 "arriving_seconds" "bench batch --arrive --json" "$stoker" bench batch -m "$scratch/synth.gguf" --sequences 2 -p 3 -n 4 -r 1 --arrive 200 --json
for gap in 0 -1 x 4000; do
	expect 2 "max-gap" "bench batch --max-gap $gap" "$stoker" bench batch -m "$scratch/synth.gguf" --max-gap "$gap"
done
expect 2 "too many tokens" "bench batch --arrive too many" "$stoker" bench batch -m "$scratch/synth.gguf" --arrive 4294967295
expect 2 "too many tokens" "bench batch, a token too many" "$stoker" bench batch -m "$scratch/synth.gguf" -p 4294967294 -n 1
expect 0 "decode 2" "bench model --kv" "$stoker" bench model -m "$scratch/synth.gguf" -p 0 -n 2 -r 1 --kv q8_0 --kv-v f16
expect 0 "kept for others, of " "bench batch --kv-k" "$stoker" bench batch -m "$scratch/synth.gguf" --sequences 1 -p 70 -n 2 -r 1 --kv-k q8_0
expect 0 '"limit_bytes"' "bench batch --kv --json" "$stoker" bench batch -m "$scratch/synth.gguf" --sequences 1 -p 0 -n 2 -r 1 --kv f32 --json
expect 2 "no cache type" "bench --kv wrong" "$stoker" bench batch -m "$scratch/synth.gguf" --kv q7
expect 2 "are for" "bench --kv for another thing" "$stoker" bench limits --kv f16
for what in model batch store; do
	expect 2 "needs a model" "bench $what without a file" "$stoker" bench "$what"
done
for list in "" 0 1,0 "1,," x 4000; do
	expect 2 "isn't a list like 1,2,4" "bench batch --sequences \"$list\"" "$stoker" bench batch -m "$scratch/synth.gguf" --sequences "$list"
done
expect 2 "nothing to decode" "bench batch without tokens" "$stoker" bench batch -m "$scratch/synth.gguf" -n 0
expect 2 "too many tokens" "bench batch: too long a prompt" "$stoker" bench batch -m "$scratch/synth.gguf" --shared-prefix 4000000000 -p 400000000
for url in https://127.0.0.1:1 http://127.0.0.1:x http://127.0.0.1:0 http://10.0.0.1:8080 'http://[::2]:8080' http://127.0.0.1.example.org:80 http://example.org; do
	expect 2 "stoker: --against: \"" "bench serve --against $url" "$stoker" bench serve --against "$url"
done
expect 1 "127.0.0.1:9/v1/models: no connection: Connection refused" "bench serve without a server there" "$stoker" bench serve --against http://127.0.0.1:9/
expect 2 "  poisson     requests that come by chance" "bench serve: no such load" "$stoker" bench serve -m "$scratch/synth.gguf" --load mixed,fixed
expect 2 "isn't a list like 1,2,4" "bench serve --clients wrong" "$stoker" bench serve -m "$scratch/synth.gguf" --clients 1,257
expect 2 "a model, or --against URL" "bench serve of nothing" "$stoker" bench serve
expect 2 "one of them" "bench serve of two things" "$stoker" bench serve -m "$scratch/synth.gguf" --against http://127.0.0.1:9
expect 2 "from 2 on" "bench serve: too few tokens" "$stoker" bench serve -m "$scratch/synth.gguf" -n 1
expect 2 'did you mean "batch"' "bench of a word like batch" "$stoker" bench bach -m "$scratch/synth.gguf"
expect 2 "no format" "bench ops: unknown format" "$stoker" bench ops --format foo
formats=("$stoker" bench formats --cached --seconds 0.001 -p 16)
expect 0 "IQ2_XXS  16 x 256" "bench formats" "${formats[@]}" --shape 16x256
if [ "$(grep -c " 16 x 256 " "$scratch/out")" = "$(grep -cE '^(FLOAT|FORMAT)\(' runtime/quant/formats.def)" ]; then
	ok "bench formats: all of them"
else
	bad "bench formats: all of them"
fi
expect 0 "Q4_K     16 x 576: rows aren't whole blocks of 256" "bench formats: rows that don't fit" "${formats[@]}" --format q8_0,Q4_K --shape 16x576,32x64
if [ "$(grep -c "^Q8_0 .* %$" "$scratch/out")" = 2 ]; then ok "bench formats: list of shapes"; else bad "bench formats: list of shapes"; fi
expect 0 '"of_multiplying"' "bench formats --json" "${formats[@]}" --format Q8_0,Q4_K --shape 16x576 --json
if grep -q '"block": *256' "$scratch/out" && [ "$(grep -c '"rows":' "$scratch/out")" = 4 ]; then ok "bench formats --json: what doesn't fit"; else bad "bench formats --json: what doesn't fit"; fi
expect 0 "F16" "bench formats without a prompt" "$stoker" bench formats --cached --seconds 0.001 -p 0 --format F16 --shape 16x576
expect 2 'no format "Q9_0"' "bench formats: unknown format" "${formats[@]}" --format Q8_0,Q9_0
for shape in 16 16x 16x32x 0x32 16x-32 16x2000000 axb 99999999999999999999x32; do
	expect 2 "no matrix \"$shape\"" "bench formats --shape $shape" "${formats[@]}" --shape $shape
done
expect 2 "no more than" "bench formats: too long a prompt" "$stoker" bench formats -p 4000000000
expect 1 "are left" "bench formats: no memory for it" "${formats[@]}" --format F32 --shape 1048576x1048576
for seconds in 0 -1 nan 61; do
	expect 2 "--seconds" "bench formats --seconds $seconds" "$stoker" bench formats --seconds $seconds
done
# all formats beside another program, which here is one that says what it would have taken
mkdir "$scratch/peer" "$scratch/build" "$scratch/tables"
ln -s "$(realpath "$stoker")" "$scratch/build/stoker"
cat >"$scratch/peer/llama-bench" <<'END'
#!/bin/bash
[[ $* != *Q8_0.gguf* ]] || { echo "error: an unknown type" >&2; exit 1; }
while [ $# -gt 0 ]; do [ "$1" != -p ] || prompt=$2; [ "$1" != -n ] || decode=$2; shift; done
echo '"build_commit": "abcdef",'
[ "$prompt" = 0 ] || echo '"avg_ts": 10.0,'
[ "$decode" = 0 ] || echo '"avg_ts": 0.25,'
END
chmod +x "$scratch/peer/llama-bench"
beside() {
	env PEER_SCALAR="$scratch/peer" ISAS=scalar THREADS_LIST="1 2" ROUNDS=1 TESTS=8:2 RESULTS="$scratch/tables" NAME=x NOTE="Asleep." \
		MODEL="--arch llama --experts 0 --used 0 --layers 1 --width 256 --heads 4 --kv-heads 2 --head-size 64 --ff 256 --vocab 600" \
		"$@" tests/bench/formats.sh "$scratch/build"
}
expect 0 "Q4_0     scalar   2 threads  prompt(8) " "all formats beside a peer" beside FORMATS="Q4_0 Q8_0"
if grep -q "Q8_0.gguf: llama.cpp: error: an unknown type" "$scratch/err"; then ok "a format that the peer hasn't"; else bad "a format that the peer hasn't"; fi
cp "$scratch"/tables/*-formats-scalar.txt "$scratch/table"
if grep -q "^format     1 thread  *2 threads$" "$scratch/table" && grep -q "^Asleep.$" "$scratch/table" &&
	grep -qE "^Q4_0 ( +[0-9]+\.[0-9] +[0-9]+\.[0-9][0-9]){4}$" "$scratch/table" &&
	grep -qE "^Q8_0 ( +[0-9]+\.[0-9] +-){4}$" "$scratch/table"; then ok "table of formats"; else bad "table of formats"; fi
expect 0 "F16      scalar" "more formats, later" beside FORMATS=F16
if grep -q "^Q4_0" "$scratch"/tables/*-formats-scalar.txt; then ok "earlier formats stay"; else bad "earlier formats stay"; fi
expect 2 'no format "Q9"' "a format that there isn't" beside FORMATS=Q9
expect 2 'no figures of "sse9"' "a set that there isn't" beside ISAS="scalar sse9"
expect 2 "no llama-bench at" "no program beside which to measure" beside PEER_SCALAR=/nonexistent
expect 0 "code_operations_per_second" "bench limits --json" "$stoker" bench limits --json
expect 2 "--layers takes a number" "bad number" "$stoker" synth --layers 5x "$scratch/x.gguf"
if ls "$scratch"/*.part >/dev/null 2>&1; then bad "no leftovers"; else ok "no leftovers"; fi

if [ -e $demo ]; then
	expect 0 "text     12 tokens" "run" "$stoker" run -m $demo -p "In the beginning" -n 12 --ignore-eos --stats
	one=$("$stoker" run -m $demo -p "And God said" -n 20 --seed 5 2>/dev/null)
	two=$("$stoker" run -m $demo -p "And God said" -n 20 --seed 5 2>/dev/null)
	three=$("$stoker" run -m $demo -p "And God said" -n 20 --seed 6 2>/dev/null)
	if [ "$one" = "$two" ] && [ "$one" != "$three" ]; then ok "seeds reproduce"; else bad "seeds reproduce"; fi
	expect 0 '"seed": 5' "run --json: the seed" "$stoker" run -m $demo -p "And" -n 2 --seed 5 --json
	one_seed=$("$stoker" run -m $demo -p "And" -n 2 --json 2>/dev/null | grep '"seed"')
	if [ -n "$one_seed" ] && [ "$one_seed" != "$("$stoker" run -m $demo -p "And" -n 2 --json 2>/dev/null | grep '"seed"')" ]; then
		ok "another seed each time"
	else
		bad "another seed each time"
	fi
	# the same text with the seed that was printed
	"$stoker" run -m $demo -p "And God said" -n 20 --stats >"$scratch/text" 2>"$scratch/err"
	if [ "$(cat "$scratch/text")" = "$("$stoker" run -m $demo -p "And God said" -n 20 -s "$(sed -n 's/.*seed //p' "$scratch/err")" 2>/dev/null)" ]; then
		ok "the printed seed reproduces"
	else
		bad "the printed seed reproduces"
	fi
	for wrong in "--samplers top_k;best" "--temp 0,5" "--temp nan" "--min-p 1.5" "--logit-bias 5=x" "--logit-bias x+5" \
		"--logit-bias 99999999-1" "--mirostat 3" "--dry-base 0.5" "--reasoning-budget 1.5" "--reasoning-budget -2" \
		"--dry-multiplier -1" "--typical 2" "--xtc-probability -1" "--top-p 1e999"; do
		# shellcheck disable=SC2086 # an option and its value
		expect 2 "stoker: " "sampling: $wrong" "$stoker" run -m $demo -p x -n 1 $wrong
	done
	for right in "--samplers top-k;typ_p;temp" "--mirostat 2" "--mirostat 1" "--dry-multiplier 0.8" "--dry-sequence-breaker none" \
		"--xtc-probability 1" "--dynatemp-range 0.5" "--typical 0.5" "--top-n-sigma 1" "--top-n-sigma -1" \
		"--presence-penalty 1 --frequency-penalty -1" "--repeat-last 0 --repeat-penalty 2" "--logit-bias 5-inf" "--logit-bias 5+1.5"; do
		# shellcheck disable=SC2086 # options and their values
		expect 0 "" "sampling: $right" "$stoker" run -m $demo -p x -n 4 $right
	done
	expect 0 "sampling temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, seed 9" "sampling is told" \
		"$stoker" run -m $demo -p x -n 1 --stats -s 9
	expect 0 "sampling temperature 0, typ_p 0.5, only top_k;typ_p, seed 9" "what was chosen is told" \
		"$stoker" run -m $demo -p x -n 1 --stats -s 9 --temp 0 --top-k 0 --top-p 1 --min-p 0 --typical 0.5 --samplers "top-k;typical"
	expect 0 '"samplers": "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"' "sampling in JSON" \
		"$stoker" run -m $demo -p x -n 1 --json
	# texts of a given form, whatever the model would rather say
	printf 'root ::= "{\\"n\\": " [1-9] [0-9]{0,3} ", \\"s\\": \\"" [^"\\\\\\x00-\\x1f]{1,9} "\\"}"\n' >"$scratch/g.gbnf"
	for how in "--temp 0" "--temp 1 -s 7" "--mirostat 2" "--temp 1.5 --top-k 3 -s 1"; do
		# shellcheck disable=SC2086 # options and their values
		"$stoker" run -m $demo -p "And God said" -n 60 --grammar "$scratch/g.gbnf" $how >"$scratch/text" 2>"$scratch/err"
		if sed 's/^And God said//' "$scratch/text" | grep -qE '^\{"n": [1-9][0-9]{0,3}, "s": "[^"]+"\}$'; then ok "grammar: $how"; else bad "grammar: $how"; fi
	done
	sed 's/^And God said//' "$scratch/text" | tr -d '\n' >"$scratch/said"
	expect 0 "the text follows the grammar" "grammar: a text that follows it" "$stoker" grammar --grammar "$scratch/g.gbnf" --text "$scratch/said"
	printf '{"n": 1x' >"$scratch/said"
	expect 1 "said: line 1, column 8: the grammar doesn't allow" "grammar: one that doesn't" "$stoker" grammar --grammar "$scratch/g.gbnf" --text "$scratch/said"
	printf '{"n": 1' >"$scratch/said"
	expect 1 "line 1, column 8: the text ends before" "grammar: one that ends too early" "$stoker" grammar --grammar "$scratch/g.gbnf" --text "$scratch/said"
	printf 'root ::= "a"\n  | b c\n' >"$scratch/bad.gbnf"
	expect 1 "bad.gbnf: line 2, column 3: a rule's name is expected" "grammar: a bad one" "$stoker" run -m $demo -p x --grammar "$scratch/bad.gbnf"
	expect 2 "exclude each other" "grammar and expression" "$stoker" run -m $demo -p x --grammar "$scratch/g.gbnf" --regex x
	expect 2 "is needed" "grammar: nothing asked" "$stoker" grammar
	expect 0 "[0-9]" "regular expression" "$stoker" grammar --regex '[0-9]+' --gbnf
	"$stoker" run -m $demo -p x -n 30 --regex '[a-c]{2}-[0-9]{2}' >"$scratch/text" 2>"$scratch/err"
	if grep -qE '^x[a-c]{2}-[0-9]{2}$' "$scratch/text"; then ok "regular expression of a text"; else bad "regular expression of a text"; fi
	echo '{"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"], "additionalProperties": false}' >"$scratch/schema"
	"$stoker" run -m $demo -p x -n 30 --json-schema "$scratch/schema" >"$scratch/text" 2>"$scratch/err"
	if grep -qE '^x\{"a": ?(true|false)\}$' "$scratch/text"; then ok "JSON Schema"; else bad "JSON Schema"; fi
	expect 1 '"multipleOf"' "JSON Schema that isn't supported" "$stoker" run -m $demo -p x --json-schema <(echo '{"multipleOf": 3}')
	expect 0 "150000 tokens" "bench grammar" "$stoker" bench grammar
	expect 0 '"later"' "bench grammar of a model's vocabulary" "$stoker" bench grammar $demo --grammar "$scratch/g.gbnf" --json
	expect 0 "stopEND" "reasoning budget" "$stoker" run -m $demo -p "And God" -n 30 --temp 0 --reasoning-start God --reasoning-end END \
		--reasoning-budget 2 --reasoning-budget-message stop
	piped=$(printf 'And God said' | "$stoker" run -m $demo -n 20 --seed 5 2>/dev/null)
	if [ "$one" = "$piped" ]; then ok "prompt from standard input"; else bad "prompt from standard input"; fi
	# what is computed once is saved, and goes on as if it had never been
	text="In the beginning God created the heaven and the earth. And the earth was without form, and void; and darkness"
	state=$scratch/state
	whole=$("$stoker" run -m $demo -p "$text was upon" -n 8 --temp 0 2>/dev/null)
	expect 0 "" "run --state: the first time" "$stoker" run -m $demo -p "$text" -n 4 --temp 0 --state "$state"
	if [ "$(stat -c %a "$state")" = 600 ]; then ok "run --state: for the owner alone"; else bad "run --state: for the owner alone"; fi
	expect 0 '"reused_tokens": 0' "run --state --json: another text" "$stoker" run -m $demo -p "Thus" -n 1 --temp 0 --state "$scratch/other" --json
	"$stoker" run -m $demo -p "$text" -n 4 --temp 0 --state "$state" --json >"$scratch/out" 2>"$scratch/err"
	if [ "$(sed -n 's/.*"reused_tokens": \([0-9]*\).*/\1/p' "$scratch/out")" -gt 8 ]; then ok "run --state: from there on"; else bad "run --state: from there on"; fi
	if [ "$("$stoker" run -m $demo -p "$text was upon" -n 8 --temp 0 --state "$state" 2>"$scratch/err")" = "$whole" ]; then
		ok "run --state: the same text"
	else
		bad "run --state: the same text"
	fi
	cp "$state" "$scratch/before"
	# a limit on files ends the program in the middle of writing, as kill -9 does
	(ulimit -c 0 -f 4 && exec "$stoker" run -m $demo -p "$text" -n 9 --temp 0 --state "$state") >"$scratch/out" 2>"$scratch/err"
	status=$?
	if [ $status -gt 128 ] && cmp -s "$state" "$scratch/before"; then
		ok "run --state: killed while it saves"
	else
		bad "run --state: killed while it saves (status $status)"
	fi
	rm -f "$state".*
	expect 1 "another model" "run --state: of another model" "$stoker" run -m $containers/plain.gguf -p x -n 1 --state "$state"
	printf x | dd of="$state" bs=1 seek=3000 conv=notrunc status=none
	cp "$state" "$scratch/before"
	expect 1 "$state: the state is damaged" "run --state: damaged" "$stoker" run -m $demo -p "$text" -n 1 --state "$state"
	expect 1 "No such file" "run --state: a folder that isn't there" "$stoker" run -m $demo -p x -n 1 --state "$scratch/none/state"
	mkfifo "$scratch/fifo"
	ln -s "$scratch/nothing" "$scratch/link"
	expect 1 "not a regular file" "run --state: a pipe isn't waited for" timeout -k 1 20 "$stoker" run -m $demo -p x -n 1 --state "$scratch/fifo"
	expect 1 "leads nowhere" "run --state: a link to nothing" "$stoker" run -m $demo -p x -n 1 --state "$scratch/link"
	expect 1 "isn't one" "run --state: an empty name" "$stoker" run -m $demo -p x -n 1 --state ""
	if cmp -s "$state" "$scratch/before"; then ok "run --state: refused and kept"; else bad "run --state: refused and kept"; fi
	expect 0 '"finish": "length"' "run --json" "$stoker" run -m $demo -p "In the" -n 3 --temp 0 --ignore-eos --json
	expect 0 '"finish": "stop"' "stop string" "$stoker" run -m $demo -p "And God said, Let there be light" -n 200 --stop "e" --seed 0 --json
	expect 1 "the context 4" "prompt too long" "$stoker" run -m $demo -p "In the beginning God created the heaven" -c 4
	expect 2 "go together" "options that contradict" "$stoker" run -m $demo -p x --chat
	expect 2 "isn't empty" "empty stop string" "$stoker" run -m $demo -p x --stop ""
	"$stoker" run -m $demo -p "In" -n 5 >/dev/full 2>"$scratch/err"
	if [ $? = 1 ]; then ok "text that can't be written"; else bad "text that can't be written"; fi
	expect 1 "no chat template" "chat without a template" "$stoker" run -m $demo --chat
	text=$(printf 'In the beginning God' | "$stoker" tokenize -m $demo)
	if [[ $text =~ ^[0-9]+(\ [0-9]+)+$ ]]; then ok "tokenize"; else bad "tokenize"; fi
	printf 'In the beginning God\nwho was afraid?\n' >"$scratch/lines"
	"$stoker" embed -m $demo -f "$scratch/lines" >"$scratch/out" 2>"$scratch/err"
	one=$("$stoker" embed $demo -p "In the beginning God" --no-normalize --pooling last 2>/dev/null | wc -w)
	if [ "$(wc -l <"$scratch/out")" = 2 ] && [ "$(wc -w <"$scratch/out")" = $((2 * one)) ] && [ "$one" -gt 1 ]; then ok "embed"; else bad "embed"; fi
	if "$stoker" embed -m $demo -f - <"$scratch/lines" | cmp -s - "$scratch/out"; then ok "embed: lines from standard input"; else bad "embed: lines from standard input"; fi
	if awk '{ s = 0; for (i = 1; i <= NF; i++) s += $i * $i; if (s < 0.9999 || s > 1.0001) exit 1 }' "$scratch/out"; then ok "embed: of length 1"; else bad "embed: of length 1"; fi
	expect 0 '"pooling": "cls"' "embed --json" "$stoker" embed $demo -p "In" --pooling cls --json
	grep . README.md | head -n 40 >"$scratch/lines"
	expect 0 "" "embed in little memory" "$stoker" embed $demo -f "$scratch/lines" --memory 13M
	expect 2 'no pooling "max"' "embed: an unknown pooling" "$stoker" embed $demo -p x --pooling max
	expect 2 "don't go together" "embed: two inputs" "$stoker" embed $demo -p x -f "$scratch/lines"
	printf 'a\n\nb\n' >"$scratch/lines"
	expect 1 "text 2 is empty" "embed: an empty line" "$stoker" embed $demo -f "$scratch/lines"
	expect 1 "is empty" "embed: an empty text" "$stoker" embed $demo -p ""
	# experts on the drive
	plain=$("$stoker" run -m $demo -p "And God said" -n 30 --temp 0 -c 128 2>/dev/null)
	for store in uring threads; do
		paged=$("$stoker" run -m $demo -p "And God said" -n 30 --temp 0 -c 128 --memory min --store $store 2>/dev/null)
		if [ -n "$plain" ] && [ "$plain" = "$paged" ]; then ok "paging by $store: the same text"; else bad "paging by $store"; fi
	done
	expect 0 "of 96 experts in" "paging statistics" "$stoker" run -m $demo -p "And" -n 5 --temp 0 -c 128 --memory 26M --policy lru --stats
	expect 0 '"misses"' "paging in JSON" "$stoker" run -m $demo -p "And" -n 5 -c 128 --memory 0.025g --json
	expect 0 "" "memory for small batches only" "$stoker" run -m $demo -p "And" -n 5 -c 512 --memory 13M
	expect 1 "needs at least" "too little memory" "$stoker" run -m $demo -p "And" -n 5 --memory 2M
	expect 2 'no size "much"' "no size" "$stoker" run -m $demo -p "And" -n 5 --memory much
	expect 1 'no policy "fifo"' "unknown policy" "$stoker" run -m $demo -p "And" -n 5 --memory min --policy fifo
	expect 0 "" "run --trace" "$stoker" run -m $demo -p "And God said" -n 20 --ignore-eos --trace "$scratch/trace"
	expect 0 "experts" "run --profile" "$stoker" run -m $demo -p "And" -n 5 --ignore-eos --profile "$scratch/profile"
	expect 1 "No space left" "a profile that can't be written" "$stoker" run -m $demo -p "And" -n 5 --profile /dev/full
	expect 0 "optimum" "replay" "$stoker" replay "$scratch/trace" --plot "$scratch/plot.svg"
	if grep -q polyline "$scratch/plot.svg"; then ok "replay --plot"; else bad "replay --plot"; fi
	expect 0 '"belady"' "replay --json" "$stoker" replay --json "$scratch/trace"
	printf 'stoker-trace 2 layers 1 experts 4 used 1 bytes 100\n0 0 1\n1 0 2\n' >"$scratch/small"
	expect 0 "optimum" "replay of a small trace" "$stoker" replay "$scratch/small"
	expect 1 "not a trace" "replay of something else" "$stoker" replay Makefile
	expect 1 "No space left" "a trace that can't be written" "$stoker" run -m $demo -p "And" -n 300 --ignore-eos --trace /dev/full
	expect 1 "no experts to trace" "a trace of a dense model" "$stoker" run -m $containers/plain.gguf -p a -n 1 --trace "$scratch/t2"
	expect 0 "tokens/s" "plan" env XDG_CACHE_HOME="$scratch" "$stoker" plan -c 128 $demo
	expect 0 "expected in this budget" "run --stats after plan" env XDG_CACHE_HOME="$scratch" "$stoker" run -m $demo -p "And" -n 20 -c 128 --memory 40M --stats
	expect 0 '"hit_rate"' "plan --json" env XDG_CACHE_HOME="$scratch" "$stoker" plan -c 128 -b 40M --json $demo
	expect 1 "needs at least" "plan of too little" env XDG_CACHE_HOME="$scratch" "$stoker" plan -b 1M $demo
	expect 1 "no experts" "plan of a dense model" "$stoker" plan $containers/plain.gguf
	expect 0 "routers predict" "recall of the next layers' routers" "$stoker" replay "$scratch/trace"
	expect 1 'prefetch "maybe"' "no such prefetch" "$stoker" run -m $demo -p "And" -n 5 --memory min --prefetch maybe
	expect 0 "read before need were needed" "prefetch" "$stoker" run -m $demo -p "And" -n 30 -c 128 --memory 24M --prefetch on --stats
	expect 0 "" "pack" "$stoker" pack $demo "$scratch/packed.gguf"
	for memory in max min; do
		packed=$("$stoker" run -m "$scratch/packed.gguf" -p "And God said" -n 30 --temp 0 -c 128 --memory $memory 2>"$scratch/err")
		if [ -n "$plain" ] && [ "$plain" = "$packed" ]; then ok "packed, --memory $memory: the same text"; else bad "packed, --memory $memory"; fi
	done
	# experts that are tensors of their own already, as old converters write them
	expect 0 "" "pack what is packed" "$stoker" pack "$scratch/packed.gguf" "$scratch/again.gguf"
	if cmp -s "$scratch/packed.gguf" "$scratch/again.gguf"; then ok "packed twice: the same file"; else bad "packed twice"; fi
	expect 1 "is the input" "pack onto itself" "$stoker" pack $demo $demo
	expect 1 "no experts to pack" "pack of a dense model" "$stoker" pack $containers/plain.gguf "$scratch/p2.gguf"
	(
		trap '' XFSZ
		ulimit -f 2000
		"$stoker" pack $demo "$scratch/p2.gguf"
	) >/dev/null 2>"$scratch/err"
	if [ $? = 1 ] && grep -q "p2.gguf.*too large" "$scratch/err" && [ -z "$(find "$scratch" -name 'p2*')" ]; then
		ok "pack without room"
	else
		bad "pack without room"
	fi
	expect 0 "GB/s" "bench store" "$stoker" bench store -m $demo
	# the same text on Vulkan
	if "$stoker" run --device vulkan -m $demo -p "And God said" -n 30 --temp 0 -c 128 >"$scratch/vulkan" 2>"$scratch/err"; then
		if [ "$plain" = "$(cat "$scratch/vulkan")" ]; then ok "Vulkan: the same text"; else bad "Vulkan: the same text"; fi
		expect 1 "no statistics of shaders" "bench shaders where the driver has no statistics" "$stoker" bench shaders --device vulkan:llvmpipe
		# a driver that can't start its threads doesn't say so
		pids=/sys/fs/cgroup/pids/stoker-$$
		if mkdir $pids 2>/dev/null && echo 1 >$pids/pids.max; then
			expect 1 "no thread can be started" "Vulkan without threads" sh -c "echo \$\$ >$pids/cgroup.procs
				exec $stoker run --device vulkan -m $demo -p x -n 1"
			rmdir $pids
		fi
		expect 1 "no device \"juggler\"" "no such Vulkan device" "$stoker" run --device vulkan:juggler -m $demo -p x
	elif grep -q "no driver\|no device\|isn't here" "$scratch/err"; then
		skipped=$((skipped + 1))
		echo "skipped: Vulkan: $(cat "$scratch/err")"
	else
		bad "Vulkan"
	fi
	head -c 4000 tools/demo-model/heldout/kjv.txt >"$scratch/text"
	expect 0 "bits a byte" "perplexity" "$stoker" perplexity -m $demo -f "$scratch/text" --stride 256
	base=("$stoker" perplexity -m "$demo" --base "$scratch/base")
	expect 2 "no --stride" "perplexity --base with a stride" "${base[@]}" -f "$scratch/text" --stride 64
	expect 2 "--file" "perplexity --base without a text" "${base[@]}"
	expect 0 "are compared with" "perplexity --base writes" "${base[@]}" -f "$scratch/text" -c 128
	expect 0 "same first choice 100.000 %" "perplexity --base compares" "${base[@]}" -f "$scratch/text"
	expect 0 kl_divergence "perplexity --base --json" "${base[@]}" --kv-k q8_0 --kv-v q4_0 --json
	expect 0 "KL divergence 0.0" "perplexity --base of a small cache" "${base[@]}" --kv q8_0
	expect 1 "contexts of 128" "perplexity --base of another context" "${base[@]}" -c 64
	head -c 4000 "$0" >"$scratch/other"
	expect 1 "another text" "perplexity --base of another text" "${base[@]}" -f "$scratch/other"
	head -c 5000 "$scratch/base" >"$scratch/short"
	expect 1 "5000 bytes, but" "perplexity --base of a part" "$stoker" perplexity -m $demo --base "$scratch/short"
	expect 1 "not a file of log-probabilities" "perplexity --base of a text" "$stoker" perplexity -m $demo --base "$scratch/text"
	expect 2 "no cache type" "a cache type of values that isn't" "$stoker" info $demo --kv-v q3_0
	"$stoker" run -m $demo -p "In the beginning" --ignore-eos -n 100000 -c 100000 >"$scratch/out" 2>"$scratch/err" &
	sleep 2
	kill -INT $!
	wait $!
	if [ $? = 130 ]; then ok "Ctrl-C"; else bad "Ctrl-C"; fi
	"$stoker" run -m $demo -p "In the beginning" --ignore-eos -n 100000 -c 100000 >"$scratch/out" 2>"$scratch/err" &
	sleep 2
	kill -TERM $!
	wait $!
	if [ $? = 143 ]; then ok "SIGTERM"; else bad "SIGTERM"; fi
	# standard input is closed: the model's file must not be taken for it
	"$stoker" run -m $demo -n 5 --temp 0 --ignore-eos -t 1 <&- >"$scratch/out" 2>"$scratch/err"
	"$stoker" run -m $demo -n 5 --temp 0 --ignore-eos -t 1 </dev/null >"$scratch/empty" 2>>"$scratch/err"
	if cmp -s "$scratch/out" "$scratch/empty"; then ok "standard input closed"; else bad "standard input closed"; fi
else
	skipped=$((skipped + 1))
	echo "skipped: the bundled model isn't here"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
