#!/bin/bash
# SPDX-License-Identifier: MIT
# How the program takes its options, what it says, and what it writes for machines.
# usage: manners.sh BUILD
set -u
stoker=$1/stoker terminal=$1/terminal
model=tests/data/containers/plain.gguf
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CACHE_HOME=$scratch/cache
# shellcheck source=tests/e2e/results.sh
. tests/e2e/results.sh

# typed NAME COMMAND... < SCRIPT: on a terminal
typed() {
	local name=$1
	shift
	if "$terminal" "$@" 2>"$scratch/err"; then ok "$name"; else bad "$name"; fi
}

# --- a model is a word or goes with -m ------------------------------------------------------------
cp $model "$scratch/a b.gguf"
file="$scratch/a b.gguf"
printf 'abc' >"$scratch/text"
for how in "-m" "--model" ""; do
	given=(${how:+"$how"} "$file")
	expect 0 token_embd.weight "inspect $how FILE" "$stoker" inspect "${given[@]}"
	expect 0 greedy_next "eval $how FILE" "$stoker" eval "${given[@]}" --tokens 1,2 --greedy 1
	expect 0 greedy_next "eval ... $how FILE" "$stoker" eval --tokens 1,2 --greedy 1 "${given[@]}"
	expect 0 "" "tokenize $how FILE" "$stoker" tokenize "${given[@]}" -f "$scratch/text"
	expect 0 "" "run $how FILE" "$stoker" run "${given[@]}" -p abc -n 2 --temp 0
	expect 0 "" "quantize $how IN OUT TYPE" "$stoker" quantize "${given[@]}" "$scratch/q.gguf" Q8_0
	expect 0 "tokens/s" "bench model $how FILE" "$stoker" bench model "${given[@]}" -p 4 -n 2 -r 1
	expect 1 "no experts" "pack $how IN OUT" "$stoker" pack "${given[@]}" "$scratch/p.gguf"
	expect 1 "no experts" "plan $how FILE" "$stoker" plan "${given[@]}"
	expect 0 "perplexity" "perplexity $how FILE" "$stoker" perplexity "${given[@]}" -f "$0" -c 64
done
expect 0 token_embd.weight "FILE and -m FILE" "$stoker" inspect -m "$file" "$file"
expect 2 "already, what is this: $model" "FILE and another with -m" "$stoker" run -m "$file" $model -p a
expect 2 "already" "quantize with two inputs" "$stoker" quantize -m "$file" $model "$scratch/q.gguf" Q8_0
expect 2 "too much: b" "two words" "$stoker" inspect "$file" b
for verb in run inspect tokenize embed eval perplexity plan; do
	expect 2 "a model is needed" "$verb without a model" "$stoker" $verb
done

# --- sizes ----------------------------------------------------------------------------------------
for size in 1G 1GB 1GiB 1g 1gb 1gib 1024M 1024MiB 1048576K 1073741824 1073741824B 1.0G .5T "1 GiB"; do
	expect 0 "" "--memory $size" "$stoker" run $model -p abc -n 1 --memory "$size"
	expect 0 "" "--host-memory $size" "$stoker" run $model -p abc -n 1 --host-memory "$size"
done
for size in much "" 0 -1G 1X 1iB 1GG 1Gi 0x10 inf nan 1e30 1,5G; do
	for option in memory host-memory; do
		expect 2 "no size \"$size\"" "--$option \"$size\"" "$stoker" run $model -p abc -n 1 --$option "$size"
	done
	expect 2 "no size \"$size\"" "plan --budget \"$size\"" "$stoker" plan $model --budget "$size"
done
expect 2 "no size" "bench store --arena" "$stoker" bench store $model --arena 5Q

# --- what was probably meant ----------------------------------------------------------------------
expect 2 'did you mean "quantize"?' "a verb with a letter missing" "$stoker" qantize
expect 2 'did you mean "run"?' "a verb with a letter too many" "$stoker" runn
expect 2 'did you mean "inspect"?' "a verb with two letters swapped" "$stoker" inpsect
expect 2 'did you mean "stoker run x.gguf"?' "a file in place of a verb" "$stoker" x.gguf
expect 2 'lists them' "a verb like no other" "$stoker" xyzzy
expect 2 'did you mean --temp?' "another program's option" "$stoker" run $model --temperature 1
expect 2 'did you mean --seed?' "an option with a value and a letter too many" "$stoker" run $model --seeed=1
expect 2 'unknown option --xyzzy' "an option like no other" "$stoker" run $model --xyzzy
expect 2 'did you mean "model"?' "something else to measure" "$stoker" bench modle $model
expect 2 'no value goes with --stats=1' "a value for a flag" "$stoker" run $model --stats=1
expect 2 'takes a number' "a number that is none" "$stoker" run $model --temp nan
if "$stoker" run $model --xyzzy 2>&1 | grep -q "did you mean"; then bad "a guess without a reason"; else ok "no guess without a reason"; fi

