// SPDX-License-Identifier: GPL-2.0
/* An arena as a dma-buf: scatter tables for devices, mappings for processes and the kernel. */
#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "internal.h"

struct attachment {
	struct list_head list;
	struct device *dev;
	struct sg_table table;
	bool mapped;
};

/* --- devices --- */

/* Longest entry that a device takes; without a limit of its own no run is longer. */
static unsigned int segment_max(struct device *dev)
{
	if (!dev->dma_parms || !dev->dma_parms->max_segment_size)
		return STOKER_RUN_BYTES_MAX;
	return clamp_t(unsigned int, ALIGN_DOWN(dma_get_max_seg_size(dev), PAGE_SIZE), PAGE_SIZE,
		       STOKER_RUN_BYTES_MAX);
}

static int fill_table(const struct stoker_arena *arena, unsigned int limit, struct sg_table *table)
{
	struct scatterlist *entry;
	unsigned int i, count = 0;
	int ret;

	for (i = 0; i < arena->run_count; i++)
		count += DIV_ROUND_UP(arena->runs[i].bv_len, limit);
	ret = sg_alloc_table(table, count, GFP_KERNEL);
	if (ret)
		return ret;
	entry = table->sgl;
	for (i = 0; i < arena->run_count; i++) {
		const struct bio_vec *run = &arena->runs[i];
		unsigned int done, bytes;

		for (done = 0; done < run->bv_len; done += bytes) {
			bytes = min(limit, run->bv_len - done);
			sg_set_page(entry, run->bv_page + (done >> PAGE_SHIFT), bytes, 0);
			entry = sg_next(entry);
		}
	}
	return 0;
}

static int attach(struct dma_buf *dmabuf, struct dma_buf_attachment *at)
{
	struct stoker_arena *arena = dmabuf->priv;
	struct attachment *a = kzalloc(sizeof(*a), GFP_KERNEL);
	unsigned long flags;
	int ret;

	if (!a)
		return -ENOMEM;
	/* in use for a moment, to become one that never is discardable again */
	ret = stoker_arena_use(arena);
	if (ret)
		goto err_free;
	spin_lock_irqsave(&arena->lock, flags);
	arena->attached = true;
	spin_unlock_irqrestore(&arena->lock, flags);
	stoker_arena_unuse(arena);

	a->dev = at->dev;
	ret = fill_table(arena, segment_max(at->dev), &a->table);
	if (ret)
		goto err_free;
	at->priv = a;
	mutex_lock(&arena->attachments_lock);
	list_add(&a->list, &arena->attachments);
	mutex_unlock(&arena->attachments_lock);
	return 0;

err_free:
	kfree(a);
	return ret;
}

static void detach(struct dma_buf *dmabuf, struct dma_buf_attachment *at)
{
	struct stoker_arena *arena = dmabuf->priv;
	struct attachment *a = at->priv;

	mutex_lock(&arena->attachments_lock);
	list_del(&a->list);
	mutex_unlock(&arena->attachments_lock);
	sg_free_table(&a->table);
	kfree(a);
}

static struct sg_table *map(struct dma_buf_attachment *at, enum dma_data_direction dir)
{
	struct stoker_arena *arena = at->dmabuf->priv;
	struct attachment *a = at->priv;
	int ret = dma_map_sgtable(at->dev, &a->table, dir, 0);

	if (ret)
		return ERR_PTR(ret);
	mutex_lock(&arena->attachments_lock);
	a->mapped = true;
	mutex_unlock(&arena->attachments_lock);
	return &a->table;
}

static void unmap(struct dma_buf_attachment *at, struct sg_table *table,
		  enum dma_data_direction dir)
{
	struct stoker_arena *arena = at->dmabuf->priv;
	struct attachment *a = at->priv;

	mutex_lock(&arena->attachments_lock);
	a->mapped = false;
	mutex_unlock(&arena->attachments_lock);
	dma_unmap_sgtable(at->dev, table, dir, 0);
}

typedef void sync_fn(struct device *dev, struct sg_table *table, enum dma_data_direction dir);

