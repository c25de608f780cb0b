// SPDX-License-Identifier: MIT
/* Opening devices by name. */
#include "device/device.h"

#include "base/cpus.h"
#include "base/memory.h"
#include "base/sized.h"
#include "base/use.h"

unsigned stoker_device_threads(void)
{
	return stoker_usable_cpus();
}

/* The device keeps the cache folder's name. */
static int open_by_name(const struct stoker_device_params *p, struct stoker_device **device,
			struct stoker_error *err)
{
	const struct device_settings settings = { .cache_folder = p->cache_folder,
						  .log = { p->log, p->log_user } };
	int ret;

	if (p->name && !strncmp(p->name, "vulkan", 6) && (!p->name[6] || p->name[6] == ':'))
		return stoker_vulkan_open(p->name[6] ? p->name + 7 : "", p->exact != 0, &settings,
					  device, err);
	if (p->name && strcmp(p->name, "cpu"))
		return stoker_fail(err, -ENODEV,
				   "no device called \"%s\"; there are \"cpu\" and \"vulkan\"",
				   p->name);
	ret = stoker_cpu_open(p->threads, p->exact != 0, device, err);
	if (!ret)
		(*device)->settings = settings;
	return ret;
}

int stoker_device_open(const struct stoker_device_params *params, struct stoker_device **device,
		       struct stoker_error *err)
{
	struct stoker_device_params own;
	int ret;

	if (!device)
		return stoker_fail(err, -EINVAL, "no place for the device");
	*device = NULL;
	ret = SIZED_TAKE(&own, params, STOKER_DEVICE_PARAMS_INIT, err);
	if (ret)
		return ret;
	if (own.cache_folder) {
		own.cache_folder = strdup(own.cache_folder);
		if (!own.cache_folder)
			return stoker_fail(err, -ENOMEM, "out of memory");
	}
	ret = open_by_name(&own, device, err);
	if (ret)
		free((char *)own.cache_folder);
	return ret;
}

void stoker_device_close(struct stoker_device **device)
{
	struct stoker_device *d = device ? *device : NULL;

	if (!d)
		return;
	*device = NULL;
	device_go_on(d, NULL);
	if (is_last_owner(&d->others)) {
		char *folder = (char *)d->settings.cache_folder;

		d->ops->destroy(d); /* may write there */
		free(folder);
	}
}

int stoker_device_profile(struct stoker_device *device, struct stoker_profile *profile,
			  struct stoker_error *err)
{
	int ret = device ? device_go_on(device, err) : stoker_fail(err, -EINVAL, "no device");

	if (ret)
		return ret;
	pthread_mutex_lock(&device->exclusive);
	if (device->ops->profile)
		ret = device->ops->profile(device, profile, err);
	for (struct stoker_device *d = device; d && !ret; d = d->fallback)
		d->profile = profile;
	pthread_mutex_unlock(&device->exclusive);
	return ret;
}

uint64_t stoker_device_memory_left(const struct stoker_device *device)
{
	uint64_t left = 0;

	if (!device || !process_mark_is_here(&device->process))
		return 0;
	if (device->shares_memory)
		stoker_memory_available("", &left);
	else if (device->ops->memory_left)
		device->ops->memory_left(device, &left);
	return left;
}

int stoker_device_shares_memory(const struct stoker_device *device)
{
	return device && device->shares_memory;
}

const char *stoker_device_description(const struct stoker_device *device)
{
	return device ? device->description : NULL;
}
