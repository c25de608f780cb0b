// SPDX-License-Identifier: MIT
/* The devices of this machine. */
#include "device/enumerate.h"

#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/sized.h"
#include "device/device.h"

struct stoker_device_info *device_list_add(struct device_list *list)
{
	return list->count < STOKER_DEVICES_MAX ? &list->info[list->count++] : NULL;
}

static void add_cpu(struct device_list *list)
{
	struct stoker_device_info *i = device_list_add(list);
	const long pages = sysconf(_SC_PHYS_PAGES);
	struct stoker_device *d;

	strcpy(i->name, "cpu");
	strcpy(i->type, "processor");
	i->memory = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	stoker_memory_available("", &i->memory_left);
	i->computes = i->imports_host_memory = 1;
	if (stoker_cpu_open(0, false, &d, NULL))
		return;
	snprintf(i->title, sizeof(i->title), "%s", d->description + strlen("cpu: "));
	d->ops->destroy(d);
}

int stoker_device_list(size_t item_size, struct stoker_device_info **out, size_t *count,
		       struct stoker_error *err)
{
	struct device_list list = { .info = NULL };

	if (!out || !count)
		return stoker_fail(err, -EINVAL, "no place for the list of devices");
	*out = NULL;
	*count = 0;
	if (!is_item_size(item_size))
		return stoker_fail(
			err, -EINVAL,
			"items of %zu bytes: sizeof(struct stoker_device_info) is needed",
			item_size);
	list.info = calloc(STOKER_DEVICES_MAX, sizeof(*list.info));
	if (!list.info)
		return stoker_fail(err, -ENOMEM, "out of memory");
	add_cpu(&list);
	stoker_vulkan_list(&list);
	stoker_drm_list(&list, "/sys/class/accel");
	*out = sized_list(list.info, list.count, sizeof(*list.info), item_size);
	*count = *out ? list.count : 0;
	return *out ? 0 : stoker_fail(err, -ENOMEM, "out of memory");
}
