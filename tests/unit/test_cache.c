// SPDX-License-Identifier: MIT
/* Files in the user's cache folder, and what others may have put there; files under new names. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stoker/unstable/cache.h>
#include <stoker/unstable/store.h>

#include "base/new_file.h"
#include "store/store.h"
#include "unit.h"

static char home[64], folder[80];

static void make_home(void)
{
	strcpy(home, "/tmp/stoker-cache-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(home));
	setenv("XDG_CACHE_HOME", home, 1);
	snprintf(folder, sizeof(folder), "%s/stoker", home);
}

static void remove_home(void)
{
	char command[128];

	unsetenv("XDG_CACHE_HOME");
	snprintf(command, sizeof(command), "rm -rf '%s'", home);
	CU_ASSERT_EQUAL(system(command), 0);
}

static int write_text(const char *path, const char *text)
{
	return stoker_cache_write(path, text, strlen(text), NULL);
}

static bool reads_as(const char *path, const char *text)
{
	size_t bytes;
	char *data = stoker_cache_read(path, 100, &bytes);
	const bool same = data ? text && bytes == strlen(text) && !memcmp(data, text, bytes)
			       : !text;

	free(data);
	return same;
}

static int files_in_folder(void)
{
	char command[160];
	FILE *f;
	int count = -1;

	snprintf(command, sizeof(command), "ls -A '%s' | wc -l", folder);
	f = popen(command, "r");
	if (f && fscanf(f, "%d", &count) != 1)
		count = -1;
	if (f)
		pclose(f);
	return count;
}

static void test_read_and_write(void)
{
	char *path, text[101];
	struct stat s;

	make_home();
	path = stoker_cache_path("file");
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT(reads_as(path, NULL));
	CU_ASSERT_EQUAL(write_text(path, "one"), 0);
	CU_ASSERT(reads_as(path, "one"));
	CU_ASSERT_EQUAL(write_text(path, "another"), 0);
	CU_ASSERT(reads_as(path, "another"));
	CU_ASSERT(!stat(path, &s) && (s.st_mode & 07777) == 0600);
	CU_ASSERT(!stat(folder, &s) && (s.st_mode & 07777) == 0700);
	memset(text, 'x', 100);
	text[100] = 0;
	CU_ASSERT_EQUAL(write_text(path, text), 0);
	CU_ASSERT(reads_as(path, text));
	CU_ASSERT_EQUAL(stoker_cache_write(path, text, sizeof(text), NULL), 0);
	CU_ASSERT(reads_as(path, NULL)); /* too large */
	CU_ASSERT_EQUAL(stoker_cache_write(path, "", 0, NULL), 0);
	CU_ASSERT(reads_as(path, NULL)); /* empty */
	CU_ASSERT_EQUAL(files_in_folder(), 1);
	CU_ASSERT(reads_as(NULL, NULL));
	CU_ASSERT_EQUAL(write_text(NULL, "x"), -ENOENT);
	CU_ASSERT_EQUAL(write_text("/no/such/folder/file", "x"), -ENOENT);
	free(path);
	remove_home();
}

