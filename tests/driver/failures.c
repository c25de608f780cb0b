// SPDX-License-Identifier: MIT
/*
 * Each allocation (and each request to the drive) of each call fails in turn.  Needs a kernel with
 * fail-nth fault injection.  usage: failures FOLDER, as root
 */
#include <stdio.h>
#include <sys/stat.h>

#include "device.h"
#include "importer/importer.h"
#include "tap.h"

static int ctx, file, importer;
static struct stoker_arena_create arena;

static void write_to(const char *path, const char *value)
{
	const int fd = open(path, O_WRONLY);

	if (fd >= 0 && write(fd, value, strlen(value)) < 0)
		printf("# %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int fail_nth(void)
{
	return open("/proc/self/fail-nth", O_RDWR);
}

/*
 * Runs @call with its first, second, ... chance to fail taken, until there is none left.  Each
 * result has to be success or one of -ENOMEM and -EIO, and after all of them the call has to
 * succeed.
 */
static void inject(const char *name, int (*call)(void))
{
	const int control = fail_nth();
	unsigned n, failed = 0;
	int ret = 0, clean;
	char text[16];

	for (n = 1; n < 2000; n++) {
		const int length = snprintf(text, sizeof(text), "%u", n);

		if (pwrite(control, text, (size_t)length, 0) != length)
			break;
		ret = call();
		memset(text, 0, sizeof(text));
		if (pread(control, text, sizeof(text) - 1, 0) <= 0)
			break;
		if (pwrite(control, "0", 1, 0) != 1)
			break;
		failed += ret < 0;
		if (ret < 0 && ret != -ENOMEM && ret != -EIO && ret != -ENFILE) {
			ok(false, "%s: failure %u: %s", name, n, strerrorname_np(-ret));
			break;
		}
		if (atoi(text)) /* there was no nth chance */
			break;
	}
	close(control);
	clean = call();
	ok(!clean && ret >= 0 && n < 2000, "%s: %u chances to fail, %u failed, then it succeeds",
	   name, n - 1, failed);
}

static int call_open(void)
{
	const int fd = open_context();

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int create_of(uint64_t bytes, uint32_t order)
{
	struct stoker_arena_create c = arena_of(bytes, order);
	const int ret = create(ctx, &c);

	if (!ret) {
		destroy(ctx, c.handle);
		close(c.fd);
	}
	return ret;
}

static int call_create(void)
{
	return create_of(16 << 20, 9);
}

static int call_create_pages(void)
{
	return create_of(64 << 10, 0);
}

static int call_transfer(void)
{
	struct stoker_transfer t = { .arena = arena.handle,
				     .fd = (uint32_t)file,
				     .bytes = 1 << 20 };
	struct stoker_completion c;

	return transfer(ctx, t, &c);
}

static int call_write(void)
{
	struct stoker_transfer t = {
		.op = STOKER_OP_WRITE, .arena = arena.handle, .fd = (uint32_t)file, .bytes = 1 << 20
	};
	struct stoker_completion c;

	return transfer(ctx, t, &c);
}

static int call_advise(void)
{
	struct stoker_arena_create c = arena_of(4096, 0);
	int ret = create(ctx, &c);

	if (ret)
		return ret;
	ret = advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 1);
	destroy(ctx, c.handle);
	close(c.fd);
	return ret;
}

static int call_map(void)
{
	uint8_t *p = map((int)arena.fd, ARENA_BYTES);

	if (!p)
		return -errno;
	if (madvise(p, ARENA_BYTES, MADV_POPULATE_WRITE)) {
		const int ret = -errno;

		munmap(p, ARENA_BYTES);
		return ret == -EFAULT ? -ENOMEM : ret;
	}
	return result(munmap(p, ARENA_BYTES));
}

static int call_import(void)
{
	struct import arg = { .fd = arena.fd, .segment_max = 65536 };

	return result(ioctl(importer, IMPORTER_IMPORT, &arg));
}

int main(int argc, char **argv)
{
	char path[256];
	const int control = fail_nth();

	if (argc != 2)
		return 2;
	if (control < 0) {
		skip("failures", "this kernel doesn't inject any");
		return tap_end();
	}
	close(control);
	for (int i = 0; i < 2; i++) {
		static const char *const kinds[] = { "failslab", "fail_page_alloc" };

		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/ignore-gfp-wait", kinds[i]);
		write_to(path, "N");
	}
	write_to("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	write_to("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_to("/sys/block/nvme0n1/make-it-fail", "1");
	write_to("/sys/block/nvme0n1/nvme0n1p1/make-it-fail", "1");
	ctx = open_context();
	importer = open("/dev/stoker-importer", O_RDWR | O_CLOEXEC);
	arena = arena_of(ARENA_BYTES, 9);
	is(create(ctx, &arena), 0, "an arena");
	snprintf(path, sizeof(path), "%s/failures", argv[1]);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ok(!ftruncate(file, 2 << 20) && !call_write() && !fsync(file), "a file");
	inject("open", call_open);
	inject("ARENA_CREATE of 16 MiB", call_create);
	inject("ARENA_CREATE of single pages", call_create_pages);
	inject("a read", call_transfer);
	inject("a write", call_write);
	inject("ARENA_ADVISE", call_advise);
	inject("mapping", call_map);
	if (importer >= 0)
		inject("import", call_import);
	write_to("/sys/block/nvme0n1/make-it-fail", "0");
	write_to("/sys/block/nvme0n1/nvme0n1p1/make-it-fail", "0");
	ok(stats(ctx).arenas == 1 && !stats(ctx).under_way && !stats(ctx).unread,
	   "nothing is left of them");
	return tap_end();
}
