/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * linux/stoker.h - pinned arenas and direct transfers between files and arenas
 *
 * Opening /dev/stoker gives a context.  A context creates arenas, which are zeroed memory that
 * stays where it is, known inside the context by a handle and outside of it by a dma-buf
 * descriptor; it moves data between files and arenas, and reports what came of each transfer
 * through read(2).
 *
 * Rules of this interface:
 *
 *  - Every structure has a fixed size and a layout that is the same for 32- and 64-bit programs.
 *    Fields are __u32 and __u64; pointers travel as __u64.
 *  - Fields marked [in] are read, those marked [out] are written, whatever was in them before.
 *    Padding and reserved fields must be zero, else -EINVAL; so must undefined flags.
 *  - Structures grow at their end.  The size of a command's structure is part of its number; a
 * shorter one, but not below the first version's (-EINVAL), means zeros in what is missing, a
 * longer one is accepted when what this kernel doesn't know is zero, else -E2BIG.  A zero means
 * what the kernel did before the field existed.
 *  - Unknown commands return -ENOTTY.  A command that fails has done nothing, and has written
 * nothing.
 *  - Handles belong to a context.  Contexts may be shared by fork(2) or passed on; every call may
 * be made from any thread.  When the last descriptor of a context is closed, waiting transfers are
 *    dropped and those under way go on to their end; dma-buf descriptors stay valid.
 *  - Files come as descriptors.  How they were opened decides what may be done to them.
 *
 * Errors of each command are listed with it; all of them also return -EFAULT.
 */
