// SPDX-License-Identifier: MIT
/*
 * The ABI's rules, one test each: input that is valid but for one thing, and the exact errno.
 * usage: rules FOLDER BLOCK-DEVICE, as root; FOLDER is on a file system with direct I/O
 */
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "device.h"
#include "tap.h"

static void *volatile nowhere = (void *)8;
static const char *folder, *block_device;
static int ctx, file, arena_fd;
static uint32_t arena;

static struct stoker_transfer good(void)
{
	return (struct stoker_transfer){
		.arena = arena, .fd = file, .bytes = 4096, .user_data = 7
	};
}

static int open_in(const char *name, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static void set_up(void)
{
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	static char zeros[1 << 20];

	ctx = open_context();
	is(create(ctx, &c), 0, "an arena");
	arena = c.handle;
	arena_fd = c.fd;
	file = open_in("rules", O_RDWR | O_CREAT | O_TRUNC);
	ok(write(file, zeros, sizeof(zeros)) == sizeof(zeros) && !fsync(file), "a file");
}

/* --- commands --- */

static void test_commands(void)
{
	struct {
		struct stoker_query q;
		uint64_t more;
	} q = { .more = 1 };
	struct {
		struct stoker_arena_destroy d;
		uint64_t more;
	} d = { .d = { .handle = arena }, .more = 1 };

	is(result(ioctl(ctx, STOKER_IOC_QUERY, &q.q)), 0, "QUERY");
	ok(q.q.abi_version == STOKER_ABI_VERSION && q.q.align == 512 && q.q.transfers_max &&
		   q.q.arenas_max && q.q.demand_depth && q.q.prefetch_depth && !q.q.reserved,
	   "QUERY tells version and limits");
	is(result(ioctl(ctx, _IO(STOKER_IOC_MAGIC, 99), 0)), -ENOTTY, "unknown number");
	is(result(ioctl(ctx, _IO('x', 0), 0)), -ENOTTY, "another driver's command");
	is(result(ioctl(ctx, _IOW(STOKER_IOC_MAGIC, 0, struct stoker_query), &q)), -ENOTTY,
	   "another direction");
	is(result(ioctl(ctx, _IOC(_IOC_READ, STOKER_IOC_MAGIC, 0, 8), &q)), -EINVAL,
	   "a structure shorter than the first version");
	is(result(ioctl(ctx, _IOC(_IOC_READ, STOKER_IOC_MAGIC, 0, sizeof(q)), &q)), 0,
	   "a longer structure to fill");
	ok(q.more == 0, "what the kernel doesn't know is zero");
	is(result(ioctl(ctx, _IOC(_IOC_WRITE, STOKER_IOC_MAGIC, 2, sizeof(d)), &d)), -E2BIG,
	   "a longer structure that isn't zero there");
	is(result(ioctl(ctx, STOKER_IOC_QUERY, nowhere)), -EFAULT, "QUERY to a bad address");
	is(result(ioctl(ctx, STOKER_IOC_ARENA_DESTROY, nowhere)), -EFAULT,
	   "DESTROY from a bad address");
	is(result(ioctl(ctx, STOKER_IOC_STATS, nowhere)), -EFAULT, "STATS to a bad address");
}

/* --- arenas --- */

static int try_create(uint64_t bytes, uint32_t node, uint32_t order, uint32_t flags)
{
	struct stoker_arena_create c = {
		.bytes = bytes, .node = node, .order = order, .flags = flags
	};
	const int ret = create(ctx, &c);

	if (!ret) {
		destroy(ctx, c.handle);
		close(c.fd);
	}
	return ret;
}

static void test_create(void)
{
	struct stoker_query q;
	struct stoker_arena_create c = arena_of(4096, 0);
	struct stoker_arena_create *read_only;

	ioctl(ctx, STOKER_IOC_QUERY, &q);
	is(try_create(4096, 0, 0, 0), 0, "an arena of a page on node 0");
	is(try_create(4096, 1, 0, 0), 0, "on node 1");
	is(try_create(3 << 20, STOKER_NODE_ANY, q.order_max, 0), 0, "no power of two");
	is(try_create(0, STOKER_NODE_ANY, 0, 0), -EINVAL, "no bytes");
	is(try_create(4097, STOKER_NODE_ANY, 0, 0), -EINVAL, "no whole page");
	is(try_create(UINT64_MAX - 4095, STOKER_NODE_ANY, 0, 0), -EINVAL, "2^64 - 4096 bytes");
	is(try_create(q.arena_bytes_max + 4096, STOKER_NODE_ANY, 0, 0), -EINVAL,
	   "more than arena_bytes_max");
	is(try_create(4096, 7, 0, 0), -EINVAL, "a node without memory");
	is(try_create(4096, 1 << 30, 0, 0), -EINVAL, "a node that can't be");
	is(try_create(4096, STOKER_NODE_ANY, q.order_max + 1, 0), -EINVAL, "order too high");
	is(try_create(4096, STOKER_NODE_ANY, 0, 1), -EINVAL, "unknown flag");
	is(try_create(q.arena_bytes_max, STOKER_NODE_ANY, 9, 0), -ENOMEM, "all memory there is");

	read_only = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*read_only = c;
	mprotect(read_only, 4096, PROT_READ);
	is(create(ctx, read_only), -EFAULT, "result to read-only memory");
	munmap(read_only, 4096);
	ok(stats(ctx).arenas == 1 && stats(ctx).arena_bytes == ARENA_BYTES,
	   "failed ones left nothing");
}

static void test_limits(void)
{
	struct stoker_query q;
	struct rlimit files = { 16, 16 }, old;
	const int other = open_context();
	int ret = 0;
	unsigned made = 0;

	ioctl(ctx, STOKER_IOC_QUERY, &q);
	for (; made < q.arenas_max && !ret; made++) {
		struct stoker_arena_create c = arena_of(4096, 0);

		ret = create(other, &c);
		if (!ret)
			close(c.fd);
	}
	is(ret, 0, "arenas_max arenas, their descriptors closed");
	{
		struct stoker_arena_create c = arena_of(4096, 0);

		is(create(other, &c), -ENOSPC, "one more");
		is(destroy(other, 1), 0, "DESTROY");
		is(create(other, &c), 0, "another in its place");
		ok(c.handle != 1, "handles aren't used again at once");
	}
	close(other);

	getrlimit(RLIMIT_NOFILE, &old);
	setrlimit(RLIMIT_NOFILE, &files);
	{
		int fds[16], n = 0;

		while (n < 16 && (fds[n] = dup(0)) >= 0)
			n++;
		is(try_create(4096, STOKER_NODE_ANY, 0, 0), -EMFILE, "no descriptor free");
		while (n--)
			close(fds[n]);
	}
	setrlimit(RLIMIT_NOFILE, &old);
}

/* Runs @test as somebody without privileges; it has the context. */
static int unprivileged(int (*test)(void))
{
	const pid_t child = fork();
	int status;

	if (!child) {
		if (setgroups(0, NULL) || setgid(12345) || setuid(12345))
			_exit(255);
		_exit(-test());
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

static int open_device(void)
{
	const int fd = open_context();

	return fd < 0 ? fd : 0;
}

static int create_8m(void)
{
	struct stoker_arena_create c = arena_of(8 << 20, 9);

	return create(ctx, &c);
}

static int create_twice_8m(void)
{
	struct stoker_arena_create c = arena_of(8 << 20, 9);
	int ret = create(ctx, &c);

	if (!ret) {
		/* what is gone doesn't count any more */
		destroy(ctx, c.handle);
		close(c.fd);
		ret = create(ctx, &c);
	}
	return ret ? ret : create(ctx, &c);
}

static void test_privileges(void)
{
	struct rlimit memlock = { 12 << 20, 12 << 20 };
	struct stat st;

	ok(!stat("/dev/stoker", &st) && (st.st_mode & 07777) == 0660, "the device's mode is 0660");
	is(unprivileged(open_device), -EACCES, "an unprivileged user can't open it");
	setrlimit(RLIMIT_MEMLOCK, &memlock);
	is(unprivileged(create_8m), 0, "8 of 12 MiB of RLIMIT_MEMLOCK");
	is(unprivileged(create_twice_8m), -ENOMEM, "twice 8, without CAP_IPC_LOCK");
	is(create_twice_8m(), 0, "twice 8, with CAP_IPC_LOCK");
}

static void test_handles(void)
{
	const int other = open_context();
	struct stoker_arena_destroy reserved = { .handle = arena, .reserved = 1 };
	struct stoker_transfer t = good();

	is(destroy(ctx, 4711), -ENOENT, "DESTROY of no handle");
	is(destroy(ctx, 0), -ENOENT, "DESTROY of handle 0");
	is(destroy(other, arena), -ENOENT, "DESTROY of another context's handle");
	is(result(ioctl(ctx, STOKER_IOC_ARENA_DESTROY, &reserved)), -EINVAL, "DESTROY, reserved");
	is(submit(other, &t, 1), -ENOENT, "SUBMIT with another context's handle");
	close(other);
}

static void test_advice(void)
{
	struct stoker_arena_create c = arena_of(4096, 0);
	struct stoker_transfer t = good();
	void *mapped;

	create(ctx, &c);
	is(advise(ctx, c.handle, 2, 0), -EINVAL, "unknown advice");
	is(advise(ctx, c.handle, STOKER_ADVISE_KEEP, 1), -EINVAL, "KEEP with user_data");
	is(advise(ctx, 4711, STOKER_ADVISE_DISCARDABLE, 1), -ENOENT, "advice on no handle");
	is(advise(ctx, c.handle, STOKER_ADVISE_KEEP, 0), 0, "KEEP what is kept");
	mapped = map(c.fd, 4096);
	is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 1), -EBUSY, "mapped: not discardable");
	munmap(mapped, 4096);
	is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 1), 0, "discardable");
	is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 2), 0, "discardable again");
	t.arena = c.handle;
	is(submit(ctx, &t, 1), -EBUSY, "SUBMIT to a discardable arena");
	ok(!map(c.fd, 4096) && errno == EBUSY, "a discardable arena can't be mapped");
	is(advise(ctx, c.handle, STOKER_ADVISE_KEEP, 0), 0, "KEEP");
	mapped = map(c.fd, 4096);
	ok(mapped, "kept: it can");
	munmap(mapped, 4096);
	is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 3), 0, "discardable once more");
	is(destroy(ctx, c.handle), 0, "DESTROY of a discardable arena");
	close(c.fd);
}

