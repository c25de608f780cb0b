// SPDX-License-Identifier: MIT
/*
 * What a program adds to sampling and hears of it: stages of its own, each token with its
 * probabilities; the vocabulary that a model keeps, models from descriptors, steps cut short.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "answers.h"
#include "session/probabilities.h"

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

enum { TOKENS = 8, MADE = 12 };

/* A stage that takes a token away, and counts how it is used. */
struct stage {
	uint32_t banned;
	int applied, accepted, begun, resets, clones, frees, ret;
	struct stoker_sampler *sampler; /* to be misused in apply */
	int busy;
};

static int apply(void *user, float *logits, uint32_t count)
{
	struct stage *s = user;

	s->applied++;
	if (s->sampler)
		s->busy = stoker_sampler_add(
			s->sampler,
			&(struct stoker_custom_stage){ STOKER_CUSTOM_STAGE_INIT, .apply = apply },
			NULL);
	if (s->banned < count)
		logits[s->banned] = -INFINITY;
	return s->ret;
}

static void accept(void *user, uint32_t token)
{
	(void)token;
	((struct stage *)user)->accepted++;
}

static void begin(void *user, const uint32_t *tokens, size_t count)
{
	(void)tokens;
	((struct stage *)user)->begun += (int)count;
}

static void reset(void *user)
{
	((struct stage *)user)->resets++;
}

static int clone_of(void *user, void **copy)
{
	struct stage *s = user;

	if (s->ret)
		return s->ret;
	s->clones++;
	*copy = s;
	return 0;
}

static void release(void *user)
{
	((struct stage *)user)->frees++;
}

static struct stoker_custom_stage stage_of(struct stage *s)
{
	return (struct stoker_custom_stage){ STOKER_CUSTOM_STAGE_INIT, .apply = apply,
					     .accept = accept,	       .begin = begin,
					     .reset = reset,	       .clone = clone_of,
					     .free = release,	       .user = s };
}

static void test_stages(void)
{
	const float logits[TOKENS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	const uint32_t prompt[3] = { 1, 2, 3 };
	struct stage best = { .banned = 7 }, second = { .banned = 6 };
	const struct stoker_custom_stage first_stage = stage_of(&best),
					 second_stage = stage_of(&second);
	struct stoker_sampler *s, *copy;
	struct stoker_error err;
	uint32_t token;

	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &s, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sampler_add(s, &first_stage, &err), 0);
	CU_ASSERT_EQUAL(stoker_sampler_add(s, &second_stage, &err), 0);
	best.sampler = s;
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, TOKENS, &token), 0);
	best.sampler = NULL;
	CU_ASSERT_EQUAL(best.busy, -EBUSY);
	CU_ASSERT(token == 5 && logits[7] == 7);
	CU_ASSERT(best.applied == 1 && second.applied == 1 && second.accepted == 1);
	stoker_sampler_accept(s, 3);
	stoker_sampler_begin(s, prompt, 3);
	stoker_sampler_reset(s);
	CU_ASSERT(best.accepted == 2 && best.begun == 3 && best.resets == 1);
	CU_ASSERT_EQUAL(stoker_sampler_clone(s, &copy, &err), 0);
	CU_ASSERT_EQUAL(stoker_sampler_sample(copy, logits, TOKENS, &token), 0);
	CU_ASSERT(token == 5 && best.clones == 1);
	stoker_sampler_free(&copy);
	CU_ASSERT(best.frees == 1 && second.frees == 1);
	/* what fails says so, and changes nothing */
	second.ret = -EPROTO;
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, TOKENS, &token), -EPROTO);
	CU_ASSERT_EQUAL(stoker_sampler_clone(s, &copy, &err), -EPROTO);
	CU_ASSERT_PTR_NULL(copy);
	CU_ASSERT(best.frees == 2 && second.frees == 1); /* of the copy that wasn't */
	second.ret = 1;
	CU_ASSERT_EQUAL(stoker_sampler_sample(s, logits, TOKENS, &token), -EINVAL);
	stoker_sampler_free(&s);
	CU_ASSERT(best.frees == 3 && second.frees == 2);
}

