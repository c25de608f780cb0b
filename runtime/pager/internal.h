/* SPDX-License-Identifier: MIT */
/*
 * What the files of the pager share.  They are listed in the order in which they build on one
 * another, pager.c above all of them.  Everything here is called, and every member that changes is
 * touched, with the pager's lock held.
 */
#ifndef STOKER_PAGER_INTERNAL_H
#define STOKER_PAGER_INTERNAL_H

#include <pthread.h>

#include "base/profile.h"
#include "base/thread.h"
#include "pager/pager.h"

/*
 * Parts in which a matrix is prepared, so that several threads share in it; bit
 * slice * PAGER_PARTS + part stands for one.
 */
enum { PAGER_PARTS = 4 };

/*
 * A slot's contents pass from reads (@pending) to steps that wait for a thread (@todo) and that one
 * carries out (@working).  While a read or a step is under way nothing else may come into it.
 */
struct slot {
	uint8_t *memory;
	stoker_address at;
	struct pager_layer *layer; /* whose expert it holds, NULL: empty */
	uint32_t expert;
	uint32_t users;		  /* acquired and not released */
	uint32_t pending;	  /* reads under way */
	uint32_t working;	  /* steps under way */
	uint32_t todo;		  /* bits of steps */
	uint32_t undone;	  /* bits of those that failed or were put off */
	uint32_t unread;	  /* bits of the reads that were taken back */
	uint32_t complete;	  /* bits of the slices that were read */
	uint64_t steps_began;	  /* for the profile; 0: none since it was written there */
	uint64_t wave;		  /* the last one that wanted it */
	bool prefetched;	  /* brought in, or being so, before anyone wanted it */
	int failed;		  /* of the reads, */
	int failed_step;	  /* of the steps: why some are undone */
	struct device_slot *copy; /* of a device with memory of its own, NULL: there is none */
	struct store_read reads[PAGER_SLICES];
	uint32_t covers[PAGER_SLICES]; /* bits of the slices that are in a read */
	uint64_t inner[PAGER_SLICES];  /* where in the slot each matrix begins */
	struct slot *older, *newer;
	struct slot *next_work;
	bool queued; /* in the list of those with steps to do */
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
	struct stoker_pager *pager;
	struct pager_source source;
	struct slot_class *class;
	struct slot **resident; /* [experts] */
	double *score;		/* [experts], log2 of uses that halve with time */
	uint32_t *predicted;	/* [experts], the likeliest first */
	uint32_t predicted_count;
	uint32_t number;
	uint32_t held, quota; /* slots that hold its experts; more than the quota give way first */
};

struct policy {
	const char *name;
	/* Of the slots that may be used again the one that gives way, or NULL. */
	struct slot *(*victim)(const struct slot_class *c, bool (*may)(const struct slot *s));
};

/* Tokens in turns with and without prefetch, see prefetch.c. */
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
	enum pager_prefetch prefetch;
	uint32_t few_rows;	  /* see struct pager_params */
	uint32_t rows;		  /* of this step */
	bool prefetches;	  /* in it */
	bool pays;		  /* what the last trial found */
	struct pager_layer *last; /* that wanted experts */
	struct pager_layer *next; /* what is predicted and not yet read */
	struct trial trial;
	uint64_t waves; /* acquisitions so far, a clock */
	size_t reading; /* reads under way, without a pause since: */
	uint64_t reading_since;
	/* steps to do, and the threads that do them beside the pager's user */
	struct pager_steps steps;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a read or a step has ended, or there are new ones */
	struct slot *work, *last_work;
	bool reaping; /* a thread waits for the store, without the lock */
	bool stop;
	pthread_cond_t called;		/* the pager's own threads: the same, where they help */
	uint32_t waiting, idle;		/* threads, for @changed and @called */
	uint32_t threads, worker_count; /* of them, at most and now */
	unsigned forks;			/* the device's, when the pager was made or began anew */
	struct stoker_thread workers[PAGER_THREADS];
	struct stoker_error failure;	/* of the last step that failed, */
	const struct slot *failure_of;	/* one of this slot's */
	struct stoker_profile *profile; /* the device's, during a batch */
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

