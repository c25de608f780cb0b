// SPDX-License-Identifier: MIT
/* A device with one op, as one with a matrix unit and little else would be written. */
#include "multiply_device.h"

#include "device/fallback.h"

struct multiply_device {
	struct stoker_device base; /* first */
	bool lends;
	int failed;
};

static struct multiply_device *multiply_of(struct stoker_device *d)
{
	return (struct multiply_device *)d;
}

static void destroy(struct stoker_device *d)
{
	stoker_device_close(&d->fallback);
	pthread_mutex_destroy(&d->exclusive);
	free(d);
}

static void *host(stoker_address at)
{
	return (void *)(uintptr_t)at;
}

/* One row of the matrix at @coded times all rows of @src. */
static void multiply_row(const struct op_matmul *op, const struct stoker_weight *w, uint32_t i,
			 uint32_t o, float *row)
{
	const uint8_t *coded =
		(const uint8_t *)host(w->at) + o * stoker_row_bytes(w->format, w->in);
	const float *scale = host(w->scale), *bias = host(w->bias);

	stoker_decode(w->format, STOKER_ISA_SCALAR, coded, row, w->in);
	for (uint32_t r = 0; r < op->rows; r++) {
		const float *x = (const float *)host(op->src) + (size_t)r * w->in;
		double sum = 0;

		for (uint32_t c = 0; c < w->in; c++)
			sum += (double)row[c] * (double)x[c];
		sum = sum * (scale ? (double)*scale : 1) + (bias ? (double)bias[o] : 0);
		((float *)host(op->dst[i]))[(size_t)r * w->out + o] = (float)sum;
	}
}

static void matmul(struct stoker_device *d, const struct op_matmul *op)
{
	struct multiply_device *m = multiply_of(d);

	if (m->lends) {
		device_matmul(d->fallback, op);
		return;
	}
	for (uint32_t i = 0; i < op->count; i++) {
		const struct stoker_weight *w = op->weight[i];
		AUTO_FREE float *row = malloc(w->in * sizeof(*row));

		if (!row) {
			m->failed = -ENOMEM;
			return;
		}
		for (uint32_t o = 0; o < w->out; o++)
			multiply_row(op, w, i, o, row);
	}
}

static bool supports(const struct stoker_device *d, enum stoker_op op, const void *args)
{
	const struct op_matmul *matmul_op = args;

	(void)d;
	return op == STOKER_OP_MATMUL && !matmul_op->then;
}

static int begin(struct stoker_device *d, struct stoker_error *err)
{
	multiply_of(d)->failed = 0;
	return fallback_begin(d, err);
}

static int sync_ops(struct stoker_device *d, struct stoker_error *err)
{
	const int failed = multiply_of(d)->failed;

	return failed ? stoker_fail(err, failed, "multiply: no memory") : fallback_sync(d, err);
}

static int submit(struct stoker_device *d, struct stoker_recording **keep, struct stoker_error *err)
{
	const int ret = fallback_submit(d, keep, err), failed = multiply_of(d)->failed;

	return failed ? stoker_fail(err, failed, "multiply: no memory") : ret;
}

static bool tiles(const struct stoker_device *d, const struct stoker_format *f, uint32_t in,
		  uint32_t cut)
{
	return ((const struct multiply_device *)d)->lends && fallback_tiles(d, f, in, cut);
}

static const struct stoker_device_ops multiply_ops = {
	.name = "multiply",
	.destroy = destroy,
	.memory_create = fallback_memory_create,
	.memory_destroy = fallback_memory_destroy,
	.memory_import = fallback_memory_import,
	.discard = fallback_discard,
	.write = fallback_write,
	.read = fallback_read,
	.memory_left = fallback_memory_left,
	.working_bytes = fallback_working_bytes,
	.reserve = fallback_reserve,
	.begin = begin,
	.flush = fallback_flush,
	.sync = sync_ops,
	.submit = submit,
	.tiles = tiles,
	.tile = fallback_tile,
	.tile_part = fallback_tile_part,
	.supports = supports,
	.matmul = matmul,
};

int multiply_device_open(unsigned threads, bool exact, bool lends, struct stoker_device **device,
			 struct stoker_error *err)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "cpu",
						     .threads = threads, .exact = exact };
	struct multiply_device *m = calloc(1, sizeof(*m));
	struct stoker_device *cpu;
	int ret;

	if (!m)
		return stoker_fail(err, -ENOMEM, "multiply: out of memory");
	ret = stoker_device_open(&params, &cpu, err);
	if (ret) {
		free(m);
		return ret;
	}
	pthread_mutex_init(&m->base.exclusive, NULL);
	m->base.ops = &multiply_ops;
	m->lends = lends;
	strcpy(m->base.description, "multiply: beside the CPU");
	fallback_set(&m->base, cpu);
	*device = &m->base;
	return 0;
}
