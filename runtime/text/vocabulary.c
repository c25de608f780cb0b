// SPDX-License-Identifier: MIT
/* Reading a vocabulary from the metadata of a container. */
#include "text/vocabulary.h"

#include <stdio.h>

enum { MAX_TOKENS = 1 << 24 };

struct loading {
	struct stoker_vocabulary *v;
	const char *path;
	struct stoker_error *err;
};

static const struct stoker_gguf_key *tokenizer_key(const struct loading *l, const char *name)
{
	char full[80];

	snprintf(full, sizeof(full), "tokenizer.%s", name);
	return stoker_gguf_find(l->v->gguf, full);
}

static int64_t id_or(const struct loading *l, const char *name, int64_t fallback)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	int64_t id = fallback;

	if (key && stoker_gguf_i64(l->v->gguf, key, 0, &id))
		id = fallback;
	return id >= 0 && id < l->v->count ? id : -1;
}

static bool flag_or(const struct loading *l, const char *name, bool fallback)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	uint64_t value = fallback;

	if (key)
		stoker_gguf_u64(l->v->gguf, key, 0, &value);
	return value != 0;
}

static void string_or(const struct loading *l, const char *name, const char *fallback, char out[64])
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	struct stoker_string s = { fallback, strlen(fallback) };

	if (key)
		stoker_gguf_string(l->v->gguf, key, &s);
	snprintf(out, 64, "%.*s", (int)MIN(s.length, (size_t)63), s.data);
}

static int load_tokens(const struct loading *l)
{
	const struct stoker_gguf_key *tokens = tokenizer_key(l, "ggml.tokens");
	const struct stoker_gguf_key *scores = tokenizer_key(l, "ggml.scores");
	const struct stoker_gguf_key *types = tokenizer_key(l, "ggml.token_type");
	struct stoker_vocabulary *v = l->v;
	AUTO_FREE struct stoker_string *texts = NULL;

	if (!tokens || tokens->type != STOKER_GGUF_ARRAY ||
	    tokens->element_type != STOKER_GGUF_STRING)
		return stoker_fail(
			l->err, -EINVAL,
			"%s: key tokenizer.ggml.tokens is missing or no array of strings", l->path);
	if (tokens->count == 0 || tokens->count > MAX_TOKENS)
		return stoker_fail(l->err, -EINVAL,
				   "%s: tokenizer.ggml.tokens has %llu entries, limits 1 and %d",
				   l->path, (unsigned long long)tokens->count, MAX_TOKENS);
	if ((scores && scores->count < tokens->count) || (types && types->count < tokens->count))
		return stoker_fail(l->err, -EINVAL,
				   "%s: %llu tokens, but %llu scores and %llu types", l->path,
				   (unsigned long long)tokens->count,
				   (unsigned long long)(scores ? scores->count : 0),
				   (unsigned long long)(types ? types->count : 0));
	v->count = (uint32_t)tokens->count;
	v->tokens = calloc(v->count, sizeof(*v->tokens));
	texts = calloc(v->count, sizeof(*texts));
	if (!v->tokens || !texts || string_map_create(&v->ids, v->count))
		return stoker_fail(l->err, -ENOMEM, "%s: out of memory", l->path);
	stoker_gguf_strings(v->gguf, tokens, texts);
	for (uint32_t i = 0; i < v->count; i++) {
		double score = 0;
		int64_t type = TOKEN_NORMAL;

		if (scores && stoker_gguf_f64(v->gguf, scores, i, &score))
			return stoker_fail(l->err, -EINVAL,
					   "%s: tokenizer.ggml.scores holds no numbers", l->path);
		if (types && stoker_gguf_i64(v->gguf, types, i, &type))
			return stoker_fail(l->err, -EINVAL,
					   "%s: tokenizer.ggml.token_type holds no integers",
					   l->path);
		v->tokens[i] = (struct token){
			.text = texts[i],
			.score = (float)score,
			.type = (uint8_t)(type >= 0 && type <= TOKEN_BYTE ? type : 0)
		};
		if (texts[i].length)
			string_map_put(&v->ids, texts[i], i);
		v->longest = MAX(v->longest, MIN(texts[i].length, (size_t)MAX_SPELLING));
	}
	return 0;
}

