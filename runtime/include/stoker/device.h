/* SPDX-License-Identifier: MIT */
/**
 * stoker/device.h - where a model computes.
 *
 * Models keep their device, whatever is released first.  One device runs one session's work at a
 * time; sessions on several threads take turns.
 *
 * Threads: a device may be used by any, several at a time, but for closing it, which is the last
 * thing that is done with it.
 *
 * Fork: a process that was forked off goes on with its parent's CPU device and the models and
 * sessions on it, with one thread for computing; experts on the drive are read anew.  On any other
 * device, or with experts that the kernel module reads, everything but releasing gives -ENOTSUP
 * there.  A session that another thread was using at that moment stays in use.  Nothing that the
 * child does disturbs the parent.
 */
#ifndef STOKER_DEVICE_H
#define STOKER_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "stoker/error.h"
#include "stoker/log.h"

#ifdef __cplusplus
extern "C" {
#endif

struct stoker_device;

/**
 * struct stoker_device_params - how to open a device; zeros are good defaults
 * @size: STOKER_DEVICE_PARAMS_INIT
 * @name: "cpu", "vulkan" for the best Vulkan device, "vulkan:1" for the one of that number, or
 *	"vulkan:radeon" for one with that in its name; NULL is "cpu"
 * @threads: of the CPU, 0 for one for each core that the process may use
 *	(affinity and CPU quota of its cgroups)
 * @exact: nonzero computes with 32-bit float activations throughout, for verification; slower
 * @cache_folder: where pipelines and what was measured are kept for the next time, made if need be;
 *	"": nowhere; NULL: stoker in $XDG_CACHE_HOME, or in ~/.cache
 * @log: is told of what can't be done as it might be, see stoker/log.h; may be NULL
 * @log_user: handed to @log
 */
struct stoker_device_params {
	size_t size;
	const char *name;
	unsigned threads;
	int exact;
	const char *cache_folder;
	stoker_log log;
	void *log_user;
};
#define STOKER_DEVICE_PARAMS_INIT STOKER_SIZE_OF(struct stoker_device_params)

/**
 * stoker_device_open() - open a device
 * @params: may be NULL
 * @device: receives it; release it with stoker_device_close()
 * @err: may be NULL
 *
 * Return: 0, -ENODEV when there is no device of that name, -EINVAL, -ENOMEM; -EAGAIN when @params'
 * threads can't be started, which is fewer threads when it is 0.
 */
STOKER_API int stoker_device_open(const struct stoker_device_params *params,
				  struct stoker_device **device, struct stoker_error *err);

/**
 * stoker_device_close() - release a device and clear the pointer; NULL is fine
 *
 * Its memory goes with the last model on it.
 */
STOKER_API void stoker_device_close(struct stoker_device **device);

/**
 * struct stoker_device_info - something in this machine that computes, or could
 * @name: for stoker_device_open(), empty when nothing here can drive it
 * @title: what it calls itself
 * @type: "processor", "integrated GPU", "discrete GPU", "virtual GPU", "GPU" or "NPU"
 * @node: of a GPU or NPU, "/dev/dri/renderD128"; empty when it has none
 * @driver: the kernel's, "amdgpu"; empty without a node
 * @bus: where it is, "pci 0000:03:00.0"; may be empty
 * @memory: bytes of its own, or that it shares with the processor
 * @memory_left: bytes that it would give this process now, 0 when it doesn't say
 * @computes: whether models run on it
 * @imports_host_memory: whether it reads the process's own memory (VK_EXT_external_memory_host)
 * @imports_dma_buf: whether it reads memory of other drivers
 * @lacks: why it doesn't compute; empty when it does
 */
struct stoker_device_info {
	char name[24], title[128], type[24], node[64], driver[32], bus[64];
	uint64_t memory, memory_left;
	int computes, imports_host_memory, imports_dma_buf;
	char lacks[64];
};

/**
 * stoker_device_list() - what this machine has
 * @item_size: sizeof(struct stoker_device_info)
 * @list: receives an array, processor first; release it with stoker_free()
 * @count: receives its length
 * @err: may be NULL
 *
 * Looks anew each time, as devices come and go, which means loading the Vulkan drivers of the
 * machine: up to half a second.
 *
 * Return: 0, -EINVAL or -ENOMEM; a machine without GPUs is no error.
 */
STOKER_API int stoker_device_list(size_t item_size, struct stoker_device_info **list, size_t *count,
				  struct stoker_error *err);

/**
 * stoker_device_accepts() - whether a GPU or NPU takes a dma-buf (DRM PRIME)
 * @device: one with a @node
 * @fd: the dma-buf, which stays the caller's
 *
 * Return: 0, -ENODEV without a node, or the driver's -errno.
 */
STOKER_API int stoker_device_accepts(const struct stoker_device_info *device, int fd);

/** stoker_device_shares_memory() - whether models on it take the machine's memory, not a GPU's own.
 */
STOKER_API int stoker_device_shares_memory(const struct stoker_device *device);

/**
 * stoker_device_memory_left() - what a model could take now, in bytes
 *
 * Of a GPU's own memory, or of the machine's within this process's memory cgroups.
 *
 * Return: 0 where there is none or it isn't known.
 */
STOKER_API uint64_t stoker_device_memory_left(const struct stoker_device *device);

/** stoker_device_threads() - how many the CPU computes with when it isn't told, at least 1. */
STOKER_API unsigned stoker_device_threads(void);

/** stoker_device_description() - one line: "cpu: 2 threads, avx512". */
STOKER_API const char *stoker_device_description(const struct stoker_device *device);

#ifdef __cplusplus
}
#endif

#endif
