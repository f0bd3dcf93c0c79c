/* SPDX-License-Identifier: MIT */
/* pipeline_bench.c - what builds cost: from the start to the first script, per `sh` beside a bare one,
 * a thousand parallel branches, and the memory of a build that waits.  With the journal, as in a
 * server. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "io/file.h"
#include "io/process.h"
#include "pipeline/run/runner.h"

#define ROUNDS 9
#define SHELLS 200
#define IDLE 20

struct build {
    struct runner_config config;
    struct runner_outcome outcome;
    char *workspace, *state;
    int64_t began_us, first_us;
};
static char root[] = "/tmp/naru-pipeline-bench-XXXXXX";
static atomic_int asking;
static atomic_bool over;

static int64_t
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
on_log(void *ctx, struct str text)
{
    struct build *b = ctx;

    if (b->first_us == 0 && str_find(text, STR("first script")) >= 0)
        b->first_us = now_us();
}

static void
question(void *ctx, const struct json *asked, bool is_over)
{
    if (!is_over)
        atomic_fetch_add(&asking, 1);
}

static struct json *
answer(void *ctx, const char *step)
{
    struct json *j;

    if (!atomic_load(&over))
        return NULL;
    j = json_object();
    json_set(j, "proceed", json_bool(true));
    return j;
}

static const struct runner_host host = {.question = question, .answer = answer};

static void
sh(const char *script)
{
    const char *const argv[] = {"sh", "-ec", script, NULL};
    const struct process_spec spec = {.argv = argv, .directory = root};
    struct process_result r;

    if (!process_run(&spec, &r, NULL) || r.exit_code != 0)
        abort();
    process_result_done(&r);
}

static void
prepare(struct build *b, int number, const char *file, bool from_git)
{
    static char *url, commit[41];
    struct err err;

    *b = (struct build){.workspace = text_format("%s/ws%d", root, number),
                        .state = text_format("%s/state%d", root, number)};
    b->config = (struct runner_config){.jenkinsfile_name = "Jenkinsfile",
                                       .workspace = b->workspace,
                                       .in_place = !from_git,
                                       .state_dir = b->state,
                                       .cookie = "bench",
                                       .number = 1,
                                       .job_name = "bench/main",
                                       .host = &host,
                                       .on_log = on_log};
    b->config.ctx = b;
    if (!file_make_dirs(b->workspace, 0755, &err))
        abort();
    if (from_git) {
        cleanup(strbuf_done) struct strbuf id = {0};
        /* Without a working tree, as naru's own repositories are. */
        sh("[ -e bare.git ] || { git init -q repo; cp first repo/Jenkinsfile; cd repo; git add .; "
           "git -c user.name=b -c user.email=b@b commit -qm b; git rev-parse HEAD > ../commit; "
           "git clone -q --bare . ../bare.git; }");
        if (url == NULL)
            url = text_format("%s/bare.git", root);
        cleanup_free char *path = text_format("%s/commit", root);
        if (!file_read(path, 64, &id, NULL) || id.len < 40)
            abort();
        memcpy(commit, id.at, 40);
        b->config.git_url = url;
        b->config.commit = commit;
        b->config.branch = "master";
    } else {
        cleanup_free char *path = text_format("%s/Jenkinsfile", b->workspace);
        if (!file_write_atomic(path, str_of(file), 0644, &err))
            abort();
    }
}

static void *
run(void *arg)
{
    struct build *b = arg;

    b->began_us = now_us();
    runner_run(&b->config, &b->outcome);
    if (b->outcome.result != RESULT_SUCCESS) {
        fprintf(stderr, "the build failed: %s\n", b->outcome.reason);
        abort();
    }
    return NULL;
}

static pthread_t
start(struct build *b)
{
    pthread_attr_t attr;
    pthread_t t;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, RUNNER_STACK_SIZE);
    if (pthread_create(&t, &attr, run, b) != 0)
        abort();
    pthread_attr_destroy(&attr);
    return t;
}