/* What fails is called what it is, whatever number it gives. */
static void test_names_of_failures(void)
{
	static const int failures[] = { 1, -EINVAL, -EDOM, -E2BIG, -ENOMEM, -EPROTO };
	struct stage stage = { .banned = UINT32_MAX };
	const struct stoker_custom_stage own = stage_of(&stage);
	struct stoker_generate_params how = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 1 };
	struct stoker_generate_result r = { STOKER_GENERATE_RESULT_INIT, .tokens = 5 };
	const uint32_t prompt[] = { 1, 2 };
	struct stoker_sampler *sampler;
	struct stoker_session *s;
	struct stoker_error err;

	engine_load(DEMO);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(engine_model, NULL, &s, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &sampler, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sampler_add(sampler, &own, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, prompt, 2, STOKER_LOGITS_LAST, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		stage.ret = failures[i];
		CU_ASSERT_EQUAL(stoker_session_generate(s, sampler, NULL, &how, &r, &err),
				failures[i] > 0 ? -EINVAL : failures[i]);
		CU_ASSERT_STRING_EQUAL(err.message, "a stage of the program's failed");
	}
	/* a result is filled in whatever is wrong with the rest */
	how.size = 0;
	r = (struct stoker_generate_result){ STOKER_GENERATE_RESULT_INIT, .tokens = 5 };
	CU_ASSERT_EQUAL(stoker_session_generate(s, sampler, NULL, &how, &r, &err), -EINVAL);
	CU_ASSERT(r.finish == STOKER_FINISH_FAILED && !r.tokens && r.token == STOKER_NO_TOKEN);
	stoker_sampler_free(&sampler);
	stoker_session_free(&s);
	engine_unload();
}

static struct stoker_sampler *given_up;

static void give_up(void *user)
{
	stoker_sampler_free(&given_up);
	CU_ASSERT_EQUAL(((struct stage *)user)->frees, 0);
}

static void give_up_token(void *user, uint32_t token)
{
	(void)token;
	give_up(user);
}

static void give_up_prompt(void *user, const uint32_t *tokens, size_t count)
{
	(void)tokens;
	(void)count;
	give_up(user);
}

/* A sampler that a stage frees goes when the call that the stage is in returns. */
static void test_freed_by_a_stage(void)
{
	const uint32_t prompt = 1;

	for (int i = 0; i < 3; i++) {
		struct stage s = { .banned = UINT32_MAX };
		struct stoker_custom_stage own = stage_of(&s);

		own.reset = give_up;
		own.accept = give_up_token;
		own.begin = give_up_prompt;
		CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &given_up, NULL), 0);
		CU_ASSERT_EQUAL(stoker_sampler_add(given_up, &own, NULL), 0);
		if (i == 0)
			stoker_sampler_reset(given_up);
		else if (i == 1)
			stoker_sampler_accept(given_up, prompt);
		else
			stoker_sampler_begin(given_up, &prompt, 1);
		CU_ASSERT_PTR_NULL(given_up);
		CU_ASSERT_EQUAL(s.frees, 1);
	}
}

static void test_bad_stages(void)
{
	struct stage all = { .banned = UINT32_MAX };
	struct stoker_custom_stage stage = stage_of(&all);
	struct stoker_sampler *s, *copy;
	struct stoker_error err;

	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &s, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sampler_add(NULL, &stage, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_sampler_add(s, NULL, &err), -EINVAL);
	stage.apply = NULL;
	CU_ASSERT_EQUAL(stoker_sampler_add(s, &stage, &err), -EINVAL);
	stage = stage_of(&all);
	stage.size = 0;
	CU_ASSERT_EQUAL(stoker_sampler_add(s, &stage, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "STOKER_CUSTOM_STAGE_INIT"));
	stage = stage_of(&all);
	stage.clone = NULL;
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(stoker_sampler_add(s, &stage, &err), 0);
	CU_ASSERT_EQUAL(stoker_sampler_add(s, &stage, &err), -ENOSPC);
	CU_ASSERT_EQUAL(stoker_sampler_clone(s, &copy, &err), -ENOTSUP);
	CU_ASSERT_EQUAL(all.frees, 0);
	stoker_sampler_free(&s);
	CU_ASSERT_EQUAL(all.frees, 8);
}

/* What generating tells of its tokens. */
struct heard {
	uint32_t tokens[MADE + 1];
	float chances[MADE + 1];
	uint32_t count, stop_at;
	size_t bytes;
};

