/* SPDX-License-Identifier: MIT */
/* steps_junit.c - test reports: counted, the failed ones named, the build unstable if any failed.
 */
#include "io/file.h"
#include "pipeline/steps/data_xml.h"
#include "pipeline/steps/selection.h"

#define REPORT_MAX ((size_t)16 << 20)
#define NAMED_MAX 20 /* failed tests in the log */

/* Kept, for later builds to compare with. */
#define CASES_MAX 100000u
#define CASE_NAME_MAX 500u
#define CASE_BYTES_MAX ((size_t)16 << 20) /* of all names */

struct counts {
    struct step_call *s;
    int64_t total, failed, skipped, flaky;
    struct json *cases; /* test_history.h */
    struct json *alike; /* how many of a name there were */
    size_t bytes;
};

/* "class.name"; those that are called alike are told apart by a number. */
static void
keep_case(struct counts *c, const struct xml *test, char status)
{
    cleanup(strbuf_done) struct strbuf name = {0};
    struct str class_name = xml_attribute(test, "classname");
    const char text[2] = {status, '\0'};
    int64_t number;

    if (json_size(c->cases) >= CASES_MAX || c->bytes >= CASE_BYTES_MAX)
        return;
    strbuf_addf(&name, STR_FMT "%s" STR_FMT, STR_ARG(class_name), class_name.len > 0 ? "." : "",
                STR_ARG(xml_attribute(test, "name")));
    if (name.len > CASE_NAME_MAX) {
        size_t length = CASE_NAME_MAX;
        while (length > 0 && ((unsigned char)name.at[length] & 0xC0) == 0x80)
            length--; /* not in the middle of a character */
        strbuf_cut(&name, length);
    }
    c->bytes += name.len + 1;
    number = json_get_i64(c->alike, strbuf_cstr(&name), 0);
    do { /* one may be called "x #2" by itself */
        cleanup_free char *key = number == 0 ? text_dup(strbuf_cstr(&name))
                                             : text_format("%s #%lld", strbuf_cstr(&name),
                                                           (long long)number + 1);
        number++;
        if (json_get(c->cases, key) != NULL)
            continue;
        json_set(c->cases, key, json_text(text));
        json_set(c->alike, strbuf_cstr(&name), json_int(number));
        return;
    } while (number < CASES_MAX);
}

/* Surefire tells of a test that passed at last by <flakyFailure>. */
static bool
is_flaky(const struct xml *test)
{
    return xml_child(test, "flakyFailure") != NULL || xml_child(test, "flakyError") != NULL;
}

static void
count_case(struct counts *c, const struct xml *test)
{
    const struct xml *why = xml_child(test, "failure");
    struct str message, line, class_name = xml_attribute(test, "classname");

    c->total++;
    if (why == NULL)
        why = xml_child(test, "error");
    if (why == NULL) {
        const bool is_skipped = xml_child(test, "skipped") != NULL;
        c->skipped += is_skipped;
        c->flaky += !is_skipped && is_flaky(test);
        keep_case(c, test, is_skipped ? 'S' : is_flaky(test) ? 'K' : 'P');
        return;
    }
    keep_case(c, test, 'F');
    if (c->failed++ >= NAMED_MAX)
        return;
    message = xml_attribute(why, "message");
    if (message.len == 0)
        message = str_trim(why->text);
    if (!str_split(&message, '\n', &line))
        line = (struct str){0};
    run_logf(c->s->run, "Failed: " STR_FMT "%s" STR_FMT "%s" STR_FMT, STR_ARG(class_name),
             class_name.len > 0 ? "." : "", STR_ARG(xml_attribute(test, "name")),
             line.len > 0 ? ": " : "", STR_ARG(str_slice(str_trim(line), 0, 300)));
}

/* <testsuites>, <testsuite>, <testcase>, nested as tools please. */
static void
count_suite(struct counts *c, const struct xml *suite)
{
    for (const struct xml *x = suite->first; x != NULL; x = x->next) {
        if (str_is(x->name, "testcase"))
            count_case(c, x);
        else if (str_is(x->name, "testsuite"))
            count_suite(c, x);
    }
}

