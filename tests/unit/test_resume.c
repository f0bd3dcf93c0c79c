/* SPDX-License-Identifier: MIT */
/* A build whose runner ends, orderly or not, and which the next one takes up. */
#include <limits.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "resume_setup.h"
#include "lock_setup.h"
#include "pipeline/secrets.h"

static void
setup(struct build *b)
{
    setup_to_kill(b, "node { }");
    b->config.on_journal = NULL;
}

TEST(a_build_whose_journal_could_not_be_written_is_not_taken_up)
{
    cleanup(build_done) struct build b = {0};
    pid_t child;
    int status;

    setup(&b);
    b.config.on_log = on_log;
    b.config.on_stage = on_stage;
    put_file(&b, "ws/Jenkinsfile", "node { for (i in 1..20) { fileExists 'x' } }");
    child = fork();
    if (child == 0) {
        const struct rlimit full = {500, 500};
        signal(SIGXFSZ, SIG_IGN);
        CHECK(setrlimit(RLIMIT_FSIZE, &full) == 0);
        build_live(&b);
        _exit(b.outcome.result == RESULT_SUCCESS ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    build_live(&b);
    CHECK_TEXT(build_result_name(b.outcome.result), "FAILURE");
    CHECK(strstr(b.outcome.reason, "the build cannot be taken up") != NULL);
    teardown(&b);
}

/* The stop comes at the k-th time that somebody asks for it, counted from the script's start. */
static unsigned asked, stop_at;
static char up_path[200];

static enum abort_request
stop_in_time(void *ctx)
{
    asked += file_exists(up_path);
    return asked >= stop_at ? ABORT_SUSPEND : ABORT_NO;
}

static void
live_until(struct build *b, const char *jenkinsfile, unsigned at)
{
    b->config.abort_request = stop_in_time;
    b->config.on_log = on_log;
    b->config.on_stage = on_stage;
    asked = 0;
    stop_at = at;
    snprintf(up_path, sizeof(up_path), "%s/up", b->directory);
    put_file(b, "ws/Jenkinsfile", jenkinsfile);
    build_live(b);
}

/* A life that ends with the stop. */
static void
live_to_the_stop(struct build *b, const char *jenkinsfile, unsigned at)
{
    live_until(b, jenkinsfile, at);
    if (!b->outcome.is_suspended)
        fprintf(stderr, "%s\nreason: %s\n", strbuf_cstr(&b->log), b->outcome.reason);
    CHECK(b->outcome.is_suspended);
}

static bool
was_struck_between_steps(const struct build *b)
{
    cleanup_free char *path = text_format("%s/journal", b->config.state_dir);
    cleanup(strbuf_done) struct strbuf text = {0};

    return file_read(path, 1 << 20, &text, NULL) && strstr(strbuf_cstr(&text), "\"struck\":") != NULL;
}

/* The same behind a timeout of MS milliseconds, which a script that is slow to start has not used up when it comes to
 * where it is to be struck: `is_there` says so (NULL: it is, if it comes to the stop), else it begins anew with more. */
static void
live_to_the_stop_in_time(struct build *b, const char *jenkinsfile, bool (*is_there)(const struct build *b))
{
    const char *at = strstr(jenkinsfile, "MS");

    for (unsigned ms = 50; ms < 60000; ms *= 4) {
        cleanup_free char *text = text_format("%.*s%u%s", (int)(at - jenkinsfile), jenkinsfile, ms, at + 2);
        live_until(b, text, 1);
        if (b->outcome.is_suspended && (is_there == NULL || is_there(b)))
            return;
        teardown(b);
        build_done(b);
        setup(b);
    }
    check_fail(__FILE__, __LINE__, "no timeout strikes where it is to");
}

static void
live_to_the_end(struct build *b)
{
    stop_at = UINT_MAX;
    build_live(b);
    if (b->outcome.result != RESULT_SUCCESS)
        fprintf(stderr, "%s\nreason: %s\n", strbuf_cstr(&b->log), b->outcome.reason);
    CHECK(!b->outcome.is_suspended);
    CHECK_TEXT(build_result_name(b->outcome.result), "SUCCESS");
}

static void
put_secrets(const struct build *b)
{
    cleanup_free char *key = text_format("%s/key", b->directory);
    const char *const argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, NULL};
    const struct process_spec spec = {.argv = argv};
    cleanup_json struct json *file =
        json_parse(STR("{\"kind\":\"file\",\"name\":\"f\",\"contentBase64\":\"d29yZAo=\"}"), NULL);
    cleanup_json struct json *ssh = json_object();
    cleanup(strbuf_done) struct strbuf pem = {0};
    struct process_result r;

    CHECK(process_run(&spec, &r, NULL) && r.exit_code == 0);
    process_result_done(&r);
    CHECK(file_read(key, 10000, &pem, NULL));
    json_set(ssh, "kind", json_text("ssh"));
    json_set(ssh, "username", json_text("git"));
    json_set(ssh, "privateKey", json_str(strbuf_str(&pem)));
    CHECK(secrets_set(b->config.secrets_dir, "ssh", ssh, NULL, NULL));
    CHECK(secrets_set(b->config.secrets_dir, "file", file, NULL, NULL));
}

/* The script, which is to make `ran`, waits for `go` until the runner has gone. */
static void
expect_a_stop_to_leave_the_script(const char *jenkinsfile, unsigned at)
{
    cleanup(build_done) struct build b = {0};
    cleanup_free char *ran = NULL;

    setup(&b);
    put_secrets(&b);
    live_to_the_stop(&b, jenkinsfile, at);
    put_file(&b, "go", "");
    ran = text_format("%s/ran", b.directory);
    for (int i = 0; !file_exists(ran); i++) {
        CHECK(i < 1000 * CHECK_PATIENCE);
        clock_sleep_ms(10);
    }
    live_to_the_end(&b);
    teardown(&b);
}

/* Until it may go, or the test is over and took its folder away. */
#define WAITS "touch ../up; while [ ! -e ../go ] && [ -e ../up ]; do sleep 0.01 || true; done; "

/* The build goes on and says so; the next naru is not to do a second time what is not in there. */
static void
expect_not_to_be_taken_up(struct build *b)
{
    stop_at = UINT_MAX;
    put_file(b, "go", "");
    build_live(b);
    CHECK_TEXT(build_result_name(b->outcome.result), "FAILURE");
    CHECK(strstr(b->outcome.reason, "the build cannot be taken up") != NULL);
}

TEST(a_journal_that_grows_too_large_is_given_up_and_the_log_says_so)
{
    cleanup(build_done) struct build b = {0};
    cleanup_free char *path = NULL;
    struct stat st;

    setup(&b);
    b.config.journal_max = 1000;
    live_to_the_stop(&b, "node { for (i in 1..20) { fileExists 'x' }\n sh '" WAITS "true' }", 1);
    CHECK(strstr(strbuf_cstr(&b.log), "WARNING: the journal of the build: it would be larger than "
                                      "1000 bytes") != NULL);
    path = text_format("%s/journal", b.config.state_dir);
    CHECK(stat(path, &st) == 0);
    CHECK(st.st_size <= 1000); /* else it could not even be read */
    CHECK_EQ(journal_log_size(b.config.state_dir), INT64_MAX);
    expect_not_to_be_taken_up(&b);
    teardown(&b);
}

/* AddressSanitizer keeps what was freed. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

static int64_t
cpu_ms(const struct rusage *u)
{
    return (int64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000 + (u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1000;
}

/* As JSON in memory it would be some twelve times as large as it is in the file. */
TEST(a_long_journal_is_taken_up_in_little_memory)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free char *path = NULL;
    struct rusage before, after;

    setup(&b);
    live_to_the_stop(&b, "node { sh '" WAITS "true'\n echo 'end' }", 1);
    put_file(&b, "go", "");
    path = text_format("%s/journal", b.config.state_dir);
    CHECK(file_read(path, 1 << 20, &text, NULL));
    for (int i = 0; text.len < (8u << 20); i++)
        strbuf_addf(&text, "{\"id\":\"_0.%d-%d\",\"name\":\"echo\",\"ended\":true,\"lines\":1}\n", i % 7, i);
    CHECK(file_write_atomic(path, strbuf_str(&text), 0600, NULL));
    strbuf_done(&text);
    CHECK(getrusage(RUSAGE_SELF, &before) == 0);
    live_to_the_end(&b);
    CHECK(getrusage(RUSAGE_SELF, &after) == 0);
    CHECK(cpu_ms(&after) - cpu_ms(&before) < 2000 * CHECK_PATIENCE); /* of the processor's: others may have it, too */
    CHECK_TEXT(build_result_name(b.outcome.result), "SUCCESS");
    CHECK(IS_SANITIZED || after.ru_maxrss - before.ru_maxrss < 64 << 10); /* KiB */
    teardown(&b);
}

