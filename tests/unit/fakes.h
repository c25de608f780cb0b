/* SPDX-License-Identifier: MIT */
/* What the pager is tested with: a store without a drive, devices that only have memory, steps. */
#ifndef STOKER_TEST_FAKES_H
#define STOKER_TEST_FAKES_H

#include <pthread.h>
#include <stdatomic.h>

#include "pager/pager.h"
#include "unit.h"

enum { FAKE_MAX = 4096 };

/*
 * Reads end in any order, at any time; for one thread or several.  Whoever uses it as a store may
 * not be used makes the test fail when it is destroyed.
 */
struct fake_store {
	struct stoker_store base;
	pthread_mutex_t lock;
	uint32_t random;
	struct store_read *pending[FAKE_MAX]; /* not in the order of their arrival */
	uint64_t due[FAKE_MAX];		      /* when each ends, in ns, at the earliest */
	size_t count;
	unsigned failing; /* one read of so many fails, 0: none, */
	int error;	  /* with this */
	unsigned slow_us; /* reads take up to so long */
	bool holds;	  /* what is prefetched isn't read at all while someone waits for others */
	_Atomic unsigned inside, completing, misuse;
};

struct fake_store *fake_store_open(bool concurrent, unsigned failing, uint64_t seed);
/* What it holds back may end; false: it did before, as someone waited for it. */
bool fake_store_let_go(struct fake_store *f);

/* Devices that share memory with the host, and that have some of their own. */
extern const struct stoker_device_ops plain_ops, apart_ops;

/* What is done with experts, and how often. */
struct steps {
	pthread_t user;
	unsigned failing; /* one time in so many, 0: never */
	_Atomic unsigned count, by_others, slow_us, others_us;
	/* the first step of the user's and the first of the others' wait for one another, */
	bool meet;
	unsigned last; /* and the user's for so many to have begun; 0: not at all */
	_Atomic bool began[2];
};

/* How often two threads were at the same bytes, or a step wasn't one; begins anew. */
unsigned count_clashes(void);

int fake_prepare(void *context, const void *shape, void *bytes, uint32_t part, uint32_t parts,
		 struct stoker_error *err);
int fake_prepare_whole(void *context, const void *shape, void *bytes, struct stoker_error *err);
int fake_copy(void *context, stoker_address dst, const void *src, uint64_t bytes,
	      struct stoker_error *err);

enum { LAYERS = 4, EXPERTS = 12, USED = 3 };

/* Two classes of layers that begin at @at of a file; the first layer has no experts. */
void lay_out_layers(struct pager_source *layers, const struct store_file *file, uint64_t at);
/* The shapes of slices that are to be prepared: @all, or about two of three. */
void choose_shapes(struct pager_source *layers, uint64_t shapes[LAYERS][PAGER_SLICES], bool all);
/* An expert is there, read from the file and with all steps done once. */
void check_expert(const struct pager_source *l, uint32_t expert, const struct stoker_expert *at);

/* test_steps.c */
void add_steps_tests(void);

#endif