static void test_mapping(void)
{
	ok(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, arena_fd, 0) == MAP_FAILED && errno == EINVAL,
	   "private mapping");
	ok(!map(arena_fd, ARENA_BYTES + 4096) && errno == EINVAL, "mapping beyond the end");
	ok(mmap(NULL, 4096, PROT_READ, MAP_SHARED, arena_fd, ARENA_BYTES) == MAP_FAILED,
	   "mapping behind the end");
	ok(fcntl(arena_fd, F_GETFD) == FD_CLOEXEC, "the descriptor closes on exec");
	ok(lseek(arena_fd, 0, SEEK_END) == ARENA_BYTES, "the dma-buf has the arena's size");
}

/* --- transfers --- */

static int try(struct stoker_transfer t)
{
	struct stoker_completion c;

	return transfer(ctx, t, &c);
}

#define BAD(field, value, error, name)        \
	do {                                  \
		struct stoker_transfer b = t; \
		b.field = value;              \
		is(try(b), error, name);      \
	} while (0)

static void test_transfer(void)
{
	struct stoker_transfer t = good();
	struct stoker_query q;

	ioctl(ctx, STOKER_IOC_QUERY, &q);
	is(try(t), 0, "a read");
	BAD(op, STOKER_OP_WRITE, 0, "a write");
	BAD(op, 2, -EINVAL, "unknown op");
	BAD(priority, STOKER_PRIORITY_PREFETCH, 0, "a prefetch");
	BAD(priority, 2, -EINVAL, "unknown priority");
	BAD(flags, 1, -EINVAL, "unknown flag of a transfer");
	BAD(reserved, 1, -EINVAL, "reserved field of a transfer");
	BAD(arena, 0, -ENOENT, "handle 0");
	BAD(arena, 4711, -ENOENT, "no such handle");
	BAD(bytes, 0, -EINVAL, "a transfer of nothing");
	BAD(bytes, q.transfer_bytes_max + 512, -EINVAL, "more than transfer_bytes_max");
	BAD(bytes, 4000, -EINVAL, "misaligned length");
	BAD(arena_offset, 100, -EINVAL, "misaligned arena offset");
	BAD(file_offset, 100, -EINVAL, "misaligned file offset");
	BAD(arena_offset, ARENA_BYTES, -ERANGE, "behind the arena");
	BAD(arena_offset, ARENA_BYTES - 512, -ERANGE, "across the arena's end");
	BAD(arena_offset, UINT64_MAX - 511, -ERANGE, "arena offset that overflows");
	BAD(file_offset, INT64_MAX - 4095, -EOVERFLOW, "file offset that overflows");
	BAD(file_offset, UINT64_MAX - 511, -EOVERFLOW, "file offset of 2^64");
}

