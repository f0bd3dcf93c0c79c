/* SPDX-License-Identifier: MIT */
/* The hands that call lifecycle hooks: what an answer may be, a receiver that answers in every way,
 * and commands of a directory. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "check.h"
#include "hooks/hook_answer.h"
#include "hooks/hooks.h"
#include "hooks/internal.h"
#include "io/file.h"
#include "io/http_server.h"
#include "io/process.h"
#include "model/hook_target.h"

/* ---- answers ---- */

TEST(an_answer_is_read_with_its_defaults)
{
    static const struct {
        const char *text;
        enum hook_outcome outcome;
        int delay_s;
    } good[] = {
        {"{\"hookStatus\":\"SUCCEEDED\"}", OUTCOME_SUCCEEDED, 0},
        {"{\"hookStatus\":\"FAILED\",\"hookDetails\":{\"a\":[1]}}", OUTCOME_FAILED, 0},
        {" {\"hookStatus\":\"IN_PROGRESS\"} ", OUTCOME_IN_PROGRESS, 30},
        {"{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":5,\"hookDetails\":null}",
         OUTCOME_IN_PROGRESS, 5},
        {"{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":0}", OUTCOME_IN_PROGRESS, 1},
        {"{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":null}", OUTCOME_IN_PROGRESS, 30},
        {"{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":86400}", OUTCOME_IN_PROGRESS, 86400},
        {"{\"hookStatus\":\"SUCCEEDED\",\"callBackDelay\":9,\"more\":true}", OUTCOME_SUCCEEDED, 0},
    };

    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct hook_answer a;
        struct err err = {0};
        CHECK(hook_answer_parse(str_of(good[i].text), &a, &err));
        CHECK_EQ(a.outcome, good[i].outcome);
        CHECK_EQ(a.delay_s, good[i].delay_s);
    }
}

TEST(what_is_no_answer_is_named)
{
    static const char *const bad[][2] = {
        {"", "not JSON"},
        {"ok", "not JSON"},
        {"[]", "not a JSON object"},
        {"\"SUCCEEDED\"", "not"},
        {"{}", "hookStatus is missing"},
        {"{\"hookStatus\":null}", "none of SUCCEEDED"},
        {"{\"hookStatus\":1}", "none of SUCCEEDED"},
        {"{\"hookStatus\":\"succeeded\"}", "none of SUCCEEDED"},
        {"{\"hookStatus\":\"UNREACHED\"}", "none of SUCCEEDED"},
        {"{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":-1}", "between 0 and 86400"},
        {"{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":86401}", "between 0 and 86400"},
        {"{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":1.5}", "whole number"},
        {"{\"hookStatus\":\"SUCCEEDED\",\"callBackDelay\":\"5\"}", "whole number"},
        {"{\"hookStatus\":\"SUCCEEDED\",\"hookDetails\":[]}", "hookDetails is not an object"},
        {"{\"hookStatus\":\"SUCCEEDED\",\"hookStatus\":\"FAILED\"}", "not JSON"},
    };
    cleanup(strbuf_done) struct strbuf long_one = {0};
    struct hook_answer a = {.delay_s = 77};
    struct err err = {0};

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK(!hook_answer_parse(str_of(bad[i][0]), &a, &err));
        if (strstr(err.message, bad[i][1]) == NULL)
            check_fail(__FILE__, __LINE__, "%s: %s", bad[i][0], err.message);
        CHECK_EQ(a.delay_s, 77);
    }
    strbuf_add_cstr(&long_one, "{\"hookStatus\":\"SUCCEEDED\",\"x\":\"");
    while (long_one.len < HOOK_ANSWER_MAX)
        strbuf_add_char(&long_one, 'x');
    strbuf_add_cstr(&long_one, "\"}");
    CHECK(!hook_answer_parse(strbuf_str(&long_one), &a, &err));
}

