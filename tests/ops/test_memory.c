// SPDX-License-Identifier: MIT
/* Memory that isn't of the device's own, and addresses that aren't of any. */
#include "ops.h"

#include <sys/mman.h>
#include <unistd.h>

/* GPU-assisted validation says nothing above: here is something to say. */
static void test_bad_address(void)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = "vulkan" };
	struct stoker_error err = { "" };
	struct stoker_memory memory;

	if (!vulkan_is_here() || !strstr(vulkan_words(), "validate-gpu"))
		return;
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, &err), 0);
	ops = device->ops;
	CU_ASSERT_EQUAL_FATAL(ops->memory_create(device, 4096, &memory, &err), 0);
	const struct op_copy far = { .dst = memory.at,
				     .src = memory.at + ((uint64_t)1 << 40),
				     .rows = 1,
				     .width = 16,
				     .dst_stride = 16,
				     .src_stride = 16 };

	CU_ASSERT_EQUAL(ops->begin(device, &err), 0);
	device_copy(device, &far);
	CU_ASSERT(ops->submit(device, NULL, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.message, "bounds"));
	ops->memory_destroy(device, &memory);
	stoker_device_close(&device);
}

/* An op reads memory of another driver; a memfd stands in for its dma-buf. */
static void import_on(const char *name)
{
	const struct stoker_device_params params = { STOKER_DEVICE_PARAMS_INIT, .name = name,
						     .threads = 2 };
	enum { BYTES = 1 << 20, BEHIND = 1 << 16, FLOATS = 64 };
	struct stoker_memory imported, own;
	struct stoker_error err = { "" };
	float back[FLOATS], *host;
	const int fd = memfd_create("dma-buf", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && !ftruncate(fd, BYTES + BEHIND));
	host = mmap(NULL, BYTES + BEHIND, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_EQUAL_FATAL(stoker_device_open(&params, &device, &err), 0);
	if (device->ops->memory_import(device, host, fd, BYTES, &imported, &err)) {
		skip("importing memory", err.message);
	} else {
		CU_ASSERT_EQUAL_FATAL(device->ops->memory_create(device, 4096, &own, &err), 0);
		const struct op_copy copy = { .dst = own.at,
					      .src = imported.at + BYTES - sizeof(back),
					      .rows = 1,
					      .width = FLOATS,
					      .dst_stride = FLOATS,
					      .src_stride = FLOATS };

		for (int i = 0; i < FLOATS; i++)
			host[BYTES / sizeof(*host) - FLOATS + i] = (float)i + 0.5f;
		CU_ASSERT_EQUAL(device->ops->begin(device, &err), 0);
		device_copy(device, &copy);
		CU_ASSERT_EQUAL(device->ops->submit(device, NULL, &err), 0);
		CU_ASSERT_EQUAL(device->ops->read(device, back, own.at, sizeof(back), &err), 0);
		for (int i = 0; i < FLOATS; i++)
			CU_ASSERT_EQUAL(back[i], (float)i + 0.5f);
		device->ops->memory_destroy(device, &own);
		device->ops->memory_destroy(device, &imported);
	}
	stoker_device_close(&device);
	munmap(host, BYTES + BEHIND);
	close(fd);
}

static void test_import(void)
{
	import_on("cpu");
	if (vulkan_is_here())
		import_on("vulkan");
}

void add_memory(void)
{
	TEST(test_import);
	TEST(test_bad_address);
}
