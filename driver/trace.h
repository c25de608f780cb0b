/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: a transfer when it is accepted and when it has ended. */
/* clang-format off */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM stoker

#if !defined(STOKER_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define STOKER_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(stoker_submit,
	TP_PROTO(const struct stoker_transfer *t),
	TP_ARGS(t),
	TP_STRUCT__entry(
		__field(u64, user_data)
		__field(u64, file_offset)
		__field(u64, arena_offset)
		__field(u64, bytes)
		__field(u32, arena)
		__field(u32, fd)
		__field(u32, op)
		__field(u32, priority)
	),
	TP_fast_assign(
		__entry->user_data = t->user_data;
		__entry->file_offset = t->file_offset;
		__entry->arena_offset = t->arena_offset;
		__entry->bytes = t->bytes;
		__entry->arena = t->arena;
		__entry->fd = t->fd;
		__entry->op = t->op;
		__entry->priority = t->priority;
	),
	TP_printk("user_data=%#llx %s%s fd=%u file_offset=%llu arena=%u arena_offset=%llu bytes=%llu",
		  __entry->user_data, __entry->op == STOKER_OP_READ ? "read" : "write",
		  __entry->priority == STOKER_PRIORITY_PREFETCH ? " (prefetch)" : "", __entry->fd,
		  __entry->file_offset, __entry->arena, __entry->arena_offset, __entry->bytes)
);

TRACE_EVENT(stoker_complete,
	TP_PROTO(const struct stoker_completion *c),
	TP_ARGS(c),
	TP_STRUCT__entry(
		__field(u64, user_data)
		__field(u64, bytes)
		__field(u64, latency_ns)
		__field(u32, error)
		__field(u32, flags)
	),
	TP_fast_assign(
		__entry->user_data = c->user_data;
		__entry->bytes = c->bytes;
		__entry->latency_ns = c->latency_ns;
		__entry->error = c->error;
		__entry->flags = c->flags;
	),
	TP_printk("user_data=%#llx bytes=%llu latency_ns=%llu error=%u%s", __entry->user_data,
		  __entry->bytes, __entry->latency_ns, __entry->error,
		  __entry->flags & STOKER_COMPLETION_BUFFERED ? " buffered" : "")
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
