// SPDX-License-Identifier: MIT
/*
 * Compiled grammars, kept for requests that ask for the same form again.
 *
 * One is in the list, or belongs to those alone that use it: the last one frees it then.  What is
 * kept is counted by the length of its source, which what it becomes grows with.
 */
#include "serve/forms.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_FORMS = 32, KEPT_BYTES = 512 << 10 };

struct form {
	struct form *next; /* used less recently */
	const struct stoker_vocabulary *vocabulary;
	enum form_kind kind;
	char *source;
	size_t bytes;
	struct stoker_grammar *grammar; /* keeps the vocabulary alive */
	unsigned users;
	bool kept;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct form *forms; /* under the lock, as all that is kept */
static size_t kept_bytes, kept_count;

static void free_form(struct form *f)
{
	stoker_grammar_free(&f->grammar);
	free(f->source);
	free(f);
}

static struct form **find(const struct stoker_vocabulary *v, enum form_kind kind,
			  const char *source)
{
	struct form **at = &forms;

	while (*at && ((*at)->vocabulary != v || (*at)->kind != kind ||
		       strcmp((*at)->source, source) != 0))
		at = &(*at)->next;
	return at;
}

static void take_out(struct form **at)
{
	struct form *f = *at;

	*at = f->next;
	f->kept = false;
	kept_bytes -= f->bytes;
	kept_count--;
}

static void put_first(struct form *f)
{
	f->next = forms;
	forms = f;
	f->kept = true;
	kept_bytes += f->bytes;
	kept_count++;
}

/* The one that was used longest ago goes, until there aren't too many. */
static void drop_old(void)
{
	while (forms && (kept_count > KEPT_FORMS || kept_bytes > KEPT_BYTES)) {
		struct form **last = &forms, *f;

		while ((*last)->next)
			last = &(*last)->next;
		f = *last;
		take_out(last);
		if (!f->users)
			free_form(f);
	}
}

/* One that is kept already, with a user more; NULL: none is. */
static struct form *take_kept(const struct stoker_vocabulary *v, enum form_kind kind,
			      const char *source)
{
	struct form **at = find(v, kind, source), *f = *at;

	if (!f)
		return NULL;
	take_out(at);
	put_first(f);
	f->users++;
	return f;
}

static bool tell(int ret, const char *param, const struct stoker_error *err, struct problem *p)
{
	if (ret == -ENOMEM)
		return problem_set(p, 500, NULL, NULL, "out of memory");
	return !ret || problem_set(p, 400, param, NULL, "%s: %s", param, err->message);
}

bool form_gbnf(enum form_kind kind, const char *source, const char *param, char **gbnf,
	       struct problem *p)
{
	const size_t bytes = strlen(source);
	struct stoker_error err;

	if (kind == FORM_SCHEMA)
		return tell(stoker_grammar_from_schema(source, bytes, gbnf, &err), param, &err, p);
	if (kind == FORM_REGEX)
		return tell(stoker_grammar_from_regex(source, bytes, gbnf, &err), param, &err, p);
	*gbnf = strdup(source);
	return *gbnf || problem_set(p, 500, NULL, NULL, "out of memory");
}

static struct form *make(const struct stoker_vocabulary *v, enum form_kind kind, const char *source,
			 const char *param, struct problem *p)
{
	struct form *f = calloc(1, sizeof(*f));
	struct stoker_error err;
	char *gbnf = NULL;
	bool ok = form_gbnf(kind, source, param, &gbnf, p);

	if (f) {
		f->vocabulary = v;
		f->kind = kind;
		f->source = strdup(source);
		f->bytes = strlen(source);
		f->users = 1;
	}
	if (ok && (!f || !f->source))
		ok = problem_set(p, 500, NULL, NULL, "out of memory");
	ok = ok &&
	     tell(stoker_grammar_compile(v, gbnf, strlen(gbnf), &f->grammar, &err), param, &err, p);
	stoker_free(gbnf);
	if (!ok && f)
		free_form(f);
	return ok ? f : NULL;
}

bool form_take(const struct stoker_vocabulary *v, enum form_kind kind, const char *source,
	       const char *param, struct form **out, struct problem *p)
{
	struct form *other;

	pthread_mutex_lock(&lock);
	*out = take_kept(v, kind, source);
	pthread_mutex_unlock(&lock);
	if (*out)
		return true;
	*out = make(v, kind, source, param, p);
	if (!*out)
		return false;
	pthread_mutex_lock(&lock);
	other = take_kept(v, kind, source); /* somebody was faster */
	if (!other) {
		put_first(*out);
		drop_old();
	}
	pthread_mutex_unlock(&lock);
	if (other) {
		free_form(*out);
		*out = other;
	}
	return true;
}

const struct stoker_grammar *form_grammar(const struct form *f)
{
	return f->grammar;
}

void form_release(struct form **f)
{
	bool last;

	if (!*f)
		return;
	pthread_mutex_lock(&lock);
	last = !--(*f)->users && !(*f)->kept;
	pthread_mutex_unlock(&lock);
	if (last)
		free_form(*f);
	*f = NULL;
}

void forms_forget(const struct stoker_vocabulary *v)
{
	struct form **at = &forms;

	pthread_mutex_lock(&lock);
	while (*at) {
		struct form *f = *at;

		if (f->vocabulary != v) {
			at = &f->next;
			continue;
		}
		take_out(at);
		if (!f->users)
			free_form(f);
	}
	pthread_mutex_unlock(&lock);
}
