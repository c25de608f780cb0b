#!/bin/bash
# SPDX-License-Identifier: MIT
# Compares what programs rely on (dump.sh) with what tests/abi/stoker-1.txt says they do.  What was
# promised stays; what is new is noted there (make abi) and in CHANGELOG.md.  binary.sh has abidiff say
# the same of the built library.
# usage: check.sh [--update] CC...; BREAK=1 notes what breaks programs, too, which takes another soname
set -eu
promised=tests/abi/stoker-1.txt
update=
[ "$1" != --update ] || { update=1 && shift; }
[ "$(getconf LONG_BIT)" = 64 ] || { echo "skipped: sizes are noted for 64 bits" && exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/abi/dump.sh "$@" >"$work/all"
# the library makes these itself, or programs say how large theirs are
grows=' batch_part message device_info profile_total generated gguf_key gguf_tensor '
sized=$(sed -n 's/^struct stoker_\([a-z0-9_]*\)\.size 0 8$/\1/p' "$work/all")

status=0
# a member in what was padding would be whatever is in an older program's memory
while read -r name bytes; do
	case " $sized batch_part message " in
	*" $name "* | *$'\n'"$name"$'\n'* | *$'\n'"$name "* | *" $name"$'\n'*)
		echo "struct stoker_$name: $bytes bytes behind its last member; fill them with a reserved one" >&2
		status=1
		;;
	esac
done < <(sed -n 's/^struct stoker_\([a-z0-9_]*\) behind \([1-9].*\)/\1 \2/p' "$work/all")
grep -v '^struct [a-z0-9_]* behind' "$work/all" >"$work/new"

# sizes that may grow apart, everything else line by line
size_of() {
	sed -n "s/^struct stoker_$2 size //p" "$1"
}
filter=()
for name in $sized $grows; do
	filter+=(-e "struct stoker_$name size [0-9]*")
	old=$(size_of "$promised" "$name") new=$(size_of "$work/new" "$name")
	if [ -n "$old" ] && [ "${new:-0}" -lt "$old" ]; then
		echo "struct stoker_$name: ${new:-0} bytes, $old were promised" >&2
		status=1
	fi
done
sort "$promised" >"$work/promised.sorted"
sort "$work/new" >"$work/new.sorted"
if comm -23 "$work/promised.sorted" "$work/new.sorted" | grep -vx "${filter[@]}" >"$work/gone"; then
	echo "programs that were built before rely on what isn't so any more:" >&2
	cat "$work/gone" >&2
	status=1
fi
[ $status = 0 ] || [ -n "${BREAK:-}" ] || exit 1
if [ -n "$update" ]; then
	cp "$work/new" "$promised"
elif ! cmp -s "$promised" "$work/new"; then
	diff "$promised" "$work/new" >&2 || true
	echo "new in the API: \"make abi\" notes it in $promised; CHANGELOG.md has to say it" >&2
	exit 1
fi
