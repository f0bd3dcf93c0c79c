/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "io/file.h"
#include "io/process.h"
#include "pipeline/secrets.h"
#include "build_setup.h"

static const char sample[] =
    "pipeline {\n"
    "    agent any\n"
    "    environment {\n"
    "        REGION = 'ap-northeast-2'\n"
    "        REGISTRY = \"${HOST}/my-app\"\n"
    "        HOST = 'localhost:4566'\n"
    "        IMAGE = \"${REGISTRY}:${BUILD_NUMBER}\"\n"
    "    }\n"
    "    options { timeout(time: 10, unit: 'MINUTES') }\n"
    "    stages {\n"
    "        stage('Build') {\n"
    "            steps {\n"
    "                sh '''\n"
    "                    echo \"image $IMAGE\" | cat\n"
    "                    echo joined \\\n"
    "                      here\n"
    "                '''\n"
    "            }\n"
    "        }\n"
    "        stage('Push') { steps { sh \"echo pushing ${IMAGE} \\$REGION\" } }\n"
    "        stage('Deploy') { steps { sh 'echo deploying; exit 3' } }\n"
    "        stage('Never') { steps { sh 'echo never' } }\n"
    "    }\n"
    "    post {\n"
    "        cleanup { echo 'last' }\n"
    "        success { echo 'good' }\n"
    "        failure { sh 'echo rollback of $REGION' }\n"
    "        always { echo \"result ${currentBuild.currentResult}\" }\n"
    "    }\n"
    "}\n";

TEST(a_declarative_pipeline_runs_its_stages_and_its_post)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    const char *log = build_expect(&b, sample, RESULT_FAILURE);
    CHECK_TEXT(b.outcome.reason, "script returned exit code 3");
    CHECK_TEXT(strbuf_cstr(&b.stages),
               "Build=SUCCESS\nPush=SUCCESS\nDeploy=FAILED\nNever=SKIPPED FAILURE\n");
    CHECK(has(log, "image localhost:4566/my-app:7"));
    CHECK(has(log, "joined here"));
    CHECK(has(log, "pushing localhost:4566/my-app:7 ap-northeast-2"));
    CHECK(has(log, "result FAILURE"));
    CHECK(has(log, "rollback of ap-northeast-2"));
    CHECK(!has(log, "good"));
    CHECK(!has(log, "never"));
    CHECK(strstr(log, "result FAILURE") < strstr(log, "rollback of ap"));
    CHECK(strstr(log, "rollback of ap") < strstr(log, "\nlast\n"));
}

TEST(sh_follows_its_manual)
{
    cleanup(build_done) struct build b = {0};
    const char *log =
        run_steps(&b,
                  "sh 'false | true; echo piped'\n"
                  "script {\n"
                  "  def v = sh(script: 'echo value; echo noise >&2', returnStdout: true)\n"
                  "  echo \"[${v.trim()}] ${v.size()}\"\n"
                  "  echo 'code ' + sh(script: 'exit 42', returnStatus: true)\n"
                  "  echo 'killed ' + sh(script: 'kill -TERM $$', returnStatus: true)\n"
                  "}\n"
                  "sh '''#!/bin/bash\n[[ a == a ]] && echo direct\nfalse\necho goes on'''\n"
                  "sh ''\n"
                  "sh 'echo stage $STAGE_NAME in $(basename $WORKSPACE); cat'\n",
                  RESULT_SUCCESS);
    CHECK(has(log, "piped"));
    CHECK(has(log, "[value] 6"));
    CHECK(has(log, "noise"));
    CHECK(!has(log, "value"));
    CHECK(has(log, "code 42"));
    CHECK(has(log, "killed 143"));
    CHECK(has(log, "direct"));
    CHECK(has(log, "goes on"));
    CHECK(has(log, "stage One in ws"));
    CHECK(has(log, "+ echo piped"));
}

/* As other builds and the rest of naru do: each child has all open files until it is another program. */
static void *
start_processes(void *arg)
{
    atomic_bool *done = arg;
    pid_t children[32] = {0};

    for (size_t i = 0; !atomic_load(done); i = (i + 1) % ARRAY_COUNT(children)) {
        if (children[i] > 0)
            waitpid(children[i], NULL, 0);
        children[i] = fork();
        if (children[i] == 0) {
            usleep(20000);
            _exit(0);
        }
        usleep(200);
    }
    for (size_t i = 0; i < ARRAY_COUNT(children); i++)
        if (children[i] > 0)
            waitpid(children[i], NULL, 0);
    return NULL;
}

