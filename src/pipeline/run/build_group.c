/* SPDX-License-Identifier: MIT */
#include "pipeline/run/build_group.h"

#include <stdatomic.h>
#include <stdio.h>
#include "base/log.h"
#include "io/file.h"

#define SAID_MAX ((size_t)1000)

static void
warn_once(const char *what)
{
    static atomic_bool was_said;

    if (!atomic_exchange(&was_said, true))
        log_warn("build.no_limits", "error=%s", log_quote(what));
}

static const char *
said_path(struct run *run)
{
    const char *state_dir = run->config->state_dir;

    return state_dir == NULL ? NULL : arena_format(&run->arena, "%s/limits-said", state_dir);
}

/* What a naru before us has said of this build. */
static void
read_said(struct run *run)
{
    const char *path = said_path(run);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str rest, word;

    if (path == NULL || !file_exists(path) || !file_read(path, SAID_MAX, &text, NULL))
        return;
    rest = str_trim(strbuf_str(&text));
    if (str_split(&rest, ' ', &word))
        (void)str_to_i64(word, &run->killed_said);
    (void)str_to_i64(rest, &run->refused_said);
}

void
build_group_enter(struct run *run)
{
    const struct runner_config *c = run->config;
    cleanup(strbuf_done) struct strbuf lacking = {0};
    struct err err;

    if (c->limits == NULL)
        return;
    run->group = cgroup_make(NULL, arena_format(&run->arena, BUILD_GROUP_PREFIX "%s", c->cookie),
                             c->limits, &lacking, &err);
    if (run->group == NULL) {
        warn_once(err.message);
        return;
    }
    if (c->home != NULL)
        cgroup_mark(run->group, c->home);
    if (lacking.len > 0)
        warn_once(arena_format(&run->arena, "the kernel keeps no limit here of: %s",
                               strbuf_cstr(&lacking)));
    read_said(run);
}

void
build_group_leave(struct run *run, struct runner_outcome *out)
{
    struct cgroup_use use = {-1, -1, -1, -1};

    if (run->group != NULL) {
        build_group_tell(run, NULL);
        cgroup_used(run->group, &use);
        cgroup_free(run->group);
        run->group = NULL;
    }
    out->cpu_ms = use.cpu_ms;
    out->memory_peak_bytes = use.memory_peak_bytes;
}

/* "2 GiB", "1536 MiB" */
static const char *
size_text(struct run *run, int64_t bytes)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"GiB", 30}, {"MiB", 20}, {"KiB", 10}};

    for (size_t i = 0; i < ARRAY_COUNT(units); i++)
        if (bytes >= (int64_t)1 << units[i].shift &&
            (bytes & (((int64_t)1 << units[i].shift) - 1)) == 0)
            return arena_format(&run->arena, "%lld %s", (long long)(bytes >> units[i].shift),
                                units[i].unit);
    if (bytes >= (int64_t)1 << 20)
        return arena_format(&run->arena, "%lld MiB", (long long)(bytes >> 20));
    return arena_format(&run->arena, "%lld bytes", (long long)bytes);
}

/* What happened since; "" if nothing did. */
static const char *
news(struct run *run, const struct cgroup_use *use)
{
    const struct cgroup_limits *l = run->config->limits;
    cleanup(strbuf_done) struct strbuf text = {0};

    if (use->killed > run->killed_said)
        strbuf_addf(&text,
                    "killed: the build's memory limit of %s was exceeded (%lld process(es) ended "
                    "by the kernel)\n",
                    size_text(run, l->memory_bytes), (long long)(use->killed - run->killed_said));
    if (use->refused > run->refused_said)
        strbuf_addf(&text,
                    "refused: the build's limit of %lld processes was reached (no more could be "
                    "started %lld time(s))\n",
                    (long long)l->processes, (long long)(use->refused - run->refused_said));
    return text.len == 0 ? "" : arena_cstr(&run->arena, strbuf_str(&text));
}

/* First what was said, then up to where: a naru that ends in between says it again. */
static void
note(struct run *run, const struct cgroup_use *use, const char *text, const char *step_path)
{
    const char *path = said_path(run);
    struct err err;

    run->killed_said = use->killed;
    run->refused_said = use->refused;
    if (path == NULL)
        return;
    if ((step_path != NULL && !file_write_atomic(step_path, str_of(text), 0600, &err)) ||
        !file_write_atomic(path,
                           str_of(arena_format(&run->arena, "%lld %lld\n", (long long)use->killed,
                                               (long long)use->refused)),
                           0600, &err))
        log_warn("build.limits", "error=%s", log_quote(err.message));
}

void
build_group_tell(struct run *run, const char *folder)
{
    const char *step_path =
        folder == NULL ? NULL : arena_format(&run->arena, "%s/limits", folder);
    cleanup(strbuf_done) struct strbuf before = {0};
    struct cgroup_use use;
    const char *text;

    if (run->group == NULL)
        return;
    cgroup_used(run->group, &use);
    if (step_path != NULL && file_exists(step_path) &&
        file_read(step_path, SAID_MAX, &before, NULL)) {
        run_log(run, strbuf_str(&before));
        note(run, &use, strbuf_cstr(&before), NULL);
        return;
    }
    text = news(run, &use);
    if (text[0] == '\0')
        return;
    note(run, &use, text, step_path);
    run_log(run, str_of(text));
}
