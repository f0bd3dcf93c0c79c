/* SPDX-License-Identifier: MIT */
/* methods.h - a call of a method on a value of the language, as the files of methods share it. */
#pragma once
#include "pipeline/groovy/interp_scope.h"

struct call {
    struct interp *in;
    const struct node *at;
    struct value self;
    struct str text; /* of a text: its bytes */
    struct str name;
    const struct args *args;
    struct value *out;
    const struct closure *block; /* the last argument, if it is one */
};

static inline struct call
call_make(struct interp *in, const struct node *at, struct value self, struct str name,
          const struct args *args, struct value *out)
{
    struct call c = {in, at, self, {0}, name, args, out, NULL};

    if (self.type == V_TEXT)
        c.text = self.text;
    if (args->count > 0 && args->at[args->count - 1].type == V_CLOSURE)
        c.block = args->at[args->count - 1].closure;
    return c;
}

/* Is it this method, with so many arguments? */
static inline bool
call_is(const struct call *c, const char *name, size_t arguments)
{
    return c->args->count == arguments && str_is(c->name, name);
}

/* An argument as text; empty if there is none. */
static inline struct str
call_text(const struct call *c, size_t i)
{
    return i < c->args->count ? interp_text(c->in, c->args->at[i]) : (struct str){0};
}

static inline bool
call_has_integer(const struct call *c, size_t i)
{
    return i < c->args->count && value_is_integer(c->args->at[i]);
}

static inline void
call_give(const struct call *c, const struct strbuf *text)
{
    *c->out = value_text(arena_dup(c->in->arena, strbuf_str(text)));
}

/* The whole value as text, as toString() gives it. */
static inline bool
call_give_shown(const struct call *c)
{
    struct str text;

    if (!interp_to_text(c->in, c->at, c->self, &text))
        return false;
    *c->out = value_text(text);
    return true;
}

static inline bool
closure_takes_two(const struct closure *block)
{
    const struct node *params = block == NULL || block->node == NULL ? NULL : block->node->params;

    return params != NULL && params->next != NULL;
}

/* methods.c. The block gets an entry of a map, or its key and its value if it takes two. */
bool call_with_entry(const struct call *c, const struct closure *block, struct value entry,
                     struct value *result) MUST_CHECK;
/* What a block of collectEntries() gave: a map, a pair or an entry. */
bool map_put_entry(const struct call *c, struct value entry, struct map *to) MUST_CHECK;
/* methods_text_rare.c. In capitals, or in small letters. */
void text_add_cased(struct strbuf *out, struct str s, bool up);
bool method_text_rare(const struct call *c, bool *ok);
/* methods_collections.c. False: no such method. */
bool method_list_rare(const struct call *c, bool *ok);
bool method_map_rare(const struct call *c, bool *ok);
bool method_iterator(const struct call *c, bool *ok);
/* methods_number.c: upto, downto, step. The block gets each number from `from` to `last`, both with. */
bool call_each_number(const struct call *c, int64_t from, int64_t last, int64_t by) MUST_CHECK;
/* methods_map.c: of a list that is a view of a map, what would change it. */
bool method_view(const struct call *c, bool *ok);
/* What TreeMap has beside. */
bool method_sorted_map(const struct call *c, bool *ok);
/* objects_time.c. False: no such method. */
bool local_date_method(const struct call *c, bool *ok);
bool local_date_static(const struct call *c, bool *ok);
/* methods_sets.c. False: no such method. */
bool method_unique(const struct call *c, bool *ok);
bool method_sets(const struct call *c, bool *ok);
