// SPDX-License-Identifier: MIT
/*
 * The table of docs/API.md ("What happens when"), as far as other suites don't have it: a second
 * thread, a forked process, calls in callbacks, a full disk, a lost device.
 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/device.h"
#include "state_memory.h"
#include "unit.h"

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

/* One of each that computes, with a few tokens in its context. */
struct house {
	struct stoker_device *device;
	struct stoker_model *model;
	const struct stoker_vocabulary *vocabulary;
	struct stoker_session *session;
	struct stoker_batch *batch;
	struct stoker_sequence *sequence;
	struct stoker_sampler *sampler;
	struct stoker_decoder *decoder;
};

#if defined(__SANITIZE_THREAD__)
enum { FORKS = 0 };
#else
enum { FORKS = 1 };
#endif

static const uint32_t tokens[] = { 5, 6, 7, 8 };

static int step_of(const struct house *h)
{
	const struct stoker_batch_part part = {
		.sequence = h->sequence, .tokens = tokens, .count = 1, .logits = STOKER_LOGITS_LAST
	};

	return stoker_batch_eval(h->batch, &part, sizeof(part), 1, NULL);
}

static void build(struct house *h)
{
	const struct stoker_device_params how = { STOKER_DEVICE_PARAMS_INIT, .threads = 1 };
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						      .batch = 16 };

	*h = (struct house){ 0 };
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&how, &h->device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(h->device, DEMO, NULL, &h->model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_vocabulary(h->model, &h->vocabulary, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(h->model, &params, &h->session, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(h->model, &params, &h->batch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(h->batch, &h->sequence, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &h->sampler, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_decoder_create(h->vocabulary, NULL, &h->decoder, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(h->session, tokens, 4, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(step_of(h), 0);
}

static void demolish(struct house *h)
{
	stoker_decoder_free(&h->decoder);
	stoker_sampler_free(&h->sampler);
	stoker_sequence_free(&h->sequence);
	stoker_batch_free(&h->batch);
	stoker_session_free(&h->session);
	stoker_model_free(&h->model);
	stoker_device_close(&h->device);
}

/* A stage of sampling that waits, so that a session, a sampler and a decoder are in use. */
struct waiting {
	struct house *house;
	sem_t inside, go;
	int ret;
};

static int wait_inside(void *user, float *logits, uint32_t count)
{
	struct waiting *w = user;

	(void)logits;
	(void)count;
	sem_post(&w->inside);
	sem_wait(&w->go);
	return 0;
}

static void *generate(void *user)
{
	struct waiting *w = user;
	const struct stoker_generate_params how = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 1,
						    .ignore_end = 1, .decoder = w->house->decoder };

	w->ret = stoker_session_generate(w->house->session, w->house->sampler, NULL, &how, NULL,
					 NULL);
	return NULL;
}

static int refuse_to_write(void *user, const void *data, size_t bytes)
{
	(void)user;
	(void)data;
	(void)bytes;
	return -ENOSPC;
}

static void test_second_thread(void)
{
	struct stoker_generate_params one = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 1 };
	struct house h;
	struct waiting w = { .house = &h };
	const struct stoker_custom_stage stage = { STOKER_CUSTOM_STAGE_INIT, .apply = wait_inside,
						   .user = &w };
	struct stoker_sampler *other;
	const char *text;
	float logits[4] = { 0 };
	uint32_t token;
	pthread_t thread;

	build(&h);
	CU_ASSERT_FATAL(!sem_init(&w.inside, 0, 0) && !sem_init(&w.go, 0, 0));
	CU_ASSERT_EQUAL(stoker_sampler_add(h.sampler, &stage, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &other, NULL), 0);
	CU_ASSERT_FATAL(!pthread_create(&thread, NULL, generate, &w));
	sem_wait(&w.inside);
	CU_ASSERT_EQUAL(stoker_session_eval(h.session, tokens, 1, STOKER_LOGITS_LAST, NULL),
			-EBUSY);
	CU_ASSERT_EQUAL(stoker_session_generate(h.session, other, NULL, &one, NULL, NULL), -EBUSY);
	CU_ASSERT_EQUAL(stoker_session_truncate(h.session, 0, NULL), -EBUSY);
	CU_ASSERT_EQUAL(stoker_session_remove(h.session, 1, 1, 1, NULL), -EBUSY);
	CU_ASSERT_EQUAL(stoker_session_save(h.session, refuse_to_write, NULL, NULL), -EBUSY);
	CU_ASSERT_EQUAL(stoker_session_begin(h.session), 0);
	CU_ASSERT_EQUAL(stoker_sampler_sample(h.sampler, logits, 4, &token), -EBUSY);
	CU_ASSERT_EQUAL(stoker_sampler_add(h.sampler, &stage, NULL), -EBUSY);
	CU_ASSERT_EQUAL(stoker_decoder_push(h.decoder, 5, &text, NULL), -EBUSY);
	CU_ASSERT_EQUAL(stoker_decoder_flush(h.decoder, &text, NULL), -EBUSY);
	CU_ASSERT_EQUAL(stoker_decoder_reset(h.decoder), -EBUSY);
	/* freeing waits for nobody, and what is in use goes when it isn't any more */
	stoker_sampler_free(&h.sampler);
	stoker_decoder_free(&h.decoder);
	sem_post(&w.go);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(w.ret, 0);
	CU_ASSERT_EQUAL(stoker_session_position(h.session), 5);
	stoker_sampler_free(&other);
	sem_destroy(&w.inside);
	sem_destroy(&w.go);
	demolish(&h);
}

#define MUST(condition)                  \
	do {                             \
		if (!(condition))        \
			return __LINE__; \
	} while (0)

/* What has no threads is what it was. */
static int use_in_child(const struct house *h, const struct stoker_template *t,
			struct stoker_profile *p)
{
	const struct stoker_message message = { .role = "user", .content = "Hi" };
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .messages = &message,
						     .message_size = sizeof(message), .count = 1 };
	struct stoker_profile_total *totals;
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	const float logits[3] = { 0, 2, 1 };
	const char *text;
	uint32_t *ids, token;
	size_t count;

	MUST(!stoker_vocabulary_tokenize(h->vocabulary, "And", 3, 0, &ids, &count, NULL) && count);
	stoker_free(ids);
	MUST(!stoker_template_render(t, h->vocabulary, &input, &prompt, NULL));
	stoker_prompt_free(&prompt);
	MUST(!stoker_decoder_push(h->decoder, 40, &text, NULL));
	MUST(!stoker_sampler_sample(h->sampler, logits, 3, &token) && token == 1);
	MUST(!stoker_profile_totals(p, sizeof(*totals), &totals, &count));
	stoker_free(totals);
	MUST(stoker_gguf_find(stoker_model_gguf(h->model), "general.architecture"));
	MUST(!step_of(h)); /* the CPU goes on */
	return 0;
}

static void test_forked(void)
{
	const char *source = stoker_template_bundled("chatml");
	struct stoker_profile *profile;
	struct stoker_template *t;
	struct house h;
	int status = -1;
	pid_t pid;

	if (!FORKS) {
		skip("fork", "the thread sanitizer doesn't start threads in a forked process");
		return;
	}
	build(&h);
	CU_ASSERT_EQUAL_FATAL(stoker_template_parse(source, strlen(source), "chatml", &t, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_profile_create(&profile, NULL), 0);
	pid = fork();
	if (!pid)
		_exit(use_in_child(&h, t, profile) & 255);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT(WIFEXITED(status) && !WEXITSTATUS(status));
	if (WIFEXITED(status) && WEXITSTATUS(status))
		printf("\n    line %d", WEXITSTATUS(status));
	stoker_profile_free(&profile);
	stoker_template_free(&t);
	demolish(&h);
}

/* What a state's callback may do, and what not. */
struct visitor {
	struct house *house;
	struct state_memory memory;
	bool of_sequence, frees;
	int calls;
};

static void misuse(struct visitor *v)
{
	struct house *h = v->house;

	v->calls++;
	if (v->of_sequence) {
		CU_ASSERT_EQUAL(step_of(h), -EBUSY);
		CU_ASSERT_EQUAL(stoker_sequence_truncate(h->sequence, 0, NULL), -EBUSY);
		CU_ASSERT_EQUAL(stoker_sequence_share(h->sequence, 1, NULL), -EBUSY);
		stoker_batch_cancel(h->batch); /* nothing is computed */
		if (v->frees)
			stoker_sequence_free(&h->sequence);
		return;
	}
	CU_ASSERT_EQUAL(stoker_session_eval(h->session, tokens, 1, STOKER_LOGITS_LAST, NULL),
			-EBUSY);
	CU_ASSERT_EQUAL(stoker_session_truncate(h->session, 0, NULL), -EBUSY);
	CU_ASSERT(stoker_session_position(h->session) <= 4);
	if (v->frees)
		stoker_session_free(&h->session);
}

static int visit_writing(void *user, const void *data, size_t bytes)
{
	struct visitor *v = user;

	if (!v->calls)
		misuse(v);
	return state_memory_write(&v->memory, data, bytes);
}

static int visit_reading(void *user, void *data, size_t bytes)
{
	struct visitor *v = user;

	if (!v->calls)
		misuse(v);
	return state_memory_read(&v->memory, data, bytes);
}

static void test_callbacks(void)
{
	for (int kind = 0; kind < 4; kind++) {
		struct house h;
		struct visitor v = { .house = &h,
				     .memory = state_memory_make(),
				     .of_sequence = kind & 1,
				     .frees = kind & 2 };
		int ret;

		build(&h);
		ret = v.of_sequence ? stoker_sequence_save(h.sequence, visit_writing, &v, NULL)
				    : stoker_session_save(h.session, visit_writing, &v, NULL);
		CU_ASSERT(ret == 0 && v.calls == 1);
		if (!v.frees) {
			v.calls = 0;
			if (v.of_sequence)
				stoker_sequence_truncate(h.sequence, 0, NULL);
			else
				stoker_session_truncate(h.session, 0, NULL);
			ret = v.of_sequence ? stoker_sequence_restore(h.sequence, visit_reading, &v,
								      v.memory.bytes, NULL)
					    : stoker_session_restore(h.session, visit_reading, &v,
								     v.memory.bytes, NULL);
			CU_ASSERT(ret == 0 && v.calls == 1);
		}
		free(v.memory.data);
		demolish(&h);
	}
}

static int stop_loading(void *user, uint64_t done, uint64_t total)
{
	*(uint64_t *)user = total;
	return done > 0;
}

/* Loading that is cancelled leaves nothing behind. */
static void test_cancelled_loading(void)
{
	uint64_t total = 0;
	const struct stoker_model_params params = { STOKER_MODEL_PARAMS_INIT,
						    .progress = stop_loading, .user = &total };
	struct stoker_device *device;
	struct stoker_model *model = (void *)1;

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(NULL, &device, NULL), 0);
	CU_ASSERT_EQUAL(stoker_model_load(device, DEMO, &params, &model, NULL), -ECANCELED);
	CU_ASSERT(total > 0 && !model);
	stoker_device_close(&device);
}

/* Files may have @limit bytes, which stands for a drive that is full. */
static int write_in_child(const struct house *h, const char *folder)
{
	const struct rlimit limit = { 4096, 4096 };
	const uint64_t shape[1] = { 32768 };
	struct stoker_gguf_writer *w;
	struct stoker_error err = { "" };
	static const float zeros[512];
	char path[100];
	int ret, kept;

	signal(SIGXFSZ, SIG_IGN);
	MUST(!setrlimit(RLIMIT_FSIZE, &limit));
	snprintf(path, sizeof(path), "%s/state", folder);
	ret = stoker_session_save_file(h->session, path, &err);
	MUST(ret == -EFBIG && *err.message && access(path, F_OK));
	MUST(stoker_session_position(h->session) == 4);
	MUST(!stoker_session_eval(h->session, tokens, 1, STOKER_LOGITS_LAST, NULL));
	snprintf(path, sizeof(path), "%s/file", folder);
	MUST(!stoker_gguf_writer_open(path, &w, NULL));
	ret = 0;
	stoker_gguf_writer_put_tensor(w, "a", stoker_format_by_name("F32"), 1, shape);
	for (size_t i = 0; i < 64 && !ret; i++)
		ret = stoker_gguf_writer_write(w, zeros, sizeof(zeros), &err);
	kept = stoker_gguf_writer_finish(&w, 1, &err);
	MUST((ret == -EFBIG || kept == -EFBIG) && kept < 0 && access(path, F_OK));
	return 0;
}

static void test_full_disk(void)
{
	char folder[] = "/tmp/stoker-full-XXXXXX";
	struct house h;
	int status = -1;
	pid_t pid;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	build(&h);
	CU_ASSERT_EQUAL(stoker_session_save(h.session, refuse_to_write, NULL, NULL), -ENOSPC);
	CU_ASSERT_EQUAL(stoker_sequence_save(h.sequence, refuse_to_write, NULL, NULL), -ENOSPC);
	CU_ASSERT_EQUAL(step_of(&h), 0);
	if (!FORKS) {
		skip("fork", "the thread sanitizer doesn't start threads in a forked process");
	} else {
		pid = fork();
		if (!pid)
			_exit(write_in_child(&h, folder) & 255);
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT(WIFEXITED(status) && !WEXITSTATUS(status));
		if (WIFEXITED(status) && WEXITSTATUS(status))
			printf("\n    line %d", WEXITSTATUS(status));
	}
	CU_ASSERT_EQUAL(rmdir(folder), 0); /* nothing is left in it */
	demolish(&h);
}

/* A device that is lost once it has loaded a model. */
static const struct stoker_device_ops *whole_ops;
static bool lost;

static int begin_or_fail(struct stoker_device *d, struct stoker_error *err)
{
	return lost ? stoker_fail(err, -EIO, "the device is lost") : whole_ops->begin(d, err);
}

static int status_of_request(struct stoker_engine *e)
{
	const struct stoker_request request = { STOKER_REQUEST_INIT, .tokens = tokens, .count = 4,
						.max_tokens = 2 };
	struct pollfd p = { .fd = stoker_engine_fd(e), .events = POLLIN };
	struct stoker_event event = { STOKER_EVENT_INIT };
	uint64_t id;

	CU_ASSERT_EQUAL_FATAL(stoker_engine_submit(e, &request, &id, NULL), 0);
	while (event.type != STOKER_EVENT_DONE) {
		CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 60000), 1);
		stoker_engine_event(e, &event);
	}
	if (event.status)
		CU_ASSERT_STRING_EQUAL(event.error.message, "the device is lost");
	return event.status;
}

static void test_lost_device(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						      .batch = 16 };
	const struct stoker_engine_params how = { STOKER_ENGINE_PARAMS_INIT, .session = &params };
	const struct stoker_generate_params two = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 2,
						    .ignore_end = 1 };
	struct stoker_generate_result r = { STOKER_GENERATE_RESULT_INIT };
	struct stoker_device_ops ops;
	struct stoker_engine *e;
	struct stoker_error err;
	struct house h;

	build(&h);
	CU_ASSERT_EQUAL_FATAL(stoker_engine_create(h.model, &how, &e, NULL), 0);
	whole_ops = h.device->ops;
	ops = *whole_ops;
	ops.begin = begin_or_fail;
	h.device->ops = &ops;
	lost = true;
	CU_ASSERT_EQUAL(stoker_session_generate(h.session, h.sampler, NULL, &two, &r, &err), -EIO);
	CU_ASSERT_STRING_EQUAL(err.message, "the device is lost");
	CU_ASSERT(r.finish == STOKER_FINISH_FAILED && r.token != STOKER_NO_TOKEN);
	CU_ASSERT_EQUAL(stoker_session_eval(h.session, tokens, 4, STOKER_LOGITS_LAST, NULL), -EIO);
	CU_ASSERT_EQUAL(stoker_session_position(h.session), 4);
	CU_ASSERT_PTR_NULL(stoker_session_logits(h.session, 0));
	CU_ASSERT_EQUAL(step_of(&h), -EIO);
	CU_ASSERT_EQUAL(stoker_sequence_position(h.sequence), 1);
	CU_ASSERT_PTR_NULL(stoker_batch_logits(h.batch, 0));
	CU_ASSERT_EQUAL(status_of_request(e), -EIO);
	/* one that comes back, as no real one does: nothing is damaged */
	lost = false;
	CU_ASSERT_EQUAL(stoker_session_eval(h.session, tokens, 4, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(step_of(&h), 0);
	CU_ASSERT_EQUAL(status_of_request(e), 0);
	lost = true; /* all of it is freed on one that is lost */
	stoker_engine_free(&e);
	h.device->ops = whole_ops;
	demolish(&h);
}

void suite_lifetimes(void)
{
	TEST(test_second_thread);
	TEST(test_forked);
	TEST(test_callbacks);
	TEST(test_cancelled_loading);
	TEST(test_full_disk);
	TEST(test_lost_device);
}
