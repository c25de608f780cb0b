/* SPDX-License-Identifier: MIT */
/*
 * The pager: experts on the drive, the most useful of them in slots of memory that the device
 * computes from.  An expert is up to three stretches of files (its gate, up and down matrices); a
 * slot holds the whole blocks around them.  One thread at a time uses a pager.
 */
#ifndef STOKER_PAGER_H
#define STOKER_PAGER_H

#include "device/device.h"
#include "store/store.h"

enum { PAGER_SLICES = 3 }; /* gate, up, down */

/* Expert e's part is [offset + e * stride, + bytes) of the file; bytes 0: there is none. */
struct pager_slice {
	const struct store_file *file;
	uint64_t offset, stride, bytes;
	const struct stoker_weight *weight; /* that it is of; NULL: the device takes it as it is */
};

struct pager_source {
	struct pager_slice slice[PAGER_SLICES];
	uint32_t experts; /* 0: a layer without */
};

struct pager_stats {
	uint64_t hits, misses; /* experts wanted that had a slot, and those that hadn't */
	uint64_t bytes;	       /* read */
	uint64_t foreseen, foreseen_used; /* experts brought in before they were wanted */
	uint64_t foreseen_bytes;	  /* of @bytes */
	uint64_t judged, right;		  /* experts wanted of foreseen layers, and foreseen ones */
	uint64_t stall_ns, store_ns;	  /* waited for reads, and handled them */
	uint64_t reading_ns;		  /* reads were under way */
	uint64_t slots, slot_bytes;	  /* in all */
};

/* Whether experts are read before they are wanted: by measured gain, always, never. */
enum pager_foresight { PAGER_FORESIGHT_AUTO, PAGER_FORESIGHT_ON, PAGER_FORESIGHT_OFF };

struct stoker_pager;

/* @layers' files outlive the pager; @store becomes its own. */
struct pager_params {
	struct stoker_device *device;
	struct stoker_store *store;
	const struct pager_source *layers;
	uint32_t count, least; /* layers; experts of one that a token uses */
	uint64_t memory;       /* of the device, for slots */
	uint64_t host_memory;  /* for a device with memory of its own: of the host, likewise */
	const char *policy;
	enum pager_foresight foresight;
	/* like /proc/pressure/memory and /proc/meminfo, NULL: those */
	const char *pressure, *meminfo;
	uint64_t look_ns; /* how often they are looked at, 0: every second */
};

/*
 * The memory that slots take when each layer can keep @experts of its own (at most all it has) in
 * them; layers whose experts have the same size share slots.
 */
uint64_t pager_memory(const struct pager_source *layers, uint32_t count, uint32_t experts);

/* The least memory that pager_create() takes. */
uint64_t pager_least(const struct pager_source *layers, uint32_t count, uint32_t least);

/* Which slot is used again: "frequency", "lru" or "quota"; NULL: the first, which replays best. */
bool pager_has_policy(const char *name);

/*
 * Makes the slots.  A device with memory of its own has two tiers of them: experts are read into
 * the host's, and copied from there into the device's.  -ENOMEM when a class of layers gets fewer
 * slots than a token needs.
 */
int pager_create(const struct pager_params *params, struct stoker_pager **pager,
		 struct stoker_error *err);
void pager_destroy(struct stoker_pager **pager);

/* What the experts op of a layer takes its weights from. */
struct stoker_expert_source *pager_source(struct stoker_pager *pager, uint32_t layer);

/*
 * Before and after a batch of @rows tokens that didn't fail.  Whether the device should foresee()
 * in it, as the next layer's router does, which costs a little.
 */
bool pager_begin(struct stoker_pager *pager, uint32_t rows);
void pager_end(struct stoker_pager *pager);

struct pager_stats pager_stats(const struct stoker_pager *pager);

#endif
