/* SPDX-License-Identifier: MIT */
/*
 * A device: memory, and the table of ops that model code calls.
 *
 * Ops are recorded between begin() and submit() and run in order; a device may run one as soon as
 * it is recorded (the CPU does).  Operands are addresses as the device's kernels see them, so that
 * address arithmetic is the same everywhere: buffer device addresses on Vulkan, pointers on the
 * CPU.  Activations are rows of floats; a stride is the distance of two rows in floats.
 * The structs describing an op are read while recording and need not outlive the call.  What
 * changes from one token to the next (its number, its position) is in memory, so that a recording
 * can be run again.
 */
#ifndef STOKER_DEVICE_INTERNAL_H
#define STOKER_DEVICE_INTERNAL_H

#include <pthread.h>

#include "base/base.h"
#include "base/log.h"
#include "base/process.h"
#include "device/shared_ops.h"
#include "quant/format.h"
#include "stoker/device.h"
#include "stoker/unstable/observe.h"
#include "stoker/profile.h"

enum { HUGE_PAGE = 2 << 20 }; /* memory of several of them asks the kernel for some */

/*
 * A matrix of @out rows of @in values each, or @count of them @stride bytes apart (experts, heads).
 * y = W x * scale + bias; @bias and @scale may be 0.
 */
struct stoker_weight {
	const struct stoker_format *format;
	stoker_address at; /* 0: there is no such matrix */
	uint64_t stride;
	uint32_t in, out, count;
	bool tiled;	      /* laid out by the device's tile() */
	stoker_address bias;  /* float[count][out] */
	stoker_address scale; /* float[count], the second level of NVFP4 */
	const char *name;     /* of its tensor, NULL: it begins within one */
};

struct stoker_memory {
	stoker_address at;
	uint64_t bytes;
	void *host;    /* where the host sees it, NULL when it can't */
	void *private; /* the device's own */
};

/*
 * A device may want what its products read as 8-bit numbers with scales, in a layout of its own:
 * stoker_q8_bytes() and stoker_takes_q8() tell.  Ops that make activations make them at dst_q8 as
 * well, and ops that take activations read src_q8 in place of src for weights that take q8; 0 is
 * none, for which a device does what it would do without.  Such rows have no gaps in between, there
 * are at most q8_rows of them, and an op doesn't write where it reads them.
 */

/*
 * x += scale * a, h = RMS norm of x times @weight.  With @q8_only nothing reads h but as q8: its
 * floats needn't be made.  Rows have @width values and no gaps.
 */
struct op_add_norm {
	stoker_address x, a, h, h_q8, weight; /* weight 0: all ones */
	uint32_t rows, width;
	bool q8_only;
	float scale, eps;
};

enum { STOKER_MATMUL_MAX = 4 };

/*
 * dst[i][rows][out_i] = W_i src[rows][in]: matrices that share their input.  @then is what happens
 * to the result of a single matrix, whose rows are its a; a device may do both at once.
 */
struct op_matmul {
	uint32_t count, rows;
	const struct stoker_weight *weight[STOKER_MATMUL_MAX];
	stoker_address dst[STOKER_MATMUL_MAX]; /* rows of out_i floats */
	stoker_address src, src_q8;
	const struct op_add_norm *then; /* NULL: nothing */
};

enum stoker_activation {
	ACTIVATION_SILU,       /* silu(gate) * up */
	ACTIVATION_GELU,       /* gelu(gate) * up, tanh form */
	ACTIVATION_RELU,       /* relu(gate) * up */
	ACTIVATION_SWIGLU_OAI, /* min(g, 7) * sigmoid(1.702 min(g, 7)) * (clamp(u, -7, 7) + 1) */
	ACTIVATION_SILU_ONLY,  /* silu(up), no gate */
};

/* dst[row] = act(gate src[row], up src[row]), or without a gate act(up src[row]). */
struct op_gated {
	const struct stoker_weight *gate, *up; /* gate->at may be 0 */
	stoker_address dst, src, dst_q8, src_q8;
	stoker_address scratch; /* as large as dst */
	uint32_t rows;
	enum stoker_activation activation;
};

/* dst[row][h] = W_h src[row][h] for each of the weight's @count heads. */
struct op_matmul_heads {
	const struct stoker_weight *weight;
	stoker_address dst, src;
	uint32_t rows, dst_stride, dst_head_stride, src_stride, src_head_stride;
};