static int sync_all(struct dma_buf *dmabuf, enum dma_data_direction dir, sync_fn *sync)
{
	struct stoker_arena *arena = dmabuf->priv;
	struct attachment *a;

	mutex_lock(&arena->attachments_lock);
	list_for_each_entry(a, &arena->attachments, list)
		if (a->mapped)
			sync(a->dev, &a->table, dir);
	mutex_unlock(&arena->attachments_lock);
	return 0;
}

static int begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return sync_all(dmabuf, dir, dma_sync_sgtable_for_cpu);
}

static int end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return sync_all(dmabuf, dir, dma_sync_sgtable_for_device);
}

/* --- processes --- */

static void vma_open(struct vm_area_struct *vma)
{
	struct stoker_arena *arena = vma->vm_private_data;

	/* there is one already, so this can't fail */
	WARN_ON_ONCE(stoker_arena_use(arena));
}

static void vma_close(struct vm_area_struct *vma)
{
	stoker_arena_unuse(vma->vm_private_data);
}

/* The whole folio is mapped at once where the place allows, since the page is part of one. */
static vm_fault_t vma_fault(struct vm_fault *vmf)
{
	struct stoker_arena *arena = vmf->vma->vm_private_data;
	unsigned int run;

	if (vmf->pgoff >= arena->page_count)
		return VM_FAULT_SIGBUS;
	run = stoker_arena_run(arena, vmf->pgoff);
	vmf->page = arena->runs[run].bv_page + (vmf->pgoff - arena->run_first[run]);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vma_ops = {
	.open = vma_open,
	.close = vma_close,
	.fault = vma_fault,
};

static int mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct stoker_arena *arena = dmabuf->priv;
	int ret;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	ret = stoker_arena_use(arena);
	if (ret)
		return ret;
	stoker_vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = arena;
	vma->vm_ops = &vma_ops;
	return 0;
}

/* --- the kernel --- */

static int vmap_arena(struct dma_buf *dmabuf, struct stoker_iosys_map *out)
{
	struct stoker_arena *arena = dmabuf->priv;
	struct page **pages;
	unsigned long i, at = 0;
	unsigned int run;
	void *address;
	int ret = stoker_arena_use(arena);

	if (ret)
		return ret;
	pages = kvmalloc_array(arena->page_count, sizeof(*pages), GFP_KERNEL | __GFP_NOWARN);
	if (!pages) {
		ret = -ENOMEM;
		goto err_unuse;
	}
	for (run = 0; run < arena->run_count; run++)
		for (i = 0; i < arena->runs[run].bv_len >> PAGE_SHIFT; i++)
			pages[at++] = arena->runs[run].bv_page + i;
	address = vmap(pages, arena->page_count, VM_MAP, PAGE_KERNEL);
	kvfree(pages);
	if (!address) {
		ret = -ENOMEM;
		goto err_unuse;
	}
	stoker_iosys_set(out, address);
	return 0;

err_unuse:
	stoker_arena_unuse(arena);
	return ret;
}

static void vunmap_arena(struct dma_buf *dmabuf, struct stoker_iosys_map *map)
{
	vunmap(map->vaddr);
	stoker_iosys_clear(map);
	stoker_arena_unuse(dmabuf->priv);
}

static void release(struct dma_buf *dmabuf)
{
	stoker_arena_put(dmabuf->priv);
}

static const struct dma_buf_ops dmabuf_ops = {
	.attach = attach,
	.detach = detach,
	.map_dma_buf = map,
	.unmap_dma_buf = unmap,
	.begin_cpu_access = begin_cpu_access,
	.end_cpu_access = end_cpu_access,
	.mmap = mmap,
	.vmap = vmap_arena,
	.vunmap = vunmap_arena,
	.release = release,
};

struct dma_buf *stoker_dmabuf_export(struct stoker_arena *arena)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dma_buf *dmabuf;

	info.ops = &dmabuf_ops;
	info.size = (size_t)arena->page_count << PAGE_SHIFT;
	info.flags = O_RDWR;
	info.priv = arena;
	kref_get(&arena->kref);
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf))
		stoker_arena_put(arena);
	return dmabuf;
}
