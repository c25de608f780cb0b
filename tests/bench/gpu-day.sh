#!/bin/bash
# SPDX-License-Identifier: MIT
# Fifteen minutes on a borrowed machine with a GPU, of which not one goes into installing or thinking.
#
#   gpu-day.sh pack BUILD [PEER]    here: puts into build/gpu-day.tar.xz (under 64 MiB) what a bare machine
#                                   needs; PEER is a folder with a llama-bench that was built with Vulkan,
#                                   and maybe llama-bench-avx512
#   gpu-day.sh run [OPTION]... [OUT]   there: measures, the most valuable first, and writes logs as they come
#                                   and gpu-day-DATE.tar.xz at the end
#       --minutes N   all in all (12); what doesn't fit is skipped and named
#       --second      what only a second look needs: all variants, deep contexts, paging
#       --keep        leaves the models that it made, for --second on the same machine
#       --rehearse    the same steps with tiny models and short suites, in seconds: does the script work?
#   gpu-day.sh read ARCHIVE|OUT     here: prints the figures
#
# Exit status of run: 0, 1 when a step failed, 2 wrong usage.  RUN may name a command that programs run
# under, as build/next/bin/on-lavapipe-26.
set -u
script=$(readlink -f "$0")

# --- packing

# The C library and its loader go into a folder of their own: they are used together, and only on a
# machine whose own are too old.
pack_libraries() {
	local kit=$1 path name
	{
		for program in "$kit"/bin/*; do
			ldd "$program" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'
		done
		# the loader is opened by name; NVIDIA's GLX driver wants X's libraries though nothing is shown
		for name in libvulkan.so.1 libX11.so.6 libXext.so.6 libxcb.so.1 libXau.so.6 libXdmcp.so.6; do
			ldconfig -p | awk -v n="$name" '$1 == n && /x86-64/ { print $NF; exit }'
		done
	} | sort -u | while read -r path; do
		name=$(basename "$path")
		case $name in
		ld-linux* | libc.so.* | libm.so.* | libmvec.so.* | libpthread.so.* | libdl.so.* | librt.so.* | libresolv.so.*)
			cp -L "$path" "$kit/libc/" ;;
		*) cp -L "$path" "$kit/lib/" ;;
		esac
	done
}

pack() {
	local build=$1 peer=${2:-} kit=build/gpu-day vectors=${STOKER_VECTORS:-../shared/vectors} program size
	rm -rf $kit $kit.tar.xz
	mkdir -p $kit/{bin,lib,libc,vectors,tests/data,tools/demo-model}
	for program in stoker unit gpu_probe; do
		strip -o "$kit/bin/$program" "$build/$program" || exit 1
	done
	if [ -n "$peer" ]; then
		for program in "$peer"/llama-bench "$peer"/llama-bench-avx512; do
			[ ! -x "$program" ] || strip -o "$kit/bin/$(basename "$program")" "$program" || exit 1
		done
	fi
	[ -x $kit/bin/llama-bench ] || echo "gpu-day: without llama.cpp (no llama-bench in \"$peer\")"
	pack_libraries $kit
	cp -r tests/data/containers $kit/tests/data/
	cp tools/demo-model/*.gguf $kit/tools/demo-model/
	for part in models quantized; do
		[ ! -d "$vectors/$part" ] || cp -r "$vectors/$part" $kit/vectors/
	done
	chmod -R u+w $kit
	cp "$script" $kit/
	"$build/stoker" --version >$kit/version
	git describe --always --dirty >>$kit/version 2>/dev/null
	tar -C build -c gpu-day | xz -T0 -6 >$kit.tar.xz
	size=$(stat -c %s $kit.tar.xz)
	echo "gpu-day: $kit.tar.xz, $((size >> 20)) MiB; unpacked $(du -sm $kit | cut -f 1) MiB"
	[ "$size" -lt $((64 << 20)) ] || { echo "gpu-day: more than 64 MiB" >&2; exit 1; }
}

# --- steps

say() { echo "$*" | tee -a "$out/run.log"; }

# note NAME STATUS SECONDS [WHY]
note() {
	printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4:-}" >>"$out/steps.tsv"
	say "$(printf '%4d s  %-28s %s%s' "$SECONDS" "$1" "$2" "${4:+, $4}")"
}

# step NAME LIMIT COMMAND...: its output goes to NAME.log, line by line
step() {
	local name=$1 limit=$2 started=$SECONDS left=$((deadline - SECONDS)) status why=
	shift 2
	if [ $left -lt 5 ]; then
		note "$name" skipped 0 "no time left"
		return 1
	fi
	[ "$limit" -le $left ] || limit=$left
	# in the background, or a signal that ends the run would wait for the step
	timeout -k 5 "$limit" "${flush[@]}" "$@" >"$out/$name.log" 2>&1 </dev/null &
	child=$! current=$name
	wait $child
	status=$? current=
	case $status in
	0) ;;
	124 | 137) why="stopped after $limit s" ;;
	*) why=$(grep -v '^ *$' "$out/$name.log" | tail -n 1 | cut -c 1-120) ;;
	esac
	[ $status = 0 ] || failed=$((failed + 1))
	note "$name" $status $((SECONDS - started)) "$why"
	return $status
}

ours() { # NAME LIMIT VERB...
	local name=$1 limit=$2
	shift 2
	step "$name" "$limit" "${run[@]}" "$kit/bin/stoker" "$@"
}

# --- the machine

# Of the libraries in the archive only those that this machine lacks are used; all, and then with
# their own C library, when programs don't start so.
choose_libraries() {
	local library
	mkdir -p "$scratch/lib"
	for library in "$kit"/lib/*; do
		{ ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | grep -qF "$(basename "$library") " ||
			ln -s "$library" "$scratch/lib/"
	done
	[ ${#run[@]} = 0 ] || return 0
	export LD_LIBRARY_PATH=$scratch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	"$kit/bin/stoker" --version >/dev/null 2>&1 && return
	export LD_LIBRARY_PATH=$kit/lib
	"$kit/bin/stoker" --version >/dev/null 2>&1 && return
	say "this machine's C library is too old: using the one of the archive"
	unset LD_LIBRARY_PATH
	run=("$kit"/libc/ld-linux*.so.* --library-path "$kit/libc:$kit/lib")
	flush=()
}

gpu_here() { "${run[@]}" "$kit/bin/stoker" info 2>/dev/null | grep '^vulkan' | grep -q 'GPU), .* computes'; }

# NVIDIA's driver in a container: its manifest may be missing, and the GLX library may not open.
find_driver() {
	local library
	gpu_here && return
	for library in libGLX_nvidia.so.0 libEGL_nvidia.so.0; do
		[ -e /dev/nvidiactl ] || break
		echo '{ "file_format_version": "1.0.0", "ICD": {
			"library_path": "'$library'", "api_version": "1.3.0" } }' >"$scratch/nvidia.json"
		export VK_DRIVER_FILES=$scratch/nvidia.json VK_ICD_FILENAMES=$scratch/nvidia.json
		if gpu_here; then
			say "the driver is opened by the name $library"
			return
		fi
		unset VK_DRIVER_FILES VK_ICD_FILENAMES
	done
	if "${run[@]}" "$kit/bin/stoker" info | grep '^vulkan' | grep -q computes; then
		processor=1
		# llama.cpp passes over processors that emulate a GPU unless told not to
		export GGML_VK_VISIBLE_DEVICES=0
		say "no GPU here: an emulated one is measured, with small models"
	else
		processor=1 device=cpu
		say "no Vulkan device here: only the CPU is measured, with small models"
	fi
}

# GiB of memory that the largest GPU has
gpu_gib() {
	"${run[@]}" "$kit/bin/stoker" info --json | awk -F '[:,]' '
		/"type"/ { gpu = /GPU/ }
		/"memory_bytes"/ && gpu && $2 > most { most = $2 }
		END { printf "%d\n", most / 1073741824 }'
}

free_gib() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { printf "%d\n", $4 / 1048576 }'; }

# Where models go: memory, where there is enough of it
choose_folder() {
	local folder
	for folder in /dev/shm "${TMPDIR:-/tmp}" "$out"; do
		[ -w "$folder" ] && [ "$(free_gib "$folder")" -gt "$1" ] && break
	done
	models=$(mktemp -d "$folder/gpu-day-XXXXXX")
}

# shellcheck disable=SC2034 # make_models takes dense and moe by name
choose_sizes() {
	local gpu memory
	gpu=$(gpu_gib)
	memory=$(awk '/^MemAvailable/ { printf "%d\n", $2 / 1048576 }' /proc/meminfo)
	prompt=512 decode=64 depth=4096 deeper=16384 repeat=3 budget=8G
	dense=(--arch llama --experts 0 --used 0 --layers 32 --width 4096 --heads 32 --kv-heads 8 --ff 14336
		--vocab 128256 --ctx 32768)
	moe=(--layers 48 --width 2048 --heads 32 --kv-heads 4 --experts 128 --expert-ff 768 --vocab 151936
		--ctx 32768)
	size="8B dense and 30B-A3B"
	if [ "$rehearse" ]; then
		prompt=8 decode=2 depth=16 deeper=32 repeat=1 budget=min
		dense=(--arch llama --experts 0 --used 0 --layers 2 --width 256 --heads 4 --kv-heads 2 --vocab 1000)
		moe=(--layers 2 --width 256 --heads 4 --kv-heads 2 --experts 8 --used 2 --expert-ff 256 --vocab 1000)
		size="tiny ones"
	elif [ "$gpu" -lt 7 ] || [ "$memory" -lt 12 ] || [ "$processor" ]; then
		budget=400M
		dense=(--arch llama --experts 0 --used 0 --layers 16 --ctx 32768)
		moe=(--ctx 32768)
		size="0.3B dense and 0.9B moe"
		if [ "$processor" ]; then
			prompt=64 decode=8 depth=256 deeper=512 repeat=1
		fi
	elif [ "$gpu" -lt 24 ] || [ "$memory" -lt 48 ]; then
		budget=2G
		moe=(--layers 12 --width 2048 --experts 128 --expert-ff 768 --ctx 32768)
		size="8B dense and 7B moe"
	fi
	say "GPU memory $gpu GiB, memory $memory GiB: models are $size, Q4_0"
	case $size in
	*30B*) choose_folder 26 ;;
	8B*) choose_folder 12 ;;
	*) choose_folder 2 ;;
	esac
}

make_models() {
	local name
	for name in dense moe; do
		local -n arguments=$name
		"${run[@]}" "$kit/bin/stoker" synth "${arguments[@]}" "$models/$name.part" &&
			mv "$models/$name.part" "$models/$name.gguf"
	done >"$out/synth.log" 2>&1
}

# ready NAME: waits until that model is written
ready() {
	while [ ! -f "$models/$1.gguf" ] && kill -0 "$maker" 2>/dev/null && [ $SECONDS -lt "$deadline" ]; do
		sleep 0.2
	done
	[ -f "$models/$1.gguf" ] || note "$1" skipped 0 "its file couldn't be made, see synth.log"
	[ -f "$models/$1.gguf" ]
}

# --- what is measured

facts() {
	[ ! -x "$(command -v nvidia-smi)" ] || step nvidia-smi 20 nvidia-smi -q
	step machine 10 sh -c 'uname -a; lscpu; head -n 3 /proc/meminfo; df -h; cat /proc/self/limits
		ls -l /dev/dri /dev/nvidia* /usr/share/vulkan/icd.d /etc/vulkan/icd.d 2>/dev/null; :'
	ours info 20 info
	ours info-json 20 info --json
	step probe 20 "${run[@]}" "$kit/bin/gpu_probe"
}

# suite NAME LIMIT SUITE: one of the unit suites, with the variants and words that are set
suite() {
	step "$1" "$2" env STOKER_VECTORS="$kit/vectors" "${run[@]}" "$kit/bin/unit" "$3"
}

# pair NAME LIMIT MODEL PROMPT DECODE DEPTH: both engines on the GPU
pair() {
	local name=$1 limit=$2 file=$models/$3.gguf
	ours "$name.stoker" "$limit" bench model --device "$device" -m "$file" -p "$4" -n "$5" -d "$6" -r "$repeat"
	[ "$device" = vulkan ] || return 0
	[ ! -x "$kit/bin/llama-bench" ] ||
		step "$name.llama" "$limit" "${run[@]}" "$kit/bin/llama-bench" -m "$file" -ngl 99 -p "$4" -n "$5" \
			-d "$6" -r "$repeat" -o jsonl
}

scaling() {
	local threads file=$models/$1.gguf peer=$kit/bin/llama-bench
	# llama.cpp fixes its instructions when it is built
	! grep -qw avx512_vnni /proc/cpuinfo || [ ! -x "$peer-avx512" ] || peer=$peer-avx512
	for threads in 1 2 4 8 16; do
		[ $threads -le "$(nproc)" ] || break
		ours "cpu-$1-$threads.stoker" 60 bench model --device cpu -t $threads -m "$file" -p $((prompt / 8)) \
			-n $((decode / 4 + 1)) -r 1
		[ ! -x "$peer" ] ||
			step "cpu-$1-$threads.llama" 60 "${run[@]}" "$peer" -m "$file" -ngl 0 -nopo 1 -t $threads \
				-p $((prompt / 8)) -n $((decode / 4 + 1)) -r 1 -o jsonl
	done
}

profile() {
	local text="It was the best of times, it was the worst of times, it was the age of wisdom, "
	ours "profile-$1" 60 run --device "$device" -m "$models/$1.gguf" -p "$text$text$text" -n "$decode" --temp 0 \
		--ignore-eos -c 1024 --stats --profile "$out/profile-$1.json"
}

first() {
	local name format
	if [ "$device" = vulkan ]; then
		if [ "$processor" ]; then
			note shaders skipped 0 "an emulated GPU has no registers"
		else
			ours shaders 90 bench shaders
		fi
		STOKER_TEST_VULKAN=no-cache STOKER_TEST_VARIANTS=1 suite ops 150 "${ops_suite:-ops}"
		STOKER_TEST_VULKAN=no-cache STOKER_TEST_VARIANTS=1 suite vectors 60 "${vectors_suite:-vectors}"
	fi
	ours limits 30 bench limits --device "$device"
	for format in Q4_0 Q4_K Q6_K F16; do
		# shapes of real models are too much for a processor
		if [ "$processor" ]; then
			note "products-$format" skipped 0 "takes minutes on a processor"
		else
			ours "products-$format" 45 bench ops --device "$device" --format $format
		fi
	done
	for name in dense moe; do
		ready $name || continue
		pair $name 90 $name "$prompt" "$decode" 0
		pair $name-deep 90 $name 0 "$decode" "$depth"
		profile $name
	done
	for name in dense moe; do
		[ ! -f "$models/$name.gguf" ] || scaling $name
	done
}

second() {
	local name word copy=${TMPDIR:-/tmp}/gpu-day-$$.gguf
	if [ "$device" = vulkan ]; then
		STOKER_TEST_VULKAN='' suite ops-all 240 "${ops_suite:-ops}"
	fi
	for name in dense moe; do
		ready $name || continue
		for word in separate no-dot no-tensor; do
			[ "$device" = vulkan ] || break
			[ -z "$rehearse" ] || [ $word = separate ] || continue
			STOKER_VULKAN=$word ours "$name-$word.stoker" 60 bench model --device "$device" \
				-m "$models/$name.gguf" -p "$prompt" -n "$decode" -r "$repeat"
		done
		pair $name-deeper 120 $name 0 $((decode / 2)) "$deeper"
	done
	if ready moe; then
		# in memory already, the file would be paged without a drive
		if cp "$models/moe.gguf" "$copy" 2>/dev/null; then
			[ "$rehearse" ] || ours store 60 bench store -m "$copy"
			ours "moe-paged-$budget.stoker" 120 bench model --device "$device" -m "$copy" --memory $budget \
				-p "$prompt" -n "$decode" -r 1
			ours "moe-paged-cpu-$budget.stoker" 120 bench model --device cpu -m "$copy" --memory $budget \
				-p "$prompt" -n "$decode" -r 1
		else
			note moe-paged skipped 0 "no room for a copy on a drive"
		fi
		rm -f "$copy"
	fi
}

# --- the figures

# What stoker and llama-bench say of one model, a line each: TEST TOKENS/S
figures_of() {
	awk '$1 == "prompt" || $1 == "decode" { if ($4 == "tokens/s") print $1 "(" $2 ") " $3 }' "$1"
}
peer_figures_of() {
	awk '/"avg_ts"/ {
		line = $0
		prompt = field("n_prompt")
		generated = field("n_gen")
		sub(/.*"samples_ts": *\[ */, "", line)
		sub(/\].*/, "", line)
		n = split(line, sample, /, */)
		for (i = 2; i <= n; i++)
			for (k = i; k > 1 && sample[k - 1] + 0 > sample[k] + 0; k--) {
				t = sample[k]; sample[k] = sample[k - 1]; sample[k - 1] = t
			}
		print (prompt > 0 ? "prompt(" prompt ") " : "decode(" generated ") ") sample[int((n + 1) / 2)]
	}
	function field(name) {
		match($0, "\"" name "\": *[0-9]+")
		return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0
	}' "$1"
}

