// SPDX-License-Identifier: MIT
/* Reasoning told apart from the answer, wherever the text is cut into pieces. */
#include "unit.h"

#include "reasoning.h"

struct parts {
	char text[2][4096];
	size_t length[2];
};

static int take_part(void *context, enum part part, const char *text, size_t bytes)
{
	struct parts *p = context;

	CU_ASSERT_FATAL(bytes > 0 && p->length[part] + bytes < sizeof(p->text[0]));
	memcpy(p->text[part] + p->length[part], text, bytes);
	p->length[part] += bytes;
	p->text[part][p->length[part]] = 0;
	return 0;
}

/* @stream has control tokens as "\1NAME\2"; its text is given in pieces of @piece bytes, 0: random.
 */
static void feed(struct splitter *s, const char *stream, size_t piece)
{
	while (*stream) {
		if (*stream == 1) {
			const size_t n = strcspn(stream, "\2") - 1;
			char name[64] = "";

			memcpy(name, stream + 1, n);
			CU_ASSERT_EQUAL(splitter_control(s, name), 0);
			stream += n + 2;
			continue;
		}
		const size_t left = strcspn(stream, "\1");
		const size_t wanted = piece ? piece : 1 + random_u32() % 9;
		const size_t n = MIN(left, wanted);

		CU_ASSERT_EQUAL(splitter_text(s, stream, n), 0);
		stream += n;
	}
	CU_ASSERT_EQUAL(splitter_end(s), 0);
}

static void expect(const char *opening, const char *stream, const char *reasoning,
		   const char *answer)
{
	for (size_t piece = 0; piece < 60; piece++)
		for (int round = 0; round < (piece ? 1 : 40); round++) {
			struct parts p = { .length = { 0 } };
			struct splitter *s =
				splitter_create(opening, strlen(opening), take_part, &p);

			CU_ASSERT_PTR_NOT_NULL_FATAL(s);
			feed(s, stream, piece);
			splitter_free(s);
			if (strcmp(p.text[PART_REASONING], reasoning) ||
			    strcmp(p.text[PART_ANSWER], answer))
				printf("\n    \"%s\" by %zu: \"%s\" and \"%s\"", stream, piece,
				       p.text[PART_REASONING], p.text[PART_ANSWER]);
			CU_ASSERT_STRING_EQUAL(p.text[PART_REASONING], reasoning);
			CU_ASSERT_STRING_EQUAL(p.text[PART_ANSWER], answer);
		}
}

static void test_plain(void)
{
	expect("", "", "", "");
	expect("", "Hello", "", "Hello");
	expect("", "\n\n  Hello \n", "", "\n\n  Hello \n");
	expect("", " \n ", "", " \n ");
	expect("", "<thin air> and <think", "", "<thin air> and <think");
	expect("", "<", "", "<");
	expect("", "A tag: <think>not this</think>!", "", "A tag: <think>not this</think>!");
	expect("", "x\1<|im_start|>\2y", "", "xy");
}

static void test_tags(void)
{
	expect("", "<think>why</think>so", "why", "so");
	expect("", "\n<think>\n why\nnot \n</think>\n\nso <think>", "why\nnot", "so <think>");
	expect("", "<think></think>so", "", "so");
	expect("", "<think>\n\n</think>\n\nso\n", "", "so\n");
	expect("", "<think>a</thin </think</think>so", "a</thin </think", "so");
	expect("", "<think>a</think> <think>b</think> c", "ab", "c");
	expect("", "<think>never ends \n", "never ends", "");
	expect("", "<think>never ends </thi", "never ends </thi", "");
	expect("", "<think>a</thought></think>b", "a</thought>", "b");
	expect("", "<thinking>a</thinking>b", "a", "b");
	expect("", "<seed:think>a</seed:think>b", "a", "b");
	expect("", "[THINK]a[/THINK]b", "a", "b");
	expect("", "\1[THINK]\2a\1[/THINK]\2b", "a", "b");
	expect("", "\1<|START_THINKING|>\2a\1<|END_THINKING|>\2\1<|START_RESPONSE|>\2b", "a", "b");
	expect("",
	       "\xe2\x97\x81think\xe2\x96\xb7\xe4\xbd\xa0\xe2\x97\x81/"
	       "think\xe2\x96\xb7\xe5\xa5\xbd",
	       "\xe4\xbd\xa0", "\xe5\xa5\xbd");
	expect("", "<mm:think>a</mm:think>b", "a", "b");
	expect("<|begin_assistant|>\nHere are my reasoning steps:\n",
	       "first\n[BEGIN FINAL RESPONSE]\nso", "first", "so");
	expect("", "<think>a</think>\n<response>\nb\n</response>\n", "a", "b");
	expect("", "<think>a</think><answer>b</ans</answer> c", "a", "b</ansc");
	expect("", "<answer>b</answer>", "", "<answer>b</answer>");
	expect("", "<unused94>thought\nhm<unused95>yes", "hm", "yes");
	expect("", "\1<|channel>\2thought\nhm\1<channel|>\2yes", "hm", "yes");
	expect("", "\1<|channel>\2though", "though", "");
}

