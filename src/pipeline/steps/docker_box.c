/* SPDX-License-Identifier: MIT */
/* docker_box.c - a container in which the processes of steps run. */
#include <ctype.h>
#include <stdio.h>
#include <sys/stat.h>
#include "base/crypto.h"
#include "base/json.h"
#include "io/file.h"
#include "pipeline/run/credentials.h"
#include "pipeline/steps/docker.h"
#include "pipeline/run/journal.h"

#define START_TIMEOUT_MS ((int64_t)15 * 60 * 1000) /* it may have to pull */
#define SHORT_TIMEOUT_MS ((int64_t)60 * 1000)
#define ARGV_MAX 64

extern char **environ;

struct box {
    struct launcher launcher; /* first: a launcher is its box */
    const char *step;
    bool is_over;             /* it was, and what ran in it is repeated only */
    const char *id;           /* of the container */
    const char *state_path;   /* where it is noted for the next naru */
};

static bool
never(void *arg)
{
    return false;
}

/* Runs docker; `out` gets its output, the log what it says to stderr.  `is_last`: also when the
 * build is being ended. */
static bool
run_docker(struct run *run, const char *const *argv, int64_t timeout_ms, bool is_last,
           struct strbuf *out, int *code, struct err *err)
{
    const struct process_spec spec = {.argv = argv,
                                      .env = run_env_list(run),
                                      .timeout_ms = timeout_ms,
                                      .is_cancelled = is_last ? never : NULL};
    struct process_result result = {0};
    bool ok = run_process(run, &spec, &result, err);

    if (ok) {
        *code = result.exit_code;
        strbuf_add(out, strbuf_str(&result.output));
        if (result.exit_code != 0 && !is_last)
            run_log(run, strbuf_str(&result.error));
    }
    process_result_done(&result);
    return ok;
}

static bool
is_in_our_environment(struct str entry)
{
    for (char **e = environ; *e != NULL; e++)
        if (str_is(entry, *e))
            return true;
    return false;
}

/* Names of what the build's environment has beyond ours, one a line: docker takes the values from
 * its own environment, so that no command line shows them.  PATH is the image's own. */
static bool
write_names(struct run *run, const char *const *env, const char **path_out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf names = {0};
    /* Takes no number: of what is read at once there is one in a flow, and what follows is to have the
     * same numbers when the container is there already. */
    const char *path = arena_format(&run->arena, "%s@tmp/names-%u", run->workspace, run->files + 1);

    for (size_t i = 0; env[i] != NULL; i++) {
        struct str entry = str_of(env[i]);
        ptrdiff_t equals = str_index(entry, '=');
        struct str name = str_slice(entry, 0, equals < 0 ? 0 : (size_t)equals);
        if (name.len == 0 || str_is(name, "PATH") || is_in_our_environment(entry) ||
            docker_config_is_of_build(run, entry) || build_user_is_own(run, entry) ||
            str_index(name, '\n') >= 0 || name.at[0] == '#' || isspace((unsigned char)name.at[0]))
            continue;
        strbuf_add(&names, name);
        strbuf_add_char(&names, '\n');
    }
    *path_out = path;
    USER_ACTS(run);
    return file_make_dirs(arena_format(&run->arena, "%s@tmp", run->workspace), 0700, err) &&
           file_write_atomic(path, strbuf_str(&names), 0600, err);
}

/* docker exec --env-file ... -w <directory> <id> <argv> */
static const char *const *
wrap(struct run *run, const struct launcher *l, const char *const *argv, const char *const *env)
{
    const struct box *box = (const struct box *)l;
    const char *names = NULL;
    const char **out = arena_alloc(&run->arena, (ARGV_MAX + 10) * sizeof(*out));
    size_t n = 0;
    struct err err;

    out[n++] = "docker";
    out[n++] = "exec";
    out[n++] = "-w";
    out[n++] = run->directory;
    if (write_names(run, env, &names, &err)) {
        out[n++] = "--env-file";
        out[n++] = names;
    } else {
        run_logf(run, "WARNING: the container does not get the environment: %s", err.message);
    }
    out[n++] = box->id;
    for (size_t i = 0; argv[i] != NULL && i < ARGV_MAX; i++)
        out[n++] = argv[i];
    return out;
}

static void
add_quoted(struct strbuf *out, struct str s)
{
    strbuf_add_char(out, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == '\'')
            strbuf_add_cstr(out, "'\\''");
        else
            strbuf_add_char(out, s.at[i]);
    }
    strbuf_add_char(out, '\'');
}

/* The container is Docker's, not of the build's cgroup; what the Jenkinsfile's own args say comes
 * later and wins. */
