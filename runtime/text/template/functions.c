// SPDX-License-Identifier: MIT
/* Functions that templates call by name. */
#include <locale.h>
#include <time.h>

#include "text/template/builtins.h"

#define FUNCTION(name)                                                                    \
	static struct value name(struct job *j, struct value self, const struct value *a, \
				 const struct arguments *all)

FUNCTION(raise_exception)
{
	const struct text *t = to_text(j, a[0]);

	(void)self, (void)all;
	job_fail(j, -EINVAL, "the template refuses: %.*s", (int)MIN(t->bytes, 200u), t->data);
}

FUNCTION(range)
{
	int64_t start = 0, stop, step = 1;
	struct sequence *s;
	uint64_t count = 0;

	(void)self, (void)all;
	stop = to_integer(j, a[0], "range()'s argument");
	if (is_given(a[1])) {
		start = stop;
		stop = to_integer(j, a[1], "range()'s argument");
	}
	if (is_given(a[2]))
		step = to_integer(j, a[2], "range()'s argument");
	if (!step)
		job_fail(j, -EINVAL, "range() arg 3 must not be zero");
	if (step > 0 && start < stop)
		count = ((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1;
	else if (step < 0 && start > stop)
		count = ((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1;
	if (count > MAX_RANGE)
		job_fail(j, -E2BIG, "a range of %llu numbers, limit %d", (unsigned long long)count,
			 MAX_RANGE);
	s = new_sequence(j, FLAVOUR_RANGE, 0);
	s->count = count;
	s->start = start;
	s->step = count > 1 ? step : 1;
	return sequence_value(s);
}

/* A naive time of Python's has no zone, and here no microseconds. */
static size_t plain_format(const struct text *t, char *out, size_t room)
{
	size_t n = 0;

	for (size_t i = 0; i < t->bytes && n + 8 < room; i++) {
		if (t->data[i] == '%' && i + 1 < t->bytes) {
			const char c = t->data[++i];

			if (c == 'f') {
				memcpy(out + n, "000000", 6);
				n += 6;
			} else if (c != 'z' && c != 'Z') {
				out[n++] = '%';
				out[n++] = c;
			}
		} else if (t->data[i] != '%' && t->data[i]) {
			out[n++] = t->data[i];
		}
	}
	out[n] = 0;
	return n;
}

FUNCTION(strftime_now)
{
	const struct text *t = need_text(j, a[0], "a format");
	const time_t now = j->now ? (time_t)j->now : time(NULL);
	char format[400], out[1200];
	struct tm parts;
	locale_t c;
	size_t n;

	(void)self, (void)all;
	job_step(j, 16 + 4 * t->bytes);
	if (t->bytes > 300)
		job_fail(j, -EINVAL, "a time's format has %zu bytes, limit 300", t->bytes);
	if (!localtime_r(&now, &parts))
		job_fail(j, -EINVAL, "the time %lld is no date", (long long)now);
	plain_format(t, format, sizeof(format));
	c = newlocale(LC_ALL_MASK, "C", NULL);
	if (!c)
		job_fail(j, -ENOMEM, "out of memory");
	n = strftime_l(out, sizeof(out), format, &parts, c);
	freelocale(c);
	return text_value(new_text(j, out, n, is_marked(t)));
}

FUNCTION(new_cycler)
{
	struct cycler *c = job_alloc(j, sizeof(*c));

	(void)self, (void)a;
	if (!all->count)
		job_fail(j, -EINVAL, "at least one item has to be provided");
	*c = (struct cycler){ .items = all->values, .count = all->count };
	return (struct value){ .kind = VALUE_CYCLER, .cycler = c };
}

FUNCTION(new_joiner)
{
	struct cycler *c = job_alloc(j, sizeof(*c));

	(void)self, (void)all;
	*c = (struct cycler){ .separator = is_given(a[0]) ? to_text(j, a[0]) : constant(j, ", ") };
	return (struct value){ .kind = VALUE_JOINER, .cycler = c };
}

static const struct builtin functions[] = {
	{ "cycler", NULL, 0, new_cycler },
	{ "joiner", "sep", 0, new_joiner },
	{ "raise_exception", "message", 1, raise_exception },
	{ "range", "start stop step", 1, range },
	{ "strftime_now", "format", 1, strftime_now },
};

const struct builtin *find_function(const char *name, size_t bytes)
{
	const struct builtins table = { functions, ARRAY_SIZE(functions) };

	if (bytes == 4 && !memcmp(name, "dict", 4))
		return &function_of_dict;
	if (bytes == 9 && !memcmp(name, "namespace", 9))
		return &function_of_namespace;
	return find_builtin_in(&table, name, bytes);
}
