/* SPDX-License-Identifier: MIT */
/* interp_budget.c - what a script may cost: evaluations, memory, stack.  Loops in C over what a
 * script holds count here, too. */
#include "pipeline/groovy/interp_scope.h"

#include <limits.h>

#define POLL_EACH 64            /* evaluations */

bool
interp_spend(struct interp *in, const struct node *at, size_t count)
{
    if (in->arena->used + in->held > INTERP_MEMORY_MAX)
        return interp_throw(in, at, "OutOfMemoryError",
                            "the script uses more than %u MiB of values", INTERP_MEMORY_MAX >> 20);
    if (count > in->evaluations_max - in->evaluations) {
        in->evaluations = in->evaluations_max;
        return interp_throw(in, at, "TimeoutException",
                            "the script computes without end: %u evaluations without a step",
                            in->evaluations_max);
    }
    in->evaluations += (unsigned)count;
    in->entered++;
    in->polls += (unsigned)count;
    if (in->polls < POLL_EACH && !in->polls_always)
        return true;
    in->polls = 0;
    return in->world->poll == NULL || in->world->poll(in, at);
}

bool
interp_spend_for(struct interp *in, const struct node *at, struct value a, struct value b)
{
    const size_t weight = interp_weight(a) + interp_weight(b);

    return weight == 0 || interp_spend(in, at, weight);
}

