/* SPDX-License-Identifier: MIT */
/* Branches of a build side by side: parallel, matrix, stage and node as steps. */
#include "base/clock.h"
#include "build_setup.h"
#include "pipeline/lock_table.h"

TEST(branches_run_side_by_side)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    /* Each waits for what the other one does. */
    log = run_file(&b,
                   "pipeline {\n agent any\n stages {\n stage('P') {\n parallel {\n"
                   "stage('a') { steps { sh 'touch a; while [ ! -e b ]; do sleep 0.01; done'\n"
                   "  echo 'a saw b' } }\n"
                   "stage('b') { steps { sh 'touch b; while [ ! -e a ]; do sleep 0.01; done'\n"
                   "  echo 'b saw a' } }\n"
                   "} }\n stage('After') { steps { echo 'after' } } } }",
                   RESULT_SUCCESS);
    CHECK(has(log, "[a] a saw b") && has(log, "[b] b saw a") && has(log, "after"));
    CHECK(strstr(strbuf_cstr(&b.stages), "  a=SUCCESS\n") != NULL);
    CHECK(strstr(strbuf_cstr(&b.stages), "P=SUCCESS\nAfter=SUCCESS\n") != NULL);
}

TEST(all_branches_finish_and_the_error_is_the_first_ordinary_one)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    log = run_file(
        &b,
        "pipeline {\n agent any\n stages {\n stage('P') {\n parallel {\n"
        "stage('bad') { steps { sh 'exit 3' }\n post { failure { echo 'bad failed' } } }\n"
        "stage('slow') { steps { sh 'while [ ! -e go ]; do sleep 0.01; done'\n echo 'slow' }\n"
        " post { success { echo 'slow is fine' } } }\n"
        "stage('go') { steps { sleep 0\n sh 'touch go' } }\n"
        "}\n post { failure { echo 'P failed' } } }\n"
        "stage('Never') { steps { echo 'never' } } } }",
        RESULT_FAILURE);
    CHECK_TEXT(b.outcome.reason, "script returned exit code 3");
    CHECK(has(log, "[bad] bad failed") && has(log, "[slow] slow is fine") && has(log, "P failed"));
    CHECK(has(log, "Failed in branch bad") && strstr(log, "never") == NULL);
    CHECK(strstr(strbuf_cstr(&b.stages), "P=FAILED\nNever=SKIPPED FAILURE\n") != NULL);
}

TEST(fail_fast_interrupts_the_other_branches)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    log = run_file(&b,
                   "pipeline {\n agent any\n stages {\n stage('P') {\n failFast true\n parallel {\n"
                   "stage('long') { steps { sh 'touch l; sleep 300' }\n"
                   " post { aborted { echo 'long aborted' } } }\n"
                   "stage('sleeper') { steps { sleep 300 } }\n"
                   "stage('bad') { steps { sh 'while [ ! -e l ]; do sleep 0.01; done; exit 4' } }\n"
                   "} } } }",
                   RESULT_FAILURE);
    CHECK_TEXT(b.outcome.reason, "script returned exit code 4");
    CHECK(has(log, "[long] long aborted"));
    CHECK(strstr(strbuf_cstr(&b.stages), "  long=ABORTED\n") != NULL);
    CHECK(strstr(strbuf_cstr(&b.stages), "  sleeper=ABORTED\n") != NULL);
    CHECK(strstr(strbuf_cstr(&b.stages), "  bad=FAILED\n") != NULL);
}

TEST(a_branch_hears_once_that_another_one_has_failed)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "script { def waits = { try { sleep 300 } finally { sh 'sleep 0.05; echo cleaned' } }\n"
        "try { parallel(failFast: true, bad: { error 'no' }, one: waits, two: waits) }\n"
        "catch (e) { echo \"caught ${e.message}\" } }",
        RESULT_SUCCESS);

    CHECK(has(log, "[one] cleaned") && has(log, "[two] cleaned") && has(log, "caught no"));
}

TEST(the_cause_of_a_branch_that_is_interrupted_is_the_one_that_failed)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "script { def waits = { try { sleep 300 } catch (e) { def c = e.causes[0]\n"
        "echo \"${c.class.simpleName}: ${c.shortDescription}\"\n throw e } }\n"
        "try { parallel(failFast: true, bad: { error 'no' }, one: waits) } catch (e) { } }",
        RESULT_SUCCESS);

    CHECK(has(log, "[one] FailFastCause: Failed in branch bad"));
}