TEST(a_journal_that_lost_its_head_is_not_taken_up)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop(&b, "node { sh '" WAITS "true' }", 1);
    put_file(&b, "run/journal", "");
    expect_not_to_be_taken_up(&b);
    teardown(&b);
}

TEST(a_script_lives_on_whenever_the_runner_hears_of_the_stop)
{
    for (unsigned at = 1; at <= 6; at++)
        expect_a_stop_to_leave_the_script("node { sh '" WAITS "touch ../ran' }", at);
}

TEST(a_script_that_lives_on_keeps_its_secret_files_and_its_ssh_agent)
{
    expect_a_stop_to_leave_the_script(
        "node { withCredentials([file(credentialsId: 'file', variable: 'F')]) { sh '" WAITS
        "grep -q word $F; touch ../ran' } }",
        1);
    expect_a_stop_to_leave_the_script(
        "node { sshagent(['ssh']) { sh '" WAITS "ssh-add -l; touch ../ran' } }", 1);
}

/* When the good branch is told (again) that it was interrupted, the bad one has yet to end. */
TEST(what_a_branch_does_about_a_failed_one_is_not_interrupted_by_a_restart)
{
    cleanup(build_done) struct build b = {0};
    cleanup_free char *ran = NULL;

    setup(&b);
    live_to_the_stop(
        &b,
        "node { try { parallel(failFast: true,\n"
        " bad: { sh 'while [ ! -e ../begun ]; do sleep 0.01; done; exit 4' },\n"
        " good: { sh 'true'\n try { sh 'touch ../begun; sleep 300' }\n"
        "  finally { sh 'touch ../up; sleep 0.5; touch ../ran' } })\n"
        "} catch (e) { echo 'caught' } }",
        1);
    live_to_the_end(&b);
    ran = text_format("%s/ran", b.directory);
    CHECK(file_exists(ran));
    teardown(&b);
}

