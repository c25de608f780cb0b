// SPDX-License-Identifier: MIT
/* What the server says and is told: text that grows, problems in each dialect, bodies. */
#include "unit.h"

#include "serve/body.h"
#include "serve/problem.h"
#include "serve/text.h"

static void expect_json(const char *data, size_t bytes, const char *wanted)
{
	struct text t = { 0 };

	text_json(&t, data, bytes);
	CU_ASSERT_STRING_EQUAL(t.data, wanted);
	text_free(&t);
}

static void test_text(void)
{
	struct text t = { 0 };

	text_puts(&t, "a");
	for (int i = 0; i < 1000; i++)
		text_printf(&t, "%d,", i);
	CU_ASSERT_EQUAL(t.bytes, 1 + 10 * 2 + 90 * 3 + 900 * 4);
	CU_ASSERT_EQUAL(strlen(t.data), t.bytes);
	text_clear(&t);
	CU_ASSERT_STRING_EQUAL(t.data, "");
	text_json_string(&t, NULL);
	CU_ASSERT_STRING_EQUAL(t.data, "null");
	text_free(&t);
	CU_ASSERT_PTR_NULL(t.data);

	expect_json("", 0, "\"\"");
	expect_json("a\"\\/\n\t\x01\x7f", 8, "\"a\\\"\\\\/\\n\\t\\u0001\\u007f\"");
	expect_json("\0", 1, "\"\\u0000\"");
	expect_json("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9,
		    "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
	/* cut off, too long, a surrogate, beyond U+10FFFF */
	expect_json("x\xe2\x82", 3, "\"x\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_json("\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_json("\xf4\x90\x80\x80", 4, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void expect_problem(const struct problem *p, enum dialect dialect, const char *wanted)
{
	struct text t = { 0 };

	problem_write(p, dialect, &t);
	CU_ASSERT_STRING_EQUAL(t.data, wanted);
	text_free(&t);
}

static void test_problems(void)
{
	struct problem p;

	CU_ASSERT_FALSE(problem_set(&p, 404, "model", "model_not_found", "no \"%s\"", "x"));
	expect_problem(&p, DIALECT_OPENAI,
		       "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"not_found_error\","
		       "\"param\":\"model\",\"code\":\"model_not_found\"}}");
	expect_problem(&p, DIALECT_OLLAMA, "{\"error\":\"no \\\"x\\\"\"}");
	expect_problem(&p, DIALECT_ANTHROPIC,
		       "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\","
		       "\"message\":\"no \\\"x\\\"\"}}");
	CU_ASSERT_EQUAL(p.retry_after, 0);
	problem_set(&p, 503, NULL, NULL, "later");
	CU_ASSERT_EQUAL(p.retry_after, 1);
	expect_problem(&p, DIALECT_ANTHROPIC,
		       "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
		       "\"message\":\"later\"}}");
}

static bool parse(const char *data, size_t bytes, struct json_object **object, struct problem *p)
{
	size_t values;

	*object = NULL;
	return body_check(data, bytes, &values, p) && body_parse(data, bytes, object, p);
}

static void expect_refused(const char *data, size_t bytes, const char *why)
{
	struct json_object *object;
	struct problem p = { 0 };

	CU_ASSERT_FALSE(parse(data, bytes, &object, &p));
	CU_ASSERT_PTR_NULL(object);
	CU_ASSERT_EQUAL(p.status, 400);
	if (!strstr(p.message, why))
		printf("\n    \"%s\" lacks \"%s\"", p.message, why);
	CU_ASSERT_PTR_NOT_NULL(strstr(p.message, why));
}

#define REFUSED(data, why) expect_refused(data, sizeof(data) - 1, why)

static void test_bodies(void)
{
	static char many[2 * BODY_VALUES + 16], deep[2 * BODY_DEPTH + 16];
	static const char some[] = "{\"[[,\\\"[\":[1,{}]}";
	size_t values;
	struct json_object *object;
	struct problem p;

	CU_ASSERT_TRUE(body_check(some, sizeof(some) - 1, &values, &p));
	CU_ASSERT_EQUAL(values, 6);
	CU_ASSERT_TRUE(parse("{\"a\": [1]}\r\n", 12, &object, &p));
	CU_ASSERT_EQUAL(json_object_object_length(object), 1);
	json_object_put(object);

	REFUSED("", "is needed");
	REFUSED("{\"a\":", "ends in the middle");
	REFUSED("{\"a\"}", "isn't JSON");
	REFUSED("{} {}", "isn't JSON");
	REFUSED("{}\0", "goes on");
	REFUSED("[]", "has to be a JSON object");
	REFUSED("null", "has to be a JSON object");
	REFUSED("3", "has to be a JSON object");
	REFUSED("  \"{}\"", "has to be a JSON object");
	REFUSED("{\"a\": NaN}", "NaN");
	REFUSED("{\"a\": -Infinity}", "Infinity");
	REFUSED("{\"a\": True}", "True");
	CU_ASSERT_TRUE(parse("{\"a\": [1e3, 2E-1, true, null, \"NaN\"]}", 37, &object, &p));
	json_object_put(object);
	REFUSED("{'a': 1}", "isn't JSON");
	REFUSED("{\"a\": \"\xff\"}", "isn't JSON");

	memset(deep, '[', BODY_DEPTH + 1);
	expect_refused(deep, BODY_DEPTH + 1, "nested 65 deep");
	/* an object and BODY_DEPTH - 1 lists are let through */
	memcpy(deep, "{\"a\":", 5);
	memset(deep + 5, '[', BODY_DEPTH - 1);
	memset(deep + 4 + BODY_DEPTH, ']', BODY_DEPTH - 1);
	deep[3 + 2 * BODY_DEPTH] = '}';
	CU_ASSERT_TRUE(parse(deep, 4 + 2 * BODY_DEPTH, &object, &p));
	json_object_put(object);

	memset(many, ',', sizeof(many));
	many[0] = '[';
	expect_refused(many, sizeof(many), "values");
}

void suite_serve(void)
{
	TEST(test_text);
	TEST(test_problems);
	TEST(test_bodies);
	add_serve_guard();
}