TEST(a_timeout_around_branches_ends_all_of_them)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(
        &b,
        "pipeline {\n agent any\n stages {\n stage('P') {\n"
        "options { timeout(time: 300, unit: 'MILLISECONDS') }\n parallel {\n"
        "stage('x') { steps { sh 'sleep 300' }\n post { aborted { sh 'echo x over' } } }\n"
        "stage('y') { steps { sleep 300 }\n post { always { echo 'y over' } } }\n"
        "} } }\n post { aborted { echo 'all over' } } }",
        RESULT_ABORTED);
    CHECK(has(strbuf_cstr(&b.log), "[x] x over") && has(strbuf_cstr(&b.log), "[y] y over"));
    CHECK(has(strbuf_cstr(&b.log), "all over"));
}

TEST(a_matrix_is_the_product_of_its_axes_without_its_excludes)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    log = run_file(&b,
                   "pipeline {\n agent any\n stages {\n stage('M') {\n matrix {\n"
                   "axes { axis { name 'OS'; values 'linux', 'mac' }\n"
                   " axis { name 'V'; values '1', '2' } }\n"
                   "excludes { exclude { axis { name 'OS'; values 'mac' }\n"
                   " axis { name 'V'; notValues '2' } } }\n"
                   "environment { TAG = \"${OS}-${V}\" }\n"
                   "when { not { environment name: 'TAG', value: 'x' } }\n"
                   "stages { stage('T') { steps { sh 'echo \"cell $TAG\" | cat' } } }\n"
                   "post { always { echo \"over ${TAG}\" } }\n"
                   "} } } }",
                   RESULT_SUCCESS);
    CHECK(has(log, "[Matrix - OS = 'linux', V = '1'] cell linux-1"));
    CHECK(has(log, "[Matrix - OS = 'linux', V = '2'] cell linux-2"));
    CHECK(has(log, "[Matrix - OS = 'mac', V = '2'] over mac-2"));
    CHECK(strstr(log, "mac-1") == NULL);
    CHECK(strstr(strbuf_cstr(&b.stages), "    T=SUCCESS\n  Matrix - OS = ") != NULL);
}

TEST(a_value_of_an_axis_may_be_a_number_of_any_size)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    log = run_file(&b,
                   "pipeline {\n agent any\n stages {\n stage('M') {\n matrix {\n"
                   "axes { axis { name 'N'; values 7, 36893488147419103232 } }\n"
                   "stages { stage('T') { steps { echo \"n ${N}\" } } }\n"
                   "} } } }",
                   RESULT_SUCCESS);
    CHECK(has(log, "[Matrix - N = '7'] n 7"));
    CHECK(has(log, "[Matrix - N = '36893488147419103232'] n 36893488147419103232"));
}

TEST(scripted_parallel_gives_its_values_and_shares_its_variables)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(&b,
                                "script {\n def n = 0\n def branches = [:]\n"
                                "for (int i = 0; i < 5; i++) { def k = i\n"
                                " branches[\"b${k}\"] = { sleep 0; n += k; env.LAST = 'yes'; k * 2 } }\n"
                                "def r = parallel branches\n"
                                "echo \"sum ${n} r ${r} ${env.LAST}\"\n"
                                "try { parallel(x: { error 'oops' }, y: { echo 'y' }, failFast: true) }\n"
                                "catch (e) { echo \"caught ${e.message}\" } }",
                                RESULT_SUCCESS);

    CHECK(has(log, "sum 10 r [b0:0, b1:2, b2:4, b3:6, b4:8] yes"));
    CHECK(has(log, "caught oops"));
}

TEST(a_thousand_branches_run_on_one_thread)
{
    cleanup(build_done) struct build b = {0};
    const int64_t start_ms = clock_monotonic_ms();
    const char *log = run_steps(&b,
                                "script {\n def branches = [:]\n"
                                "for (int i = 0; i < 1000; i++) { def k = i\n"
                                " branches[\"b${k}\"] = { sleep 0; echo \"I am ${k}\" } }\n"
                                "parallel branches }",
                                RESULT_SUCCESS);

    CHECK(has(log, "[b0] I am 0") && has(log, "[b999] I am 999"));
    CHECK(clock_monotonic_ms() - start_ms < 20000);
}

TEST(a_branch_that_calls_itself_too_deeply_fails_alone)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    build_run(&b, "def f(n) { return f(n + 1) }\n"
                  "parallel(deep: { try { f(0) } catch (StackOverflowError e) { echo 'too deep' } },\n"
                  " other: { echo 'fine' })\n");
    CHECK_TEXT(b.outcome.reason, "");
    CHECK(has(strbuf_cstr(&b.log), "[deep] too deep") && has(strbuf_cstr(&b.log), "[other] fine"));
}

