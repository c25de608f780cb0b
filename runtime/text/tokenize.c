// SPDX-License-Identifier: MIT
/* Text to tokens, with special tokens cut out first, and tokens back to text. */
#include "text/vocabulary.h"

#include <stdio.h>

#include "base/sized.h"
#include "stoker/template.h"

uint32_t find_byte_token(const struct stoker_vocabulary *v, uint8_t byte)
{
	char name[8];

	snprintf(name, sizeof(name), "<0x%02X>", byte);
	return find_token(v, name, 6);
}

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

/* White space at the end of @text. */
static size_t space_before(const char *text, size_t bytes)
{
	size_t n = 0;

	while (n < bytes) {
		size_t length = 1;
		uint32_t c;

		while (length < 4 && n + length < bytes &&
		       ((uint8_t)text[bytes - n - length] & 0xc0) == 0x80)
			length++;
		if (utf8_decode(text + bytes - n - length, length, &c) != length ||
		    !is_white_space(c))
			break;
		n += length;
	}
	return n;
}

static size_t space_behind(const char *text, size_t bytes)
{
	size_t n = 0, length;
	uint32_t c;

	while (n < bytes && (length = utf8_decode(text + n, bytes - n, &c)) && is_white_space(c))
		n += length;
	return n;
}

/* A text, and the stretches of it, in order and apart, in which control tokens mean nothing. */
struct guarded {
	const char *text;
	size_t bytes;
	const struct stoker_span *spans;
	size_t span_count;
};

/* The longest special token at @at; a control token lies before the next span, @span. */
static uint32_t match_at(const struct stoker_vocabulary *v, const struct guarded *g, size_t at,
			 size_t span, bool control)
{
	const char *text = g->text + at;
	const size_t end = span < g->span_count ? g->spans[span].begin : g->bytes;
	uint32_t id = NO_TOKEN, plain;

	if (control && end > at)
		id = specials_match(v, text, end - at, SPECIALS_ALL);
	if (control && end == g->bytes)
		return id;
	plain = specials_match(v, text, g->bytes - at, control ? SPECIALS_MESSAGE : SPECIALS_USER);
	if (id == NO_TOKEN ||
	    (plain != NO_TOKEN && v->tokens[plain].text.length > v->tokens[id].text.length))
		return plain;
	return id;
}

/* Cuts a text at its special tokens in one pass: the leftmost, of those that begin there the
 * longest. */
static bool partition(const struct stoker_vocabulary *v, const struct guarded *g, bool special,
		      struct fragments *out)
{
	const char *text = g->text;
	const size_t bytes = g->bytes;
	size_t from = 0, span = 0;

	for (size_t at = 0; at < bytes;) {
		while (span < g->span_count && g->spans[span].end <= at)
			span++;
		const uint32_t id = match_at(v, g, at, span, special);
		size_t plain = at - from;

		if (id == NO_TOKEN) {
			at++;
			continue;
		}
		const struct token *t = &v->tokens[id];

		if (t->strip_left)
			plain -= space_before(text + from, plain);
		if (!add_fragment(out, text + from, plain, NO_TOKEN) ||
		    !add_fragment(out, text + at, t->text.length, id))
			return false;
		at += t->text.length;
		if (t->strip_right)
			at += space_behind(text + at, bytes - at);
		from = at;
	}
	return add_fragment(out, text + from, bytes - from, NO_TOKEN);
}

static int encode(const struct stoker_vocabulary *v, const struct fragment *part,
		  struct token_list *list, struct stoker_error *err)
{
	if (part->token != NO_TOKEN)
		token_list_add(list, part->token);
	else if (v->kind == VOCABULARY_BPE)
		return encode_bpe(v, part->text, part->bytes, list, err);
	else if (v->kind == VOCABULARY_SPM)
		return encode_spm(v, part->text, part->bytes, v->add_space_prefix, list, err);
	else
		return encode_wpm(v, part->text, part->bytes, list, err);
	return 0;
}

static bool wants_bos(const struct stoker_vocabulary *v)
{
	return v->bos >= 0 && (v->add_bos || v->kind == VOCABULARY_WPM);
}

