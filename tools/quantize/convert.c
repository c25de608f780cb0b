// SPDX-License-Identifier: MIT
/*
 * stoker quantize: writing what was planned.  Threads take chunks of rows in the file's order, over
 * all tensors, and write what they made of them in that order again: there are never more chunks in
 * memory than threads, and the file doesn't depend on how many there are.
 */
#include "progress.h"
#include "quantize/quantize.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* What a thread has of them stays in its cache. */
enum { CHUNK_VALUES = 1 << 16 };

/* Rows of one matrix, or a part of a tensor that stays as it is. */
struct chunk {
	const struct planned *planned;
	uint64_t number;    /* of chunks, which are written in this order */
	uint64_t at, count; /* in values */
};

struct conversion {
	const struct plan *plan;
	struct stoker_gguf_writer *out;
	uint64_t all; /* bytes of the input */

	pthread_mutex_t lock;
	pthread_cond_t written_changed;
	/* where the next chunk is */
	size_t tensor;
	uint64_t at, taken;
	uint64_t written, done; /* chunks, bytes of the input */
	int failed;		/* of the first chunk, in their order, that did */
	struct stoker_error err;
	struct progress line;
};

struct buffers {
	void *src, *dst;
	float *values;
	size_t src_bytes, dst_bytes, value_count;
};

static void free_buffers(struct buffers *b)
{
	free(b->src);
	free(b->dst);
	free(b->values);
}

/* At least @bytes; what it held is lost. */
static bool reserve(void **data, size_t *have, size_t bytes)
{
	if (bytes <= *have)
		return true;
	free(*data);
	*data = malloc(bytes);
	*have = *data ? bytes : 0;
	return *data;
}

static bool take(struct conversion *c, struct chunk *chunk)
{
	const struct plan *p = c->plan;

	if (c->failed || c->tensor == p->count)
		return false;
	const struct planned *t = &p->tensors[c->tensor];
	const uint64_t *ne = t->tensor->ne, matrix = ne[0] * ne[1], all = matrix * ne[2] * ne[3];
	const uint64_t rows = CHUNK_VALUES < ne[0] ? 1 : CHUNK_VALUES / ne[0];
	const uint64_t most = t->to == t->tensor->format ? CHUNK_VALUES : rows * ne[0];
	/* matrices of a tensor have each their own importance */
	const uint64_t left = t->to == t->tensor->format ? all - c->at : matrix - c->at % matrix;

	*chunk = (struct chunk){
		.planned = t, .number = c->taken++, .at = c->at, .count = left < most ? left : most
	};
	c->at += chunk->count;
	if (c->at == all) {
		c->at = 0;
		c->tensor++;
	}
	return true;
}

static void say_not_finite(const struct chunk *chunk, const float *values, struct stoker_error *err)
{
	const uint64_t columns = chunk->planned->tensor->ne[0];
	uint64_t i = 0;

	while (i + 1 < chunk->count && isfinite(values[i]))
		i++;
	snprintf(err->message, sizeof(err->message),
		 "tensor %s isn't finite: value %llu of row %llu is %s",
		 chunk->planned->tensor->name, (unsigned long long)((chunk->at + i) % columns),
		 (unsigned long long)((chunk->at + i) / columns),
		 isnan(values[i]) ? "NaN" : "infinite");
}

