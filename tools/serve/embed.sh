#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes a C file with the given files of the page, each with a tag that changes with what is in it.
# usage: embed.sh FILE... > page_files.c
set -eu
echo '// SPDX-License-Identifier: MIT'
echo '/* Made by tools/serve/embed.sh. */'
echo '#include "serve/page.h"'
number=0
for file in "$@"; do
	echo "static const unsigned char bytes_${number}[] = {"
	od -An -v -tx1 -w32 "$file" | sed 's/ \([0-9a-f]\{2\}\)/0x\1,/g'
	echo '};'
	number=$((number + 1))
done
echo 'const struct page_file page_files[] = {'
number=0
for file in "$@"; do
	tag=$(sha256sum <"$file" | cut -c1-32)
	echo "	{ \"$(basename "$file")\", \"\\\"$tag\\\"\", bytes_$number, sizeof(bytes_$number) },"
	number=$((number + 1))
done
echo '};'
echo "const size_t page_file_count = $number;"
