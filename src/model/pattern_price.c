/* SPDX-License-Identifier: MIT */
/* pattern_price.c - how long a matcher that goes back can be kept busy by an expression.
 * Two ways through an expression that take the same text are a pair of its places moving together.  A pair that can come
 * back to one place, on a circle, doubles with each round (exponential); a pair of two loops that both go on by the same
 * characters, the one having led to the other, makes as many ways as there are characters. */
#include <stdatomic.h>
#include "base/hash.h"
#include "model/pattern_program.h"

#define EDGES_MAX 1000
#define QUADRATIC_MAX 256  /* characters: a third of a millisecond, at worst */
#define CHOICES_MAX 1200   /* rounds of a group that repeats, times its choices: the stack is as large again */
#define LONGEST_MIN 64     /* texts that an expression must have time and room for */

struct edge {
    int to;
    bool is_double; /* two ways lead there */
};

struct graph {
    int count; /* places; the last one is the beginning, which takes nothing */
    const uint8_t *sets[PATTERN_PRICED_MAX + 2];
    uint8_t any[32];
    struct edge *edges;
    int first[PATTERN_PRICED_MAX + 3]; /* of each place's edges */
    bool is_sure[PATTERN_PRICED_MAX + 2]; /* at the end already: whoever is there never goes back */
    bool meets[PATTERN_PRICED_MAX + 2][PATTERN_PRICED_MAX + 2]; /* take a character in common */
};

/* ---- places and where they lead ---- */

struct reach { /* from one place */
    const struct pattern *p;
    const int *place_of; /* instruction to place */
    uint8_t *seen;       /* of each instruction: 0, 1, 2 times */
    bool is_done, is_done_at_end; /* wherever the text goes on; where it ends */
};

static void
follow(struct reach *r, int at, bool at_end)
{
    const struct instruction *in = &r->p->at[at];

    if (r->seen[at] == 2)
        return;
    r->seen[at]++;
    switch (in->op) {
    case OP_SET: break;
    case OP_DONE: *(at_end ? &r->is_done_at_end : &r->is_done) = true; break;
    case OP_JUMP: follow(r, in->to, at_end); break;
    case OP_SPLIT: follow(r, in->to, at_end); follow(r, in->or_to, at_end); break;
    case OP_BEGIN:
    case OP_END: follow(r, at + 1, true); break;
    }
}

static bool
is_any(const uint8_t set[static 32])
{
    uint8_t rest[32];

    for (int i = 0; i < 32; i++)
        rest[i] = (uint8_t)~set[i];
    set_remove_line_ends(rest);
    for (int i = 0; i < 32; i++)
        if (rest[i] != 0)
            return false;
    return true;
}

/* The edges of a place, from the instruction behind it; `search`: a place that may be taken instead, or -1. */
static bool
add_edges(struct graph *g, struct reach *r, int place, int behind, int search)
{
    int *count = &g->first[place + 1];

    *count = g->first[place];
    memset(r->seen, 0, (size_t)r->p->count);
    r->is_done = r->is_done_at_end = false;
    follow(r, behind, false);
    for (int i = 0; i < r->p->count; i++) {
        if (r->p->at[i].op != OP_SET || r->seen[i] == 0)
            continue;
        if (*count == EDGES_MAX - 1)
            return false;
        g->edges[(*count)++] = (struct edge){r->place_of[i], r->seen[i] == 2};
    }
    if (search >= 0)
        g->edges[(*count)++] = (struct edge){search, false};
    g->is_sure[place] = r->is_done || (r->is_done_at_end && *count == g->first[place] + 1 &&
                                       g->edges[g->first[place]].to == place && is_any(g->sets[place]));
    return true;
}

static bool
has_common(const uint8_t a[static 32], const uint8_t b[static 32])
{
    uint8_t both[32];
    int any = 0;

    for (int i = 0; i < 32; i++)
        both[i] = a[i] & b[i];
    set_remove_line_ends(both);
    for (int i = 0; i < 32; i++)
        any |= both[i];
    return any != 0;
}

