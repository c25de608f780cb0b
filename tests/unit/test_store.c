// SPDX-License-Identifier: MIT
/* Bulk reads: every size around the block and chunk borders, with and without direct I/O. */
#include "unit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/read_range.h"
#include "store/store.h"

enum { MOST = (3 << 20) + 5 };

static uint8_t *written, *back;

struct watch {
	uint64_t last;
	uint64_t stop_at; /* 0: never */
};

static int watch(void *context, uint64_t done, uint64_t total)
{
	struct watch *w = context;

	CU_ASSERT(done >= w->last && done <= total);
	w->last = done;
	return w->stop_at && done >= w->stop_at;
}

static int temporary(const char *folder, size_t bytes)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/stoker-test-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd >= 0)
		unlink(path);
	for (size_t done = 0; fd >= 0 && done < bytes;) {
		const ssize_t n = write(fd, written + done, bytes - done);

		CU_ASSERT_FATAL(n > 0);
		done += (size_t)n;
	}
	return fd;
}

static void check_folder(const char *folder)
{
	static const size_t sizes[] = { 1,	 511,		4096,	       4097, 12288,
					1 << 20, (1 << 20) + 1, (3 << 20) - 1, MOST };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const uint64_t offset = sizes[i] > 8192 ? 4096 : 0;
		struct watch w = { 0 };
		struct stoker_error err = { "" };
		const int fd = temporary(folder, sizes[i]);

		if (fd < 0) {
			skip(folder, "can't write there");
			return;
		}
		memset(back, 0xee, MOST + 4096);
		CU_ASSERT_EQUAL(stoker_read_range(fd, "file", offset, sizes[i] - offset, back,
						  watch, &w, &err),
				0);
		CU_ASSERT(!memcmp(back, written + offset, sizes[i] - offset));
		CU_ASSERT_EQUAL(w.last, sizes[i] - offset);
		/* a file that has become shorter */
		CU_ASSERT_EQUAL(stoker_read_range(fd, "file", offset, sizes[i] - offset + 1, back,
						  NULL, NULL, &err),
				-EIO);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "ends at byte"));
		close(fd);
	}
}

static void test_reads(void)
{
	written = malloc(MOST);
	back = aligned_alloc(4096, round_up(MOST, 4096) + 4096);
	CU_ASSERT_FATAL(written && back);
	random_seed(6);
	for (size_t i = 0; i < MOST; i++)
		written[i] = (uint8_t)random_u32();
	check_folder(".");	  /* a disk, mostly */
	check_folder("/dev/shm"); /* memory */

	struct watch w = { .stop_at = 1 };
	const int fd = temporary(".", MOST);

	CU_ASSERT_EQUAL(stoker_read_range(fd, "file", 0, MOST, back, watch, &w, NULL), -ECANCELED);
	close(fd);
	free(written);
	free(back);
}

/* From now on io_uring_enter() fails with @error in this process, as in a sandbox. */
static bool forbid_enter(int error)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

enum { PIECES = 90, PIECE = 4096 };
enum outcome { GOOD, BAD, CANT };

/* Reads pieces of a file of which @before are sent off when entering the ring is forbidden. */
static enum outcome read_in_sandbox(int fd, int error, int before)
{
	const struct store_file file = { .fd = fd, .plain = fd, .path = "file" };
	struct store_read reads[PIECES], *send[PIECES], *done[PIECES];
	uint8_t *memory = aligned_alloc(PIECE, PIECES * PIECE);
	struct stoker_store *store;
	size_t count = 0, more;

	if (!memory || (before < 0 && !forbid_enter(error)))
		return CANT;
	if (stoker_store_open_uring(&store, NULL))
		return before < 0 && !stoker_store_open(NULL, &store, NULL) ? GOOD : CANT;
	if (before < 0)
		return BAD;
	for (int i = 0; i < PIECES; i++) {
		send[i] = &reads[i];
		reads[i] = (struct store_read){ .file = &file,
						.offset = (uint64_t)i * PIECE,
						.bytes = PIECE,
						.need = PIECE,
						.dst = memory + i * PIECE };
	}
	store->ops->submit(store, send, (size_t)before, STORE_PREFETCH);
	if (!forbid_enter(error))
		return CANT;
	store->ops->submit(store, send + before, (size_t)(PIECES - before), STORE_DEMAND);
	while ((more = store->ops->complete(store, done, PIECES, true)))
		count += more;
	for (int i = 0; i < PIECES; i++)
		count -= reads[i].result || memcmp(reads[i].dst, written + i * PIECE, PIECE);
	store->ops->destroy(store);
	free(memory);
	return count == PIECES ? GOOD : BAD;
}

/* Rings that may be made but not entered, from the beginning or later on. */
static void test_forbidden_ring(void)
{
	static const int errors[] = { EPERM, ENOSYS, EINVAL };
	int fd;

	written = malloc(PIECES * PIECE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(written);
	random_seed(7);
	for (size_t i = 0; i < PIECES * PIECE; i++)
		written[i] = (uint8_t)random_u32();
	fd = temporary(".", PIECES * PIECE);
	CU_ASSERT_FATAL(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		for (int before = -1; before <= PIECES; before += 13) {
			int status = -1;
			const pid_t child = fork();

			if (!child) {
				alarm(20);
				_exit(read_in_sandbox(fd, errors[i], before));
			}
			CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
			CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) != BAD);
			if (WIFEXITED(status) && WEXITSTATUS(status) == CANT)
				skip("a sandbox", "no seccomp, or no io_uring");
		}
	close(fd);
	free(written);
}

void suite_store(void)
{
	TEST(test_reads);
	TEST(test_forbidden_ring);
}