/* Wanted by nobody and with nothing under way, so that it may hold something else. */
static inline bool slot_is_free(const struct slot *s)
{
	return !s->users && !s->pending && !s->working;
}

/* Whether all that was begun for its contents has ended, well or not. */
static inline bool slot_is_settled(const struct slot *s)
{
	return !s->pending && !s->working && !s->todo;
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

/* steps.c: those that slices, bits of them, need that are in memory now */
void add_steps(struct slot *s, uint32_t slices);
/* Those that failed are tried again. */
void retry_steps(struct slot *s);
/* Those of a slot that nobody uses wait until someone does. */
void put_off_steps(struct slot *s);
/*
 * Does one, of @wanted's if there are any or else of another that is acquired; with NULL also for
 * what nobody has acquired.  The lock is given up meanwhile.
 */
bool do_step(struct stoker_pager *p, struct slot *wanted);
/* All steps of one matrix of a slot, if none of them is done: for the pager's user alone. */
bool do_matrix(struct stoker_pager *p, struct slot *s);
/* Whoever waits looks again. */
void tell_waiting(struct stoker_pager *p);
/* The error of a slot whose read failed, with its sentence. */
int read_failed(const struct slot *s, struct stoker_error *err);
/*
 * Whether the pager's own threads have a part in this step.  With few rows there is little to
 * compute while something is read: the user soon waits, hears of a read sooner when it takes it in
 * itself, and has the device's threads for what is to be done then.
 */
static inline bool workers_help(const struct stoker_pager *p)
{
	return p->rows > p->few_rows || p->stop;
}

/* expert_reads.c */
void forget_slot(struct slot *s);
/* Gives an empty or forgotten slot to an expert; puts its reads into @reads, returns how many. */
uint32_t fill_slot(struct slot *s, struct pager_layer *l, uint32_t expert,
		   struct store_read **reads);
/* The reads of a slot that were taken back, once more. */
uint32_t read_rest(struct slot *s, struct store_read **reads);
void send_reads(struct stoker_pager *p, struct store_read **reads, size_t count,
		enum store_priority priority);
/* Whatever has ended by now. */
void take_completions(struct stoker_pager *p);
/* Waits for reads without the lock; false when there are none or another thread does. */
bool wait_for_reads(struct stoker_pager *p);
/* Takes back what was prefetched and hasn't begun to be read. */
void withdraw_prefetched(struct stoker_pager *p);

/*
 * worker.c: threads that take in reads and do steps, at most @count.  Where there are none, all is
 * done by help_or_wait().
 */
void start_workers(struct stoker_pager *p, uint32_t count);
void stop_workers(struct stoker_pager *p);
/*
 * For the pager's user, who has to wait for @wanted: gets further with steps, or with reads if
 * there are any for @wanted, or waits until another thread has.  The lock is given up meanwhile.
 */
void help_or_wait(struct stoker_pager *p, struct slot *wanted);
/* Until no thread is at a step of a slot that nobody uses; what is left of them is put off. */
void wait_for_step(struct stoker_pager *p, struct slot *s);

/* tiers.c: a place in the device's memory for a slot's expert; false: all are in use */
bool reserve_copy(struct pager_layer *l, struct slot *s);

/* pressure.c: gives slots back to a machine that is short of memory, and takes them again */
void mind_pressure(struct stoker_pager *p);

/* prefetch.c: begins to read what is predicted of a layer that comes later */
void read_predicted(struct stoker_pager *p);
/* The same for all experts of the layer behind this one. */
void predict_all(struct pager_layer *before);
/* Counts how well the wanted experts were predicted. */
void judge_prediction(struct pager_layer *l, const uint32_t *wanted, uint32_t count);
/* Around a step: whether prefetch is tried, and what it gained. */
bool begin_trial(struct stoker_pager *p);
void end_trial(struct stoker_pager *p);
/* Steps that follow are too early to be compared. */
void rest_trial(struct stoker_pager *p);

#endif
