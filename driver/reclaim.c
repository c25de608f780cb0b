// SPDX-License-Identifier: GPL-2.0
/* Discardable arenas, and the shrinker that takes their pages back, the longest idle first. */
#include <linux/slab.h>

#include "compat.h"
#include "internal.h"

static DEFINE_SPINLOCK(discardable_lock);
static LIST_HEAD(discardable);
static unsigned long discardable_pages;
static struct shrinker *shrinker;

/* With discardable_lock held: off the list; the note is the caller's then. */
static struct stoker_entry *take_off(struct stoker_arena *arena, enum stoker_arena_state state)
{
	struct stoker_entry *note = arena->note;

	lockdep_assert_held(&discardable_lock);
	spin_lock_irq(&arena->lock);
	arena->state = state;
	spin_unlock_irq(&arena->lock);
	list_del_init(&arena->discardable);
	arena->note = NULL;
	discardable_pages -= arena->page_count;
	return note;
}

static void drop_note(struct stoker_entry *note)
{
	stoker_entry_unreserve(note->ctx);
	kfree(note);
}

static int keep(struct stoker_arena *arena)
{
	struct stoker_entry *note = NULL;
	int ret = 0;

	spin_lock(&discardable_lock);
	if (arena->state == STOKER_DISCARDABLE)
		note = take_off(arena, STOKER_KEPT);
	else if (arena->state == STOKER_DISCARDED)
		ret = -ENODATA;
	spin_unlock(&discardable_lock);
	if (note)
		drop_note(note);
	return ret;
}

/* On success the arena has taken the note, or was discardable and has its user_data. */
static int give_up(struct stoker_arena *arena, struct stoker_entry **note)
{
	int ret = 0;

	spin_lock(&discardable_lock);
	spin_lock_irq(&arena->lock);
	if (arena->state == STOKER_DISCARDED) {
		ret = -ENODATA;
	} else if (arena->state == STOKER_DISCARDABLE) {
		swap(arena->note, *note);
	} else if (arena->users || arena->attached) {
		ret = -EBUSY;
	} else {
		arena->state = STOKER_DISCARDABLE;
		swap(arena->note, *note);
		list_add_tail(&arena->discardable, &discardable);
		discardable_pages += arena->page_count;
	}
	spin_unlock_irq(&arena->lock);
	spin_unlock(&discardable_lock);
	return ret;
}

static int make_discardable(struct stoker_context *ctx, struct stoker_arena *arena, u64 user_data)
{
	struct stoker_entry *note;
	int ret;

	if (!stoker_entry_reserve(ctx))
		return -EAGAIN;
	note = kzalloc(sizeof(*note), GFP_KERNEL_ACCOUNT);
	if (!note) {
		stoker_entry_unreserve(ctx);
		return -ENOMEM;
	}
	note->ctx = ctx;
	note->completion.user_data = user_data;
	note->completion.flags = STOKER_COMPLETION_DISCARDED;
	ret = give_up(arena, &note);
	if (note)
		drop_note(note);
	return ret;
}

int stoker_arena_advise(struct stoker_context *ctx, struct stoker_arena_advise *arg)
{
	struct stoker_arena *arena;
	int ret;

	if (arg->advice > STOKER_ADVISE_DISCARDABLE ||
	    (arg->advice == STOKER_ADVISE_KEEP && arg->user_data))
		return -EINVAL;
	mutex_lock(&ctx->handles_lock);
	arena = stoker_arena_find(ctx, arg->handle);
	if (!arena)
		ret = -ENOENT;
	else if (arg->advice == STOKER_ADVISE_KEEP)
		ret = keep(arena);
	else
		ret = make_discardable(ctx, arena, arg->user_data);
	mutex_unlock(&ctx->handles_lock);
	if (arena)
		stoker_arena_put(arena);
	return ret;
}

/* Its handle goes, and with it who could be told. */
void stoker_arena_forget_advice(struct stoker_arena *arena)
{
	keep(arena);
}

static unsigned long count(struct shrinker *s, struct shrink_control *sc)
{
	return READ_ONCE(discardable_pages) ?: SHRINK_EMPTY;
}

/* Takes one off the list and tells its owner; its pages are the caller's to free. */
static struct stoker_arena *discard_one(void)
{
	struct stoker_arena *arena;
	struct stoker_entry *note;
	struct stoker_context *ctx;

	spin_lock(&discardable_lock);
	arena = list_first_entry_or_null(&discardable, struct stoker_arena, discardable);
	if (arena) {
		kref_get(&arena->kref);
		note = take_off(arena, STOKER_DISCARDED);
		ctx = note->ctx; /* it takes the note off before it goes */
		spin_lock_irq(&ctx->lock);
		ctx->stats.discarded++;
		stoker_entry_post(note);
		spin_unlock_irq(&ctx->lock);
	}
	spin_unlock(&discardable_lock);
	return arena;
}

static unsigned long scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long freed = 0;

	while (freed < sc->nr_to_scan) {
		struct stoker_arena *arena = discard_one();

		if (!arena)
			break;
		freed += arena->page_count;
		stoker_arena_free_pages(arena);
		/* later: what it is charged to is unlocked there */
		stoker_arena_put_atomic(arena);
	}
	/* whole arenas go, which is what the next wish has to take into account */
	sc->nr_scanned = max(freed, sc->nr_to_scan);
	return freed ?: SHRINK_STOP;
}

int stoker_reclaim_init(void)
{
	shrinker = stoker_shrinker_add(count, scan);
	return shrinker ? 0 : -ENOMEM;
}

void stoker_reclaim_exit(void)
{
	stoker_shrinker_remove(shrinker);
}
