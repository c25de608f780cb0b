#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes a C file with the given SPIR-V files as arrays, named as they are without .spv.
# usage: embed.sh ARRAY FILE.spv... > shaders.c
set -eu
array=$1
shift

echo '// SPDX-License-Identifier: MIT'
echo '/* Made by shaders/embed.sh. */'
echo '#include "device/vulkan/pipelines.h"'
number=0
for file in "$@"; do
	echo "static const uint32_t words_${number}[] = {"
	od -An -v -tx4 -w32 "$file" | sed 's/ \([0-9a-f]\{8\}\)/0x\1,/g'
	echo "};"
	number=$((number + 1))
done
echo "const struct stoker_shader ${array}[] = {"
number=0
for file in "$@"; do
	echo "	{ \"$(basename "$file" .spv)\", words_$number, sizeof(words_$number) },"
	number=$((number + 1))
done
echo '};'
echo "const size_t ${array%s}_count = $number;"