figures() {
	local folder=$1 log name test rate peer
	[ -f "$folder/steps.tsv" ] || { echo "gpu-day: no steps.tsv in $folder" >&2; exit 1; }
	cat "$folder/version" 2>/dev/null
	grep -hE '^(cpu|vulkan|memory)' "$folder/info.log" 2>/dev/null
	grep -hE '^(driver|subgroup|heap|cooperative)' "$folder/probe.log" 2>/dev/null
	cat "$folder/limits.log" 2>/dev/null
	echo
	awk -F '\t' '
		$2 == 0 { good++ }
		$2 == "skipped" { skipped++; print "skipped: " $1 ": " $4 }
		$2 != 0 && $2 != "skipped" { bad++; print "FAILED:  " $1 " (status " $2 "): " $4 }
		END { printf "steps: %d done, %d failed, %d skipped\n", good, bad, skipped }' "$folder/steps.tsv"
	for log in "$folder"/{ops,vectors,ops-all}.log; do
		[ ! -f "$log" ] || awk -v name="$(basename "$log" .log)" '
			/\.\.\.(passed|FAILED)/ { tests++; bad += /FAILED/ }
			END { printf "suite %s: %d tests, %d failed\n", name, tests, bad }' "$log"
	done
	[ ! -f "$folder/shaders.log" ] || awk '
		/^[a-z]/ {
			shaders++
			for (i = 2; i < NF; i++)
				if (tolower($i) ~ /spill/ && $NF != "" && $(i + 1) + 0 > 0) { spills++; break }
		}
		END { printf "shaders: %d compiled, %d spill\n", shaders, spills }' "$folder/shaders.log"
	echo
	printf '%-24s %-14s %10s %10s %7s\n' file test stoker llama.cpp ratio
	sed -n 's/\.stoker\t.*//p' "$folder/steps.tsv" | while read -r name; do
		figures_of "$folder/$name.stoker.log" | while read -r test rate; do
			peer=
			[ ! -f "$folder/$name.llama.log" ] ||
				peer=$(peer_figures_of "$folder/$name.llama.log" | awk -v t="$test" '$1 == t { print $2; exit }')
			awk -v n="$name" -v t="$test" -v a="$rate" -v b="$peer" 'BEGIN {
				other = (b > 0) ? sprintf("%.2f", b) : "-"
				ratio = (b > 0) ? sprintf("%.2f", a / b) : "-"
				printf "%-24s %-14s %10.2f %10s %7s\n", n, t, a, other, ratio }'
		done
	done
	for log in "$folder"/products-*.log; do
		[ -f "$log" ] || continue
		echo
		echo "$(basename "$log" .log), one row:"
		grep -E ' 1 rows ' "$log"
	done
	return 0
}