TEST(a_script_with_an_interpreter_of_its_own_is_never_busy)
{
    cleanup(build_done) struct build b = {0};
    atomic_bool done = false;
    pthread_t others;

    CHECK_EQ(pthread_create(&others, NULL, start_processes, &done), 0);
    (void)run_steps(&b, "script { for (int i = 0; i < 40; i++) { sh '''#!/bin/sh\nexit 0''' } }", RESULT_SUCCESS);
    atomic_store(&done, true);
    pthread_join(others, NULL);
}

TEST(the_first_failing_command_ends_the_script)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(&b, "sh '''\nfalse\necho after\n'''", RESULT_FAILURE);

    CHECK(!has(log, "after"));
    CHECK(has(log, "ERROR: script returned exit code 1"));
    CHECK(has(log, "Finished: FAILURE"));
}

TEST(environment_follows_jenkins)
{
    cleanup(build_done) struct build b = {0};
    const char *log =
        run_steps(&b,
                  "withEnv(['A=1', 'PATH+X=/opt/x', 'B=']) {\n"
                  "  sh 'echo a=$A b=[$B] path=${PATH%%:*}'\n"
                  "  script { env.A = 'changed'; env.C = 5; echo \"groovy ${env.A} $A ${env.C} "
                  "${env.UNSET}\" }\n"
                  "}\n"
                  "sh 'echo outside a=$A c=$C literal=$D'\n"
                  "withEnv(['D=$A ${A}']) { sh 'echo \"d=$D\"' }\n"
                  "script { try { echo NOPE } catch (e) { echo 'caught ' + e.message } }\n"
                  "echo \"$BUILD_TAG ${params.X} ${env.JOB_BASE_NAME}\"\n",
                  RESULT_SUCCESS);
    CHECK(has(log, "a=1 b=[] path=/opt/x"));
    CHECK(has(log, "groovy 1 1 5 null"));
    CHECK(has(log, "outside a=changed c=5 literal="));
    CHECK(has(log, "d=$A ${A}"));
    CHECK(has(log, "caught No such property: NOPE for class: groovy.lang.Binding"));
    CHECK(has(log, "jenkins-web-main-7 null main"));
}

TEST(errors_are_caught_retried_and_marked)
{
    cleanup(build_done) struct build b = {0};
    const char *log =
        run_steps(&b,
                  "retry(3) { sh 'echo x >> ../count; [ $(wc -l < ../count) -ge 3 ]' }\n"
                  "sh 'echo attempts $(wc -l < ../count)'\n"
                  "catchError(buildResult: 'UNSTABLE', stageResult: 'UNSTABLE') { error 'soft' }\n"
                  "warnError('warned') { sh 'false' }\n"
                  "script {\n"
                  "  try { sh 'exit 9' } catch (err) { echo \"got ${err.message}\" } finally { "
                  "echo 'finally' }\n"
                  "  try { error 'mine' } catch (Exception e) { echo e.toString() }\n"
                  "  currentBuild.description = 'said'\n"
                  "  currentBuild.result = 'SUCCESS'\n"
                  "  echo \"now ${currentBuild.result}\"\n"
                  "}\n",
                  RESULT_UNSTABLE);
    CHECK(has(log, "attempts 3"));
    CHECK(has(log, "ERROR: soft"));
    CHECK(has(log, "warned"));
    CHECK(has(log, "got script returned exit code 9"));
    CHECK(has(log, "finally"));
    CHECK(has(log, "hudson.AbortException: mine"));
    CHECK(has(log, "now UNSTABLE"));
    CHECK_TEXT(b.outcome.description, "said");
    CHECK_TEXT(strbuf_cstr(&b.stages), "One=UNSTABLE\n");
}

TEST(files_stashes_archives_and_reports)
{
    cleanup(build_done) struct build b = {0};
    const char *log =
        run_steps(&b,
                  "dir('a/b') { writeFile file: 'c/x.txt', text: 'hello\\n'\n sh 'cat c/x.txt; pwd "
                  "| sed s,.*/ws,ws,' }\n"
                  "stash name: 's', includes: 'a/**/*.txt'\n"
                  "dir('other') { unstash 's'\n echo readFile('a/b/c/x.txt').trim() + ' back' }\n"
                  "script { echo \"${fileExists('a/b/c/x.txt')} ${fileExists('nope')}\" }\n"
                  "archiveArtifacts artifacts: '**/*.txt', excludes: 'other/**'\n"
                  "sh 'find ../keep/artifacts -type f | sort'\n"
                  "writeFile file: 'r.xml', text: "
                  "'<testsuite><testcase/><testcase><failure/></testcase><testcase><skipped/></"
                  "testcase></testsuite>'\n"
                  "script { def r = junit('r.xml'); echo \"${r.totalCount} ${r.failCount} "
                  "${r.skipCount} ${r.passCount}\" }\n"
                  "script { try { readFile 'missing' } catch (e) { echo 'no file' } }\n"
                  "script { try { unstash 'zzz' } catch (e) { echo e.message } }\n"
                  "deleteDir()\n",
                  RESULT_UNSTABLE);
    CHECK(has(log, "hello"));
    CHECK(has(log, "ws/a/b"));
    CHECK(has(log, "hello back"));
    CHECK(has(log, "true false"));
    CHECK(has(log, "../keep/artifacts/a/b/c/x.txt"));
    CHECK(strstr(log, "artifacts/other") == NULL);
    CHECK(has(log, "3 1 1 1"));
    CHECK(has(log, "no file"));
    CHECK(has(log, "No such saved stash 'zzz'"));
    CHECK(strstr(log, "runs in your own directory") != NULL);
}

