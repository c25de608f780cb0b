// SPDX-License-Identifier: MIT
/* Models and sessions in a process that was forked off after they were made. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

enum { HANGS_SECONDS = SANITIZED ? 120 : 20 };

static const uint32_t tokens[5] = { 70, 80, 90, 100, 110 };

struct forked {
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *session;
	uint32_t vocabulary;
};

static int open_all(struct forked *f, const char *device, uint64_t memory, const char *store)
{
	const struct stoker_device_params where = { STOKER_DEVICE_PARAMS_INIT, .name = device,
						    .threads = device ? 0 : 2 };
	const struct stoker_model_params how = { STOKER_MODEL_PARAMS_INIT, .memory = memory,
						 .store = store };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };
	struct stoker_error err;
	int ret;

	*f = (struct forked){ 0 };
	ret = stoker_device_open(&where, &f->device, &err);
	if (!ret)
		ret = stoker_model_load(f->device, DEMO, &how, &f->model, &err);
	if (!ret)
		ret = stoker_session_create(f->model, NULL, &f->session, &err);
	if (ret) {
		printf("\n    %s", err.message);
		return ret;
	}
	stoker_model_info(f->model, &info);
	f->vocabulary = info.vocabulary;
	return 0;
}

static void close_all(struct forked *f)
{
	stoker_session_free(&f->session);
	stoker_model_free(&f->model);
	stoker_device_close(&f->device);
}

/* Logits of the tokens behind what a session holds; NULL: they can't be computed. */
static float *compute(const struct forked *f, struct stoker_session *s)
{
	float *copy = malloc(f->vocabulary * sizeof(*copy));

	if (!copy || stoker_session_eval(s, tokens, 5, STOKER_LOGITS_LAST, NULL)) {
		free(copy);
		return NULL;
	}
	memcpy(copy, stoker_session_logits(s, 0), f->vocabulary * sizeof(*copy));
	return copy;
}

static bool computes(const struct forked *f, struct stoker_session *s, const float *wanted)
{
	AUTO_FREE float *logits = compute(f, s);

	return logits && !memcmp(logits, wanted, f->vocabulary * sizeof(*logits));
}

static bool computes_anew(const struct forked *f, const float *wanted)
{
	struct stoker_session *s;
	bool good;

	if (stoker_session_create(f->model, NULL, &s, NULL))
		return false;
	good = computes(f, s, wanted);
	stoker_session_free(&s);
	return good;
}

