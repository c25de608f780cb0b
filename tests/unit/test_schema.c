// SPDX-License-Identifier: MIT
/*
 * JSON Schema to grammars.  tests/data/schemas.json has schemas with texts that their grammars
 * match and such that they don't; what is refused is here, with what the message says.
 */
#include "matching.h"

#include <time.h>

enum { SHOWN = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE };

static void check_texts(const char *schema, const struct stoker_grammar *g,
			struct json_object *texts, bool wanted)
{
	for (size_t i = 0; i < json_object_array_length(texts); i++) {
		struct json_object *one = json_object_array_get_idx(texts, i);
		const char *text = json_object_get_string(one);

		if (grammar_matches(g, text, (size_t)json_object_get_string_len(one)) == wanted)
			continue;
		printf("\n    %s\n    %s %s", schema, wanted ? "doesn't match" : "matches", text);
		CU_FAIL("a text that matches against expectation, or doesn't");
	}
}

static void test_keywords(void)
{
	size_t bytes;
	AUTO_FREE char *data = load_file("tests/data/schemas.json", &bytes);
	struct json_object *all = data ? json_tokener_parse(data) : NULL;

	CU_ASSERT_FATAL(json_object_is_type(all, json_type_array));
	CU_ASSERT(json_object_array_length(all) > 90);
	for (size_t i = 0; i < json_object_array_length(all); i++) {
		struct json_object *one = json_object_array_get_idx(all, i);
		const char *schema = json_object_to_json_string_ext(
			json_object_object_get(one, "schema"), SHOWN);
		struct stoker_grammar *g = grammar_of(stoker_grammar_from_schema, schema);

		if (!g)
			continue;
		check_texts(schema, g, json_object_object_get(one, "good"), true);
		check_texts(schema, g, json_object_object_get(one, "bad"), false);
		stoker_grammar_free(&g);
	}
	json_object_put(all);
}

static void refused(const char *schema, const char *part)
{
	expect_refusal(stoker_grammar_from_schema, schema, strlen(schema), -EINVAL, part);
}

static void test_refused_keywords(void)
{
	static const char *const names[] = {
		"multipleOf",
		"uniqueItems",
		"propertyNames",
		"dependentRequired",
		"dependentSchemas",
		"contains",
		"minContains",
		"maxContains",
		"not",
		"if",
		"then",
		"else",
		"$anchor",
		"$dynamicRef",
		"$recursiveRef",
		"unevaluatedItems",
		"unevaluatedProperties",
		"contentSchema",
		"dependencies",
		"xml",
	};
	char schema[200], message[200];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(schema, sizeof(schema),
			 "{\"properties\": {\"a/b\": {\"items\": {\"%s\": 1}}}}", names[i]);
		snprintf(message, sizeof(message),
			 "the keyword \"%s\" at #/properties/a~1b/items/%s isn't supported",
			 names[i], names[i]);
		refused(schema, message);
	}
	refused("{\"format\": \"regex\"}", "the format \"regex\" at #/format isn't supported");
	refused("{\"minLength\\u0000\": 1}", "the keyword \"minLength\"");
}

static void test_wrong_values(void)
{
	refused("{\"type\": 1}", "#/type has to be a string or an array of strings");
	refused("{\"type\": \"text\"}", "#/type has to be the name of a type");
	refused("{\"type\": [\"null\", 1]}", "#/type/1 has to be a string");
	refused("{\"type\": [\"null\", \"any\"]}", "#/type/1 has to be the name of a type");
	refused("{\"minLength\": -1}", "#/minLength has to be a whole number that isn't negative");
	refused("{\"minLength\": 1.5}", "#/minLength has to be a whole number");
	refused("{\"minLength\": \"1\"}", "#/minLength has to be a number");
	refused("{\"enum\": []}", "#/enum has to be an array that isn't empty");
	refused("{\"anyOf\": []}", "#/anyOf has to be an array that isn't empty");
	refused("{\"anyOf\": [1]}", "#/anyOf/0 has to be a schema");
	refused("{\"items\": [1]}", "#/items/0 has to be a schema");
	refused("{\"items\": 1}", "#/items has to be a schema or an array of them");
	refused("{\"properties\": []}", "#/properties has to be an object");
	refused("{\"properties\": {\"a\": 1}}", "#/properties/a has to be a schema");
	refused("{\"required\": [1]}", "#/required/0 has to be a string");
	refused("{\"required\": true}", "#/required has to be an array");
	refused("{\"nullable\": 1}", "#/nullable has to be true or false");
	refused("{\"exclusiveMinimum\": \"1\"}",
		"#/exclusiveMinimum has to be a number or a boolean");
	refused("[]", "# isn't a schema");
	refused("{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": 1}}", "#/$defs/a has to be");
}

