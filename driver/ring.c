// SPDX-License-Identifier: GPL-2.0
/* Completions: room for them is set aside first, so that none is ever lost. */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "internal.h"

bool stoker_entry_reserve(struct stoker_context *ctx)
{
	bool room;

	spin_lock_irq(&ctx->lock);
	room = ctx->pending < STOKER_TRANSFERS_MAX;
	ctx->pending += room;
	spin_unlock_irq(&ctx->lock);
	return room;
}

/* With ctx->lock held. */
static void give_room(struct stoker_context *ctx)
{
	if (ctx->pending-- == STOKER_TRANSFERS_MAX)
		wake_up_poll(&ctx->wait, EPOLLOUT | EPOLLWRNORM);
}

void stoker_entry_unreserve(struct stoker_context *ctx)
{
	spin_lock_irq(&ctx->lock);
	give_room(ctx);
	spin_unlock_irq(&ctx->lock);
}

/* With the context's lock held; from then on the entry is a reader's. */
void stoker_entry_post(struct stoker_entry *entry)
{
	struct stoker_context *ctx = entry->ctx;

	lockdep_assert_held(&ctx->lock);
	list_add_tail(&entry->list, &ctx->done);
	ctx->stats.unread++;
	wake_up_poll(&ctx->wait, EPOLLIN | EPOLLRDNORM);
}

static struct stoker_entry *take(struct stoker_context *ctx)
{
	struct stoker_entry *entry;

	spin_lock_irq(&ctx->lock);
	entry = list_first_entry_or_null(&ctx->done, struct stoker_entry, list);
	if (entry) {
		list_del(&entry->list);
		ctx->stats.unread--;
		ctx->copying++;
	}
	spin_unlock_irq(&ctx->lock);
	return entry;
}

/* The reader has it, or else it's the first one again. */
static void end_copy(struct stoker_context *ctx, struct stoker_entry *entry, bool copied)
{
	spin_lock_irq(&ctx->lock);
	ctx->copying--;
	if (copied) {
		give_room(ctx);
	} else {
		list_add(&entry->list, &ctx->done);
		ctx->stats.unread++;
	}
	/* others may have waited for what becomes of it */
	wake_up_poll(&ctx->wait, EPOLLIN | EPOLLRDNORM);
	spin_unlock_irq(&ctx->lock);
	if (copied)
		kfree(entry);
}

static ssize_t read_done(struct stoker_context *ctx, char __user *to, size_t bytes)
{
	ssize_t copied = 0;

	while (bytes - copied >= sizeof(struct stoker_completion)) {
		struct stoker_entry *entry = take(ctx);

		if (!entry)
			break;
		if (copy_to_user(to + copied, &entry->completion, sizeof(entry->completion))) {
			end_copy(ctx, entry, false);
			return copied ? copied : -EFAULT;
		}
		copied += sizeof(entry->completion);
		end_copy(ctx, entry, true);
	}
	return copied;
}

/* Whether there is something to read, or nothing that it could be waited for. */
static bool settled(struct stoker_context *ctx, bool *idle)
{
	bool ready;

	spin_lock_irq(&ctx->lock);
	ready = !list_empty(&ctx->done);
	*idle = !ready && !ctx->stats.waiting && !ctx->stats.under_way && !ctx->copying;
	spin_unlock_irq(&ctx->lock);
	return ready || *idle;
}

ssize_t stoker_read(struct file *file, char __user *to, size_t bytes, loff_t *pos)
{
	struct stoker_context *ctx = file->private_data;
	bool idle;

	if (bytes < sizeof(struct stoker_completion))
		return -EINVAL;
	for (;;) {
		ssize_t copied = read_done(ctx, to, bytes);
		int ret;

		if (copied)
			return copied;
		if (settled(ctx, &idle)) {
			if (idle)
				return 0;
			continue; /* it has come since */
		}
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		ret = wait_event_interruptible(ctx->wait, settled(ctx, &idle));
		if (ret)
			return -EINTR;
	}
}

__poll_t stoker_poll(struct file *file, poll_table *wait)
{
	struct stoker_context *ctx = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &ctx->wait, wait);
	spin_lock_irq(&ctx->lock);
	if (!list_empty(&ctx->done))
		events |= EPOLLIN | EPOLLRDNORM;
	if (ctx->pending < STOKER_TRANSFERS_MAX)
		events |= EPOLLOUT | EPOLLWRNORM;
	spin_unlock_irq(&ctx->lock);
	return events;
}

int stoker_get_stats(struct stoker_context *ctx, struct stoker_stats *arg)
{
	spin_lock_irq(&ctx->lock);
	*arg = ctx->stats;
	spin_unlock_irq(&ctx->lock);
	return 0;
}

/* What nobody read. */
void stoker_ring_free(struct stoker_context *ctx)
{
	struct stoker_entry *entry, *next;

	list_for_each_entry_safe(entry, next, &ctx->done, list)
		kfree(entry);
}
