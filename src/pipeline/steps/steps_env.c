/* SPDX-License-Identifier: MIT */
/* steps_env.c - steps that set up what is in them: keys, tools.
 * Tools have no installations of their own: `tools.json` in the data directory says where they are
 * ({"maven-3.9": "/opt/maven"}), and what it does not name is taken from PATH. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "io/file.h"
#include "pipeline/run/credentials.h"

#define TOOLS_MAX ((size_t)1 << 20)
#define AGENT_TIMEOUT_MS ((int64_t)30 * 1000)

static bool
run_body_in(struct step_call *s, struct env_layer *outer, bool ok)
{
    ok = ok && s->body.run(s->run, s->body.arg, s->out);
    s->run->env = outer;
    return ok;
}

static void
set(struct step_call *s, struct env_layer *layer, const char *name, struct str value)
{
    if (value.len > 0)
        run_env_set(s->run, layer, str_of(name), value);
}

/* ---- ssh-agent ---- */

bool
step_call_program(struct step_call *s, const char *const *argv, bool is_daemon, struct strbuf *out)
{
    const struct process_spec spec = {.argv = argv,
                                      .env = run_env_list(s->run),
                                      .timeout_ms = AGENT_TIMEOUT_MS,
                                      .keep_group = is_daemon,
                                      .merge_stderr = true};
    struct process_result result = {0};
    struct err err;
    bool ok = run_process(s->run, &spec, &result, &err) || step_fail(s, "%s", err.message);

    if (ok && result.exit_code != 0) {
        run_log(s->run, strbuf_str(&result.output));
        ok = run_poll(s->in, s->at) &&
             step_fail(s, "%s failed with exit code %d", argv[0], result.exit_code);
    } else if (ok) {
        strbuf_add(out, strbuf_str(&result.output));
    }
    process_result_done(&result);
    return ok;
}

static bool
add_key(struct step_call *s, const char *id)
{
    struct env_layer *outer = s->run->env, *layer = run_env_push(s->run);
    cleanup(strbuf_done) struct strbuf ignored = {0};
    cleanup_json struct json *c = credential_of_kind(s->run, s->at, id, "ssh");
    const char *path = NULL;
    bool ok = c != NULL && credential_for_git(s->run, s->at, layer, id, &path);

    if (ok) {
        const char *const argv[] = {"ssh-add", "-q", path, NULL};
        ok = step_call_program(s, argv, false, &ignored);
        run_logf(s->run, "[ssh-agent] key '%s' %s", id, ok ? "added" : "was not added");
    }
    credential_file_remove(s->run, path);
    s->run->env = outer;
    return ok;
}

/* "SSH_AGENT_PID=123; export ..." */
static struct str
agent_pid(struct run *run, const struct strbuf *output)
{
    struct str rest = strbuf_str(output), part;
    ptrdiff_t at = str_find(rest, STR("SSH_AGENT_PID="));

    if (at < 0)
        return STR("");
    rest = str_slice(rest, (size_t)at + 14, rest.len);
    return str_split(&rest, ';', &part) ? arena_dup(&run->arena, part) : STR("");
}

static bool
with_agent(struct step_call *s, const struct value *ids)
{
    cleanup(strbuf_done) struct strbuf out = {0};
    struct arena *a = &s->run->arena;
    bool ok = true;

    for (size_t i = 0; ok && i < (ids->type == V_LIST ? ids->list->count : 1); i++)
        ok = add_key(
            s, arena_cstr(a, value_to_text(a, ids->type == V_LIST ? ids->list->at[i] : *ids)));
    return ok && s->body.run(s->run, s->body.arg, s->out);
}

static bool
make_agent_folder(struct run *run, const char *folder, const char *socket, struct err *err)
{
    USER_ACTS(run);

    if (!file_make_dirs(folder, 0700, err))
        return false;
    (void)unlink(socket); /* an earlier naru's agent, which ends with the build */
    return true;
}

