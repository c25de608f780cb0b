// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers.  A request waits in its context's queue, is handed to the file system as a kiocb whose
 * data is a stretch of the arena's pages, and ends up in the ring.
 */
#include <linux/backing-dev.h>
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/ioprio.h>
#include <linux/log2.h>
#include <linux/magic.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "compat.h"
#include "internal.h"
#include "trace.h"

struct request {
	struct stoker_entry entry; /* first, for kfree() */
	struct list_head queue;
	struct kiocb iocb;
	struct file *file;
	struct stoker_arena *arena;
	const struct cred *cred;
	struct mem_cgroup *memcg;
	pid_t tgid; /* whose limits hold for it */
	u16 ioprio;
	struct work_struct buffered_work;
	u32 op, priority;
	u64 arena_offset, file_offset, bytes;
	ktime_t submitted;
	long result;
	bool buffered;
	/* The file system may touch the kiocb until submission has returned, even after its end. */
	refcount_t refs;
};

/* --- the end --- */

/* With ctx->lock held. */
static void count(struct stoker_stats *s, const struct request *r, bool began)
{
	const struct stoker_completion *c = &r->entry.completion;

	if (!began)
		s->cancelled++;
	else if (c->error)
		s->failed++;
	else
		s->completed++;
	s->buffered += r->buffered;
	if (r->op == STOKER_OP_READ)
		s->read_bytes += c->bytes;
	else
		s->written_bytes += c->bytes;
	if (began)
		s->latency[min(ilog2(c->latency_ns | 1), STOKER_LATENCY_BUCKETS - 1)]++;
}

static bool may_start(const struct stoker_context *ctx)
{
	if (!list_empty(&ctx->waiting[STOKER_PRIORITY_DEMAND]))
		return ctx->under_way[STOKER_PRIORITY_DEMAND] < STOKER_DEMAND_DEPTH;
	return !list_empty(&ctx->waiting[STOKER_PRIORITY_PREFETCH]) && !ctx->demand &&
	       ctx->under_way[STOKER_PRIORITY_PREFETCH] < STOKER_PREFETCH_DEPTH;
}

/* With ctx->lock held. */
static void start_later(struct stoker_context *ctx)
{
	if (may_start(ctx) && !ctx->closing && queue_work(stoker_wq, &ctx->start_work))
		kref_get(&ctx->kref);
}

/* Lets go of everything and tells the reader.  Also in interrupts. */
static void finish(struct request *r, bool began)
{
	struct stoker_completion *c = &r->entry.completion;
	struct stoker_context *ctx = r->entry.ctx;
	unsigned long flags;

	if (r->result <= -ERESTARTSYS)
		c->error = EINTR; /* not one for programs */
	else if (r->result < 0)
		c->error = -r->result;
	else
		c->bytes = r->result;
	c->latency_ns = ktime_to_ns(ktime_sub(ktime_get(), r->submitted));
	c->flags = r->buffered ? STOKER_COMPLETION_BUFFERED : 0;
	trace_stoker_complete(c);
	fput(r->file);
	put_cred(r->cred);
	mem_cgroup_put(r->memcg);
	stoker_arena_unuse(r->arena);
	stoker_arena_put_atomic(r->arena);

	spin_lock_irqsave(&ctx->lock, flags);
	if (r->priority == STOKER_PRIORITY_DEMAND)
		ctx->demand--;
	if (began) {
		ctx->under_way[r->priority]--;
		ctx->stats.under_way--;
	} else {
		ctx->stats.waiting--;
	}
	count(&ctx->stats, r, began);
	stoker_entry_post(&r->entry);
	start_later(ctx);
	spin_unlock_irqrestore(&ctx->lock, flags);
	stoker_context_put(ctx);
}

/* The file has direct transfers, but not of this one. */
static bool refused(const struct request *r)
{
	return !r->buffered && (r->result == -EINVAL || r->result == -EOPNOTSUPP);
}

static void put(struct request *r)
{
	if (!refcount_dec_and_test(&r->refs))
		return;
	if (refused(r)) {
		queue_work(r->entry.ctx->buffered_wq, &r->buffered_work);
		return;
	}
	/* a file system that chose the page cache itself says so here */
	r->buffered = r->buffered || !(r->iocb.ki_flags & IOCB_DIRECT);
	finish(r, true);
}

static void end(struct request *r, long result, bool queued)
{
	if (r->op == STOKER_OP_WRITE)
		stoker_end_write(&r->iocb, queued);
	r->result = result;
	put(r);
}

