/* SPDX-License-Identifier: MIT */
/* build_info.c - currentBuild, and the builds of the branch before it (currentBuild.previousBuild and
 * so on): those that are kept, at most what config->history holds. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "pipeline/run/changes.h"
#include "pipeline/run/journal.h"

/* What a HOST_BUILD points to. */
struct past {
    const struct json *record; /* as build_to_public_json() shows it */
    size_t index;              /* 0: right before this build */
    bool is_upstream;          /* of another job: nothing is known of what lies around it */
};

static struct value
settled(struct run *run, struct value v)
{
    journal_settle(&run->in, &v);
    return v;
}

static struct value
duration_text(struct run *run, int64_t ms)
{
    return value_cstr(&run->arena, arena_format(&run->arena, "%.1f sec", (double)ms / 1000.0));
}

/* ---- earlier builds ---- */

static struct value
past_value(struct run *run, size_t index)
{
    struct past *p = arena_alloc(&run->arena, sizeof(*p));
    struct value v = value_host(HOST_BUILD);

    *p = (struct past){json_at(run->config->history, index), index, false};
    v.data = p;
    return v;
}

/* The first from `index` on of one of these results (names with blanks between; NULL: any). */
static struct value
find_past(struct run *run, size_t index, const char *results)
{
    const struct json *history = run->config->history;

    for (; index < json_size(history); index++) {
        struct str rest = str_of(results), one;
        const char *result = json_get_cstr(json_at(history, index), "result", "");
        if (results == NULL)
            return past_value(run, index);
        while (str_split(&rest, ' ', &one))
            if (str_is(one, result))
                return past_value(run, index);
    }
    return value_null();
}

/* previousBuild and its like, of this build (`index` 0) or an earlier one. */
static bool
get_previous(struct run *run, size_t index, struct str name, struct value *out)
{
    static const struct {
        const char *name, *results;
    } rows[] = {
        {"previousBuild", NULL},
        {"previousCompletedBuild", NULL},
        {"previousSuccessfulBuild", "SUCCESS UNSTABLE"},
        {"previousNotFailedBuild", "SUCCESS UNSTABLE NOT_BUILT ABORTED"},
        {"previousFailedBuild", "FAILURE"},
        {"previousBuiltBuild", "SUCCESS UNSTABLE FAILURE ABORTED"},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_is(name, rows[i].name)) {
            *out = find_past(run, index, rows[i].results);
            return true;
        }
    if (str_is(name, "previousBuildInProgress")) {
        *out = value_null();
        return true;
    }
    return false;
}

/* ---- why a build was started ---- */

static const struct cause {
    const char *name, *class_name, *description;
} causes[] = {
    {"BranchEventCause", "jenkins.branch.BranchEventCause", "Push event to branch"},
    {"BranchIndexingCause", "jenkins.branch.BranchIndexingCause", "Branch indexing"},
    {"UserIdCause", "hudson.model.Cause$UserIdCause", "Started by user"},
    {"TimerTrigger", "hudson.triggers.TimerTrigger$TimerTriggerCause", "Started by timer"},
    {"SCMTrigger", "hudson.triggers.SCMTrigger$SCMTriggerCause", "Started by an SCM change"},
    {"UpstreamCause", "hudson.model.Cause$UpstreamCause", "Started by upstream project"},
    {"BuildUpstreamCause", "org.jenkinsci.plugins.workflow.support.steps.build.BuildUpstreamCause",
     "Started by upstream project"},
    {"ReplayCause", "org.jenkinsci.plugins.workflow.cps.replay.ReplayCause", "Replayed"},
};

static struct value
causes_of(struct run *run, const char *name, const struct args *args)
{
    struct arena *a = &run->arena;
    struct value list = value_list(a), cause = value_map(a);
    struct str wanted = args->count > 0 ? value_to_text(a, args->at[0]) : STR("");
    struct cause c = {name, name, "Started by user"};

    for (size_t i = 0; i < ARRAY_COUNT(causes); i++)
        if (strcmp(name, causes[i].name) == 0)
            c = causes[i];
    if (wanted.len > 0 && !str_is(wanted, c.class_name) && !str_is(wanted, c.name))
        return list;
    map_put_text(a, cause.map, "_class", value_cstr(a, c.class_name));
    map_put_text(a, cause.map, "shortDescription", value_cstr(a, c.description));
    list_add(a, list.list, cause);
    return list;
}

/* ---- what both have ---- */

static struct value
full_name(struct run *run, struct str job, const char *display_name)
{
    ptrdiff_t slash = str_rindex(job, '/');

    if (slash <= 0)
        return value_cstr(&run->arena,
                          arena_format(&run->arena, STR_FMT " %s", STR_ARG(job), display_name));
    return value_cstr(&run->arena,
                      arena_format(&run->arena, STR_FMT " » " STR_FMT " %s", (int)slash, job.at,
                                   STR_ARG(str_slice(job, (size_t)slash + 1, job.len)),
                                   display_name));
}

