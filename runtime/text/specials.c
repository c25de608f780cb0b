// SPDX-License-Identifier: MIT
/*
 * Special tokens: which ones there are beyond what a file's types say, which of them take the white
 * space beside them along, and finding them in a text.
 */
#include "text/vocabulary.h"

/* Names that end a text or a turn. */
static const char *const ends[] = {
	"<|eot_id|>",
	"<|im_end|>",
	"<|end|>",
	"<|return|>",
	"<|call|>",
	"<|flush|>",
	"<|calls|>",
	"<end_of_turn>",
	"<|endoftext|>",
	"</s>",
	"<|eom_id|>",
	"<EOT>",
	"_<EOT>",
	"[EOT]",
	"[EOS]",
	"<|end_of_text|>",
	"<end_of_utterance>",
	"<eos>",
	"<turn|>",
	"<|tool_response>",
	"<｜end▁of▁sentence｜>",
	"[e~[",
	"<|fim_pad|>", /* behind what was filled in */
	"<fim-pad>",
	"<fim_pad>",
	"<PAD>",
	"[PAD]",
	"<|fim_repo|>",
	"<|repo_name|>",
	"<fim-repo>",
	"<REPO>",
	"<reponame>",
	"<|file_sep|>",
};

/* Names that mark text to be filled in: FILL_NAMES of what is before, behind, and between. */
enum { FILL_NAMES = 8 };
static const char *const fills[] = {
	"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",    "<｜fim▁begin｜>",
	"<PRE>",	  "▁<PRE>",	  "<|code_prefix|>", "<|prefix|>",
	"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",    "<｜fim▁hole｜>",
	"<SUF>",	  "▁<SUF>",	  "<|code_suffix|>", "<|suffix|>",
	"<|fim_middle|>", "<fim-middle>", "<fim_middle>",    "<｜fim▁end｜>",
	"<MID>",	  "▁<MID>",	  "<|code_middle|>", "<|middle|>",
};

/* Names that separate a message's channel from its text. */
static const char *const channels[] = { "<|channel|>", "<|message|>", "<|start|>",
					"<|constrain|>" };

static struct token *token_named(const struct stoker_vocabulary *v, const char *name)
{
	const uint32_t id = find_token(v, name, strlen(name));

	return id == NO_TOKEN ? NULL : &v->tokens[id];
}

static void mark_by_name(struct stoker_vocabulary *v)
{
	struct token *t;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		t = token_named(v, ends[i]);
		/* a tag of HTML in vocabularies whose texts end otherwise */
		if (!t || (!strcmp(ends[i], "</s>") && t->type == TOKEN_USER_DEFINED))
			continue;
		t->type = TOKEN_CONTROL;
		t->end = true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fills); i++) {
		t = token_named(v, fills[i]);
		if (t)
			t->type = TOKEN_CONTROL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(channels); i++) {
		t = token_named(v, channels[i]);
		if (!t)
			continue;
		t->type = TOKEN_CONTROL;
		t->shown = true;
	}
}

/* Harmony and its kin end messages, not turns, with <|end|>. */
static void mark_end_of_message(struct stoker_vocabulary *v)
{
	struct token *end = token_named(v, "<|end|>");

	if (!end || !(token_named(v, "<|call|>") || token_named(v, "<|calls|>")) ||
	    !(token_named(v, "<|return|>") || token_named(v, "<|flush|>")))
		return;
	end->end = false;
	end->shown = true;
}

/*
 * Many files call the markers of turns and of calls of tools user-defined, as others call tags of
 * HTML or runs of spaces: DeepSeek's <｜User｜> is one.
 */
static bool is_marker(struct stoker_string s)
{
	static const char *const begins[] = { "<|", "<｜", "<start_of_turn>", "[INST]", "[/INST]" };

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (s.length > 2 && s.length >= strlen(begins[i]) &&
		    !memcmp(s.data, begins[i], strlen(begins[i])))
			return true;
	return false;
}

bool is_special(const struct token *t)
{
	return t->text.length && (t->type == TOKEN_CONTROL || t->type == TOKEN_UNKNOWN ||
				  t->type == TOKEN_USER_DEFINED);
}