static unsigned
visits_left(const struct interp *in)
{
    const uint64_t n = (uint64_t)(in->evaluations_max - in->evaluations) * VISITS_AN_EVALUATION;

    return n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

unsigned
interp_visits(const struct interp *in)
{
    const unsigned left = visits_left(in);

    return left < VALUE_VISITS_MAX ? left : VALUE_VISITS_MAX;
}

bool
interp_visited(struct interp *in, const struct node *at, unsigned had, unsigned left,
               const char *too_large)
{
    const bool is_spent = left == 0 && had < VALUE_VISITS_MAX; /* there were no more evaluations */
    const size_t cost = is_spent ? SIZE_MAX : (had - left) / VISITS_AN_EVALUATION;

    if (cost > 0 && !interp_spend(in, at, cost))
        return false;
    return left > 0 || interp_throw(in, at, "OutOfMemoryError", "%s", too_large);
}

struct asking {
    struct interp *in;
    const struct node *at;
};

/* By compareTo() of its class (by value), or equals(). */
static bool
equal_instance(const struct comparison *c, struct value a, struct value b, enum equality mode,
               bool *found, bool *out)
{
    const struct asking *asking = c->ctx;
    const struct args args = {.at = {b}, .count = 1};
    struct value said = value_null();

    *found = mode == EQUAL_BY_VALUE && (b.type == V_NULL || class_is_same(a, b));
    *out = *found && b.type != V_NULL;
    if (*found)
        return true;
    if (mode == EQUAL_BY_VALUE) {
        if (!class_call(asking->in, asking->at, a, STR("compareTo"), &args, &said, found))
            return false;
        *out = *found && value_is_number(said) && !value_truth(said);
    }
    if (*found)
        return true;
    if (!class_call(asking->in, asking->at, a, STR("equals"), &args, &said, found))
        return false;
    *out = *found && value_truth(said);
    return true;
}

bool
interp_equal(struct interp *in, const struct node *at, struct value a, struct value b,
             enum equality mode, bool *out)
{
    const struct asking asking = {in, at};
    const unsigned had = interp_visits(in);
    struct comparison c = {.left = had, .instance = equal_instance, .ctx = &asking};

    if (a.type == V_LIST && b.type == V_LIST && list_is_set(a.list) && list_is_set(b.list) &&
        a.list->count == b.list->count && !set_contains(in, at, b.list, value_null(), out))
        return false; /* it has its keys now, by which its items are found */
    *out = value_equal_within(a, b, mode, &c);
    return !c.has_failed &&
           interp_visited(in, at, had, c.left, "the values are too large to be compared");
}

/* By toString() of its class, or for an exception getMessage(), if that has one. */
static bool
ask_instance(const struct asking *asking, struct value v, struct value *text, struct strbuf *out)
{
    static const struct args none = {0};
    bool found = false;

    *text = v;
    if (!class_call(asking->in, asking->at, v, STR("toString"), &none, text, &found))
        return false;
    if (!found && v.type == V_EXCEPTION) {
        if (!class_call(asking->in, asking->at, v, STR("getMessage"), &none, text, &found))
            return false;
        if (found)
            strbuf_addf(out, STR_FMT ": ", STR_ARG(v.exception->class_name));
    }
    return true;
}

/* Instances hold others: what each of them has said so far waits until the inner ones have said theirs. */
static bool
format_instance(const struct formatting *f, struct value v, struct strbuf *out)
{
    const struct asking *asking = f->ctx;
    const size_t held = out->len;
    struct value text;
    bool ok;

    asking->in->held += held;
    ok = ask_instance(asking, v, &text, out);
    asking->in->held -= held;
    if (ok)
        strbuf_add(out, interp_text(asking->in, text));
    return ok;
}

bool
interp_format(struct interp *in, const struct node *at, struct value v, size_t most,
              struct strbuf *out)
{
    struct asking asking = {in, at};
    struct formatting f = {.most = most, .left = visits_left(in), .instance = format_instance,
                           .ctx = &asking};
    const unsigned had = f.left;
    size_t cost;

    if (!value_format_within(v, &f, out))
        return false;
    cost = f.left == 0 ? SIZE_MAX : (had - f.left) / VISITS_AN_EVALUATION;
    return cost == 0 || interp_spend(in, at, cost);
}

bool
interp_to_text(struct interp *in, const struct node *at, struct value v, struct str *out)
{
    cleanup(strbuf_done) struct strbuf b = {0};

    *out = v.text;
    if (v.type == V_TEXT)
        return true;
    if (!interp_format(in, at, v, INTERP_TEXT_MAX, &b))
        return false;
    *out = arena_dup(in->arena, strbuf_str(&b));
    return true;
}

struct str
interp_text(struct interp *in, struct value v)
{
    cleanup(strbuf_done) struct strbuf b = {0};
    struct formatting f = {.most = INTERP_TEXT_MAX, .left = visits_left(in)};
    const unsigned had = f.left;

    if (v.type == V_TEXT)
        return v.text;
    (void)!value_format_within(v, &f, &b); /* nobody is asked, so nothing fails */
    in->evaluations = f.left == 0 ? in->evaluations_max
                                  : in->evaluations + (had - f.left) / VISITS_AN_EVALUATION;
    return arena_dup(in->arena, strbuf_str(&b));
}

/* As long as it takes to make a text of it, or a whole number. */
static size_t
weight_of_number(struct value v)
{
    size_t bytes = v.is_wide ? v.magnitude.len : 0;

    if (v.type == V_DECIMAL && v.scale < 0 && -(int64_t)v.scale <= BIGNUM_DIGITS_MAX)
        bytes += (size_t)-(int64_t)v.scale * 5 / 12;
    return bytes * bytes / (64 * 64);
}

size_t
interp_weight(struct value v)
{
    switch (v.type) {
    case V_TEXT:
        return v.text.len / (VALUE_BYTES_A_VISIT * VISITS_AN_EVALUATION);
    case V_LIST:
        return v.list->count / VISITS_AN_EVALUATION;
    case V_MAP:
        return v.map->count / VISITS_AN_EVALUATION;
    case V_BIG:
    case V_DECIMAL:
        return weight_of_number(v);
    default:
        return 0;
    }
}

bool
interp_has_stack(struct interp *in, const struct node *at, size_t size)
{
    const char *here = __builtin_frame_address(0);

    if (in->stack_end != NULL && (here < in->stack_end || (size_t)(here - in->stack_end) < size))
        return interp_throw(in, at, "StackOverflowError", "the script calls itself too deeply");
    return true;
}

bool
interp_enter(struct interp *in, const struct node *at)
{
    if (++in->depth > INTERP_DEPTH_MAX ||
        (in->stack_end != NULL && (const char *)__builtin_frame_address(0) < in->stack_end)) {
        in->depth--;
        return interp_throw(in, at, "StackOverflowError", "the script calls itself too deeply");
    }
    if (interp_spend(in, at, 1))
        return true;
    in->depth--;
    return false;
}
