// SPDX-License-Identifier: MIT
/* Discardable arenas: taken back when memory is short, and how one learns of it.  usage: reclaim
 * FOLDER */
#include <stdio.h>

#include "device.h"
#include "tap.h"

static void shrink(void)
{
	const int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (write(fd, "2", 1) != 1)
		abort();
	close(fd);
}

/* Free memory, with what lies in the CPUs' own lists of free pages. */
static long free_kib(void)
{
	char line[128];
	long sum = 0, kib, pages;
	FILE *f = fopen("/proc/meminfo", "r");

	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &kib) == 1)
			sum += kib;
	fclose(f);
	f = fopen("/proc/zoneinfo", "r");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %ld", &pages) == 1)
			sum += 4 * pages;
	fclose(f);
	return sum;
}

static void test_discard(void)
{
	const int ctx = open_context();
	struct stoker_arena_create kept = arena_of(ARENA_BYTES, 9), lost = arena_of(64 << 20, 9);
	struct stoker_transfer t = { .bytes = 4096 };
	struct stoker_completion c;
	struct pollfd p = { .fd = ctx, .events = POLLIN };
	uint8_t *mapped;
	long before;

	is(create(ctx, &kept), 0, "an arena to keep");
	is(create(ctx, &lost), 0, "an arena to lose");
	mapped = map(lost.fd, lost.bytes);
	memset(mapped, 7, lost.bytes);
	munmap(mapped, lost.bytes);
	is(advise(ctx, kept.handle, STOKER_ADVISE_DISCARDABLE, 1), 0, "both discardable");
	is(advise(ctx, lost.handle, STOKER_ADVISE_DISCARDABLE, 0x1234), 0, "(the second)");
	is(advise(ctx, kept.handle, STOKER_ADVISE_KEEP, 0), 0, "one kept after all");
	is(poll(&p, 1, 0), 0, "nothing to read yet");
	before = free_kib();
	shrink();
	is(poll(&p, 1, 5000), 1, "a completion after the shrinker ran");
	is(reap(ctx, &c, 1), 1, "read");
	ok(c.flags == STOKER_COMPLETION_DISCARDED && c.user_data == 0x1234 && !c.error && !c.bytes,
	   "it names the arena that is gone");
	ok(free_kib() - before > 48 << 10, "its memory is free: %ld KiB more", free_kib() - before);
	is(advise(ctx, lost.handle, STOKER_ADVISE_KEEP, 0), -ENODATA, "too late to keep it");
	is(advise(ctx, lost.handle, STOKER_ADVISE_DISCARDABLE, 1), -ENODATA, "or to give it up");
	t.arena = lost.handle;
	t.fd = (uint32_t)open("/proc/self/exe", O_RDONLY);
	is(submit(ctx, &t, 1), -ENODATA, "no transfer into it");
	ok(!map(lost.fd, 4096) && errno == ENODATA, "no mapping");
	t.arena = kept.handle;
	is(transfer(ctx, t, &c), 0, "the kept one is as before");
	ok(stats(ctx).discarded == 1 && stats(ctx).arenas == 2, "STATS");
	is(destroy(ctx, lost.handle), 0, "DESTROY of what is gone");
	close(lost.fd);
	is(create(ctx, &lost), 0, "made again");
	mapped = map(lost.fd, lost.bytes);
	ok(mapped[0] == 0 && mapped[lost.bytes - 1] == 0, "of zeros");
	munmap(mapped, lost.bytes);
	shrink();
	is(reap(ctx, &c, 1), 0, "nothing more is taken");
	close((int)t.fd), close(kept.fd), close(lost.fd), close(ctx);
}

/* Real shortage: more arenas than memory, all but the newest discardable. */
static void test_pressure(void)
{
	const int ctx = open_context();
	struct stoker_query q;
	struct stoker_arena_create c;
	struct stoker_completion done[64];
	uint64_t made = 0;
	unsigned discarded = 0;
	int ret = 0, n;

	ioctl(ctx, STOKER_IOC_QUERY, &q);
	while (made < 2 * q.arena_bytes_max && !ret) {
		c = arena_of(32 << 20, 9);
		ret = create(ctx, &c);
		if (!ret) {
			ret = advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, c.handle);
			close(c.fd);
			made += c.bytes;
		}
		while ((n = reap(ctx, done, 64)) > 0)
			for (int i = 0; i < n; i++) {
				discarded++;
				destroy(ctx, (uint32_t)done[i].user_data);
			}
	}
	is(ret, 0, "twice the machine's memory in discardable arenas");
	ok(discarded > 0, "%u of %llu were taken back", discarded,
	   (unsigned long long)(made >> 25));
	close(ctx);
}

/* A context that goes while its arenas are on the list, and a note nobody reads. */
static void test_leaving(void)
{
	for (int i = 0; i < 20; i++) {
		const int ctx = open_context();
		struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);

		create(ctx, &c);
		advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 1);
		if (i % 2)
			shrink();
		if (i % 4 < 2)
			close(c.fd);
		close(ctx);
		shrink();
		if (i % 4 >= 2) {
			uint8_t *mapped = map(c.fd, 4096);

			if (!!mapped == i % 2)
				ok(false, "mapping after the context is gone: %s",
				   mapped ? "yes" : "no");
			if (mapped)
				munmap(mapped, 4096);
			close(c.fd);
		}
	}
	ok(true, "20 contexts closed with discardable arenas");
}

int main(void)
{
	test_discard();
	test_pressure();
	test_leaving();
	return tap_end();
}