TEST(a_lock_that_was_given_back_is_not_waited_for_after_a_restart)
{
    cleanup(build_done) struct build b = {0};
    struct lock_table *locks = lock_table_new(NULL);

    setup(&b);
    b.config.locks = locks;
    live_to_the_stop(&b, "node { lock('db') { sh 'true' }\n sh '" WAITS "true' }", 1);
    CHECK(take_lock(locks, "db", "web/main#8 -2"));
    put_file(&b, "go", "");
    live_to_the_end(&b);
    CHECK(!try_lock(locks, "db", "web/main#9 -2"));
    teardown(&b);
    lock_table_free(locks);
}

TEST(what_was_skipped_since_it_was_locked_stays_skipped_after_a_restart)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf runs = {0};
    cleanup_free char *path = NULL;
    struct lock_table *locks = lock_table_new(NULL);

    setup(&b);
    b.config.locks = locks;
    CHECK(take_lock(locks, "db", "web/main#6 -2"));
    live_to_the_stop(&b,
                     "node { lock(resource: 'db', skipIfLocked: true) { sh 'echo in' }\n"
                     " sh 'echo run >> ../runs; " WAITS "true' }",
                     1);
    lock_table_give(locks, "web/main#6 -2");
    put_file(&b, "go", "");
    live_to_the_end(&b);
    path = text_format("%s/runs", b.directory);
    CHECK(file_read(path, 100, &runs, NULL));
    CHECK_TEXT(strbuf_cstr(&runs), "run\n");
    teardown(&b);
    lock_table_free(locks);
}

