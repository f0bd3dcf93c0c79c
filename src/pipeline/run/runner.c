/* SPDX-License-Identifier: MIT */
#include "pipeline/run/runner.h"

#include <stdio.h>
#include "base/clock.h"
#include "io/file.h"
#include "pipeline/steps/docker.h"
#include "pipeline/run/build_group.h"
#include "pipeline/run/credentials.h"
#include "pipeline/run/leftovers.h"
#include "pipeline/lock_table.h"
#include "pipeline/run/journal.h"

extern char **environ;

static const char *const result_names[] = {"SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT",
                                           "ABORTED"};

const char *
build_result_name(enum build_result r)
{
    return result_names[r];
}

bool
build_result_parse(struct str name, enum build_result *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(result_names); i++)
        if (str_is(name, result_names[i])) {
            *out = (enum build_result)i;
            return true;
        }
    return false;
}

const char *
stage_state_name(enum stage_state s)
{
    static const char *const names[] = {"RUNNING", "SUCCESS", "UNSTABLE",
                                        "FAILED",  "ABORTED", "SKIPPED"};

    return names[s];
}

static bool
is_private(const struct run *run, struct str name)
{
    static const char *const hidden[] = {"NOTIFY_SOCKET", "INVOCATION_ID", "JOURNAL_STREAM",
                                         "LISTEN_FDS",    "LISTEN_PID",    "WATCHDOG_USEC",
                                         "WATCHDOG_PID"};

    for (size_t i = 0; i < ARRAY_COUNT(hidden); i++)
        if (str_is(name, hidden[i]))
            return true;
    if (str_starts(name, STR("XDG_")) && build_user_is_wanted(run))
        return true; /* folders of the server's user */
    /* What the daemon was started with is not the build's. */
    return str_starts(name, STR("NARU_")) &&
           (str_find(name, STR("SECRET")) >= 0 || str_find(name, STR("ACCESS_KEY")) >= 0);
}

static void
set_base(struct run *run, const char *name, const char *value)
{
    if (value != NULL)
        run_env_set(run, &run->base, str_of(name), str_of(value));
}

/* The key that the steps sign with: of the build alone, or of whoever called `naru build`. */
static bool
is_of_a_key(struct str name)
{
    return str_is(name, "AWS_SECRET_ACCESS_KEY") || str_is(name, "AWS_SESSION_TOKEN");
}

static void
set_base_line(struct run *run, const char *line)
{
    const struct str s = str_of(line);
    const ptrdiff_t equals = str_index(s, '=');

    if (equals <= 0)
        return;
    const struct str name = str_slice(s, 0, (size_t)equals), value = str_slice(s, (size_t)equals + 1, s.len);
    if (is_private(run, name))
        return;
    run_env_set(run, &run->base, name, value);
    if (is_of_a_key(name))
        credential_mask(run, value);
}

static const char *
build_tag(struct run *run)
{
    char *tag = arena_format(&run->arena, "jenkins-%s-%lld", run->config->job_name,
                             (long long)run->config->number);

    for (char *c = tag; *c != '\0'; c++)
        if (*c == '/')
            *c = '-';
    return tag;
}