static void test_references(void)
{
	refused("{\"$ref\": \"#/$defs/b\", \"$defs\": {\"a\": {}}}",
		"\"$ref\" at #/$ref names nothing that is there");
	refused("{\"$ref\": \"http://x/y\"}", "names another document");
	refused("{\"$ref\": \"\"}", "names another document");
	refused("{\"$ref\": \"#a\"}", "names an anchor");
	refused("{\"$ref\": \"#/allOf/00\", \"allOf\": [{}]}", "names nothing");
	refused("{\"$ref\": \"#\"}", "the schema at # refers to itself");
	refused("{\"anyOf\": [{\"$ref\": \"#\"}, {\"type\": \"null\"}]}", "refers to itself");
	refused("{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": {\"allOf\": [{\"$ref\": "
		"\"#/$defs/b\"}]}, \"b\": {\"$ref\": \"#/$defs/a\"}}}",
		"the schema at #/$defs/a refers to itself");
}

static void test_contradictions(void)
{
	refused("false", "no text matches the schema: # is false");
	refused("{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}]}",
		"#/allOf/0/type and #/allOf/1/type contradict each other");
	refused("{\"minLength\": 3, \"maxLength\": 2}",
		"#/minLength and #/maxLength contradict each other");
	refused("{\"minItems\": 3, \"maxItems\": 2}", "#/minItems and #/maxItems");
	refused("{\"minimum\": 3, \"maximum\": 2}", "#/minimum and #/maximum");
	refused("{\"type\": \"number\", \"minimum\": 3, \"exclusiveMaximum\": 3}",
		"#/minimum and #/exclusiveMaximum");
	refused("{\"items\": false, \"minItems\": 1}", "#/minItems and #/items");
	refused("{\"prefixItems\": [{}], \"items\": false, \"minItems\": 2}",
		"#/minItems and #/items");
	refused("{\"minProperties\": 3, \"maxProperties\": 2}",
		"#/minProperties and #/maxProperties");
	refused("{\"properties\": {\"a\": {}}, \"minProperties\": 2}",
		"#/minProperties is more than the 1 keys that may be there");
	refused("{\"properties\": {\"a\": {}, \"b\": {}}, \"required\": [\"a\", \"b\"], "
		"\"maxProperties\": 1}",
		"#/maxProperties is less than the 2 required keys");
	refused("{\"required\": [\"a\"], \"additionalProperties\": false}",
		"#/additionalProperties is false");
	refused("{\"properties\": {\"a\": false}, \"required\": [\"a\"]}",
		"#/properties/a is false");
	refused("{\"enum\": [1, 2], \"type\": \"string\"}", "no value of #/enum is allowed");
	refused("{\"const\": 1, \"enum\": [2]}", "no value of #/const is allowed");
	refused("{\"pattern\": \"^a{3}$\", \"maxLength\": 2}", "#/pattern and #/maxLength");
	refused("{\"pattern\": \"^a$\", \"minLength\": 2}", "#/pattern and #/minLength");
	refused("{\"type\": \"integer\", \"minimum\": 1.2, \"maximum\": 1.8}", "no text matches");
	refused("{\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": "
		"[\"a\"]}",
		"no text matches the schema: it has no end");
}

static void test_refused_together(void)
{
	refused("{\"enum\": [[]], \"maxItems\": 1}", "\"maxItems\" at #/maxItems beside values");
	refused("{\"enum\": [{}], \"required\": [\"a\"]}",
		"\"required\" at #/required beside values");
	refused("{\"type\": \"object\", \"minProperties\": 2}",
		"\"minProperties\" at #/minProperties isn't supported for keys that aren't named");
	refused("{\"minimum\": 1234567890123456789}",
		"\"minimum\" at #/minimum has more than 18 digits");
	refused("{\"minimum\": 1e-19}", "\"minimum\" at #/minimum has more than 18 digits");
	refused("{\"pattern\": \"a(?=b)\"}", "\"pattern\" at #/pattern: column 2: looking ahead");
}

/* Where the same string has to obey several, they are intersected, as far as that stays small. */
static void test_too_large_together(void)
{
	const char *schema =
		"{\"pattern\": \"(a|b)*a(a|b){12}$\", \"minLength\": 20, \"maxLength\": 99}";

	expect_refusal(stoker_grammar_from_schema, schema, strlen(schema), -E2BIG,
		       "\"pattern\" at #/pattern together with what stands beside it is too large");
	schema = "{\"patternProperties\": {\"(a|b)*a(a|b){12}$\": {}}}";
	expect_refusal(stoker_grammar_from_schema, schema, strlen(schema), -E2BIG,
		       "the patterns and keys of # are too many");
	refused("{\"pattern\": \"^a\", \"format\": \"date\"}", "#/pattern and #/format contradict");
	refused("{\"pattern\": \"^(ab)*$\", \"minLength\": 3, \"maxLength\": 3}",
		"#/pattern and #/maxLength contradict");
	refused("{\"enum\": [\"ab\"], \"pattern\": \"^a$\"}", "no value of #/enum is allowed");
	refused("{\"patternProperties\": {\"a(?=b)\": {}}}",
		"\"patternProperties\" at #/patternProperties/a(?=b): column 2: looking ahead");
	refused("{\"patternProperties\": {\"a\": 1}}", "#/patternProperties/a has to be a schema");
	refused("{\"patternProperties\": {\"^a\": false}, \"required\": [\"ab\"]}",
		"#/patternProperties/^a is false");
}

static void test_not_json(void)
{
	static const struct {
		const char *schema, *part;
	} cases[] = {
		{ "", "line 1, column 1: it isn't complete" },
		{ "{", "a key is expected" },
		{ "{\"a\"}", "line 1, column 5: \":\" is expected" },
		{ "{\"title\": 1,}", "line 1, column 13: a key is expected" },
		{ "{\n\"title\": 01}", "line 2, column 11: \",\" is expected" },
		{ "{} x", "column 4: something follows its end" },
		{ "{\"title\": nul}", "a value is expected" },
		{ "{\"title\": [1 2]}", "\",\" is expected" },
		{ "{\"title\": 1.}", "a digit is expected" },
		{ "{\"title\": -}", "a digit is expected" },
		{ "{\"title\": 1e}", "a digit is expected" },
		{ "{\"title\": \"\\x\"}", "an unknown escape" },
		{ "{\"title\": \"\\u12\"}", "\\u has four hexadecimal digits" },
		{ "{\"title\": \"\\ud800\"}", "half of a surrogate pair" },
		{ "{\"title\": \"\\ud800\\u0041\"}", "half of a surrogate pair" },
		{ "{\"title\": \"\\udc00\"}", "half of a surrogate pair" },
		{ "{\"title\": \"\xff\"}", "a byte that isn't UTF-8" },
		{ "{\"title\": \"\n\"}", "a control character in a string" },
		{ "{\"title\": \"a", "column 11: the string that begins here isn't closed" },
		{ "{\"title\": \"a\\\"}", "isn't closed" },
		{ "{\"title\": 1, \"\\u0074itle\": 2}", "the key \"title\" is twice in #" },
		{ "{\"properties\": {\"a\": {}, \"b\": {}, \"a\": {}}}",
		  "the key \"a\" is twice in #/properties" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].schema, cases[i].part);
	expect_refusal(stoker_grammar_from_schema, "{}\0", 3, -EINVAL, "something follows its end");
	expect_refusal(stoker_grammar_from_schema, "{\"title\": \"\0\"}", 13, -EINVAL,
		       "a control character");
	expect_refusal(stoker_grammar_from_schema, NULL, 0, -EINVAL, "no schema");
	CU_ASSERT_EQUAL(stoker_grammar_from_schema("{}", 2, NULL, NULL), -EINVAL);
}

/* @count times @part between @begin and @end. */
static char *repeated(const char *begin, const char *part, size_t count, const char *end)
{
	const size_t n = strlen(part);
	char *out = malloc(strlen(begin) + n * count + strlen(end) + 1), *at = out;

	at = stpcpy(at, begin);
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, part);
	strcpy(at, end);
	return out;
}

