// SPDX-License-Identifier: MIT
/*
 * A file system for tests: one file, a copy of another, whose reads can be made to fail.
 * usage: faultfs FILE FOLDER mounts it on FOLDER as FOLDER/model.gguf, prints a line and serves
 * until it's killed.  SIGUSR1: reads fail with EIO from now on; SIGUSR2: the next read takes five
 * seconds.  Talks to the kernel directly (linux/fuse.h), needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILE_NODE = 2, REQUEST_BYTES = FUSE_MIN_READ_BUFFER + (1 << 20), READ_MAX = 1 << 20 };

static volatile sig_atomic_t failing, stall, ended;
static const char *folder;

static void on_signal(int number)
{
	if (number == SIGUSR1)
		failing = 1;
	else if (number == SIGUSR2)
		stall = 1;
	else
		ended = 1;
}

static void reply(int fuse, uint64_t unique, int error, const void *data, size_t bytes)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + bytes),
					.error = -error,
					.unique = unique };
	const struct iovec parts[] = { { &head, sizeof(head) }, { (void *)data, bytes } };

	/* a request that was given up meanwhile can't be answered */
	if (writev(fuse, parts, bytes ? 2 : 1) < 0 && errno != ENOENT)
		perror("faultfs: reply");
}

static struct fuse_attr attributes(uint64_t node, uint64_t size)
{
	return (struct fuse_attr){ .ino = node,
				   .size = node == FILE_NODE ? size : 0,
				   .mode = node == FILE_NODE ? S_IFREG | 0644 : S_IFDIR | 0755,
				   .nlink = 1,
				   .blksize = 4096 };
}

static void serve_read(int fuse, int fd, uint64_t unique, const struct fuse_read_in *in)
{
	static char data[READ_MAX];
	const size_t want = in->size < READ_MAX ? in->size : READ_MAX;
	ssize_t n;

	if (stall) {
		stall = 0;
		sleep(5);
	}
	if (failing) {
		reply(fuse, unique, EIO, NULL, 0);
		return;
	}
	n = pread(fd, data, want, (off_t)in->offset);
	if (n < 0)
		reply(fuse, unique, errno, NULL, 0);
	else
		reply(fuse, unique, 0, data, (size_t)n);
}

static void serve(int fuse, int fd, uint64_t size, const char *request)
{
	const struct fuse_in_header *in = (const void *)request;
	const void *body = request + sizeof(*in);
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
					    .minor = FUSE_KERNEL_MINOR_VERSION,
					    .max_readahead = 1 << 16,
					    .flags = FUSE_ASYNC_READ | FUSE_MAX_PAGES,
					    .max_background = 64,
					    .congestion_threshold = 48,
					    .max_write = 1 << 16,
					    .max_pages = READ_MAX / 4096,
					    .time_gran = 1 };
	struct fuse_entry_out entry = { .nodeid = FILE_NODE, .attr = attributes(FILE_NODE, size) };
	const struct fuse_attr_out attr = { .attr = attributes(in->nodeid, size) };
	/* reads come here each time, the page cache has none */
	const struct fuse_open_out opened = { .open_flags = FOPEN_DIRECT_IO };

	switch (in->opcode) {
	case FUSE_INIT:
		reply(fuse, in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		if (!strcmp(body, "model.gguf"))
			reply(fuse, in->unique, 0, &entry, sizeof(entry));
		else
			reply(fuse, in->unique, ENOENT, NULL, 0);
		break;
	case FUSE_GETATTR:
		reply(fuse, in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(fuse, in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		serve_read(fuse, fd, in->unique, body);
		break;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		reply(fuse, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break; /* have no answer */
	default:
		reply(fuse, in->unique, ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal };
	static char request[REQUEST_BYTES] __attribute__((aligned(8)));
	char options[128];
	struct stat st;
	int fuse, fd;

	if (argc != 3) {
		fprintf(stderr, "usage: faultfs FILE FOLDER\n");
		return 2;
	}
	folder = argv[2];
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0 || fuse < 0 || fstat(fd, &st)) {
		perror("faultfs");
		return 1;
	}
	snprintf(options, sizeof(options), "fd=%d,rootmode=40755,user_id=0,group_id=0,max_read=%d",
		 fuse, READ_MAX);
	if (mount("faultfs", folder, "fuse", MS_NOSUID | MS_NODEV, options)) {
		perror("faultfs: mount");
		return 1;
	}
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	puts("mounted");
	fflush(stdout);
	while (!ended) {
		const ssize_t n = read(fuse, request, sizeof(request));

		if (n < 0 && errno != EINTR && errno != ENOENT)
			break;
		if (n > 0)
			serve(fuse, fd, (uint64_t)st.st_size, request);
	}
	umount2(folder, MNT_DETACH);
	return 0;
}