/* Places in the order of the text, then the one that looks for the beginning (unless it is found once), then the start. */
static bool
make_graph(const struct pattern *p, bool is_anchored, struct graph *g)
{
    cleanup_free int *place_of = mem_new((size_t)p->count * sizeof(int));
    cleanup_free uint8_t *seen = mem_new((size_t)p->count);
    struct reach r = {.p = p, .place_of = place_of, .seen = seen};
    int search = -1, place = 0;

    memset(g->any, 0xff, sizeof(g->any));
    for (int i = 0; i < p->count; i++) {
        if (p->at[i].op != OP_SET)
            continue;
        if (g->count == PATTERN_PRICED_MAX)
            return false;
        g->sets[g->count] = p->at[i].set;
        place_of[i] = g->count++;
    }
    if (!is_anchored)
        g->sets[search = g->count++] = g->any;
    g->sets[g->count++] = g->any;
    for (int i = 0; i < p->count; i++)
        if (p->at[i].op == OP_SET && !add_edges(g, &r, place++, i + 1, -1))
            return false;
    for (; place < g->count; place++)
        if (!add_edges(g, &r, place, 0, search))
            return false;
    for (int a = 0; a < g->count; a++)
        for (int b = 0; b < g->count; b++)
            g->meets[a][b] = has_common(g->sets[a], g->sets[b]);
    return true;
}

/* ---- circles (Tarjan), of places and of pairs ---- */

struct circles {
    const struct graph *g;
    bool of_pairs;
    int *circle;           /* of each node: its number from 1, the last places' first; 0: not seen */
    int *low, *index, *stack, *work, *at; /* `at`: how many of its edges a node has gone */
    int stack_count, next_index, count;
};

static int
edge_count(const struct circles *c, int node)
{
    const struct graph *g = c->g;
    const int a = c->of_pairs ? node / g->count : node, b = node % g->count;
    const int of_a = g->first[a + 1] - g->first[a];

    return c->of_pairs ? of_a * (g->first[b + 1] - g->first[b]) : of_a;
}

/* Where the edge leads, or -1: the two do not take the same. */
static int
edge_to(const struct circles *c, int node, int edge)
{
    const struct graph *g = c->g;
    const int a = c->of_pairs ? node / g->count : node, b = node % g->count;
    int of_b, to_a, to_b;

    if (!c->of_pairs)
        return g->edges[g->first[a] + edge].to;
    of_b = g->first[b + 1] - g->first[b];
    to_a = g->edges[g->first[a] + edge / of_b].to;
    to_b = g->edges[g->first[b] + edge % of_b].to;
    return g->meets[to_a][to_b] ? to_a * g->count + to_b : -1;
}

static void
close_circle(struct circles *c, int node)
{
    int member;

    c->count++;
    do {
        member = c->stack[--c->stack_count];
        c->circle[member] = c->count;
    } while (member != node);
}

static void
enter(struct circles *c, int node, int *depth)
{
    c->index[node] = c->low[node] = ++c->next_index;
    c->stack[c->stack_count++] = node;
    c->work[(*depth)++] = node;
}

/* Everything that `root` leads to. */
static void
find_circles(struct circles *c, int root)
{
    int depth = 0;

    if (c->index[root] == 0)
        enter(c, root, &depth);
    while (depth > 0) {
        const int node = c->work[depth - 1];
        int to;

        if (c->at[node] == edge_count(c, node)) {
            if (c->low[node] == c->index[node])
                close_circle(c, node);
            if (--depth > 0 && c->low[node] < c->low[c->work[depth - 1]])
                c->low[c->work[depth - 1]] = c->low[node];
            continue;
        }
        to = edge_to(c, node, c->at[node]++);
        if (to < 0)
            continue;
        if (c->index[to] == 0)
            enter(c, to, &depth);
        else if (c->circle[to] == 0 && c->index[to] < c->low[node])
            c->low[node] = c->index[to];
    }
}

static struct circles
circles_make(const struct graph *g, bool of_pairs)
{
    const size_t n = of_pairs ? (size_t)g->count * (size_t)g->count : (size_t)g->count;
    int *all = mem_new(n * 6 * sizeof(int));
    struct circles c = {.g = g, .of_pairs = of_pairs, .circle = all, .low = all + n, .index = all + 2 * n,
                        .stack = all + 3 * n, .work = all + 4 * n, .at = all + 5 * n};
    const int start = g->count - 1;

    find_circles(&c, of_pairs ? start * g->count + start : start);
    /* Two ways part wherever one has come to: pairs begin at every place. */
    for (int i = 0; of_pairs && i < g->count; i++)
        find_circles(&c, i * g->count + i);
    return c;
}

