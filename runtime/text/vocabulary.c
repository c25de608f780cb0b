// SPDX-License-Identifier: MIT
/* Reading a vocabulary from the metadata of a container. */
#include "text/vocabulary.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/use.h"
#include "model/architectures.h"
#include "text/trie.h"

enum { MAX_TOKENS = 1 << 24 };

struct loading {
	struct stoker_vocabulary *v;
	const char *path, *pretokenizer;
	struct stoker_error *err;
};

static const struct stoker_gguf_key *tokenizer_key(const struct loading *l, const char *name)
{
	char full[80];

	snprintf(full, sizeof(full), "tokenizer.%s", name);
	return stoker_gguf_find(l->v->gguf, full);
}

static void PRINTF(2, 3) warn(const struct loading *l, const char *fmt, ...)
{
	struct stoker_vocabulary *v = l->v;
	va_list args;

	if (v->warning_count == MAX_WARNINGS)
		return;
	va_start(args, fmt);
	if (vasprintf(&v->warnings[v->warning_count], fmt, args) >= 0)
		v->warning_count++;
	va_end(args);
}

static bool is_integer(enum stoker_gguf_type type)
{
	return type != STOKER_GGUF_ARRAY && type != STOKER_GGUF_STRING &&
	       type != STOKER_GGUF_BOOL && type != STOKER_GGUF_F32 && type != STOKER_GGUF_F64;
}

static int wrong_kind(const struct loading *l, const char *name, const char *wanted)
{
	return stoker_fail(l->err, -EINVAL, "%s: key tokenizer.%s isn't %s", l->path, name, wanted);
}

/* The token number @index of a key; -1: one that the vocabulary doesn't have. */
static int64_t known_id(const struct loading *l, const struct stoker_gguf_key *key, uint64_t index)
{
	int64_t id = -1;

	/* a value beyond int64 has no token either */
	stoker_gguf_i64(l->v->gguf, key, index, &id);
	if (id >= 0 && id < l->v->count)
		return id;
	if (id != -1 && id != UINT32_MAX) /* how none is written */
		warn(l, "%s: key %s is %lld, the vocabulary has %u tokens; it is left out", l->path,
		     key->name, (long long)id, l->v->count);
	return -1;
}

/* A token id, or a token's spelling in its place.  @id stays as it is without the key. */
static int read_id(const struct loading *l, const char *name, int64_t *id)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	struct stoker_string s;
	uint32_t found;

	if (!key)
		return 0;
	if (is_integer(key->type)) {
		*id = known_id(l, key, 0);
		return 0;
	}
	if (stoker_gguf_string(l->v->gguf, key, &s))
		return wrong_kind(l, name, "the id of a token");
	found = find_token(l->v, s.data, s.length);
	if (found == NO_TOKEN)
		return stoker_fail(l->err, -EINVAL,
				   "%s: key tokenizer.%s is \"%.*s\", which is neither an id nor a "
				   "token",
				   l->path, name, (int)MIN(s.length, (size_t)60), s.data);
	*id = found;
	return 0;
}

/* Likewise one that ends texts or turns, or a list of these; @id is the first. */
static int read_end(const struct loading *l, const char *name, int64_t *id)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	int ret = 0;

	if (!key || key->type != STOKER_GGUF_ARRAY) {
		ret = read_id(l, name, id);
		if (!ret && *id >= 0)
			l->v->tokens[*id].end = true;
		return ret;
	}
	if (!is_integer(key->element_type) || key->count > MAX_TOKENS)
		return wrong_kind(l, name, "the id of a token, or a list of ids");
	*id = -1;
	for (uint64_t i = key->count; i-- > 0;) {
		const int64_t one = known_id(l, key, i);

		if (one < 0)
			continue;
		l->v->tokens[one].end = true;
		*id = one;
	}
	return 0;
}

/* @value stays as it is without the key. */
static int read_flag(const struct loading *l, const char *name, bool *value)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	uint64_t number = 0;

	if (!key)
		return 0;
	if ((key->type != STOKER_GGUF_BOOL && !is_integer(key->type)) ||
	    stoker_gguf_u64(l->v->gguf, key, 0, &number) || number > 1)
		return wrong_kind(l, name, "true or false");
	*value = number;
	return 0;
}

