// SPDX-License-Identifier: MIT
/*
 * Random transfers between arenas and a file, a block device and a file without direct I/O, beside
 * a copy of what all of them must hold.  Meanwhile: cancels, signals, a forked child and one that
 * got the context over a socket reading completions, contexts closed and processes killed in the
 * middle. usage: transfers FOLDER BLOCK-DEVICE [COUNT [SEED]], as root; overwrites the device
 */
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "device.h"
#include "tap.h"

enum { BATCH = 24, PLACES = 5, SECTOR = 512 };

/* Somewhere that holds bytes: arenas come first. */
struct place {
	const char *name;
	uint64_t bytes;
	uint8_t *shadow, *mapped; /* the latter of arenas */
	uint32_t handle;
	int fd;
} places[PLACES] = {
	{ .name = "arena", .bytes = 4 << 20 },
	{ .name = "small folios", .bytes = 1 << 20 },
	{ .name = "file", .bytes = 24 << 20 },
	{ .name = "block device", .bytes = 24 << 20 },
	{ .name = "buffered file", .bytes = 2 << 20 },
};

static uint64_t seed = 1;
static int ctx;
static const char *folder;
static unsigned signals, interrupted;

static void on_alarm(int signal)
{
	(void)signal;
	signals++;
}

static uint64_t below(uint64_t limit)
{
	return random_next(&seed) % limit;
}

static void randomize(uint8_t *p, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i += 8) {
		const uint64_t r = random_next(&seed);

		memcpy(p + i, &r, 8);
	}
}

