// SPDX-License-Identifier: GPL-2.0
/* See importer.h.  Only for machines without an IOMMU, where DMA addresses are physical ones. */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>

#include "importer.h"

static struct platform_device *device;
static struct device_dma_parameters parameters;

struct held {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
};

static u64 sum(const u64 *words, size_t bytes)
{
	u64 total = 0;
	size_t i;

	for (i = 0; i < bytes / sizeof(*words); i++)
		total += words[i];
	return total;
}

static void look_at_table(struct sg_table *table, struct import *arg)
{
	struct scatterlist *entry;
	int i;

	arg->entries = table->nents;
	for_each_sgtable_dma_sg(table, entry, i) {
		const void *address = phys_to_virt(sg_dma_address(entry));

		arg->longest = max(arg->longest, sg_dma_len(entry));
		arg->bytes += sg_dma_len(entry);
		arg->sum_by_address += sum(address, sg_dma_len(entry));
	}
}

static int look_at_mapping(struct dma_buf *dmabuf, struct import *arg)
{
	struct iosys_map map;
	u64 *words;
	size_t i;
	int ret;

	ret = dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL);
	if (ret)
		return ret;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	ret = dma_buf_vmap_unlocked(dmabuf, &map);
#else
	ret = dma_buf_vmap(dmabuf, &map);
#endif
	if (ret)
		goto out;
	words = map.vaddr;
	arg->sum_by_vmap = sum(words, dmabuf->size);
	for (i = 0; arg->fill && i < dmabuf->size / sizeof(*words); i++)
		words[i] = arg->fill;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	dma_buf_vunmap_unlocked(dmabuf, &map);
#else
	dma_buf_vunmap(dmabuf, &map);
#endif
out:
	return dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL) ?: ret;
}

static void let_go(struct held *h)
{
	if (h->table)
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
		dma_buf_unmap_attachment_unlocked(h->attachment, h->table, DMA_BIDIRECTIONAL);
#else
		dma_buf_unmap_attachment(h->attachment, h->table, DMA_BIDIRECTIONAL);
#endif
	if (h->attachment)
		dma_buf_detach(h->dmabuf, h->attachment);
	if (h->dmabuf)
		dma_buf_put(h->dmabuf);
	memset(h, 0, sizeof(*h));
}

static int take_hold(struct held *h, int fd)
{
	int ret;

	h->dmabuf = dma_buf_get(fd);
	if (IS_ERR(h->dmabuf)) {
		ret = PTR_ERR(h->dmabuf);
		h->dmabuf = NULL;
		return ret;
	}
	h->attachment = dma_buf_attach(h->dmabuf, &device->dev);
	if (IS_ERR(h->attachment)) {
		ret = PTR_ERR(h->attachment);
		h->attachment = NULL;
		goto err;
	}
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	h->table = dma_buf_map_attachment_unlocked(h->attachment, DMA_BIDIRECTIONAL);
#else
	h->table = dma_buf_map_attachment(h->attachment, DMA_BIDIRECTIONAL);
#endif
	if (IS_ERR(h->table)) {
		ret = PTR_ERR(h->table);
		h->table = NULL;
		goto err;
	}
	return 0;
err:
	let_go(h);
	return ret;
}

static int import(struct import *arg)
{
	struct held h = {};
	int ret;

	parameters.max_segment_size = arg->segment_max;
	ret = take_hold(&h, arg->fd);
	if (ret)
		return ret;
	look_at_table(h.table, arg);
	ret = look_at_mapping(h.dmabuf, arg);
	let_go(&h);
	return ret;
}

static long importer_ioctl(struct file *file, unsigned int cmd, unsigned long address)
{
	struct import arg;
	int ret;

	if (cmd == IMPORTER_HOLD) {
		let_go(file->private_data);
		parameters.max_segment_size = 0;
		return take_hold(file->private_data, address);
	}
	if (cmd != IMPORTER_IMPORT)
		return -ENOTTY;
	if (copy_from_user(&arg, (void __user *)address, sizeof(arg)))
		return -EFAULT;
	ret = import(&arg);
	if (!ret && copy_to_user((void __user *)address, &arg, sizeof(arg)))
		return -EFAULT;
	return ret;
}

static int importer_open(struct inode *inode, struct file *file)
{
	file->private_data = kzalloc(sizeof(struct held), GFP_KERNEL);
	return file->private_data ? 0 : -ENOMEM;
}

static int importer_release(struct inode *inode, struct file *file)
{
	let_go(file->private_data);
	kfree(file->private_data);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.unlocked_ioctl = importer_ioctl,
};

static struct miscdevice importer_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "stoker-importer",
	.fops = &importer_fops,
	.mode = 0600,
};

static int __init importer_init(void)
{
	int ret;

	device = platform_device_register_simple("stoker-importer", -1, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	device->dev.dma_parms = &parameters;
	ret = dma_coerce_mask_and_coherent(&device->dev, DMA_BIT_MASK(64));
	if (!ret)
		ret = misc_register(&importer_device);
	if (ret)
		platform_device_unregister(device);
	return ret;
}

static void __exit importer_exit(void)
{
	misc_deregister(&importer_device);
	platform_device_unregister(device);
}

module_init(importer_init);
module_exit(importer_exit);
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("DMA_BUF");
#else
MODULE_IMPORT_NS(DMA_BUF);
#endif
MODULE_DESCRIPTION("Imports dma-bufs for tests");
MODULE_LICENSE("GPL");