static void
circles_done(struct circles *c)
{
    free(c->circle);
}

/* ---- the verdict ---- */

/* May a text have more ways with each round of a circle? */
static bool
doubles(const struct graph *g, const struct circles *places, const struct circles *pairs)
{
    cleanup_free uint8_t *has_same = mem_new((size_t)pairs->count + 1);

    for (int a = 0; a < g->count; a++)
        for (int i = g->first[a]; i < g->first[a + 1]; i++)
            if (g->edges[i].is_double && places->circle[a] == places->circle[g->edges[i].to])
                return true;
    for (int a = 0; a < g->count; a++)
        has_same[pairs->circle[a * g->count + a]] = 1;
    for (int a = 0; a < g->count; a++)
        for (int b = 0; b < g->count; b++)
            if (a != b && pairs->circle[a * g->count + b] != 0 && has_same[pairs->circle[a * g->count + b]] != 0)
                return true;
    return false;
}

static bool
is_loop(const struct circles *c, int node)
{
    for (int i = 0; i < edge_count(c, node); i++) {
        const int to = edge_to(c, node, i);
        if (to >= 0 && c->circle[to] == c->circle[node])
            return true;
    }
    return false;
}

/* How many loops a text may be in, one after the other, that all could have taken it.  Circles are numbered from
 * the end of the expression. */
static int
longest_chain(const struct graph *g, const struct circles *places, const struct circles *pairs)
{
    cleanup_free int *chain = mem_new(((size_t)places->count + 1) * sizeof(int));
    int longest = 0;

    for (int number = 1; number <= places->count; number++) {
        for (int a = 0; a < g->count; a++) {
            if (places->circle[a] != number || g->is_sure[a] || !is_loop(places, a))
                continue;
            chain[number] = chain[number] > 1 ? chain[number] : 1;
            for (int b = 0; b < g->count; b++) {
                const int pair = a * g->count + b, other = places->circle[b];
                if (other != 0 && other < number && chain[other] + 1 > chain[number] && !g->is_sure[b] &&
                    pairs->circle[pair] != 0 && is_loop(pairs, pair))
                    chain[number] = chain[other] + 1;
            }
        }
        longest = chain[number] > longest ? chain[number] : longest;
    }
    return longest;
}

/* Splits between the first place of a group that repeats and its jump back. */
static int
count_choices(const struct pattern *p)
{
    int most = 0;

    for (int i = 0; i < p->count; i++) {
        int choices = 0;
        if (p->at[i].op != OP_JUMP || p->at[i].to > i || !p->at[i].is_group) /* a character remembers nothing */
            continue;
        for (int k = p->at[i].to; k < i; k++)
            choices += p->at[k].op == OP_SPLIT;
        most = choices > most ? choices : most;
    }
    return most;
}

static void
judge(const struct graph *g, struct pattern_price *out)
{
    struct circles places = circles_make(g, false), pairs = circles_make(g, true);
    const int chain = longest_chain(g, &places, &pairs);

    out->growth = doubles(g, &places, &pairs) || chain > 2 ? PATTERN_WORSE : chain == 2 ? PATTERN_QUADRATIC : PATTERN_LINEAR;
    circles_done(&places);
    circles_done(&pairs);
}

/* Wherever it begins it may fail at its end only. */
static int
count_steps(struct str text)
{
    struct err err;
    struct pattern *whole = pattern_parse(text, &err);
    const int steps = whole != NULL ? whole->count : PATTERN_SIZE_MAX;

    pattern_free(whole);
    return steps;
}

