/* SPDX-License-Identifier: MIT */
/* Every file of tests/jenkinsfiles is run, and has to come out as its .expect says, a line each:
 *   result SUCCESS           how it ends
 *   stage NAME=STATE [WHY]   all stages in the order of their ends, if any is given
 *   log TEXT                 these stand in the log, in this order
 *   not TEXT                 this does not
 *   commit AUTHOR|MESSAGE|A PATH|M PATH   one that came with the build
 *   branch B, previous R, cause C, changed PATH, param... what the build is told (env NAME=value)
 *   file NAME TEXT           lies in the workspace (\n is a line end)
 * Programs are stand-ins (bin/stand-in), which log "# docker push x".  missing.txt lists the files
 * whose features are not built; one that comes out right must be taken off that list. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "check.h"
#include "io/file.h"
#include "pipeline/run/runner.h"
#include "pipeline/secrets.h"

#define FILES_MAX 400
#define WORKERS 4

static char *names[FILES_MAX]; /* without ".jenkinsfile" */
static size_t name_count, next_name;
static struct strbuf missing, complaints;
static char *tools, *secrets;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned failed, unexpected;

struct one {
    struct strbuf log, stages, why;
    struct str expect;
};

static void
on_log(void *ctx, struct str text)
{
    strbuf_add(&((struct one *)ctx)->log, text);
}

static void
on_stage(void *ctx, const struct stage_report *r)
{
    if (r->state != STAGE_RUNNING)
        strbuf_addf(&((struct one *)ctx)->stages, STR_FMT "=%s%s%s\n", STR_ARG(r->name),
                    stage_state_name(r->state), r->reason != NULL ? " " : "",
                    r->reason != NULL ? r->reason : "");
}

/* The rest of each line that begins with `key`; false at the end. */
static bool
next_line(struct str *rest, const char *key, struct str *out)
{
    const size_t len = strlen(key);
    struct str line;

    while (str_split(rest, '\n', &line))
        if (str_starts(line, str_of(key)) && line.len > len && line.at[len] == ' ') {
            *out = str_slice(line, len + 1, line.len);
            return true;
        }
    return false;
}

static char *
setting(const struct one *o, const char *key)
{
    struct str rest = o->expect, value;

    return next_line(&rest, key, &value) ? str_dup(value) : NULL;
}

static void
write_files(const struct one *o, const char *folder)
{
    struct str rest = o->expect, line, name;
    struct err err;

    while (next_line(&rest, "file", &line)) {
        cleanup(strbuf_done) struct strbuf text = {0};
        cleanup_free char *path = NULL;
        (void)str_split(&line, ' ', &name);
        for (size_t i = 0; i < line.len; i++)
            if (line.at[i] == '\\' && i + 1 < line.len && line.at[i + 1] == 'n') {
                strbuf_add_char(&text, '\n');
                i++;
            } else {
                strbuf_add_char(&text, line.at[i]);
            }
        path = text_format("%s/" STR_FMT, folder, STR_ARG(name));
        *strrchr(path, '/') = '\0';
        if (!file_make_dirs(path, 0755, &err))
            abort();
        path[strlen(path)] = '/';
        if (!file_write_atomic(path, strbuf_str(&text), 0644, &err))
            abort();
    }
}

static void
judge(struct one *o, const struct runner_outcome *outcome)
{
    struct str rest = o->expect, line;
    struct str log = strbuf_str(&o->log);
    cleanup(strbuf_done) struct strbuf stages = {0};

    if (!next_line(&rest, "result", &line))
        strbuf_add_cstr(&o->why, "no result in the .expect file\n");
    else if (!str_is(line, build_result_name(outcome->result)))
        strbuf_addf(&o->why, "result %s: %s\n", build_result_name(outcome->result),
                    outcome->reason);
    for (rest = o->expect; next_line(&rest, "stage", &line);)
        strbuf_addf(&stages, STR_FMT "\n", STR_ARG(line));
    if (stages.len > 0 && !str_equal(strbuf_str(&stages), strbuf_str(&o->stages)))
        strbuf_addf(&o->why, "stages are\n%s", strbuf_cstr(&o->stages));
    for (rest = o->expect; next_line(&rest, "log", &line);) {
        const ptrdiff_t at = str_find(log, line);
        if (at < 0)
            strbuf_addf(&o->why, "not in the log (here): " STR_FMT "\n", STR_ARG(line));
        else
            log = str_slice(log, (size_t)at + line.len, log.len);
    }
    for (rest = o->expect; next_line(&rest, "not", &line);)
        if (str_find(strbuf_str(&o->log), line) >= 0)
            strbuf_addf(&o->why, "in the log: " STR_FMT "\n", STR_ARG(line));
}

static const char *const *
environment(const struct one *o)
{
    const char **env = mem_new(20 * sizeof(*env));
    struct str rest = o->expect, line;

    for (size_t i = 0; i < 19 && next_line(&rest, "env", &line); i++)
        env[i] = str_dup(line);
    return env;
}