TEST(a_container_whose_block_is_over_is_not_started_again)
{
    cleanup(build_done) struct build b = {0};
    cleanup(strbuf_done) struct strbuf calls = {0};
    cleanup_free char *path = NULL, *tool = NULL, *text = NULL;
    const char *first;

    setup(&b);
    path = text_format("%s/calls", b.directory);
    tool = text_format("%s/tools/docker", b.directory);
    text = text_format("#!/bin/sh\necho \"docker $1\" >> %s\n"
                       "case $1 in run) echo 0123456789abcdef;; inspect) echo true;; esac\n",
                       path);
    CHECK(file_write_atomic(tool, str_of(text), 0700, NULL));
    live_to_the_stop(
        &b, "node { withDockerContainer('alpine') { sh 'true' }\n sh '" WAITS "true' }", 1);
    put_file(&b, "go", "");
    live_to_the_end(&b);
    CHECK(strstr(strbuf_cstr(&b.log), "Finished: SUCCESS\n") != NULL);
    CHECK(file_read(path, 10000, &calls, NULL));
    first = strstr(strbuf_cstr(&calls), "docker run\n");
    CHECK(first != NULL && strstr(first + 1, "docker run\n") == NULL);
    CHECK(strstr(first, "docker exec\n") != NULL && strstr(first, "docker rm\n") != NULL);
    teardown(&b);
}

TEST(what_branches_assigned_is_known_after_a_restart)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop(&b,
                     "node { def got = 'nothing'\n"
                     " parallel one: { got = sh(script: 'echo it', returnStdout: true).trim() },\n"
                     "  two: { sh 'echo two >> ../ran' }\n"
                     " sh 'echo once >> ../ran; " WAITS "true'\n"
                     " sh \"echo got ${got} \\$(sort ../ran)\" }",
                     1);
    put_file(&b, "go", "");
    live_to_the_end(&b);
    CHECK(strstr(strbuf_cstr(&b.log), "\ngot it once two\n") != NULL);
    teardown(&b);
}

/* The loop has no step in which the timeout could strike: the script goes on from where it struck. */
TEST(a_timeout_that_struck_between_steps_strikes_there_again)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop_in_time(&b,
                             "node { int n = 0\n try { timeout(time: MS, unit: 'MILLISECONDS') {\n"
                             "  sh 'true'\n while (true) { n++ } } }\n"
                             " catch (e) { echo 'caught ' + e.class.simpleName }\n"
                             " sh \"echo ${n} > ../n; touch ../up\"\n sh '" WAITS "true'\n"
                             " sh \"[ \\$(cat ../n) = ${n} ]\" }",
                             was_struck_between_steps);
    put_file(&b, "go", "");
    live_to_the_end(&b);
    CHECK(strstr(strbuf_cstr(&b.log), "caught FlowInterruptedException\n") != NULL);
    teardown(&b);
}

TEST(a_branch_that_was_interrupted_between_steps_is_so_again)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop(&b,
                     "node { int n = 0\n try { parallel(failFast: true,\n"
                     " good: { try { while (true) { n++\n if (n % 5000 == 0) { sleep 0 } } }\n"
                     "  finally { sh \"echo ${n} > ../n\" } },\n"
                     " bad: { sh 'exit 4' }) } catch (e) { echo 'caught' }\n"
                     " sh 'echo x >> ../calls; " WAITS "true'\n"
                     " sh \"[ \\$(cat ../n) = ${n} ] && [ \\$(cat ../calls) = x ] && echo so\" }",
                     1);
    put_file(&b, "go", "");
    live_to_the_end(&b);
    CHECK(strstr(strbuf_cstr(&b.log), "\nso\n") != NULL);
    teardown(&b);
}

static void
edit_journal(const struct build *b, const char *expression)
{
    cleanup_free char *command = text_format("sed -i '%s' %s/journal", expression, b->config.state_dir);

    CHECK_EQ(system(command), 0);
}

/* Another naru may count the evaluations of a loop otherwise: it does not go on for ever. */
TEST(an_interruption_strikes_at_its_step_whatever_counts_as_an_evaluation)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop_in_time(&b,
                             "node { try { timeout(time: MS, unit: 'MILLISECONDS') { int n = 0\n"
                             " while (true) { n++\n if (n % 5000 == 0) { fileExists 'x' } } } }\n"
                             " catch (e) { env.WHY = e.class.simpleName }\n"
                             " sh 'echo x >> ../calls; " WAITS "true'\n"
                             " sh '[ $WHY = FlowInterruptedException ] && [ $(cat ../calls) = x ]' }",
                             was_struck_between_steps);
    edit_journal(&b, "s/\"entered\":[0-9]*/\"entered\":900000000000/");
    put_file(&b, "go", "");
    live_to_the_end(&b);
    teardown(&b);
}