TEST(a_build_without_a_store_stashes_and_archives)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    free((void *)(uintptr_t)b.config.artifact_dir);
    b.config.artifact_dir = NULL;
    cleanup_free char *old = text_format("%s@tmp/stashes/old", b.config.workspace);
    CHECK(file_make_dirs(old, 0755, NULL));
    (void)build_expect(
        &b,
        "pipeline {\nagent any\nstages { stage('A') { steps {\n"
        "script { try { unstash 'old' } catch (e) { echo e.message } }\n"
        "sh 'echo x > f'\nstash 's'\ndir('d') { unstash 's'\nsh 'ls' }\n"
        "archiveArtifacts 'f'\narchive 'd/*'\n"
        "script { try { archiveArtifacts 'none' } catch (e) { echo 'nothing' } }\n} } } }",
        RESULT_SUCCESS);
    CHECK(has(strbuf_cstr(&b.log), "No such saved stash 'old'")); /* of a build that was killed */
    CHECK(has(strbuf_cstr(&b.log), "f"));
    CHECK(strstr(strbuf_cstr(&b.log), "1 artifact(s) match, and stay where they are") != NULL);
    CHECK(has(strbuf_cstr(&b.log), "nothing"));
}

TEST(links_are_stashed_as_links_and_archived_as_files)
{
    cleanup(build_done) struct build b = {0};
    const char *log =
        run_steps(&b,
                  "sh 'mkdir bin out; echo x > tool.js; ln -s ../tool.js bin/tool; ln -s nowhere "
                  "bin/dangling'\n"
                  "stash name: 'tools', includes: 'tool.js,bin/**'\n"
                  "dir('out') { unstash 'tools'\n unstash 'tools'\n sh 'readlink bin/tool "
                  "bin/dangling; cat bin/tool' }\n"
                  "archiveArtifacts 'bin/*'\n"
                  "sh 'cd ../keep/artifacts; find . -type f; find . -type l | wc -l'\n"
                  "script { try { archiveArtifacts artifacts: 'bin/*', followSymlinks: false } "
                  "catch (e) { echo e.message } }\n",
                  RESULT_SUCCESS);
    CHECK(has(log, "../tool.js\nnowhere"));
    CHECK(has(log, "x"));
    CHECK(has(log, "./bin/tool"));
    CHECK(has(log, "0"));
    CHECK(strstr(log, "No artifacts found") != NULL);
}

TEST(patterns_are_those_of_ant)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } rows[] = {
        {"*.jar", "a.jar", true},
        {"*.jar", "x/a.jar", false},
        {"**/*.jar", "a.jar", true},
        {"**/*.jar", "x/y/a.jar", true},
        {"**.jar", "a.jar", true},
        {"**.jar", "x/a.jar", false},
        {"src/**", "src/a/b", true},
        {"src/**", "src", true},
        {"src**", "src/a", false},
        {"src**", "srcs", true},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "ab", false},
        {"**/b/*.c", "a/b/x/b/y.c", true},
        {"release/*", "release/1", true},
        {"release/*", "release/1/2", false},
        {"a?c", "abc", true},
        {"a?c", "a/c", false},
        {"**", "", true},
        {"", "a", false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const bool got = glob_match(str_of(rows[i].pattern), str_of(rows[i].path), false);
        if (got != rows[i].matches)
            fprintf(stderr, "'%s' and '%s': %d\n", rows[i].pattern, rows[i].path, got);
        CHECK(got == rows[i].matches);
    }
    CHECK(glob_match(STR("REL-*"), STR("rel-1"), true));
}

