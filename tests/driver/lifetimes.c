// SPDX-License-Identifier: MIT
/*
 * What outlives what: descriptors, mappings, handles, transfers, contexts and processes.
 * usage: lifetimes FOLDER, as root
 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <linux/fs.h>

#include "device.h"
#include "tap.h"

static const char *folder;

static int data_file(const char *name, uint8_t fill, size_t bytes)
{
	char path[256];
	uint8_t *data = malloc(bytes);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	memset(data, fill, bytes);
	if (write(fd, data, bytes) != (ssize_t)bytes || fsync(fd))
		abort();
	free(data);
	return fd;
}

static unsigned long locked_kib(void)
{
	char line[256];
	unsigned long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmLck: %lu", &kib);
	fclose(f);
	return kib;
}

static bool all_are(const uint8_t *p, uint8_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void test_descriptor_outlives_context(void)
{
	const int ctx = open_context();
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	uint8_t *mapped;

	create(ctx, &c);
	mapped = map(c.fd, ARENA_BYTES);
	memset(mapped, 0x11, ARENA_BYTES);
	ok(locked_kib() == ARENA_BYTES >> 10, "an arena counts as locked memory");
	destroy(ctx, c.handle);
	close(ctx);
	ok(all_are(mapped, 0x11, ARENA_BYTES), "a mapping outlives handle and context");
	munmap(mapped, ARENA_BYTES);
	mapped = map(c.fd, ARENA_BYTES);
	ok(mapped && all_are(mapped, 0x11, ARENA_BYTES), "and so does the descriptor");
	close(c.fd);
	ok(all_are(mapped, 0x11, ARENA_BYTES), "a mapping outlives the descriptor");
	ok(locked_kib() == ARENA_BYTES >> 10, "it is charged until then");
	munmap(mapped, ARENA_BYTES);
	ok(locked_kib() == 0, "and no longer");
}

static void test_handle_outlives_descriptor(void)
{
	const int ctx = open_context(), file = data_file("lifetimes", 0x22, 65536);
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	struct stoker_completion done;
	struct stoker_transfer t = { .fd = (uint32_t)file, .bytes = 65536 };

	create(ctx, &c);
	close(c.fd);
	t.arena = c.handle;
	is(transfer(ctx, t, &done), 0, "a transfer into an arena without descriptors");
	is(destroy(ctx, c.handle), 0, "DESTROY");
	is(destroy(ctx, c.handle), -ENOENT, "DESTROY again");
	close(file);
	close(ctx);
	ok(locked_kib() == 0, "nothing stays charged");
}

static void test_transfer_outlives_handle(void)
{
	const int ctx = open_context(), file = data_file("lifetimes", 0x33, 1 << 20);
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	struct stoker_completion done[32];
	struct stoker_transfer t[32];
	uint8_t *mapped;
	int n = 0;

	create(ctx, &c);
	mapped = map(c.fd, ARENA_BYTES);
	for (unsigned i = 0; i < 32; i++)
		t[i] = (struct stoker_transfer){ .arena = c.handle,
						 .fd = (uint32_t)file,
						 .arena_offset = i * 32768,
						 .file_offset = i * 32768,
						 .bytes = 32768,
						 .priority = i & 1 };
	is(submit(ctx, t, 32), 32, "32 transfers");
	is(destroy(ctx, c.handle), 0, "DESTROY while they are under way");
	close(file);
	close(c.fd);
	while (n < 32) {
		const int got = reap(ctx, done + n, 32 - n);

		if (got <= 0)
			break;
		n += got;
	}
	ok(n == 32, "all complete");
	for (int i = 0; i < n; i++)
		if (done[i].error || done[i].bytes != 32768)
			ok(false, "transfer %d: error %u", i, done[i].error);
	ok(all_are(mapped, 0x33, 1 << 20), "and have moved their bytes");
	munmap(mapped, ARENA_BYTES);
	close(ctx);
	ok(locked_kib() == 0, "nothing stays charged");
}

static void test_fork(void)
{
	const int ctx = open_context(), file = data_file("lifetimes", 0x44, 65536);
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	struct stoker_transfer t = { .fd = (uint32_t)file, .bytes = 65536 };
	struct stoker_completion done;
	uint8_t *mapped;
	int status;
	pid_t child;

	create(ctx, &c);
	t.arena = c.handle;
	mapped = map(c.fd, ARENA_BYTES);
	child = fork();
	if (!child)
		_exit(transfer(ctx, t, &done) || !all_are(mapped, 0x44, 65536));
	waitpid(child, &status, 0);
	ok(status == 0, "a child uses context and mapping");
	ok(all_are(mapped, 0x44, 65536), "its parent sees the same memory");
	child = fork();
	if (!child) {
		submit(ctx, &t, 1);
		raise(SIGKILL);
	}
	waitpid(child, &status, 0);
	is(reap(ctx, &done, 1), 1, "the completion of a dead child's transfer");
	munmap(mapped, ARENA_BYTES);
	close(c.fd), close(ctx), close(file);
	ok(locked_kib() == 0, "nothing stays charged");
}

static void test_remapping(void)
{
	const int ctx = open_context();
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	uint8_t *mapped;
	void *moved;

	create(ctx, &c);
	mapped = map(c.fd, ARENA_BYTES);
	memset(mapped, 0x55, ARENA_BYTES);
	ok(!munmap(mapped + (1 << 20), 1 << 20), "a hole in a mapping");
	ok(all_are(mapped, 0x55, 1 << 20) && all_are(mapped + (2 << 20), 0x55, 2 << 20),
	   "both parts stay");
	ok(mremap(mapped, 1 << 20, 8 << 20, MREMAP_MAYMOVE) == MAP_FAILED, "it can't grow");
	moved = mremap(mapped, 1 << 20, 1 << 20, MREMAP_MAYMOVE | MREMAP_FIXED,
		       mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ok(moved != MAP_FAILED && all_are(moved, 0x55, 1 << 20), "it can move");
	munmap(moved, 1 << 20);
	is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 1), -EBUSY, "a part is still mapped");
	munmap(mapped + (2 << 20), 2 << 20);
	is(advise(ctx, c.handle, STOKER_ADVISE_DISCARDABLE, 1), 0, "none is");
	close(c.fd), close(ctx);
}

/* Direct I/O of the process itself into the mapping. */
static void test_direct_io_into_mapping(void)
{
	const int ctx = open_context(), file = data_file("lifetimes", 0x66, 1 << 20);
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	char path[64];
	uint8_t *mapped;
	int direct;

	create(ctx, &c);
	mapped = map(c.fd, ARENA_BYTES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	direct = open(path, O_RDONLY | O_DIRECT);
	ok(pread(direct, mapped, 1 << 20, 0) == 1 << 20 && all_are(mapped, 0x66, 1 << 20),
	   "pread with O_DIRECT into a mapping");
	munmap(mapped, ARENA_BYTES);
	close(direct), close(file), close(c.fd), close(ctx);
}

/* A write that was queued lets go of its file system: it can be frozen. */
static void test_freeze(void)
{
	const int ctx = open_context(), file = data_file("frozen", 1, 4 << 20);
	const int root = open(folder, O_RDONLY | O_DIRECTORY);
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	struct stoker_transfer t = { .op = STOKER_OP_WRITE, .fd = (uint32_t)file, .bytes = 65536 };
	struct stoker_completion done;

	create(ctx, &c);
	t.arena = c.handle;
	for (int i = 0; i < 50; i++)
		if (transfer(ctx, t, &done))
			ok(false, "write %d", i);
	alarm(60); /* a write that is held for good shows as this signal */
	is(result(ioctl(root, FIFREEZE, 0)), 0, "freezing the file system after 50 writes");
	is(result(ioctl(root, FITHAW, 0)), 0, "and thawing it");
	alarm(0);
	is(transfer(ctx, t, &done), 0, "then writing again");
	close(root), close(file), close(c.fd), close(ctx);
}

static void test_killed(void)
{
	for (int i = 0; i < 20; i++) {
		const pid_t child = fork();

		if (!child) {
			const int ctx = open_context(), file = data_file("killed", 1, 1 << 20);
			struct stoker_arena_create c = arena_of(ARENA_BYTES, i % 10);
			struct stoker_transfer t = { .fd = (uint32_t)file, .bytes = 1 << 20 };

			create(ctx, &c);
			t.arena = c.handle;
			for (;;)
				submit(ctx, &t, 1);
		}
		usleep(20000 + 3000 * i);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	ok(true, "20 processes killed with their queues full");
}

/* A fatal signal ends the making of an arena. */
static void test_killed_creating(void)
{
	const pid_t child = fork();
	int status;

	if (!child) {
		const int ctx = open_context();

		for (;;) {
			struct stoker_arena_create c = arena_of(256 << 20, 0);

			if (!create(ctx, &c)) {
				destroy(ctx, c.handle);
				close(c.fd);
			}
		}
	}
	usleep(300000);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	ok(WIFSIGNALED(status), "a process killed while it makes arenas");
}

static void test_many(void)
{
	const int ctx = open_context();
	int failed = 0;

	for (unsigned i = 0; i < 300; i++) {
		struct stoker_arena_create c = arena_of(32 << 20, i % 11);

		failed += create(ctx, &c) != 0;
		if (i % 2)
			destroy(ctx, c.handle);
		close(c.fd);
		if (!(i % 2))
			destroy(ctx, c.handle);
	}
	ok(!failed, "300 arenas of 32 MiB, one after the other, in 2 GiB");
	close(ctx);
	ok(locked_kib() == 0, "nothing stays charged");
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	folder = argv[1];
	test_descriptor_outlives_context();
	test_handle_outlives_descriptor();
	test_transfer_outlives_handle();
	test_fork();
	test_remapping();
	test_direct_io_into_mapping();
	test_freeze();
	test_killed();
	test_killed_creating();
	test_many();
	return tap_end();
}
