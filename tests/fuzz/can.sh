#!/bin/sh
# SPDX-License-Identifier: MIT
# Whether this compiler can build fuzzers; says why if not.  usage: can.sh CLANG
# shellcheck disable=SC2086 # it may come with arguments, or behind ccache
set -eu
if ! command -v "${1##* }" >/dev/null; then
	echo "skipped: fuzzers, as there is no ${1##* } (package clang)"
	exit 1
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/empty.c" <<'END'
#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	return !data && size;
}
END
if ! $1 -fsanitize=fuzzer,address,undefined "$folder/empty.c" -o "$folder/empty" 2>"$folder/log"; then
	echo "skipped: fuzzers, as $1 has no libFuzzer (package libclang-rt-dev, or libclang-rt-14-dev for its version):"
	head -3 "$folder/log"
	exit 1
fi