static void test_files(void)
{
	struct stoker_transfer t = good(), w = t;
	struct rlimit size = { 1 << 20, RLIM_INFINITY };
	const int reader = open_in("rules", O_RDONLY), writer = open_in("rules", O_WRONLY);
	const int appender = open_in("rules", O_WRONLY | O_APPEND);
	const int path = open_in("rules", O_PATH), dir = open(folder, O_RDONLY);
	const int null = open("/dev/null", O_RDWR), raw = open(block_device, O_RDONLY);
	const int proc = open("/proc/sys/kernel/hostname", O_RDWR);
	const int sys = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY);
	const int closed = dup(reader);
	int pipes[2], sockets[2];

	w.op = STOKER_OP_WRITE;
	ok(!pipe(pipes) && !socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), "pipe and socket");
	close(closed);
	t.fd = reader;
	is(try(t), 0, "reading what is open for reading");
	t.fd = writer;
	is(try(t), -EBADF, "reading what is open for writing");
	t.fd = raw;
	is(try(t), 0, "reading a block device");
	w.fd = raw;
	is(try(w), -EBADF, "writing to a block device open for reading");
	w.fd = writer;
	is(try(w), 0, "writing to what is open for writing");
	w.fd = reader;
	is(try(w), -EBADF, "writing to what is open for reading");
	w.fd = appender;
	is(try(w), -EINVAL, "writing to what is open for appending");
	t.fd = closed;
	is(try(t), -EBADF, "a closed descriptor");
	t.fd = UINT32_MAX;
	is(try(t), -EBADF, "descriptor -1");
	t.fd = path;
	is(try(t), -EBADF, "a descriptor opened with O_PATH");
	t.fd = dir;
	is(try(t), -EOPNOTSUPP, "a directory");
	t.fd = null;
	is(try(t), -EOPNOTSUPP, "a character device");
	t.fd = pipes[0];
	is(try(t), -EOPNOTSUPP, "a pipe");
	t.fd = sockets[0];
	is(try(t), -EOPNOTSUPP, "a socket");
	t.fd = proc;
	is(try(t), -EOPNOTSUPP, "a file of /proc");
	t.fd = sys;
	is(try(t), -EOPNOTSUPP, "a file of /sys");
	t.fd = arena_fd;
	is(try(t), -EOPNOTSUPP, "a dma-buf");
	t.fd = ctx;
	is(try(t), -EOPNOTSUPP, "the device itself");

	setrlimit(RLIMIT_FSIZE, &size);
	w.fd = writer;
	w.file_offset = (1 << 20) - 4096;
	is(try(w), 0, "writing up to RLIMIT_FSIZE");
	w.file_offset = (1 << 20) - 512;
	is(try(w), -EFBIG, "writing beyond RLIMIT_FSIZE");
	size.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &size);
	close(proc), close(sys), close(reader), close(writer), close(appender), close(path),
		close(dir), close(null);
	close(raw), close(pipes[0]), close(pipes[1]), close(sockets[0]), close(sockets[1]);
}

