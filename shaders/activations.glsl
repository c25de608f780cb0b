/* SPDX-License-Identifier: MIT */
/* enum stoker_activation */
const uint SILU = 0, GELU = 1, RELU = 2, SWIGLU_OAI = 3, SILU_ONLY = 4;

float activate(uint kind, float g, float u)
{
	switch (kind) {
	case SILU:
		return g * sigmoid(g) * u;
	case GELU: /* 0.5 g (1 + tanh y) = g sigmoid(2 y) */
		return g * sigmoid(1.5957691216057307 * (g + 0.044715 * g * g * g)) * u;
	case RELU:
		return max(g, 0.0) * u;
	case SWIGLU_OAI:
		g = min(g, 7.0);
		return g * sigmoid(1.702 * g) * (clamp(u, -7.0, 7.0) + 1.0);
	default:
		return u * sigmoid(u);
	}
}
