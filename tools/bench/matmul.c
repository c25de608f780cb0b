// SPDX-License-Identifier: MIT
/* Measuring the multiplication of rows with weights, format by format: see bench/measure.h. */
#include "bench/measure.h"

#include <unistd.h>

#include "device/device.h"

/* Products are timed for so long, in passes of which the median counts. */
enum { PASSES = 9, LEAST_PASSES = 3 };
static const double usual_seconds = 0.9;

/* The values that random blocks are made of, and about how many bytes of those there are. */
enum { POOL_VALUES = 8192, CHUNK_BYTES = 1 << 20 };

/* Copies of a matrix, and the activations that they are multiplied with. */
struct copies {
	struct stoker_device *d;
	struct stoker_memory memory, rows;
	struct stoker_weight w;
	uint64_t next; /* the copy whose turn it is */
};

static const uint64_t least_footprint = 256 << 20;

uint64_t measure_footprint(const struct stoker_device *d)
{
	const uint64_t left = stoker_device_memory_left(d);
	uint64_t bytes = least_footprint;

#ifdef _SC_LEVEL3_CACHE_SIZE
	if (d->shares_memory)
		bytes = MAX(bytes, 4 * (uint64_t)MAX(sysconf(_SC_LEVEL3_CACHE_SIZE), 0l));
#endif
	return left ? MAX(MIN(bytes, left / 4), least_footprint) : bytes;
}

static uint32_t next_random(uint32_t *state)
{
	return (*state = *state * 1664525 + 1013904223) >> 8;
}

static void random_floats(float *values, size_t count, uint32_t *state)
{
	for (size_t i = 0; i < count; i++)
		values[i] = (float)next_random(state) * 0x1p-23f - 1;
}

/*
 * Blocks as they might be in a model, so that what is looked up in tables is all over them; NULL:
 * no memory.
 */
static uint8_t *random_blocks(const struct stoker_format *f, uint64_t *bytes)
{
	const size_t blocks = POOL_VALUES / f->block_values;
	AUTO_FREE float *values = malloc(POOL_VALUES * sizeof(*values));
	AUTO_FREE uint8_t *pool = malloc(blocks * f->block_bytes);
	uint8_t *chunk = malloc(CHUNK_BYTES);
	uint32_t random = 1;

	if (!values || !pool || !chunk) {
		free(chunk);
		return NULL;
	}
	random_floats(values, POOL_VALUES, &random);
	stoker_format_encode(f, values, pool, POOL_VALUES);
	*bytes = CHUNK_BYTES / f->block_bytes * f->block_bytes;
	for (uint64_t at = 0; at < *bytes; at += f->block_bytes)
		memcpy(chunk + at, pool + next_random(&random) % blocks * f->block_bytes,
		       f->block_bytes);
	return chunk;
}

static int write_matrices(const struct copies *c, uint64_t matrix_bytes, struct stoker_error *err)
{
	uint64_t chunk_bytes = 0, n;
	AUTO_FREE uint8_t *chunk = random_blocks(c->w.format, &chunk_bytes);
	int ret = chunk ? 0 : stoker_fail(err, -ENOMEM, "out of memory");

	for (uint32_t i = 0; i < c->w.count && !ret; i++)
		for (uint64_t done = 0; done < matrix_bytes && !ret; done += n) {
			n = MIN(chunk_bytes, matrix_bytes - done);
			ret = c->d->ops->write(c->d, c->w.at + i * c->w.stride + done, chunk, n,
					       err);
		}
	return ret;
}

static int write_rows(const struct copies *c, uint64_t count, struct stoker_error *err)
{
	AUTO_FREE float *values = malloc(count * sizeof(*values));
	uint32_t random = 2;

	if (!values)
		return stoker_fail(err, -ENOMEM, "out of memory");
	random_floats(values, count, &random);
	return c->d->ops->write(c->d, c->rows.at, values, count * sizeof(*values), err);
}

