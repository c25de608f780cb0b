// SPDX-License-Identifier: MIT
/* The kernel module's store, over a mock of the module's calls that keeps its rules. */
#include "unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/stoker.h>

#include <stoker/unstable/store.h>

#include "stoker/driver.h"
#include "store/kmod.h"

enum { ROOM = 24, MOST = 256, BLOCK = 8192, FILE_BLOCKS = 40 };

/* One context, as linux/stoker.h describes it; what it does can be made to go wrong. */
static struct {
	bool open;
	uint8_t *arena[4];
	uint64_t arena_bytes[4];
	struct stoker_transfer waiting[MOST]; /* begun when somebody reads */
	struct stoker_completion done[MOST];
	uint32_t waiting_count, done_count, room, align;
	uint64_t transfer_max;
	int open_error, query_error, create_error, submit_error, read_error;
	uint32_t fail_transfer; /* this one of those to come, counted from 1, ends with EIO */
	uint32_t submits, interrupted;
} mock;

static int mock_open(void)
{
	errno = mock.open_error;
	mock.open = !mock.open_error;
	return mock.open ? 1000 : -1;
}

static int mock_create(struct stoker_arena_create *c)
{
	uint32_t i = 0;

	if (mock.create_error) {
		errno = mock.create_error;
		return -1;
	}
	while (mock.arena_bytes[i])
		i++;
	CU_ASSERT_FATAL(i < ARRAY_SIZE(mock.arena));
	c->fd = (uint32_t)memfd_create("arena", MFD_CLOEXEC);
	CU_ASSERT_FATAL((int)c->fd >= 0 && !ftruncate((int)c->fd, (off_t)c->bytes));
	mock.arena[i] = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, (int)c->fd, 0);
	CU_ASSERT_FATAL(mock.arena[i] != MAP_FAILED);
	mock.arena_bytes[i] = c->bytes;
	c->handle = i + 1;
	c->runs = 1;
	return 0;
}

static int mock_submit(struct stoker_submit *s)
{
	const struct stoker_transfer *t = (const void *)(uintptr_t)s->transfers;

	mock.submits++;
	s->accepted = 0;
	CU_ASSERT(s->count && s->stride == sizeof(*t) && !s->flags);
	if (mock.submit_error) {
		errno = mock.submit_error;
		return -1;
	}
	for (uint32_t i = 0; i < s->count && mock.waiting_count + mock.done_count < mock.room;
	     i++) {
		CU_ASSERT(t[i].op == STOKER_OP_READ && t[i].bytes <= mock.transfer_max);
		CU_ASSERT((t[i].arena_offset | t[i].file_offset | t[i].bytes) % 512 == 0);
		CU_ASSERT_FATAL(t[i].arena && t[i].arena <= ARRAY_SIZE(mock.arena));
		CU_ASSERT(t[i].arena_offset + t[i].bytes <= mock.arena_bytes[t[i].arena - 1]);
		mock.waiting[mock.waiting_count++] = t[i];
		s->accepted++;
	}
	errno = EAGAIN;
	return s->accepted ? 0 : -1;
}

static int mock_cancel(struct stoker_cancel *c)
{
	uint32_t kept = 0;

	CU_ASSERT(c->flags == STOKER_CANCEL_PREFETCH && !c->user_data);
	for (uint32_t i = 0; i < mock.waiting_count; i++) {
		/* every third one has begun */
		if (mock.waiting[i].priority == STOKER_PRIORITY_PREFETCH && i % 3) {
			mock.done[mock.done_count++] =
				(struct stoker_completion){ .user_data = mock.waiting[i].user_data,
							    .error = ECANCELED };
			c->cancelled++;
		} else {
			mock.waiting[kept++] = mock.waiting[i];
		}
	}
	mock.waiting_count = kept;
	return 0;
}

