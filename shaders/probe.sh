#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints "yes" when a compiler knows a GLSL extension.  usage: probe.sh GLSLC EXTENSION
printf '#version 460\n#extension %s : require\nvoid main() {}\n' "$2" |
	"$1" --target-env=vulkan1.2 -fshader-stage=comp -o /dev/null - >/dev/null 2>&1 && echo yes
exit 0