TEST(scripted_pipelines_have_nodes_and_stages)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    log = run_file(&b,
                   "node('linux') {\n stage('Build') { sh 'echo in $STAGE_NAME | cat' }\n"
                   " stage('Test') { dir('sub') { sh 'pwd' } }\n}\n"
                   "stage('Deploy') { node { sh 'exit 2' } }\n",
                   RESULT_FAILURE);
    CHECK(has(log, "in Build"));
    CHECK(strstr(log, "/ws/sub\n") != NULL);
    CHECK_TEXT(strbuf_cstr(&b.stages), "Build=SUCCESS\nTest=SUCCESS\nDeploy=FAILED\n");
}

TEST(a_lock_is_held_by_one_branch_at_a_time)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "script { parallel(['a', 'b', 'c'].collectEntries { n -> [n, {\n"
        " lock(resource: 'db', variable: 'DB') {\n"
        "  sh '[ ! -e busy ]; touch busy; sleep 0.02; rm busy; echo \"has $DB\" | cat' } }] })\n"
        "lock('x') { parallel(p: { lock(resource: 'x', skipIfLocked: true) { echo 'twice' } }, "
        "q: { echo 'q' }) } }",
        RESULT_SUCCESS);

    CHECK(has(log, "[a] has db") && has(log, "[b] has db") && has(log, "[c] has db"));
    CHECK(has(log, "[p] [x] is locked, skipping execution...") && strstr(log, "twice") == NULL);
}

static pthread_barrier_t decided;

/* Both know what they do before one of them does it. */
static void
log_and_meet(void *ctx, struct str text)
{
    on_log(ctx, text);
    if (str_starts(text, STR("Trying to acquire")) || str_find(text, STR("is locked, skipping")) >= 0)
        (void)pthread_barrier_wait(&decided);
}

TEST(of_builds_that_find_a_lock_free_at_once_one_has_it_and_the_other_skips)
{
    struct build builds[2] = {0};
    pthread_t threads[2];
    struct lock_table *locks = lock_table_new(NULL);
    unsigned ran = 0, skipped = 0;

    CHECK(pthread_barrier_init(&decided, NULL, 2) == 0);
    for (size_t i = 0; i < 2; i++) {
        build_init(&builds[i]);
        builds[i].config.number = (int64_t)i + 1;
        builds[i].config.locks = locks;
        builds[i].config.on_log = log_and_meet;
        put_file(&builds[i], "ws/Jenkinsfile", "lock(resource: 'db', skipIfLocked: true) { echo 'in' }");
        CHECK(pthread_create(&threads[i], NULL, run_thread, &builds[i]) == 0);
    }
    for (size_t i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        ran += has(strbuf_cstr(&builds[i].log), "in");
        skipped += has(strbuf_cstr(&builds[i].log), "[db] is locked, skipping execution...");
        CHECK(file_remove_tree(builds[i].directory, NULL));
        build_done(&builds[i]);
    }
    CHECK_EQ(ran, 1);
    CHECK_EQ(skipped, 1);
    pthread_barrier_destroy(&decided);
    lock_table_free(locks);
}

TEST(a_label_of_too_many_resources_is_refused)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf all = {0};

    build_init(&b);
    b.config.home = b.directory;
    for (unsigned i = 0; i <= LOCK_NAMES_MAX; i++)
        strbuf_addf(&all, "%s\"r%u\":[\"many\"]", i == 0 ? "{" : ",", i);
    strbuf_add_char(&all, '}');
    put_file(&b, "resources.json", strbuf_cstr(&all));
    build_run(&b, "lock(label: 'many') { echo 'not of all' }");
    CHECK_TEXT(b.outcome.reason, "more than 1000 resources have the label 'many'");
}

TEST(properties_declare_parameters_of_scripted_pipelines)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    build_run(&b, "properties([disableConcurrentBuilds(), parameters([string(name: 'A', "
                  "defaultValue: 'x'), booleanParam(name: 'B', defaultValue: true)]), "
                  "pipelineTriggers([cron('H 2 * * *')])])\n"
                  "echo \"A ${params.A} B ${params.B} ${env.A}\"\n"
                  "milestone 1\nthrottle(['x', 'x']) { echo 'in' }\n"
                  "try { milestone 9223372036854775807 } catch (e) { echo e.message }\n");
    CHECK_TEXT(b.outcome.reason, "");
    CHECK(has(strbuf_cstr(&b.log), "A x B true x") && has(strbuf_cstr(&b.log), "in"));
    CHECK(has(strbuf_cstr(&b.log), "a milestone's ordinal is at most 2147483647"));
}