static int load_merges(const struct loading *l)
{
	const struct stoker_gguf_key *merges = tokenizer_key(l, "ggml.merges");
	struct stoker_vocabulary *v = l->v;

	if (!merges || merges->type != STOKER_GGUF_ARRAY ||
	    merges->element_type != STOKER_GGUF_STRING || merges->count > MAX_TOKENS)
		return stoker_fail(
			l->err, -EINVAL,
			"%s: key tokenizer.ggml.merges is missing or no array of strings", l->path);
	v->merges = calloc(merges->count + 1, sizeof(*v->merges));
	if (!v->merges || string_map_create(&v->ranks, merges->count))
		return stoker_fail(l->err, -ENOMEM, "%s: out of memory", l->path);
	stoker_gguf_strings(v->gguf, merges, v->merges);
	for (uint32_t i = 0; i < merges->count; i++)
		string_map_put(&v->ranks, v->merges[i], i);
	return 0;
}

static bool named(const struct token *t, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (t->text.length == strlen(names[i]) &&
		    !memcmp(t->text.data, names[i], t->text.length))
			return true;
	return false;
}

static struct token *token_named(struct stoker_vocabulary *v, const char *name)
{
	const uint32_t id = find_token(v, name, strlen(name));

	return id == NO_TOKEN ? NULL : &v->tokens[id];
}

/* Which tokens end a text; files rarely say it, so it goes by the names that models use. */
static void mark_ends(const struct loading *l)
{
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
		"<｜end▁of▁sentence｜>",
	};
	static const char *const channel[] = { "<|channel|>", "<|message|>", "<|start|>",
					       "<|constrain|>" };
	const int64_t turn[] = { l->v->eos, id_or(l, "ggml.eot_token_id", -1),
				 id_or(l, "ggml.eom_token_id", -1) };
	struct stoker_vocabulary *v = l->v;

	for (uint32_t i = 0; i < v->count; i++) {
		v->tokens[i].end = named(&v->tokens[i], ends, ARRAY_SIZE(ends));
		if (v->tokens[i].end && v->kind == VOCABULARY_BPE)
			v->tokens[i].type = TOKEN_CONTROL;
		if (named(&v->tokens[i], channel, ARRAY_SIZE(channel)))
			v->tokens[i].type = TOKEN_USER_DEFINED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(turn); i++)
		if (turn[i] >= 0)
			v->tokens[turn[i]].end = true;
	/* harmony ends messages, not turns, with <|end|> */
	struct token *end = token_named(v, "<|end|>");

	if (end && token_named(v, "<|return|>") &&
	    (token_named(v, "<|call|>") || token_named(v, "<|calls|>"))) {
		end->end = false;
		end->type = TOKEN_USER_DEFINED;
	}
}

static int list_specials(const struct loading *l)
{
	struct stoker_vocabulary *v = l->v;

	for (int pass = 0; pass < 2; pass++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < v->count; i++) {
			const uint8_t type = v->tokens[i].type;

			if (v->tokens[i].text.length &&
			    (type == TOKEN_CONTROL || type == TOKEN_UNKNOWN ||
			     type == TOKEN_USER_DEFINED)) {
				if (pass)
					v->specials[n] = i;
				n++;
			}
		}
		if (!pass) {
			v->specials = calloc(n + 1, sizeof(*v->specials));
			if (!v->specials)
				return stoker_fail(l->err, -ENOMEM, "%s: out of memory", l->path);
		}
		v->special_count = n;
	}
	qsort_r(v->specials, v->special_count, sizeof(*v->specials), longer_first, v);
	return 0;
}