/* dst[row] = table[ids[row]] * scale */
struct op_embed {
	stoker_address dst, ids; /* uint32_t[rows] */
	const struct stoker_weight *table;
	uint32_t rows;
	float scale;
};

enum norm_kind { NORM_RMS, NORM_L2 };

/*
 * RMS: x / sqrt(mean x^2 + eps) * weight; L2: x / max(|x|, eps).  @weight 0 is all ones.  q8 is
 * made of rows that are one group only.
 */
struct op_norm {
	stoker_address dst, src, dst_q8, weight;
	enum norm_kind kind;
	uint32_t rows, groups, width; /* @groups of @width values in each row */
	uint32_t dst_stride, src_stride;
	float eps;
};

/*
 * Turns pairs of values of each head by position * frequency.  Pairs are neighbours (interleaved)
 * or half of 2 * @pairs apart.  cos and sin are multiplied by @magnitude.
 */
struct op_rope {
	stoker_address x, frequency; /* float[pairs] */
	stoker_address places;	     /* struct row_place[rows] */
	uint32_t rows, heads, head_stride, stride, pairs;
	bool interleaved;
	float magnitude;
};

/* What cache rows are; of quantized ones the last block is filled up with zeros. */
enum stoker_kv_format {
	STOKER_KV_F32,
	STOKER_KV_F16,
	STOKER_KV_Q8_0,
	STOKER_KV_Q5_0,
	STOKER_KV_Q4_0,
	STOKER_KV_FORMATS
};

/*
 * Rows of @heads times @width floats to the cache rows of their positions, in the cache's format;
 * @cache is where in pages such rows begin, in bytes, as are keys and values of the ops below.
 */
struct op_kv_store {
	uint64_t cache;
	stoker_address src, places;
	enum stoker_kv_format format;
	uint32_t rows, heads, width, stride;
};

/*
 * Queries, keys and values from their products to attention, in one: op_norm for each head of
 * queries and keys, or of all heads together (with weights; 0: none), op_rope (without pairs:
 * none), op_kv_store.  Rows follow one another.
 */
struct op_qkv {
	stoker_address q, k, v, q_norm, k_norm;
	uint64_t keys, values;
	stoker_address frequency, places;
	enum stoker_kv_format key_format, value_format;
	uint32_t rows, heads, kv_heads, key_size, value_size, pairs;
	bool interleaved;
	bool norm_whole; /* all heads together */
	float eps, magnitude;
};

/*
 * Softmax attention over cache rows 0 .. position of each row.  Head h uses key-value head
 * h / (heads / kv_heads), whose cache rows are key_size (value_size) values; with
 * @shared_value values are the first value_size of each key (multi-head latent attention), and of
 * the keys' format.
 * @window > 0 sees that many last positions; @sinks adds one logit a head to the denominator;
 * @softcap > 0 caps scores by c * tanh(s / c).
 */
struct op_attention {
	stoker_address dst, dst_q8, q, sinks, places;
	uint64_t keys, values;
	enum stoker_kv_format key_format, value_format;
	uint32_t rows, heads, kv_heads, key_size, value_size, window;
	uint32_t q_stride, q_head_stride, dst_stride;
	bool shared_value;
	float scale, softcap;
};

enum stoker_gating { GATING_SOFTMAX, GATING_SIGMOID, GATING_SOFTMAX_CHOSEN };

/*
 * Chooses @used of @experts for each row, best first.  @bias counts for the choice only.  With
 * @groups > 1 only the groups_used groups with the best sums of two scores are eligible.
 */
struct op_route {
	stoker_address ids, weights, logits, bias; /* uint32_t and float [rows][used] */
	uint32_t rows, experts, used, groups, groups_used;
	enum stoker_gating gating;
	bool normalize;
	float scale;
};

/* Where the matrices of one expert are. */
struct stoker_expert {
	stoker_address gate, up, down;
};

/*
 * An expert that entries of an op chose.  Entry row * used + k is choice k of a row; those of the
 * expert are [first, first + count) of the list that stoker_sort_choices() makes.
 */
struct chosen_expert {
	uint32_t expert, first, count;
	struct stoker_expert at;
};

/*
 * Some of the experts that an op's rows chose, which are in memory now.  An op may take several
 * waves: the same call again with other experts, and nothing in between that isn't sync() or
 * flush().  After the last wave the result is there.
 */