/* Cut to what fits @out, which no known name exceeds; empty without the key. */
static int read_name(const struct loading *l, const char *name, char out[64])
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	struct stoker_string s = { "", 0 };

	if (key && stoker_gguf_string(l->v->gguf, key, &s))
		return wrong_kind(l, name, "a text");
	snprintf(out, 64, "%.*s", (int)MIN(s.length, (size_t)63), s.data);
	return 0;
}

static int check_array(const struct loading *l, const char *name)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, name);

	if (!key || (key->type == STOKER_GGUF_ARRAY && key->count >= l->v->count))
		return 0;
	if (key->type != STOKER_GGUF_ARRAY)
		return wrong_kind(l, name, "an array");
	return stoker_fail(l->err, -EINVAL, "%s: %u tokens, but tokenizer.%s has %llu entries",
			   l->path, l->v->count, name, (unsigned long long)key->count);
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
	v->count = (uint32_t)tokens->count;
	if (check_array(l, "ggml.scores") || check_array(l, "ggml.token_type"))
		return -EINVAL;
	v->tokens = calloc(v->count, sizeof(*v->tokens));
	texts = calloc(v->count, sizeof(*texts));
	if (!v->tokens || !texts || string_map_create(&v->ids, v->count))
		return stoker_fail(l->err, -ENOMEM, "%s: out of memory", l->path);
	stoker_gguf_strings(v->gguf, tokens, texts);
	v->fingerprint = gguf_fingerprint(tokens);
	for (uint32_t i = 0; i < v->count; i++) {
		double score = 0;
		int64_t type = TOKEN_NORMAL;

		if (scores && stoker_gguf_f64(v->gguf, scores, i, &score))
			return stoker_fail(l->err, -EINVAL,
					   "%s: tokenizer.ggml.scores holds no numbers", l->path);
		if (types &&
		    (!is_integer(types->element_type) || stoker_gguf_i64(v->gguf, types, i, &type)))
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

/* Byte pairs without merges leave single bytes, whatever words the vocabulary has. */
static int check_merges(const struct loading *l, uint64_t count)
{
	const struct stoker_vocabulary *v = l->v;

	for (uint32_t i = 0; i < count; i++) {
		const struct stoker_string s = v->merges[i];
		const char *space = s.length ? memchr(s.data + 1, ' ', s.length - 1) : NULL;

		if (!space || space + 1 == s.data + s.length)
			return stoker_fail(l->err, -EINVAL,
					   "%s: tokenizer.ggml.merges: number %u, \"%.*s\", isn't "
					   "two parts with a space between",
					   l->path, i, (int)MIN(s.length, (size_t)60), s.data);
	}
	for (uint32_t i = 0; i < v->count && !count; i++) {
		const struct token *t = &v->tokens[i];
		uint32_t c;

		if (t->type == TOKEN_NORMAL && t->text.length &&
		    utf8_decode(t->text.data, t->text.length, &c) != t->text.length)
			return stoker_fail(l->err, -EINVAL,
					   "%s: tokenizer.ggml.merges is empty, yet token %u, "
					   "\"%.*s\", would have to be merged from bytes",
					   l->path, i, (int)MIN(t->text.length, (size_t)60),
					   t->text.data);
	}
	return 0;
}

static int load_merges(const struct loading *l)
{
	const struct stoker_gguf_key *merges = tokenizer_key(l, "ggml.merges");
	struct stoker_vocabulary *v = l->v;

	if (!merges)
		return stoker_fail(l->err, -EINVAL, "%s: key tokenizer.ggml.merges is missing",
				   l->path);
	if (merges->type != STOKER_GGUF_ARRAY ||
	    (merges->element_type != STOKER_GGUF_STRING && merges->count))
		return wrong_kind(l, "ggml.merges", "an array of texts");
	if (merges->count > MAX_TOKENS)
		return stoker_fail(l->err, -EINVAL,
				   "%s: tokenizer.ggml.merges has %llu entries, the limit is %d",
				   l->path, (unsigned long long)merges->count, MAX_TOKENS);
	v->merges = calloc(merges->count + 1, sizeof(*v->merges));
	if (!v->merges || string_map_create(&v->ranks, merges->count))
		return stoker_fail(l->err, -ENOMEM, "%s: out of memory", l->path);
	if (merges->count)
		stoker_gguf_strings(v->gguf, merges, v->merges);
	for (uint32_t i = 0; i < merges->count; i++)
		string_map_put(&v->ranks, v->merges[i], i);
	return check_merges(l, merges->count);
}

static int load_pretokenizer(const struct loading *l, bool *add_bos)
{
	const struct pretokenizer *p = NULL;
	struct stoker_vocabulary *v = l->v;
	char name[64];
	int ret = read_name(l, "ggml.pre", name);

	if (l->pretokenizer)
		snprintf(name, sizeof(name), "%s", l->pretokenizer);
	if (!ret && !*name) {
		snprintf(name, sizeof(name), "default");
		warn(l,
		     "%s: the file doesn't say how to cut text into words (tokenizer.ggml.pre), as "
		     "old files don't; GPT-2's way is taken and text may be worse",
		     l->path);
	}
	if (!ret)
		ret = words_create(name, &v->words, &p, l->err);
	if (ret)
		return ret;
	*add_bos = pretokenizer_adds_bos(p);
	v->ignore_merges = pretokenizer_ignores_merges(p);
	return load_merges(l);
}

struct kind {
	const char *name;
	enum vocabulary_kind kind;
	int bos, eos, unknown, separator; /* -1: files say it, or there is none */
	bool add_bos, space_prefix;
};

/* What files of a kind may leave out is taken from its first vocabulary, if it is a mark here too.
 */
static int64_t usual_id(const struct loading *l, int id)
{
	if (id < 0 || (uint32_t)id >= l->v->count)
		return -1;
	return !tokenizer_key(l, "ggml.token_type") || l->v->tokens[id].type == TOKEN_CONTROL ||
			       l->v->tokens[id].type == TOKEN_UNKNOWN
		       ? id
		       : -1;
}

/* Nothing is padded here: a number that makes no sense is no fault. */
static int64_t padding_id(const struct loading *l)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, "ggml.padding_token_id");
	int64_t id = -1;

	if (key && is_integer(key->type))
		stoker_gguf_i64(l->v->gguf, key, 0, &id);
	return id >= 0 && id < l->v->count ? id : -1;
}