TEST(an_interruption_strikes_at_its_step_if_more_counts_as_an_evaluation)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop_in_time(&b,
                             "node { try { timeout(time: MS, unit: 'MILLISECONDS') { sh 'echo x >> ../calls'\n int n = 0\n"
                             " while (true) { n++ } } }\n"
                             " catch (e) { env.WHY = e.class.simpleName }\n"
                             " sh '" WAITS "true'\n"
                             " sh '[ $WHY = FlowInterruptedException ] && [ $(cat ../calls) = x ]' }",
                             was_struck_between_steps);
    edit_journal(&b, "s/\"entered\":[0-9]*/\"entered\":1/");
    put_file(&b, "go", "");
    live_to_the_end(&b);
    teardown(&b);
}

TEST(a_build_of_another_version_that_takes_another_way_says_so)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop(&b, "node { fileExists 'x'\n sh '" WAITS "true' }", 1);
    edit_journal(&b, "1s/\"naru\":\"[^\"]*\"/\"naru\":\"0.0.7\"/; s/\"name\":\"fileExists\"/\"name\":\"pwd\"/");
    put_file(&b, "go", "");
    stop_at = UINT_MAX;
    build_live(&b);
    CHECK_TEXT(build_result_name(b.outcome.result), "FAILURE");
    CHECK(strstr(b.outcome.reason, "came to 'fileExists' where it was at 'pwd' before: it cannot be taken up (it "
                                   "was begun by naru 0.0.7, and this is naru ") != NULL);
    teardown(&b);
}

static bool
is_overtaken(void *ctx, int64_t *ordinal, int64_t *last, int64_t *by)
{
    *by = 9;
    return false;
}

/* An earlier naru wrote "notBuilt", and knew no other results. */
TEST(an_interruption_keeps_its_result_also_from_an_older_journal)
{
    static const struct runner_host host = {.milestone = is_overtaken};
    static const char *const edits[] = {"s/x/x/", "s/\"result\":[^,}]*/\"notBuilt\":true/"};

    for (size_t i = 0; i < ARRAY_COUNT(edits); i++) {
        cleanup(build_done) struct build b = {0};

        setup(&b);
        b.config.host = &host;
        live_to_the_stop(&b, "node { try { milestone() } finally { sh '" WAITS "true' } }", 1);
        edit_journal(&b, edits[i]);
        put_file(&b, "go", "");
        stop_at = UINT_MAX;
        build_live(&b);
        CHECK_TEXT(build_result_name(b.outcome.result), "NOT_BUILT");
        teardown(&b);
    }
}

static struct json *
answer_no(void *ctx, const char *step)
{
    return json_parse(STR("{\"proceed\": false, \"by\": \"anna\"}"), NULL);
}

static void
is_asked(void *ctx, const struct json *question, bool is_over)
{
}

static bool
has_ended_unstable(void *ctx, const char *pipeline, int64_t number, enum build_result *out, struct json **record_out)
{
    *out = RESULT_UNSTABLE;
    *record_out = NULL;
    return true;
}

static bool
start_build(void *ctx, const char *job, const char *by, const struct json *parameters, char pipeline_out[static 64],
            int64_t *number_out, struct err *err)
{
    snprintf(pipeline_out, 64, "%s", job);
    *number_out = 3;
    return true;
}

