#!/bin/bash
# SPDX-License-Identifier: MIT
# stoker quantize and stoker imatrix end to end.  usage: quantize.sh BUILD
set -u
stoker=$1/stoker
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source=tests/e2e/results.sh
. tests/e2e/results.sh

check() { # check CONDITION-STATUS NAME
	if [ "$1" = 0 ]; then ok "$2"; else bad "$2"; fi
}

# --- recipes: what llama.cpp chooses is in tests/data/recipes.txt ---------------------------------
dense=(--arch llama --experts 0 --used 0 --vocab 300)
"$stoker" synth "${dense[@]}" --layers 12 --width 256 --heads 4 --kv-heads 2 --head-size 64 --ff 512 --type Q4_0 "$scratch/dense.gguf"
"$stoker" synth "${dense[@]}" --layers 12 --width 288 --heads 9 --kv-heads 3 --head-size 32 --ff 512 --type Q4_0 "$scratch/ragged.gguf"
"$stoker" synth "${dense[@]}" --layers 80 --width 256 --heads 8 --kv-heads 1 --head-size 32 --ff 256 --type Q4_0 "$scratch/deep.gguf"
mixture=(--arch qwen3moe --width 256 --head-size 64 --used 2 --expert-ff 256 --vocab 300 --layers 16)
"$stoker" synth "${mixture[@]}" --heads 4 --kv-heads 4 --experts 8 --type Q4_0 "$scratch/eight.gguf"
"$stoker" synth "${mixture[@]}" --heads 8 --kv-heads 2 --experts 16 --type Q4_0 "$scratch/mixture.gguf"
# names and types to a line: for each kind of tensor which type how many layers in a row have
runs() {
	sort -V | awk '$2 != "F32" {
		kind = $1
		sub(/^blk\.[0-9]+\./, "", kind)
		sub(/\.weight$/, "", kind)
		if (last[kind] == $2) { count[kind]++; next }
		if (last[kind]) text[kind] = text[kind] last[kind] "*" count[kind] ","
		last[kind] = $2; count[kind] = 1
	}
	END { for (kind in last) print kind ":" text[kind] last[kind] "*" count[kind] }' | sort | paste -sd ' '
}
wrong=0
: >"$scratch/choices"
while read -r model type expected; do
	"$stoker" quantize "$scratch/$model.gguf" "$type" --dry-run 2>/dev/null | awk '/^[a-z]/ { print $1, $3 }' | runs >"$scratch/got"
	[ "$(cat "$scratch/got")" = "$expected" ] && continue
	wrong=$((wrong + 1))
	diff <(echo "$expected" | tr ' ' '\n') <(tr ' ' '\n' <"$scratch/got") | sed "s/^/$model $type /" >>"$scratch/choices"
done < <(grep -v '^#' tests/data/recipes.txt)
head -n 5 "$scratch/choices" >"$scratch/err"
check $wrong "recipes choose as llama.cpp does"
expect 0 "rows that aren't whole blocks get another type: 67 of Q4_K are Q5_0, 6 of Q6_K are Q8_0" "what doesn't fit is said" \
	"$stoker" quantize "$scratch/ragged.gguf" Q4_K_M --dry-run
check "$(wc -l <"$scratch/err" | grep -vc '^1$')" "in one line"

# --- choices of the command line ------------------------------------------------------------------
small=(--layers 2 --width 256 --heads 4 --kv-heads 2 --head-size 64 --experts 8 --used 2 --expert-ff 256 --vocab 600)
"$stoker" synth "${small[@]}" --type F16 "$scratch/in.gguf"
type_of() { # type_of TENSOR, of the dry run before
	awk -v name="$1" '$1 == name { print $3 }' "$scratch/out"
}
expect 0 "bits a weight" "--tensor and --keep" "$stoker" quantize "$scratch/in.gguf" Q4_0 --dry-run \
	--tensor 'ffn_down_exps=Q8_0' --tensor 'blk\.1\..*=Q6_K' --keep '^output'