static int try_submit(struct stoker_submit s)
{
	return result(ioctl(ctx, STOKER_IOC_SUBMIT, &s));
}

static void test_submit(void)
{
	struct {
		struct stoker_transfer t;
		uint64_t more;
	} longer[2] = { { good(), 0 }, { good(), 1 } };
	struct stoker_transfer two[2] = { good(), good() };
	struct stoker_submit s = { .transfers = (uintptr_t)two,
				   .count = 2,
				   .stride = sizeof(*two) };
	struct stoker_submit b;
	struct stoker_completion c[2];

	b = s, b.count = 0;
	is(try_submit(b), -EINVAL, "no transfers");
	b = s, b.stride = sizeof(*two) - 8;
	is(try_submit(b), -EINVAL, "stride below the first version");
	b = s, b.stride = sizeof(*two) + 4;
	is(try_submit(b), -EINVAL, "stride that is no multiple of 8");
	b = s, b.stride = 1 << 20;
	is(try_submit(b), -E2BIG, "stride of a megabyte");
	b = s, b.flags = 1;
	is(try_submit(b), -EINVAL, "unknown flag of SUBMIT");
	b = s, b.transfers = 8;
	is(try_submit(b), -EFAULT, "transfers at a bad address");
	b = s, b.transfers = (uintptr_t)longer, b.stride = sizeof(longer[0]);
	is(submit(ctx, two, 2), 2, "two transfers");
	ok(reap(ctx, c, 1) == 1 && reap(ctx, c, 1) == 1, "two completions");
	is(result(ioctl(ctx, STOKER_IOC_SUBMIT, &b)), 0, "a longer transfer");
	is((int)b.accepted, 1, "accepted up to the one that isn't zero there");
	is(reap(ctx, c, 2), 1, "its completion");
	b = s, b.transfers = (uintptr_t)&longer[1], b.count = 1, b.stride = sizeof(longer[0]);
	is(try_submit(b), -E2BIG, "a longer transfer that isn't zero there");
	two[1].arena = 4711;
	is(submit(ctx, two, 2), 1, "a good and a bad transfer: one accepted");
	is(reap(ctx, c, 2), 1, "and completed");
	is(submit(ctx, two + 1, 1), -ENOENT, "submitting the rest tells why");
}

