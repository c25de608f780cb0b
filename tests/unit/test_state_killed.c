// SPDX-License-Identifier: MIT
/* States in files whose process is killed while it saves them over older ones. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stoker/state.h"
#include "tiny.h"

enum { CONTEXT = 2048, STATES = 2, KILLS = 20, LONGEST_US = 30000 };

static char folder[64], path[96];
static struct stoker_session *sessions[STATES], *other;

/* Sessions of some tokens and of more. */
static void fill(struct stoker_model *model)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT,
						      .context = CONTEXT };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	uint32_t tokens[CONTEXT];

	stoker_model_info(model, &info);
	for (uint32_t i = 0; i < CONTEXT; i++)
		tokens[i] = i % info.vocabulary;
	for (uint32_t i = 0; i < STATES; i++) {
		CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &sessions[i], NULL), 0);
		CU_ASSERT_EQUAL_FATAL(stoker_session_eval(sessions[i], tokens,
							  CONTEXT * (i + 1) / STATES,
							  STOKER_LOGITS_NONE, NULL),
				      0);
	}
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(model, &params, &other, NULL), 0);
}

/* A process that does nothing but save one after the other, until it is killed. */
static void save_and_kill(void)
{
	const pid_t child = fork();
	int status;

	CU_ASSERT_FATAL(child >= 0);
	for (unsigned i = 0; !child; i++)
		if (stoker_session_save_file(sessions[i % STATES], path, NULL))
			_exit(1);
	usleep(random_u32() % LONGEST_US);
	CU_ASSERT(!kill(child, SIGKILL));
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFSIGNALED(status));
}

static void check_whole(const char *name)
{
	char file[512];
	uint32_t position;

	snprintf(file, sizeof(file), "%s/%s", folder, name);
	CU_ASSERT_EQUAL(stoker_session_truncate(other, 0, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_restore_file(other, file, NULL), 0);
	position = stoker_session_position(other);
	CU_ASSERT(position == CONTEXT / STATES || position == CONTEXT);
}

/* The old file or the new one.  What has a second name for a moment is whole, too. */
static void check_folder(bool nameless)
{
	DIR *d = opendir(folder);
	bool there = false;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		there |= !strcmp(e->d_name, "state");
		if (nameless || !strcmp(e->d_name, "state"))
			check_whole(e->d_name);
		if (strcmp(e->d_name, "state"))
			unlinkat(dirfd(d), e->d_name, 0);
	}
	closedir(d);
	CU_ASSERT(there);
}

static void test_killed(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = 1 };
	struct stoker_device *device;
	struct stoker_model *model;
	int fd;

	snprintf(folder, sizeof(folder), "/tmp/stoker-killed-%d", (int)getpid());
	snprintf(path, sizeof(path), "%s/state", folder);
	CU_ASSERT_EQUAL_FATAL(mkdir(folder, 0700), 0);
	fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (fd < 0)
		skip("what a kill leaves", "files without names (O_TMPFILE) aren't known in /tmp");
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, NULL), 0);
	tiny_write(tiny_path(), &tiny_caches[TINY_FULL]);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, tiny_path(), NULL, &model, NULL), 0);
	unlink(tiny_path());
	fill(model);
	CU_ASSERT_EQUAL_FATAL(stoker_session_save_file(sessions[0], path, NULL), 0);
	for (int i = 0; i < KILLS; i++) {
		save_and_kill();
		check_folder(fd >= 0);
	}
	for (int i = 0; i < STATES; i++)
		stoker_session_free(&sessions[i]);
	stoker_session_free(&other);
	stoker_model_free(&model);
	stoker_device_close(&device);
	if (fd >= 0)
		close(fd);
	unlink(path);
	rmdir(folder);
}

void add_state_killed(void)
{
	TEST(test_killed);
}
