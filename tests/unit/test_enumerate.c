// SPDX-License-Identifier: MIT
/* Finding the devices of a machine. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "device/enumerate.h"

static void test_device_list(void)
{
	struct stoker_device_info *list;
	size_t count;

	CU_ASSERT_EQUAL_FATAL(stoker_device_list(sizeof(*list), &list, &count, NULL), 0);
	CU_ASSERT(count >= 1 && !strcmp(list[0].name, "cpu") && list[0].computes);
	for (size_t i = 0; i < count; i++) {
		CU_ASSERT(*list[i].title && *list[i].type);
		CU_ASSERT(list[i].computes == (*list[i].lacks == 0));
		CU_ASSERT(list[i].computes == (*list[i].name != 0));
	}
	free(list);
}

/* An accelerator as the kernel shows it, in a folder of our own. */
static void test_accelerators(void)
{
	struct stoker_device_info info[STOKER_DEVICES_MAX] = { 0 };
	struct device_list list = { .info = info };
	char folder[] = "/tmp/stoker-accel-XXXXXX", path[128];
	FILE *f;
	bool found = false;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/accel7", folder);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/accel7/device", folder);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/accel7/device/uevent", folder);
	f = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("DRIVER=intel_vpu\nPCI_CLASS=120000\nPCI_SLOT_NAME=0000:00:0b.0\n", f);
	fclose(f);
	stoker_drm_list(&list, folder);
	for (size_t i = 0; i < list.count; i++)
		found = found || (!strcmp(info[i].type, "NPU") && !info[i].computes &&
				  !strcmp(info[i].driver, "intel_vpu") &&
				  !strcmp(info[i].bus, "pci 0000:00:0b.0") &&
				  !strcmp(info[i].node, "/dev/accel/accel7"));
	CU_ASSERT(found);
	unlink(path);
	snprintf(path, sizeof(path), "%s/accel7/device", folder);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/accel7", folder);
	rmdir(path);
	rmdir(folder);
}

void suite_enumerate(void)
{
	TEST(test_device_list);
	TEST(test_accelerators);
}