/* What stands where a file should be, and whether writing does away with it. */
static void test_what_isnt_a_file(void)
{
	char *path, victim[128];
	struct stat s;

	make_home();
	path = stoker_cache_path("file");
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	snprintf(victim, sizeof(victim), "%s/victim", home);
	CU_ASSERT_EQUAL(write_text(victim, "precious"), 0);
	CU_ASSERT_EQUAL(symlink(victim, path), 0);
	CU_ASSERT(reads_as(path, NULL));
	CU_ASSERT_EQUAL(write_text(path, "new"), 0);
	CU_ASSERT(reads_as(path, "new") && reads_as(victim, "precious"));
	CU_ASSERT(!lstat(path, &s) && S_ISREG(s.st_mode));
	unlink(path);
	/* a link to nowhere, through which a file would be made */
	unlink(victim);
	CU_ASSERT_EQUAL(symlink(victim, path), 0);
	CU_ASSERT_EQUAL(write_text(path, "new"), 0);
	CU_ASSERT(access(victim, F_OK) && reads_as(path, "new"));
	unlink(path);
	/* it would be waited for that somebody writes to it */
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT(reads_as(path, NULL));
	CU_ASSERT_EQUAL(write_text(path, "new"), 0);
	CU_ASSERT(reads_as(path, "new"));
	unlink(path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	CU_ASSERT(reads_as(path, NULL));
	CU_ASSERT_EQUAL(write_text(path, "new"), -EISDIR);
	CU_ASSERT_EQUAL(files_in_folder(), 1);
	free(path);
	remove_home();
}

static void test_what_others_may_write(void)
{
	struct stoker_error err;
	char *path;

	make_home();
	path = stoker_cache_path("file");
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT_EQUAL(write_text(path, "mine"), 0);
	CU_ASSERT(!chmod(path, 0620) && reads_as(path, NULL));
	CU_ASSERT(!chmod(path, 0602) && reads_as(path, NULL));
	CU_ASSERT(!chmod(path, 0644) && reads_as(path, "mine"));
	for (unsigned mode = 0722; mode; mode = mode == 0722 ? 01777 : mode == 01777 ? 0720 : 0) {
		CU_ASSERT(!chmod(folder, mode) && reads_as(path, NULL));
		CU_ASSERT_EQUAL(stoker_cache_write(path, "new", 3, &err), -EACCES);
		CU_ASSERT(strstr(err.message, path) && strstr(err.message, "others"));
	}
	CU_ASSERT(!chmod(folder, 0755) && reads_as(path, "mine"));
	if (!geteuid() && !chown(path, 1, 1)) {
		CU_ASSERT(reads_as(path, NULL));
		CU_ASSERT_EQUAL(write_text(path, "mine"), 0); /* in one's own folder */
		CU_ASSERT(reads_as(path, "mine"));
		CU_ASSERT(!chown(folder, 1, 1) && reads_as(path, NULL));
		CU_ASSERT_EQUAL(write_text(path, "new"), -EACCES);
	}
	free(path);
	remove_home();
}

/* The drive's preferred store is a file there; opening a store must not wait for it. */
static void test_preferred_store(void)
{
	struct stoker_store *store;
	struct stat s;
	char *path;

	make_home();
	path = stoker_cache_path("store");
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	alarm(20);
	CU_ASSERT_EQUAL_FATAL(
		stoker_store_open_preferred(NULL, &(struct logger){ NULL }, &store, NULL), 0);
	alarm(0);
	store->ops->destroy(store);
	CU_ASSERT_EQUAL(stoker_driver_prefer("uring", NULL), 0);
	CU_ASSERT(!lstat(path, &s) && S_ISREG(s.st_mode));
	CU_ASSERT_EQUAL_FATAL(
		stoker_store_open_preferred(NULL, &(struct logger){ NULL }, &store, NULL), 0);
	store->ops->destroy(store);
	CU_ASSERT(!chmod(folder, 0777));
	CU_ASSERT_EQUAL(stoker_driver_prefer("uring", NULL), -EACCES);
	free(path);
	remove_home();
}

static void test_new_names(void)
{
	char path[160], other[160];
	int fd[2];

	make_home();
	snprintf(path, sizeof(path), "%s/XXXXXX-XXXXXX.part", home);
	strcpy(other, path);
	fd[0] = stoker_new_file(AT_FDCWD, path, 0640);
	fd[1] = stoker_new_file(AT_FDCWD, other, 0640);
	CU_ASSERT(fd[0] >= 0 && fd[1] >= 0 && strcmp(path, other));
	CU_ASSERT_EQUAL(strlen(path), strlen(home) + strlen("/XXXXXX-XXXXXX.part"));
	CU_ASSERT_PTR_NOT_NULL(strstr(path, "/XXXXXX-"));
	CU_ASSERT(!access(path, F_OK) && !access(other, F_OK));
	close(fd[0]);
	close(fd[1]);
	snprintf(path, sizeof(path), "%s/nowhere/XXXXXX", home);
	CU_ASSERT_EQUAL(stoker_new_file(AT_FDCWD, path, 0600), -ENOENT);
	remove_home();
}

/* What a writer that was killed has left, with the process id that this one has: as in containers.
 */
static void test_leftovers(void)
{
	struct stoker_gguf_writer *writer;
	char path[128], left[160];

	make_home();
	snprintf(path, sizeof(path), "%s/out.gguf", home);
	snprintf(left, sizeof(left), "%s.%d.part", path, (int)getpid());
	CU_ASSERT_EQUAL(symlink("/nowhere", left), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_gguf_writer_open(path, &writer, NULL), 0);
	stoker_gguf_writer_put_u32(writer, "key", 1);
	CU_ASSERT_EQUAL(stoker_gguf_writer_finish(&writer, 1, NULL), 0);
	CU_ASSERT(!access(path, F_OK));
	remove_home();
}

void suite_cache(void)
{
	TEST(test_read_and_write);
	TEST(test_what_isnt_a_file);
	TEST(test_what_others_may_write);
	TEST(test_preferred_store);
	TEST(test_new_names);
	TEST(test_leftovers);
}