read_archive() {
	local folder
	if [ -d "$1" ]; then
		figures "$1"
		return
	fi
	folder=$(mktemp -d)
	tar -C "$folder" -xf "$1" && figures "$folder"/gpu-day-*
	rm -rf "$folder"
}

# --- the run

find_kit() {
	kit=$(dirname "$script")
	[ ! -x "$kit/bin/stoker" ] || return 0
	kit=$PWD/build/gpu-day
	[ ! -x "$kit/bin/stoker" ] || return 0
	if [ -f "$kit.tar.xz" ]; then
		tar -C build -xf "$kit.tar.xz" ||
			python3 -c 'import tarfile; tarfile.open("build/gpu-day.tar.xz").extractall("build")'
	fi
	[ -x "$kit/bin/stoker" ] || { echo "gpu-day: nothing is packed here: gpu-day.sh pack" >&2; exit 2; }
}

finish() {
	local archive
	trap '' INT TERM
	trap - EXIT
	if [ "$current" ]; then
		note "$current" 143 0 "the run was ended"
		failed=$((failed + 1))
	fi
	for pid in ${child:-} ${maker:-} ${watcher:-}; do kill "$pid" 2>/dev/null; done
	wait
	[ "$keep" ] || rm -rf "$models"
	[ -z "$keep" ] || echo "$models" >"$kit/models"
	cp -r "$kit/cache/stoker" "$out/cache" 2>/dev/null
	rm -rf "$scratch"
	figures "$out" >"$out/summary.txt"
	cat "$out/summary.txt"
	archive=$(dirname "$out")/$(basename "$out").tar.xz
	tar -C "$(dirname "$out")" -cJf "$archive" "$(basename "$out")" 2>/dev/null || {
		rm -f "$archive"
		archive=${archive%.xz}.gz
		tar -C "$(dirname "$out")" -czf "$archive" "$(basename "$out")"
	}
	echo "gpu-day: $archive, $(stat -c %s "$archive") bytes, after $SECONDS s"
	exit $((failed > 0))
}