static int load_ids(const struct loading *l, const struct kind *k)
{
	static const struct {
		const char *key;
		enum stoker_special which;
	} marks[] = {
		{ "ggml.eot_token_id", STOKER_SPECIAL_END_OF_TURN },
		{ "ggml.eom_token_id", STOKER_SPECIAL_END_OF_MESSAGE },
		{ "ggml.prefix_token_id", STOKER_SPECIAL_FILL_PREFIX },
		{ "ggml.suffix_token_id", STOKER_SPECIAL_FILL_SUFFIX },
		{ "ggml.middle_token_id", STOKER_SPECIAL_FILL_MIDDLE },
		{ "ggml.fim_pre_token_id", STOKER_SPECIAL_FILL_PREFIX },
		{ "ggml.fim_suf_token_id", STOKER_SPECIAL_FILL_SUFFIX },
		{ "ggml.fim_mid_token_id", STOKER_SPECIAL_FILL_MIDDLE },
		{ "ggml.fim_pad_token_id", STOKER_SPECIAL_FILL_PAD },
		{ "ggml.fim_rep_token_id", STOKER_SPECIAL_REPOSITORY },
		{ "ggml.fim_sep_token_id", STOKER_SPECIAL_FILE },
	};
	struct stoker_vocabulary *v = l->v;
	int ret;

	v->bos = usual_id(l, k->bos);
	v->eos = usual_id(l, k->eos);
	v->unknown = usual_id(l, k->unknown);
	v->separator = usual_id(l, k->separator);
	v->padding = padding_id(l);
	ret = read_id(l, "ggml.bos_token_id", &v->bos);
	if (!ret)
		ret = read_end(l, "ggml.eos_token_id", &v->eos);
	if (!ret)
		ret = read_id(l, "ggml.unknown_token_id", &v->unknown);
	if (!ret) /* as files spell it */
		ret = read_id(l, "ggml.seperator_token_id", &v->separator);
	for (size_t i = 0; i < ARRAY_SIZE(v->marks); i++)
		v->marks[i] = -1;
	for (size_t i = 0; i < ARRAY_SIZE(marks) && !ret; i++) {
		int64_t id = -1;

		ret = i < 2 ? read_end(l, marks[i].key, &id) : read_id(l, marks[i].key, &id);
		if (!ret && id >= 0) {
			v->tokens[id].type = TOKEN_CONTROL;
			v->marks[marks[i].which] = id;
		}
	}
	return ret;
}

