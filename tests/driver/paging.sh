#!/bin/sh
# SPDX-License-Identifier: MIT
# In the virtual machine: experts paged from the NVMe drive under a memory limit, by io_uring and by the
# module: the same text.  usage: paging.sh FOLDER, which holds a model
set -u
status=0
ok() { # RESULT NAME
	if [ "$1" = 0 ]; then
		echo "ok - $2"
	else
		echo "not ok - $2"
		status=1
	fi
}
model=
for file in "$1"/*.gguf; do
	model=$file
done
group=/sys/fs/cgroup/paging
mkdir -p $group
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
echo 80M >$group/memory.max
for store in uring kmod; do
	(
		echo 0 >$group/cgroup.procs
		exec stoker run -m "$model" -p "In the beginning" -n 32 --temp 0 --memory min --store $store \
			--stats >/tmp/$store.text 2>/tmp/$store.stats
	)
	ok $? "a run with --store $store in 80 MiB"
	sed 's/^/# /' /tmp/$store.stats
	grep -q "$store" /tmp/$store.stats
	ok $? "read by $store"
done
cmp /tmp/uring.text /tmp/kmod.text && [ -s /tmp/kmod.text ]
ok $? "the same text: $(head -c 60 /tmp/kmod.text | tr '\n' ' ')..."
stoker info >/tmp/info
grep -q 'kernel module: loaded' /tmp/info
ok $? "info sees the module"
grep arenas /tmp/info | sed 's/^/# /'
if [ -e /dev/dri/card0 ]; then
	grep -q 'accepts arenas' /tmp/info
	ok $? "info says that vgem accepts arenas"
fi
exit $status