TEST(a_timeout_aborts_and_post_still_runs)
{
    cleanup(build_done) struct build b = {0};
    int64_t start_ms = clock_monotonic_ms();

    (void)run_file(&b,
                   "pipeline {\nagent any\nstages {\nstage('Slow') {\n"
                   "options { timeout(time: 300, unit: 'MILLISECONDS') }\n"
                   "steps { sh 'sleep 1000' }\npost { aborted { echo 'stage aborted' } } }\n"
                   "stage('Next') { steps { echo 'next' } } }\n"
                   "post { aborted { sh 'echo pipeline aborted' }\nfailure { echo 'failed' } } }",
                   RESULT_ABORTED);
    CHECK_TEXT(strbuf_cstr(&b.stages), "Slow=ABORTED\nNext=SKIPPED FAILURE\n");
    CHECK(has(strbuf_cstr(&b.log), "stage aborted"));
    CHECK(has(strbuf_cstr(&b.log), "pipeline aborted"));
    CHECK(!has(strbuf_cstr(&b.log), "failed"));
    CHECK(clock_monotonic_ms() - start_ms < 10000 * CHECK_PATIENCE);
}

TEST(an_abort_cannot_be_swallowed)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    b.aborted_by = "ws/up";
    build_run(&b, "pipeline {\nagent any\nstages {\nstage('A') {\nsteps { script {\n"
                  "try { sh 'touch up; sleep 1000' } catch (e) { echo 'swallowed' } } } } } }");
    CHECK(has(strbuf_cstr(&b.log), "swallowed"));
    CHECK_TEXT(build_result_name(b.outcome.result), "ABORTED");
}

TEST(a_loop_without_end_is_ended)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    b.config.timeout_ms = 300;
    (void)build_expect(&b,
                       "pipeline {\nagent any\nstages {\nstage('A') {\nsteps { script {\n"
                       "while (true) { } } } } } }",
                       RESULT_ABORTED);
    CHECK_TEXT(b.outcome.reason, "the build ran out of time");
}

/* --- what a build waits for --- */

static int64_t answers_at_ms;
static unsigned asked_count, parked_count, still_count;

static void
is_asked(void *ctx, const struct json *question, bool is_over)
{
    asked_count += !is_over;
}

static struct json *
answer_late(void *ctx, const char *step)
{
    return clock_monotonic_ms() < answers_at_ms ? NULL : json_parse(STR("{\"proceed\": true}"), NULL);
}

static void
count_parks(void *ctx, bool is_parked, bool stands_still)
{
    parked_count += is_parked;
    still_count += stands_still;
}

static const struct runner_host people = {.question = is_asked, .answer = answer_late, .parked = count_parks};

/* Its time is a second, and answers come after one and a half; both are longer where it did not come to ask all its
 * questions in time. */
static void
waiting_build(struct build *b, const char *script, unsigned questions, enum build_result want)
{
    asked_count = 0;
    for (int64_t ms = 1000; asked_count < questions && ms < 20000; ms *= 4) {
        build_done(b);
        build_init(b);
        b->config.timeout_ms = ms;
        b->config.host = &people;
        asked_count = parked_count = still_count = 0;
        answers_at_ms = clock_monotonic_ms() + ms * 3 / 2;
        build_run(b, script);
    }
    if (b->outcome.result != want)
        fprintf(stderr, "%s\nreason: %s\n", strbuf_cstr(&b->log), b->outcome.reason);
    CHECK_TEXT(build_result_name(b->outcome.result), build_result_name(want));
}

TEST(a_build_whose_branches_all_wait_for_people_loses_no_time)
{
    cleanup(build_done) struct build b = {0};

    waiting_build(&b, "parallel a: { node { input 'A?' } }, b: { input 'B?' }, c: { echo 'c' }", 2, RESULT_SUCCESS);
    CHECK(parked_count >= 1 && still_count == parked_count);
}

TEST(a_build_one_of_whose_branches_works_loses_time)
{
    cleanup(build_done) struct build b = {0};

    waiting_build(&b, "parallel a: { input 'A?' }, b: { node { sh 'exec sleep 20' } }", 1, RESULT_ABORTED);
    CHECK_TEXT(b.outcome.reason, "the build ran out of time");
    CHECK_EQ(parked_count, 0);
}

TEST(a_build_that_sleeps_leaves_its_place_but_for_an_agent_and_loses_time)
{
    cleanup(build_done) struct build b = {0}, c = {0};

    waiting_build(&b, "parallel a: { input 'A?' }, b: { sleep 20 }", 1, RESULT_ABORTED);
    CHECK(parked_count >= 1);
    CHECK_EQ(still_count, 0);
    build_init(&c);
    c.config.host = &people;
    parked_count = 0;
    (void)build_expect(&c, "node { sleep time: 10, unit: 'MILLISECONDS' }", RESULT_SUCCESS);
    CHECK_EQ(parked_count, 0);
}