check "$([ "$(type_of blk.1.ffn_down_exps.weight)" = Q8_0 ]; echo $?)" "the first --tensor that matches counts"
check "$([ "$(type_of blk.1.attn_q.weight)" = Q6_K ]; echo $?)" "the second --tensor"
check "$([ "$(type_of blk.1.attn_norm.weight)" = F32 ]; echo $?)" "--tensor is about matrices"
check "$([ "$(type_of output.weight)" = F16 ]; echo $?)" "--keep"
check "$([ "$(type_of blk.0.attn_q.weight)" = Q4_0 ]; echo $?)" "others by their recipe"
expect 0 "" "--pure" "$stoker" quantize "$scratch/in.gguf" Q4_K_M --dry-run --pure
check "$([ "$(type_of output.weight)" = Q4_K ]; echo $?)" "--pure takes no better type"
expect 2 "no matrix of the model has such a name" "--tensor without a match" "$stoker" quantize "$scratch/in.gguf" Q4_0 --dry-run --tensor 'ffn_dwon=Q8_0'
expect 2 "missing closing parenthesis" "--keep with a bad expression" "$stoker" quantize "$scratch/in.gguf" Q4_0 --dry-run --keep '(x'
expect 2 "REGEX=TYPE" "--tensor without a type" "$stoker" quantize "$scratch/in.gguf" Q4_0 --dry-run --tensor 'x'
expect 2 "no such type" "--tensor with an unknown type" "$stoker" quantize "$scratch/in.gguf" Q4_0 --dry-run --tensor 'attn=Q9'
expect 2 "OUT and TYPE are needed" "quantize without OUT" "$stoker" quantize "$scratch/in.gguf" Q4_0
expect 0 '"bits_per_weight"' "--dry-run --json" "$stoker" quantize "$scratch/in.gguf" Q4_0 --dry-run --json
bytes=$(sed -n 's/^  "bytes": \([0-9]*\).*/\1/p' "$scratch/out")
check "$([ "$(sed -n 's/^      "bytes": \([0-9]*\).*/\1/p' "$scratch/out" | paste -sd + | bc)" = "$bytes" ]; echo $?)" "sizes add up"
expect 0 "q.gguf" "quantize as foreseen" "$stoker" quantize "$scratch/in.gguf" "$scratch/q.gguf" Q4_0
got=$(stat -c %s "$scratch/q.gguf")
check "$([ "$got" -ge "$bytes" ] && [ "$got" -lt $((bytes + 100000)) ]; echo $?)" "the file is as large as foreseen"

# --- by size --------------------------------------------------------------------------------------
divergence() { # of the JSON before
	sed -n 's/^  "expected_divergence": \([0-9.e-]*\).*/\1/p' "$scratch/out"
}
least=9
for size in 4M 5M 7M; do
	expect 0 "q.gguf" "--size $size" "$stoker" quantize "$scratch/in.gguf" "$scratch/q.gguf" --size $size --json
	got=$(stat -c %s "$scratch/q.gguf")
	check "$([ "$got" -le $((${size%M} << 20)) ] && [ "$got" -gt $(((${size%M} << 20) * 8 / 10)) ]; echo $?)" "--size $size is kept, and used"
	check "$(awk "BEGIN { exit !($(divergence) < $least) }"; echo $?)" "more room, less divergence"
	least=$(divergence)
	expect 0 "greedy_next" "eval of $size" "$stoker" eval -m "$scratch/q.gguf" --tokens 1,2,3 --greedy 2