static struct value
upstream_value(struct run *run)
{
    struct value list = value_list(&run->arena);

    for (size_t i = 0; i < json_size(run->config->upstream); i++) {
        struct past *p = arena_alloc(&run->arena, sizeof(*p));
        struct value v = value_host(HOST_BUILD);
        *p = (struct past){json_at(run->config->upstream, i), i, true};
        v.data = p;
        list_add(&run->arena, list.list, v);
    }
    return list;
}

void
runner_add_branch(struct strbuf *out, const char *branch)
{
    for (const char *c = branch; *c != '\0'; c++) {
        if (*c == '/' || *c == '%')
            strbuf_addf(out, "%%%02X", (unsigned)*c);
        else
            strbuf_add_char(out, *c);
    }
}

/* Of `p`, or of this build. */
static struct str
job_of(struct run *run, const struct past *p)
{
    cleanup(strbuf_done) struct strbuf branch = {0};

    if (p == NULL || !p->is_upstream)
        return str_of(run->config->job_name);
    runner_add_branch(&branch, json_get_cstr(p->record, "branch", ""));
    return str_of(arena_format(&run->arena, "%s/%s", json_get_cstr(p->record, "pipeline", ""), strbuf_cstr(&branch)));
}

static bool
get_of_job(struct run *run, const struct past *p, struct str name, struct value *out)
{
    struct str job = job_of(run, p);
    ptrdiff_t slash = str_rindex(job, '/');

    if (str_is(name, "fullProjectName"))
        *out = value_text(job);
    else if (str_is(name, "projectName"))
        *out = value_text(str_slice(job, slash < 0 ? 0 : (size_t)slash + 1, job.len));
    else if (str_is(name, "upstreamBuilds"))
        *out = p == NULL ? upstream_value(run) : value_list(&run->arena);
    else
        return false;
    return true;
}

static bool
unknown(struct run *run, const struct node *at, struct str name)
{
    if (str_is(name, "rawBuild"))
        return interp_throw(&run->in, at, "RejectedAccessException",
                            "currentBuild.rawBuild is not available to scripts");
    return interp_throw(&run->in, at, "UnsupportedFeature",
                        "currentBuild." STR_FMT " is not supported", STR_ARG(name));
}

/* ".../builds/web/7/" of this build is ".../builds/web/6/" of that one. */
static struct value
past_url(struct run *run, int64_t number)
{
    struct str url = str_of(run->config->build_url);
    ptrdiff_t slash;

    if (url.len > 0)
        url.len--;
    slash = str_rindex(url, '/');
    if (slash < 0)
        return value_null();
    return value_cstr(&run->arena, arena_format(&run->arena, STR_FMT "/%lld/",
                                                STR_ARG(str_slice(url, 0, (size_t)slash)),
                                                (long long)number));
}

static struct value
past_changes(struct run *run, const struct past *p)
{
    const struct json *before = json_at(run->config->history, p->index + 1);
    const char *from = json_get_cstr(before, "commit", NULL);
    const char *to = json_get_cstr(p->record, "commit", NULL);

    if (from == NULL || to == NULL)
        return value_list(&run->arena);
    return changes_value(run, changes_between(run, from, to));
}

static bool
get_of_past(struct run *run, const struct node *at, const struct past *p, struct str name,
            struct value *out)
{
    struct arena *a = &run->arena;
    const struct json *r = p->record;
    const int64_t number = json_get_i64(r, "number", 0), took_ms = json_get_i64(r, "tookMs", 0);
    const char *given = json_get_cstr(r, "displayName", NULL);
    const char *shown = given != NULL ? given : arena_format(a, "#%lld", (long long)number);

    if (get_previous(run, p->is_upstream ? SIZE_MAX : p->index + 1, name, out) ||
        get_of_job(run, p, name, out))
        return true;
    if (str_is(name, "result") || str_is(name, "currentResult"))
        *out = value_cstr(a, json_get_cstr(r, "result", "SUCCESS"));
    else if (str_is(name, "number"))
        *out = value_int(number);
    else if (str_is(name, "id"))
        *out = value_cstr(a, arena_format(a, "%lld", (long long)number));
    else if (str_is(name, "displayName"))
        *out = value_cstr(a, shown);
    else if (str_is(name, "fullDisplayName"))
        *out = full_name(run, job_of(run, p), shown);
    else if (str_is(name, "description"))
        *out = value_cstr(a, json_get_cstr(r, "description", NULL));
    else if (str_is(name, "duration"))
        *out = value_long(took_ms);
    else if (str_is(name, "durationString"))
        *out = duration_text(run, took_ms);
    else if (str_is(name, "timeInMillis"))
        *out = value_long(json_get_i64(r, "queuedAtMs", 0));
    else if (str_is(name, "startTimeInMillis"))
        *out = value_long(json_get_i64(r, "startedAtMs", 0));
    else if (str_is(name, "absoluteUrl"))
        *out = p->is_upstream ? value_null() : past_url(run, number);
    else if (str_is(name, "changeSets"))
        *out = p->is_upstream ? value_list(a) : past_changes(run, p);
    else if (str_is(name, "buildVariables"))
        *out = value_map(a);
    else if (str_is(name, "nextBuild"))
        *out = p->is_upstream  ? value_null()
               : p->index == 0 ? value_host(HOST_CURRENT_BUILD) : past_value(run, p->index - 1);
    else
        return unknown(run, at, name);
    return true;
}

