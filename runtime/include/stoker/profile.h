/* SPDX-License-Identifier: MIT */
/**
 * stoker/profile.h - where the time and the energy go.
 *
 * A profile collects what a device does, with begin and end: its ops, the host's part in them,
 * waits for experts and reads of them.  Recording costs some 50 ns an op on the CPU; on Vulkan each
 * dispatch writes a timestamp.
 *
 * Threads: sessions on any write into it; it is read, written to a file and released while none of
 * them computes.
 */
#ifndef STOKER_PROFILE_H
#define STOKER_PROFILE_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_device;
struct stoker_profile;

/**
 * stoker_profile_create() - an empty profile
 * @profile: receives it; release it with stoker_profile_free()
 *
 * Return: 0 or -ENOMEM.
 */
STOKER_API int stoker_profile_create(struct stoker_profile **profile, struct stoker_error *err);

/** stoker_profile_free() - release a profile that no device writes into, and clear the pointer. */
STOKER_API void stoker_profile_free(struct stoker_profile **profile);

/**
 * stoker_device_profile() - have a device write into a profile
 * @profile: NULL ends it; outlives the sessions on the device otherwise
 *
 * Sessions record a step once and run it again: call this before they do.
 *
 * Return: 0, or -ENOTSUP when the device doesn't tell what time it is.
 */
STOKER_API int stoker_device_profile(struct stoker_device *device, struct stoker_profile *profile,
				     struct stoker_error *err);

/**
 * struct stoker_profile_total - what all events of one name took together
 * @track: "session" (batches of tokens), "host" (recording, submitting and waiting), "device"
 *	(ops), "pager" (waits for experts), "steps" (from reading an expert to using it) or "reads"
 *(of experts); the last two overlap
 * @name: "matmul", or on Vulkan the shader's, "matvec_dot"
 * @detail: the weights' format, or empty
 */
struct stoker_profile_total {
	const char *track, *name, *detail;
	uint64_t count;
	double seconds;
};

/**
 * stoker_profile_totals() - sums by name, by track and then the longest first
 * @item_size: sizeof(struct stoker_profile_total)
 * @list: receives an array; release it with stoker_free()
 * @count: receives its length
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
STOKER_API int stoker_profile_totals(const struct stoker_profile *profile, size_t item_size,
				     struct stoker_profile_total **list, size_t *count);

/**
 * stoker_profile_energy() - what the machine's counters say it took (RAPL, hwmon)
 * @joules: receives the sum of the processor's packages, or of other counters where there are none
 *
 * From the first batch of tokens to the last.
 *
 * Return: 0, or -ENODEV where there are no counters that the process may read.
 */
STOKER_API int stoker_profile_energy(const struct stoker_profile *profile, double *joules);

/**
 * stoker_profile_write() - the whole profile as a Chrome trace (chrome://tracing, Perfetto)
 * @path: the file, which is replaced
 *
 * Return: 0 or -errno of writing.
 */
STOKER_API int stoker_profile_write(const struct stoker_profile *profile, const char *path,
				    struct stoker_error *err);

#ifdef __cplusplus
}
#endif

#endif