# --- what is written for machines -----------------------------------------------------------------
# A container of keys alone: text that isn't UTF-8, orders for a terminal, no numbers, a large one.
u64() { printf '%b' "\\x$(printf %02x "$1")\\0\\0\\0\\0\\0\\0\\0"; }
key() { # NAME TYPE(byte) VALUE(escapes)
	u64 ${#1}
	printf '%s%b\0\0\0%b' "$1" "\\x$2" "$3"
}
text_key() { # NAME VALUE(escapes)
	local bytes
	bytes=$(printf '%b' "$2" | wc -c)
	key "$1" 08 ""
	u64 "$bytes"
	printf '%b' "$2"
}
odd=$scratch/odd.gguf
{
	printf 'GGUF\003\0\0\0'
	u64 0
	u64 6
	text_key general.author 'Fran\xe7ois'
	text_key general.name 'a\x1b]52;c;eA==\x07\xc2\x9b2J\xe2\x80\xae\x7fz'
	key x.nan 06 '\0\0\xc0\x7f'
	key x.infinity 0c '\0\0\0\0\0\0\xf0\xff'
	key x.large 0a '\xff\xff\xff\xff\xff\xff\xff\xff'
	text_key x.long "$(printf '\\xc3\\xa9%.0s' {1..60})"
} >"$odd"
# machine NAME COMMAND...: valid UTF-8, no word that JSON lacks, no comma in numbers
machine() {
	local name=$1
	shift
	"$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	if ! iconv -f UTF-8 -t UTF-8 <"$scratch/out" >/dev/null 2>>"$scratch/err"; then
		bad "$name: UTF-8"
	elif grep -Eq '(NaN|nan|Infinity|inf)[],]?$|[0-9],[0-9]' "$scratch/out" || ! grep -q '^{' "$scratch/out"; then
		bad "$name: JSON"
	else
		ok "$name"
	fi
}
machine "inspect --json of odd keys" "$stoker" inspect --json "$odd"
typed "control characters on a terminal" "$stoker" inspect "$odd" <<'END'
expect general.name
never \x1b]52
expect <U+009B>
expect <U+202E>
expect ^?
end 0
END
expect 0 '"x.nan": null' "nan is null" "$stoker" inspect --json "$odd"
expect 0 '"x.infinity": null' "infinity is null" "$stoker" inspect --json "$odd"
expect 0 '18446744073709551615' "the largest integer" "$stoker" inspect --json "$odd"
expect 0 "Fran"$'\xef\xbf\xbd'"ois" "U+FFFD for what isn't UTF-8" "$stoker" inspect --json "$odd"
printf 'caf\303\251 \360\237\230\200 \377' >"$scratch/split"
machine "tokenize --json" "$stoker" tokenize --json $model -f "$scratch/split"
# every verb that has --json, in every locale there is (setting none may bring commas)
mkdir "$scratch/locales"
for locale in de_DE tr_TR; do
	localedef -i $locale -f UTF-8 "$scratch/locales/$locale.UTF-8" >/dev/null 2>&1 || echo "no locale $locale"
done
# with LOCPATH glibc forgets the list that it makes of it in newlocale(), which a library calls when it is loaded
echo "leak:__argz_add_sep" >"$scratch/leaks"
for locale in C C.UTF-8 de_DE.UTF-8 tr_TR.UTF-8; do
	there=(env "LC_ALL=$locale" "LOCPATH=$scratch/locales"
		"LSAN_OPTIONS=suppressions=$scratch/leaks:print_suppressions=0" "$stoker")
	machine "$locale: info --json" "${there[@]}" info --json
	machine "$locale: perplexity --json" "${there[@]}" perplexity --json $model -f "$0" -c 64
	machine "$locale: run --json" "${there[@]}" run --json $model -p abc -n 3 --temp 0
	machine "$locale: embed --json" "${there[@]}" embed --json $model -p abc
	machine "$locale: eval --json" "${there[@]}" eval --json - $model --tokens 1,2
	machine "$locale: bench --json" "${there[@]}" bench model --json $model -p 4 -n 2 -r 1
	expect 0 "" "$locale: names in any case" "${there[@]}" quantize $model "$scratch/q.gguf" mxfp4
done