STOKER_KI_COMPLETE(on_complete)
{
	/* unloading waits for this, while the context may be gone before it returns */
	rcu_read_lock();
	end(container_of(iocb, struct request, iocb), result, true);
	rcu_read_unlock();
}

/* --- the beginning --- */

/* The stretch [done, bytes) of a request as the arena's runs. */
static void make_iter(const struct request *r, u64 done, struct iov_iter *iter)
{
	const u64 begin = r->arena_offset + done, end = r->arena_offset + r->bytes;
	const unsigned int first = stoker_arena_run(r->arena, begin >> PAGE_SHIFT);
	const unsigned int last = stoker_arena_run(r->arena, (end - 1) >> PAGE_SHIFT);

	iov_iter_bvec(iter, r->op == STOKER_OP_READ ? READ : WRITE, &r->arena->runs[first],
		      last - first + 1, end - begin);
	iter->iov_offset = begin - ((u64)r->arena->run_first[first] << PAGE_SHIFT);
}

static ssize_t move(struct request *r, struct kiocb *iocb, u64 done)
{
	struct iov_iter iter;

	make_iter(r, done, &iter);
	if (r->op == STOKER_OP_READ)
		return vfs_iocb_iter_read(r->file, iocb, &iter);
	return vfs_iocb_iter_write(r->file, iocb, &iter);
}

/* Through the page cache, which takes its time: in a worker. */
static void move_buffered(struct work_struct *work)
{
	struct request *r = container_of(work, struct request, buffered_work);
	const struct cred *old = override_creds(r->cred);
	struct mem_cgroup *old_memcg = set_active_memcg(r->memcg);
	u64 done = 0;

	r->buffered = true;
	r->result = 0;
	while (done < r->bytes) {
		struct kiocb iocb;
		ssize_t n;

		init_sync_kiocb(&iocb, r->file);
		iocb.ki_flags &= ~IOCB_DIRECT;
		iocb.ki_pos = r->file_offset + done;
		iocb.ki_ioprio = r->ioprio;
		if (r->op == STOKER_OP_WRITE)
			stoker_start_write(&iocb);
		n = move(r, &iocb, done);
		if (r->op == STOKER_OP_WRITE)
			stoker_end_write(&iocb, false);
		if (n <= 0) {
			r->result = n;
			break;
		}
		done += n;
	}
	if (!r->result)
		r->result = done;
	set_active_memcg(old_memcg);
	revert_creds(old);
	finish(r, true);
}

static void start_direct(struct request *r)
{
	/* whoever runs this, the one who submitted it is who accesses the file and pays */
	const struct cred *old = override_creds(r->cred);
	struct mem_cgroup *old_memcg = set_active_memcg(r->memcg);
	ssize_t ret;

	refcount_set(&r->refs, 2);
	init_sync_kiocb(&r->iocb, r->file);
	r->iocb.ki_complete = on_complete;
	r->iocb.ki_flags |= IOCB_DIRECT;
	r->iocb.ki_pos = r->file_offset;
	r->iocb.ki_ioprio = r->ioprio;
	if (r->op == STOKER_OP_WRITE)
		stoker_start_write(&r->iocb);
	ret = move(r, &r->iocb, 0);
	set_active_memcg(old_memcg);
	revert_creds(old);
	if (ret != -EIOCBQUEUED)
		end(r, ret, false);
	put(r);
}

/* tmpfs takes direct transfers from 6.6 on, but does them by copying, in the caller. */
static bool is_direct(struct file *file)
{
	return stoker_can_direct(file) && file->f_mapping->host->i_sb->s_magic != TMPFS_MAGIC;
}

/* The next that may begin, or NULL; with @tgid only one that this process has submitted. */
static struct request *take_next(struct stoker_context *ctx, pid_t tgid)
{
	u32 priority = STOKER_PRIORITY_DEMAND;
	struct request *r = NULL;

	spin_lock_irq(&ctx->lock);
	if (!may_start(ctx) || ctx->closing)
		goto out;
	if (list_empty(&ctx->waiting[priority]))
		priority = STOKER_PRIORITY_PREFETCH;
	r = list_first_entry(&ctx->waiting[priority], struct request, queue);
	if (tgid && (r->tgid != tgid || fatal_signal_pending(current))) {
		r = NULL;
		start_later(ctx);
		goto out;
	}
	list_del(&r->queue);
	ctx->under_way[r->priority]++;
	ctx->stats.waiting--;
	ctx->stats.under_way++;
out:
	spin_unlock_irq(&ctx->lock);
	return r;
}