static int hear(void *user, const struct stoker_generated *t)
{
	struct heard *h = user;

	if (h->count <= MADE) {
		h->tokens[h->count] = t->token;
		h->chances[h->count] = t->log_probability;
	}
	CU_ASSERT_EQUAL(t->top_count, 3);
	CU_ASSERT(t->top[0].token == t->token && t->top[0].log_probability == t->log_probability);
	CU_ASSERT(t->top[1].log_probability <= t->top[0].log_probability);
	return ++h->count == h->stop_at;
}

static int hear_text(void *user, const char *utf8, size_t bytes)
{
	(void)utf8;
	((struct heard *)user)->bytes += bytes;
	return 0;
}

/* Each token is told of, as the context has it in the end, and as the engine tells of it. */
static void test_generated(void)
{
	static struct answer a;
	struct heard h = { .count = 0 };
	struct stoker_generate_params how = {
		STOKER_GENERATE_PARAMS_INIT, .max_tokens = MADE, .ignore_end = 1,
		.text = hear_text,	     .token = hear,	 .user = &h,
		.log_probabilities = 1,	     .top_count = 3
	};
	struct stoker_generate_result r = { STOKER_GENERATE_RESULT_INIT };
	struct stoker_engine *e;
	struct stoker_session *s;
	struct stoker_sampler *sampler;
	const uint32_t *tokens;
	size_t count;

	engine_load(DEMO);
	answer_make(&a, 9, MADE);
	CU_ASSERT_EQUAL_FATAL(stoker_session_create(engine_model, NULL, &s, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sampler_create(NULL, &sampler, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_eval(s, a.prompt, 9, STOKER_LOGITS_LAST, NULL), 0);
	CU_ASSERT_EQUAL(stoker_session_generate(s, sampler, NULL, &how, &r, NULL), 0);
	tokens = stoker_session_tokens(s, &count);
	CU_ASSERT(h.count == MADE && count == 9 + MADE);
	CU_ASSERT(!memcmp(tokens + 9, h.tokens, MADE * sizeof(*tokens)));

	e = engine_open(1, 1, false);
	CU_ASSERT_EQUAL(answer_submit(e, &a, NULL), 0);
	answers_finish(e, &a, 1);
	stoker_engine_free(&e);
	CU_ASSERT_EQUAL(a.told, MADE);
	CU_ASSERT(!memcmp(a.tokens, h.tokens, MADE * sizeof(*a.tokens)));
	for (size_t i = 0; i < MADE; i++)
		CU_ASSERT_DOUBLE_EQUAL(a.chances[i], h.chances[i], 1e-3);

	/* a token asks to stop: it's in the context, with its text */
	h = (struct heard){ .stop_at = 2 };
	CU_ASSERT_EQUAL(stoker_session_generate(s, sampler, NULL, &how, &r, NULL), 0);
	CU_ASSERT(r.finish == STOKER_FINISH_CALLER && r.tokens == 2 && h.count == 2);
	CU_ASSERT_EQUAL(stoker_session_position(s), 9 + MADE + 2);
	how.top_count = STOKER_TOP_MAX + 1;
	CU_ASSERT_EQUAL(stoker_session_generate(s, sampler, NULL, &how, &r, NULL), -EINVAL);
	stoker_sampler_free(&sampler);
	stoker_session_free(&s);
	engine_unload();
}

/* What is infinite has all of the probability, and where nothing is finite nothing has any. */
static void test_infinite_logits(void)
{
	const float one[] = { 1, INFINITY, 2, NAN }, none[] = { -INFINITY, -INFINITY };
	struct stoker_token_probability p[3];

	note_probabilities(one, 4, 1, p, 2);
	CU_ASSERT(p[0].log_probability == 0 && p[1].token == 1 && p[1].log_probability == 0);
	CU_ASSERT(p[2].token == 2 && p[2].log_probability == -INFINITY);
	note_probabilities(one, 4, 0, p, 0);
	CU_ASSERT(p[0].log_probability == -INFINITY);
	note_probabilities(one, 4, 3, p, 0);
	CU_ASSERT(p[0].log_probability == -INFINITY);
	note_probabilities(none, 2, 1, p, 2);
	CU_ASSERT(p[0].log_probability == -INFINITY && !count_probabilities(p, 2));
}

/* The engine's thread runs them; those of requests that aren't taken stay the caller's. */
static void test_engine_stages(void)
{
	static struct answer a, b;
	struct stage ban = { .banned = UINT32_MAX };
	struct stoker_custom_stage stage;
	struct stoker_request request = { STOKER_REQUEST_INIT, .stages = &stage,
					  .stage_size = sizeof(stage), .stage_count = 1 };
	struct stoker_error err;
	struct stoker_engine *e;

	engine_load_tiny(&engine_plain);
	e = engine_open(1, 1, false);
	answer_make(&a, 5, 4);
	CU_ASSERT_EQUAL(answer_submit(e, &a, NULL), 0);
	answers_finish(e, &a, 1);
	ban.banned = a.tokens[0];
	stage = stage_of(&ban);
	b = a;
	b.told = 0;
	b.done = (struct stoker_event){ STOKER_EVENT_INIT };
	request.tokens = a.prompt;
	request.count = a.count;
	request.max_tokens = 4;
	request.log_probabilities = 1;
	request.top_count = TOP;
	CU_ASSERT_EQUAL_FATAL(stoker_engine_submit(e, &request, &b.id, &err), 0);
	while (!b.done.id) {
		struct stoker_event event = { STOKER_EVENT_INIT };

		if (stoker_engine_event(e, &event)) {
			usleep(1000);
			continue;
		}
		if (event.type == STOKER_EVENT_DONE)
			b.done = event;
		else
			b.tokens[b.told++] = event.token;
	}
	CU_ASSERT(b.told == 4 && ban.applied >= 4 && ban.begun == 5);
	for (uint32_t i = 0; i < b.told; i++)
		CU_ASSERT_NOT_EQUAL(b.tokens[i], ban.banned);
	CU_ASSERT_EQUAL(ban.frees, 1);
	/* a list whose items are smaller than what is in them */
	request.stage_size = sizeof(size_t);
	CU_ASSERT_EQUAL(stoker_engine_submit(e, &request, &b.id, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "in a list of 8 each"));
	request.stage_size = sizeof(stage);
	/* one that is refused: by its arguments, and by its second stage */
	request.count = CONTEXT;
	CU_ASSERT_EQUAL(stoker_engine_submit(e, &request, &b.id, &err), -ENOSPC);
	request.count = 5;
	request.stage_size = 0;
	CU_ASSERT_EQUAL(stoker_engine_submit(e, &request, &b.id, &err), -EINVAL);
	request.stages = (struct stoker_custom_stage[]){ stage, { STOKER_CUSTOM_STAGE_INIT } };
	request.stage_size = sizeof(stage);
	request.stage_count = 2;
	CU_ASSERT_EQUAL(stoker_engine_submit(e, &request, &b.id, &err), -EINVAL);
	CU_ASSERT_EQUAL(ban.frees, 1);
	stoker_engine_free(&e);
	engine_unload();
}

/* An engine's last call may be one of its requests' stages. */
struct last_call {
	struct stoker_engine *engine;
	_Atomic int applied, frees;
};

static int free_engine(void *user, float *logits, uint32_t count)
{
	struct last_call *l = user;

	(void)logits;
	(void)count;
	atomic_fetch_add(&l->applied, 1);
	stoker_engine_free(&l->engine);
	return 0;
}

static void count_free(void *user)
{
	atomic_fetch_add(&((struct last_call *)user)->frees, 1);
}

static void test_engine_freed_by_a_stage(void)
{
	const uint32_t prompt[] = { 1, 2, 3 };
	struct last_call l = { .engine = NULL };
	const struct stoker_custom_stage stage = { STOKER_CUSTOM_STAGE_INIT, .apply = free_engine,
						   .free = count_free, .user = &l };
	const struct stoker_request request = { STOKER_REQUEST_INIT, .tokens = prompt,
						.count = 3,	     .max_tokens = 4,
						.stages = &stage,    .stage_size = sizeof(stage),
						.stage_count = 1 };
	uint64_t id;

	engine_load_tiny(&engine_plain);
	l.engine = engine_open(1, 1, false);
	CU_ASSERT_EQUAL_FATAL(stoker_engine_submit(l.engine, &request, &id, NULL), 0);
	for (int i = 0; i < 10000 && !atomic_load(&l.frees); i++)
		usleep(1000);
	CU_ASSERT(atomic_load(&l.applied) == 1 && atomic_load(&l.frees) == 1);
	CU_ASSERT_PTR_NULL(l.engine);
	engine_unload();
}

static void *ask_for_vocabulary(void *model)
{
	const struct stoker_vocabulary *v = NULL;

	CU_ASSERT_EQUAL(stoker_model_vocabulary(model, &v, NULL), 0);
	return (void *)v;
}

/* Whoever asks first, all get the same; the model came from a descriptor that is closed. */
static void test_what_a_model_keeps(void)
{
	const int fd = open(DEMO, O_RDONLY | O_CLOEXEC);
	const struct stoker_vocabulary *v;
	struct stoker_device *device;
	struct stoker_model *model;
	pthread_t threads[4];
	void *got[4];

	CU_ASSERT_EQUAL_FATAL(stoker_device_open(NULL, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load_fd(device, fd, NULL, &model, NULL), 0);
	close(fd);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, ask_for_vocabulary, model),
				      0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], &got[i]);
	CU_ASSERT_EQUAL_FATAL(stoker_model_vocabulary(model, &v, NULL), 0);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_PTR_EQUAL(got[i], v);
	CU_ASSERT(stoker_vocabulary_size(v) > 0);
	CU_ASSERT_PTR_NOT_NULL(stoker_gguf_find(stoker_model_gguf(model), "general.architecture"));
	stoker_model_free(&model);
	CU_ASSERT_EQUAL(stoker_model_load_fd(device, -1, NULL, &model, NULL), -EBADF);
	CU_ASSERT_PTR_NULL(model);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, DEMO, NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL(stoker_model_vocabulary(model, NULL, NULL), -EINVAL);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

struct canceller {
	struct stoker_batch *batch;
	_Atomic bool over;
};

static void *cancel_again_and_again(void *user)
{
	struct canceller *c = user;

	while (!atomic_load(&c->over))
		stoker_batch_cancel(c->batch);
	return NULL;
}

/* A step ends early, and the sequence goes on as if it hadn't begun. */
static void test_cancelled_steps(void)
{
	const struct stoker_session_params params = { STOKER_SESSION_PARAMS_INIT, .context = 64,
						      .batch = 64 };
	uint32_t tokens[48];
	struct canceller c = { .over = false };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_sequence *q;
	struct stoker_batch_part part;
	pthread_t thread;
	int cancelled = 0;

	for (uint32_t i = 0; i < ARRAY_SIZE(tokens); i++)
		tokens[i] = 5 + i;
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(NULL, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, DEMO, NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, &params, &c.batch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(c.batch, &q, NULL), 0);
	part = (struct stoker_batch_part){
		.sequence = q, .tokens = tokens, .count = 48, .logits = STOKER_LOGITS_LAST
	};
	stoker_batch_cancel(NULL);
	stoker_batch_cancel(c.batch); /* nothing is going on */
	CU_ASSERT_EQUAL(stoker_batch_eval(c.batch, &part, sizeof(part), 1, NULL), 0);
	CU_ASSERT_EQUAL(stoker_sequence_truncate(q, 0, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, cancel_again_and_again, &c), 0);
	for (int i = 0; i < 200 && !cancelled; i++) {
		const int ret = stoker_batch_eval(c.batch, &part, sizeof(part), 1, NULL);

		CU_ASSERT(!ret || ret == -ECANCELED);
		CU_ASSERT_EQUAL(stoker_sequence_position(q), ret ? 0 : 48);
		CU_ASSERT(!ret || !stoker_batch_logits(c.batch, 0));
		cancelled += ret == -ECANCELED;
		CU_ASSERT_EQUAL(stoker_sequence_truncate(q, 0, NULL), 0);
	}
	atomic_store(&c.over, true);
	pthread_join(thread, NULL);
	CU_ASSERT(cancelled);
	CU_ASSERT_EQUAL(stoker_batch_eval(c.batch, &part, sizeof(part), 1, NULL), 0);
	stoker_sequence_free(&q);
	stoker_batch_free(&c.batch);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

void suite_custom(void)
{
	TEST(test_stages);
	TEST(test_names_of_failures);
	TEST(test_freed_by_a_stage);
	TEST(test_bad_stages);
	TEST(test_generated);
	TEST(test_infinite_logits);
	TEST(test_engine_stages);
	TEST(test_engine_freed_by_a_stage);
	TEST(test_what_a_model_keeps);
	TEST(test_cancelled_steps);
}
