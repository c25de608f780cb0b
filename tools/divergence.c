// SPDX-License-Identifier: MIT
/* Expectations in a file, and divergences from them: see divergence.h. */
#include "divergence.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "_logits_";

enum {
	ROW_HEAD = 4, /* 16-bit words of two floats */
	STEPS = 65535,
	LEAST = 16,	/* nats below the largest that are told apart */
	MOST = 1 << 24, /* of each of the file's counts */
};

static size_t row_words(const struct base *b)
{
	return (b->vocabulary + 1) / 2 * 2 + ROW_HEAD;
}

static int broken(const struct base *b, const char *how)
{
	return failf("%s: %s", b->path, how);
}

static int make_room(struct base *b)
{
	b->tokens = calloc((size_t)b->chunks * b->context, sizeof(*b->tokens));
	b->row = calloc(row_words(b), sizeof(*b->row));
	return b->tokens && b->row ? EXIT_OK : broken(b, "out of memory");
}

/* Counts are believed once they say how long the file is. */
static int check_size(const struct base *b)
{
	const uint64_t tokens = (uint64_t)b->chunks * b->context;
	const uint64_t rows = (uint64_t)b->chunks * (b->context - 1 - b->context / 2);
	uint64_t bytes = sizeof(magic) + 3 * sizeof(uint32_t) + tokens * sizeof(uint32_t), more;
	struct stat s;

	if (__builtin_mul_overflow(rows, row_words(b) * sizeof(uint16_t), &more) ||
	    __builtin_add_overflow(bytes, more, &bytes) || bytes > INT64_MAX)
		return broken(b, "its counts of tokens and contexts are too large");
	if (fstat(fileno(b->file), &s))
		return broken(b, strerror(errno));
	if ((uint64_t)s.st_size != bytes)
		return failf("%s: %lld bytes, but %u contexts of %u tokens and a vocabulary of %u "
			     "take %llu",
			     b->path, (long long)s.st_size, b->chunks, b->context, b->vocabulary,
			     (unsigned long long)bytes);
	return EXIT_OK;
}

int base_open(struct base *b, const char *path)
{
	char start[sizeof(magic)];
	uint32_t counts[3];
	int status;

	*b = (struct base){ .path = path, .file = fopen(path, "rbe") };
	if (!b->file)
		return broken(b, strerror(errno));
	if (fread(start, sizeof(start), 1, b->file) != 1 || memcmp(start, magic, sizeof(magic)))
		return broken(b, "not a file of log-probabilities, which --base or "
				 "llama-perplexity --kl-divergence-base writes");
	if (fread(counts, sizeof(counts), 1, b->file) != 1)
		return broken(b, "ends within its header");
	b->context = counts[0];
	b->vocabulary = counts[1];
	b->chunks = counts[2];
	if (b->context < 2 || b->context > MOST || !b->vocabulary || b->vocabulary > MOST ||
	    !b->chunks || b->chunks > MOST)
		return failf("%s: %u contexts of %u tokens and a vocabulary of %u", path, b->chunks,
			     b->context, b->vocabulary);
	status = check_size(b);
	if (!status)
		status = make_room(b);
	if (!status &&
	    fread(b->tokens, sizeof(*b->tokens) * b->context, b->chunks, b->file) != b->chunks)
		status = broken(b, "can't be read");
	for (size_t i = 0; !status && i < (size_t)b->chunks * b->context; i++)
		if (b->tokens[i] >= b->vocabulary)
			status = failf("%s: token %u of a vocabulary of %u", path, b->tokens[i],
				       b->vocabulary);
	return status;
}

int base_create(struct base *b, const char *path, const uint32_t *tokens)
{
	const uint32_t counts[] = { b->context, b->vocabulary, b->chunks };
	const size_t count = (size_t)b->chunks * b->context;
	int status;

	b->path = path;
	status = make_room(b);
	if (status)
		return status;
	memcpy(b->tokens, tokens, count * sizeof(*tokens));
	if (asprintf(&b->part, "%s.part", path) < 0) {
		b->part = NULL;
		return broken(b, "out of memory");
	}
	b->file = fopen(b->part, "wbe");
	if (!b->file) {
		status = failf("%s: %s", b->part, strerror(errno));
		free(b->part);
		b->part = NULL;
		return status;
	}
	remove_on_signal(b->part);
	if (fwrite(magic, sizeof(magic), 1, b->file) != 1 ||
	    fwrite(counts, sizeof(counts), 1, b->file) != 1 ||
	    fwrite(tokens, sizeof(*tokens), count, b->file) != count)
		return failf("%s: %s", b->part, strerror(errno));
	return EXIT_OK;
}

/* log(the sum of exp(logits)); the place of the largest. */
static double log_sum(const float *logits, uint32_t count, uint32_t *largest)
{
	double sum = 1; /* the largest's */

	*largest = 0;
	for (uint32_t i = 1; i < count; i++)
		if (logits[i] > logits[*largest])
			*largest = i;
	for (uint32_t i = 0; i < count; i++)
		if (i != *largest)
			sum += exp((double)(logits[i] - logits[*largest]));
	return (double)logits[*largest] + log(sum);
}