static struct json *
previous_builds(const char *result)
{
    struct json *list = json_array(), *one;

    if (result == NULL)
        return list;
    one = json_object();
    json_set(one, "number", json_int(6));
    json_set(one, "result", json_text(result));
    json_append(list, one);
    return list;
}

static struct json *
commits_of(const struct one *o)
{
    struct json *list = json_array();
    struct str rest = o->expect, line, part;

    while (next_line(&rest, "commit", &line)) {
        struct json *one = json_object(), *files = json_array();
        (void)str_split(&line, '|', &part);
        json_set(one, "commitId", json_text("0123456789abcdef0123456789abcdef01234567"));
        json_set(one, "author", json_str(part));
        (void)str_split(&line, '|', &part);
        json_set(one, "msg", json_str(part));
        json_set(one, "comment", json_str(part));
        while (str_split(&line, '|', &part)) {
            struct json *file = json_object();
            json_set(file, "editType", json_text(part.at[0] == 'A' ? "add" : "edit"));
            json_set(file, "path", json_str(str_slice(part, 2, part.len)));
            json_append(files, file);
        }
        json_set(one, "files", files);
        json_append(list, one);
    }
    return list;
}

static void
run_one(struct one *o, const char *folder, struct str text)
{
    struct str changed[20], rest = o->expect;
    cleanup_free char *branch = setting(o, "branch"), *cause = setting(o, "cause");
    cleanup_free char *previous = setting(o, "previous");
    cleanup_free char *workspace = text_format("%s/ws", folder);
    cleanup_free char *path = text_format("%s/Jenkinsfile", workspace);
    cleanup_free char *artifacts = text_format("%s/artifacts", folder);
    cleanup_free char *cookie = text_format("corpus-%s", strrchr(folder, '/') + 1);
    const char *const *env = environment(o);
    cleanup_json struct json *history = previous_builds(previous), *commits = commits_of(o);
    struct runner_outcome outcome;
    struct err err;
    struct runner_config config = {
        .jenkinsfile_name = "Jenkinsfile",
        .workspace = workspace,
        .in_place = true,
        .tool_dir = tools,
        .extra_env = env,
        .artifact_dir = artifacts,
        .secrets_dir = secrets,
        .cookie = cookie,
        .timeout_ms = 60000,
        .number = 7,
        .job_name = "web/main",
        .build_url = "http://localhost:4566/naru/builds/web/7/",
        .job_url = "http://localhost:4566/naru/builds/web/",
        .server_url = "http://localhost:4566/",
        .home = folder,
        .branch = branch != NULL && strcmp(branch, "-") == 0 ? NULL
                  : branch == NULL                           ? "main"
                                                             : branch,
        .cause = cause == NULL ? "BranchEventCause" : cause,
        .previous_result = previous,
        .history = history,
        .changes = commits,
        .changed_paths = changed,
        .ctx = o,
        .on_log = on_log,
        .on_stage = on_stage,
    };

    while (config.changed_path_count < ARRAY_COUNT(changed) &&
           next_line(&rest, "changed", &changed[config.changed_path_count]))
        config.changed_path_count++;
    if (!file_make_dirs(workspace, 0755, &err) || !file_write_atomic(path, text, 0644, &err))
        abort();
    write_files(o, workspace);
    runner_run(&config, &outcome);
    judge(o, &outcome);
    for (size_t i = 0; env[i] != NULL; i++)
        free((void *)(uintptr_t)env[i]);
    free((void *)(uintptr_t)env);
}

static bool
is_missing(const char *name)
{
    struct str rest = strbuf_str(&missing), line;

    while (str_split(&rest, '\n', &line))
        if (str_starts(line, str_of(name)) &&
            (line.len == strlen(name) || line.at[strlen(name)] == ' '))
            return true;
    return false;
}

static void
run_name(const char *name)
{
    cleanup_free char *source = text_format("%s/../jenkinsfiles/%s.jenkinsfile", SOURCE_DIR, name);
    cleanup_free char *expect = text_format("%s/../jenkinsfiles/%s.expect", SOURCE_DIR, name);
    cleanup(strbuf_done) struct strbuf text = {0}, wanted = {0};
    char folder[] = "/tmp/naru-corpus-XXXXXX";
    struct one o = {0};
    struct err err;
    bool is_right;

    if (!file_read(source, SYNTAX_TEXT_MAX, &text, &err) ||
        !file_read(expect, 65536, &wanted, &err) || mkdtemp(folder) == NULL) {
        fprintf(stderr, "%s: %s\n", name, err.message);
        abort();
    }
    o.expect = strbuf_str(&wanted);
    run_one(&o, folder, strbuf_str(&text));
    is_right = o.why.len == 0;
    pthread_mutex_lock(&lock);
    if (is_right == is_missing(name)) {
        strbuf_addf(&complaints, "%s: %s%s%s", name,
                    is_right ? "comes out right; take it off missing.txt\n" : strbuf_cstr(&o.why),
                    is_right ? "" : "its log:\n", is_right ? "" : strbuf_cstr(&o.log));
        failed += !is_right;
        unexpected += is_right;
    }
    pthread_mutex_unlock(&lock);
    strbuf_done(&o.log);
    strbuf_done(&o.stages);
    strbuf_done(&o.why);
    (void)!file_remove_tree(folder, &err);
}

