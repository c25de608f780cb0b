// SPDX-License-Identifier: MIT
/* What "is" can ask. */
#include "text/template/builtins.h"

#define TEST_IS(name)                                                                     \
	static struct value name(struct job *j, struct value self, const struct value *a, \
				 const struct arguments *all)
/* A test that looks at the value alone. */
#define TEST_THAT(name, condition)           \
	TEST_IS(name)                        \
	{                                    \
		(void)j, (void)a, (void)all; \
		return boolean(condition);   \
	}

static bool has_case(struct job *j, const struct text *t, bool upper)
{
	job_work(j, SLOW * t->bytes);
	return text_is_cased(t, upper);
}

TEST_THAT(is_defined, self.kind != VALUE_UNDEFINED)
TEST_THAT(is_undefined, self.kind == VALUE_UNDEFINED)
TEST_THAT(is_none, self.kind == VALUE_NONE)
TEST_THAT(is_boolean, self.kind == VALUE_BOOL)
TEST_THAT(is_false, self.kind == VALUE_BOOL && !self.truth)
TEST_THAT(is_true, self.kind == VALUE_BOOL && self.truth)
TEST_THAT(is_integer, self.kind == VALUE_INT)
TEST_THAT(is_float, self.kind == VALUE_FLOAT)
TEST_THAT(is_any_number, is_number(self))
TEST_THAT(is_string, self.kind == VALUE_TEXT)
TEST_THAT(is_mapping, self.kind == VALUE_DICT)
TEST_THAT(is_escaped, self.kind == VALUE_TEXT && self.text->safe)
TEST_THAT(is_lower, has_case(j, to_text(j, self), false))
TEST_THAT(is_upper, has_case(j, to_text(j, self), true))
TEST_THAT(is_iterable, self.kind == VALUE_TEXT || self.kind == VALUE_SEQUENCE ||
			       self.kind == VALUE_DICT || self.kind == VALUE_UNDEFINED ||
			       self.kind == VALUE_LOOP)
TEST_THAT(is_sequence,
	  self.kind == VALUE_TEXT || self.kind == VALUE_DICT || self.kind == VALUE_UNDEFINED ||
		  (self.kind == VALUE_SEQUENCE && (self.sequence->flavour < FLAVOUR_ITERATOR ||
						   self.sequence->flavour > FLAVOUR_ITEMS)))
TEST_THAT(is_callable, self.kind == VALUE_BUILTIN || self.kind == VALUE_METHOD ||
			       self.kind == VALUE_MACRO || self.kind == VALUE_LOOP ||
			       self.kind == VALUE_JOINER || self.kind == VALUE_UNDEFINED)
TEST_THAT(is_filter, self.kind == VALUE_TEXT && find_filter(self.text->data, self.text->bytes))
TEST_THAT(is_test, self.kind == VALUE_TEXT && find_test(self.text->data, self.text->bytes))
TEST_THAT(is_odd, values_equal(j, arithmetic(j, OPERATOR_MOD, self, integer(2)), integer(1)))
TEST_THAT(is_even, values_equal(j, arithmetic(j, OPERATOR_MOD, self, integer(2)), integer(0)))
TEST_THAT(is_divisible, values_equal(j, arithmetic(j, OPERATOR_MOD, self, a[0]), integer(0)))
TEST_THAT(is_in, contains(j, a[0], self))
TEST_THAT(is_equal, values_equal(j, self, a[0]))
TEST_THAT(is_not_equal, !values_equal(j, self, a[0]))
TEST_THAT(is_less, values_compare(j, self, a[0], "<") == -1)
TEST_THAT(is_greater, values_compare(j, self, a[0], ">") == 1)

TEST_IS(is_at_most)
{
	const int order = values_compare(j, self, a[0], "<=");

	(void)all;
	return boolean(order == 0 || order == -1);
}

TEST_IS(is_at_least)
{
	const int order = values_compare(j, self, a[0], ">=");

	(void)all;
	return boolean(order == 0 || order == 1);
}

TEST_IS(is_same)
{
	(void)all;
	if (self.kind != a[0].kind)
		return boolean(false);
	if (self.kind == VALUE_SEQUENCE || self.kind == VALUE_DICT)
		return boolean(self.dict == a[0].dict);
	return boolean(values_equal(j, self, a[0]));
}

static const struct builtin tests[] = {
	{ "!=", "other", 1, is_not_equal },
	{ "<", "other", 1, is_less },
	{ "<=", "other", 1, is_at_most },
	{ "==", "other", 1, is_equal },
	{ ">", "other", 1, is_greater },
	{ ">=", "other", 1, is_at_least },
	{ "boolean", "", 0, is_boolean },
	{ "callable", "", 0, is_callable },
	{ "defined", "", 0, is_defined },
	{ "divisibleby", "num", 1, is_divisible },
	{ "eq", "other", 1, is_equal },
	{ "equalto", "other", 1, is_equal },
	{ "escaped", "", 0, is_escaped },
	{ "even", "", 0, is_even },
	{ "false", "", 0, is_false },
	{ "filter", "", 0, is_filter },
	{ "float", "", 0, is_float },
	{ "ge", "other", 1, is_at_least },
	{ "greaterthan", "other", 1, is_greater },
	{ "gt", "other", 1, is_greater },
	{ "in", "seq", 1, is_in },
	{ "integer", "", 0, is_integer },
	{ "iterable", "", 0, is_iterable },
	{ "le", "other", 1, is_at_most },
	{ "lessthan", "other", 1, is_less },
	{ "lower", "", 0, is_lower },
	{ "lt", "other", 1, is_less },
	{ "mapping", "", 0, is_mapping },
	{ "ne", "other", 1, is_not_equal },
	{ "none", "", 0, is_none },
	{ "number", "", 0, is_any_number },
	{ "odd", "", 0, is_odd },
	{ "sameas", "other", 1, is_same },
	{ "sequence", "", 0, is_sequence },
	{ "string", "", 0, is_string },
	{ "test", "", 0, is_test },
	{ "true", "", 0, is_true },
	{ "undefined", "", 0, is_undefined },
	{ "upper", "", 0, is_upper },
};

const struct builtin *find_test(const char *name, size_t bytes)
{
	return find_builtin_in(&(struct builtins){ tests, ARRAY_SIZE(tests) }, name, bytes);
}