void
build_info_of_other(struct run *run, const struct json *record, struct map *to)
{
    static const char *const names[] = {"projectName", "displayName",    "fullDisplayName", "description",
                                        "duration",    "durationString", "timeInMillis",    "startTimeInMillis"};
    const struct past p = {record, 0, true};
    struct value v;

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (get_of_past(run, NULL, &p, str_of(names[i]), &v))
            map_put_text(&run->arena, to, names[i], v);
}

static bool
get_of_current(struct run *run, const struct node *at, struct str name, struct value *out)
{
    const struct runner_config *c = run->config;
    struct arena *a = &run->arena;
    bool has = run->has_result || (run->shows_result && run->shown != RESULT_SUCCESS);

    if (get_previous(run, 0, name, out) || get_of_job(run, NULL, name, out))
        return true;
    if (str_is(name, "result"))
        *out = has ? value_cstr(a, build_result_name(run_visible_result(run))) : value_null();
    else if (str_is(name, "currentResult"))
        *out = value_cstr(a, build_result_name(run_visible_result(run)));
    else if (str_is(name, "number"))
        *out = value_int(c->number);
    else if (str_is(name, "id"))
        *out = value_cstr(a, arena_format(a, "%lld", (long long)c->number));
    else if (str_is(name, "displayName"))
        *out = value_cstr(a, run->display_name);
    else if (str_is(name, "description"))
        *out = run->description[0] == '\0' ? value_null() : value_cstr(a, run->description);
    else if (str_is(name, "fullDisplayName"))
        *out = full_name(run, str_of(c->job_name), run->display_name);
    else if (str_is(name, "duration"))
        *out = settled(run, value_long(clock_wall_ms() - run->started_ms));
    else if (str_is(name, "durationString"))
        *out = settled(run, duration_text(run, clock_wall_ms() - run->started_ms));
    else if (str_is(name, "timeInMillis") || str_is(name, "startTimeInMillis"))
        *out = value_long(run->started_ms);
    else if (str_is(name, "absoluteUrl"))
        *out = value_cstr(a, c->build_url);
    else if (str_is(name, "changeSets"))
        *out = changes_value(run, changes_of_build(run));
    else if (str_is(name, "nextBuild"))
        *out = value_null();
    else
        return unknown(run, at, name);
    return true;
}

bool
build_info_get(struct run *run, const struct node *at, struct value object, struct str name,
               struct value *out)
{
    return object.host == HOST_BUILD ? get_of_past(run, at, object.data, name, out)
                                     : get_of_current(run, at, name, out);
}

bool
build_info_method(struct run *run, const struct node *call, struct value object, struct str name,
                  const struct args *args, struct value *out, bool *found)
{
    const struct past *p = object.host == HOST_BUILD ? object.data : NULL;
    const char *given = p != NULL ? json_get_cstr(p->record, "cause", "UserIdCause")
                                  : run->config->cause;
    enum build_result than, own = run_visible_result(run);
    char *property;

    *found = true;
    if (str_is(name, "getBuildCauses")) {
        *out = causes_of(run, given == NULL ? "UserIdCause" : given, args);
        return true;
    }
    if (args->count == 1 &&
        (str_is(name, "resultIsBetterOrEqualTo") || str_is(name, "resultIsWorseOrEqualTo"))) {
        if (p != NULL && !build_result_parse(str_of(json_get_cstr(p->record, "result", "")), &own))
            own = RESULT_SUCCESS;
        if (!build_result_parse(value_to_text(&run->arena, args->at[0]), &than))
            return interp_throw(&run->in, call, "IllegalArgumentException", "not a build result");
        *out = value_bool(str_is(name, "resultIsWorseOrEqualTo") ? own >= than : own <= than);
        return true;
    }
    *found = args->count == 0 && name.len > 3 && str_starts(name, STR("get"));
    if (!*found)
        return true;
    property = arena_cstr(&run->arena, str_slice(name, 3, name.len)); /* getNumber() */
    property[0] = (char)(property[0] | 0x20);
    return build_info_get(run, call, object, str_of(property), out);
}
