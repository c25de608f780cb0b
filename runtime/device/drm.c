// SPDX-License-Identifier: MIT
/*
 * GPUs and NPUs as the kernel shows them.  libdrm finds the former; accelerators have a class of
 * their own, whose nodes nevertheless answer its questions.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#include "device/enumerate.h"

struct node {
	char path[64], driver[32], bus[64];
	uint64_t number;
};

static uint64_t device_number(const char *path)
{
	struct stat s;

	if (stat(path, &s) || !S_ISCHR(s.st_mode))
		return 0;
	return (uint64_t)major(s.st_rdev) << 32 | minor(s.st_rdev);
}

/* What the driver calls itself. */
static void ask_driver(struct node *n)
{
	const int fd = open(n->path, O_RDWR | O_CLOEXEC);
	drmVersionPtr version = fd >= 0 ? drmGetVersion(fd) : NULL;

	if (version) {
		snprintf(n->driver, sizeof(n->driver), "%.*s", version->name_len, version->name);
		drmFreeVersion(version);
	}
	if (fd >= 0)
		close(fd);
}

/* Fills in the entry of this node, or makes one. */
static void merge(struct device_list *list, const struct node *n, const char *type)
{
	struct stoker_device_info *i = NULL;

	for (size_t k = 0; k < list->count; k++)
		if ((n->number && list->number[k] == n->number) ||
		    (*n->bus && !strcmp(list->info[k].bus, n->bus)))
			i = &list->info[k];
	if (!i) {
		i = device_list_add(list);
		if (!i)
			return;
		snprintf(i->type, sizeof(i->type), "%s", type);
		snprintf(i->title, sizeof(i->title), "%s", *n->driver ? n->driver : "unknown");
		snprintf(i->lacks, sizeof(i->lacks), "a Vulkan driver");
	}
	memcpy(i->node, n->path, sizeof(i->node));
	memcpy(i->driver, n->driver, sizeof(i->driver));
	if (*n->bus)
		memcpy(i->bus, n->bus, sizeof(i->bus));
}

static void list_gpus(struct device_list *list)
{
	drmDevicePtr devices[STOKER_DEVICES_MAX];
	const int count = drmGetDevices2(0, devices, STOKER_DEVICES_MAX);

	for (int k = 0; k < count; k++) {
		const drmDevice *d = devices[k];
		struct node n = { .number = 0 };

		if (d->available_nodes & 1 << DRM_NODE_RENDER)
			snprintf(n.path, sizeof(n.path), "%s", d->nodes[DRM_NODE_RENDER]);
		else if (d->available_nodes & 1 << DRM_NODE_PRIMARY)
			snprintf(n.path, sizeof(n.path), "%s", d->nodes[DRM_NODE_PRIMARY]);
		else
			continue;
		if (d->bustype == DRM_BUS_PCI)
			snprintf(n.bus, sizeof(n.bus), "pci %04x:%02x:%02x.%x",
				 d->businfo.pci->domain, d->businfo.pci->bus, d->businfo.pci->dev,
				 d->businfo.pci->func);
		else if (d->bustype == DRM_BUS_PLATFORM)
			snprintf(n.bus, sizeof(n.bus), "platform %.48s",
				 d->businfo.platform->fullname);
		n.number = device_number(n.path);
		ask_driver(&n);
		merge(list, &n, "GPU");
	}
	if (count > 0)
		drmFreeDevices(devices, count);
}

/* "KEY=value" lines of a device's uevent file. */
static void read_uevent(const char *path, struct node *n)
{
	FILE *f = fopen(path, "re");
	char line[256];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "DRIVER=", 7))
			snprintf(n->driver, sizeof(n->driver), "%.31s", line + 7);
		if (!strncmp(line, "PCI_SLOT_NAME=", 14))
			snprintf(n->bus, sizeof(n->bus), "pci %.32s", line + 14);
		if (!strncmp(line, "OF_FULLNAME=", 12) && !*n->bus)
			snprintf(n->bus, sizeof(n->bus), "platform %.48s", line + 12);
	}
	if (f)
		fclose(f);
}

static void list_accelerators(struct device_list *list, const char *accel)
{
	DIR *dir = opendir(accel);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct node n = { .number = 0 };
		char uevent[512];

		if (strncmp(entry->d_name, "accel", 5))
			continue;
		snprintf(n.path, sizeof(n.path), "/dev/accel/%.40s", entry->d_name);
		snprintf(uevent, sizeof(uevent), "%.200s/%.40s/device/uevent", accel,
			 entry->d_name);
		read_uevent(uevent, &n);
		n.number = device_number(n.path);
		ask_driver(&n);
		merge(list, &n, "NPU");
	}
	if (dir)
		closedir(dir);
}

void stoker_drm_list(struct device_list *list, const char *accel)
{
	list_gpus(list);
	list_accelerators(list, accel);
}

int stoker_device_accepts(const struct stoker_device_info *device, int fd)
{
	uint32_t handle;
	int node, ret;

	if (!device)
		return -EINVAL;
	node = *device->node ? open(device->node, O_RDWR | O_CLOEXEC) : -1;
	if (node < 0)
		return *device->node ? -errno : -ENODEV;
	ret = drmPrimeFDToHandle(node, fd, &handle) ? -errno : 0;
	if (!ret)
		drmCloseBufferHandle(node, handle);
	close(node);
	return ret;
}
