// SPDX-License-Identifier: MIT
/*
 * Telling somebody what matrices are multiplied with, as it is needed to know which of their
 * columns matter.  Only where ops run at once, on rows that the host sees; without an observer it
 * costs a comparison an op.
 */
#include "device/device.h"

void device_show_rows(const struct stoker_device *d, const struct stoker_weight *w, uint32_t matrix,
		      const float *x, uint32_t rows, size_t stride)
{
	const struct stoker_product product = {
		.tensor = w->name,
		.matrix = matrix,
		.matrices = w->count,
		.columns = w->in,
		.rows = rows,
		.stride = stride,
		.x = x,
	};

	if (w->at && w->name && rows)
		d->observer.product(d->observer.user, &product);
}

static const float *on_host(stoker_address at)
{
	return (const float *)(uintptr_t)at;
}

void device_show(const struct stoker_device *d, enum stoker_op op, const void *args)
{
	const struct op_matmul *matmul = args;
	const struct op_gated *gated = args;
	const struct op_matmul_heads *heads = args;

	switch (op) {
	case STOKER_OP_MATMUL:
		for (uint32_t i = 0; i < matmul->count; i++)
			device_show_rows(d, matmul->weight[i], 0, on_host(matmul->src),
					 matmul->rows, matmul->weight[i]->in);
		break;
	case STOKER_OP_GATED:
		device_show_rows(d, gated->gate, 0, on_host(gated->src), gated->rows,
				 gated->gate->in);
		device_show_rows(d, gated->up, 0, on_host(gated->src), gated->rows, gated->up->in);
		break;
	case STOKER_OP_MATMUL_HEADS:
		for (uint32_t h = 0; h < heads->weight->count; h++)
			device_show_rows(d, heads->weight, h,
					 on_host(heads->src) + (size_t)h * heads->src_head_stride,
					 heads->rows, heads->src_stride);
		break;
	default:
		break;
	}
}

int stoker_device_observe(struct stoker_device *device, const struct stoker_observer *observer,
			  struct stoker_error *err)
{
	int ret = device ? device_go_on(device, err) : stoker_fail(err, -EINVAL, "no device");

	if (ret)
		return ret;
	if (!device->runs_at_once || !device->shares_memory)
		return stoker_fail(err, -ENOTSUP, "%s: only the CPU's products can be observed",
				   device->ops->name);
	pthread_mutex_lock(&device->exclusive);
	device->observer = observer ? *observer : (struct stoker_observer){ 0 };
	pthread_mutex_unlock(&device->exclusive);
	return 0;
}