static int mock_command(int fd, unsigned long cmd, void *arg)
{
	CU_ASSERT(fd == 1000 && mock.open);
	switch (cmd) {
	case STOKER_IOC_QUERY:
		*(struct stoker_query *)arg =
			(struct stoker_query){ .abi_version = 1,
					       .align = mock.align,
					       .transfer_bytes_max = mock.transfer_max };
		errno = mock.query_error;
		return mock.query_error ? -1 : 0;
	case STOKER_IOC_ARENA_CREATE:
		return mock_create(arg);
	case STOKER_IOC_ARENA_DESTROY:
		return 0;
	case STOKER_IOC_SUBMIT:
		return mock_submit(arg);
	case STOKER_IOC_CANCEL:
		return mock_cancel(arg);
	}
	errno = ENOTTY;
	return -1;
}

/* Does the transfer that comes next, any of those that wait. */
static void mock_transfer(void)
{
	const uint32_t which = random_u32() % mock.waiting_count;
	const struct stoker_transfer t = mock.waiting[which];
	ssize_t n = pread((int)t.fd, mock.arena[t.arena - 1] + t.arena_offset, t.bytes,
			  (off_t)t.file_offset);
	const bool fails = mock.fail_transfer && --mock.fail_transfer == 0;

	if (n > 4096 && random_u32() % 4 == 0)
		n = 4096; /* a short read */
	mock.waiting[which] = mock.waiting[--mock.waiting_count];
	mock.done[mock.done_count++] = (struct stoker_completion){
		.user_data = t.user_data,
		.bytes = n > 0 && !fails ? (uint64_t)n : 0,
		.error = fails	 ? EIO
			 : n < 0 ? (uint32_t)errno
				 : 0,
	};
}

static ssize_t mock_read(int fd, void *to, size_t bytes)
{
	const uint32_t fit = (uint32_t)(bytes / sizeof(*mock.done));
	uint32_t n;

	CU_ASSERT(fd == 1000 && fit);
	if (random_u32() % 4 == 0) {
		mock.interrupted++;
		errno = EINTR;
		return -1;
	}
	while (mock.waiting_count && (!mock.done_count || random_u32() % 2))
		mock_transfer();
	n = MIN(fit, mock.done_count);
	memcpy(to, mock.done, n * sizeof(*mock.done));
	memmove(mock.done, mock.done + n, (mock.done_count - n) * sizeof(*mock.done));
	mock.done_count -= n;
	return (ssize_t)(n * sizeof(*mock.done));
}

static int mock_ready(int fd)
{
	CU_ASSERT(fd == 1000);
	return mock.done_count > 0;
}

/* The handles go; descriptors and mappings of arenas are the store's. */
static int mock_close(int fd)
{
	CU_ASSERT(fd == 1000 && mock.open);
	mock.open = false;
	for (size_t i = 0; i < ARRAY_SIZE(mock.arena); i++)
		if (mock.arena_bytes[i])
			munmap(mock.arena[i], mock.arena_bytes[i]);
	return 0;
}

static const struct kmod_calls mock_calls = {
	.open = mock_open,
	.command = mock_command,
	.read = mock_read,
	.ready = mock_ready,
	.close = mock_close,
};

static void reset_mock(void)
{
	memset(&mock, 0, sizeof(mock));
	mock.room = ROOM;
	mock.align = 512;
	mock.transfer_max = 3 * 4096; /* not all of a block pair at once */
}

static struct stoker_store *open_mock(void)
{
	struct stoker_store *store;

	CU_ASSERT_FATAL(!kmod_open_with(&mock_calls, &store, NULL));
	CU_ASSERT_STRING_EQUAL(store->ops->name, "kmod");
	return store;
}

struct fixture {
	struct stoker_store *store;
	struct store_arena arena;
	struct store_file file;
	struct store_read reads[FILE_BLOCKS];
	uint8_t *content;
};

