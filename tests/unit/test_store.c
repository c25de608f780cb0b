// SPDX-License-Identifier: MIT
/* Bulk reads: every size around the block and chunk borders, with and without direct I/O. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "store/read_range.h"

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

void suite_store(void)
{
	TEST(test_reads);
}
