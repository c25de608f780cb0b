/* SPDX-License-Identifier: MIT */
/* What the threads that fetch share; fetch.c owns it, download.c is what each of them does. */
#ifndef STOKER_TOOL_DOWNLOAD_H
#define STOKER_TOOL_DOWNLOAD_H

#include <pthread.h>

#include "models/fetch.h"
#include "models/part.h"

/* A file on its way.  All of it is guarded by the pool's lock, but what is being written. */
struct job {
	struct pool *pool;
	struct fetch *f;
	struct part part; /* while @open */
	uint64_t there;	  /* unfinished, before it was opened */
	uint64_t resumed;
	uint64_t most;			   /* that ever was there */
	bool given_bytes, given_hash;	   /* what the caller knew */
	bool open, known;		   /* the server's first answer has come, for parts */
	bool in_one;			   /* it gives no ranges, or nothing that makes them safe */
	bool restarting;		   /* as soon as nobody is at it */
	bool finished, wrong, tried_range; /* a range that isn't there, once */
	unsigned workers, restarts;
};

struct worker {
	struct pool *pool;
	pthread_t thread;
	struct http http;
	struct job *job;
	struct span *span;
	bool asked_range, moved; /* a byte more than ever came */
	bool counts;		 /* among those that are at work, or pause before they try again */
	unsigned tries;		 /* without one */
	double not_before;
};

/* How many connections pay: tried out on the way. */
struct pace {
	unsigned allowed, before; /* now, and before the trial that is going on */
	bool trial, fewer;	  /* what the next trial is about */
	double since, not_before; /* of what is being measured; of the next trial */
	uint64_t from;
	unsigned windows;     /* measured with @allowed */
	double mean, earlier; /* what they brought; what @before did */
};

struct pool {
	struct http *h;
	struct fetches *all;
	struct job *jobs;
	struct worker *workers;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	size_t left;	/* files that aren't finished */
	unsigned alive; /* threads that go on */
	unsigned at_work;
	struct pace pace;
	uint64_t received;
	bool stop;
	int failure; /* with the sentence */
	struct stoker_error err;
};

/* Releases the lock for at most so long. */
void pool_wait(struct pool *p, double seconds);
/* Called again and again with the lock held: changes how many connections there may be. */
void pace_adapt(struct pool *p);
/* From its first byte on. */
int job_restart(struct job *j, struct stoker_error *err);
/* A thread: @context is its worker. */
void *download_files(void *context);

#endif