/* Milliseconds that the whole build takes, or until its first script (`first`). */
static double
time_build(int number, const char *file, bool from_git, bool first)
{
    struct build b;
    int64_t end_us;

    prepare(&b, number, file, from_git);
    pthread_join(start(&b), NULL);
    end_us = now_us();
    free(b.workspace);
    free(b.state);
    return (double)((first ? b.first_us : end_us) - b.began_us) / 1000;
}

static int
by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double
median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), by_value);
    return values[count / 2];
}

static double
resident_mb(void)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    long pages = 0;

    if (!file_read("/proc/self/statm", 256, &text, NULL) ||
        sscanf(strbuf_cstr(&text), "%*d %ld", &pages) != 1)
        abort();
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static void
measure_first(void)
{
    static const char file[] =
        "pipeline { agent any\n stages { stage('A') { steps { sh 'echo first script' } } } }\n";
    double here[ROUNDS], checkout[ROUNDS];
    cleanup_free char *path = text_format("%s/first", root);

    if (!file_write_atomic(path, str_of(file), 0644, NULL))
        abort();
    for (int i = 0; i < ROUNDS; i++) {
        here[i] = time_build(i, file, false, true);
        checkout[i] = time_build(100 + i, file, true, true);
    }
    printf("pipeline   first line of the first sh %.1f ms after the start of the build, with fetch and "
           "checkout of a new workspace %.1f ms (medians of %d; wanted: under 30)\n",
           median(here, ROUNDS), median(checkout, ROUNDS), ROUNDS);
}

static void
measure_shells(void)
{
    double with[ROUNDS], empty[ROUNDS], bare[ROUNDS];
    static const char many[] = "node { for (int i = 0; i < 200; i++) { sh 'true' } }\n";

    for (int i = 0; i < ROUNDS; i++) {
        int64_t began_us;
        with[i] = time_build(200 + i, many, false, false);
        empty[i] = time_build(300 + i, "node { }\n", false, false);
        began_us = now_us();
        for (int k = 0; k < SHELLS; k++)
            sh("true");
        bare[i] = (double)(now_us() - began_us) / 1000;
    }
    printf("pipeline   sh 'true' takes %.2f ms, a bare shell %.2f ms: overhead %.2f ms a step (medians of "
           "%d x %d; wanted: under 5)\n",
           (median(with, ROUNDS) - median(empty, ROUNDS)) / SHELLS, median(bare, ROUNDS) / SHELLS,
           (median(with, ROUNDS) - median(empty, ROUNDS) - median(bare, ROUNDS)) / SHELLS, ROUNDS,
           SHELLS);
}

static void
measure_branches(void)
{
    double took[ROUNDS];
    static const char file[] =
        "def b = [:]\nfor (int i = 0; i < 1000; i++) { def k = i; b[\"b${k}\"] = { echo \"I am ${k}\"; "
        "sleep 0; echo 'again' } }\nparallel b\n";

    for (int i = 0; i < ROUNDS; i++)
        took[i] = time_build(400 + i, file, false, false);
    printf("pipeline   1,000 parallel branches, each with two echo steps and a wait: %.0f ms for the "
           "whole build (median of %d)\n",
           median(took, ROUNDS), ROUNDS);
}

static void
measure_idle(void)
{
    static struct build builds[IDLE];
    pthread_t threads[IDLE];
    double before = resident_mb(), after;

    for (int i = 0; i < IDLE; i++) {
        prepare(&builds[i], 500 + i,
                "pipeline { agent any\n stages { stage('A') { steps { input 'Go on?' } } } }\n", false);
        threads[i] = start(&builds[i]);
    }
    while (atomic_load(&asking) < IDLE)
        clock_sleep_ms(5);
    clock_sleep_ms(200);
    after = resident_mb();
    printf("pipeline   a build that waits for input holds %.2f MB (of %d; wanted: under 1)\n",
           (after - before) / IDLE, IDLE);
    atomic_store(&over, true);
    for (int i = 0; i < IDLE; i++)
        pthread_join(threads[i], NULL);
}

int
main(void)
{
    if (mkdtemp(root) == NULL)
        abort();
    measure_idle(); /* first: what the others touched would be used again */
    measure_first();
    measure_shells();
    measure_branches();
    return file_remove_tree(root, NULL) ? 0 : 1;
}