static void limited(char *schema, int code, const char *part)
{
	const clock_t start = clock(); /* whatever else runs */

	expect_refusal(stoker_grammar_from_schema, schema, strlen(schema), code, part);
	/* it is done twice */
	if (!SANITIZED)
		CU_ASSERT((clock() - start) * 1000 / CLOCKS_PER_SEC < 4000);
	free(schema);
}

/* Twice as many combinations with each of @count. */
static char *doubling(unsigned count)
{
	char *out = malloc(200 * count + 200), *at = out;

	at += sprintf(at, "{\"$ref\": \"#/$defs/a0\", \"$defs\": {");
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at,
			      "\"a%u\": {\"allOf\": [{\"$ref\": \"#/$defs/a%u\"}, {\"$ref\": "
			      "\"#/$defs/a%u\"}]},",
			      i, i + 1, i + 1);
	sprintf(at, "\"a%u\": {\"minimum\": 1}}}", count);
	return out;
}

/* A pattern whose automaton has large sets of states, each with many ways to go on. */
static char *optional_characters(void)
{
	char *out = malloc(190 * 12 + 200), *at = out;

	at += sprintf(at, "{\"minLength\": 3, \"pattern\": \"^");
	for (unsigned i = 0; i < 190; i++)
		at += sprintf(at, "[\\\\u%04x]?", 0x100 + 2 * i);
	sprintf(at, "([a-z\\\\u0100-\\\\u0400]?){1700}$\"}");
	return out;
}