static bool
remove_agent_folder(struct run *run, const char *folder, struct err *err)
{
    USER_ACTS(run);

    return file_remove_tree(folder, err);
}

static bool
step_sshagent(struct step_call *s)
{
    struct run *run = s->run;
    struct env_layer *outer = run->env, *layer;
    const struct value *ids = step_value(s, "credentials");
    cleanup(strbuf_done) struct strbuf out = {0};
    const char *folder, *socket;
    struct str pid;
    struct err err;
    bool ok;

    if (!step_needs_workspace(s) || ids == NULL)
        return ids != NULL ? false : step_fail(s, "sshagent needs credentials");
    folder = arena_format(&run->arena, "/tmp/naru-ssh-%s-%u", run->config->cookie, ++run->files);
    socket = arena_format(&run->arena, "%s/agent", folder);
    if (!make_agent_folder(run, folder, socket, &err))
        return step_fail(s, "%s", err.message);
    const char *const start[] = {"ssh-agent", "-s", "-a", socket, NULL};
    const char *const end[] = {"kill", NULL, NULL};
    ok = step_call_program(s, start, true, &out);
    pid = ok ? agent_pid(run, &out) : STR("");
    layer = run_env_push(run);
    run_env_set(run, layer, STR("SSH_AUTH_SOCK"), str_of(socket));
    set(s, layer, "SSH_AGENT_PID", pid);
    ok = ok && with_agent(s, ids);
    run->env = outer;
    if (run_is_suspended(run))
        return ok; /* its script goes on, and asks the agent */
    if (pid.len > 0) {
        const char *argv[ARRAY_COUNT(end)] = {end[0], arena_cstr(&run->arena, pid), NULL};
        const struct process_spec spec = {
            .argv = argv, .timeout_ms = AGENT_TIMEOUT_MS, .place = &run->place};
        struct process_result result = {0};
        if (process_run(&spec, &result, NULL))
            process_result_done(&result);
    }
    if (!remove_agent_folder(run, folder, &err))
        run_logf(run, "WARNING: %s", err.message);
    return ok;
}

/* ---- tools ---- */

static struct str
configured_home(struct run *run, struct str name)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *all = NULL;
    const char *home;
    struct err err;

    if (run->config->home == NULL ||
        !file_read(arena_format(&run->arena, "%s/tools.json", run->config->home), TOOLS_MAX, &text,
                   &err) ||
        (all = json_parse(strbuf_str(&text), &err)) == NULL)
        return STR("");
    home = json_get_cstr(all, arena_cstr(&run->arena, name), "");
    return arena_dup(&run->arena, str_of(home));
}

static const char *
program_of(struct str type)
{
    static const struct {
        const char *type, *program;
    } known[] = {
        {"maven", "mvn"},
        {"mvn", "mvn"},
        {"jdk", "java"},
        {"java", "java"},
        {"gradle", "gradle"},
        {"node", "node"},
        {"ant", "ant"},
        {"go", "go"},
        {"docker", "docker"},
        {"git", "git"},
        {"terraform", "terraform"},
        {"python", "python3"},
        {"sonar", "sonar-scanner"},
    };
    char lower[32];
    size_t n = 0;

    for (; n < type.len && n + 1 < sizeof(lower); n++)
        lower[n] = (char)tolower((unsigned char)type.at[n]);
    lower[n] = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (strstr(lower, known[i].type) != NULL)
            return known[i].program;
    return NULL;
}

/* What holds bin/<program>, following links: /usr/bin/mvn is one to the real home. */
static struct str
home_in_path(struct run *run, struct str type)
{
    const char *program = program_of(type);
    char path[PATH_MAX], *real;
    struct str home;

    if (program == NULL || !process_find(program, NULL, path, sizeof(path)))
        return STR("");
    real = realpath(path, NULL);
    home = real == NULL ? STR("") : arena_dup(&run->arena, str_of(real));
    free(real);
    for (int i = 0; i < 2 && home.len > 0; i++)
        home = str_slice(home, 0, (size_t)str_rindex(home, '/'));
    return home;
}