run_all() {
	local minutes=12 part=first
	rehearse='' keep='' processor='' failed=0 device=vulkan models='' child='' current='' maker='' watcher=''
	while [ $# -gt 0 ]; do
		case $1 in
		--minutes) minutes=${2:-}; shift ;;
		--second) part=second ;;
		--keep) keep=1 ;;
		--rehearse) rehearse=1 ops_suite=base vectors_suite=gguf ;;
		-*) usage ;;
		*) break ;;
		esac
		shift
	done
	[[ $minutes =~ ^[0-9]+$ && $# -le 1 ]] || usage
	deadline=$((SECONDS + 60 * minutes - 10))
	find_kit
	out=$(mkdir -p "${1:-.}" && cd "${1:-.}" && pwd)/gpu-day-$(date -u +%Y%m%d-%H%M%S)
	mkdir -p "$out"
	scratch=$(mktemp -d)
	export XDG_CACHE_HOME=$kit/cache
	mkdir -p "$kit/cache"
	read -ra run <<<"${RUN:-}"
	[ ${#run[@]} = 0 ] || run[0]=$(readlink -f "$(command -v "${run[0]}")")
	flush=()
	[ ! -x "$(command -v stdbuf)" ] || flush=(stdbuf -oL)
	cp "$kit/version" "$out/"
	cd "$kit" || exit 1
	trap finish INT TERM EXIT
	choose_libraries
	find_driver
	choose_sizes
	if [ -f "$kit/models" ] && [ -f "$(cat "$kit/models")/moe.gguf" ]; then
		rmdir "$models"
		models=$(cat "$kit/models")
	fi
	if [ -f "$models/moe.gguf" ]; then maker=; else make_models & maker=$!; fi
	if [ -x "$(command -v nvidia-smi)" ]; then
		nvidia-smi --query-gpu=timestamp,clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu,memory.used \
			--format=csv -l 1 >"$out/clocks.csv" 2>&1 &
		watcher=$!
	fi
	facts
	$part
	[ -z "$rehearse" ] || second
}

usage() {
	sed -n '/^#   gpu-day/,/^#$/s/^# \{0,3\}//p' "$script" >&2
	exit 2
}

case ${1:-} in
pack) [ $# -ge 2 ] || usage; shift; pack "$@" ;;
run) shift; run_all "$@" ;;
read) [ $# = 2 ] || usage; read_archive "$2" ;;
*) usage ;;
esac
