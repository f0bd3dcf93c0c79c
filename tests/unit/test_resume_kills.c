/* SPDX-License-Identifier: MIT */
/* A build whose runner is killed around every record of its journal - before it is written, when it is
 * written, and when it is flushed - ends as one that was left in peace: the same result, stages and log,
 * and every command was run once.  NARU_KILLS_ALL=1: at each of them, else at some; NARU_WALKS=N: that
 * many made-up builds. */
#include "resume_setup.h"

static const char deploy[] =
    "def tag = null\n"
    "pipeline {\n agent any\n"
    "environment { IMAGE = \"registry/web:${System.currentTimeMillis()}\" }\n"
    "options { timeout(time: 10, unit: 'MINUTES') }\n"
    "stages {\n"
    "stage('Checkout') { steps { script { tag = sh(script: 'echo v1; echo noise >&2', "
    "returnStdout: true).trim() } } }\n"
    "stage('Build') { steps { sh 'docker build -t $IMAGE .'\n writeFile file: 'note', text: tag } }\n"
    "stage('Test') { parallel {\n"
    " stage('unit') { steps { sh 'sleep 0.01; docker run unit' } }\n"
    " stage('lint') { steps { sh 'docker run lint'\n sh 'echo linted' } }\n"
    " stage('flaky') { steps { retry(2) { sh 'docker run flaky; [ $(grep -c flaky ../calls) = 2 ]' } "
    "} } } }\n"
    "stage('Scan') { agent { docker { image 'alpine'\n reuseNode true } } \n"
    " steps { sh 'in the container' } }\n"
    "stage('Race') { steps { script { try { parallel(failFast: true,\n"
    "  good: { sh 'set +x; touch ../marks/raced; sleep 300' },\n"
    "  bad: { sh 'set +x; while [ ! -e ../marks/raced ]; do sleep 0.01; done; exit 4' })\n"
    "  } catch (e) { echo \"race ${e.message}\" } } }\n"
    "  post { always { sh 'echo raced' } } }\n"
    "stage('Push') { steps { sh 'docker push $IMAGE; sleep 0.02'\n"
    " catchError(buildResult: 'UNSTABLE', stageResult: 'UNSTABLE') { sh 'exit 3' } } }\n"
    "stage('Deploy') { steps { input 'Deploy?'\n"
    " sh 'aws ecs update-service --image $IMAGE; sleep 0.02; echo deployed'\n"
    " sleep 0 } }\n"
    "stage('Verify') { steps { script { if (fileExists('note')) { echo \"note ${readFile('note')}\" "
    "} }\n sh 'exit 4' }\n post { failure { sh 'aws ecs rollback' } } }\n"
    "}\n post { always { echo \"ends ${currentBuild.currentResult}\" } } }\n";

static struct json *
answer_yes(void *ctx, const char *step)
{
    struct json *j = json_object();

    json_set(j, "proceed", json_bool(true));
    json_set(j, "by", json_text("ann"));
    return j;
}

static void
nobody_asks(void *ctx, const struct json *question, bool is_over)
{
}

static const struct runner_host yes = {.question = nobody_asks, .answer = answer_yes};

static bool
is_long(void)
{
    return getenv("NARU_KILLS_ALL") != NULL;
}

TEST(a_runner_that_is_killed_at_any_point_of_the_journal_goes_on)
{
    cleanup(build_done) struct build b = {0};
    cleanup(course_done) struct course want = {0};
    unsigned records, killed = 0, tried = 0;

    setup_to_kill(&b, deploy);
    b.config.host = &yes;
    CHECK(live(&b, (struct kill_at){0}));
    want = course_of(&b);
    CHECK(strstr(want.calls, "aws ecs rollback\naws ecs update-service --image") != NULL);
    CHECK(strstr(want.stages, "Verify FAILED\n") != NULL);
    CHECK(strstr(want.log, "race script returned exit code 4\n") != NULL);
    records = records_written(&b);
    CHECK(records > 45);
    for (unsigned at = 1; at <= records; at += is_long() ? 1 : 7)
        for (int point = 0; point < JOURNAL_POINTS; point++) {
            if (!is_long() && at / 7 % JOURNAL_POINTS != (unsigned)point)
                continue;
            clean(&b, deploy);
            tried++;
            if (!live(&b, (struct kill_at){.point = (enum journal_point)point, .count = at})) {
                CHECK(live(&b, (struct kill_at){0}));
                killed++;
            }
            expect_course(&b, &want);
        }
    CHECK(killed > tried / 2); /* one flush may stand for several records */
    teardown(&b);
}

TEST(a_runner_that_is_killed_again_and_again_comes_to_the_end)
{
    cleanup(build_done) struct build b = {0};
    cleanup(course_done) struct course want = {0};
    unsigned lives = 0;

    setup_to_kill(&b, deploy);
    b.config.host = &yes;
    CHECK(live(&b, (struct kill_at){0}));
    want = course_of(&b);
    clean(&b, deploy);
    while (!live(&b, (struct kill_at){.lines = 4}))
        CHECK(++lives < 100);
    CHECK(lives > 5);
    expect_course(&b, &want);
    teardown(&b);
}

/* Made-up builds: what each does is set by the seed, and never depends on which branch is faster. */
struct walk {
    struct strbuf text;
    uint64_t state;
    unsigned steps; /* numbers commands and marks */
};

