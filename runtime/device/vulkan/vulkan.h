/* SPDX-License-Identifier: MIT */
/*
 * The Vulkan device's own state.  Ops become dispatches of the shaders in shaders/, which take
 * addresses in push constants; there are no descriptors.
 *
 *	vulkan.c     opens and closes a device
 *	instance.c   the instance, validation, results of calls
 *	choose.c     which device is taken
 *	features.c   what it has to be able to do, and what it can do beyond that
 *	enumerate.c  what there is on this machine, without opening it
 *	memory.c     buffers with addresses
 *	transfer.c   the host's reads and writes of them, directly or through a staging ring
 *	scratch.c    memory of ops that take several dispatches
 *	queue.c      submission, waiting
 *	commands.c   recording, barriers where data flows, replay
 *	timing.c     what dispatches take, for profiles
 *	pipelines.c  shaders specialised on first use, cached on disk
 *	tuning.c     which variants of products are the fastest, cached on disk
 *	matmul.c     products of weights with rows
 *	experts.c    the experts op, paged or not
 *	ops.c        the other ops, and the table of all
 */
#ifndef STOKER_VULKAN_H
#define STOKER_VULKAN_H

#include "device/device.h"
#include "device/vulkan/instance.h"
#include "device/vulkan/queue.h"

struct vulkan_commands;
struct vulkan_memory;
struct vulkan_transfers;
struct vulkan_scratches;
struct vulkan_pipelines;
struct vulkan_tuning;

/*
 * Set while the device opens and only read after that, but for the queues, what is behind the
 * pointers, and what ops leave for each other.
 */
struct vulkan {
	struct stoker_device base;
	struct VolkDeviceTable vk;
	struct vulkan_instance instance;
	VkPhysicalDevice physical;
	VkDevice device;
	char name[96];	/* "vulkan:0 " and the driver's */
	bool use_cache; /* keeps pipelines and what was measured on disk */

	/* what the hardware and its driver can do: features.c */
	VkPhysicalDeviceLimits limits;
	uint64_t stamp_mask;  /* of timestamps' bits, 0: the compute queue has none */
	bool emulated;	      /* by the CPU */
	bool has_budget;      /* VK_EXT_memory_budget */
	bool has_dma_buf;     /* VK_EXT_external_memory_dma_buf */
	bool has_host_memory; /* VK_EXT_external_memory_host */
	bool has_control;     /* VK_EXT_subgroup_size_control, with full subgroups */
	bool pinned_size;     /* by which we ask for subgroup_size */
	bool known_size;      /* subgroups have exactly subgroup_size lanes */
	uint32_t subgroup_size, subgroup_min;
	bool statistics; /* pipelines tell what their compiler made of them */
	bool dot;	 /* products of 8-bit codes, four at a time by an instruction */
	bool pairs;	 /* or two by a multiplication of 32-bit integers */
	bool tensor;	 /* cooperative matrices of half floats, tensor_shape[M, N, K] */
	uint32_t tensor_shape[3];

	/*
	 * Held while commands are recorded or freed, which sessions on several threads may do at
	 * once; not while waiting for ops to run.  Whoever records holds it and may take it again.
	 * It is taken after base.exclusive.
	 */
	pthread_mutex_t lock;
	/*
	 * Held while buffers come and go, data is transferred, and anything is submitted: a thread
	 * may bring in data while another one records.  Taken after the other one.
	 */
	pthread_mutex_t queue_lock;
	struct vulkan_queue compute, transfer;

	/* each private to the file of its name */
	struct vulkan_memory *memory;
	struct vulkan_transfers *transfers;
	struct vulkan_scratches *scratches;
	struct vulkan_commands *commands;
	struct vulkan_pipelines *pipelines;
	struct vulkan_tuning *tuning;

	struct stoker_memory constants; /* 0, 1, minus infinity; codebooks */
};

static inline struct vulkan *vulkan_of(struct stoker_device *d)
{
	return (struct vulkan *)d;
}

/* An errno for a failed call, with a sentence; @doing is what failed. */
int vulkan_fail(const struct vulkan *v, VkResult result, const char *doing,
		struct stoker_error *err);
/* Shown by debuggers and the validation layers. */
void vulkan_set_name(const struct vulkan *v, VkObjectType type, uint64_t handle, const char *name);

void vulkan_close(struct stoker_device *d);
/* A device with pipelines and nothing else, for statistics. */
int vulkan_open_compiler(const char *which, struct vulkan **v, struct stoker_error *err);
/* Tests put functions of their own into the table of each device that opens. */
extern void (*vulkan_table_hook)(struct VolkDeviceTable *table);

#endif
