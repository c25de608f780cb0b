/* SPDX-License-Identifier: MIT */
/*
 * The pager: experts on the drive, the most useful of them in slots of memory that the device
 * computes from.  An expert is up to three stretches of files (its gate, up and down matrices); a
 * slot holds the whole blocks around them.
 *
 * One thread at a time uses a pager.  What has been read is made ready for the device by that
 * thread where it would wait, and by the pager's own while it computes.
 */
#ifndef STOKER_PAGER_H
#define STOKER_PAGER_H

#include "device/device.h"
#include "store/store.h"

enum { PAGER_SLICES = 3 };  /* gate, up, down */
enum { PAGER_THREADS = 4 }; /* of its own, at most */

/* Where one expert's part begins. */
struct pager_piece {
	const struct store_file *file;
	uint64_t offset;
};

/*
 * Expert e's part is [offset + e * stride, + bytes) of the file, or where @pieces says if that
 * isn't NULL; bytes 0: there is none.
 */
struct pager_slice {
	const struct store_file *file;
	uint64_t offset, stride, bytes;
	const struct pager_piece *pieces;
	const void *shape; /* for pager_steps.prepare, NULL: the device takes it as it is */
};

/* Where the experts of a layer are. */
struct pager_source {
	struct pager_slice slice[PAGER_SLICES];
	uint32_t experts; /* 0: a layer without */
};

/*
 * What is done with an expert between its being read and its being used, by any thread, several at
 * a time.  Devices that share memory with the host may want matrices prepared; others have them
 * copied as they are.
 */
struct pager_steps {
	void *context;
	/* One of @parts parts of making what was read into @bytes what the device takes. */
	int (*prepare)(void *context, const void *shape, void *bytes, uint32_t part, uint32_t parts,
		       struct stoker_error *err);
	/*
	 * All of it, by as many threads as the device computes with, which wait while the pager's
	 * user does; NULL: part after part.
	 */
	int (*prepare_whole)(void *context, const void *shape, void *bytes,
			     struct stoker_error *err);
	/* To the device's own memory. */
	int (*copy)(void *context, stoker_address dst, const void *src, uint64_t bytes,
		    struct stoker_error *err);
};

struct pager_stats {
	uint64_t hits, misses; /* experts wanted that had a slot, and those that hadn't */
	uint64_t bytes;	       /* read */
	uint64_t prefetched, prefetched_used; /* experts brought in before they were wanted */
	uint64_t prefetched_bytes;	      /* of @bytes */
	uint64_t judged, right;	     /* experts wanted of predicted layers, and predicted ones */
	uint64_t stall_ns, store_ns; /* waited for experts, and handled reads */
	uint64_t reading_ns;	     /* reads were under way */
	uint64_t slots, slot_bytes;  /* in all */
};

/* Whether experts are read before they are wanted: by measured gain, always, never. */
enum pager_prefetch { PAGER_PREFETCH_AUTO, PAGER_PREFETCH_ON, PAGER_PREFETCH_OFF };

struct stoker_pager;

/* @layers' files, pieces and shapes outlive the pager; @store becomes its own. */
struct pager_params {
	struct stoker_device *device;
	struct stoker_store *store;
	const struct pager_source *layers;
	uint32_t count, least; /* layers; experts of one that a token uses */
	uint64_t memory;       /* of the device, for slots */
	uint64_t host_memory;  /* for a device with memory of its own: of the host, likewise */
	struct pager_steps steps;
	uint32_t threads; /* of its own for them; it does with fewer, and without any */
	/* in steps of so many rows the user alone takes in reads and does the steps */
	uint32_t few_rows;
	const char *policy;
	enum pager_prefetch prefetch;
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

/*
 * Begins to bring in experts of the list, in its order, as many as there is room for, and keeps
 * them until pager_release(); returns how many, at least one when nothing else is kept.
 */
uint32_t pager_acquire(struct stoker_pager *pager, uint32_t layer, const uint32_t *experts,
		       uint32_t count);
/* How many experts of a layer can be kept at once. */
uint32_t pager_room(struct stoker_pager *pager, uint32_t layer);
/* Whether an expert would be there at once. */
bool pager_has(struct stoker_pager *pager, uint32_t layer, uint32_t expert);
/* Whether an acquired expert is there by now. */
bool pager_ready(struct stoker_pager *pager, uint32_t layer, uint32_t expert);
/* Waits for an acquired expert. */
int pager_get(struct stoker_pager *pager, uint32_t layer, uint32_t expert, struct stoker_expert *at,
	      struct stoker_error *err);
void pager_release(struct stoker_pager *pager, uint32_t layer, uint32_t expert);

/*
 * The likeliest experts of a layer to come, best first: to be read once the layer before it has
 * what it wants, or with @now at once.
 */
void pager_predict(struct stoker_pager *pager, uint32_t layer, const uint32_t *experts,
		   uint32_t count, bool now);

/*
 * Before and after a batch of @rows tokens, which went well or not.  Whether predictions are wanted
 * in it, which cost a little.
 */
bool pager_begin(struct stoker_pager *pager, uint32_t rows);
void pager_end(struct stoker_pager *pager, bool good);

/* In a process that was forked off: forgets what it held, before anything else; see forked.c. */
bool pager_is_forked(const struct stoker_pager *pager);
int pager_go_on(struct stoker_pager *pager, struct stoker_error *err);

struct pager_stats pager_stats(struct stoker_pager *pager);

#endif
