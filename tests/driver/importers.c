// SPDX-License-Identifier: MIT
/*
 * Arenas in other hands: mappings, an importing driver, vgem through PRIME; and that nobody gets to
 * see what was in the memory before.  usage: importers FOLDER, as root
 */
#include <stdio.h>
#include <sys/stat.h>
#include <linux/dma-buf.h>
#include <xf86drm.h>

#include "device.h"
#include "importer/importer.h"
#include "tap.h"

static int ctx, importer;

static uint64_t sum(const uint64_t *words, size_t bytes)
{
	uint64_t total = 0;

	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		total += words[i];
	return total;
}

static int import(int fd, uint32_t segment_max, uint64_t fill, struct import *out)
{
	*out = (struct import){ .fd = (uint32_t)fd, .segment_max = segment_max, .fill = fill };
	return result(ioctl(importer, IMPORTER_IMPORT, out));
}

static void test_contents(uint32_t order)
{
	struct stoker_arena_create c = arena_of(ARENA_BYTES + 3 * 4096, order);
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	struct import seen;
	uint64_t *words, expected, state = order + 1;

	printf("# order %u\n", order);
	is(create(ctx, &c), 0, "an arena");
	ok(c.order_got_max <= order && c.order_got_min <= c.order_got_max && c.runs,
	   "made of orders %u to %u, %u runs", c.order_got_min, c.order_got_max, c.runs);
	words = map(c.fd, c.bytes);
	is(result(ioctl(c.fd, DMA_BUF_IOCTL_SYNC, &sync)), 0, "DMA_BUF_IOCTL_SYNC");
	for (size_t i = 0; i < c.bytes / 8; i++)
		words[i] = random_next(&state);
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	is(result(ioctl(c.fd, DMA_BUF_IOCTL_SYNC, &sync)), 0, "and its end");
	expected = sum(words, c.bytes);
	if (importer < 0) {
		skip("an importer", "its module isn't loaded");
	} else {
		is(import(c.fd, 0, 0, &seen), 0, "an importer attaches, maps and looks");
		ok(seen.bytes == c.bytes && seen.entries == c.runs, "%u scatter entries",
		   seen.entries);
		ok(seen.sum_by_address == expected, "the contents by DMA address");
		ok(seen.sum_by_vmap == expected, "and through a kernel mapping");
		is(import(c.fd, UINT32_MAX, 0, &seen), 0, "one that takes 4 GiB, as GPUs do");
		ok(seen.bytes == c.bytes && seen.entries == c.runs, "%u entries", seen.entries);
		is(import(c.fd, 65536, 0x1234567812345678, &seen), 0, "one that takes 64 KiB");
		ok(seen.longest <= 65536 && seen.bytes == c.bytes &&
			   seen.sum_by_address == expected,
		   "%u entries of at most %u bytes", seen.entries, seen.longest);
		ok(words[0] == 0x1234567812345678 && words[c.bytes / 8 - 1] == words[0],
		   "what it writes shows in the mapping");
		is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 0), -EBUSY,
		   "once attached, never discardable");
	}
	munmap(words, c.bytes);
	destroy(ctx, c.handle);
	close(c.fd);
}

/* An importer keeps the memory, whatever becomes of the rest. */
static void test_held(void)
{
	const int other = open_context();
	int holder = open("/dev/stoker-importer", O_RDWR);
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);

	create(other, &c);
	is(result(ioctl(holder, IMPORTER_HOLD, c.fd)), 0, "an importer holds an arena");
	close(c.fd);
	close(other);
	close(holder);
	ok(true, "descriptor, context and importer close in this order");
}

/* Whatever was there before, arenas begin with zeros. */
static void test_zeros(void)
{
	int dirty = 0;

	for (unsigned i = 0; i < 40; i++) {
		struct stoker_arena_create c = arena_of(16 << 20, i % 11);
		uint64_t *words;

		if (create(ctx, &c))
			continue;
		words = map(c.fd, c.bytes);
		for (size_t w = 0; w < c.bytes / 8; w++)
			if (words[w])
				dirty++;
		memset(words, 0xa5, c.bytes);
		munmap(words, c.bytes);
		destroy(ctx, c.handle);
		close(c.fd);
	}
	ok(!dirty, "40 arenas made of each other's memory begin with zeros");
}

static int open_vgem(void)
{
	for (int i = 0; i < 8; i++) {
		char path[32];
		drmVersionPtr version;
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		version = fd < 0 ? NULL : drmGetVersion(fd);
		if (version && !strcmp(version->name, "vgem")) {
			drmFreeVersion(version);
			return fd;
		}
		if (version)
			drmFreeVersion(version);
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

static void test_vgem(void)
{
	const int vgem = open_vgem();
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	uint32_t handle, again;
	uint64_t *ours, *theirs;
	int back = -1;

	if (vgem < 0) {
		skip("vgem", "this kernel has none");
		return;
	}
	create(ctx, &c);
	ours = map(c.fd, c.bytes);
	ours[0] = 42;
	is(result(drmPrimeFDToHandle(vgem, c.fd, &handle)), 0, "vgem imports an arena (PRIME)");
	is(result(drmPrimeFDToHandle(vgem, c.fd, &again)), 0, "and again");
	ok(again == handle, "under one handle");
	is(result(drmPrimeHandleToFD(vgem, handle, DRM_CLOEXEC | DRM_RDWR, &back)), 0,
	   "vgem exports it");
	theirs = map(back, c.bytes);
	ok(theirs && theirs[0] == 42, "the same memory comes back");
	if (theirs)
		theirs[1] = 43;
	ok(ours[1] == 43, "in both directions");
	is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 0), -EBUSY, "it isn't discardable");
	drmCloseBufferHandle(vgem, handle);
	munmap(ours, c.bytes);
	munmap(theirs, c.bytes);
	close(back), close(c.fd), close(vgem);
	destroy(ctx, c.handle);
}

int main(void)
{
	ctx = open_context();
	importer = open("/dev/stoker-importer", O_RDWR | O_CLOEXEC);
	for (uint32_t order = 0; order <= 10; order += 5)
		test_contents(order);
	test_contents(9);
	if (importer >= 0)
		test_held();
	test_zeros();
	test_vgem();
	return tap_end();
}