expect 0 "there is no text" "tokenize without input" "$stoker" tokenize $model
"$stoker" tokenize $model <&- >"$scratch/out" 2>"$scratch/err"
if [ -z "$(tr -d '\n' <"$scratch/out")" ] && grep -q "no text" "$scratch/err"; then
	ok "tokenize with a closed input"
else
	bad "tokenize with a closed input"
fi
expect 1 "there is no text" "perplexity without input" "$stoker" perplexity $model -f -
expect 1 "there is no text" "perplexity of an empty file" "$stoker" perplexity $model -f /dev/null

# --- what is known of a model ---------------------------------------------------------------------
demo=tools/demo-model/stoker-demo-Q4_K.gguf
expect 0 "runs here  yes, with everything in memory" "info FILE" "$stoker" info $model
expect 0 "3 of 16 experts" "info of a mixture" "$stoker" info $demo
expect 0 "with experts on the drive" "info of a mixture in little memory" "$stoker" info $demo --memory min
expect 0 "runs here  no: " "info of a mixture in too little" "$stoker" info $demo --memory 1M
expect 0 "isn't enough memory" "info of a model in too little" "$stoker" info $model --memory 1M
expect 0 "runs here  no: " "info of keys alone" "$stoker" info "$odd"
expect 1 "No such file" "info of no file" "$stoker" info "$scratch/none.gguf"
expect 2 "no size" "info in no size" "$stoker" info $model --memory much
expect 2 "cache type" "info with an unknown cache" "$stoker" info $model --kv q9
machine "info FILE --json" "$stoker" info $demo --json
machine "info FILE --json of odd keys" "$stoker" info "$odd" --json
for key in architecture name parameters formats trained_context tokenizer template device runs paged memory \
	whole_bytes least_bytes left_bytes planned_tokens_per_second; do
	expect 0 "\"$key\":" "info FILE --json tells $key" "$stoker" info $demo --json
done
# what it says of memory is what a run with that budget does
for context in 64 512; do
	least=$("$stoker" info $demo --json -c $context | sed -n 's/.*"least_bytes": \([0-9]*\).*/\1/p')
	expect 0 "" "the least memory for $context tokens is enough" \
		"$stoker" run $demo -p And -n 2 -c $context --memory "$least"
	expect 1 "this needs at least" "and no less is" \
		"$stoker" run $demo -p And -n 2 -c $context --memory $((least - 1))
done
expect 0 "" "plan" "$stoker" plan $demo -c 64 -n 32
expect 0 'as "stoker plan" measured' "info after plan" "$stoker" info $demo -c 64
expect 0 'as "stoker plan" measured' "info of the smallest budget after plan" \
	"$stoker" info $demo -c 64 --memory min
expect 0 'expected in this budget' "figures of the smallest budget after plan" \
	"$stoker" run $demo -p And -n 8 -c 64 --memory min --stats

# --- signals while a file is written --------------------------------------------------------------
"$stoker" synth --arch qwen3 --layers 1 --width 256 --heads 4 --experts 0 --used 0 --ff 256 --vocab 100000 --type F16 "$scratch/large.gguf" 2>"$scratch/err"
# ended NAME STATUS SIGNAL...: sent together, in the middle of one tensor
ended() {
	local name=$1 wanted=$2 pid part=
	shift 2
	"$stoker" quantize "$scratch/large.gguf" "$scratch/ended.gguf" Q4_K -t 1 2>"$scratch/err" &
	pid=$!
	for _ in $(seq 200); do
		part=$(find "$scratch" -name 'ended.gguf.*.part')
		[ -n "$part" ] && break
		sleep 0.01
	done
	kill -STOP $pid
	for signal in "$@"; do kill -"$signal" $pid; done
	kill -CONT $pid
	wait $pid 2>/dev/null
	local got=$?
	if [ -n "$part" ] && [ $got = "$wanted" ] && [ -z "$(find "$scratch" -name 'ended.gguf*')" ]; then
		ok "$name"
	else
		find "$scratch" -name 'ended.gguf*' >>"$scratch/err"
		bad "$name (status $got)"
	fi
}
ended "SIGTERM while quantizing" 143 TERM
ended "Ctrl-C while quantizing" 130 INT
ended "two signals while quantizing" 130 INT TERM
# a leftover of a process with the same number, as in containers, is nobody's
sh -c 'touch "$2.$$.part"; exec "$0" quantize "$1" "$2" Q8_0' "$stoker" $model "$scratch/again.gguf" 2>"$scratch/err"
if [ -s "$scratch/again.gguf" ]; then ok "a leftover part"; else bad "a leftover part"; fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