static void set_up(struct fixture *f)
{
	reset_mock();
	random_seed(77);
	f->store = open_mock();
	CU_ASSERT_FATAL(
		!f->store->ops->arena_create(f->store, FILE_BLOCKS * 2 * BLOCK, &f->arena, NULL));
	f->content = malloc(FILE_BLOCKS * BLOCK);
	for (size_t i = 0; i < FILE_BLOCKS * BLOCK; i++)
		f->content[i] = (uint8_t)random_u32();
	f->file.fd = f->file.plain = memfd_create("file", MFD_CLOEXEC);
	f->file.path = "file";
	CU_ASSERT_FATAL(write(f->file.fd, f->content, FILE_BLOCKS * BLOCK) == FILE_BLOCKS * BLOCK);
	for (uint32_t i = 0; i < FILE_BLOCKS; i++)
		f->reads[i] =
			(struct store_read){ .file = &f->file,
					     .offset = i * BLOCK,
					     .bytes = BLOCK,
					     .need = BLOCK,
					     .dst = (uint8_t *)f->arena.host + i * 2 * BLOCK };
}

static void tear_down(struct fixture *f)
{
	f->store->ops->destroy(f->store);
	CU_ASSERT(!mock.open);
	close(f->file.fd);
	free(f->content);
}

static void submit_all(struct fixture *f, enum store_priority priority)
{
	for (uint32_t i = 0; i < FILE_BLOCKS; i++) {
		struct store_read *r = &f->reads[i];

		f->store->ops->submit(f->store, &r, 1, priority);
	}
}

/* Takes all that end; how many of them well, and with the right bytes. */
static uint32_t complete_all(struct fixture *f, uint32_t count)
{
	struct store_read *out[7];
	uint32_t good = 0;

	while (count) {
		const size_t n = f->store->ops->complete(f->store, out, ARRAY_SIZE(out), true);

		CU_ASSERT_FATAL(n > 0 && n <= count);
		count -= (uint32_t)n;
		for (size_t i = 0; i < n; i++)
			good += !out[i]->result &&
				!memcmp(out[i]->dst, f->content + out[i]->offset, BLOCK);
	}
	CU_ASSERT_EQUAL(f->store->ops->complete(f->store, out, ARRAY_SIZE(out), true), 0);
	return good;
}

/* More than there is room for, in any order, in pieces, with interrupts. */
static void test_mock_reads(void)
{
	struct fixture f;

	set_up(&f);
	submit_all(&f, STORE_DEMAND);
	CU_ASSERT_EQUAL(complete_all(&f, FILE_BLOCKS), FILE_BLOCKS);
	CU_ASSERT(mock.interrupted > 0 && mock.submits > 2);
	tear_down(&f);
}

/* Prefetches that haven't begun come back, each read exactly once in one way or the other. */
static void test_mock_withdraw(void)
{
	struct fixture f;
	struct store_read *out[5];
	uint32_t back = 0;
	size_t n;

	set_up(&f);
	submit_all(&f, STORE_PREFETCH);
	while ((n = f.store->ops->withdraw(f.store, out, ARRAY_SIZE(out))) > 0)
		back += (uint32_t)n;
	CU_ASSERT(back > FILE_BLOCKS / 2 && back < FILE_BLOCKS);
	CU_ASSERT_EQUAL(complete_all(&f, FILE_BLOCKS - back), FILE_BLOCKS - back);
	CU_ASSERT_EQUAL(f.store->ops->withdraw(f.store, out, ARRAY_SIZE(out)), 0);
	tear_down(&f);
}

