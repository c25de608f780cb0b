/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver's files share.
 *
 * Locks, outermost first: stoker_context.handles_lock, the list of discardable arenas (reclaim.c),
 * stoker_arena.lock, stoker_context.lock.  The last two are taken in interrupts.
 */
#ifndef STOKER_INTERNAL_H
#define STOKER_INTERNAL_H

#include <linux/bvec.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <linux/stoker.h>

#define STOKER_ALIGN 512
#define STOKER_TRANSFER_BYTES_MAX SZ_1G
#define STOKER_RUN_BYTES_MAX SZ_1G
#define STOKER_ARENAS_MAX 1024
#define STOKER_TRANSFERS_MAX 4096
#define STOKER_DEMAND_DEPTH 128
#define STOKER_PREFETCH_DEPTH 8
#define STOKER_BUFFERED_DEPTH 8

enum stoker_arena_state { STOKER_KEPT, STOKER_DISCARDABLE, STOKER_DISCARDED };

/*
 * Memory that stays where it is.  Referred to by its handle, its dma-buf and each transfer.
 */
struct stoker_arena {
	struct kref kref;
	struct work_struct free_work;
	struct mm_struct *mm;	  /* whose locked_vm it counts in */
	struct user_struct *user; /* likewise, NULL: one that may lock any amount */
	unsigned long page_count;

	/* Adjacent folios make up one run; run i begins at page run_first[i]. */
	struct bio_vec *runs;
	unsigned long *run_first;
	unsigned int run_count;
	unsigned int order_max, order_min;

	spinlock_t lock; /* state, users, attached */
	enum stoker_arena_state state;
	unsigned int users; /* transfers, mappings */
	bool attached;	    /* ever */

	struct list_head discardable; /* this and the next under reclaim.c's lock */
	struct stoker_entry *note;

	struct mutex attachments_lock; /* the list and what is mapped */
	struct list_head attachments;
};

/* What read(2) hands out: part of a transfer, or a note that an arena is gone.  Freed with kfree().
 */
struct stoker_entry {
	struct list_head list;
	struct stoker_context *ctx;
	struct stoker_completion completion;
};

/* An open /dev/stoker; transfers under way outlive its file. */
struct stoker_context {
	struct kref kref;
	struct work_struct free_work;
	struct workqueue_struct *buffered_wq; /* its own: nobody waits for another's files */
	struct xarray arenas;
	struct mutex handles_lock; /* DESTROY beside ADVISE */
	u32 next_handle;

	spinlock_t lock;	     /* all that follows */
	wait_queue_head_t wait;	     /* done or room */
	struct list_head waiting[2]; /* requests, by priority */
	struct list_head done;	     /* entries */
	unsigned int pending;	     /* entries that exist: waiting, under way, done, notes */
	unsigned int demand;	     /* waiting or under way */
	unsigned int under_way[2];
	unsigned int copying; /* entries that a reader is being given */
	bool closing;
	struct stoker_stats stats;

	struct work_struct start_work;
};

/* drv.c: for what can't be done where it comes up and doesn't take long */
extern struct workqueue_struct *stoker_wq;
void stoker_context_put(struct stoker_context *ctx); /* also in interrupts */

/* arena.c */
int stoker_arena_create(struct stoker_context *ctx, struct stoker_arena_create *arg,
			struct file **file);
int stoker_arena_destroy(struct stoker_context *ctx, struct stoker_arena_destroy *arg);
void stoker_arena_destroy_all(struct stoker_context *ctx);
struct stoker_arena *stoker_arena_find(struct stoker_context *ctx, u32 handle);
void stoker_arena_put(struct stoker_arena *arena);
void stoker_arena_put_atomic(struct stoker_arena *arena);
int stoker_arena_use(struct stoker_arena *arena);
void stoker_arena_unuse(struct stoker_arena *arena);
unsigned int stoker_arena_run(const struct stoker_arena *arena, unsigned long page);
void stoker_arena_free_pages(struct stoker_arena *arena);

/* dmabuf.c */
struct dma_buf *stoker_dmabuf_export(struct stoker_arena *arena);

/* io.c */
int stoker_submit(struct stoker_context *ctx, struct stoker_submit *arg);
int stoker_cancel(struct stoker_context *ctx, struct stoker_cancel *arg);
void stoker_io_init(struct stoker_context *ctx);
void stoker_io_close(struct stoker_context *ctx);

/* reclaim.c */
int stoker_arena_advise(struct stoker_context *ctx, struct stoker_arena_advise *arg);
void stoker_arena_forget_advice(struct stoker_arena *arena);
int stoker_reclaim_init(void);
void stoker_reclaim_exit(void);

/* ring.c */
bool stoker_entry_reserve(struct stoker_context *ctx);
void stoker_entry_unreserve(struct stoker_context *ctx);
void stoker_entry_post(struct stoker_entry *entry);
ssize_t stoker_read(struct file *file, char __user *to, size_t bytes, loff_t *pos);
__poll_t stoker_poll(struct file *file, poll_table *wait);
int stoker_get_stats(struct stoker_context *ctx, struct stoker_stats *arg);
void stoker_ring_free(struct stoker_context *ctx);

#endif
