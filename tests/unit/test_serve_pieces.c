// SPDX-License-Identifier: MIT
/* Tokens to pieces of text for clients, wherever characters and stop strings are cut. */
#include "unit.h"

#include <errno.h>
#include <json-c/json.h>

#include "failing.h"
#include "serve/calls.h"
#include "serve/pieces.h"
#include "serve/stops.h"

static struct stoker_vocabulary *vocabulary;
static uint32_t byte_tokens[256];

struct said {
	char text[2][1024]; /* the answer, the reasoning */
	size_t length[2], pieces;
	uint32_t tokens[1024];
	size_t token_count;
};

/* Whole characters only. */
static bool is_utf8(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes;) {
		const unsigned char c = (unsigned char)text[i];
		const size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if ((c & 0xc0) == 0x80 || i + n > bytes)
			return false;
		for (size_t k = 1; k < n; k++)
			if ((text[i + k] & 0xc0) != 0x80)
				return false;
		i += n;
	}
	return true;
}

static void take(struct pieces *s, struct said *said)
{
	struct piece p;

	while (pieces_next(s, &p)) {
		const int part = p.kind == PIECE_REASONING;

		CU_ASSERT(p.kind == PIECE_TEXT || p.kind == PIECE_REASONING);
		CU_ASSERT(p.bytes > 0 && p.text[p.bytes] == 0 && is_utf8(p.text, p.bytes));
		CU_ASSERT_FATAL(said->length[part] + p.bytes < sizeof(said->text[part]));
		memcpy(said->text[part] + said->length[part], p.text, p.bytes + 1);
		said->length[part] += p.bytes;
		said->pieces++;
		for (size_t i = 0; i < p.token_count; i++)
			said->tokens[said->token_count++] = p.tokens[i].token;
	}
}

