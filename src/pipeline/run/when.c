/* SPDX-License-Identifier: MIT */
#include "pipeline/run/when.h"

#include <ctype.h>
#include <stdio.h>
#include "pipeline/language/step_table.h"
#include "pipeline/run/changes.h"

const char *
when_place(const struct node *when)
{
    static const char *const places[] = {"beforeOptions", "beforeInput", "beforeAgent"};

    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        const struct node *n = section_entry(when, places[i]);
        if (n != NULL && n->first != NULL && n->first->type == N_BOOL && n->first->number != 0)
            return places[i];
    }
    return "";
}

static char
folded(char c, bool ignore_case)
{
    return ignore_case ? (char)tolower((unsigned char)c) : c;
}

/* "**" crosses folders only where it is a segment by itself; "**.jar" is "*.jar". */
static bool
is_deep(struct str pattern, size_t p)
{
    return p + 1 < pattern.len && pattern.at[p] == '*' && pattern.at[p + 1] == '*' &&
           (p == 0 || pattern.at[p - 1] == '/') &&
           (p + 2 == pattern.len || pattern.at[p + 2] == '/');
}

/* Ant style: '*' and '?' within a segment, '**' across.  Backtracks over the last star only for
 * each kind, so the time is at most pattern times path. */
bool
glob_match(struct str pattern, struct str path, bool ignore_case)
{
    size_t p = 0, s = 0;
    size_t star_p = SIZE_MAX, star_s = 0, deep_p = SIZE_MAX, deep_s = 0;

    for (;;) {
        if (is_deep(pattern, p)) {
            p += 2;
            if (p < pattern.len && pattern.at[p] == '/')
                p++; /* "**" + "/" also stands for no directory at all */
            if (p == pattern.len)
                return true;
            deep_p = p;
            deep_s = s;
            star_p = SIZE_MAX;
            continue;
        }
        if (p < pattern.len && pattern.at[p] == '*') {
            star_p = ++p;
            star_s = s;
            continue;
        }
        if (s == path.len) {
            if (p == pattern.len)
                return true;
            /* "dir" + "/" + "**" also matches "dir" */
            if (pattern.len - p == 3 && memcmp(pattern.at + p, "/**", 3) == 0)
                return true;
            return false;
        }
        if (p < pattern.len &&
            (folded(pattern.at[p], ignore_case) == folded(path.at[s], ignore_case) ||
             (pattern.at[p] == '?' && path.at[s] != '/'))) {
            p++;
            s++;
            continue;
        }
        if (star_p != SIZE_MAX && path.at[star_s] != '/') {
            p = star_p;
            s = ++star_s;
            continue;
        }
        if (deep_p == SIZE_MAX)
            return false;
        /* The next segment boundary is where "**" may end. */
        while (deep_s < path.len && path.at[deep_s] != '/')
            deep_s++;
        if (deep_s == path.len)
            return false;
        s = ++deep_s;
        p = deep_p;
        star_p = SIZE_MAX;
    }
}

struct condition {
    struct run *run;
    const struct node *at;
    struct args args;
};

static struct str
arg_text(const struct condition *c, const char *name, bool is_first)
{
    const struct value *v = map_find_text(c->args.named, name);

    if (v == NULL && is_first && c->args.count > 0)
        v = &c->args.at[0];
    return v == NULL || v->type == V_NULL ? (struct str){0} : value_to_text(&c->run->arena, *v);
}

static bool
env_text(const struct condition *c, const char *name, struct str *out)
{
    struct value v;
    bool found;

    *out = (struct str){0};
    if (!run_env_get(c->run, str_of(name), &v, &found))
        return false;
    if (found)
        *out = v.text;
    return true;
}

static bool
compare(const struct condition *c, struct str pattern, struct str text, const char *fallback,
        bool ignore_case, bool *out)
{
    struct str how = arg_text(c, "comparator", false);

    if (how.len == 0)
        how = str_of(fallback);
    if (str_is(how, "REGEXP"))
        return regex_matches(&c->run->in, c->at, text, pattern, out);
    if (!str_is(how, "EQUALS") && !str_is(how, "GLOB"))
        return interp_throw(&c->run->in, c->at, "IllegalArgumentException",
                            "'" STR_FMT "' is not a comparator; use GLOB, REGEXP or EQUALS",
                            STR_ARG(how));
    *out =
        str_is(how, "EQUALS") ? str_equal(pattern, text) : glob_match(pattern, text, ignore_case);
    return true;
}

static bool
when_branch(const struct condition *c, bool *out)
{
    struct str branch;

    if (!env_text(c, "BRANCH_NAME", &branch) ||
        (branch.len == 0 && !env_text(c, "GIT_LOCAL_BRANCH", &branch)))
        return false;
    return branch.len == 0 || compare(c, arg_text(c, "pattern", true), branch, "GLOB", true, out);
}

static bool
when_tag(const struct condition *c, bool *out)
{
    struct str tag, pattern = arg_text(c, "pattern", true);

    if (!env_text(c, "TAG_NAME", &tag))
        return false;
    *out = tag.len > 0;
    if (tag.len == 0 || pattern.len == 0)
        return true;
    return compare(c, pattern, tag, "GLOB", true, out);
}

