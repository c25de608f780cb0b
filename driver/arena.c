// SPDX-License-Identifier: GPL-2.0
/* Arenas: their pages, what they are charged to, handles, and who uses them. */
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>

#include "compat.h"
#include "internal.h"

/* --- pages --- */

static struct page *alloc_folio(u32 node, unsigned int order)
{
	/* No memory is an answer: nobody is killed for an arena. */
	gfp_t gfp = GFP_USER | __GFP_ACCOUNT | __GFP_ZERO | __GFP_NOWARN |
		    (order ? __GFP_COMP | __GFP_NORETRY : __GFP_RETRY_MAYFAIL);

	if (node == STOKER_NODE_ANY)
		return alloc_pages(gfp, order);
	return alloc_pages_node(node, gfp | __GFP_THISNODE, order);
}

static void free_folios(struct list_head *folios)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, folios, lru) {
		list_del(&page->lru);
		put_page(page);
		cond_resched();
	}
}

/* Orders only go down: one that couldn't be had once isn't asked for again. */
static int alloc_folios(struct stoker_arena *arena, const struct stoker_arena_create *arg,
			struct list_head *folios)
{
	unsigned long left = arena->page_count;
	unsigned int order = arg->order;

	arena->order_min = arg->order;
	while (left) {
		struct page *page;

		if (fatal_signal_pending(current))
			return -EINTR;
		while (left >> order == 0)
			order--;
		page = alloc_folio(arg->node, order);
		if (!page && !order)
			return -ENOMEM;
		if (!page) {
			order--;
			continue;
		}
		list_add_tail(&page->lru, folios);
		arena->order_max = max(arena->order_max, order);
		arena->order_min = min(arena->order_min, order);
		left -= 1UL << order;
		cond_resched();
	}
	return 0;
}

static bool continues(const struct bio_vec *run, const struct page *page, unsigned int bytes)
{
	return run->bv_page + (run->bv_len >> PAGE_SHIFT) == page &&
	       run->bv_len + bytes <= STOKER_RUN_BYTES_MAX;
}

/* Counts the runs, and with a table writes them down. */
static unsigned int find_runs(const struct list_head *folios, struct bio_vec *runs,
			      unsigned long *first)
{
	struct bio_vec run = {};
	unsigned long pages = 0;
	unsigned int count = 0;
	struct page *page;

	list_for_each_entry(page, folios, lru) {
		const unsigned int bytes = PAGE_SIZE << compound_order(page);

		if (count && continues(&run, page, bytes)) {
			run.bv_len += bytes;
		} else {
			run = (struct bio_vec){ .bv_page = page, .bv_len = bytes };
			if (runs)
				first[count] = pages;
			count++;
		}
		if (runs)
			runs[count - 1] = run;
		pages += bytes >> PAGE_SHIFT;
		cond_resched();
	}
	return count;
}