static void
set_base_env(struct run *run)
{
    const struct runner_config *c = run->config;
    const char *number = arena_format(&run->arena, "%lld", (long long)c->number);
    const char *slash = strrchr(c->job_name, '/');
    struct value path;
    bool found;

    for (char **e = environ; *e != NULL; e++)
        set_base_line(run, *e);
    for (size_t i = 0; c->extra_env != NULL && c->extra_env[i] != NULL; i++)
        set_base_line(run, c->extra_env[i]);
    (void)run_env_get(run, STR("PATH"), &path, &found);
    if (!found)
        path = value_text(STR("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    if (c->tool_dir != NULL)
        set_base(run, "PATH",
                 arena_format(&run->arena, "%s:" STR_FMT, c->tool_dir, STR_ARG(path.text)));
    else
        run_env_set(run, &run->base, STR("PATH"), path.text);
    set_base(run, "BUILD_NUMBER", number);
    set_base(run, "BUILD_ID", number);
    set_base(run, "BUILD_DISPLAY_NAME", arena_format(&run->arena, "#%s", number));
    set_base(run, "BUILD_TAG", build_tag(run));
    set_base(run, "JOB_NAME", c->job_name);
    set_base(run, "JOB_BASE_NAME", slash == NULL ? c->job_name : slash + 1);
    set_base(run, "BUILD_URL", c->build_url);
    set_base(run, "RUN_DISPLAY_URL", c->build_url);
    set_base(run, "JOB_URL", c->job_url);
    set_base(run, "JENKINS_URL", c->server_url);
    set_base(run, "HUDSON_URL", c->server_url);
    set_base(run, "JENKINS_HOME", c->home);
    set_base(run, "HUDSON_HOME", c->home);
    set_base(run, "BRANCH_NAME", c->branch);
    set_base(run, "BRANCH_IS_PRIMARY", c->is_primary_branch ? "true" : NULL);
    for (size_t i = 0; c->change_env != NULL && c->change_env[i] != NULL; i++)
        set_base_line(run, c->change_env[i]);
    set_base(run, "CI", "true");
    set_base(run, "JENKINS_SERVER_COOKIE", c->cookie);
    set_base(run, "JENKINS_NODE_COOKIE", c->cookie);
    set_base(run, "BUILD_COOKIE", c->cookie);
}

/* The Jenkinsfile of the commit, or of the user's directory. */
static bool
read_jenkinsfile(struct run *run, struct strbuf *out)
{
    const struct runner_config *c = run->config;
    struct err err;

    if (c->script != NULL) {
        strbuf_add_cstr(out, c->script);
        return true;
    }
    if (c->in_place) {
        if (file_read(arena_format(&run->arena, "%s/%s", c->workspace, c->jenkinsfile_name),
                      SYNTAX_TEXT_MAX + 1, out, &err))
            return true;
        return interp_throw(&run->in, NULL, "AbortException", "%s", err.message);
    }
    if (!workspace_fetch(run, NULL, c->workspace))
        return false;
    if (c->trusted_ref != NULL) {
        run_logf(run, "The change is not trusted: the Jenkinsfile is that of %s", c->trusted_ref);
        return workspace_show_ref(run, c->workspace, c->trusted_ref, c->jenkinsfile_name, out) ||
               interp_throw(&run->in, NULL, "AbortException", "%s has no file '%s'",
                            c->trusted_ref, c->jenkinsfile_name);
    }
    if (workspace_show(run, c->workspace, c->jenkinsfile_name, out))
        return true;
    return interp_throw(&run->in, NULL, "AbortException", "commit %s has no file '%s'", c->commit,
                        c->jenkinsfile_name);
}

static bool
run_file(struct run *run)
{
    cleanup(strbuf_done) struct strbuf text = {0}, errors = {0};
    struct diagnostics *d;
    struct value ignored;

    if (!journal_find_file(run, &text) && !read_jenkinsfile(run, &text))
        return false;
    if (!journal_open(run, strbuf_str(&text)))
        return false;
    d = arena_alloc(&run->arena, sizeof(*d));
    run->file = jenkinsfile_parse(strbuf_str(&text), d);
    if (run->file == NULL) {
        diagnostics_show(d, run->config->jenkinsfile_name, "error", strbuf_str(&text), &errors);
        run_log(run, strbuf_str(&errors));
        return interp_throw(&run->in, NULL, "AbortException", "%s:%u:%u: %s",
                            run->config->jenkinsfile_name, d->items[0].line, d->items[0].column,
                            d->items[0].message);
    }
    interp_hoist(&run->in, run->file->script);
    for (const struct node *n = run->file->script->first; n != NULL; n = n->next) {
        bool ok = n == run->file->pipeline_call ? declarative_run(run, run->file->pipeline)
                                                : interp_statement(&run->in, n, &ignored);
        if (!ok && run->in.completion != COMPLETION_THROW) {
            run->in.completion = COMPLETION_NONE; /* `return` at the top ends the script */
            return true;
        }
        if (!ok)
            return false;
    }
    return true;
}

static void
finish(struct run *run, bool ok, struct runner_outcome *out)
{
    cleanup(strbuf_done) struct strbuf reason = {0};
    enum build_result r = run->result;
    bool aborted = run->was_aborted;

    if (!ok) {
        struct exception *e = interp_catch(&run->in);
        enum build_result of_error = run_error_result(e);
        if (of_error > r)
            r = of_error;
        run_add_masked(run, e->message, &reason);
        snprintf(out->reason, sizeof(out->reason), STR_FMT,
                 STR_ARG(str_slice(strbuf_str(&reason), 0, 390)));
        run_log_error(run, e);
    }
    /* A script may have swallowed the interruption; the request to abort stands. */
    if (aborted)
        r = run->is_overtaken ? RESULT_NOT_BUILT : RESULT_ABORTED;
    out->result = r;
    snprintf(out->display_name, sizeof(out->display_name), "%s", run->display_name);
    snprintf(out->description, sizeof(out->description), "%s", run->description);
}

/* Scripts, secret files and stashes: none survives its build, however that ended. */
static bool
remove_temporary(struct run *run, struct err *err)
{
    const char *base = run->config->workspace;
    bool ok = file_remove_tree(arena_format(&run->arena, "%s@tmp", base), err);

    for (unsigned i = 2; i <= RUN_NODES_MAX && !run->config->in_place; i++) {
        const char *workspace = arena_format(&run->arena, "%s@%u", base, i);
        const char *tmp = arena_format(&run->arena, "%s@tmp", workspace);
        if (!file_exists(workspace) && !file_exists(tmp))
            break; /* the lowest number that is free is taken first */
        ok = file_remove_tree(tmp, err) && ok;
    }
    return ok;
}

static bool
was_begun(struct run *run)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    return journal_find_file(run, &text);
}

static void
run_done(struct run *run, struct flow *main_flow)
{
    strbuf_done(&run->line);
    journal_close(run);
    json_unref(run->changes);
    if (run->config->locks == NULL)
        lock_table_free(run->locks);
    cgroup_free(run->group);
    flow_free(main_flow);
    jenkinsfile_free(run->file);
    arena_done(&run->arena);
    free(run);
}

void
runner_run(const struct runner_config *config, struct runner_outcome *out)
{
    struct run *run = mem_new(sizeof(*run));
    struct deadline whole = {0};
    struct flow *main_flow;
    struct err err;
    unsigned left;
    bool ok, is_new;

    *out = (struct runner_outcome){.cpu_ms = -1, .memory_peak_bytes = -1};
    run->config = config;
    run->assigned.outer = &run->base;
    run->env = &run->assigned;
    interp_init(&run->in, &run->arena, &run_world);
    run->params = arena_alloc(&run->arena, sizeof(*run->params));
    run->started_ms = config->started_ms > 0 ? config->started_ms : clock_wall_ms();
    run->noted_result = run->noted_mark = -1;
    run->milestone = -1;
    run->executor_number = -1;
    main_flow = flow_main_new(run);
    run->locks = config->locks != NULL ? config->locks : lock_table_new(NULL);
    whole.at_ms =
        clock_monotonic_ms() + (config->timeout_ms > 0 ? config->timeout_ms : RUNNER_TIMEOUT_MS) -
        (clock_wall_ms() - run->started_ms - config->waited_ms);
    run->deadlines = &whole;
    snprintf(run->display_name, sizeof(run->display_name), "#%lld", (long long)config->number);
    set_base_env(run);
    build_group_enter(run);
    is_new = !was_begun(run);
    if (is_new && config->warning != NULL)
        run_logf(run, "WARNING: %s", config->warning);
    if ((!is_new || remove_temporary(run, &err)) && build_user_enter(run, &err)) {
        docker_config_enter(run, !is_new);
        ok = run_file(run);
    } else {
        ok = interp_throw(&run->in, NULL, "AbortException", "%s", err.message);
    }
    if (run_is_suspended(run)) {
        out->is_suspended = true;
        run_done(run, main_flow);
        return;
    }
    finish(run, ok, out);
    build_group_leave(run, out);
    run->place.joins = run->own_place.joins = NULL;
    left = leftovers_end(config->cookie, config->trusted_ref == NULL);
    if (run->uses_docker)
        docker_leftovers_end(config->cookie, run_env_list(run), &run->place);
    if (left > 0)
        run_logf(run, "Ended %u process(es) that the build left behind", left);
    run_logf(run, "Finished: %s", build_result_name(out->result));
    run_log_flush(run);
    if (!remove_temporary(run, &err))
        run_logf(run, "WARNING: %s", err.message);
    run_done(run, main_flow);
}