#ifndef _UAPI_LINUX_STOKER_H
#define _UAPI_LINUX_STOKER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#if defined(__cplusplus)
extern "C" {
#endif

#define STOKER_ABI_VERSION 1

/* Bits of stoker_query.features */
#define STOKER_FEATURE_DISCARD 0x1ULL /* STOKER_IOC_ARENA_ADVISE */

/**
 * struct stoker_query - what this driver is and how much it takes
 * @abi_version: [out] STOKER_ABI_VERSION; it grows when a command is added
 * @align: [out] what offsets and lengths of transfers must be multiples of, in bytes; a file on a
 *	drive with larger logical blocks asks for these
 * @features: [out] STOKER_FEATURE_*
 * @arena_bytes_max: [out] largest arena
 * @transfer_bytes_max: [out] longest transfer
 * @arenas_max: [out] arenas of a context
 * @transfers_max: [out] transfers of a context whose completion hasn't been read
 * @demand_depth: [out] demand transfers that are under way at a time
 * @prefetch_depth: [out] likewise for prefetch
 * @order_max: [out] largest folio order, pages of 2^order
 * @reserved: [out] zero
 */
struct stoker_query {
	__u32 abi_version;
	__u32 align;
	__u64 features;
	__u64 arena_bytes_max;
	__u64 transfer_bytes_max;
	__u32 arenas_max;
	__u32 transfers_max;
	__u32 demand_depth;
	__u32 prefetch_depth;
	__u32 order_max;
	__u32 reserved;
};

#define STOKER_NODE_ANY 0xffffffffU

/**
 * struct stoker_arena_create - memory of a context
 * @bytes: [in] a multiple of the page size
 * @node: [in] NUMA node that all of it has to come from, or STOKER_NODE_ANY
 * @order: [in] folio order to try first, at most stoker_query.order_max; lower ones follow
 * @flags: [in] zero
 * @handle: [out] names the arena in this context, never 0
 * @fd: [out] dma-buf, close-on-exec: mmap(2) it MAP_SHARED, import it, pass it on
 * @order_got_max: [out] largest folio order it is made of
 * @order_got_min: [out] smallest
 * @runs: [out] stretches of adjacent memory, which is how many entries its scatter table has
 *
 * The memory is zero.  It counts against RLIMIT_MEMLOCK of the process that creates it and its
 * user, unless that has CAP_IPC_LOCK, and against its memory cgroup, and lives until the handle,
 * the last descriptor, mapping and importer of the dma-buf and the last transfer have ended.
 *
 * -EINVAL: size, node, order, flags.  -ENOMEM: RLIMIT_MEMLOCK, the cgroup's limit, or no memory.
 * -ENOSPC: arenas_max.  -EMFILE: no descriptor free.  -EINTR: a fatal signal came.
 */
struct stoker_arena_create {
	__u64 bytes;
	__u32 node;
	__u32 order;
	__u32 flags;
	__u32 handle;
	__u32 fd;
	__u32 order_got_max;
	__u32 order_got_min;
	__u32 runs;
};

/**
 * struct stoker_arena_destroy - drops a handle
 * @handle: [in] the arena
 * @reserved: [in] zero
 *
 * Transfers that were accepted go on.  -ENOENT: no such handle.  -EINVAL: reserved.
 */
struct stoker_arena_destroy {
	__u32 handle;
	__u32 reserved;
};

#define STOKER_ADVISE_KEEP 0U
#define STOKER_ADVISE_DISCARDABLE 1U

/**
 * struct stoker_arena_advise - whether an arena's contents may be given up
 * @handle: [in] the arena
 * @advice: [in] STOKER_ADVISE_*
 * @user_data: [in] comes back in the completion that tells of the loss; zero with KEEP
 *
 * When memory is short the kernel may take back the pages of a discardable arena.  A completion
 * with STOKER_COMPLETION_DISCARDED tells so, once; from then on the handle can only be destroyed,
 * and RLIMIT_MEMLOCK is charged until it is.  A discardable arena can't be used until KEEP.
 *
 * -EINVAL: advice, user_data.  -ENOENT: no such handle.  -EBUSY: it is mapped, has transfers
 * waiting or under way, or has ever been attached to a device.  -ENODATA: its contents are gone.
 * -EAGAIN: transfers_max, which such a completion counts for.  -ENOMEM.
 */
struct stoker_arena_advise {
	__u32 handle;
	__u32 advice;
	__u64 user_data;
};

#define STOKER_OP_READ 0U  /* file to arena */
#define STOKER_OP_WRITE 1U /* arena to file */

#define STOKER_PRIORITY_DEMAND 0U
#define STOKER_PRIORITY_PREFETCH 1U /* starts only while no demand is waiting or under way */

/**
 * struct stoker_transfer - moves data between a file and an arena
 * @op: [in] STOKER_OP_*
 * @priority: [in] STOKER_PRIORITY_*
 * @arena: [in] handle
 * @fd: [in] a regular file or a block device, opened for reading or writing as @op needs
 * @arena_offset: [in] in bytes; this, @file_offset and @bytes are aligned as stoker_query.align
 * says
 * @file_offset: [in] in bytes
 * @bytes: [in] at least one block, at most stoker_query.transfer_bytes_max
 * @user_data: [in] comes back in the completion
 * @flags: [in] zero
 * @reserved: [in] zero
 *
 * Data goes past the page cache where the file allows that, whether or not the descriptor was
 * opened with O_DIRECT, and through it elsewhere, which the completion reports.
 *
 * -EINVAL: op, priority, flags, reserved, length, alignment, or O_APPEND on a file to write to.
 * -ENOENT: no such arena.  -EBUSY: it is discardable.  -ENODATA: its contents are gone.
 * -ERANGE: not within the arena.  -EOVERFLOW: file_offset + bytes passes 2^63 - 1.
 * -EBADF: no such descriptor, or not opened for this.  -EOPNOTSUPP: another kind of file, those of
 * /proc and /sys included.
 * -EFBIG: a write beyond RLIMIT_FSIZE.  -EAGAIN: transfers_max.  -ENOMEM.
 */
struct stoker_transfer {
	__u32 op;
	__u32 priority;
	__u32 arena;
	__u32 fd;
	__u64 arena_offset;
	__u64 file_offset;
	__u64 bytes;
	__u64 user_data;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct stoker_submit - hands over transfers
 * @transfers: [in] address of the first struct stoker_transfer
 * @count: [in] how many, at least one
 * @stride: [in] bytes from one to the next, which is the size the caller knows; a multiple of 8
 * @accepted: [out] how many were taken on; always the first ones
 * @flags: [in] zero
 *
 * Transfers are taken on in order up to the first that is at fault.  If that is the very first one,
 * its error is returned; otherwise the call succeeds with fewer accepted than given, and submitting
 * the rest tells the error.  It doesn't wait for room: -EAGAIN and poll(2) for POLLOUT do that.
 *
 * -EINVAL: count, stride, flags.  -E2BIG: a longer transfer than this kernel knows isn't zero
 * there.
 */
struct stoker_submit {
	__u64 transfers;
	__u32 count;
	__u32 stride;
	__u32 accepted;
	__u32 flags;
};

#define STOKER_CANCEL_PREFETCH 0x1U /* every prefetch, instead of those with @user_data */

/**
 * struct stoker_cancel - takes transfers back that haven't begun
 * @user_data: [in] which ones; zero with STOKER_CANCEL_PREFETCH
 * @flags: [in] STOKER_CANCEL_*
 * @cancelled: [out] how many; each of them completes with ECANCELED
 *
 * -EINVAL: flags, user_data.
 */
struct stoker_cancel {
	__u64 user_data;
	__u32 flags;
	__u32 cancelled;
};

#define STOKER_LATENCY_BUCKETS 40

/**
 * struct stoker_stats - what a context has done so far
 * @read_bytes: [out] moved from files to arenas
 * @written_bytes: [out] moved from arenas to files
 * @completed: [out] transfers that ended well
 * @failed: [out] transfers that ended with an error
 * @cancelled: [out] transfers that never began
 * @buffered: [out] transfers that went through the page cache
 * @discarded: [out] arenas whose contents were taken back
 * @arena_bytes: [out] in arenas with a handle
 * @waiting: [out] transfers that haven't begun
 * @under_way: [out] transfers that have begun
 * @unread: [out] completions that read(2) hasn't fetched
 * @arenas: [out] handles
 * @latency: [out] transfers by time from submission to end: [i] took 2^i up to 2^(i+1) nanoseconds
 */
struct stoker_stats {
	__u64 read_bytes;
	__u64 written_bytes;
	__u64 completed;
	__u64 failed;
	__u64 cancelled;
	__u64 buffered;
	__u64 discarded;
	__u64 arena_bytes;
	__u32 waiting;
	__u32 under_way;
	__u32 unread;
	__u32 arenas;
	__u64 latency[STOKER_LATENCY_BUCKETS];
};

#define STOKER_COMPLETION_BUFFERED 0x1U	 /* went through the page cache */
#define STOKER_COMPLETION_DISCARDED 0x2U /* no transfer: an arena's contents are gone */

/**
 * struct stoker_completion - what read(2) returns an array of
 * @user_data: the transfer's, or stoker_arena_advise's
 * @bytes: moved; fewer than asked for at the end of a file, or where a write met an error after
 * some
 * @latency_ns: from submission to end
 * @error: 0 or a positive errno; then @bytes is zero and the contents of the stretch are undefined
 * @flags: STOKER_COMPLETION_*
 *
 * read(2) returns what there is, as many as fit; it waits for the first one, unless O_NONBLOCK is
 * set
 * (-EAGAIN).  With no transfer waiting or under way and nothing to report it returns 0.
 * -EINVAL: room for less than one.  -EINTR: a signal came first.
 *
 * poll(2): POLLIN when read() has something to return, POLLOUT when a transfer would be accepted.
 */
struct stoker_completion {
	__u64 user_data;
	__u64 bytes;
	__u64 latency_ns;
	__u32 error;
	__u32 flags;
};

#define STOKER_IOC_MAGIC 0xB9

#define STOKER_IOC_QUERY _IOR(STOKER_IOC_MAGIC, 0, struct stoker_query)
#define STOKER_IOC_ARENA_CREATE _IOWR(STOKER_IOC_MAGIC, 1, struct stoker_arena_create)
#define STOKER_IOC_ARENA_DESTROY _IOW(STOKER_IOC_MAGIC, 2, struct stoker_arena_destroy)
#define STOKER_IOC_ARENA_ADVISE _IOW(STOKER_IOC_MAGIC, 3, struct stoker_arena_advise)
#define STOKER_IOC_SUBMIT _IOWR(STOKER_IOC_MAGIC, 4, struct stoker_submit)
#define STOKER_IOC_CANCEL _IOWR(STOKER_IOC_MAGIC, 5, struct stoker_cancel)
#define STOKER_IOC_STATS _IOR(STOKER_IOC_MAGIC, 6, struct stoker_stats)

#if defined(__cplusplus)
}
#endif

#endif /* _UAPI_LINUX_STOKER_H */
