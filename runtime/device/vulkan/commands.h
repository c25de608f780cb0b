/* SPDX-License-Identifier: MIT */
/*
 * What is recorded between begin() and submit(), and runs.  The first failure in between is kept,
 * and what comes after it is left out; submit() tells it.
 */
#ifndef STOKER_VULKAN_COMMANDS_H
#define STOKER_VULKAN_COMMANDS_H

#include "device/vulkan/dispatch.h"
#include "device/vulkan/vulkan.h"

int vulkan_commands_open(struct vulkan *v, struct stoker_error *err);
void vulkan_commands_close(struct vulkan *v);

int vulkan_begin(struct stoker_device *d, struct stoker_error *err);
void vulkan_record(struct vulkan *v, const struct vulkan_dispatch *d);
/* Records that the buffer at @at holds these bytes, a multiple of 4, for what comes after it. */
void vulkan_update(struct vulkan *v, stoker_address at, const void *data, uint64_t bytes);
/* Runs what is recorded, waits, and goes on recording, even after a failure. */
int vulkan_sync(struct stoker_device *d, struct stoker_error *err);
int vulkan_flush(struct stoker_device *d, struct stoker_error *err);
int vulkan_submit(struct stoker_device *d, struct stoker_recording **keep,
		  struct stoker_error *err);
int vulkan_replay(struct stoker_device *d, struct stoker_recording *r, struct stoker_error *err);
void vulkan_recording_free(struct stoker_device *d, struct stoker_recording *r);

/* Whether something has failed since begin(). */
bool vulkan_has_failed(const struct vulkan *v);
/* Keeps a failure, unless @ret is 0 or one came before. */
void vulkan_keep_failure(struct vulkan *v, int ret, const struct stoker_error *err);

#endif
