// SPDX-License-Identifier: MIT
/* Figures of a server's loads, as a table or JSON. */
#include "bench/serve_figures.h"

#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

void samples_add(struct samples *s, double value)
{
	if (s->count == s->room) {
		const size_t room = s->room ? 2 * s->room : 256;
		double *grown = realloc(s->values, room * sizeof(*grown));

		if (!grown)
			return;
		s->values = grown;
		s->room = room;
	}
	s->values[s->count++] = value;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double samples_percentile(struct samples *s, double percent)
{
	const double at = s->count ? percent / 100 * (double)(s->count - 1) : 0;
	const size_t below = (size_t)at;

	if (!s->count)
		return 0;
	qsort(s->values, s->count, sizeof(*s->values), ascending);
	if (below + 1 >= s->count)
		return s->values[s->count - 1];
	return s->values[below] + (at - (double)below) * (s->values[below + 1] - s->values[below]);
}

void samples_free(struct samples *s)
{
	free(s->values);
	*s = (struct samples){ .values = NULL };
}

static double a_second(const struct figures *f, uint64_t count)
{
	return f->seconds > 0 ? (double)count / f->seconds : 0;
}

static struct json_object *samples_json(struct samples *s)
{
	static const struct {
		const char *name;
		double percent;
	} list[] = { { "p50", 50 }, { "p95", 95 }, { "p99", 99 }, { "max", 100 } };
	struct json_object *o = json_object_new_object();
	double sum = 0;

	for (size_t i = 0; i < s->count; i++)
		sum += s->values[i];
	json_object_object_add(o, "mean",
			       json_object_new_double(s->count ? sum / (double)s->count : 0));
	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		json_object_object_add(
			o, list[i].name,
			json_object_new_double(samples_percentile(s, list[i].percent)));
	return o;
}

struct json_object *figures_json(struct figures *f)
{
	const struct {
		const char *name;
		uint64_t count;
	} counts[] = { { "clients", f->clients },	 { "requests", f->requests },
		       { "failed", f->failed },		 { "refused", f->refused },
		       { "hung_up", f->gone },		 { "good", f->good },
		       { "prompt_tokens", f->prompt },	 { "cached_tokens", f->cached },
		       { "generated_tokens", f->tokens } };
	const struct {
		const char *name;
		double value;
	} rates[] = { { "seconds", f->seconds },
		      { "tokens_per_second", a_second(f, f->tokens) },
		      { "requests_per_second", a_second(f, f->requests) },
		      { "goodput_per_second", a_second(f, f->good) },
		      { "largest_gap_seconds", samples_percentile(&f->itl, 100) } };
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "load", json_object_new_string(f->load));
	if (*f->note)
		json_object_object_add(o, "note", json_object_new_string(f->note));
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		json_object_object_add(o, counts[i].name,
				       json_object_new_int64((int64_t)counts[i].count));
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++)
		json_object_object_add(o, rates[i].name, json_object_new_double(rates[i].value));
	if (f->server_seconds >= 0)
		json_object_object_add(o, "server_cpu_seconds",
				       json_object_new_double(f->server_seconds));
	json_object_object_add(o, "ttft_seconds", samples_json(&f->ttft));
	json_object_object_add(o, "tpot_seconds", samples_json(&f->tpot));
	json_object_object_add(o, "itl_seconds", samples_json(&f->itl));
	json_object_object_add(o, "e2el_seconds", samples_json(&f->e2el));
	return o;
}

void figures_print_head(void)
{
	printf("%-11s %7s %8s %6s %9s %22s %17s %24s %15s %7s\n", "load", "clients", "requests",
	       "failed", "tokens/s", "TTFT ms p50   p95   p99", "TPOT   p50    p99",
	       "ITL   p50    p99 largest", "E2EL  p50   p99", "good/s");
}

void figures_print(struct figures *f)
{
	printf("%-11s %7u %8llu %6llu %9.1f %11.0f %5.0f %5.0f %10.1f %6.1f %9.1f %6.1f %7.1f "
	       "%9.0f %5.0f %7.2f%s%s\n",
	       f->load, f->clients, (unsigned long long)f->requests,
	       (unsigned long long)(f->failed + f->refused), a_second(f, f->tokens),
	       1e3 * samples_percentile(&f->ttft, 50), 1e3 * samples_percentile(&f->ttft, 95),
	       1e3 * samples_percentile(&f->ttft, 99), 1e3 * samples_percentile(&f->tpot, 50),
	       1e3 * samples_percentile(&f->tpot, 99), 1e3 * samples_percentile(&f->itl, 50),
	       1e3 * samples_percentile(&f->itl, 99), 1e3 * samples_percentile(&f->itl, 100),
	       1e3 * samples_percentile(&f->e2el, 50), 1e3 * samples_percentile(&f->e2el, 99),
	       a_second(f, f->good), *f->note ? "  " : "", f->note);
	fflush(stdout);
}

void figures_free(struct figures *f)
{
	samples_free(&f->ttft);
	samples_free(&f->tpot);
	samples_free(&f->itl);
	samples_free(&f->e2el);
}