static int alloc_arena_pages(struct stoker_arena *arena, const struct stoker_arena_create *arg)
{
	LIST_HEAD(folios);
	int ret = alloc_folios(arena, arg, &folios);

	if (ret)
		goto err_free_folios;
	arena->run_count = find_runs(&folios, NULL, NULL);
	arena->runs =
		kvcalloc(arena->run_count, sizeof(*arena->runs), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	arena->run_first = kvcalloc(arena->run_count, sizeof(*arena->run_first),
				    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!arena->runs || !arena->run_first) {
		ret = -ENOMEM;
		goto err_free_folios;
	}
	find_runs(&folios, arena->runs, arena->run_first);
	return 0;

err_free_folios:
	arena->run_count = 0;
	free_folios(&folios);
	return ret;
}

void stoker_arena_free_pages(struct stoker_arena *arena)
{
	unsigned int i;

	for (i = 0; i < arena->run_count; i++) {
		struct page *page = arena->runs[i].bv_page;
		struct page *end = page + (arena->runs[i].bv_len >> PAGE_SHIFT);

		while (page < end) {
			struct page *next = page + (1UL << compound_order(page));

			put_page(page);
			page = next;
			cond_resched();
		}
	}
	arena->run_count = 0;
}

/* The run that holds a page. */
unsigned int stoker_arena_run(const struct stoker_arena *arena, unsigned long page)
{
	unsigned int low = 0, high = arena->run_count;

	while (high - low > 1) {
		const unsigned int middle = low + (high - low) / 2;

		if (arena->run_first[middle] <= page)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* --- what it is charged to --- */

/*
 * The limit holds for the process, whose mm is what others see as locked, and for the user, since
 * an mm is replaced by exec.
 */
static int charge(struct stoker_arena *arena)
{
	const unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	int ret = account_locked_vm(current->mm, arena->page_count, true);

	if (ret)
		return ret;
	if (!capable(CAP_IPC_LOCK)) {
		arena->user = get_uid(current_user());
		if (atomic_long_add_return(arena->page_count, &arena->user->locked_vm) > limit) {
			atomic_long_sub(arena->page_count, &arena->user->locked_vm);
			free_uid(arena->user);
			account_locked_vm(current->mm, arena->page_count, false);
			return -ENOMEM;
		}
	}
	arena->mm = current->mm;
	mmgrab(arena->mm);
	return 0;
}

static void uncharge(struct stoker_arena *arena)
{
	if (arena->user) {
		atomic_long_sub(arena->page_count, &arena->user->locked_vm);
		free_uid(arena->user);
	}
	account_locked_vm(arena->mm, arena->page_count, false);
	mmdrop(arena->mm);
}

/* --- lifetime --- */

static void free_arena(struct stoker_arena *arena)
{
	stoker_arena_free_pages(arena);
	kvfree(arena->runs);
	kvfree(arena->run_first);
	uncharge(arena);
	mutex_destroy(&arena->attachments_lock);
	kfree(arena);
}

static void free_now(struct kref *kref)
{
	free_arena(container_of(kref, struct stoker_arena, kref));
}

static void free_work(struct work_struct *work)
{
	free_arena(container_of(work, struct stoker_arena, free_work));
}

static void free_later(struct kref *kref)
{
	struct stoker_arena *arena = container_of(kref, struct stoker_arena, kref);

	queue_work(stoker_wq, &arena->free_work);
}

void stoker_arena_put(struct stoker_arena *arena)
{
	kref_put(&arena->kref, free_now);
}

void stoker_arena_put_atomic(struct stoker_arena *arena)
{
	kref_put(&arena->kref, free_later);
}

static struct stoker_arena *alloc_arena(const struct stoker_arena_create *arg)
{
	struct stoker_arena *arena = kzalloc(sizeof(*arena), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!arena)
		return ERR_PTR(-ENOMEM);
	kref_init(&arena->kref);
	INIT_WORK(&arena->free_work, free_work);
	spin_lock_init(&arena->lock);
	mutex_init(&arena->attachments_lock);
	INIT_LIST_HEAD(&arena->attachments);
	INIT_LIST_HEAD(&arena->discardable);
	arena->page_count = arg->bytes >> PAGE_SHIFT;
	ret = charge(arena);
	if (ret) {
		kfree(arena);
		return ERR_PTR(ret);
	}
	ret = alloc_arena_pages(arena, arg);
	if (ret) {
		stoker_arena_put(arena);
		return ERR_PTR(ret);
	}
	return arena;
}

/* --- handles --- */

static int check_create(const struct stoker_arena_create *arg)
{
	if (!arg->bytes || !PAGE_ALIGNED(arg->bytes) ||
	    arg->bytes >> PAGE_SHIFT > totalram_pages() || arg->order > STOKER_ORDER_MAX ||
	    arg->flags)
		return -EINVAL;
	if (arg->node != STOKER_NODE_ANY &&
	    (arg->node >= MAX_NUMNODES || !node_state(arg->node, N_MEMORY)))
		return -EINVAL;
	return 0;
}

/* Counts an arena in, or with false out again. */
static bool count_arena(struct stoker_context *ctx, u64 bytes, bool in)
{
	bool fits;

	spin_lock_irq(&ctx->lock);
	fits = !in || ctx->stats.arenas < STOKER_ARENAS_MAX;
	if (fits) {
		ctx->stats.arenas += in ? 1 : -1;
		ctx->stats.arena_bytes += in ? bytes : -bytes;
	}
	spin_unlock_irq(&ctx->lock);
	return fits;
}

static void drop_handle(struct stoker_context *ctx, struct stoker_arena *arena)
{
	stoker_arena_forget_advice(arena);
	count_arena(ctx, (u64)arena->page_count << PAGE_SHIFT, false);
	stoker_arena_put(arena);
}

/* On success the caller installs @file as arg->fd, or else puts both. */
int stoker_arena_create(struct stoker_context *ctx, struct stoker_arena_create *arg,
			struct file **file)
{
	struct stoker_arena *arena;
	struct dma_buf *dmabuf;
	int ret = check_create(arg);
	int fd;

	if (ret)
		return ret;
	if (!count_arena(ctx, arg->bytes, true))
		return -ENOSPC;
	arena = alloc_arena(arg);
	if (IS_ERR(arena)) {
		count_arena(ctx, arg->bytes, false);
		return PTR_ERR(arena);
	}
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		ret = fd;
		goto err_drop_arena;
	}
	dmabuf = stoker_dmabuf_export(arena);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_put_fd;
	}
	arg->fd = fd;
	arg->order_got_max = arena->order_max;
	arg->order_got_min = arena->order_min;
	arg->runs = arena->run_count;
	ret = xa_alloc_cyclic(&ctx->arenas, &arg->handle, arena, XA_LIMIT(1, INT_MAX),
			      &ctx->next_handle, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		goto err_put_dmabuf;
	*file = dmabuf->file;
	return 0;

err_put_dmabuf:
	dma_buf_put(dmabuf);
err_put_fd:
	put_unused_fd(fd);
err_drop_arena:
	drop_handle(ctx, arena);
	return ret;
}

int stoker_arena_destroy(struct stoker_context *ctx, struct stoker_arena_destroy *arg)
{
	struct stoker_arena *arena;

	if (arg->reserved)
		return -EINVAL;
	mutex_lock(&ctx->handles_lock);
	arena = xa_erase(&ctx->arenas, arg->handle);
	if (arena)
		drop_handle(ctx, arena);
	mutex_unlock(&ctx->handles_lock);
	return arena ? 0 : -ENOENT;
}

void stoker_arena_destroy_all(struct stoker_context *ctx)
{
	struct stoker_arena *arena;
	unsigned long handle;

	xa_for_each(&ctx->arenas, handle, arena)
		drop_handle(ctx, arena);
	xa_destroy(&ctx->arenas);
}

/* With a reference, or NULL. */
struct stoker_arena *stoker_arena_find(struct stoker_context *ctx, u32 handle)
{
	struct stoker_arena *arena;

	xa_lock(&ctx->arenas);
	arena = xa_load(&ctx->arenas, handle);
	if (arena)
		kref_get(&arena->kref);
	xa_unlock(&ctx->arenas);
	return arena;
}

/* --- use --- */

/* While it is used its pages stay. */
int stoker_arena_use(struct stoker_arena *arena)
{
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&arena->lock, flags);
	if (arena->state == STOKER_DISCARDABLE)
		ret = -EBUSY;
	else if (arena->state == STOKER_DISCARDED)
		ret = -ENODATA;
	else
		arena->users++;
	spin_unlock_irqrestore(&arena->lock, flags);
	return ret;
}

void stoker_arena_unuse(struct stoker_arena *arena)
{
	unsigned long flags;

	spin_lock_irqsave(&arena->lock, flags);
	arena->users--;
	spin_unlock_irqrestore(&arena->lock, flags);
}