/* Its kind is written down: a naru that words its messages otherwise reads it, and an earlier one wrote none. */
TEST(an_interruption_is_of_its_kind_whatever_its_message_says)
{
    static const struct runner_host host = {.milestone = is_overtaken,
                                            .question = is_asked,
                                            .answer = answer_no,
                                            .start = start_build,
                                            .ended = has_ended_unstable};
    static const char *const edits[] = {
        "s/Canceled since[^\"]*/words/; s/Rejected by[^\"]*/words/; s/Timeout has[^\"]*/words/",
        "s/,\"kind\":\"[^\"]*\"//; s/,\"who\":\"[^\"]*\"//; /lib #3 completed/s/,\"by\":-3/,\"by\":-3,\"downstream\":true/"};

    for (size_t i = 0; i < ARRAY_COUNT(edits); i++) {
        cleanup(build_done) struct build b = {0};

        setup(&b);
        b.config.host = &host;
        live_to_the_stop(&b,
                         "node { def said = []\n def say = { e -> def c = e.causes[0]\n"
                         "  said << \"${c.class.simpleName} ${c.user} ${e.result} ${e.isActualInterruption()}\" }\n"
                         " try { milestone() } catch (e) { say e }\n"
                         " try { input 'Sure?' } catch (e) { say e }\n"
                         " try { build 'lib' } catch (e) { say e }\n"
                         " try { timeout(time: 1, unit: 'MILLISECONDS') { sleep 5 } } catch (e) { say e }\n"
                         " sh '" WAITS "true'\n echo said.join(', ') }",
                         1);
        edit_journal(&b, edits[i]);
        put_file(&b, "go", "");
        live_to_the_end(&b);
        CHECK(strstr(strbuf_cstr(&b.log), "\nCancelledCause SYSTEM NOT_BUILT true, Rejection anna ABORTED true, "
                                          "DownstreamFailureCause SYSTEM UNSTABLE false, "
                                          "ExceededTimeout SYSTEM ABORTED false\n") != NULL);
        teardown(&b);
    }
}

TEST(a_journal_of_a_form_of_another_version_is_not_called_damaged)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop(&b, "node { sh '" WAITS "true' }", 1);
    edit_journal(&b, "1s/\"journal\":1/\"journal\":2/");
    expect_not_to_be_taken_up(&b);
    CHECK(strstr(b.outcome.reason, "it is none that naru ") != NULL);
    teardown(&b);
}

/* A shell that has not yet read all of its script takes the end of the file for the end of it. */
TEST(the_file_of_a_script_that_runs_is_not_written_again)
{
    cleanup(build_done) struct build b = {0};

    setup(&b);
    live_to_the_stop(
        &b,
        "node { parallel(\n"
        " script: { sh '''stat -c '%i %z' \"$0\" >../was; touch ../up\n"
        "  while [ ! -e ../go ] && [ -e ../up ]; do sleep 0.01 || true; done\n"
        "  stat -c '%i %z' \"$0\" >../is; cmp ../was ../is''' },\n"
        " after: { sh 'while [ ! -e ../stopped ] && [ -e ../ws ]; do sleep 0.01 || true; done'\n"
        "  sh 'touch ../go' }) }",
        1);
    put_file(&b, "stopped", ""); /* then `go` comes from a runner that has taken up both branches */
    live_to_the_end(&b);
    teardown(&b);
}

/* What ended before the restart is not done again, and takes no number of a secret file then. */
TEST(a_script_that_lives_on_keeps_each_of_its_secret_files)
{
    cleanup(build_done) struct build b = {0};
    cleanup_json struct json *other =
        json_parse(STR("{\"kind\":\"ssh\",\"username\":\"git\",\"privateKey\":\"other\"}"), NULL);

    setup(&b);
    put_secrets(&b);
    CHECK(secrets_set(b.config.secrets_dir, "other", other, NULL, NULL));
    live_to_the_stop(
        &b,
        "node { parallel(\n"
        " script: { dir('sub') { try { git url: '/none', credentialsId: 'ssh' } catch (e) { } }\n"
        "  withCredentials([sshUserPrivateKey(credentialsId: 'ssh', keyFileVariable: 'A'),\n"
        "   sshUserPrivateKey(credentialsId: 'other', keyFileVariable: 'B')]) {\n"
        "   sh '''cp \"$A\" ../was; touch ../up\n"
        "    while [ ! -e ../go ] && [ -e ../up ]; do sleep 0.01 || true; done\n"
        "    cmp \"$A\" ../was''' } },\n"
        " after: { sh 'while [ ! -e ../stopped ] && [ -e ../ws ]; do sleep 0.01 || true; done'\n"
        "  sh 'touch ../go' }) }",
        1);
    put_file(&b, "stopped", "");
    live_to_the_end(&b);
    teardown(&b);
}

static enum abort_request
abort_at_once(void *ctx)
{
    return ABORT_ASKED;
}

