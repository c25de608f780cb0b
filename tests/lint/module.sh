#!/bin/sh
# SPDX-License-Identifier: MIT
# The module's sources under the kernel's own checkers, and the interface's layout.
# usage: module.sh KERNELS, the folder that tests/driver/kernels.sh makes
set -eu

kernels=$1
checkpatch() {
	perl "$kernels/checkpatch/checkpatch.pl" --strict --no-tree --no-summary --terse -q -f "$@"
}
checkpatch driver/*.c driver/internal.h uapi/linux/stoker.h
# the one file that asks for the version, and the form that all trace headers have
checkpatch --ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON driver/compat.h
checkpatch --ignore OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT driver/trace.h

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
driver/build.sh driver "$kernels/6.1/headers" "$work" C=2 CHECK=sparse >"$work/sparse" 2>&1
if grep -E '^[^ ].*(warning|error):' "$work/sparse"; then
	exit 1
fi

# No hole anywhere, so that layouts can't depend on the machine; usable from C++
echo '#include <linux/stoker.h>' >"$work/layout.c"
for width in -m64 -m32; do
	cc $width -Iuapi -Wpadded -Werror -fsyntax-only "$work/layout.c"
done
if command -v c++ >/dev/null; then
	c++ -x c++ -Iuapi -Wpadded -Werror -fsyntax-only "$work/layout.c"
fi
echo "module: checkpatch, sparse and the layout are clean"
