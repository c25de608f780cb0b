// SPDX-License-Identifier: MIT
/* Marks of processes: see process.h. */
#include "base/process.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ELSEWHERE, HERE, CLAIMED };

bool process_mark_make(struct process_mark *mark)
{
	const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*mark = (struct process_mark){ .pid = getpid() };
	if (page == MAP_FAILED)
		return false;
	if (madvise(page, bytes, MADV_WIPEONFORK)) {
		munmap(page, bytes); /* a system call each time it's looked at */
		return true;
	}
	mark->page = page;
	*mark->page = HERE;
	return true;
}

void process_mark_free(struct process_mark *mark)
{
	if (mark->page)
		munmap((void *)mark->page, (size_t)sysconf(_SC_PAGESIZE));
	mark->page = NULL;
	mark->pid = 0;
}

static uint32_t state(const struct process_mark *mark)
{
	int pid;

	if (mark->page)
		return atomic_load_explicit(mark->page, memory_order_acquire);
	pid = atomic_load_explicit(&mark->pid, memory_order_acquire);
	if (!pid || pid == getpid())
		return HERE;
	return pid == -getpid() ? CLAIMED : ELSEWHERE;
}

bool process_mark_is_here(const struct process_mark *mark)
{
	return state(mark) == HERE;
}

bool process_mark_claim(struct process_mark *mark)
{
	uint32_t now;

	while ((now = state(mark)) != HERE) {
		uint32_t elsewhere = ELSEWHERE;
		int pid = atomic_load(&mark->pid);

		if (now == CLAIMED)
			sched_yield();
		else if (mark->page
				 ? atomic_compare_exchange_strong(mark->page, &elsewhere, CLAIMED)
				 : atomic_compare_exchange_strong(&mark->pid, &pid, -getpid()))
			return true;
	}
	return false;
}

void process_mark_settle(struct process_mark *mark)
{
	atomic_store(&mark->pid, getpid());
	if (mark->page)
		atomic_store(mark->page, HERE);
}