TEST(a_target_says_of_what_kind_it_is)
{
    static const struct {
        const char *target;
        int kind; /* -1: refused */
        const char *message;
    } all[] = {
        {"http://127.0.0.1:9000/hook?x=1", HOOK_KIND_URL, ""},
        {"https://example.com", HOOK_KIND_URL, ""},
        {"naru:command/migrate_db-2.sh", HOOK_KIND_COMMAND, ""},
        {"arn:aws:ecs:eu-west-1:000000000000:task-definition/migrate:3", HOOK_KIND_TASK, ""},
        {"arn:aws:lambda:eu-west-1:000000000000:function:f", -1,
         "URL that answers as the function does"},
        {"http:///x", -1, "names no host"},
        {"http://:80/", -1, "names no host"},
        {"http://a b/", -1, "escaped"},
        {"http://u:p@h/", -1, "password"},
        {"ftp://h/", -1, "is no http:// or https:// URL"},
        {"naru:command/", -1, "the name of a command"},
        {"naru:command/../x", -1, "the name of a command"},
        {"naru:command/.hidden", -1, "the name of a command"},
        {"naru:command/a/b", -1, "the name of a command"},
        {"naru:command/-x", -1, "the name of a command"},
        {"arn:aws:ecs:eu-west-1:000000000000:service/c/s", -1, "is no http"},
        {"", -1, "is no http"},
    };
    char name[80];

    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        enum hook_kind kind = HOOK_KIND_PAUSE;
        struct err err = {0};
        CHECK_EQ(hook_target_read(all[i].target, &kind, &err), all[i].kind >= 0);
        if (all[i].kind >= 0)
            CHECK_EQ(kind, all[i].kind);
        else if (strstr(err.message, all[i].message) == NULL)
            check_fail(__FILE__, __LINE__, "%s: %s", all[i].target, err.message);
    }
    memset(name, 'x', sizeof(name));
    CHECK(hook_command_name_is_valid((struct str){name, HOOK_COMMAND_MAX}));
    CHECK(!hook_command_name_is_valid((struct str){name, HOOK_COMMAND_MAX + 1}));
}

TEST(the_last_lines_of_an_output_make_one)
{
    char out[32];

    hook_last_lines(STR("one\ntwo\n\n three \r\n"), out, sizeof(out));
    CHECK_TEXT(out, "one; two; three");
    hook_last_lines(STR("1\n2\n3\n4\n5\n6\n"), out, sizeof(out));
    CHECK_TEXT(out, "2; 3; 4; 5; 6");
    hook_last_lines(STR("a line that is not to be seen\nthe last one, that is"), out, sizeof(out));
    CHECK_TEXT(out, "the last one, that is");
    hook_last_lines(STR("0123456789 0123456789 0123456789 0123456789"), out, sizeof(out));
    CHECK_TEXT(out, "123456789 0123456789 0123456789");
    hook_last_lines(STR("caf\xc3\xa9 \x1b[31mred\x1b[0m"), out, sizeof(out));
    CHECK_TEXT(out, "caf\xc3\xa9  [31mred [0m");
    hook_last_lines(STR("\xff\xfe."), out, sizeof(out));
    CHECK_TEXT(out, "??.");
    hook_last_lines(STR("\n\n"), out, sizeof(out));
    CHECK_TEXT(out, "");
}

/* ---- the room, with a directory and a receiver ---- */

struct world {
    char dir[64];
    struct hooks *hooks;
    struct http_server *server;
    pthread_mutex_t lock;
    int reports;
    struct hook_report last;
    char hook_id[HOOK_ID_SIZE], detail[HOOK_DETAIL_SIZE];
    atomic_int calls;
    char body[2048]; /* of the last call */
};

static void
on_report(void *ctx, const struct hook_report *r)
{
    struct world *w = ctx;

    pthread_mutex_lock(&w->lock);
    w->reports++;
    w->last = *r;
    snprintf(w->hook_id, sizeof(w->hook_id), "%s", r->hook_id);
    snprintf(w->detail, sizeof(w->detail), "%s", r->detail);
    pthread_mutex_unlock(&w->lock);
}

/* /status/N answers with that status and SUCCEEDED, /slow after a while, all others with their
 * query. */