static int load_kind(const struct loading *l)
{
	static const struct kind kinds[] = {
		{ "gpt2", VOCABULARY_BPE, -1, -1, -1, -1, false, false },
		{ "llama", VOCABULARY_SPM, 1, 2, 0, -1, true, true },
		{ "bert", VOCABULARY_WPM, 101, -1, 100, 102, true, false },
	};
	struct stoker_vocabulary *v = l->v;
	const struct kind *k = NULL;
	char name[64];
	int ret = read_name(l, "ggml.model", name);

	if (ret)
		return ret;
	if (!tokenizer_key(l, "ggml.model"))
		return stoker_fail(l->err, -EINVAL, "%s: key tokenizer.ggml.model is missing",
				   l->path);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(name, kinds[i].name))
			k = &kinds[i];
	if (!k)
		return stoker_fail(l->err, -ENOTSUP,
				   "%s: tokenizer.ggml.model \"%s\" isn't supported", l->path,
				   name);
	v->kind = k->kind;
	v->add_space_prefix = k->space_prefix;
	v->add_bos = k->add_bos;
	v->lowercase = true;
	ret = load_ids(l, k);
	if (!ret && v->kind == VOCABULARY_BPE)
		ret = load_pretokenizer(l, &v->add_bos);
	if (!ret)
		ret = read_flag(l, "ggml.add_space_prefix", &v->add_space_prefix);
	if (!ret)
		ret = read_flag(l, "ggml.add_bos_token", &v->add_bos);
	if (!ret)
		ret = read_flag(l, "ggml.add_eos_token", &v->add_eos);
	if (!ret)
		ret = read_flag(l, "ggml.normalizer.lowercase", &v->lowercase);
	v->strip_accents = v->lowercase;
	if (!ret)
		ret = read_flag(l, "ggml.normalizer.strip_accents", &v->strip_accents);
	return ret;
}

/* Files without an end of their own have one by name. */
static void name_end(struct stoker_vocabulary *v)
{
	static const char *const names[] = { "<|endoftext|>", "<|end_of_text|>",
					     "<｜end▁of▁sentence｜>", "</s>", "<eos>" };

	for (size_t i = 0; i < ARRAY_SIZE(names) && v->eos < 0; i++) {
		const uint32_t id = find_token(v, names[i], strlen(names[i]));

		if (id != NO_TOKEN && v->tokens[id].end)
			v->eos = id;
	}
}

/* Padding and the like that a model gives logits by mistake. */
static int load_suppressed(const struct loading *l)
{
	const char *name = "ggml.suppress_tokens";
	const struct stoker_gguf_key *key = tokenizer_key(l, name);
	struct stoker_vocabulary *v = l->v;

	if (!key)
		return 0;
	if (key->type != STOKER_GGUF_ARRAY || !is_integer(key->element_type))
		return wrong_kind(l, name, "a list of ids");
	if (key->count > v->count)
		return stoker_fail(l->err, -EINVAL, "%s: %u tokens, but tokenizer.%s has %llu",
				   l->path, v->count, name, (unsigned long long)key->count);
	v->suppressed = calloc(key->count + 1, sizeof(*v->suppressed));
	if (!v->suppressed)
		return stoker_fail(l->err, -ENOMEM, "%s: out of memory", l->path);
	for (uint64_t i = 0; i < key->count; i++) {
		const int64_t id = known_id(l, key, i);

		if (id >= 0)
			v->suppressed[v->suppressed_count++] = (uint32_t)id;
	}
	return 0;
}