/* Runs in a process of its own; what it returns, or -1 when it crashes or hangs. */
static int in_child(int (*run)(struct forked *f, const float *wanted), struct forked *f,
		    const float *wanted)
{
	const pid_t pid = fork();
	int status;

	if (pid < 0)
		return -1;
	if (!pid) {
		alarm(HANGS_SECONDS);
		_exit(run(f, wanted));
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status))
		printf("\n    signal %d", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int use_again(struct forked *f, const float *wanted)
{
	if (stoker_session_truncate(f->session, 0, NULL) || !computes(f, f->session, wanted))
		return 1;
	return computes_anew(f, wanted) ? 0 : 2;
}

static int use_and_free(struct forked *f, const float *wanted)
{
	struct stoker_model_paging paging = { STOKER_MODEL_PAGING_INIT };

	stoker_model_paging(f->model, &paging);
	if (use_again(f, wanted))
		return 1;
	/* and in a process that this one forks off */
	if (in_child(use_again, f, wanted))
		return 2;
	close_all(f);
	return 0;
}

static int only_free(struct forked *f, const float *wanted)
{
	(void)wanted;
	close_all(f);
	return 0;
}

static void test_processor(void)
{
	static const struct {
		uint64_t memory;
		const char *store;
	} cases[] = { { STOKER_MEMORY_MAX, NULL },
		      { STOKER_MEMORY_MIN, "uring" },
		      { STOKER_MEMORY_MIN, "threads" } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct forked f, fresh;
		AUTO_FREE float *wanted = NULL;
		const int ret = open_all(&f, NULL, cases[i].memory, cases[i].store);

		if (ret == -ENOTSUP) {
			skip("fork with io_uring", "not allowed here");
			close_all(&f);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(ret, 0);
		CU_ASSERT_EQUAL(stoker_model_paging(
					f.model,
					&(struct stoker_model_paging){ STOKER_MODEL_PAGING_INIT }),
				cases[i].store ? 0 : -ENOENT);
		CU_ASSERT_EQUAL(in_child(only_free, &f, NULL), 0);
		wanted = compute(&f, f.session);
		CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
		CU_ASSERT_EQUAL(in_child(use_and_free, &f, wanted), 0);
		CU_ASSERT_EQUAL(in_child(only_free, &f, NULL), 0);
		/* one that hasn't computed yet */
		CU_ASSERT_EQUAL_FATAL(open_all(&fresh, NULL, cases[i].memory, cases[i].store), 0);
		CU_ASSERT_EQUAL(in_child(use_and_free, &fresh, wanted), 0);
		close_all(&fresh);
		/* the parent goes on */
		stoker_session_truncate(f.session, 0, NULL);
		CU_ASSERT(computes(&f, f.session, wanted));
		close_all(&f);
	}
}

struct busy {
	struct forked *f;
	_Atomic bool stop;
	unsigned rounds;
};

static void *compute_on(void *argument)
{
	struct busy *b = argument;

	while (!atomic_load(&b->stop)) {
		stoker_session_truncate(b->f->session, 0, NULL);
		stoker_session_eval(b->f->session, tokens, 5, STOKER_LOGITS_LAST, NULL);
		b->rounds++;
	}
	return NULL;
}

/* The session that was in use stays so; others, and releasing all, work. */
static int use_others(struct forked *f, const float *wanted)
{
	if (!computes_anew(f, wanted))
		return 1;
	close_all(f);
	return 0;
}

/* At any point of what another thread is computing. */
static void test_while_computing(void)
{
	if (SANITIZED) {
		skip("fork while another thread computes",
		     "a sanitizer's allocator may be locked in the child");
		return;
	}
	for (int paged = 0; paged < 2; paged++) {
		struct forked f;
		struct busy b = { .f = &f };
		AUTO_FREE float *wanted = NULL;
		pthread_t thread;

		CU_ASSERT_EQUAL_FATAL(open_all(&f, NULL,
					       paged ? STOKER_MEMORY_MIN : STOKER_MEMORY_MAX,
					       "threads"),
				      0);
		wanted = compute(&f, f.session);
		CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, compute_on, &b), 0);
		for (int i = 0; i < 20; i++) {
			usleep(1000 + random_u32() % 3000);
			CU_ASSERT_EQUAL(in_child(use_others, &f, wanted), 0);
		}
		atomic_store(&b.stop, true);
		pthread_join(thread, NULL);
		CU_ASSERT(b.rounds > 0);
		close_all(&f);
	}
}

static int is_told(struct forked *f, const float *wanted)
{
	struct stoker_error err = { "" };
	struct stoker_session *s;
	struct stoker_model *m;

	(void)wanted;
	if (stoker_session_eval(f->session, tokens, 5, STOKER_LOGITS_LAST, &err) != -ENOTSUP ||
	    !strstr(err.message, "forked"))
		return 1;
	if (stoker_session_create(f->model, NULL, &s, &err) != -ENOTSUP ||
	    stoker_model_load(f->device, DEMO, NULL, &m, &err) != -ENOTSUP)
		return 2;
	close_all(f);
	return 0;
}

static void test_vulkan(void)
{
	struct forked f;
	AUTO_FREE float *wanted = NULL;

	if (!vulkan_is_here())
		return;
	CU_ASSERT_EQUAL_FATAL(open_all(&f, "vulkan", STOKER_MEMORY_MAX, NULL), 0);
	wanted = compute(&f, f.session);
	CU_ASSERT_PTR_NOT_NULL(wanted);
	CU_ASSERT_EQUAL(in_child(is_told, &f, wanted), 0);
	CU_ASSERT_EQUAL(in_child(only_free, &f, wanted), 0);
	stoker_session_truncate(f.session, 0, NULL);
	CU_ASSERT(wanted && computes(&f, f.session, wanted));
	close_all(&f);
}

void suite_fork(void)
{
#if defined(__SANITIZE_THREAD__)
	skip("fork", "the thread sanitizer doesn't start threads in a forked process");
	return;
#endif
	TEST(test_processor);
	TEST(test_while_computing);
	TEST(test_vulkan);
}