static void
add_limits(struct strbuf *out, const struct cgroup_limits *l)
{
    if (l == NULL)
        return;
    if (l->memory_bytes > 0)
        strbuf_addf(out, "--memory %lld ", (long long)l->memory_bytes);
    if (l->cpu_milli > 0)
        strbuf_addf(out, "--cpus %lld.%03lld ", (long long)(l->cpu_milli / 1000),
                    (long long)(l->cpu_milli % 1000));
    if (l->processes > 0)
        strbuf_addf(out, "--pids-limit %lld ", (long long)l->processes);
}

static const char *
start_command(struct run *run, const char *step, struct str image, struct str arguments,
              const char *names)
{
    cleanup(strbuf_done) struct strbuf c = {0};
    const char *tmp = arena_format(&run->arena, "%s@tmp", run->workspace);

    strbuf_addf(&c, "exec docker run -t -d -u %u:%u --label naru.build=%s --label naru.step=%s -w ",
                (unsigned)build_user_uid(run), (unsigned)build_user_gid(run), run->config->cookie, step);
    add_quoted(&c, str_of(run->workspace));
    if (run->config->home != NULL) {
        strbuf_add_cstr(&c, " --label ");
        add_quoted(&c, str_of(arena_format(&run->arena, "naru.home=%s", run->config->home)));
    }
    strbuf_add_cstr(&c, " -v ");
    add_quoted(&c, str_of(arena_format(&run->arena, "%s:%s:rw,z", run->workspace, run->workspace)));
    strbuf_add_cstr(&c, " -v ");
    add_quoted(&c, str_of(arena_format(&run->arena, "%s:%s:rw,z", tmp, tmp)));
    strbuf_add_cstr(&c, " --env-file ");
    add_quoted(&c, str_of(names));
    strbuf_add_char(&c, ' ');
    add_limits(&c, run->config->limits);
    if (run->place.no_network)
        strbuf_add_cstr(&c, "--network none ");
    strbuf_addf(&c, STR_FMT " ", STR_ARG(arguments));
    add_quoted(&c, image);
    strbuf_add_cstr(&c, " cat");
    return arena_cstr(&run->arena, strbuf_str(&c));
}

/* The last line, if it is an id. */
static const char *
container_id(struct run *run, const struct strbuf *output)
{
    struct str text = str_trim(strbuf_str(output));
    ptrdiff_t line = str_rindex(text, '\n');
    struct str id = str_trim(str_slice(text, line < 0 ? 0 : (size_t)line + 1, text.len));

    return id.len < 12 || !str_is_hex(id) ? NULL : arena_cstr(&run->arena, id);
}

static bool
is_running(struct run *run, const char *id)
{
    const char *const argv[] = {"docker", "inspect", "-f", "{{.State.Running}}", id, NULL};
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err;
    int code;

    return run_docker(run, argv, SHORT_TIMEOUT_MS, true, &out, &code, &err) && code == 0 &&
           str_is(str_trim(strbuf_str(&out)), "true");
}

/* The container that an earlier naru started for the same place of the build. */
static const char *
adopt(struct run *run, const char *state_path)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const char *id;

    if (!file_exists(state_path) || !file_read(state_path, 200, &text, NULL))
        return NULL;
    id = container_id(run, &text);
    return id != NULL && is_running(run, id) ? id : NULL;
}

static const char *
start(struct run *run, const struct node *at, const char *step, struct str image,
      struct str arguments)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    const char *names, *id, *argv[] = {"sh", "-c", NULL, NULL};
    struct err err;
    int code;

    if (!write_names(run, run_env_list(run), &names, &err)) {
        interp_throw(&run->in, at, "AbortException", "%s", err.message);
        return NULL;
    }
    argv[2] = start_command(run, step, image, arguments, names);
    if (!run_docker(run, argv, START_TIMEOUT_MS, false, &out, &code, &err)) {
        interp_throw(&run->in, at, "AbortException", "%s", err.message);
        return NULL;
    }
    id = code == 0 ? container_id(run, &out) : NULL;
    if (id == NULL && run_poll(&run->in, at))
        interp_throw(&run->in, at, "AbortException",
                     "the container of '" STR_FMT "' did not start (docker run: exit code %d)",
                     STR_ARG(image), code);
    return id; /* to be noted at once: an abort or a stop is for the next step to see */
}

bool
docker_is_granted(struct run *run, const struct node *at)
{
    const char *refusal = build_user_docker_refusal(run);

    return refusal == NULL || interp_throw(&run->in, at, "AbortException", "%s", refusal);
}

