// SPDX-License-Identifier: MIT
/* See answers.h. */
#include "answers.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "device/device.h"
#include "session/step.h"

enum { WAIT_MS = 60000 };

const struct tiny engine_plain = { .architecture = "llama", .layers = 2 };

struct stoker_device *engine_device;
struct stoker_model *engine_model;
uint32_t engine_vocabulary;

static const struct stoker_device_ops *own_ops;
static struct stoker_device_ops gated_ops;
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed;
	unsigned waiting, passed, until;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static bool gate_holds(void)
{
	return gate.closed && gate.passed >= gate.until;
}

static int gated_submit(struct stoker_device *d, struct stoker_recording **keep,
			struct stoker_error *err)
{
	pthread_mutex_lock(&gate.lock);
	gate.waiting++;
	pthread_cond_broadcast(&gate.changed);
	while (gate_holds())
		pthread_cond_wait(&gate.changed, &gate.lock);
	gate.waiting--;
	gate.passed++;
	pthread_mutex_unlock(&gate.lock);
	return own_ops->submit(d, keep, err);
}

static void set_gate(bool closed, unsigned steps)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = closed;
	gate.until = gate.passed + steps;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

void engine_gate(bool closed)
{
	set_gate(closed, 0);
}

void engine_gate_behind(unsigned steps)
{
	set_gate(true, steps);
}

void engine_wait_for_step(void)
{
	pthread_mutex_lock(&gate.lock);
	while (!gate.waiting || !gate_holds())
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

void engine_load(const char *path)
{
	engine_load_on("cpu", path);
}

void engine_load_on(const char *device, const char *path)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = device,
						     .threads = 2 };
	struct stoker_model_info info = { STOKER_MODEL_INFO_INIT };

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &engine_device, NULL), 0);
	own_ops = engine_device->ops;
	gated_ops = *own_ops;
	gated_ops.submit = gated_submit;
	engine_device->ops = &gated_ops;
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(engine_device, path, NULL, &engine_model, NULL), 0);
	stoker_model_info(engine_model, &info);
	engine_vocabulary = info.vocabulary;
}

void engine_load_tiny(const struct tiny *tiny)
{
	tiny_write(tiny_path(), tiny);
	engine_load(tiny_path());
	unlink(tiny_path());
}

void engine_unload(void)
{
	stoker_model_free(&engine_model);
	engine_device->ops = own_ops;
	stoker_device_close(&engine_device);
}

static struct stoker_engine *open_with(const struct stoker_engine_params *params)
{
	struct stoker_engine *e;
	struct stoker_error err;

	if (stoker_engine_create(engine_model, params, &e, &err)) {
		printf("\n    %s", err.message);
		CU_FAIL_FATAL("no engine");
	}
	return e;
}

struct stoker_engine *engine_open(uint32_t sequences, uint32_t queue, bool deterministic)
{
	const struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT,
						       .context = CONTEXT, .batch = STEP,
						       .sequences = sequences,
						       .deterministic = deterministic };
	const struct stoker_engine_params params = { STOKER_ENGINE_PARAMS_INIT, .session = &session,
						     .queue = queue };

	return open_with(&params);
}

struct stoker_engine *engine_open_tight(uint32_t sequences, uint32_t full, bool deterministic)
{
	struct stoker_session_params session = { STOKER_SESSION_PARAMS_INIT, .context = CONTEXT,
						 .batch = STEP, .sequences = sequences,
						 .deterministic = deterministic };
	const struct stoker_engine_params params = { STOKER_ENGINE_PARAMS_INIT,
						     .session = &session };
	struct stoker_session_params fewer = session;
	struct step s;

	fewer.sequences = full;
	CU_ASSERT_EQUAL_FATAL(step_create(engine_model, &fewer, true, &s, NULL), 0);
	session.cache_bytes = s.pages.bound;
	step_destroy(&s);
	return open_with(&params);
}

void answer_make(struct answer *a, uint32_t count, uint32_t max_tokens)
{
	*a = (struct answer){ .count = count,
			      .max_tokens = max_tokens,
			      .sampling = { STOKER_SAMPLER_PARAMS_INIT },
			      .done = { STOKER_EVENT_INIT } };
	for (uint32_t i = 0; i < count; i++)
		a->prompt[i] = random_u32() % MIN(engine_vocabulary, 200u);
}

int answer_submit(struct stoker_engine *e, struct answer *a, struct stoker_error *err)
{
	const struct stoker_request request = {
		STOKER_REQUEST_INIT,	     .tokens = a->prompt,     .count = a->count,
		.max_tokens = a->max_tokens, .priority = a->priority, .salt = a->salt,
		.sampling = &a->sampling,    .log_probabilities = 1,  .top_count = TOP
	};

	a->told = 0;
	a->done = (struct stoker_event){ STOKER_EVENT_INIT, .id = 0 };
	return stoker_engine_submit(e, &request, &a->id, err);
}

bool answer_take(struct stoker_engine *e, struct answer *answers, size_t count)
{
	struct pollfd p = { .fd = stoker_engine_fd(e), .events = POLLIN };
	struct stoker_event event = { STOKER_EVENT_INIT };

	if (poll(&p, 1, WAIT_MS) != 1 || stoker_engine_event(e, &event)) {
		CU_FAIL("no event");
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct answer *a = &answers[i];

		if (a->id != event.id)
			continue;
		CU_ASSERT(!a->done.id && a->told < CONTEXT);
		if (event.type == STOKER_EVENT_DONE) {
			a->done = event;
			CU_ASSERT_EQUAL(event.timings.generated, a->told);
			return true;
		}
		CU_ASSERT(event.top_count == MIN((uint32_t)TOP, engine_vocabulary));
		CU_ASSERT(event.top[0].log_probability >= event.log_probability);
		a->chances[a->told] = event.log_probability;
		a->tokens[a->told++] = event.token;
		return true;
	}
	CU_FAIL("an event of nobody");
	return false;
}

void answers_finish(struct stoker_engine *e, struct answer *answers, size_t count)
{
	size_t left = count;

	while (left) {
		if (!answer_take(e, answers, count))
			return;
		left = 0;
		for (size_t i = 0; i < count; i++)
			left += !answers[i].done.id;
	}
}

void answer_check_alike(const struct answer *a, const struct answer *b)
{
	CU_ASSERT_EQUAL_FATAL(a->told, b->told);
	CU_ASSERT(!memcmp(a->tokens, b->tokens, a->told * sizeof(*a->tokens)));
	CU_ASSERT(!memcmp(a->chances, b->chances, a->told * sizeof(*a->chances)));
	CU_ASSERT_EQUAL(a->done.finish, b->done.finish);
	CU_ASSERT_EQUAL(b->done.status, 0);
}