static void test_limits(void)
{
	limited(optional_characters(), -E2BIG, "more than 2000000 steps");
	limited(repeated("", "[", 60000, ""), -E2BIG, "the schema nests deeper than 64 levels");
	limited(repeated("{\"title\": \"", "x", 256 << 10, "\"}"), -E2BIG, "the limit is 262144");
	limited(doubling(20), -E2BIG, "more than 2000000 steps");
	limited(doubling(100), -E2BIG, "more than 64 references");
	limited(repeated("{\"allOf\": [", "{\"anyOf\": [{\"minimum\": 1}, {\"minimum\": 2}]},", 60,
			 "{}]}"),
		-E2BIG, "the grammar");
	limited(repeated("{\"enum\": [", "\"a long text of some characters\",", 7000, "1]}"),
		-E2BIG, "more than 256 KiB");
	limited(repeated("{\"minLength\": 2000000}", "", 0, ""), -E2BIG,
		"\"minLength\" at #/minLength is larger than 1000000");
	limited(repeated("{\"pattern\": \"^", "(a{100}){21}", 1, "$\"}"), -E2BIG,
		"column 10: 21 repetitions of 100, the limit is 2000");
	limited(repeated("{\"additionalProperties\": true, \"properties\": {\"", "x", 2000,
			 "\": {}}}"),
		-E2BIG, "a key of 2000 bytes");
}

/* What nests deep is written as several rules. */
static void test_deep(void)
{
	AUTO_FREE char *open =
		repeated("{\"additionalProperties\": {\"type\": \"null\"}, \"properties\": "
			 "{\"b\": {}, \"",
			 "a", 200, "\": {}, \"aab\": {}}}");
	AUTO_FREE char *key = repeated("{\"", "a", 200, "\":1}");
	AUTO_FREE char *other = repeated("{\"", "a", 199, "\":null}");

	expect_match(stoker_grammar_from_schema, open, key, true);
	expect_match(stoker_grammar_from_schema, open, other, true);
	expect_match(stoker_grammar_from_schema, open, "{\"aaa\":null,\"aab\":null}", false);
}