static void
answer(struct http_exchange *x, void *ctx)
{
    struct world *w = ctx;
    int status = 200;
    struct str body = STR("{\"hookStatus\":\"SUCCEEDED\"}");

    atomic_fetch_add(&w->calls, 1);
    snprintf(w->body, sizeof(w->body), STR_FMT, STR_ARG(x->body));
    if (str_starts(x->path, STR("/status/")))
        status = atoi(arena_cstr(&x->arena, str_slice(x->path, 8, x->path.len)));
    else if (str_is(x->path, "/slow"))
        clock_sleep_ms(300);
    else if (str_is(x->path, "/wrong"))
        body = STR("{\"hookStatus\":\"MAYBE\"}");
    else if (str_is(x->path, "/later"))
        body = STR("{\"hookStatus\":\"IN_PROGRESS\",\"callBackDelay\":7}");
    else if (str_is(x->path, "/failed"))
        body = STR("{\"hookStatus\":\"FAILED\"}");
    else if (str_is(x->path, "/long")) {
        char *text = arena_alloc(&x->arena, HOOK_ANSWER_MAX + 1000);
        memset(text, ' ', HOOK_ANSWER_MAX + 1000);
        body = (struct str){text, HOOK_ANSWER_MAX + 1000};
    }
    http_reply(x, status, NULL, body);
}

static void
world_init(struct world *w)
{
    const struct http_route route = {.prefix = "/", .end = answer, .ctx = w};
    struct err err = {0};

    *w = (struct world){0};
    pthread_mutex_init(&w->lock, NULL);
    snprintf(w->dir, sizeof(w->dir), "/tmp/test_hooks_XXXXXX");
    CHECK(mkdtemp(w->dir) != NULL);
    w->hooks =
        hooks_new(&(struct hooks_config){.commands_dir = w->dir, .report = on_report, .ctx = w});
    w->server = http_server_start("127.0.0.1", 0, &route, 1, &err);
    CHECK(w->server != NULL);
}

static void
world_done(struct world *w)
{
    struct err err = {0};

    hooks_free(w->hooks);
    http_server_stop(w->server);
    CHECK(file_remove_tree(w->dir, &err));
}

static void
command(struct world *w, const char *name, const char *script, mode_t mode)
{
    char path[200];
    struct err err = {0};

    snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    CHECK(file_write_atomic(path, str_of(script), mode, &err));
    CHECK_EQ(chmod(path, mode), 0);
}

static void
call(struct world *w, const char *target, int attempt, int64_t timeout_ms)
{
    struct hook_call *c = mem_new(sizeof(*c));
    struct err err = {0};

    text_copy(c->hook_id, sizeof(c->hook_id), STR("hook-1"));
    text_copy(c->service_deployment_arn, sizeof(c->service_deployment_arn), STR("arn:sd"));
    c->attempt = attempt;
    c->target = text_dup(target);
    c->payload =
        json_parse(STR("{\"executionId\":\"hook-1\",\"lifecycleStage\":\"PRE_SCALE_UP\","
                       "\"resourceArn\":\"arn:sd\",\"executionDetails\":{\"serviceArn\":\"arn:s\","
                       "\"targetServiceRevisionArn\":\"arn:r\"},\"hookDetails\":{\"a\":1}}"),
                   &err);
    c->timeout_ms = timeout_ms;
    hooks_call(w->hooks, c);
}

static int
reports(struct world *w)
{
    int n;

    pthread_mutex_lock(&w->lock);
    n = w->reports;
    pthread_mutex_unlock(&w->lock);
    return n;
}

static void
wait_report(struct world *w, int count)
{
    const int64_t end_ms = clock_monotonic_ms() + 10000 * CHECK_PATIENCE;

    while (reports(w) < count && clock_monotonic_ms() < end_ms)
        clock_sleep_ms(5);
    CHECK_EQ(reports(w), count);
}

static void
call_url(struct world *w, const char *path, enum hook_outcome outcome, const char *detail)
{
    char url[128];
    const int before = reports(w);

    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(w->server), path);
    call(w, url, before + 1, 60000);
    wait_report(w, before + 1);
    if (w->last.outcome != outcome || strstr(w->detail, detail) == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s %s", path, hook_outcome_name(w->last.outcome),
                   w->detail);
}

