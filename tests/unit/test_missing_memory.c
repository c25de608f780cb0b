// SPDX-License-Identifier: MIT
/*
 * Memory that is missing, at each allocation once, while programs make what they make: a call fails
 * with -ENOMEM, leaves nothing behind, and the next one succeeds.
 */
#include <fcntl.h>
#include <unistd.h>

#include "answers.h"
#include "failing.h"

#define DEMO "tools/demo-model/stoker-demo-Q4_K.gguf"

static int frees;

static int leave_as_it_is(void *user, float *logits, uint32_t count)
{
	(void)user;
	(void)logits;
	(void)count;
	return 0;
}

static int copy_stage(void *user, void **copy)
{
	*copy = user;
	return 0;
}

static void count_free(void *user)
{
	++*(int *)user;
}

static const struct stoker_custom_stage stage = { STOKER_CUSTOM_STAGE_INIT, .apply = leave_as_it_is,
						  .clone = copy_stage, .free = count_free,
						  .user = &frees };

static int use_device(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .threads = 1,
						     .cache_folder = "/nonexistent" };
	struct stoker_device_info *list;
	struct stoker_device *d;
	size_t count;
	int ret = stoker_device_open(&params, &d, NULL);

	stoker_device_close(&d);
	if (!ret)
		ret = stoker_device_list(sizeof(list->name), &list, &count, NULL);
	if (!ret)
		stoker_free(list);
	return ret;
}

static int use_model(void)
{
	const int fd = open(DEMO, O_RDONLY | O_CLOEXEC);
	const struct stoker_vocabulary *v;
	struct stoker_model *m;
	struct stoker_error err = { "" };
	int ret = stoker_model_load_fd(engine_device, fd, NULL, &m, &err);

	close(fd);
	if (!ret)
		ret = stoker_model_vocabulary(m, &v, &err);
	if (ret && ret != -ENOMEM)
		printf("\n    %s", err.message);
	stoker_model_free(&m);
	return ret;
}

static int use_sampler(void)
{
	static const float logits[64];
	const struct stoker_sampler_params params = { STOKER_SAMPLER_PARAMS_INIT,
						      .temperature = 1 };
	struct stoker_sampler *s, *copy = NULL;
	uint32_t token;
	int ret = stoker_sampler_create(&params, &s, NULL), added = 0;

	frees = 0;
	if (!ret)
		ret = stoker_sampler_add(s, &stage, NULL);
	added += s && !ret;
	if (!ret)
		ret = stoker_sampler_clone(s, &copy, NULL);
	added += copy != NULL;
	if (!ret)
		ret = stoker_sampler_sample(copy, logits, ARRAY_SIZE(logits), &token);
	stoker_sampler_free(&s);
	stoker_sampler_free(&copy);
	CU_ASSERT_EQUAL(frees, added);
	return ret;
}

static int use_generate(void)
{
	const struct stoker_generate_params how = { STOKER_GENERATE_PARAMS_INIT, .max_tokens = 2,
						    .log_probabilities = 1, .top_count = 3 };
	struct stoker_generate_result result = { STOKER_GENERATE_RESULT_INIT };
	const uint32_t prompt[] = { 5, 6 };
	struct stoker_sampler *sampler = NULL;
	struct stoker_session *s;
	int ret = stoker_session_create(engine_model, NULL, &s, NULL);

	if (!ret)
		ret = stoker_sampler_create(NULL, &sampler, NULL);
	if (!ret)
		ret = stoker_sampler_add(sampler, &stage, NULL);
	if (!ret)
		ret = stoker_session_eval(s, prompt, 2, STOKER_LOGITS_LAST, NULL);
	if (!ret) {
		ret = stoker_session_generate(s, sampler, NULL, &how, &result, NULL);
		CU_ASSERT_EQUAL(result.finish == STOKER_FINISH_FAILED, ret != 0);
	}
	stoker_sampler_free(&sampler);
	stoker_session_free(&s);
	return ret;
}

static struct stoker_engine *engine;

/* The stages of a request that isn't taken aren't freed. */
static int use_request(void)
{
	const uint32_t prompt[] = { 5, 6, 7 };
	const struct stoker_custom_stage stages[2] = { stage, stage };
	const struct stoker_request request = { STOKER_REQUEST_INIT,
						.tokens = prompt,
						.count = 3,
						.max_tokens = 1,
						.log_probabilities = 1,
						.stages = stages,
						.stage_size = sizeof(stages[0]),
						.stage_count = 2 };
	struct stoker_event event = { STOKER_EVENT_INIT };
	uint64_t id;
	bool failed;
	int ret;

	frees = 0;
	ret = stoker_engine_submit(engine, &request, &id, NULL);
	CU_ASSERT(!ret || !frees);
	if (ret)
		return ret;
	failed = failing_end(); /* of the engine's thread */
	while (event.type != STOKER_EVENT_DONE)
		if (stoker_engine_event(engine, &event))
			usleep(500);
	CU_ASSERT_EQUAL(frees, 2);
	return failed ? -ENOMEM : 0;
}

static int use_template(void)
{
	static const char source[] =
		"{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}";
	const struct stoker_message messages[] = { { .role = "user", .content = "a" } };
	const struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
						     .messages = messages,
						     .message_size = sizeof(messages[0]),
						     .count = 1 };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct stoker_template *t;
	int ret = stoker_template_parse(source, strlen(source), "test", &t, NULL);

	if (!ret)
		ret = stoker_template_render(t, NULL, &input, &prompt, NULL);
	stoker_prompt_free(&prompt);
	stoker_template_free(&t);
	return ret;
}

/* @least: allocations that there are. */
static void fail_each(int (*use)(void), unsigned least)
{
	bool more = true;
	unsigned n = 0;

	for (; more; n++) {
		failing_after(n);
		const int ret = use();

		more = failing_end() || ret;
		CU_ASSERT(!ret || ret == -ENOMEM);
		if (ret && ret != -ENOMEM) {
			printf("\n    allocation %u: %d", n, ret);
			break;
		}
	}
	CU_ASSERT(n > least);
}

static void test_devices(void)
{
	fail_each(use_device, 2);
}

static void test_models(void)
{
	engine_load(DEMO);
	fail_each(use_model, 20);
	engine_unload();
}

static void test_sampling(void)
{
	fail_each(use_sampler, 4);
	engine_load(DEMO);
	fail_each(use_generate, 8);
	engine_unload();
}

static void test_requests(void)
{
	engine_load_tiny(&engine_plain);
	engine = engine_open(1, 1, false);
	fail_each(use_request, 4);
	stoker_engine_free(&engine);
	engine_unload();
}

static void test_templates(void)
{
	fail_each(use_template, 2);
}

void suite_missing_memory(void)
{
	TEST(test_devices);
	TEST(test_models);
	TEST(test_sampling);
	TEST(test_requests);
	TEST(test_templates);
}