static void test_room(void)
{
	struct stoker_query q;
	struct stoker_completion *c;
	struct pollfd p = { .fd = ctx, .events = POLLIN | POLLOUT };
	struct stoker_transfer t = good();
	unsigned accepted = 0, reaped = 0;
	int ret;

	ioctl(ctx, STOKER_IOC_QUERY, &q);
	c = calloc(q.transfers_max, sizeof(*c));
	t.bytes = 512;
	is(poll(&p, 1, 0), 1, "poll");
	ok(p.revents == POLLOUT, "room, and nothing to read");
	is(reap(ctx, c, 1), 0, "read with nothing under way");
	while ((ret = submit(ctx, &t, 1)) == 1)
		accepted++;
	is(ret, -EAGAIN, "SUBMIT without room");
	ok(accepted == q.transfers_max, "transfers_max accepted: %u", accepted);
	while (reaped < accepted && (ret = reap(ctx, c, q.transfers_max)) > 0) {
		reaped += ret;
		for (int i = 0; i < ret; i++)
			if (c[i].user_data != 7 || c[i].error || c[i].bytes != 512)
				ok(false, "completion %d", i);
	}
	ok(reaped == accepted, "each has one completion");
	is(submit(ctx, &t, 1), 1, "room again");
	is(result((int)read(ctx, c, sizeof(*c) - 1)), -EINVAL, "read with room for less than one");
	is(poll(&p, 1, 10000), 1, "poll until it has ended");
	while (!(p.revents & POLLIN))
		poll(&p, 1, 100);
	is(result((int)read(ctx, nowhere, sizeof(*c))), -EFAULT, "read to a bad address");
	is(reap(ctx, c, 1), 1, "the completion is still there");
	fcntl(ctx, F_SETFL, O_NONBLOCK);
	is(submit(ctx, &t, 1), 1, "another");
	do
		ret = reap(ctx, c, 1);
	while (ret == -EAGAIN);
	is(ret, 1, "read with O_NONBLOCK");
	fcntl(ctx, F_SETFL, 0);
	free(c);
}

static void test_cancel(void)
{
	struct stoker_cancel flag = { .flags = 2 };
	struct stoker_query q;
	struct stoker_completion c;
	struct stoker_transfer t = good();
	unsigned cancelled = 0, begun = 0, total;
	int n;

	is(result(ioctl(ctx, STOKER_IOC_CANCEL, &flag)), -EINVAL, "unknown flag of CANCEL");
	is(cancel(ctx, 1, STOKER_CANCEL_PREFETCH), -EINVAL, "CANCEL_PREFETCH with user_data");
	is(cancel(ctx, 7, 0), 0, "CANCEL of nothing");
	ioctl(ctx, STOKER_IOC_QUERY, &q);
	t.priority = STOKER_PRIORITY_PREFETCH;
	for (total = 0; total < 10 * q.prefetch_depth; total++)
		if (submit(ctx, &t, 1) != 1)
			break;
	n = cancel(ctx, 8, 0);
	ok(n == 0, "CANCEL of another user_data");
	n = cancel(ctx, 0, STOKER_CANCEL_PREFETCH);
	ok(n >= 0 && n <= (int)total, "CANCEL_PREFETCH takes %d of %u back", n, total);
	for (unsigned i = 0; i < total; i++) {
		if (reap(ctx, &c, 1) != 1)
			break;
		cancelled += c.error == ECANCELED;
		begun += !c.error;
	}
	ok((int)cancelled == n && begun == total - cancelled, "each completes, %u of them read",
	   begun);
	ok(stats(ctx).cancelled >= cancelled && !stats(ctx).waiting && !stats(ctx).under_way,
	   "STATS agree");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	folder = argv[1];
	block_device = argv[2];
	set_up();
	test_commands();
	test_create();
	test_limits();
	test_handles();
	test_advice();
	test_mapping();
	test_transfer();
	test_files();
	test_submit();
	test_room();
	test_cancel();
	test_privileges();
	return tap_end();
}