struct expert_wave {
	const struct chosen_expert *experts;
	uint32_t count;
	const uint32_t *entries; /* [rows * used], of all waves */
	bool first, last;
};

/* dst[row] = sum over k of weights[row][k] * down_e(act(gate_e src[row], up_e src[row])) */
struct op_experts {
	stoker_address dst, src, src_q8, ids, weights;
	const struct stoker_weight *gate, *up, *down; /* gate->at may be 0 */
	const struct expert_wave *wave;		      /* NULL: all are in memory, at + e * stride */
	uint32_t rows, used;
	enum stoker_activation activation;
};

/* dst[row][i] = act(gate[row][i], up[row][i]); without a gate act(up[row][i]) */
struct op_glu {
	stoker_address dst, gate, up, dst_q8;
	uint32_t rows, width, gate_stride, up_stride;
	enum stoker_activation activation;
};

enum binary_kind {
	BINARY_ADD,	    /* a + scale * b */
	BINARY_MUL_SIGMOID, /* a * sigmoid(b) */
	BINARY_MUL_SILU,    /* a * silu(b) */
	BINARY_MUL,	    /* a * b */
	BINARY_ADD_GATED,   /* a + sigmoid(g[row]) * b, @gate one float a row */
};

struct op_binary {
	stoker_address dst, a, b, gate;
	enum binary_kind kind;
	uint32_t rows, width, dst_stride, a_stride, b_stride;
	float scale;
};

/* x = cap * tanh(x * scale / cap), or x * scale where cap is 0 */
struct op_scale {
	stoker_address x;
	uint64_t count;
	float scale, cap;
};

/*
 * Depthwise causal convolution: y_t = sum_j w[j] u_(t - taps + 1 + j).  A state holds the last
 * taps - 1 inputs of each channel and is updated; slot s has it at state + s * state_stride bytes.
 */
struct op_conv {
	stoker_address dst, src, weight, state; /* weight float[channels][taps] */
	stoker_address places;
	uint64_t state_stride;
	uint32_t rows, channels, taps, dst_stride, src_stride;
	bool silu;
};

/*
 * Gated delta rule, one state S of size x size a value head, in slots like those of op_conv:
 *	S *= exp(softplus(alpha + dt) * a);  S += k (sigmoid(beta) (v - S^T k))^T;
 *	o = S^T q / sqrt(size)
 * Value head h uses key head h % key_heads, or h / (value_heads / key_heads) with @grouped.
 */
struct op_delta_net {
	stoker_address dst, q, k, v, alpha, beta, dt, a, state, places;
	uint64_t state_stride;
	uint32_t rows, key_heads, value_heads, size;
	uint32_t qkv_stride, dst_stride;
	bool grouped;
};

/* The largest shapes that the ops of a model have. */
struct stoker_shapes {
	uint32_t rows;		    /* of a batch */
	uint64_t in, heads_in;	    /* values of a row for a matrix, for all of a matrix a head */
	uint32_t experts, used;	    /* of a layer, 0: none; of them for a row */
	uint64_t hidden, embedding; /* values between an expert's matrices, and that it gives */
	bool tables;		    /* experts may be anywhere: op_experts.wave */
};

enum stoker_op {
#define OP(NAME, name, weights) STOKER_OP_##NAME,
#include "device/ops.def"
	STOKER_OP_COUNT
};

struct stoker_recording;

