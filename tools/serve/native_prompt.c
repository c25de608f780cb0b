// SPDX-License-Identifier: MIT
/* Prompts that no template makes: of texts and tokens, and of what stands around a gap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/native.h"

struct ids {
	uint32_t *data;
	size_t count, room;
};

static bool no_memory(struct problem *p)
{
	return problem_set(p, 500, NULL, NULL, "out of memory");
}

static bool append(struct ids *to, const uint32_t *from, size_t count, struct problem *p)
{
	if (to->count + count > to->room || !to->data) {
		const size_t room = 2 * to->room + count + 64;
		uint32_t *more = realloc(to->data, room * sizeof(*more));

		if (!more)
			return no_memory(p);
		to->data = more;
		to->room = room;
	}
	if (count)
		memcpy(to->data + to->count, from, count * sizeof(*from));
	to->count += count;
	return true;
}

static bool append_text(struct ids *to, const struct stoker_vocabulary *v, const char *text,
			size_t bytes, unsigned flags, struct problem *p)
{
	struct stoker_error err;
	uint32_t *tokens = NULL;
	size_t count;
	const int r = stoker_vocabulary_tokenize(v, text, bytes, flags, &tokens, &count, &err);
	bool ok;

	if (r == -ENOMEM)
		return no_memory(p);
	if (r)
		return problem_set(p, 400, NULL, NULL, "%s", err.message);
	ok = append(to, tokens, count, p);
	stoker_free(tokens);
	return ok;
}

static bool append_string(struct ids *to, const struct stoker_vocabulary *v,
			  struct json_object *string, unsigned flags, struct problem *p)
{
	return append_text(to, v, json_object_get_string(string),
			   (size_t)json_object_get_string_len(string), flags, p);
}

static bool append_list(struct ids *to, const struct stoker_vocabulary *v, struct json_object *list,
			unsigned flags, struct problem *p)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *item = json_object_array_get_idx(list, i);
		const unsigned begin = i ? STOKER_TOKENIZE_ADD : 0;
		int64_t id;
		uint32_t token;
		bool ok;

		if (json_object_is_type(item, json_type_string)) {
			ok = append_string(to, v, item, flags & ~begin, p);
		} else {
			ok = value_int(p, "prompt", item, 0, stoker_vocabulary_size(v) - 1, &id);
			token = ok ? (uint32_t)id : 0;
			ok = ok && append(to, &token, 1, p);
		}
		if (!ok)
			return false;
	}
	return true;
}

bool native_tokens(const struct stoker_vocabulary *v, struct json_object *prompt, unsigned flags,
		   uint32_t **tokens, size_t *count, struct problem *p)
{
	struct ids all = { .data = NULL };
	struct json_object *media;
	bool ok;

	if (json_object_is_type(prompt, json_type_object)) {
		media = field_of(prompt, "multimodal_data");
		if (media && (!json_object_is_type(media, json_type_array) ||
			      json_object_array_length(media)))
			return problem_set(p, 400, "prompt", NULL,
					   "multimodal_data: only text can be read");
		prompt = field_of(prompt, "prompt_string");
	}
	if (json_object_is_type(prompt, json_type_array))
		ok = append_list(&all, v, prompt, flags, p);
	else if (json_object_is_type(prompt, json_type_string))
		ok = append_string(&all, v, prompt, flags, p);
	else
		ok = value_wrong(p, "prompt", prompt, "a text, or a list of texts and tokens");
	if (!ok) {
		free(all.data);
		return false;
	}
	*tokens = all.data;
	*count = all.count;
	return true;
}

/* The parts of a prompt with a gap, each as tokens. */
struct filling {
	const struct stoker_vocabulary *v;
	struct ids begin, extra, prefix, suffix;
	struct problem *p;
};

static bool append_special(struct filling *f, struct ids *to, enum stoker_special which, bool *has)
{
	const int64_t id = stoker_vocabulary_special(f->v, which);
	const uint32_t token = (uint32_t)id;

	*has = id >= 0;
	return id < 0 || append(to, &token, 1, f->p);
}

/* A file's name, where the vocabulary has a mark for it, or a line between pieces. */
static bool begin_file(struct filling *f, const char *name, size_t bytes)
{
	static const char between[] = "\n\n--- snippet ---\n\n";
	bool marked;

	if (!append_special(f, &f->extra, STOKER_SPECIAL_FILE, &marked))
		return false;
	if (!marked)
		return append_text(&f->extra, f->v, between, strlen(between), 0, f->p);
	return append_text(&f->extra, f->v, name, bytes, 0, f->p) &&
	       append_text(&f->extra, f->v, "\n", 1, 0, f->p);
}

