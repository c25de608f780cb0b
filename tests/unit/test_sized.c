// SPDX-License-Identifier: MIT
/*
 * Programs that are older or newer than the library: structs with fewer members, with more, and
 * without a size.
 */
#include "tiny.h"

#include <unistd.h>

#include "base/sized.h"

#define PLAIN "tests/data/containers/plain.gguf"

/* As a program has it that was built with the next version. */
#define NEWER(type)                       \
	struct {                          \
		struct stoker_##type own; \
		uint64_t more;            \
	}

static bool mentions(const struct stoker_error *err, const char *text)
{
	if (strstr(err->message, text))
		return true;
	printf("\n    \"%s\" isn't in \"%s\"", text, err->message);
	return false;
}

static void test_taking(void)
{
	struct small {
		size_t size;
		uint32_t a, b;
	} own, given = { sizeof(given), 1, 2 };
	struct {
		struct small own;
		uint64_t more;
	} newer = { { sizeof(newer), 1, 2 }, 0 };
	struct stoker_error err = { "" };

	CU_ASSERT_EQUAL(sized_take(&own, sizeof(own), NULL, "INIT", &err), 0);
	CU_ASSERT(!own.size && !own.a && !own.b);
	CU_ASSERT_EQUAL(sized_take(&own, sizeof(own), &given, "INIT", &err), 0);
	CU_ASSERT(own.a == 1 && own.b == 2);
	given.size = offsetof(struct small, b);
	CU_ASSERT_EQUAL(sized_take(&own, sizeof(own), &given, "INIT", &err), 0);
	CU_ASSERT(own.a == 1 && own.b == 0);
	CU_ASSERT_EQUAL(sized_take(&own, sizeof(own), &newer, "INIT", &err), 0);
	CU_ASSERT(own.a == 1 && own.b == 2);
	newer.more = (uint64_t)1 << 56;
	CU_ASSERT_EQUAL(sized_take(&own, sizeof(own), &newer, "STOKER_X_INIT", &err), -E2BIG);
	CU_ASSERT(mentions(&err, "STOKER_X_INIT has 24 bytes, this library knows 16"));
	for (size_t i = 0; i < 6; i++) {
		given.size = (size_t[]){ 0,
					 sizeof(size_t) - 1,
					 sizeof(size_t) + 1,
					 sizeof(given) + 2,
					 SIZED_MAX + 4,
					 SIZE_MAX - 3 }[i];
		CU_ASSERT_EQUAL(sized_take(&own, sizeof(own), &given, "STOKER_X_INIT", &err),
				-EINVAL);
		CU_ASSERT(mentions(&err, "{ STOKER_X_INIT }"));
	}
}

static void test_giving(void)
{
	struct {
		size_t size;
		uint64_t a, b;
	} own = { 77, 1, 2 }, to = { offsetof(__typeof__(to), b), 8, 9 };

	sized_give(&to, &own, sizeof(own));
	CU_ASSERT(to.size == 16 && to.a == 1 && to.b == 9);
	to.size = sizeof(to);
	sized_give(&to, &own, offsetof(__typeof__(to), b));
	CU_ASSERT(to.size == sizeof(to) && to.a == 1 && to.b == 0);
	CU_ASSERT_EQUAL(sized_check(NULL, "INIT", NULL), -EINVAL);
}