static unsigned
draw(struct walk *w, unsigned below)
{
    w->state = w->state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(w->state >> 33) % below;
}

static void add_statements(struct walk *w, unsigned depth);

static void
add_block(struct walk *w, const char *before, const char *after, unsigned depth)
{
    strbuf_addf(&w->text, "%s {\n", before);
    add_statements(w, depth + 1);
    strbuf_addf(&w->text, "}%s\n", after);
}

static void
add_race(struct walk *w)
{
    const unsigned n = ++w->steps;

    strbuf_addf(&w->text,
                "try { parallel(failFast: true,\n"
                "bad: { sh 'set +x; while [ ! -e ../marks/%u ]; do sleep 0.01; done; exit 4' },\n"
                "good: { try { sh 'set +x; touch ../marks/%u; sleep 300' }\n"
                " finally { sh 'aws finally %u' } })\n"
                "} catch (e) { echo \"race %u ${e.message}\" }\n",
                n, n, n, n);
}

static void
add_parallel(struct walk *w, unsigned depth)
{
    const unsigned n = ++w->steps;

    strbuf_addf(&w->text, "parallel(a%u: {\n", n);
    add_statements(w, depth + 1);
    strbuf_addf(&w->text, "}, b%u: {\n", n);
    add_statements(w, depth + 1);
    strbuf_addf(&w->text, "})\n");
}

static void
add_step(struct walk *w, unsigned kind)
{
    static const char *const steps[] = {
        "sh 'aws step %u'\n",
        "seen << sh(script: 'aws told %u; echo %u', returnStdout: true).trim()\n",
        "try { sh 'aws failed %u; exit 5' } catch (e) { echo \"caught %u ${e.message}\" }\n",
        "retry(2) { sh 'aws tried %u; [ $(grep -c \"tried %u$\" ../calls) = 2 ]' }\n",
        "catchError(buildResult: 'UNSTABLE') { sh 'aws unstable %u'\n error 'no %u' }\n",
        "sleep 0\necho 'slept %u %u'\n",
        "writeFile file: 'f%u', text: 'x'\necho \"file ${readFile('f%u')}\"\n",
        "try { timeout(time: 20, unit: 'MILLISECONDS') { int n = 0\n while (true) { n++ } } }\n"
        "catch (e) { echo 'late %u %u' }\n",
        "try { timeout(time: 30, unit: 'MILLISECONDS') { sh '#!/bin/sh\\nsleep 300' } }\n"
        "catch (e) { sh 'aws late %u'\n echo 'late %u' }\n",
    };
    const unsigned n = ++w->steps;
    cleanup(strbuf_done) struct strbuf one = {0};

    for (const char *c = steps[kind % ARRAY_COUNT(steps)]; *c != '\0'; c++) {
        if (c[0] == '%' && c[1] == 'u') {
            strbuf_addf(&one, "%u", n);
            c++;
        } else {
            strbuf_add_char(&one, *c);
        }
    }
    strbuf_add(&w->text, strbuf_str(&one));
}

static void
add_statements(struct walk *w, unsigned depth)
{
    char name[40];

    for (unsigned i = 1 + draw(w, 3); i > 0; i--) {
        const unsigned kind = draw(w, depth < 3 ? 14 : 10);
        if (kind == 13) {
            add_parallel(w, depth);
        } else if (kind == 12) {
            snprintf(name, sizeof(name), "stage('S%u')", ++w->steps);
            add_block(w, name, "", depth);
        } else if (kind == 11) {
            add_block(w, "try", " finally { echo 'finally' }", depth);
        } else if (kind == 9) {
            add_race(w);
        } else {
            add_step(w, kind);
        }
    }
}

static void
expect_walk(uint64_t seed)
{
    cleanup(build_done) struct build b = {0};
    cleanup(course_done) struct course want = {0};
    struct walk w = {.state = seed * 2654435761u + 1};
    unsigned records, lives = 0;

    strbuf_addf(&w.text, "def seen = []\nnode {\n");
    add_statements(&w, 0);
    add_statements(&w, 0);
    strbuf_addf(&w.text, "echo \"seen ${seen.sort()}\"\n}\n");
    fprintf(stderr, "walk %llu\n", (unsigned long long)seed);
    setup_to_kill(&b, strbuf_cstr(&w.text));
    put_file(&b, "calls", "");
    CHECK(live(&b, (struct kill_at){0}));
    want = course_of(&b);
    records = records_written(&b);
    clean(&b, strbuf_cstr(&w.text));
    put_file(&b, "calls", "");
    for (; lives < 3; lives++) {
        const struct kill_at at = {.point = (enum journal_point)draw(&w, JOURNAL_POINTS),
                                   .count = 1 + draw(&w, records)};
        fprintf(stderr, "  killed at %d.%u of %u\n", (int)at.point, at.count, records);
        if (live(&b, at))
            break;
    }
    if (lives == 3)
        CHECK(live(&b, (struct kill_at){0}));
    expect_course(&b, &want);
    teardown(&b);
    strbuf_done(&w.text);
}

TEST(made_up_builds_that_are_killed_end_as_they_would_have)
{
    const char *walks = getenv("NARU_WALKS"), *first = getenv("NARU_FIRST");
    const unsigned from = first != NULL ? (unsigned)atoi(first) : 1;

    for (unsigned i = 0; i < (walks != NULL ? (unsigned)atoi(walks) : 3); i++)
        expect_walk(from + i);
}