static void start_waiting(struct stoker_context *ctx, pid_t tgid)
{
	struct blk_plug plug;
	struct request *r;

	blk_start_plug(&plug);
	while ((r = take_next(ctx, tgid))) {
		if (is_direct(r->file))
			start_direct(r);
		else
			queue_work(ctx->buffered_wq, &r->buffered_work);
	}
	blk_finish_plug(&plug);
}

static void start_work(struct work_struct *work)
{
	struct stoker_context *ctx = container_of(work, struct stoker_context, start_work);

	start_waiting(ctx, 0);
	stoker_context_put(ctx);
}

/* --- submission --- */

static unsigned int logical_block(struct file *file)
{
	struct inode *inode = file->f_mapping->host;
	struct block_device *bdev = S_ISBLK(inode->i_mode) ? I_BDEV(inode) : inode->i_sb->s_bdev;

	return bdev ? bdev_logical_block_size(bdev) : STOKER_ALIGN;
}

static int check_transfer(const struct stoker_transfer *t)
{
	if (t->op > STOKER_OP_WRITE || t->priority > STOKER_PRIORITY_PREFETCH || t->flags ||
	    t->reserved || !t->bytes || t->bytes > STOKER_TRANSFER_BYTES_MAX ||
	    !IS_ALIGNED(t->arena_offset | t->file_offset | t->bytes, STOKER_ALIGN))
		return -EINVAL;
	if (t->file_offset > LLONG_MAX - t->bytes)
		return -EOVERFLOW;
	return 0;
}

/*
 * Block devices and files whose contents are stored somewhere, be it memory.  What /proc, /sys and
 * the like do when they are read or written is something else, and depends on who does it.
 */
static bool holds_data(struct file *file)
{
	struct inode *inode = file->f_mapping->host;
	struct super_block *sb = inode->i_sb;

	if (S_ISBLK(inode->i_mode))
		return true;
	return S_ISREG(inode->i_mode) &&
	       (stoker_can_direct(file) || sb->s_bdi != &noop_backing_dev_info ||
		sb->s_magic == TMPFS_MAGIC || sb->s_magic == RAMFS_MAGIC);
}

static int check_file(const struct stoker_transfer *t, struct file *file)
{
	const bool read = t->op == STOKER_OP_READ;
	struct inode *inode = file_inode(file);

	if (!(file->f_mode & (read ? FMODE_READ : FMODE_WRITE)))
		return -EBADF;
	if (!holds_data(file) || !(read ? file->f_op->read_iter : file->f_op->write_iter))
		return -EOPNOTSUPP;
	if (!IS_ALIGNED(t->arena_offset | t->file_offset | t->bytes, logical_block(file)))
		return -EINVAL;
	if (!read && file->f_flags & O_APPEND)
		return -EINVAL;
	if (!read && S_ISREG(inode->i_mode) && t->file_offset + t->bytes > rlimit(RLIMIT_FSIZE))
		return -EFBIG;
	return 0;
}

/* Takes hold of what the transfer needs: the arena, in use, and the file. */
static int take_hold(struct stoker_context *ctx, const struct stoker_transfer *t, struct request *r)
{
	struct stoker_arena *arena = stoker_arena_find(ctx, t->arena);
	u64 arena_bytes;
	int ret;

	if (!arena)
		return -ENOENT;
	arena_bytes = (u64)arena->page_count << PAGE_SHIFT;
	ret = -ERANGE;
	if (t->bytes > arena_bytes || t->arena_offset > arena_bytes - t->bytes)
		goto err_put_arena;
	ret = -EBADF;
	r->file = fget(t->fd);
	if (!r->file)
		goto err_put_arena;
	ret = check_file(t, r->file);
	if (ret)
		goto err_fput;
	ret = stoker_arena_use(arena);
	if (ret)
		goto err_fput;
	r->arena = arena;
	r->cred = get_current_cred();
	r->memcg = get_mem_cgroup_from_mm(current->mm);
	r->tgid = current->tgid;
	r->ioprio = get_current_ioprio();
	if (r->priority == STOKER_PRIORITY_PREFETCH) /* the weaker one */
		r->ioprio = max_t(u16, r->ioprio, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 7));
	return 0;

err_fput:
	fput(r->file);
err_put_arena:
	stoker_arena_put(arena);
	return ret;
}

