// SPDX-License-Identifier: GPL-2.0
/* The device file: contexts, and commands on their way in and out. */
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "internal.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *stoker_wq;

/* Contexts that exist, some of them without a file */
static atomic_t contexts = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(contexts_wait);

static int query(struct stoker_context *ctx, struct stoker_query *arg)
{
	*arg = (struct stoker_query){
		.abi_version = STOKER_ABI_VERSION,
		.align = STOKER_ALIGN,
		.features = STOKER_FEATURE_DISCARD,
		.arena_bytes_max = (u64)totalram_pages() << PAGE_SHIFT,
		.transfer_bytes_max = STOKER_TRANSFER_BYTES_MAX,
		.arenas_max = STOKER_ARENAS_MAX,
		.transfers_max = STOKER_TRANSFERS_MAX,
		.demand_depth = STOKER_DEMAND_DEPTH,
		.prefetch_depth = STOKER_PREFETCH_DEPTH,
		.order_max = STOKER_ORDER_MAX,
	};
	return 0;
}

union argument {
	struct stoker_query query;
	struct stoker_arena_create create;
	struct stoker_arena_destroy destroy;
	struct stoker_arena_advise advise;
	struct stoker_submit submit;
	struct stoker_cancel cancel;
	struct stoker_stats stats;
};

/* By command number: this kernel's structure and the size of its first version. */
static const struct {
	unsigned int cmd;
	size_t first_size;
} commands[] = {
	{ STOKER_IOC_QUERY, offsetofend(struct stoker_query, reserved) },
	{ STOKER_IOC_ARENA_CREATE, offsetofend(struct stoker_arena_create, runs) },
	{ STOKER_IOC_ARENA_DESTROY, offsetofend(struct stoker_arena_destroy, reserved) },
	{ STOKER_IOC_ARENA_ADVISE, offsetofend(struct stoker_arena_advise, user_data) },
	{ STOKER_IOC_SUBMIT, offsetofend(struct stoker_submit, flags) },
	{ STOKER_IOC_CANCEL, offsetofend(struct stoker_cancel, cancelled) },
	{ STOKER_IOC_STATS, offsetofend(struct stoker_stats, latency) },
};

static int copy_out(void __user *to, size_t to_size, const void *from, size_t size)
{
	if (copy_to_user(to, from, min(to_size, size)))
		return -EFAULT;
	if (to_size > size && clear_user(to + size, to_size - size))
		return -EFAULT;
	return 0;
}

static int run(struct stoker_context *ctx, unsigned int nr, union argument *arg, struct file **file)
{
	switch (nr) {
	case _IOC_NR(STOKER_IOC_QUERY):
		return query(ctx, &arg->query);
	case _IOC_NR(STOKER_IOC_ARENA_CREATE):
		return stoker_arena_create(ctx, &arg->create, file);
	case _IOC_NR(STOKER_IOC_ARENA_DESTROY):
		return stoker_arena_destroy(ctx, &arg->destroy);
	case _IOC_NR(STOKER_IOC_ARENA_ADVISE):
		return stoker_arena_advise(ctx, &arg->advise);
	case _IOC_NR(STOKER_IOC_SUBMIT):
		return stoker_submit(ctx, &arg->submit);
	case _IOC_NR(STOKER_IOC_CANCEL):
		return stoker_cancel(ctx, &arg->cancel);
	case _IOC_NR(STOKER_IOC_STATS):
		return stoker_get_stats(ctx, &arg->stats);
	}
	return -ENOTTY;
}

/* An arena's descriptor comes to life only when its number has reached the caller. */
static void settle(struct stoker_context *ctx, struct stoker_arena_create *create,
		   struct file *file, bool succeeded)
{
	struct stoker_arena_destroy destroy = { .handle = create->handle };

	if (succeeded) {
		fd_install(create->fd, file);
		return;
	}
	put_unused_fd(create->fd);
	fput(file);
	stoker_arena_destroy(ctx, &destroy);
}