static void *
work(void *arg)
{
    const char *name;

    for (;;) {
        pthread_mutex_lock(&lock);
        name = next_name < name_count ? names[next_name++] : NULL;
        pthread_mutex_unlock(&lock);
        if (name == NULL)
            return arg;
        run_name(name);
    }
}

/* A folder of links to the stand-in. */
static void
make_tools(const char *folder)
{
    static const char *const commands[] = {
        "docker",  "aws",     "git",       "mvn",    "npm",
        "node",    "kubectl", "terraform", "curl",   "yarn",
        "python3", "pytest",  "go",        "gradle", "make",
        "jq",      "ssh",     "scp",       "pip",    "docker-compose",
        "helm",    "trivy",   "cargo",     "rsync",  "sonar-scanner"};
    cleanup_free char *stand_in = text_format("%s/../jenkinsfiles/bin/stand-in", SOURCE_DIR);

    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        cleanup_free char *path = text_format("%s/%s", folder, commands[i]);
        CHECK(symlink(stand_in, path) == 0);
    }
}

static void
make_secrets(const char *folder)
{
    static const char plain[] =
        "{\"hub\":{\"kind\":\"usernamePassword\",\"username\":\"bob\",\"password\":\"hub-pass\"},"
        "\"token\":{\"kind\":\"string\",\"secret\":\"tok-s3cret\"},"
        "\"kube\":{\"kind\":\"file\",\"content\":\"kube: config\"}}";
    cleanup_free char *path = text_format("%s/plain.json", folder);
    cleanup_json struct json *aws = NULL, *bundle = NULL;
    unsigned moved = 0;
    struct err err;

    CHECK(file_write_atomic(path, STR(plain), 0600, &err));
    CHECK(secrets_migrate(secrets, path, &moved, &err));
    CHECK(moved == 3);
    aws = json_object();
    json_set(aws, "kind", json_text("aws"));
    json_set(aws, "accessKeyId", json_text("AKIACORPUS"));
    json_set(aws, "secretAccessKey", json_text("aws-s3cret-key"));
    CHECK(secrets_set(secrets, "aws", aws, "", &err));
    bundle = json_object(); /* conf/app.conf: port=1 */
    json_set(bundle, "kind", json_text("file"));
    json_set(bundle, "name", json_text("bundle.zip"));
    json_set(bundle, "contentBase64", json_text(
        "UEsDBBQAAAAAAAAAIQDRrtLlBwAAAAcAAAANAAAAY29uZi9hcHAuY29uZnBvcnQ9MQpQSwECFAMUAAAA"
        "AAAAACEA0a7S5QcAAAAHAAAADQAAAAAAAAAAAAAAgAEAAAAAY29uZi9hcHAuY29uZlBLBQYAAAAAAQAB"
        "ADsAAAAyAAAAAAA="));
    CHECK(secrets_set(secrets, "bundle", bundle, "", &err));
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
read_names(void)
{
    cleanup_free char *folder = text_format("%s/../jenkinsfiles", SOURCE_DIR);
    cleanup_free char *list = text_format("%s/missing.txt", folder);
    const char *only = getenv("CORPUS_ONLY"); /* a part of a name, to run few by hand */
    struct dirent *entry;
    struct err err;
    DIR *dir = opendir(folder);

    CHECK(dir != NULL && file_read(list, 1 << 20, &missing, &err));
    while ((entry = readdir(dir)) != NULL) {
        const struct str name = str_of(entry->d_name);
        if (!str_ends(name, STR(".jenkinsfile")) || name_count == FILES_MAX ||
            (only != NULL && strstr(entry->d_name, only) == NULL))
            continue;
        names[name_count++] = str_dup(str_slice(name, 0, name.len - strlen(".jenkinsfile")));
    }
    closedir(dir);
    qsort(names, name_count, sizeof(names[0]), by_name);
    CHECK(only != NULL || name_count >= 120);
}

TEST(every_file_of_the_corpus_comes_out_as_expected)
{
    char folder[] = "/tmp/naru-corpus-XXXXXX";
    pthread_t threads[WORKERS];
    pthread_attr_t attr;
    struct err err;

    CHECK(mkdtemp(folder) != NULL);
    tools = text_format("%s/bin", folder);
    secrets = text_format("%s/secrets", folder);
    CHECK(file_make_dirs(tools, 0755, &err));
    make_tools(tools);
    make_secrets(folder);
    read_names();
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    for (size_t i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&threads[i], &attr, work, NULL) == 0);
    for (size_t i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attr);
    (void)!file_remove_tree(folder, &err);
    if (failed + unexpected > 0)
        check_fail(__FILE__, __LINE__, "%u wrong, %u to take off missing.txt:\n%s", failed,
                   unexpected, strbuf_cstr(&complaints));
}
