// SPDX-License-Identifier: MIT
/* Opening devices by name. */
#include "device/device.h"

int stoker_device_open(const struct stoker_device_params *params, struct stoker_device **device,
		       struct stoker_error *err)
{
	static const struct stoker_device_params defaults;
	const struct stoker_device_params *p = params ? params : &defaults;

	*device = NULL;
	if (p->name && !strncmp(p->name, "vulkan", 6) && (!p->name[6] || p->name[6] == ':'))
		return stoker_vulkan_open(p->name[6] ? p->name + 7 : "", p->exact != 0, device,
					  err);
	if (p->name && strcmp(p->name, "cpu"))
		return stoker_fail(err, -ENODEV,
				   "no device called \"%s\"; there are \"cpu\" and \"vulkan\"",
				   p->name);
	return stoker_cpu_open(p->threads, p->exact != 0, device, err);
}

void stoker_device_close(struct stoker_device **device)
{
	struct stoker_device *d = *device;

	*device = NULL;
	if (d)
		d->ops->destroy(d);
}

void stoker_matmul_then(struct stoker_device *d, const struct op_matmul *op)
{
	if (op->then)
		d->ops->add_norm(d, op->then);
}

void stoker_gated_in_parts(struct stoker_device *d, const struct op_gated *op)
{
	const struct op_matmul both = { .count = op->gate->at ? 2 : 1,
					.rows = op->rows,
					.weight = { op->up, op->gate },
					.dst = { op->scratch, op->dst },
					.src = op->src,
					.src_q8 = op->src_q8 };
	const struct op_glu glu = { .dst = op->dst,
				    .gate = op->gate->at ? op->dst : 0,
				    .up = op->scratch,
				    .rows = op->rows,
				    .width = op->up->out,
				    .gate_stride = op->up->out,
				    .up_stride = op->up->out,
				    .activation = op->activation };

	d->ops->matmul(d, &both);
	d->ops->glu(d, &glu);
}

int stoker_device_profile(struct stoker_device *device, struct stoker_profile *profile,
			  struct stoker_error *err)
{
	int ret;

	pthread_mutex_lock(&device->turn);
	ret = device->ops->profile(device, profile, err);
	if (!ret)
		device->profile = profile;
	pthread_mutex_unlock(&device->turn);
	return ret;
}

uint64_t stoker_device_memory_left(const struct stoker_device *device)
{
	return device->memory_left;
}

int stoker_device_shares_memory(const struct stoker_device *device)
{
	return device->shares_memory;
}

const char *stoker_device_description(const struct stoker_device *device)
{
	return device->description;
}
