// SPDX-License-Identifier: MIT
/*
 * Calls whose fields are mostly plausible, some at their limits and some random, from two threads
 * that share contexts.  The kernel's detectors are the judges; besides, each errno is one that the
 * ABI lists.  usage: fuzz FOLDER [CALLS [SEED]], as root
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "device.h"
#include "tap.h"

enum { CONTEXTS = 3, FILES = 8, ARENAS = 24, THREADS = 2 };

static int contexts[CONTEXTS], files[FILES];
static _Atomic uint32_t handles[ARENAS];
static atomic_int arena_fds[ARENAS];
static atomic_uint calls, succeeded, wrong;
static unsigned wanted = 20000;
static __thread uint64_t state;

static uint64_t below(uint64_t limit)
{
	return random_next(&state) % limit;
}

/* Mostly @plausible; else something at a limit, or anything. */
static uint64_t field(uint64_t plausible)
{
	static const uint64_t limits[] = { 0,
					   1,
					   511,
					   512,
					   4095,
					   4096,
					   1 << 20,
					   1u << 30,
					   INT32_MAX,
					   UINT32_MAX,
					   1ull << 32,
					   INT64_MAX,
					   INT64_MAX - 511,
					   UINT64_MAX,
					   UINT64_MAX - 511 };

	switch (below(24)) {
	case 0:
		return limits[below(sizeof(limits) / sizeof(*limits))];
	case 1:
		return random_next(&state);
	case 2:
		return plausible ^ 1ull << below(64);
	}
	return plausible;
}

static int context(void)
{
	return contexts[below(CONTEXTS)];
}

static uint32_t some_handle(void)
{
	return (uint32_t)field(handles[below(ARENAS)]);
}

static uint32_t some_fd(void)
{
	return (uint32_t)field(below(4) ? (uint64_t)files[below(FILES)]
					: (uint64_t)arena_fds[below(ARENAS)]);
}

static void judge(const char *call, int ret, const int *allowed)
{
	calls++;
	if (ret >= 0) {
		succeeded++;
		return;
	}
	for (; *allowed; allowed++)
		if (ret == -*allowed)
			return;
	if (wrong++ < 20)
		printf("# %s: %s isn't listed\n", call, strerrorname_np(-ret));
}

#define ALLOWED(...)                          \
	(const int[])                         \
	{                                     \
		EFAULT, E2BIG, __VA_ARGS__, 0 \
	}

static void fuzz_create(void)
{
	struct stoker_arena_create c = {
		.bytes = field((1 + below(64)) * 4096),
		.node = (uint32_t)field(below(3) ? STOKER_NODE_ANY : below(2)),
		.order = (uint32_t)field(below(11)),
		.flags = (uint32_t)field(0),
	};
	const uint64_t which = below(ARENAS);
	int ret;

	if (c.bytes > 64 << 20 && c.bytes < 1ull << 40)
		c.bytes = 64 << 20; /* makes no sense to fill memory over and over */
	ret = create(context(), &c);
	judge("ARENA_CREATE", ret, ALLOWED(EINVAL, ENOMEM, ENOSPC, EMFILE));
	if (!ret) {
		const int old = atomic_exchange(&arena_fds[which], (int)c.fd);

		handles[which] = c.handle;
		if (old >= 0)
			close(old);
	}
}

static void fuzz_submit(void)
{
	struct stoker_transfer t[4];
	struct stoker_submit s = { .transfers = field((uintptr_t)t),
				   .count = (uint32_t)(1 + below(4)),
				   .stride = (uint32_t)field(sizeof(*t)),
				   .flags = (uint32_t)field(0) };

	for (int i = 0; i < 4; i++)
		t[i] = (struct stoker_transfer){ .op = (uint32_t)field(below(2)),
						 .priority = (uint32_t)field(below(2)),
						 .arena = some_handle(),
						 .fd = some_fd(),
						 .arena_offset = field(below(256) * 512),
						 .file_offset = field(below(4096) * 512),
						 .bytes = field((1 + below(128)) * 512),
						 .user_data = below(8),
						 .flags = (uint32_t)field(0),
						 .reserved = (uint32_t)field(0) };
	judge("SUBMIT", result(ioctl(context(), STOKER_IOC_SUBMIT, &s)),
	      ALLOWED(EINVAL, ENOENT, EBUSY, ENODATA, ERANGE, EOVERFLOW, EBADF, EOPNOTSUPP, EFBIG,
		      EAGAIN, ENOMEM));
}