int base_write(struct base *b, const float *logits)
{
	uint32_t largest;
	const double total = log_sum(logits, b->vocabulary, &largest);
	float least = logits[largest], head[2];

	if (!isfinite(total))
		return failf("the model's logits aren't finite: there is nothing to compare with");
	for (uint32_t i = 0; i < b->vocabulary; i++)
		least = logits[i] < least ? logits[i] : least;
	if (least < logits[largest] - LEAST)
		least = logits[largest] - LEAST;
	head[0] = (logits[largest] - least) / STEPS;
	head[1] = (float)((double)least - total);
	memcpy(b->row, head, sizeof(head));
	for (uint32_t i = 0; i < b->vocabulary; i++)
		b->row[ROW_HEAD + i] =
			head[0] > 0 && logits[i] > least
				? (uint16_t)fminf(rintf((logits[i] - least) / head[0]), STEPS)
				: 0;
	if (fwrite(b->row, sizeof(*b->row), row_words(b), b->file) != row_words(b))
		return failf("%s: %s", b->part, strerror(errno));
	return EXIT_OK;
}

int base_finish(struct base *b)
{
	int status = EXIT_OK;

	if (fflush(b->file) || fsync(fileno(b->file)) || rename(b->part, b->path))
		status = failf("%s: %s", b->part, strerror(errno));
	if (status)
		return status;
	remove_on_signal(NULL);
	free(b->part);
	b->part = NULL;
	return EXIT_OK;
}

void base_close(struct base *b)
{
	if (b->file)
		fclose(b->file);
	if (b->part) {
		unlink(b->part);
		remove_on_signal(NULL);
	}
	free(b->part);
	free(b->tokens);
	free(b->row);
	*b = (struct base){ 0 };
}

static int keep(struct divergence *d, double value)
{
	if (d->count == d->room) {
		const size_t room = 2 * d->room + 1024;
		double *more = realloc(d->values, room * sizeof(*more));

		if (!more)
			return failf("out of memory");
		d->values = more;
		d->room = room;
	}
	d->values[d->count++] = value;
	d->sum += value;
	d->squares += value * value;
	return EXIT_OK;
}

int divergence_add(struct divergence *d, struct base *b, const float *logits, uint32_t target)
{
	uint32_t largest, base_largest = 0;
	const double total = log_sum(logits, b->vocabulary, &largest);
	const uint16_t *steps = b->row + ROW_HEAD;
	double sum = 0;
	float head[2];

	if (!isfinite(total))
		return failf("the model's logits aren't finite");
	if (fread(b->row, sizeof(*b->row), row_words(b), b->file) != row_words(b))
		return broken(b, "can't be read");
	memcpy(head, b->row, sizeof(head));
	if (!isfinite(head[0]) || !isfinite(head[1]) || head[0] < 0)
		return broken(b, "has a scale that isn't one");
	for (uint32_t i = 0; i < b->vocabulary; i++) {
		const double p = (double)head[0] * steps[i] + (double)head[1];

		if (steps[i] > steps[base_largest])
			base_largest = i;
		if (p > -LEAST)
			sum += exp(p) * (p - ((double)logits[i] - total));
	}
	d->same_top += largest == base_largest;
	d->base_nats -= (double)head[0] * steps[target] + (double)head[1];
	return keep(d, sum);
}

static int by_value(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Between the two values that are next to it. */
static double percentile(const struct divergence *d, double part)
{
	const double at = part * (double)(d->count - 1);
	const size_t below = (size_t)at, above = below + 1 < d->count ? below + 1 : below;

	return d->values[below] + (at - (double)below) * (d->values[above] - d->values[below]);
}

static const struct {
	const char *name, *key;
	double part;
} percentiles[] = {
	{ "median", "median", 0.5 },
	{ "99 %", "p99", 0.99 },
	{ "99.9 %", "p99_9", 0.999 },
	{ "largest", "max", 1 },
};

enum { PERCENTILES = sizeof(percentiles) / sizeof(percentiles[0]) };

static double mean(const struct divergence *d)
{
	return d->sum / (double)d->count;
}

/* Of the mean. */
static double standard_error(const struct divergence *d)
{
	const double n = (double)d->count, variance = d->squares / n - mean(d) * mean(d);

	return n > 1 && variance > 0 ? sqrt(variance / (n - 1)) : 0;
}

static double same_top(const struct divergence *d)
{
	return (double)d->same_top / (double)d->count;
}

void divergence_print(struct divergence *d)
{
	qsort(d->values, d->count, sizeof(*d->values), by_value);
	printf("KL divergence %.6f ± %.6f", mean(d), standard_error(d));
	for (size_t i = 0; i < PERCENTILES; i++)
		printf(", %s %.6f", percentiles[i].name, percentile(d, percentiles[i].part));
	printf("\nsame first choice %.3f %%, perplexity of the base %.4f\n", 100 * same_top(d),
	       exp(d->base_nats / (double)d->count));
}

void divergence_to_json(struct divergence *d, struct json_object *root)
{
	struct json_object *o = json_object_new_object();

	qsort(d->values, d->count, sizeof(*d->values), by_value);
	json_object_object_add(o, "mean", json_object_new_double(mean(d)));
	json_object_object_add(o, "standard_error", json_object_new_double(standard_error(d)));
	for (size_t i = 0; i < PERCENTILES; i++)
		json_object_object_add(o, percentiles[i].key,
				       json_object_new_double(percentile(d, percentiles[i].part)));
	json_object_object_add(root, "kl_divergence", o);
	json_object_object_add(root, "same_top", json_object_new_double(same_top(d)));
	json_object_object_add(root, "base_perplexity",
			       json_object_new_double(exp(d->base_nats / (double)d->count)));
}

void divergence_free(struct divergence *d)
{
	free(d->values);
	*d = (struct divergence){ 0 };
}