static bool add_file(struct filling *f, struct json_object *file)
{
	struct json_object *text = field_of(file, "text"), *name = field_of(file, "filename");

	if (!json_object_is_type(text, json_type_string))
		return problem_set(
			f->p, 400, "input_extra", NULL,
			"input_extra has to be a list of objects with \"text\", a string");
	if (name && !json_object_is_type(name, json_type_string))
		return value_wrong(f->p, "input_extra.filename", name, "a string");
	return begin_file(f, name ? json_object_get_string(name) : "tmp",
			  name ? (size_t)json_object_get_string_len(name) : 3) &&
	       append_string(&f->extra, f->v, text, 0, f->p);
}

/* As models are trained: the repository, its files, and the file with the gap (arXiv:2409.12186).
 */
static bool add_extra(struct filling *f, struct json_object *list)
{
	static const char repository[] = "myproject\n", file[] = "filename";
	bool has;

	if (!append_special(f, &f->extra, STOKER_SPECIAL_REPOSITORY, &has) ||
	    (has && !append_text(&f->extra, f->v, repository, strlen(repository), 0, f->p)))
		return false;
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		if (!add_file(f, json_object_array_get_idx(list, i)))
			return false;
	return stoker_vocabulary_special(f->v, STOKER_SPECIAL_FILE) < 0 ||
	       begin_file(f, file, strlen(file));
}

static bool add_around(struct filling *f, struct json_object *body)
{
	struct json_object *prefix = field_of(body, "input_prefix");
	struct json_object *suffix = field_of(body, "input_suffix");
	struct json_object *prompt = field_of(body, "prompt");

	if (!json_object_is_type(prefix, json_type_string))
		return value_wrong(f->p, "input_prefix", prefix, "a string");
	if (!json_object_is_type(suffix, json_type_string))
		return value_wrong(f->p, "input_suffix", suffix, "a string");
	if (prompt && !json_object_is_type(prompt, json_type_string))
		return value_wrong(f->p, "prompt", prompt, "a string");
	return append_text(&f->begin, f->v, "", 0, STOKER_TOKENIZE_ADD, f->p) &&
	       append_string(&f->prefix, f->v, prefix, 0, f->p) &&
	       (!prompt || append_string(&f->prefix, f->v, prompt, 0, f->p)) &&
	       append_string(&f->suffix, f->v, suffix, 0, f->p);
}

/* Its last @count ids. */
static const uint32_t *tail(const struct ids *from, size_t count)
{
	return count ? from->data + from->count - count : NULL;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * What is nearest to the gap stays where not all of it fits: three quarters of what is before it
 * and one of what is behind, more of one where the other is shorter; then the last of other files.
 */
static bool put_together(struct filling *f, uint32_t room, struct ids *out)
{
	const size_t marks = 3 + f->begin.count, free_room = room > marks ? room - marks : 0;
	size_t suffix = least(f->suffix.count, free_room / 4);
	const size_t prefix = least(f->prefix.count, free_room - suffix);
	size_t extra;
	bool has;

	suffix = least(f->suffix.count, free_room - prefix);
	extra = least(f->extra.count, free_room - prefix - suffix);
	return append(out, f->begin.data, f->begin.count, f->p) &&
	       append(out, tail(&f->extra, extra), extra, f->p) &&
	       append_special(f, out, STOKER_SPECIAL_FILL_PREFIX, &has) &&
	       append(out, tail(&f->prefix, prefix), prefix, f->p) &&
	       append_special(f, out, STOKER_SPECIAL_FILL_SUFFIX, &has) &&
	       append(out, f->suffix.data, suffix, f->p) &&
	       append_special(f, out, STOKER_SPECIAL_FILL_MIDDLE, &has);
}

static bool can_fill(const struct filling *f)
{
	static const enum stoker_special needed[] = { STOKER_SPECIAL_FILL_PREFIX,
						      STOKER_SPECIAL_FILL_SUFFIX,
						      STOKER_SPECIAL_FILL_MIDDLE };

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (stoker_vocabulary_special(f->v, needed[i]) < 0)
			return problem_set(f->p, 501, NULL, NULL,
					   "this model has no tokens for text to be filled in");
	return true;
}

uint32_t native_prompt_room(const struct served *m, const struct chosen *c)
{
	const uint32_t context = served_context(m);

	if (!c->limited)
		return context / 4 * 3;
	return c->max_tokens < context / 2 ? context - c->max_tokens : context / 2;
}

bool native_infill(const struct stoker_vocabulary *v, struct json_object *body, uint32_t room,
		   uint32_t **tokens, size_t *count, struct problem *p)
{
	struct filling f = { .v = v, .p = p };
	struct json_object *extra = NULL;
	struct ids all = { .data = NULL };
	bool ok;

	ok = field_list(body, "input_extra", &extra, p) && add_around(&f, body) &&
	     add_extra(&f, extra) && can_fill(&f) && put_together(&f, room, &all);
	free(f.begin.data);
	free(f.extra.data);
	free(f.prefix.data);
	free(f.suffix.data);
	if (!ok) {
		free(all.data);
		return false;
	}
	*tokens = all.data;
	*count = all.count;
	return true;
}