/* The shell that was told to end has done so; by now its number is another's. */
TEST(who_got_the_number_of_an_interrupted_script_is_left_alone)
{
    cleanup(build_done) struct build b = {0};
    cleanup_free char *result = NULL, *number = NULL;
    pid_t stranger;
    int status;

    setup(&b);
    live_to_the_stop(&b, "node { sh '" WAITS "true' }", 1);
    put_file(&b, "go", "");
    result = text_format("%s/sh--2/result", b.config.state_dir);
    for (int i = 0; !file_exists(result); i++) {
        CHECK(i < 1000 * CHECK_PATIENCE);
        clock_sleep_ms(10);
    }
    stranger = fork();
    if (stranger == 0) {
        (void)setpgid(0, 0);
        for (;;)
            pause();
    }
    CHECK(stranger > 0 && setpgid(stranger, stranger) == 0);
    number = text_format("%d\n", (int)stranger);
    put_file(&b, "run/sh--2/pid", number);
    put_file(&b, "run/sh--2/told", "");
    b.config.abort_request = abort_at_once;
    build_live(&b);
    CHECK_TEXT(build_result_name(b.outcome.result), "ABORTED");
    CHECK(kill(stranger, SIGTERM) == 0);
    CHECK(waitpid(stranger, &status, 0) == stranger);
    CHECK_EQ(WTERMSIG(status), SIGTERM); /* and nobody's SIGKILL before it */
    teardown(&b);
}

/* Between what git packs and what says that it has no history. */
TEST(a_workspace_that_was_being_filled_when_naru_was_killed_is_whole)
{
    cleanup(build_done) struct build b = {0};
    cleanup_free char *url = NULL, *command = NULL, *path = NULL, *git = NULL;
    cleanup(strbuf_done) struct strbuf commit = {0}, log = {0};

    setup(&b);
    url = text_format("%s/repo.git", b.directory);
    command = text_format(
        "cd %s && git init -q -b main repo && cd repo && git config user.name a && "
        "git config user.email a@b && echo \"node { checkout scm; sh 'git log' }\" >Jenkinsfile && "
        "git add Jenkinsfile && git commit -qm one && git commit -qm two --allow-empty && "
        "printf %%s $(git rev-parse HEAD) >../commit && git clone -q --bare . ../repo.git && rm -r ../ws",
        b.directory);
    CHECK_EQ(system(command), 0);
    git = text_format("#!/bin/sh\nPATH=${PATH#*:}\n"
                      "case $* in *pack-objects*) git \"$@\"; mkdir %s/killed && kill -9 $PPID; "
                      "exit 1;; esac\nexec git \"$@\"\n",
                      b.directory);
    path = text_format("%s/tools/git", b.directory);
    CHECK(file_write_atomic(path, str_of(git), 0700, NULL));
    free(path);
    path = text_format("%s/commit", b.directory);
    CHECK(file_read(path, 100, &commit, NULL));
    b.config.in_place = false;
    b.config.git_url = url;
    b.config.commit = strbuf_cstr(&commit);
    CHECK(!live(&b, (struct kill_at){0}));
    CHECK(live(&b, (struct kill_at){0}));
    free(path);
    path = text_format("%s/log", b.directory);
    CHECK(file_read(path, 1 << 20, &log, NULL));
    CHECK(strstr(strbuf_cstr(&log), "Finished: SUCCESS") != NULL);
    teardown(&b);
}

/* The script was told to end, and does so while no naru is there: that is no failure of its own. */
TEST(a_script_that_was_interrupted_before_the_stop_is_so_after_it)
{
    cleanup(build_done) struct build b = {0};
    cleanup_free char *result = NULL;

    setup(&b);
    live_to_the_stop_in_time(&b,
                             "node { try { timeout(time: MS, unit: 'MILLISECONDS') {\n"
                             " sh 'trap \"touch ../up\" TERM; while [ ! -e ../go ]; do sleep 0.01 || true; done; "
                             "exit 5' } }\n"
                             " catch (e) { echo 'caught ' + e.class.simpleName } }",
                             NULL);
    put_file(&b, "go", "");
    result = text_format("%s/sh--3/result", b.config.state_dir);
    for (int i = 0; !file_exists(result); i++) {
        CHECK(i < 1000 * CHECK_PATIENCE);
        clock_sleep_ms(10);
    }
    live_to_the_end(&b);
    CHECK(strstr(strbuf_cstr(&b.log), "caught FlowInterruptedException\n") != NULL);
    teardown(&b);
}