TEST(a_url_gets_the_payload_and_its_answer_is_judged)
{
    struct world w;

    world_init(&w);
    call_url(&w, "/status/200", OUTCOME_SUCCEEDED, "");
    CHECK_TEXT(w.hook_id, "hook-1");
    CHECK_EQ(w.last.attempt, 1);
    CHECK(strstr(w.body, "\"executionId\":\"hook-1\"") != NULL);
    call_url(&w, "/later", OUTCOME_IN_PROGRESS, "");
    CHECK_EQ(w.last.delay_s, 7);
    call_url(&w, "/failed", OUTCOME_FAILED, "it answered FAILED");
    call_url(&w, "/wrong", OUTCOME_FAILED, "its answer is invalid: hookStatus is none of");
    call_url(&w, "/long", OUTCOME_FAILED, "too large");
    call_url(&w, "/status/404", OUTCOME_FAILED, "HTTP status 404");
    call_url(&w, "/status/301", OUTCOME_FAILED, "HTTP status 301");
    call_url(&w, "/status/500", OUTCOME_FAILED, "HTTP status 500");
    call_url(&w, "/status/429", OUTCOME_UNREACHED, "HTTP status 429");
    call_url(&w, "/status/503", OUTCOME_UNREACHED, "HTTP status 503");
    world_done(&w);
}

TEST(nobody_there_is_not_a_failure_of_the_hook)
{
    struct world w;

    world_init(&w);
    call(&w, "http://127.0.0.1:1/", 1, 60000);
    wait_report(&w, 1);
    CHECK_EQ(w.last.outcome, OUTCOME_UNREACHED);
    CHECK(strstr(w.detail, "it could not be called") != NULL);
    world_done(&w);
}

TEST(a_call_under_way_is_not_made_twice_and_a_cancelled_one_says_nothing)
{
    struct world w;
    char url[64];

    world_init(&w);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/slow", http_server_port(w.server));
    call(&w, url, 1, 60000);
    call(&w, url, 1, 60000);
    wait_report(&w, 1);
    CHECK_EQ(atomic_load(&w.calls), 1);
    call(&w, url, 1, 60000); /* over: asked for again, it is made again */
    wait_report(&w, 2);
    call(&w, url, 2, 60000);
    hooks_cancel(w.hooks, "hook-1");
    world_done(&w);
    CHECK_EQ(w.reports, 2);
}

TEST(a_command_gets_the_payload_twice_and_nothing_of_the_servers_secrets)
{
    struct world w;
    cleanup(strbuf_done) struct strbuf seen = {0};
    char path[200];
    struct err err = {0};

    world_init(&w);
    setenv("NARU_SECRET_ACCESS_KEY", "secret", 1);
    command(&w, "show", "#!/bin/sh\ncat > in; env > env; echo well; exit 0\n", 0755);
    call(&w, "naru:command/show", 3, 60000);
    wait_report(&w, 1);
    CHECK_EQ(w.last.outcome, OUTCOME_SUCCEEDED);
    CHECK_TEXT(w.detail, "");
    snprintf(path, sizeof(path), "%s/in", w.dir);
    CHECK(file_read(path, 4096, &seen, &err));
    CHECK(strstr(strbuf_cstr(&seen), "\"hookDetails\":{\"a\":1}") != NULL);
    strbuf_clear(&seen);
    snprintf(path, sizeof(path), "%s/env", w.dir);
    CHECK(file_read(path, 8192, &seen, &err));
    CHECK(strstr(strbuf_cstr(&seen), "NARU_EXECUTION_ID=hook-1\n") != NULL);
    CHECK(strstr(strbuf_cstr(&seen), "NARU_ATTEMPT=3\n") != NULL);
    CHECK(strstr(strbuf_cstr(&seen), "NARU_LIFECYCLE_STAGE=PRE_SCALE_UP\n") != NULL);
    CHECK(strstr(strbuf_cstr(&seen), "NARU_SERVICE_ARN=arn:s\n") != NULL);
    CHECK(strstr(strbuf_cstr(&seen), "NARU_HOOK_DETAILS={\"a\":1}\n") != NULL);
    CHECK(strstr(strbuf_cstr(&seen), "SECRET") == NULL);
    world_done(&w);
}