static bool is_letter(char c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* "Phi-3", "a Phi 3.5", "phi3", not behind the letters of another word. */
static bool is_phi3(struct stoker_string name)
{
	for (size_t i = 0; i + 3 < name.length; i++) {
		const char *at = name.data + i;
		const size_t digit = memchr("-_. ", at[3], 4) ? 4 : 3;

		if ((i == 0 || !is_letter(at[-1])) && (at[0] | 32) == 'p' && (at[1] | 32) == 'h' &&
		    (at[2] | 32) == 'i' && i + digit < name.length && at[digit] == '3')
			return true;
	}
	return false;
}

static struct stoker_string key_text(const struct stoker_vocabulary *v, const char *name)
{
	const struct stoker_gguf_key *key = stoker_gguf_find(v->gguf, name);
	struct stoker_string s = { "", 0 };

	if (key)
		stoker_gguf_string(v->gguf, key, &s);
	return s;
}

static bool contains(struct stoker_string s, const char *part)
{
	return memmem(s.data, s.length, part, strlen(part)) != NULL;
}

/*
 * Which tokens take white space beside them along.  Tokenizers' own files say it of each token;
 * GGUF has no place for it, so it goes by the families that are known to.
 */
static void mark_strips(struct stoker_vocabulary *v)
{
	const struct stoker_string name = key_text(v, "general.name");
	const struct stoker_string architecture = key_text(v, "general.architecture");
	const struct stoker_string pre = key_text(v, "tokenizer.ggml.pre");
	struct token *t;

	if (v->kind == VOCABULARY_SPM && (contains(architecture, "phi3") || is_phi3(name))) {
		for (uint32_t i = 0; i < v->count; i++)
			v->tokens[i].strip_right = is_special(&v->tokens[i]);
		for (const char *const *p =
			     (const char *const[]){ "<unk>", "<s>", "<|endoftext|>", NULL };
		     *p; p++) {
			t = token_named(v, *p);
			if (t)
				t->strip_right = false;
		}
	}
	if (contains(pre, "jina-v2-") || contains(pre, "roberta") ||
	    contains(architecture, "nomic-bert-moe") || contains(architecture, "jina-bert-v3")) {
		t = token_named(v, "<mask>");
		if (t)
			t->strip_left = true;
	}
	if (contains(architecture, "modern-bert") || contains(pre, "modern-bert")) {
		t = token_named(v, "[MASK]");
		if (t)
			t->strip_left = true;
	}
}

/* By spelling; of equal ones the first. */
static int by_spelling(const void *a, const void *b, void *context)
{
	const struct stoker_vocabulary *v = context;
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct stoker_string s = v->tokens[x].text, t = v->tokens[y].text;
	const int order = memcmp(s.data, t.data, MIN(s.length, t.length));

	if (order || s.length != t.length)
		return order ? order : s.length < t.length ? -1 : 1;
	return x < y ? -1 : x > y;
}

int specials_find(struct stoker_vocabulary *v)
{
	uint32_t n = 0;

	mark_by_name(v);
	mark_end_of_message(v);
	mark_strips(v);
	for (uint32_t i = 0; i < v->count; i++)
		v->tokens[i].marker = is_marker(v->tokens[i].text);
	for (uint32_t i = 0; i < v->count; i++)
		n += is_special(&v->tokens[i]) && v->tokens[i].text.length <= MAX_SPELLING;
	v->specials = calloc(n + 1, sizeof(*v->specials));
	if (!v->specials)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->count; i++)
		if (is_special(&v->tokens[i]) && v->tokens[i].text.length <= MAX_SPELLING)
			v->specials[v->special_count++] = i;
	qsort_r(v->specials, n, sizeof(*v->specials), by_spelling, v);
	for (uint32_t i = 0; i < n; i++)
		v->specials_from[(uint8_t)v->tokens[v->specials[i]].text.data[0] + 1] = i + 1;
	for (size_t c = 1; c < ARRAY_SIZE(v->specials_from); c++)
		v->specials_from[c] = MAX(v->specials_from[c], v->specials_from[c - 1]);
	return 0;
}