/* Steps throw as soon as naru is stopped: nothing is to catch that. */
TEST(a_script_that_catches_everything_lets_naru_end)
{
    static const char *const loops[] = {
        "node { while (true) { try { sh '" WAITS "true' } catch (e) { } finally { sh 'true' } } }",
        "node { while (true) { catchError { sh '" WAITS "true' } } }",
        "node { retry(1000000) { sh '" WAITS "true' } }",
        "node { while (true) { try { parallel a: { sh '" WAITS "true' } } catch (Throwable e) { } } }",
    };

    static const char *const folders[] = {"sh--2", "sh--3", "sh--3", "sh-_3.0-1"};

    for (size_t i = 0; i < ARRAY_COUNT(loops); i++) {
        cleanup(build_done) struct build b = {0};
        cleanup_free char *ended = NULL;
        setup(&b);
        live_to_the_stop(&b, loops[i], 1);
        put_file(&b, "go", "");
        ended = text_format("%s/%s/result", b.config.state_dir, folders[i]);
        for (int k = 0; !file_exists(ended); k++) { /* else its `go` is gone before it looks */
            CHECK(k < 1000 * CHECK_PATIENCE);
            clock_sleep_ms(10);
        }
        teardown(&b);
    }
}

/* The program is what it was, whatever its files say by now. */
TEST(what_a_build_loaded_is_the_same_after_a_restart)
{
    static const char say[] = "def call() { sh 'echo called >> ../calls'\n return 'first' }";
    cleanup(build_done) struct build b = {0};
    cleanup_free char *vars = NULL;

    setup(&b);
    b.config.home = b.directory;
    vars = text_format("%s/libraries/lib/vars", b.directory);
    CHECK(file_make_dirs(vars, 0755, NULL));
    put_file(&b, "libraries/lib/vars/say.groovy", say);
    put_file(&b, "ws/part.groovy", "def part() { 'one' }\nreturn this\n");
    live_to_the_stop(&b,
                     "@Library('lib') _\nnode { def p = load 'part.groovy'\n def s = say()\n sh '" WAITS
                     "true'\n echo \"${p.part()} ${s} ${say()}\" }",
                     1);
    put_file(&b, "ws/part.groovy", "sh 'false'\ndef part() { 'two' }\nreturn this\n");
    put_file(&b, "libraries/lib/vars/say.groovy", "def call() { 'second' }");
    put_file(&b, "libraries/lib/vars/more.groovy", "syntax error (");
    put_file(&b, "go", "");
    live_to_the_end(&b);
    CHECK(strstr(strbuf_cstr(&b.log), "\none first first\n") != NULL);
    teardown(&b);
}

/* Whether the command had begun nobody knows: neither its pid nor its result reached the disk. */
TEST(a_script_that_a_power_cut_ended_is_not_run_again)
{
    cleanup(build_done) struct build b = {0};
    cleanup_free char *result = NULL;
    cleanup(strbuf_done) struct strbuf calls = {0};
    cleanup_free char *path = NULL;

    setup(&b);
    live_to_the_stop(&b, "node { sh 'echo x >> ../calls; " WAITS "true' }", 1);
    put_file(&b, "go", "");
    result = text_format("%s/sh--2/result", b.config.state_dir);
    for (int i = 0; !file_exists(result); i++) {
        CHECK(i < 1000 * CHECK_PATIENCE);
        clock_sleep_ms(10);
    }
    put_file(&b, "cut", "cd run && sed -i 's/\"boot\":\"/&0/' journal && rm -r sh--2\n");
    path = text_format("cd %s && sh ./cut", b.directory);
    CHECK_EQ(system(path), 0);
    stop_at = UINT_MAX;
    build_live(&b);
    CHECK_TEXT(b.outcome.reason, "script returned exit code -1");
    free(path);
    path = text_format("%s/calls", b.directory);
    CHECK(file_read(path, 100, &calls, NULL));
    CHECK_TEXT(strbuf_cstr(&calls), "x\n");
    teardown(&b);
}
