// SPDX-License-Identifier: MIT
/*
 * Calling an op: the device does it where it supports it with these arguments.  Where it doesn't,
 * an op that others can stand for is done in parts, each of which finds its device anew, and any
 * other one by the device that shares this one's memory.  A device that has none at its side is
 * asked all the same and says at submit() what it can't do.
 */
#include "base/profile.h"
#include "device/device.h"

bool device_supports(const struct stoker_device *d, enum stoker_op op, const void *args)
{
	bool has = false;

	switch (op) {
#define OP(NAME, name, weights)             \
	case STOKER_OP_##NAME:              \
		has = d->ops->name != NULL; \
		break;
#include "device/ops.def"
	case STOKER_OP_COUNT:
		break;
	}
	return has && (!d->ops->supports || d->ops->supports(d, op, args));
}

static void add_time(const struct stoker_device *d, const char *name,
		     const struct stoker_format *weights, uint64_t began)
{
	profile_add(d->profile, PROFILE_DEVICE, name, weights ? weights->name : NULL, began,
		    stoker_now_ns());
}

#define DEFINE(NAME, name, weights, in_parts)                                   \
	void device_##name(struct stoker_device *d, const struct op_##name *op) \
	{                                                                       \
		uint64_t began;                                                 \
                                                                                \
		if (!device_supports(d, STOKER_OP_##NAME, op)) {                \
			if (in_parts)                                           \
				return;                                         \
			if (d->fallback) {                                      \
				device_##name(d->fallback, op);                 \
				return;                                         \
			}                                                       \
		}                                                               \
		began = d->runs_at_once ? profile_now(d->profile) : 0;          \
		if (d->observer.product)                                        \
			device_show(d, STOKER_OP_##NAME, op);                   \
		d->ops->name(d, op);                                            \
		if (began)                                                      \
			add_time(d, #name, weights, began);                     \
	}
#define OP(NAME, name, weights) DEFINE(NAME, name, weights, false)
#define COMPOSED(NAME, name, weights) DEFINE(NAME, name, weights, device_##name##_in_parts(d, op))
#include "device/ops.def"