static bool
reckon(struct str text, bool ignores_case, struct pattern_price *out, struct err *err)
{
    const struct pattern_dialect rough = {.ignores_case = ignores_case, .is_rough = true};
    struct pattern *p = pattern_parse_as(text, &rough, err);
    cleanup_free struct graph *g = mem_new(sizeof(*g));
    bool is_small, is_at_one_place;

    if (p == NULL)
        return false;
    g->edges = mem_new(EDGES_MAX * sizeof(g->edges[0]));
    is_at_one_place = p->at[0].op == OP_BEGIN || pattern_lead(text) >= 0;
    is_small = make_graph(p, is_at_one_place, g);
    if (is_small) {
        judge(g, out);
        out->choices = count_choices(p);
        out->steps = is_at_one_place ? 1 : count_steps(text);
    }
    free(g->edges);
    pattern_free(p);
    return is_small || err_set(err, ERR_INVALID_PARAMETER, "The regular expression '" STR_FMT "' is too large.",
                               STR_ARG(str_slice(text, 0, 100)));
}

/* ---- what was reckoned before ---- */

#define MEMORY_SETS 512
#define MEMORY_WAYS 8
#define MEMORY_TEXT 128 /* characters; what rules have at most */

struct remembered {
    char text[MEMORY_TEXT + 1];
    bool is_there, ignores_case;
    struct pattern_price price;
};

/* Every view of the balancer asks for all expressions again, and one may take some milliseconds.  A price is told by
 * the text alone, so what is remembered can be no other.  The balancer asks on a thread of its own while the API does on
 * another: who finds the memory in use goes without. */
static struct {
    struct remembered at[MEMORY_SETS][MEMORY_WAYS];
    unsigned next[MEMORY_SETS]; /* way to be given up */
    atomic_flag is_in_use;
    atomic_llong reckoned;
} memory = {.is_in_use = ATOMIC_FLAG_INIT};

int64_t
pattern_prices_reckoned(void)
{
    return atomic_load(&memory.reckoned);
}

static bool
memory_take(void)
{
    return !atomic_flag_test_and_set_explicit(&memory.is_in_use, memory_order_acquire);
}

static void
memory_leave(void)
{
    atomic_flag_clear_explicit(&memory.is_in_use, memory_order_release);
}

static unsigned
set_of(struct str text, bool ignores_case)
{
    return (unsigned)(hash_text(text, ignores_case) % MEMORY_SETS);
}

static bool
remember(struct str text, bool ignores_case, struct pattern_price *out)
{
    const struct remembered *set = memory.at[set_of(text, ignores_case)];
    bool is_known = false;

    if (!memory_take())
        return false;
    for (int i = 0; i < MEMORY_WAYS && !is_known; i++) {
        is_known = set[i].is_there && set[i].ignores_case == ignores_case && str_is(text, set[i].text);
        if (is_known)
            *out = set[i].price;
    }
    memory_leave();
    return is_known;
}

static void
keep(struct str text, bool ignores_case, const struct pattern_price *price)
{
    const unsigned set = set_of(text, ignores_case);
    struct remembered *r;

    if (text.len > MEMORY_TEXT || memchr(text.at, '\0', text.len) != NULL || !memory_take())
        return;
    r = &memory.at[set][memory.next[set]++ % MEMORY_WAYS];
    r->is_there = text_copy(r->text, sizeof(r->text), text);
    r->ignores_case = ignores_case;
    r->price = *price;
    memory_leave();
}

bool
pattern_price(struct str text, bool ignores_case, struct pattern_price *out, struct err *err)
{
    if (remember(text, ignores_case, out))
        return true;
    atomic_fetch_add(&memory.reckoned, 1);
    if (!reckon(text, ignores_case, out, err))
        return false;
    keep(text, ignores_case, out);
    return true;
}

bool
pattern_limit(const struct pattern_price *price, struct str text, int *longest_out, struct err *err)
{
    int longest;

    if (price->growth == PATTERN_WORSE || price->choices > CHOICES_MAX / LONGEST_MIN)
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The regular expression '" STR_FMT "' could take too long: parts of it that repeat can take the "
                       "same characters in too many ways.", STR_ARG(str_slice(text, 0, 128)));
    longest = price->growth == PATTERN_QUADRATIC ? QUADRATIC_MAX : 0;
    if (price->choices > 0 && (longest == 0 || CHOICES_MAX / price->choices < longest))
        longest = CHOICES_MAX / price->choices;
    *longest_out = longest;
    return true;
}

bool
pattern_longest(struct str text, bool ignores_case, int *longest_out, struct err *err)
{
    struct pattern_price price;

    return pattern_price(text, ignores_case, &price, err) && pattern_limit(&price, text, longest_out, err);
}