static int open_place(const char *format, const char *in)
{
	char path[256];

	snprintf(path, sizeof(path), format, in);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static bool set_up(const char *device)
{
	ctx = open_context();
	for (int i = 0; i < 2; i++) {
		struct stoker_arena_create c = arena_of(places[i].bytes, i ? 0 : 9);

		if (create(ctx, &c))
			return false;
		places[i].handle = c.handle;
		places[i].fd = c.fd;
		places[i].mapped = map(c.fd, c.bytes);
		if (!places[i].mapped)
			return false;
	}
	places[2].fd = open_place("%s/transfers", folder);
	places[3].fd = open_place("%s", device);
	places[4].fd = open_place("%s/transfers", "/tmp");
	for (int i = 0; i < PLACES; i++) {
		struct place *p = &places[i];

		p->shadow = malloc(p->bytes);
		randomize(p->shadow, p->bytes);
		if (i < 2)
			memcpy(p->mapped, p->shadow, p->bytes);
		else if (pwrite(p->fd, p->shadow, p->bytes, 0) != (ssize_t)p->bytes || fsync(p->fd))
			return false;
	}
	return true;
}

/* --- one batch --- */

struct stretch {
	const struct place *place;
	uint64_t offset, bytes;
	bool written;
};

static bool collides(const struct stretch *a, const struct stretch *b)
{
	return (a->written || b->written) && a->place == b->place &&
	       a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static bool collides_any(const struct stretch *a, const struct stretch *others, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (collides(a, &others[i]))
			return true;
	return false;
}

/* Another random transfer whose two stretches nothing else of the batch touches. */
static bool draw(struct stoker_transfer *t, struct stretch *taken, unsigned *taken_count)
{
	struct place *arena = &places[below(2)], *file = &places[2 + below(3)];
	const uint64_t longest = below(16) ? 16 << 10 : 512 << 10;
	struct stretch in_arena = { .place = arena }, in_file = { .place = file };

	in_arena.bytes = in_file.bytes = (1 + below(longest / SECTOR)) * SECTOR;
	in_arena.offset = below((arena->bytes - in_arena.bytes) / SECTOR + 1) * SECTOR;
	/* a few pass the file's end */
	in_file.offset =
		below(file->bytes / SECTOR - (below(50) ? in_file.bytes / SECTOR : 1) + 1) * SECTOR;
	*t = (struct stoker_transfer){ .op = below(2) ? STOKER_OP_READ : STOKER_OP_WRITE,
				       .priority = below(2),
				       .arena = arena->handle,
				       .fd = (uint32_t)file->fd,
				       .arena_offset = in_arena.offset,
				       .file_offset = in_file.offset,
				       .bytes = in_file.bytes };
	if (in_file.offset + in_file.bytes > file->bytes)
		t->op = STOKER_OP_READ; /* the sizes stay */
	in_arena.written = t->op == STOKER_OP_READ;
	in_file.written = !in_arena.written;
	if (collides_any(&in_arena, taken, *taken_count) ||
	    collides_any(&in_file, taken, *taken_count))
		return false;
	taken[(*taken_count)++] = in_arena;
	taken[(*taken_count)++] = in_file;
	return true;
}

static struct place *place_of(uint32_t handle, uint32_t fd)
{
	for (int i = 0; i < PLACES; i++)
		if (handle ? places[i].handle == handle : i > 1 && places[i].fd == (int)fd)
			return &places[i];
	abort();
}

/* Does to the copies what the transfer has done. */
static bool apply(const struct stoker_transfer *t, const struct stoker_completion *c)
{
	struct place *arena = place_of(t->arena, 0), *file = place_of(0, t->fd);
	uint64_t expected = t->bytes;

	if (c->error)
		return c->error == ECANCELED ||
		       ok(false, "%s: %s", file->name, strerror((int)c->error));
	if (t->file_offset + t->bytes > file->bytes)
		expected = t->file_offset < file->bytes ? file->bytes - t->file_offset : 0;
	if (file == &places[3])
		expected = t->bytes; /* the device goes on there */
	if (c->bytes != expected)
		return ok(false, "%s: %llu bytes at %llu of %llu", file->name,
			  (unsigned long long)c->bytes, (unsigned long long)t->file_offset,
			  (unsigned long long)file->bytes);
	if (!!(c->flags & STOKER_COMPLETION_BUFFERED) != (file == &places[4]))
		return ok(false, "%s: flags %x", file->name, c->flags);
	if (t->op == STOKER_OP_READ) {
		uint64_t known = expected;

		if (t->file_offset + known > file->bytes)
			known = file->bytes - t->file_offset;
		memcpy(arena->shadow + t->arena_offset, file->shadow + t->file_offset, known);
		/* beyond the end nothing is promised */
		memcpy(arena->shadow + t->arena_offset + known,
		       arena->mapped + t->arena_offset + known, t->bytes - known);
	} else {
		memcpy(file->shadow + t->file_offset, arena->shadow + t->arena_offset, t->bytes);
	}
	return !memcmp(arena->mapped + t->arena_offset, arena->shadow + t->arena_offset,
		       t->bytes) ||
	       ok(false, "%s: %s at %llu differs", file->name, t->op ? "source of write" : "read",
		  (unsigned long long)t->file_offset);
}

static int reap_all(struct stoker_completion *c, unsigned count)
{
	unsigned have = 0;

	while (have < count) {
		const int n = reap(ctx, c + have, count - have);

		if (n == -EINTR)
			interrupted++;
		else if (n <= 0)
			return n;
		else
			have += (unsigned)n;
	}
	return (int)have;
}

/* A child reads the completions: one that was forked, or got the context over a socket. */
static int reap_elsewhere(struct stoker_completion *c, unsigned count, bool pass)
{
	int sockets[2], pipes[2], status, ret;
	char byte = 0;
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) || pipe(pipes))
		return -errno;
	child = fork();
	if (!child) {
		if (pass) {
			close(ctx);
			if (recvmsg(sockets[1], &message, MSG_CMSG_CLOEXEC) != 1)
				_exit(1);
			memcpy(&ctx, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(ctx));
		}
		ret = reap_all(c, count);
		_exit(ret != (int)count ||
		      write(pipes[1], c, count * sizeof(*c)) != (ssize_t)(count * sizeof(*c)));
	}
	if (pass) {
		struct cmsghdr *h = CMSG_FIRSTHDR(&message);

		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &ctx, sizeof(ctx));
		sendmsg(sockets[0], &message, 0);
	}
	while (waitpid(child, &status, 0) < 0)
		;
	ret = status ? -ECHILD : (int)count;
	if (!status && read(pipes[0], c, count * sizeof(*c)) != (ssize_t)(count * sizeof(*c)))
		ret = -EIO;
	close(sockets[0]), close(sockets[1]), close(pipes[0]), close(pipes[1]);
	return ret;
}

static bool batch(unsigned *done)
{
	static struct stoker_transfer t[BATCH];
	static struct stoker_completion c[BATCH];
	struct stretch taken[2 * BATCH];
	unsigned count = 0, taken_count = 0;
	bool seen[BATCH] = { false };
	int n;

	for (unsigned tries = 0; tries < BATCH; tries++)
		if (draw(&t[count], taken, &taken_count)) {
			if (t[count].op == STOKER_OP_WRITE && !below(4)) {
				struct place *a = place_of(t[count].arena, 0);

				randomize(a->shadow + t[count].arena_offset, t[count].bytes);
				memcpy(a->mapped + t[count].arena_offset,
				       a->shadow + t[count].arena_offset, t[count].bytes);
			}
			t[count].user_data = count;
			count++;
		}
	n = submit(ctx, t, count);
	if (n != (int)count)
		return ok(false, "%d of %u accepted", n, count);
	if (!below(3))
		for (unsigned i = 0; i < 4; i++)
			cancel(ctx, below(count), 0);
	if (!below(20))
		cancel(ctx, 0, STOKER_CANCEL_PREFETCH);
	n = below(400) ? reap_all(c, count) : reap_elsewhere(c, count, below(2));
	if (n != (int)count)
		return ok(false, "%d of %u completed", n, count);
	for (unsigned i = 0; i < count; i++) {
		const uint64_t which = c[i].user_data;

		if (which >= count || seen[which])
			return ok(false, "completion of %llu", (unsigned long long)which);
		seen[which] = true;
		if (!apply(&t[which], &c[i]))
			return false;
	}
	*done += count;
	return true;
}