static int load_kind(const struct loading *l)
{
	static const struct {
		const char *name;
		enum vocabulary_kind kind;
		int bos, eos, unknown, separator;
		bool add_bos, space_prefix;
	} kinds[] = {
		{ "gpt2", VOCABULARY_BPE, 11, 11, -1, -1, false, false },
		{ "llama", VOCABULARY_SPM, 1, 2, 0, -1, true, true },
		{ "bert", VOCABULARY_WPM, 101, -1, 100, 102, true, false },
	};
	struct stoker_vocabulary *v = l->v;
	const struct pretokenizer *p = NULL;
	bool add_bos;
	char name[64];
	int ret;

	string_or(l, "ggml.model", "", name);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(name, kinds[i].name))
			continue;
		v->kind = kinds[i].kind;
		v->bos = id_or(l, "ggml.bos_token_id", kinds[i].bos);
		v->eos = id_or(l, "ggml.eos_token_id", kinds[i].eos);
		v->unknown = id_or(l, "ggml.unknown_token_id", kinds[i].unknown);
		v->separator = id_or(l, "ggml.seperator_token_id", kinds[i].separator);
		add_bos = kinds[i].add_bos;
		v->add_space_prefix = flag_or(l, "ggml.add_space_prefix", kinds[i].space_prefix);
		if (v->kind == VOCABULARY_BPE) {
			string_or(l, "ggml.pre", "default", name);
			ret = words_create(name, &v->words, &p, l->err);
			if (!ret)
				ret = load_merges(l);
			if (ret)
				return ret;
			add_bos = pretokenizer_adds_bos(p);
			v->ignore_merges = pretokenizer_ignores_merges(p);
		}
		v->add_bos = flag_or(l, "ggml.add_bos_token", add_bos);
		v->add_eos = flag_or(l, "ggml.add_eos_token", false);
		v->lowercase = flag_or(l, "ggml.normalizer.lowercase", true);
		v->strip_accents = flag_or(l, "ggml.normalizer.strip_accents", v->lowercase);
		return 0;
	}
	return stoker_fail(l->err, -ENOTSUP, "%s: tokenizer.ggml.model \"%s\" isn't supported",
			   l->path, name);
}

int stoker_vocabulary_load_gguf(struct stoker_gguf *gguf, struct stoker_vocabulary **out,
				struct stoker_error *err)
{
	const char *path = stoker_gguf_file(gguf, 0, NULL, NULL);
	struct stoker_vocabulary *v = calloc(1, sizeof(*v));
	const struct loading l = { .v = v, .path = path, .err = err };
	const struct stoker_gguf_key *template;
	struct stoker_string s;
	int ret;

	*out = NULL;
	if (!v)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	v->gguf = gguf_share(gguf);
	ret = load_tokens(&l);
	if (!ret)
		ret = load_kind(&l);
	if (!ret) {
		mark_ends(&l);
		ret = list_specials(&l);
	}
	template = ret ? NULL : tokenizer_key(&l, "chat_template");
	if (template && !stoker_gguf_string(v->gguf, template, &s)) {
		v->chat_template = strndup(s.data, s.length);
		if (!v->chat_template)
			ret = stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	}
	if (ret)
		stoker_vocabulary_free(&v);
	*out = v;
	return ret;
}

int stoker_vocabulary_load(const char *path, struct stoker_vocabulary **out,
			   struct stoker_error *err)
{
	struct stoker_gguf *gguf;
	int ret = stoker_gguf_open(path, &gguf, err);

	*out = NULL;
	if (!ret)
		ret = stoker_vocabulary_load_gguf(gguf, out, err);
	stoker_gguf_close(&gguf);
	return ret;
}

void stoker_vocabulary_free(struct stoker_vocabulary **vocabulary)
{
	struct stoker_vocabulary *v = *vocabulary;

	if (!v)
		return;
	*vocabulary = NULL;
	words_destroy(&v->words);
	string_map_free(&v->ids);
	string_map_free(&v->ranks);
	stoker_gguf_close(&v->gguf);
	free(v->merges);
	free(v->tokens);
	free(v->specials);
	free(v->chat_template);
	free(v);
}

uint32_t stoker_vocabulary_size(const struct stoker_vocabulary *v)
{
	return v->count;
}

int64_t stoker_vocabulary_bos(const struct stoker_vocabulary *v)
{
	return v->bos;
}

int stoker_vocabulary_is_end(const struct stoker_vocabulary *v, uint32_t token)
{
	return token < v->count && v->tokens[token].end;
}
