/* SPDX-License-Identifier: MIT */
/* matcher.c - what `text =~ pattern` gives: truthy if there is a match, a list of matches by its
 * index, and Java's find(), matches(), group(). */
#include "pipeline/groovy/interp_scope.h"

bool
object_matcher(struct interp *in, const struct node *at, struct str text, struct str pattern,
               struct value *out)
{
    struct value all;

    if (!regex_find_all(in, at, text, pattern, true, &all))
        return false;
    *out = value_object(in->arena, "Matcher");
    out->object->text = text;
    out->object->pattern = pattern;
    out->object->list = all.list;
    out->object->number = -1;
    return true;
}

static bool
group(struct interp *in, const struct node *at, const struct object *m, struct value which,
      struct value *out)
{
    struct value match;
    size_t n = 0;

    if (m->number < 0 || (size_t)m->number >= m->list->count)
        return interp_throw(in, at, "IllegalStateException", "No match found");
    if (value_is_integer(which))
        n = which.number < 0 ? SIZE_MAX : (size_t)which.number;
    else if (!regex_group_number(in, at, m->pattern, interp_text(in, which), &n))
        return false;
    match = m->list->at[m->number];
    if (match.type == V_LIST && n < match.list->count)
        *out = match.list->at[n];
    else if (match.type != V_LIST && n == 0)
        *out = match;
    else
        return interp_throw(in, at, "IndexOutOfBoundsException", "No group %zd", (ssize_t)n);
    return true;
}

bool
method_matcher(struct interp *in, const struct node *call, struct value object, struct str name,
               const struct args *args, struct value *out, bool *found)
{
    struct object *m = object.object;
    struct value all;
    bool truth;

    *found = true;
    if (str_is(name, "find") && args->count == 0) {
        *out = value_bool(value_truth(object));
    } else if ((str_is(name, "start") || str_is(name, "end")) && args->count <= 1) {
        if (!group(in, call, m, args->count == 1 ? args->at[0] : value_int(0), out))
            return false;
        if (out->type != V_TEXT) { /* it took no part */
            *out = value_int(-1);
            return true;
        }
        /* A match is a piece of the text. */
        const size_t from = (size_t)(out->text.at - m->text.at);
        *out = value_int((int64_t)text_count(
            str_slice(m->text, 0, str_is(name, "start") ? from : from + out->text.len)));
    } else if ((str_is(name, "matches") || str_is(name, "lookingAt")) && args->count == 0) {
        if (!regex_match_groups(in, call, m->text, m->pattern, &all))
            return false;
        truth = all.list->count > 0;
        if (truth) {
            m->list = all.list;
            m->number = 0;
        }
        *out = value_bool(truth);
    } else if (str_is(name, "group") && args->count <= 1) {
        return group(in, call, m, args->count == 1 ? args->at[0] : value_int(0), out);
    } else if (str_is(name, "groupCount") || str_is(name, "hasGroup")) {
        const size_t groups = m->list->count > 0 && m->list->at[0].type == V_LIST
                                  ? m->list->at[0].list->count - 1
                                  : 0;
        *out = str_is(name, "hasGroup") ? value_bool(groups > 0) : value_int((int64_t)groups);
    } else if ((str_is(name, "getCount") || str_is(name, "size")) && args->count == 0) {
        *out = value_int((int64_t)m->list->count);
        m->number = -1;
    } else if (str_is(name, "reset")) {
        m->number = -1;
        *out = object;
    } else if ((str_is(name, "replaceAll") || str_is(name, "replaceFirst")) && args->count == 1) {
        struct str text;
        struct value with = args->at[0];
        if (with.type != V_CLOSURE)
            with = value_text(interp_text(in, with));
        if (!regex_replace(in, call, m->text, m->pattern, with, str_is(name, "replaceAll"), &text))
            return false;
        *out = value_text(text);
    } else { /* each, collect, findAll ... */
        if (!method_call(in, call, (struct value){.type = V_LIST, .list = m->list}, name, args,
                         out, found))
            return false;
        if (str_is(name, "each"))
            *out = object;
    }
    return true;
}