/* What a device can do; ops are called by device_embed() and the like. */
struct stoker_device_ops {
	const char *name;
	void (*destroy)(struct stoker_device *d);
	/*
	 * In a process that was forked off, before anything else; @idle: no other thread was using
	 * the device.  NULL: it can't be used there.
	 */
	void (*go_on)(struct stoker_device *d, bool idle);
	int (*memory_create)(struct stoker_device *d, uint64_t bytes, struct stoker_memory *m,
			     struct stoker_error *err);
	void (*memory_destroy)(struct stoker_device *d, struct stoker_memory *m);
	/*
	 * Memory of somebody else that outlives @m: mapped at @host, of the dma-buf @fd, which
	 * stays the caller's, and larger than @bytes.  NULL on devices that can't.
	 */
	int (*memory_import)(struct stoker_device *d, void *host, int fd, uint64_t bytes,
			     struct stoker_memory *m, struct stoker_error *err);
	/* What memory that the host sees holds isn't needed any more; may be NULL. */
	void (*discard)(struct stoker_device *d, void *host, uint64_t bytes);
	int (*write)(struct stoker_device *d, stoker_address dst, const void *src, uint64_t bytes,
		     struct stoker_error *err);
	int (*read)(struct stoker_device *d, void *dst, stoker_address src, uint64_t bytes,
		    struct stoker_error *err);
	/* What is left of memory of its own, now; false: it isn't known.  NULL: it has none. */
	bool (*memory_left)(const struct stoker_device *d, uint64_t *bytes);
	/* Memory that the device works in beside what ops are given; NULL: none. */
	uint64_t (*working_bytes)(const struct stoker_device *d, const struct stoker_shapes *s);
	/*
	 * Takes the memory that working_bytes() says, once and as a whole, before a session's ops
	 * are recorded; NULL: ops take what they need.
	 */
	int (*reserve)(struct stoker_device *d, const struct stoker_shapes *s,
		       struct stoker_error *err);
	int (*begin)(struct stoker_device *d, struct stoker_error *err);
	/* Lets what was recorded so far begin to run, so that long work can be cut short in
	 * between. */
	int (*flush)(struct stoker_device *d, struct stoker_error *err);
	/*
	 * Runs what was recorded so far and waits for it, so that the host can read what it
	 * computed and reuse what it read; recording goes on, whether that went well or not.
	 */
	int (*sync)(struct stoker_device *d, struct stoker_error *err);
	/*
	 * Runs what was recorded and waits; reports what went wrong since begin().  With @keep,
	 * which is NULL before, a device may leave what replay() runs again; NULL also when it
	 * can't.
	 */
	int (*submit)(struct stoker_device *d, struct stoker_recording **keep,
		      struct stoker_error *err);
	int (*replay)(struct stoker_device *d, struct stoker_recording *r,
		      struct stoker_error *err);
	void (*recording_free)(struct stoker_device *d, struct stoker_recording *r);
	/*
	 * What the device does from now on goes into @profile, which d->profile is to be; NULL ends
	 * it.  NULL where ops run at once, which are timed by who calls them.
	 */
	int (*profile)(struct stoker_device *d, struct stoker_profile *profile,
		       struct stoker_error *err);
	/* Finds out how products with weights like @like are the fastest; NULL: that is known. */
	void (*tune)(struct stoker_device *d, const struct stoker_weight *like);

	/*
	 * Whether ops want weights of this format with rows of @in values laid out by tile(), which
	 * happens once and in place; such matrices may be cut where multiples of @cut rows begin,
	 * 0: they aren't.  NULL: they are taken as files have them, as by all devices that don't
	 * share memory with the host.
	 */
	bool (*tiles)(const struct stoker_device *d, const struct stoker_format *f, uint32_t in,
		      uint32_t cut);
	int (*tile)(struct stoker_device *d, const struct stoker_weight *w,
		    struct stoker_error *err);
	/*
	 * One of @parts parts of tile() for one matrix like @w in the host's memory: by any thread,
	 * whatever others are doing.
	 */
	int (*tile_part)(struct stoker_device *d, const struct stoker_weight *w, void *matrix,
			 uint32_t part, uint32_t parts, struct stoker_error *err);
	/* See stoker_q8_bytes() and stoker_takes_q8(); NULL where q8_rows is 0. */
	uint64_t (*q8_bytes)(const struct stoker_device *d, uint32_t width);
	bool (*takes_q8)(const struct stoker_device *d, const struct stoker_weight *w);

#define OP(NAME, name, weights) void (*name)(struct stoker_device *, const struct op_##name *);
#include "device/ops.def"
	/*
	 * Whether the device does an op that is in its table with these arguments; NULL: with any.
	 * It decides by what is known before anything runs, not by what operands hold.
	 */
	bool (*supports)(const struct stoker_device *d, enum stoker_op op, const void *args);
};

/* Implementations embed this first. */
/* What the program says beside the device's name. */
struct device_settings {
	const char *cache_folder; /* see cache_path() */
	struct logger log;
};