/* Properties that may all be left out: the grammar grows with their number, and no faster. */
static char *many_properties(unsigned count, const char *more)
{
	char *out = malloc(40 * count + 200), *at = out;

	at += sprintf(at, "{\"properties\": {");
	for (unsigned i = 0; i < count; i++)
		at += sprintf(at, "%s\"p%u\": {\"type\": \"null\"}", i ? "," : "", i);
	sprintf(at, "}%s}", more);
	return out;
}

static void test_many_properties(void)
{
	AUTO_FREE char *some = many_properties(100, ""), *more = many_properties(1000, "");
	AUTO_FREE char *open =
		many_properties(200, ", \"additionalProperties\": {\"type\": \"null\"}");
	AUTO_FREE char *counted =
		many_properties(60, ", \"minProperties\": 30, \"maxProperties\": 31");
	AUTO_FREE char *few = NULL, *many = NULL;
	struct stoker_grammar *g;

	CU_ASSERT_FATAL(!stoker_grammar_from_schema(some, strlen(some), &few, NULL));
	CU_ASSERT_FATAL(!stoker_grammar_from_schema(more, strlen(more), &many, NULL));
	CU_ASSERT(strlen(many) < 12 * strlen(few));
	expect_match(stoker_grammar_from_schema, more, "{\"p3\":null,\"p700\":null}", true);
	expect_match(stoker_grammar_from_schema, more, "{\"p7\":null,\"p6\":null}", false);
	expect_match(stoker_grammar_from_schema, open, "{\"p19\":null,\"p\":null,\"p190x\":null}",
		     true);
	expect_match(stoker_grammar_from_schema, open, "{\"p19\":null,\"p\":null,\"p190\":null}",
		     false);
	g = grammar_of(stoker_grammar_from_schema, counted);
	for (unsigned n = 28; g && n < 34; n++) {
		char text[1000] = "{", *at = text + 1;

		for (unsigned i = 0; i < n; i++)
			at += sprintf(at, "%s\"p%u\":null", i ? "," : "", i + n % 3);
		strcpy(at, "}");
		CU_ASSERT_EQUAL(grammar_matches(g, text, strlen(text)), n == 30 || n == 31);
	}
	stoker_grammar_free(&g);
}

/* Beyond what a repetition may have they are made of several. */
static void test_long(void)
{
	static const unsigned lengths[] = {
		0, 1999, 2000, 2500, 2501, 4000, 5000, 7003, 7004, 9000
	};
	struct stoker_grammar *g = grammar_of(stoker_grammar_from_schema,
					      "{\"type\": \"string\", \"minLength\": 2501, "
					      "\"maxLength\": 7003}");
	struct stoker_grammar *list =
		grammar_of(stoker_grammar_from_schema,
			   "{\"items\": {\"const\": 1}, \"minItems\": 2501, \"maxItems\": 7003}");

	for (size_t i = 0; i < ARRAY_SIZE(lengths) && g && list; i++) {
		const unsigned n = lengths[i];
		AUTO_FREE char *text = repeated("\"", "x", n, "\"");
		AUTO_FREE char *items = n ? repeated("[1", ",1", n - 1, "]") : strdup("[]");
		const bool good = n >= 2501 && n <= 7003;

		CU_ASSERT_EQUAL(grammar_matches(g, text, strlen(text)), good);
		CU_ASSERT_EQUAL(grammar_matches(list, items, strlen(items)), good);
	}
	stoker_grammar_free(&g);
	stoker_grammar_free(&list);
	expect_match(stoker_grammar_from_schema,
		     "{\"type\": \"string\", \"maxLength\": 2147483647}", "\"abc\"", true);
}