static bool
count_report(struct counts *c, struct str name)
{
    cleanup(strbuf_done) struct strbuf xml = {0};
    cleanup(arena_done) struct arena arena = {0};
    const struct xml *root;
    struct err err;

    if (!file_read_plain(step_path(c->s, name), REPORT_MAX, &xml, &err))
        return step_fail(c->s, "%s", err.message);
    root = data_xml_parse(&arena, strbuf_str(&xml), &err);
    if (root == NULL)
        return step_fail(c->s, "'" STR_FMT "' is not a JUnit report: %s", STR_ARG(name),
                         err.message);
    if (!str_is(root->name, "testsuites") && !str_is(root->name, "testsuite"))
        return step_fail(c->s, "'" STR_FMT "' is not a JUnit report: its root is <" STR_FMT ">",
                         STR_ARG(name), STR_ARG(root->name));
    count_suite(c, root);
    return true;
}

static void
give_counts(struct step_call *s, const struct counts *c)
{
    struct arena *a = &s->run->arena;

    *s->out = value_map(a);
    map_put_text(a, s->out->map, "totalCount", value_int(c->total));
    map_put_text(a, s->out->map, "failCount", value_int(c->failed));
    map_put_text(a, s->out->map, "skipCount", value_int(c->skipped));
    map_put_text(a, s->out->map, "passCount", value_int(c->total - c->failed - c->skipped));
}

static void
say_names(struct step_call *s, const struct json *names, const char *list, const char *word)
{
    const struct json *of = json_get(names, list);

    for (size_t i = 0; i < json_size(of) && i < NAMED_MAX; i++)
        run_logf(s->run, "%s: %s", word, json_cstr(json_at(of, i), ""));
}

/* What became of them since earlier builds. */
static void
say_history(struct step_call *s, const struct counts *c)
{
    const struct runner_host *host = s->run->config->host;
    cleanup_json struct json *names = NULL;
    int64_t not_kept;

    if (host == NULL || host->tests == NULL) {
        if (c->flaky > 0)
            run_logf(s->run, "Flaky tests: %lld", (long long)c->flaky);
        return;
    }
    SERVER_ACTS(s->run);
    names = host->tests(s->run->config->ctx, s->id, c->cases, c->total);
    not_kept = json_get_i64(names, "notKept", 0);
    if (not_kept > 0)
        run_logf(s->run, "WARNING: the results of %lld of these tests are kept",
                 (long long)(c->total - not_kept));
    say_names(s, names, "newlyFailing", "Newly failing");
    say_names(s, names, "fixed", "Fixed");
    say_names(s, names, "flaky", "Flaky");
}

static bool
find_and_count(struct counts *c, struct selection *sel)
{
    if (!step_needs_workspace(c->s) || !selection_find(sel))
        return false;
    for (size_t i = 0; i < sel->found.count; i++)
        if (!run_poll(c->s->in, c->s->at) || !count_report(c, sel->found.at[i].text))
            return false;
    return true;
}

static bool
step_junit(struct step_call *s)
{
    cleanup_json struct json *cases = json_object(), *alike = json_object();
    struct selection sel = {.s = s,
                            .root = s->run->directory,
                            .includes = step_text(s, "testResults", ""),
                            .links = LINKS_FOLLOW};
    struct counts counts = {.s = s, .cases = cases, .alike = alike};

    if (!find_and_count(&counts, &sel))
        return false;
    if (counts.total == 0) {
        if (!step_truth(s, "allowEmptyResults", false))
            return step_fail(s, sel.found.count == 0
                                    ? "No test report files were found. Configuration error?"
                                    : "None of the test reports contained any result");
        run_logf(s->run, "No test reports were found");
    }
    run_logf(s->run, "Tests: %lld, failed: %lld, skipped: %lld", (long long)counts.total,
             (long long)counts.failed, (long long)counts.skipped);
    say_history(s, &counts);
    if (counts.failed > 0 && !step_truth(s, "skipMarkingBuildUnstable", false)) {
        run_worsen(s->run, RESULT_UNSTABLE);
        run_mark(s->run, RESULT_UNSTABLE);
    }
    give_counts(s, &counts);
    return true;
}

step_function *
step_junit_find(struct str name)
{
    return str_is(name, "junit") ? step_junit : NULL;
}
