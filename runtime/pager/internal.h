/* SPDX-License-Identifier: MIT */
/* What the files of the pager share: slots, the layers whose experts they hold, who gives way. */
#ifndef STOKER_PAGER_INTERNAL_H
#define STOKER_PAGER_INTERNAL_H

#include "pager/pager.h"

struct slot {
	uint8_t *memory;
	stoker_address at;
	struct pager_layer *layer; /* whose expert it holds, NULL: empty */
	uint32_t expert;
	uint32_t users;	  /* want() without release() */
	uint32_t pending; /* reads under way */
	uint32_t unread;  /* bits of the slices whose reads were taken back */
	uint64_t wave;	  /* the last one that wanted it */
	bool foreseen;	  /* brought in, or being so, before anyone wanted it */
	int failed;
	struct device_slot *copy; /* of a device with memory of its own, NULL: there is none */
	bool copied;
	uint32_t tiled; /* bits of the slices that the device has laid out */
	struct store_read reads[PAGER_SLICES];
	uint64_t inner[PAGER_SLICES]; /* where in the slot each matrix begins */
	struct slot *older, *newer;
};

/* A second tier: memory of the device for what a slot holds. */
struct device_slot {
	stoker_address at;
	struct slot *of; /* NULL: of none */
};

/* Layers whose experts take the same room share slots. */
struct slot_class {
	uint64_t slot_bytes;
	uint32_t layers, experts, count; /* count: of slots */
	struct slot *slots, *oldest, *newest;
	struct slot *away; /* given back to the machine, linked by @newer */
	struct device_slot *copies;
	uint32_t copy_count;
	struct stoker_memory *blocks; /* of the device */
	uint32_t block_count;
	/* the slots' memory where the device's can't be theirs; ours to free, or the store's */
	void *host;
	bool owns_host;
};

struct pager_layer {
	struct stoker_expert_source source;
	struct stoker_pager *pager;
	struct pager_source place;
	struct slot_class *class;
	struct slot **resident; /* [experts] */
	double *score;		/* [experts], log2 of uses that halve with time */
	uint32_t *foreseen;	/* [experts], the likeliest first */
	uint32_t foreseen_count;
	uint32_t number;
	uint32_t held, quota; /* slots that hold its experts; more than the quota give way first */
};

struct policy {
	const char *name;
	/* Of the slots that may be used again the one that gives way, or NULL. */
	struct slot *(*victim)(const struct slot_class *c, bool (*may)(const struct slot *s));
};

/* Tokens in turns with and without foresight, see prefetch.c. */
struct trial {
	uint32_t step;	/* of the trial */
	uint32_t rest;	/* steps until the next one */
	uint64_t began; /* this step, 0: it doesn't count */
	uint64_t stalled;
	uint64_t took[2][48]; /* ns, without and with */
	uint32_t count[2];
};

struct stoker_pager {
	struct stoker_device *device;
	struct stoker_store *store;
	struct pager_layer *layers;
	uint32_t layer_count;
	struct slot_class *classes;
	uint32_t class_count;
	uint32_t least; /* experts of a layer that a token uses */
	const struct policy *policy;
	enum pager_foresight foresight;
	uint32_t rows;		  /* of this step */
	bool foresees;		  /* in it */
	bool pays;		  /* what the last trial found */
	struct pager_layer *last; /* that wanted experts */
	struct pager_layer *next; /* what is foreseen and not yet read */
	struct trial trial;
	uint64_t waves; /* want() calls so far, a clock */
	size_t reading; /* reads under way, without a pause since: */
	uint64_t reading_since;
	/* pressure on the machine's memory: the kernel's files, and when they are looked at */
	const char *pressure, *meminfo;
	uint64_t look_ns, next_look;
	uint32_t calm; /* looks without any since slots came or went */
	struct pager_stats stats;
};

static inline void unlink_slot(struct slot_class *c, struct slot *s)
{
	*(s->older ? &s->older->newer : &c->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &c->newest) = s->older;
	s->older = s->newer = NULL;
}

static inline void make_newest(struct slot_class *c, struct slot *s)
{
	s->older = c->newest;
	s->newer = NULL;
	*(c->newest ? &c->newest->newer : &c->oldest) = s;
	c->newest = s;
}

static inline void make_oldest(struct slot_class *c, struct slot *s)
{
	s->newer = c->oldest;
	s->older = NULL;
	*(c->oldest ? &c->oldest->older : &c->newest) = s;
	c->oldest = s;
}

/* Room for a matrix wherever in a block it begins. */
static inline uint64_t slice_room(const struct pager_slice *s)
{
	return s->bytes ? round_up(s->bytes, STOKER_STORE_ALIGN) + STOKER_STORE_ALIGN : 0;
}

/* policy.c; NULL: the default, or there is none of that name */
const struct policy *pager_policy(const char *name);
/* Whether this step goes through all of a layer's experts, as long prompts do. */
bool pager_scans(const struct pager_layer *l);
/*
 * The slot that gives way to an expert of the layer, of those that may; NULL: none does.  That's
 * the policy's choice, except in scans: going round through more than there is room for, whatever
 * was used long ago comes next, so that what was used last gives way.
 */
struct slot *choose_victim(const struct pager_layer *l, bool (*may)(const struct slot *s));
/* One more use, now. */
void count_use(struct pager_layer *l, uint32_t expert);

/* prefetch.c: steps that follow are too early to be compared */
void rest_trial(struct stoker_pager *p);

/* pager.c */
void forget_slot(struct slot *s);
/* Gives an empty or forgotten slot to an expert; its reads go to @reads, their number is returned.
 */
uint32_t fill_slot(struct slot *s, struct pager_layer *l, uint32_t expert,
		   struct store_read **reads);
void send_reads(struct stoker_pager *p, struct store_read **reads, size_t count,
		enum store_priority priority);
/* So many aren't under way any more. */
void end_reads(struct stoker_pager *p, size_t count);
/* A read that was taken back or failed before anyone wanted it; it may be made up for later. */
void leave_unread(struct store_read *r);
void init_source(struct pager_layer *l);

/* tiers.c: a place in the device's memory for a slot's expert; false: all are in use */
bool reserve_copy(struct slot_class *c, struct slot *s);
/* Brings it there, for a slot that is complete. */
int bring_copy(struct slot *s, struct stoker_error *err);

/* pressure.c: gives slots back to a machine that is short of memory, and takes them again */
void mind_pressure(struct stoker_pager *p);

/* prefetch.c: what a device says of a layer that comes later, and when reading that begins */
void pager_foresee(struct stoker_expert_source *source, const uint32_t *experts, uint32_t count,
		   bool now);
void read_foreseen(struct stoker_pager *p);
/* The same for all experts of the layer behind this one. */
void foresee_all(struct pager_layer *before);
/* Counts how well the wanted experts were foreseen. */
void judge_foresight(struct pager_layer *l, const uint32_t *wanted, uint32_t count);
/* Takes back what was foreseen and hasn't begun to be read. */
void withdraw_foreseen(struct stoker_pager *p);

#endif