struct stoker_device {
	const struct stoker_device_ops *ops;
	_Atomic unsigned others; /* who keep it, beside its owner: models */
	struct process_mark process;
	unsigned forks; /* how often go_on() was to be called */
	/*
	 * Does what this one doesn't support, NULL: there is none.  It sees the same memory at the
	 * same addresses, and both run at once.  fallback.h has what passes memory, begin() and the
	 * like on to it.
	 */
	struct stoker_device *fallback;
	pthread_mutex_t exclusive; /* held from begin() to the last read of what was computed */
	char description[192];	   /* "cpu: 2 threads, avx512" */
	uint64_t max_memory;	   /* of one memory_create() */
	bool exact;
	uint32_t alike_rows; /* ops of up to so many rows give each the bits that it gets alone */
	uint32_t q8_rows;    /* ops take q8 of up to so many rows, 0: of none */
	bool shares_memory;  /* with the host */
	bool runs_at_once;   /* ops have run when their calls return */
	uint32_t whole_rows; /* experts ops of up to so many rows take only one wave, of all */
	struct stoker_profile *profile; /* NULL: none */
	struct device_settings settings;
	/* is told what products read, see observe.c; product NULL: nobody is */
	struct stoker_observer observer;
};

/*
 * For public functions, before they use the device: in a process that was forked off it goes on, or
 * fails, and ops that release things do nothing.
 */
int device_go_on(struct stoker_device *d, struct stoker_error *err);

/* Bytes of a cache row of @width values. */
static inline uint64_t stoker_kv_row_bytes(enum stoker_kv_format format, uint32_t width)
{
	const uint64_t blocks = ((uint64_t)width + 31) / 32;

	switch (format) {
	case STOKER_KV_F32:
		return 4 * (uint64_t)width;
	case STOKER_KV_F16:
		return 2 * (uint64_t)width;
	case STOKER_KV_Q8_0:
		return 34 * blocks;
	case STOKER_KV_Q5_0:
		return 22 * blocks;
	case STOKER_KV_Q4_0:
		return 18 * blocks;
	case STOKER_KV_FORMATS:
		break;
	}
	return 0;
}

/* See stoker_device_ops.tiles. */
static inline bool stoker_wants_tiles(const struct stoker_device *d, const struct stoker_format *f,
				      uint32_t in, uint32_t cut)
{
	return d->ops->tiles && d->ops->tiles(d, f, in, cut);
}

/*
 * Sorts @count choices by expert: @entries gets their numbers, @chosen, with room for all @experts,
 * those that were chosen.  Returns how many these are.
 */
uint32_t stoker_sort_choices(const uint32_t *ids, uint32_t count, uint32_t experts,
			     uint32_t *entries, struct chosen_expert *chosen);

/* Bytes of a row of @width values as q8, 0: the device has no use for it. */
static inline uint64_t stoker_q8_bytes(const struct stoker_device *d, uint32_t width)
{
	return d->q8_rows ? d->ops->q8_bytes(d, width) : 0;
}

/* Whether products of @w with @rows rows read them as q8, and not as floats. */
static inline bool stoker_takes_q8(const struct stoker_device *d, const struct stoker_weight *w,
				   uint32_t rows)
{
	return rows <= d->q8_rows && d->ops->takes_q8(d, w);
}

/* Whether the device itself does an op, with these arguments: a struct op_embed for
 * STOKER_OP_EMBED. */
bool device_supports(const struct stoker_device *d, enum stoker_op op, const void *args);

/* Tells the observer, of which there is one, what an op is about to multiply with; experts do so
 * themselves. */
void device_show(const struct stoker_device *d, enum stoker_op op, const void *args);
/* Likewise @rows rows for matrix number @matrix of @w. */
void device_show_rows(const struct stoker_device *d, const struct stoker_weight *w, uint32_t matrix,
		      const float *x, uint32_t rows, size_t stride);

/* Calls an op, wherever it is done: device_embed(d, op) ... */
#define OP(NAME, name, weights) \
	void device_##name(struct stoker_device *d, const struct op_##name *op);
#include "device/ops.def"
/* Does it with other ops, false: none can stand for it: device_gated_in_parts(d, op) ... */
#define OP(NAME, name, weights)
#define COMPOSED(NAME, name, weights) \
	bool device_##name##_in_parts(struct stoker_device *d, const struct op_##name *op);
#include "device/ops.def"

int stoker_cpu_open(unsigned threads, bool exact, struct stoker_device **device,
		    struct stoker_error *err);
/* @which is empty for the best one, a number or part of a name. */
int stoker_vulkan_open(const char *which, bool exact, const struct device_settings *settings,
		       struct stoker_device **device, struct stoker_error *err);

#endif