static bool
when_change_request(const struct condition *c, bool *out)
{
    static const struct {
        const char *field, *variable;
    } fields[] = {
        {"id", "CHANGE_ID"},
        {"target", "CHANGE_TARGET"},
        {"branch", "CHANGE_BRANCH"},
        {"fork", "CHANGE_FORK"},
        {"url", "CHANGE_URL"},
        {"title", "CHANGE_TITLE"},
        {"author", "CHANGE_AUTHOR"},
        {"authorDisplayName", "CHANGE_AUTHOR_DISPLAY_NAME"},
        {"authorEmail", "CHANGE_AUTHOR_EMAIL"},
    };
    struct str id;

    if (!env_text(c, "CHANGE_ID", &id))
        return false;
    *out = id.len > 0;
    for (size_t i = 0; i < ARRAY_COUNT(fields) && *out; i++) {
        struct str wanted = arg_text(c, fields[i].field, false), value;
        if (wanted.len == 0)
            continue;
        if (!env_text(c, fields[i].variable, &value) ||
            !compare(c, wanted, value, "EQUALS", false, out))
            return false;
    }
    return true;
}

static bool
when_changeset(const struct condition *c, bool *out)
{
    struct str pattern = arg_text(c, "pattern", true);
    const struct value *sensitive = map_find_text(c->args.named, "caseSensitive");
    const bool ignore_case = sensitive == NULL || !value_truth(*sensitive);
    const struct runner_config *config = c->run->config;
    const struct json *commits = changes_to_judge(c->run);

    if (pattern.len == 0)
        pattern = arg_text(c, "glob", false);
    for (size_t i = 0; i < json_size(commits) && !*out; i++) {
        const struct json *files = json_get(json_at(commits, i), "files");
        for (size_t k = 0; k < json_size(files) && !*out; k++)
            if (!compare(c, pattern, str_of(json_get_cstr(json_at(files, k), "path", "")), "GLOB",
                         ignore_case, out))
                return false;
    }
    for (size_t i = 0; i < config->changed_path_count && !*out; i++)
        if (!compare(c, pattern, config->changed_paths[i], "GLOB", ignore_case, out))
            return false;
    return true;
}

/* The whole of a title, or of a line of a message. */
static bool
when_changelog(const struct condition *c, bool *out)
{
    struct str pattern = arg_text(c, "pattern", true);
    const struct json *commits = changes_to_judge(c->run);

    for (size_t i = 0; i < json_size(commits) && !*out; i++) {
        struct str rest = str_of(json_get_cstr(json_at(commits, i), "comment", "")), line;
        while (!*out && str_split(&rest, '\n', &line))
            if (!regex_matches(&c->run->in, c->at, str_trim(line), pattern, out))
                return false;
    }
    return true;
}

static bool
when_environment(const struct condition *c, bool *out)
{
    struct str name = arg_text(c, "name", false), wanted = arg_text(c, "value", false), value;
    const struct value *nocase = map_find_text(c->args.named, "ignoreCase");

    if (!env_text(c, arena_cstr(&c->run->arena, name), &value))
        return false;
    *out = nocase != NULL && value_truth(*nocase) ? str_equal_nocase(value, wanted)
                                                  : str_equal(value, wanted);
    return true;
}

static bool
when_triggered_by(const struct condition *c, bool *out)
{
    struct str wanted = arg_text(c, "cause", true);
    struct str cause =
        str_of(c->run->config->cause == NULL ? "UserIdCause" : c->run->config->cause);

    *out = wanted.len > 0 && wanted.len <= cause.len &&
           str_equal_nocase(wanted, str_slice(cause, 0, wanted.len));
    return true;
}

static bool holds(struct run *run, const struct node *n, bool *out);

static bool
all_or_any(struct run *run, const struct node *call, bool all, bool *out)
{
    *out = all;
    for (const struct node *n = section_block(call)->first; n != NULL && *out == all; n = n->next) {
        const struct step_type *type = when_type_find(n->text);
        if (type != NULL && str_starts(n->text, STR("before")))
            continue;
        if (!holds(run, n, out))
            return false;
    }
    return true;
}

static bool
when_expression(struct run *run, const struct node *n, bool *out)
{
    struct closure c = {.node = section_block(n), .scope = run->in.scope};
    struct value v;

    if (!interp_call_closure(&run->in, &c, NULL, 0, &v))
        return false;
    *out = value_truth(v);
    return true;
}

static bool
holds(struct run *run, const struct node *n, bool *out)
{
    static const struct {
        const char *name;
        bool (*check)(const struct condition *c, bool *out);
    } table[] = {
        {"branch", when_branch},
        {"tag", when_tag},
        {"buildingTag", when_tag},
        {"changeRequest", when_change_request},
        {"changeset", when_changeset},
        {"changelog", when_changelog},
        {"environment", when_environment},
        {"triggeredBy", when_triggered_by},
    };
    struct condition c = {.run = run, .at = n};

    *out = false;
    if (str_is(n->text, "allOf") || str_is(n->text, "anyOf"))
        return all_or_any(run, n, str_is(n->text, "allOf"), out);
    if (str_is(n->text, "not")) {
        if (!holds(run, section_block(n)->first, out))
            return false;
        *out = !*out;
        return true;
    }
    if (str_is(n->text, "expression"))
        return when_expression(run, n, out);
    if (!interp_args(&run->in, n, &c.args))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (str_is(n->text, table[i].name))
            return table[i].check(&c, out);
    if (str_is(n->text, "equals")) {
        const struct value *a = map_find_text(c.args.named, "expected");
        const struct value *b = map_find_text(c.args.named, "actual");
        *out = a != NULL && b != NULL && value_equal(*a, *b);
        return true;
    }
    if (str_is(n->text, "isRestartedRun")) {
        *out = run->config->restart_stage != NULL;
        return true;
    }
    return interp_throw(&run->in, n, "UnsupportedFeature",
                        "the condition '" STR_FMT "' is not supported yet", STR_ARG(n->text));
}

bool
when_holds(struct run *run, const struct node *when, bool *out)
{
    return all_or_any(run, when, true, out);
}