/* Of [from, to), which agree in @at bytes, the first whose next byte is at least @byte. */
static uint32_t first_from(const struct stoker_vocabulary *v, uint32_t from, uint32_t to, size_t at,
			   unsigned byte)
{
	while (from < to) {
		const uint32_t middle = from + (to - from) / 2;
		const struct stoker_string s = v->tokens[v->specials[middle]].text;

		if (s.length <= at || (uint8_t)s.data[at] < byte)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

uint32_t specials_match(const struct stoker_vocabulary *v, const char *text, size_t bytes,
			enum specials which)
{
	const uint8_t first = (uint8_t)text[0];
	uint32_t from = v->specials_from[first], to = v->specials_from[first + 1];
	uint32_t found = NO_TOKEN;

	for (size_t n = 1; from < to; n++) {
		/* those that end here come first */
		for (; from < to && v->tokens[v->specials[from]].text.length == n; from++) {
			const struct token *t = &v->tokens[v->specials[from]];

			if (found != NO_TOKEN && v->tokens[found].text.length == n)
				continue;
			if (which == SPECIALS_ALL || (t->type == TOKEN_USER_DEFINED &&
						      (which == SPECIALS_USER || !t->marker)))
				found = v->specials[from];
		}
		if (n == bytes)
			break;
		const unsigned byte = (uint8_t)text[n];

		from = first_from(v, from, to, n, byte);
		to = first_from(v, from, to, n, byte + 1);
	}
	return found;
}

void specials_name(struct stoker_vocabulary *v)
{
	/* the usual ones of each part come first */
	static const struct {
		enum stoker_special which;
		const char *name;
	} parts[] = {
		{ STOKER_SPECIAL_END_OF_TURN, "<|eot_id|>" },
		{ STOKER_SPECIAL_END_OF_TURN, "<|im_end|>" },
		{ STOKER_SPECIAL_END_OF_TURN, "<|end|>" },
		{ STOKER_SPECIAL_END_OF_TURN, "<end_of_turn>" },
		{ STOKER_SPECIAL_END_OF_TURN, "<turn|>" },
		{ STOKER_SPECIAL_END_OF_TURN, "<end_of_utterance>" },
		{ STOKER_SPECIAL_END_OF_TURN, "<EOT>" },
		{ STOKER_SPECIAL_END_OF_TURN, "_<EOT>" },
		{ STOKER_SPECIAL_END_OF_TURN, "[EOT]" },
		{ STOKER_SPECIAL_END_OF_MESSAGE, "<|eom_id|>" },
		{ STOKER_SPECIAL_FILL_PAD, "<|fim_pad|>" },
		{ STOKER_SPECIAL_FILL_PAD, "<fim-pad>" },
		{ STOKER_SPECIAL_FILL_PAD, "<fim_pad>" },
		{ STOKER_SPECIAL_FILL_PAD, "<PAD>" },
		{ STOKER_SPECIAL_FILL_PAD, "[PAD]" },
		{ STOKER_SPECIAL_REPOSITORY, "<|fim_repo|>" },
		{ STOKER_SPECIAL_REPOSITORY, "<|repo_name|>" },
		{ STOKER_SPECIAL_REPOSITORY, "<fim-repo>" },
		{ STOKER_SPECIAL_REPOSITORY, "<REPO>" },
		{ STOKER_SPECIAL_REPOSITORY, "<reponame>" },
		{ STOKER_SPECIAL_FILE, "<|file_sep|>" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const uint32_t id = find_token(v, parts[i].name, strlen(parts[i].name));

		if (v->marks[parts[i].which] < 0 && id != NO_TOKEN && v->tokens[id].end)
			v->marks[parts[i].which] = id;
	}
	for (size_t i = 0; i < ARRAY_SIZE(fills); i++) {
		const enum stoker_special which =
			(enum stoker_special)(STOKER_SPECIAL_FILL_PREFIX + i / FILL_NAMES);
		const uint32_t id = find_token(v, fills[i], strlen(fills[i]));

		if (v->marks[which] < 0 && id != NO_TOKEN)
			v->marks[which] = id;
	}
}

int64_t stoker_vocabulary_special(const struct stoker_vocabulary *v, enum stoker_special which)
{
	if (!v)
		return -1;
	switch (which) {
	case STOKER_SPECIAL_BEGIN:
		return v->bos;
	case STOKER_SPECIAL_END:
		return v->eos;
	case STOKER_SPECIAL_UNKNOWN:
		return v->unknown;
	case STOKER_SPECIAL_SEPARATOR:
		return v->separator;
	case STOKER_SPECIAL_PADDING:
		return v->padding;
	default:
		return (size_t)which < ARRAY_SIZE(v->marks) ? v->marks[which] : -1;
	}
}

int64_t stoker_vocabulary_find(const struct stoker_vocabulary *v, const char *spelling,
			       size_t bytes)
{
	const uint32_t id = v && spelling ? find_token(v, spelling, bytes) : NO_TOKEN;

	return id == NO_TOKEN ? -1 : (int64_t)id;
}
