// SPDX-License-Identifier: MIT
/* Measuring what a device reads and multiplies at most: see bench/measure.h. */
#include "bench/measure.h"

#include "bench/spin.h"
#include "device/device.h"

enum { PASSES = 9, SPIN_NS = 20000000 };

/* A product in F32 with one row does nothing but read. */
int measure_read_bandwidth(struct stoker_device *d, double *bytes_per_second,
			   struct stoker_error *err)
{
	struct measure_product p = { .format = "F32", .in = 4096, .out = 16384, .rows = 1 };
	const int ret = measure_product(d, &p, err);

	*bytes_per_second = ret ? 0 : p.weight_bytes / p.seconds;
	return ret;
}

static double spin(struct stoker_device *d, const struct spin *s)
{
	if (!strcmp(d->ops->name, "cpu"))
		return spin_cpu(d, s);
	return strcmp(d->ops->name, "vulkan") ? 0 : spin_vulkan(d, s);
}

/* Operations a second, best of several passes. */
static int multiply_rate(struct stoker_device *d, bool codes, double *rate,
			 struct stoker_error *err)
{
	struct spin op = { .rounds = 256, .codes = codes };
	struct stoker_memory memory;
	int ret;

	*rate = 0;
	pthread_mutex_lock(&d->exclusive);
	ret = d->ops->memory_create(d, 64, &memory, err);
	if (ret) {
		pthread_mutex_unlock(&d->exclusive);
		return ret;
	}
	op.dst = memory.at;
	/* the first pass prepares; then as many rounds as take some milliseconds */
	for (int pass = -2; pass < PASSES && !ret; pass++) {
		const uint64_t started = stoker_now_ns();
		double operations = 0;

		ret = d->ops->begin(d, err);
		if (!ret) {
			operations = spin(d, &op);
			ret = d->ops->submit(d, NULL, err);
		}
		const uint64_t took = MAX(stoker_now_ns() - started, (uint64_t)1);

		if (pass == -1)
			op.rounds =
				(uint32_t)MIN(op.rounds * (1 + SPIN_NS / took), (uint64_t)1 << 24);
		if (pass >= 0)
			*rate = MAX(*rate, 1e9 * operations / (double)took);
	}
	d->ops->memory_destroy(d, &memory);
	pthread_mutex_unlock(&d->exclusive);
	return ret;
}

int measure_limits(struct stoker_device *d, struct measure_limits *limits, struct stoker_error *err)
{
	int ret = measure_read_bandwidth(d, &limits->read_bytes, err);

	if (!ret)
		ret = multiply_rate(d, false, &limits->float_operations, err);
	if (!ret)
		ret = multiply_rate(d, true, &limits->code_operations, err);
	return ret;
}