static struct json *
answer_no(void *ctx, const char *step)
{
    return json_parse(STR("{\"proceed\": false, \"by\": \"anna\"}"), NULL);
}

TEST(an_interruption_says_what_and_who_it_was)
{
    static const struct runner_host refusing = {.question = is_asked, .answer = answer_no};
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    b.config.host = &refusing;
    log = build_expect(
        &b,
        "try { input 'Sure?' } catch (org.jenkinsci.plugins.workflow.steps.FlowInterruptedException e) {\n"
        " def c = e.getCauses()[0]\n"
        " echo \"${c.getUser()} ${c.user.id}, ${c.shortDescription}, ${c.getClass().simpleName} ${e.getResult()}\" }\n"
        "try { timeout(time: 1, unit: 'MILLISECONDS') { sleep 5 } } catch (e) {\n"
        " def c = e.causes.get(0)\n"
        " echo \"${'SYSTEM' == c.getUser().toString()} \" +\n"
        "  (c instanceof org.jenkinsci.plugins.workflow.steps.TimeoutStepExecution.ExceededTimeout) + \" ${e.result}\" }\n"
        "try { error 'x' } catch (e) { echo \"none: ${e.getCauses()}\" }\n"
        "catchError(catchInterruptions: false) { timeout(time: 1, unit: 'MILLISECONDS') { sleep 5 } }\n"
        "echo 'went on'",
        RESULT_ABORTED);
    CHECK(has(log, "anna anna, Rejected by anna, Rejection ABORTED"));
    CHECK(has(log, "true true ABORTED"));
    CHECK(has(log, "none: []"));
    CHECK(has(log, "went on"));
}

static bool
start_job(void *ctx, const char *job, const char *key, const struct json *parameters, char pipeline_out[static 64],
          int64_t *number_out, struct err *err)
{
    snprintf(pipeline_out, 64, "%s", job);
    *number_out = 1;
    return true;
}

/* They are called as they end. */
static bool
job_has_ended(void *ctx, const char *pipeline, int64_t number, enum build_result *out, struct json **record_out)
{
    *record_out = NULL;
    return build_result_parse(str_of(pipeline), out);
}

/* In Jenkins it is a FlowInterruptedException, whose result stands whatever catchError was given, and of those of
 * branches the worst counts. */
TEST(another_build_that_failed_gives_its_result)
{
    static const struct runner_host jobs = {.start = start_job, .ended = job_has_ended};
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    b.config.host = &jobs;
    log = build_expect(
        &b,
        "def say = { e -> echo \"${e.class.simpleName}: ${e.message}\" }\n"
        "try { build 'FAILURE' } catch (hudson.AbortException e) { echo 'never' } catch (e) { say e\n"
        " echo \"${e.result} ${e.causes[0].class.simpleName} ${e.isActualInterruption()}\" }\n"
        "try { parallel(a: { build 'UNSTABLE' }, b: { build 'ABORTED' }, c: { build 'FAILURE' }) } catch (e) { echo \"worst ${e.result}\" }\n"
        "try { parallel(a: { build 'ABORTED' }, b: { error 'no' }) } catch (e) { echo e.message }\n"
        "try { parallel(failFast: true, a: { build 'UNSTABLE' }, b: { build 'FAILURE' }) } catch (e) { echo \"first ${e.result}\" }\n"
        "stage('Soft') { catchError(buildResult: 'SUCCESS') { build 'UNSTABLE' } }\n"
        "echo currentBuild.currentResult\n"
        "stage('Hard') { catchError(buildResult: 'SUCCESS', stageResult: 'UNSTABLE') { build 'FAILURE' } }",
        RESULT_FAILURE);
    CHECK(has(log, "FlowInterruptedException: FAILURE #1 completed with status FAILURE (propagate: false to ignore)"));
    CHECK(has(log, "FAILURE DownstreamFailureCause false") && strstr(log, "never") == NULL);
    CHECK(has(log, "worst ABORTED") && has(log, "no") && has(log, "first UNSTABLE") && has(log, "UNSTABLE"));
    CHECK(strstr(strbuf_cstr(&b.stages), "\nSoft=UNSTABLE\nHard=FAILED\n") != NULL);
}

static unsigned asked_for_place;

static bool
place_at_the_third_time(void *ctx)
{
    return ++asked_for_place == 3;
}