/* Each public struct, once without its size. */
static void test_unsized(void)
{
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_session *session;
	struct stoker_batch *batch;
	struct stoker_engine *engine;
	struct stoker_sampler *sampler;
	struct stoker_error err;
	struct stoker_model_info info = { 0 };
	struct stoker_model_paging paging = { 0 };
	struct stoker_sampler_params sampling = { 0 };

#define UNSIZED(call, init)                       \
	do {                                      \
		CU_ASSERT_EQUAL(call, -EINVAL);   \
		CU_ASSERT(mentions(&err, #init)); \
	} while (0)

	UNSIZED(stoker_device_open(&(struct stoker_device_params){ .threads = 1 }, &device, &err),
		STOKER_DEVICE_PARAMS_INIT);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(NULL, &device, &err), 0);
	UNSIZED(stoker_model_load(device, PLAIN, &(struct stoker_model_params){ .memory = 0 },
				  &model, &err),
		STOKER_MODEL_PARAMS_INIT);
	UNSIZED(stoker_model_load(device, PLAIN,
				  &(struct stoker_model_params){
					  STOKER_MODEL_PARAMS_INIT,
					  .session =
						  &(struct stoker_session_params){ .batch = 1 } },
				  &model, &err),
		STOKER_SESSION_PARAMS_INIT);
	tiny_write(tiny_path(), &(struct tiny){ .architecture = "llama", .layers = 1 });
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, tiny_path(), NULL, &model, &err), 0);
	unlink(tiny_path());
	CU_ASSERT_EQUAL(stoker_model_info(model, &info), -EINVAL);
	CU_ASSERT_EQUAL(stoker_model_paging(model, &paging), -EINVAL);
	UNSIZED(stoker_session_create(model, &(struct stoker_session_params){ .batch = 1 },
				      &session, &err),
		STOKER_SESSION_PARAMS_INIT);
	UNSIZED(stoker_batch_create(model, &(struct stoker_session_params){ .batch = 1 }, &batch,
				    &err),
		STOKER_SESSION_PARAMS_INIT);
	UNSIZED(stoker_engine_create(model, &(struct stoker_engine_params){ .queue = 1 }, &engine,
				     &err),
		STOKER_ENGINE_PARAMS_INIT);
	UNSIZED(stoker_sampler_create(&sampling, &sampler, &err), STOKER_SAMPLER_PARAMS_INIT);
	CU_ASSERT_EQUAL(stoker_sampler_defaults(&sampling), -EINVAL);
#undef UNSIZED
	stoker_model_free(&model);
	stoker_device_close(&device);
}

/* What a newer program asks for that this library has, it gets. */
static void test_newer_programs(void)
{
	NEWER(device_params) how = { { STOKER_DEVICE_PARAMS_INIT, .threads = 1 }, 0 };
	NEWER(model_info) info = { { STOKER_MODEL_INFO_INIT }, 5 };
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_error err = { "" };

	how.own.size = sizeof(how);
	info.own.size = sizeof(info);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&how.own, &device, &err), 0);
	tiny_write(tiny_path(), &(struct tiny){ .architecture = "llama", .layers = 1 });
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, tiny_path(), NULL, &model, &err), 0);
	unlink(tiny_path());
	CU_ASSERT_EQUAL(stoker_model_info(model, &info.own), 0);
	CU_ASSERT(info.own.size == sizeof(info) && info.own.layers && !info.more);
	stoker_model_free(&model);
	stoker_device_close(&device);
	how.more = 1;
	CU_ASSERT_EQUAL(stoker_device_open(&how.own, &device, &err), -E2BIG);
	CU_ASSERT(mentions(&err, "STOKER_DEVICE_PARAMS_INIT"));
}

