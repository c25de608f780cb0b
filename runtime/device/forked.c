// SPDX-License-Identifier: MIT
/*
 * Devices in a process that was forked off.  Some go on there; of others, whose driver knows the
 * first process only, nothing is left but memory that goes with the process.
 */
#include "device/device.h"

static int gone(struct stoker_error *err)
{
	return stoker_fail(
		err, -ENOTSUP,
		"the device was opened by the process that this one was forked off from, "
		"and works only there");
}

static void gone_destroy(struct stoker_device *d)
{
	(void)d;
}

static int gone_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
		       struct stoker_error *err)
{
	(void)d;
	(void)bytes;
	*m = (struct stoker_memory){ 0 };
	return gone(err);
}

static void gone_memory_destroy(struct stoker_device *d, struct stoker_memory *m)
{
	(void)d;
	*m = (struct stoker_memory){ 0 };
}

static int gone_write(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		      struct stoker_error *err)
{
	(void)d;
	(void)dst;
	(void)src;
	(void)bytes;
	return gone(err);
}

static int gone_read(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		     struct stoker_error *err)
{
	(void)d;
	(void)dst;
	(void)src;
	(void)bytes;
	return gone(err);
}

static int gone_begin(struct stoker_device *d, struct stoker_error *err)
{
	(void)d;
	return gone(err);
}

static void gone_recording_free(struct stoker_device *d, struct stoker_recording *r)
{
	(void)d;
	(void)r;
}

/* What is called before device_go_on() has told that the device can't. */
static const struct stoker_device_ops gone_ops = {
	.name = "gone",
	.destroy = gone_destroy,
	.memory_create = gone_create,
	.memory_destroy = gone_memory_destroy,
	.write = gone_write,
	.read = gone_read,
	.begin = gone_begin,
	.recording_free = gone_recording_free,
};

int device_go_on(struct stoker_device *d, struct stoker_error *err)
{
	if (process_mark_claim(&d->process)) {
		/* a thread that isn't here may have been writing into it */
		d->profile = NULL;
		d->forks++;
		if (d->ops->go_on) {
			const bool idle = !pthread_mutex_trylock(&d->exclusive);

			d->ops->go_on(d, idle);
			pthread_mutex_init(&d->exclusive, NULL);
		} else {
			d->ops = &gone_ops;
		}
		process_mark_settle(&d->process);
	}
	return d->ops == &gone_ops ? gone(err) : 0;
}
