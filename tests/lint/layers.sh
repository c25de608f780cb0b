#!/bin/bash
# SPDX-License-Identifier: MIT
# The house's rules that one can't see in a single file:
# - A file of runtime/ includes only from its own folder and from folders above it in this list, and
#   public headers of those; device/ and store/ do not know each other.
# - Vulkan's record.h alone reaches into shaders/, for the structs that host and shader share.
# - Tools include nothing but the public headers.  Only tools/bench/, which measures single ops,
#   kernels and stores, looks inside the library.
# - No circles among headers; no file over 600 lines, but tables; no function over 80.
# - The library never prints, exits or aborts, and what it does doesn't depend on the locale.
# STRICT=0: what is too long is said, but no error.
set -eu
order="base quant gguf device store pager model text grammar session engine"
tables='runtime/text/pretokenizers.h|runtime/quant/iq_grids.h'
strict=${STRICT:-1}
status=0
complain() {
	echo "$1" >&2
	status=1
}

# the layer of a public header: stoker/NAME.h
declare -A layer=(
	[cache]=base [error]=base [log]=base [profile]=base [version]=base
	[format]=quant
	[observe]=device
	[driver]=store
	[decoder]=text [template]=text
	[batch]=session [sampler]=session [state]=session [trace]=session
	[engine]=engine [stoker]=engine
)
declare -A rank=()
n=0
for folder in $order; do
	n=$((n + 1))
	rank[$folder]=$n
	layer[$folder]=$folder
done
own=
while IFS=: read -r file line; do
	other=${line#*\"}
	other=${other%\"*}
	case $file in
	runtime/include/stoker/*) own=${file##*/} own=${layer[${own%.h}]:-} ;;
	*) own=${file#runtime/} own=${own%%/*} ;;
	esac
	case $other in
	stoker/*) to=${other##*/} to=${layer[${to%.h}]:-} ;;
	../shaders/push_constants.h)
		[ "$file" = runtime/device/vulkan/record.h ] || complain "$file: only record.h includes from shaders/"
		continue
		;;
	*/*) to=${other%%/*} ;;
	*) continue ;;
	esac
	if [ -z "${rank[$own]:-}" ] || [ -z "${rank[$to]:-}" ]; then
		complain "$file: \"$other\": a folder or public header without a place in $0"
	elif [ "${rank[$to]}" -gt "${rank[$own]}" ] || [ "$own $to" = "store device" ] || [ "$own $to" = "device store" ]; then
		complain "$file: $own/ may not include $other, which is of $to/"
	fi
done < <(git grep -n '^#include "' -- 'runtime/*.c' 'runtime/*.h' | sed 's/^\([^:]*\):[0-9]*:/\1:/')

# Circles: tsort says which headers can't be put in an order.
circle=$(git grep -n '^#include "' -- 'runtime/*.h' 'tools/*.h' |
	sed -n 's/^\([^:]*\):[0-9]*:#include "\(.*\)".*/\1 \2/p' |
	sed 's,^runtime/include/,,; s,^runtime/,,; s,^tools/,,' | tsort 2>&1 >/dev/null) || true
[ -z "$circle" ] || complain "headers that include each other: $circle"

own_headers=$(git ls-files 'tools/*.h' | sed -n 's,^tools/\([a-z_]*\|models/[a-z_]*\|quantize/[a-z_]*\|serve/[a-z_]*\)\.h$,\1,p' | paste -sd '|')
for file in $(git ls-files 'tools/*.c' 'tools/*.h' | grep -v '^tools/bench/'); do
	if grep -En '^#include "' "$file" | grep -Ev "\"(bench/measure|$own_headers)\.h\""; then
		complain "$file: tools include nothing but the public headers and their own"
	fi
done
if git grep -nE '\b(printf|puts|exit|abort)\(' -- 'runtime/*.c' | grep -vE 'v?s?n?printf\('; then
	complain "runtime/: the library never prints, exits or aborts"
fi
if git grep -nE '\b(strerror|strn?casecmp|strcasestr|tolower|toupper|strto[df]|atof|setlocale)\(' -- 'runtime/*.c' 'runtime/*.h' |
	grep -vE '^runtime/(base/locale\.|text/template/)'; then # templates are rendered in the C locale
	complain "runtime/: what depends on the locale is in base/locale.h without it"
fi

# shellcheck disable=SC2016 # a program of awk
long=$(git ls-files '*.c' '*.h' '*.comp' '*.glsl' | grep -vxE "$tables" | xargs awk '
	FNR == 1 { start = 0 }
	/^[A-Za-z_].*\)[ \t]*$/ { name = $0 }
	/^\{/ { start = FNR }
	/^\}/ { if (start && FNR - start > 80) print FILENAME ":" start ": " FNR - start " lines: " name; start = 0 }
	FNR == 601 { print FILENAME ": over 600 lines" }')
if [ -n "$long" ]; then
	echo "too long, to be split by what belongs together:" >&2
	[ "$strict" = 0 ] || status=1
	echo "$long" >&2
fi
exit $status
