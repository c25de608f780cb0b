#!/bin/bash
# SPDX-License-Identifier: MIT
# What programs that link the library rely on, as text: each call's declaration, each struct's members
# with offsets and sizes, each constant's value, as the headers have them and the compiler lays them out.
# usage: dump.sh CC...
set -eu
headers=(runtime/include/stoker/*.h)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# without comments, preprocessor lines apart; one statement a line
# shellcheck disable=SC2016 # programs of perl and awk
statements() {
	cat "${headers[@]}" | perl -0pe 's{/\*.*?\*/}{}gs; s{^\s*#.*?[^\\]\n}{}gm; s/extern "C" \{//g; s/\s+/ /g; s/([;{}])/$1\n/g'
}
{
	echo '#include <stddef.h>'
	echo '#include <stdio.h>'
	echo '#include <stoker/stoker.h>'
	echo 'int main(void)'
	echo '{'
	# shellcheck disable=SC2016
	statements | awk '
		function member(of, name) {
			printf "printf(\"struct %s.%s %%zu %%zu\\n\", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));\n", of, name, of, name, of, name
			last = name
		}
		match($0, /^ *struct stoker_[a-z0-9_]+ \{$/) {
			of = $2
			printf "printf(\"struct %s size %%zu\\n\", sizeof(struct %s));\n", of, of
			next
		}
		match($0, /^ *enum( stoker_[a-z0-9_]+)? \{$/) { values = 1; next }
		values {
			sub(/\}.*/, "")
			n = split($0, part, ",")
			for (i = 1; i <= n; i++) {
				sub(/=.*/, "", part[i])
				gsub(/ /, "", part[i])
				if (part[i] != "")
					printf "printf(\"value %s %%lld\\n\", (long long)%s);\n", part[i], part[i]
			}
			values = 0
			next
		}
		of != "" && /\}/ {
			printf "printf(\"struct %s behind %%zu\\n\", sizeof(struct %s) - offsetof(struct %s, %s) - sizeof(((struct %s *)0)->%s));\n", of, of, of, last, of, last
			of = ""
			next
		}
		of != "" {
			sub(/;.*/, "")
			if (match($0, /\(\*[a-z_]+\)/)) {
				member(of, substr($0, RSTART + 2, RLENGTH - 3))
				next
			}
			gsub(/\[[^]]*\]/, "")
			n = split($0, part, ",")
			for (i = 1; i <= n; i++)
				if (match(part[i], /[a-z0-9_]+ *$/)) {
					name = substr(part[i], RSTART)
					gsub(/ /, "", name)
					member(of, name)
				}
		}'
	# constants that are numbers
	sed -n 's/^#define \(STOKER_[A-Z0-9_]*\) \([0-9(].*\|UINT.*_MAX.*\)$/printf("value \1 %lld\\n", (long long)\1);/p' "${headers[@]}"
	echo 'return 0;'
	echo '}'
} >"$work/dump.c"
"$@" -std=c11 -Iruntime/include "$work/dump.c" -o "$work/dump"
statements | sed -n 's/^ *STOKER_API //p' | sed 's/ *;$//; s/^/call /'
"$work/dump"
