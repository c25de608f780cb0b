/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between kernels 5.15 and current ones; nothing else asks for the version. */
#ifndef STOKER_COMPAT_H
#define STOKER_COMPAT_H

#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/shrinker.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define STOKER_IMPORT_DMA_BUF MODULE_IMPORT_NS("DMA_BUF")
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
#define STOKER_IMPORT_DMA_BUF MODULE_IMPORT_NS(DMA_BUF)
#else
#define STOKER_IMPORT_DMA_BUF
#endif

/* Largest order that the page allocator hands out. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define STOKER_ORDER_MAX MAX_PAGE_ORDER
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define STOKER_ORDER_MAX MAX_ORDER
#else
#define STOKER_ORDER_MAX (MAX_ORDER - 1)
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
#define stoker_iosys_map iosys_map
#define stoker_iosys_set iosys_map_set_vaddr
#define stoker_iosys_clear iosys_map_clear
#else
#define stoker_iosys_map dma_buf_map
#define stoker_iosys_set dma_buf_map_set_vaddr
#define stoker_iosys_clear dma_buf_map_clear
#endif

/* STOKER_KI_COMPLETE(name): the head of a function for kiocb.ki_complete */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
#define STOKER_KI_COMPLETE(name) static void name(struct kiocb *iocb, long result)
#else
#define STOKER_KI_COMPLETE(name) static void name(struct kiocb *iocb, long result, long unused)
#endif

static inline bool stoker_can_direct(struct file *file)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 19, 0)
	return file->f_mode & FMODE_CAN_ODIRECT;
#else
	return file->f_mapping->a_ops && file->f_mapping->a_ops->direct_IO;
#endif
}

static inline void stoker_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

/*
 * Protection against freezing is handed from the task that starts a write to whoever ends it.  From
 * 6.8 on vfs_iocb_iter_write() starts it, and ends it unless the write was queued.
 */
static inline void stoker_start_write(struct kiocb *iocb)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	kiocb_start_write(iocb);
#else
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	sb_start_write(sb);
	__sb_writers_release(sb, SB_FREEZE_WRITE);
#endif
}

static inline void stoker_end_write(struct kiocb *iocb, bool queued)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	if (queued)
		kiocb_end_write(iocb);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	kiocb_end_write(iocb);
#else
	struct super_block *sb = file_inode(iocb->ki_filp)->i_sb;

	__sb_writers_acquired(sb, SB_FREEZE_WRITE);
	sb_end_write(sb);
#endif
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *
stoker_shrinker_add(unsigned long (*count)(struct shrinker *, struct shrink_control *),
		    unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *s = shrinker_alloc(0, "stoker-arena");

	if (s) {
		s->count_objects = count;
		s->scan_objects = scan;
		shrinker_register(s);
	}
	return s;
}

static inline void stoker_shrinker_remove(struct shrinker *s)
{
	shrinker_free(s);
}
#else
static inline struct shrinker *
stoker_shrinker_add(unsigned long (*count)(struct shrinker *, struct shrink_control *),
		    unsigned long (*scan)(struct shrinker *, struct shrink_control *))
{
	struct shrinker *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int ret;

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	s->seeks = DEFAULT_SEEKS;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
	ret = register_shrinker(s, "stoker-arena");
#else
	ret = register_shrinker(s);
#endif
	if (ret) {
		kfree(s);
		return NULL;
	}
	return s;
}

static inline void stoker_shrinker_remove(struct shrinker *s)
{
	unregister_shrinker(s);
	kfree(s);
}
#endif

#endif
