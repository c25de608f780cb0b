/* SPDX-License-Identifier: MIT */
/*
 * A store reads stretches of files into memory, many at a time and in no particular order.  One
 * thread uses a store, or two, see @concurrent.
 */
#ifndef STOKER_STORE_H
#define STOKER_STORE_H

#include "base/base.h"
#include "base/file_state.h"
#include "base/log.h"

/*
 * Reads have this alignment: file offset, length and memory.  A read may reach beyond the file's
 * end by less than that; @need says how many bytes have to be there.
 */
enum { STOKER_STORE_ALIGN = 4096 };

struct store_file {
	int fd;				 /* for direct reads, if possible */
	int plain;			 /* where the kernel or the file system refuses these */
	const char *path;		 /* for messages */
	const struct file_state *opened; /* it must still be this, NULL: whatever it is */
};

enum store_priority { STORE_DEMAND, STORE_PREFETCH };

/* From submit() until complete() returns it, a read and the memory it fills belong to the store. */
struct store_read {
	const struct store_file *file;
	uint64_t offset, bytes, need;
	void *dst;
	int result; /* 0 or -errno, once complete */
	void *owner;
	uint64_t sent_ns;	      /* the owner's */
	enum store_priority priority; /* the store's, as everything from here on */
	struct store_read *next;
	uint64_t done;
};

/* Memory that reads may go to. */
struct store_arena {
	void *host;
	uint64_t bytes;
	int fd;	       /* as a dma-buf */
	uint32_t runs; /* stretches of adjacent memory */
};

struct stoker_store;

struct stoker_store_ops {
	const char *name;
	void (*destroy)(struct stoker_store *s);
	/*
	 * Takes reads on; failures come out of complete().  Prefetch is only read while no demand
	 * is.
	 */
	void (*submit)(struct stoker_store *s, struct store_read **reads, size_t count,
		       enum store_priority priority);
	/* Up to @max reads that have ended; with @wait at least one if there is any under way. */
	size_t (*complete)(struct stoker_store *s, struct store_read **out, size_t max, bool wait);
	/* Gives back up to @max prefetch reads that haven't begun. */
	size_t (*withdraw)(struct stoker_store *s, struct store_read **out, size_t max);
	/* One thread may be in complete() while another one is in submit() or withdraw(). */
	bool concurrent;
	/*
	 * Where reads have to go to memory of the store's: more of it, pinned, until destroy().
	 * NULL: they go anywhere.
	 */
	int (*arena_create)(struct stoker_store *s, uint64_t bytes, struct store_arena *a,
			    struct stoker_error *err);
	/*
	 * Has the kernel pin memory, which stays where it is until destroy(), so that reads to it
	 * cost less.  NULL: that makes no difference.
	 */
	int (*register_memory)(struct stoker_store *s, void *memory, uint64_t bytes,
			       struct stoker_error *err);
};

struct stoker_store {
	const struct stoker_store_ops *ops;
};

/*
 * Opens "uring", "threads", "kmod", or with NULL the first of the former two that this kernel
 * allows. -ENOTSUP when it doesn't, -EINVAL for another name.
 */
int stoker_store_open(const char *name, struct stoker_store **store, struct stoker_error *err);
/* -EINVAL for a name that stoker_store_open() doesn't know. */
int stoker_store_check(const char *name, struct stoker_error *err);
int stoker_store_open_uring(struct stoker_store **store, struct stoker_error *err);
int stoker_store_open_threads(struct stoker_store **store, struct stoker_error *err);
int stoker_store_open_kmod(struct stoker_store **store, struct stoker_error *err);

/* Opens "kmod" where stoker_driver_prefer() says so and the module is there, else as NULL does. */
int stoker_store_open_preferred(const char *cache_folder, const struct logger *log,
				struct stoker_store **store, struct stoker_error *err);

/* Whether a failed direct read is to be tried without: see struct store_file. */
static inline bool store_is_refused(int result)
{
	return result == -EFAULT || result == -EINVAL || result == -EOPNOTSUPP;
}

/* A descriptor of the same file for direct reads, or for ordinary ones where that's refused. */
int stoker_store_reopen(int fd);

/* The end of the file came before what was needed. */
static inline int store_read_short(const struct store_read *r)
{
	return r->done >= r->need ? 0 : -ENODATA;
}

#endif