/* Whatever is said to the room wakes all who wait for something of it. */
TEST(a_build_that_waits_for_a_place_says_so_once)
{
    static const struct runner_host host = {.parked = count_parks, .place = place_at_the_third_time};
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    b.config.host = &host;
    parked_count = still_count = asked_for_place = 0;
    (void)build_expect(&b, "sleep time: 1, unit: 'MILLISECONDS'", RESULT_SUCCESS);
    CHECK_EQ(asked_for_place, 3);
    CHECK_EQ(parked_count, 2); /* it sleeps; it waits */
    CHECK_EQ(still_count, 1);
}

TEST(post_runs_in_its_fixed_order_and_survives_errors)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    b.config.previous_result = "FAILURE";
    log =
        build_expect(&b,
                     "pipeline {\nagent any\nstages { stage('A') { steps { echo 'x' } } }\npost {\n"
                     "cleanup { echo 'p5' }\nfailure { echo 'p4' }\nsuccess { echo 'wrong' }\n"
                     "fixed { echo 'wrong too' }\nalways { echo 'p1'\nerror 'broken' }\n"
                     "changed { echo 'wrong three' }\nunsuccessful { echo 'p3' }\n} }",
                     RESULT_FAILURE);
    CHECK(has(log, "p1") && has(log, "p3") && has(log, "p4") && has(log, "p5"));
    CHECK(strstr(log, "\np1\n") < strstr(log, "\np3\n"));
    CHECK(strstr(log, "\np3\n") < strstr(log, "\np4\n"));
    CHECK(strstr(log, "\np4\n") < strstr(log, "\np5\n"));
    CHECK(strstr(log, "wrong") == NULL);
}

TEST(when_decides_and_nested_stages_nest)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    build_run(&b, "pipeline {\nagent any\nenvironment { MODE = 'blue' }\nstages {\n"
                  "stage('Main') { when { branch 'ma*' }\nsteps { echo 'x' } }\n"
                  "stage('Other') { when { branch 'release/*' }\nsteps { echo 'x' }\npost { always "
                  "{ echo 'no' } } }\n"
                  "stage('Env') { when { allOf { environment name: 'MODE', value: 'blue'\nnot { "
                  "tag 'v*' } } }\nsteps { echo 'x' } }\n"
                  "stage('Truthy') { when { expression { return 'false' } }\nsteps { echo 'x' } }\n"
                  "stage('Outer') { stages {\nstage('In1') { steps { echo 'x' } }\nstage('In2') { "
                  "steps { error 'e' } }\nstage('In3') { steps { echo 'x' } } } }\n"
                  "stage('Last') { stages { stage('Deep') { steps { echo 'x' } } } }\n} }");
    CHECK_TEXT(
        strbuf_cstr(&b.stages),
        "Main=SUCCESS\nOther=SKIPPED WHEN\nEnv=SUCCESS\nTruthy=SUCCESS\n  In1=SUCCESS\n  "
        "In2=FAILED\n"
        "  In3=SKIPPED FAILURE\nOuter=FAILED\nLast=SKIPPED FAILURE\n  Deep=SKIPPED FAILURE\n");
    CHECK(!has(strbuf_cstr(&b.log), "no"));
}

TEST(a_break_with_nothing_to_leave_fails_the_build)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    build_run(&b, "pipeline {\nagent any\nstages {\n"
                  "stage('A') { when { expression { break } }\nsteps { echo 'x' } }\n} }");
    CHECK(strstr(strbuf_cstr(&b.log), "'break' stands where nothing can be left") != NULL);
}

/* As of `naru build`, whose steps have the environment of whoever called it. */
TEST(the_key_of_the_environment_is_masked)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    setenv("AWS_SECRET_ACCESS_KEY", "key-of-the-caller", 1);
    setenv("AWS_SESSION_TOKEN", "token-of-the-caller", 1);
    build_run(&b, "node { sh 'echo \"key=$AWS_SECRET_ACCESS_KEY token=$AWS_SESSION_TOKEN\"' }");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    unsetenv("AWS_SESSION_TOKEN");
    CHECK(has(strbuf_cstr(&b.log), "key=**** token=****"));
}

