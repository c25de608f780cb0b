// SPDX-License-Identifier: MIT
/* Vocabularies: loading, special tokens in text, tokens back to text. */
#include "text/vocabulary.h"

#include <stdio.h>

enum { MAX_TOKENS = 1 << 24 };

/* --- UTF-8 and small tables --------------------------------------------------------------------
 */

size_t utf8_decode(const char *text, size_t bytes, uint32_t *code_point)
{
	const unsigned char *s = (const unsigned char *)text;
	const size_t n = s[0] < 0x80   ? 1
			 : s[0] < 0xc2 ? 0
			 : s[0] < 0xe0 ? 2
			 : s[0] < 0xf0 ? 3
			 : s[0] < 0xf5 ? 4
				       : 0;
	uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

	if (n == 0 || n > bytes)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	*code_point = c;
	return n;
}

size_t utf8_encode(uint32_t c, char out[4])
{
	const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(lead[n] | c);
	return n;
}

void token_list_add(struct token_list *list, uint32_t id)
{
	if (list->count == list->room) {
		const size_t room = 2 * list->room + 64;
		uint32_t *more = list->failed ? NULL : realloc(list->ids, room * sizeof(*more));

		if (!more) {
			list->failed = true;
			return;
		}
		list->ids = more;
		list->room = room;
	}
	list->ids[list->count++] = id;
}

/* FNV-1a, 64 bits. */
#define HASH_BEGIN 0xcbf29ce484222325u

static uint64_t hash_step(uint64_t h, char c)
{
	return (h ^ (uint8_t)c) * 0x100000001b3u;
}

static uint64_t hash_end(uint64_t h)
{
	return h ^ h >> 32;
}

static uint64_t hash(const char *text, size_t length)
{
	uint64_t h = HASH_BEGIN;

	for (size_t i = 0; i < length; i++)
		h = hash_step(h, text[i]);
	return hash_end(h);
}

static int string_map_create(struct string_map *map, size_t count)
{
	size_t room = 16;

	while (room < 2 * count)
		room *= 2;
	map->keys = malloc(room * sizeof(*map->keys));
	map->values = malloc(room * sizeof(*map->values));
	map->mask = room - 1;
	if (!map->keys || !map->values)
		return -ENOMEM;
	memset(map->values, 0xff, room * sizeof(*map->values));
	return 0;
}

/* Where @text is, or where it belongs. */
static size_t string_map_place(const struct string_map *map, uint64_t h, const char *text,
			       size_t length)
{
	size_t i = h & map->mask;

	while (map->values[i] != UINT32_MAX &&
	       (map->keys[i].length != length || memcmp(map->keys[i].data, text, length)))
		i = (i + 1) & map->mask;
	return i;
}

static uint32_t string_map_find(const struct string_map *map, uint64_t h, const char *text,
				size_t length)
{
	return map->values ? map->values[string_map_place(map, h, text, length)] : UINT32_MAX;
}

uint32_t string_map_get(const struct string_map *map, const char *text, size_t length)
{
	return string_map_find(map, hash(text, length), text, length);
}

/* The first of equal keys stays. */
static void string_map_put(struct string_map *map, struct stoker_string key, uint32_t value)
{
	const size_t i = string_map_place(map, hash(key.data, key.length), key.data, key.length);

	if (map->values[i] == UINT32_MAX) {
		map->keys[i] = key;
		map->values[i] = value;
	}
}

static void string_map_free(struct string_map *map)
{
	free(map->keys);
	free(map->values);
}

uint32_t find_byte_token(const struct stoker_vocabulary *v, uint8_t byte)
{
	char name[8];

	snprintf(name, sizeof(name), "<0x%02X>", byte);
	return find_token(v, name, 6);
}

/* --- loading -----------------------------------------------------------------------------------
 */

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