/* A part of a text as tokens: of a character that isn't ASCII each byte is one. */
static size_t tokenize(const char *text, size_t bytes, uint32_t *tokens)
{
	size_t count = 0, n;

	for (; bytes; text += n, bytes -= n) {
		uint32_t *some;
		size_t some_count;

		for (n = 0; n < bytes && (signed char)text[n] >= 0; n++)
			;
		if (!n) {
			tokens[count++] = byte_tokens[(unsigned char)*text];
			n = 1;
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(stoker_vocabulary_tokenize(vocabulary, text, n, 0, &some,
								 &some_count, NULL),
				      0);
		memcpy(tokens + count, some, some_count * sizeof(*tokens));
		count += some_count;
		stoker_free(some);
	}
	return count;
}

/* The text as tokens of parts of @cut bytes, 0: random; 1 when it ended by itself. */
static int feed(struct pieces *s, const char *text, size_t cut, struct said *said,
		struct said *given)
{
	size_t bytes = strlen(text);
	int ret = 0;

	while (bytes && !ret) {
		const size_t most = cut ? cut : 1 + random_u32() % 5, n = MIN(most, bytes);
		uint32_t tokens[64];
		const size_t count = tokenize(text, n, tokens);

		for (size_t i = 0; i < count && !ret; i++) {
			const struct token_info token = { .token = tokens[i] };

			given->tokens[given->token_count++] = tokens[i];
			ret = pieces_token(s, &token);
			CU_ASSERT(ret == 0 || ret == 1);
			take(s, said);
		}
		text += n;
		bytes -= n;
	}
	if (!ret) {
		ret = pieces_end(s);
		take(s, said);
	}
	return ret;
}

static void expect(const struct generation_params *params, const char *text, const char *answer,
		   const char *reasoning, const char *stop)
{
	for (size_t cut = 0; cut < 12; cut++)
		for (int round = 0; round < (cut ? 1 : 50); round++) {
			struct said said = { .length = { 0 } }, given = { .length = { 0 } };
			struct pieces *s = pieces_create(params, vocabulary, "<end>");
			const int ret = feed(s, text, cut, &said, &given);
			const char *found = pieces_stop(s);

			if (strcmp(said.text[0], answer) || strcmp(said.text[1], reasoning))
				printf("\n    \"%s\" by %zu: \"%s\" and \"%s\"", text, cut,
				       said.text[0], said.text[1]);
			CU_ASSERT_STRING_EQUAL(said.text[0], answer);
			CU_ASSERT_STRING_EQUAL(said.text[1], reasoning);
			CU_ASSERT_EQUAL(ret == 1, stop != NULL || strstr(text, "<end>") != NULL);
			CU_ASSERT_EQUAL(found != NULL, stop != NULL);
			if (found && stop)
				CU_ASSERT_STRING_EQUAL(found, stop);
			pieces_free(s);
		}
}

static void test_characters(void)
{
	const struct generation_params plain = { .stop_count = 0 };

	expect(&plain, "", "", "", NULL);
	expect(&plain, "na\u00efve \u65e5\u672c\u8a9e \U0001f389 x",
	       "na\u00efve \u65e5\u672c\u8a9e \U0001f389 x", "", NULL);
	expect(&plain, "cut \xf0\x9f\x8e", "cut \ufffd\ufffd\ufffd", "", NULL);
	expect(&plain,
	       "a\xff"
	       "b",
	       "a\ufffd"
	       "b",
	       "", NULL);
	expect(&plain, "<think>stays</think>", "<think>stays</think>", "", NULL);
	expect(&plain, "so <end> it goes", "so ", "", NULL);
	expect(&plain, "so <end", "so <end", "", NULL);
}

static void test_stop_strings(void)
{
	static const char *const stop[] = { "stop", "\n\n", "\u00bb", "topping" };
	const struct generation_params params = { .stop = stop, .stop_count = 4 };

	expect(&params, "don't stop here", "don't ", "", "stop");
	expect(&params, "one\ntwo\n\nthree", "one\ntwo", "", "\n\n");
	expect(&params, "sto", "sto", "", NULL);
	expect(&params, "ststop", "st", "", "stop");
	expect(&params, "a topping", "a ", "", "topping");
	expect(&params, "a stopping", "a ", "", "stop");
	expect(&params, "\u00aba\u00bb", "\u00aba", "", "\u00bb");
	expect(&params, "\u00aba\xc2", "\u00aba\ufffd", "", NULL);
}

/* What is split off as reasoning isn't searched for stop strings. */
static void test_reasoning(void)
{
	static const char *const stop[] = { "stop" };
	const struct generation_params params = { .stop = stop,
						  .stop_count = 1,
						  .split_reasoning = true },
				       opened = { .stop = stop,
						  .stop_count = 1,
						  .split_reasoning = true,
						  .opening = "<think>\n",
						  .opening_bytes = 8 },
				       whole = { .stop = stop, .stop_count = 1 };

	expect(&params, "<think>no stop?</think>\n\na stop!", "a ", "no stop?", "stop");
	expect(&opened, "no stop?</think>a st", "a st", "no stop?", NULL);
	expect(&whole, "<think>no stop?</think>a stop!", "<think>no ", "", "stop");
}

/* As if bytes came one by one. */
static const char *reference(const char *text, const char *const *stop, size_t count, size_t *cut)
{
	for (size_t end = 1; end <= strlen(text); end++) {
		const char *best = NULL;

		for (size_t i = 0; i < count; i++) {
			const size_t n = strlen(stop[i]);

			if (n <= end && !memcmp(text + end - n, stop[i], n) &&
			    (!best || n > strlen(best)))
				best = stop[i];
		}
		if (best) {
			*cut = end - strlen(best);
			return best;
		}
	}
	*cut = strlen(text);
	return NULL;
}

static void test_random_stops(void)
{
	for (int round = 0; round < 3000; round++) {
		char text[41] = "", stop[4][7] = { "" }, got[64] = "";
		const char *const list[] = { stop[0], stop[1], stop[2], stop[3] };
		const size_t length = random_u32() % 40, count = 1 + random_u32() % 4;
		const char *out, *found;
		size_t n, cut, have = 0;
		struct stops *s;

		for (size_t i = 0; i < length; i++)
			text[i] = "aab"[random_u32() % 3];
		for (size_t k = 0; k < count; k++)
			for (size_t i = 0; i <= random_u32() % 6; i++)
				stop[k][i] = "abb"[random_u32() % 3];
		s = stops_create(list, count);
		for (size_t at = 0; at < length; at += n) {
			const size_t most = 1 + random_u32() % 7;
			size_t settled;

			n = MIN(most, length - at);
			CU_ASSERT(stops_text(s, text + at, n, &out, &settled));
			memcpy(got + have, out, settled);
			have += settled;
		}
		stops_end(s, &out, &n);
		memcpy(got + have, out, n);
		have += n;
		found = reference(text, list, count, &cut);
		CU_ASSERT_EQUAL(have, cut);
		CU_ASSERT(!memcmp(got, text, MIN(have, cut)));
		CU_ASSERT_EQUAL(found != NULL, stops_found(s) != NULL);
		if (found && stops_found(s))
			CU_ASSERT_STRING_EQUAL(found, stops_found(s));
		stops_free(s);
	}
}

/* Each token goes with one piece, in order. */
static void test_tokens_of_pieces(void)
{
	static const char text[] =
		"<think>why\u00ef?</think> Because \u65e5 is <b, st and \U0001f389";
	static const char *const stop[] = { "stop" };
	const struct generation_params params = {
		.stop = stop, .stop_count = 1, .log_probabilities = true, .split_reasoning = true
	};

	for (size_t cut = 0; cut < 9; cut++) {
		struct said said = { .length = { 0 } }, given = { .length = { 0 } };
		struct pieces *s = pieces_create(&params, vocabulary, NULL);

		feed(s, text, cut, &said, &given);
		CU_ASSERT_EQUAL(said.token_count, given.token_count);
		CU_ASSERT(!memcmp(said.tokens, given.tokens,
				  said.token_count * sizeof(*said.tokens)));
		CU_ASSERT(pieces_reasoning(s) > 0 && pieces_reasoning(s) < given.token_count);
		pieces_free(s);
	}
}

/* A call comes behind the text that was held back before it, and isn't searched for stop strings.
 */
static void test_calls(void)
{
	static const char text[] = "So sto<tool_call>\n{\"name\": \"find\", \"arguments\": "
				   "{\"what\": \"stop\"}}\n</tool_call>";
	static const char *const stop[] = { "stop" };
	struct json_object *tools =
		json_tokener_parse("[{\"type\":\"function\",\"function\":{\"name\":\"find\"}}]");
	const struct generation_params params = {
		.stop = stop,
		.stop_count = 1,
		.log_probabilities = true,
		.tools = tools,
		.calls = call_family_of("<tool_call>\n{\"name\": <function-name>")
	};
	const size_t length = strlen(text);

	for (size_t cut = 1; cut < 9; cut++) {
		struct pieces *s = pieces_create(&params, vocabulary, NULL);
		char said[64] = "", arguments[64] = "";
		unsigned calls = 0, count = 0;

		for (size_t at = 0; at <= length; at += cut) {
			const size_t most = length - at;
			uint32_t tokens[64];
			const size_t n = tokenize(text + at, MIN(most, cut), tokens);
			struct piece p;

			for (size_t i = 0; i < n; i++) {
				const struct token_info token = { .token = tokens[i] };

				CU_ASSERT_EQUAL(pieces_token(s, &token), 0);
				if (at + cut > length && i == n - 1)
					CU_ASSERT_EQUAL(pieces_end(s), 0);
				while (pieces_next(s, &p)) {
					count += p.token_count;
					CU_ASSERT(p.kind != PIECE_TEXT || !calls);
					if (p.kind == PIECE_CALL) {
						calls++;
						CU_ASSERT_STRING_EQUAL(p.name, "find");
						CU_ASSERT_EQUAL(p.index, 0);
					} else {
						strcat(p.kind == PIECE_TEXT ? said : arguments,
						       p.text);
					}
				}
			}
		}
		CU_ASSERT_STRING_EQUAL(said, "So sto");
		CU_ASSERT_STRING_EQUAL(arguments, "{\"what\": \"stop\"}");
		CU_ASSERT(calls == 1 && pieces_has_calls(s) && count > 0);
		CU_ASSERT_PTR_NULL(pieces_stop(s));
		pieces_free(s);
	}
	json_object_put(tools);
}

/* Each allocation fails once: what was asked for fails with it, or has all that it should. */
static void test_missing_memory(void)
{
	static const char text[] = "<think>why\u00ef?</think> Because \u65e5 is <b, st and";
	static const char *const stop[] = { "stop", "never" };
	const struct generation_params params = {
		.stop = stop, .stop_count = 2, .log_probabilities = true, .split_reasoning = true
	};
	uint32_t tokens[128];
	const size_t count = tokenize(text, strlen(text), tokens);
	bool failed = true;

	for (unsigned n = 0; failed && n < 500; n++) {
		struct said said = { .length = { 0 } };
		struct pieces *s;
		int ret = 0;

		failing_after(n);
		s = pieces_create(&params, vocabulary, "<end>");
		for (size_t i = 0; s && i < count && !ret; i++) {
			const struct token_info token = { .token = tokens[i] };

			ret = pieces_token(s, &token);
			take(s, &said);
		}
		if (s && !ret)
			ret = pieces_end(s);
		failed = failing_end();
		CU_ASSERT(ret == 0 || ret == -ENOMEM);
		CU_ASSERT_EQUAL(failed, !s || ret == -ENOMEM);
		if (s && !ret) {
			take(s, &said);
			CU_ASSERT_STRING_EQUAL(said.text[0], "Because \u65e5 is <b, st and");
			CU_ASSERT_STRING_EQUAL(said.text[1], "why\u00ef?");
			CU_ASSERT_EQUAL(said.token_count, count);
		}
		pieces_free(s);
	}
	CU_ASSERT(!failed);
}

void suite_generation(void)
{
	if (stoker_vocabulary_load("tools/demo-model/stoker-demo-Q4_K.gguf", &vocabulary, NULL))
		return;
	for (uint32_t i = 0; i < stoker_vocabulary_size(vocabulary); i++) {
		unsigned char c;

		if (stoker_vocabulary_text(vocabulary, i, 0, (char *)&c, 1) == 1)
			byte_tokens[c] = i;
	}
	TEST(test_characters);
	TEST(test_stop_strings);
	TEST(test_reasoning);
	TEST(test_random_stops);
	TEST(test_tokens_of_pieces);
	TEST(test_calls);
	TEST(test_missing_memory);
	add_serve_generation();
	add_serve_models();
}