static void fuzz_rest(void)
{
	struct stoker_arena_destroy d = { some_handle(), (uint32_t)field(0) };
	struct stoker_arena_advise a = { some_handle(), (uint32_t)field(below(2)),
					 field(below(2) ? 0 : 5) };
	struct stoker_cancel c = { .user_data = field(below(8)),
				   .flags = (uint32_t)field(below(2)) };
	struct stoker_stats s;
	struct stoker_query q;

	switch (below(6)) {
	case 0:
		judge("ARENA_DESTROY", result(ioctl(context(), STOKER_IOC_ARENA_DESTROY, &d)),
		      ALLOWED(EINVAL, ENOENT));
		break;
	case 1:
	case 2:
		judge("ARENA_ADVISE", result(ioctl(context(), STOKER_IOC_ARENA_ADVISE, &a)),
		      ALLOWED(EINVAL, ENOENT, EBUSY, ENODATA, EAGAIN, ENOMEM));
		break;
	case 3:
		judge("CANCEL", result(ioctl(context(), STOKER_IOC_CANCEL, &c)), ALLOWED(EINVAL));
		break;
	case 4:
		judge("STATS", result(ioctl(context(), STOKER_IOC_STATS, &s)), ALLOWED(EINVAL));
		break;
	case 5:
		judge("QUERY", result(ioctl(context(), STOKER_IOC_QUERY, &q)), ALLOWED(EINVAL));
		break;
	}
}

/* Any command number and size, on bytes of any kind. */
static void fuzz_raw(void)
{
	uint64_t bytes[64];
	const unsigned cmd = (unsigned)_IOC((unsigned)below(4), (uint8_t)field(STOKER_IOC_MAGIC),
					    (unsigned)below(9), (unsigned)below(sizeof(bytes)));

	for (int i = 0; i < 64; i++)
		bytes[i] = field(below(16));
	if (_IOC_NR(cmd) == _IOC_NR(STOKER_IOC_ARENA_CREATE))
		return; /* its descriptors would be lost */
	judge("a raw command", result(ioctl(context(), cmd, below(8) ? bytes : (void *)bytes[0])),
	      ALLOWED(ENOTTY, EINVAL, ENOENT, EBUSY, ENODATA, ERANGE, EOVERFLOW, EBADF, EOPNOTSUPP,
		      EFBIG, EAGAIN, ENOMEM));
}

static void fuzz_read(void)
{
	struct stoker_completion c[8];
	struct pollfd p = { context(), POLLIN | POLLOUT, 0 };
	const uint64_t size = field(below(sizeof(c) + 1));

	poll(&p, 1, 0);
	judge("read",
	      result((int)read(context(), below(16) ? c : (void *)8,
			       size < sizeof(c) ? size : sizeof(c))),
	      ALLOWED(EINVAL, EAGAIN, EINTR));
}

static void fuzz_memory(void)
{
	const int fd = arena_fds[below(ARENAS)];
	const uint64_t bytes = (1 + below(64)) * 4096, offset = below(64) * 4096;
	uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, below(8) ? MAP_SHARED : MAP_PRIVATE,
			  fd, (off_t)offset);

	calls++;
	if (p == MAP_FAILED)
		return;
	p[below(bytes)] = 1;
	if (below(2))
		madvise(p, bytes, (int)below(26));
	if (!below(8)) {
		const pid_t child = fork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	munmap(p, bytes);
}

static void *run(void *seed)
{
	state = (uintptr_t)seed;
	while (calls < wanted) {
		const uint64_t kind = below(100);

		if (kind < 12)
			fuzz_create();
		else if (kind < 50)
			fuzz_submit();
		else if (kind < 75)
			fuzz_rest();
		else if (kind < 85)
			fuzz_raw();
		else if (kind < 97)
			fuzz_read();
		else
			fuzz_memory();
		if (!below(2000)) { /* a new context in an old one's place */
			const int fd = open("/dev/stoker", O_RDWR | O_NONBLOCK | O_CLOEXEC);

			dup3(fd, contexts[below(CONTEXTS)], O_CLOEXEC);
			close(fd);
		}
		if (!below(1000)) {
			const int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

			if (write(fd, "2", 1) != 1)
				wrong++;
			close(fd);
		}
	}
	return NULL;
}

static int open_file(const char *folder, const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flags & O_RDWR && ftruncate(fd, 1 << 20))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	struct rlimit size = { 4 << 20, 4 << 20 };
	pthread_t thread[THREADS];
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	int pipes[2];

	if (argc < 2)
		return 2;
	if (argc > 2 && *argv[2])
		wanted = (unsigned)atoi(argv[2]);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &size);
	for (int i = 0; i < CONTEXTS; i++)
		contexts[i] = open("/dev/stoker", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	files[0] = open_file(argv[1], "fuzz", O_RDWR);
	files[1] = open_file(argv[1], "fuzz", O_RDONLY);
	files[2] = open_file(argv[1], "fuzz", O_WRONLY | O_APPEND);
	files[3] = open_file("/tmp", "fuzz", O_RDWR);
	files[4] = open(argv[1], O_RDONLY | O_DIRECTORY);
	files[5] = pipe(pipes) ? -1 : pipes[0];
	files[6] = contexts[0];
	files[7] = open_file(argv[1], "fuzz2", O_RDWR | O_DIRECT);
	for (int i = 0; i < ARENAS; i++)
		arena_fds[i] = -1;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, run, (void *)(uintptr_t)(seed + 77 * (unsigned)i));
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ok(!wrong, "%u calls, %u of them succeeded, each error is one that the ABI lists", calls,
	   succeeded);
	return tap_end();
}