/* What is to be written for a chunk, and how much it is. */
static int convert(const struct conversion *c, const struct chunk *chunk, struct buffers *b,
		   const void **made, size_t *bytes, struct stoker_error *err)
{
	const struct planned *p = chunk->planned;
	const struct stoker_gguf_tensor *t = p->tensor;
	const uint64_t count = chunk->count;
	const size_t src_bytes = stoker_format_bytes(t->format, count);
	size_t value_bytes = b->value_count * sizeof(float);
	int ret;

	*bytes = stoker_format_bytes(p->to, count);
	snprintf(err->message, sizeof(err->message), "tensor %s: out of memory", t->name);
	if (!reserve(&b->src, &b->src_bytes, src_bytes))
		return -ENOMEM;
	ret = stoker_gguf_read(c->plan->in, t, stoker_format_bytes(t->format, chunk->at), b->src,
			       src_bytes, err);
	*made = b->src;
	if (ret || p->to == t->format)
		return ret;
	snprintf(err->message, sizeof(err->message), "tensor %s: out of memory", t->name);
	void *values = b->values;
	const bool enough = reserve(&values, &value_bytes, count * sizeof(float)) &&
			    reserve(&b->dst, &b->dst_bytes, *bytes);

	b->values = values;
	b->value_count = value_bytes / sizeof(float);
	if (!enough)
		return -ENOMEM;
	stoker_format_decode(t->format, b->src, b->values, count);
	*made = b->dst;
	const uint64_t matrix = chunk->at / (t->ne[0] * t->ne[1]);

	ret = stoker_format_encode_rows(p->to, b->values,
					p->importance ? p->importance + matrix * t->ne[0] : NULL,
					count / t->ne[0], t->ne[0], b->dst);
	/* which encoders return for nothing else */
	if (ret == -ERANGE)
		say_not_finite(chunk, b->values, err);
	else if (ret)
		snprintf(err->message, sizeof(err->message), "tensor %s can't be written as %s: %s",
			 t->name, stoker_format_name(p->to),
			 ret == -ENOMEM ? "out of memory" : "it isn't implemented");
	return ret;
}

/* In its turn, unless one before it failed. */
static void write_in_turn(struct conversion *c, const struct chunk *chunk, const void *made,
			  size_t bytes, int ret, struct stoker_error *err)
{
	const struct stoker_gguf_tensor *t = chunk->planned->tensor;
	struct stoker_error writing;

	pthread_mutex_lock(&c->lock);
	while (c->written != chunk->number && !c->failed)
		pthread_cond_wait(&c->written_changed, &c->lock);
	const bool stopped = c->failed != 0;

	pthread_mutex_unlock(&c->lock);
	if (stopped)
		return;
	/* this thread alone is at this place now */
	if (!ret && interrupted())
		ret = -ECANCELED;
	if (!ret) {
		c->done += stoker_format_bytes(t->format, chunk->count);
		progress_show(&c->line, "quantizing: %3.0f %%, tensor %zu of %zu, %s",
			      100.0 * (double)c->done / (double)c->all,
			      (size_t)(chunk->planned - c->plan->tensors) + 1, c->plan->count,
			      t->name);
		ret = stoker_gguf_writer_write(c->out, made, bytes, &writing);
		if (ret)
			snprintf(err->message, sizeof(err->message), "tensor %s: %.350s", t->name,
				 writing.message);
	}
	pthread_mutex_lock(&c->lock);
	if (ret) {
		c->failed = ret;
		c->err = *err;
	}
	c->written++;
	pthread_cond_broadcast(&c->written_changed);
	pthread_mutex_unlock(&c->lock);
}

static void *work(void *argument)
{
	struct conversion *c = argument;
	struct buffers b = { 0 };

	for (;;) {
		struct stoker_error err = { "" };
		struct chunk chunk;
		const void *made = NULL;
		size_t bytes = 0;

		pthread_mutex_lock(&c->lock);
		const bool more = take(c, &chunk);

		pthread_mutex_unlock(&c->lock);
		if (!more)
			break;
		const int ret = convert(c, &chunk, &b, &made, &bytes, &err);

		write_in_turn(c, &chunk, made, bytes, ret, &err);
	}
	free_buffers(&b);
	return NULL;
}

int plan_write(const struct plan *p, struct stoker_gguf_writer *out, unsigned threads)
{
	struct conversion c = { .plan = p,
				.out = out,
				.lock = PTHREAD_MUTEX_INITIALIZER,
				.written_changed = PTHREAD_COND_INITIALIZER };
	pthread_t ids[QUANTIZE_MAX_THREADS];
	unsigned started = 0;

	for (size_t i = 0; i < p->count; i++)
		c.all += p->tensors[i].tensor->bytes;
	progress_begin(&c.line);
	/* one that can't be started isn't needed */
	while (started + 1 < threads && !pthread_create(&ids[started], NULL, work, &c))
		started++;
	work(&c);
	while (started)
		pthread_join(ids[--started], NULL);
	progress_end(&c.line);
	if (c.failed == -ECANCELED)
		return EXIT_INTERRUPTED;
	return c.failed ? fail(&c.err) : EXIT_OK;
}