/* Behind what @list holds; whoever calls releases that, in any case. */
static int tokenize(const struct stoker_vocabulary *v, const struct guarded *g, bool special,
		    struct token_list *list, struct stoker_error *err)
{
	struct fragments f = { 0 };
	int ret = 0;

	if (g->bytes > UINT32_MAX / 4)
		return stoker_fail(err, -EINVAL, "text of %zu bytes, limit %u", g->bytes,
				   UINT32_MAX / 4);
	if (!partition(v, g, special, &f))
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < f.count && !ret; i++)
		ret = encode(v, &f.list[i], list, err);
	free(f.list);
	return ret;
}

static int give(struct token_list *list, int ret, uint32_t **tokens, size_t *count,
		struct stoker_error *err)
{
	if (!ret && list->failed)
		ret = stoker_fail(err, -ENOMEM, "out of memory");
	if (ret) {
		free(list->ids);
		return ret;
	}
	*tokens = list->ids;
	*count = list->count;
	return 0;
}

int stoker_vocabulary_tokenize(const struct stoker_vocabulary *v, const char *text, size_t bytes,
			       unsigned flags, uint32_t **tokens, size_t *count,
			       struct stoker_error *err)
{
	const struct guarded g = { .text = text, .bytes = bytes };
	struct token_list list = { 0 };
	int ret;

	if (!v || !tokens || !count || (!text && bytes))
		return stoker_fail(err, -EINVAL, "tokenizing needs a %s",
				   !v	    ? "vocabulary"
				   : tokens ? "text"
					    : "place for the tokens");
	*tokens = NULL;
	*count = 0;
	if ((flags & STOKER_TOKENIZE_ADD) && wants_bos(v))
		token_list_add(&list, (uint32_t)v->bos);
	ret = tokenize(v, &g, flags & STOKER_TOKENIZE_SPECIAL, &list, err);
	if ((flags & STOKER_TOKENIZE_ADD_END) && v->kind == VOCABULARY_WPM && v->separator >= 0)
		token_list_add(&list, (uint32_t)v->separator);
	else if ((flags & STOKER_TOKENIZE_ADD_END) && v->add_eos && v->eos >= 0)
		token_list_add(&list, (uint32_t)v->eos);
	return give(&list, ret, tokens, count, err);
}

int stoker_prompt_tokenize(const struct stoker_vocabulary *v, const struct stoker_prompt *prompt,
			   uint32_t **tokens, size_t *count, struct stoker_error *err)
{
	struct token_list list = { 0 };
	struct guarded g;
	int ret;

	if (!v || !prompt || prompt->size < SIZED_THROUGH(struct stoker_prompt, span_count) ||
	    !tokens || !count || (!prompt->text && prompt->bytes) ||
	    (!prompt->spans && prompt->span_count))
		return stoker_fail(err, -EINVAL,
				   "tokenizing needs a vocabulary, a prompt and a place");
	g = (struct guarded){ prompt->text, prompt->bytes, prompt->spans, prompt->span_count };
	*tokens = NULL;
	*count = 0;
	ret = tokenize(v, &g, true, &list, err);
	if (!ret && wants_bos(v) && (!list.count || list.ids[0] != (uint32_t)v->bos)) {
		token_list_add(&list, 0);
		if (!list.failed) {
			memmove(list.ids + 1, list.ids, (list.count - 1) * sizeof(*list.ids));
			list.ids[0] = (uint32_t)v->bos;
		}
	}
	return give(&list, ret, tokens, count, err);
}

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

size_t stoker_vocabulary_text(const struct stoker_vocabulary *v, uint32_t token, int special,
			      char *out, size_t room)
{
	const struct token *t;
	unsigned byte;
	char name[8];

	if (!v || token >= v->count)
		return 0;
	room = out ? room : 0;
	t = &v->tokens[token];
	switch (t->type) {
	case TOKEN_CONTROL:
	case TOKEN_UNKNOWN:
		return special || t->shown ? emit(t->text.data, t->text.length, out, room) : 0;
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