static long stoker_ioctl(struct file *filp, unsigned int cmd, unsigned long address)
{
	const unsigned int nr = _IOC_NR(cmd);
	const size_t user_size = _IOC_SIZE(cmd);
	void __user *user = (void __user *)address;
	struct file *file = NULL;
	union argument arg;
	unsigned int known;
	int ret;

	if (_IOC_TYPE(cmd) != STOKER_IOC_MAGIC || nr >= ARRAY_SIZE(commands))
		return -ENOTTY;
	known = commands[nr].cmd;
	if (_IOC_DIR(cmd) != _IOC_DIR(known))
		return -ENOTTY;
	if (user_size < commands[nr].first_size)
		return -EINVAL;
	memset(&arg, 0, sizeof(arg));
	if (_IOC_DIR(cmd) & _IOC_WRITE) {
		ret = copy_struct_from_user(&arg, _IOC_SIZE(known), user, user_size);
		if (ret)
			return ret;
		/* results that can't be written fail before anything is done */
		if (_IOC_DIR(cmd) & _IOC_READ && copy_out(user, user_size, &arg, _IOC_SIZE(known)))
			return -EFAULT;
	}
	ret = run(filp->private_data, nr, &arg, &file);
	if (!ret && _IOC_DIR(cmd) & _IOC_READ)
		ret = copy_out(user, user_size, &arg, _IOC_SIZE(known));
	if (file)
		settle(filp->private_data, &arg.create, file, !ret);
	return ret;
}

static void free_context(struct work_struct *work)
{
	struct stoker_context *ctx = container_of(work, struct stoker_context, free_work);

	stoker_ring_free(ctx);
	destroy_workqueue(ctx->buffered_wq);
	mutex_destroy(&ctx->handles_lock);
	kfree(ctx);
	module_put(THIS_MODULE);
	/* stoker_exit() waits for the rest of this */
	if (atomic_dec_and_test(&contexts))
		wake_up(&contexts_wait);
}

static void free_context_later(struct kref *kref)
{
	queue_work(stoker_wq, &container_of(kref, struct stoker_context, kref)->free_work);
}

void stoker_context_put(struct stoker_context *ctx)
{
	kref_put(&ctx->kref, free_context_later);
}

static int stoker_open(struct inode *inode, struct file *filp)
{
	struct stoker_context *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL_ACCOUNT);

	if (!ctx)
		return -ENOMEM;
	ctx->buffered_wq = alloc_workqueue("stoker-buffered", WQ_UNBOUND, STOKER_BUFFERED_DEPTH);
	if (!ctx->buffered_wq) {
		kfree(ctx);
		return -ENOMEM;
	}
	kref_init(&ctx->kref);
	INIT_WORK(&ctx->free_work, free_context);
	xa_init_flags(&ctx->arenas, XA_FLAGS_ALLOC1);
	mutex_init(&ctx->handles_lock);
	spin_lock_init(&ctx->lock);
	init_waitqueue_head(&ctx->wait);
	INIT_LIST_HEAD(&ctx->done);
	stoker_io_init(ctx);
	/* until the last transfer, which may end after the file is closed */
	__module_get(THIS_MODULE);
	atomic_inc(&contexts);
	filp->private_data = ctx;
	return nonseekable_open(inode, filp);
}

/* Doesn't wait: what a transfer waits for may be the process that is just going. */
static int stoker_release(struct inode *inode, struct file *filp)
{
	struct stoker_context *ctx = filp->private_data;

	stoker_io_close(ctx);
	stoker_arena_destroy_all(ctx);
	stoker_context_put(ctx);
	return 0;
}

static const struct file_operations stoker_fops = {
	.owner = THIS_MODULE,
	.open = stoker_open,
	.release = stoker_release,
	.read = stoker_read,
	.poll = stoker_poll,
	.unlocked_ioctl = stoker_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice stoker_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "stoker",
	.fops = &stoker_fops,
	.mode = 0660,
};

static int __init stoker_init(void)
{
	int ret;

	stoker_wq = alloc_workqueue("stoker", WQ_UNBOUND, 0);
	if (!stoker_wq)
		return -ENOMEM;
	ret = stoker_reclaim_init();
	if (ret)
		goto err_destroy_wq;
	ret = misc_register(&stoker_device);
	if (ret)
		goto err_reclaim_exit;
	return 0;

err_reclaim_exit:
	stoker_reclaim_exit();
err_destroy_wq:
	destroy_workqueue(stoker_wq);
	return ret;
}

static void __exit stoker_exit(void)
{
	misc_deregister(&stoker_device);
	wait_event(contexts_wait, !atomic_read(&contexts));
	stoker_reclaim_exit();
	destroy_workqueue(stoker_wq);
}

module_init(stoker_init);
module_exit(stoker_exit);
STOKER_IMPORT_DMA_BUF;
MODULE_DESCRIPTION("Pinned arenas and direct transfers between files and arenas");
MODULE_AUTHOR("Stoker");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
