#!/bin/bash
# SPDX-License-Identifier: MIT
# "stoker serve" beside llama.cpp's llama-server: the same file, the same clients, the two servers in turn.
# usage: serve.sh BUILD FOLDER-WITH-llama-server
# Narrowed by LOADS ("concurrent mixed prefix chat schema poisson"), CLIENTS (1,2,4,8), PROMPT (120) and
# TOKENS (64) of concurrent, ROUNDS (3), MODEL (a file; SmolLM2 otherwise), THREADS, CONTEXT (8192, of each
# client), PEER_OPTIONS ("-b 256"), PIN (a CPU for the clients). What was measured is kept in
# BUILD/bench-serve, and a later run adds to it or takes its place; TABLE=only measures nothing. QUIET: a
# command that each server's turn runs under.
# The table goes into RESULTS (tests/bench/results), named after NAME (the processor), with NOTE, a line about
# the machine; docs/SPEED.md shows it.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
build=$1 stoker=$1/stoker peer=${2:-}/llama-server
[ -x "$peer" ] || { echo "no llama-server at $peer: make bench-serve PEER=FOLDER" >&2; exit 2; }
rounds=${ROUNDS:-3} clients=${CLIENTS:-1,2,4,8} threads=${THREADS:-$(nproc)} context=${CONTEXT:-8192}
read -ra loads <<<"${LOADS:-concurrent mixed prefix chat schema poisson}"
read -ra peer_options <<<"${PEER_OPTIONS:-}"
read -ra quiet <<<"${QUIET:-env}"
model=${MODEL:-build/models/smollm2-135m-instruct-Q4_1.gguf}
if [ -z "${MODEL:-}" ]; then
	tools/setup/fetch-model.sh -C build/models smollm2 >/dev/null
