// SPDX-License-Identifier: MIT
/* Measuring the multiplication of rows with weights, format by format: see bench/measure.h. */
#include "bench/measure.h"

#include <unistd.h>

#include "device/device.h"

enum { PASSES = 9, PASS_NS = 100000000 };

int measure_product(struct stoker_device *d, struct measure_product *p, struct stoker_error *err)
{
	const struct stoker_format *f = stoker_format_by_name(p->format);
	struct stoker_memory weights = { 0 }, rows = { 0 };
	struct stoker_weight w = { .format = f, .in = p->in, .out = p->out, .count = 1 };
	struct op_matmul op = { .count = 1, .rows = p->rows, .weight = { &w } };
	double seconds[PASSES];
	AUTO_FREE uint8_t *pattern = NULL;
	uint64_t bytes, copies;
	int ret;

	if (!f || !p->in || !p->out || !p->rows || p->in % f->block_values)
		return stoker_fail(err, -EINVAL, "%s: no product of %u x %u with %u rows",
				   p->format, p->out, p->in, p->rows);
	bytes = stoker_row_bytes(f, p->in) * p->out;
	w.tiled = stoker_wants_tiles(d, f, p->in, 0);
	copies = MAX(measure_footprint(d) / bytes, (uint64_t)1);
	pthread_mutex_lock(&d->exclusive);
	ret = d->ops->memory_create(d, bytes * copies, &weights, err);
	if (!ret)
		ret = d->ops->memory_create(d, 4 * (uint64_t)p->rows * (p->in + (uint64_t)p->out),
					    &rows, err);
	if (ret)
		goto out_free;
	/* bytes of 0x3c make small finite scales in every format */
	pattern = malloc(bytes);
	ret = pattern ? 0 : stoker_fail(err, -ENOMEM, "out of memory");
	if (pattern)
		memset(pattern, 0x3c, bytes);
	for (uint64_t i = 0; i < copies && !ret; i++)
		ret = d->ops->write(d, weights.at + i * bytes, pattern, bytes, err);
	op.src = rows.at;
	op.dst[0] = rows.at + 4 * (uint64_t)p->rows * p->in;
	/* the first pass prepares; slow devices are measured with fewer copies */
	for (int pass = -2; pass < PASSES && !ret; pass++) {
		const uint64_t started = stoker_now_ns();
		const uint64_t count = pass < 0 ? MIN(copies, (uint64_t)2) : copies;

		ret = d->ops->begin(d, err);
		for (uint64_t i = 0; i < count && !ret; i++) {
			w.at = weights.at + i * bytes;
			device_matmul(d, &op);
		}
		if (!ret)
			ret = d->ops->submit(d, NULL, err);
		const uint64_t took = MAX(stoker_now_ns() - started, (uint64_t)1);

		if (pass == -1)
			copies = MAX(MIN(copies, count * PASS_NS / took), (uint64_t)1);
		if (pass >= 0)
			seconds[pass] = 1e-9 * (double)took / (double)count;
	}
	if (!ret) {
		p->seconds = stoker_median(seconds, PASSES);
		p->weight_bytes = (double)bytes;
		p->operations = 2.0 * p->in * p->out * p->rows;
	}
out_free:
	pthread_mutex_unlock(&d->exclusive);
	d->ops->memory_destroy(d, &weights);
	d->ops->memory_destroy(d, &rows);
	return ret;
}