static void enqueue(struct stoker_context *ctx, struct request *r)
{
	r->submitted = ktime_get();
	kref_get(&ctx->kref);
	spin_lock_irq(&ctx->lock);
	list_add_tail(&r->queue, &ctx->waiting[r->priority]);
	ctx->stats.waiting++;
	ctx->demand += r->priority == STOKER_PRIORITY_DEMAND;
	spin_unlock_irq(&ctx->lock);
}

static int accept(struct stoker_context *ctx, const struct stoker_transfer *t)
{
	struct request *r;
	int ret = check_transfer(t);

	if (ret)
		return ret;
	if (!stoker_entry_reserve(ctx))
		return -EAGAIN;
	ret = -ENOMEM;
	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		goto err_unreserve;
	r->entry.ctx = ctx;
	r->entry.completion.user_data = t->user_data;
	r->op = t->op;
	r->priority = t->priority;
	r->arena_offset = t->arena_offset;
	r->file_offset = t->file_offset;
	r->bytes = t->bytes;
	INIT_WORK(&r->buffered_work, move_buffered);
	ret = take_hold(ctx, t, r);
	if (ret)
		goto err_free;
	trace_stoker_submit(t);
	enqueue(ctx, r);
	return 0;

err_free:
	kfree(r);
err_unreserve:
	stoker_entry_unreserve(ctx);
	return ret;
}

int stoker_submit(struct stoker_context *ctx, struct stoker_submit *arg)
{
	void __user *from = u64_to_user_ptr(arg->transfers);
	u32 accepted = 0;
	int ret = 0;

	if (!arg->count || arg->stride < sizeof(struct stoker_transfer) || arg->stride % 8 ||
	    arg->flags)
		return -EINVAL;
	if (arg->stride > PAGE_SIZE)
		return -E2BIG;
	while (accepted < arg->count) {
		struct stoker_transfer t;

		ret = copy_struct_from_user(&t, sizeof(t), from, arg->stride);
		if (!ret)
			ret = accept(ctx, &t);
		if (ret)
			break;
		from += arg->stride;
		accepted++;
	}
	start_waiting(ctx, current->tgid);
	arg->accepted = accepted;
	return accepted ? 0 : ret;
}

/* --- cancelling --- */

static void cancel_list(struct stoker_context *ctx, const struct stoker_cancel *arg, u32 priority,
			struct list_head *out)
{
	struct request *r, *next;

	list_for_each_entry_safe(r, next, &ctx->waiting[priority], queue) {
		if (arg && !(arg->flags & STOKER_CANCEL_PREFETCH) &&
		    r->entry.completion.user_data != arg->user_data)
			continue;
		list_move_tail(&r->queue, out);
	}
}

/* All that match @arg, or with NULL all. */
static u32 cancel(struct stoker_context *ctx, const struct stoker_cancel *arg)
{
	struct request *r, *next;
	LIST_HEAD(taken);
	u32 count = 0;

	spin_lock_irq(&ctx->lock);
	if (!arg || !(arg->flags & STOKER_CANCEL_PREFETCH))
		cancel_list(ctx, arg, STOKER_PRIORITY_DEMAND, &taken);
	cancel_list(ctx, arg, STOKER_PRIORITY_PREFETCH, &taken);
	spin_unlock_irq(&ctx->lock);
	list_for_each_entry_safe(r, next, &taken, queue) {
		r->result = -ECANCELED;
		finish(r, false);
		count++;
	}
	return count;
}

int stoker_cancel(struct stoker_context *ctx, struct stoker_cancel *arg)
{
	if (arg->flags & ~STOKER_CANCEL_PREFETCH)
		return -EINVAL;
	if (arg->flags & STOKER_CANCEL_PREFETCH && arg->user_data)
		return -EINVAL;
	arg->cancelled = cancel(ctx, arg);
	return 0;
}

/* --- contexts --- */

void stoker_io_init(struct stoker_context *ctx)
{
	INIT_LIST_HEAD(&ctx->waiting[STOKER_PRIORITY_DEMAND]);
	INIT_LIST_HEAD(&ctx->waiting[STOKER_PRIORITY_PREFETCH]);
	INIT_WORK(&ctx->start_work, start_work);
}

/* Drops what waits; what has begun ends by itself. */
void stoker_io_close(struct stoker_context *ctx)
{
	spin_lock_irq(&ctx->lock);
	ctx->closing = true;
	spin_unlock_irq(&ctx->lock);
	cancel(ctx, NULL);
}