fi
most=${clients##*,}
[ "$most" -ge 8 ] || most=8 # prefix has eight
kept=$build/bench-serve
figures=$kept/figures # LOAD ROW WHO ROUND, then the columns of "stoker bench serve" from clients on
mkdir -p "$kept"
touch "$figures"
scratch=$(mktemp -d)
server=
end() { [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null || true; server=; }
trap 'end; rm -rf "$scratch"' EXIT

# Starts one of them; its address is in $url.
start() {
	: >"$scratch/said"
	if [ "$1" = stoker ]; then
		"$stoker" serve -m "$model" --port 0 --sequences "$most" --context "$context" -t "$threads" >"$scratch/said" 2>"$scratch/errors" &
	else
		"$peer" -m "$model" --port 0 --host 127.0.0.1 -np "$most" -c $((most * context)) -t "$threads" \
			--jinja "${peer_options[@]}" >"$scratch/said" 2>&1 &
	fi
	server=$!
	for _ in $(seq 100); do
		url=$(grep -oE -m 1 'http://127[.0-9]*:[0-9]+' "$scratch/said") && return
		kill -0 "$server" 2>/dev/null || break
		sleep 0.1
	done
	echo "$1 doesn't start:" >&2
	tail -n 5 "$scratch/said" "$scratch/errors" >&2
	exit 1
}

# One load, one server, one round: prints and keeps what "stoker bench serve" says.
measure() {
	local load=$1 who=$2 round=$3
	start "$who"
	"${quiet[@]}" "$stoker" bench serve --against "$url" --load "$load" --clients "$clients" --prompt-tokens "${PROMPT:-120}" \
		-n "${TOKENS:-64}" --seed "$round" ${PIN:+--pin "$PIN"} >"$scratch/out" || { tail -n 5 "$scratch/said" >&2; exit 1; }
	kill -0 "$server" || { echo "$who has ended meanwhile" >&2; tail -n 5 "$scratch/said" "$scratch/errors" >&2; exit 1; }
	end
	awk -v who="$who" -v round="$round" 'NR > 1 { print $1, NR - 1, who, round, substr($0, length($1) + 1) }' "$scratch/out" >"$scratch/new"
	[ -s "$scratch/new" ] || { echo "$who: $load: no figures" >&2; exit 1; }
	awk 'NR == FNR { new[$1, $2, $3, $4]; next } !(($1, $2, $3, $4) in new)' "$scratch/new" "$figures" >"$scratch/all"
	cat "$scratch/new" >>"$scratch/all"
	mv "$scratch/all" "$figures"
	sed "1d; s/^/$who: /" "$scratch/out"
}

# What a single sequence of the same lengths does without a server.
alone() {
	local text
	text=$(for _ in $(seq "${PROMPT:-120}"); do printf ' word'; done)
	"${quiet[@]}" "$stoker" run -m "$model" -t "$threads" -p "$text" -n "${TOKENS:-64}" --temp 0 --ignore-eos --stats 2>&1 >/dev/null |
		sed -n 's/^text .* \([0-9.]*\) tokens\/s.*/\1/p' >>"$kept/alone"
}

table() {
	awk -v rounds="$rounds" -v alone="$(sort -g "$kept/alone" 2>/dev/null | awk '{ a[NR] = $1 } END { print NR ? a[int((NR + 1) / 2)] : 0 }')" '
	function median(who, row, column,    n, i, k, t, v) {
		n = count[who, row]
		for (i = 1; i <= n; i++)
			v[i] = value[who, row, column, i]
		for (i = 1; i <= n; i++)
			for (k = i + 1; k <= n; k++)
				if (v[k] < v[i]) { t = v[i]; v[i] = v[k]; v[k] = t }
		return n ? v[int((n + 1) / 2)] : "-"
	}
	function cell(row, column, format,    a, b) {
		a = median("stoker", row, column)
		b = median("llama.cpp", row, column)
		return sprintf(" %9s %9s %6s", a == "-" ? a : sprintf(format, a), b == "-" ? b : sprintf(format, b),
			a != "-" && b + 0 ? sprintf("%.2f", a / b) : "-")
	}
	BEGIN { order = "concurrent long mixed prefix chat schema disconnect paged poisson" }
	{
		row = $1 SUBSEP $2
		n = ++count[$3, row]
		for (i = 5; i <= 16; i++)
			value[$3, row, i, n] = $i
		clients[row] = $5
		if ($2 > most[$1]) most[$1] = $2
		note = ""
		for (i = 20; i <= NF; i++) note = note " " $i
		sub(/: all in.*/, "", note)
		if ($1 == "poisson") note = " " $(NF - 2) " of its capacity"
		if ($1 != "prefix" && $1 != "poisson") note = ""
		notes[row] = note
	}
	END {
		printf "%-32s%-27s%-27s%-27s%-27s\n", "load", "    tokens/s of all", "    TTFT p50, ms", "    ITL p99, ms", "    largest gap, ms"
		printf "%-31s", ""
		for (i = 0; i < 4; i++) printf " %9s %9s %6s", "stoker", "llama.cpp", "ratio"
		print ""
		n = split(order, names, " ")
		for (i = 1; i <= n; i++)
			for (r = 1; r <= most[names[i]]; r++) {
				row = names[i] SUBSEP r
				if (!(row in clients)) continue
				label = names[i] (notes[row] != "" ? ":" notes[row] : names[i] ~ /^(mixed|chat)$/ ? "" : ", " clients[row] (clients[row] > 1 ? " clients" : " client"))
				print sprintf("%-31s", label) cell(row, 8, "%.1f") cell(row, 9, "%.0f") cell(row, 15, "%.1f") cell(row, 16, "%.1f")
			}
		row = "concurrent" SUBSEP 1
		if (alone + 0 && ("stoker", row) in count)
			printf "\nOne client of stoker: %.1f tokens/s after the first token; stoker run without a server: %s.\n", 1000 / median("stoker", row, 12), alone
	}' "$figures"
}

write_results() {
	local name file processor cpus results=${RESULTS:-tests/bench/results}
	cpus=$(nproc)
	processor=$(sed -n '/^model name/ { s/[^:]*: //p; q; }' /proc/cpuinfo)
	name=${NAME:-$(tr 'A-Z ' 'a-z-' <<<"${processor:-$(uname -m)}" | tr -cd 'a-z0-9-' | sed 's/-processor$//')}
	file=$results/serve-$name-${cpus}cpu.txt
	{
		echo "stoker serve beside llama-server on $cpus CPUs of \"${processor:-$(uname -m)}\"; llama.cpp $("$peer" --version 2>&1 | sed -n 's/^version: \(.*\)/\1/p')."
		[ -z "${NOTE:-}" ] || echo "$NOTE"
		echo "$(basename "$model"), $most sequences of $context, $threads threads, F16 keys and values${PEER_OPTIONS:+, llama-server with $PEER_OPTIONS}; tests/bench/serve.sh, medians of up to $rounds."
		echo "concurrent: ${PROMPT:-120} tokens in, ${TOKENS:-64} out, two requests a client. mixed: four decode while a prompt of 4096 tokens arrives. prefix: 1000 tokens in common. chat: ten turns. A ratio below 1 is better for times, above 1 for tokens/s."
		table
	} >"$file"
	cat "$file"
	grep -qF "<!-- $file -->" docs/SPEED.md || echo "$file: docs/SPEED.md shows it when it has the lines <!-- $file --> and <!-- end -->"
}

if [ "${TABLE:-}" != only ]; then
	: >"$kept/alone"
	for round in $(seq "$rounds"); do
		for load in "${loads[@]}"; do
			measure "$load" stoker "$round"
			measure "$load" llama.cpp "$round"
		done
		alone
	done
fi
write_results
[ "${RESULTS:-tests/bench/results}" != tests/bench/results ] || tests/bench/summary.sh
