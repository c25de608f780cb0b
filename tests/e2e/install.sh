#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs into a scratch folder, builds the example against that through pkg-config, runs it, and
# checks what the library exports.  usage: install.sh BUILD
set -eu
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make -s BUILD="$1" PREFIX="$root/usr" install >/dev/null
export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig
# shellcheck disable=SC2046 # lists of flags
"${CC:-cc}" -Wall -Wextra -Werror tools/examples/continue.c $(pkg-config --cflags --libs stoker-rt) -o "$root/continue"
# shellcheck disable=SC2046
c++ -x c++ -fsyntax-only -Wall $(pkg-config --cflags stoker-rt) - <<<'#include <stoker/stoker.h>' 2>"$root/cxx" ||
	{ command -v c++ >/dev/null && cat "$root/cxx" && exit 1; }
export LD_LIBRARY_PATH=$root/usr/lib
"$root/continue" tests/data/containers/plain.gguf x >/dev/null 2>&1 || true
if [ -e tools/demo-model/stoker-demo-Q4_K.gguf ]; then
	"$root/continue" tools/demo-model/stoker-demo-Q4_K.gguf "In the beginning" | grep -q "In the beginning .*"
fi
foreign=$(nm -D --defined-only "$root/usr/lib/libstoker-rt.so" | awk '{print $3}' | grep -v '^stoker_' | grep -v '^STOKER_' || true)
[ -z "$foreign" ] || { echo "foreign symbols: $foreign"; exit 1; }
for symbol in $(nm -D --defined-only "$root/usr/lib/libstoker-rt.so" | awk '$2 == "T" {print $3}' | sed 's/@.*//'); do
	grep -qE "(^|[ *])$symbol\(\) - " "$root"/usr/include/stoker/*.h || { echo "$symbol has no documentation"; exit 1; }
done
man -l "$root/usr/share/man/man1/stoker-run.1" >/dev/null 2>&1 || [ -s "$root/usr/share/man/man1/stoker-run.1" ]
make -s BUILD="$1" PREFIX="$root/usr" uninstall
left=$(find "$root/usr" -type f | head -3)
[ -z "$left" ] || { echo "uninstall left $left"; exit 1; }
echo "1 passed, 0 failed, 0 skipped"