/* Takes memory for @c->w.count matrices, and for @rows rows and what comes out. */
static int make_copies(struct copies *c, uint32_t rows, struct stoker_error *err)
{
	const struct stoker_device_ops *ops = c->d->ops;
	const uint64_t matrix_bytes = stoker_row_bytes(c->w.format, c->w.in) * c->w.out;
	const uint64_t row_bytes = 4 * (uint64_t)rows * (c->w.in + (uint64_t)c->w.out);
	const uint64_t needed = c->w.stride * c->w.count + row_bytes;
	const uint64_t left = stoker_device_memory_left(c->d);
	int ret;

	if (left && needed > left)
		return stoker_fail(
			err, -ENOMEM,
			"%s: %u x %u with %u rows takes %llu MB of memory, %llu are left",
			c->w.format->name, c->w.out, c->w.in, rows,
			(unsigned long long)(needed / 1000000),
			(unsigned long long)(left / 1000000));
	ret = ops->memory_create(c->d, c->w.stride * c->w.count, &c->memory, err);
	if (!ret)
		ret = ops->memory_create(c->d, row_bytes, &c->rows, err);
	if (ret)
		return ret;
	c->w.at = c->memory.at;
	ret = write_matrices(c, matrix_bytes, err);
	if (!ret)
		ret = write_rows(c, (uint64_t)rows * c->w.in, err);
	if (!ret && c->w.tiled)
		ret = ops->tile(c->d, &c->w, err);
	return ret;
}

/* Multiplies @times matrices, beginning with the one after those of the last call. */
static int multiply(struct copies *c, uint32_t rows, uint64_t times, double *seconds,
		    struct stoker_error *err)
{
	struct stoker_weight w = c->w;
	const struct op_matmul op = { .count = 1,
				      .rows = rows,
				      .weight = { &w },
				      .src = c->rows.at,
				      .dst = { c->rows.at + 4 * (uint64_t)rows * w.in } };
	const uint64_t started = stoker_now_ns();
	int ret = c->d->ops->begin(c->d, err);

	w.count = 1;
	for (uint64_t i = 0; i < times && !ret; i++) {
		w.at = c->memory.at + c->next * w.stride;
		c->next = (c->next + 1) % c->w.count;
		device_matmul(c->d, &op);
	}
	if (!ret)
		ret = c->d->ops->submit(c->d, NULL, err);
	*seconds = 1e-9 * (double)MAX(stoker_now_ns() - started, (uint64_t)1);
	return ret;
}

static int time_product(struct copies *c, struct measure_product *p, struct stoker_error *err)
{
	const double wanted = p->seconds > 0 ? p->seconds : usual_seconds;
	double passes[PASSES], took = 0, sum = 0;
	uint64_t times = 1;
	size_t count = 0;
	/* the first product prepares, others tell how many fill a pass */
	int ret = multiply(c, p->rows, 1, &took, err);

	for (int i = 0; i < 2 && !ret; i++) {
		ret = multiply(c, p->rows, times, &took, err);
		times = (uint64_t)MIN(wanted / PASSES * (double)times / took, 1e6);
		times = MAX(times, (uint64_t)1);
	}
	while (!ret && count < PASSES && (count < LEAST_PASSES || sum < wanted)) {
		ret = multiply(c, p->rows, times, &took, err);
		passes[count++] = took / (double)times;
		sum += took;
	}
	if (ret)
		return ret;
	p->seconds = stoker_median(passes, count);
	p->weight_bytes = (double)(stoker_row_bytes(c->w.format, c->w.in) * c->w.out);
	p->operations = 2.0 * c->w.in * c->w.out * p->rows;
	return 0;
}

int measure_products(struct stoker_device *d, struct measure_product *list, size_t count,
		     struct stoker_error *err)
{
	const struct stoker_format *f = stoker_format_by_name(list->format);
	struct copies c = { .d = d };
	uint32_t most = 0;
	uint64_t copies;
	int ret = 0;

	for (size_t i = 0; i < count; i++) {
		if (!f || !list->in || !list->out || !list[i].rows || list->in % f->block_values ||
		    MAX(MAX(list->in, list->out), list[i].rows) > MEASURE_MOST)
			return stoker_fail(err, -EINVAL, "%s: no product of %u x %u with %u rows",
					   list->format, list->out, list->in, list[i].rows);
		most = MAX(most, list[i].rows);
	}
	c.w = (struct stoker_weight){ .format = f, .in = list->in, .out = list->out };
	c.w.stride = round_up(stoker_row_bytes(f, list->in) * list->out, 64);
	c.w.tiled = stoker_wants_tiles(d, f, list->in, 0);
	copies = list->cached ? 1 : (measure_footprint(d) + c.w.stride - 1) / c.w.stride;
	c.w.count = (uint32_t)MIN(copies, (uint64_t)UINT32_MAX);
	pthread_mutex_lock(&d->exclusive);
	ret = make_copies(&c, most, err);
	for (size_t i = 0; i < count && !ret; i++)
		ret = time_product(&c, &list[i], err);
	pthread_mutex_unlock(&d->exclusive);
	d->ops->memory_destroy(d, &c.memory);
	d->ops->memory_destroy(d, &c.rows);
	return ret;
}

int measure_product(struct stoker_device *d, struct measure_product *p, struct stoker_error *err)
{
	return measure_products(d, p, 1, err);
}