bool
tool_enter(struct run *run, struct env_layer *layer, struct str type, struct str name)
{
    static const struct {
        const char *type, *variables;
    } homes[] = {{"maven", "M2_HOME MAVEN_HOME"}, {"jdk", "JAVA_HOME"},
                 {"gradle", "GRADLE_HOME"},       {"ant", "ANT_HOME"},
                 {"nodejs", "NODEJS_HOME"},       {"go", "GOROOT"}};
    struct str home = configured_home(run, name), rest, one;

    if (home.len == 0) {
        run_logf(run,
                 "WARNING: the tool '" STR_FMT "' (" STR_FMT ") is taken from PATH; tools.json in "
                 "the data directory can name its home",
                 STR_ARG(name), STR_ARG(type));
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(homes); i++)
        if (str_is(type, homes[i].type)) {
            rest = str_of(homes[i].variables);
            while (str_split(&rest, ' ', &one))
                run_env_set(run, layer, one, home);
        }
    return run_env_override(
        run, NULL, layer,
        str_of(arena_format(&run->arena, "PATH+TOOL=" STR_FMT "/bin", STR_ARG(home))));
}

static bool
step_tool(struct step_call *s)
{
    struct str name = step_text(s, "name", ""), type = step_text(s, "type", "");
    struct str home = configured_home(s->run, name);

    if (home.len == 0)
        home = home_in_path(s->run, program_of(name) != NULL ? name : type);
    if (home.len == 0)
        return step_fail(s,
                         "there is no tool '" STR_FMT "': name its home in tools.json of the data "
                         "directory",
                         STR_ARG(name));
    *s->out = value_text(home);
    return true;
}

static bool
step_nodejs(struct step_call *s)
{
    struct env_layer *outer = s->run->env;
    struct str name = step_text(s, "nodeJSInstallationName", "");

    return run_body_in(s, outer, tool_enter(s->run, run_env_push(s->run), STR("nodejs"), name));
}

static bool
step_with_maven(struct step_call *s)
{
    struct env_layer *outer = s->run->env, *layer = run_env_push(s->run);
    struct str maven = step_text(s, "maven", ""), jdk = step_text(s, "jdk", "");
    bool ok = (maven.len == 0 || tool_enter(s->run, layer, STR("maven"), maven)) &&
              (jdk.len == 0 || tool_enter(s->run, layer, STR("jdk"), jdk));

    set(s, layer, "MAVEN_OPTS", step_text(s, "mavenOpts", ""));
    return run_body_in(s, outer, ok);
}

static bool
step_with_kube_config(struct step_call *s)
{
    struct map *binding = arena_alloc(&s->run->arena, sizeof(*binding));
    struct value list = value_list(&s->run->arena), named = value_map(&s->run->arena);
    struct arena *a = &s->run->arena;

    map_put_text(a, binding, "$class", value_text(STR("file")));
    map_put_text(a, binding, "credentialsId", value_text(step_text(s, "credentialsId", "")));
    map_put_text(a, binding, "variable", value_text(STR("KUBECONFIG")));
    list_add(a, list.list, (struct value){.type = V_MAP, .map = binding});
    map_put_text(a, named.map, "bindings", list);
    return step_invoke(s->run, s->at, "withCredentials", named.map, &s->body, s->out);
}

step_function *
step_env_find(struct str name)
{
    static const struct step_row table[] = {
        {"sshagent", step_sshagent},
        {"tool", step_tool},
        {"nodejs", step_nodejs},
        {"withMaven", step_with_maven},
        {"withKubeConfig", step_with_kube_config},
    };

    return step_row_find(table, ARRAY_COUNT(table), name);
}
