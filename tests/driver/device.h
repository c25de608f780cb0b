/* SPDX-License-Identifier: MIT */
/* The driver's calls as functions that return 0 (or a descriptor) or -errno. */
#ifndef DEVICE_H
#define DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/stoker.h>

#define ARENA_BYTES (4u << 20)

static inline int result(int ret)
{
	return ret < 0 ? -errno : ret;
}

static inline int open_context(void)
{
	return result(open("/dev/stoker", O_RDWR | O_CLOEXEC));
}

static inline struct stoker_arena_create arena_of(uint64_t bytes, uint32_t order)
{
	return (struct stoker_arena_create){ .bytes = bytes,
					     .node = STOKER_NODE_ANY,
					     .order = order };
}

static inline int create(int ctx, struct stoker_arena_create *arg)
{
	return result(ioctl(ctx, STOKER_IOC_ARENA_CREATE, arg));
}

static inline int destroy(int ctx, uint32_t handle)
{
	struct stoker_arena_destroy arg = { .handle = handle };

	return result(ioctl(ctx, STOKER_IOC_ARENA_DESTROY, &arg));
}

static inline int advise(int ctx, uint32_t handle, uint32_t advice, uint64_t user_data)
{
	struct stoker_arena_advise arg = { .handle = handle,
					   .advice = advice,
					   .user_data = user_data };

	return result(ioctl(ctx, STOKER_IOC_ARENA_ADVISE, &arg));
}

/* How many were accepted, or -errno. */
static inline int submit(int ctx, struct stoker_transfer *t, uint32_t count)
{
	struct stoker_submit arg = { .transfers = (uintptr_t)t,
				     .count = count,
				     .stride = sizeof(*t) };
	const int ret = result(ioctl(ctx, STOKER_IOC_SUBMIT, &arg));

	return ret ? ret : (int)arg.accepted;
}

static inline int cancel(int ctx, uint64_t user_data, uint32_t flags)
{
	struct stoker_cancel arg = { .user_data = user_data, .flags = flags };
	const int ret = result(ioctl(ctx, STOKER_IOC_CANCEL, &arg));

	return ret ? ret : (int)arg.cancelled;
}

static inline struct stoker_stats stats(int ctx)
{
	struct stoker_stats s;

	memset(&s, 0xff, sizeof(s));
	if (ioctl(ctx, STOKER_IOC_STATS, &s))
		abort();
	return s;
}

/* The number of completions, or -errno. */
static inline int reap(int ctx, struct stoker_completion *out, unsigned max)
{
	const ssize_t n = read(ctx, out, max * sizeof(*out));

	return n < 0 ? -errno : (int)(n / (ssize_t)sizeof(*out));
}

/* One transfer, to its end: 0 or its -errno. */
static inline int transfer(int ctx, struct stoker_transfer t, struct stoker_completion *c)
{
	int ret = submit(ctx, &t, 1);

	if (ret < 0)
		return ret;
	ret = reap(ctx, c, 1);
	if (ret != 1)
		return ret < 0 ? ret : -EPROTO;
	return -(int)c->error;
}

static inline void *map(int fd, uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