TEST(secrets_are_bound_and_masked)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    put_file(
        &b, "secrets.json",
        "{\"hub\":{\"kind\":\"usernamePassword\",\"username\":\"ann\",\"password\":\"s3cr3t-x\"},"
        "\"tok\":{\"kind\":\"string\",\"secret\":\"tok-abc\"},"
        "\"f\":{\"kind\":\"file\",\"name\":\"conf\",\"content\":\"inside\\n\"}}");
    cleanup_free char *plain = text_format("%s/secrets.json", b.directory);
    unsigned moved;
    CHECK(secrets_migrate(b.config.secrets_dir, plain, &moved, NULL));
    CHECK_EQ(moved, 3);
    build_run(
        &b,
        "pipeline {\nagent any\nenvironment { HUB = credentials('hub') }\nstages { stage('A') { "
        "steps {\n"
        "sh 'echo user $HUB_USR pass $HUB_PSW both $HUB'\n"
        "withCredentials([string(credentialsId: 'tok', variable: 'T'), file(credentialsId: 'f', "
        "variable: 'F')]) {\n"
        "sh 'echo token=$T; cat $F; echo $F > ../where'\necho \"groovy ${T}\" }\n"
        "sh 'echo gone [$T]; test ! -e \"$(cat ../where)\"'\n"
        "withCredentials([string(credentialsId: 'none', variable: 'N')]) { echo 'x' }\n} } } }");
    log = strbuf_cstr(&b.log);
    CHECK(has(log, "user ann pass **** both ****"));
    CHECK(has(log, "token=****"));
    CHECK(has(log, "inside"));
    CHECK(has(log, "groovy ****"));
    CHECK(has(log, "gone []"));
    CHECK(strstr(log, "s3cr3t") == NULL && strstr(log, "tok-abc") == NULL);
    CHECK_TEXT(b.outcome.reason,
               "Could not find credentials entry with ID 'none' (naru secret set none)");
}

TEST(a_secret_file_of_a_stage_is_gone_with_it)
{
    cleanup(build_done) struct build b = {0};
    cleanup_json struct json *file =
        json_parse(STR("{\"kind\":\"file\",\"name\":\"f\",\"contentBase64\":\"d29yZAo=\"}"), NULL);

    build_init(&b);
    CHECK(secrets_set(b.config.secrets_dir, "f", file, NULL, NULL));
    build_run(&b, "pipeline {\nagent any\nenvironment { ALL = credentials('f') }\nstages {\n"
                  "stage('A') { environment { F = credentials('f') }\nsteps {\n"
                  "sh 'cat $F; echo $F > ../where' }\npost { always { sh 'cat $F' } } }\n"
                  "stage('B') { steps { sh 'test ! -e \"$(cat ../where)\" && cat $ALL && echo gone [$F]' } }\n} }");
    CHECK_EQ(b.outcome.result, RESULT_SUCCESS);
    CHECK(has(strbuf_cstr(&b.log), "gone []"));
}

TEST(what_is_not_built_fails_when_it_is_reached)
{
    cleanup(build_done) struct build b = {0};

    build_init(&b);
    build_run(&b, "pipeline {\nagent any\nstages {\nstage('A') { steps { echo 'first' } }\n"
                  "stage('B') { agent { kubernetes { } }\nsteps { echo '1' } }\n} }");
    CHECK(has(strbuf_cstr(&b.log), "first"));
    CHECK_TEXT(b.outcome.reason, "a kubernetes agent is not supported; use agent { docker 'image' }");
    CHECK(strstr(strbuf_cstr(&b.log),
                 "ERROR: Jenkinsfile:5:14: a kubernetes agent is not supported; use agent { docker 'image' }") != NULL);
}

TEST(triggers_without_effect_are_said)
{
    cleanup(build_done) struct build b = {0};

    (void)run_file(&b,
                   "pipeline {\nagent any\ntriggers { cron('H 2 * * *')\n githubPush()\n"
                   " issueCommentTrigger('x') }\n"
                   "options { disableConcurrentBuilds()\n"
                   "buildDiscarder(logRotator(numToKeepStr: '5')) }\n"
                   "stages { stage('A') { steps { echo 'first' } } }\n}",
                   RESULT_SUCCESS);
    CHECK(has(strbuf_cstr(&b.log), "WARNING: triggers: 'issueCommentTrigger' has no effect here"));
    CHECK(strstr(strbuf_cstr(&b.log), "'cron'") == NULL);
    CHECK(strstr(strbuf_cstr(&b.log), "githubPush") == NULL);
    CHECK(strstr(strbuf_cstr(&b.log), "disableConcurrentBuilds") == NULL);
}

TEST(classes_of_java_are_named)
{
    cleanup(build_done) struct build b = {0};
    const char *log =
        run_steps(&b,
                  "script { try { Locale.lookup('x') } catch (e) { echo e.message } }\n"
                  "script { try { com.acme.Tool.run([]) } catch (e) { echo e.message } }\n"
                  "script { try { new com.acme.Tool() } catch (e) { echo e.message } }",
                  RESULT_SUCCESS);

    CHECK(has(log, "Locale.lookup() is not supported"));
    CHECK(has(log, "Tool.run() is not supported"));
    CHECK(has(log, "class 'Tool' is not available"));
}