/* A build without a network gets none by the arguments of its container either. */
static bool
network_is_allowed(struct run *run, const struct node *at, struct str arguments)
{
    return !run->place.no_network || str_find(arguments, STR("--net")) < 0 ||
           interp_throw(&run->in, at, "AbortException",
                        "the arguments name a network, and this build has none (\"network\": "
                        "\"none\" in builds.json)");
}

/* The container's user may be another one, and has to find its scripts; folders of secrets are
 * closed by themselves. */
static bool
open_tmp(struct run *run, const char *tmp, struct err *err)
{
    USER_ACTS(run);

    if (!file_make_dirs(tmp, 0711, err))
        return false;
    (void)chmod(tmp, 0711);
    return true;
}

bool
docker_box_enter(struct run *run, const struct node *at, struct str image, struct str arguments)
{
    const char *step = step_make_id(run), *tmp;
    struct box *box;
    struct err err;

    if (run->workspace == NULL)
        return interp_throw(&run->in, at, "AbortException", "a container needs a workspace");
    if (image.len == 0 || image.at[0] == '-')
        return interp_throw(&run->in, at, "AbortException", "'" STR_FMT "' is not an image",
                            STR_ARG(image));
    if (!docker_is_granted(run, at) || !network_is_allowed(run, at, arguments))
        return false;
    tmp = arena_format(&run->arena, "%s@tmp", run->workspace);
    if (!open_tmp(run, tmp, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    box = arena_alloc(&run->arena, sizeof(*box));
    box->launcher.wrap = wrap;
    box->state_path = run_state_path(run, "box", step);
    box->step = step;
    box->is_over = journal_is_over(run, step);
    run->uses_docker = true;
    /* Also where it was started before: the log's lines are counted. */
    run_logf(run, "$ docker run -t -d -u %u:%u " STR_FMT "%s-w %s ... " STR_FMT " cat",
             (unsigned)build_user_uid(run), (unsigned)build_user_gid(run), STR_ARG(arguments),
             arguments.len > 0 ? " " : "", run->workspace, STR_ARG(image));
    if (box->is_over) {
        run->launcher = &box->launcher;
        return true;
    }
    box->id = box->state_path == NULL ? NULL : adopt(run, box->state_path);
    if (box->id == NULL)
        box->id = start(run, at, step, image, arguments);
    if (box->id == NULL)
        return false;
    run->launcher = &box->launcher;
    if (box->state_path != NULL &&
        !(file_make_dirs(
              arena_cstr(&run->arena, str_range(box->state_path, strrchr(box->state_path, '/'))),
              0700, &err) &&
          file_write_atomic(box->state_path, str_of(box->id), 0600, &err)))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    if (!is_running(run, box->id))
        return interp_throw(&run->in, at, "AbortException",
                            "the container of '" STR_FMT "' ended at once: its entrypoint does not "
                            "run the command that it is given; add --entrypoint='' to the args",
                            STR_ARG(image));
    return true;
}

void
docker_box_leave(struct run *run, const struct launcher *before)
{
    const struct box *box = (const struct box *)run->launcher;
    cleanup(strbuf_done) struct strbuf out = {0};
    struct err err;
    int code = 0;

    if (run->launcher == before || box == NULL)
        return;
    run->launcher = before;
    if (box->is_over || run_is_suspended(run))
        return; /* suspended: its script goes on */
    const char *const argv[] = {"docker", "rm", "-f", "-v", box->id, NULL};
    if (!run_docker(run, argv, SHORT_TIMEOUT_MS, true, &out, &code, &err) || code != 0) {
        run_logf(run, "WARNING: the container %.12s could not be removed", box->id);
        return;
    }
    journal_over(run, box->step);
    if (box->state_path != NULL)
        unlink(box->state_path);
}

static void
remove_labelled(const char *label, const char *const *env, const struct process_place *place)
{
    static const char script[] = "ids=$(docker ps -aq --filter \"label=$0\") && "
                                 "{ [ -z \"$ids\" ] || docker rm -f -v $ids; }";
    const char *const argv[] = {"sh", "-c", script, label, NULL};
    const struct process_spec spec = {
        .argv = argv, .env = env, .timeout_ms = SHORT_TIMEOUT_MS, .place = place};
    struct process_result result = {0};

    if (process_run(&spec, &result, NULL))
        process_result_done(&result);
}

void
docker_leftovers_end(const char *cookie, const char *const *env, const struct process_place *place)
{
    cleanup_free char *label = text_format("naru.build=%s", cookie);

    remove_labelled(label, env, place);
}

void
docker_leftovers_purge(const char *data_dir)
{
    cleanup_free char *label = text_format("naru.home=%s", data_dir);

    remove_labelled(label, NULL, NULL);
}