done
"$stoker" quantize "$scratch/in.gguf" "$scratch/a.gguf" --size 5M -t 1 >/dev/null
"$stoker" quantize "$scratch/in.gguf" "$scratch/b.gguf" --size 5M -t 5 >/dev/null
check "$(cmp -s "$scratch/a.gguf" "$scratch/b.gguf"; echo $?)" "--size: any number of threads writes the same"
# embeddings that are half of the file: their formats are far apart
"$stoker" synth "${dense[@]/300/12000}" --layers 2 --width 256 --heads 4 --kv-heads 2 --head-size 64 --ff 512 --type F16 "$scratch/wide.gguf"
expect 0 "divergence" "--size, a matrix that is half of it" "$stoker" quantize "$scratch/wide.gguf" --size 4400K --dry-run --json
check "$(awk "BEGIN { exit !($(divergence) < 0.11) }"; echo $?)" "little of the size is left over"
# what was Q4_0 and Q8_0 is that again
"$stoker" quantize "$scratch/wide.gguf" "$scratch/a.gguf" Q4_0 --pure --tensor token_embd=Q8_0 >/dev/null
"$stoker" quantize "$scratch/a.gguf" "$scratch/b.gguf" F16 >/dev/null
expect 0 "divergence" "--size of a recipe's file" "$stoker" quantize "$scratch/b.gguf" --size "$(stat -c %s "$scratch/a.gguf")" --dry-run --json
check "$(awk "BEGIN { exit !($(divergence) < 0.0005) }"; echo $?)" "--size finds the recipe"
# kept SIZE FILE NAME
kept() {
	check "$([ "$(stat -c %s "$2")" -le "$1" ]; echo $?)" "$3 is $(stat -c %s "$2") bytes of $1"
}
size=$(stat -c %s "$scratch/a.gguf")
expect 0 "" "--size of a recipe's file, written" "$stoker" quantize "$scratch/b.gguf" "$scratch/q.gguf" --size "$size"
kept "$size" "$scratch/q.gguf" "--size of a recipe's file"
"$stoker" quantize "$scratch/ragged.gguf" "$scratch/a.gguf" F16 >/dev/null
expect 0 "72 of Q4_K are Q5_0" "--size, a type that rows don't fit" \
	"$stoker" quantize "$scratch/a.gguf" "$scratch/q.gguf" --size 5000K --tensor 'attn|up|gate=Q4_K' --json