/* Lists with smaller and larger items than the library's. */
static void test_items(void)
{
	struct larger {
		struct stoker_device_info info;
		uint64_t more;
	};
	struct stoker_device_info *list, *large;
	size_t count, others;
	char *names;

	CU_ASSERT_EQUAL_FATAL(stoker_device_list(sizeof(*list), &list, &count, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_device_list(sizeof(struct larger), &large, &others, NULL), 0);
	CU_ASSERT_EQUAL(count, others);
	for (size_t i = 0; i < count; i++) {
		const struct larger *l = (const struct larger *)(void *)large + i;

		CU_ASSERT_STRING_EQUAL(l->info.title, list[i].title);
		CU_ASSERT_EQUAL(l->more, 0);
	}
	stoker_free(large);
	CU_ASSERT_EQUAL_FATAL(stoker_device_list(sizeof(list->name), &large, &others, NULL), 0);
	names = (char *)large;
	for (size_t i = 0; i < count; i++)
		CU_ASSERT_STRING_EQUAL(names + i * sizeof(list->name), list[i].name);
	stoker_free(large);
	stoker_free(list);
}

/* Messages of a program that knows nothing but role and content, and of a newer one. */
static void test_messages(void)
{
	static const char source[] = "{% for m in messages %}{{ m.role }}:{{ m.content }}"
				     "{% if m.name %}!{% endif %};{% endfor %}";
	struct short_message {
		const char *role, *content;
	} messages[] = { { "user", "a" }, { "assistant", "b" }, { "user", "c" }, { "tool", "d" } };
	NEWER(message)
	newer[2] = { { .own = { .role = "user", .content = "e" } },
		     { .own = { .role = "tool", .content = "f" } } };
	struct stoker_template_input input = { STOKER_TEMPLATE_INPUT_INIT,
					       .messages = (const void *)messages,
					       .message_size = sizeof(messages[0]), .count = 4 };
	struct stoker_prompt prompt = { STOKER_PROMPT_INIT };
	struct stoker_template *t;
	struct stoker_error err;

	CU_ASSERT_EQUAL_FATAL(stoker_template_parse(source, strlen(source), "test", &t, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_template_render(t, NULL, &input, &prompt, NULL), 0);
	CU_ASSERT_STRING_EQUAL(prompt.text, "user:a;assistant:b;user:c;tool:d;");
	stoker_prompt_free(&prompt);
	input.message_size = sizeof(messages[0]) - 1;
	CU_ASSERT_EQUAL(stoker_template_render(t, NULL, &input, &prompt, &err), -EINVAL);
	input.messages = &newer[0].own;
	input.message_size = sizeof(newer[0]);
	input.count = 2;
	CU_ASSERT_EQUAL_FATAL(stoker_template_render(t, NULL, &input, &prompt, NULL), 0);
	CU_ASSERT_STRING_EQUAL(prompt.text, "user:e;tool:f;");
	stoker_prompt_free(&prompt);
	prompt.size -= sizeof(prompt.span_count); /* no place for all that it owns */
	CU_ASSERT_EQUAL(stoker_template_render(t, NULL, &input, &prompt, &err), -EINVAL);
	prompt.size = sizeof(prompt);
	newer[1].more = 1;
	CU_ASSERT_EQUAL(stoker_template_render(t, NULL, &input, &prompt, &err), -E2BIG);
	CU_ASSERT(mentions(&err, "message 2: an item has"));
	stoker_template_free(&t);
}

/* What is reserved is looked at, so that it can mean something one day. */
static void test_reserved(void)
{
	struct stoker_batch_part part = { .count = 1, .tokens = &(uint32_t){ 1 } };
	struct stoker_decoder_params params = { STOKER_DECODER_PARAMS_INIT, .reserved = 1 };
	struct stoker_vocabulary *v;
	struct stoker_decoder *decoder;
	struct stoker_device *device;
	struct stoker_model *model;
	struct stoker_batch *batch;
	struct stoker_error err;

	CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_load(PLAIN, &v, NULL), 0);
	CU_ASSERT_EQUAL(stoker_decoder_create(v, &params, &decoder, &err), -E2BIG);
	CU_ASSERT(mentions(&err, "reserved is 1"));
	stoker_vocabulary_free(&v);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(NULL, &device, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_model_load(device, PLAIN, NULL, &model, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_batch_create(model, NULL, &batch, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stoker_sequence_create(batch, &part.sequence, NULL), 0);
	for (size_t size = 0; size < sizeof(part.sequence); size++)
		CU_ASSERT_EQUAL(stoker_batch_eval(batch, &part, size, 1, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_batch_eval(batch, &part, sizeof(part) + 4, 1, &err), -EINVAL);
	CU_ASSERT_EQUAL(stoker_batch_eval(batch, &part, sizeof(part), 1, &err), 0);
	part.reserved = 1;
	CU_ASSERT_EQUAL(stoker_batch_eval(batch, &part, sizeof(part), 1, &err), -E2BIG);
	CU_ASSERT(mentions(&err, "reserved is 1"));
	stoker_sequence_free(&part.sequence);
	stoker_batch_free(&batch);
	stoker_model_free(&model);
	stoker_device_close(&device);
}

void suite_sized(void)
{
	TEST(test_taking);
	TEST(test_giving);
	TEST(test_unsized);
	TEST(test_newer_programs);
	TEST(test_items);
	TEST(test_messages);
	TEST(test_reserved);
}