static int check_template(const struct loading *l)
{
	const struct stoker_gguf_key *key = tokenizer_key(l, "chat_template");

	return key && key->type != STOKER_GGUF_STRING ? wrong_kind(l, "chat_template", "a text")
						      : 0;
}

/* Of a model that can't be run that is said, not what of its vocabulary isn't supported. */
static int blame_architecture(const struct loading *l, int ret)
{
	const struct stoker_gguf *gguf = l->v->gguf;
	int other;

	if (!ret || ret == -ENOMEM || stoker_architecture_is_known(gguf) ||
	    !stoker_gguf_find(gguf, "general.architecture"))
		return ret;
	other = gguf_check_kind(gguf, false, l->err);
	return other ? other : gguf_refuse_architecture(gguf, l->err);
}

int stoker_vocabulary_load_named(struct stoker_gguf *gguf, const char *pretokenizer,
				 struct stoker_vocabulary **out, struct stoker_error *err)
{
	const char *path = stoker_gguf_file(gguf, 0, NULL, NULL);
	struct stoker_vocabulary *v = calloc(1, sizeof(*v));
	const struct loading l = { .v = v, .path = path, .pretokenizer = pretokenizer, .err = err };
	int ret;

	if (out)
		*out = NULL;
	if (!gguf || !out) {
		free(v);
		return stoker_fail(err, -EINVAL,
				   "a vocabulary needs a container and a place for it");
	}
	if (!v)
		return stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	v->gguf = gguf_share(gguf);
	ret = gguf_check_kind(gguf, true, err);
	if (!ret)
		ret = load_tokens(&l);
	if (!ret)
		ret = load_kind(&l);
	ret = blame_architecture(&l, ret);
	if (!ret && specials_find(v))
		ret = stoker_fail(err, -ENOMEM, "%s: out of memory", path);
	if (!ret)
		ret = load_suppressed(&l);
	if (!ret)
		ret = check_template(&l);
	if (ret) {
		stoker_vocabulary_free(&v);
	} else {
		name_end(v);
		specials_name(v);
	}
	*out = v;
	return ret;
}

int stoker_vocabulary_load_gguf(struct stoker_gguf *gguf, struct stoker_vocabulary **out,
				struct stoker_error *err)
{
	return stoker_vocabulary_load_named(gguf, NULL, out, err);
}

int stoker_vocabulary_load(const char *path, struct stoker_vocabulary **out,
			   struct stoker_error *err)
{
	struct stoker_gguf *gguf;
	int ret = stoker_gguf_open(path, &gguf, err);

	if (out)
		*out = NULL;
	if (!ret)
		ret = stoker_vocabulary_load_gguf(gguf, out, err);
	stoker_gguf_close(&gguf);
	return ret;
}

struct stoker_vocabulary *vocabulary_share(const struct stoker_vocabulary *v)
{
	/* who owns it isn't part of what is constant about it */
	struct stoker_vocabulary *shared = (struct stoker_vocabulary *)v;

	atomic_fetch_add(&shared->others, 1);
	return shared;
}

void stoker_vocabulary_free(struct stoker_vocabulary **vocabulary)
{
	struct stoker_vocabulary *v = vocabulary ? *vocabulary : NULL;

	if (!v)
		return;
	*vocabulary = NULL;
	if (!is_last_owner(&v->others))
		return;
	words_destroy(&v->words);
	string_map_free(&v->ids);
	string_map_free(&v->ranks);
	stoker_gguf_close(&v->gguf);
	free(v->merges);
	free(v->tokens);
	free(v->specials);
	free(v->suppressed);
	tries_free(atomic_load(&v->tries));
	for (size_t i = 0; i < v->warning_count; i++)
		free(v->warnings[i]);
	free(v);
}

const char *stoker_vocabulary_warning(const struct stoker_vocabulary *v, size_t index)
{
	return v && index < v->warning_count ? v->warnings[index] : NULL;
}

uint32_t stoker_vocabulary_size(const struct stoker_vocabulary *v)
{
	return v ? v->count : 0;
}

int stoker_vocabulary_is_end(const struct stoker_vocabulary *v, uint32_t token)
{
	return v && token < v->count && v->tokens[token].end;
}
