// SPDX-License-Identifier: MIT
/*
 * What the leak checker has to be told of Vulkan drivers, linked into every program that is built
 * with SANITIZE=address.
 */
int dlclose(void *handle);
const char *__lsan_default_suppressions(void);

/*
 * Drivers stay loaded: once they're gone, the leak checker can't find what their variables point
 * to, and takes it for lost.
 */
__attribute__((visibility("default"))) int dlclose(void *handle)
{
	(void)handle;
	return 0;
}

/* The validation layer forgets a little with every instance. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
	return "leak:libVkLayer_khronos_validation";
}