static void test_mock_failures(void)
{
	struct fixture f;
	struct stoker_error err;
	struct stoker_store *store;
	struct store_arena a;
	uint8_t elsewhere[64];
	struct store_read *one, *out[4];

	/* a failed read, memory that is no arena's, a file that ends early */
	set_up(&f);
	mock.fail_transfer = 9;
	submit_all(&f, STORE_DEMAND);
	CU_ASSERT_EQUAL(complete_all(&f, FILE_BLOCKS), FILE_BLOCKS - 1);
	f.reads[0].dst = elsewhere;
	one = &f.reads[0];
	f.store->ops->submit(f.store, &one, 1, STORE_DEMAND);
	CU_ASSERT_EQUAL(f.store->ops->complete(f.store, out, 4, true), 1);
	CU_ASSERT_EQUAL(out[0]->result, -EFAULT);
	f.reads[1].offset = (FILE_BLOCKS - 1) * BLOCK + 4096;
	one = &f.reads[1];
	f.store->ops->submit(f.store, &one, 1, STORE_DEMAND);
	CU_ASSERT_EQUAL(f.store->ops->complete(f.store, out, 4, true), 1);
	CU_ASSERT_EQUAL(out[0]->result, -ENODATA);
	/* one that ends within a block */
	CU_ASSERT(!ftruncate(f.file.fd, FILE_BLOCKS * BLOCK - 1000));
	f.reads[3].offset = (FILE_BLOCKS - 1) * BLOCK;
	one = &f.reads[3];
	f.store->ops->submit(f.store, &one, 1, STORE_DEMAND);
	CU_ASSERT_EQUAL(f.store->ops->complete(f.store, out, 4, true), 1);
	CU_ASSERT_EQUAL(out[0]->result, -ENODATA);
	/* the module refuses */
	mock.submit_error = EBADF;
	one = &f.reads[2];
	f.store->ops->submit(f.store, &one, 1, STORE_DEMAND);
	CU_ASSERT_EQUAL(f.store->ops->complete(f.store, out, 4, true), 1);
	CU_ASSERT_EQUAL(out[0]->result, -EBADF);
	mock.create_error = ENOMEM;
	CU_ASSERT_EQUAL(f.store->ops->arena_create(f.store, BLOCK, &a, &err), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "RLIMIT_MEMLOCK"));
	tear_down(&f);

	/* it isn't there, isn't ours to use, or is another one */
	reset_mock();
	mock.open_error = ENOENT;
	CU_ASSERT_EQUAL(kmod_open_with(&mock_calls, &store, &err), -ENOTSUP);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "isn't loaded"));
	mock.open_error = EACCES;
	CU_ASSERT_EQUAL(kmod_open_with(&mock_calls, &store, &err), -ENOTSUP);
	mock.open_error = 0;
	mock.query_error = ENOTTY;
	CU_ASSERT_EQUAL(kmod_open_with(&mock_calls, &store, &err), -ENOTSUP);
	CU_ASSERT(!mock.open);
	mock.query_error = 0;
	mock.align = 65536;
	CU_ASSERT_EQUAL(kmod_open_with(&mock_calls, &store, &err), -ENOTSUP);
	CU_ASSERT(!mock.open);
}

/* Destroyed with everything under way. */
static void test_mock_destroy(void)
{
	struct fixture f;

	set_up(&f);
	submit_all(&f, STORE_DEMAND);
	tear_down(&f);
}

static void test_preference(void)
{
	struct stoker_store *store;
	char folder[] = "/tmp/stoker-test-XXXXXX", path[64];

	CU_ASSERT_FATAL(mkdtemp(folder) != NULL);
	setenv("XDG_CACHE_HOME", folder, 1);
	CU_ASSERT_EQUAL(stoker_driver_prefer("threads", NULL), -EINVAL);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(stoker_driver_prefer(i ? "uring" : "kmod", NULL), 0);
		/* without the module, or not preferred: another one */
		CU_ASSERT_FATAL(
			!stoker_store_open_preferred(NULL, &(struct logger){ NULL }, &store, NULL));
		CU_ASSERT(i == 0 || strcmp(store->ops->name, "kmod") != 0);
		store->ops->destroy(store);
	}
	unsetenv("XDG_CACHE_HOME");
	snprintf(path, sizeof(path), "%s/stoker/store", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/stoker", folder);
	rmdir(path);
	rmdir(folder);
}

void suite_kmod(void)
{
	TEST(test_mock_reads);
	TEST(test_mock_withdraw);
	TEST(test_mock_failures);
	TEST(test_mock_destroy);
	TEST(test_preference);
}