/* --- what goes on beside them --- */

/* Keeps its own context busy and never ends; the kernel cleans up. */
static void keep_busy(void)
{
	const int own = open_context();
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	struct stoker_completion done[16];
	const int file = open_place("%s/scratch", folder);

	if (create(own, &c))
		_exit(1);
	memset(map(c.fd, ARENA_BYTES), 0x5a, ARENA_BYTES);
	for (;;) {
		struct stoker_transfer t[16];

		for (int i = 0; i < 16; i++)
			t[i] = (struct stoker_transfer){ .op = i & 1,
							 .arena = c.handle,
							 .fd = (uint32_t)file,
							 .priority = (uint32_t)below(2),
							 .arena_offset = (unsigned)i * 65536,
							 .file_offset = (i | 1) * 65536ull,
							 .bytes = 65536 };
		submit(own, t, 16);
		if (below(2))
			reap(own, done, 16);
	}
}

static pid_t disturb(void)
{
	const pid_t child = fork();

	if (!child) {
		close(ctx);
		seed += (uint64_t)getpid();
		signal(SIGALRM, SIG_IGN);
		keep_busy();
	}
	return child;
}

/* A context that is closed with all of its transfers under way. */
static void close_in_the_middle(void)
{
	const int own = open_context();
	struct stoker_arena_create c = arena_of(ARENA_BYTES, 9);
	struct stoker_transfer t[64];

	if (create(own, &c))
		return;
	for (unsigned i = 0; i < 64; i++)
		t[i] = (struct stoker_transfer){ .arena = c.handle,
						 .fd = (uint32_t)places[2 + below(3)].fd,
						 .priority = i & 1,
						 .arena_offset = i * 16384,
						 .file_offset = i * 16384,
						 .bytes = 16384 };
	submit(own, t, 64);
	if (below(2))
		close(c.fd);
	else
		destroy(own, c.handle);
	close(own);
	close(c.fd);
}

/* Whole places against their copies. */
static void compare_all(const char *when)
{
	for (int i = 0; i < PLACES; i++) {
		struct place *p = &places[i];
		uint8_t *now = p->mapped;

		if (!now) {
			now = malloc(p->bytes);
			if (pread(p->fd, now, p->bytes, 0) != (ssize_t)p->bytes)
				ok(false, "%s: reading it", p->name);
		}
		ok(!memcmp(now, p->shadow, p->bytes), "%s: no byte of the %s differs", when,
		   p->name);
		if (now != p->mapped)
			free(now);
	}
}

/* Each sector of what killed processes wrote is whole: 0x5a, or zeros of before. */
static void check_scratch(void)
{
	const int fd = open_place("%s/scratch", folder);
	uint8_t sector[SECTOR];
	unsigned torn = 0;

	while (read(fd, sector, SECTOR) == SECTOR)
		for (int i = 1; i < SECTOR; i++)
			if (sector[i] != sector[0] || (sector[i] && sector[i] != 0x5a)) {
				torn++;
				break;
			}
	close(fd);
	ok(!torn, "killed writers left no torn sector");
}

int main(int argc, char **argv)
{
	const unsigned wanted = argc > 3 && *argv[3] ? (unsigned)atoi(argv[3]) : 20000;
	const struct itimerval timer = { { 0, 3000 }, { 0, 3000 } };
	struct sigaction action = { .sa_handler = on_alarm };
	unsigned done = 0, batches = 0, killed = 0;
	pid_t other = 0;
	struct stoker_stats s;

	if (argc < 3)
		return 2;
	folder = argv[1];
	if (argc > 4)
		seed = strtoull(argv[4], NULL, 0);
	if (!ok(set_up(argv[2]), "set-up"))
		return tap_end();
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (done < wanted && batch(&done)) {
		batches++;
		if (batches % 100 == 0)
			close_in_the_middle();
		if (batches % 200 == 50)
			other = disturb();
		if (batches % 200 == 60 && other) {
			kill(other, SIGKILL);
			while (waitpid(other, NULL, 0) < 0)
				;
			killed++;
			other = 0;
		}
		if (batches % 10000 == 0)
			printf("# %u transfers\n", done);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	if (other) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
	}
	ok(done >= wanted, "%u random transfers in %u batches", done, batches);
	compare_all("at the end");
	check_scratch();
	s = stats(ctx);
	ok(s.completed + s.cancelled == done && !s.failed && !s.waiting && !s.under_way &&
		   !s.unread,
	   "STATS: %llu completed, %llu cancelled, %llu buffered", (unsigned long long)s.completed,
	   (unsigned long long)s.cancelled, (unsigned long long)s.buffered);
	ok(signals && killed, "%u signals, %u waits interrupted, %u processes killed", signals,
	   interrupted, killed);
	return tap_end();
}
