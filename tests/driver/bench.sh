#!/bin/sh
# SPDX-License-Identifier: MIT
# In the virtual machine: the module beside io_uring.  usage: bench.sh BLOCK-DEVICE
set -u
for round in 1 2 3; do
	stoker bench store -m "$1" --arena 512M | sed "s/^/bench $round: /"
done