static int longer_first(const void *a, const void *b, void *context)
{
	const struct stoker_vocabulary *v = context;
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const size_t m = v->tokens[x].text.length, n = v->tokens[y].text.length;

	if (m != n)
		return m > n ? -1 : 1;
	return x < y ? -1 : x > y;
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

int stoker_vocabulary_load(const char *path, struct stoker_vocabulary **out,
			   struct stoker_error *err)
{
	struct stoker_vocabulary *v = calloc(1, sizeof(*v));
	const struct loading l = { .v = v, .path = path, .err = err };
	const struct stoker_gguf_key *template;
	struct stoker_string s;
	int ret;

	*out = NULL;
	if (!v)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	ret = stoker_gguf_open(path, &v->gguf, err);
	if (!ret)
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

/* --- text to tokens ----------------------------------------------------------------------------
 */

/* A stretch of the text: either plain, or one special token. */
struct fragment {
	const char *text;
	size_t bytes;
	uint32_t token; /* NO_TOKEN: plain */
};

struct fragments {
	struct fragment *list;
	size_t count, room;
};

static bool add_fragment(struct fragments *f, const char *text, size_t bytes, uint32_t token)
{
	if (bytes == 0)
		return true;
	if (f->count == f->room) {
		const size_t room = 2 * f->room + 16;
		struct fragment *more = realloc(f->list, room * sizeof(*more));

		if (!more)
			return false;
		f->list = more;
		f->room = room;
	}
	f->list[f->count++] = (struct fragment){ text, bytes, token };
	return true;
}

/* Cuts every plain fragment at the occurrences of one token. */
static bool cut_at(struct fragments *f, struct fragments *into, const struct token *t, uint32_t id)
{
	into->count = 0;
	for (size_t i = 0; i < f->count; i++) {
		const struct fragment *part = &f->list[i];
		const char *at = part->text, *end = part->text + part->bytes, *hit;

		if (part->token != NO_TOKEN) {
			if (!add_fragment(into, part->text, part->bytes, part->token))
				return false;
			continue;
		}
		while ((hit = memmem(at, (size_t)(end - at), t->text.data, t->text.length))) {
			if (!add_fragment(into, at, (size_t)(hit - at), NO_TOKEN) ||
			    !add_fragment(into, hit, t->text.length, id))
				return false;
			at = hit + t->text.length;
		}
		if (!add_fragment(into, at, (size_t)(end - at), NO_TOKEN))
			return false;
	}
	return true;
}

/*
 * The special tokens that occur in a text, longest first, possibly several times: one pass that
 * looks every stretch up that is as long as some special token.
 */
static void find_specials(const struct stoker_vocabulary *v, const char *text, size_t bytes,
			  bool special, struct token_list *found)
{
	bool lengths[MAX_SPELLING + 1] = { false };
	size_t most = 0;

	for (uint32_t i = 0; i < v->special_count; i++) {
		const struct token *t = &v->tokens[v->specials[i]];

		if (t->text.length > MAX_SPELLING || (!special && t->type != TOKEN_USER_DEFINED))
			continue;
		lengths[t->text.length] = true;
		most = MAX(most, t->text.length);
	}
	for (size_t at = 0; most && at < bytes && !found->failed; at++) {
		uint64_t h = HASH_BEGIN;

		for (size_t n = 1; n <= most && at + n <= bytes; n++) {
			h = hash_step(h, text[at + n - 1]);
			if (!lengths[n])
				continue;
			const uint32_t id = string_map_find(&v->ids, hash_end(h), text + at, n);

			if (id == NO_TOKEN)
				continue;
			const uint8_t type = v->tokens[id].type;

			if (type == TOKEN_USER_DEFINED ||
			    (special && (type == TOKEN_CONTROL || type == TOKEN_UNKNOWN)))
				token_list_add(found, id);
		}
	}
	if (found->count)
		qsort_r(found->ids, found->count, sizeof(*found->ids), longer_first, (void *)v);
}

static bool partition(const struct stoker_vocabulary *v, const char *text, size_t bytes,
		      bool special, struct fragments *out)
{
	struct fragments now = { 0 }, next = { 0 };
	struct token_list found = { 0 };
	bool ok = add_fragment(&now, text, bytes, NO_TOKEN);

	find_specials(v, text, bytes, special, &found);
	ok = ok && !found.failed;
	for (size_t i = 0; i < found.count && ok; i++) {
		if (i && found.ids[i] == found.ids[i - 1])
			continue;
		ok = cut_at(&now, &next, &v->tokens[found.ids[i]], found.ids[i]);
		const struct fragments swap = now;

		now = next;
		next = swap;
	}
	free(found.ids);
	free(next.list);
	*out = now;
	return ok;
}

int stoker_tokenize(const struct stoker_vocabulary *v, const char *text, size_t bytes,
		    unsigned flags, uint32_t **tokens, size_t *count, struct stoker_error *err)
{
	struct token_list list = { 0 };
	struct fragments f = { 0 };
	int ret = 0;

	*tokens = NULL;
	*count = 0;
	if (bytes > UINT32_MAX / 4)
		return stoker_fail(err, -EINVAL, "text of %zu bytes, limit %u", bytes,
				   UINT32_MAX / 4);
	if (!partition(v, text, bytes, flags & STOKER_TOKENIZE_SPECIAL, &f))
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	if ((flags & STOKER_TOKENIZE_ADD) && v->bos >= 0 &&
	    (v->add_bos || v->kind == VOCABULARY_WPM))
		token_list_add(&list, (uint32_t)v->bos);
	for (size_t i = 0; i < f.count && !ret; i++) {
		const struct fragment *part = &f.list[i];

		if (part->token != NO_TOKEN)
			token_list_add(&list, part->token);
		else if (v->kind == VOCABULARY_BPE)
			ret = encode_bpe(v, part->text, part->bytes, &list, err);
		else if (v->kind == VOCABULARY_SPM)
			ret = encode_spm(v, part->text, part->bytes, v->add_space_prefix, &list,
					 err);
		else
			ret = encode_wpm(v, part->text, part->bytes, &list, err);
	}
	if ((flags & STOKER_TOKENIZE_ADD) && v->kind == VOCABULARY_WPM && v->separator >= 0)
		token_list_add(&list, (uint32_t)v->separator);
	else if ((flags & STOKER_TOKENIZE_ADD) && v->add_eos && v->eos >= 0)
		token_list_add(&list, (uint32_t)v->eos);
	free(f.list);
	if (!ret && list.failed)
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	if (ret) {
		free(list.ids);
		return ret;
	}
	*tokens = list.ids;
	*count = list.count;
	return 0;
}

/* --- tokens to text ----------------------------------------------------------------------------
 */

static size_t emit(const char *text, size_t length, char *out, size_t room)
{
	if (room)
		memcpy(out, text, MIN(length, room));
	return length;
}

/* Byte-level spelling back to bytes; characters that stand for no byte stay as they are. */
static size_t emit_bytes(const struct stoker_string *s, char *out, size_t room)
{
	size_t length = 0;

	for (size_t i = 0; i < s->length;) {
		uint32_t c;
		const size_t n = MAX(utf8_decode(s->data + i, s->length - i, &c), (size_t)1);
		const int byte = utf8_decode(s->data + i, s->length - i, &c) ? character_byte(c)
									     : -1;
		const char one = (char)byte;

		length += byte >= 0
				  ? emit(&one, 1, out + MIN(length, room), room - MIN(length, room))
				  : emit(s->data + i, n, out + MIN(length, room),
					 room - MIN(length, room));
		i += n;
	}
	return length;
}

/* U+2581 back to spaces. */
static size_t emit_spaces(const struct stoker_string *s, char *out, size_t room)
{
	size_t length = 0;

	for (size_t i = 0; i < s->length;) {
		const bool space = s->length - i >= 3 && !memcmp(s->data + i, "\xe2\x96\x81", 3);

		length += emit(space ? " " : s->data + i, 1, out + MIN(length, room),
			       room - MIN(length, room));
		i += space ? 3 : 1;
	}
	return length;
}

size_t stoker_token_text(const struct stoker_vocabulary *v, uint32_t token, int special, char *out,
			 size_t room)
{
	const struct token *t = &v->tokens[token < v->count ? token : 0];
	unsigned byte;
	char name[8];

	if (token >= v->count)
		return 0;
	switch (t->type) {
	case TOKEN_CONTROL:
	case TOKEN_UNKNOWN:
		return special ? emit(t->text.data, t->text.length, out, room) : 0;
	case TOKEN_USER_DEFINED:
		return emit(t->text.data, t->text.length, out, room);
	case TOKEN_BYTE:
		snprintf(name, sizeof(name), "%.*s", (int)MIN(t->text.length, (size_t)7),
			 t->text.data);
		if (sscanf(name, "<0x%2X>", &byte) != 1)
			return 0;
		name[0] = (char)byte;
		return emit(name, 1, out, room);
	case TOKEN_NORMAL:
		return v->kind == VOCABULARY_BPE ? emit_bytes(&t->text, out, room)
						 : emit_spaces(&t->text, out, room);
	default:
		return 0;
	}
}