/* A template may have opened the tag, or opened and closed it. */
static void test_opened_by_the_prompt(void)
{
	expect("<|assistant|>\n<think>\n", "why</think>\n\nso", "why", "so");
	expect("<|assistant|><think>", "\nwhy\n</think>so", "why", "so");
	expect("<think>\n\n</think>\n\n", "so", "", "so");
	expect("<think> no, later", "so", "", "so");
	expect("[INST]x[/INST][THINK]", "why\1[/THINK]\2so", "why", "so");
}

static void test_channels(void)
{
	expect("<|start|>assistant",
	       "\1<|channel|>\2analysis\1<|message|>\2hm <think>\1<|end|>\2\1<|start|>\2assistant"
	       "\1<|channel|>\2final\1<|message|>\2Hello <think>!\1<|return|>\2",
	       "hm <think>", "Hello <think>!");
	expect("", "\1<|channel|>\2final\1<|message|>\2Hello", "", "Hello");
	expect("", "\1<|start|>\2assistant\1<|message|>\2Hello", "", "Hello");
	expect("",
	       "\1<|channel|>\2commentary to=functions.f \1<|constrain|>\2json\1<|message|>\2{}",
	       "{}", "");
	expect("", "\1<|channel|>\2analysis\1<|message|>\2cut", "cut", "");
	expect("<|channel|>final<|message|>", "Hello", "", "Hello");
	expect("", "\1<|think|>\2hm\1<|end|>\2\1<|begin|>\2assistant\1<|content|>\2Hello", "hm",
	       "Hello");
	expect("",
	       "\1<|channel|>\2a name that is longer than any name of a channel could ever be, "
	       "and goes on\1<|message|>\2x",
	       "x", "");
}

static void test_long_runs(void)
{
	char stream[3000], wanted[3000];

	memset(stream, ' ', 1000);
	strcpy(stream + 1000, "x");
	expect("", stream, "", stream);
	snprintf(wanted, sizeof(wanted), "<think>a%1000sb</think>c", "");
	memcpy(stream, wanted, sizeof(stream));
	snprintf(wanted, sizeof(wanted), "a%1000sb", "");
	expect("", stream, wanted, "c");
	snprintf(stream, sizeof(stream), "<think>a</think>%1000sb", "");
	expect("", stream, "a", "b");
}

static int stop_at_once(void *context, enum part part, const char *text, size_t bytes)
{
	(void)context, (void)part, (void)text, (void)bytes;
	return 7;
}

static void test_stop(void)
{
	struct splitter *s = splitter_create("", 0, stop_at_once, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(splitter_text(s, "<think>a</think>b", 17), 7);
	splitter_free(s);
	splitter_free(NULL);
}

/* Whatever comes, tags or none, in any pieces: the same, and nothing is lost but tags and space. */
static void test_random(void)
{
	static const char *const words[] = { "<think>",
					     "</think>",
					     "<thi",
					     "a",
					     " ",
					     "\n",
					     "[THINK]",
					     "[/TH",
					     "b",
					     "\1<|channel|>\2",
					     "\1<|message|>\2",
					     "\1<|end|>\2",
					     "final" };

	random_seed(11);
	for (int round = 0; round < 3000; round++) {
		struct parts first = { .length = { 0 } }, second = { .length = { 0 } };
		char stream[512] = "";
		struct splitter *s;

		for (uint32_t n = random_u32() % 20; n; n--)
			strcat(stream, words[random_u32() % ARRAY_SIZE(words)]);
		s = splitter_create("", 0, take_part, &first);
		feed(s, stream, 500);
		splitter_free(s);
		s = splitter_create("", 0, take_part, &second);
		feed(s, stream, 0);
		splitter_free(s);
		if (memcmp(first.text, second.text, sizeof(first.text)))
			printf("\n    \"%s\"", stream);
		CU_ASSERT_FATAL(!memcmp(first.text, second.text, sizeof(first.text)));
	}
}

static void test_begun(void)
{
	static const struct {
		const char *opening, *open, *close;
	} cases[] = {
		{ "<|im_start|>assistant\n<think>\n", "<think>", "</think>" },
		{ "Here are my reasoning steps:\n",
		  "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]" },
		{ "<think>\n</think>\n", NULL, NULL },
		{ "<answer>", NULL, NULL },
		{ "", NULL, NULL },
	};
	const char *open, *close;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *opening = cases[i].opening;

		CU_ASSERT_EQUAL(reasoning_begun(opening, strlen(opening), &open, &close),
				cases[i].open != NULL);
		if (!cases[i].open)
			continue;
		CU_ASSERT_STRING_EQUAL(open, cases[i].open);
		CU_ASSERT_STRING_EQUAL(close, cases[i].close);
	}
}

void suite_reasoning(void)
{
	TEST(test_plain);
	TEST(test_tags);
	TEST(test_opened_by_the_prompt);
	TEST(test_channels);
	TEST(test_long_runs);
	TEST(test_stop);
	TEST(test_random);
	TEST(test_begun);
}
