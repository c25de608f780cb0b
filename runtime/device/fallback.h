/* SPDX-License-Identifier: MIT */
/*
 * What a device that does some ops only needs besides these ops: members of its table that have the
 * device behind it, d->fallback, do the rest.  Both share memory and run ops at once, so that one
 * sees what the other computed.
 *
 * Weights have one layout for both.  A device that can't read tiles leaves out tiles() and what
 * belongs to it, and both take weights as files have them; one that reads some passes them on.
 */
#ifndef STOKER_DEVICE_FALLBACK_H
#define STOKER_DEVICE_FALLBACK_H

#include "device/device.h"

/*
 * Puts @fallback behind @d, which has to close it, and says of @d what follows from that: of memory
 * and of its ops, what is true of @fallback's.
 */
void fallback_set(struct stoker_device *d, struct stoker_device *fallback);

int fallback_memory_create(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			   struct stoker_error *err);
void fallback_memory_destroy(struct stoker_device *d, struct stoker_memory *m);
int fallback_memory_import(struct stoker_device *d, void *host, int fd, uint64_t bytes,
			   struct stoker_memory *m, struct stoker_error *err);
void fallback_discard(struct stoker_device *d, void *host, uint64_t bytes);
int fallback_write(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		   struct stoker_error *err);
int fallback_read(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		  struct stoker_error *err);
bool fallback_memory_left(const struct stoker_device *d, uint64_t *bytes);
uint64_t fallback_working_bytes(const struct stoker_device *d, const struct stoker_shapes *s);
int fallback_reserve(struct stoker_device *d, const struct stoker_shapes *s,
		     struct stoker_error *err);

int fallback_begin(struct stoker_device *d, struct stoker_error *err);
int fallback_flush(struct stoker_device *d, struct stoker_error *err);
int fallback_sync(struct stoker_device *d, struct stoker_error *err);
/* Keeps no recording: it would lack what @d did itself. */
int fallback_submit(struct stoker_device *d, struct stoker_recording **keep,
		    struct stoker_error *err);

bool fallback_tiles(const struct stoker_device *d, const struct stoker_format *f, uint32_t in,
		    uint32_t cut);
int fallback_tile(struct stoker_device *d, const struct stoker_weight *w, struct stoker_error *err);
int fallback_tile_part(struct stoker_device *d, const struct stoker_weight *w, void *matrix,
		       uint32_t part, uint32_t parts, struct stoker_error *err);

#endif