kept $((5000 << 10)) "$scratch/q.gguf" "--size with another type than was asked for"
# little endian: number VALUE BYTES
number() {
	local value=$1 text=
	for _ in $(seq "$2"); do
		text+=$(printf '\\x%02x' $((value & 255)))
		value=$((value >> 8))
	done
	printf '%b' "$text"
}
# row NAME TYPE OFFSET NE...
row() {
	local name=$1 type=$2 offset=$3
	shift 3
	number ${#name} 8; printf '%s' "$name"; number $# 4
	for n in "$@"; do number "$n" 8; done
	number "$type" 4; number "$offset" 8
}
# 64 vectors of 8 bytes that lie 8 bytes apart, which take 32 each when written, and a matrix of F16
{
	printf 'GGUF\x03\0\0\0'; number 65 8; number 1 8
	number 17 8; printf general.alignment; number 4 4; number 8 4
	for i in $(seq 0 63); do row "vector.$i" 0 $((8 * i)) 2; done
	row matrix.weight 1 512 256 64
} >"$scratch/head"
{
	cat "$scratch/head"
	head -c $(((8 - $(stat -c %s "$scratch/head") % 8) % 8 + 512)) /dev/zero
	seq 10000 | tr -d '\n' | tr 0-9 j-s | head -c 32768
} >"$scratch/close.gguf"
for size in 16000 18000 20000; do
	expect 0 "" "--size $size, tensors close to each other" "$stoker" quantize "$scratch/close.gguf" "$scratch/q.gguf" --size $size
	kept $size "$scratch/q.gguf" "what is further apart then"
done
expect 0 "expected divergence" "--size --dry-run" "$stoker" quantize "$scratch/in.gguf" --size 5M --dry-run --keep '^output' --tensor 'attn_v=Q8_0'
check "$([ "$(type_of output.weight)" = F16 ] && [ "$(type_of blk.0.attn_v.weight)" = Q8_0 ]; echo $?)" "--size leaves what was chosen"
expect 0 "" "more room than the model takes" "$stoker" quantize "$scratch/in.gguf" --size 1G --dry-run
check "$([ "$(type_of blk.0.attn_q.weight)" = F16 ]; echo $?)" "all of it stays as it is"
expect 1 "at least, --size leaves" "too little room" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" --size 300K
expect 1 "all but matrices" "next to no room" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" --size 3K
expect 2 "there are 6G" "--size of nothing" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" --size 0
expect 2 "no TYPE" "a size and a type" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" Q4_0 --size 5M
expect 2 "--pure" "a size, --pure" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" --size 5M --pure

# --- importance -----------------------------------------------------------------------------------
head -c 6000 docs/ARCHITECTURE.md >"$scratch/text"
expect 0 "importance of 14 matrices" "imatrix" "$stoker" imatrix "$scratch/in.gguf" -f "$scratch/text" -o "$scratch/im.gguf" -c 64 --chunks 4
expect 0 "blk.1.ffn_down_exps.weight.in_sum2" "inspect an importance matrix" "$stoker" inspect "$scratch/im.gguf"
expect 0 "experts saw fewer than 32 tokens" "experts that the text didn't use are named" \
	"$stoker" imatrix "$scratch/in.gguf" -f "$scratch/text" -o "$scratch/few.gguf" -c 16 --chunks 1
expect 0 '"few_tokens"' "imatrix --json" "$stoker" imatrix "$scratch/in.gguf" -f "$scratch/text" -o "$scratch/few.gguf" -c 16 --chunks 1 --json
"$stoker" imatrix "$scratch/in.gguf" -f "$scratch/text" -o "$scratch/one.gguf" -c 64 --chunks 4 -t 1 >/dev/null 2>&1
"$stoker" imatrix "$scratch/in.gguf" -f "$scratch/text" -o "$scratch/paged.gguf" -c 64 --chunks 4 --memory min >/dev/null 2>&1
check "$(cmp -s "$scratch/im.gguf" "$scratch/one.gguf"; echo $?)" "imatrix: any number of threads gives the same"
check "$(cmp -s "$scratch/im.gguf" "$scratch/paged.gguf"; echo $?)" "imatrix: paged is resident"
expect 1 "No such file" "imatrix: no text" "$stoker" imatrix "$scratch/in.gguf" -f "$scratch/nothing" -o "$scratch/x.gguf"
expect 2 "--file" "imatrix without a text" "$stoker" imatrix "$scratch/in.gguf"
expect 1 "is the model" "imatrix onto the model" "$stoker" imatrix "$scratch/in.gguf" -f "$scratch/text" -o "$scratch/in.gguf"
for type in $("$stoker" quantize --help | tr '\n' ' ' | sed 's/.*TYPE is one of//; s/\. .*//'); do
	"$stoker" quantize "$scratch/in.gguf" "$scratch/a.gguf" "$type" --imatrix "$scratch/im.gguf" -t 1 >/dev/null 2>"$scratch/err"
	"$stoker" quantize "$scratch/in.gguf" "$scratch/b.gguf" "$type" --imatrix "$scratch/im.gguf" -t 5 >/dev/null 2>>"$scratch/err"
	check "$(cmp -s "$scratch/a.gguf" "$scratch/b.gguf"; echo $?)" "$type: any number of threads writes the same"
	expect 0 "greedy_next" "eval $type made with importance" "$stoker" eval -m "$scratch/b.gguf" --tokens 1,2,3 --greedy 2
done
expect 0 "quantize.imatrix.file" "the file says what made it" "$stoker" inspect "$scratch/b.gguf"
expect 0 "" "quantized twice with importance" "$stoker" quantize "$scratch/b.gguf" "$scratch/a.gguf" Q4_0 --imatrix "$scratch/im.gguf"
expect 1 "blk.0.attn_q.weight has 256 values there, 288 here" "importance of another model" \
	"$stoker" quantize "$scratch/ragged.gguf" "$scratch/x.gguf" Q4_0 --imatrix "$scratch/im.gguf"
expect 1 "not an importance matrix" "a model for an importance matrix" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" Q4_0 --imatrix "$scratch/q.gguf"
expect 1 "neither a GGUF file" "a text for an importance matrix" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" Q4_0 --imatrix "$scratch/text"
head -c 3000 "$scratch/im.gguf" >"$scratch/cut.gguf"
expect 1 "beyond the file" "half an importance matrix" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" Q4_0 --imatrix "$scratch/cut.gguf"
# the old form: one entry of 256 values over two chunks
data() { # data NAME BYTES-OF-A-VALUE
	printf '\x01\0\0\0\x13\0\0\0%s\x02\0\0\0\0\x01\0\0' "$1"
	for _ in $(seq 256); do printf '%b' "$2"; done
	printf '\x02\0\0\0\x04\0\0\0text'
}
data blk.0.attn_q.weight '\0\0\x80\x3f' >"$scratch/im.dat"
expect 0 "lacks 13 matrices of the model" "the old form of importance" "$stoker" quantize "$scratch/in.gguf" "$scratch/x.gguf" Q4_K_S --imatrix "$scratch/im.dat"
expect 1 "blk.0.attn_q.weight has 256 values there, 288 here" "the old form, of another model" \
	"$stoker" quantize "$scratch/ragged.gguf" "$scratch/y.gguf" Q4_0 --imatrix "$scratch/im.dat"
# keys that say which text it was are a part of the size, and nothing is kept free for longer ones
{
	data blk.0.attn_q.weight '\0\0\x80\x3f' | head -c -8
	printf '\x88\x13\0\0%5000s' text
} >"$scratch/$(printf '%0200d' 0).dat"
for matrix in im.gguf im.dat "$(printf '%0200d' 0).dat"; do
	"$stoker" quantize "$scratch/in.gguf" "$scratch/a.gguf" Q4_0 --pure --imatrix "$scratch/$matrix" >/dev/null 2>&1
	"$stoker" quantize "$scratch/a.gguf" "$scratch/b.gguf" F16 >/dev/null
	size=$(stat -c %s "$scratch/a.gguf")
	expect 0 "" "--size with an importance matrix" "$stoker" quantize "$scratch/b.gguf" "$scratch/q.gguf" --size "$size" --imatrix "$scratch/$matrix" --json
	kept "$size" "$scratch/q.gguf" "--size with an importance matrix"
	check "$(awk "BEGIN { exit !($(divergence) < 0.0005) }"; echo $?)" "nothing is kept free"
done
data blk.0.attn_q.weight '\0\0\xc0\x7f' >"$scratch/nan.dat"
expect 1 "blk.0.attn_q.weight: value 0 is nan" "importance that isn't a number" "$stoker" quantize "$scratch/in.gguf" "$scratch/y.gguf" Q4_0 --imatrix "$scratch/nan.dat"
head -c 600 "$scratch/im.dat" >"$scratch/cut.dat"
expect 1 "more values than the file" "half of the old form" "$stoker" quantize "$scratch/in.gguf" "$scratch/y.gguf" Q4_0 --imatrix "$scratch/cut.dat"

# --- every format for random weights --------------------------------------------------------------
for type in F32 F16 BF16 Q1_0 Q2_0 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S \
	IQ3_XXS IQ3_S IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4; do
	expect 0 "" "synth --type $type" "$stoker" synth "${dense[@]}" --layers 1 --width 256 --heads 4 --kv-heads 2 --head-size 64 --ff 256 \
		--type $type "$scratch/x.gguf"
	expect 0 "greedy_next" "eval of random $type" "$stoker" eval -m "$scratch/x.gguf" --tokens 1,2,3 --greedy 2
done

# --- what can't be written ------------------------------------------------------------------------
"$stoker" synth "${small[@]}" --type F32 "$scratch/float.gguf"
damage() { # damage BYTES: of the last value
	cp "$scratch/float.gguf" "$scratch/bad.gguf"
	printf '%b' "$1" | dd of="$scratch/bad.gguf" bs=1 seek=$(($(stat -c %s "$scratch/bad.gguf") - 4)) conv=notrunc status=none
}
damage '\0\0\xc0\x7f'
expect 1 "tensor blk.1.ffn_down_exps.weight isn't finite: value 255 of row 2047 is NaN" "a weight that is NaN" \
	"$stoker" quantize "$scratch/bad.gguf" "$scratch/y.gguf" Q4_K_M
check "$(wc -l <"$scratch/err" | grep -vc '^1$')" "in one line"
expect 1 "tensor blk.1.ffn_down_exps.weight isn't finite" "--size with a weight that is NaN" \
	"$stoker" quantize "$scratch/bad.gguf" "$scratch/y.gguf" --size 3M
damage '\0\0\x80\xff'
expect 1 "is infinite" "a weight that is infinite" "$stoker" quantize "$scratch/bad.gguf" "$scratch/y.gguf" Q8_0 -t 3
limited() { (ulimit -f 512; trap '' XFSZ; exec "$@"); }
expect 1 "tensor blk.0." "a full drive names the tensor" limited "$stoker" quantize "$scratch/in.gguf" "$scratch/y.gguf" Q8_0
check "$([ ! -e "$scratch/y.gguf" ] && ! ls "$scratch"/*.part >/dev/null 2>&1; echo $?)" "no file is left"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