static void
run_command(struct world *w, const char *name, const char *detail)
{
    char target[128];
    const int before = reports(w);

    snprintf(target, sizeof(target), "naru:command/%s", name);
    call(w, target, before + 1, 60000);
    wait_report(w, before + 1);
    CHECK_EQ(w->last.outcome, OUTCOME_FAILED);
    if (strstr(w->detail, detail) == NULL)
        check_fail(__FILE__, __LINE__, "%s: %s", name, w->detail);
}

TEST(a_command_that_fails_leaves_its_last_words_and_what_is_none_is_not_run)
{
    struct world w;
    char path[200];

    world_init(&w);
    command(&w, "fails", "#!/bin/sh\necho start\necho 'no such table' >&2\nexit 3\n", 0755);
    command(&w, "talks", "#!/bin/sh\nseq 100000\nexit 1\n", 0755);
    command(&w, "plain", "#!/bin/sh\n", 0644);
    command(&w, "open", "#!/bin/sh\n", 0777);
    command(&w, "text", "not a program", 0755);
    snprintf(path, sizeof(path), "%s/link", w.dir);
    CHECK_EQ(symlink("/bin/true", path), 0);
    snprintf(path, sizeof(path), "%s/folder", w.dir);
    CHECK_EQ(mkdir(path, 0755), 0);
    run_command(&w, "fails", "exit code 3: start; no such table");
    run_command(&w, "talks", "exit code 1: 99996; 99997; 99998; 99999; 100000");
    run_command(&w, "plain", "not executable");
    run_command(&w, "open", "everybody may write to it");
    run_command(&w, "text", "could not be run");
    run_command(&w, "link", "not a regular file");
    run_command(&w, "folder", "not a regular file");
    run_command(&w, "absent", "not in the directory of hooks");
    run_command(&w, "../x", "no name of a command");
    CHECK_EQ(chmod(w.dir, 0777), 0);
    run_command(&w, "fails", "everybody may write to the directory of hooks");
    world_done(&w);
}

/* A signal is sent at once; when its receiver is gone, that is the kernel's to say. */
static void
wait_dead(pid_t pid)
{
    const int64_t end_ms = clock_monotonic_ms() + 10000 * CHECK_PATIENCE;

    CHECK(pid > 1);
    while (process_is_alive(pid) && clock_monotonic_ms() < end_ms)
        clock_sleep_ms(5);
    CHECK(!process_is_alive(pid));
}

TEST(a_command_ends_with_its_whole_group_when_its_time_is_over_and_when_it_is_cancelled)
{
    struct world w;
    cleanup(strbuf_done) struct strbuf pid = {0};
    char path[200];
    struct err err = {0};

    world_init(&w);
    command(&w, "hangs",
            "#!/bin/sh\nsleep 600 & echo $! > pid.new; mv pid.new pid; echo waiting; wait\n", 0755);
    call(&w, "naru:command/hangs", 1, 500);
    wait_report(&w, 1);
    CHECK_EQ(w.last.outcome, OUTCOME_FAILED);
    CHECK_TEXT(w.detail, "its time was over: waiting");
    snprintf(path, sizeof(path), "%s/pid", w.dir);
    CHECK(file_read(path, 100, &pid, &err));
    wait_dead((pid_t)atoi(strbuf_cstr(&pid)));
    CHECK_EQ(unlink(path), 0);
    call(&w, "naru:command/hangs", 2, 600000);
    while (!file_exists(path))
        clock_sleep_ms(5);
    strbuf_clear(&pid);
    CHECK(file_read(path, 100, &pid, &err));
    hooks_cancel(w.hooks, "hook-1");
    world_done(&w); /* waits for it */
    wait_dead((pid_t)atoi(strbuf_cstr(&pid)));
    CHECK_EQ(w.reports, 1);
}