TEST(the_environment_says_where_the_build_is)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(&b,
                                "echo \"${JENKINS_URL} ${HUDSON_URL} ${JOB_URL} ${BUILD_URL} "
                                "${RUN_DISPLAY_URL}\"\n"
                                "echo \"${JENKINS_HOME} ${HUDSON_HOME} ${BUILD_TAG} "
                                "${JOB_BASE_NAME} ${NODE_NAME}\"\n"
                                "echo \"after ${currentBuild.previousBuild?.number}\"",
                                RESULT_SUCCESS);

    CHECK(has(log, "http://localhost:4566/ http://localhost:4566/ "
                   "http://localhost:4566/naru/builds/web/ "
                   "http://localhost:4566/naru/builds/web/7/ "
                   "http://localhost:4566/naru/builds/web/7/"));
    cleanup_free char *homes = text_format("%s %s jenkins-web-main-7 main built-in", b.directory, b.directory);
    CHECK(has(log, homes));
    CHECK(has(log, "after 6"));
}

TEST(an_error_is_told_once_and_before_the_post_that_answers_it)
{
    cleanup(build_done) struct build b = {0}, c = {0};
    const char *log, *at;

    build_init(&b);
    build_run(&b, "pipeline {\nagent any\nstages { stage('Outer') { stages { stage('In') {\n"
                  "steps { error 'boom' }\npost { failure { echo 'answered' } } } } } } }");
    log = strbuf_cstr(&b.log);
    at = strstr(log, "ERROR: boom\n");
    CHECK(at != NULL && strstr(at + 1, "ERROR: boom") == NULL);
    CHECK(at < strstr(log, "answered"));

    /* Outside of the stages, too. */
    build_init(&c);
    build_run(&c, "def x = nope\npipeline {\nagent any\nstages { stage('A') { steps { echo 'x' } } "
                  "} }");
    CHECK_TEXT(build_result_name(c.outcome.result), "FAILURE");
    CHECK(has(strbuf_cstr(&c.log), "ERROR: Jenkinsfile:1:9: No such property: nope for class: "
                                   "groovy.lang.Binding "
                                   "(MissingPropertyException)"));
}

TEST(unknown_steps_and_broken_files_are_named)
{
    cleanup(build_done) struct build b = {0}, c = {0};
    const char *log = run_steps(&b, "ehco 'x'", RESULT_FAILURE);

    CHECK(strstr(log, "No such DSL method 'ehco' found among steps; did you mean 'echo'?") != NULL);
    build_init(&c);
    build_run(
        &c,
        "pipeline {\n agent any\n stages {\n  stage('A') { steps { sh \"$(date)\" } }\n }\n}\n");
    CHECK(strstr(strbuf_cstr(&c.log), "Jenkinsfile:4:28: '$' in a double-quoted string") != NULL);
    CHECK_TEXT(build_result_name(c.outcome.result), "FAILURE");
}

TEST(background_processes_live_until_the_build_ends)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(&b,
                                "sh 'sleep 1000 > /dev/null 2>&1 & echo $! > ../pid'\n"
                                "sh 'kill -0 $(cat ../pid) && echo alive'\n",
                                RESULT_SUCCESS);

    CHECK(has(log, "alive"));
    if (strstr(log, "that the build left behind") == NULL)
        check_fail(__FILE__, __LINE__, "nothing was ended:\n%s", log);
}

/* A process that is loading its next program shows no environment. These do little else. */
TEST(processes_in_the_middle_of_exec_are_found)
{
    cleanup(build_done) struct build b = {0};
    const char *log = run_steps(
        &b,
        "sh '''echo '#!/bin/sh' > ../again; echo 'exec \"$0\"' >> ../again; chmod +x ../again\n"
        "for i in 1 2 3 4 5; do ../again > /dev/null 2>&1 & done'''\n",
        RESULT_SUCCESS);

    if (strstr(log, "Ended 5 process(es) that the build left behind") == NULL)
        check_fail(__FILE__, __LINE__, "not all were ended:\n%s", log);
}

TEST(parameters_have_their_defaults)
{
    cleanup(build_done) struct build b = {0};
    const char *log;

    build_init(&b);
    build_run(
        &b,
        "pipeline {\nagent any\nparameters { string(name: 'ENVIRONMENT', defaultValue: 'prod')\n"
        "booleanParam(name: 'DRY', defaultValue: false)\nchoice(name: 'SIZE', choices: ['s', 'm']) "
        "}\n"
        "stages { stage('A') { steps { sh 'echo $ENVIRONMENT $DRY $SIZE'\n"
        "script { if (!params.DRY) { echo \"${params.ENVIRONMENT} ${SIZE}\" } } } } } }");
    log = strbuf_cstr(&b.log);
    CHECK(has(log, "prod false s"));
    CHECK(has(log, "prod s"));
}