/* Strings of the same length share what counts their characters. */
static void test_many_strings(void)
{
	AUTO_FREE char *schema = malloc(64 * 200 + 100);
	char *at = schema;

	at += sprintf(at, "{\"properties\": {");
	for (unsigned i = 0; i < 200; i++)
		at += sprintf(at, "\"k%u\": {\"type\": \"string\", \"maxLength\": 2000},", i);
	sprintf(at, "\"k\": {\"type\": \"string\", \"maxLength\": 4000}}}");
	expect_match(stoker_grammar_from_schema, schema, "{\"k7\":\"a\",\"k\":\"\"}", true);
}

static void expect(const char *schema, const char *text, bool good)
{
	expect_match(stoker_grammar_from_schema, schema, text, good);
}

/* What programs write that make schemas of their languages' types. */
static void test_formats_of_programs(void)
{
	static const char email[] = "{\"format\": \"email\", \"maxLength\": 40}";
	static const char host[] = "{\"format\": \"hostname\", \"maxLength\": 200}";

	expect("{\"type\": \"integer\", \"format\": \"int32\"}", "2147483647", true);
	expect("{\"type\": \"integer\", \"format\": \"int32\"}", "2147483648", false);
	expect("{\"type\": \"integer\", \"format\": \"uint8\", \"minimum\": 200}", "255", true);
	expect("{\"type\": \"integer\", \"format\": \"uint8\", \"minimum\": 200}", "256", false);
	expect("{\"type\": \"integer\", \"format\": \"uint64\"}", "-1", false);
	expect("{\"type\": \"integer\", \"format\": \"int64\"}", "-123456789012345678", true);
	expect("{\"format\": \"double\"}", "0.5", true);
	expect("{\"format\": \"double\"}", "\"\"", false);
	expect("{\"type\": \"string\", \"format\": \"int32\"}", "\"x\"", true);
	expect("{\"format\": \"int8\", \"enum\": [127, 128]}", "128", false);
	refused("{\"format\": \"uint8\", \"minimum\": 256}", "#/minimum and #/format contradict");
	expect("{\"format\": \"password\"}", "\"what you like\"", true);
	expect("{\"format\": \"password\"}", "1", false);
	expect("{\"format\": \"byte\"}", "\"QUI=\"", true);
	expect("{\"format\": \"byte\"}", "\"QUI\"", false);
	expect("{\"format\": \"duration\"}", "\"P1Y2M3DT4H5M6S\"", true);
	expect("{\"format\": \"duration\"}", "\"P1YT\"", false);
	expect(email, "\"somebody@example.org\"", true);
	expect(email, "\"somebody@an.example.with.many.labels.org\"", true);
	expect(email, "\"somebody@an.example.with.many.labels.orgs\"", false);
	expect(email, "\"somebody@\"", false);
	expect(host, "\"a.b.c.d.e.f.g.h.i.j.k.example.org\"", true);
	expect(host, "\"a.b-.org\"", false);
	expect("{\"x-order\": [\"a\"], \"example\": 1, \"contentEncoding\": \"base64\", "
	       "\"externalDocs\": {}, \"type\": \"null\"}",
	       "null", true);
}

static void test_memory(void)
{
	expect_no_memory(
		stoker_grammar_from_schema,
		"{\"properties\": {\"a\": {\"enum\": [\"x\", 1]}, \"b\": {\"pattern\": "
		"\"^[a-z]*$\"}, \"c\": {\"items\": {\"$ref\": \"#\"}}}, \"required\": [\"a\"], "
		"\"additionalProperties\": {\"minimum\": 0.5}}");
	expect_no_memory(
		stoker_grammar_from_schema,
		"{\"properties\": {\"a\": {\"pattern\": \"a|b\", \"format\": \"ipv4\"}}, "
		"\"patternProperties\": {\"^x\": {\"pattern\": \"a|b\", \"maxLength\": 9}}}");
}

void suite_schema(void)
{
	TEST(test_keywords);
	TEST(test_refused_keywords);
	TEST(test_wrong_values);
	TEST(test_references);
	TEST(test_contradictions);
	TEST(test_refused_together);
	TEST(test_too_large_together);
	TEST(test_not_json);
	TEST(test_limits);
	TEST(test_deep);
	TEST(test_many_properties);
	TEST(test_long);
	TEST(test_many_strings);
	TEST(test_formats_of_programs);
	TEST(test_memory);
}
